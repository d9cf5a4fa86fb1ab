//! What was left of samples, told to a coder: how long each is beside how long it probably is, its sign, its bits.

use crate::mix::{follow, hash, squash, stretch, weigh, Coder, Share, LANES};

/// The most bits of a deviation's size.
pub(super) const MOST_LENGTH: u32 = 17;
/// How often a share was seen at most before it stops slowing down.
pub(super) const LIMIT: u32 = 1000;
/// Of bits that no context foresees.
const LOW_LIMIT: u32 = 255;
const CONTEXTS: usize = 3;
/// Binary logarithm of the lines of each context's table.
const TABLES: [u32; CONTEXTS] = [12, 13, 14];
/// Decisions of a line: whether a deviation has the length that is asked for, and the sign of short ones.
pub(super) const SLOTS: usize = 8;
/// Scale of sizes, as `step_of` gives them.
const SIZES: usize = 80;
/// More than any length.
pub(super) const LENGTHS: usize = 32;

/// What is known before a sample.
pub(super) struct Around {
    /// Channels that are samples of one signal.
    pub(super) group: u64,
    pub(super) foreseen: i32,
    /// The neighbours that are most like it.
    pub(super) near: [i32; 3],
    /// What was left of them.
    pub(super) left: [i32; 3],
    /// How large what was left was of late, in 16ths.
    pub(super) late: u32,
}

/// A size on a scale of four steps from one power of two to the next.
#[inline]
pub(super) fn step_of(value: u32) -> u64 {
    let length = 32 - value.leading_zeros();
    u64::from(if length < 3 {
        value
    } else {
        length << 2 | value >> (length - 3) & 3
    })
}

/// A difference on that scale, with its sign.
#[inline]
pub(super) fn signed_step(value: i32) -> u64 {
    step_of(value.unsigned_abs()) << 1 | u64::from(value < 0)
}

/// The signs of three differences.
#[inline]
pub(super) fn turns(differences: [i32; 3]) -> usize {
    differences
        .iter()
        .fold(0, |sum, one| sum * 3 + (one.signum() + 1) as usize)
}

/// Shares of up to seven decisions under one context, two of them in a line of the cache; the first says whose they are.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Line([Share; SLOTS]);

/// Lines of shares, each for one context.
struct Table {
    lines: Vec<Line>,
    open: usize,
    bits: u32,
}

impl Table {
    fn new(bits: u32) -> Self {
        Table {
            lines: vec![Line([Share::NEW; SLOTS]); 1 << bits],
            open: 0,
            bits,
        }
    }

    /// Open the line of a context; a line of another is given up.
    #[inline]
    fn find(&mut self, hashed: u64) {
        self.open = (hashed >> (64 - self.bits)) as usize;
        let name = Share::named(hashed as u32 | 1);
        let line = &mut self.lines[self.open].0;
        if line[0] != name {
            *line = [Share::NEW; SLOTS];
            line[0] = name;
        }
    }

    #[inline]
    fn share(&mut self, slot: usize) -> &mut Share {
        &mut self.lines[self.open].0[slot % SLOTS]
    }
}

/// Weights of each of so many circumstances.
struct Mixer {
    weights: Vec<[i32; LANES]>,
}

impl Mixer {
    fn new(sets: usize) -> Self {
        let mut first = [0; LANES];
        first[..CONTEXTS].fill((1 << 16) * 2 / 5);
        Mixer {
            weights: vec![first; sets],
        }
    }
}

/// All that is learned of deviations.
pub(super) struct Deviations {
    tables: [Table; CONTEXTS],
    mixer: Mixer,
    /// How long deviations are at most whose signs and bits are told by all contexts.
    mixed: u32,
    bits: Bits,
}

impl Deviations {
    /// Of so many samples.
    pub(super) fn new(samples: usize, mixed: u32) -> Self {
        let most = usize::BITS - samples.leading_zeros();
        Deviations {
            tables: TABLES.map(|bits| Table::new(bits.min(most.max(8)))),
            mixer: Mixer::new(2 * LENGTHS * SLOTS),
            mixed,
            bits: Bits::new(),
        }
    }

    /// One decision that all contexts know something of.
    #[inline]
    fn decide<C: Coder>(&mut self, coder: &mut C, bit: u32, slot: usize, length: usize) -> u32 {
        let shares = self.tables.each_mut().map(|table| table.share(slot));
        let [a, b, c] = shares.each_ref().map(|share| stretch(share.probability()));
        let inputs = [a, b, c, 256, 0, 0, 0, 0];
        let weights = &mut self.mixer.weights[length * SLOTS + slot % SLOTS];
        let probability = squash(weigh(weights, &inputs));
        let bit = coder.code(bit, probability);
        follow(weights, &inputs, (bit << 16) as i32 - probability as i32);
        for share in shares {
            share.update(bit, LIMIT);
        }
        bit
    }

