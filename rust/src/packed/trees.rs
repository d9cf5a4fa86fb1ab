//! Huffman codes: what bits stand for, and which lengths zlib (and gzip before it) gives to symbols of these frequencies.

use std::sync::OnceLock;

use super::blocks::{distance_symbol, length_symbol, Token, END};

/// The longest code of a symbol, and of a run of lengths.
const LONGEST: usize = 15;
pub(super) const LONGEST_OF_RUNS: usize = 7;
pub(super) const LETTERS: usize = 286;
pub(super) const DISTANCES: usize = 30;
const RUNS: usize = 19;

// ── codes ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A canonical code (RFC 1951, 3.2.2).
#[derive(Clone)]
pub(super) struct Code {
    /// By the next bits: 16 times the symbol, and the length of its code; 0 where there is none.
    found: Vec<u16>,
    mask: usize,
    /// By symbol: the bits of its code, the first lowest, and how many.
    codes: Vec<(u16, u8)>,
}

impl Code {
    /// The code of these lengths; none if they promise more symbols than there are bits for, or fewer, unless it is one
    /// bit for one symbol, or none at all: so do zlib and other readers.
    pub(super) fn new(lengths: &[u8]) -> Option<Self> {
        let mut counts = [0u32; LONGEST + 1];
        for &length in lengths {
            counts[usize::from(length)] += 1;
        }
        counts[0] = 0;
        let mut next = [0u32; LONGEST + 2];
        for length in 1..=LONGEST {
            next[length + 1] = (next[length] + counts[length]) << 1;
            if next[length] + counts[length] > 1 << length {
                return None;
            }
        }
        let longest = lengths.iter().copied().max().unwrap_or(0).max(1);
        if longest > 1 && next[LONGEST + 1] != 1 << (LONGEST + 1) {
            return None;
        }
        let mut found = vec![0u16; 1 << longest];
        let mut codes = vec![(0, 0); lengths.len()];
        for (symbol, &length) in lengths.iter().enumerate().filter(|one| *one.1 > 0) {
            let canonical = next[usize::from(length)];
            next[usize::from(length)] += 1;
            let bits = (canonical as u16).reverse_bits() >> (16 - length);
            codes[symbol] = (bits, length);
            for at in (usize::from(bits)..found.len()).step_by(1 << length) {
                found[at] = (symbol as u16) << 4 | u16::from(length);
            }
        }
        Some(Code {
            mask: found.len() - 1,
            found,
            codes,
        })
    }

    /// The symbol that these bits begin with, and how many of them it takes.
    #[inline]
    pub(super) fn find(&self, bits: usize) -> Option<(usize, u32)> {
        let entry = self.found[bits & self.mask];
        (entry > 0).then_some((usize::from(entry >> 4), u32::from(entry & 15)))
    }

    /// The bits that stand for a symbol, and how many.
    #[inline]
    pub(super) fn of(&self, symbol: usize) -> Option<(u32, u32)> {
        let &(bits, length) = self.codes.get(symbol)?;
        (length > 0).then_some((u32::from(bits), u32::from(length)))
    }
}

/// The codes of blocks that tell none.
pub(super) fn fixed_codes() -> [Code; 2] {
    static FIXED: OnceLock<[Code; 2]> = OnceLock::new();
    FIXED
        .get_or_init(|| {
            let letters: Vec<u8> = (0..288)
                .map(|symbol| match symbol {
                    0..144 => 8,
                    144..256 => 9,
                    256..280 => 7,
                    _ => 8,
                })
                .collect();
            [&letters[..], &[5; 32]].map(|lengths| Code::new(lengths).expect("as RFC 1951 has it"))
        })
        .clone()
}

// ── lengths from frequencies ──────────────────────────────────────────────────────────────────────────────────────

/// How often each letter or length, and each distance, stands in a block.
pub(super) fn frequencies(tokens: &[Token], text: &[u8]) -> [Vec<u32>; 2] {
    let mut letters = vec![0; LETTERS];
    let mut distances = vec![0; DISTANCES];
    let mut at = 0;
    for token in tokens {
        if token.length == 0 {
            letters[usize::from(text[at])] += 1;
        } else {
            letters[END + 1 + length_symbol(token.length)] += 1;
            distances[distance_symbol(token.distance)] += 1;
        }
        at += token.size();
    }
    letters[END] = 1;
    [letters, distances]
}

