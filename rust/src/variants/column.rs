//! A column of numbers, told one by one in the light of the columns before it.

use std::rc::Rc;

use super::spelling::power;
use super::Told;
use crate::mix::{hash, Coder, Form, Lean, Room};
use crate::Outcome;

/// The most that a number of a column may be, either way.
pub(super) const MOST: i32 = 1 << 30;
/// What a column says of a row that it has no number for.
const MISSING: i32 = i32::MIN;
pub(super) const MOST_CONTEXTS: usize = 6;
const MOST_ATOMS: usize = 4;
const MOST_TERMS: usize = 4;
/// Digits behind the point of a weight.
pub(super) const POINT: u32 = 16;

pub(super) type Rows = Rc<Vec<u32>>;

/// Numbers, and of each the row that it stands in.
pub(super) struct Column {
    pub(super) rows: Rows,
    pub(super) values: Vec<i32>,
    /// If all numbers are the same, this; there are no values then.
    pub(super) constant: Option<i32>,
}

impl Column {
    pub(super) fn get(&self, place: usize) -> i32 {
        self.constant.unwrap_or_else(|| self.values[place])
    }
}

/// Looks up a column's numbers by rows that ascend.
pub(super) struct Sight<'a> {
    column: &'a Column,
    at: usize,
    same: bool,
}

impl<'a> Sight<'a> {
    pub(super) fn new(column: &'a Column, rows: &Rows) -> Self {
        Sight {
            column,
            at: 0,
            same: Rc::ptr_eq(&column.rows, rows),
        }
    }

    /// The number at a row, which is that of the place in the rows it is looked up for.
    #[inline]
    pub(super) fn see(&mut self, place: usize, row: u32) -> i32 {
        if self.same {
            return self.column.values.get(place).copied().unwrap_or(MISSING);
        }
        while self.column.rows.get(self.at).is_some_and(|&one| one < row) {
            self.at += 1;
        }
        match self.column.rows.get(self.at) {
            Some(&one) if one == row => self.column.values.get(self.at).copied().unwrap_or(MISSING),
            _ => MISSING,
        }
    }
}

// ── what is expected ──────────────────────────────────────────────────────────────────────────────────────────────

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum How {
    Same,
    Sum,
    Difference,
    Quotient,
    Least,
}

pub(super) const HOWS: [How; 5] = [
    How::Same,
    How::Sum,
    How::Difference,
    How::Quotient,
    How::Least,
];

/// What a number is told as the difference from.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Base {
    Nothing,
    /// The number before.
    Before,
    /// What two columns, the second brought to the unit of the first, say together, in another unit, and a constant.
    Of {
        how: How,
        columns: [usize; 2],
        aligned: i32,
        unit: i32,
        constant: i32,
    },
    /// A weighted sum of columns and a constant.
    Weighted {
        terms: Vec<(usize, i32)>,
        constant: i32,
    },
}

/// A number in units of 10^-`tens` of its own.
#[inline]
fn scaled(value: i64, tens: i32) -> i64 {
    if tens >= 0 {
        value.saturating_mul(power(tens as u32))
    } else {
        rounded(value, power(tens.unsigned_abs()))
    }
}

/// A quotient to the nearest integer, halves away from zero.
#[inline]
fn rounded(value: i64, by: i64) -> i64 {
    let half = by.abs() / 2;
    let away = if value < 0 { -half } else { half };
    value.saturating_add(away).checked_div(by).unwrap_or(0)
}

impl How {
    #[inline]
    pub(super) fn say(self, one: i32, other: i32, aligned: i32, unit: i32) -> i64 {
        if one == MISSING || other == MISSING {
            return 0;
        }
        let (one, other) = (i64::from(one), scaled(i64::from(other), aligned));
        match self {
            How::Same => scaled(one, unit),
            How::Sum => scaled(one.saturating_add(other), unit),
            How::Difference => scaled(one.saturating_sub(other), unit),
            How::Quotient => rounded(scaled(one, unit), other),
            How::Least => scaled(one.min(other), unit),
        }
    }
}

impl Base {
    /// What is expected, given the number before and the columns that it names.
    #[inline]
    pub(super) fn say(&self, before: i32, seen: &[i32]) -> i32 {
        let said = match self {
            Base::Nothing => return 0,
            Base::Before => return before,
            &Base::Of {
                how,
                aligned,
                unit,
                constant,
                ..
            } => how
                .say(seen[0], seen[1], aligned, unit)
                .saturating_add(i64::from(constant)),
            Base::Weighted { terms, constant } => weighted(terms, *constant, seen),
        };
        said.clamp(-i64::from(MOST), i64::from(MOST)) as i32
    }

