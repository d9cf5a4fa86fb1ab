//! What is learned from decisions, and the probability that comes of it.
//!
//! Each context has a table of *shares*: how often a decision was a one. How far a share can be trusted is learned too, by how often it
//! was seen. A mixer weighs what the contexts say, as logits, once by which decision of a number it is and once by how many contexts
//! know anything; the mean of both drives the coder. Tables are filled as they are touched: what a base has learned lies once in
//! memory, and whoever goes on from it copies only the lines that change.

use std::iter::repeat_n;
use std::sync::Arc;

use super::coder::Coder;

/// The largest logit, in 256ths.
pub(super) const STRETCH: i32 = 2880;
pub(crate) const MOST_CONTEXTS: usize = 24;

#[inline]
pub(crate) fn hash(sum: u64, value: u64) -> u64 {
    let mixed = (sum ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ mixed >> 29
}

/// How many probabilities at each end have a logit of their own.
const TAIL: usize = 1024;
/// Probabilities between the ends that share one.
const MIDDLE: usize = 4096;

/// Logits and probabilities of 16 bits, made of integers only.
struct Logistic {
    squash: [u16; 2 * STRETCH as usize + 1],
    stretch: [i16; MIDDLE + 2 * TAIL],
}

impl Logistic {
    const fn new() -> Self {
        const STEP: u128 = 1148426689630428643; // e^(-1/256) in 60 bits
        const ZERO: usize = STRETCH as usize;
        let mut squash = [0u16; 2 * STRETCH as usize + 1];
        let mut power: u128 = 1 << 60;
        let mut x = 0;
        while x <= ZERO {
            // 65536 e^-x / (1 + e^-x)
            let low = (power << 16) / ((1 << 60) + power);
            let low = if low == 0 { 1 } else { low as u32 };
            squash[ZERO - x] = low as u16;
            let high = 65536 - low;
            squash[ZERO + x] = if high > 65535 { 65535 } else { high as u16 };
            power = (power * STEP) >> 60;
            x += 1;
        }
        let mut stretch = [0i16; MIDDLE + 2 * TAIL];
        // the least logit of at least this probability; probabilities ascend, and so do the logits
        let mut least = 0;
        let mut probability = 0;
        while probability < 65536 {
            while least < 2 * ZERO && (squash[least] as usize) < probability {
                least += 1;
            }
            let logit = (least as i32 - STRETCH) as i16;
            if probability < TAIL {
                stretch[MIDDLE + probability] = logit;
                if probability > 0 {
                    stretch[MIDDLE + 2 * TAIL - probability] = -logit;
                }
            }
            if probability % 16 == 8 {
                stretch[probability / 16] = logit;
            }
            probability += 1;
        }
        Logistic { squash, stretch }
    }
}

static LOGISTIC: Logistic = Logistic::new();
static PACE: [u32; 1024] = paces();

/// The probability of a logit.
#[inline]
pub(crate) fn squash(logit: i32) -> u32 {
    u32::from(LOGISTIC.squash[(logit.clamp(-STRETCH, STRETCH) + STRETCH) as usize])
}

/// The logit of a probability.
#[inline]
pub(crate) fn stretch(probability: u32) -> i16 {
    let probability = probability as usize & 0xffff;
    let place = if probability < TAIL {
        MIDDLE + probability
    } else if probability > 65536 - TAIL {
        MIDDLE + 2 * TAIL - (65536 - probability)
    } else {
        probability >> 4
    };
    LOGISTIC.stretch[place]
}

/// How often a decision was a one under some circumstances: the share in 22 bits, and how often, in 10.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Share(u32);

impl Default for Share {
    fn default() -> Self {
        Share::NEW
    }
}

impl Share {
    pub(crate) const NEW: Share = Share(1 << 31);

    /// No share, but what stands in its place to say whose the ones behind it are.
    #[inline]
    pub(crate) fn named(name: u32) -> Self {
        Share(name)
    }

    #[inline]
    pub(crate) fn probability(self) -> u32 {
        self.0 >> 16
    }

    #[inline]
    pub(crate) fn count(self) -> u32 {
        self.0 & 1023
    }

    #[inline]
    pub(crate) fn update(&mut self, bit: u32, limit: u32) {
        let count = self.count();
        let target = i64::from(bit.wrapping_neg() >> 10);
        let away = target - i64::from(self.0 >> 10);
        let step = (away * i64::from(PACE[count as usize])) >> 16;
        self.0 = self.0.wrapping_add((step as u32) << 10) + u32::from(count < limit);
    }
}

const fn paces() -> [u32; 1024] {
    let mut pace = [0; 1024];
    let mut count = 0;
    while count < 1024 {
        pace[count] = (65536 * 2 / (2 * count + 3)) as u32;
        count += 1;
    }
    pace
}

/// Shares of up to fifteen decisions, in one line of the cache; the first says whose they are.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line([Share; 16]);

impl Line {
    pub(super) fn new(name: u32) -> Self {
        let mut line = [Share::NEW; 16];
        line[0] = Share(name);
        Line(line)
    }

    #[inline]
    pub(super) fn is_named(&self, name: u32) -> bool {
        self.0[0].0 == name
    }

    #[inline]
    pub(super) fn share(&mut self, slot: usize) -> &mut Share {
        &mut self.0[slot % 16]
    }
}

/// Lines of a table that were touched, found by the place they have in the whole.
#[derive(Default)]
struct Touched {
    /// For each place, where its line is kept, counted from one.
    places: Vec<u32>,
    lines: Vec<Line>,
}

impl Touched {
    fn new(bits: u32) -> Self {
        Touched {
            places: vec![0; 1 << bits],
            lines: Vec::new(),
        }
    }

    #[inline]
    fn get(&self, place: usize) -> Option<&Line> {
        let at = *self.places.get(place)?;
        self.lines.get((at as usize).checked_sub(1)?)
    }
}

/// What one context remembers: above what a base knows, which is shared, the lines that changed.
struct Memory {
    below: Arc<Touched>,
    own: Touched,
    mask: usize,
    /// How far to trust a share, by how often it was seen.
    trust: Vec<Share>,
    /// The line that is open.
    open: usize,
}

pub(super) const LEVELS: usize = 12;
pub(super) const STEPS: usize = 33;

impl Memory {
    fn new(bits: u32) -> Self {
        Memory {
            below: Arc::default(),
            own: Touched::new(bits),
            mask: (1 << bits) - 1,
            trust: trust(),
            open: 0,
        }
    }

    /// Open the line of a context; a line of another is given up.
    #[inline]
    fn find(&mut self, hashed: u64) {
        let place = (hashed >> 32) as usize & self.mask;
        let name = hashed as u32 | 1;
        let at = self.own.places[place];
        if at == 0 {
            let line = self
                .below
                .get(place)
                .filter(|line| line.is_named(name))
                .copied();
            self.open = self.own.lines.len();
            self.own.lines.push(line.unwrap_or(Line::new(name)));
            self.own.places[place] = self.own.lines.len() as u32;
        } else {
            self.open = at as usize - 1;
            let line = &mut self.own.lines[self.open];
            if !line.is_named(name) {
                *line = Line::new(name);
            }
        }
    }

    #[inline]
    fn share(&mut self, slot: usize) -> &mut Share {
        self.own.lines[self.open].share(slot)
    }

    /// What goes on from here with nothing of its own yet. Raises the floor: all that was learned so far is shared.
    fn rest(&mut self) {
        let mut below = std::mem::take(&mut self.own);
        self.own = Touched {
            places: vec![0; below.places.len()],
            lines: Vec::new(),
        };
        for place in 0..below.places.len() {
            if below.places[place] == 0 {
                if let Some(line) = self.below.get(place) {
                    below.lines.push(*line);
                    below.places[place] = below.lines.len() as u32;
                }
            }
        }
        below.lines.shrink_to_fit();
        self.below = Arc::new(below);
    }

    /// The same memory, without what was learned since it last rested.
    fn fresh(&self) -> Self {
        Memory {
            below: Arc::clone(&self.below),
            own: Touched {
                places: vec![0; self.own.places.len()],
                lines: Vec::new(),
            },
            mask: self.mask,
            trust: self.trust.clone(),
            open: 0,
        }
    }
}

/// Shares are trusted as they stand, until more is known.
pub(super) fn trust() -> Vec<Share> {
    let steps = (0..STEPS).map(|step| (65535 * step / (STEPS - 1)).clamp(64, 65472) as u32);
    let level = steps.map(|share| Share(share << 16 | 6));
    level.collect::<Vec<_>>().repeat(LEVELS)
}

/// Where the trust in a share begins that was seen so often.
pub(super) static LEVEL: [u16; 1024] = levels();

const fn levels() -> [u16; 1024] {
    let mut level = [0; 1024];
    let mut count = 0;
    while count < 1024 {
        let one = match count {
            0..=5 => count,
            6..=8 => 6,
            9..=14 => 7,
            15..=29 => 8,
            30..=79 => 9,
            80..=199 => 10,
            _ => 11,
        };
        level[count] = (one * STEPS) as u16;
        count += 1;
    }
    level
}

/// Inputs are weighed so many at once.
pub(crate) const LANES: usize = 8;

/// What inputs come to by their weights, of which the last four digits do not count.
#[inline]
pub(crate) fn weigh(weights: &[i32], inputs: &[i16]) -> i32 {
    let mut sums = [0i32; LANES];
    let (weights, inputs) = (
        weights.as_chunks::<LANES>().0,
        inputs.as_chunks::<LANES>().0,
    );
    for (weights, inputs) in weights.iter().zip(inputs) {
        for lane in 0..LANES {
            sums[lane] += i32::from((weights[lane] >> 4) as i16) * i32::from(inputs[lane]);
        }
    }
    let sum: i64 = sums.into_iter().map(i64::from).sum();
    (sum >> 12).clamp(-i64::from(STRETCH), i64::from(STRETCH)) as i32
}

/// Let weights follow what was wrong with their sum, in 2^-16 of a decision.
#[inline]
pub(crate) fn follow(weights: &mut [i32], inputs: &[i16], wrong: i32) {
    let error = ((wrong * RATE) >> 7) as i16;
    let weights = weights.as_chunks_mut::<LANES>().0;
    for (weights, inputs) in weights.iter_mut().zip(inputs.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            let step = (i32::from(inputs[lane]) * i32::from(error) + (1 << 14)) >> 15;
            weights[lane] = (weights[lane] + step).clamp(-MOST_WEIGHT, MOST_WEIGHT);
        }
    }
}

