//! What is learned from decisions, and the probability that comes of it.
//!
//! Each context has a table of *shares*: how often a decision was a one. How far a share can be trusted is learned too, by how often it
//! was seen. A mixer weighs what the contexts say, as logits, once by which decision of a number it is and once by how many contexts
//! know anything; the mean of both drives the coder. Tables are filled as they are touched: what a base has learned lies once in
//! memory, and whoever goes on from it copies only the lines that change.

use std::iter::repeat_n;
use std::sync::{Arc, LazyLock};

use super::coder::Coder;

/// The largest logit, in 256ths.
const STRETCH: i32 = 2880;
pub(crate) const MOST_CONTEXTS: usize = 24;

#[inline]
pub(crate) fn hash(sum: u64, value: u64) -> u64 {
    let mixed = (sum ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ mixed >> 29
}

/// Logits and probabilities of 16 bits, made of integers only.
struct Logistic {
    squash: Vec<u16>,
    stretch: Vec<i16>,
    tail: Vec<i16>,
}

impl Logistic {
    fn new() -> Self {
        const STEP: u128 = 1148426689630428643; // e^(-1/256) in 60 bits
        let mut power: u128 = 1 << 60;
        let mut lower = Vec::with_capacity(STRETCH as usize + 1);
        for _ in 0..=STRETCH {
            // 65536 e^-x / (1 + e^-x)
            lower.push(((power << 16) / ((1 << 60) + power)).max(1) as u16);
            power = (power * STEP) >> 60;
        }
        let upper = lower
            .iter()
            .map(|&low| (65536 - u32::from(low)).min(65535) as u16);
        let mut squash: Vec<u16> = lower.iter().rev().copied().collect();
        squash.extend(upper.skip(1));
        let find = |probability: usize| {
            let place = squash.partition_point(|&one| usize::from(one) < probability);
            (place as i32 - STRETCH).min(STRETCH) as i16
        };
        let stretch = (0..4096).map(|high| find(high * 16 + 8)).collect();
        let tail = (0..1024).map(find).collect();
        Logistic {
            squash,
            stretch,
            tail,
        }
    }

    #[inline]
    fn squash(&self, logit: i32) -> u32 {
        u32::from(self.squash[(logit.clamp(-STRETCH, STRETCH) + STRETCH) as usize])
    }

    #[inline]
    fn stretch(&self, probability: u32) -> i32 {
        if probability < 1024 {
            i32::from(self.tail[probability as usize])
        } else if probability > 65536 - 1024 {
            -i32::from(self.tail[(65536 - probability) as usize])
        } else {
            i32::from(self.stretch[(probability >> 4) as usize])
        }
    }
}

static LOGISTIC: LazyLock<Logistic> = LazyLock::new(Logistic::new);
static PACE: LazyLock<[u32; 1024]> = LazyLock::new(paces);

/// How often a decision was a one under some circumstances: the share in 22 bits, and how often, in 10.
#[derive(Clone, Copy)]
struct Share(u32);

impl Share {
    const NEW: Share = Share(1 << 31);

    #[inline]
    fn probability(self) -> u32 {
        self.0 >> 16
    }

    #[inline]
    fn count(self) -> u32 {
        self.0 & 1023
    }

    #[inline]
    fn update(&mut self, bit: u32, limit: u32, pace: &[u32; 1024]) {
        let count = self.count();
        let share = (self.0 >> 10) as i64;
        let target = if bit != 0 { (1 << 22) - 1 } else { 0 };
        let moved = share + (((target - share) * i64::from(pace[count as usize])) >> 16);
        self.0 = (moved as u32) << 10 | if count < limit { count + 1 } else { count };
    }
}

fn paces() -> [u32; 1024] {
    let mut pace = [0; 1024];
    for (count, one) in pace.iter_mut().enumerate() {
        *one = (65536 * 2 / (2 * count + 3)) as u32;
    }
    pace
}

/// Shares of the decisions of half a byte, in one line of the cache; the first says whose they are.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Bucket([Share; 16]);

impl Bucket {
    fn new(check: Share) -> Self {
        let mut line = [Share::NEW; 16];
        line[0] = check;
        Bucket(line)
    }
}

/// Lines of a table that were touched, found by the place they have in the whole.
#[derive(Default)]
struct Touched {
    /// For each place, where its line is kept, counted from one.
    places: Vec<u32>,
    lines: Vec<Bucket>,
}

impl Touched {
    fn new(bits: u32) -> Self {
        Touched {
            places: vec![0; 1 << bits],
            lines: Vec::new(),
        }
    }

    #[inline]
    fn get(&self, place: usize) -> Option<&Bucket> {
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

const LEVELS: usize = 12;
const STEPS: usize = 33;

impl Memory {
    fn new(bits: u32) -> Self {
        let mut trust = vec![Share::NEW; LEVELS * STEPS];
        for level in 0..LEVELS {
            for step in 0..STEPS {
                let share = (65535 * step / (STEPS - 1)).clamp(64, 65472) as u32;
                trust[level * STEPS + step] = Share(share << 16 | 6);
            }
        }
        Memory {
            below: Arc::default(),
            own: Touched::new(bits),
            mask: (1 << bits) - 1,
            trust,
            open: 0,
        }
    }

    /// Open the line of a context; a line of another is given up.
    #[inline]
    fn find(&mut self, hashed: u64) {
        let place = (hashed >> 32) as usize & self.mask;
        let check = Share((hashed as u32) | 1);
        let at = self.own.places[place];
        if at == 0 {
            let line = self
                .below
                .get(place)
                .filter(|line| line.0[0].0 == check.0)
                .copied();
            self.open = self.own.lines.len();
            self.own.lines.push(line.unwrap_or(Bucket::new(check)));
            self.own.places[place] = self.own.lines.len() as u32;
        } else {
            self.open = at as usize - 1;
            let line = &mut self.own.lines[self.open];
            if line.0[0].0 != check.0 {
                *line = Bucket::new(check);
            }
        }
    }

    #[inline]
    fn share(&mut self, slot: usize) -> &mut Share {
        &mut self.own.lines[self.open].0[slot]
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

#[inline]
fn level(count: u32) -> usize {
    match count {
        0..=5 => count as usize,
        6..=8 => 6,
        9..=14 => 7,
        15..=29 => 8,
        30..=79 => 9,
        80..=199 => 10,
        _ => 11,
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
    fn mix(&mut self, set: usize, inputs: &[i32], logistic: &Logistic) -> i32 {
        self.find(set);
        let weights = &self.own.weights[self.open..self.open + self.inputs];
        let sum: i64 = weights
            .iter()
            .zip(inputs)
            .map(|(&weight, &input)| i64::from(weight) * i64::from(input))
            .sum();
        let logit = ((sum >> 16).clamp(-i64::from(STRETCH), i64::from(STRETCH))) as i32;
        self.output = logistic.squash(logit);
        logit
    }

    #[inline]
    fn learn(&mut self, bit: u32, inputs: &[i32], rate: i32) {
        let error = (((bit << 16) as i32 - self.output as i32) * rate) >> 4;
        for (weight, &input) in self.own.weights[self.open..self.open + self.inputs]
            .iter_mut()
            .zip(inputs)
        {
            *weight =
                (*weight + ((input * (error >> 4) + (1 << 13)) >> 14)).clamp(-(1 << 20), 1 << 20);
        }
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
    inputs: Vec<i32>,
    by_node: Mixer,
    by_knowledge: Mixer,
    matched: Vec<Share>,
}

/// How fast weights follow.
const RATE: i32 = 56;
const NODES: usize = 1024;
const MATCH_LEVELS: usize = 16;

impl Model {
    /// A model of so many contexts, each with 2^`bits` buckets; a share follows what is new the faster the lower its `limit`.
    pub(crate) fn new(contexts: usize, bits: u32, limit: u32) -> Self {
        let inputs = 2 * contexts + 2;
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
        let mut knowledge = 0;
        let mut places = [0usize; MOST_CONTEXTS];
        for (number, memory) in self.memories.iter_mut().enumerate() {
            let share = *memory.share(slot);
            let probability = share.probability();
            let count = share.count();
            knowledge += usize::from(count > 0);
            let step = (probability as usize * (STEPS - 1) + 32768) >> 16;
            places[number] = level(count) * STEPS + step;
            let trusted = memory.trust[places[number]].probability();
            let (own, other) = if count == 0 {
                (0, 0)
            } else {
                (LOGISTIC.stretch(probability), LOGISTIC.stretch(trusted))
            };
            self.inputs[2 * number] = own;
            self.inputs[2 * number + 1] = other;
        }
        let last = self.inputs.len();
        self.inputs[last - 1] = 256;
        let mut match_level = 0;
        let mut match_place = 0;
        self.inputs[last - 2] = match expected {
            None => 0,
            Some((says, length)) => {
                match_level = length.min(MATCH_LEVELS - 1);
                match_place = match_level * 2 + says as usize;
                LOGISTIC.stretch(self.matched[match_place].probability())
            }
        };
        let set = knowledge * MATCH_LEVELS + match_level;
        let node = node % NODES;
        let one = self.by_node.mix(node, &self.inputs, &LOGISTIC);
        let two = self.by_knowledge.mix(set, &self.inputs, &LOGISTIC);
        let logit = (one + two) >> 1;
        let bit = coder.code(bit, LOGISTIC.squash(logit).clamp(1, 65535));
        self.by_node.learn(bit, &self.inputs, RATE);
        self.by_knowledge.learn(bit, &self.inputs, RATE);
        if expected.is_some() {
            self.matched[match_place].update(bit, 255, &PACE);
        }
        for (memory, place) in self.memories.iter_mut().zip(places) {
            if memory.share(slot).count() > 0 {
                memory.trust[place].update(bit, 255, &PACE);
            }
            memory.share(slot).update(bit, self.limit, &PACE);
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

/// The most bits of a deviation's size.
const MOST_LENGTH: u32 = 20;

/// Signed numbers, each told beside how long it probably is.
pub(crate) struct Deviations {
    pub(crate) model: Model,
    /// Of the bits that no context foresees: by the length of the number, and which bit.
    low: Vec<Share>,
}

impl Deviations {
    pub(crate) fn new(model: Model) -> Self {
        Deviations {
            model,
            low: vec![Share::NEW; 32 * 32],
        }
    }

    /// Whether the number's size is as long as expected, one longer, one shorter, two longer and so on; its sign; the two bits below
    /// its leading one; and the others, of which only how often they were set counts.
    #[inline]
    pub(crate) fn pass<C: Coder>(&mut self, coder: &mut C, value: i32, expected: u32) -> i32 {
        let model = &mut self.model;
        let size = value.unsigned_abs();
        let length = u32::BITS - size.leading_zeros();
        model.open(u64::from(expected) | 1 << 42);
        let walk = (0..=2 * MOST_LENGTH)
            .map(|step| match (step.div_ceil(2), step % 2) {
                (away, 1) => expected + away,
                (away, _) => expected.wrapping_sub(away),
            })
            .filter(|&one| one <= MOST_LENGTH);
        let found = walk.enumerate().find(|&(place, one)| {
            let slot = (place + 1).min(15);
            model.decide(coder, u32::from(length != one), slot, slot, None) == 0
        });
        let length = found.map_or(0, |(_, one)| one);
        if length == 0 {
            return 0;
        }
        model.open(u64::from(length) | 1 << 43);
        let node = 16 * length as usize;
        let sign = model.decide(coder, u32::from(value < 0), 1, node + 1, None);
        let mut read = 1u32;
        for done in 0..length - 1 {
            let at = length - 2 - done;
            let given = size >> at & 1;
            let bit = if done < 2 {
                let slot = 2 << done | (read & done) as usize;
                model.decide(coder, given, slot, node + slot, None)
            } else {
                let share = &mut self.low[(length * 32 + at) as usize];
                let bit = coder.code(given, share.probability().clamp(1, 65535));
                share.update(bit, 255, &PACE);
                bit
            };
            read = read << 1 | bit;
        }
        if sign != 0 {
            -(read as i32)
        } else {
            read as i32
        }
    }
}
