//! Documents in JSON, with every spelling as it is, and what lies between their tokens.

use std::collections::HashMap;

use super::texts::{Id, Texts};
use super::TOO_LARGE;
use crate::Outcome;

pub(super) const MOST_DEPTH: usize = 100;
/// Values of a document; more would take too much memory at once.
const MOST_VALUES: usize = 1 << 20;

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    #[default]
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

pub(super) const KINDS: [Kind; 7] = [
    Kind::Object,
    Kind::Array,
    Kind::String,
    Kind::Number,
    Kind::True,
    Kind::False,
    Kind::Null,
];

/// A value, with the name it has in its object; texts are as they are spelled, without quotes.
#[derive(Default)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) key: Id,
    pub(super) text: Id,
    pub(super) children: Vec<Node>,
}

/// Reads JSON strictly and keeps every spelling; what lies between tokens is collected in order.
struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    texts: &'a mut Texts,
    gaps: Vec<Gap>,
    values: usize,
    objects: u32,
    arrays: u32,
}

/// What lies between two tokens, where, and around what.
#[derive(Clone, Copy)]
pub(super) struct Gap {
    start: u32,
    end: u32,
    place: Place,
    objects: u16,
    arrays: u16,
}

/// Between which tokens: what was there before and what comes, each as one of the signs `{ [ } ] : ,` or a value; and in which
/// container.
type Place = u16;

const VALUE: u16 = 6;

fn sign(byte: u8) -> u16 {
    match byte {
        b'{' => 0,
        b'[' => 1,
        b'}' => 2,
        b']' => 3,
        b':' => 4,
        b',' => 5,
        _ => VALUE,
    }
}

fn place(before: u16, after: u16, in_object: bool) -> Place {
    before << 5 | after << 1 | u16::from(in_object)
}

impl<'a> Parser<'a> {
    fn gap(&mut self, before: u16, after: Option<u16>, in_object: bool, outward: (u32, u32)) {
        let start = self.at;
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
        let next =
            after.unwrap_or_else(|| self.bytes.get(self.at).map_or(VALUE, |&byte| sign(byte)));
        let out = if next == 2 || next == 3 {
            outward
        } else {
            (0, 0)
        };
        self.gaps.push(Gap {
            start: start as u32,
            end: self.at as u32,
            place: place(before, next, in_object),
            objects: (self.objects - out.0.min(self.objects)) as u16,
            arrays: (self.arrays - out.1.min(self.arrays)) as u16,
        });
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.bytes.get(self.at) == Some(&byte)).then(|| self.at += 1)
    }

    fn string(&mut self) -> Option<Id> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => break,
                b'\\' if self.bytes.get(self.at + 1)? >= &b' ' => self.at += 2,
                0..=31 => return None,
                _ => self.at += 1,
            }
        }
        let text = self.bytes.get(start..self.at)?;
        self.at += 1;
        Some(self.texts.intern(text))
    }

    fn value(&mut self, depth: usize) -> Option<Node> {
        self.values += 1;
        if depth > MOST_DEPTH || self.values > MOST_VALUES {
            return None;
        }
        let leaf = |kind, text| {
            Some(Node {
                kind,
                key: 0,
                text,
                children: Vec::new(),
            })
        };
        match self.bytes.get(self.at)? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => {
                let text = self.string()?;
                leaf(Kind::String, text)
            }
            b't' => self.word(b"true", Kind::True),
            b'f' => self.word(b"false", Kind::False),
            b'n' => self.word(b"null", Kind::Null),
            _ => {
                let start = self.at;
                while matches!(
                    self.bytes.get(self.at),
                    Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
                ) {
                    self.at += 1;
                }
                let text = &self.bytes[start..self.at];
                if text.is_empty() {
                    return None;
                }
                let text = self.texts.intern(text);
                leaf(Kind::Number, text)
            }
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Option<Node> {
        if !self.bytes[self.at..].starts_with(word) {
            return None;
        }
        self.at += word.len();
        Some(Node {
            kind,
            key: 0,
            text: 0,
            children: Vec::new(),
        })
    }

    fn object(&mut self, depth: usize) -> Option<Node> {
        self.at += 1;
        self.objects += 1;
        let mut children = Vec::new();
        self.gap(0, None, true, (1, 0));
        if self.bytes.get(self.at) != Some(&b'}') {
            loop {
                let key = self.string()?;
                self.gap(VALUE, Some(4), true, (0, 0));
                self.expect(b':')?;
                self.gap(4, None, true, (0, 0));
                let mut child = self.value(depth + 1)?;
                child.key = key;
                let last = last(&child);
                children.push(child);
                self.gap(last, None, true, (1, 0));
                if self.expect(b',').is_none() {
                    break;
                }
                self.gap(5, None, true, (1, 0));
            }
        }
        self.expect(b'}')?;
        self.objects -= 1;
        Some(Node {
            kind: Kind::Object,
            key: 0,
            text: 0,
            children,
        })
    }

    fn array(&mut self, depth: usize) -> Option<Node> {
        self.at += 1;
        self.arrays += 1;
        let mut children = Vec::new();
        self.gap(1, None, false, (0, 1));
        if self.bytes.get(self.at) != Some(&b']') {
            loop {
                let child = self.value(depth + 1)?;
                let last = last(&child);
                children.push(child);
                self.gap(last, None, false, (0, 1));
                if self.expect(b',').is_none() {
                    break;
                }
                self.gap(5, None, false, (0, 1));
            }
        }
        self.expect(b']')?;
        self.arrays -= 1;
        Some(Node {
            kind: Kind::Array,
            key: 0,
            text: 0,
            children,
        })
    }
}

