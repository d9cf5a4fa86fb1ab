//! Decisions of which somebody can say beforehand how likely they are.
//!
//! What is *given* are probabilities that models of the matter worked out. They are weighed against each other and against what was
//! seen of the same decision in the same *circumstances*, as logits; weights and shares learn as they go. The first that is given is
//! believed at first.

use crate::mix::{squash, stretch, Coder, Share};

/// How fast weights follow.
const RATE: i32 = 14;
const LIMIT: u32 = 1000;
const ONE: i32 = 1 << 16;
const MOST: i32 = 16 * ONE;

pub(super) struct Blend {
    given: usize,
    /// Of each circumstance, a share for each of its values.
    seen: Vec<Vec<Share>>,
    inputs: Vec<i32>,
    weights: Vec<i32>,
}

impl Blend {
    /// For so many given probabilities, and circumstances of so many values each.
    pub(super) fn new(given: usize, circumstances: &[usize]) -> Self {
        let inputs = given + circumstances.len();
        let mut weights = vec![0; inputs];
        weights[0] = ONE;
        Blend {
            given,
            seen: circumstances
                .iter()
                .map(|&values| vec![Share::NEW; values])
                .collect(),
            inputs: vec![0; inputs],
            weights,
        }
    }

    /// One decision, given how likely a one is (in 16 bits, by each who knows) and the values of the circumstances.
    #[inline]
    pub(super) fn pass<C: Coder>(
        &mut self,
        coder: &mut C,
        bit: u32,
        given: &[u32],
        circumstances: &[usize],
    ) -> u32 {
        let (known, seen) = self.inputs.split_at_mut(self.given);
        for (input, &one) in known.iter_mut().zip(given) {
            *input = i32::from(stretch(one));
        }
        for ((input, shares), &value) in seen.iter_mut().zip(&self.seen).zip(circumstances) {
            *input = i32::from(stretch(shares[value].probability()));
        }
        let both = self.weights.iter().zip(&self.inputs);
        let sum: i64 = both
            .map(|(&weight, &input)| i64::from(weight) * i64::from(input))
            .sum();
        let probability = squash((sum >> 16).clamp(-4096, 4096) as i32).clamp(1, 65535);
        let bit = coder.code(bit, probability);
        let error = (((bit << 16) as i32 - probability as i32) * RATE) >> 6;
        for (weight, &input) in self.weights.iter_mut().zip(&self.inputs) {
            *weight = (*weight + ((input * error + (1 << 13)) >> 14)).clamp(-MOST, MOST);
        }
        for (shares, &value) in self.seen.iter_mut().zip(circumstances) {
            shares[value].update(bit, LIMIT);
        }
        bit
    }
}