    /// The columns that it names, in the order in which it wants to see them.
    pub(super) fn columns(&self) -> Vec<usize> {
        match self {
            Base::Nothing | Base::Before => Vec::new(),
            Base::Of { columns, .. } => columns.to_vec(),
            Base::Weighted { terms, .. } => terms.iter().map(|&(column, _)| column).collect(),
        }
    }
}

#[inline]
pub(super) fn weighted(terms: &[(usize, i32)], constant: i32, seen: &[i32]) -> i64 {
    let mut sum = i64::from(constant) << POINT;
    for (&(_, weight), &value) in terms.iter().zip(seen) {
        if value != MISSING {
            sum += i64::from(weight) * i64::from(value);
        }
    }
    (sum + (1 << (POINT - 1))) >> POINT
}

// ── under which circumstances ─────────────────────────────────────────────────────────────────────────────────────

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Source {
    /// The number so many places back.
    Own(usize),
    /// What was left of it.
    Left(usize),
    /// How much was left of late; the less of it is forgotten each time, the more is said.
    Mean(u32),
    /// What is expected.
    Expected,
    /// Another column, at the same row.
    Column(usize),
}

/// A circumstance: something that is known, more or less exactly.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Atom {
    pub(super) source: Source,
    /// 0: exactly; 1: in four steps from one power of two to the next; 2: its length in bits.
    pub(super) grain: u32,
}

pub(super) const GRAINS: u32 = 3;
pub(super) const MOST_BACK: usize = 3;
pub(super) const MEANS: [u32; 2] = [2, 4];

/// A size on a scale of four steps from one power of two to the next.
#[inline]
pub(super) fn step_of(size: u32) -> u32 {
    let length = 32 - size.leading_zeros();
    if length < 3 {
        size
    } else {
        length << 2 | size >> (length - 3) & 3
    }
}

#[inline]
pub(super) fn grained(value: i32, grain: u32) -> u32 {
    if value == MISSING || grain == 0 {
        return value as u32;
    }
    let size = value.unsigned_abs();
    let sign = u32::from(value < 0) << 8;
    sign | if grain == 1 {
        step_of(size)
    } else {
        32 - size.leading_zeros()
    }
}

/// How a column is told.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Plan {
    pub(super) base: Base,
    /// Whether it is asked first if the number is the one before.
    pub(super) repeats: bool,
    pub(super) form: Form,
    pub(super) limit: u32,
    pub(super) contexts: Vec<Vec<Atom>>,
}

/// What is remembered of a column from one number to the next.
#[derive(Default)]
pub(super) struct Past {
    own: [i32; MOST_BACK],
    left: [i32; MOST_BACK],
    means: [i32; MEANS.len()],
}

impl Past {
    #[inline]
    pub(super) fn say(&self, source: Source, expected: i32) -> i32 {
        match source {
            Source::Own(back) => self.own[back - 1],
            Source::Left(back) => self.left[back - 1],
            Source::Mean(which) => self.means[which as usize] / 16,
            Source::Expected => expected,
            Source::Column(_) => MISSING,
        }
    }

    #[inline]
    pub(super) fn see(&mut self, value: i32, left: i32) {
        self.own = [value, self.own[0], self.own[1]];
        self.left = [left, self.left[0], self.left[1]];
        for (mean, forgets) in self.means.iter_mut().zip(MEANS) {
            let size = left.unsigned_abs().min(1 << 22) as i32;
            *mean += ((size * 16) >> forgets) - (*mean >> forgets);
        }
    }
}

/// Lines of each table, as a power of two, for so many numbers.
fn table_bits(count: usize) -> u32 {
    (usize::BITS - count.leading_zeros() + 1).clamp(4, 16)
}

impl Plan {
    /// All columns that are looked at: those of the base, then those of circumstances.
    pub(super) fn columns(&self) -> Vec<usize> {
        let mut columns = self.base.columns();
        for atom in self.contexts.iter().flatten() {
            if let Source::Column(column) = atom.source {
                if !columns.contains(&column) {
                    columns.push(column);
                }
            }
        }
        columns
    }

