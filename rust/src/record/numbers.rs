//! Columns of numbers: fields at one place that were numbers of as many decimals line after line are told by how they move.

use super::spelling::{parse_decimal, write_decimal};
use super::teller::Teller;
use super::texts::{h, Id, Map};
use crate::mix::{Around, Coder, Series, Share, COMPANIES, SPREADS};
use crate::Outcome;

/// So many numbers in a row make a column of numbers; so many equal templates or times at one pace are likely to go on.
pub(super) const STREAK: u32 = 16;
/// How often the share of those that end was seen at most before it stops slowing down.
pub(super) const ENDS_LIMIT: u32 = 1023;
/// Columns with weights of their own; further ones share these.
const MOST_COLUMNS: usize = 16;
/// How much of what is new each mean takes, in 256ths.
const PACES: [i64; 3] = [128, 40, 3];
const MOST_RUN: u64 = 20;
/// How many texts of numbers are kept.
const TEXTS: usize = 1024;

/// What is known of one place, and of a topic at it.
#[derive(Clone, Default)]
struct Column {
    decimals: u32,
    streak: u32,
    /// Its weights, counted from one.
    weights: usize,
    /// Whether it went on being one.
    ends: Share,
    /// The last numbers.
    last: [i64; 3],
    /// Means of the last few, more and many, in 256ths.
    means: [i64; 3],
    /// How far numbers were from the first mean of late, in 256ths.
    late: i64,
    /// Sums of how far numbers moved and of how large they were.
    steps: i64,
    sizes: i64,
    /// How often the last number came in a row, beside the first time.
    run: u64,
}

impl Column {
    /// What the next number is told from: the last, where numbers move little beside how large they are; else zero.
    fn reference(&self) -> i64 {
        if 4 * self.steps < self.sizes {
            self.last[0]
        } else {
            0
        }
    }

    /// Take a number in.
    fn see(&mut self, value: i64) -> Told {
        let moved = value - self.last[0];
        self.steps += moved.abs();
        self.sizes += value.abs();
        if self.sizes > 1 << 50 {
            (self.steps, self.sizes) = (self.steps >> 1, self.sizes >> 1);
        }
        self.run = if moved == 0 {
            (self.run + 1).min(MOST_RUN)
        } else {
            0
        };
        self.late += (((value << 8) - self.means[0]).abs() - self.late) / 5;
        for (mean, pace) in self.means.iter_mut().zip(PACES) {
            *mean += (((value << 8) - *mean) * pace) >> 8;
        }
        self.last = [value, self.last[0], self.last[1]];
        Told {
            value,
            moved,
            above: value - ((self.means[2] + 128) >> 8),
        }
    }

    /// Begin anew with a number of so many decimals.
    fn begin(&mut self, value: i64, decimals: u32) -> Told {
        *self = Column {
            decimals,
            weights: self.weights,
            ends: self.ends,
            last: [value; 3],
            means: [value << 8; 3],
            late: 256,
            ..Column::default()
        };
        self.see(value)
    }
}

/// A number that was told.
#[derive(Clone, Copy, Default)]
struct Told {
    value: i64,
    /// How far from the one before, and from the mean of many.
    moved: i64,
    above: i64,
}

/// All columns of numbers.
#[derive(Default)]
pub(super) struct Numbers {
    columns: Map<Column>,
    series: Option<Series>,
    /// How many have weights.
    weighed: usize,
    /// The last two numbers that were told, of whatever column.
    told: [Told; 2],
    /// Texts of numbers that were told.
    texts: Vec<(i64, u32, Id)>,
    /// About how many numbers a column has.
    pub(super) count: usize,
}

/// A difference on a scale of two steps from one power of two to the next, with its sign.
#[inline]
fn step_of(value: i64) -> u64 {
    let size = value.unsigned_abs();
    let length = 64 - size.leading_zeros();
    let step = if length < 3 {
        size
    } else {
        u64::from(length << 1) | size >> (length - 2) & 1
    };
    step << 1 | u64::from(value < 0)
}

/// Its length in bits, with its sign.
#[inline]
fn length_of(value: i64) -> u64 {
    u64::from(64 - value.unsigned_abs().leading_zeros()) << 1 | u64::from(value < 0)
}

impl Numbers {
    /// A field that was told in another way.
    pub(super) fn see(&mut self, key: u64, spelled: &[u8]) {
        let Some((value, decimals)) = parse_decimal(spelled) else {
            if self.columns.get(&key).is_some_and(|one| one.streak > 0) {
                self.columns.entry(key).streak = 0;
            }
            return;
        };
        let column = self.columns.entry(key);
        let told = if column.streak > 0 && column.decimals == decimals {
            column.see(value)
        } else {
            column.begin(value, decimals)
        };
        column.streak += 1;
        self.told = [told, self.told[0]];
    }
}

