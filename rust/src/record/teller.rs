//! A document told to a coder, member by member, and what both sides know of it at each moment.

use std::collections::HashMap;

use super::document::{parse, Kind, Layout, Node, Spacing, KINDS, MOST_DEPTH, UNITS};
use super::numbers::{Numbers, ENDS_LIMIT, STREAK};
use super::spelling::*;
use super::texts::{h, Id, Map, Places, Texts};
use super::version::Version;
use super::{NOTHING_SUCH, TOO_LARGE};
use crate::mix::{choice, hash, number, plain, small, Coder, Model, Share};
use crate::Outcome;

/// How a leaf is told that nobody expected.
#[derive(Clone, Copy, PartialEq)]
enum Class {
    Uuid,
    Moment,
    Seen,
    Text,
    Base64,
    Number,
}

const CLASSES: [Class; 6] = [
    Class::Uuid,
    Class::Moment,
    Class::Seen,
    Class::Text,
    Class::Base64,
    Class::Number,
];
const EXPECTATIONS: usize = 5;
/// And what is foretold.
const CANDIDATES: usize = EXPECTATIONS + 1;
/// How many different things are likely at most.
const LIKELY: usize = 3;
const MOST_SEEN: usize = 64;
const END: u8 = 0;
/// Where an identifier stands in its template; like `END` it occurs in no text.
const HOLE: u8 = 1;

#[derive(Clone, Copy, Default)]
struct Expectation {
    text: Option<Id>,
    held: u8,
}

#[derive(Clone)]
struct Shape {
    members: Vec<(Id, Kind)>,
    hash: u64,
}

/// A model for each kind of thing that is told.
pub(super) struct Models {
    pub(super) shape_choice: Model,
    pub(super) shape: Model,
    length_choice: Model,
    pub(super) kind_choice: Model,
    length: Model,
    kind: Model,
    outcome: Model,
    manner: Model,
    class: Model,
    seen: Model,
    key: Model,
    template: Model,
    uuid: Model,
    distance: Model,
    nibble: Model,
    near: Model,
    delta: Model,
    fraction: Model,
    decimals: Model,
    value: Model,
    letter: Model,
    run: Model,
    pub(super) dense: Model,
    pub(super) count: Model,
}

impl Models {
    fn all(&mut self) -> [&mut Model; 24] {
        [
            &mut self.shape_choice,
            &mut self.shape,
            &mut self.length_choice,
            &mut self.kind_choice,
            &mut self.length,
            &mut self.kind,
            &mut self.outcome,
            &mut self.manner,
            &mut self.class,
            &mut self.seen,
            &mut self.key,
            &mut self.template,
            &mut self.uuid,
            &mut self.distance,
            &mut self.nibble,
            &mut self.near,
            &mut self.delta,
            &mut self.fraction,
            &mut self.decimals,
            &mut self.value,
            &mut self.letter,
            &mut self.run,
            &mut self.dense,
            &mut self.count,
        ]
    }

    fn fresh(&self) -> Self {
        Models {
            shape_choice: self.shape_choice.fresh(),
            shape: self.shape.fresh(),
            length_choice: self.length_choice.fresh(),
            kind_choice: self.kind_choice.fresh(),
            length: self.length.fresh(),
            kind: self.kind.fresh(),
            outcome: self.outcome.fresh(),
            manner: self.manner.fresh(),
            class: self.class.fresh(),
            seen: self.seen.fresh(),
            key: self.key.fresh(),
            template: self.template.fresh(),
            uuid: self.uuid.fresh(),
            distance: self.distance.fresh(),
            nibble: self.nibble.fresh(),
            near: self.near.fresh(),
            delta: self.delta.fresh(),
            fraction: self.fraction.fresh(),
            decimals: self.decimals.fresh(),
            value: self.value.fresh(),
            letter: self.letter.fresh(),
            run: self.run.fresh(),
            dense: self.dense.fresh(),
            count: self.count.fresh(),
        }
    }
}

/// The numbers that were told at one place: the last, by how many decimals, how the last were told, and whether steps are smaller
/// than values, of late.
#[derive(Clone, Default)]
struct Track {
    value: i64,
    last: [u64; 2],
    steps: u64,
    sizes: u64,
}

/// How a leaf was told that nobody expected: its class and, of a number, its decimals.
type Manner = (Class, u32);

/// The last time that was told at one place, how far it was from the one before, and what comes after as many steps, if they are alike.
#[derive(Clone, Copy)]
struct Pace {
    moment: Moment,
    step: i64,
    /// How far times were apart that came at one pace for long, and how far the next is foretold.
    usual: i64,
    ahead: i64,
    foretold: Option<Id>,
    /// How often what was foretold came.
    streak: u32,
}

/// All that writer and reader know at one moment.
pub(super) struct Known {
    pub(super) texts: Texts,
    pub(super) version: Version,
    shapes: Vec<Shape>,
    shape_ids: Map<u32>,
    keys: Vec<Id>,
    key_ids: Map<u32>,
    pub(super) models: Models,
    expected: Places<Expectation>,
    last_shape: Map<(u64, u64)>,
    last_length: Map<u64>,
    last_kind: Map<u8>,
    pub(super) likely: Map<u32>,
    last_outcome: Map<u64>,
    seen: Map<Vec<Id>>,
    uuids: Vec<(u128, u64)>,
    uuid_ids: HashMap<u128, u32>,
    uuid_at: Map<u32>,
    newest: Map<u32>,
    templates: Vec<Id>,
    template_ids: Map<u32>,
    template_at: Map<u64>,
    manners: Map<Manner>,
    paces: Map<Pace>,
    /// Whether a time was not the one that was foretold.
    pace_ends: Map<Share>,
    tracks: Map<Track>,
    moment_at: Map<(Moment, u64)>,
    moment: Moment,
    fraction: u64,
    history: Vec<u8>,
    latest: Vec<u32>,
    pub(super) before: [u64; 2],
    outcomes: [u64; 2],
    anchor: u64,
    pub(super) topic: u64,
    resource: u64,
    resource_type: Id,
    code: Id,
    pub(super) numbers: Numbers,
}

impl Known {
    /// Of the 72 parts of a day the one that the last time that was told is in.
    pub(super) fn part_of_day(&self) -> u64 {
        (self.moment.second.unwrap_or(0) / 1200) as u64
    }

    /// The number of a template, from one; zero if it was never told.
    pub(super) fn template_number(&self, text: Id) -> u32 {
        let hashed = self.texts.hash(text);
        self.template_ids.get(&hashed).map_or(0, |&id| id + 1)
    }

    pub(super) fn template(&self, number: u32) -> Option<Id> {
        self.templates
            .get((number as usize).checked_sub(1)?)
            .copied()
    }

    pub(super) fn add_template(&mut self, text: Id) {
        let hashed = self.texts.hash(text);
        self.template_ids
            .insert(hashed, self.templates.len() as u32);
        self.templates.push(text);
    }

