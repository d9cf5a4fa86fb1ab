//! A person's chromosomes as mosaics of those of a public panel: the model of Li and Stephens, in whole numbers.
//!
//! Each of the two copies of a chromosome is taken for a *chain* of stretches that are copied from haplotypes of the panel. A chain
//! weighs the haplotypes by how likely each is the one that is being copied now; from site to site a part of that is shared out
//! among all, the more the farther the sites lie apart, and what was seen takes weight from those that do not agree with it. Two
//! different alleles at a site do not say which copy has which. Of the ways in which they may lie, the *phasings*, the likeliest
//! few are kept, each with two chains of its own.

use std::sync::LazyLock;

use super::base::{Base, Place};

/// Phasings that are kept.
const MOST_PHASINGS: usize = 4;
/// Of a phasing's weight: all of them together have this.
const WHOLE: u64 = 1 << 20;
/// A haplotype that does not agree keeps 2^-ERROR of its weight.
const ERROR: u32 = 11;
/// Of each weight so many 65536ths a base are shared out among all, divided by the haplotypes of the panel.
const RATE: u64 = 80;
/// And so many for each site.
const LEAST_RATE: u64 = 200;
const MOST_RATE: u64 = 1 << 15;
/// A chain's weights together are kept between these.
const LOW: u32 = 1 << 26;
const HIGH: u32 = 1 << 30;

/// The bits of a byte, the lowest first, each as a whole number of zeros or of ones.
static MASKS: LazyLock<Vec<[u32; 8]>> = LazyLock::new(|| {
    (0..256u32)
        .map(|byte| std::array::from_fn(|bit| 0u32.wrapping_sub(byte >> bit & 1)))
        .collect()
});

/// One copy of a chromosome.
struct Chain {
    weights: Vec<u32>,
    total: u32,
    /// What the haplotypes with the second allele have of it.
    ones: u32,
    /// How much those lose that do not agree with what was seen here, and which they are: those whose bits are as these.
    error: u32,
    flip: u32,
}

impl Chain {
    fn new(lanes: usize) -> Self {
        let mut chain = Chain {
            weights: vec![0; lanes],
            total: 0,
            ones: 0,
            error: 0,
            flip: 0,
        };
        chain.begin();
        chain
    }

    /// Nothing is known yet.
    fn begin(&mut self) {
        let each = HIGH / 2 / self.weights.len() as u32;
        self.weights.fill(each);
        self.total = each * self.weights.len() as u32;
        self.ones = 0;
        self.error = 0;
    }

    fn copy_from(&mut self, other: &Chain) {
        self.weights.copy_from_slice(&other.weights);
        (self.total, self.ones) = (other.total, other.ones);
        (self.error, self.flip) = (other.error, other.flip);
    }

    /// How likely the second allele is, in 16 bits.
    fn probability(&self) -> u64 {
        ((u64::from(self.ones) << 16) / u64::from(self.total)).clamp(1, 65535)
    }

    fn see(&mut self, allele: u32) {
        self.error = ERROR;
        self.flip = allele.wrapping_sub(1);
    }

    /// On to the next site: who carries the second allele there, and how much of the weight is shared out before.
    fn step(&mut self, before: &[u32], now: &[u32], rate: u64) {
        let others = self.total - self.ones;
        let kept = match (self.error, self.flip) {
            (0, _) => self.total,
            (error, 0) => self.ones + (others >> error),
            (error, _) => others + (self.ones >> error),
        };
        let share = (((u64::from(kept) * rate) >> 16) / self.weights.len() as u64).max(1) as u32;
        (self.total, self.ones) = pass(
            &mut self.weights,
            before,
            now,
            (self.error, self.flip),
            share,
        );
        self.error = 0;
        if self.total < LOW {
            self.scale(
                now,
                |weight, by| weight << by,
                self.total.leading_zeros() - 2,
            );
        } else if self.total > HIGH {
            self.scale(now, |weight, by| weight >> by, 1);
        }
    }

    fn scale(&mut self, now: &[u32], moved: impl Fn(u32, u32) -> u32, by: u32) {
        (self.total, self.ones) = (0, 0);
        for (weight, &mask) in self.weights.iter_mut().zip(now) {
            *weight = moved(*weight, by);
            self.total += *weight;
            self.ones += *weight & mask;
        }
    }
}