/// Reads a document, or several one after another; `None` if it is not JSON, or has too many values.
pub(super) fn parse(bytes: &[u8], texts: &mut Texts) -> Option<(Vec<Node>, Vec<Gap>)> {
    if bytes.len() > u32::MAX as usize / 2 {
        return None;
    }
    let mut parser = Parser {
        bytes,
        at: 0,
        texts,
        gaps: Vec::new(),
        values: 0,
        objects: 0,
        arrays: 0,
    };
    let mut nodes = Vec::new();
    parser.gap(7, None, false, (0, 0));
    while parser.at < bytes.len() {
        nodes.push(parser.value(0)?);
        parser.gap(7, None, false, (0, 0));
    }
    let gaps = parser.gaps;
    Some((nodes, gaps))
}

// ── layout ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Blanks for each object and each array that one is in.
pub(super) const UNITS: [(u16, u16); 9] = [
    (0, 0),
    (2, 0),
    (2, 2),
    (4, 0),
    (4, 4),
    (1, 1),
    (3, 3),
    (8, 8),
    (0, 2),
];

/// Gaps by which the unit is chosen.
const SAMPLE: usize = 5000;

/// What lies in each kind of place: up to and with the last end of line, and how many blanks more than the units say.
pub(super) struct Layout {
    unit: (u16, u16),
    found: HashMap<Place, (Vec<u8>, Option<i32>)>,
}

impl Layout {
    fn new(unit: usize) -> Self {
        Layout {
            unit: UNITS[unit],
            found: HashMap::new(),
        }
    }

    fn expected(&self, gap: &Gap, into: &mut Vec<u8>) {
        if let Some((text, blanks)) = self.found.get(&gap.place) {
            into.extend_from_slice(text);
            if let Some(more) = blanks {
                let count = self.indent(gap) + more;
                into.extend(std::iter::repeat_n(b' ', count.max(0) as usize));
            }
        }
    }

    fn indent(&self, gap: &Gap) -> i32 {
        i32::from(self.unit.0) * i32::from(gap.objects)
            + i32::from(self.unit.1) * i32::from(gap.arrays)
    }

    fn learn(&mut self, gap: &Gap, text: &[u8]) {
        let line = text
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map(|at| at + 1);
        let found = match line {
            Some(at) if text[at..].iter().all(|&byte| byte == b' ') => (
                text[..at].to_vec(),
                Some((text.len() - at) as i32 - self.indent(gap)),
            ),
            _ => (text.to_vec(), None),
        };
        self.found.insert(gap.place, found);
    }

    /// The gaps that are not as expected, of the units with which they are fewest.
    pub(super) fn exceptions<'a>(bytes: &'a [u8], gaps: &[Gap]) -> Spacing<&'a [u8]> {
        let exceptions = |unit: usize, gaps: &[Gap]| {
            let mut layout = Layout::new(unit);
            let (mut exceptions, mut expected) = (Vec::new(), Vec::new());
            for (number, gap) in gaps.iter().enumerate() {
                let text = &bytes[gap.start as usize..gap.end as usize];
                expected.clear();
                layout.expected(gap, &mut expected);
                if expected != text {
                    exceptions.push((number, text));
                    layout.learn(gap, text);
                }
            }
            exceptions
        };
        let few = &gaps[..gaps.len().min(SAMPLE)];
        let unit = (0..UNITS.len())
            .min_by_key(|&unit| exceptions(unit, few).len())
            .unwrap_or(0);
        Spacing {
            unit,
            odd: exceptions(unit, gaps),
        }
    }
}