    pub(super) fn new() -> Self {
        let mut texts = Texts::default();
        texts.intern(b"");
        let (resource_type, code) = (texts.intern(b"resourceType"), texts.intern(b"code"));
        Known {
            texts,
            version: Version::default(),
            shapes: Vec::new(),
            shape_ids: Map::default(),
            keys: Vec::new(),
            key_ids: Map::default(),
            models: Models {
                shape_choice: Model::new(6, 13, 255),
                shape: Model::new(4, 12, 255),
                length_choice: Model::new(5, 13, 255),
                kind_choice: Model::new(2, 10, 255),
                length: Model::new(3, 11, 255),
                kind: Model::new(2, 10, 255),
                outcome: Model::new(6, 15, 127),
                manner: Model::new(3, 12, 127),
                class: Model::new(3, 12, 127),
                seen: Model::new(3, 12, 127),
                key: Model::new(3, 11, 127),
                template: Model::new(4, 11, 127),
                uuid: Model::new(5, 13, 127),
                distance: Model::new(3, 12, 127),
                nibble: Model::new(2, 9, 255),
                near: Model::new(3, 10, 127),
                delta: Model::new(5, 15, 127),
                fraction: Model::new(3, 11, 127),
                decimals: Model::new(3, 11, 127),
                value: Model::new(6, 15, 127),
                letter: Model::new(LETTER_CONTEXTS, 16, 40),
                run: Model::new(2, 8, 127),
                dense: Model::new(2, 8, 127),
                count: Model::new(2, 9, 127),
            },
            expected: Places::default(),
            last_shape: Map::default(),
            last_length: Map::default(),
            last_kind: Map::default(),
            likely: Map::default(),
            last_outcome: Map::default(),
            seen: Map::default(),
            uuids: Vec::new(),
            uuid_ids: HashMap::new(),
            uuid_at: Map::default(),
            newest: Map::default(),
            templates: Vec::new(),
            template_ids: Map::default(),
            template_at: Map::default(),
            manners: Map::default(),
            paces: Map::default(),
            pace_ends: Map::default(),
            tracks: Map::default(),
            moment_at: Map::default(),
            moment: Moment {
                day: 0,
                second: None,
            },
            fraction: 0,
            history: vec![END],
            latest: vec![0; 1 << 16],
            before: [0; 2],
            outcomes: [0; 2],
            anchor: 0,
            topic: 0,
            resource: 0,
            resource_type,
            code,
            numbers: Numbers::default(),
        }
    }

    /// Share what is known so far with all that goes on from here, and forget whose identifiers those were.
    pub(super) fn rest(&mut self) {
        self.models.all().into_iter().for_each(Model::rest);
        self.texts.rest();
        self.shape_ids.rest();
        self.key_ids.rest();
        self.expected.rest();
        self.last_shape.rest();
        self.last_length.rest();
        self.last_kind.rest();
        self.likely.rest();
        self.last_outcome.rest();
        self.seen.rest();
        self.template_ids.rest();
        self.template_at.rest();
        self.manners.rest();
        self.paces.rest();
        self.pace_ends.rest();
        self.tracks.rest();
        self.moment_at.rest();
        self.uuids.clear();
        self.uuid_ids.clear();
        self.uuid_at.clear();
        self.newest.clear();
    }

    /// What goes on from where this rested.
    pub(super) fn fresh(&self) -> Self {
        Known {
            texts: self.texts.clone(),
            version: Version::default(),
            shapes: self.shapes.clone(),
            shape_ids: self.shape_ids.clone(),
            keys: self.keys.clone(),
            key_ids: self.key_ids.clone(),
            models: self.models.fresh(),
            expected: self.expected.clone(),
            last_shape: self.last_shape.clone(),
            last_length: self.last_length.clone(),
            last_kind: self.last_kind.clone(),
            likely: self.likely.clone(),
            last_outcome: self.last_outcome.clone(),
            seen: self.seen.clone(),
            uuids: self.uuids.clone(),
            uuid_ids: self.uuid_ids.clone(),
            uuid_at: self.uuid_at.clone(),
            newest: self.newest.clone(),
            templates: self.templates.clone(),
            template_ids: self.template_ids.clone(),
            template_at: self.template_at.clone(),
            manners: self.manners.clone(),
            paces: self.paces.clone(),
            pace_ends: self.pace_ends.clone(),
            tracks: self.tracks.clone(),
            moment_at: self.moment_at.clone(),
            moment: self.moment,
            fraction: self.fraction,
            history: self.history.clone(),
            latest: self.latest.clone(),
            before: self.before,
            outcomes: self.outcomes,
            anchor: self.anchor,
            topic: self.topic,
            resource: self.resource,
            resource_type: self.resource_type,
            code: self.code,
            numbers: Numbers::default(),
        }
    }
}

/// The hash of the word that a letter ends or belongs to, and of the one before.
fn follow_word(word: u64, before: u64, letter: u8) -> (u64, u64) {
    if letter.is_ascii_alphanumeric() || letter >= 128 {
        (
            hash(word, u64::from(letter.to_ascii_lowercase()) + 1),
            before,
        )
    } else if word != 0 {
        (0, word)
    } else {
        (0, before)
    }
}

pub(super) const EXHAUSTED: &str = "the record ends before it is told";
/// Numbers of records are told as letters: that takes fewer bytes, and more time.
pub(super) const COUNTS: bool = false;
/// From so many equal letters on, so many are told at once.
const LONG: usize = 32;
const STRIDE: usize = 16;
const LETTER_CONTEXTS: usize = 13;
const LEAST_MATCH: usize = 5;

/// The choice that stands for one of the candidates: 0 for the first, 1 for none of them, then the others.
pub(super) fn choice_of(candidates: &[u32], given: u32) -> u32 {
    match candidates.iter().position(|&one| one == given) {
        Some(0) => 0,
        Some(place) => place as u32 + 1,
        None => 1,
    }
}

/// The candidate that a choice stands for.
pub(super) fn chosen(candidates: &[u32], choice: u32) -> Option<u32> {
    match choice {
        0 => candidates.first().copied(),
        1 => None,
        _ => candidates.get(choice as usize - 1).copied(),
    }
}

/// What a leaf may be, the likeliest first.
#[derive(Default)]
struct Candidates {
    texts: [Id; CANDIDATES],
    count: usize,
}

impl Candidates {
    /// The place of a text, which is put last if it is new; 7 of none.
    fn add(&mut self, text: Option<Id>) -> u64 {
        let Some(text) = text else {
            return 7;
        };
        let place = self.all().iter().position(|&one| one == text);
        place.unwrap_or_else(|| {
            self.texts[self.count] = text;
            self.count += 1;
            self.count - 1
        }) as u64
    }

    fn all(&self) -> &[Id] {
        &self.texts[..self.count]
    }
}

