//! A block of lines: which columns it has, in which order they are told.

use std::collections::HashMap;
use std::rc::Rc;

use super::cells::{shared, Cell, Cut, Texts};
use super::column::Rows;
use super::draft::{Cells, Draft, FIXED};
use super::layout::{info_keys, parts, sample_keys, Key};
use super::lines::Ends;
use super::{
    letter_bits, take, Told, LETTER_BITS, MOST_CELLS, MOST_LINES, NOTHING_SUCH, OF_COLUMN, OF_KEY,
    TOO_LARGE,
};
use crate::mix::{Coder, Lean};
use crate::Outcome;

/// A block of lines, as it was told.
pub(super) struct Block {
    pub(super) carriage: bool,
    pub(super) ended: bool,
    pub(super) lines: u32,
    /// Which lines are no variants, and what they say.
    pub(super) others: Vec<u32>,
    pub(super) texts: Texts,
    pub(super) chromosome: Cell,
    pub(super) id: Cell,
    pub(super) reference: Cell,
    pub(super) rest: Cell,
    pub(super) alternatives: Cell,
    pub(super) quality: Cell,
    pub(super) filter: Cell,
    pub(super) info: Cell,
    /// Of each template of the information, where its values stand, and in which cells they are.
    pub(super) infos: Vec<Vec<(u32, u32)>>,
    pub(super) format: Option<Cell>,
    pub(super) samples: Vec<Sample>,
    pub(super) values: Values,
    /// How far each row begins beyond where it is expected to.
    pub(super) beyond: usize,
}

/// What a sample has in each row.
pub(super) struct Sample {
    /// The column of how many values are left out.
    pub(super) left_out: usize,
    /// Of each template of the format, the cells of its values.
    pub(super) cells: Vec<Vec<usize>>,
}

/// The cells of all values, and which are those of a key.
#[derive(Default)]
pub(super) struct Values {
    pub(super) cells: Vec<Cell>,
    pub(super) keys: HashMap<Key, usize>,
}

/// Which cells of values there will be.
pub(super) struct Coming {
    pub(super) first: usize,
    pub(super) keys: Vec<Key>,
    pub(super) rows: Vec<Vec<u32>>,
}

