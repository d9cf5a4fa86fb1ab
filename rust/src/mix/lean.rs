//! A model made for speed: few contexts, as many as the compiler knows, in tables that are there from the beginning.
//!
//! What it learns and how it mixes is what [`super::Model`] does, but for the second mixer, whose weights are chosen by how
//! much the
//! two last contexts know. Its numbers have a sign and are told in fewer decisions.

use super::coder::Coder;
use super::model::{hash, squash, stretch, trust, Line, Share, LEVEL, LEVELS, STEPS, STRETCH};

/// How fast weights follow.
const RATE: i32 = 56;
const NODES: usize = 1024;
/// What the last context but one knows, more coarsely.
const COARSE: [usize; LEVELS] = [0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3];
const COARSES: usize = 4;
/// Of numbers, the most bits that they have.
const MOST_LENGTH: u32 = 31;

/// How a column's numbers are told.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Form {
    /// Whether there are numbers below zero; then it is first told whether the number is zero.
    pub(crate) signed: bool,
    /// How many of the bits below the leading one contexts are asked for; of the others only how often they were set counts.
    pub(crate) depth: u32,
}

#[derive(Clone, Copy)]
struct Weights<const N: usize> {
    own: [i32; N],
    trusted: [i32; N],
    constant: i32,
}

/// Room for the tables of a model, which one model after another may have.
#[derive(Default)]
pub(crate) struct Room(Vec<Line>);

/// Everything that is learned of one column in `N` contexts, each with a table of its own.
pub(crate) struct Lean<const N: usize> {
    /// The contexts of the number that is told next, the most telling last.
    pub(crate) hashes: [u64; N],
    lines: Vec<Line>,
    bits: u32,
    limit: u32,
    /// Of each context, the line that is open.
    open: [usize; N],
    trust: Vec<Share>,
    by_node: Vec<Weights<N>>,
    by_knowledge: Vec<Weights<N>>,
    low: Vec<Share>,
}

impl<const N: usize> Lean<N> {
    /// A model whose tables have 2^`bits` lines; a share follows what is new the faster the lower its `limit`.
    pub(crate) fn new(bits: u32, limit: u32) -> Self {
        Lean::in_room(bits, limit, Room::default())
    }

    /// The same, in room that another had.
    pub(crate) fn in_room(bits: u32, limit: u32, room: Room) -> Self {
        let Room(mut lines) = room;
        lines.clear();
        lines.resize(N << bits, Line::new(0));
        let first = (1 << 16) * 4 / 5 / (N as i32 + 1);
        let weights = Weights {
            own: [first; N],
            trusted: [first; N],
            constant: first,
        };
        Lean {
            hashes: [0; N],
            lines,
            bits,
            limit,
            open: [0; N],
            trust: trust().repeat(N),
            by_node: vec![weights; NODES],
            by_knowledge: vec![weights; LEVELS * COARSES],
            low: vec![Share::NEW; 32 * 32],
        }
    }

    /// The room that it had.
    pub(crate) fn room(self) -> Room {
        Room(self.lines)
    }

    /// The next four decisions are looked for under this name.
    #[inline]
    pub(crate) fn open(&mut self, name: u64) {
        let mask = (1 << self.bits) - 1;
        for number in 0..N {
            let hashed = hash(self.hashes[number], name);
            let place = number << self.bits | (hashed >> 32) as usize & mask;
            let check = hashed as u32 | 1;
            self.open[number] = place;
            let line = &mut self.lines[place];
            if !line.is_named(check) {
                *line = Line::new(check);
            }
        }
    }

    /// One decision. `slot` is its place in the open lines (1 to 15), `node` among all decisions of a number.
    #[inline]
    pub(crate) fn decide<C: Coder>(
        &mut self,
        coder: &mut C,
        bit: u32,
        slot: usize,
        node: usize,
    ) -> u32 {
        let slot = slot & 15;
        let mut shares = [Share::NEW; N];
        let mut places = [0usize; N];
        let mut levels = [0usize; N];
        let mut own = [0i32; N];
        let mut trusted = [0i32; N];
        for number in 0..N {
            let share = *self.lines[self.open[number]].share(slot);
            shares[number] = share;
            let probability = share.probability();
            let level = usize::from(LEVEL[share.count() as usize]);
            levels[number] = level / STEPS;
            let step = (probability as usize * (STEPS - 1) + 32768) >> 16;
            places[number] = number * LEVELS * STEPS + level + step;
            if share.count() > 0 {
                own[number] = i32::from(stretch(probability));
                trusted[number] = i32::from(stretch(self.trust[places[number]].probability()));
            }
        }
        let before = if N > 1 {
            COARSE[levels[N.saturating_sub(2)]]
        } else {
            0
        };
        let one = &mut self.by_node[node % NODES];
        let two = &mut self.by_knowledge[levels[N - 1] * COARSES + before];
        let first = dot(one, &own, &trusted);
        let second = dot(two, &own, &trusted);
        let bit = coder.code(bit, squash((first + second) >> 1).clamp(1, 65535));
        learn(one, bit, squash(first), &own, &trusted);
        learn(two, bit, squash(second), &own, &trusted);
        for number in 0..N {
            if shares[number].count() > 0 {
                self.trust[places[number]].update(bit, 255);
            }
            self.lines[self.open[number]]
                .share(slot)
                .update(bit, self.limit);
        }
        bit
    }

