//! The arithmetic coder: decisions with their probabilities into bytes and back.

/// What decisions go through: into bytes, out of them, or only past the models.
pub(crate) trait Coder {
    /// The decision, given the probability of a one in 16 bits (1 to 65535).
    fn code(&mut self, bit: u32, probability: u32) -> u32;

    /// Whether more was read than anybody wrote.
    fn is_exhausted(&self) -> bool {
        false
    }
}

pub(crate) struct Writer {
    low: u32,
    high: u32,
    bytes: Vec<u8>,
}

pub(crate) struct Reader {
    low: u32,
    high: u32,
    at: u32,
    bytes: Vec<u8>,
    next: usize,
}

pub(crate) struct Learner;

/// Counts what decisions would take.
pub(crate) struct Counter {
    /// As a product of probabilities, of 32 bits, and how often it was doubled.
    product: u64,
    doubled: u64,
}

#[inline]
fn split(low: u32, high: u32, probability: u32) -> u32 {
    let range = u64::from(high - low);
    low + ((range * u64::from(probability)) >> 16) as u32
}

impl Coder for Writer {
    #[inline]
    fn code(&mut self, bit: u32, probability: u32) -> u32 {
        let middle = split(self.low, self.high, probability);
        if bit != 0 {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.bytes.push((self.high >> 24) as u8);
            self.low <<= 8;
            self.high = self.high << 8 | 255;
        }
        bit
    }
}

impl Writer {
    pub(crate) fn new() -> Self {
        Writer {
            low: 0,
            high: u32::MAX,
            bytes: Vec::new(),
        }
    }

    /// The bytes, no more than decide; a reader takes what follows for zeros.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        for length in 1..=4 {
            let mask = u32::MAX.checked_shr(8 * length).unwrap_or(0);
            let ended = self.low.checked_add(mask).map(|one| one & !mask);
            if let Some(ended) = ended.filter(|&one| one <= self.high) {
                self.bytes.extend(&ended.to_be_bytes()[..length as usize]);
                break;
            }
        }
        self.bytes
    }
}

impl Reader {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let mut reader = Reader {
            low: 0,
            high: u32::MAX,
            at: 0,
            bytes,
            next: 0,
        };
        for _ in 0..4 {
            reader.shift();
        }
        reader
    }

    #[inline]
    fn shift(&mut self) {
        self.at = self.at << 8 | u32::from(self.bytes.get(self.next).copied().unwrap_or(0));
        self.next += 1;
    }
}

impl Coder for Reader {
    #[inline]
    fn code(&mut self, _: u32, probability: u32) -> u32 {
        let middle = split(self.low, self.high, probability);
        let bit = u32::from(self.at <= middle);
        if bit != 0 {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.shift();
            self.low <<= 8;
            self.high = self.high << 8 | 255;
        }
        bit
    }

    fn is_exhausted(&self) -> bool {
        self.next > self.bytes.len() + 4
    }
}

impl Counter {
    pub(crate) fn new() -> Self {
        Counter {
            product: 1 << 32,
            doubled: 0,
        }
    }

    /// Bits so far, in 2^-16.
    pub(crate) fn bits(&self) -> u64 {
        self.doubled << 16
    }
}

impl Coder for Counter {
    #[inline]
    fn code(&mut self, bit: u32, probability: u32) -> u32 {
        let probability = if bit != 0 {
            probability
        } else {
            65536 - probability
        };
        self.product = (self.product * u64::from(probability)) >> 16;
        let missing = self.product.leading_zeros().saturating_sub(31);
        self.product <<= missing;
        self.doubled += u64::from(missing);
        bit
    }
}

impl Coder for Learner {
    #[inline]
    fn code(&mut self, bit: u32, _: u32) -> u32 {
        bit
    }
}
