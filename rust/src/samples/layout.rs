//! How samples lie in bytes, and which of them are near one another.

use super::packing::Packing;
use crate::Outcome;

const MOST_CHANNELS: usize = 64;
/// Samples that share their weights; an image's frames have their own.
const PART: usize = 1 << 20;
/// Samples that are weighed at once: neighbours of one channel.
pub(super) const LANES: usize = 8;
/// Zeros behind all samples, for neighbours that do not count.
pub(super) const SECOND: usize = 4;
const BEHIND: usize = LANES;

/// Where in bytes samples lie, and which belong together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Bytes before the samples.
    pub(super) start: usize,
    pub(super) packing: Packing,
    /// Samples of one moment, or of one pixel.
    pub(super) channels: usize,
    /// Samples in a line of an image; 0: these are signals.
    pub(super) line: usize,
    /// Samples in one of several images; 0: there is one.
    pub(super) frame: usize,
    pub(super) samples: usize,
}

/// Eight neighbours in one channel, of which some count.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Block {
    /// How many channels further.
    channel: usize,
    /// Moments from the sample's own to the first of the eight.
    from: isize,
    /// Which of the eight count.
    lanes: std::ops::Range<usize>,
}

impl Block {
    /// Neighbours around a moment that lies so far back: so many before it, and so many behind it of those that are known.
    fn around(channel: usize, back: usize, before: usize, behind: usize, newest: isize) -> Self {
        let from = -(back as isize) - 4;
        let known = (newest - from + 1).clamp(0, LANES as isize) as usize;
        Block {
            channel,
            from,
            lanes: (4 - before).min(known)..(5 + behind).min(known),
        }
    }

    /// The last neighbours up to one.
    fn until(channel: usize, newest: isize, count: usize) -> Self {
        Block {
            channel,
            from: newest + 1 - LANES as isize,
            lanes: LANES - count..LANES,
        }
    }
}