/// One pass of a document through a coder.
pub(super) struct Teller<'a, C: Coder> {
    pub(super) known: &'a mut Known,
    pub(super) coder: C,
    /// Letters that may still be read.
    pub(super) room: usize,
    /// How many there could be at first.
    most: usize,
    depth: usize,
    /// The element of the version before that is expected next, how many were copied, and what was said of the last ones.
    pub(super) cursor: usize,
    pub(super) copied: usize,
    pub(super) last_copied: u64,
    /// How many lines were told anew since one was copied.
    pub(super) anew: usize,
    /// Whether numbers are told by how far they are from earlier ones.
    counts: bool,
}

macro_rules! coded {
    ($self:ident, $model:ident, $how:ident, $value:expr, [$($context:expr),* $(,)?] $(, $bits:expr)?) => {{
        let model = &mut $self.known.models.$model;
        let contexts = [$($context),*];
        for (place, context) in contexts.into_iter().enumerate() {
            model.hashes[place] = $crate::mix::hash(context, place as u64 + 1);
        }
        $how(model, &mut $self.coder, $value $(, $bits)?, None)
    }};
}
pub(super) use coded;

impl<'a, C: Coder> Teller<'a, C> {
    pub(super) fn new(known: &'a mut Known, coder: C, room: usize, counts: bool) -> Self {
        Teller {
            known,
            coder,
            room,
            most: room,
            depth: 0,
            cursor: 0,
            copied: 0,
            last_copied: 0,
            anew: 0,
            counts,
        }
    }

    /// One value; `given` when it is known, and returned when it is not.
    fn node(
        &mut self,
        given: Option<&Node>,
        kind: Kind,
        key: Id,
        path: u64,
        around: u64,
    ) -> Outcome<Node> {
        if self.depth > MOST_DEPTH {
            return Err("the record is nested deeper than it may be".into());
        }
        if given.is_none() {
            self.room = self.room.checked_sub(1).ok_or(TOO_LARGE)?;
        }
        if self.coder.is_exhausted() {
            return Err(EXHAUSTED.into());
        }
        self.depth += 1;
        let mut node = Node {
            kind,
            key,
            text: 0,
            children: Vec::new(),
        };
        match kind {
            Kind::Object => self.object(given, &mut node, path, around)?,
            Kind::Array => self.array(given, &mut node, path, around)?,
            Kind::String | Kind::Number => {
                node.text = self.leaf(given.map(|one| one.text), kind, key, path)?
            }
            _ => {}
        }
        self.depth -= 1;
        Ok(node)
    }

    fn object(
        &mut self,
        given: Option<&Node>,
        node: &mut Node,
        path: u64,
        around: u64,
    ) -> Outcome<()> {
        let shape = self.shape(given, path, around)?;
        let members = self.known.shapes[shape].members.clone();
        let here = self.known.shapes[shape].hash;
        let (topic, resource) = (self.known.topic, self.known.resource);
        let mut path = path;
        for (number, (key, kind)) in members.into_iter().enumerate() {
            let inner = h(&[path, self.known.texts.hash(key)]);
            let child = self.node(
                given.map(|one| &one.children[number]),
                kind,
                key,
                inner,
                here,
            )?;
            if key == self.known.resource_type && kind == Kind::String {
                let name = self.known.texts.hash(child.text);
                path = h(&[1, name]);
                self.known.topic = 0;
                self.known.resource = name;
                if let Some(newest) = self.known.uuids.len().checked_sub(1) {
                    self.known.uuids[newest].1 = name;
                    self.known.newest.insert(name, newest as u32);
                }
            }
            if given.is_none() {
                node.children.push(child);
            }
        }
        if path != 0 && self.known.resource != resource {
            (self.known.topic, self.known.resource) = (topic, resource);
        }
        Ok(())
    }

    fn shape(&mut self, given: Option<&Node>, path: u64, around: u64) -> Outcome<usize> {
        let hashed = given.map(|node| {
            let parts = node
                .children
                .iter()
                .flat_map(|one| [self.known.texts.hash(one.key), one.kind as u64]);
            parts.fold(7, hash)
        });
        let id = hashed.map(|hashed| self.known.shape_ids.get(&hashed).map_or(0, |&id| id + 1));
        let last = self
            .known
            .last_shape
            .get(&path)
            .copied()
            .unwrap_or_default();
        let before = self.known.before[0];
        let keys = [
            h(&[path, 42, around, before]),
            h(&[path, 43, around, last.0]),
            h(&[path, 44]),
        ];
        let (candidates, agreement) = self.likely(keys);
        let place = id.map(|id| choice_of(&candidates, id));
        let told = coded!(
            self,
            shape_choice,
            choice,
            place.unwrap_or(0),
            [
                path,
                h(&[path, agreement]),
                h(&[path, last.0, agreement]),
                h(&[path, around]),
                h(&[path, before, agreement]),
                h(&[path, self.known.topic, around]),
            ],
            LIKELY as u32 + 1
        );
        let told = match chosen(&candidates, told) {
            Some(id) => id,
            None => coded!(
                self,
                shape,
                number,
                id.unwrap_or(0),
                [
                    path,
                    h(&[path, last.0]),
                    h(&[path, around]),
                    h(&[path, before])
                ]
            ),
        };
        let shape = if told > 0 {
            told as usize - 1
        } else {
            self.new_shape(given, path)?
        };
        let found = self
            .known
            .shapes
            .get(shape)
            .ok_or("a shape that was never told")?;
        self.known.last_shape.insert(path, (found.hash, last.0));
        for key in keys {
            self.known.likely.insert(key, shape as u32 + 1);
        }
        Ok(shape)
    }

    /// What the shape or the length is likely to be, the likeliest first, and which of the keys say the same.
    pub(super) fn likely(&self, keys: [u64; LIKELY]) -> (Vec<u32>, u64) {
        let mut candidates = Vec::with_capacity(LIKELY);
        let mut agreement = 0;
        for key in keys {
            let place = self.known.likely.get(&key).map_or(7, |one| {
                candidates
                    .iter()
                    .position(|other| other == one)
                    .unwrap_or_else(|| {
                        candidates.push(*one);
                        candidates.len() - 1
                    })
            });
            agreement = agreement << 3 | place as u64;
        }
        (candidates, agreement)
    }