    /// A deviation; one that is not given is read.
    #[inline]
    pub(super) fn pass<C: Coder>(&mut self, coder: &mut C, value: i32, around: &Around) -> i32 {
        let Around {
            group,
            foreseen,
            near: [x1, x2, _],
            left: [r1, r2, r3],
            late,
        } = *around;
        let fast = 3 * r1.unsigned_abs() + 2 * r2.unsigned_abs() + r3.unsigned_abs();
        let expected = 32 - ((fast + 3) / 6).leading_zeros();
        let quick = step_of(fast);
        let contexts = [
            quick >> 1 | step_of(late >> 4) << 8,
            signed_step(foreseen - x1) | signed_step(x1 - x2) << 8,
            u64::from(x1 as u16) << 8 | signed_step(x1 - foreseen),
        ];
        let of = group << 8 | u64::from(expected);
        self.open(contexts, of);
        let length = u32::BITS - value.unsigned_abs().leading_zeros();
        let length = pass_length(length, expected, |is_other, slot| {
            self.decide(coder, is_other, slot, expected as usize)
        });
        if length == 0 {
            return 0;
        }
        let size = value.unsigned_abs();
        let is_negative = u32::from(value < 0);
        let (is_negative, size) = if length <= self.mixed {
            self.open(contexts, of | u64::from(length + 1) << 56);
            self.by_contexts(coder, is_negative, size, length)
        } else {
            let turns = turns([r1, x1 - foreseen, x2 - foreseen]);
            self.bits
                .by_size(coder, is_negative, size, length, turns, quick as usize)
        };
        if is_negative != 0 {
            -(size as i32)
        } else {
            size as i32
        }
    }

    #[inline]
    fn open(&mut self, contexts: [u64; CONTEXTS], of: u64) {
        for ((number, table), context) in self.tables.iter_mut().enumerate().zip(contexts) {
            table.find(hash(context << 16 | of, number as u64));
        }
    }

    /// Sign and size of a deviation of known length, its first two bits below the leading one by all contexts.
    fn by_contexts<C: Coder>(
        &mut self,
        coder: &mut C,
        is_negative: u32,
        size: u32,
        length: u32,
    ) -> (u32, u32) {
        let of = LENGTHS + length as usize;
        let is_negative = self.decide(coder, is_negative, 1, of);
        let mut read = 1u32;
        let foreseen = (length - 1).min(2);
        for done in 0..foreseen {
            let bit = size >> (length - 2 - done) & 1;
            read = read << 1 | self.decide(coder, bit, (2 << done | read & done) as usize, of);
        }
        let lower = length - 1 - foreseen;
        (is_negative, pass_lower(coder, size, lower, read))
    }
}

/// A length: whether it is below the expected one; then from there on, away from it, whether it is another. A decision says so, and
/// which slot knows of it.
#[inline(always)]
pub(super) fn pass_length(
    length: u32,
    expected: u32,
    mut decide: impl FnMut(u32, usize) -> u32,
) -> u32 {
    let is_below = expected > 0 && decide(u32::from(length < expected), 1) != 0;
    if is_below {
        let mut slot = 2;
        let mut one = expected - 1;
        while one > 0 && decide(u32::from(length != one), slot) != 0 {
            one -= 1;
            slot = (slot + 1).min(4);
        }
        return one;
    }
    let mut slot = 5;
    let mut one = expected;
    while one < MOST_LENGTH && decide(u32::from(length != one), slot) != 0 {
        one += 1;
        slot = (slot + 1).min(SLOTS - 1);
    }
    one
}

/// Signs and bits of deviations, each decision by one share.
pub(super) struct Bits {
    signs: Vec<Share>,
    /// Of the bits below the leading one: the first, and the second.
    first: Vec<Share>,
    second: Vec<Share>,
}

impl Bits {
    pub(super) fn new() -> Self {
        Bits {
            signs: vec![Share::NEW; LENGTHS * 27],
            first: vec![Share::NEW; LENGTHS * SIZES],
            second: vec![Share::NEW; LENGTHS * SIZES * 2],
        }
    }

    /// Sign and size: by signs before, by sizes around.
    #[inline]
    pub(super) fn by_size<C: Coder>(
        &mut self,
        coder: &mut C,
        is_negative: u32,
        size: u32,
        length: u32,
        turns: usize,
        around: usize,
    ) -> (u32, u32) {
        let of = length as usize;
        let is_negative = pass_share(coder, &mut self.signs[of * 27 + turns], is_negative);
        let mut read = 1u32;
        if length > 1 {
            let share = &mut self.first[of * SIZES + around];
            read = read << 1 | pass_share(coder, share, size >> (length - 2) & 1);
        }
        if length > 2 {
            let share = &mut self.second[(of * 2 + (read & 1) as usize) * SIZES + around];
            read = read << 1 | pass_share(coder, share, size >> (length - 3) & 1);
            read = pass_lower(coder, size, length - 3, read);
        }
        (is_negative, read)
    }
}

/// The lowest bits of a size, behind those that were read: nothing foresees them.
#[inline]
pub(super) fn pass_lower<C: Coder>(coder: &mut C, size: u32, count: u32, read: u32) -> u32 {
    (0..count).rev().fold(read, |read, at| {
        read << 1 | coder.code(size >> at & 1, 1 << 15)
    })
}

/// One decision of which only how often it was a one counts.
#[inline]
fn pass_share<C: Coder>(coder: &mut C, share: &mut Share, bit: u32) -> u32 {
    let bit = coder.code(bit, share.probability().clamp(1, 65535));
    share.update(bit, LOW_LIMIT);
    bit
}
