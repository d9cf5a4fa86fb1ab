//! What everybody knows: at which sites people differ, in what, how often, and how a panel of people's chromosomes goes along them.
//!
//! The bytes of a base are, after a line that says what they are, the numbers of sites and of haplotypes; the chromosomes in their
//! order with the number of sites on each; the letters that names begin with; then a column each for the distance from the site
//! before, which letters the name has, its number, the two alleles; and either how frequent the second is or the panel. Numbers
//! are written in planes: all lowest bytes, then all second ones.
//!
//! Of the panel each site has the haplotypes' alleles in runs, in an order in which those stand together that were alike at the
//! sites before: the positional Burrows-Wheeler transform (Durbin, Bioinformatics 2014). It begins anew with each chromosome.

use std::collections::HashMap;

use super::text::parts_of;
use crate::Outcome;

const TITLE: &[u8] = b"edgehold.sites/1\n";
const MOST_SITES: usize = 1 << 21;
const MOST_HAPLOTYPES: usize = 1 << 13;
/// Bytes of a panel.
const MOST_PANEL: usize = 1 << 26;
const BROKEN: &str = "the base is none of sites";

/// Where a site lies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Place {
    pub(super) chromosome: u32,
    pub(super) position: u32,
}

/// What a name begins with, and its number.
type Name = (u32, Option<u32>);

#[derive(Default)]
pub(super) struct Base {
    pub(super) chromosomes: Vec<Vec<u8>>,
    pub(super) letters: Vec<Vec<u8>>,
    places: Vec<Place>,
    names: Vec<Name>,
    alleles: Vec<[u8; 2]>,
    /// How frequent the second allele is, in 16 bits.
    frequencies: Vec<u16>,
    haplotypes: usize,
    /// Of each site, a bit for each haplotype; behind the last the first ones again, up to a whole byte.
    panel: Vec<u8>,
    by_name: HashMap<Name, u32>,
    by_place: HashMap<Place, u32>,
}

/// Bytes that are taken from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Outcome<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(BROKEN)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Outcome<u8> {
        Ok(self.take(1)?[0])
    }

    fn count(&mut self) -> Outcome<usize> {
        let bytes = self.take(4)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
    }

    fn text(&mut self) -> Outcome<Vec<u8>> {
        let length = self.byte()?;
        Ok(self.take(usize::from(length))?.to_vec())
    }

    fn planes(&mut self, count: usize, planes: usize) -> Outcome<Vec<u32>> {
        let mut numbers = vec![0u32; count];
        for plane in 0..planes {
            for (number, &byte) in numbers.iter_mut().zip(self.take(count)?) {
                *number |= u32::from(byte) << (8 * plane);
            }
        }
        Ok(numbers)
    }

    /// A length of at most 14 bits: one byte, or two of which the first has its highest bit set.
    fn run(&mut self) -> Outcome<usize> {
        let first = usize::from(self.byte()?);
        if first < 128 {
            return Ok(first);
        }
        Ok((first - 128) << 8 | usize::from(self.byte()?))
    }
}

impl Base {
    pub(super) fn read(bytes: &[u8]) -> Outcome<Self> {
        let mut bytes = Bytes(bytes.strip_prefix(TITLE).ok_or(BROKEN)?);
        let (sites, haplotypes) = (bytes.count()?, bytes.count()?);
        if sites > MOST_SITES || haplotypes > MOST_HAPLOTYPES {
            return Err(BROKEN.into());
        }
        let mut base = Base {
            haplotypes,
            ..Base::default()
        };
        let mut on_each = Vec::new();
        for _ in 0..bytes.byte()? {
            base.chromosomes.push(bytes.text()?);
            on_each.push(bytes.count()?);
        }
        for _ in 0..bytes.byte()? {
            base.letters.push(bytes.text()?);
        }
        if on_each.iter().sum::<usize>() != sites {
            return Err(BROKEN.into());
        }
        let mut distances = bytes.planes(sites, 4)?.into_iter();
        for (chromosome, &count) in on_each.iter().enumerate() {
            let mut position = 0u32;
            for distance in distances.by_ref().take(count) {
                position = position.checked_add(distance).ok_or(BROKEN)?;
                base.places.push(Place {
                    chromosome: chromosome as u32,
                    position,
                });
            }
        }
        let letters = bytes.take(sites)?;
        for (&letters, number) in letters.iter().zip(bytes.planes(sites, 4)?) {
            if usize::from(letters) >= base.letters.len() {
                return Err(BROKEN.into());
            }
            base.names.push((u32::from(letters), number.checked_sub(1)));
        }
        let (first, second) = (bytes.take(sites)?, bytes.take(sites)?);
        base.alleles = first
            .iter()
            .zip(second)
            .map(|(&one, &other)| [one, other])
            .collect();
        if haplotypes == 0 {
            base.frequencies = bytes
                .planes(sites, 2)?
                .into_iter()
                .map(|one| one as u16)
                .collect();
        } else {
            base.read_panel(&mut bytes, &on_each)?;
        }
        if !bytes.0.is_empty() {
            return Err(BROKEN.into());
        }
        for site in (0..sites).rev() {
            base.by_name.insert(base.names[site], site as u32);
            base.by_place.insert(base.places[site], site as u32);
        }
        Ok(base)
    }

