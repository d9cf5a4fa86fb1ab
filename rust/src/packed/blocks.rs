//! A deflate stream (RFC 1951) as its blocks, and blocks as bits again.

use super::trees::{self, Code};
use crate::Outcome;

/// The most tokens of one block: what writers are known to use, several times over.
pub(super) const MOST_TOKENS: usize = 1 << 22;
pub(super) const LEAST_MATCH: usize = 3;
pub(super) const MOST_MATCH: usize = 258;
pub(super) const WINDOW: usize = 1 << 15;
pub(super) const END: usize = 256;

const LENGTHS: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];
const LENGTH_BITS: [u8; 29] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];
const DISTANCES: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
    2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
];
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// A literal (length 0), or so many bytes again from so far back.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Token {
    pub(super) length: u16,
    pub(super) distance: u16,
}

impl Token {
    pub(super) const LITERAL: Token = Token {
        length: 0,
        distance: 0,
    };

    pub(super) fn matched(length: usize, distance: usize) -> Self {
        Token {
            length: length as u16,
            distance: distance as u16,
        }
    }

    /// Bytes that it stands for.
    pub(super) fn size(self) -> usize {
        usize::from(self.length.max(1))
    }
}

pub(super) fn length_symbol(length: u16) -> usize {
    LENGTHS.partition_point(|&one| one <= length) - 1
}

pub(super) fn distance_symbol(distance: u16) -> usize {
    DISTANCES.partition_point(|&one| one <= distance) - 1
}

fn distance_bits(symbol: usize) -> u32 {
    (symbol as u32 / 2).saturating_sub(1)
}

/// How the codes of a block are told: lengths of codes for literals and lengths, then distances, in runs.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Header {
    /// Of literals and lengths, of distances.
    pub(super) lengths: [Vec<u8>; 2],
    /// A length, or 16, 17, 18 and how often something is repeated.
    pub(super) runs: Vec<(u8, u8)>,
    /// Lengths of the codes of runs, by symbol, and how many are told.
    pub(super) of_runs: Vec<u8>,
    pub(super) told: usize,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Form {
    /// So many bytes as they are, behind these bits that fill a byte up.
    Stored(usize, u8),
    Fixed,
    Dynamic(Header),
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Block {
    pub(super) form: Form,
    pub(super) tokens: Vec<Token>,
    pub(super) is_last: bool,
}

/// Bits of symbol 16, 17 and 18 behind the symbol, and the least count.
pub(super) fn repeats(symbol: u8) -> Option<(u32, u8)> {
    match symbol {
        16 => Some((2, 3)),
        17 => Some((3, 3)),
        18 => Some((7, 11)),
        _ => None,
    }
}

/// The lengths that runs stand for; none if they are not so many.
pub(super) fn unrolled(runs: &[(u8, u8)], count: usize) -> Option<Vec<u8>> {
    let mut lengths: Vec<u8> = Vec::with_capacity(count);
    for &(symbol, times) in runs {
        let (value, times) = match symbol {
            16 => (*lengths.last()?, times),
            17 | 18 => (0, times),
            length => (length, 1),
        };
        lengths.extend(std::iter::repeat_n(value, usize::from(times)));
    }
    (lengths.len() == count).then_some(lengths)
}

/// How many lengths of codes of runs are told at least: those behind are zero.
pub(super) fn least_told(of_runs: &[u8]) -> usize {
    let last = ORDER.iter().rposition(|&symbol| of_runs[symbol] > 0);
    last.map_or(0, |place| place + 1).max(4)
}

// ── out of bits ───────────────────────────────────────────────────────────────────────────────────────────────────

/// A stream that is read block by block.
pub(super) struct Inflater<'a> {
    bytes: &'a [u8],
    next: usize,
    held: u64,
    bits: u32,
}

const BROKEN: &str = "the deflate stream is broken";

