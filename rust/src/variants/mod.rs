//! Variants of a person, as VCF and gVCF tell them, by columns.
//!
//! A text is cut into blocks of lines; in a block each line that is a variant into cells, a cell into a *template* and numbers. Templates of
//! a column are told once, and what is left are columns of numbers. Each is told after the ones before it, which are known by then
//! at every row: a number as the difference from what others let expect, its bits under circumstances made of what is known. What is
//! expected, and which circumstances are telling, the writer finds out ([`search`]) and says before the column ([`column::Plan`]).
//! Lines of any other shape, such as those of the header, are told letter by letter.

mod column;
mod draft;
mod layout;
mod search;
mod spelling;

use std::collections::HashMap;
use std::rc::Rc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::mix::{hash, Coder, Form, Lean, Reader, Room, Writer};
use crate::{guarded, refused, Outcome};
use column::{Column, Rows};
use draft::{block_of, Cells, Draft, FIXED};
use layout::{info_keys, parts, sample_keys, Key};
use search::Search;
use spelling::{cut, fill, holes, is_integer, is_numeric, style_of, Style};

const NOTHING_SUCH: &str = "something that was never told";
const TOO_LARGE: &str = "there are more bytes than there may be";
/// What a block has at most: bytes, lines, and numbers in its columns.
const MOST_TEXT: usize = 3 << 23;
const MOST_LINES: usize = 1 << 18;
const MOST_CELLS: usize = 3 << 22;
/// What a key in a template and a column count beside numbers.
const OF_KEY: usize = 4;
const OF_COLUMN: usize = 32;
/// Numbers of a cell from here on share a column.
const MOST_HOLES: usize = 16;
/// A column of no more different texts than this is not cut into numbers, if there is more than numbers in it; if there are lists of numbers, of no more than
/// the second; one of single numbers is.
const FEW_TEXTS: usize = 256;
const FEW_NUMBERS: usize = 12;

/// Lines of the tables of letters, as powers of two, at least and at most.
const LETTER_BITS: (u32, u32) = (9, 14);

/// Lines of those tables for a block of so many bytes.
fn letter_bits(bytes: usize) -> u32 {
    (bytes / 8)
        .checked_ilog2()
        .unwrap_or(0)
        .clamp(LETTER_BITS.0, LETTER_BITS.1)
}

/// Texts one after another.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Texts {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, number: usize) -> Option<&[u8]> {
        let end = *self.ends.get(number)? as usize;
        let start = number
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize);
        Some(&self.bytes[start..end])
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|number| self.get(number))
    }

    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as u32);
    }
}

/// A column of cells.
struct Cell {
    style: Style,
    rows: Rows,
    /// Templates that occur more than once, the most frequent first.
    frequent: Texts,
    /// The others, by row.
    single: Texts,
    /// Of each row the number of its template, counted from one, or 0 for the next single one.
    numbers: usize,
    /// The columns of the numbers in the templates.
    holes: Vec<usize>,
}

/// Reads a column of cells by rows that ascend.
struct Walk {
    place: usize,
    single: usize,
    holes: Vec<usize>,
}

impl Cell {
    fn walk(&self) -> Walk {
        Walk {
            place: 0,
            single: 0,
            holes: vec![0; self.holes.len()],
        }
    }

    /// The number of each row's template among all, the single ones behind.
    fn templates<'a>(&'a self, columns: &'a [Column]) -> impl Iterator<Item = usize> + 'a {
        let mut single = self.frequent.len();
        let numbers = &columns[self.numbers];
        (0..self.rows.len()).map(move |place| match numbers.get(place) {
            number if number > 0 => number as usize - 1,
            _ => {
                single += 1;
                single - 1
            }
        })
    }

    fn template(&self, number: usize) -> Option<&[u8]> {
        match number.checked_sub(self.frequent.len()) {
            Some(single) => self.single.get(single),
            None => self.frequent.get(number),
        }
    }

    fn all_templates(&self) -> impl Iterator<Item = &[u8]> {
        self.frequent.iter().chain(self.single.iter())
    }

