//! Genotypes line by line, as the difference from what is known of the sites.

use std::collections::HashMap;

use super::base::{Base, Place};
use super::blend::Blend;
use super::copying::{Copying, Foresight};
use super::letters::Letters;
use super::names::Names;
use super::text::{parts_of, Row, Style, MOST_POSITION};
use super::TOO_LARGE;
use crate::mix::{choice, hash, number, small, Coder, Model, Sizes};
use crate::Outcome;

/// Of a text that is told for the first time in a row, so many letters at most.
const MOST_LETTERS: usize = 80;
const NOTHING_SUCH: &str = "something that was never told";

/// How a line hangs together with the sites of the base.
const EXPECTED: u32 = 0;
const UNLISTED: u32 = 1;
const ELSEWHERE: u32 = 2;
const MOVED: u32 = 3;
const RENAMED: u32 = 4;
const OTHER: u32 = 5;
const LINKS: u32 = 6;

/// What a call at a site is: two of its alleles, one, what was called last if it was neither, or another text.
const PAIR: u32 = 0;
const SAME: u32 = 1;
const SINGLE: u32 = 2;
const TEXT: u32 = 3;
const FORMS: u32 = 4;

/// How finely frequencies are told apart where they are a circumstance.
const FREQUENCIES: usize = 16;

/// Texts that were told, each with its number.
#[derive(Default)]
struct Texts {
    texts: Vec<Vec<u8>>,
    numbers: HashMap<Vec<u8>, u32>,
}

impl Texts {
    fn of(texts: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut all = Texts::default();
        texts.into_iter().for_each(|text| {
            all.add(text);
        });
        all
    }

    fn add(&mut self, text: Vec<u8>) -> u32 {
        let next = self.texts.len() as u32;
        let number = *self.numbers.entry(text.clone()).or_insert(next);
        if number == next {
            self.texts.push(text);
        }
        number
    }

    fn number(&self, text: &[u8]) -> Option<u32> {
        self.numbers.get(text).copied()
    }
}

/// Numbers of one kind, told under circumstances.
struct Numbers(Model);

impl Numbers {
    fn new(contexts: usize, bits: u32) -> Self {
        Numbers(Model::new(contexts, bits, 1023))
    }

    fn set(&mut self, contexts: &[u64]) {
        for (place, (hashed, &context)) in self.0.hashes.iter_mut().zip(contexts).enumerate() {
            *hashed = hash(context, place as u64 + 1);
        }
    }

    fn number<C: Coder>(&mut self, coder: &mut C, value: u32, contexts: &[u64]) -> u32 {
        self.set(contexts);
        number(&mut self.0, coder, value, None)
    }

    /// A number that is mostly below 15.
    fn small<C: Coder>(&mut self, coder: &mut C, value: u32, contexts: &[u64]) -> u32 {
        self.set(contexts);
        small(&mut self.0, coder, value, None)
    }

    fn choice<C: Coder>(
        &mut self,
        coder: &mut C,
        value: u32,
        choices: u32,
        contexts: &[u64],
    ) -> u32 {
        self.set(contexts);
        choice(&mut self.0, coder, value, choices, None)
    }
}