    fn new_shape(&mut self, given: Option<&Node>, path: u64) -> Outcome<usize> {
        let count = coded!(
            self,
            count,
            number,
            given.map_or(0, |one| one.children.len() as u32),
            [path, 1]
        );
        if count as usize > self.room {
            return Err("an object of more members than the record may have letters".into());
        }
        let mut members: Vec<(Id, Kind)> = Vec::new();
        let mut sum = 7;
        for place in 0..count as usize {
            let child = given.map(|one| &one.children[place]);
            let (before, kind_before) = members
                .last()
                .map_or((0, 0), |one| (self.known.texts.hash(one.0), one.1 as u64));
            let id = child.map(|one| {
                self.known
                    .key_ids
                    .get(&self.known.texts.hash(one.key))
                    .map_or(0, |&id| id + 1)
            });
            let told = coded!(
                self,
                key,
                number,
                id.unwrap_or(0),
                [before, h(&[before, path]), 2]
            );
            let key = if told > 0 {
                *self
                    .known
                    .keys
                    .get(told as usize - 1)
                    .ok_or("a name that was never told")?
            } else {
                let spelled = self.spell(child.map(|one| one.key), 3, None)?;
                self.known
                    .key_ids
                    .insert(self.known.texts.hash(spelled), self.known.keys.len() as u32);
                self.known.keys.push(spelled);
                spelled
            };
            let named = self.known.texts.hash(key);
            let kind = coded!(
                self,
                kind,
                plain,
                child.map_or(0, |one| one.kind as u32),
                [named, kind_before],
                3
            );
            members.push((key, *KINDS.get(kind as usize).ok_or("a kind that is none")?));
            sum = hash(hash(sum, named), u64::from(kind));
        }
        self.known
            .shape_ids
            .insert(sum, self.known.shapes.len() as u32);
        self.known.shapes.push(Shape { members, hash: sum });
        Ok(self.known.shapes.len() - 1)
    }

    fn array(
        &mut self,
        given: Option<&Node>,
        node: &mut Node,
        path: u64,
        around: u64,
    ) -> Outcome<()> {
        let length = given.map(|one| one.children.len() as u32);
        let last = self.known.last_length.get(&path).copied().unwrap_or(0);
        let before = self.known.before[0];
        let keys = [
            h(&[path, 45, around, before]),
            h(&[path, 46, around, self.known.topic]),
            h(&[path, 47]),
        ];
        let (candidates, agreement) = self.likely(keys);
        let place = length.map(|length| choice_of(&candidates, length));
        let told = coded!(
            self,
            length_choice,
            choice,
            place.unwrap_or(0),
            [
                path,
                h(&[path, last, agreement]),
                h(&[path, around, agreement]),
                h(&[path, self.known.topic]),
                h(&[path, before, agreement]),
            ],
            LIKELY as u32 + 1
        );
        let count = match chosen(&candidates, told) {
            Some(count) => count,
            None => coded!(
                self,
                length,
                number,
                length.unwrap_or(0),
                [path, h(&[path, last]), h(&[path, around])]
            ),
        };
        for key in keys {
            self.known.likely.insert(key, count);
        }
        if count as usize > self.room {
            return Err("a list of more elements than the record may have letters".into());
        }
        self.known.last_length.insert(path, u64::from(count));
        let mut before = self.known.last_kind.get(&path).copied().unwrap_or(0);
        for place in 0..count as usize {
            let child = given.map(|one| &one.children[place]);
            let is_other = child.is_some_and(|one| one.kind as u8 != before);
            let is_other = coded!(
                self,
                kind_choice,
                choice,
                u32::from(is_other),
                [h(&[path, u64::from(before)]), h(&[4, u64::from(before)])],
                2
            );
            let kind = if is_other == 0 {
                u32::from(before)
            } else {
                coded!(
                    self,
                    kind,
                    plain,
                    child.map_or(0, |one| one.kind as u32),
                    [path, u64::from(before)],
                    3
                )
            };
            let kind = *KINDS.get(kind as usize).ok_or("a kind that is none")?;
            before = kind as u8;
            let around = h(&[around, 5, place.min(3) as u64]);
            let child = match kind {
                Kind::Object => self.element(child, path, |teller| {
                    teller.node(child, kind, 0, path, around)
                })?,
                _ => self.node(child, kind, 0, path, around)?,
            };
            if given.is_none() {
                node.children.push(child);
            }
        }
        self.known.last_kind.insert(path, before);
        Ok(())
    }

    pub(super) fn leaf(
        &mut self,
        given: Option<Id>,
        kind: Kind,
        key: Id,
        path: u64,
    ) -> Outcome<Id> {
        if self.counts && self.known.topic == 0 {
            if let Some(text) = self.number_of_column(given, path)? {
                let hashed = self.known.texts.hash(text);
                self.known.before = [hashed, self.known.before[0]];
                return Ok(text);
            }
        }
        let known = &mut *self.known;
        let [before, further] = known.before;
        let keys = [
            h(&[path, 1, before, further]),
            h(&[path, 2, before]),
            h(&[path, 3, known.topic, known.anchor]),
            h(&[path, 4, known.topic]),
            h(&[path, 5]),
        ];
        let pace = if self.counts {
            known.paces.get(&path)
        } else {
            None
        };
        let mut foretold = pace.and_then(|pace| pace.foretold);
        if let Some(text) = foretold.filter(|_| pace.is_some_and(|pace| pace.streak >= STREAK)) {
            if self.keeps_pace(given, path, text) {
                return Ok(text);
            }
            foretold = None;
        }
        let known = &mut *self.known;
        let places = known.expected.find(keys);
        let mut candidates = Candidates::default();
        candidates.add(foretold);
        let (mut agreement, mut held) = (0u64, 0u64);
        for place in places {
            let one = *known.expected.at(place);
            let how = one.text.map_or(0, |_| u64::from(one.held) + 1);
            agreement = agreement << 3 | candidates.add(one.text);
            held = held << 3 | how.min(7);
        }
        let candidates = candidates.all();
        let outcome = given.map(|text| choice_of(candidates, text));
        let last = known.last_outcome.get(&path).copied().unwrap_or(0);
        let outcomes = known.outcomes;
        let topic = known.topic;
        let outcome = coded!(
            self,
            outcome,
            choice,
            outcome.unwrap_or(0),
            [
                h(&[path, last & 0xff]),
                h(&[agreement, held]),
                h(&[path, agreement]),
                h(&[path, agreement, held & 0o77777, last & 7]),
                h(&[path, outcomes[0], outcomes[1]]),
                h(&[path, topic, agreement & 7]),
            ],
            CANDIDATES as u32 + 1
        );
        let expected = chosen(candidates, outcome);
        let text = match expected {
            Some(text) => text,
            None => self.unexpected(given, kind, path, candidates)?,
        };
        if foretold == Some(text) && expected.is_some() {
            self.go_on(path);
        } else if foretold.is_some() {
            self.break_pace(path);
        }
        let known = &mut *self.known;
        for place in places {
            let one = known.expected.at(place);
            let held = if one.text == Some(text) {
                (one.held + 1).min(6)
            } else {
                0
            };
            *one = Expectation {
                text: Some(text),
                held,
            };
        }
        let hashed = known.texts.hash(text);
        known
            .last_outcome
            .insert(path, last << 3 & 0o777 | u64::from(outcome));
        known.outcomes = [u64::from(outcome), outcomes[0]];
        known.before = [hashed, before];
        if expected.is_some() {
            known.anchor = hashed;
        }
        if key == known.code && known.topic == 0 {
            known.topic = hashed;
        }
        if self.counts && topic == 0 {
            known.numbers.see(path, known.texts.get(text));
        }
        Ok(text)
    }

