//! Merkle trees over SHA-256: the root of an ordered list, and the tree of the ledger's map above its buckets.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::mem;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use sha2::{Digest, Sha256};

use crate::{exactly, refused, Outcome};

type Node = [u8; 32];

const UNWRITTEN: Node = [0; 32];

/// More buckets would not fit into memory.
const MOST_BITS: usize = 24;

/// What stands for an ordered list of leaves (RFC 9162, section 2.1): a leaf is hashed behind a 0, two nodes behind a 1, and one
/// without a sibling moves up as it is.
#[pyfunction]
pub fn list_root(leaves: Vec<PyBackedBytes>) -> Node {
    root_of(leaves.iter().map(|leaf| leaf_node(leaf)).collect())
}

/// SHA-256 of each message behind the same first bytes, which say what it is.
#[pyfunction]
pub fn digests(py: Python<'_>, first: &[u8], messages: Vec<PyBackedBytes>) -> Vec<Node> {
    let begun = Sha256::new_with_prefix(first);
    py.detach(|| {
        messages
            .iter()
            .map(|message| begun.clone().chain_update(message).finalize().into())
            .collect()
    })
}

/// What stands for a list whose leaves are hashed.
fn root_of(mut level: Vec<Node>) -> Node {
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => inner_node(left, right),
                _ => pair[0],
            })
            .collect();
    }
    level.pop().unwrap_or_else(|| Sha256::digest([]).into())
}

fn leaf_node(leaf: &[u8]) -> Node {
    Sha256::new()
        .chain_update([0])
        .chain_update(leaf)
        .finalize()
        .into()
}

