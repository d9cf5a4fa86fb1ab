//! The exact discrete Gaussian, frozen: the same seed gives the same numbers in every version of Edgehold.
//!
//! Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy" (2020), algorithms 1 to 3, in integers and
//! rationals only. The draws read one stream of bytes, the ChaCha20 key stream (RFC 8439 block function, key = seed, 64-bit block
//! counter from 0, 64-bit nonce 0), in this way and no other:
//!
//! - *uniform below n*: let k be the bits of n − 1. For k = 0 the answer is 0 and nothing is read. Else ⌈k/8⌉ bytes are read as a
//!   little-endian integer, of which the lowest k bits are kept; an integer of n or more is thrown away and the next is read.
//! - *Bernoulli(a/b)*: uniform below b, and whether it is below a.
//! - *Bernoulli(exp(−γ))* (algorithm 1): for γ > 1 first ⌊γ⌋ times Bernoulli(exp(−1)), false at the first that is false, then the
//!   remainder. For γ ≤ 1: K = 1, 2, …, while Bernoulli(γ/K) holds; true if the K that ended it is odd.
//! - *discrete Laplace of scale t* (algorithm 2 with s = 1): U uniform below t, again until Bernoulli(exp(−U/t)) holds; V = how often
//!   Bernoulli(exp(−1)) holds in a row; the size is U + tV; the sign is Bernoulli(1/2), true for negative; negative zero begins anew.
//! - *discrete Gaussian of σ = a/b* (algorithm 3): t = ⌊σ⌋ + 1; Y discrete Laplace of scale t, again until
//!   Bernoulli(exp(−(|Y| − σ²/t)² / 2σ²)) holds. The fraction is used as (|Y|tb² − a²)² over 2a²b²t², not reduced.
//!
//! Time depends on what is drawn, as in every exact sampler of this kind: an aggregator draws once per task, after it has closed.

use num_bigint::{BigInt, BigUint};
use pyo3::prelude::*;
use rand_chacha::rand_core::RngCore;
use rand_chacha::ChaCha20Rng;

use crate::{exactly, guarded, reason, refused, stream};

/// A positive rational as it comes; reducing it would change nothing but the bytes read.
struct Ratio {
    over: BigUint,
    under: BigUint,
}

/// The stream a seed stands for, and the draws of the paper.
struct Draws {
    stream: ChaCha20Rng,
    block: [u8; 64],
    used: usize,
}

impl Draws {
    fn new(seed: &[u8; 32]) -> Self {
        Draws {
            stream: stream(seed, 0),
            block: [0; 64],
            used: 64,
        }
    }

    /// The next bytes of the stream; no byte is skipped.
    fn read(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used == self.block.len() {
                self.stream.fill_bytes(&mut self.block);
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }

    fn uniform_below(&mut self, bound: &BigUint) -> BigUint {
        let bits = (bound - 1u8).bits();
        let mut bytes = vec![0u8; bits.div_ceil(8) as usize];
        loop {
            self.read(&mut bytes);
            if let (Some(last), excess @ 1..) = (bytes.last_mut(), bits % 8) {
                *last &= (1 << excess) - 1;
            }
            let drawn = BigUint::from_bytes_le(&bytes);
            if drawn < *bound {
                return drawn;
            }
        }
    }

    fn bernoulli(&mut self, over: &BigUint, under: &BigUint) -> bool {
        self.uniform_below(under) < *over
    }

    /// Algorithm 1.
    fn bernoulli_exp(&mut self, gamma: &Ratio) -> bool {
        let one = BigUint::from(1u8);
        let mut over = gamma.over.clone();
        if gamma.over > gamma.under {
            while over >= gamma.under {
                over -= &gamma.under;
                if !self.bernoulli_exp_at_most_one(&one, &one) {
                    return false;
                }
            }
        }
        self.bernoulli_exp_at_most_one(&over, &gamma.under)
    }

    fn bernoulli_exp_at_most_one(&mut self, over: &BigUint, under: &BigUint) -> bool {
        let mut tries = 1u32;
        while self.bernoulli(over, &(under * tries)) {
            tries += 1;
        }
        tries % 2 == 1
    }

    /// Algorithm 2 with s = 1: the size and whether it is negative.
    fn laplace(&mut self, scale: &BigUint) -> (BigUint, bool) {
        let (one, two) = (BigUint::from(1u8), BigUint::from(2u8));
        loop {
            let rest = self.uniform_below(scale);
            if !self.bernoulli_exp_at_most_one(&rest, scale) {
                continue;
            }
            let mut whole = 0u64;
            while self.bernoulli_exp_at_most_one(&one, &one) {
                whole += 1;
            }
            let size = rest + scale * whole;
            let negative = self.bernoulli(&one, &two);
            if !(negative && size == BigUint::ZERO) {
                return (size, negative);
            }
        }
    }

    /// Algorithm 3 for σ = a/b.
    fn gaussian(&mut self, a: u64, b: u64) -> BigInt {
        let scale = BigUint::from(a / b) + 1u8;
        let (a2, b2) = (BigUint::from(a).pow(2), BigUint::from(b).pow(2));
        let under = 2u8 * &a2 * &b2 * scale.pow(2);
        loop {
            let (size, negative) = self.laplace(&scale);
            let reach = &size * &scale * &b2;
            let distance = if reach > a2 { reach - &a2 } else { &a2 - reach };
            let gamma = Ratio {
                over: distance.pow(2),
                under: under.clone(),
            };
            if self.bernoulli_exp(&gamma) {
                let value = BigInt::from(size);
                return if negative { -value } else { value };
            }
        }
    }
}

/// `count` draws of the discrete Gaussian with σ = `sigma_numerator` / `sigma_denominator`, from the beginning of the seed's stream.
#[pyfunction]
pub fn discrete_gaussian(
    py: Python<'_>,
    seed: &[u8],
    sigma_numerator: u64,
    sigma_denominator: u64,
    count: usize,
) -> PyResult<Vec<i128>> {
    let seed = exactly::<32>("the seed", seed).map_err(refused)?;
    if sigma_numerator == 0 || sigma_denominator == 0 {
        return Err(refused("σ must be a positive fraction".into()));
    }
    let draw_all = || {
        let mut draws = Draws::new(&seed);
        (0..count)
            .map(|_| {
                let drawn = draws.gaussian(sigma_numerator, sigma_denominator);
                i128::try_from(&drawn).map_err(reason)
            })
            .collect()
    };
    py.detach(|| guarded(draw_all)).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_variance_are_those_of_the_distribution() {
        let mut draws = Draws::new(&[7; 32]);
        let count = 20_000;
        let drawn: Vec<f64> = (0..count)
            .map(|_| i64::try_from(&draws.gaussian(481, 100)).unwrap() as f64)
            .collect();
        let mean = drawn.iter().sum::<f64>() / f64::from(count);
        let variance = drawn.iter().map(|x| x * x).sum::<f64>() / f64::from(count);
        assert!(mean.abs() < 0.15, "{mean}");
        assert!((variance / (4.81 * 4.81) - 1.0).abs() < 0.04, "{variance}");
    }

    #[test]
    fn nothing_is_read_for_a_certain_outcome() {
        let mut draws = Draws::new(&[0; 32]);
        assert_eq!(draws.uniform_below(&BigUint::from(1u8)), BigUint::ZERO);
        assert_eq!(draws.used, draws.block.len());
    }
}