    /// Four decisions in the line of this name, from the top.
    #[inline]
    fn four<C: Coder>(&mut self, coder: &mut C, value: u32, name: u64, node: usize) -> u32 {
        self.open(name);
        let mut read = 1;
        for at in (0..4).rev() {
            let slot = read as usize;
            read = read << 1 | self.decide(coder, value >> at & 1, slot, node + slot);
        }
        read & 15
    }

    /// Whether something is so, in a line of its own.
    #[inline]
    pub(crate) fn flag<C: Coder>(&mut self, coder: &mut C, bit: u32) -> u32 {
        self.open(0);
        self.decide(coder, bit, 3, 3)
    }

    /// A number of at most 31 bits beside its sign.
    #[inline]
    pub(crate) fn number<C: Coder>(&mut self, coder: &mut C, value: i32, form: Form) -> i32 {
        let size = value.unsigned_abs();
        let length = u32::BITS - size.leading_zeros();
        let mut negative = 0;
        let least = u32::from(form.signed);
        if form.signed {
            self.open(0);
            if self.decide(coder, u32::from(value != 0), 1, 1) == 0 {
                return 0;
            }
            negative = self.decide(coder, u32::from(value < 0), 2, 2);
        }
        let kind = u64::from(1 + negative);
        let above = length.wrapping_sub(least);
        let mut found = least + self.four(coder, above.min(15), kind, 16 << negative);
        if found == least + 15 {
            found += self.four(coder, above.wrapping_sub(15).min(15), 3, 48);
        }
        let length = found.min(MOST_LENGTH);
        if length < 2 {
            return if negative != 0 {
                -(length as i32)
            } else {
                length as i32
            };
        }
        let mut read = 1u32;
        for done in 0..length - 1 {
            let at = length - 2 - done;
            let given = size >> at & 1;
            let bit = if done < form.depth {
                if done % 4 == 0 {
                    self.open(u64::from(read) << 8 | u64::from(length) << 3 | kind | 1 << 40);
                }
                let first = 1 << (done % 4);
                let slot = (first | read & (first - 1)) as usize;
                let node = if done < 4 {
                    64 + 16 * length as usize + slot
                } else {
                    576 + 8 * length as usize + (done as usize - 4).min(7)
                };
                self.decide(coder, given, slot, node)
            } else {
                let share = &mut self.low[(length * 32 + at) as usize & 1023];
                let bit = coder.code(given, share.probability().clamp(1, 65535));
                share.update(bit, 255);
                bit
            };
            read = read << 1 | bit;
        }
        if negative != 0 {
            -(read as i32)
        } else {
            read as i32
        }
    }

    /// Eight decisions in two lines, from the top.
    #[inline]
    pub(crate) fn byte<C: Coder>(&mut self, coder: &mut C, value: u8) -> u8 {
        let value = u32::from(value);
        let high = self.four(coder, value >> 4, 0, 0);
        let low = self.four(
            coder,
            value & 15,
            u64::from(16 + high),
            16 + 16 * high as usize,
        );
        (high << 4 | low) as u8
    }
}

#[inline]
fn dot<const N: usize>(weights: &Weights<N>, own: &[i32; N], trusted: &[i32; N]) -> i32 {
    let mut sum = i64::from(weights.constant) * 256;
    for number in 0..N {
        sum += i64::from(weights.own[number]) * i64::from(own[number]);
        sum += i64::from(weights.trusted[number]) * i64::from(trusted[number]);
    }
    (sum >> 16).clamp(-i64::from(STRETCH), i64::from(STRETCH)) as i32
}

#[inline]
fn learn<const N: usize>(
    weights: &mut Weights<N>,
    bit: u32,
    output: u32,
    own: &[i32; N],
    trusted: &[i32; N],
) {
    let error = (((bit << 16) as i32 - output as i32) * RATE) >> 8;
    let moved = |weight: i32, input: i32| {
        (weight + ((input * error + (1 << 13)) >> 14)).clamp(-(1 << 20), 1 << 20)
    };
    weights.constant = moved(weights.constant, 256);
    for number in 0..N {
        weights.own[number] = moved(weights.own[number], own[number]);
        weights.trusted[number] = moved(weights.trusted[number], trusted[number]);
    }
}