fn inner_node(left: &Node, right: &Node) -> Node {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// A line of the map: digest of a key, then digest of its value.
const LINE: usize = 64;

/// The bucket that a key's digest falls into: its first bits.
fn bucket_of(key: &Node, bits: usize) -> usize {
    u32::from_be_bytes([key[0], key[1], key[2], key[3]]) as usize >> (32 - bits)
}

/// What stands for a bucket with these lines: SHA-256(0 ‖ lines), or of more than `small` SHA-256(2 ‖ their number ‖ their list's root).
fn hash_bucket(lines: &[[u8; LINE]], small: usize) -> Node {
    if lines.len() <= small {
        return leaf_node(lines.as_flattened());
    }
    Sha256::new()
        .chain_update([2])
        .chain_update((lines.len() as u64).to_be_bytes())
        .chain_update(root_of(lines.iter().map(|line| leaf_node(line)).collect()))
        .finalize()
        .into()
}

/// The tree of the ledger's map: its buckets are the leaves; binary, of fixed depth, all nodes in memory.
///
/// Node `i` has the children `2i` and `2i + 1`, the root is 1. An empty subtree is kept as zeros, so that the system gives memory
/// only where something was written.
#[pyclass]
pub struct MerkleTree {
    /// The leading bits of a key's digest that name its bucket.
    bits: usize,
    /// A bucket with more lines is hashed as a list.
    small: usize,
    /// The empty subtree of each level, from the buckets up to the root.
    empty: Vec<Node>,
    nodes: Vec<Node>,
    /// What stood in the places that were written, for each of the last `kept` writes, the latest first.
    past: VecDeque<HashMap<usize, Node>>,
    kept: usize,
    /// How often the tree was written.
    writes: u64,
}

/// A write that was worked out and not yet made: the nodes that it changes, in a tree that was written so often.
#[pyclass(frozen)]
pub struct StagedNodes {
    changed: HashMap<usize, Node>,
    writes: u64,
    root: Node,
}

#[pymethods]
impl StagedNodes {
    /// What would stand for the whole tree.
    #[getter]
    fn root(&self) -> Node {
        self.root
    }
}

impl MerkleTree {
    fn node(&self, place: usize, level: usize) -> Node {
        self.node_before(place, level, 0)
    }

    /// A node as it was so many writes ago: of the writes since then the earliest knows.
    fn node_before(&self, place: usize, level: usize, back: usize) -> Node {
        let since = self.past.iter().take(back).rev();
        match *since
            .filter_map(|write| write.get(&place))
            .next()
            .unwrap_or(&self.nodes[place])
        {
            UNWRITTEN => self.empty[level],
            node => node,
        }
    }

    /// The digests of the buckets that a write touches, as they will be.
    fn buckets(
        &self,
        put: &[PyBackedBytes],
        removed: &[PyBackedBytes],
        present: &[PyBackedBytes],
    ) -> Outcome<BTreeMap<usize, Node>> {
        let mut touched: BTreeMap<usize, Vec<[u8; LINE]>> = BTreeMap::new();
        let mut lines: BTreeMap<Node, Option<[u8; LINE]>> = BTreeMap::new();
        for line in present {
            let line = exactly::<LINE>("a line", line)?;
            lines.insert(key_of(&line), Some(line));
        }
        for line in put {
            let line = exactly::<LINE>("a line", line)?;
            touched.insert(bucket_of(&key_of(&line), self.bits), Vec::new());
            lines.insert(key_of(&line), Some(line));
        }
        for key in removed {
            let key = exactly::<32>("the digest of a key", key)?;
            touched.insert(bucket_of(&key, self.bits), Vec::new());
            lines.insert(key, None);
        }
        for (key, line) in lines {
            let bucket = touched.get_mut(&bucket_of(&key, self.bits));
            bucket
                .ok_or("a line that is present belongs to no bucket of this write")?
                .extend(line);
        }
        Ok(touched
            .into_iter()
            .map(|(number, lines)| (number, hash_bucket(&lines, self.small)))
            .collect())
    }

    /// The nodes that have other content with these digests of buckets, by place.
    fn changed(&self, buckets: BTreeMap<usize, Node>) -> HashMap<usize, Node> {
        let mut changed = HashMap::with_capacity(4 * buckets.len());
        let width = self.nodes.len() / 2;
        changed.extend(
            buckets
                .iter()
                .map(|(number, digest)| (width + number, *digest)),
        );
        let mut places: Vec<usize> = buckets.keys().map(|number| width + number).collect();
        for level in 0..self.bits {
            places.iter_mut().for_each(|place| *place >>= 1);
            places.dedup();
            for place in &places {
                let child = |place| *changed.get(&place).unwrap_or(&self.node(place, level));
                let node = inner_node(&child(2 * place), &child(2 * place + 1));
                changed.insert(*place, node);
            }
        }
        changed
    }
}

fn key_of(line: &[u8; LINE]) -> Node {
    line[..32].try_into().expect("a line begins with 32 bytes")
}

#[pymethods]
impl MerkleTree {
    /// The tree of an empty map with 2^bits buckets, of which those with more than `small` lines are hashed as lists.
    #[new]
    fn new(bits: usize, small: usize) -> PyResult<Self> {
        if bits == 0 || bits > MOST_BITS {
            return Err(refused(format!(
                "{bits} bits: 1 to {MOST_BITS} are possible"
            )));
        }
        let mut empty = vec![hash_bucket(&[], small)];
        for level in 0..bits {
            empty.push(inner_node(&empty[level], &empty[level]));
        }
        Ok(Self {
            bits,
            small,
            empty,
            nodes: vec![UNWRITTEN; 2 << bits],
            past: VecDeque::new(),
            kept: 0,
            writes: 0,
        })
    }

    /// From now on keep what the tree was before each of the last `kept` writes.
    fn keep(&mut self, kept: usize) {
        self.kept = kept;
        self.past.truncate(kept);
    }

    /// Work out what changes if lines are put (in place of others of the same keys) and keys removed; nothing changes yet.
    ///
    /// `present` has the lines that there are in the buckets of all of them, and no others.
    fn stage(
        &self,
        put: Vec<PyBackedBytes>,
        removed: Vec<PyBackedBytes>,
        present: Vec<PyBackedBytes>,
    ) -> PyResult<StagedNodes> {
        let buckets = self.buckets(&put, &removed, &present).map_err(refused)?;
        let changed = self.changed(buckets);
        let root = changed.get(&1).copied().unwrap_or_else(|| self.root());
        Ok(StagedNodes {
            changed,
            writes: self.writes,
            root,
        })
    }

    /// Make a write that was worked out on the tree as it is now.
    fn apply(&mut self, staged: &StagedNodes) -> PyResult<()> {
        if staged.writes != self.writes {
            return Err(refused(format!(
                "worked out after {} writes, made after {}",
                staged.writes, self.writes
            )));
        }
        let mut before = HashMap::with_capacity(if self.kept > 0 {
            staged.changed.len()
        } else {
            0
        });
        for (&place, &node) in &staged.changed {
            let old = mem::replace(&mut self.nodes[place], node);
            if self.kept > 0 {
                before.insert(place, old);
            }
        }
        if self.kept > 0 {
            self.past.push_front(before);
            self.past.truncate(self.kept);
        }
        self.writes += 1;
        Ok(())
    }

    /// What stands for the whole tree.
    #[getter]
    fn root(&self) -> Node {
        self.node(1, self.bits)
    }

    /// The siblings of a bucket and of every node above it, from the bottom up, as they were `back` writes ago.
    #[pyo3(signature = (number, back=0))]
    fn siblings(&self, number: usize, back: usize) -> PyResult<Vec<Node>> {
        if back > self.past.len() {
            return Err(refused(format!(
                "{back} writes back, {} are kept",
                self.past.len()
            )));
        }
        let width = 1 << self.bits;
        if number >= width {
            return Err(refused(format!(
                "there is no bucket {number} among {width}"
            )));
        }
        Ok((0..self.bits)
            .map(|level| self.node_before((width + number) >> level ^ 1, level, back))
            .collect())
    }
}
