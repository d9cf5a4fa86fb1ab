//! Numbers that follow one another, such as those of a column: contexts say how often they moved so, *experts* how far they lie.
//!
//! A number is told by its distance from a reference: whether there is one, its sign, its length in bits one by one, what follows its
//! leading one. Each of these decisions parts an interval of distances. A context has a share for it, as with [`super::Model`]. An
//! expert foresees where numbers lie under some circumstance and how widely, as a logistic distribution, so that it can say of each
//! interval how much of it lies on which side, also where nothing was ever seen. Three mixers weigh what they say. They learn
//! quickly at first.

use super::coder::Coder;
use super::model::{hash, squash, stretch, weigh, Line, Share, LANES, MOST_WEIGHT};

/// What is asked of a number: as many contexts and experts, which with the constant are weighed together.
pub(crate) const CONTEXTS: usize = 8;
/// The contexts that are asked for what follows the leading one, the first.
const FEW: usize = 4;
pub(crate) const EXPERTS: usize = 7;
const INPUTS: usize = CONTEXTS + EXPERTS + 1;
const _: () = assert!(INPUTS.is_multiple_of(LANES));
/// Binary logarithms of the lines of each context, at least and at most.
const TABLE: (u32, u32) = (8, 14);
/// Binary logarithm of the circumstances of each expert, at most.
const MOST_FORESIGHTS: u32 = 13;
/// How often a share was seen at most before it stops slowing down.
const LIMIT: u32 = 1023;
/// Decisions that have weights of their own.
const NODES: usize = 64;
/// Circumstances of two mixers.
pub(crate) const SPREADS: usize = 16;
pub(crate) const COMPANIES: usize = 24;
const SETS: usize = NODES * (1 + SPREADS + COMPANIES);
/// What a context and an expert weigh at first, in 65536ths.
const FIRST: (i32, i32) = (3600, 5400);
/// How fast weights follow in the end, how much faster at first, and after how many decisions by half of that.
const RATE: u32 = 33;
const HASTE: u32 = 264;
const HALF: u32 = 100;
/// Lengths that are asked for one by one in the first line.
const SHORT: u32 = 6;
/// Bits below the leading one that contexts are asked for.
const DEPTH: u32 = 8;
/// Of distances, the most bits.
const MOST_LENGTH: u32 = 31;
/// Experts learn from distances up to this one.
const FAR: i64 = 1 << 30;
/// How often a foresight was seen at most before it stops slowing down.
const MOST_SEEN: u32 = 250;
/// The least scale of a distribution and the largest, in 256ths.
const SCALES: (i64, i64) = (26, 1 << 23);
/// Logits of distributions lie within.
const FARTHEST: i64 = 4096;
/// What an expert takes for impossible, in 65536ths.
const NOTHING: u32 = 16;

/// What is known before a number is told.
pub(crate) struct Around {
    /// Whose weights are used.
    pub(crate) column: usize,
    pub(crate) contexts: [u64; CONTEXTS],
    /// The circumstance of each expert.
    pub(crate) experts: [u64; EXPERTS],
    /// Circumstances of the mixers.
    pub(crate) spread: usize,
    pub(crate) company: usize,
    /// How far the last number lies from the reference; experts know how far the next lies from the last.
    pub(crate) last: i64,
    /// How far numbers were from what they were expected to be of late, in 256ths.
    pub(crate) late: i64,
}

/// Where numbers lie under some circumstance and how widely, in 256ths.
#[derive(Clone, Copy, Default)]
struct Foresight {
    middle: i64,
    width: i64,
    seen: u32,
}

impl Foresight {
    fn learn(&mut self, distance: i64, late: i64) {
        if self.seen == 0 {
            self.width = late;
        }
        self.seen = (self.seen + 1).min(MOST_SEEN);
        let seen = i64::from(self.seen);
        let wrong = (distance << 8) - self.middle;
        self.width += (wrong.abs() - self.width) / (seen + 3);
        self.middle += 2 * wrong / (2 * seen + 3);
    }
}

/// A logistic distribution of distances.
#[derive(Clone, Copy, Default)]
struct Lie {
    middle: i64,
    slope: i64,
}

impl Lie {
    fn new(middle: i64, width: i64) -> Self {
        let scale = ((width * 154) >> 8).clamp(SCALES.0, SCALES.1) as u32;
        Lie {
            middle,
            slope: i64::from((1 << 24) / scale),
        }
    }

