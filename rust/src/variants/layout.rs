//! Which values a row has, by the templates of its information and format.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The name of a column of values.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Key {
    /// A key of INFO, and how often the same one came before in the line.
    Info(Rc<[u8]>, u32),
    /// A key of FORMAT, of one of the samples.
    Sample(u32, Rc<[u8]>),
}

impl Key {
    /// Whether this is the place where a block of reference ends.
    pub(super) fn is_end(&self) -> bool {
        matches!(self, Key::Info(name, 0) if **name == *b"END")
    }
}

/// A template of INFO: what stands before each value, its key, and what stands after the last.
pub(super) struct Info {
    pub(super) values: Vec<(Vec<u8>, Key)>,
    pub(super) end: Vec<u8>,
}

impl Info {
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.values.iter().map(|(_, key)| key)
    }
}

pub(super) fn info_layout(template: &[u8]) -> Info {
    let mut info = Info {
        values: Vec::new(),
        end: Vec::new(),
    };
    let mut before: HashMap<&[u8], u32> = HashMap::new();
    for (place, item) in template.split(|&byte| byte == b';').enumerate() {
        if place > 0 {
            info.end.push(b';');
        }
        info.end.extend_from_slice(item);
        if let Some(at) = item.iter().position(|&byte| byte == b'=') {
            let name = &item[..at];
            let times = before.entry(name).or_default();
            let key = Key::Info(name.into(), *times);
            *times += 1;
            info.values.push((std::mem::take(&mut info.end), key));
        }
    }
    info
}

/// The keys of FORMAT, each with a name of its own: one that comes again has its place behind it.
pub(super) fn sample_keys<'f>(format: &'f [u8]) -> Vec<Rc<[u8]>> {
    let mut seen: HashSet<&'f [u8]> = HashSet::new();
    let mut named = |place: usize, name: &'f [u8]| match seen.insert(name) {
        true => name.into(),
        false => [name, b":", place.to_string().as_bytes()].concat().into(),
    };
    let names = format.split(|&byte| byte == b':').enumerate();
    names.map(|(place, name)| named(place, name)).collect()
}