    /// Tell the numbers of the rows, or hear them.
    pub(super) fn pass<C: Coder>(
        &self,
        coder: &mut C,
        known: &[Column],
        rows: &Rows,
        given: Option<&[i32]>,
        room: &mut Room,
    ) -> Vec<i32> {
        match self.contexts.len() {
            0 => self.walk::<C, 1>(coder, known, rows, given, room),
            1 => self.walk::<C, 2>(coder, known, rows, given, room),
            2 => self.walk::<C, 3>(coder, known, rows, given, room),
            3 => self.walk::<C, 4>(coder, known, rows, given, room),
            4 => self.walk::<C, 5>(coder, known, rows, given, room),
            _ => self.walk::<C, 6>(coder, known, rows, given, room),
        }
    }

    fn walk<C: Coder, const N: usize>(
        &self,
        coder: &mut C,
        known: &[Column],
        rows: &Rows,
        given: Option<&[i32]>,
        room: &mut Room,
    ) -> Vec<i32> {
        let mut model =
            Lean::<N>::in_room(table_bits(rows.len()), self.limit, std::mem::take(room));
        let columns = self.columns();
        let mut sights: Vec<Sight> = columns
            .iter()
            .map(|&column| Sight::new(&known[column], rows))
            .collect();
        let mut atoms: Vec<Atom> = Vec::new();
        let contexts: Vec<Vec<usize>> = self
            .contexts
            .iter()
            .map(|context| {
                context
                    .iter()
                    .map(|atom| {
                        atoms.iter().position(|one| one == atom).unwrap_or_else(|| {
                            atoms.push(*atom);
                            atoms.len() - 1
                        })
                    })
                    .collect()
            })
            .collect();
        let places: Vec<Option<usize>> = atoms
            .iter()
            .map(|atom| match atom.source {
                Source::Column(column) => columns.iter().position(|&one| one == column),
                _ => None,
            })
            .collect();
        let mut seen = vec![0; columns.len()];
        let mut said = vec![0u64; atoms.len()];
        let mut past = Past::default();
        let mut values = Vec::with_capacity(rows.len());
        for (place, &row) in rows.iter().enumerate() {
            if place % 1024 == 0 && coder.is_exhausted() {
                break;
            }
            for (one, sight) in seen.iter_mut().zip(&mut sights) {
                *one = sight.see(place, row);
            }
            let expected = self.base.say(past.own[0], &seen);
            for ((one, atom), at) in said.iter_mut().zip(&atoms).zip(&places) {
                let value = match at {
                    Some(at) => seen[*at],
                    None => past.say(atom.source, expected),
                };
                *one = u64::from(grained(value, atom.grain)) + 1;
            }
            model.hashes[0] = 0;
            for (number, context) in contexts.iter().enumerate().take(N - 1) {
                let start = number as u64 + 1;
                model.hashes[number + 1] =
                    context.iter().fold(start, |sum, &at| hash(sum, said[at]));
            }
            let value = given.map_or(0, |values| values[place]);
            let same = self.repeats && model.flag(coder, u32::from(value == past.own[0])) == 1;
            let value = if same {
                past.own[0]
            } else {
                let left = model.number(coder, value.wrapping_sub(expected), self.form);
                expected.saturating_add(left).clamp(-MOST, MOST)
            };
            past.see(value, value.wrapping_sub(expected));
            values.push(value);
        }
        *room = model.room();
        values
    }
}

// ── how a column is told, told ────────────────────────────────────────────────────────────────────────────────────

const NOT_SO: &str = "a column cannot be told so";