fn folded(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

fn unfolded(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// The models of calls at sites.
struct Calls {
    forms: Numbers,
    texts: Numbers,
    orders: Numbers,
    differ: Blend,
    second: Blend,
    single: Blend,
}

/// Models of what is not in the base.
struct Strangers {
    chromosomes: Numbers,
    gaps: Sizes,
    letters: Numbers,
    names: Names,
    calls: Numbers,
}

pub(super) struct Teller<'b, C> {
    pub(super) coder: C,
    base: &'b Base,
    copying: Option<Copying<'b>>,
    style: Style,
    letters: Letters,
    links: Numbers,
    distances: Numbers,
    calls: Calls,
    strangers: Strangers,
    chromosomes: Texts,
    prefixes: Texts,
    spoken: Texts,
    /// What the file calls the chromosomes of the base.
    called: Vec<u32>,
    /// The site after the last one.
    next: usize,
    last_links: u64,
    last_distance: u64,
    last_forms: u64,
    last_text: u32,
    last_order: u64,
    last_call: [u64; 3],
    last_dosages: [usize; 2],
    /// How far the last row lay from where its site should.
    drift: u32,
    chromosome: u32,
    position: u32,
    last_gap: u64,
    prefix: u32,
}

impl<'b, C: Coder> Teller<'b, C> {
    /// For a text of about so many lines.
    pub(super) fn new(base: &'b Base, coder: C, style: Style, lines: usize) -> Self {
        let bits = (usize::BITS - lines.leading_zeros()).clamp(8, 18);
        let copying = Copying::new(base);
        let given = 1 + usize::from(copying.is_some());
        let chromosomes = Texts::of(base.chromosomes.iter().cloned());
        let named = [b"rs".to_vec(), b"i".to_vec()];
        Teller {
            coder,
            base,
            copying,
            style,
            letters: Letters::new(),
            links: Numbers::new(3, 8),
            distances: Numbers::new(2, 10),
            calls: Calls {
                forms: Numbers::new(3, 8),
                texts: Numbers::new(3, 8),
                orders: Numbers::new(3, 8),
                differ: Blend::new(given, &[FREQUENCIES * 9]),
                second: Blend::new(given, &[FREQUENCIES * 9]),
                single: Blend::new(given, &[FREQUENCIES]),
            },
            strangers: Strangers {
                chromosomes: Numbers::new(2, 8),
                gaps: Sizes::new(Model::new(3, 10, 1023), 3),
                letters: Numbers::new(2, 8),
                names: Names::new(bits),
                calls: Numbers::new(4, 10),
            },
            called: (0..base.chromosomes.len() as u32).collect(),
            chromosomes,
            prefixes: Texts::of(named),
            spoken: Texts::default(),
            next: 0,
            last_links: 0,
            last_distance: 0,
            last_forms: 0,
            last_text: u32::MAX,
            last_order: 0,
            last_call: [0; 3],
            last_dosages: [0; 2],
            drift: 0,
            chromosome: u32::MAX,
            position: 0,
            last_gap: 0,
            prefix: 0,
        }
    }

    /// One line, appended without its end.
    pub(super) fn line(
        &mut self,
        given: Option<&[u8]>,
        most: usize,
        into: &mut Vec<u8>,
    ) -> Outcome<()> {
        let row = given.and_then(|line| self.style.row(line));
        let (link, site) = match (given, row) {
            (None, _) => (0, 0),
            (Some(_), None) => (OTHER, 0),
            (Some(_), Some(row)) => self.link(row),
        };
        let last = self.last_links;
        let contexts = [last & 7, last & 0xFFF, last & 0x3F];
        let link = self.links.choice(&mut self.coder, link, LINKS, &contexts);
        self.last_links = last << 3 | u64::from(link);
        match link {
            OTHER => {
                let of = hash(5, self.last_links & 0xFFF);
                let is_ended = self.letters.pass(&mut self.coder, given, of, most, into);
                return if is_ended {
                    Ok(())
                } else {
                    Err(TOO_LARGE.into())
                };
            }
            UNLISTED => self.stranger(row, into)?,
            _ => self.listed(row, link, site, into)?,
        }
        self.style.end(into);
        Ok(())
    }

    /// How a row hangs together with the sites: of those with its name or place it is told by the one that needs least.
    fn link(&self, row: Row) -> (u32, usize) {
        let is_expected = self.next < self.base.sites() && self.base.is_named(self.next, row.name);
        let chromosome = self.chromosomes.number(row.chromosome);
        let of_base = self.called.iter().position(|&one| Some(one) == chromosome);
        let placed = of_base.and_then(|chromosome| {
            self.base.at(Place {
                chromosome: chromosome as u32,
                position: row.position,
            })
        });
        let named = if is_expected {
            Some(self.next)
        } else {
            placed
                .filter(|&site| self.base.is_named(site, row.name))
                .or_else(|| self.base.named(row.name))
        };
        let Some(site) = named else {
            return placed.map_or((UNLISTED, 0), |site| (RENAMED, site));
        };
        let place = self.base.place(site);
        let is_called = chromosome == Some(self.called[place.chromosome as usize]);
        if place.position != row.position || !is_called {
            (MOVED, site)
        } else if site == self.next {
            (EXPECTED, site)
        } else {
            (ELSEWHERE, site)
        }
    }

    /// A row at a site of the base.
    fn listed(
        &mut self,
        row: Option<Row>,
        link: u32,
        site: usize,
        into: &mut Vec<u8>,
    ) -> Outcome<()> {
        let site = if link == EXPECTED {
            self.next
        } else {
            let distance = folded((site as i32).wrapping_sub(self.next as i32));
            let contexts = [self.last_distance, u64::from(link)];
            let distance = self.distances.number(&mut self.coder, distance, &contexts);
            self.last_distance = u64::from(distance);
            (self.next as i32).wrapping_add(unfolded(distance)) as usize
        };
        if site >= self.base.sites() {
            return Err(NOTHING_SUCH.into());
        }
        self.next = site + 1;
        let place = self.base.place(site);
        let mut name = Vec::new();
        if link == RENAMED {
            self.name(row.map(|row| row.name), self.base.number(site), &mut name)?;
        } else {
            self.base.write_name(site, &mut name);
        }
        let mut chromosome = self.called[place.chromosome as usize];
        let mut position = place.position;
        if link == MOVED {
            chromosome = self.tell_chromosome(row.map(|row| row.chromosome), chromosome)?;
            self.called[place.chromosome as usize] = chromosome;
            let drift = row.map_or(0, |row| row.position.wrapping_sub(position));
            let contexts = [6, 7 + u64::from(link)];
            let told = folded(drift.wrapping_sub(self.drift) as i32);
            let told = self.distances.number(&mut self.coder, told, &contexts);
            self.drift = self.drift.wrapping_add(unfolded(told) as u32);
            position = position.wrapping_add(self.drift);
            if position >= MOST_POSITION {
                return Err(NOTHING_SUCH.into());
            }
        }
        (self.chromosome, self.position) = (chromosome, position);
        let digits = position.to_string();
        let chromosome = &self.chromosomes.texts[chromosome as usize];
        self.style
            .write(into, [&name, chromosome, digits.as_bytes()]);
        self.call(row.map(|row| row.call), site, into)
    }

    /// What was called at a site.
    fn call(&mut self, given: Option<&[u8]>, site: usize, into: &mut Vec<u8>) -> Outcome<()> {
        let alleles = self.base.alleles(site);
        let (form, dosage, order) = given.map_or((0, 0, 0), |call| self.form(call, alleles));
        let last = self.last_forms;
        let chromosome = u64::from(self.base.place(site).chromosome);
        let contexts = [last & 3, chromosome << 2 | last & 3, last & 0xFF];
        let form = self
            .calls
            .forms
            .choice(&mut self.coder, form, FORMS, &contexts);
        self.last_forms = last << 2 | u64::from(form);
        if form == SAME || form == TEXT {
            return self.text(given, form, site, into);
        }
        let frequency = self.base.frequency(site);
        let by_frequency = Foresight::of_frequency(frequency);
        let by_panel = self.copying.as_mut().map(|copying| copying.arrive(site));
        let foresights = [by_panel.unwrap_or(by_frequency), by_frequency];
        let bucket = (frequency as usize * FREQUENCIES) >> 16;
        let differ = foresights.map(|one| one.differ);
        let second = foresights.map(|one| one.second);
        let circumstances = [bucket * 9 + 3 * self.last_dosages[1] + self.last_dosages[0]];
        let coder = &mut self.coder;
        let calls = &mut self.calls;
        let dosage = if form == SINGLE {
            2 * calls.single.pass(coder, dosage >> 1, &second, &[bucket])
        } else if calls
            .differ
            .pass(coder, u32::from(dosage == 1), &differ, &circumstances)
            != 0
        {
            1
        } else {
            2 * calls
                .second
                .pass(coder, dosage >> 1, &second, &circumstances)
        };
        if let Some(copying) = &mut self.copying {
            copying.see(dosage);
        }
        self.last_dosages = [dosage as usize, self.last_dosages[0]];
        let [opening, joint, closing] = self.style.around();
        into.extend_from_slice(opening);
        let pair = match dosage {
            0 => [alleles[0]; 2],
            2 => [alleles[1]; 2],
            _ => {
                let both = hash(u64::from(alleles[0]), u64::from(alleles[1]));
                let contexts = [self.last_order, both, 0];
                let order = calls.orders.choice(coder, order, 2, &contexts);
                self.last_order = self.last_order << 1 & 7 | u64::from(order);
                let (low, high) = (alleles[0].min(alleles[1]), alleles[0].max(alleles[1]));
                if order == 0 {
                    [low, high]
                } else {
                    [high, low]
                }
            }
        };
        into.push(pair[0]);
        if form == PAIR {
            into.extend_from_slice(joint);
            into.push(pair[1]);
        }
        into.extend_from_slice(closing);
        Ok(())
    }

    /// What a call is, how many of its alleles are the second one, and whether they stand in the order of the alphabet (0) or not.
    fn form(&self, call: &[u8], alleles: [u8; 2]) -> (u32, u32, u32) {
        let [opening, joint, closing] = self.style.around();
        let inner = &call[opening.len()..call.len() - closing.len()];
        let which = |letter: u8| {
            alleles
                .iter()
                .position(|&one| one == letter)
                .map(|one| one as u32)
        };
        if let [one] = inner {
            if let (true, Some(allele)) = (joint.is_empty(), which(*one)) {
                return (SINGLE, 2 * allele, 0);
            }
        } else if inner.len() == joint.len() + 2 {
            let (one, other) = (inner[0], inner[inner.len() - 1]);
            if let (Some(first), Some(second)) = (which(one), which(other)) {
                return (PAIR, first + second, u32::from(one > other));
            }
        }
        let same = self
            .spoken
            .number(call)
            .is_some_and(|one| one == self.last_text);
        (if same { SAME } else { TEXT }, 0, 0)
    }

    /// A call that is none of the site's alleles.
    fn text(
        &mut self,
        given: Option<&[u8]>,
        form: u32,
        site: usize,
        into: &mut Vec<u8>,
    ) -> Outcome<()> {
        if form == TEXT {
            let [one, other] = self.base.alleles(site);
            let both = hash(u64::from(one), u64::from(other));
            let contexts = [both, u64::from(self.last_text), 0];
            self.last_text = self.call_text(given, false, &contexts)?;
        }
        let text = self
            .spoken
            .texts
            .get(self.last_text as usize)
            .ok_or(NOTHING_SUCH)?;
        into.extend_from_slice(text);
        Ok(())
    }

    /// A call by its text.
    fn call_text(
        &mut self,
        given: Option<&[u8]>,
        is_stranger: bool,
        contexts: &[u64],
    ) -> Outcome<u32> {
        let known = given
            .and_then(|call| self.spoken.number(call))
            .map_or(0, |one| one + 1);
        let numbers = if is_stranger {
            &mut self.strangers.calls
        } else {
            &mut self.calls.texts
        };
        let known = numbers.small(&mut self.coder, known, contexts);
        if let Some(known) = known.checked_sub(1) {
            return self
                .spoken
                .texts
                .get(known as usize)
                .map(|_| known)
                .ok_or(NOTHING_SUCH.into());
        }
        let text = self.spelled(given, 1)?;
        Ok(self.spoken.add(text))
    }

    /// A text that was not told before.
    fn spelled(&mut self, given: Option<&[u8]>, of: u64) -> Outcome<Vec<u8>> {
        let mut text = Vec::new();
        if !self
            .letters
            .pass(&mut self.coder, given, of, 2 * MOST_LETTERS, &mut text)
            || text.is_empty()
        {
            return Err(NOTHING_SUCH.into());
        }
        Ok(text)
    }

    /// A chromosome, probably the expected one.
    fn tell_chromosome(&mut self, given: Option<&[u8]>, expected: u32) -> Outcome<u32> {
        let known = given.and_then(|text| self.chromosomes.number(text));
        let numbers = &mut self.strangers.chromosomes;
        let is_other = u32::from(known != Some(expected));
        let told = if numbers.choice(&mut self.coder, is_other, 2, &[0, u64::from(expected)]) == 0 {
            expected
        } else {
            let known = known.map_or(0, |known| known + 1);
            match numbers
                .number(&mut self.coder, known, &[1, u64::from(expected)])
                .checked_sub(1)
            {
                Some(told) => told,
                None => {
                    let text = self.spelled(given, 2)?;
                    self.chromosomes.add(text)
                }
            }
        };
        self.chromosomes
            .texts
            .get(told as usize)
            .map(|_| told)
            .ok_or(NOTHING_SUCH.into())
    }

    fn name(
        &mut self,
        given: Option<&[u8]>,
        expected: Option<u32>,
        into: &mut Vec<u8>,
    ) -> Outcome<()> {
        let parts = given.map(parts_of);
        let known = parts
            .and_then(|(letters, _)| self.prefixes.number(letters))
            .map_or(0, |one| one + 1);
        let last = self.prefix;
        let numbers = &mut self.strangers.letters;
        let is_other = u32::from(known != last + 1);
        let told = if numbers.choice(&mut self.coder, is_other, 2, &[0, u64::from(last)]) == 0 {
            last + 1
        } else {
            numbers.number(&mut self.coder, known, &[1, u64::from(last)])
        };
        self.prefix = match told.checked_sub(1) {
            Some(known) => known,
            None => {
                let mut text = Vec::new();
                let letters = parts.map(|(letters, _)| letters);
                if !self
                    .letters
                    .pass(&mut self.coder, letters, 3, MOST_LETTERS, &mut text)
                {
                    return Err(NOTHING_SUCH.into());
                }
                self.prefixes.add(text)
            }
        };
        let text = self
            .prefixes
            .texts
            .get(self.prefix as usize)
            .ok_or(NOTHING_SUCH)?;
        into.extend_from_slice(text);
        let number = parts
            .and_then(|(_, number)| number)
            .map_or(0, |one| one + 1);
        let place = Place {
            chromosome: self.chromosome,
            position: self.position,
        };
        let names = &mut self.strangers.names;
        let number = names.pass(&mut self.coder, number, self.prefix, place, expected);
        if let Some(number) = number.checked_sub(1) {
            into.extend_from_slice(number.to_string().as_bytes());
        }
        Ok(())
    }

    /// A row that is not in the base.
    fn stranger(&mut self, row: Option<Row>, into: &mut Vec<u8>) -> Outcome<()> {
        let before = self.chromosome;
        self.chromosome = self.tell_chromosome(row.map(|row| row.chromosome), before)?;
        let from = if self.chromosome == before {
            self.position
        } else {
            0
        };
        let gap = row.map_or(0, |row| {
            row.position.checked_sub(from).map_or(0, |gap| gap + 1)
        });
        let gaps = &mut self.strangers.gaps;
        let contexts = [
            1,
            hash(2, self.last_gap & 0xFF),
            hash(3, self.last_gap & 0xFFFF),
        ];
        gaps.model.hashes.copy_from_slice(&contexts);
        let gap = gaps.pass(&mut self.coder, gap);
        self.position = match gap.checked_sub(1) {
            Some(gap) => from.checked_add(gap).ok_or(NOTHING_SUCH)?,
            None => {
                gaps.model.hashes.copy_from_slice(&[4, 5, 6]);
                gaps.pass(&mut self.coder, row.map_or(0, |row| row.position))
            }
        };
        if self.position >= MOST_POSITION {
            return Err(NOTHING_SUCH.into());
        }
        self.last_gap = self.last_gap << 8 | u64::from(32 - gap.leading_zeros());
        let mut name = Vec::new();
        self.name(row.map(|row| row.name), None, &mut name)?;
        let digits = self.position.to_string();
        let chromosome = &self.chromosomes.texts[self.chromosome as usize];
        self.style
            .write(into, [&name, chromosome, digits.as_bytes()]);
        let [one, two, three] = self.last_call;
        let contexts = [0, one, hash(one, two), hash(hash(one, two), three)];
        let call = self.call_text(row.map(|row| row.call), true, &contexts)?;
        self.last_call = [u64::from(call) + 1, one, two];
        into.extend_from_slice(&self.spoken.texts[call as usize]);
        Ok(())
    }
}
