//! One function tells a deflate stream beside its text, and is told it.

use super::blocks::{
    least_told, repeats, Block, Deflater, Form, Header, Inflater, Token, LEAST_MATCH, MOST_MATCH,
    MOST_TOKENS, WINDOW,
};
use super::finder::{Finder, STYLES};
use super::trees;
use crate::mix::{choice, hash, number, plain, Coder, Model};
use crate::Outcome;

/// Tokens after which zlib ends a block.
const BLOCK: usize = (1 << 14) - 1;
/// Blocks that a stream may have, and from how many bytes of its text on one more each.
const LEAST_BLOCKS: usize = 1 << 10;
const LEAST_OF_BLOCK: usize = 64;
/// Tokens by which the style of a stream is found.
const SAMPLE: usize = 1 << 17;
/// The order in which styles are tried.
const TRIED: [usize; 10] = [6, 9, 1, 5, 4, 3, 7, 8, 2, 0];
/// From so many bytes on what was read of a stream is forgotten, but for a window.
const SCRATCH: usize = 1 << 20;
const TOO_LARGE: &str = "the stream is larger than it may be";
const NOT_THIS: &str = "the text is not that of the stream";

/// What is told, each with a model of its own.
#[derive(Clone, Copy)]
enum Told {
    Style,
    Form,
    StoredSize,
    StoredPadding,
    Count,
    IsExact,
    IsLast,
    Padding,
    AreLengths,
    Letters,
    Distances,
    Runs,
    AreOfRuns,
    OfRuns,
}

/// The streams of a file, one after another: what is learned of one helps with the next.
pub(super) struct Teller {
    heads: Model,
    outcomes: Model,
    lengths: Model,
    hops: Model,
    codes: Model,
    /// What was told last, by what it is.
    last: [u32; Told::OfRuns as usize + 1],
    /// The last outcomes, two bits each.
    history: u32,
    style: usize,
    /// How many in a thousand tokens of the stream by which the style was found were not as expected.
    missed: usize,
}

/// How much of a stream is told at once.
#[derive(Clone, Copy)]
pub(super) struct Span {
    /// So many blocks, none of which is the last; if it does not say, all up to the last.
    pub(super) blocks: Option<usize>,
    /// Whether nothing of the stream follows: its last byte is filled up.
    pub(super) is_end: bool,
}

const WHOLE: Span = Span {
    blocks: None,
    is_end: true,
};

/// The blocks of a stream, one by one, and of each whether all its tokens are as expected.
pub(super) struct Given<'a> {
    inflater: Inflater<'a>,
    scratch: Vec<u8>,
    scout: Finder<'a>,
}

impl<'a> Given<'a> {
    fn new(packed: &'a [u8], text: &'a [u8], style: usize) -> Self {
        Given {
            inflater: Inflater::new(packed),
            scratch: Vec::new(),
            scout: Finder::new(text, STYLES[style]),
        }
    }

    /// Those that follow what a finder has seen of a text, which this is the last of.
    pub(super) fn following(inflater: Inflater<'a>, scout: Finder<'a>, window: &[u8]) -> Self {
        Given {
            inflater,
            scratch: window.to_vec(),
            scout,
        }
    }

    /// How many bits were read.
    pub(super) fn place(&self) -> usize {
        self.inflater.place()
    }

    /// The next block, and how many of its tokens are not as expected.
    fn next(&mut self) -> Outcome<(Block, usize)> {
        if self.scratch.len() > SCRATCH {
            self.scratch.drain(..self.scratch.len() - WINDOW);
        }
        let block = self.inflater.block(&mut self.scratch, usize::MAX)?;
        if let Form::Stored(size, _) = block.form {
            self.scout.skip(size);
        }
        let mut missed = 0;
        for &token in &block.tokens {
            missed += usize::from(self.scout.expect().0 != token);
            self.scout.go(token);
        }
        Ok((block, missed))
    }
}

/// The text of the stream that bytes begin with, and how many bytes it takes.
pub(super) fn inflated(packed: &[u8], most: usize) -> Outcome<(Vec<u8>, usize)> {
    let mut text = Vec::new();
    let mut inflater = Inflater::new(packed);
    let mut blocks = 0;
    while !inflater.block(&mut text, most)?.is_last {
        blocks += 1;
        if are_too_many(blocks, text.len()) {
            return Err("the deflate stream has more blocks than any writer makes".into());
        }
    }
    let (_, end) = inflater.finish()?;
    Ok((text, end))
}

