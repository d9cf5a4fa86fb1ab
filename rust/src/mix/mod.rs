//! The mixing coder: columns of numbers, each predicted from everything that reader and writer both know already.
//!
//! A *column* is a list of unsigned 32-bit numbers. It is coded number by number, each in binary decisions. For every decision
//! several *contexts* say how often it went one way under the same circumstances; what they say is weighed by how far each was
//! right before ("context mixing": Mahoney, "Adaptive Weighing of Context Models for Lossless Data Compression", 2005), and the
//! weighed probability drives an arithmetic coder. All of it is in integers, so that every machine decodes the same.
//!
//! What a context is, the caller says in words (`"1 1,2 a a,1 %7"`): contexts are parted by spaces and made of terms, parted by commas:
//!
//! | term | its value |
//! | --- | --- |
//! | `3` | the number 3 places back in the column itself |
//! | `a`, `b+1`, `c-2` | the number of the first, second, third *known column* at the same place, one later, two before |
//! | `w` | the word that is being written: the letters since the last character that is none, in lower case |
//! | `z` | the sum of the numbers since the last zero |
//! | `%7` | the place modulo 7 |
//! | any with `/4` | without its lowest 4 bits |
//! | any with `^` | its length in bits |
//! | `-` | nothing: the context that is always the same |
//!
//! A number of `bits` ≤ 12 is coded bit by bit from the top; with `bits` = 0 its length in bits is coded first (four or six
//! decisions), then what follows its leading one. Places before the first and after the last read as zero. The first `primed` places are not coded: the coder only learns from them. With `matching` = n the
//! place after the latest earlier one that the same n numbers preceded is one more prediction.

mod coder;
mod lean;
mod model;
mod series;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

pub(crate) use coder::{Coder, Counter, Learner, Reader, Writer};
pub(crate) use lean::{Form, Lean, Room};
pub(crate) use model::{
    choice, follow, hash, number, plain, small, squash, stretch, weigh, Model, Share, Sizes, LANES,
    MOST_CONTEXTS,
};
pub(crate) use series::{Around, Series, COMPANIES, SPREADS};

use crate::{refused, Outcome};

/// Binary logarithm of the lines that one context has at least.
const LEAST_TABLE: u32 = 8;
const MOST_TABLE: u32 = 18;
const MOST_TERMS: usize = 8;

// ── contexts ──────────────────────────────────────────────────────────────────────────────────────────────────────

#[derive(Clone, Copy, PartialEq)]
enum Source {
    Own(usize),
    Known(usize, isize),
    Word,
    Sum,
    Place(usize),
    Nothing,
}

#[derive(Clone, Copy)]
struct Term {
    source: Source,
    shift: u32,
    length: bool,
}

fn parse_contexts(words: &str, known: usize) -> Outcome<Vec<Vec<Term>>> {
    let contexts: Vec<Vec<Term>> = words
        .split_ascii_whitespace()
        .map(|context| {
            context
                .split(',')
                .map(|term| parse_term(term, known))
                .collect()
        })
        .collect::<Outcome<_>>()?;
    if contexts.is_empty()
        || contexts.len() > MOST_CONTEXTS
        || contexts.iter().any(|one| one.len() > MOST_TERMS)
    {
        return Err(format!(
            "between 1 and {MOST_CONTEXTS} contexts of at most {MOST_TERMS} terms, not {words:?}"
        ));
    }
    Ok(contexts)
}

fn parse_term(term: &str, known: usize) -> Outcome<Term> {
    let strange = || format!("{term:?} is no term of a context");
    let (rest, length) = term
        .strip_suffix('^')
        .map_or((term, false), |rest| (rest, true));
    let (name, shift) = match rest.split_once('/') {
        Some((name, shift)) => (
            name,
            shift
                .parse()
                .ok()
                .filter(|&one| one < 32)
                .ok_or_else(strange)?,
        ),
        None => (rest, 0),
    };
    let number = |digits: &str| {
        digits
            .parse::<usize>()
            .ok()
            .filter(|&one| one < 1 << 16)
            .ok_or_else(strange)
    };
    let source = match name.as_bytes() {
        [b'-'] => Source::Nothing,
        [b'w'] => Source::Word,
        [b'z'] => Source::Sum,
        [b'%', ..] => Source::Place(number(&name[1..])?.max(1)),
        [b'0'..=b'9', ..] => Source::Own(number(name)?),
        [letter @ b'a'..=b'v', ..] => {
            let column = usize::from(letter - b'a');
            let offset = match &name[1..] {
                "" => 0,
                digits if digits.starts_with('+') => number(&digits[1..])? as isize,
                digits if digits.starts_with('-') => -(number(&digits[1..])? as isize),
                _ => return Err(strange()),
            };
            if column >= known {
                return Err(format!(
                    "{term:?} names a column of which only {known} are known"
                ));
            }
            Source::Known(column, offset)
        }
        _ => return Err(strange()),
    };
    if source == Source::Own(0) {
        return Err(strange());
    }
    Ok(Term {
        source,
        shift,
        length,
    })
}

