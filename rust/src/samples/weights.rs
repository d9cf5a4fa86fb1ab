//! The weights by which a sample is foreseen from those before it: found by least squares when it is written, kept as integers.

/// Binary digits of a weight behind the point.
pub(super) const POINT: u32 = 14;
/// What stands for the constant term; it makes up for a baseline that is far from zero.
pub(super) const CONSTANT: i32 = 256;
/// No weight is larger.
const MOST: f64 = (1 << 20) as f64;
/// Samples from which the weights of one place and class are found; of more, every n-th is taken.
const ENOUGH: usize = 60_000;
/// How much less is left unforeseen is not worth a large weight.
const RIDGE: f64 = 1e-7;

/// Sums of products of what is known before a sample, and of that with the sample.
pub(super) struct Fit {
    terms: usize,
    seen: usize,
    products: Vec<f64>,
    wanted: Vec<f64>,
    known: Vec<f64>,
}

impl Fit {
    /// Of so many samples before each, and the constant.
    pub(super) fn new(taps: usize) -> Self {
        let terms = taps + 1;
        Fit {
            terms,
            seen: 0,
            products: vec![0.0; terms * terms],
            wanted: vec![0.0; terms],
            known: vec![0.0; terms],
        }
    }

    /// Of how many samples one is looked at, if there are so many.
    pub(super) fn every(samples: usize) -> usize {
        samples.div_ceil(ENOUGH).max(1)
    }

    pub(super) fn add(&mut self, known: impl Iterator<Item = i32>, sample: i32) {
        for (place, value) in self.known.iter_mut().zip(known.chain([CONSTANT])) {
            *place = f64::from(value);
        }
        let sample = f64::from(sample);
        for (row, &value) in self.known.iter().enumerate() {
            self.wanted[row] += value * sample;
            let line = &mut self.products[row * self.terms..][..=row];
            for (sum, &other) in line.iter_mut().zip(&self.known) {
                *sum += value * other;
            }
        }
        self.seen += 1;
    }

    /// The weights of the least squares; all are zero but the first if too little was seen.
    pub(super) fn weights(mut self) -> Vec<i32> {
        let n = self.terms;
        let mut plain = vec![0; n];
        plain[0] = 1 << POINT;
        let trace: f64 = (0..n).map(|place| self.products[place * n + place]).sum();
        let ridge = RIDGE * trace / n as f64 + 1.0;
        if self.seen < 4 * n {
            return plain;
        }
        // Cholesky, the lower triangle in place
        for row in 0..n {
            self.products[row * n + row] += ridge;
            for column in 0..=row {
                let (above, line) = self.products.split_at_mut(row * n);
                let other = if column < row {
                    &above[column * n..][..column]
                } else {
                    &[]
                };
                let sum: f64 = if column < row {
                    line[..column].iter().zip(other).map(|(a, b)| a * b).sum()
                } else {
                    line[..row].iter().map(|a| a * a).sum()
                };
                let rest = line[column] - sum;
                if column < row {
                    line[column] = rest / above[column * n + column];
                } else if rest > 0.0 {
                    line[row] = rest.sqrt();
                } else {
                    return plain;
                }
            }
        }
        let mut found = self.wanted;
        for row in 0..n {
            let sum: f64 = (0..row)
                .map(|at| self.products[row * n + at] * found[at])
                .sum();
            found[row] = (found[row] - sum) / self.products[row * n + row];
        }
        for row in (0..n).rev() {
            let sum: f64 = (row + 1..n)
                .map(|at| self.products[at * n + row] * found[at])
                .sum();
            found[row] = (found[row] - sum) / self.products[row * n + row];
        }
        if found.iter().any(|one| !one.is_finite()) {
            return plain;
        }
        found
            .iter()
            .map(|one| (one * f64::from(1 << POINT)).clamp(-MOST, MOST).round() as i32)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_rule_has_its_weights() {
        let mut fit = Fit::new(2);
        let mut samples = vec![1000, 900];
        let mut noise = 1u32;
        for place in 2..2000 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (one, two) = (samples[place - 1], samples[place - 2]);
            let sample = (3 * one - 2 * two) / 2 + (noise >> 24) as i32 - 127;
            fit.add([one, two].into_iter(), sample);
            samples.push(sample);
        }
        let weights = fit.weights();
        assert!(
            (weights[0] - 3 * (1 << POINT) / 2).abs() < 1 << (POINT - 4),
            "{weights:?}"
        );
        assert!(
            (weights[1] + (1 << POINT)).abs() < 1 << (POINT - 4),
            "{weights:?}"
        );
    }

    #[test]
    fn of_too_little_comes_the_sample_before() {
        let mut fit = Fit::new(3);
        fit.add([1, 2, 3].into_iter(), 4);
        assert_eq!(fit.weights(), [1 << POINT, 0, 0, 0]);
    }
}
