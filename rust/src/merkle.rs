//! The tree of the ledger's Merkle map above its buckets: binary, of fixed depth, all nodes in memory.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use sha2::{Digest, Sha256};

use crate::{exactly, refused, Outcome};

type Node = [u8; 32];

const UNWRITTEN: Node = [0; 32];

/// More levels would not fit into memory.
const MOST_LEVELS: usize = 24;

/// Node `i` has the children `2i` and `2i + 1`, the root is 1. An empty subtree is kept as zeros, so that the system gives memory
/// only where something was written.
#[pyclass]
pub struct MerkleTree {
    /// The empty subtree of each level, from the leaves up to the root.
    empty: Vec<Node>,
    nodes: Vec<Node>,
}

impl MerkleTree {
    fn node(&self, place: usize, level: usize) -> Node {
        match self.nodes[place] {
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
                let mut state = Sha256::new();
                state.update([1]);
                state.update(child(2 * place));
                state.update(child(2 * place + 1));
                changed.insert(*place, state.finalize().into());
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
        Ok(Self { empty, nodes })
    }

    /// Put digests in the place of leaves, and hash anew what lies above them.
    fn put(&mut self, leaves: Vec<(usize, PyBackedBytes)>) -> PyResult<()> {
        for (place, node) in self.changed(&leaves).map_err(refused)? {
            self.nodes[place] = node;
        }
        Ok(())
    }

    /// The root that the tree would have with these digests in the place of leaves.
    fn root_with(&self, leaves: Vec<(usize, PyBackedBytes)>) -> PyResult<Node> {
        let changed = self.changed(&leaves).map_err(refused)?;
        Ok(changed.get(&1).copied().unwrap_or_else(|| self.root()))
    }

    /// What stands for the whole tree.
    #[getter]
    fn root(&self) -> Node {
        self.node(1, self.empty.len() - 1)
    }

    /// The siblings of a leaf and of every node above it, from the bottom up.
    fn siblings(&self, leaf: usize) -> PyResult<Vec<Node>> {
        let place = self.place(leaf).map_err(refused)?;
        Ok((0..self.empty.len() - 1)
            .map(|level| self.node(place >> level ^ 1, level))
            .collect())
    }
}