/// What agrees with `flip` loses nothing, the rest all but 2^-`error` of it; each gets a share. All weights together, and those now set.
#[inline]
fn pass(
    weights: &mut [u32],
    before: &[u32],
    now: &[u32],
    (error, flip): (u32, u32),
    share: u32,
) -> (u32, u32) {
    let (mut total, mut ones) = (0u32, 0u32);
    for ((weight, &before), &now) in weights.iter_mut().zip(before).zip(now) {
        let less = *weight >> error;
        *weight = (less ^ ((less ^ *weight) & (before ^ flip))) + share;
        total += *weight;
        ones += *weight & now;
    }
    (total, ones)
}

/// One way in which the alleles may lie on the two copies.
struct Phasing {
    weight: u64,
    chains: [Chain; 2],
}

/// How likely it is that the two alleles at a site differ, and that they are the second one if they do not; in 16 bits.
#[derive(Clone, Copy)]
pub(super) struct Foresight {
    pub(super) differ: u32,
    pub(super) second: u32,
}

impl Foresight {
    /// From the parts of both being the first, both the second, and one of each.
    fn of(none: u64, both: u64, differ: u64) -> Self {
        let alike = (none + both).max(1);
        Foresight {
            differ: ((differ << 16) / (differ + alike)).clamp(1, 65535) as u32,
            second: ((both << 16) / alike).clamp(1, 65535) as u32,
        }
    }

    /// From how frequent the second allele is, in 16 bits.
    pub(super) fn of_frequency(frequency: u32) -> Self {
        let (one, other) = (u64::from(frequency), 65536 - u64::from(frequency));
        Foresight::of(other * other, one * one, 2 * one * other)
    }
}

pub(super) struct Copying<'b> {
    base: &'b Base,
    phasings: Vec<Phasing>,
    spare: Vec<Phasing>,
    before: Vec<u32>,
    now: Vec<u32>,
    place: Option<Place>,
}

impl<'b> Copying<'b> {
    /// Nothing if the base has no panel.
    pub(super) fn new(base: &'b Base) -> Option<Self> {
        let lanes = base.lanes();
        (lanes > 0).then(|| Copying {
            base,
            phasings: Vec::new(),
            spare: Vec::new(),
            before: vec![0; lanes],
            now: vec![0; lanes],
            place: None,
        })
    }

    fn take_spare(&mut self) -> Phasing {
        let lanes = self.base.lanes();
        self.spare.pop().unwrap_or_else(|| Phasing {
            weight: WHOLE,
            chains: [Chain::new(lanes), Chain::new(lanes)],
        })
    }

    /// On to a site; what is to be expected there.
    pub(super) fn arrive(&mut self, site: usize) -> Foresight {
        let place = self.base.place(site);
        std::mem::swap(&mut self.before, &mut self.now);
        let of_bytes = &*MASKS;
        let bytes = self.base.carriers(site);
        for (masks, &byte) in self.now.as_chunks_mut::<8>().0.iter_mut().zip(bytes) {
            *masks = of_bytes[usize::from(byte)];
        }
        let distance = self
            .place
            .filter(|before| before.chromosome == place.chromosome)
            .map(|before| before.position.abs_diff(place.position));
        self.place = Some(place);
        let rate = match distance {
            Some(distance) => {
                let rate = LEAST_RATE + u64::from(distance) * RATE / self.base.haplotypes() as u64;
                rate.min(MOST_RATE)
            }
            None => {
                self.spare.append(&mut self.phasings);
                let mut only = self.take_spare();
                only.weight = WHOLE;
                only.chains.iter_mut().for_each(Chain::begin);
                self.phasings.push(only);
                0
            }
        };
        let (mut none, mut both, mut differ) = (0, 0, 0);
        for phasing in &mut self.phasings {
            for chain in &mut phasing.chains {
                chain.step(&self.before, &self.now, rate);
            }
            let [one, other] = [0, 1].map(|copy| phasing.chains[copy].probability());
            none += phasing.weight * (65536 - one) * (65536 - other);
            both += phasing.weight * one * other;
            differ += phasing.weight * (one * (65536 - other) + other * (65536 - one));
        }
        Foresight::of(none >> 20, both >> 20, differ >> 20)
    }