impl Layout {
    /// What numbers stand for.
    pub(super) fn of(numbers: [usize; 6]) -> Outcome<Self> {
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
    pub(super) fn numbers(&self) -> [usize; 6] {
        [
            self.start,
            self.packing as usize,
            self.channels,
            self.line,
            self.frame,
            self.samples,
        ]
    }

    pub(super) fn check(self, bytes: usize) -> Outcome<Self> {
        let fits = self
            .start
            .checked_add(self.packing.bytes(self.samples))
            .is_some_and(|end| end <= bytes);
        let whole = self.packing.samples(self.packing.bytes(self.samples)) == self.samples;
        let is_shape = (1..=MOST_CHANNELS.min(self.samples)).contains(&self.channels)
            && self.samples.is_multiple_of(self.channels)
            && self.line <= self.samples
            && self.line.is_multiple_of(self.channels)
            && self.frame <= self.samples
            && (self.frame == 0 || self.line > 0 && self.frame.is_multiple_of(self.line));
        (fits && whole && is_shape)
            .then_some(self)
            .ok_or_else(|| format!("{bytes} bytes cannot lie like {self:?}"))
    }

    /// Samples of one channel.
    pub(super) fn moments(&self) -> usize {
        self.samples / self.channels
    }

    /// Where parts with weights of their own end, in moments.
    pub(super) fn parts(&self) -> impl Iterator<Item = (usize, usize)> {
        let size = match self.frame {
            0 => PART / self.channels,
            frame => frame / self.channels,
        };
        let moments = self.moments();
        (0..moments)
            .step_by(size)
            .map(move |from| (from, (from + size).min(moments)))
    }

    /// The neighbours by which a sample of a channel is foreseen.
    fn blocks(&self, channel: usize) -> Vec<Block> {
        let channels = self.channels;
        let others = |most: usize| {
            (1..channels.min(most + 1)).map(move |back| {
                // of a channel that comes first, the sample of the same moment is known
                let newest = if back <= channel { 0 } else { -1 };
                (channels - back, newest)
            })
        };
        if self.line == 0 {
            let (own, each) = match channels {
                1..=3 => (3, LANES),
                _ => (2, (44 / (channels - 1)).clamp(1, LANES)),
            };
            let own = (0..own).map(|before| Block::until(0, -1 - before * LANES as isize, LANES));
            return own
                .chain(others(16).map(|(one, newest)| Block::until(one, newest, each)))
                .collect();
        }
        let (line, frame) = (self.line / channels, self.frame / channels);
        let mut blocks = vec![
            Block::until(0, -1, 4),
            Block::around(0, line, 4, 3, -1),
            Block::around(0, 2 * line, 3, 3, -1),
            Block::around(0, 3 * line, 1, 1, -1),
        ];
        for (one, newest) in others(channels) {
            blocks.push(Block::until(one, newest, 2));
            blocks.push(Block::around(one, line, 1, 1, newest));
        }
        if frame > 0 {
            blocks.push(Block::around(0, frame, 1, 1, -1));
            blocks.push(Block::around(0, frame + line, 0, 0, -1));
            blocks.push(Block::around(0, frame - line, 0, 0, -1));
            blocks.push(Block::around(0, 2 * frame, 0, 0, -1));
        }
        blocks
    }

    /// The neighbours by which what the first sight leaves is foreseen: of the own channel only.
    fn second(&self) -> [Block; SECOND] {
        let last = Block::until(0, -1, LANES);
        match self.line {
            0 => [
                last,
                Block::until(0, -1 - LANES as isize, LANES),
                Block::until(0, -1 - 2 * LANES as isize, LANES),
                Block::until(0, -1 - 3 * LANES as isize, LANES),
            ],
            line => [
                last,
                Block::around(0, line / self.channels, 4, 3, -1),
                Block::around(0, 2 * line / self.channels, 4, 3, -1),
                Block::around(0, 3 * line / self.channels, 4, 3, -1),
            ],
        }
    }
}

/// Where the samples of all channels lie, each channel by itself behind as many zeros as any sample looks back.
pub(super) struct Planes {
    pub(super) size: usize,
    /// Zeros before each channel.
    pub(super) before: usize,
    pub(super) channels: Vec<Plane>,
}

#[derive(Clone)]
/// Where the samples of one channel lie, and those that it looks at; all of them are one further for each moment.
pub(super) struct Plane {
    pub(super) own: usize,
    /// Where the eights begin of which the first sight is made.
    pub(super) blocks: Vec<usize>,
    /// Those of them that count, each by the place of its weight and of its sample.
    pub(super) taps: Vec<(usize, usize)>,
    /// Where the eights begin of which the second sight is made.
    pub(super) second: [usize; SECOND],
}

impl Planes {
    pub(super) fn new(layout: &Layout) -> Self {
        let all: Vec<Vec<Block>> = (0..layout.channels).map(|one| layout.blocks(one)).collect();
        let second = layout.second();
        let before = all
            .iter()
            .flatten()
            .chain(&second)
            .map(|block| block.from.unsigned_abs())
            .max()
            .unwrap_or(0);
        let stride = before + layout.moments();
        let channels = all.iter().enumerate().map(|(channel, blocks)| {
            let place = |block: &Block| {
                let plane = (channel + block.channel) % layout.channels;
                (plane * stride + before).wrapping_add_signed(block.from)
            };
            let taps = blocks.iter().enumerate().flat_map(|(number, block)| {
                let lanes = block.lanes.clone();
                lanes.map(move |lane| (number * LANES + lane, place(block) + lane))
            });
            Plane {
                own: channel * stride + before,
                blocks: blocks.iter().map(place).collect(),
                taps: taps.collect(),
                second: second.each_ref().map(place),
            }
        });
        Planes {
            size: layout.channels * stride + BEHIND,
            before,
            channels: channels.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(channels: usize, line: usize, frame: usize, samples: usize) -> Layout {
        Layout::of([0, 1, channels, line, frame, samples])
            .and_then(|one| one.check(2 * samples))
            .expect("a layout")
    }

    #[test]
    fn no_sample_is_foreseen_from_one_that_comes_later() {
        let shapes = [
            layout(1, 0, 0, 9),
            layout(5, 0, 0, 50),
            layout(20, 0, 0, 40),
            layout(1, 1, 2, 6),
            layout(1, 3, 0, 12),
            layout(3, 6, 12, 36),
            layout(1, 40, 400, 1200),
        ];
        for shape in shapes {
            let planes = Planes::new(&shape);
            let stride = (planes.size - BEHIND) / shape.channels;
            for (channel, plane) in planes.channels.iter().enumerate() {
                for &(_, at) in &plane.taps {
                    let is_same_moment = at % stride == plane.own % stride;
                    let is_earlier = at % stride < plane.own % stride;
                    assert!(
                        is_earlier || is_same_moment && at / stride < channel,
                        "{shape:?}"
                    );
                }
                let farthest = plane.blocks.iter().chain(&plane.second).max();
                assert!(farthest.is_some_and(|at| at + shape.moments() + LANES <= planes.size + 1));
            }
        }
    }
}
