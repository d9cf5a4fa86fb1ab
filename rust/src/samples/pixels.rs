//! Pixels of images, told to a coder.
//!
//! Where those around a pixel are alike it is asked first whether it is like them: images are half empty, and what was drawn in
//! them has few colours. Else it is told what was left of it, how long that is beside how long it probably is, its sign, its bits,
//! as [`super::deviations`] does for signals, but by other contexts.

use super::deviations::{
    pass_length, pass_lower, signed_step, step_of, turns, Bits, LENGTHS, LIMIT, MOST_LENGTH, SLOTS,
};
use super::mixed::{Mixed, CONTEXTS};
use super::sight::kept;
use super::{Channel, Samples, Weights};
use crate::mix::{hash, Coder};

/// Contexts of what was left where pixels are not alike: in a channel of few values they may be what they are by value too.
const FEW: usize = 5;
const FEWEST: usize = 3;
/// So many values are few.
const FEW_VALUES: i32 = 256;
/// Binary digits behind the point of what is foreseen.
const FINE: u32 = 4;
/// How long deviations are at most whose signs and bits are told by all contexts, where pixels are not alike.
const MIXED: u32 = 1;
/// Decisions with weights of their own: of lengths, of signs and bits, and whether a pixel is like others.
const NODES: usize = 2 * LENGTHS * SLOTS + 4;
const ALIKE: usize = 2 * LENGTHS * SLOTS;
/// Samples around a pixel's: before it in its line, and in those above.
struct Around<'a> {
    values: &'a [i16],
    own: usize,
    line: usize,
}

impl Around<'_> {
    /// So many pixels before, but one at least.
    #[inline(always)]
    fn back(&self, pixels: usize) -> i32 {
        i32::from(self.values[self.own - pixels.max(1)])
    }

    /// The pixel to the left, those above, left of that and right of that; then those farther away: two to the left, two above and
    /// right of that.
    #[inline(always)]
    fn seven(&self) -> [i32; 7] {
        let line = self.line;
        [
            self.back(1),
            self.back(line),
            self.back(line + 1),
            self.back(line - 1),
            self.back(2),
            self.back(2 * line),
            self.back(2 * line - 1),
        ]
    }

    /// Those around these.
    #[inline]
    fn farther(&self) -> [i32; 7] {
        let two = 2 * self.line;
        [
            self.back(3),
            self.back(two + 1),
            self.back(self.line + 2),
            self.back(self.line.saturating_sub(2)),
            self.back(two + 2),
            self.back(two - 2),
            self.back(3 * self.line),
        ]
    }

    /// The sum of sizes, near ones more than far ones: 18 times what is usual.
    #[inline(always)]
    fn sizes(&self) -> u32 {
        let size = |pixels: usize| self.back(pixels).unsigned_abs();
        let (line, two) = (self.line, 2 * self.line);
        3 * (size(1) + size(line))
            + 2 * (size(line - 1) + size(line + 1) + size(2) + size(two))
            + size(line + 2)
            + size(two + 1)
            + size(two - 1)
            + size(line.saturating_sub(2))
    }
}

/// Which of some are like one.
#[inline]
fn alike(some: &[i32], one: i32) -> u64 {
    some.iter()
        .fold(0, |sum, &other| sum << 1 | u64::from(other == one))
}

/// What exactly some are.
#[inline]
fn exactly(some: &[i32]) -> u64 {
    some.iter()
        .fold(0, |sum, &one| hash(sum, u64::from(one as u16)))
}

/// A deviation that is to be told, and what its decisions are named by.
struct Deviation {
    value: i32,
    name: u64,
    expected: u32,
    size: usize,
    turns: usize,
}

/// What writer and reader know of all pixels.
pub(super) struct Pixels {
    channels: Vec<Channel>,
    mixed: Mixed,
    bits: Bits,
    line: usize,
    frame: usize,
    /// What the first sight left of each sample, and what was left in the end.
    first: Vec<i16>,
    rest: Vec<i16>,
}

impl Pixels {
    pub(super) fn new(samples: &Samples) -> Self {
        Pixels {
            channels: Channel::all(samples),
            mixed: Mixed::new(samples.layout.samples, NODES, LIMIT),
            bits: Bits::new(),
            line: samples.layout.line / samples.layout.channels,
            frame: samples.layout.frame / samples.layout.channels,
            first: vec![0; samples.planes.size],
            rest: vec![0; samples.planes.size],
        }
    }