/// Whether no writer makes so many blocks of a text of so many bytes.
pub(super) fn are_too_many(blocks: usize, text: usize) -> bool {
    blocks > LEAST_BLOCKS + text / LEAST_OF_BLOCK
}

impl Teller {
    pub(super) fn new() -> Self {
        Teller {
            heads: Model::new(3, 8, 255),
            outcomes: Model::new(5, 16, 1000),
            lengths: Model::new(3, 12, 255),
            hops: Model::new(3, 12, 255),
            codes: Model::new(3, 12, 255),
            last: [0; Told::OfRuns as usize + 1],
            history: 0,
            style: TRIED[0],
            missed: 0,
        }
    }

    /// Of the styles the one that expects most of a stream's tokens; the last one if it does as well as when it was chosen.
    pub(super) fn find_style(
        &mut self,
        packed: &[u8],
        text: &[u8],
        blocks: Option<usize>,
    ) -> Outcome<usize> {
        let mut best = (usize::MAX, self.style);
        let tried = [self.style]
            .into_iter()
            .chain(TRIED.into_iter().filter(|&one| one != self.style));
        for style in tried {
            let mut given = Given::new(packed, text, style);
            let (mut tokens, mut missed, mut left) = (0, 0, blocks);
            while tokens < SAMPLE && missed < best.0 && left != Some(0) {
                let (block, more) = given.next()?;
                left = left.map(|blocks| blocks - 1);
                tokens += block.tokens.len();
                missed += more;
                if block.is_last {
                    break;
                }
            }
            if missed < best.0 {
                best = (missed, style);
            }
            let share = missed * 1000 / tokens.max(1);
            if missed == 0 || style == self.style && share <= self.missed + self.missed / 4 {
                self.missed = share.min(self.missed);
                return Ok(best.1);
            }
            if style == best.1 {
                self.missed = share;
            }
        }
        Ok(best.1)
    }

    /// Tell the stream that bytes begin with, whose text this is.
    pub(super) fn tell<C: Coder>(
        &mut self,
        coder: &mut C,
        packed: &[u8],
        text: &[u8],
    ) -> Outcome<()> {
        let style = self.find_style(packed, text, None)?;
        let mut given = Given::new(packed, text, style);
        let mut ignored = Deflater::new();
        let mut finder = self.begin(coder, text, style)?;
        self.pass(
            coder,
            &mut finder,
            Some(&mut given),
            &mut ignored,
            usize::MAX,
            WHOLE,
        )
    }

    /// The stream of a text, of at most so many bytes.
    pub(super) fn hear<C: Coder>(
        &mut self,
        coder: &mut C,
        text: &[u8],
        most: usize,
    ) -> Outcome<Vec<u8>> {
        let mut stream = Deflater::new();
        let mut finder = self.begin(coder, text, 0)?;
        self.pass(coder, &mut finder, None, &mut stream, most, WHOLE)?;
        Ok(stream.bytes)
    }

    // ── what passes a coder ───────────────────────────────────────────────────────────────────────────────────────

