//! Tables and other texts in lines, told as records are: a line is a *template* with holes, and what is in each hole is a leaf.

use super::document::Kind;
use super::numbers::{ENDS_LIMIT, STREAK};
use super::teller::{choice_of, chosen, coded, Teller};
use super::texts::{h, Id, Texts};
use super::{NOTHING_SUCH, TOO_LARGE};
use crate::mix::{choice, number, Coder, Share};
use crate::Outcome;

/// Where a field stands in a template; it occurs in no field.
const HOLE: u8 = 1;
const MOST_FIELDS: usize = 1 << 22;
/// Bytes from which it is told how lines are made.
const SAMPLE: usize = 1 << 16;
const SEPARATORS: [u8; 4] = [b'\t', b';', b',', b'|'];

/// How lines are cut into fields.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Cut {
    /// At every such byte.
    At(u8),
    /// What stands in quotes, and between the end of a tag and the next.
    Markup,
}

impl Cut {
    /// The cut that suits a text, if it is one of lines.
    fn of(text: &[u8]) -> Option<Self> {
        let sample = &text[..text.len().min(SAMPLE)];
        let is_json = sample.starts_with(b"{") || sample.starts_with(b"[");
        if is_json || sample.iter().any(|&byte| byte <= HOLE) {
            return None;
        }
        if sample.starts_with(b"<") {
            return Some(Cut::Markup);
        }
        let lines: Vec<&[u8]> = sample
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty() && line[0] != b'#')
            .collect();
        let is_table = |separator: u8| {
            let count = |line: &[u8]| line.iter().filter(|&&byte| byte == separator).count();
            let usual = lines.get(lines.len() / 2).map_or(0, |line| count(line));
            usual > 0
                && 4 * lines.iter().filter(|line| count(line) == usual).count() >= 3 * lines.len()
        };
        SEPARATORS
            .into_iter()
            .find(|&one| is_table(one))
            .map(Cut::At)
    }

    /// Put the template of a line into `template`, and give each field.
    fn cut<'a>(self, line: &'a [u8], template: &mut Vec<u8>, mut field: impl FnMut(&'a [u8])) {
        template.clear();
        match self {
            Cut::At(separator) => {
                let (line, end) = line
                    .strip_suffix(b"\r")
                    .map_or((line, &b""[..]), |line| (line, &b"\r"[..]));
                for (place, one) in line.split(|&byte| byte == separator).enumerate() {
                    if place > 0 {
                        template.push(separator);
                    }
                    template.push(HOLE);
                    field(one);
                }
                template.extend_from_slice(end);
            }
            Cut::Markup => {
                let mut at = 0;
                while at < line.len() {
                    let byte = line[at];
                    template.push(byte);
                    at += 1;
                    let end = match byte {
                        b'"' => line[at..].iter().position(|&one| one == b'"'),
                        b'>' => line[at..]
                            .iter()
                            .position(|&one| one == b'<')
                            .filter(|&size| size > 0),
                        _ => None,
                    };
                    if let Some(size) = end {
                        template.push(HOLE);
                        field(&line[at..at + size]);
                        at += size;
                        if byte == b'"' {
                            template.push(b'"');
                            at += 1;
                        }
                    }
                }
            }
        }
    }
}

/// How many fields the lines of a template have.
fn holes_of(template: &[u8]) -> usize {
    template.iter().filter(|&&byte| byte == HOLE).count()
}

/// Lines as their templates, and all fields one after another.
struct Lines {
    templates: Vec<Id>,
    fields: Vec<Id>,
}

fn parse(text: &[u8], texts: &mut Texts) -> Option<Lines> {
    let cut = Cut::of(text)?;
    let mut lines = Lines {
        templates: Vec::new(),
        fields: Vec::new(),
    };
    let mut template = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        if line.iter().any(|&byte| byte <= HOLE) || lines.fields.len() > MOST_FIELDS {
            return None;
        }
        cut.cut(line, &mut template, |field| {
            lines.fields.push(texts.intern(field))
        });
        lines.templates.push(texts.intern(&template));
    }
    Some(lines)
}

/// What is remembered from one line to the next.
#[derive(Default)]
struct Before {
    /// The last templates.
    templates: [u64; 2],
    /// The last one itself, how often it came in a row, and whether it then came again.
    last: Option<Id>,
    streak: u32,
    ends: Share,
    /// Which fields, by the names in the first line, say what the others are about.
    topics: Vec<bool>,
}

fn is_topic(name: &[u8]) -> bool {
    name.to_ascii_lowercase()
        .windows(4)
        .any(|part| part == b"code")
}

