//! Samples of signals and pixels of images, as the difference from what those before them let expect.
//!
//! Bytes are a beginning, samples, and an end. Each sample is foreseen twice: as a weighted sum of earlier ones — of its own channel
//! and of the others, or of the pixels around — with weights that the writer found by least squares and that stand in the encoding;
//! and, for what that leaves, by weights that writer and reader adapt as they go ("normalised least mean squares"). What is left
//! then is told to a [`Model`], which knows how large the last ones were. All that a reader computes is in integers.

mod packing;
mod weights;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::mix::{hash, number, plain, Coder, Deviations, Model, Reader, Writer};
use crate::{guarded, refused, Outcome};
use packing::Packing;
use weights::{Fit, CONSTANT, POINT};

const TOO_LARGE: &str = "there are more bytes than there may be";
const MOST_CHANNELS: usize = 64;
/// Samples that share their weights; an image's frames have their own.
const PART: usize = 1 << 20;
/// Of how many samples before it the second sight sees what was left.
const ADAPTED: usize = 16;
/// How many earlier samples are looked at closely.
const NEAR: usize = 4;
/// How many values a channel has at most that has few.
const MOST_VALUES: usize = 4096;

// ── how samples lie ───────────────────────────────────────────────────────────────────────────────────────────────

/// Where in bytes samples lie, and which belong together.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// Bytes before the samples.
    start: usize,
    packing: Packing,
    /// Samples of one moment, or of one pixel.
    channels: usize,
    /// Samples in a line of an image; 0: these are signals.
    line: usize,
    /// Samples in one of several images; 0: there is one.
    frame: usize,
    samples: usize,
}

impl Layout {
    fn check(self, bytes: usize) -> Outcome<Self> {
        let fits = self
            .start
            .checked_add(self.packing.bytes(self.samples))
            .is_some_and(|end| end <= bytes);
        let whole = self.packing.samples(self.packing.bytes(self.samples)) == self.samples;
        let shape = (1..=MOST_CHANNELS.min(self.samples)).contains(&self.channels)
            && self.line <= self.samples
            && self.frame <= self.samples
            && (self.frame == 0 || self.line > 0 && self.frame.is_multiple_of(self.line))
            && (self.line == 0 || self.line.is_multiple_of(self.channels));
        (fits && whole && shape)
            .then_some(self)
            .ok_or_else(|| format!("{bytes} bytes cannot lie like {self:?}"))
    }

    /// How far before a sample those lie of which it is foreseen.
    fn taps(&self) -> Vec<usize> {
        let Layout {
            channels: c,
            line: w,
            frame,
            ..
        } = *self;
        let mut taps: Vec<usize> = if w > 0 {
            let around = [
                c,
                w,
                w + c,
                w - c,
                2 * c,
                2 * w,
                w + 2 * c,
                w.saturating_sub(2 * c),
            ];
            let beyond = [
                2 * w + c,
                2 * w - c,
                3 * c,
                3 * w,
                w.saturating_sub(3 * c),
                w + 3 * c,
                2 * w + 2 * c,
            ];
            let others = (1..c).flat_map(|back| [back, back + c, back + w]);
            around
                .into_iter()
                .chain(others)
                .chain(beyond)
                .chain([(2 * w).saturating_sub(2 * c)])
                .collect()
        } else {
            let (own, each) = if c <= 3 {
                (24, 8)
            } else {
                (16, (44 / (c - 1)).max(1))
            };
            let others =
                (1..c.min(17)).flat_map(|back| (0..each).map(move |before| back + before * c));
            (1..=own).map(|before| before * c).chain(others).collect()
        };
        if frame > 0 {
            taps.extend([
                frame,
                frame + c,
                frame - c,
                frame + w,
                frame.saturating_sub(w),
                2 * frame,
            ]);
        }
        let mut seen = std::collections::HashSet::new();
        taps.retain(|&back| back > 0 && seen.insert(back));
        taps
    }

    /// The most that something lies before a sample.
    fn farthest(&self) -> usize {
        self.taps().into_iter().max().unwrap_or(0)
    }

    /// Where parts with weights of their own end.
    fn parts(&self) -> impl Iterator<Item = (usize, usize)> {
        let size = if self.frame > 0 {
            self.frame
        } else {
            PART / self.channels * self.channels
        };
        let samples = self.samples;
        (0..samples)
            .step_by(size.max(1))
            .map(move |from| (from, (from + size).min(samples)))
    }

