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
    /// The place where a block of reference ends.
    pub(super) fn end() -> Self {
        Key::Info((*b"END").into(), 0)
    }
}

/// The keys of a template of INFO, each with where in the template its value stands.
pub(super) fn info_keys(template: &[u8]) -> impl Iterator<Item = (usize, Key)> + '_ {
    let mut before: HashMap<&[u8], u32> = HashMap::new();
    let mut next = 0;
    template
        .split(|&byte| byte == b';')
        .filter_map(move |item| {
            let start = next;
            next += item.len() + 1;
            let at = item.iter().position(|&byte| byte == b'=')?;
            let times = before.entry(&item[..at]).or_default();
            *times += 1;
            Some((start + at + 1, Key::Info(item[..at].into(), *times - 1)))
        })
}

/// How many keys a template of FORMAT has.
pub(super) fn parts(format: &[u8], separator: u8) -> usize {
    1 + format.iter().filter(|&&byte| byte == separator).count()
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