    /// One sample; none if what was read is out of range.
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
        let given = i32::from(given);
        let (channels, line) = (self.channels.len(), self.line);
        let own = self.channels[channel].plane.own + moment;
        let beside_place = self.beside(channel, moment);
        let (phase, phases) = weights.phase(moment, line);
        let one = &mut self.channels[channel];
        let around = Around { values, own, line };
        let seven = around.seven();
        let [w, n, nw, ne, ww, nn, nne] = seven;
        let beside = beside_place.map_or(0, |at| {
            let [same, before] = [at, at - 1].map(|at| i32::from(values[at]));
            signed_step(same - before) | signed_step(before - w) << 8
        });
        let name = (one.group << 4 | phase as u64) << 14;
        if let Some(at) = beside_place.filter(|_| channel > 0) {
            // where channels differ by as much at all neighbours, they probably do here
            let other = Around {
                values,
                own: at,
                line,
            };
            let away = w - other.back(1);
            let value = i32::from(values[at]) + away;
            let is_near = [line, line + 1, line - 1]
                .iter()
                .all(|&pixels| around.back(pixels) - other.back(pixels) == away);
            if is_near && (one.least..=one.greatest).contains(&value) {
                let pattern = alike(&seven[1..], w);
                let contexts = [
                    beside,
                    pattern,
                    u64::from(value as u16),
                    step_of(one.late >> 2) | signed_step(away) << 8,
                ];
                self.mixed.open(&contexts, name | 3);
                let is_other = u32::from(given != value);
                if self.mixed.decide::<4, C>(coder, is_other, 1, ALIKE + 3) == 0 {
                    one.late -= one.late >> 5;
                    return Some(value as i16);
                }
            }
        }
        let is_flat = seven.iter().all(|&other| other == w);
        if is_flat {
            let farther = around.farther();
            let far = alike(&farther, w);
            let contexts = [
                far,
                u64::from(w as u16),
                exactly(&farther),
                beside,
                step_of(one.late >> 2),
                far & 7 | step_of(one.late >> 4) << 8,
            ];
            self.mixed.open(&contexts, name | 1);
            let is_other = u32::from(given != w);
            if self.mixed.decide::<6, C>(coder, is_other, 1, ALIKE) == 0 {
                one.late -= one.late >> 5;
                return Some(w as i16);
            }
        }
        let near = Samples::around(values, &one.near, moment);
        let (least, greatest) = (one.least << FINE, one.greatest << FINE | 15);
        let class = weights.class(near) * phases + phase;
        let sight = weights.sets[class * channels + channel]
            .foresee(values, &one.plane.blocks, moment, FINE)
            .clamp(least, greatest);
        let (more, size) = one
            .second
            .foresee(&self.first, &one.plane.second, moment, FINE);
        let fine = sight.wrapping_add(more).clamp(least, greatest);
        let foreseen = fine >> FINE;
        // of the four nearest, the first that differs
        let other = if n != w {
            n
        } else if ne != w {
            ne
        } else {
            nw
        };
        let is_drawn = !is_flat && [n, nw, ne].iter().all(|&one| one == w || one == other);
        let mut found = None;
        if is_drawn {
            let farther = around.farther();
            let far = alike(&farther, w);
            let pattern = alike(&seven[1..], w);
            let exact = exactly(&seven);
            let contexts = [
                far << 6 | pattern,
                exactly(&seven[..4]),
                exact,
                signed_step((fine - (w << FINE)) >> 2) | signed_step(n - w) << 8,
                hash(exact, far),
                beside | pattern << 16,
                step_of(one.late >> 4) | signed_step((fine - (w << FINE)) >> 3) << 8,
            ];
            self.mixed.open(&contexts, name | 2);
            let is_other = u32::from(given != w);
            if self.mixed.decide::<7, C>(coder, is_other, 1, ALIKE + 1) == 0 {
                found = Some(w);
            } else if other != w {
                let is_third = u32::from(given != other);
                if self.mixed.decide::<7, C>(coder, is_third, 2, ALIKE + 2) == 0 {
                    found = Some(other);
                }
            }
        }
        let told = match found {
            Some(value) => value - foreseen,
            None => {
                let left = Around {
                    values: &self.rest,
                    own,
                    line,
                };
                let [x1, x2, _] = near;
                let [r1, r2, r3] =
                    Samples::around(&self.rest, &one.near, moment).map(i32::unsigned_abs);
                let sizes = left.sizes();
                let expected = 32 - ((sizes + 9) / 18).leading_zeros();
                let steps = [(w, ww), (n, nn), (ne, n), (w, nw), (n, nw), (ne, nne)];
                let lively = step_of(steps.iter().map(|(one, other)| one.abs_diff(*other)).sum());
                let part = (fine as u64 & 15) >> 2;
                let left_near = step_of(3 * r1 + 2 * r2 + r3) >> 1 | step_of(one.late >> 4) << 8;
                let live = lively | signed_step(more >> 2) << 8 | part << 16;
                let asked = u64::from(is_flat) | u64::from(is_drawn) << 1;
                let deviation = Deviation {
                    value: given.wrapping_sub(foreseen),
                    name: name | (4 | asked) << 10 | u64::from(expected) << 5,
                    expected,
                    size: step_of(sizes / 3) as usize,
                    turns: turns([left.back(1), x1 - foreseen, x2 - foreseen]),
                };
                if asked == 0 && one.greatest - one.least >= FEW_VALUES {
                    let contexts = [left_near, live, step_of(sizes)];
                    self.tell::<FEWEST, C>(coder, &contexts, &deviation, MIXED)
                } else {
                    let own = u64::from(x1 as u16) << 8 | signed_step(x1 - foreseen);
                    let slopes = signed_step(foreseen - (w + n - nw))
                        | signed_step(foreseen - ne) << 8
                        | lively >> 2 << 16;
                    if asked == 0 {
                        let contexts = [left_near, own, live, slopes, step_of(sizes)];
                        self.tell::<FEW, C>(coder, &contexts, &deviation, MIXED)
                    } else {
                        let contexts = [
                            left_near,
                            own,
                            live,
                            slopes,
                            signed_step(foreseen - x1) | signed_step(x1 - x2) << 8 | part << 16,
                            exactly(&[w, n, foreseen]),
                            exactly(&[w, n, nw, ne, foreseen]),
                        ];
                        self.tell::<CONTEXTS, C>(coder, &contexts, &deviation, MOST_LENGTH)
                    }
                }
            }
        };
        let value = foreseen + told;
        self.rest[own] = told.clamp(-32767, 32767) as i16;
        self.first[own] = kept(value - (sight >> FINE));
        let one = &mut self.channels[channel];
        one.late = one.late + told.unsigned_abs() * 16 - (one.late >> 5);
        one.second
            .follow(&self.first, &one.plane.second, moment, size, told);
        (one.least..=one.greatest)
            .contains(&value)
            .then_some(value as i16)
    }

    /// Where the same pixel of the channel before lies, or else of the frame before.
    #[inline]
    fn beside(&self, channel: usize, moment: usize) -> Option<usize> {
        if channel > 0 {
            Some(self.channels[channel - 1].plane.own + moment)
        } else {
            let own = self.channels[channel].plane.own + moment;
            (self.frame > 0).then(|| own - self.frame)
        }
    }

    /// What was left of a sample; what is not given is read.
    #[inline]
    fn tell<const N: usize, C: Coder>(
        &mut self,
        coder: &mut C,
        contexts: &[u64; N],
        one: &Deviation,
        most_mixed: u32,
    ) -> i32 {
        let size = one.value.unsigned_abs();
        self.mixed.open(contexts, one.name);
        let of = one.expected as usize * SLOTS;
        let length = u32::BITS - size.leading_zeros();
        let length = pass_length(length, one.expected, |is_other, slot| {
            self.mixed.decide::<N, C>(coder, is_other, slot, of + slot)
        });
        if length == 0 {
            return 0;
        }
        let is_negative = u32::from(one.value < 0);
        let (is_negative, size) = if length <= most_mixed {
            self.mixed.open(contexts, one.name | u64::from(length + 1));
            self.by_contexts::<N, C>(coder, is_negative, size, length)
        } else {
            self.bits
                .by_size(coder, is_negative, size, length, one.turns, one.size)
        };
        if is_negative != 0 {
            -(size as i32)
        } else {
            size as i32
        }
    }

    /// Sign and size of a deviation of known length, its first two bits below the leading one by all contexts.
    #[inline]
    fn by_contexts<const N: usize, C: Coder>(
        &mut self,
        coder: &mut C,
        is_negative: u32,
        size: u32,
        length: u32,
    ) -> (u32, u32) {
        let node = (LENGTHS + length as usize) * SLOTS;
        let is_negative = self.mixed.decide::<N, C>(coder, is_negative, 1, node + 1);
        let mut read = 1u32;
        let foreseen = (length - 1).min(2);
        for done in 0..foreseen {
            let bit = size >> (length - 2 - done) & 1;
            let slot = (2 << done | read & done) as usize;
            read = read << 1 | self.mixed.decide::<N, C>(coder, bit, slot, node + slot);
        }
        let lower = length - 1 - foreseen;
        (is_negative, pass_lower(coder, size, lower, read))
    }
}