/// The weights of each of several circumstances; those that nothing was learned of are nowhere.
#[derive(Default)]
struct Sets {
    /// Of each set, where its weights are kept, counted from one.
    places: Vec<u32>,
    weights: Vec<i32>,
}

impl Sets {
    fn new(sets: usize) -> Self {
        Sets {
            places: vec![0; sets],
            weights: Vec::new(),
        }
    }

    #[inline]
    fn get(&self, set: usize, inputs: usize) -> Option<&[i32]> {
        let at = *self.places.get(set)? as usize;
        self.weights.get(at.checked_sub(1)? * inputs..at * inputs)
    }

    fn put(&mut self, set: usize, weights: impl Iterator<Item = i32>, inputs: usize) {
        self.weights.extend(weights);
        self.places[set] = (self.weights.len() / inputs) as u32;
    }
}

/// Weighs what contexts say, with a set of weights for each circumstance.
struct Mixer {
    below: Arc<Sets>,
    own: Sets,
    inputs: usize,
    /// What a weight is at first.
    first: i32,
    /// Where the set in use begins.
    open: usize,
    output: u32,
}

impl Mixer {
    fn new(sets: usize, inputs: usize, first: i32) -> Self {
        Mixer {
            below: Arc::default(),
            own: Sets::new(sets),
            inputs,
            first,
            open: 0,
            output: 0,
        }
    }