    fn unexpected(
        &mut self,
        given: Option<Id>,
        kind: Kind,
        path: u64,
        candidates: &[Id],
    ) -> Outcome<Id> {
        let given_manner = given.map(|text| self.classify(text, kind, path));
        let topic = h(&[path, 74, self.known.topic]);
        let last = [topic, path]
            .iter()
            .find_map(|key| self.known.manners.get(key).copied());
        let is_other = match last {
            None => true,
            Some(last) => {
                let of = last.0 as u64 | u64::from(last.1) << 3;
                coded!(
                    self,
                    manner,
                    choice,
                    u32::from(given_manner.is_some_and(|one| one != last)),
                    [path, topic, h(&[kind as u64, of])],
                    2
                ) != 0
            }
        };
        let (class, decimals) = match last {
            Some(last) if !is_other => last,
            _ => self.manner(given_manner, kind, path)?,
        };
        for key in [topic, path] {
            self.known.manners.insert(key, (class, decimals));
        }
        let text = match class {
            Class::Uuid => self.uuid(given, path)?,
            Class::Moment => self.moment(given, path)?,
            Class::Seen => self.seen(given, path)?,
            Class::Text => self.spell(given, path, candidates.last().copied())?,
            Class::Base64 => self.base64(given, path)?,
            Class::Number => self.decimal(given, path, decimals)?,
        };
        if class == Class::Text || class == Class::Seen {
            let seen = self.known.seen.entry(path);
            if let Some(place) = seen.iter().position(|&one| one == text) {
                seen.remove(place);
            } else if seen.len() >= MOST_SEEN {
                seen.remove(0);
            }
            seen.push(text);
        }
        Ok(text)
    }

    /// A manner that is not the last one.
    fn manner(&mut self, given: Option<Manner>, kind: Kind, path: u64) -> Outcome<Manner> {
        let class = coded!(
            self,
            class,
            plain,
            given.map_or(0, |one| one.0 as u32),
            [path, h(&[kind as u64]), h(&[path, self.known.resource])],
            3
        );
        let class = *CLASSES.get(class as usize).ok_or("a class that is none")?;
        let decimals = if class == Class::Number {
            let decimals = given.map_or(0, |one| one.1);
            coded!(
                self,
                decimals,
                number,
                decimals,
                [path, h(&[path, self.known.topic]), 75]
            )
        } else {
            0
        };
        Ok((class, decimals))
    }

    fn classify(&self, text: Id, kind: Kind, path: u64) -> Manner {
        let spelled = self.known.texts.get(text);
        if kind == Kind::String && find_uuid(spelled).is_some() {
            return (Class::Uuid, 0);
        }
        if kind == Kind::String && parse_moment(spelled).is_some() {
            return (Class::Moment, 0);
        }
        if let Some((_, decimals)) = parse_decimal(spelled).filter(|_| self.counts) {
            return (Class::Number, decimals);
        }
        if self
            .known
            .seen
            .get(&path)
            .is_some_and(|seen| seen.contains(&text))
        {
            return (Class::Seen, 0);
        }
        if kind == Kind::String && decode_base64(spelled).is_some() {
            return (Class::Base64, 0);
        }
        (Class::Text, 0)
    }

    fn seen(&mut self, given: Option<Id>, path: u64) -> Outcome<Id> {
        let seen = self.known.seen.get(&path).map_or(&[][..], |one| &one[..]);
        let back = given.and_then(|text| seen.iter().rev().position(|&one| one == text));
        let back = coded!(
            self,
            seen,
            number,
            back.map_or(0, |one| one as u32),
            [
                path,
                h(&[path, self.known.topic]),
                h(&[path, self.known.before[0]])
            ]
        );
        let seen = self.known.seen.get(&path).map_or(&[][..], |one| &one[..]);
        seen.len()
            .checked_sub(1 + back as usize)
            .map(|place| seen[place])
            .ok_or("a text that was not seen here".into())
    }

    /// One of the texts that surround identifiers or follow times, which are few.
    fn template(&mut self, given: Option<&[u8]>, path: u64, beside: u64) -> Outcome<Id> {
        let given = given.map(|text| self.known.texts.intern(text));
        let last = self.known.template_at.get(&path).copied().unwrap_or(0);
        let place = given.map(|text| self.known.template_number(text));
        let told = coded!(
            self,
            template,
            number,
            place.unwrap_or(0),
            [
                path,
                h(&[path, last]),
                h(&[path, last, beside]),
                h(&[6, beside, last])
            ]
        );
        let text = if told > 0 {
            self.known.template(told).ok_or(NOTHING_SUCH)?
        } else {
            let spelled = self.spell(given, 8, None)?;
            self.known.add_template(spelled);
            spelled
        };
        self.known
            .template_at
            .insert(path, self.known.texts.hash(text));
        Ok(text)
    }

    fn uuid(&mut self, given: Option<Id>, path: u64) -> Outcome<Id> {
        let split = given.map(|text| {
            let text = self.known.texts.get(text);
            let (at, value) = find_uuid(text).unwrap_or((0, 0));
            let mut around = text[..at].to_vec();
            around.push(HOLE);
            around.extend_from_slice(&text[at + UUID..]);
            (around, value)
        });
        let around = self.template(split.as_ref().map(|one| &one.0[..]), h(&[path, 9]), 0)?;
        let value = self.identifier(split.map(|one| one.1), path)?;
        let around = self.known.texts.get(around);
        let hole = around
            .iter()
            .position(|&byte| byte == HOLE)
            .ok_or("an identifier without a place")?;
        let mut text = around[..hole].to_vec();
        write_uuid(value, &mut text);
        text.extend_from_slice(&around[hole + 1..]);
        Ok(self.known.texts.intern(&text))
    }