    /// The share below so many halves, in 65536ths.
    #[inline]
    fn below(self, halves: i64) -> u32 {
        let logit = (((halves << 7) - self.middle) * self.slope) >> 16;
        squash(logit.clamp(-FARTHEST, FARTHEST) as i32)
    }

    /// The share of distances of this sign that are at least so large.
    #[inline]
    fn tail(self, size: u32, is_negative: bool) -> u32 {
        let halves = 2 * i64::from(size) - 1;
        if is_negative {
            self.below(-halves)
        } else {
            65536 - self.below(halves)
        }
    }
}

/// Of each expert, how much lies at least so far.
type Tails = [u32; EXPERTS];

/// The side of the reference that a number is on.
struct Side<'a> {
    around: &'a Around,
    lies: &'a [Lie; EXPERTS],
    is_negative: bool,
}

impl Side<'_> {
    #[inline]
    fn tails(&self, size: u32) -> Tails {
        self.lies.map(|lie| lie.tail(size, self.is_negative))
    }
}

/// What an expert says of a decision: the logit of a part of a whole, nothing if the whole is hardly possible.
#[inline]
fn part(part: u32, whole: u32) -> i16 {
    if whole < NOTHING {
        return 0;
    }
    stretch(((part.min(65535) << 16) / (whole + 1)).clamp(NOTHING, 65536 - NOTHING))
}

type Weights = [i32; INPUTS];

/// Weights of one column.
struct Column {
    weights: Vec<Weights>,
    /// How often each decision was taken.
    taken: [u32; NODES],
}

/// All that is learned of numbers.
pub(crate) struct Series {
    lines: Vec<Line>,
    bits: u32,
    open: [usize; CONTEXTS],
    foresights: Vec<Foresight>,
    columns: Vec<Column>,
    low: Vec<Share>,
}

impl Series {
    /// For about so many numbers.
    pub(crate) fn new(numbers: usize) -> Self {
        let bits = (usize::BITS - numbers.leading_zeros()).clamp(TABLE.0, TABLE.1);
        Series {
            lines: vec![Line::new(0); CONTEXTS << bits],
            bits,
            open: [0; CONTEXTS],
            foresights: vec![Foresight::default(); EXPERTS << bits.min(MOST_FORESIGHTS)],
            columns: Vec::new(),
            low: vec![Share::NEW; 32 * 32],
        }
    }

    /// The next four decisions are looked for under this name, in the first `N` contexts.
    #[inline]
    fn open<const N: usize>(&mut self, around: &Around, name: u64) {
        // all are looked up before any is given up, so that memory is waited for once
        let found: [(usize, u32, bool); N] = std::array::from_fn(|number| {
            let hashed = hash(around.contexts[number], name);
            let place = number << self.bits | (hashed >> (64 - self.bits)) as usize;
            let check = hashed as u32 | 1;
            (place, check, self.lines[place].is_named(check))
        });
        for (number, (place, check, is_known)) in found.into_iter().enumerate() {
            self.open[number] = place;
            if !is_known {
                self.lines[place] = Line::new(check);
            }
        }
    }

    /// One decision of which the first `N` contexts know something. `slot` is its place in the open lines (1 to 15), `node` among all decisions of a number.
    #[inline]
    fn decide<const N: usize, C: Coder>(
        &mut self,
        coder: &mut C,
        bit: u32,
        (slot, node): (usize, usize),
        around: &Around,
        says: &[i16; EXPERTS],
    ) -> u32 {
        let mut inputs = [0i16; INPUTS];
        for (input, &place) in inputs.iter_mut().zip(&self.open[..N]) {
            let share = *self.lines[place].share(slot);
            let known = -i16::from(share.count() > 0);
            *input = stretch(share.probability()) & known;
        }
        inputs[CONTEXTS..CONTEXTS + EXPERTS].copy_from_slice(says);
        inputs[INPUTS - 1] = 256;
        let node = node % NODES;
        let column = &mut self.columns[around.column];
        let sets = [
            node,
            NODES * (1 + around.spread) + node,
            NODES * (1 + SPREADS + around.company) + node,
        ];
        let logits = sets.map(|set| weigh(&column.weights[set], &inputs));
        let logit = (logits.iter().sum::<i32>() * 21845) >> 16;
        let bit = coder.code(bit, squash(logit).clamp(1, 65535));
        let taken = &mut column.taken[node];
        let rate = (RATE + HASTE * HALF / (HALF + *taken)) as i32;
        *taken = (*taken + 1).min(1 << 16);
        for (set, logit) in sets.into_iter().zip(logits) {
            let wrong = (bit << 16) as i32 - squash(logit) as i32;
            follow(&mut column.weights[set], &inputs, (wrong * rate) >> 10);
        }
        for number in 0..N {
            self.lines[self.open[number]].share(slot).update(bit, LIMIT);
        }
        bit
    }