    #[inline]
    fn find(&mut self, set: usize) {
        if self.own.places[set] == 0 {
            match self.below.get(set, self.inputs) {
                Some(known) => self.own.put(set, known.iter().copied(), self.inputs),
                None => self
                    .own
                    .put(set, repeat_n(self.first, self.inputs), self.inputs),
            }
        }
        self.open = (self.own.places[set] as usize - 1) * self.inputs;
    }

    #[inline]
    fn mix(&mut self, set: usize, inputs: &[i16]) -> i32 {
        self.find(set);
        let logit = weigh(
            &self.own.weights[self.open..self.open + self.inputs],
            inputs,
        );
        self.output = squash(logit);
        logit
    }

    #[inline]
    fn learn(&mut self, bit: u32, inputs: &[i16]) {
        let wrong = (bit << 16) as i32 - self.output as i32;
        follow(
            &mut self.own.weights[self.open..self.open + self.inputs],
            inputs,
            wrong,
        );
    }

    /// As [`Memory::rest`].
    fn rest(&mut self) {
        let sets = self.own.places.len();
        let mut below = std::mem::replace(&mut self.own, Sets::new(sets));
        for set in 0..sets {
            if below.places[set] == 0 {
                if let Some(known) = self.below.get(set, self.inputs) {
                    below.put(set, known.iter().copied(), self.inputs);
                }
            }
        }
        self.below = Arc::new(below);
    }

