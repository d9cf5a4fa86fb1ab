//! Pixels of images, told to a coder: whether one is like its neighbours where these are like one another; else what was left of it.

use super::layout::Plane;
use super::sight::{kept, Second};
use super::{Samples, Weights, NEAR};
use crate::mix::{hash, squash, stretch, Coder, Share, LANES};

/// The most bits of a deviation's size.
const MOST_LENGTH: u32 = 17;
/// How often a share was seen at most before it stops slowing down.
const LIMIT: u32 = 1000;
const LOW_LIMIT: u32 = 255;
/// Contexts of a decision; with the constant as many as are weighed at once.
const CONTEXTS: usize = LANES - 1;
/// Binary logarithm of the most lines of each context's table.
const TABLE: u32 = 14;
const SLOTS: usize = 8;
const LENGTHS: usize = 32;
/// Digits behind the point of what is foreseen.
const FINE: u32 = 4;

/// A difference on the scale of sizes, with its sign.
#[inline]
fn turn(value: i32) -> u64 {
    u64::from(TURNS[(value.clamp(-MOST_TURN, MOST_TURN) + MOST_TURN) as usize])
}

#[inline]
fn step(value: u32) -> u64 {
    u64::from(TURNS[value.min(MOST_TURN as u32) as usize + MOST_TURN as usize] >> 1)
}

const MOST_TURN: i32 = 2047;
static TURNS: [u8; 2 * MOST_TURN as usize + 1] = turns();

const fn turns() -> [u8; 2 * MOST_TURN as usize + 1] {
    let mut turns = [0; 2 * MOST_TURN as usize + 1];
    let mut place = 0;
    while place < turns.len() {
        let value = place as i32 - MOST_TURN;
        let size = value.unsigned_abs();
        let length = 32 - size.leading_zeros();
        let step = if length < 3 { size } else { length << 2 | size >> (length - 3) & 3 };
        turns[place] = (step << 1) as u8 | (value < 0) as u8;
        place += 1;
    }
    turns
}

type Lanes = [i16; LANES];

#[inline]
fn weigh(weights: &Lanes, inputs: &Lanes) -> i32 {
    let mut sum = 0;
    for lane in 0..LANES {
        sum += i32::from(weights[lane]) * i32::from(inputs[lane]);
    }
    sum >> 14
}

#[inline]
fn follow(weights: &mut Lanes, inputs: &Lanes, wrong: i32) {
    let error = (wrong * RATE) >> 7;
    for lane in 0..LANES {
        let step = (i32::from(inputs[lane]) * error + (1 << 16)) >> 17;
        weights[lane] = weights[lane].saturating_add(step as i16);
    }
}

const RATE: i32 = 100;

#[derive(Clone, Copy)]
#[repr(align(32))]
struct Line([Share; SLOTS]);

/// Shares of decisions, mixed.
struct Mixed {
    lines: Vec<Line>,
    bits: u32,
    open: [usize; CONTEXTS],
    by_node: Vec<Lanes>,
}

const NODES: usize = 2 * LENGTHS * SLOTS + 64;

impl Mixed {
    fn new(samples: usize) -> Self {
        let bits = (usize::BITS - samples.leading_zeros()).clamp(8, TABLE);
        let mut first = [5734; LANES];
        first[CONTEXTS] = 0;
        Mixed {
            lines: vec![Line([Share::NEW; SLOTS]); CONTEXTS << bits],
            bits,
            open: [0; CONTEXTS],
            by_node: vec![first; NODES],
        }
    }

    #[inline]
    fn open<const N: usize>(&mut self, contexts: &[u64; N], of: u64) {
        for number in 0..N {
            let hashed = hash(contexts[number] ^ of << 40, number as u64);
            let place = number << self.bits | (hashed >> (64 - self.bits)) as usize;
            let name = Share::named(hashed as u32 | 1);
            let line = &mut self.lines[place].0;
            if line[0] != name {
                *line = [Share::NEW; SLOTS];
                line[0] = name;
            }
            self.open[number] = place;
        }
    }

