//! Lines again: where rows end, and their cells put together.

use super::block::Block;
use super::cells::{Cell, Walk, MOST_HOLES};
use super::column::{Column, MOST};
use super::spelling::{digits, holes, is_integer};
use super::{NOTHING_SUCH, TOO_LARGE};
use crate::Outcome;

/// Follows where rows end.
pub(super) struct Ends {
    pub(super) row: u32,
    pub(super) chromosome: Walk,
    pub(super) rest: Walk,
    /// The cell of ends, if there is one.
    pub(super) end: Option<(usize, Walk)>,
    /// Which chromosome the row is of, and which the one before and where it ended.
    pub(super) now: usize,
    pub(super) before: Option<(usize, i64)>,
}

impl Ends {
    pub(super) fn new(block: &Block) -> Self {
        Ends {
            row: 0,
            chromosome: block.chromosome.walk(),
            rest: block.rest.walk(),
            end: block
                .values
                .end()
                .map(|cell| (cell, block.values.cells[cell].walk())),
            now: 0,
            before: None,
        }
    }

    /// Where the next row is expected to begin: where the one before ended, if it is of the same chromosome.
    pub(super) fn expected(&mut self, block: &Block, columns: &[Column]) -> Outcome<i64> {
        self.now = block
            .chromosome
            .next_number(columns, &mut self.chromosome)?;
        Ok(match self.before {
            Some((chromosome, end)) if chromosome == self.now => end.saturating_add(1),
            _ => 0,
        })
    }

    /// The row begins there; how far it reaches is said by its end, or else by the length of its reference.
    pub(super) fn see(&mut self, block: &Block, columns: &[Column], place: i64) -> Outcome<()> {
        let mut reach = block.rest.next(columns, &mut self.rest)?.len() as i64;
        if let Some((cell, walk)) = &mut self.end {
            let cell = &block.values.cells[*cell];
            if cell.rows.get(walk.place) == Some(&self.row) {
                let template = cell.next(columns, walk)?;
                if is_integer(template, cell.style) {
                    reach = i64::from(columns[cell.holes[0]].get(walk.holes[0]));
                }
                for hole in 0..holes(template) {
                    walk.holes[hole.min(MOST_HOLES - 1)] += 1;
                }
            }
        }
        self.before = Some((self.now, place.saturating_add(reach)));
        self.row += 1;
        Ok(())
    }
}

/// Writes rows, each cell in its place.
pub(super) struct Rendering<'a> {
    pub(super) block: &'a Block,
    pub(super) columns: &'a [Column],
    pub(super) ends: Ends,
    pub(super) row: usize,
    pub(super) walks: [Walk; 8],
    pub(super) format: Option<(&'a Cell, Walk)>,
    pub(super) values: Vec<Walk>,
    pub(super) end: Option<usize>,
}

impl Block {
    /// The lines, if they and what is there already have at most so many bytes.
    pub(super) fn render(
        &self,
        columns: &[Column],
        limit: usize,
        into: &mut Vec<u8>,
    ) -> Outcome<()> {
        let cells = [
            &self.chromosome,
            &self.id,
            &self.reference,
            &self.rest,
            &self.alternatives,
            &self.quality,
            &self.filter,
            &self.info,
        ];
        let mut rendering = Rendering {
            block: self,
            columns,
            ends: Ends::new(self),
            row: 0,
            walks: cells.map(Cell::walk),
            format: self.format.as_ref().map(|cell| (cell, cell.walk())),
            values: self.values.cells.iter().map(Cell::walk).collect(),
            end: self.values.end(),
        };
        let mut others = self.others.iter().zip(self.texts.iter()).peekable();
        for line in 0..self.lines {
            match others.next_if(|&(&other, _)| other == line) {
                Some((_, text)) => into.extend_from_slice(text),
                None => {
                    rendering.row(into)?;
                    if self.carriage {
                        into.push(b'\r');
                    }
                }
            }
            if self.ended || line + 1 < self.lines {
                into.push(b'\n');
            }
            if into.len() > limit {
                return Err(TOO_LARGE.into());
            }
        }
        Ok(())
    }
}

impl Rendering<'_> {
    pub(super) fn row(&mut self, into: &mut Vec<u8>) -> Outcome<()> {
        let block = self.block;
        let expected = self.ends.expected(block, self.columns)?;
        let place = expected + i64::from(self.columns[block.beyond].get(self.row));
        self.ends.see(block, self.columns, place)?;
        self.cell(0, &block.chromosome, 0, into)?;
        into.push(b'\t');
        digits(place.clamp(0, i64::from(MOST)), 1, into);
        into.push(b'\t');
        self.cell(1, &block.id, 0, into)?;
        into.push(b'\t');
        self.cell(2, &block.reference, 0, into)?;
        let first = into.last().copied().unwrap_or(0);
        self.cell(3, &block.rest, 0, into)?;
        into.push(b'\t');
        self.cell(4, &block.alternatives, first, into)?;
        into.push(b'\t');
        self.cell(5, &block.quality, 0, into)?;
        into.push(b'\t');
        self.cell(6, &block.filter, 0, into)?;
        into.push(b'\t');
        let number = block.info.next_number(self.columns, &mut self.walks[7])?;
        let template = block.info.template(number).ok_or(NOTHING_SUCH)?;
        let mut start = 0;
        for &(end, cell) in block.infos.get(number).ok_or(NOTHING_SUCH)? {
            into.extend_from_slice(&template[start..end as usize]);
            start = end as usize;
            let cell = cell as usize;
            self.value(cell, if Some(cell) == self.end { place } else { 0 }, into)?;
        }
        into.extend_from_slice(&template[start..]);
        if let Some((format, walk)) = &mut self.format {
            into.push(b'\t');
            let number = format.next_number(self.columns, walk)?;
            let template = format.template(number).ok_or(NOTHING_SUCH)?;
            format.write(self.columns, walk, template, 0, 0, into);
            for sample in &block.samples {
                into.push(b'\t');
                let cells = sample.cells.get(number).ok_or(NOTHING_SUCH)?;
                let left_out = self.columns[sample.left_out].get(self.row).max(0) as usize;
                for (place, &cell) in cells[..cells.len().saturating_sub(left_out)]
                    .iter()
                    .enumerate()
                {
                    if place > 0 {
                        into.push(b':');
                    }
                    Self::of(
                        &block.values.cells[cell],
                        self.columns,
                        &mut self.values[cell],
                        0,
                        0,
                        into,
                    )?;
                }
            }
        }
        self.row += 1;
        Ok(())
    }

    pub(super) fn cell(
        &mut self,
        walk: usize,
        cell: &Cell,
        first: u8,
        into: &mut Vec<u8>,
    ) -> Outcome<()> {
        Self::of(cell, self.columns, &mut self.walks[walk], first, 0, into)
    }

    pub(super) fn value(&mut self, cell: usize, add: i64, into: &mut Vec<u8>) -> Outcome<()> {
        let add = add.clamp(0, i64::from(MOST)) as i32;
        Self::of(
            &self.block.values.cells[cell],
            self.columns,
            &mut self.values[cell],
            0,
            add,
            into,
        )
    }

    pub(super) fn of(
        cell: &Cell,
        columns: &[Column],
        walk: &mut Walk,
        first: u8,
        add: i32,
        into: &mut Vec<u8>,
    ) -> Outcome<()> {
        let template = cell.next(columns, walk)?;
        let add = if is_integer(template, cell.style) {
            add
        } else {
            0
        };
        cell.write(columns, walk, template, first, add, into);
        Ok(())
    }
}
