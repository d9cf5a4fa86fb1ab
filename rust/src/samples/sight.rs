//! How a sample is foreseen: by weights that stand in the encoding, and by weights that writer and reader adapt as they go.
//!
//! Everything is a sum of products of 16-bit numbers, modulo 2^32: the same on every machine, and eight at once on most.

use super::layout::{LANES, SECOND};

/// Of a weight for what the first sight leaves, binary digits behind the point.
const DIGITS: u32 = 20;
/// Those that count in a sum.
const COUNTING: u32 = 13;
/// No such weight is larger.
const MOST: i32 = (4 << DIGITS) - 1;
/// What the first sight leaves counts as no more.
const MOST_LEFT: i32 = 4095;
/// What is left in the end moves weights as if it were no more.
const MOST_WRONG: i32 = 2047;
/// How slowly weights adapt, as a power of two.
const SLOWNESS: u32 = 8;

type Lanes = [i16; LANES];

/// Eight samples from a place on.
#[inline]
fn eight(values: &[i16], at: usize) -> &Lanes {
    values[at..]
        .first_chunk()
        .expect("zeros lie behind all samples")
}

#[inline]
fn add_products(sums: &mut [i32; LANES], one: &Lanes, other: &Lanes) {
    for lane in 0..LANES {
        let product = i32::from(one[lane]) * i32::from(other[lane]);
        sums[lane] = sums[lane].wrapping_add(product);
    }
}

#[inline]
fn total(sums: [i32; LANES]) -> i32 {
    sums.into_iter().fold(0, i32::wrapping_add)
}

/// Weights for the neighbours of a sample, as they stand in the encoding.
#[derive(Clone, Default)]
pub(super) struct First {
    /// For each eight of neighbours, whether they count or not.
    pub(super) weights: Vec<Lanes>,
    /// What is added, with as many digits as the weights.
    pub(super) constant: i32,
    /// Binary digits behind the point.
    pub(super) digits: u32,
}

impl First {
    /// With so many binary digits behind the point.
    #[inline]
    pub(super) fn foresee(
        &self,
        values: &[i16],
        blocks: &[usize],
        moment: usize,
        fine: u32,
    ) -> i32 {
        let mut sums = [0; LANES];
        for (&block, weights) in blocks.iter().zip(&self.weights) {
            add_products(&mut sums, eight(values, block + moment), weights);
        }
        total(sums).wrapping_add(self.constant) >> (self.digits - fine)
    }
}

/// Weights for what the first sight left of neighbours.
pub(super) struct Second {
    weights: [[i32; LANES]; SECOND],
}

impl Second {
    pub(super) fn new() -> Self {
        Second {
            weights: [[0; LANES]; SECOND],
        }
    }

    /// What is to be added, with so many digits behind the point, and how large what the first sight left was.
    #[inline]
    pub(super) fn foresee(
        &self,
        left: &[i16],
        blocks: &[usize; SECOND],
        moment: usize,
        fine: u32,
    ) -> (i32, i32) {
        let (mut sums, mut sizes) = ([0; LANES], [0; LANES]);
        for (&block, weights) in blocks.iter().zip(&self.weights) {
            let known = eight(left, block + moment);
            let counting = weights.map(|one| (one >> (DIGITS - COUNTING)) as i16);
            add_products(&mut sums, known, &counting);
            add_products(&mut sizes, known, known);
        }
        let more = total(sums).wrapping_add(1 << (COUNTING - fine - 1)) >> (COUNTING - fine);
        (more, total(sizes))
    }

    /// Follow what was left in the end ("normalised least mean squares").
    #[inline]
    pub(super) fn follow(
        &mut self,
        left: &[i16],
        blocks: &[usize; SECOND],
        moment: usize,
        size: i32,
        wrong: i32,
    ) {
        let pace = (wrong.clamp(-MOST_WRONG, MOST_WRONG) << DIGITS) / (size + 1);
        if pace == 0 {
            return;
        }
        for (&block, weights) in blocks.iter().zip(&mut self.weights) {
            let known = eight(left, block + moment);
            for lane in 0..LANES {
                let step =
                    (pace.wrapping_mul(i32::from(known[lane])) + (1 << (SLOWNESS - 1))) >> SLOWNESS;
                weights[lane] = (weights[lane] + step).clamp(-MOST, MOST);
            }
        }
    }
}

/// What the first sight left, as the second sees it.
#[inline]
pub(super) fn kept(left: i32) -> i16 {
    left.clamp(-MOST_LEFT, MOST_LEFT) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_regularly_is_foreseen_in_the_end() {
        let mut second = Second::new();
        let mut left = vec![0i16; 32];
        let mut noise = 1u32;
        let mut wrong = Vec::new();
        for place in 32..6032 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = -(i32::from(left[place - 1]) * 7 / 8) + (noise >> 24) as i32 - 127;
            let blocks = [place - 8, place - 16, place - 24, place - 32];
            let (more, size) = second.foresee(&left, &blocks, 0, 0);
            wrong.push((value - more).abs());
            second.follow(&left, &blocks, 0, size, value - more);
            left.push(kept(value));
        }
        let mean = |part: &[i32]| part.iter().sum::<i32>() / part.len() as i32;
        assert!(mean(&wrong[5000..]) < mean(&wrong[..500]) * 3 / 4);
    }

    #[test]
    fn the_largest_samples_overflow_nothing() {
        let mut second = Second::new();
        let left = vec![kept(-70000); 64];
        for _ in 0..100 {
            let (_, size) = second.foresee(&left, &[0, 8, 16, 24], 3, 0);
            second.follow(&left, &[0, 8, 16, 24], 3, size, i32::from(i16::MIN) * 2);
        }
        let left = {
            let mut one = vec![0; 64];
            one[5] = 1;
            one
        };
        for _ in 0..100_000 {
            second.follow(&left, &[0, 8, 16, 24], 3, 1, 70000);
        }
        assert_eq!(second.weights[0][2], MOST);
    }
}