    /// As [`Memory::fresh`].
    fn fresh(&self) -> Self {
        Mixer {
            below: Arc::clone(&self.below),
            own: Sets::new(self.own.places.len()),
            ..*self
        }
    }
}

/// Everything that is learned of one column.
pub(crate) struct Model {
    limit: u32,
    memories: Vec<Memory>,
    pub(crate) hashes: Vec<u64>,
    inputs: Vec<i16>,
    by_node: Mixer,
    by_knowledge: Mixer,
    matched: Vec<Share>,
}

/// How fast weights follow.
const RATE: i32 = 56;
/// No weight is larger.
pub(super) const MOST_WEIGHT: i32 = (1 << 19) - 1;
const NODES: usize = 1024;
const MATCH_LEVELS: usize = 16;

impl Model {
    /// A model of so many contexts, each with 2^`bits` buckets; a share follows what is new the faster the lower its `limit`.
    pub(crate) fn new(contexts: usize, bits: u32, limit: u32) -> Self {
        let inputs = (2 * contexts + 2).next_multiple_of(LANES);
        let first = (1 << 16) * 4 / 5 / (contexts as i32 + 1);
        Model {
            limit,
            memories: (0..contexts).map(|_| Memory::new(bits)).collect(),
            hashes: vec![0; contexts],
            inputs: vec![0; inputs],
            by_node: Mixer::new(NODES, inputs, first),
            by_knowledge: Mixer::new((MOST_CONTEXTS + 1) * MATCH_LEVELS, inputs, first),
            matched: vec![Share::NEW; MATCH_LEVELS * 2],
        }
    }

    /// Share what was learned so far with every model that goes on from here.
    pub(crate) fn rest(&mut self) {
        self.memories.iter_mut().for_each(Memory::rest);
        self.by_node.rest();
        self.by_knowledge.rest();
    }

    /// A model that goes on from where this one rested.
    pub(crate) fn fresh(&self) -> Self {
        Model {
            limit: self.limit,
            memories: self.memories.iter().map(Memory::fresh).collect(),
            hashes: self.hashes.clone(),
            inputs: self.inputs.clone(),
            by_node: self.by_node.fresh(),
            by_knowledge: self.by_knowledge.fresh(),
            matched: self.matched.clone(),
        }
    }

    /// The next four decisions are looked for under this name.
    #[inline]
    fn open(&mut self, name: u64) {
        for (memory, &hashed) in self.memories.iter_mut().zip(&self.hashes) {
            memory.find(hash(hashed, name));
        }
    }