    /// A distance from the reference; one that is not given is read.
    pub(crate) fn pass<C: Coder>(&mut self, coder: &mut C, given: i32, around: &Around) -> i32 {
        while self.columns.len() <= around.column {
            self.columns.push(Column {
                weights: vec![first_weights(); SETS],
                taken: [0; NODES],
            });
        }
        let bits = self.bits.min(MOST_FORESIGHTS);
        let places: [usize; EXPERTS] = std::array::from_fn(|number| {
            let hashed = hash(around.experts[number], number as u64);
            number << bits | (hashed >> (64 - bits)) as usize
        });
        let lies = places.map(|place| {
            let one = self.foresights[place];
            let width = if one.seen == 0 {
                around.late
            } else {
                one.width
            };
            Lie::new(one.middle + (around.last << 8), width)
        });
        let distance = self.distance(coder, given, around, &lies);
        let moved = (i64::from(distance) - around.last).clamp(-FAR, FAR);
        for place in places {
            self.foresights[place].learn(moved, around.late);
        }
        distance
    }

    #[inline]
    fn distance<C: Coder>(
        &mut self,
        coder: &mut C,
        given: i32,
        around: &Around,
        lies: &[Lie; EXPERTS],
    ) -> i32 {
        self.open::<CONTEXTS>(around, 0);
        let below: Tails = lies.map(|lie| lie.below(-1));
        let above: Tails = lies.map(|lie| 65536 - lie.below(1));
        let says = std::array::from_fn(|one| part(below[one] + above[one], 65536));
        if self.decide::<CONTEXTS, C>(coder, u32::from(given != 0), (1, 1), around, &says) == 0 {
            return 0;
        }
        let says = std::array::from_fn(|one| part(below[one], below[one] + above[one]));
        let is_negative =
            self.decide::<CONTEXTS, C>(coder, u32::from(given < 0), (2, 2), around, &says) != 0;
        let side = Side {
            around,
            lies,
            is_negative,
        };
        let whole = if is_negative { below } else { above };
        let (length, between) = self.length(coder, given.unsigned_abs(), &side, whole);
        let size = self.rest(coder, given.unsigned_abs(), length, &side, between);
        if is_negative {
            -(size as i32)
        } else {
            size as i32
        }
    }

    /// The length of a size, and between which tails the sizes so long are.
    #[inline]
    fn length<C: Coder>(
        &mut self,
        coder: &mut C,
        size: u32,
        side: &Side,
        mut whole: Tails,
    ) -> (u32, [Tails; 2]) {
        let given = u32::BITS - size.leading_zeros();
        let mut length = 1;
        loop {
            let longer = side.tails(1 << length);
            if length == MOST_LENGTH {
                return (length, [longer, whole]);
            }
            if length == SHORT + 1 {
                self.open::<CONTEXTS>(side.around, 1 + u64::from(side.is_negative));
            }
            let (slot, node) = if length > SHORT {
                ((length - SHORT).min(15), 15)
            } else {
                let slot = 2 + length + SHORT * u32::from(side.is_negative);
                (slot, slot)
            };
            let says = std::array::from_fn(|one| part(longer[one], whole[one]));
            let is_longer = u32::from(given > length);
            let of = (slot as usize, node as usize);
            if self.decide::<CONTEXTS, C>(coder, is_longer, of, side.around, &says) == 0 {
                return (length, [longer, whole]);
            }
            whole = longer;
            length += 1;
        }
    }