impl<'a> Inflater<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Inflater {
            bytes,
            next: 0,
            held: 0,
            bits: 0,
        }
    }

    /// A stream that goes on behind some bits of the first byte.
    pub(super) fn behind(bytes: &'a [u8], bits: u32) -> Outcome<Self> {
        let mut inflater = Inflater::new(bytes);
        inflater.take(bits)?;
        Ok(inflater)
    }

    /// How many bits were read.
    pub(super) fn place(&self) -> usize {
        self.next * 8 - self.bits as usize
    }

    #[inline]
    fn fill(&mut self) {
        while self.bits <= 56 {
            let Some(&byte) = self.bytes.get(self.next) else {
                return;
            };
            self.held |= u64::from(byte) << self.bits;
            self.next += 1;
            self.bits += 8;
        }
    }

    #[inline]
    fn take(&mut self, bits: u32) -> Outcome<u32> {
        if self.bits < bits {
            self.fill();
            if self.bits < bits {
                return Err("the deflate stream breaks off".into());
            }
        }
        let value = self.held & ((1 << bits) - 1);
        self.held >>= bits;
        self.bits -= bits;
        Ok(value as u32)
    }

    #[inline]
    fn symbol(&mut self, code: &Code) -> Outcome<usize> {
        if self.bits < 15 {
            self.fill();
        }
        let (symbol, length) = code.find(self.held as usize).ok_or(BROKEN)?;
        if length > self.bits {
            return Err("the deflate stream breaks off".into());
        }
        self.held >>= length;
        self.bits -= length;
        Ok(symbol)
    }

    /// The bits that fill the last byte up, and how many bytes the stream has.
    pub(super) fn finish(&mut self) -> Outcome<(u8, usize)> {
        let padding = self.take(self.bits % 8)? as u8;
        Ok((padding, self.next - self.bits as usize / 8))
    }

    /// The next block; what it stands for is put behind the text, which may have at most so many bytes.
    pub(super) fn block(&mut self, text: &mut Vec<u8>, most: usize) -> Outcome<Block> {
        let is_last = self.take(1)? == 1;
        let (form, codes) = match self.take(2)? {
            0 => (self.stored(text, most)?, None),
            1 => (Form::Fixed, Some(trees::fixed_codes())),
            2 => {
                let header = self.header()?;
                let codes = header
                    .lengths
                    .each_ref()
                    .map(|lengths| Code::new(lengths).ok_or(BROKEN));
                let [letters, distances] = codes;
                (Form::Dynamic(header), Some([letters?, distances?]))
            }
            _ => return Err(BROKEN.into()),
        };
        let tokens = match codes {
            Some(codes) => self.tokens(&codes, text, most)?,
            None => Vec::new(),
        };
        Ok(Block {
            form,
            tokens,
            is_last,
        })
    }

    fn stored(&mut self, text: &mut Vec<u8>, most: usize) -> Outcome<Form> {
        let padding = self.take(self.bits % 8)? as u8;
        let size = self.take(16)?;
        if self.take(16)? != size ^ 0xFFFF {
            return Err(BROKEN.into());
        }
        if text.len() + size as usize > most {
            return Err("the deflate stream holds more bytes than it may".into());
        }
        for _ in 0..size {
            text.push(self.take(8)? as u8);
        }
        Ok(Form::Stored(size as usize, padding))
    }

    fn header(&mut self) -> Outcome<Header> {
        let counts = [self.take(5)? as usize + 257, self.take(5)? as usize + 1];
        let told = self.take(4)? as usize + 4;
        let mut of_runs = vec![0u8; ORDER.len()];
        for &symbol in &ORDER[..told] {
            of_runs[symbol] = self.take(3)? as u8;
        }
        let code = Code::new(&of_runs).ok_or(BROKEN)?;
        let mut runs = Vec::new();
        let mut covered = 0;
        while covered < counts[0] + counts[1] {
            let symbol = self.symbol(&code)? as u8;
            let times = match repeats(symbol) {
                Some((bits, least)) => least + self.take(bits)? as u8,
                None => 1,
            };
            covered += usize::from(times);
            runs.push((symbol, times));
        }
        let mut letters = unrolled(&runs, counts[0] + counts[1]).ok_or(BROKEN)?;
        let distances = letters.split_off(counts[0]);
        Ok(Header {
            lengths: [letters, distances],
            runs,
            of_runs,
            told,
        })
    }

    fn tokens(
        &mut self,
        [letters, distances]: &[Code; 2],
        text: &mut Vec<u8>,
        most: usize,
    ) -> Outcome<Vec<Token>> {
        let mut tokens = Vec::new();
        loop {
            let symbol = self.symbol(letters)?;
            if symbol == END {
                return Ok(tokens);
            }
            if tokens.len() == MOST_TOKENS {
                return Err("a block has more tokens than any writer puts there".into());
            }
            if symbol < END {
                if text.len() == most {
                    return Err("the deflate stream holds more bytes than it may".into());
                }
                text.push(symbol as u8);
                tokens.push(Token::LITERAL);
                continue;
            }
            let place = symbol - END - 1;
            let base = *LENGTHS.get(place).ok_or(BROKEN)?;
            let length = base + self.take(u32::from(LENGTH_BITS[place]))? as u16;
            let place_of_length = length_symbol(length);
            let symbol = self.symbol(distances)?;
            let base = *DISTANCES.get(symbol).ok_or(BROKEN)?;
            let distance = base + self.take(distance_bits(symbol))? as u16;
            if place_of_length != place || usize::from(distance) > text.len() {
                return Err(BROKEN.into());
            }
            if text.len() + usize::from(length) > most {
                return Err("the deflate stream holds more bytes than it may".into());
            }
            let from = text.len() - usize::from(distance);
            if distance >= length {
                text.extend_from_within(from..from + usize::from(length));
            } else {
                for at in from..from + usize::from(length) {
                    text.push(text[at]);
                }
            }
            tokens.push(Token { length, distance });
        }
    }
}