/// The lengths of codes for symbols, without those behind the last: a heap whose order and ties are zlib's.
fn built(frequencies: &[u32], longest: usize) -> Vec<u8> {
    let symbols = frequencies.len();
    let mut weights = frequencies.to_vec();
    weights.resize(2 * symbols, 0);
    let mut depths = vec![0u32; 2 * symbols];
    let mut above = vec![0usize; 2 * symbols];
    let mut heap: Vec<usize> = (0..symbols).filter(|&one| weights[one] > 0).collect();
    let mut last = heap.last().copied();
    while heap.len() < 2 {
        // a code has two symbols at least
        let forced = match last {
            None => 0,
            Some(0) => 1,
            Some(1) => 2,
            Some(_) => 0,
        };
        if last.is_none_or(|one| one < 2) {
            last = Some(forced);
        }
        weights[forced] = 1;
        heap.push(forced);
    }
    let last = last.unwrap_or(0);
    let is_less = |one: usize, other: usize, weights: &[u32], depths: &[u32]| {
        (weights[one], depths[one]) <= (weights[other], depths[other])
    };
    let sink = |heap: &mut [usize], mut hole: usize, weights: &[u32], depths: &[u32]| {
        let node = heap[hole];
        loop {
            let mut child = 2 * hole + 1;
            if child >= heap.len() {
                break;
            }
            if child + 1 < heap.len() && is_less(heap[child + 1], heap[child], weights, depths) {
                child += 1;
            }
            if is_less(node, heap[child], weights, depths) {
                break;
            }
            heap[hole] = heap[child];
            hole = child;
        }
        heap[hole] = node;
    };
    for hole in (0..heap.len() / 2).rev() {
        sink(&mut heap, hole, &weights, &depths);
    }
    let mut order = Vec::with_capacity(2 * symbols); // nodes as they left the heap, the root last
    let mut node = symbols;
    while heap.len() >= 2 {
        let one = heap[0];
        let moved = heap.pop().unwrap_or(0);
        heap[0] = moved;
        sink(&mut heap, 0, &weights, &depths);
        let other = heap[0];
        order.extend([one, other]);
        weights[node] = weights[one].saturating_add(weights[other]);
        depths[node] = depths[one].max(depths[other]) + 1;
        above[one] = node;
        above[other] = node;
        heap[0] = node;
        node += 1;
        sink(&mut heap, 0, &weights, &depths);
    }
    let mut lengths = vec![0usize; 2 * symbols];
    let mut counts = vec![0usize; longest + 1];
    let mut overflow = 0isize;
    for &one in order.iter().rev() {
        let length = lengths[above[one]] + 1; // that of the root is 0
        overflow += isize::from(length > longest);
        let length = length.min(longest);
        lengths[one] = length;
        if one < symbols {
            counts[length] += 1;
        }
    }
    if overflow > 0 {
        while overflow > 0 {
            let Some(length) = (1..longest).rev().find(|&length| counts[length] > 0) else {
                break;
            };
            counts[length] -= 1;
            counts[length + 1] += 2;
            counts[longest] = counts[longest].saturating_sub(1);
            overflow -= 2;
        }
        let mut leaves = order.iter().filter(|&&one| one < symbols);
        for length in (1..=longest).rev() {
            for &leaf in leaves.by_ref().take(counts[length]) {
                lengths[leaf] = length;
            }
        }
    }
    lengths[..=last].iter().map(|&one| one as u8).collect()
}

/// The lengths that are expected of codes for letters and distances of these frequencies.
pub(super) fn expected_lengths(frequencies: &[Vec<u32>; 2]) -> [Vec<u8>; 2] {
    frequencies.each_ref().map(|one| built(one, LONGEST))
}

/// Lengths in runs, as zlib does it for each code by itself.
fn scanned(lengths: &[u8], runs: &mut Vec<(u8, u8)>) {
    let mut before = None;
    let mut at = 0;
    while at < lengths.len() {
        let length = lengths[at];
        let (most, least) = match (length, before == Some(length)) {
            (0, _) => (138, 3),
            (_, true) => (6, 3),
            _ => (7, 4),
        };
        let same = lengths[at..]
            .iter()
            .take(most)
            .take_while(|&&one| one == length);
        let count = same.count();
        at += count;
        if count < least {
            runs.extend(std::iter::repeat_n((length, 1), count));
        } else if length > 0 {
            let repeated = if before == Some(length) {
                count
            } else {
                runs.push((length, 1));
                count - 1
            };
            runs.push((16, repeated as u8));
        } else {
            runs.push((if count <= 10 { 17 } else { 18 }, count as u8));
        }
        before = Some(length);
    }
}

/// The ways in which the lengths of both codes may be written in runs: each by itself, or as one list.
pub(super) fn expected_runs(lengths: &[Vec<u8>; 2]) -> [Vec<(u8, u8)>; 2] {
    let mut apart = Vec::new();
    lengths.iter().for_each(|one| scanned(one, &mut apart));
    let mut joined = Vec::new();
    scanned(&lengths.concat(), &mut joined);
    [apart, joined]
}

/// The lengths that are expected of the codes of runs.
pub(super) fn expected_of_runs(runs: &[(u8, u8)]) -> Vec<u8> {
    let mut frequencies = vec![0; RUNS];
    for &(symbol, _) in runs {
        frequencies[usize::from(symbol)] += 1;
    }
    let mut lengths = built(&frequencies, LONGEST_OF_RUNS);
    lengths.resize(RUNS, 0);
    lengths
}
