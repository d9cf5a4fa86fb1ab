//! What contexts say of a decision, mixed: shares in tables, weights of 16 bits.

use super::deviations::SLOTS;
use crate::mix::{hash, squash, stretch, Coder, Share, LANES};

/// The most contexts of a decision; with the constant as many as are weighed at once.
pub(super) const CONTEXTS: usize = LANES - 1;
/// Binary logarithms of the lines of each context's table, at least and at most.
const TABLE: (u32, u32) = (8, 14);
/// Of a weight, binary digits behind the point.
const DIGITS: u32 = 14;
/// What each weighs at first.
const FIRST: i16 = 5734;
/// How fast weights follow.
const RATE: i32 = 100;
/// Of decisions under one context, how they are named.
const NAME: u32 = 40;

type Lanes = [i16; LANES];

/// Shares of up to seven decisions under one context, two of them in a line of the cache; the first says whose they are.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Line([Share; SLOTS]);

/// What contexts say, mixed.
pub(super) struct Mixed {
    /// Of each context 2^`bits`.
    lines: Vec<Line>,
    bits: u32,
    open: [usize; CONTEXTS],
    weights: Vec<Lanes>,
    limit: u32,
}

impl Mixed {
    /// For so many items, and so many circumstances with weights of their own.
    pub(super) fn new(items: usize, nodes: usize, limit: u32) -> Self {
        let bits = (usize::BITS - (items / 4).leading_zeros()).clamp(TABLE.0, TABLE.1);
        let mut first = [FIRST; LANES];
        first[CONTEXTS] = 0;
        Mixed {
            lines: vec![Line([Share::NEW; SLOTS]); CONTEXTS << bits],
            bits,
            open: [0; CONTEXTS],
            weights: vec![first; nodes],
            limit,
        }
    }

    /// Open the lines of some contexts; lines of others are given up.
    #[inline(always)]
    pub(super) fn open<const N: usize>(&mut self, contexts: &[u64; N], name: u64) {
        // all are looked up before any is given up, so that memory is waited for once
        let found: [(usize, Share, Share); N] = std::array::from_fn(|number| {
            let hashed = hash(contexts[number] ^ name << NAME, number as u64);
            let place = number << self.bits | (hashed >> (64 - self.bits)) as usize;
            (
                place,
                Share::named(hashed as u32 | 1),
                self.lines[place].0[0],
            )
        });
        for (open, (place, name, known)) in self.open.iter_mut().zip(found) {
            *open = place;
            if known != name {
                let line = &mut self.lines[place].0;
                *line = [Share::NEW; SLOTS];
                line[0] = name;
            }
        }
    }

    /// One decision of which the first `N` contexts know something.
    #[inline]
    pub(super) fn decide<const N: usize, C: Coder>(
        &mut self,
        coder: &mut C,
        bit: u32,
        slot: usize,
        node: usize,
    ) -> u32 {
        let slot = slot % SLOTS;
        let places: [usize; N] = std::array::from_fn(|number| self.open[number]);
        let mut inputs = [0; LANES];
        inputs[CONTEXTS] = 256;
        for (input, place) in inputs.iter_mut().zip(places) {
            *input = stretch(self.lines[place].0[slot].probability());
        }
        let weights = &mut self.weights[node];
        let probability = squash(weigh(weights, &inputs));
        let bit = coder.code(bit, probability);
        follow(weights, &inputs, (bit << 16) as i32 - probability as i32);
        for place in places {
            self.lines[place].0[slot].update(bit, self.limit);
        }
        bit
    }
}

#[inline]
fn weigh(weights: &Lanes, inputs: &Lanes) -> i32 {
    let products = weights.iter().zip(inputs);
    let sum: i32 = products
        .map(|(&one, &other)| i32::from(one) * i32::from(other))
        .sum();
    sum >> DIGITS
}

#[inline]
fn follow(weights: &mut Lanes, inputs: &Lanes, wrong: i32) {
    let error = (wrong * RATE) >> 7;
    for (weight, &input) in weights.iter_mut().zip(inputs) {
        let step = (i32::from(input) * error + (1 << 16)) >> 17;
        *weight = weight.saturating_add(step as i16);
    }
}
