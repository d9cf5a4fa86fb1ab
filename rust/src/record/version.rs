//! The version before: which of its elements stand in the next one as they are.
//!
//! The elements of its lists that are objects of some size stand one after another, each before those inside it. A *cursor* says
//! which is expected next: after one that was copied it is the one behind it; inside one that was told anew, the first that was inside
//! the one expected.

use super::document::{Kind, Node};
use super::teller::{choice_of, chosen, coded, Teller};
use super::texts::{h, Id};
use super::TOO_LARGE;
use crate::mix::{choice, Coder};
use crate::Outcome;

/// Values from which an object is asked for.
const LEAST_VALUES: usize = 8;
/// How many elements ahead of the cursor are looked at.
const AHEAD: usize = 6;

struct Value {
    kind: Kind,
    key: Id,
    text: Id,
    children: u32,
}

struct Element {
    /// Where its values begin, and how many they are.
    value: usize,
    values: usize,
    /// The element behind it and all that are inside it.
    end: usize,
}

/// A document that was told before, as values one after another, each before its children; or a text, as lines.
#[derive(Default)]
pub(super) struct Version {
    values: Vec<Value>,
    elements: Vec<Element>,
    lines: Vec<Vec<u8>>,
}

impl Version {
    pub(super) fn of(nodes: &[Node]) -> Self {
        let mut version = Version::default();
        nodes.iter().for_each(|node| version.add(node, false));
        version
    }

    pub(super) fn of_lines(text: &[u8]) -> Self {
        let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::to_vec);
        Version {
            lines: lines.collect(),
            ..Version::default()
        }
    }

    fn add(&mut self, node: &Node, in_list: bool) {
        let (value, number) = (self.values.len(), self.elements.len());
        let is_element = in_list && node.kind == Kind::Object;
        if is_element {
            self.elements.push(Element {
                value,
                values: 0,
                end: 0,
            });
        }
        self.values.push(Value {
            kind: node.kind,
            key: node.key,
            text: node.text,
            children: node.children.len() as u32,
        });
        for child in &node.children {
            self.add(child, node.kind == Kind::Array);
        }
        let values = self.values.len() - value;
        if is_element && values < LEAST_VALUES {
            self.elements.truncate(number);
        } else if is_element {
            let end = self.elements.len();
            (self.elements[number].values, self.elements[number].end) = (values, end);
        }
    }

    /// The elements that may come next, as their numbers from one.
    fn ahead(&self, cursor: usize) -> Vec<u32> {
        let next = |&number: &usize| self.elements.get(number).map(|one| one.end);
        std::iter::successors(Some(cursor), next)
            .take_while(|&number| number < self.elements.len())
            .take(AHEAD)
            .map(|number| number as u32 + 1)
            .collect()
    }

    /// The lines that may come next, as their numbers from one: those at the cursor, for something that was put in between, and
    /// those as far behind it as lines were told anew since, for something that was changed.
    fn lines_ahead(&self, cursor: usize, anew: usize) -> Vec<u32> {
        let near = [
            cursor,
            cursor + anew,
            cursor + anew + 1,
            cursor + 1,
            cursor + 2,
        ];
        let mut found = Vec::with_capacity(AHEAD);
        for number in near {
            let number = number as u32 + 1;
            if number as usize <= self.lines.len() && !found.contains(&number) {
                found.push(number);
            }
        }
        found
    }

    fn is(&self, number: u32, node: &Node) -> bool {
        self.equals(&mut self.elements[number as usize - 1].value.clone(), node)
    }

    fn equals(&self, at: &mut usize, node: &Node) -> bool {
        let value = &self.values[*at];
        *at += 1;
        value.kind == node.kind
            && value.key == node.key
            && value.text == node.text
            && value.children as usize == node.children.len()
            && node.children.iter().all(|child| self.equals(at, child))
    }

    fn build(&self, at: &mut usize) -> Node {
        let value = &self.values[*at];
        *at += 1;
        Node {
            kind: value.kind,
            key: value.key,
            text: value.text,
            children: (0..value.children).map(|_| self.build(at)).collect(),
        }
    }
}

impl<C: Coder> Teller<'_, C> {
    /// An element of a list that is an object: whether it is one of the version before, or else itself, by `tell`.
    pub(super) fn element(
        &mut self,
        given: Option<&Node>,
        path: u64,
        tell: impl FnOnce(&mut Self) -> Outcome<Node>,
    ) -> Outcome<Node> {
        let cursor = self.cursor;
        let ahead = self.known.version.ahead(cursor);
        if ahead.is_empty() {
            return tell(self);
        }
        let found = given.map(|node| {
            let same = ahead.iter().find(|&&one| self.known.version.is(one, node));
            choice_of(&ahead, same.copied().unwrap_or(0))
        });
        let Some(number) = self.asked(&ahead, found, h(&[6, path])) else {
            let copied = self.copied;
            self.cursor = cursor + 1;
            let node = tell(self)?;
            let is_changed = self.copied > copied;
            self.cursor = if is_changed {
                self.known.version.elements[cursor].end
            } else {
                cursor
            };
            return Ok(node);
        };
        let element = &self.known.version.elements[number as usize - 1];
        self.copied += 1;
        self.cursor = element.end;
        if given.is_some() {
            return Ok(Node::default());
        }
        self.room = self.room.checked_sub(element.values).ok_or(TOO_LARGE)?;
        Ok(self.known.version.build(&mut element.value.clone()))
    }

    /// Which of those ahead it is; none if it is told anew.
    fn asked(&mut self, ahead: &[u32], found: Option<u32>, path: u64) -> Option<u32> {
        let last = self.last_copied;
        let told = coded!(
            self,
            kind_choice,
            choice,
            found.unwrap_or(0),
            [h(&[6, last]), h(&[path, last])],
            AHEAD as u32 + 1
        );
        self.last_copied = ((last << 2) | (u64::from(told).min(2) + 1)) & 0xff;
        chosen(ahead, told)
    }

    /// A line that is one of the version before; none if it is told anew. `given` when it is known.
    pub(super) fn line_before(&mut self, given: Option<&[u8]>) -> Outcome<Option<Vec<u8>>> {
        let ahead = self.known.version.lines_ahead(self.cursor, self.anew);
        if ahead.is_empty() {
            return Ok(None);
        }
        let lines = &self.known.version.lines;
        let found = given.map(|line| {
            let same = ahead.iter().find(|&&one| lines[one as usize - 1] == line);
            choice_of(&ahead, same.copied().unwrap_or(0))
        });
        let Some(number) = self.asked(&ahead, found, 7) else {
            self.anew += 1;
            return Ok(None);
        };
        (self.cursor, self.anew) = (number as usize, 0);
        let line = self.known.version.lines[number as usize - 1].clone();
        if given.is_none() {
            self.room = self.room.checked_sub(line.len() + 1).ok_or(TOO_LARGE)?;
        }
        Ok(Some(line))
    }
}