    /// One decision. `slot` is its place in the open buckets (1 to 15), `node` among all decisions of a number, `expected` what a
    /// match says, with how far it was right.
    #[inline]
    fn decide<C: Coder>(
        &mut self,
        coder: &mut C,
        bit: u32,
        slot: usize,
        node: usize,
        expected: Option<(u32, usize)>,
    ) -> u32 {
        let contexts = self.memories.len();
        let mut knowledge = 0;
        let mut places = [0u16; MOST_CONTEXTS];
        let inputs = &mut self.inputs[..];
        let pairs = inputs.as_chunks_mut::<2>().0;
        for ((memory, place), pair) in self.memories.iter_mut().zip(&mut places).zip(pairs) {
            let share = *memory.share(slot);
            let (probability, count) = (share.probability(), share.count());
            let step = (probability as usize * (STEPS - 1) + 32768) >> 16;
            *place = LEVEL[count as usize] + step as u16;
            let trusted = memory.trust[usize::from(*place)].probability();
            let is_known = count > 0;
            knowledge += usize::from(is_known);
            let known = -i16::from(is_known);
            *pair = [stretch(probability) & known, stretch(trusted) & known];
        }
        let mut match_level = 0;
        let mut match_place = 0;
        inputs[2 * contexts] = match expected {
            None => 0,
            Some((says, length)) => {
                match_level = length.min(MATCH_LEVELS - 1);
                match_place = match_level * 2 + says as usize;
                stretch(self.matched[match_place].probability())
            }
        };
        inputs[2 * contexts + 1] = 256;
        let set = knowledge * MATCH_LEVELS + match_level;
        let one = self.by_node.mix(node % NODES, inputs);
        let two = self.by_knowledge.mix(set, inputs);
        let logit = (one + two) >> 1;
        let bit = coder.code(bit, squash(logit).clamp(1, 65535));
        self.by_node.learn(bit, inputs);
        self.by_knowledge.learn(bit, inputs);
        if expected.is_some() {
            self.matched[match_place].update(bit, 255);
        }
        for (memory, place) in self.memories.iter_mut().zip(places) {
            let share = memory.share(slot);
            let is_known = share.count() > 0;
            share.update(bit, self.limit);
            if is_known {
                memory.trust[usize::from(place)].update(bit, 255);
            }
        }
        bit
    }
}

/// Where in a line the decision is that follows those that were read since the line was opened.
#[inline]
fn slot_of(read: u32, done: u32) -> usize {
    let first = 1 << (done % 4);
    (first | read & (first - 1)) as usize
}

/// One of up to fifteen choices, the likeliest first: whether it is this one, at each before it.
#[inline]
pub(crate) fn choice<C: Coder>(
    model: &mut Model,
    coder: &mut C,
    value: u32,
    choices: u32,
    _: Option<(u32, usize)>,
) -> u32 {
    model.open(0);
    let is_next = |at: u32, model: &mut Model, coder: &mut C| {
        model.decide(
            coder,
            u32::from(value != at),
            at as usize + 1,
            at as usize + 1,
            None,
        )
    };
    (0..choices - 1)
        .find(|&at| is_next(at, model, coder) == 0)
        .unwrap_or(choices - 1)
}

#[inline]
pub(crate) fn plain<C: Coder>(
    model: &mut Model,
    coder: &mut C,
    value: u32,
    bits: u32,
    guess: Option<(u32, usize)>,
) -> u32 {
    let mut guess = guess.filter(|&(value, _)| value >> bits == 0);
    let mut read = 1u32;
    for done in 0..bits {
        if done % 4 == 0 {
            model.open(u64::from(read));
        }
        let slot = slot_of(read, done);
        let at = bits - 1 - done;
        let expected = guess.map(|(value, length)| (value >> at & 1, length));
        let bit = model.decide(coder, value >> at & 1, slot, read as usize, expected);
        if expected.is_some_and(|(says, _)| says != bit) {
            guess = None;
        }
        read = read << 1 | bit;
    }
    read - (1 << bits)
}

