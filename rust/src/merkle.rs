//! Merkle trees over SHA-256: the root of an ordered list, and the tree of the ledger's map above its buckets.

use std::collections::{HashMap, VecDeque};
use std::mem;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use sha2::{Digest, Sha256};

use crate::{exactly, refused, Outcome};

type Node = [u8; 32];

const UNWRITTEN: Node = [0; 32];

/// More levels would not fit into memory.
const MOST_LEVELS: usize = 24;

/// What stands for an ordered list of leaves (RFC 9162, section 2.1): a leaf is hashed behind a 0, two nodes behind a 1, and one
/// without a sibling moves up as it is.
#[pyfunction]
pub fn list_root(leaves: Vec<PyBackedBytes>) -> Node {
    let mut level: Vec<Node> = leaves.iter().map(|leaf| leaf_node(leaf)).collect();
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

/// The tree of the ledger's map above its buckets: binary, of fixed depth, all nodes in memory.
///
/// Node `i` has the children `2i` and `2i + 1`, the root is 1. An empty subtree is kept as zeros, so that the system gives memory
/// only where something was written.
#[pyclass]
pub struct MerkleTree {
    /// The empty subtree of each level, from the leaves up to the root.
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

    fn place(&self, leaf: usize) -> Outcome<usize> {
        let width = self.nodes.len() / 2;
        if leaf < width {
            Ok(width + leaf)
        } else {
            Err(format!("there is no leaf {leaf} among {width}"))
        }
    }

    /// The nodes that have other content with these leaves in their places, by place.
    fn changed(&self, leaves: &[(usize, PyBackedBytes)]) -> Outcome<HashMap<usize, Node>> {
        let mut changed = HashMap::with_capacity(4 * leaves.len());
        for (leaf, digest) in leaves {
            changed.insert(self.place(*leaf)?, exactly("a leaf", digest)?);
        }
        let mut places: Vec<usize> = changed.keys().copied().collect();
        for level in 0..self.empty.len() - 1 {
            places.iter_mut().for_each(|place| *place >>= 1);
            places.sort_unstable();
            places.dedup();
            for place in &places {
                let child = |place| match changed.get(&place) {
                    Some(&UNWRITTEN) => self.empty[level],
                    Some(&node) => node,
                    None => self.node(place, level),
                };
                let node = inner_node(&child(2 * place), &child(2 * place + 1));
                changed.insert(*place, node);
            }
        }
        Ok(changed)
    }
}

#[pymethods]
impl MerkleTree {
    /// An empty tree; `empty` has what stands for an empty subtree of each level, from a leaf up to the root.
    #[new]
    fn new(empty: Vec<PyBackedBytes>) -> PyResult<Self> {
        if empty.is_empty() || empty.len() > MOST_LEVELS + 1 {
            return Err(refused(format!("a tree of {} levels", empty.len())));
        }
        let empty: Vec<Node> = empty
            .iter()
            .map(|node| exactly("an empty subtree", node))
            .collect::<Outcome<_>>()
            .map_err(refused)?;
        let nodes = vec![UNWRITTEN; 1 << empty.len()];
        Ok(Self {
            empty,
            nodes,
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

    /// Work out what changes with these digests in the place of leaves; nothing changes yet.
    fn stage(&self, leaves: Vec<(usize, PyBackedBytes)>) -> PyResult<StagedNodes> {
        let changed = self.changed(&leaves).map_err(refused)?;
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
        self.node(1, self.empty.len() - 1)
    }

    /// The siblings of a leaf and of every node above it, from the bottom up, as they were `back` writes ago.
    #[pyo3(signature = (leaf, back=0))]
    fn siblings(&self, leaf: usize, back: usize) -> PyResult<Vec<Node>> {
        if back > self.past.len() {
            return Err(refused(format!(
                "{back} writes back, {} are kept",
                self.past.len()
            )));
        }
        let place = self.place(leaf).map_err(refused)?;
        Ok((0..self.empty.len() - 1)
            .map(|level| self.node_before(place >> level ^ 1, level, back))
            .collect())
    }
}
