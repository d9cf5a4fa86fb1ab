//! A text in lines, cut into the cells of its columns.

use std::collections::HashMap;
use std::rc::Rc;

use super::column::MOST;
use super::layout::{info_keys, parts, sample_keys, Key};
use super::spelling::FIRST;
use super::{MOST_CELLS, MOST_LINES, MOST_TEXT};

/// Fields before those of samples: CHROM, POS, ID, REF, ALT, QUAL, FILTER, INFO, and then FORMAT.
pub(super) const FIXED: usize = 8;
/// A position or an end is below this.
const MOST_PLACE: i32 = 1_000_000_000;

/// What stands in one column's cells, as the numbers of different texts.
#[derive(Default)]
pub(super) struct Cells<'a> {
    pub(super) rows: Vec<u32>,
    pub(super) ids: Vec<u32>,
    pub(super) texts: Vec<Text<'a>>,
    numbers: HashMap<Text<'a>, u32>,
}

/// A piece of the text, or one that was made of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Text<'a> {
    Given(&'a [u8]),
    Made(Vec<u8>),
}

impl Text<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Text::Given(bytes) => bytes,
            Text::Made(bytes) => bytes,
        }
    }
}

impl<'a> Cells<'a> {
    fn put(&mut self, row: u32, text: Text<'a>) {
        let next = self.texts.len() as u32;
        let id = match self.numbers.get(&text) {
            Some(&id) => id,
            None => {
                self.numbers.insert(text.clone(), next);
                self.texts.push(text);
                next
            }
        };
        self.rows.push(row);
        self.ids.push(id);
    }
}

/// Lines, those of variants as columns, the others as they are.
#[derive(Default)]
pub(super) struct Draft<'a> {
    pub(super) bytes: usize,
    pub(super) lines: u32,
    /// How each line ends.
    pub(super) carriage: bool,
    /// Whether the last line ends too.
    pub(super) ended: bool,
    /// Fields of a line.
    pub(super) fields: usize,
    /// Which lines are no variants, and what they say.
    pub(super) others: Vec<(u32, &'a [u8])>,
    /// How many are.
    pub(super) rows: u32,
    pub(super) chromosome: Cells<'a>,
    pub(super) id: Cells<'a>,
    pub(super) reference: Cells<'a>,
    pub(super) rest: Cells<'a>,
    pub(super) alternatives: Cells<'a>,
    pub(super) quality: Cells<'a>,
    pub(super) filter: Cells<'a>,
    pub(super) info: Cells<'a>,
    pub(super) format: Cells<'a>,
    /// The cells of values, and which are those of a key.
    pub(super) values: Vec<Cells<'a>>,
    pub(super) keys: HashMap<Key, usize>,
    pub(super) places: Vec<i32>,
    /// Of each sample, how many of its values are left out in each row.
    pub(super) left_out: Vec<Vec<i32>>,
    /// Of each template of `info`, the cells of its values; of each of `format`, those of each sample.
    infos: Vec<Vec<usize>>,
    formats: Vec<Vec<Vec<usize>>>,
}

/// How much of a text is told at once: whole lines, of which a reader will not find too much.
pub(super) fn block_of(text: &[u8]) -> usize {
    let (mut cells, mut lines, mut end, mut fields) = (0, 0, 0, 0);
    let mut digits = false;
    for (at, &byte) in text.iter().enumerate().take(MOST_TEXT) {
        let is_digit = byte.is_ascii_digit();
        cells += match byte {
            b'=' | b':' => 2,
            b'\t' => {
                fields += 1;
                if fields < FIXED {
                    0
                } else {
                    3
                }
            }
            b'\n' => FIXED + 2,
            _ => usize::from(is_digit && !digits),
        };
        digits = is_digit;
        if byte == b'\n' {
            if cells > MOST_CELLS {
                break;
            }
            (lines, end, fields) = (lines + 1, at + 1, 0);
            if lines == MOST_LINES {
                break;
            }
        }
    }
    if end == 0 || text.len() <= MOST_TEXT && cells <= MOST_CELLS && lines < MOST_LINES {
        text.len()
    } else {
        end
    }
}

