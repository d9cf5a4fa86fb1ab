//! Columns of cells: their templates, told once, and columns of the numbers in them.

use std::collections::HashMap;
use std::rc::Rc;

use super::column::{Column, Rows};
use super::draft::Cells;
use super::spelling::{cut, fill, holes, is_integer, is_numeric, style_of, Style};
use super::{Told, NOTHING_SUCH, TOO_LARGE};
use crate::mix::Coder;
use crate::Outcome;

/// Numbers of a cell from here on share a column.
pub(super) const MOST_HOLES: usize = 16;
/// A column of no more different texts than this is not cut into numbers, if there is more than numbers in it; if there are
/// lists of numbers, of no more than
/// the second; one of single numbers is.
const FEW_TEXTS: usize = 256;
const FEW_NUMBERS: usize = 12;

/// Texts one after another.
#[derive(Default)]
pub(super) struct Texts {
    pub(super) bytes: Vec<u8>,
    pub(super) ends: Vec<u32>,
}

impl Texts {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, number: usize) -> Option<&[u8]> {
        let end = *self.ends.get(number)? as usize;
        let start = number
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize);
        Some(&self.bytes[start..end])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|number| self.get(number))
    }

    pub(super) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as u32);
    }
}

/// A column of cells.
pub(super) struct Cell {
    pub(super) style: Style,
    pub(super) rows: Rows,
    /// Templates that occur more than once, the most frequent first.
    pub(super) frequent: Texts,
    /// The others, by row.
    pub(super) single: Texts,
    /// Of each row the number of its template, counted from one, or 0 for the next single one.
    pub(super) numbers: usize,
    /// The columns of the numbers in the templates.
    pub(super) holes: Vec<usize>,
}

/// Reads a column of cells by rows that ascend.
pub(super) struct Walk {
    pub(super) place: usize,
    pub(super) single: usize,
    pub(super) holes: Vec<usize>,
}

impl Cell {
    pub(super) fn walk(&self) -> Walk {
        Walk {
            place: 0,
            single: 0,
            holes: vec![0; self.holes.len()],
        }
    }

    /// The number of each row's template among all, the single ones behind.
    pub(super) fn templates<'a>(
        &'a self,
        columns: &'a [Column],
    ) -> impl Iterator<Item = usize> + 'a {
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

    pub(super) fn template(&self, number: usize) -> Option<&[u8]> {
        match number.checked_sub(self.frequent.len()) {
            Some(single) => self.single.get(single),
            None => self.frequent.get(number),
        }
    }

    pub(super) fn all_templates(&self) -> impl Iterator<Item = &[u8]> {
        self.frequent.iter().chain(self.single.iter())
    }

    /// The number of the next row's template.
    pub(super) fn next_number(&self, columns: &[Column], walk: &mut Walk) -> Outcome<usize> {
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
    pub(super) fn next<'a>(&'a self, columns: &[Column], walk: &mut Walk) -> Outcome<&'a [u8]> {
        let number = self.next_number(columns, walk)?;
        self.template(number).ok_or(NOTHING_SUCH.into())
    }

    /// What stands in the cell of that template.
    pub(super) fn write(
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

impl<C: Coder> Told<C> {
    /// A column of cells at some rows.
    pub(super) fn cell(
        &mut self,
        rows: &Rows,
        given: Option<&Cells>,
        of: u64,
        how: Cut,
    ) -> Outcome<Cell> {
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
pub(super) fn shared(rows: Vec<u32>, known: &Rows) -> Rows {
    if rows == **known {
        Rc::clone(known)
    } else {
        Rc::new(rows)
    }
}

/// How cells are cut.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Cut<'a> {
    Whole,
    /// Into templates and numbers, or not, whatever suits them.
    Freely,
    /// Into templates and numbers; of those that are one integer so much is taken off.
    Less(&'a [i32]),
}

/// The cells of a column, cut into templates and numbers.
pub(super) struct Pieces {
    pub(super) style: Style,
    pub(super) frequent: Texts,
    pub(super) single: Texts,
    pub(super) numbers: Vec<i32>,
    pub(super) holes: Vec<Vec<i32>>,
}

impl Pieces {
    pub(super) fn of(cells: &Cells, how: Cut) -> Self {
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