    #[inline]
    fn decide<const N: usize, C: Coder>(&mut self, coder: &mut C, bit: u32, slot: usize, node: usize) -> u32 {
        let slot = slot % SLOTS;
        let mut inputs = [0i16; LANES];
        inputs[CONTEXTS] = 256;
        for number in 0..N {
            inputs[number] = stretch(self.lines[self.open[number]].0[slot].probability());
        }
        let one = &mut self.by_node[node];
        let first = weigh(one, &inputs);
        let probability = squash(first).clamp(1, 65535);
        let bit = coder.code(bit, probability);
        let wrong = (bit << 16) as i32 - probability as i32;
        follow(one, &inputs, wrong);
        for number in 0..N {
            self.lines[self.open[number]].0[slot].update(bit, LIMIT);
        }
        bit
    }
}

struct Channel {
    plane: Plane,
    near: [usize; NEAR],
    least: i32,
    greatest: i32,
    group: u64,
    second: Second,
    late: u32,
}

#[inline]
fn pass_share<C: Coder>(coder: &mut C, share: &mut Share, bit: u32) -> u32 {
    let bit = coder.code(bit, share.probability().clamp(1, 65535));
    share.update(bit, LOW_LIMIT);
    bit
}

const MIXED: u32 = 1;

/// What writer and reader know of all pixels.
pub(super) struct Pixels {
    channels: Vec<Channel>,
    mixed: Mixed,
    low: Vec<Share>,
    signs: Vec<Share>,
    top: Vec<Share>,
    line: usize,
    frame: usize,
    first: Vec<i16>,
    rest: Vec<i16>,
    pub(super) counts: [usize; 4],
}

impl Pixels {
    pub(super) fn new(samples: &Samples) -> Self {
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
        Pixels {
            channels: channels.collect(),
            mixed: Mixed::new(samples.layout.samples),
            low: vec![Share::NEW; LENGTHS * LENGTHS],
            signs: vec![Share::NEW; LENGTHS * 27],
            top: vec![Share::NEW; LENGTHS * 80 * 3],
            line: samples.layout.line / samples.layout.channels,
            frame: samples.layout.frame / samples.layout.channels,
            first: vec![0; samples.planes.size],
            rest: vec![0; samples.planes.size],
            counts: [0; 4],
        }
    }

