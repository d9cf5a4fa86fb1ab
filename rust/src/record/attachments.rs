//! What documents carry along as base64: text, which is told letter by letter, or what was packed before, which no model shortens.

use super::teller::{coded, Teller, EXHAUSTED};
use super::texts::h;
use super::TOO_LARGE;
use crate::mix::{plain, Coder};
use crate::Outcome;

/// Bytes that are told in one way; an attachment of fewer is told by letters.
const BLOCK: usize = 4096;
/// Even chances, of 16 bits.
const EVEN: u32 = 1 << 15;
/// Two bytes of a block are equal in so many of a thousand cases of those in which bytes by chance would be.
const DENSE: u64 = 1150;
/// How far apart bytes lie whose differences have to be chance as well: so do those of samples of one to four bytes.
const NEAR: usize = 4;

impl<C: Coder> Teller<'_, C> {
    /// So many bytes, block by block as letters or as they are; blocks of a kind that follow each other are one text.
    pub(super) fn attachment(
        &mut self,
        given: Option<&[u8]>,
        size: usize,
        path: u64,
    ) -> Outcome<Vec<u8>> {
        if size > self.room {
            return Err(TOO_LARGE.into());
        }
        let mut told = Vec::new();
        let blocks = size / BLOCK;
        let dense = given.map(|data| data.chunks(BLOCK).map(is_dense).collect::<Vec<_>>());
        let is_some = dense.as_ref().map(|dense| dense.contains(&true));
        if blocks == 0 || !self.is_dense(is_some, path, 2) {
            self.letters(given, Some(size), path, &[], &mut told)?;
            return Ok(told);
        }
        let mut ways = Vec::new();
        for block in 0..blocks {
            let before = ways.last().map_or(2, |&one| u64::from(one));
            ways.push(self.is_dense(dense.as_ref().map(|dense| dense[block]), path, 3 + before));
        }
        for run in ways.chunk_by(|one, next| one == next) {
            let is_last = told.len() / BLOCK + run.len() == blocks;
            let end = if is_last {
                size
            } else {
                told.len() + run.len() * BLOCK
            };
            let text = given.and_then(|data| data.get(told.len()..end));
            if run[0] {
                self.as_they_are(text, end, &mut told)?;
            } else {
                let mut letters = Vec::new();
                self.letters(text, Some(end - told.len()), path, &[], &mut letters)?;
                told.extend_from_slice(&letters);
            }
        }
        Ok(told)
    }

    fn is_dense(&mut self, given: Option<bool>, path: u64, of: u64) -> bool {
        let given = u32::from(given.unwrap_or(false));
        coded!(self, dense, plain, given, [of, h(&[path, of])], 1) != 0
    }

    fn as_they_are(&mut self, given: Option<&[u8]>, end: usize, into: &mut Vec<u8>) -> Outcome<()> {
        if given.is_none() {
            self.room = self.room.checked_sub(end - into.len()).ok_or(TOO_LARGE)?;
        }
        for place in 0..end - into.len() {
            let byte = u32::from(given.map_or(0, |text| text[place]));
            let told = (0..8).rev().fold(0, |told, bit| {
                told << 1 | self.coder.code(byte >> bit & 1, EVEN)
            });
            into.push(told as u8);
            if given.is_none() && self.coder.is_exhausted() {
                return Err(EXHAUSTED.into());
            }
        }
        Ok(())
    }
}

/// Whether a whole block looks like chance, and so do the differences of bytes that lie near each other.
fn is_dense(block: &[u8]) -> bool {
    block.len() == BLOCK
        && is_chance(block.iter().copied())
        && (1..=NEAR).all(|back| {
            let pairs = block.iter().zip(&block[back..]);
            is_chance(pairs.map(|(&before, &byte)| byte.wrapping_sub(before)))
        })
}

fn is_chance(bytes: impl Iterator<Item = u8>) -> bool {
    let mut counts = [0u64; 256];
    bytes.for_each(|byte| counts[usize::from(byte)] += 1);
    let all: u64 = counts.iter().sum();
    let equal: u64 = counts.iter().map(|&one| one * one.saturating_sub(1)).sum();
    equal * 256 * 1000 < all * (all - 1) * DENSE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What looks like chance, from a small generator.
    fn chance(count: usize) -> Vec<u8> {
        let mut state = 1u64;
        let next = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn what_is_packed_is_dense_and_texts_and_samples_are_not() {
        let noise = chance(BLOCK);
        assert!(is_dense(&noise));
        assert!(!is_dense(&noise[1..]));
        assert!(!is_dense(
            &b"The patient was seen today. ".repeat(200)[..BLOCK]
        ));
        let ramp: Vec<u8> = (0..BLOCK).map(|at| (at * 7) as u8).collect();
        assert!(is_chance(ramp.iter().copied()));
        assert!(!is_dense(&ramp));
        let sampled: Vec<u8> = (0..BLOCK)
            .map(|at| [noise[at / 2 % 64], at as u8][at % 2])
            .collect();
        assert!(!is_dense(&sampled));
        let nibbles: Vec<u8> = noise.iter().map(|one| one & 15).collect();
        assert!(!is_dense(&nibbles));
    }
}