    fn read_panel(&mut self, bytes: &mut Bytes, on_each: &[usize]) -> Outcome<()> {
        let (haplotypes, width) = (self.haplotypes, self.lanes() / 8);
        if width * self.places.len() > MOST_PANEL {
            return Err(BROKEN.into());
        }
        self.panel = vec![0; width * self.places.len()];
        let mut rows = self.panel.chunks_exact_mut(width);
        let mut zeros = Vec::with_capacity(haplotypes);
        let mut ones = Vec::with_capacity(haplotypes);
        for &count in on_each {
            let mut order: Vec<u16> = (0..haplotypes as u16).collect();
            for row in rows.by_ref().take(count) {
                let mut allele = 0u8;
                let mut at = 0;
                while at < haplotypes {
                    let run = order.get(at..at + bytes.run()?).ok_or(BROKEN)?;
                    at += run.len();
                    if allele == 0 {
                        zeros.extend_from_slice(run);
                    } else {
                        ones.extend_from_slice(run);
                        for &haplotype in run {
                            row[usize::from(haplotype) / 8] |= 1 << (haplotype % 8);
                        }
                    }
                    allele ^= 1;
                }
                for lane in haplotypes..8 * width {
                    let first = lane % haplotypes;
                    row[lane / 8] |= (row[first / 8] >> (first % 8) & 1) << (lane % 8);
                }
                let frequency = (2 * ones.len() + 1) * 32768 / (haplotypes + 1);
                self.frequencies.push(frequency as u16);
                order.clear();
                order.append(&mut zeros);
                order.append(&mut ones);
            }
        }
        Ok(())
    }

    pub(super) fn sites(&self) -> usize {
        self.places.len()
    }

    pub(super) fn haplotypes(&self) -> usize {
        self.haplotypes
    }

    /// Haplotypes, rounded up to whole bytes.
    pub(super) fn lanes(&self) -> usize {
        self.haplotypes.next_multiple_of(8)
    }

    pub(super) fn place(&self, site: usize) -> Place {
        self.places[site]
    }

    pub(super) fn alleles(&self, site: usize) -> [u8; 2] {
        self.alleles[site]
    }

    pub(super) fn panel(&self) -> &[u8] {
        &self.panel
    }

    /// A bit for each lane: whether it has the second allele.
    pub(super) fn carriers(&self, site: usize) -> &[u8] {
        let width = self.lanes() / 8;
        &self.panel[site * width..][..width]
    }

    /// How frequent the second allele is, in 16 bits, never nothing nor all.
    pub(super) fn frequency(&self, site: usize) -> u32 {
        u32::from(self.frequencies[site]).max(1)
    }

    /// The number of a site's name.
    pub(super) fn number(&self, site: usize) -> Option<u32> {
        self.names[site].1
    }

    pub(super) fn write_name(&self, site: usize, into: &mut Vec<u8>) {
        let (letters, number) = self.names[site];
        into.extend_from_slice(&self.letters[letters as usize]);
        if let Some(number) = number {
            into.extend_from_slice(number.to_string().as_bytes());
        }
    }

    /// A line of name, chromosome, position and the two alleles.
    pub(super) fn write_row(&self, site: usize, into: &mut Vec<u8>) {
        let place = self.places[site];
        self.write_name(site, into);
        into.push(b'\t');
        into.extend_from_slice(&self.chromosomes[place.chromosome as usize]);
        into.extend_from_slice(format!("\t{}", place.position).as_bytes());
        for allele in self.alleles[site] {
            into.extend_from_slice(&[b'\t', allele]);
        }
        into.push(b'\n');
    }

    pub(super) fn named(&self, name: &[u8]) -> Option<usize> {
        let (letters, number) = parts_of(name);
        let letters = self.letters.iter().position(|one| one == letters)?;
        self.by_name
            .get(&(letters as u32, number))
            .map(|&site| site as usize)
    }

    pub(super) fn is_named(&self, site: usize, name: &[u8]) -> bool {
        let (letters, number) = parts_of(name);
        let own = self.names[site];
        own.1 == number && self.letters[own.0 as usize] == letters
    }

    pub(super) fn at(&self, place: Place) -> Option<usize> {
        self.by_place.get(&place).map(|&site| site as usize)
    }
}