impl<C: Coder> Teller<'_, C> {
    /// A field of a column of numbers; none if it is to be told in another way.
    pub(super) fn number_of_column(&mut self, given: Option<Id>, key: u64) -> Outcome<Option<Id>> {
        let part_of_day = self.known.part_of_day();
        let numbers = &mut self.known.numbers;
        let is_column = |one: &Column| one.streak >= STREAK;
        if !numbers.columns.get(&key).is_some_and(is_column) {
            return Ok(None);
        }
        let column = numbers.columns.entry(key);
        let given = given.map(|text| parse_decimal(self.known.texts.get(text)));
        let fits = given.map(|number| number.is_some_and(|one| one.1 == column.decimals));
        let ends = u32::from(fits == Some(false));
        let ends = self
            .coder
            .code(ends, column.ends.probability().clamp(1, 65535));
        column.ends.update(ends, ENDS_LIMIT);
        if ends != 0 {
            return Ok(None);
        }
        if column.weights == 0 {
            numbers.weighed += 1;
            column.weights = (numbers.weighed - 1) % MOST_COLUMNS + 1;
        }
        let reference = column.reference();
        let around = around(key, column, numbers.told, part_of_day, reference);
        let series = numbers
            .series
            .get_or_insert_with(|| Series::new(numbers.count));
        let distance = given.flatten().map_or(0, |one| (one.0 - reference) as i32);
        let distance = series.pass(&mut self.coder, distance, &around);
        let value = reference + i64::from(distance);
        let decimals = column.decimals;
        numbers.told = [column.see(value), numbers.told[0]];
        self.spelled(value, decimals).map(Some)
    }

    /// The text of a number, which is kept: most come often.
    fn spelled(&mut self, value: i64, decimals: u32) -> Outcome<Id> {
        let kept = &mut self.known.numbers.texts;
        kept.resize(TEXTS, (0, u32::MAX, 0));
        let place = value as usize % TEXTS;
        let (known, with, text) = kept[place];
        if (known, with) == (value, decimals) {
            return Ok(text);
        }
        let text = write_decimal(value, decimals).ok_or("a number out of range")?;
        let text = self.known.texts.intern(&text);
        self.known.numbers.texts[place] = (value, decimals, text);
        Ok(text)
    }
}

/// What is known before the next number of a column.
fn around(
    key: u64,
    column: &Column,
    [one, two]: [Told; 2],
    part_of_day: u64,
    reference: i64,
) -> Around {
    let [a, b, c] = column.last;
    let [fast, slow, slowest] = column.means.map(|mean| ((mean + 128) >> 8) - a);
    let moved = step_of(a - b);
    let late = column.late.max(1) as u64;
    let length = 63 - u64::from(late.leading_zeros());
    let spread = (2 * length + (late << 1 >> length & 1))
        .saturating_sub(10)
        .min(SPREADS as u64 - 1);
    let (last, other) = (a as u64, one.value as u64);
    let both = step_of(one.value) << 16 | step_of(two.value);
    let contexts = [
        h(&[key, 1, last, other]),
        h(&[key, 2, other]),
        h(&[key, 3, other, two.value as u64]),
        h(&[key, 4, both, moved]),
        h(&[key, 5, last, moved, length_of(one.moved)]),
        h(&[key, 6, other, column.run, step_of(two.moved)]),
        h(&[
            key,
            7,
            step_of(one.above),
            step_of(two.above),
            step_of(fast),
        ]),
        h(&[
            key,
            8,
            step_of(slowest),
            length_of(one.value),
            length_of(two.value),
        ]),
    ];
    let experts = [
        h(&[key, 9, both, step_of(fast)]),
        h(&[key, 10, moved, step_of(b - c), spread >> 1]),
        h(&[
            key,
            11,
            step_of(slow),
            step_of(one.moved),
            length_of(two.moved),
        ]),
        h(&[key, 12, step_of(slowest), last >> 2, other]),
        h(&[key, 13, part_of_day, step_of(fast)]),
        h(&[key, 14, moved, length_of(one.value), length_of(one.moved)]),
        h(&[key, 15, step_of(slow), step_of(fast)]),
    ];
    let company = (length_of(one.value) >> 1).min(7) * 3 + (one.moved.signum() + 1) as u64;
    Around {
        column: column.weights - 1,
        contexts,
        experts,
        spread: spread as usize,
        company: (company as usize).min(COMPANIES - 1),
        last: a - reference,
        late: column.late,
    }
}