    /// The number of the next row's template.
    fn next_number(&self, columns: &[Column], walk: &mut Walk) -> Outcome<usize> {
        if walk.place == self.rows.len() {
            return Err(NOTHING_SUCH.into());
        }
        let number = columns[self.numbers].get(walk.place);
        walk.place += 1;
        Ok(match number.checked_sub(1) {
            Some(frequent) if number > 0 => frequent as usize,
            _ => {
                walk.single += 1;
                self.frequent.len() + walk.single - 1
            }
        })
    }

    /// The next row's template.
    fn next<'a>(&'a self, columns: &[Column], walk: &mut Walk) -> Outcome<&'a [u8]> {
        let number = self.next_number(columns, walk)?;
        self.template(number).ok_or(NOTHING_SUCH.into())
    }

    /// What stands in the cell of that template.
    fn write(
        &self,
        columns: &[Column],
        walk: &mut Walk,
        template: &[u8],
        first: u8,
        add: i32,
        into: &mut Vec<u8>,
    ) {
        let mut hole = 0;
        let number = || {
            let at = hole.min(MOST_HOLES - 1);
            hole += 1;
            let place = walk.holes[at];
            walk.holes[at] += 1;
            columns[self.holes[at]].get(place).saturating_add(add)
        };
        fill(template, self.style, number, first, into);
    }
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

    /// A column of cells at some rows.
    fn cell(&mut self, rows: &Rows, given: Option<&Cells>, of: u64, how: Cut) -> Outcome<Cell> {
        let cut = given.map(|cells| Pieces::of(cells, how));
        let style = cut.as_ref().map_or(Style::default(), |cut| cut.style);
        let style = self.head(style.decimals << 1 | u32::from(style.stripped), 12);
        let mut cell = Cell {
            style: Style {
                decimals: (style >> 1).min(8),
                stripped: style & 1 != 0,
            },
            rows: Rc::clone(rows),
            frequent: Texts::default(),
            single: Texts::default(),
            numbers: 0,
            holes: Vec::new(),
        };
        let count = self.head(cut.as_ref().map_or(0, |cut| cut.frequent.len() as u32), 13);
        if count as usize > rows.len() {
            return Err(NOTHING_SUCH.into());
        }
        for number in 0..count as usize {
            let template = cut.as_ref().and_then(|cut| cut.frequent.get(number));
            self.text(template, of, &mut cell.frequent)?;
        }
        cell.numbers = self.column(rows, cut.as_ref().map(|cut| cut.numbers.clone()), None)?;
        let numbers = &self.columns[cell.numbers];
        let single = match numbers.constant {
            Some(number) if number > 0 => 0,
            Some(_) => rows.len(),
            None => numbers.values.iter().filter(|&&number| number <= 0).count(),
        };
        for number in 0..single {
            let template = cut.as_ref().and_then(|cut| cut.single.get(number));
            self.text(template, of, &mut cell.single)?;
        }
        let counts: Vec<usize> = cell.all_templates().map(holes).collect();
        let most = counts.iter().copied().max().unwrap_or(0).min(MOST_HOLES);
        let scale = |cell: &Cell| {
            cell.all_templates()
                .any(|one| one.contains(&1))
                .then_some(cell.style.decimals)
        };
        for hole in 0..most {
            let mut held = Vec::new();
            for (template, &row) in cell.templates(&self.columns).zip(rows.iter()) {
                let count = *counts.get(template).ok_or(NOTHING_SUCH)?;
                let times = if hole + 1 < MOST_HOLES {
                    usize::from(count > hole)
                } else {
                    (count + 1).saturating_sub(MOST_HOLES)
                };
                if held.len() + times > self.cells {
                    return Err(TOO_LARGE.into());
                }
                held.extend(std::iter::repeat_n(row, times));
            }
            held.shrink_to_fit();
            let held = shared(held, rows);
            let values = cut.as_ref().map(|cut| cut.holes[hole].clone());
            let column = self.column(&held, values, scale(&cell))?;
            cell.holes.push(column);
        }
        Ok(cell)
    }
}

/// The rows, or those that are the same already.
fn shared(rows: Vec<u32>, known: &Rows) -> Rows {
    if rows == **known {
        Rc::clone(known)
    } else {
        Rc::new(rows)
    }
}