    /// One pixel's sample; none if what was read is out of range.
    #[inline]
    pub(super) fn pass<C: Coder>(
        &mut self,
        coder: &mut C,
        values: &[i16],
        weights: &Weights,
        channel: usize,
        moment: usize,
        given: i16,
    ) -> Option<i16> {
        let channels = self.channels.len();
        // the same pixel of the channel before, or of the frame before
        let beside = if channel > 0 {
            Some(self.channels[channel - 1].plane.own + moment)
        } else if self.frame > 0 {
            Some(self.channels[channel].plane.own + moment - self.frame)
        } else {
            None
        };
        let one = &mut self.channels[channel];
        let own = one.plane.own + moment;
        let line = self.line;
        let given = i32::from(given);
        let v = |back: usize| i32::from(values[own - back.max(1)]);
        let (w, n, nw, ne, ww, nn) = (v(1), v(line), v(line + 1), v(line - 1), v(2), v(2 * line));
        let nne = v(2 * line - 1);
        let (bv, bw) = beside.map_or((0, 0), |at| (i32::from(values[at]), i32::from(values[at - 1])));
        let (phase, phases) = weights.phase(moment, line);
        let of = one.group << 4 | phase as u64;
        let is_flat = w == n && w == nw && w == ne && w == ww && w == nn && w == nne;
        let alike = |value: i32| -> u64 {
            let farther = [v(3), v(2 * line + 1), v(line + 2), v(line.saturating_sub(2)), v(2 * line + 2), v(2 * line.saturating_sub(1)), v(3 * line)];
            farther.iter().fold(0, |sum, &one| sum << 1 | u64::from(one == value))
        };
        if is_flat {
            self.counts[0] += 1;
            let far = alike(w);
            let exact = hash(hash(hash(v(3) as u64, v(line + 2) as u64), v(line.saturating_sub(2)) as u64), hash(v(2 * line + 1) as u64, v(2 * line + 2) as u64));
            let contexts = [
                far,
                w as u64,
                exact ^ w as u64,
                turn(bv - bw) | turn(bw - w) << 8,
                step(one.late >> 2),
                (moment % line) as u64 >> 1,
                far & 7 | step(one.late >> 4) << 8,
            ];
            self.mixed.open(&contexts, of << 4 | 1);
            if self.mixed.decide::<7, C>(coder, u32::from(given != w), 1, 2 * LENGTHS * SLOTS) == 0 {
                self.rest[own] = 0;
                self.first[own] = 0;
                one.late -= one.late >> 5;
                return Some(w as i16);
            }
        }
        let near = Samples::around(values, &one.near, moment);
        let (least, greatest) = (one.least, one.greatest);
        let class = weights.class(near) * phases + phase;
        let sight = weights.sets[class * channels + channel]
            .foresee_fine(values, &one.plane.blocks, moment, FINE)
            .clamp(least << FINE, greatest << FINE | 15);
        let (more, size) = one.second.foresee_fine(&self.first, &one.plane.second, moment, FINE);
        let fine = sight.wrapping_add(more).clamp(least << FINE, greatest << FINE | 15);
        let foreseen = fine >> FINE;
        let part = (fine & 15) as u64 >> 2;
        let sight = sight >> FINE;

        // values of which the neighbours have two at most
        let other = if n != w { n } else if ne != w { ne } else { nw };
        let is_drawn = !is_flat && [n, nw, ne].iter().all(|&one| one == w || one == other);
        let mut told = None;
        if is_drawn {
            self.counts[1] += 1;
            let far = alike(w);
            let pattern = far << 6
                | u64::from(n == w) << 5 | u64::from(ne == w) << 4 | u64::from(nw == w) << 3
                | u64::from(ww == w) << 2 | u64::from(nn == w) << 1 | u64::from(nne == w);
            let four = hash(hash(w as u64, n as u64), hash(nw as u64, ne as u64));
            let six = hash(four, hash(hash(ww as u64, nn as u64), nne as u64));
            let contexts = [
                pattern,
                four,
                six,
                turn((fine - (w << FINE)) >> 2) | turn(n - w) << 8,
                hash(six, far),
                turn(bv - bw) | turn(bw - w) << 8 | (pattern & 63) << 16,
                step(one.late >> 4) | turn((fine - (w << FINE)) >> 3) << 8,
            ];
            self.mixed.open(&contexts, of << 4 | 2);
            let node = 2 * LENGTHS * SLOTS + 1;
            if self.mixed.decide::<7, C>(coder, u32::from(given != w), 1, node) == 0 {
                told = Some(w);
            } else if other != w && self.mixed.decide::<7, C>(coder, u32::from(given != other), 2, node + 1) == 0 {
                told = Some(other);
            }
        }
        let told = match told {
            Some(value) => value - foreseen,
            None => {
                self.counts[2] += 1;
                let left = Samples::around(&self.rest, &one.near, moment);
                let [x1, x2, _] = near;
                let [r1, r2, r3] = left;
                let r = |back: usize| i32::from(self.rest[own - back.max(1)]);
                let (rw, rn) = (r(1), r(line));
                let fast = 3 * r1.unsigned_abs() + 2 * r2.unsigned_abs() + r3.unsigned_abs();
                let wide = 3 * (rw.unsigned_abs() + rn.unsigned_abs())
                    + 2 * (r(line - 1).unsigned_abs() + r(line + 1).unsigned_abs() + r(2).unsigned_abs() + r(2 * line).unsigned_abs())
                    + r(line + 2).unsigned_abs() + r(2 * line + 1).unsigned_abs() + r(2 * line - 1).unsigned_abs() + r(line.saturating_sub(2)).unsigned_abs();
                let expected = 32 - ((wide + 9) / 18).leading_zeros();
                let quick = step(fast);
                let activity = (w - ww).unsigned_abs() + (n - nn).unsigned_abs() + (ne - n).unsigned_abs()
                    + (w - nw).unsigned_abs() + (n - nw).unsigned_abs() + (ne - nne).unsigned_abs();
                let escaped = u64::from(is_flat) | u64::from(is_drawn) << 1;
                let contexts = [
                    quick >> 1 | step(one.late >> 4) << 8,
                    u64::from(x1 as u16) << 8 | turn(x1 - foreseen),
                    step(activity) | turn(more >> 2) << 8 | part << 16,
                    turn(foreseen - (w + n - nw)) | turn(foreseen - ne) << 8 | step(activity) >> 2 << 16,
                    step(wide),
                ];
                let of = (of << 2 | escaped) << 5 | u64::from(expected);
                let deviation = Deviation {
                    value: given.wrapping_sub(foreseen),
                    of: of << 5,
                    expected,
                    quick: step(wide / 3) as usize,
                    turns: (sign(rw) * 3 + sign(x1 - foreseen)) * 3 + sign(x2 - foreseen),
                };
                if escaped == 0 {
                    self.deviate::<5, C>(coder, &contexts, &deviation, MIXED)
                } else {
                    let [a, b, c, d, _] = contexts;
                    let e = turn(foreseen - x1) | turn(x1 - x2) << 8 | part << 16;
                    let two = hash(hash(w as u64, n as u64), foreseen as u64);
                    let four = hash(two, hash(nw as u64, ne as u64));
                    self.deviate::<7, C>(coder, &[a, b, c, d, e, two, four], &deviation, MOST_LENGTH)
                }
            }
        };
        let value = foreseen + told;
        let at = own;
        self.rest[at] = told.clamp(-32767, 32767) as i16;
        self.first[at] = kept(value - sight);
        let one = &mut self.channels[channel];
        one.late = one.late + told.unsigned_abs() * 16 - (one.late >> 5);
        one.second
            .follow(&self.first, &one.plane.second, moment, size, told);
        (least..=greatest).contains(&value).then_some(value as i16)
    }