// ── columns ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// One column on its way.
struct Column<'a> {
    known: &'a [Vec<u32>],
    contexts: &'a [Vec<Term>],
    bits: u32,
    matching: usize,
}

impl Column<'_> {
    /// Let the numbers up to `to` pass a coder; those that are there already are learned from or written, others are read.
    fn pass<C: Coder>(
        &self,
        model: &mut Model,
        state: &mut State,
        coder: &mut C,
        own: &mut Vec<u32>,
        to: usize,
    ) {
        for place in state.place..to {
            let value = own.get(place).copied().unwrap_or(0);
            for (number, context) in self.contexts.iter().enumerate() {
                let mut sum = number as u64 + 1;
                for term in context {
                    sum = hash(sum, u64::from(self.value(term, own, place, state)) + 1);
                }
                model.hashes[number] = sum;
            }
            let guess = state.guess(own, self.matching);
            let value = if self.bits > 0 {
                plain(model, coder, value, self.bits, guess)
            } else {
                number(model, coder, value, guess)
            };
            if place == own.len() {
                own.push(value);
            }
            state.see(own, place, self.matching);
        }
        state.place = to;
    }

    #[inline]
    fn value(&self, term: &Term, own: &[u32], place: usize, state: &State) -> u32 {
        let value = match term.source {
            Source::Own(back) => place.checked_sub(back).map_or(0, |at| own[at]),
            Source::Known(column, offset) => place
                .checked_add_signed(offset)
                .and_then(|at| self.known[column].get(at))
                .copied()
                .unwrap_or(0),
            Source::Word => state.word,
            Source::Sum => state.sum,
            Source::Place(modulus) => (place % modulus) as u32,
            Source::Nothing => 0,
        };
        let value = value >> term.shift;
        if term.length {
            32 - value.leading_zeros()
        } else {
            value
        }
    }
}

/// What is remembered of a column from one number to the next.
struct State {
    place: usize,
    word: u32,
    sum: u32,
    latest: Vec<u32>,
    candidate: usize,
    length: usize,
}

const MATCH_BITS: u32 = 16;

impl State {
    fn new(matching: usize) -> Self {
        let latest = if matching > 0 {
            vec![0; 1 << MATCH_BITS]
        } else {
            Vec::new()
        };
        State {
            place: 0,
            word: 0,
            sum: 0,
            latest,
            candidate: 0,
            length: 0,
        }
    }

    /// What followed the same numbers before, and how many were the same (on a scale of its own).
    #[inline]
    fn guess(&self, own: &[u32], matching: usize) -> Option<(u32, usize)> {
        if matching == 0 || self.length == 0 {
            return None;
        }
        let scale = match self.length {
            0..=8 => self.length,
            9..=12 => 9,
            13..=16 => 10,
            17..=24 => 11,
            25..=32 => 12,
            33..=64 => 13,
            65..=400 => 14,
            _ => 15,
        };
        own.get(self.candidate).map(|&value| (value, scale))
    }

    #[inline]
    fn see(&mut self, own: &[u32], place: usize, matching: usize) {
        let value = own[place];
        self.sum = if value == 0 {
            0
        } else {
            self.sum.wrapping_add(value)
        };
        let letter = u8::try_from(value)
            .ok()
            .filter(|byte| byte.is_ascii_alphanumeric() || *byte >= 128);
        self.word = match letter {
            Some(byte) => (self
                .word
                .wrapping_add(u32::from(byte.to_ascii_lowercase()) + 1))
            .wrapping_mul(0x2F0B_4C47),
            None => 0,
        };
        if matching == 0 {
            return;
        }
        if self.length > 0 && own[self.candidate] == value {
            self.candidate += 1;
            self.length = (self.length + 1).min(65535);
        } else {
            self.length = 0;
        }
        if place + 1 >= matching {
            let sum = own[place + 1 - matching..=place]
                .iter()
                .fold(7, |sum, &one| hash(sum, u64::from(one)));
            let slot = (sum >> (64 - MATCH_BITS)) as usize;
            if self.length == 0 {
                let at = self.latest[slot] as usize;
                if at > 0 {
                    let same = (0..32.min(at))
                        .take_while(|back| own[at - 1 - back] == own[place - back])
                        .count();
                    if same >= matching {
                        self.candidate = at;
                        self.length = same;
                    }
                }
            }
            self.latest[slot] = place as u32 + 1;
        }
    }
}

// ── as Python sees it ─────────────────────────────────────────────────────────────────────────────────────────────