/// How cells are cut.
#[derive(Clone, Copy, PartialEq)]
enum Cut<'a> {
    Whole,
    /// Into templates and numbers, or not, whatever suits them.
    Freely,
    /// Into templates and numbers; of those that are one integer so much is taken off.
    Less(&'a [i32]),
}

/// The cells of a column, cut into templates and numbers.
struct Pieces {
    style: Style,
    frequent: Texts,
    single: Texts,
    numbers: Vec<i32>,
    holes: Vec<Vec<i32>>,
}

impl Pieces {
    fn of(cells: &Cells, how: Cut) -> Self {
        let mut times = vec![0usize; cells.texts.len()];
        for &id in &cells.ids {
            times[id as usize] += 1;
        }
        let texts = || cells.texts.iter().map(|text| text.bytes());
        let style = style_of(texts().zip(times.iter().copied()));
        let mut found: HashMap<Vec<u8>, u32> = HashMap::new();
        let mut templates: Vec<(Vec<u8>, usize)> = Vec::new();
        let mut of_text = Vec::with_capacity(cells.texts.len());
        let mut values: Vec<i32> = Vec::new();
        let mut ends = vec![0];
        let is_whole =
            |numeric: bool| texts().len() <= if numeric { FEW_NUMBERS } else { FEW_TEXTS };
        let mut intern =
            |template: Vec<u8>, times: usize, templates: &mut Vec<(Vec<u8>, usize)>| {
                let next = templates.len() as u32;
                let id = *found.entry(template).or_insert_with_key(|template| {
                    templates.push((template.clone(), 0));
                    next
                });
                templates[id as usize].1 += times;
                id
            };
        let mut whole = matches!(how, Cut::Whole | Cut::Freely);
        let mut lone = how == Cut::Freely;
        for (text, &times) in texts().zip(&times) {
            let mut template = Vec::new();
            cut(text, style, &mut template, &mut values);
            whole &= how == Cut::Whole || is_whole(is_numeric(&template));
            lone &= template.len() == 1 && holes(&template) == 1;
            of_text.push(intern(template, times, &mut templates));
            ends.push(values.len());
        }
        if whole && !lone {
            found.clear();
            templates.clear();
            values.clear();
            ends.fill(0);
            templates.extend(texts().map(|text| text.to_vec()).zip(times.iter().copied()));
            of_text = (0..templates.len() as u32).collect();
        }
        let mut order: Vec<usize> = (0..templates.len())
            .filter(|&one| templates[one].1 > 1)
            .collect();
        order.sort_by_key(|&one| std::cmp::Reverse(templates[one].1));
        let mut pieces = Pieces {
            style,
            frequent: Texts::default(),
            single: Texts::default(),
            numbers: Vec::with_capacity(cells.ids.len()),
            holes: Vec::new(),
        };
        let mut ranks = vec![0; templates.len()];
        for (rank, &one) in order.iter().enumerate() {
            ranks[one] = rank as i32 + 1;
            pieces.frequent.push(&templates[one].0);
        }
        for (place, &id) in cells.ids.iter().enumerate() {
            let id = id as usize;
            let template = of_text[id] as usize;
            pieces.numbers.push(ranks[template]);
            if ranks[template] == 0 {
                pieces.single.push(&templates[template].0);
            }
            let less = match how {
                Cut::Less(less) if is_integer(&templates[template].0, style) => less[place],
                _ => 0,
            };
            for (hole, &value) in values[ends[id]..ends[id + 1]].iter().enumerate() {
                let hole = hole.min(MOST_HOLES - 1);
                if pieces.holes.len() <= hole {
                    pieces.holes.push(Vec::new());
                }
                pieces.holes[hole].push(value - less);
            }
        }
        pieces
    }
}

// ── blocks ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A block of lines, as it was told.
struct Block {
    carriage: bool,
    ended: bool,
    lines: u32,
    /// Which lines are no variants, and what they say.
    others: Vec<u32>,
    texts: Texts,
    chromosome: Cell,
    id: Cell,
    reference: Cell,
    rest: Cell,
    alternatives: Cell,
    quality: Cell,
    filter: Cell,
    info: Cell,
    /// Of each template of the information, where its values stand, and in which cells they are.
    infos: Vec<Vec<(u32, u32)>>,
    format: Option<Cell>,
    samples: Vec<Sample>,
    values: Values,
    /// How far each row begins beyond where it is expected to.
    beyond: usize,
}

