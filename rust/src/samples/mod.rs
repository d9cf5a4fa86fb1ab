//! Samples of signals and pixels of images, as the difference from what those before them let expect.
//!
//! Bytes are a beginning, samples, and an end. Each sample is foreseen twice: as a weighted sum of earlier ones — of its own channel
//! and of the others, or of the pixels around — with weights that the writer found by least squares and that stand in the encoding;
//! and, for what that leaves, by weights that writer and reader adapt as they go ("normalised least mean squares"). What is left
//! then is told to a [`Model`], which knows how large the last ones were. All that a reader computes is in integers.

mod bytes;
mod deviations;
mod layout;
mod mixed;
mod packing;
mod pixels;
mod quick;
mod sight;
mod weights;

use std::rc::Rc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::mix::{hash, number, Coder, Counter, Model, Reader, Writer};
use crate::{guarded, refused, Outcome};
use bytes::Bytes;
use deviations::{step_of, Around, Deviations};
use layout::{Layout, Plane, Planes, LANES};
use packing::Packing;
use pixels::Pixels;
use sight::{kept, First, Second};
use weights::{Fit, LEAST_POINT};

const TOO_LARGE: &str = "there are more bytes than there may be";
/// How many neighbours are looked at closely.
const NEAR: usize = 3;
/// How many values a channel has at most that has few.
const MOST_VALUES: usize = 1 << 14;
/// Of a signal.
const MOST_LEVELS: usize = 4096;
/// Values on either side by which it is seen how many there are.
const BESIDE: usize = 4;
/// What a distance of values takes when it is first told, about.
const BITS_OF_STEP: f64 = 16.0;
/// Of liveliness, how many bounds there are at most.
const MOST_BOUNDS: usize = 3;
const MOST_PERIOD: usize = 4;
/// What a weight takes, about.
const BITS_OF_WEIGHT: u64 = 10;
/// Samples of a run of which all are looked at or none.
const RUN: usize = 61;
/// Samples on which it is tried how a part is written best.
const TRIED: usize = 1 << 15;
/// Of the lines of an image, one of so many shows how colours are told best.
const SHARE_TRIED: usize = 5;
const COLOURS: usize = 3;
/// At so many places of the part.
const WINDOWS: usize = 5;
/// When it is found out how samples lie: at first one of so many moments is looked at, and what takes so much more than the least is
/// given up.
const FIRST_LOOK: usize = 4;
const MUCH_WORSE: f64 = 1.1;
/// How long those deviations may be at most of which all is told by all contexts; more takes more time.
const MIXED: [u32; 3] = [1, 2, 20];

// ── what passes a coder ───────────────────────────────────────────────────────────────────────────────────────────