pub(super) fn folded(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

pub(super) fn unfolded(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

impl<C: Coder> Told<C> {
    fn signed(&mut self, value: i32, of: u64) -> i32 {
        unfolded(self.head(folded(value) & (MOST as u32 * 2 - 1), of))
    }

    fn one_of(&mut self, value: usize, count: usize, of: u64) -> Outcome<usize> {
        let value = self.head(value as u32, of) as usize;
        if value < count {
            Ok(value)
        } else {
            Err(NOT_SO.into())
        }
    }

    /// Columns are named by how far they lie before.
    fn column_name(&mut self, column: usize, known: usize) -> Outcome<usize> {
        let back = self.one_of(known.wrapping_sub(column + 1), known, 20)?;
        Ok(known - 1 - back)
    }

    fn base(&mut self, given: Option<&Base>, known: usize) -> Outcome<Base> {
        let kind = given.map_or(0, |base| match base {
            Base::Nothing => 0,
            Base::Before => 1,
            Base::Of { how, .. } => 3 + HOWS.iter().position(|one| one == how).unwrap_or(0),
            Base::Weighted { .. } => 2,
        });
        Ok(match self.one_of(kind, 3 + HOWS.len(), 21)? {
            0 => Base::Nothing,
            1 => Base::Before,
            2 => {
                let (terms, constant) = match given {
                    Some(Base::Weighted { terms, constant }) => (terms.clone(), *constant),
                    _ => (Vec::new(), 0),
                };
                let count = self.one_of(terms.len(), MOST_TERMS + 1, 22)?;
                let mut told = Vec::new();
                for number in 0..count {
                    let (column, weight) = terms.get(number).copied().unwrap_or((0, 0));
                    told.push((self.column_name(column, known)?, self.signed(weight, 23)));
                }
                Base::Weighted {
                    terms: told,
                    constant: self.signed(constant, 24),
                }
            }
            kind => {
                let (columns, tens, constant) = match given {
                    Some(&Base::Of {
                        columns,
                        aligned,
                        unit,
                        constant,
                        ..
                    }) => (columns, [aligned, unit], constant),
                    _ => ([0; 2], [0; 2], 0),
                };
                let how = HOWS[kind - 3];
                let one = self.column_name(columns[0], known)?;
                let other = match how {
                    How::Same => one,
                    _ => self.column_name(columns[1], known)?,
                };
                let [aligned, unit] = tens.map(|tens| self.signed(tens, 25));
                if aligned.abs() > 9 || unit.abs() > 9 {
                    return Err(NOT_SO.into());
                }
                Base::Of {
                    how,
                    columns: [one, other],
                    aligned,
                    unit,
                    constant: self.signed(constant, 26),
                }
            }
        })
    }

    fn atom(&mut self, given: Option<&Atom>, known: usize) -> Outcome<Atom> {
        let source = given.map_or(0, |atom| match atom.source {
            Source::Column(_) => 0,
            Source::Expected => 1,
            Source::Mean(which) => 2 + which as usize,
            Source::Own(back) => 1 + MEANS.len() + back,
            Source::Left(back) => 1 + MEANS.len() + MOST_BACK + back,
        });
        let own = 2 + MEANS.len();
        let source = match self.one_of(source, own + 2 * MOST_BACK, 27)? {
            0 => {
                let column = match given {
                    Some(Atom {
                        source: Source::Column(column),
                        ..
                    }) => *column,
                    _ => 0,
                };
                Source::Column(self.column_name(column, known)?)
            }
            1 => Source::Expected,
            place if place < own => Source::Mean(place as u32 - 2),
            place if place < own + MOST_BACK => Source::Own(place - own + 1),
            place => Source::Left(place - own - MOST_BACK + 1),
        };
        let grain = self.one_of(
            given.map_or(0, |atom| atom.grain as usize),
            GRAINS as usize,
            28,
        )?;
        Ok(Atom {
            source,
            grain: grain as u32,
        })
    }

    /// How a column is told.
    pub(super) fn plan(&mut self, given: Option<&Plan>, known: usize) -> Outcome<Plan> {
        let base = self.base(given.map(|plan| &plan.base), known)?;
        let flags = given.map_or(0, |plan| {
            usize::from(plan.repeats) | usize::from(plan.form.signed) << 1
        });
        let flags = self.one_of(flags, 4, 29)?;
        let depth = self.one_of(given.map_or(0, |plan| plan.form.depth as usize), 32, 30)? as u32;
        let limit = self.one_of(given.map_or(0, |plan| plan.limit as usize), 1024, 31)? as u32;
        let contexts = given.map_or(&[][..], |plan| &plan.contexts);
        let count = self.one_of(contexts.len(), MOST_CONTEXTS, 32)?;
        let mut told = Vec::new();
        for number in 0..count {
            let context = contexts.get(number).map_or(&[][..], |one| one);
            let atoms = self.one_of(context.len(), MOST_ATOMS + 1, 33)?;
            told.push(
                (0..atoms)
                    .map(|at| self.atom(context.get(at), known))
                    .collect::<Outcome<_>>()?,
            );
        }
        Ok(Plan {
            base,
            repeats: flags & 1 != 0,
            form: Form {
                signed: flags & 2 != 0,
                depth,
            },
            limit,
            contexts: told,
        })
    }
}