    /// What numbers stand for.
    fn of(numbers: [usize; 6]) -> Outcome<Self> {
        let [start, packing, channels, line, frame, samples] = numbers;
        Ok(Layout {
            start,
            packing: Packing::numbered(packing as u32)?,
            channels,
            line,
            frame,
            samples,
        })
    }

    /// Numbers that stand for it.
    fn numbers(&self) -> [usize; 6] {
        [
            self.start,
            self.packing as usize,
            self.channels,
            self.line,
            self.frame,
            self.samples,
        ]
    }
}

// ── what passes a coder ───────────────────────────────────────────────────────────────────────────────────────────

fn folded(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

fn unfolded(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// A size on a scale of four steps from one power of two to the next.
fn step_of(value: u32) -> u64 {
    let length = 32 - value.leading_zeros();
    u64::from(if length < 3 {
        value
    } else {
        length << 2 | value >> (length - 3) & 3
    })
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

/// Bytes before and after the samples, each after those before it.
fn pass_bytes<C: Coder>(coder: &mut C, given: &[u8], count: usize) -> Vec<u8> {
    let mut model = Model::new(6, 12, 255);
    let mut bytes: Vec<u8> = Vec::new();
    for place in 0..count {
        if coder.is_exhausted() {
            break;
        }
        let mut sum = 0;
        for (order, one) in model.hashes.iter_mut().enumerate() {
            *one = hash(sum, order as u64);
            let before = place.checked_sub(order + 1).map_or(0, |at| bytes[at]);
            sum = hash(sum, u64::from(before) + 1);
        }
        let value = given.get(place).copied().unwrap_or(0);
        bytes.push(plain(&mut model, coder, u32::from(value), 8, None) as u8);
    }
    bytes
}

/// Weights of each channel and class of a part, and from where on a place is of the next class.
struct Weights {
    bounds: Vec<u32>,
    sets: Vec<Vec<i32>>,
}

impl Weights {
    fn class(&self, lively: u32) -> usize {
        self.bounds.iter().filter(|&&bound| lively >= bound).count()
    }
}

/// Samples on their way, behind as many zeros as any looks back.
struct Samples {
    layout: Layout,
    taps: Vec<usize>,
    /// Of each channel, how far before a sample those lie that are most like it.
    near: Vec<[usize; NEAR]>,
    /// Of each channel, which values it has at all; none if it has most of those between its least and greatest.
    scales: Vec<Vec<i32>>,
    ranges: Vec<(i32, i32)>,
    before: usize,
    values: Vec<i32>,
}

impl Samples {
    fn new(layout: Layout) -> Self {
        let before = layout.farthest();
        let mut values = Vec::with_capacity(before + layout.samples);
        values.resize(before, 0);
        Samples {
            layout,
            taps: layout.taps(),
            near: Vec::new(),
            scales: Vec::new(),
            ranges: Vec::new(),
            before,
            values,
        }
    }

    #[inline]
    fn liveliness(&self, at: usize, near: &[usize; NEAR]) -> u32 {
        let [one, two, three, _] = near.map(|back| self.values[at - back]);
        one.abs_diff(two) + two.abs_diff(three) + three.abs_diff(one)
    }

    /// Which earlier samples are most like those of a channel, the most like first.
    fn find_near(&self, channel: usize) -> [usize; NEAR] {
        let Layout {
            channels, samples, ..
        } = self.layout;
        let every = (samples / channels).div_ceil(4000).max(1) * channels;
        let unlike = |back: usize| -> u64 {
            let places = (self.before + channel..self.before + samples).step_by(every);
            places
                .map(|at| u64::from(self.values[at].abs_diff(self.values[at - back])))
                .sum()
        };
        let mut found: Vec<(u64, usize)> =
            self.taps.iter().map(|&back| (unlike(back), back)).collect();
        found.sort_unstable();
        std::array::from_fn(|place| found[place.min(found.len() - 1)].1)
    }

    /// Which values a channel has, if it leaves most out.
    fn find_scale(&self, channel: usize) -> Vec<i32> {
        let own = self.values[self.before + channel..]
            .iter()
            .step_by(self.layout.channels);
        let mut seen: Vec<i32> = own.copied().collect();
        seen.sort_unstable();
        let span = seen
            .last()
            .zip(seen.first())
            .map_or(0, |(last, first)| last.abs_diff(*first));
        seen.dedup();
        if seen.len() <= MOST_VALUES && 2 * seen.len() < span as usize {
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
        let channels = self.layout.channels;
        let (least, greatest) = self.layout.packing.range();
        let all = least..=greatest;
        for channel in 0..channels {
            let given = if is_given {
                self.find_scale(channel)
            } else {
                Vec::new()
            };
            let count = head.pass(coder, given.len() as u32, 30) as usize;
            if count > MOST_VALUES {
                return Err("a channel has too many values".into());
            }
            let mut scale: Vec<i32> = Vec::new();
            for place in 0..count {
                let before = scale.last().copied().unwrap_or(least - 1);
                let step = given.get(place).map_or(0, |&one| (one - before) as u32);
                let value = before.wrapping_add(head.pass(coder, step, 31) as i32);
                if !all.contains(&value) || value <= before {
                    return Err("the values of a channel do not ascend".into());
                }
                scale.push(value);
            }
            if is_given && count > 0 {
                for value in self.values[self.before + channel..]
                    .iter_mut()
                    .step_by(channels)
                {
                    *value = scale.partition_point(|one| one < value) as i32;
                }
            }
            self.ranges.push(if count > 0 {
                (0, count as i32 - 1)
            } else {
                (least, greatest)
            });
            self.scales.push(scale);
        }
        Ok(())
    }

    /// Values that were told by their places, as they are.
    fn unscale(&mut self) {
        for (channel, scale) in self
            .scales
            .iter()
            .enumerate()
            .filter(|(_, scale)| !scale.is_empty())
        {
            for value in self.values[self.before + channel..]
                .iter_mut()
                .step_by(self.layout.channels)
            {
                *value = scale[*value as usize];
            }
        }
    }

    fn pass_near<C: Coder>(
        &mut self,
        coder: &mut C,
        head: &mut Head,
        is_given: bool,
    ) -> Outcome<()> {
        for channel in 0..self.layout.channels {
            let given = if is_given {
                self.find_near(channel)
            } else {
                [0; NEAR]
            };
            let mut near = [0; NEAR];
            for (place, back) in near.iter_mut().enumerate() {
                let number = self
                    .taps
                    .iter()
                    .position(|&one| one == given[place])
                    .unwrap_or(0);
                let number = head.pass(coder, number as u32, 50 + place as u64) as usize;
                *back = *self
                    .taps
                    .get(number)
                    .ok_or("nothing lies so far before a sample")?;
            }
            self.near.push(near);
        }
        Ok(())
    }

    /// Of each channel the least of those that are most like each other: samples of one signal, taken several times a moment.
    fn groups(&self) -> Vec<u64> {
        let channels = self.layout.channels;
        let mut groups: Vec<u64> = (0..channels as u64).collect();
        for (channel, near) in self.near.iter().enumerate() {
            let other = (channel + channels - near[0] % channels) % channels;
            let (one, two) = (groups[channel], groups[other]);
            groups
                .iter_mut()
                .filter(|group| **group == one.max(two))
                .for_each(|group| *group = one.min(two));
        }
        groups
    }

    /// The best weights of a part.
    fn fit(&self, from: usize, to: usize) -> Weights {
        let channels = self.layout.channels;
        let places = || from + self.before..to + self.before;
        let each = (to - from) / channels;
        let classes = match each / (self.taps.len() + 1) {
            0..64 => 1,
            64..256 => 2,
            _ => 4,
        };
        let lively = |at: usize| self.liveliness(at, &self.near[(at - self.before) % channels]);
        let mut all: Vec<u32> = places().step_by(7).map(lively).collect();
        all.sort_unstable();
        let shares: &[usize] = match classes {
            1 => &[],
            2 => &[75],
            _ => &[50, 80, 95],
        };
        let mut bounds: Vec<u32> = shares
            .iter()
            .map(|share| all[all.len() * share / 100] + 1)
            .collect();
        bounds.dedup();
        let classes = bounds.len() + 1;
        let mut fits: Vec<Fit> = (0..classes * channels)
            .map(|_| Fit::new(self.taps.len()))
            .collect();
        let weights = Weights {
            bounds,
            sets: Vec::new(),
        };
        let every = Fit::every(each);
        for at in places() {
            let place = at - self.before;
            if !(place / channels).is_multiple_of(every) {
                continue;
            }
            let class = weights.class(lively(at));
            let known = self.taps.iter().map(|&back| self.values[at - back]);
            fits[class * channels + place % channels].add(known, self.values[at]);
        }
        Weights {
            sets: fits.into_iter().map(Fit::weights).collect(),
            ..weights
        }
    }

    fn pass_weights<C: Coder>(
        &self,
        coder: &mut C,
        head: &mut Head,
        given: Option<Weights>,
    ) -> Weights {
        let bounds = given.as_ref().map_or(0, |one| one.bounds.len() as u32);
        let bounds = head.pass(coder, bounds, 100).min(3) as usize;
        let mut weights = Weights {
            bounds: Vec::new(),
            sets: Vec::new(),
        };
        for place in 0..bounds {
            let bound = given.as_ref().map_or(0, |one| one.bounds[place]);
            weights.bounds.push(head.pass(coder, bound, 101));
        }
        for set in 0..(bounds + 1) * self.layout.channels {
            let numbers = (0..=self.taps.len()).map(|term| {
                let weight = given.as_ref().map_or(0, |one| one.sets[set][term]);
                unfolded(head.pass(coder, folded(weight), 200 + term as u64))
            });
            weights.sets.push(numbers.collect());
        }
        weights
    }

    /// All samples; those that are not given are read.
    fn pass<C: Coder>(&mut self, coder: &mut C, head: &mut Head) -> Outcome<()> {
        let Layout {
            channels, samples, ..
        } = self.layout;
        let is_given = self.values.len() == self.before + samples;
        self.pass_scales(coder, head, is_given)?;
        self.pass_near(coder, head, is_given)?;
        let mut deviations = Deviations::new(Model::new(4, 16, 1000));
        let groups = self.groups();
        // what the weighted sums left, and what was left in the end
        let mut first = vec![0i32; self.before + samples];
        let mut rest = vec![0i32; self.before + samples];
        let adapted = self.taps.len().min(ADAPTED);
        let mut second = vec![vec![0i32; adapted]; channels];
        let mut slow = vec![0u32; channels];
        for (from, to) in self.layout.parts() {
            let fitted = is_given.then(|| self.fit(from, to));
            let weights = self.pass_weights(coder, head, fitted);
            for place in from..to {
                if place % 4096 == 0 && coder.is_exhausted() {
                    return Err("the encoding ends before its samples do".into());
                }
                let at = place + self.before;
                let channel = place % channels;
                let (least, greatest) = self.ranges[channel];
                let near = self.near[channel];
                let lively = self.liveliness(at, &near);
                let class = weights.class(lively);
                let set = &weights.sets[class * channels + channel];
                let sum: i64 = self
                    .taps
                    .iter()
                    .zip(set)
                    .map(|(&back, &weight)| i64::from(weight) * i64::from(self.values[at - back]))
                    .sum();
                let sum = sum + i64::from(set[self.taps.len()]) * i64::from(CONSTANT);
                let one = ((sum + (1 << (POINT - 1))) >> POINT)
                    .clamp(i64::from(least), i64::from(greatest)) as i32;
                let mut left = [0i32; ADAPTED];
                for (one, &back) in left.iter_mut().zip(&self.taps[..adapted]) {
                    *one = first[at - back];
                }
                let adapting = &mut second[channel];
                let more: i64 = adapting
                    .iter()
                    .zip(&left)
                    .map(|(&a, &b)| i64::from(a) * i64::from(b))
                    .sum();
                let more = (more + (1 << 15)) >> 16;
                let foreseen =
                    (i64::from(one) + more).clamp(i64::from(least), i64::from(greatest)) as i32;

                let [r1, r2, r3, _] = near.map(|back| rest[at - back]);
                let [x1, x2, ..] = near.map(|back| self.values[at - back]);
                let fast = 3 * r1.unsigned_abs() + 2 * r2.unsigned_abs() + r3.unsigned_abs();
                let of = groups[channel];
                let (quick, steady) = (step_of(fast), step_of(slow[channel] >> 4));
                let part = |value: i32| i64::from(value.clamp(-4000, 4000)) as u64;
                let hashes = &mut deviations.model.hashes;
                hashes[0] = hash(hash(1, quick), of);
                hashes[1] = hash(hash(hash(2, quick >> 1), steady), of);
                hashes[2] = hash(
                    hash(hash(3, part(foreseen - x1)), part(x1 - x2)),
                    of << 8 | quick >> 3,
                );
                hashes[3] = hash(hash(hash(4, x1 as u64), part(x1 - foreseen)), of);
                let value = if is_given { self.values[at] } else { 0 };
                let told = deviations.pass(
                    coder,
                    value.wrapping_sub(foreseen),
                    32 - ((fast + 3) / 6).leading_zeros(),
                );
                let value = foreseen.wrapping_add(told);
                if !is_given {
                    if !(least..=greatest).contains(&value) {
                        return Err("a sample is larger than samples are".into());
                    }
                    self.values.push(value);
                }
                rest[at] = told;
                first[at] = value - one;
                let size = told.unsigned_abs();
                slow[channel] = slow[channel] + size * 16 - (slow[channel] >> 5);
                let power: i64 = left
                    .iter()
                    .map(|&one| i64::from(one) * i64::from(one))
                    .sum();
                let pace = i64::from(told) * (1 << 12) / (power + 1);
                if pace != 0 {
                    for (weight, &one) in adapting.iter_mut().zip(&left) {
                        *weight = (i64::from(*weight) + ((pace * i64::from(one) + 8) >> 4))
                            .clamp(-(1 << 20), 1 << 20) as i32;
                    }
                }
            }
        }
        Ok(())
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
    pass_bytes(&mut coder, &data[..layout.start], layout.start);
    let mut samples = Samples::new(layout);
    layout
        .packing
        .unpack(&data[layout.start..end], &mut samples.values);
    let told = samples.pass(&mut coder, &mut head);
    debug_assert!(told.is_ok());
    pass_bytes(&mut coder, &data[end..], data.len() - end);
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
    let mut data = pass_bytes(&mut coder, &[], start);
    let mut samples = Samples::new(layout);
    samples.pass(&mut coder, &mut head)?;
    samples.unscale();
    layout
        .packing
        .pack(&samples.values[samples.before..], &mut data);
    data.extend(pass_bytes(&mut coder, &[], tail));
    if coder.is_exhausted() {
        return Err("the encoding ends before its bytes do".into());
    }
    Ok(data)
}

/// How the samples of a signal probably lie: as they are best foreseen from the two before.
fn guess(data: &[u8], start: usize) -> Option<Layout> {
    let body = data.get(start..)?;
    let middle = body.len() / 2 / 6 * 6;
    let window = &body[middle..body.len().min(middle + 24_576)];
    let mut best: Option<(f64, Packing, usize)> = None;
    for packing in [
        Packing::Little,
        Packing::Twelve,
        Packing::Byte,
        Packing::Big,
    ] {
        let mut samples = Vec::new();
        packing.unpack(
            &window[..packing.bytes(packing.samples(window.len()))],
            &mut samples,
        );
        for channels in (1..=16).filter(|channels| samples.len() > 64 * channels) {
            let cost = |channel: usize, back: usize, order: i32| -> f64 {
                let places = (2 * back + channel..samples.len() - channels).step_by(channels);
                let rest = |at: usize| {
                    samples[at] - samples[at - back] * order + samples[at - 2 * back] * (order - 1)
                };
                places
                    .map(|at| f64::from(1 + 2 * rest(at).unsigned_abs()).log2())
                    .sum()
            };
            let least = |channel: usize| -> f64 {
                let backs = (1..=channels)
                    .flat_map(|back| [cost(channel, back, 1), cost(channel, back, 2)]);
                backs.fold(f64::INFINITY, f64::min)
            };
            let bits = (0..channels).map(least).sum::<f64>() / packing.bytes(samples.len()) as f64;
            // a multiple of the right number is nearly as good
            if best.is_none_or(|(least, ..)| bits < least * 0.98) {
                best = Some((bits, packing, channels));
            }
        }
    }
    let (_, packing, channels) = best?;
    let samples = packing.samples(body.len());
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
