//! Bytes before and behind the samples: names, numbers and texts of a header, where much stands twice.
//!
//! What followed the same bytes before is probably what follows now: one decision says whether it does. Only where it does not, or
//! where nothing did, is the byte told by those before it; and only these bytes are learned from.

use super::mixed::Mixed;
use crate::mix::{hash, Coder};

/// Bytes that are the same before what is foreseen from the last time.
const SAME: usize = 5;
/// More of them are not counted.
const MOST_SAME: usize = 31;
/// Contexts of a byte: how many of those before it count, none to three.
const ORDERS: usize = 4;
/// Decisions that are told from one line of a context.
const THREE: u32 = 3;
const LIMIT: u32 = 255;
/// Weights: for each beginning of a byte, then for how many bytes were the same.
const NODES: usize = 256 + MOST_SAME + 1;
/// Binary logarithm of the places that are remembered.
const SEEN: u32 = 12;
/// In contexts: that the byte is not the one that was foreseen.
const OTHER: u64 = 99;

/// All that is known of these bytes.
pub(super) struct Bytes {
    all: Vec<u8>,
    mixed: Mixed,
    /// By a hash of the bytes before it, the last place of which that was so.
    seen: Vec<u32>,
    /// What is foreseen, by its place, and how many bytes before it are the same; 0: nothing is.
    at: usize,
    same: usize,
}

impl Bytes {
    /// Of so many bytes in all.
    pub(super) fn new(count: usize) -> Self {
        Bytes {
            all: Vec::new(),
            mixed: Mixed::new(count * THREE as usize, NODES, LIMIT),
            seen: vec![0; 1 << SEEN],
            at: 0,
            same: 0,
        }
    }

    /// The next so many, each after those before it; those that are not given are read.
    pub(super) fn pass<C: Coder>(&mut self, coder: &mut C, given: &[u8], count: usize) -> &[u8] {
        let from = self.all.len();
        for place in 0..count {
            if coder.is_exhausted() {
                break;
            }
            let value = given.get(place).copied().unwrap_or(0);
            let byte = self.pass_byte(coder, value);
            self.all.push(byte);
        }
        &self.all[from..]
    }

    fn pass_byte<C: Coder>(&mut self, coder: &mut C, value: u8) -> u8 {
        let place = self.all.len();
        let mut sum = 0;
        let mut orders = [0; SAME + 1];
        for (order, one) in orders.iter_mut().enumerate() {
            *one = hash(sum, order as u64);
            let before = place.checked_sub(order + 1).map_or(0, |at| self.all[at]);
            sum = hash(sum, u64::from(before) + 1);
        }
        self.find(orders[SAME]);
        let mut contexts: [u64; ORDERS] = std::array::from_fn(|order| orders[order]);
        if self.same > 0 {
            let expected = self.all[self.at];
            let same = self.same.min(MOST_SAME);
            let [one, two] = [orders[1], orders[2]].map(|order| hash(order, u64::from(expected)));
            self.mixed.open(&[same as u64, one, two], 0);
            let is_other = u32::from(value != expected);
            if self.mixed.decide::<3, C>(coder, is_other, 1, 256 + same) == 0 {
                self.at += 1;
                self.same += 1;
                return expected;
            }
            self.same = 0;
            let other = hash(OTHER, u64::from(expected));
            contexts[1] = hash(other, orders[1]);
            contexts[2] = hash(other, orders[0]);
        }
        let value = u32::from(value);
        let mut read = 1u32;
        for from in (0..8).step_by(THREE as usize) {
            self.mixed.open(&contexts, u64::from(read));
            let mut slot = 1;
            for at in from..(from + THREE).min(8) {
                let bit = value >> (7 - at) & 1;
                let bit = self
                    .mixed
                    .decide::<ORDERS, C>(coder, bit, slot, read as usize);
                slot = slot << 1 | bit as usize;
                read = read << 1 | bit;
            }
        }
        read as u8
    }

    /// What followed the last time on these bytes, unless it is known what is foreseen.
    fn find(&mut self, hashed: u64) {
        let place = self.all.len();
        let seen = &mut self.seen[(hashed >> (u64::BITS - SEEN)) as usize];
        let last = std::mem::replace(seen, place as u32) as usize;
        if self.same > 0 || last == 0 {
            return;
        }
        let (before, now) = (self.all[..last].iter().rev(), self.all.iter().rev());
        let same = before
            .zip(now)
            .take(MOST_SAME)
            .take_while(|(one, other)| one == other)
            .count();
        if same >= SAME {
            (self.at, self.same) = (last, same);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::{Reader, Writer};

    fn encoded(parts: [&[u8]; 2]) -> Vec<u8> {
        let mut coder = Writer::new();
        let mut bytes = Bytes::new(parts[0].len() + parts[1].len());
        for part in parts {
            bytes.pass(&mut coder, part, part.len());
        }
        coder.finish()
    }

    #[test]
    fn bytes_come_back_in_parts() {
        let noise = |place: u32| (place.wrapping_mul(2_654_435_769) >> 24) as u8;
        let one: Vec<u8> = (0..900).map(|place| noise(place % 300)).collect();
        let other: Vec<u8> = (0..200).map(|place| noise(place % 310)).collect();
        let mut coder = Reader::new(encoded([&one, &other]));
        let mut bytes = Bytes::new(1100);
        assert_eq!(bytes.pass(&mut coder, &[], 900), one);
        assert_eq!(bytes.pass(&mut coder, &[], 200), other);
        assert!(!coder.is_exhausted());
    }

    #[test]
    fn what_stands_twice_takes_hardly_more() {
        let noise: Vec<u8> = (0..300u32)
            .map(|place| (place.wrapping_mul(place).wrapping_mul(2_654_435_769) >> 24) as u8)
            .collect();
        let once = encoded([&noise, &[]]).len();
        assert!(encoded([&noise, &noise]).len() < once + 24);
        assert!(encoded([&[0; 5000], &[]]).len() < 16);
    }
}