impl<C: Coder> Teller<'_, C> {
    /// Tell a text in lines; `false` if it is none.
    pub(super) fn tell_lines(&mut self, text: &[u8]) -> Outcome<bool> {
        let Some(lines) = parse(text, &mut self.known.texts) else {
            return Ok(false);
        };
        let count = lines.templates.len() as u32;
        coded!(self, count, number, count, [60, 61]);
        self.begin_lines(count as usize);
        let mut fields = lines.fields.into_iter();
        let mut before = Before::default();
        for (&template, line) in lines
            .templates
            .iter()
            .zip(text.split(|&byte| byte == b'\n'))
        {
            if self.line_before(Some(line))?.is_some() {
                fields
                    .by_ref()
                    .take(holes_of(self.known.texts.get(template)))
                    .for_each(drop);
                continue;
            }
            self.line(
                Some(template),
                &mut before,
                || fields.next(),
                &mut Vec::new(),
            )?;
        }
        Ok(true)
    }

    fn begin_lines(&mut self, count: usize) {
        self.known.topic = 0;
        self.known.numbers.count = count;
    }

    /// What was told so.
    pub(super) fn hear_lines(&mut self, limit: usize) -> Outcome<Vec<u8>> {
        let count = coded!(self, count, number, 0, [60, 61]) as usize;
        self.begin_lines(count);
        let mut text = Vec::new();
        let mut before = Before::default();
        for place in 0..count {
            if place > 0 {
                text.push(b'\n');
            }
            match self.line_before(None)? {
                Some(line) => text.extend_from_slice(&line),
                None => self.line(None, &mut before, || None, &mut text)?,
            }
            if text.len() > limit {
                return Err(TOO_LARGE.into());
            }
        }
        Ok(text)
    }

    /// One line: which template, after those of the two lines before, and then its fields.
    fn line(
        &mut self,
        given: Option<Id>,
        before: &mut Before,
        field: impl FnMut() -> Option<Id>,
        into: &mut Vec<u8>,
    ) -> Outcome<()> {
        let template = match self.same_template(given, before) {
            Some(template) => template,
            None => self.template_of_line(given, before)?,
        };
        let named = self.known.texts.hash(template);
        before.streak = if before.last == Some(template) {
            before.streak + 1
        } else {
            0
        };
        before.last = Some(template);
        before.templates = [named, before.templates[0]];
        self.fields(given.is_some(), template, before, field, into)
    }

    /// The template of the line before, if it came often in a row and comes again.
    fn same_template(&mut self, given: Option<Id>, before: &mut Before) -> Option<Id> {
        let last = before.last.filter(|_| before.streak >= STREAK)?;
        let ends = u32::from(given.is_some_and(|one| one != last));
        let ends = self
            .coder
            .code(ends, before.ends.probability().clamp(1, 65535));
        before.ends.update(ends, ENDS_LIMIT);
        (ends == 0).then_some(last)
    }

    /// Another template, or one of a line that is not like the last ones.
    fn template_of_line(&mut self, given: Option<Id>, before: &Before) -> Outcome<Id> {
        let last = before.templates;
        let keys = [
            h(&[62, last[0], last[1]]),
            h(&[63, last[0]]),
            h(&[64, last[1]]),
        ];
        let (candidates, agreement) = self.likely(keys);
        let id = given.map(|text| self.known.template_number(text));
        let told = coded!(
            self,
            shape_choice,
            choice,
            id.map_or(0, |id| choice_of(&candidates, id)),
            [
                65,
                h(&[65, last[0]]),
                h(&[65, last[0], last[1]]),
                h(&[66, agreement]),
                h(&[65, self.known.before[0]]),
                67,
            ],
            4
        );
        let id = match chosen(&candidates, told) {
            Some(id) => id,
            None => coded!(
                self,
                shape,
                number,
                id.unwrap_or(0),
                [68, h(&[68, last[0]]), h(&[68, last[1]]), 69]
            ),
        };
        let template = if id > 0 {
            self.known.template(id).ok_or(NOTHING_SUCH)?
        } else {
            let spelled = self.spell(given, 70, None)?;
            self.known.add_template(spelled);
            spelled
        };
        let id = self.known.template_number(template);
        for key in keys {
            self.known.likely.insert(key, id);
        }
        Ok(template)
    }

    /// The fields of a line.
    fn fields(
        &mut self,
        is_given: bool,
        template: Id,
        before: &mut Before,
        mut field: impl FnMut() -> Option<Id>,
        into: &mut Vec<u8>,
    ) -> Outcome<()> {
        let named = before.templates[0];
        let is_first = before.topics.is_empty();
        let pattern = self.known.texts.get(template).to_vec();
        let mut place = 0;
        for byte in pattern {
            if byte != HOLE {
                into.push(byte);
                continue;
            }
            let path = h(&[71, named, place as u64]);
            let told = self.leaf(field(), Kind::String, 0, path)?;
            if is_first {
                before.topics.push(is_topic(self.known.texts.get(told)));
            } else if before.topics.get(place) == Some(&true) {
                self.known.topic = self.known.texts.hash(told);
            }
            if !is_given {
                let text = self.known.texts.get(told);
                self.room = self.room.checked_sub(text.len() + 1).ok_or(TOO_LARGE)?;
                into.extend_from_slice(text);
            }
            place += 1;
        }
        Ok(())
    }
}