    /// A stream begins, whose style is told.
    pub(super) fn begin<'a, C: Coder>(
        &mut self,
        coder: &mut C,
        text: &'a [u8],
        style: usize,
    ) -> Outcome<Finder<'a>> {
        self.style = self.head(coder, style as u32, Told::Style, 0) as usize;
        let style = STYLES.get(self.style).ok_or("there is no such style")?;
        Ok(Finder::new(text, *style))
    }

    /// The blocks of a span; those of a stream that follow what the finder has seen of its text.
    pub(super) fn pass<C: Coder>(
        &mut self,
        coder: &mut C,
        finder: &mut Finder,
        mut given: Option<&mut Given>,
        stream: &mut Deflater,
        most: usize,
        span: Span,
    ) -> Outcome<()> {
        let text = finder.text();
        let mut blocks = 0;
        while span.blocks != Some(blocks) {
            let from = finder.at;
            let (given_block, missed) = match given.as_deref_mut() {
                Some(given) => {
                    let (block, missed) = given.next()?;
                    (Some(block), missed)
                }
                None => (None, 0),
            };
            let is_told = given_block.is_some();
            let block = self.block(coder, finder, text, given_block, missed == 0)?;
            if !is_told {
                stream.block(&block, &text[from..finder.at])?;
                if stream.bytes.len() > most || coder.is_exhausted() {
                    return Err(TOO_LARGE.into());
                }
            }
            blocks += 1;
            if block.is_last {
                if span.blocks.is_some() {
                    return Err(NOT_THIS.into());
                }
                break;
            }
        }
        if !span.is_end {
            return Ok(());
        }
        if finder.left() > 0 {
            return Err(NOT_THIS.into());
        }
        let padding = match given {
            Some(given) => given.inflater.finish()?.0,
            None => 0,
        };
        let padding = self.head(coder, u32::from(padding), Told::Padding, 0);
        stream.pad(padding as u8);
        Ok(())
    }

    /// One number, after what was told last of its sort.
    fn head<C: Coder>(&mut self, coder: &mut C, value: u32, told: Told, about: u32) -> u32 {
        self.under(told, about);
        let value = number(&mut self.heads, coder, value, None);
        self.last[told as usize] = value;
        value
    }

    /// One of several, after what was told last of its sort.
    fn one_of<C: Coder>(
        &mut self,
        coder: &mut C,
        value: u32,
        choices: u32,
        told: Told,
        about: u32,
    ) -> u32 {
        self.under(told, about);
        let value = choice(&mut self.heads, coder, value, choices, None);
        self.last[told as usize] = value;
        value
    }

    fn under(&mut self, told: Told, about: u32) {
        let one = hash(1, told as u64);
        let two = hash(one, u64::from(about) + 1);
        self.heads.hashes[0] = one;
        self.heads.hashes[1] = two;
        self.heads.hashes[2] = hash(two, u64::from(self.last[told as usize]) + 1);
    }

    fn block<C: Coder>(
        &mut self,
        coder: &mut C,
        finder: &mut Finder,
        text: &[u8],
        given: Option<Block>,
        is_exact: bool,
    ) -> Outcome<Block> {
        let form = match given.as_ref().map(|block| &block.form) {
            Some(Form::Fixed) => 1,
            Some(Form::Stored(..)) => 2,
            _ => 0,
        };
        let form = self.one_of(coder, form, 3, Told::Form, 0);
        let from = finder.at;
        if form == 2 {
            let (size, padding) = match given.as_ref().map(|block| &block.form) {
                Some(&Form::Stored(size, padding)) => (size as u32, u32::from(padding)),
                _ => (0, 0),
            };
            let size = self.head(coder, size, Told::StoredSize, 0) as usize;
            let padding = self.head(coder, padding, Told::StoredPadding, 0) as u8;
            if size > finder.left() || size > 0xFFFF {
                return Err(NOT_THIS.into());
            }
            finder.skip(size);
            let is_last = self.is_last(coder, finder, &given);
            return Ok(Block {
                form: Form::Stored(size, padding),
                tokens: Vec::new(),
                is_last,
            });
        }
        let tokens = self.tokens(coder, finder, given.as_ref(), is_exact)?;
        let is_last = self.is_last(coder, finder, &given);
        let form = if form == 1 {
            Form::Fixed
        } else {
            let header = match given.map(|block| block.form) {
                Some(Form::Dynamic(header)) => Some(header),
                _ => None,
            };
            Form::Dynamic(self.header(coder, header, &tokens, &text[from..finder.at])?)
        };
        Ok(Block {
            form,
            tokens,
            is_last,
        })
    }

    fn is_last<C: Coder>(&mut self, coder: &mut C, finder: &Finder, given: &Option<Block>) -> bool {
        let is_last = given.as_ref().is_some_and(|block| block.is_last);
        let about = u32::from(finder.left() == 0);
        self.one_of(coder, u32::from(is_last), 2, Told::IsLast, about) == 1
    }

    // ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────────

    fn tokens<C: Coder>(
        &mut self,
        coder: &mut C,
        finder: &mut Finder,
        given: Option<&Block>,
        is_exact: bool,
    ) -> Outcome<Vec<Token>> {
        let given = given.map(|block| &block.tokens[..]);
        let count = given.map_or(0, |tokens| {
            let size: usize = tokens.iter().map(|one| one.size()).sum();
            let is_whole = tokens.len() == BLOCK || tokens.len() < BLOCK && size == finder.left();
            if is_whole {
                0
            } else {
                tokens.len() + 1
            }
        });
        let count = self.head(coder, count as u32, Told::Count, 0) as usize;
        let most = if count == 0 { BLOCK } else { count - 1 };
        if most > MOST_TOKENS || count > 0 && most > finder.left() {
            return Err(NOT_THIS.into());
        }
        let is_exact = self.one_of(coder, u32::from(!is_exact), 2, Told::IsExact, 0) == 0;
        let mut tokens = Vec::new();
        while tokens.len() < most && (finder.left() > 0 || count > 0) {
            if finder.left() == 0 || coder.is_exhausted() {
                return Err(NOT_THIS.into());
            }
            let (expected, longest) = finder.expect();
            let token = if is_exact {
                expected
            } else {
                let given = given.map(|given| given[tokens.len()]);
                self.token(coder, finder, given, expected, longest)?
            };
            finder.go(token);
            tokens.push(token);
        }
        Ok(tokens)
    }

    /// A token that may be another than the expected one: whether it is, then how long it is, then how many that match as
    /// far lie before it in the chain, or how far back it lies.
    fn token<C: Coder>(
        &mut self,
        coder: &mut C,
        finder: &mut Finder,
        given: Option<Token>,
        expected: Token,
        longest: usize,
    ) -> Outcome<Token> {
        let is_literal = expected.length == 0;
        let about = u64::from(expected.length) << 9 | longest as u64;
        let step = u64::from(16 - expected.distance.leading_zeros());
        let history = u64::from(self.history);
        let kind = hash(1, u64::from(is_literal) << 1 | u64::from(longest > 0));
        self.outcomes.hashes[0] = kind;
        self.outcomes.hashes[1] = hash(kind, about << 8 | step);
        self.outcomes.hashes[2] = hash(hash(kind, 2), history & 0xFF);
        self.outcomes.hashes[3] = hash(hash(kind, 3), about << 4 | history & 0xF);
        self.outcomes.hashes[4] = hash(hash(kind, 4), (history & 0xFFFF) << 8 | step);
        let outcome = given.map_or(0, |token| {
            if token == expected {
                0
            } else if is_literal || token.length == 0 {
                1
            } else {
                2
            }
        });
        let choices = if is_literal { 2 } else { 3 };
        let outcome = choice(&mut self.outcomes, coder, outcome, choices, None);
        self.history = self.history << 2 | outcome;
        match (outcome, is_literal) {
            (0, _) => return Ok(expected),
            (1, false) => return Ok(Token::LITERAL),
            _ => {}
        }
        let given = given.unwrap_or(Token::LITERAL);
        self.lengths.hashes[0] = hash(5, longest as u64);
        self.lengths.hashes[1] = hash(6, u64::from(expected.length));
        self.lengths.hashes[2] = 7;
        let length = u32::from(given.length).saturating_sub(LEAST_MATCH as u32);
        let length = number(&mut self.lengths, coder, length, None) as usize;
        let length = length.saturating_add(LEAST_MATCH);
        if length > MOST_MATCH || length > finder.left() {
            return Err(NOT_THIS.into());
        }
        let hops = if given.length > 0 {
            finder.hops_to(given).map_or(0, |hops| hops as u32 + 1)
        } else {
            0
        };
        self.hops.hashes[0] = hash(8, u64::from(length == usize::from(expected.length)));
        self.hops.hashes[1] = hash(9, length as u64);
        self.hops.hashes[2] = hash(10, longest as u64);
        let hops = number(&mut self.hops, coder, hops, None);
        let distance = if hops > 0 {
            finder
                .after_hops(length, hops as usize - 1)
                .ok_or(NOT_THIS)?
        } else {
            self.hops.hashes.fill(11);
            let distance = u32::from(given.distance.saturating_sub(1));
            plain(&mut self.hops, coder, distance, 15, None) as usize + 1
        };
        if distance > finder.at {
            return Err(NOT_THIS.into());
        }
        Ok(Token::matched(length, distance))
    }

    // ── codes ─────────────────────────────────────────────────────────────────────────────────────────────────────

    fn header<C: Coder>(
        &mut self,
        coder: &mut C,
        given: Option<Header>,
        tokens: &[Token],
        text: &[u8],
    ) -> Outcome<Header> {
        let given = given.as_ref();
        let expected = trees::expected_lengths(&trees::frequencies(tokens, text));
        let is_other = given.is_some_and(|header| header.lengths != expected);
        let lengths = if self.one_of(coder, u32::from(is_other), 2, Told::AreLengths, 0) == 0 {
            expected
        } else {
            let [letters, distances] = &expected;
            let given = given.map(|header| &header.lengths);
            [
                self.lengths_of(
                    coder,
                    given.map(|one| &one[0][..]),
                    letters,
                    Told::Letters,
                    257,
                )?,
                self.lengths_of(
                    coder,
                    given.map(|one| &one[1][..]),
                    distances,
                    Told::Distances,
                    1,
                )?,
            ]
        };
        let expected = trees::expected_runs(&lengths);
        let way = given.map_or(0, |header| {
            let place = expected.iter().position(|one| *one == header.runs);
            place.unwrap_or(expected.len()) as u32
        });
        let way = self.one_of(coder, way, 3, Told::Runs, 0) as usize;
        let runs = match expected.into_iter().nth(way) {
            Some(runs) => runs,
            None => {
                let count = lengths[0].len() + lengths[1].len();
                self.runs(coder, given.map(|header| &header.runs[..]), count)?
            }
        };
        let expected = trees::expected_of_runs(&runs);
        let told = least_told(&expected);
        let is_other =
            given.is_some_and(|header| header.of_runs != expected || header.told != told);
        if self.one_of(coder, u32::from(is_other), 2, Told::AreOfRuns, 0) == 0 {
            return Ok(Header {
                lengths,
                runs,
                of_runs: expected,
                told,
            });
        }
        let told = given.map_or(4, |header| header.told as u32) - 4;
        let told = self.head(coder, told, Told::OfRuns, 0) as usize + 4;
        if told > expected.len() {
            return Err(NOT_THIS.into());
        }
        let mut of_runs = Vec::with_capacity(expected.len());
        for (symbol, &length) in expected.iter().enumerate() {
            self.codes.hashes[0] = hash(12, u64::from(length));
            self.codes.hashes[1] = hash(13, symbol as u64);
            self.codes.hashes[2] = hash(14, (symbol as u64) << 8 | u64::from(length));
            let value = given.map_or(0, |header| header.of_runs[symbol]);
            of_runs.push(plain(&mut self.codes, coder, u32::from(value), 3, None) as u8);
        }
        Ok(Header {
            lengths,
            runs,
            of_runs,
            told,
        })
    }

    /// The lengths of a code, each beside the expected one.
    fn lengths_of<C: Coder>(
        &mut self,
        coder: &mut C,
        given: Option<&[u8]>,
        expected: &[u8],
        told: Told,
        least: usize,
    ) -> Outcome<Vec<u8>> {
        let count = given.map_or(least, |lengths| lengths.len()) - least;
        let count = self.head(coder, count as u32, told, expected.len() as u32) as usize;
        if count > 31 {
            return Err(NOT_THIS.into());
        }
        let mut lengths: Vec<u8> = Vec::with_capacity(least + count);
        let mut beside = 16u64; // how far the one before was from what was expected
        for symbol in 0..least + count {
            let foreseen = expected.get(symbol).copied().unwrap_or(0);
            let before = lengths.last().copied().unwrap_or(0);
            self.codes.hashes[0] = hash(15, u64::from(foreseen));
            self.codes.hashes[1] = hash(16, u64::from(foreseen) << 8 | beside);
            self.codes.hashes[2] = hash(17, u64::from(foreseen) << 8 | u64::from(before));
            let value = given.map_or(0, |lengths| u32::from(lengths[symbol]));
            let length = plain(&mut self.codes, coder, value, 4, None) as u8;
            beside = u64::from(16 + length - foreseen);
            lengths.push(length);
        }
        Ok(lengths)
    }

    /// Runs that are like none of the expected ones.
    fn runs<C: Coder>(
        &mut self,
        coder: &mut C,
        given: Option<&[(u8, u8)]>,
        count: usize,
    ) -> Outcome<Vec<(u8, u8)>> {
        let mut runs: Vec<(u8, u8)> = Vec::new();
        let mut covered = 0;
        while covered < count {
            let (symbol, times) = given.map_or((0, 1), |runs_given| runs_given[runs.len()]);
            let before = runs.last().map_or(31, |run| u64::from(run.0));
            self.codes.hashes[0] = hash(18, before);
            self.codes.hashes[1] = 19;
            self.codes.hashes[2] = hash(20, covered as u64);
            let symbol = plain(&mut self.codes, coder, u32::from(symbol), 5, None) as u8;
            let times = match repeats(symbol) {
                Some((bits, least)) => {
                    self.codes.hashes[0] = hash(21, u64::from(symbol));
                    let more = u32::from(times.saturating_sub(least));
                    plain(&mut self.codes, coder, more, bits, None) as u8 + least
                }
                None if symbol < 16 => 1,
                None => return Err(NOT_THIS.into()),
            };
            covered += usize::from(times);
            runs.push((symbol, times));
        }
        if covered > count || coder.is_exhausted() {
            return Err(NOT_THIS.into());
        }
        Ok(runs)
    }
}