    fn identifier(&mut self, given: Option<u128>, path: u64) -> Outcome<u128> {
        const NONE: u32 = u32::MAX;
        let known = &*self.known;
        let newest = (known.uuids.len() as u32).wrapping_sub(1);
        let last = known.uuid_at.get(&path).copied().unwrap_or(NONE);
        let of_type = known.uuids.get(last as usize).map_or(0, |one| one.1);
        let next_of_type = if last == NONE {
            NONE
        } else {
            (last as usize + 1..known.uuids.len())
                .take(200)
                .find(|&place| known.uuids[place].1 == of_type)
                .map_or(NONE, |place| place as u32)
        };
        let candidates = [
            newest,
            known.newest.get(&of_type).copied().unwrap_or(NONE),
            last.wrapping_add(1),
            next_of_type,
            last,
        ];
        let place = given.map(|value| known.uuid_ids.get(&value).copied().unwrap_or(NONE));
        let outcome = place.map(|place| {
            if place == NONE {
                return 7;
            }
            candidates
                .iter()
                .position(|&one| one == place)
                .map_or(6, |found| found as u32)
        });
        let same = (0..5).fold(0, |sum, one| {
            sum << 3
                | candidates
                    .iter()
                    .position(|&other| other == candidates[one])
                    .unwrap_or(0) as u64
        });
        let before = known
            .last_outcome
            .get(&h(&[path, 10]))
            .copied()
            .unwrap_or(0);
        let resource = known.resource;
        let outcome = coded!(
            self,
            uuid,
            plain,
            outcome.unwrap_or(0),
            [
                path,
                h(&[path, before]),
                h(&[path, same, before & 7]),
                h(&[path, self.known.topic]),
                h(&[resource, before]),
            ],
            3
        );
        self.known
            .last_outcome
            .insert(h(&[path, 10]), before << 3 & 0o777 | u64::from(outcome));
        let place = match outcome {
            7 => {
                let mut value = 0u128;
                let last = self.known.uuids.last().map_or(0, |one| one.0);
                for nibble in 0..32u32 {
                    let shift = 124 - 4 * nibble;
                    let given = given.map_or(0, |one| (one >> shift & 15) as u32);
                    let told = if matches!(nibble, 12 | 16) {
                        coded!(
                            self,
                            nibble,
                            plain,
                            given,
                            [
                                u64::from(nibble),
                                h(&[u64::from(nibble), (last >> shift & 15) as u64])
                            ],
                            4
                        )
                    } else {
                        (0..4).rev().fold(0, |sum, bit| {
                            sum << 1 | self.coder.code(given >> bit & 1, 32768)
                        })
                    };
                    value |= u128::from(told) << shift;
                }
                let place = self.known.uuids.len() as u32;
                self.known.uuids.push((value, resource));
                self.known.uuid_ids.insert(value, place);
                place
            }
            6 => {
                let back = place.map_or(0, |place| newest.wrapping_sub(place));
                let back = coded!(
                    self,
                    distance,
                    number,
                    back,
                    [path, h(&[resource]), h(&[path, of_type])]
                );
                newest.wrapping_sub(back)
            }
            _ => *candidates
                .get(outcome as usize)
                .ok_or("an identifier of no kind")?,
        };
        let value = self
            .known
            .uuids
            .get(place as usize)
            .ok_or("an identifier that was never told")?
            .0;
        self.known.uuid_at.insert(path, place);
        Ok(value)
    }

    fn moment(&mut self, given: Option<Id>, path: u64) -> Outcome<Id> {
        let given = given.map(|text| {
            let text = self.known.texts.get(text);
            let (moment, between, rest) = parse_moment(text).unwrap_or((
                Moment {
                    day: 0,
                    second: None,
                },
                0,
                &[],
            ));
            (moment, between, rest.to_vec())
        });
        let here = h(&[path, 11]);
        let (last, length) = self
            .known
            .moment_at
            .get(&path)
            .copied()
            .unwrap_or((self.known.moment, 0));
        let recent = self.known.moment;
        let nearer = given.as_ref().map(|(moment, ..)| {
            let distance = |other: Moment| (moment.seconds() - other.seconds()).abs();
            distance(last) < distance(recent)
        });
        let is_day = coded!(
            self,
            near,
            plain,
            given
                .as_ref()
                .map_or(0, |one| u32::from(one.0.second.is_none())),
            [here, h(&[here, 1]), h(&[12, self.known.resource])],
            1
        ) != 0;
        let is_last = coded!(
            self,
            near,
            plain,
            u32::from(nearer.unwrap_or(false)),
            [h(&[here, 2]), h(&[here, 3, length]), h(&[13])],
            1
        ) != 0;
        let reference = if is_last { last } else { recent };
        let ours = |moment: Moment| if is_day { moment.day } else { moment.seconds() };
        let difference = given
            .as_ref()
            .map_or(0, |one| ours(one.0) - ours(reference));
        let unit = if reference == last && !is_day {
            self.known.paces.get(&path).map_or(0, |pace| pace.usual)
        } else {
            0
        };
        let is_whole = unit != 0
            && coded!(
                self,
                near,
                plain,
                u32::from(difference % unit == 0),
                [h(&[here, 77]), 78, 79],
                1
            ) != 0;
        let unit = if is_whole { unit } else { 1 };
        let difference = difference / unit;
        let how = h(&[here, u64::from(is_last), u64::from(is_day)]);
        let how = if is_whole { h(&[how, 1]) } else { how };
        let topic = self.known.topic;
        // zigzag: the sign is the lowest bit
        let zigzag = u32::try_from(difference << 1 ^ difference >> 63).ok();
        let fits = coded!(
            self,
            near,
            plain,
            u32::from(zigzag.is_some()),
            [14, h(&[14, path]), 15],
            1
        ) != 0;
        let difference = if fits {
            let told = coded!(
                self,
                delta,
                number,
                zigzag.unwrap_or(0),
                [
                    how,
                    h(&[how, length]),
                    h(&[how, topic]),
                    h(&[u64::from(is_last), u64::from(is_day), 16]),
                    h(&[how, self.known.before[1]])
                ]
            );
            i64::from(told >> 1) ^ -i64::from(told & 1)
        } else {
            let high = coded!(self, count, number, (difference >> 32) as u32, [17, 18]);
            let low = coded!(self, count, number, difference as u32, [19, 20]);
            (i64::from(high as i32)) << 32 | i64::from(low)
        };
        let value = difference
            .checked_mul(unit)
            .and_then(|difference| ours(reference).checked_add(difference))
            .filter(|one| one.abs() < 1 << 40)
            .ok_or("a time out of range")?;
        let moment = if is_day {
            Moment {
                day: value,
                second: None,
            }
        } else {
            Moment {
                day: value.div_euclid(86400),
                second: Some(value.rem_euclid(86400)),
            }
        };
        let mut text = Vec::new();
        write_moment(moment, &mut text);
        if !is_day {
            let (year, month, day) = date_of(moment.day);
            let parts = given.as_ref().map(|(_, between, rest)| {
                let (fraction, zone) = split_fraction(rest);
                let mut template = vec![b'0' + fraction.len() as u8, *between];
                template.extend_from_slice(zone);
                (template, digits(fraction).unwrap_or(0) as u64)
            });
            let template = self.template(
                parts.as_ref().map(|one| &one.0[..]),
                h(&[21]),
                h(&[year as u64, month as u64, u64::from(day / 8 == 0)]),
            )?;
            let template = self.known.texts.get(template).to_vec();
            let count = template
                .first()
                .filter(|digit| (b'0'..b'0' + 16).contains(digit))
                .filter(|_| template.len() > 1)
                .ok_or("no template of a time")?
                - b'0';
            if count > 0 {
                let fraction = parts.as_ref().map_or(0, |one| one.1);
                let low = coded!(
                    self,
                    fraction,
                    number,
                    fraction as u32,
                    [
                        here,
                        h(&[here, self.known.fraction]),
                        h(&[u64::from(count), 22])
                    ]
                );
                let high = if count > 9 {
                    coded!(
                        self,
                        fraction,
                        number,
                        (fraction >> 32) as u32,
                        [23, 24, 25]
                    )
                } else {
                    0
                };
                let value = u64::from(high) << 32 | u64::from(low);
                self.known.fraction = value;
                text.push(b'.');
                text.extend(format!("{value:0width$}", width = usize::from(count)).bytes());
            }
            text.extend_from_slice(&template[2..]);
            text[DATE] = template[1];
        }
        let text = self.known.texts.intern(&text);
        self.passed(path, moment, value - ours(reference));
        if self.counts {
            self.keep_pace(path, moment, text, 0);
        }
        Ok(text)
    }