/// What a sample has in each row.
struct Sample {
    /// The column of how many values are left out.
    left_out: usize,
    /// Of each template of the format, the cells of its values.
    cells: Vec<Vec<usize>>,
}

/// The cells of all values, and which are those of a key.
#[derive(Default)]
struct Values {
    cells: Vec<Cell>,
    keys: HashMap<Key, usize>,
}

/// Take so much of what there may be.
fn take(room: &mut usize, size: usize) -> Outcome<()> {
    *room = room.checked_sub(size).ok_or(TOO_LARGE)?;
    Ok(())
}

/// Which cells of values there will be.
struct Coming {
    first: usize,
    keys: Vec<Key>,
    rows: Vec<Vec<u32>>,
}

impl Values {
    fn coming(&self) -> Coming {
        Coming {
            first: self.cells.len(),
            keys: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// The cell of a key, one to come if there is none.
    fn cell(&mut self, coming: &mut Coming, key: Key, room: &mut usize) -> Outcome<usize> {
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
    fn end(&self) -> Option<usize> {
        self.keys.get(&Key::end()).copied()
    }
}

impl<C: Coder> Told<C> {
    /// A block, told or heard.
    fn block(&mut self, draft: Option<&Draft>) -> Outcome<Block> {
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
    fn samples(
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
    fn information(
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

    fn values(
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

    fn beyond(&self, block: &Block, places: &[i32]) -> Outcome<Vec<i32>> {
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

/// Follows where rows end.
struct Ends {
    row: u32,
    chromosome: Walk,
    rest: Walk,
    /// The cell of ends, if there is one.
    end: Option<(usize, Walk)>,
    /// Which chromosome the row is of, and which the one before and where it ended.
    now: usize,
    before: Option<(usize, i64)>,
}

impl Ends {
    fn new(block: &Block) -> Self {
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
    fn expected(&mut self, block: &Block, columns: &[Column]) -> Outcome<i64> {
        self.now = block
            .chromosome
            .next_number(columns, &mut self.chromosome)?;
        Ok(match self.before {
            Some((chromosome, end)) if chromosome == self.now => end.saturating_add(1),
            _ => 0,
        })
    }

    /// The row begins there; how far it reaches is said by its end, or else by the length of its reference.
    fn see(&mut self, block: &Block, columns: &[Column], place: i64) -> Outcome<()> {
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

// ── lines again ───────────────────────────────────────────────────────────────────────────────────────────────────

/// Writes rows, each cell in its place.
struct Rendering<'a> {
    block: &'a Block,
    columns: &'a [Column],
    ends: Ends,
    row: usize,
    walks: [Walk; 8],
    format: Option<(&'a Cell, Walk)>,
    values: Vec<Walk>,
    end: Option<usize>,
}

impl Block {
    /// The lines, if they and what is there already have at most so many bytes.
    fn render(&self, columns: &[Column], limit: usize, into: &mut Vec<u8>) -> Outcome<()> {
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
    fn row(&mut self, into: &mut Vec<u8>) -> Outcome<()> {
        let block = self.block;
        let expected = self.ends.expected(block, self.columns)?;
        let place = expected + i64::from(self.columns[block.beyond].get(self.row));
        self.ends.see(block, self.columns, place)?;
        self.cell(0, &block.chromosome, 0, into)?;
        into.push(b'\t');
        spelling::digits(place.clamp(0, i64::from(column::MOST)), 1, into);
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

    fn cell(&mut self, walk: usize, cell: &Cell, first: u8, into: &mut Vec<u8>) -> Outcome<()> {
        Self::of(cell, self.columns, &mut self.walks[walk], first, 0, into)
    }

    fn value(&mut self, cell: usize, add: i64, into: &mut Vec<u8>) -> Outcome<()> {
        let add = add.clamp(0, i64::from(column::MOST)) as i32;
        Self::of(
            &self.block.values.cells[cell],
            self.columns,
            &mut self.values[cell],
            0,
            add,
            into,
        )
    }

    fn of(
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

// ── the whole ─────────────────────────────────────────────────────────────────────────────────────────────────────

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
