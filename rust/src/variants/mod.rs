//! Variants of a person, as VCF and gVCF tell them, by columns.
//!
//! A text is cut into blocks of lines; in a block each line that is a variant into cells, a cell into a *template* and
//! numbers. Templates of
//! a column are told once, and what is left are columns of numbers. Each is told after the ones before it, which are known by then
//! at every row: a number as the difference from what others let expect, its bits under circumstances made of what is known.
//! What is
//! expected, and which circumstances are telling, the writer finds out ([`search`]) and says before the column ([`column::Plan`]).
//! Lines of any other shape, such as those of the header, are told letter by letter.

mod block;
mod cells;
mod column;
mod draft;
mod layout;
mod lines;
mod search;
mod spelling;

use std::rc::Rc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::mix::{hash, Coder, Form, Lean, Reader, Room, Writer};
use crate::{guarded, refused, Outcome};
use cells::Texts;
use column::{Column, Rows};
use draft::{block_of, Draft};
use search::Search;

const NOTHING_SUCH: &str = "something that was never told";
const TOO_LARGE: &str = "there are more bytes than there may be";
/// What a block has at most: bytes, lines, and numbers in its columns.
const MOST_TEXT: usize = 3 << 23;
const MOST_LINES: usize = 1 << 18;
const MOST_CELLS: usize = 3 << 22;
/// What a key in a template and a column count beside numbers.
const OF_KEY: usize = 4;
const OF_COLUMN: usize = 32;

/// Lines of the tables of letters, as powers of two, at least and at most.
const LETTER_BITS: (u32, u32) = (9, 14);

/// Lines of those tables for a block of so many bytes.
fn letter_bits(bytes: usize) -> u32 {
    (bytes / 8)
        .checked_ilog2()
        .unwrap_or(0)
        .clamp(LETTER_BITS.0, LETTER_BITS.1)
}

/// Take so much of what there may be.
fn take(room: &mut usize, size: usize) -> Outcome<()> {
    *room = room.checked_sub(size).ok_or(TOO_LARGE)?;
    Ok(())
}

/// What has been told of a block so far, and the models of what is no column.
struct Told<C> {
    coder: C,
    heads: Lean<2>,
    letters: Lean<6>,
    tables: Room,
    columns: Vec<Column>,
    search: Search,
    /// How many letters, and how many numbers of columns there may be yet.
    room: usize,
    cells: usize,
}

impl<C: Coder> Told<C> {
    fn new(coder: C, room: usize) -> Self {
        Told {
            coder,
            heads: Lean::new(8, 255),
            letters: Lean::new(0, 255),
            tables: Room::default(),
            columns: Vec::new(),
            search: Search::default(),
            room,
            cells: room
                .saturating_mul(64)
                .saturating_add(1 << 12)
                .min(MOST_CELLS),
        }
    }

    /// A number that stands alone.
    fn head(&mut self, value: u32, of: u64) -> u32 {
        const FORM: Form = Form {
            signed: true,
            depth: 32,
        };
        self.heads.hashes = [1, hash(2, of)];
        self.heads
            .number(&mut self.coder, value as i32, FORM)
            .unsigned_abs()
    }

    /// A text, letter by letter up to a zero.
    fn text(&mut self, given: Option<&[u8]>, of: u64, into: &mut Texts) -> Outcome<()> {
        let start = into.bytes.len();
        let before = into
            .len()
            .checked_sub(1)
            .and_then(|last| into.get(last))
            .unwrap_or(&[])
            .to_vec();
        let mut last = [0u64; 6];
        for place in 0.. {
            let at = |back: usize| last[back - 1] << (8 * back - 8);
            let two = at(1) | at(2);
            let above = before.get(place).copied().unwrap_or(0);
            let next = before.get(place + 1).copied().unwrap_or(0);
            self.letters.hashes = [
                hash(1, of),
                hash(2, last[0]),
                hash(3, two),
                hash(4, u64::from(above) << 16 | u64::from(next) << 8 | last[0]),
                hash(5, two | at(3) | 1 << 40),
                hash(6, two | at(3) | at(4) | at(5)),
            ];
            let letter = given.and_then(|text| text.get(place)).copied().unwrap_or(0);
            let letter = self.letters.byte(&mut self.coder, letter);
            if letter == 0 {
                break;
            }
            self.room = self.room.checked_sub(1).ok_or(TOO_LARGE)?;
            into.bytes.push(letter);
            last.rotate_right(1);
            last[0] = u64::from(letter);
        }
        debug_assert!(given.is_none_or(|text| text == &into.bytes[start..]));
        into.ends.push(into.bytes.len() as u32);
        Ok(())
    }