impl Values {
    pub(super) fn coming(&self) -> Coming {
        Coming {
            first: self.cells.len(),
            keys: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// The cell of a key, one to come if there is none.
    pub(super) fn cell(
        &mut self,
        coming: &mut Coming,
        key: Key,
        room: &mut usize,
    ) -> Outcome<usize> {
        let next = coming.first + coming.keys.len();
        let cell = *self.keys.entry(key.clone()).or_insert(next);
        if cell == next {
            take(room, OF_COLUMN)?;
            coming.keys.push(key);
            coming.rows.push(Vec::new());
        }
        Ok(cell)
    }

    /// The cell of the ends of blocks of reference.
    pub(super) fn end(&self) -> Option<usize> {
        self.keys.get(&Key::end()).copied()
    }
}

impl<C: Coder> Told<C> {
    /// A block, told or heard.
    pub(super) fn block(&mut self, draft: Option<&Draft>) -> Outcome<Block> {
        let lines = self.head(draft.map_or(0, |draft| draft.lines), 0);
        let ends = draft.map_or(0, |draft| {
            u32::from(draft.carriage) << 1 | u32::from(draft.ended)
        });
        let ends = self.head(ends, 1);
        let fields = self.head(draft.map_or(0, |draft| draft.fields as u32), 2) as usize;
        let count = self.head(draft.map_or(0, |draft| draft.others.len() as u32), 3);
        if lines as usize > MOST_LINES || count > lines || fields > MOST_CELLS {
            return Err(TOO_LARGE.into());
        }
        let bits = self.head(draft.map_or(0, |draft| letter_bits(draft.bytes)), 5);
        self.letters = Lean::new(bits.clamp(LETTER_BITS.0, LETTER_BITS.1), 255);
        let mut others = Vec::new();
        let mut texts = Texts::default();
        let mut next = 0u32;
        for number in 0..count as usize {
            let given = draft.map(|draft| draft.others[number]);
            let skipped = self.head(given.map_or(0, |(line, _)| line - next), 4);
            next = next.saturating_add(skipped);
            others.push(next);
            next = next.saturating_add(1);
            self.text(given.map(|(_, text)| text), 0, &mut texts)?;
        }
        if next > lines {
            return Err(NOTHING_SUCH.into());
        }
        let all: Rows = Rc::new((0..lines - count).collect());
        let chromosome = self.cell(&all, draft.map(|draft| &draft.chromosome), 1, Cut::Whole)?;
        let format = match fields {
            0..=FIXED => None,
            _ => Some(self.cell(&all, draft.map(|draft| &draft.format), 2, Cut::Whole)?),
        };
        let info = self.cell(&all, draft.map(|draft| &draft.info), 3, Cut::Whole)?;
        let alternatives =
            self.cell(&all, draft.map(|draft| &draft.alternatives), 4, Cut::Freely)?;
        let reference = self.cell(&all, draft.map(|draft| &draft.reference), 5, Cut::Whole)?;
        let rest = self.cell(&all, draft.map(|draft| &draft.rest), 5, Cut::Whole)?;
        let filter = self.cell(&all, draft.map(|draft| &draft.filter), 6, Cut::Freely)?;
        let mut values = Values::default();
        let samples = match &format {
            Some(format) => self.samples(format, &mut values, draft, &all, fields - FIXED - 1)?,
            None => Vec::new(),
        };
        let quality = self.cell(&all, draft.map(|draft| &draft.quality), 7, Cut::Freely)?;
        let infos = self.information(&info, &mut values, draft, &all)?;
        let id = self.cell(&all, draft.map(|draft| &draft.id), 8, Cut::Freely)?;
        let mut block = Block {
            carriage: ends & 2 != 0,
            ended: ends & 1 != 0,
            lines,
            others,
            texts,
            chromosome,
            id,
            reference,
            rest,
            alternatives,
            quality,
            filter,
            info,
            infos,
            format,
            samples,
            values,
            beyond: 0,
        };
        let given = draft
            .map(|draft| self.beyond(&block, &draft.places))
            .transpose()?;
        block.beyond = self.column(&all, given, Some(0))?;
        Ok(block)
    }

    /// The values of all samples, key by key.
    pub(super) fn samples(
        &mut self,
        format: &Cell,
        values: &mut Values,
        draft: Option<&Draft>,
        all: &Rows,
        samples: usize,
    ) -> Outcome<Vec<Sample>> {
        let mut templates: Vec<Vec<Rc<[u8]>>> = Vec::new();
        for template in format.all_templates() {
            take(&mut self.cells, OF_KEY * parts(template, b':'))?;
            templates.push(sample_keys(template));
        }
        let mut told = Vec::new();
        for number in 0..samples {
            let given = draft.map(|draft| draft.left_out.get(number).cloned().unwrap_or_default());
            let left_out = self.column(all, given, None)?;
            let mut coming = values.coming();
            let mut cells: Vec<Vec<usize>> = Vec::new();
            for names in &templates {
                take(&mut self.cells, names.len())?;
                let keys = names
                    .iter()
                    .map(|name| Key::Sample(number as u32, Rc::clone(name)));
                let found = keys.map(|key| values.cell(&mut coming, key, &mut self.cells));
                cells.push(found.collect::<Outcome<_>>()?);
            }
            for (row, template) in format.templates(&self.columns).enumerate() {
                let cells = cells.get(template).ok_or(NOTHING_SUCH)?;
                let left_out = usize::try_from(self.columns[left_out].get(row)).ok();
                let count = left_out.and_then(|left_out| cells.len().checked_sub(left_out));
                let count = count.ok_or(NOTHING_SUCH)?;
                take(&mut self.cells, count)?;
                for &cell in &cells[..count] {
                    coming.rows[cell - coming.first].push(row as u32);
                }
            }
            told.push(Sample { left_out, cells });
            self.values(values, coming, draft, all)?;
        }
        Ok(told)
    }

    /// The values of the information, key by key.
    pub(super) fn information(
        &mut self,
        info: &Cell,
        values: &mut Values,
        draft: Option<&Draft>,
        all: &Rows,
    ) -> Outcome<Vec<Vec<(u32, u32)>>> {
        let mut coming = values.coming();
        let mut infos: Vec<Vec<(u32, u32)>> = Vec::new();
        for template in info.all_templates() {
            let mut found = Vec::new();
            for (place, key) in info_keys(template) {
                take(&mut self.cells, OF_KEY)?;
                let cell = values.cell(&mut coming, key, &mut self.cells)?;
                found.push((place as u32, cell as u32));
            }
            infos.push(found);
        }
        for (row, template) in info.templates(&self.columns).enumerate() {
            let cells = infos.get(template).ok_or(NOTHING_SUCH)?;
            take(&mut self.cells, cells.len())?;
            for &(_, cell) in cells {
                coming.rows[cell as usize - coming.first].push(row as u32);
            }
        }
        self.values(values, coming, draft, all)?;
        Ok(infos)
    }

    pub(super) fn values(
        &mut self,
        values: &mut Values,
        coming: Coming,
        draft: Option<&Draft>,
        all: &Rows,
    ) -> Outcome<()> {
        let none = Cells::default();
        for (key, rows) in coming.keys.iter().zip(coming.rows) {
            let given = draft.map(|draft| {
                draft
                    .keys
                    .get(key)
                    .map_or(&none, |&cells| &draft.values[cells])
            });
            let less = draft.filter(|_| *key == Key::end()).map(|draft| {
                let places = rows.iter().map(|&row| draft.places[row as usize]);
                places.collect::<Vec<_>>()
            });
            let rows = shared(rows, all);
            let of = 16 + values.cells.len() as u64;
            values.cells.push(self.cell(
                &rows,
                given,
                of,
                less.as_deref().map_or(Cut::Freely, Cut::Less),
            )?);
        }
        Ok(())
    }

    pub(super) fn beyond(&self, block: &Block, places: &[i32]) -> Outcome<Vec<i32>> {
        let mut ends = Ends::new(block);
        let mut found = Vec::with_capacity(places.len());
        for &place in places {
            let expected = ends.expected(block, &self.columns)?;
            found.push((i64::from(place) - expected) as i32);
            ends.see(block, &self.columns, i64::from(place))?;
        }
        Ok(found)
    }
}