    /// What was found there: how many of the two alleles are the second one.
    pub(super) fn see(&mut self, dosage: u32) {
        let mut ways: Vec<(u64, usize, [u32; 2])> = Vec::with_capacity(2 * MOST_PHASINGS);
        for (number, phasing) in self.phasings.iter().enumerate() {
            let [one, other] = [0, 1].map(|copy| phasing.chains[copy].probability());
            let mut way = |alleles: [u32; 2]| {
                let [one, other] = [(alleles[0], one), (alleles[1], other)]
                    .map(|(allele, second)| if allele == 0 { 65536 - second } else { second });
                ways.push(((phasing.weight * one * other) >> 12, number, alleles));
            };
            match dosage {
                0 => way([0, 0]),
                2 => way([1, 1]),
                _ => {
                    way([1, 0]);
                    if phasing.chains[0].weights != phasing.chains[1].weights {
                        way([0, 1]);
                    }
                }
            }
        }
        ways.sort_by_key(|&(weight, number, alleles)| {
            (std::cmp::Reverse(weight), number, alleles[1])
        });
        ways.truncate(MOST_PHASINGS);
        let whole: u64 = ways.iter().map(|way| way.0).sum::<u64>().max(1);
        let phasings = std::mem::take(&mut self.phasings);
        for (number, phasing) in phasings.into_iter().enumerate() {
            let mut mine = ways.iter().filter(|way| way.1 == number);
            let first = mine.next().copied();
            let second = mine.next().copied();
            if let Some((weight, _, alleles)) = second {
                let mut copy = self.take_spare();
                for (to, from) in copy.chains.iter_mut().zip(&phasing.chains) {
                    to.copy_from(from);
                }
                self.keep(copy, weight * WHOLE / whole, alleles);
            }
            match first {
                Some((weight, _, alleles)) => self.keep(phasing, weight * WHOLE / whole, alleles),
                None => self.spare.push(phasing),
            }
        }
    }

    fn keep(&mut self, mut phasing: Phasing, weight: u64, alleles: [u32; 2]) {
        if weight == 0 {
            self.spare.push(phasing);
            return;
        }
        phasing.weight = weight;
        for (chain, allele) in phasing.chains.iter_mut().zip(alleles) {
            chain.see(allele);
        }
        self.phasings.push(phasing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two haplotypes that differ everywhere, at sites of one chromosome, 100 bases apart.
    fn base(sites: u8) -> Base {
        let mut bytes = b"edgehold.sites/1\n".to_vec();
        bytes.extend(
            [u32::from(sites), 2]
                .iter()
                .flat_map(|one| one.to_le_bytes()),
        );
        bytes.extend(b"\x01\x01X");
        bytes.extend(u32::from(sites).to_le_bytes());
        bytes.extend(b"\x01\x02rs");
        let count = usize::from(sites);
        for plane in [100, 0, 0, 0] {
            bytes.extend(vec![plane; count]);
        }
        bytes.extend(vec![0; count]);
        bytes.extend(1..=sites);
        bytes.extend(vec![0; 3 * count]);
        bytes.extend(vec![b'A'; count]);
        bytes.extend(vec![b'C'; count]);
        bytes.extend([1, 1].repeat(count));
        Base::read(&bytes).unwrap()
    }

    #[test]
    fn what_was_copied_is_foreseen_and_the_opposite_can_be_told() {
        let base = base(40);
        let mut copying = Copying::new(&base).unwrap();
        let first = copying.arrive(0);
        assert!((30000..36000).contains(&first.second));
        copying.see(2 * u32::from(base.carriers(0)[0] & 1));
        for site in 1..40 {
            let foreseen = copying.arrive(site);
            let carries = u32::from(base.carriers(site)[0] & 1);
            if (5..30).contains(&site) {
                assert!(foreseen.differ < 6000);
                assert!(foreseen.second.abs_diff(carries << 16) < 3000);
            }
            copying.see(if site < 30 {
                2 * carries
            } else {
                [2 - 2 * carries, 1][site % 2]
            });
            assert!((1..=MOST_PHASINGS).contains(&copying.phasings.len()));
            assert!(copying.phasings.iter().map(|one| one.weight).sum::<u64>() <= WHOLE);
        }
    }
}