impl<'a> Draft<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        let body = text.strip_suffix(b"\n").unwrap_or(text);
        let mut draft = Draft {
            bytes: text.len(),
            ended: body.len() < text.len(),
            fields: usual_fields(body),
            ..Draft::default()
        };
        let lines = || body.split(|&byte| byte == b'\n');
        let carried = lines().filter(|line| line.ends_with(b"\r")).count();
        draft.carriage = 2 * carried > lines().count();
        let mut fields = Vec::new();
        for line in lines() {
            let whole = match (draft.carriage, line.strip_suffix(b"\r")) {
                (true, Some(rest)) => Some(rest),
                (true, None) => None,
                (false, _) => Some(line),
            };
            let number = draft.lines;
            draft.lines += 1;
            if !whole.is_some_and(|line| draft.variant(line, &mut fields)) {
                draft.others.push((number, line));
            }
        }
        draft
    }

    /// Take in a line if it is a variant.
    fn variant(&mut self, line: &'a [u8], fields: &mut Vec<&'a [u8]>) -> bool {
        if self.fields < FIXED || line.iter().any(|&byte| byte < 32 && byte != b'\t') {
            return false;
        }
        fields.clear();
        fields.extend(line.split(|&byte| byte == b'\t'));
        if fields.len() != self.fields || line.starts_with(b"#") {
            return false;
        }
        let place = place_of(fields[1]);
        let (Some(place), Some((first, rest))) = (place, fields[3].split_first()) else {
            return false;
        };
        let samples = fields.get(FIXED + 1..).unwrap_or(&[]);
        let keys = fields.get(FIXED).map_or(0, |format| parts(format, b':'));
        if samples.iter().any(|sample| parts(sample, b':') > keys) {
            return false;
        }
        let row = self.rows;
        self.rows += 1;
        self.places.push(place);
        self.chromosome.put(row, Text::Given(fields[0]));
        self.id.put(row, Text::Given(fields[2]));
        self.reference.put(row, Text::Given(&fields[3][..1]));
        self.rest.put(row, Text::Given(rest));
        self.alternatives.put(row, alleles(*first, rest, fields[4]));
        self.quality.put(row, Text::Given(fields[5]));
        self.filter.put(row, Text::Given(fields[6]));
        self.information(row, fields[7]);
        if let Some(format) = fields.get(FIXED) {
            self.samples(row, format, samples);
        }
        true
    }

    fn information(&mut self, row: u32, info: &'a [u8]) {
        let mut template = Vec::with_capacity(info.len());
        let mut values = Vec::new();
        for (place, item) in info.split(|&byte| byte == b';').enumerate() {
            if place > 0 {
                template.push(b';');
            }
            match item.iter().position(|&byte| byte == b'=') {
                Some(at) => {
                    template.extend_from_slice(&item[..=at]);
                    values.push(&item[at + 1..]);
                }
                None => template.extend_from_slice(item),
            }
        }
        self.info.put(row, Text::Made(template));
        let id = *self.info.ids.last().unwrap_or(&0) as usize;
        if id == self.infos.len() {
            let template = self.info.texts[id].bytes().to_vec();
            let cells = info_keys(&template).map(|(_, key)| self.cells_of(key));
            let cells = cells.collect();
            self.infos.push(cells);
        }
        for (&cells, value) in self.infos[id].iter().zip(values) {
            self.values[cells].put(row, Text::Given(value));
        }
    }

    fn samples(&mut self, row: u32, format: &'a [u8], samples: &[&'a [u8]]) {
        self.format.put(row, Text::Given(format));
        let id = *self.format.ids.last().unwrap_or(&0) as usize;
        if id == self.formats.len() {
            let names = sample_keys(format);
            let of_sample = |number: usize| {
                let keys = names
                    .iter()
                    .map(|name| Key::Sample(number as u32, Rc::clone(name)));
                keys.map(|key| self.cells_of(key)).collect()
            };
            let cells = (0..samples.len()).map(of_sample).collect();
            self.formats.push(cells);
        }
        self.left_out.resize_with(samples.len(), Vec::new);
        for (number, (sample, cells)) in samples.iter().zip(&self.formats[id]).enumerate() {
            let mut told = 0;
            for (&cells, value) in cells.iter().zip(sample.split(|&byte| byte == b':')) {
                self.values[cells].put(row, Text::Given(value));
                told += 1;
            }
            self.left_out[number].push((cells.len() - told) as i32);
        }
    }

    /// The cells of a key, new if it is.
    fn cells_of(&mut self, key: Key) -> usize {
        let next = self.values.len();
        let cells = *self.keys.entry(key).or_insert(next);
        if cells == next {
            self.values.push(Cells::default());
        }
        cells
    }
}

/// How many fields most lines have, by those in the middle of the text.
fn usual_fields(body: &[u8]) -> usize {
    let lines = body
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.starts_with(b"#"));
    let mut counts: HashMap<usize, usize> = HashMap::new();
    for line in lines.take(1000) {
        *counts.entry(parts(line, b'\t')).or_default() += 1;
    }
    let usual = counts.into_iter().filter(|&(fields, _)| fields >= FIXED);
    usual
        .max_by_key(|&(fields, count)| (count, fields))
        .map_or(0, |(fields, _)| fields)
}

/// A position in its only spelling.
fn place_of(field: &[u8]) -> Option<i32> {
    let plain = !field.is_empty()
        && field.len() <= 9
        && field.iter().all(u8::is_ascii_digit)
        && (field.len() == 1 || field[0] != b'0');
    plain.then(|| {
        field
            .iter()
            .fold(0, |sum, byte| sum * 10 + i32::from(byte - b'0'))
    })
}

/// Alternative alleles; of those that are longer or shorter than the reference the first letter is said to be the reference's.
fn alleles<'a>(first: u8, rest: &[u8], field: &'a [u8]) -> Text<'a> {
    let is_same =
        |allele: &[u8]| allele.first() == Some(&first) && (allele.len() > 1 || !rest.is_empty());
    let alleles = || field.split(|&byte| byte == b',');
    if !alleles().any(is_same) {
        return Text::Given(field);
    }
    let mut made = Vec::with_capacity(field.len());
    for (number, allele) in alleles().enumerate() {
        if number > 0 {
            made.push(b',');
        }
        let start = made.len();
        made.extend_from_slice(allele);
        if is_same(allele) {
            made[start] = FIRST;
        }
    }
    Text::Made(made)
}

const _: () = assert!(MOST_PLACE < MOST);