    /// A time was told that is so far from the one it was told from.
    fn passed(&mut self, path: u64, moment: Moment, difference: i64) {
        let size = u64::from(difference.unsigned_abs().leading_zeros());
        let length = size + (u64::from(difference == 0) << 8);
        self.known.moment_at.insert(path, (moment, length));
        self.known.moment = moment;
    }

    /// Whether the time that is foretold comes again, after it came often in a row.
    fn keeps_pace(&mut self, given: Option<Id>, path: u64, text: Id) -> bool {
        let ends = u32::from(given.is_some_and(|one| one != text));
        let share = self.known.pace_ends.entry(path);
        let ends = self.coder.code(ends, share.probability().clamp(1, 65535));
        share.update(ends, ENDS_LIMIT);
        if ends != 0 {
            self.break_pace(path);
            return false;
        }
        self.go_on(path);
        self.known.before = [self.known.texts.hash(text), self.known.before[0]];
        true
    }

    /// What was foretold did not come.
    fn break_pace(&mut self, path: u64) {
        if let Some(pace) = self.known.paces.get(&path).copied() {
            self.known.paces.insert(path, Pace { streak: 0, ..pace });
        }
    }

    /// Foretell the next time at a place, if the last were equally far apart or are so usually.
    fn keep_pace(&mut self, path: u64, moment: Moment, text: Id, streak: u32) {
        let is_day = moment.second.is_none();
        let last = self.known.paces.get(&path).copied();
        let last = last.filter(|last| last.moment.second.is_none() == is_day);
        let step = last.map_or(0, |last| moment.seconds() - last.moment.seconds());
        let usual = match last {
            Some(_) if streak >= STREAK => step,
            last => last.map_or(0, |last| last.usual),
        };
        let ahead = match last {
            Some(last) if last.step == step => step,
            _ => usual,
        };
        let foretold = match ahead {
            0 => None,
            _ => self.foretell(moment, ahead, text),
        };
        let pace = Pace {
            moment,
            step,
            usual,
            ahead,
            foretold,
            streak,
        };
        self.known.paces.insert(path, pace);
    }

    /// What comes a step after a time, spelled like it.
    fn foretell(&mut self, moment: Moment, step: i64, text: Id) -> Option<Id> {
        let next = moment.after(step);
        let mut spelled = Vec::new();
        write_moment(next, &mut spelled);
        let text = self.known.texts.get(text);
        if parse_moment(&spelled).is_none() || text.len() < spelled.len() {
            return None;
        }
        if next.second.is_some() {
            spelled[DATE] = text[DATE];
        }
        spelled.extend_from_slice(&text[spelled.len()..]);
        Some(self.known.texts.intern(&spelled))
    }

    /// What was foretold was told.
    fn go_on(&mut self, path: u64) {
        let Some(pace) = self.known.paces.get(&path).copied() else {
            return;
        };
        let Some(text) = pace.foretold else {
            return;
        };
        let moment = pace.moment.after(pace.ahead);
        let distance = match moment.second {
            None => pace.ahead / 86400,
            Some(_) => pace.ahead,
        };
        self.passed(path, moment, distance);
        self.keep_pace(path, moment, text, (pace.streak + 1).min(STREAK));
    }

    fn decimal(&mut self, given: Option<Id>, path: u64, decimals: u32) -> Outcome<Id> {
        let given = given.and_then(|text| parse_decimal(self.known.texts.get(text)));
        let topic = self.known.topic;
        let key = h(&[path, 72, topic]);
        let track = self.known.tracks.get(&key).cloned().unwrap_or_default();
        let is_step = track.steps < track.sizes;
        let reference = if is_step { track.value } else { 0 };
        let step = given.map_or(0, |one| one.0 - reference);
        let before = self.known.before;
        let how = h(&[path, 73, u64::from(is_step), u64::from(decimals)]);
        let told = coded!(
            self,
            value,
            small,
            (step << 1 ^ step >> 63) as u32,
            [
                h(&[how, topic]),
                h(&[how, track.last[0]]),
                h(&[how, track.last[0], track.last[1]]),
                h(&[how, before[0]]),
                h(&[how, track.value as u64]),
                h(&[how, topic, 64 - u64::from(track.last[0].leading_zeros())]),
            ]
        );
        let step = i64::from(told >> 1) ^ -i64::from(told & 1);
        let value = reference + step;
        let moved = (value - track.value).unsigned_abs();
        let track = Track {
            value,
            last: [u64::from(told), track.last[0]],
            steps: track.steps - track.steps / 16 + moved.min(1 << 40),
            sizes: track.sizes - track.sizes / 16 + value.unsigned_abs().min(1 << 40),
        };
        self.known.tracks.insert(key, track);
        let text = write_decimal(value, decimals).ok_or("a number out of range")?;
        Ok(self.known.texts.intern(&text))
    }

    fn base64(&mut self, given: Option<Id>, path: u64) -> Outcome<Id> {
        let data = given.and_then(|text| decode_base64(self.known.texts.get(text)));
        let size = coded!(
            self,
            count,
            number,
            data.as_ref().map_or(0, |one| one.len() as u32),
            [path, 26]
        );
        let told = self.attachment(data.as_deref(), size as usize, path)?;
        Ok(self.known.texts.intern(&encode_base64(&told)))
    }

    pub(super) fn spell(&mut self, given: Option<Id>, path: u64, like: Option<Id>) -> Outcome<Id> {
        let text = given.map(|id| self.known.texts.get(id).to_vec());
        let like = like
            .map(|id| self.known.texts.get(id).to_vec())
            .unwrap_or_default();
        let mut letters = Vec::new();
        self.letters(text.as_deref(), None, path, &like, &mut letters)?;
        Ok(self.known.texts.intern(&letters))
    }