/// A number that is mostly below fifteen: in four decisions, or as how much more it is.
#[inline]
pub(crate) fn small<C: Coder>(
    model: &mut Model,
    coder: &mut C,
    value: u32,
    _: Option<(u32, usize)>,
) -> u32 {
    const MOST: u32 = 15;
    model.open(1 << 44);
    let least = value.min(MOST);
    let mut read = 1u32;
    for at in (0..4).rev() {
        let slot = read as usize;
        read = read << 1 | model.decide(coder, least >> at & 1, slot, 640 + slot, None);
    }
    match read - 16 {
        MOST => number(model, coder, value.wrapping_sub(MOST), None).wrapping_add(MOST),
        least => least,
    }
}

/// The length of a number in bits: below eight in four decisions, else in six.
#[inline]
fn length<C: Coder>(model: &mut Model, coder: &mut C, length: u32) -> u32 {
    let first = if length < 8 {
        length
    } else {
        8 + ((length - 8) >> 2)
    };
    let first = plain(model, coder, first, 4, None);
    if first < 8 {
        return first;
    }
    model.open(u64::from(first) | 1 << 41);
    let rest = length.wrapping_sub(8) & 3;
    let high = model.decide(coder, rest >> 1, 1, 16 + first as usize, None);
    let low = model.decide(
        coder,
        rest & 1,
        2 | high as usize,
        32 + first as usize,
        None,
    );
    (8 + ((first - 8) << 2) + (high << 1 | low)).min(32)
}

#[inline]
pub(crate) fn number<C: Coder>(
    model: &mut Model,
    coder: &mut C,
    value: u32,
    guess: Option<(u32, usize)>,
) -> u32 {
    let length = length(model, coder, 32 - value.leading_zeros());
    if length < 2 {
        return length;
    }
    let mut guess = guess.filter(|&(value, _)| 32 - value.leading_zeros() == length);
    let mut read = 1u32;
    for done in 0..length - 1 {
        let at = length - 2 - done;
        let given = value >> at & 1;
        if done % 4 == 0 {
            model.open(u64::from(read) << 8 | u64::from(length) | 1 << 40);
        }
        let slot = slot_of(read, done);
        let expected = guess.map(|(value, length)| (value >> at & 1, length));
        let node = 64 + (length as usize * 16 + done.min(3) as usize * 4 + (read & 3) as usize);
        let bit = model.decide(coder, given, slot, node, expected);
        if expected.is_some_and(|(says, _)| says != bit) {
            guess = None;
        }
        read = read << 1 | bit;
    }
    read
}

/// Numbers of which contexts foresee the length and the first bits; of the others only how often they were set counts.
pub(crate) struct Sizes {
    pub(crate) model: Model,
    foreseen: u32,
    low: Vec<Share>,
}

impl Sizes {
    /// With so many bits below the leading one that are foreseen.
    pub(crate) fn new(model: Model, foreseen: u32) -> Self {
        Sizes {
            model,
            foreseen,
            low: vec![Share::NEW; 33 * 32],
        }
    }

    #[inline]
    pub(crate) fn pass<C: Coder>(&mut self, coder: &mut C, value: u32) -> u32 {
        let model = &mut self.model;
        let length = length(model, coder, 32 - value.leading_zeros());
        if length < 2 {
            return length;
        }
        let mut read = 1u32;
        for done in 0..length - 1 {
            let at = length - 2 - done;
            let given = value >> at & 1;
            let bit = if done < self.foreseen {
                if done % 4 == 0 {
                    model.open(u64::from(read) << 8 | u64::from(length) | 1 << 40);
                }
                let node = 64 + length as usize * 16 + (done.min(3) * 4 + (read & 3)) as usize;
                model.decide(coder, given, slot_of(read, done), node, None)
            } else {
                let share = &mut self.low[(length * 32 + at) as usize];
                let bit = coder.code(given, share.probability().clamp(1, 65535));
                share.update(bit, 1023);
                bit
            };
            read = read << 1 | bit;
        }
        read
    }
}
