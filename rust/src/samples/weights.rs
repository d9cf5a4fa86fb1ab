//! The weights by which a sample is foreseen from its neighbours: found by least squares when it is written, kept as integers.

use super::layout::{Plane, LANES};
use super::sight::First;

/// Of a weight, binary digits behind the point, if it is not large.
const POINT: u32 = 14;
/// The least digits of large ones.
pub(super) const LEAST_POINT: u32 = 10;
/// What stands for the constant term; it makes up for a baseline that is far from zero.
const CONSTANT: f64 = 256.0;
/// Samples of which each is looked at.
const ENOUGH: usize = 10_000;
/// Products that may be added up for each sample, on the average.
const WORK: usize = 1600;
/// How much less is left unforeseen is not worth a large weight.
const RIDGE: f64 = 1e-6;
/// Samples that are added up at once.
const BATCH: usize = 128;

/// Sums of products of what is known before a sample, and of that with the sample.
#[derive(Clone)]
pub(super) struct Fit {
    /// The neighbours, the constant, the sample itself.
    terms: usize,
    /// What is taken from every sample, so that products tell how samples differ and not where they lie.
    middle: i16,
    seen: usize,
    products: Vec<f64>,
    /// Of each term, its values of a batch.
    batch: Vec<[f32; BATCH]>,
    filled: usize,
}

impl Fit {
    /// Of so many neighbours of each sample, which lie about some middle.
    pub(super) fn new(taps: usize, middle: i16) -> Self {
        let terms = taps + 2;
        Fit {
            terms,
            middle,
            seen: 0,
            products: vec![0.0; terms * terms],
            batch: vec![[0.0; BATCH]; terms],
            filled: 0,
        }
    }

    /// Of how many samples one is looked at: of many samples with many neighbours not each.
    pub(super) fn every(samples: usize, taps: usize) -> usize {
        let slow = (taps * taps).div_ceil(WORK);
        slow.min(samples / ENOUGH).max(1)
    }

    /// One sample with its neighbours.
    pub(super) fn add(&mut self, known: impl Iterator<Item = i16>, sample: i16) {
        let last = self.terms - 1;
        for (values, value) in self.batch.iter_mut().zip(known) {
            values[self.filled] = (i32::from(value) - i32::from(self.middle)) as f32;
        }
        self.batch[last - 1][self.filled] = CONSTANT as f32;
        self.batch[last][self.filled] = (i32::from(sample) - i32::from(self.middle)) as f32;
        self.seen += 1;
        self.filled += 1;
        if self.filled == BATCH {
            self.add_batch();
        }
    }

    fn add_batch(&mut self) {
        for row in 0..self.terms {
            let (before, own) = self.batch.split_at(row);
            let own = &own[0];
            let line = &mut self.products[row * self.terms..][..=row];
            for (sum, other) in line.iter_mut().zip(before.iter().chain([own])) {
                *sum += product(own, other);
            }
        }
        self.batch.fill([0.0; BATCH]);
        self.filled = 0;
    }

    /// What several have seen.
    pub(super) fn sum(all: &[&Fit]) -> Fit {
        let mut sum = all[0].clone();
        sum.add_batch();
        for one in &all[1..] {
            let mut one = (*one).clone();
            one.add_batch();
            sum.seen += one.seen;
            for (sum, product) in sum.products.iter_mut().zip(&one.products) {
                *sum += product;
            }
        }
        sum
    }

    /// The weights of the least squares; all are zero but the first if too little was seen.
    pub(super) fn weights(mut self, plane: &Plane) -> First {
        self.add_batch();
        let n = self.terms - 1;
        let found = if self.seen < 4 * n {
            None
        } else {
            self.solve()
        };
        let mut weights = First {
            weights: vec![[0; LANES]; plane.blocks.len()],
            ..First::default()
        };
        let mut set = |term: usize, value: i16| {
            let place = plane.taps[term].0;
            weights.weights[place / LANES][place % LANES] = value;
        };
        let Some(found) = found else {
            // the last of the first eight is the sample before
            let last = plane.taps.iter().position(|tap| tap.0 == LANES - 1);
            if let Some(last) = last {
                set(last, 1 << POINT);
            }
            weights.digits = POINT;
            weights.constant = 1 << (POINT - 1);
            return weights;
        };
        let largest = found[..n - 1]
            .iter()
            .fold(0.0, |most: f64, one| most.max(one.abs()));
        let digits = (LEAST_POINT..=POINT)
            .rev()
            .find(|&digits| largest * f64::from(1 << digits) < f64::from(i16::MAX))
            .unwrap_or(LEAST_POINT);
        let scale = f64::from(1 << digits);
        // what is lost by rounding, on the average, goes to the constant
        let means = &self.means();
        let middle = f64::from(self.middle);
        let mut constant = found[n - 1] * CONSTANT + middle;
        for (term, (&one, mean)) in found[..n - 1].iter().zip(means).enumerate() {
            let kept = (one * scale)
                .round()
                .clamp(f64::from(i16::MIN), f64::from(i16::MAX));
            constant += (one - kept / scale) * mean - kept / scale * middle;
            set(term, kept as i16);
        }
        weights.digits = digits;
        let most = f64::from(1 << 30);
        weights.constant = ((constant + 0.5) * scale).round().clamp(-most, most) as i32;
        weights
    }