    #[inline]
    fn deviate<const N: usize, C: Coder>(&mut self, coder: &mut C, contexts: &[u64; N], one: &Deviation, most_mixed: u32) -> i32 {
        let Deviation { value, of, expected, quick, turns } = *one;
        let size = value.unsigned_abs();
        self.mixed.open(contexts, of);
        let known = u32::BITS - size.leading_zeros();
        let mut slot = 0;
        let mut length = 0;
        for step in 0..=2 * MOST_LENGTH {
            let away = step.div_ceil(2);
            let one = if step % 2 == 1 { expected + away } else { expected.wrapping_sub(away) };
            if one > MOST_LENGTH {
                continue;
            }
            slot = (slot + 1).min(SLOTS - 1);
            if self.mixed.decide::<N, C>(coder, u32::from(known != one), slot, expected as usize * SLOTS + slot) == 0 {
                length = one;
                break;
            }
        }
        if length == 0 {
            return 0;
        }
        let kind = length as usize;
        let is_negative;
        let mut read = 1u32;
        if length > most_mixed {
            is_negative = pass_share(coder, &mut self.signs[kind * 27 + turns], u32::from(value < 0));
            for done in 0..length - 1 {
                let at = length - 2 - done;
                let share = match done {
                    0 => &mut self.top[kind * 80 + quick],
                    1 => &mut self.top[LENGTHS * 80 + (kind * 2 + (read & 1) as usize) * 80 + quick],
                    _ => &mut self.low[kind * LENGTHS + at as usize],
                };
                read = read << 1 | pass_share(coder, share, size >> at & 1);
            }
        } else {
            self.mixed.open(contexts, of | u64::from(length + 1));
            let node = (LENGTHS + kind) * SLOTS;
            is_negative = self.mixed.decide::<N, C>(coder, u32::from(value < 0), 1, node + 1);
            for done in 0..length - 1 {
                let at = length - 2 - done;
                let bit = size >> at & 1;
                read = read << 1 | if done < 2 {
                    let slot = (2 << done | read & done) as usize;
                    self.mixed.decide::<N, C>(coder, bit, slot, node + slot)
                } else {
                    pass_share(coder, &mut self.low[kind * LENGTHS + at as usize], bit)
                };
            }
        }
        if is_negative != 0 { -(read as i32) } else { read as i32 }
    }
}

struct Deviation {
    value: i32,
    of: u64,
    expected: u32,
    quick: usize,
    turns: usize,
}

fn sign(one: i32) -> usize {
    (one.signum() + 1) as usize
}