    /// Letters one by one, so many or to an `END`.
    pub(super) fn letters(
        &mut self,
        given: Option<&[u8]>,
        size: Option<usize>,
        path: u64,
        like: &[u8],
        into: &mut Vec<u8>,
    ) -> Outcome<()> {
        let (mut whole, mut word, mut word_before) = (path, 0u64, 0u64);
        let topic = h(&[self.known.topic, path]);
        let (mut candidate, mut matched) = (0usize, 0usize);
        let mut agrees = true;
        loop {
            let place = into.len();
            if size.is_some_and(|size| place >= size) {
                break;
            }
            if matched >= LONG
                && matched % STRIDE == 0
                && candidate + STRIDE <= self.known.history.len()
            {
                let run = self.known.history[candidate..candidate + STRIDE].to_vec();
                let goes_on = given.map(|text| text.get(place..place + STRIDE) == Some(&run[..]));
                let fits = size.is_none_or(|size| place + STRIDE <= size);
                let is_run = fits
                    && coded!(
                        self,
                        run,
                        plain,
                        u32::from(goes_on.unwrap_or(false)),
                        [(matched / STRIDE).min(20) as u64, path],
                        1
                    ) != 0;
                if is_run {
                    if given.is_none() {
                        self.room = self.room.checked_sub(STRIDE).ok_or(TOO_LARGE)?;
                    }
                    for &told in &run {
                        agrees = agrees && like.get(into.len()) == Some(&told);
                        whole = hash(whole, u64::from(told) + 1);
                        (word, word_before) = follow_word(word, word_before, told);
                        into.push(told);
                    }
                    self.known.history.extend_from_slice(&run);
                    candidate += STRIDE;
                    matched += STRIDE;
                    continue;
                }
            }
            let letter = given.map_or(0, |text| text.get(place).copied().unwrap_or(END));
            let known = &mut *self.known;
            let history = &known.history;
            let end = history.len();
            let last = |back: usize| {
                history
                    .get(end.wrapping_sub(back))
                    .map_or(0, |&byte| u64::from(byte))
            };
            let recent = last(1)
                | last(2) << 8
                | last(3) << 16
                | last(4) << 24
                | last(5) << 32
                | last(6) << 40;
            let beside = like.get(place).map_or(256, |&byte| u64::from(byte));
            let contexts = [
                h(&[recent & 0xff, path]),
                recent & 0xffff,
                recent & 0xff_ffff,
                recent & 0xffff_ffff,
                recent & 0xff_ffff_ffff,
                recent,
                h(&[word, 27]),
                h(&[word, word_before]),
                whole,
                h(&[whole, topic]),
                h(&[beside, u64::from(agrees), recent & 0xff]),
                h(&[path, beside, u64::from(agrees), place.min(20) as u64]),
                h(&[place.min(20) as u64, path]),
            ];
            let model = &mut known.models.letter;
            for (number, context) in contexts.into_iter().enumerate() {
                model.hashes[number] = hash(context, number as u64 + 1);
            }
            let guess = (matched > 0).then(|| {
                (
                    u32::from(history[candidate]),
                    match matched {
                        0..=15 => matched,
                        16..=31 => 13,
                        32..=63 => 14,
                        _ => 15,
                    }
                    .min(15),
                )
            });
            let told = plain(model, &mut self.coder, u32::from(letter), 8, guess) as u8;
            let is_end = size.is_none() && told == END;
            if matched > 0 && history[candidate] == told {
                candidate += 1;
                matched += 1;
            } else {
                matched = 0;
            }
            known.history.push(told);
            let end = known.history.len();
            if end > LEAST_MATCH {
                let sum = known.history[end - LEAST_MATCH..]
                    .iter()
                    .fold(7, |sum, &byte| hash(sum, u64::from(byte)));
                let slot = (sum >> 48) as usize;
                if matched == 0 {
                    let at = known.latest[slot] as usize;
                    if at > 0 {
                        let same = (0..32.min(at))
                            .take_while(|back| {
                                known.history[at - 1 - back] == known.history[end - 1 - back]
                            })
                            .count();
                        if same >= LEAST_MATCH {
                            (candidate, matched) = (at, same);
                        }
                    }
                }
                known.latest[slot] = end as u32;
            }
            if is_end {
                break;
            }
            if given.is_none() {
                self.room = self.room.checked_sub(1).ok_or(TOO_LARGE)?;
                if self.coder.is_exhausted() {
                    return Err(EXHAUSTED.into());
                }
            }
            agrees = agrees && beside == u64::from(told);
            whole = hash(whole, u64::from(told) + 1);
            (word, word_before) = follow_word(word, word_before, told);
            into.push(told);
        }
        Ok(())
    }

    /// All values of a document, one after another.
    pub(super) fn nodes(&mut self, given: Option<&[Node]>) -> Outcome<Vec<Node>> {
        let count = coded!(
            self,
            count,
            number,
            given.map_or(0, |all| all.len() as u32),
            [28, 29]
        ) as usize;
        let mut nodes = Vec::new();
        let mut before = 0;
        for place in 0..count {
            let one = given.map(|all| &all[place]);
            let kind = coded!(
                self,
                kind,
                plain,
                one.map_or(0, |one| one.kind as u32),
                [h(&[30, before]), 31],
                3
            );
            before = u64::from(kind) + 1;
            let kind = *KINDS.get(kind as usize).ok_or("a kind that is none")?;
            let node = self.node(one, kind, 0, 32, 33)?;
            if given.is_none() {
                nodes.push(node);
            }
        }
        Ok(nodes)
    }

    /// The unit of the layout, and what is not as expected.
    pub(super) fn layout(&mut self, given: Option<&Spacing<&[u8]>>) -> Outcome<Spacing<Vec<u8>>> {
        let unit = coded!(
            self,
            count,
            number,
            given.map_or(0, |one| one.unit as u32),
            [34, 35]
        ) as usize;
        let count = coded!(
            self,
            count,
            number,
            given.map_or(0, |one| one.odd.len() as u32),
            [36, 37]
        ) as usize;
        if count > self.most {
            return Err("more odd spaces than the record may have letters".into());
        }
        let mut odd = Vec::new();
        let mut before = 0;
        for place in 0..count {
            let one = given.map(|one| one.odd[place]);
            let step = coded!(
                self,
                distance,
                number,
                one.map_or(0, |one| (one.0 - before) as u32),
                [38, h(&[39, place.min(3) as u64]), 40]
            );
            let text = one.map(|one| self.known.texts.intern(one.1));
            let text = self.spell(text, 41, None)?;
            before += step as usize;
            odd.push((before, self.known.texts.get(text).to_vec()));
        }
        if unit >= UNITS.len() {
            return Err("a layout of no kind".into());
        }
        Ok(Spacing { unit, odd })
    }
}

/// Tell a document to a coder that has it.
pub(super) fn tell<C: Coder>(
    known: &mut Known,
    coder: C,
    document: &[u8],
) -> Option<(C, Vec<Node>)> {
    let (nodes, gaps) = parse(document, &mut known.texts)?;
    let spacing = Layout::exceptions(document, &gaps);
    let mut teller = Teller::new(known, coder, usize::MAX, COUNTS);
    teller.nodes(Some(&nodes)).ok()?;
    teller.layout(Some(&spacing)).ok()?;
    Some((teller.coder, nodes))
}