/// How a document is spaced: its unit, and which gaps, by their numbers, are not as expected.
pub(super) struct Spacing<T> {
    pub(super) unit: usize,
    pub(super) odd: Vec<(usize, T)>,
}

/// Write documents again, if they have at most so many bytes.
pub(super) fn render(
    nodes: &[Node],
    spacing: Spacing<Vec<u8>>,
    texts: &Texts,
    limit: usize,
) -> Outcome<Vec<u8>> {
    let mut renderer = Renderer {
        texts,
        layout: Layout::new(spacing.unit),
        exceptions: spacing.odd.into_iter().peekable(),
        gaps: 0,
        objects: 0,
        arrays: 0,
        limit,
        bytes: Vec::new(),
    };
    let after = |node: Option<&Node>| node.map_or(VALUE, first);
    renderer.gap(7, after(nodes.first()), false, (0, 0));
    for (place, node) in nodes.iter().enumerate() {
        renderer.node(node)?;
        renderer.gap(7, after(nodes.get(place + 1)), false, (0, 0));
    }
    Ok(renderer.bytes)
}

/// What writes them.
struct Renderer<'a> {
    texts: &'a Texts,
    layout: Layout,
    exceptions: std::iter::Peekable<std::vec::IntoIter<(usize, Vec<u8>)>>,
    gaps: usize,
    objects: u16,
    arrays: u16,
    limit: usize,
    bytes: Vec<u8>,
}

impl Renderer<'_> {
    fn gap(&mut self, before: u16, after: u16, in_object: bool, out: (u16, u16)) {
        let out = if after == 2 || after == 3 {
            out
        } else {
            (0, 0)
        };
        let gap = Gap {
            start: 0,
            end: 0,
            place: place(before, after, in_object),
            objects: self.objects - out.0.min(self.objects),
            arrays: self.arrays - out.1.min(self.arrays),
        };
        match self.exceptions.next_if(|one| one.0 == self.gaps) {
            Some((_, text)) => {
                self.layout.learn(&gap, &text);
                self.bytes.extend_from_slice(&text);
            }
            None => self.layout.expected(&gap, &mut self.bytes),
        }
        self.gaps += 1;
    }

    fn text(&mut self, id: Id) {
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(self.texts.get(id));
        self.bytes.push(b'"');
    }

    fn node(&mut self, node: &Node) -> Outcome<()> {
        if self.bytes.len() > self.limit {
            return Err(TOO_LARGE.into());
        }
        match node.kind {
            Kind::Object | Kind::Array => {
                let in_object = node.kind == Kind::Object;
                let out = if in_object { (1, 0) } else { (0, 1) };
                self.bytes.push(if in_object { b'{' } else { b'[' });
                self.objects += out.0;
                self.arrays += out.1;
                let end = if in_object { 2 } else { 3 };
                let mut before = u16::from(!in_object);
                for (number, child) in node.children.iter().enumerate() {
                    if number > 0 {
                        self.gap(before, 5, in_object, out);
                        self.bytes.push(b',');
                        before = 5;
                    }
                    self.gap(
                        before,
                        if in_object { VALUE } else { first(child) },
                        in_object,
                        out,
                    );
                    if in_object {
                        self.text(child.key);
                        self.gap(VALUE, 4, true, (0, 0));
                        self.bytes.push(b':');
                        self.gap(4, first(child), true, (0, 0));
                    }
                    self.node(child)?;
                    before = last(child);
                }
                self.gap(before, end, in_object, out);
                self.objects -= out.0;
                self.arrays -= out.1;
                self.bytes.push(if in_object { b'}' } else { b']' });
            }
            Kind::String => self.text(node.text),
            Kind::Number => self.bytes.extend_from_slice(self.texts.get(node.text)),
            Kind::True => self.bytes.extend_from_slice(b"true"),
            Kind::False => self.bytes.extend_from_slice(b"false"),
            Kind::Null => self.bytes.extend_from_slice(b"null"),
        }
        Ok(())
    }
}

fn first(node: &Node) -> u16 {
    match node.kind {
        Kind::Object => 0,
        Kind::Array => 1,
        _ => VALUE,
    }
}

fn last(node: &Node) -> u16 {
    match node.kind {
        Kind::Object => 2,
        Kind::Array => 3,
        _ => VALUE,
    }
}