    /// What each neighbour is on the average.
    fn means(&self) -> Vec<f64> {
        let constant = self.terms - 2;
        let line = &self.products[constant * self.terms..][..=constant];
        line.iter()
            .map(|sum| sum * CONSTANT / line[constant])
            .collect()
    }

    /// Weights by Cholesky; none if the products are not those of numbers that are independent.
    fn solve(&self) -> Option<Vec<f64>> {
        let n = self.terms - 1;
        let mut lower: Vec<Vec<f64>> = (0..n)
            .map(|row| self.products[row * self.terms..][..=row].to_vec())
            .collect();
        let trace: f64 = (0..n).map(|place| lower[place][place]).sum();
        let ridge = RIDGE * trace / n as f64 + 1e-9;
        for row in 0..n {
            let (above, line) = lower.split_at_mut(row);
            let line = &mut line[0];
            line[row] += ridge;
            for column in 0..row {
                let other = &above[column];
                let sum: f64 = line[..column].iter().zip(other).map(|(a, b)| a * b).sum();
                line[column] = (line[column] - sum) / other[column];
            }
            let rest = line[row] - line[..row].iter().map(|a| a * a).sum::<f64>();
            if rest <= 0.0 {
                return None;
            }
            line[row] = rest.sqrt();
        }
        let mut found = self.products[n * self.terms..][..n].to_vec();
        for row in 0..n {
            let sum: f64 = (0..row).map(|at| lower[row][at] * found[at]).sum();
            found[row] = (found[row] - sum) / lower[row][row];
        }
        for row in (0..n).rev() {
            let sum: f64 = (row + 1..n).map(|at| lower[at][row] * found[at]).sum();
            found[row] = (found[row] - sum) / lower[row][row];
        }
        found.iter().all(|one| one.is_finite()).then_some(found)
    }
}

fn product(one: &[f32; BATCH], other: &[f32; BATCH]) -> f64 {
    let mut sums = [0.0; LANES];
    for (a, b) in one
        .as_chunks::<LANES>()
        .0
        .iter()
        .zip(other.as_chunks::<LANES>().0)
    {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.into_iter().map(f64::from).sum()
}

#[cfg(test)]
mod tests {
    use super::super::layout::{Layout, Planes};
    use super::*;

    fn plane() -> Plane {
        let layout = Layout::of([0, 1, 1, 0, 0, 2000]).expect("a layout");
        Planes::new(&layout).channels.remove(0)
    }

    #[test]
    fn what_follows_a_rule_has_its_weights() {
        let plane = plane();
        let mut fit = Fit::new(plane.taps.len(), 900);
        let mut samples = vec![0i16; plane.own];
        samples.extend([1000, 900]);
        let mut noise = 1u32;
        for moment in 2..2000 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = plane.own + moment;
            let (one, two) = (i32::from(samples[at - 1]), i32::from(samples[at - 2]));
            let sample = ((5 * one - 4 * two) / 2 + (noise >> 24) as i32 - 127) as i16 / 2;
            fit.add(plane.taps.iter().map(|tap| samples[tap.1 + moment]), sample);
            samples.push(sample);
        }
        let first = fit.weights(&plane);
        assert!((f64::from(first.weights[0][7]) / f64::from(1 << first.digits) - 1.25).abs() < 0.1);
        assert!((f64::from(first.weights[0][6]) / f64::from(1 << first.digits) + 1.0).abs() < 0.1);
    }

    #[test]
    fn large_weights_have_fewer_digits() {
        let plane = plane();
        let mut fit = Fit::new(plane.taps.len(), 30);
        let mut noise = 1u32;
        for _ in 0..2000 {
            let known: Vec<i16> = (0..plane.taps.len())
                .map(|_| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (noise >> 26) as i16
                })
                .collect();
            let sample = known[7] * 5 + 3;
            fit.add(known.into_iter(), sample);
        }
        let first = fit.weights(&plane);
        assert_eq!(first.digits, 12);
        assert!((f64::from(first.weights[0][7]) / 4096.0 - 5.0).abs() < 0.01);
    }

    #[test]
    fn of_too_little_comes_the_sample_before() {
        let plane = plane();
        let mut fit = Fit::new(plane.taps.len(), 900);
        fit.add([1, 2, 3].into_iter(), 4);
        let first = fit.weights(&plane);
        assert_eq!(first.weights[0], [0, 0, 0, 0, 0, 0, 0, 1 << POINT]);
        assert!(first.weights[1..].iter().flatten().all(|&one| one == 0));
    }
}
