//! The numbers of names that are in no base.
//!
//! They were given in batches, in each along the chromosome: of the names of neighbours those of one batch are near each other,
//! and grow or fall from one to the next. A *chain* is such a batch as far as it was seen; a number is told as which chain it goes on
//! with, counted from the one that went on last, and by how much, or as itself.

use super::base::Place;
use crate::mix::{choice, hash, number, Coder, Model, Sizes};

/// Chains that are remembered for each beginning of names.
const MOST_CHAINS: usize = 96;
/// Twice the bits that a number takes which goes on with no chain.
const ALONE: u32 = 28;

#[derive(Clone, Copy)]
struct Chain {
    number: u32,
    place: Place,
    /// Its last step, and how far along the chromosome it was.
    step: i32,
    way: u32,
}

pub(super) struct Names {
    alone: Sizes,
    given: Model,
    which: Model,
    sizes: Sizes,
    signs: Model,
    /// Of each beginning of names, the chain that went on last first.
    chains: Vec<Vec<Chain>>,
    last: [u64; 2],
}

/// Twice the binary logarithm of one more.
fn weight(value: u32) -> u32 {
    let square = (u64::from(value) + 1) * (u64::from(value) + 1);
    63 - square.leading_zeros()
}

fn length(value: u32) -> u64 {
    u64::from(32 - value.leading_zeros())
}

impl Names {
    pub(super) fn new(bits: u32) -> Self {
        Names {
            alone: Sizes::new(Model::new(2, bits, 255), 12),
            given: Model::new(1, 8, 255),
            which: Model::new(3, 8, 1023),
            sizes: Sizes::new(Model::new(3, 12, 1023), 3),
            signs: Model::new(3, 8, 255),
            chains: Vec::new(),
            last: [0; 2],
        }
    }

    /// One more than the number of a name, or 0 if it has none; `expected` is the number of a site that lies there.
    pub(super) fn pass<C: Coder>(
        &mut self,
        coder: &mut C,
        value: u32,
        prefix: u32,
        place: Place,
        expected: Option<u32>,
    ) -> u32 {
        if let Some(expected) = expected {
            self.given.hashes[0] = 1;
            let is_other = choice(
                &mut self.given,
                coder,
                u32::from(value != expected + 1),
                2,
                None,
            );
            if is_other == 0 {
                return expected + 1;
            }
        }
        let prefix = prefix as usize;
        if self.chains.len() <= prefix {
            self.chains.resize_with(prefix + 1, Vec::new);
        }
        let told = self
            .nearest(prefix, value)
            .map_or(0, |rank| rank as u32 + 1);
        let contexts = [
            prefix as u64,
            hash(self.last[0], 1),
            hash(hash(self.last[0], self.last[1]), 2),
        ];
        self.which.hashes.copy_from_slice(&contexts);
        let goes_on = choice(&mut self.which, coder, told.min(1), 2, None);
        let told = if goes_on == 0 {
            0
        } else {
            number(&mut self.which, coder, told, None)
        };
        self.last = [length(told), self.last[0]];
        let (value, chain) = match self.chains[prefix]
            .get((told as usize).wrapping_sub(1))
            .copied()
        {
            Some(chain) => {
                self.chains[prefix].remove(told as usize - 1);
                self.go_on(coder, value, chain, place)
            }
            None => {
                let region = hash(u64::from(place.chromosome), u64::from(place.position >> 22));
                let contexts = [hash(1, prefix as u64), hash(2, hash(region, prefix as u64))];
                self.alone.model.hashes.copy_from_slice(&contexts);
                let value = self.alone.pass(coder, value);
                let chain = Chain {
                    number: value,
                    place,
                    step: 0,
                    way: 0,
                };
                (value, chain)
            }
        };
        let chains = &mut self.chains[prefix];
        chains.truncate(MOST_CHAINS - 1);
        chains.insert(0, chain);
        value
    }

    /// The chain after which a number takes fewest bits, unless it takes fewer alone.
    fn nearest(&self, prefix: usize, value: u32) -> Option<usize> {
        let costs = self.chains[prefix].iter().enumerate().map(|(rank, chain)| {
            let far = value.abs_diff(chain.number);
            (weight(rank as u32) + weight(far) + 4, rank)
        });
        costs
            .min()
            .filter(|&(cost, _)| cost < ALONE)
            .map(|(_, rank)| rank)
    }

    /// The next number of a chain.
    fn go_on<C: Coder>(
        &mut self,
        coder: &mut C,
        value: u32,
        chain: Chain,
        place: Place,
    ) -> (u32, Chain) {
        let way = if chain.place.chromosome == place.chromosome {
            chain.place.position.abs_diff(place.position)
        } else {
            u32::MAX
        };
        let expected = (u64::from(chain.step.unsigned_abs()) * u64::from(way)
            / u64::from(chain.way.max(1)))
        .min(1 << 31);
        let contexts = [
            hash(1, length(way)),
            hash(2, length(expected as u32) << 8 | length(way)),
            3,
        ];
        self.sizes.model.hashes.copy_from_slice(&contexts);
        let size = self.sizes.pass(coder, value.abs_diff(chain.number));
        let direction = chain.step.signum() as u64;
        let contexts = [
            hash(1, direction),
            hash(2, direction ^ length(size) << 8),
            3,
        ];
        self.signs.hashes.copy_from_slice(&contexts);
        let is_less = size > 0
            && choice(
                &mut self.signs,
                coder,
                u32::from(value < chain.number),
                2,
                None,
            ) != 0;
        let value = if is_less {
            chain.number.wrapping_sub(size)
        } else {
            chain.number.wrapping_add(size)
        };
        let chain = Chain {
            number: value,
            place,
            step: value.wrapping_sub(chain.number) as i32,
            way,
        };
        (value, chain)
    }
}