// ── into bits ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// A stream that is written block by block.
pub(super) struct Deflater {
    pub(super) bytes: Vec<u8>,
    held: u64,
    bits: u32,
}

impl Deflater {
    pub(super) fn new() -> Self {
        Deflater {
            bytes: Vec::new(),
            held: 0,
            bits: 0,
        }
    }

    /// The bytes that are whole; the bits behind them stay for what follows.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    #[inline]
    fn put(&mut self, value: u32, bits: u32) {
        self.held |= u64::from(value) << self.bits;
        self.bits += bits;
        while self.bits >= 8 {
            self.bytes.push(self.held as u8);
            self.held >>= 8;
            self.bits -= 8;
        }
    }

    /// Fill the byte up with these bits.
    pub(super) fn pad(&mut self, padding: u8) {
        let bits = (8 - self.bits) % 8;
        self.put(u32::from(padding) & ((1 << bits) - 1), bits);
    }

    /// A block whose tokens stand for the text, all of it.
    pub(super) fn block(&mut self, block: &Block, text: &[u8]) -> Outcome<()> {
        self.put(u32::from(block.is_last), 1);
        match &block.form {
            Form::Stored(size, padding) => {
                self.put(0, 2);
                self.pad(*padding);
                self.put(*size as u32, 16);
                self.put(*size as u32 ^ 0xFFFF, 16);
                self.bytes.extend_from_slice(text);
                Ok(())
            }
            Form::Fixed => {
                self.put(1, 2);
                self.tokens(&trees::fixed_codes(), &block.tokens, text)
            }
            Form::Dynamic(header) => {
                self.put(2, 2);
                self.header(header)?;
                let no_code = "lengths of codes that fit no code";
                let codes = header
                    .lengths
                    .each_ref()
                    .map(|lengths| Code::new(lengths).ok_or(no_code));
                let [letters, distances] = codes;
                self.tokens(&[letters?, distances?], &block.tokens, text)
            }
        }
    }

    fn header(&mut self, header: &Header) -> Outcome<()> {
        self.put(header.lengths[0].len() as u32 - 257, 5);
        self.put(header.lengths[1].len() as u32 - 1, 5);
        self.put(header.told as u32 - 4, 4);
        for &symbol in &ORDER[..header.told] {
            self.put(u32::from(header.of_runs[symbol]), 3);
        }
        let code = Code::new(&header.of_runs).ok_or("lengths of codes that fit no code")?;
        for &(symbol, times) in &header.runs {
            self.symbol(&code, usize::from(symbol))?;
            if let Some((bits, least)) = repeats(symbol) {
                self.put(u32::from(times - least), bits);
            }
        }
        Ok(())
    }

    #[inline]
    fn symbol(&mut self, code: &Code, symbol: usize) -> Outcome<()> {
        let (bits, length) = code
            .of(symbol)
            .ok_or("a token for which there is no code")?;
        self.put(bits, length);
        Ok(())
    }

    fn tokens(
        &mut self,
        [letters, distances]: &[Code; 2],
        tokens: &[Token],
        text: &[u8],
    ) -> Outcome<()> {
        let mut at = 0;
        for token in tokens {
            if token.length == 0 {
                self.symbol(letters, usize::from(text[at]))?;
            } else {
                let place = length_symbol(token.length);
                self.symbol(letters, END + 1 + place)?;
                self.put(
                    u32::from(token.length - LENGTHS[place]),
                    u32::from(LENGTH_BITS[place]),
                );
                let place = distance_symbol(token.distance);
                self.symbol(distances, place)?;
                self.put(
                    u32::from(token.distance - DISTANCES[place]),
                    distance_bits(place),
                );
            }
            at += token.size();
        }
        self.symbol(letters, END)
    }
}
