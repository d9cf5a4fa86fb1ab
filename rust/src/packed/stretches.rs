//! A deflate stream that is told stretch by stretch: some of its blocks, and what goes over to those that follow.
//!
//! A stretch begins and ends within a byte, and its text may be known some bytes farther than its blocks reach. What goes over is that,
//! and what zlib would have in mind there: the last of the text, and where in it three bytes were seen before.

use super::blocks::{Deflater, Inflater, WINDOW};
use super::finder::Finder;
use super::teller::{are_too_many, Given, Span, Teller};
use crate::mix::{Reader, Writer};
use crate::Outcome;

/// Bytes of text that may be known beyond a stretch.
const MOST_AHEAD: usize = 1 << 26;
/// Bytes of text that a reader goes through again in each stretch, the window among them, and beyond that in all of a file.
const AGAIN: usize = 1 << 16;
const MOST_AGAIN: usize = 1 << 28;

/// What goes over from stretch to stretch.
struct Going {
    /// The last of its text, and what is known of what follows.
    text: Vec<u8>,
    /// How far the blocks reach in it, and what was seen before; its own text is empty.
    finder: Finder<'static>,
}

impl Going {
    /// What goes over behind the last block that the finder went along.
    fn new(finder: Finder, text: &[u8]) -> Self {
        let dropped = finder.at.saturating_sub(WINDOW) / WINDOW * WINDOW;
        Going {
            text: text[dropped..].to_vec(),
            finder: finder.moved(&[], dropped),
        }
    }

    /// The text before the next block.
    fn before(&self) -> &[u8] {
        &self.text[..self.finder.at]
    }
}

/// Streams on their way into bytes, stretch by stretch.
pub(super) struct Telling {
    teller: Teller,
    writer: Writer,
    going: Option<Going>,
    /// How many bits of the first byte of the next stretch belong to the one before.
    bits: u32,
}

/// The blocks of streams, looked at before anything of them is told.
pub(super) struct Looking {
    /// The last of the text of the blocks that were passed.
    before: Vec<u8>,
    /// How many bits of the first byte belong to these.
    bits: u32,
}

/// Whole blocks that follow.
pub(super) struct Ahead {
    pub(super) text: Vec<u8>,
    /// Where each block ends: in the text, and behind how many bits.
    pub(super) ends: Vec<(usize, usize)>,
    /// Whether the last of them is the stream's last.
    pub(super) is_whole: bool,
}

impl Looking {
    pub(super) fn new() -> Self {
        Looking {
            before: Vec::new(),
            bits: 0,
        }
    }

    /// The blocks that packed bytes begin with, until they stand for so many bytes, and for at most so many; fewer if what follows
    /// is none, or breaks off.
    pub(super) fn look(&self, packed: &[u8], wanted: usize, most: usize) -> Outcome<Ahead> {
        let mut text = self.before.clone();
        let known = text.len();
        let mut inflater = Inflater::behind(packed, self.bits)?;
        let (mut ends, mut is_whole) = (Vec::new(), false);
        while !is_whole && text.len() - known < wanted {
            let Ok(block) = inflater.block(&mut text, most.saturating_add(known)) else {
                break;
            };
            ends.push((text.len() - known, inflater.place()));
            is_whole = block.is_last;
            if are_too_many(ends.len(), text.len() - known) {
                break;
            }
        }
        text.truncate(known + ends.last().map_or(0, |end| end.0));
        text.drain(..known);
        Ok(Ahead {
            text,
            ends,
            is_whole,
        })
    }

    /// How many bits of the first byte belong to what was passed.
    pub(super) fn bits(&self) -> usize {
        self.bits as usize
    }

    /// Go on behind blocks whose text this is, and which end behind so many bits.
    pub(super) fn pass(&mut self, text: &[u8], place: usize) {
        let kept = WINDOW.saturating_sub(text.len()).min(self.before.len());
        self.before.drain(..self.before.len() - kept);
        let last = text.len().saturating_sub(WINDOW);
        self.before.extend_from_slice(&text[last..]);
        self.bits = (place % 8) as u32;
    }

    /// The next stream begins with a byte.
    pub(super) fn end(&mut self) {
        *self = Looking::new();
    }
}

impl Telling {
    pub(super) fn new() -> Self {
        Telling {
            teller: Teller::new(),
            writer: Writer::new(),
            going: None,
            bits: 0,
        }
    }

    /// Tell a stretch of blocks, whose text this is, perhaps farther than they reach; how many bytes it takes, without the bits of a
    /// byte that goes over.
    pub(super) fn tell(&mut self, packed: &[u8], text: &[u8], span: Span) -> Outcome<usize> {
        let Telling { teller, writer, .. } = self;
        let known = self.going.as_ref().map_or(0, |going| going.finder.at);
        let all = [self.going.as_ref().map_or(&[][..], Going::before), text].concat();
        let mut finder = match self.going.take() {
            Some(going) => going.finder.moved(&all, 0),
            None => {
                let style = teller.find_style(packed, &all, span.blocks)?;
                teller.begin(writer, &all, style)?
            }
        };
        let window = &all[known.saturating_sub(WINDOW)..known];
        let inflater = Inflater::behind(packed, self.bits)?;
        let mut given = Given::following(inflater, finder.clone(), window);
        let mut ignored = Deflater::new();
        teller.pass(
            writer,
            &mut finder,
            Some(&mut given),
            &mut ignored,
            usize::MAX,
            span,
        )?;
        let place = given.place();
        self.bits = 0;
        if span.is_end {
            return Ok(place.div_ceil(8));
        }
        self.bits = (place % 8) as u32;
        self.going = Some(Going::new(finder, &all));
        Ok(place / 8)
    }

    /// What was told since this was asked last.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        std::mem::replace(&mut self.writer, Writer::new()).finish()
    }
}

/// The same streams on their way out.
pub(super) struct Hearing {
    teller: Teller,
    reader: Reader,
    going: Option<Going>,
    stream: Deflater,
    /// Bytes of text that may still be gone through again.
    left: usize,
}

impl Hearing {
    pub(super) fn new() -> Self {
        Hearing {
            teller: Teller::new(),
            reader: Reader::new(Vec::new()),
            going: None,
            stream: Deflater::new(),
            left: MOST_AGAIN,
        }
    }

    /// What was told of the stretches that follow.
    pub(super) fn begin(&mut self, told: &[u8]) {
        self.reader = Reader::new(told.to_vec());
    }

    pub(super) fn is_inside(&self) -> bool {
        self.going.is_some()
    }

    /// The next stretch, if it has at most so many bytes; the text is what is known more of it now.
    pub(super) fn hear(&mut self, text: &[u8], span: Span, most: usize) -> Outcome<Vec<u8>> {
        let Hearing {
            teller,
            reader,
            stream,
            left,
            ..
        } = self;
        let all = [
            self.going.as_ref().map_or(&[][..], |going| &going.text),
            text,
        ]
        .concat();
        *left = (*left + 2 * text.len() + AGAIN)
            .checked_sub(all.len())
            .ok_or("the same text again and again")?;
        let mut finder = match self.going.take() {
            Some(going) => going.finder.moved(&all, 0),
            None => {
                *stream = Deflater::new();
                teller.begin(reader, &all, 0)?
            }
        };
        teller.pass(reader, &mut finder, None, stream, most, span)?;
        if !span.is_end {
            if finder.left() > MOST_AHEAD {
                return Err("more of the text is known than may be".into());
            }
            self.going = Some(Going::new(finder, &all));
        }
        Ok(stream.take())
    }
}