    /// A column of numbers at some rows; `scale` says how many decimals they have.
    fn column(
        &mut self,
        rows: &Rows,
        given: Option<Vec<i32>>,
        scale: Option<u32>,
    ) -> Outcome<usize> {
        take(&mut self.cells, OF_COLUMN + rows.len())?;
        if self.coder.is_exhausted() {
            return Err(NOTHING_SUCH.into());
        }
        let number = self.columns.len();
        let constant = given.as_ref().and_then(|values| search::constant(values));
        let is_constant = self.head(u32::from(given.is_some() && constant.is_none()), 10) == 0;
        let (values, constant) = if rows.is_empty() || is_constant {
            let value = column::folded(constant.unwrap_or(0));
            (Vec::new(), Some(column::unfolded(self.head(value, 11))))
        } else {
            let plan = given
                .as_ref()
                .map(|values| self.search.plan(&self.columns, rows, values, scale));
            let plan = self.plan(plan.as_ref(), number)?;
            let values = plan.pass(
                &mut self.coder,
                &self.columns,
                rows,
                given.as_deref(),
                &mut self.tables,
            );
            if values.len() < rows.len() {
                return Err(NOTHING_SUCH.into());
            }
            (values, None)
        };
        self.search.scales.push(scale);
        self.columns.push(Column {
            rows: Rc::clone(rows),
            values,
            constant,
        });
        Ok(number)
    }
}

/// Each block behind how many bytes it takes, and how many it stands for.
fn encode(text: &[u8]) -> Outcome<Vec<u8>> {
    if text.contains(&0) {
        return Err("there is a byte 0 in the text".into());
    }
    let mut encoded = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (block, after) = rest.split_at(block_of(rest));
        encode_block(block, &mut encoded)?;
        rest = after;
    }
    Ok(encoded)
}

/// A block, or its halves if there is too much in it.
fn encode_block(block: &[u8], encoded: &mut Vec<u8>) -> Outcome<()> {
    let mut told = Told::new(Writer::new(), block.len());
    if let Err(reason) = told.block(Some(&Draft::new(block))) {
        let middle = block.len() / 2;
        let end = block[..middle]
            .iter()
            .rposition(|&byte| byte == b'\n')
            .ok_or(reason)?;
        encode_block(&block[..=end], encoded)?;
        return encode_block(&block[end + 1..], encoded);
    }
    let bytes = told.coder.finish();
    for size in [bytes.len(), block.len()] {
        let size = u32::try_from(size).map_err(|_| TOO_LARGE)?;
        encoded.extend_from_slice(&size.to_le_bytes());
    }
    encoded.extend_from_slice(&bytes);
    Ok(())
}

/// The bytes of each block, and how many they stand for.
fn blocks(encoded: &[u8]) -> Outcome<Vec<(&[u8], usize)>> {
    const CUT_OFF: &str = "the encoding is cut off";
    let mut blocks = Vec::new();
    let mut rest = encoded;
    while !rest.is_empty() {
        let (sizes, after) = rest.split_first_chunk::<8>().ok_or(CUT_OFF)?;
        let [size, text] =
            [0, 4].map(|at| u32::from_le_bytes([0, 1, 2, 3].map(|byte| sizes[at + byte])) as usize);
        let (bytes, after) = after.split_at_checked(size).ok_or(CUT_OFF)?;
        blocks.push((bytes, text));
        rest = after;
    }
    Ok(blocks)
}

/// The text of a block, of so many bytes.
fn decode(bytes: &[u8], size: usize) -> Outcome<Vec<u8>> {
    let mut told = Told::new(Reader::new(bytes.to_vec()), size);
    let block = told.block(None)?;
    let mut text = Vec::with_capacity(size);
    block.render(&told.columns, size, &mut text)?;
    if text.len() < size {
        return Err(NOTHING_SUCH.into());
    }
    Ok(text)
}

#[pyfunction]
pub fn variants_encode<'py>(python: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let encoded = python.detach(|| guarded(|| encode(text)));
    Ok(PyBytes::new(python, &encoded.map_err(refused)?))
}

#[pyfunction]
pub fn variants_decode<'py>(
    python: Python<'py>,
    encoded: &[u8],
    limit: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    let blocks = blocks(encoded).map_err(refused)?;
    let sizes = blocks.iter().map(|&(_, size)| size);
    let size = sizes.fold(0usize, usize::saturating_add);
    if size > limit {
        return Err(refused(TOO_LARGE.into()));
    }
    PyBytes::new_with(python, size, |mut text| {
        for (bytes, size) in blocks {
            let block = python.detach(|| guarded(|| decode(bytes, size)));
            let (before, after) = text.split_at_mut(size);
            before.copy_from_slice(&block.map_err(refused)?);
            text = after;
        }
        Ok(())
    })
}