fn folded(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

fn unfolded(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// Numbers of which each has a model of its own.
struct Head(Model);

impl Head {
    fn new() -> Self {
        Head(Model::new(2, 8, 255))
    }

    fn pass<C: Coder>(&mut self, coder: &mut C, value: u32, of: u64) -> u32 {
        self.0.hashes[0] = hash(1, of);
        self.0.hashes[1] = 2;
        number(&mut self.0, coder, value, None)
    }
}

/// Weights of each channel, phase and class of a part, and from where on a sample is of the next class.
#[derive(Default)]
struct Weights {
    bounds: Vec<u32>,
    /// After how many pixels of a line, and lines, weights come again.
    period: [usize; 2],
    sets: Vec<First>,
}

impl Weights {
    /// By what lies around a sample.
    #[inline]
    fn class(&self, near: [i32; NEAR]) -> usize {
        class_of(&self.bounds, near)
    }

    /// By where a pixel lies, and how many phases there are.
    #[inline]
    fn phase(&self, moment: usize, line: usize) -> (usize, usize) {
        let [x, y] = self.period;
        (phase_of(self.period, moment, line), x * y)
    }
}

/// Where a pixel lies in a period of so many pixels of a line, and so many lines.
#[inline]
fn phase_of([x, y]: [usize; 2], moment: usize, line: usize) -> usize {
    match x * y {
        1 => 0,
        _ => moment % line % x + moment / line % y * x,
    }
}

/// How much samples change from one to the next, around the one that is to be foreseen.
#[inline]
fn liveliness([one, two, three]: [i32; NEAR]) -> u32 {
    one.abs_diff(two) + two.abs_diff(three) + three.abs_diff(one)
}

/// Which weights are for what lies around a sample.
#[inline]
fn class_of(bounds: &[u32], near: [i32; NEAR]) -> usize {
    if bounds.is_empty() {
        return 0;
    }
    let lively = liveliness(near);
    bounds.iter().filter(|&&bound| lively >= bound).count()
}

/// About where values lie.
fn mean(values: &[i16]) -> i16 {
    let every = values.len().div_ceil(1000).max(1);
    let some = values.iter().step_by(every);
    let count = some.len().max(1) as i64;
    (some.map(|&one| i64::from(one)).sum::<i64>() / count) as i16
}

/// Which values there are among these, which ascend, if it pays to tell them: what a pixel takes less where few of the values around
/// its own occur, and what the values take.
fn scale_of(sorted: &[i16]) -> Vec<i16> {
    let runs: Vec<&[i16]> = sorted.chunk_by(|one, other| one == other).collect();
    let values: Vec<i16> = runs.iter().map(|run| run[0]).collect();
    let last = values.len() - 1;
    if last == 0 || last >= MOST_VALUES {
        return Vec::new();
    }
    let mut gain = 0.0;
    for (place, run) in runs.iter().enumerate() {
        let (from, to) = (place.saturating_sub(BESIDE), (place + BESIDE).min(last));
        let span = f64::from(values[to].abs_diff(values[from])) / (to - from) as f64;
        gain += run.len() as f64 * span.log2();
    }
    let mut steps: Vec<u16> = values
        .windows(2)
        .map(|two| two[1].abs_diff(two[0]))
        .collect();
    steps.sort_unstable();
    let cost: f64 = steps
        .chunk_by(|one, other| one == other)
        .map(|same| same.len() as f64 * (last as f64 / same.len() as f64).log2() + BITS_OF_STEP)
        .sum();
    if gain > 2.0 * cost {
        values
    } else {
        Vec::new()
    }
}

/// Samples on their way.
struct Samples {
    layout: Layout,
    planes: Planes,
    /// Of each channel, where those lie that are most like it.
    near: Vec<[usize; NEAR]>,
    /// Of each channel, which values it has at all; none if it has most of those between its least and greatest.
    scales: Vec<Vec<i16>>,
    ranges: Vec<(i32, i32)>,
    /// Whether colours are told by how they differ.
    differ: bool,
    values: Vec<i16>,
}

impl Samples {
    fn new(layout: Layout) -> Self {
        let planes = Planes::new(&layout);
        Samples {
            layout,
            near: Vec::new(),
            scales: Vec::new(),
            ranges: Vec::new(),
            differ: false,
            values: vec![0; planes.size],
            planes,
        }
    }

    /// Lay samples where they belong.
    fn fill(&mut self, samples: &[i16]) {
        let channels = self.layout.channels;
        for (channel, plane) in self.planes.channels.iter().enumerate() {
            let own = samples[channel..].iter().step_by(channels);
            for (place, &value) in self.values[plane.own..].iter_mut().zip(own) {
                *place = value;
            }
        }
    }

    /// The samples, one after another.
    fn read(&self) -> Vec<i16> {
        let channels = self.layout.channels;
        let mut samples = vec![0; self.layout.samples];
        for channel in 0..channels {
            let places = samples[channel..].iter_mut().step_by(channels);
            for (place, &value) in places.zip(self.own(channel)) {
                *place = value;
            }
        }
        samples
    }

    /// Whether these may be colours.
    fn are_colours(&self) -> bool {
        let layout = &self.layout;
        layout.line > 0 && layout.channels == COLOURS && layout.packing == Packing::Byte
    }

    /// Of each pixel the last colour comes first, then how the others differ from the one behind them.
    fn part_colours(&mut self) {
        let planes = &self.planes.channels;
        for moment in 0..self.layout.moments() {
            let places: [usize; COLOURS] = std::array::from_fn(|one| planes[one].own + moment);
            let [red, green, blue] = places.map(|place| self.values[place]);
            let parted = [blue, green - blue, red - green];
            for (place, value) in places.into_iter().zip(parted) {
                self.values[place] = value;
            }
        }
    }

    /// Colours as they are.
    fn join_colours(&mut self) {
        let planes = &self.planes.channels;
        for moment in 0..self.layout.moments() {
            let places: [usize; COLOURS] = std::array::from_fn(|one| planes[one].own + moment);
            let [blue, green, red] = places.map(|place| self.values[place]);
            let joined = [red + green + blue, green + blue, blue];
            for (place, value) in places.into_iter().zip(joined) {
                self.values[place] = value;
            }
        }
    }

    /// Whether colours take less by how they differ: tried on some lines in the middle of the first image.
    fn do_differ(&self, samples: &[i16]) -> bool {
        if !self.are_colours() {
            return false;
        }
        let line = self.layout.line;
        let lines = match self.layout.frame {
            0 => samples.len() / line,
            frame => frame / line,
        };
        let count = lines.div_ceil(SHARE_TRIED);
        let some = &samples[(lines - count) / 2 * line..][..count * line];
        let layout = Layout {
            frame: 0,
            samples: some.len(),
            ..self.layout
        };
        let [as_they_are, as_they_differ] = [false, true].map(|differ| {
            let mut tried = Samples::new(layout);
            tried.fill(some);
            let (mut coder, mut head) = (Counter::new(), Head::new());
            let told = tried
                .pass_colours(&mut coder, &mut head, Some(differ))
                .and_then(|()| tried.pass(&mut coder, &mut head, true));
            debug_assert!(told.is_ok());
            coder.bits()
        });
        as_they_differ < as_they_are
    }

    fn pass_colours<C: Coder>(
        &mut self,
        coder: &mut C,
        head: &mut Head,
        given: Option<bool>,
    ) -> Outcome<()> {
        if !self.are_colours() {
            return Ok(());
        }
        let told = head.pass(coder, u32::from(given.unwrap_or_default()), 20);
        if told > 1 {
            return Err(format!("colours cannot be told by way {told}"));
        }
        self.differ = told == 1;
        if self.differ && given.is_some() {
            self.part_colours();
        }
        Ok(())
    }

    fn own(&self, channel: usize) -> &[i16] {
        &self.values[self.planes.channels[channel].own..][..self.layout.moments()]
    }

    #[inline]
    fn around(values: &[i16], near: &[usize; NEAR], moment: usize) -> [i32; NEAR] {
        near.map(|at| i32::from(values[at + moment]))
    }

    /// Which neighbours are most like the samples of a channel, the most like first, by their number.
    fn find_near(&self, channel: usize) -> [usize; NEAR] {
        let plane = &self.planes.channels[channel];
        let moments = self.layout.moments();
        let every = moments.div_ceil(4000);
        let unlike = |at: usize| -> u64 {
            let places = (0..moments).step_by(every);
            places
                .map(|one| u64::from(self.values[plane.own + one].abs_diff(self.values[at + one])))
                .sum()
        };
        let mut found: Vec<(u64, usize)> = plane
            .taps
            .iter()
            .enumerate()
            .map(|(number, tap)| (unlike(tap.1), number))
            .collect();
        found.sort_unstable();
        std::array::from_fn(|place| found[place.min(found.len() - 1)].1)
    }

    /// Which values a channel has, if it leaves most out.
    fn find_scale(&self, channel: usize) -> Vec<i16> {
        let mut seen = self.own(channel).to_vec();
        seen.sort_unstable();
        let span = seen[seen.len() - 1].abs_diff(seen[0]);
        if self.layout.line > 0 {
            return scale_of(&seen);
        }
        seen.dedup();
        if seen.len() <= MOST_LEVELS && 2 * seen.len() < usize::from(span) {
            seen
        } else {
            Vec::new()
        }
    }

    /// The least and greatest value of each channel, or all values that it has: these are told by their places then.
    fn pass_scales<C: Coder>(
        &mut self,
        coder: &mut C,
        head: &mut Head,
        is_given: bool,
    ) -> Outcome<()> {
        for channel in 0..self.layout.channels {
            let (least, greatest) = self.layout.packing.range();
            let (mut least, greatest) = (i32::from(least), i32::from(greatest));
            if self.differ && channel > 0 {
                least = -greatest;
            }
            let given = if is_given {
                self.find_scale(channel)
            } else {
                Vec::new()
            };
            let count = head.pass(coder, given.len() as u32, 30) as usize;
            if count > MOST_VALUES.min(self.layout.moments()) {
                return Err("a channel has too many values".into());
            }
            let mut scale: Vec<i16> = Vec::new();
            for place in 0..count {
                let before = scale.last().map_or(least - 1, |&one| i32::from(one));
                let step = given
                    .get(place)
                    .map_or(0, |&one| (i32::from(one) - before) as u32);
                let value = before.wrapping_add(head.pass(coder, step, 31) as i32);
                if !(least..=greatest).contains(&value) || value <= before {
                    return Err("the values of a channel do not ascend".into());
                }
                scale.push(value as i16);
            }
            if is_given && count > 0 {
                let (own, moments) = (self.planes.channels[channel].own, self.layout.moments());
                for value in &mut self.values[own..][..moments] {
                    *value = scale.partition_point(|one| one < value) as i16;
                }
            }
            self.ranges.push(if count > 0 {
                (0, count as i32 - 1)
            } else {
                (least, greatest)
            });
            if count == 0 && self.layout.packing == Packing::Unsigned {
                let (own, before) = (self.planes.channels[channel].own, self.planes.before);
                self.values[own - before..own].fill(least as i16);
            }
            self.scales.push(scale);
        }
        Ok(())
    }

    /// Values that were told by their places or differences, as they are.
    fn unscale(&mut self) {
        let moments = self.layout.moments();
        for (plane, scale) in self.planes.channels.iter().zip(&self.scales) {
            if !scale.is_empty() {
                for value in &mut self.values[plane.own..][..moments] {
                    *value = scale[*value as usize];
                }
            }
        }
        if self.differ {
            self.join_colours();
        }
    }

    fn pass_near<C: Coder>(
        &mut self,
        coder: &mut C,
        head: &mut Head,
        is_given: bool,
    ) -> Outcome<()> {
        for (channel, plane) in self.planes.channels.iter().enumerate() {
            let given = if is_given {
                self.find_near(channel)
            } else {
                [0; NEAR]
            };
            let mut near = [0; NEAR];
            for (place, at) in near.iter_mut().enumerate() {
                let number = head.pass(coder, given[place] as u32, 50 + place as u64) as usize;
                let tap = plane.taps.get(number);
                *at = tap.ok_or("there is no such neighbour")?.1;
            }
            self.near.push(near);
        }
        Ok(())
    }

    /// Of each channel the least of those that are most like each other: samples of one signal, taken several times a moment.
    fn groups(&self) -> Vec<u64> {
        let mut groups: Vec<u64> = (0..self.layout.channels as u64).collect();
        for (channel, near) in self.near.iter().enumerate() {
            // the plane in which the nearest lies is the last that does not begin behind it
            let begins = |one: &layout::Plane| one.own <= near[0] + self.planes.before;
            let other = self.planes.channels.iter().rposition(begins).unwrap_or(0);
            let (one, two) = (groups[channel], groups[other]);
            for group in groups.iter_mut().filter(|group| **group == one.max(two)) {
                *group = one.min(two);
            }
        }
        groups
    }

    /// After how many pixels of a line, and lines, those of a part are as rough again: images that were made larger are smooth
    /// between the pixels that they were made of.
    fn find_period(&self, from: usize, to: usize) -> [usize; 2] {
        if self.layout.line == 0 {
            return [1, 1];
        }
        let own = self.own(0);
        let line = self.layout.line / self.layout.channels;
        [1, line].map(|back| {
            let is_periodic = |period: &usize| {
                let mut sums = [(0, 1); MOST_PERIOD];
                for moment in from + 2 * line..to {
                    let [one, two, three] =
                        [0, back, 2 * back].map(|back| i32::from(own[moment - back]));
                    let rough = (one - 2 * two + three).unsigned_abs();
                    if one != two || rough != 0 {
                        let at = if back == 1 {
                            moment % line
                        } else {
                            moment / line
                        };
                        let sum = &mut sums[at % period];
                        *sum = (sum.0 + step_of(rough), sum.1 + 1);
                    }
                }
                let means = sums[..*period].iter().map(|(sum, count)| sum * 64 / count);
                let (least, most) = means.fold((u64::MAX, 0), |(least, most), one| {
                    (one.min(least), one.max(most))
                });
                most * 2 > least * 3
            };
            (2..=MOST_PERIOD).find(is_periodic).unwrap_or(1)
        })
    }

    /// The best weights of a part, for as many classes as seem worth their weights, and what it would take with them.
    fn fit(&self, from: usize, to: usize) -> (Weights, u64) {
        let channels = self.layout.channels;
        let taps = self.planes.channels[0].taps.len();
        let mut all: Vec<u32> = (from..to)
            .step_by(7)
            .flat_map(|moment| (0..channels).map(move |channel| (channel, moment)))
            .map(|(channel, moment)| {
                liveliness(Self::around(&self.values, &self.near[channel], moment))
            })
            .collect();
        all.sort_unstable();
        let every = Fit::every(to - from, taps);
        let period = self.find_period(from, to);
        let phases = period[0] * period[1];
        let line = (self.layout.line / channels).max(1);
        let mut bounds: Vec<u32> = match (to - from) / every / (taps + 1) / phases {
            0..64 => &[][..],
            64..256 => &[75],
            _ => &[50, 80, 95],
        }
        .iter()
        .map(|share| all[all.len() * share / 100] + 1)
        .collect();
        bounds.dedup();
        // of each class and channel
        let fits: Vec<Vec<Fit>> = self
            .planes
            .channels
            .iter()
            .enumerate()
            .map(|(channel, plane)| {
                let middle = mean(&self.values[plane.own + from..plane.own + to]);
                let mut fits =
                    vec![Fit::new(plane.taps.len(), middle); (bounds.len() + 1) * phases];
                // in runs, so that what differs from one sample to the next does not matter
                for moment in (from..to).filter(|moment| (moment / RUN).is_multiple_of(every)) {
                    let near = Self::around(&self.values, &self.near[channel], moment);
                    let class = class_of(&bounds, near) * phases + phase_of(period, moment, line);
                    let known = plane.taps.iter().map(|tap| self.values[tap.1 + moment]);
                    fits[class].add(known, self.values[plane.own + moment]);
                }
                fits
            })
            .collect();
        let last = bounds.len();
        let mut choices = vec![0..0, last / 2..(last / 2 + 1).min(last), 0..last];
        choices.dedup();
        let mut found: Vec<Weights> = choices
            .into_iter()
            .map(|kept| self.weights(&fits, &bounds, kept, period))
            .collect();
        let costs = found
            .iter()
            .map(|weights| self.cost(weights, MIXED[0], from, to));
        let (place, cost) = costs
            .enumerate()
            .min_by_key(|one| one.1)
            .unwrap_or_default();
        (found.swap_remove(place), cost)
    }

    /// The weights of classes that only some of the bounds part.
    fn weights(
        &self,
        fits: &[Vec<Fit>],
        bounds: &[u32],
        kept: std::ops::Range<usize>,
        period: [usize; 2],
    ) -> Weights {
        let phases = period[0] * period[1];
        let mut sets = Vec::new();
        let mut first = 0;
        for end in kept.clone().chain([bounds.len()]) {
            for phase in 0..phases {
                for (plane, fits) in self.planes.channels.iter().zip(fits) {
                    let some: Vec<&Fit> = (first..=end)
                        .map(|class| &fits[class * phases + phase])
                        .collect();
                    sets.push(Fit::sum(&some).weights(plane));
                }
            }
            first = end + 1;
        }
        Weights {
            bounds: bounds[kept].to_vec(),
            period,
            sets,
        }
    }

    fn pass_weights<C: Coder>(
        &self,
        coder: &mut C,
        head: &mut Head,
        given: Option<&Weights>,
    ) -> Outcome<Weights> {
        let count = given.map_or(0, |one| one.bounds.len() as u32);
        let count = head.pass(coder, count, 100) as usize;
        if count > MOST_BOUNDS {
            return Err("there are too many bounds".into());
        }
        let mut weights = Weights {
            period: [1, 1],
            ..Weights::default()
        };
        if self.layout.line > 0 {
            for (place, one) in weights.period.iter_mut().enumerate() {
                let given = given.map_or(0, |one| one.period[place] as u32 - 1);
                *one = 1 + head.pass(coder, given, 104) as usize;
                if *one > MOST_PERIOD {
                    return Err("weights come again too late".into());
                }
            }
        }
        for place in 0..count {
            let bound = given.map_or(0, |one| one.bounds[place]);
            weights.bounds.push(head.pass(coder, bound, 101));
        }
        for set in 0..(count + 1) * weights.period[0] * weights.period[1] * self.layout.channels {
            let plane = &self.planes.channels[set % self.layout.channels];
            let given = given.map(|one| &one.sets[set]);
            let digits = given.map_or(0, |one| one.digits - LEAST_POINT);
            let digits = LEAST_POINT + head.pass(coder, digits, 102);
            if digits > 15 {
                return Err("weights have too many digits".into());
            }
            let constant = given.map_or(0, |one| folded(one.constant));
            let constant = unfolded(head.pass(coder, constant, 103));
            let mut first = First {
                weights: vec![[0; LANES]; plane.blocks.len()],
                constant,
                digits,
            };
            for (term, &(place, _)) in plane.taps.iter().enumerate() {
                let weight = given.map_or(0, |one| one.weights[place / LANES][place % LANES]);
                let weight = head.pass(coder, folded(i32::from(weight)), 200 + term as u64);
                first.weights[place / LANES][place % LANES] = unfolded(weight) as i16;
            }
            weights.sets.push(first);
        }
        Ok(weights)
    }

    /// What a part would take with some weights, in 2^-16 of a bit: tried here and there.
    fn cost(&self, weights: &Weights, mixed: u32, from: usize, to: usize) -> u64 {
        let window = (TRIED / self.layout.channels)
            .min((to - from).div_ceil(16))
            .div_ceil(WINDOWS);
        let mut course = Course::new(self, mixed);
        let mut counter = Counter::new();
        for place in (0..WINDOWS).chain(0..WINDOWS) {
            if place == 0 {
                // what was learned so far is kept, as it will be known by then
                counter = Counter::new();
            }
            let from = from + (to - from - window) * place / (WINDOWS - 1);
            for moment in from..from + window {
                for channel in 0..self.layout.channels {
                    let sample = self.values[self.planes.channels[channel].own + moment];
                    course.pass(&mut counter, &self.values, weights, channel, moment, sample);
                }
            }
        }
        let tried = WINDOWS * window;
        // the weights are told once, and stand for more samples than were tried
        let told = weights
            .sets
            .iter()
            .map(|set| set.weights.len() * LANES)
            .sum::<usize>();
        let share = (tried << 16) / (to - from);
        counter.bits() + (told as u64 * BITS_OF_WEIGHT) * share as u64
    }

    /// How long deviations are at most whose signs and bits are told by all contexts: short ones only, if that costs little.
    fn choose_mixed(&self, weights: &Weights, first: u64, from: usize, to: usize) -> u32 {
        let costs: [u64; MIXED.len()] = std::array::from_fn(|place| match place {
            0 => first,
            _ => self.cost(weights, MIXED[place], from, to),
        });
        let least = costs.into_iter().min().unwrap_or(0);
        let found = costs.iter().position(|&cost| cost <= least + least / 64);
        MIXED[found.unwrap_or(0)]
    }

    /// All samples; those that are not given are read.
    fn pass<C: Coder>(&mut self, coder: &mut C, head: &mut Head, is_given: bool) -> Outcome<()> {
        self.pass_scales(coder, head, is_given)?;
        self.pass_near(coder, head, is_given)?;
        let first = self.layout.parts().next().filter(|_| is_given);
        let mut fitted = first.map(|(from, to)| self.fit(from, to));
        let mixed = match (&fitted, first) {
            (Some((weights, cost)), Some((from, to))) if self.layout.line == 0 => {
                self.choose_mixed(weights, *cost, from, to)
            }
            _ => 0,
        };
        let mixed = match self.layout.line {
            0 => head.pass(coder, mixed, 60),
            _ => 0,
        };
        let mut course = Course::new(self, mixed);
        for (from, to) in self.layout.parts() {
            if is_given && from > 0 {
                fitted = Some(self.fit(from, to));
            }
            let given = fitted.as_ref().map(|one| &one.0);
            let weights = self.pass_weights(coder, head, given)?;
            for moment in from..to {
                if moment % 1024 == 0 && coder.is_exhausted() {
                    return Err("the encoding ends before its samples do".into());
                }
                for channel in 0..self.layout.channels {
                    let at = self.planes.channels[channel].own + moment;
                    let given = self.values[at];
                    let value = course.pass(coder, &self.values, &weights, channel, moment, given);
                    if !is_given {
                        self.values[at] = value.ok_or("a sample is larger than samples are")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// What writer and reader know of a channel from one sample to the next.
struct Channel {
    plane: Plane,
    near: [usize; NEAR],
    least: i32,
    greatest: i32,
    group: u64,
    second: Second,
    late: u32,
}

impl Channel {
    fn all(samples: &Samples) -> Vec<Channel> {
        let groups = samples.groups();
        let channels = samples.planes.channels.iter().enumerate();
        let channels = channels.map(|(number, plane)| Channel {
            plane: plane.clone(),
            near: samples.near[number],
            least: samples.ranges[number].0,
            greatest: samples.ranges[number].1,
            group: groups[number],
            second: Second::new(),
            late: 0,
        });
        channels.collect()
    }
}

/// What they know of all samples.
enum Course {
    Signals(Box<Signals>),
    Pixels(Box<Pixels>),
}

impl Course {
    fn new(samples: &Samples, mixed: u32) -> Self {
        if samples.layout.line > 0 {
            Course::Pixels(Box::new(Pixels::new(samples)))
        } else {
            Course::Signals(Box::new(Signals::new(samples, mixed)))
        }
    }

    /// One sample; none if what was read is out of range.
    #[inline]
    fn pass<C: Coder>(
        &mut self,
        coder: &mut C,
        values: &[i16],
        weights: &Weights,
        channel: usize,
        moment: usize,
        given: i16,
    ) -> Option<i16> {
        match self {
            Course::Signals(one) => one.pass(coder, values, weights, channel, moment, given),
            Course::Pixels(one) => one.pass(coder, values, weights, channel, moment, given),
        }
    }
}

struct Signals {
    channels: Vec<Channel>,
    deviations: Deviations,
    /// What the first sight left of each sample, and what was left in the end.
    first: Vec<i16>,
    rest: Vec<i16>,
}

impl Signals {
    fn new(samples: &Samples, mixed: u32) -> Self {
        Signals {
            channels: Channel::all(samples),
            deviations: Deviations::new(samples.layout.samples, mixed),
            first: vec![0; samples.planes.size],
            rest: vec![0; samples.planes.size],
        }
    }

    /// One sample; none if what was read is out of range.
    #[inline]
    fn pass<C: Coder>(
        &mut self,
        coder: &mut C,
        values: &[i16],
        weights: &Weights,
        channel: usize,
        moment: usize,
        given: i16,
    ) -> Option<i16> {
        let channels = self.channels.len();
        let one = &mut self.channels[channel];
        let (least, greatest) = (one.least, one.greatest);
        let near = Samples::around(values, &one.near, moment);
        let class = weights.class(near);
        let sight = weights.sets[class * channels + channel]
            .foresee(values, &one.plane.blocks, moment, 0)
            .clamp(least, greatest);
        let (more, size) = one
            .second
            .foresee(&self.first, &one.plane.second, moment, 0);
        let foreseen = sight.wrapping_add(more).clamp(least, greatest);
        let around = Around {
            group: one.group,
            foreseen,
            near,
            left: Samples::around(&self.rest, &one.near, moment),
            late: one.late,
        };
        let given = i32::from(given).wrapping_sub(foreseen);
        let told = self.deviations.pass(coder, given, &around);
        let value = foreseen + told;
        let at = one.plane.own + moment;
        self.rest[at] = told.clamp(-32767, 32767) as i16;
        self.first[at] = kept(value - sight);
        one.late = one.late + told.unsigned_abs() * 16 - (one.late >> 5);
        one.second
            .follow(&self.first, &one.plane.second, moment, size, told);
        (least..=greatest).contains(&value).then_some(value as i16)
    }
}

// ── the whole ─────────────────────────────────────────────────────────────────────────────────────────────────────

fn encode(data: &[u8], layout: Layout) -> Vec<u8> {
    let mut coder = Writer::new();
    let mut head = Head::new();
    let end = layout.start + layout.packing.bytes(layout.samples);
    for (place, one) in layout
        .numbers()
        .into_iter()
        .chain([data.len() - end])
        .enumerate()
    {
        head.pass(&mut coder, one as u32, place as u64);
    }
    let mut around = Bytes::new(layout.start + data.len() - end);
    around.pass(&mut coder, &data[..layout.start], layout.start);
    let mut samples = Samples::new(layout);
    let differ = {
        let unpacked = layout.packing.unpack(&data[layout.start..end]);
        samples.fill(&unpacked);
        samples.do_differ(&unpacked)
    };
    let told = samples
        .pass_colours(&mut coder, &mut head, Some(differ))
        .and_then(|()| samples.pass(&mut coder, &mut head, true));
    debug_assert!(told.is_ok());
    around.pass(&mut coder, &data[end..], data.len() - end);
    coder.finish()
}

fn decode(encoded: Vec<u8>, limit: usize) -> Outcome<Vec<u8>> {
    let mut coder = Reader::new(encoded);
    let mut head = Head::new();
    let numbers: Vec<usize> = (0..7)
        .map(|place| head.pass(&mut coder, 0, place) as usize)
        .collect();
    let [start, packing, channels, line, frame, samples, tail] = numbers[..] else {
        unreachable!()
    };
    let room = limit.checked_sub(tail).ok_or(TOO_LARGE)?;
    let layout = Layout::of([start, packing, channels, line, frame, samples])?.check(room)?;
    let mut around = Bytes::new(start + tail);
    let mut data = around.pass(&mut coder, &[], start).to_vec();
    let mut samples = Samples::new(layout);
    samples.pass_colours(&mut coder, &mut head, None)?;
    samples.pass(&mut coder, &mut head, false)?;
    samples.unscale();
    layout.packing.pack(samples.read().into_iter(), &mut data);
    data.extend(around.pass(&mut coder, &[], tail));
    if coder.is_exhausted() {
        return Err("the encoding ends before its bytes do".into());
    }
    Ok(data)
}

/// Bits of differences with their signs.
struct Bits([f32; 1 << 10]);

impl Bits {
    fn new() -> Self {
        Bits(std::array::from_fn(|size| (size.max(1) as f32).log2()))
    }

    #[inline]
    fn of(&self, difference: i32) -> f32 {
        let size = 1 + 2 * difference.unsigned_abs();
        let shift = 22u32.saturating_sub(size.leading_zeros());
        self.0[(size >> shift) as usize % self.0.len()] + shift as f32
    }
}

/// What a byte of samples takes if they are of so many channels and foreseen from the two before; of so many moments one is looked at.
fn cost_of(samples: &[i32], packing: Packing, channels: usize, every: usize, bits: &Bits) -> f64 {
    let cost = |channel: usize, back: usize, order: i32| -> f32 {
        let places = (2 * back + channel..samples.len() - channels).step_by(channels * every);
        let rest = |at: usize| {
            samples[at] - samples[at - back] * order + samples[at - 2 * back] * (order - 1)
        };
        places.map(|at| bits.of(rest(at))).sum()
    };
    let least = |channel: usize| -> f32 {
        let backs =
            (1..=channels).flat_map(|back| [cost(channel, back, 1), cost(channel, back, 2)]);
        backs.fold(f32::INFINITY, f32::min)
    };
    let sum: f32 = (0..channels).map(least).sum();
    f64::from(sum) * every as f64 / packing.bytes(samples.len()) as f64
}

/// How the samples of a signal probably lie: as they are best foreseen from the two before. What is much worse at a first look is
/// not looked at closely.
fn guess(data: &[u8], start: usize) -> Option<Layout> {
    let body = data.get(start..)?;
    let middle = body.len() / 2 / 6 * 6;
    let window = &body[middle..body.len().min(middle + 24_576)];
    let bits = Bits::new();
    let mut ways = Vec::new();
    for packing in [
        Packing::Little,
        Packing::Twelve,
        Packing::Byte,
        Packing::Big,
    ] {
        let whole = packing.bytes(packing.samples(window.len()));
        let samples = packing.unpack(&window[..whole]);
        let samples: Rc<[i32]> = samples.into_iter().map(i32::from).collect();
        for channels in (1..=16).filter(|channels| samples.len() > 64 * channels) {
            let rough = cost_of(&samples, packing, channels, FIRST_LOOK, &bits);
            ways.push((rough, packing, channels, Rc::clone(&samples)));
        }
    }
    let least = ways.iter().map(|way| way.0).fold(f64::INFINITY, f64::min);
    let mut best: Option<(f64, Packing, usize)> = None;
    for (rough, packing, channels, samples) in ways {
        if rough > least * MUCH_WORSE {
            continue;
        }
        let cost = cost_of(&samples, packing, channels, 1, &bits);
        // a multiple of the right number is nearly as good
        if best.is_none_or(|(least, ..)| cost < least * 0.98) {
            best = Some((cost, packing, channels));
        }
    }
    let (_, packing, channels) = best?;
    // whole moments in whole groups
    let whole = if packing == Packing::Twelve && channels % 2 == 1 {
        2 * channels
    } else {
        channels
    };
    let samples = packing.samples(body.len()) / whole * whole;
    Some(Layout {
        start,
        packing,
        channels,
        line: 0,
        frame: 0,
        samples,
    })
}

/// Fewer bytes. `layout` says where the samples lie (`start`, `packing`, `channels`, `line`, `frame`, `samples`); without it these
/// are signals from `start` on, and how they lie is found out.
#[pyfunction]
#[pyo3(signature = (data, start = 0, layout = None))]
pub fn samples_encode<'py>(
    python: Python<'py>,
    data: &[u8],
    start: usize,
    layout: Option<[usize; 6]>,
) -> PyResult<Bound<'py, PyBytes>> {
    let data = data.to_vec();
    let encoded = python
        .detach(move || {
            guarded(|| {
                if data.len() >= 1 << 31 {
                    return Err(TOO_LARGE.into());
                }
                let layout = match layout {
                    None => guess(&data, start).ok_or("there are no samples in it")?,
                    Some(numbers) => Layout::of(numbers)?,
                };
                Ok(encode(&data, layout.check(data.len())?))
            })
        })
        .map_err(refused)?;
    Ok(PyBytes::new(python, &encoded))
}

/// The bytes again, if there are at most so many.
#[pyfunction]
pub fn samples_decode<'py>(
    python: Python<'py>,
    encoded: &[u8],
    limit: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    let encoded = encoded.to_vec();
    let data = python
        .detach(move || guarded(|| decode(encoded, limit)))
        .map_err(refused)?;
    Ok(PyBytes::new(python, &data))
}

/// How the samples of a signal from `start` on probably lie, as `layout` elsewhere here.
#[pyfunction]
pub fn samples_layout(data: &[u8], start: usize) -> PyResult<[usize; 6]> {
    guarded(|| guess(data, start).ok_or("there are no samples in it".into()))
        .map(|layout| layout.numbers())
        .map_err(refused)
}

/// Samples that lie so in bytes, packed to be read fast; and the samples of a line, or 0 if it does not matter that there are lines.
#[pyfunction]
pub fn numbers_encode<'py>(
    python: Python<'py>,
    data: &[u8],
    layout: [usize; 6],
) -> PyResult<(usize, Bound<'py, PyBytes>)> {
    let (line, encoded) = python
        .detach(|| {
            guarded(|| {
                let layout = Layout::of(layout)?.check(data.len())?;
                let samples = &data[layout.start..][..layout.packing.bytes(layout.samples)];
                let (is_by_lines, encoded) = quick::encode(samples, &layout)?;
                Ok((if is_by_lines { layout.line } else { 0 }, encoded))
            })
        })
        .map_err(refused)?;
    Ok((line, PyBytes::new(python, &encoded)))
}

/// The bytes of the samples again.
#[pyfunction]
pub fn numbers_decode<'py>(
    python: Python<'py>,
    encoded: &[u8],
    layout: [usize; 6],
    limit: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    let data = python
        .detach(|| guarded(|| quick::decode(encoded, &Layout::of(layout)?.check(limit)?)))
        .map_err(refused)?;
    Ok(PyBytes::new(python, &data))
}
