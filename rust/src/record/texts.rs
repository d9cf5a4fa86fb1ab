//! Texts by their numbers, and what is known of anything by its hash; both in layers, of which the lower is shared.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::mix::hash;

/// The number of a text.
pub(super) type Id = u32;

/// Hashes that are hashes already.
#[derive(Default)]
pub(super) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = hash(self.0, u64::from(byte));
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

type Flat<V> = HashMap<u64, V, BuildHasherDefault<Same>>;

fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut sum = bytes.len() as u64 ^ 0x5bd1_e995;
    let (whole, rest) = bytes.as_chunks::<8>();
    for chunk in whole {
        sum = hash(sum, u64::from_le_bytes(*chunk));
    }
    for &byte in rest {
        sum = hash(sum, u64::from(byte) + 1);
    }
    hash(sum, 1)
}

pub(super) fn h(parts: &[u64]) -> u64 {
    parts
        .iter()
        .fold(0x1234_5678_9abc_def1, |sum, &part| hash(sum, part))
}

/// Values by hashes: above what a base knows, which is shared, what changed since.
#[derive(Clone)]
pub(super) struct Map<V> {
    below: Arc<Flat<V>>,
    own: Flat<V>,
}

impl<V> Default for Map<V> {
    fn default() -> Self {
        Map {
            below: Arc::default(),
            own: Flat::default(),
        }
    }
}

impl<V: Clone> Map<V> {
    pub(super) fn get(&self, key: &u64) -> Option<&V> {
        self.own.get(key).or_else(|| self.below.get(key))
    }

    pub(super) fn insert(&mut self, key: u64, value: V) {
        self.own.insert(key, value);
    }

    /// The value to be changed, or a new one.
    pub(super) fn entry(&mut self, key: u64) -> &mut V
    where
        V: Default,
    {
        let below = &self.below;
        self.own
            .entry(key)
            .or_insert_with(|| below.get(&key).cloned().unwrap_or_default())
    }

    /// Share what is known so far with every copy that goes on from here.
    pub(super) fn rest(&mut self) {
        let mut all = (*self.below).clone();
        all.extend(self.own.drain());
        self.below = Arc::new(all);
    }

    pub(super) fn clear(&mut self) {
        *self = Map::default();
    }
}

/// Values by hashes where each that is looked for is told anew: one place serves both.
#[derive(Clone)]
pub(super) struct Places<V> {
    below: Arc<Slots<V>>,
    own: Slots<V>,
}

/// Open addresses: hashes, of which none is zero, and their values.
#[derive(Clone)]
struct Slots<V> {
    slots: Vec<(u64, V)>,
    used: usize,
}

impl<V: Copy + Default> Slots<V> {
    fn new(size: usize) -> Self {
        Slots {
            slots: vec![(0, V::default()); size],
            used: 0,
        }
    }

    /// Where a hash is, or where it would be.
    #[inline]
    fn find(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut place = (key >> 20) as usize & mask;
        while self.slots[place].0 != key && self.slots[place].0 != 0 {
            place = (place + 1) & mask;
        }
        place
    }

    fn put(&mut self, key: u64, value: V) {
        if 2 * (self.used + 1) > self.slots.len() {
            self.grow();
        }
        let place = self.find(key);
        self.used += usize::from(self.slots[place].0 == 0);
        self.slots[place] = (key, value);
    }

    fn grow(&mut self) {
        let size = 2 * self.slots.len();
        let old = std::mem::replace(self, Slots::new(size));
        for (key, value) in old.slots.into_iter().filter(|slot| slot.0 != 0) {
            self.put(key, value);
        }
    }
}

impl<V: Copy + Default> Default for Places<V> {
    fn default() -> Self {
        Places {
            below: Arc::new(Slots::new(1)),
            own: Slots::new(64),
        }
    }
}

impl<V: Copy + Default> Places<V> {
    /// The places of hashes, which hold until others are looked for; a new one has what a base knows, or the default.
    pub(super) fn find<const N: usize>(&mut self, keys: [u64; N]) -> [usize; N] {
        while 2 * (self.own.used + N) > self.own.slots.len() {
            self.own.grow();
        }
        keys.map(|key| {
            let key = key.max(1);
            let place = self.own.find(key);
            if self.own.slots[place].0 == 0 {
                self.own.used += 1;
                self.own.slots[place] = (key, self.below.slots[self.below.find(key)].1);
            }
            place
        })
    }

    pub(super) fn at(&mut self, place: usize) -> &mut V {
        &mut self.own.slots[place].1
    }

    /// Share what is known so far with every copy that goes on from here.
    pub(super) fn rest(&mut self) {
        let own = std::mem::replace(&mut self.own, Slots::new(64));
        let mut all = (*self.below).clone();
        for (key, value) in own.slots.into_iter().filter(|slot| slot.0 != 0) {
            all.put(key, value);
        }
        self.below = Arc::new(all);
    }
}

/// Every text that occurs, once.
#[derive(Clone, Default)]
pub(super) struct Texts {
    below: Arc<Vec<Box<[u8]>>>,
    own: Vec<Box<[u8]>>,
    hashes: Vec<u64>,
    ids: Map<Id>,
}

impl Texts {
    /// The number of a text. Two texts of one hash would be a failed encoding, which is found when it is read again.
    pub(super) fn intern(&mut self, text: &[u8]) -> Id {
        let hashed = hash_bytes(text);
        if let Some(&id) = self.ids.get(&hashed) {
            if self.get(id) == text {
                return id;
            }
        }
        let id = self.hashes.len() as Id;
        self.own.push(text.into());
        self.hashes.push(hashed);
        self.ids.insert(hashed, id);
        id
    }

    pub(super) fn get(&self, id: Id) -> &[u8] {
        let id = id as usize;
        self.below
            .get(id)
            .unwrap_or_else(|| &self.own[id - self.below.len()])
    }

    pub(super) fn hash(&self, id: Id) -> u64 {
        self.hashes[id as usize]
    }

    /// Share what is known so far with every copy that goes on from here.
    pub(super) fn rest(&mut self) {
        let all = self
            .below
            .iter()
            .cloned()
            .chain(self.own.drain(..))
            .collect();
        self.below = Arc::new(all);
        self.ids.rest();
    }
}