    /// What follows the leading one of a size.
    #[inline]
    fn rest<C: Coder>(
        &mut self,
        coder: &mut C,
        size: u32,
        length: u32,
        side: &Side,
        mut between: [Tails; 2],
    ) -> u32 {
        let mut read = 1u32;
        for done in 0..length - 1 {
            let at = length - 2 - done;
            let given = size >> at & 1;
            let bit = if done < DEPTH {
                if done % 4 == 0 {
                    let name = 64 + 2 * length + u32::from(side.is_negative);
                    self.open::<FEW>(side.around, u64::from(read) << 8 | u64::from(name));
                }
                let middle = side.tails((read << 1 | 1) << at);
                let [lower, upper] = &between;
                let says = std::array::from_fn(|one| {
                    let whole = upper[one].saturating_sub(lower[one]);
                    part(middle[one].saturating_sub(lower[one]), whole)
                });
                let first = 1 << (done % 4);
                let slot = first | read & (first - 1);
                let node = 16 + 6 * (length.min(8) - 2) + 2 * done.min(2) + (read & 1);
                let of = (slot as usize, node as usize);
                let bit = self.decide::<FEW, C>(coder, given, of, side.around, &says);
                between[bit as usize & 1] = middle;
                bit
            } else {
                let share = &mut self.low[(length * 32 + at) as usize & 1023];
                let bit = coder.code(given, share.probability().clamp(1, 65535));
                share.update(bit, LIMIT);
                bit
            };
            read = read << 1 | bit;
        }
        read
    }
}

fn first_weights() -> Weights {
    let mut weights = [FIRST.0; INPUTS];
    weights[CONTEXTS..CONTEXTS + EXPERTS].fill(FIRST.1);
    weights[INPUTS - 1] = 0;
    weights
}

/// Let weights follow what was wrong with their sum, in 2^-22 of a step.
#[inline]
fn follow(weights: &mut Weights, inputs: &[i16; INPUTS], error: i32) {
    let error = error as i16;
    for (weight, &input) in weights.iter_mut().zip(inputs) {
        let step = (i32::from(input) * i32::from(error) + (1 << 11)) >> 12;
        *weight = (*weight + step).clamp(-MOST_WEIGHT, MOST_WEIGHT);
    }
}

#[cfg(test)]
mod tests {
    use super::super::coder::{Reader, Writer};
    use super::*;

    fn around(last: i64, place: usize) -> Around {
        Around {
            column: place % 3,
            contexts: [last as u64; CONTEXTS],
            experts: [place as u64 % 5; EXPERTS],
            spread: place % SPREADS,
            company: place % COMPANIES,
            last,
            late: 256 + last.abs(),
        }
    }

    /// Distances of every length and sign, and many small ones.
    fn distances() -> Vec<i32> {
        let lengths = (0..31).flat_map(|at| {
            let size = 1i32 << at;
            [size, -size, size | size >> 1, -(size | (size - 1))]
        });
        let ends = [0, i32::MAX, -i32::MAX];
        let few = (0..2000).map(|place: i32| (place * place) % 7 - 3);
        lengths.chain(ends).chain(few).collect()
    }

    #[test]
    fn what_was_told_is_read() {
        let given = distances();
        let (mut series, mut writer) = (Series::new(given.len()), Writer::new());
        let mut last = 0;
        for (place, &one) in given.iter().enumerate() {
            assert_eq!(series.pass(&mut writer, one, &around(last, place)), one);
            last = i64::from(one);
        }
        let (mut series, mut reader) = (Series::new(given.len()), Reader::new(writer.finish()));
        let mut last = 0;
        for (place, &one) in given.iter().enumerate() {
            let read = series.pass(&mut reader, 0, &around(last, place));
            assert_eq!(read, one);
            last = i64::from(read);
        }
    }

    #[test]
    fn what_comes_again_takes_next_to_nothing() {
        let (mut series, mut writer) = (Series::new(1000), Writer::new());
        for place in 0..10_000 {
            series.pass(&mut writer, 5, &around(5, 3 * (place % 2)));
        }
        assert!(writer.finish().len() < 100);
    }

    #[test]
    fn a_distribution_parts_what_it_has() {
        let lie = Lie::new(3 << 8, 2 << 8);
        assert!(lie.below(5) < 32768 && lie.below(7) > 32768);
        for size in 1..40 {
            assert!(lie.tail(size, false) >= lie.tail(size + 1, false));
            assert!(lie.tail(size, true) >= lie.tail(size + 1, true));
        }
        assert_eq!(part(5, 8), 0);
        assert!(part(900, 1000) > 0 && part(100, 1000) < 0);
    }
}