fn numbers(bytes: &[u8]) -> Outcome<Vec<u32>> {
    let (whole, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(format!(
            "a column of {} bytes does not consist of 32-bit numbers",
            bytes.len()
        ));
    }
    Ok(whole.iter().map(|one| u32::from_le_bytes(*one)).collect())
}

fn bytes_of(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|one| one.to_le_bytes()).collect()
}

fn table_bits(length: usize) -> u32 {
    (usize::BITS - length.leading_zeros() + 1).clamp(LEAST_TABLE, MOST_TABLE)
}

/// How a column is to be coded.
struct Plan {
    known: Vec<Vec<u32>>,
    contexts: Vec<Vec<Term>>,
    bits: u32,
    matching: usize,
}

impl Plan {
    fn new(
        known: &[Vec<u8>],
        contexts: &str,
        bits: u32,
        matching: usize,
        limit: u32,
    ) -> Outcome<Self> {
        if bits > 12 || matching > 32 || limit == 0 || limit > 1023 {
            return Err(format!("at most 12 bits, 32 matching and a limit of 1023, not {bits}, {matching} and {limit}"));
        }
        let known = known
            .iter()
            .map(|one| numbers(one))
            .collect::<Outcome<Vec<_>>>()?;
        Ok(Plan {
            contexts: parse_contexts(contexts, known.len())?,
            known,
            bits,
            matching,
        })
    }

    fn column(&self) -> Column<'_> {
        Column {
            known: &self.known,
            contexts: &self.contexts,
            bits: self.bits,
            matching: self.matching,
        }
    }
}

/// Columns on their way into bytes, one after another.
#[pyclass(module = "edgehold._native")]
pub struct MixWriter {
    writer: Writer,
}

#[pymethods]
impl MixWriter {
    #[new]
    fn new() -> Self {
        MixWriter {
            writer: Writer::new(),
        }
    }

    #[pyo3(signature = (column, contexts, *, bits = 8, known = Vec::new(), primed = 0, matching = 0, limit = 255))]
    #[allow(clippy::too_many_arguments)]
    fn put(
        &mut self,
        python: Python<'_>,
        column: &[u8],
        contexts: &str,
        bits: u32,
        known: Vec<Vec<u8>>,
        primed: usize,
        matching: usize,
        limit: u32,
    ) -> PyResult<()> {
        let writer = &mut self.writer;
        let column = column.to_vec();
        python
            .detach(move || {
                let plan = Plan::new(&known, contexts, bits, matching, limit)?;
                let mut own = numbers(&column)?;
                if bits > 0 && own.iter().any(|&one| one >> bits != 0) {
                    return Err(format!("a number of the column has more than {bits} bits"));
                }
                let count = own.len();
                let mut model = Model::new(plan.contexts.len(), table_bits(count), limit);
                let mut state = State::new(matching);
                plan.column().pass(
                    &mut model,
                    &mut state,
                    &mut Learner,
                    &mut own,
                    primed.min(count),
                );
                plan.column()
                    .pass(&mut model, &mut state, writer, &mut own, count);
                Ok(())
            })
            .map_err(refused)
    }

    /// The bytes of all columns; the writer is empty afterwards.
    fn finish<'py>(&mut self, python: Python<'py>) -> Bound<'py, PyBytes> {
        let writer = std::mem::replace(&mut self.writer, Writer::new());
        PyBytes::new(python, &writer.finish())
    }
}

/// The same columns on their way out, in the same order.
#[pyclass(module = "edgehold._native")]
pub struct MixReader {
    reader: Reader,
}

#[pymethods]
impl MixReader {
    #[new]
    fn new(data: &[u8]) -> Self {
        MixReader {
            reader: Reader::new(data.to_vec()),
        }
    }

    #[pyo3(signature = (count, contexts, *, bits = 8, known = Vec::new(), primer = Vec::new(), matching = 0, limit = 255))]
    #[allow(clippy::too_many_arguments)]
    fn take<'py>(
        &mut self,
        python: Python<'py>,
        count: usize,
        contexts: &str,
        bits: u32,
        known: Vec<Vec<u8>>,
        primer: Vec<u8>,
        matching: usize,
        limit: u32,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let reader = &mut self.reader;
        let taken = python
            .detach(move || {
                let plan = Plan::new(&known, contexts, bits, matching, limit)?;
                let mut own = numbers(&primer)?;
                let primed = own.len();
                let mut model = Model::new(plan.contexts.len(), table_bits(primed + count), limit);
                let mut state = State::new(matching);
                plan.column()
                    .pass(&mut model, &mut state, &mut Learner, &mut own, primed);
                plan.column()
                    .pass(&mut model, &mut state, reader, &mut own, primed + count);
                Ok(bytes_of(&own[primed..]))
            })
            .map_err(refused)?;
        Ok(PyBytes::new(python, &taken))
    }
}
