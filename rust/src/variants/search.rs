//! What a writer finds out about a column before it tells it: from what numbers are best told as the difference, and which
//! circumstances are telling. A reader needs none of this.
//!
//! A sample of the column is looked at. What a way to tell it costs is estimated by counting: each number is a *token*, its
//! sign, length
//! and next two bits, and costs the logarithm of how often it came under the circumstances before, beside the bits below.

use super::column::{
    grained, step_of, weighted, Atom, Base, Column, How, Past, Plan, Rows, Sight, Source, GRAINS,
    HOWS, MEANS, MOST, MOST_BACK, MOST_CONTEXTS, POINT,
};
use crate::mix::{hash, Form};

/// How many numbers are looked at, in how many stretches of the column; and how many at first.
const SAMPLE: usize = 16384;
const THIN: usize = 4096;
const STRETCHES: usize = 8;
/// How many of them, where two columns together are tried as what is expected.
const FEW: usize = 400;
/// How many numbers are thought to have come as circumstances before let expect.
const TRUST: f32 = 1.5;
/// How many circumstances are left after the first look.
const LEFT: usize = 24;
/// So many bits are to be saved by a context, at least, and such a part of what the column costs.
const WORTH: f64 = 60.0;
const PART: f64 = 0.002;

#[derive(Default)]
pub(super) struct Search {
    /// Of each column that is known, how many decimals its numbers have; nothing of numbers that stand for texts.
    pub(super) scales: Vec<Option<u32>>,
}

/// The number that all are, if all are the same.
pub(super) fn constant(values: &[i32]) -> Option<i32> {
    let first = values.first().copied().unwrap_or(0);
    values.iter().all(|&value| value == first).then_some(first)
}

/// What is looked at of a column and those before it.
struct Sample<'a> {
    /// Places in the column.
    places: Vec<usize>,
    values: &'a [i32],
    /// What other columns say there.
    others: Vec<(usize, Vec<i32>)>,
}

/// Which of so many numbers are looked at.
fn places(count: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    let size = most / STRETCHES;
    let start = |stretch: usize| stretch * (count - size) / (STRETCHES - 1);
    (0..STRETCHES)
        .flat_map(|stretch| start(stretch)..start(stretch) + size)
        .collect()
}

/// A number as a token, and how many of its bits that leaves.
fn token(value: i32, is_rank: bool) -> (u8, u32) {
    let size = value.unsigned_abs();
    if is_rank {
        return (size.min(255) as u8, 0);
    }
    let length = 32 - size.leading_zeros();
    (
        (step_of(size) << 1 | u32::from(value < 0)) as u8,
        length.saturating_sub(3),
    )
}

/// A number of the column: its token, and beside that itself.
#[derive(Clone, Copy)]
struct Symbol {
    token: u8,
    /// Bits of the number that the token leaves.
    below: u32,
    value: i32,
}

/// How each number is expected: its token, and of the numbers with this token itself.
#[derive(Clone, Default)]
struct Shares {
    tokens: Vec<f32>,
    values: Vec<f32>,
}

/// Counts tokens and numbers under circumstances, each beside whose count it is.
struct Counts {
    totals: Vec<(u16, u16)>,
    tokens: Vec<(u16, u16)>,
    values: Vec<(u16, u16)>,
}

/// The count of what has this name; one of another is given up.
fn count_of(counts: &mut [(u16, u16)], name: u64) -> &mut u16 {
    let place = (name >> 40) as usize & (counts.len() - 1);
    let (whose, count) = &mut counts[place];
    if *whose != name as u16 {
        *whose = name as u16;
        *count = 0;
    }
    count
}

/// Sums up bits.
struct Bits {
    sum: f64,
    product: f64,
}

impl Bits {
    fn new() -> Self {
        Bits {
            sum: 0.0,
            product: 1.0,
        }
    }

    fn add(&mut self, share: f32) {
        self.product *= f64::from(share);
        if self.product < 1e-250 {
            self.sum -= self.product.log2();
            self.product = 1.0;
        }
    }

    fn total(&self) -> f64 {
        self.sum - self.product.log2()
    }
}

impl Counts {
    /// For so many symbols.
    fn new(symbols: usize) -> Self {
        let size = symbols.next_power_of_two();
        Counts {
            totals: vec![(0, 0); 2 * size],
            tokens: vec![(0, 0); 4 * size],
            values: vec![(0, 0); 4 * size],
        }
    }

    /// What symbols cost in bits under circumstances, if `below` is how they are expected otherwise; and how they are expected
    /// then.
    fn cost(
        &mut self,
        under: impl Iterator<Item = u64>,
        symbols: &[Symbol],
        below: &Shares,
        then: &mut Shares,
    ) -> f64 {
        self.totals.fill((0, 0));
        self.tokens.fill((0, 0));
        self.values.fill((0, 0));
        then.tokens.clear();
        then.values.clear();
        let mut bits = Bits::new();
        let (mut of_tokens, mut of_values) = (Belief::new(), Belief::new());
        for (at, (under, symbol)) in under.zip(symbols).enumerate() {
            let place = hash(under, 0);
            let total = count_of(&mut self.totals, place);
            let place = hash(place, u64::from(symbol.token));
            let count = count_of(&mut self.tokens, place);
            let share = of_tokens.share(*count, *total, below.tokens[at]);
            bits.add(share);
            then.tokens.push(share);
            let mut value = 1.0;
            if symbol.below > 0 {
                let place = hash(place, u64::from(symbol.value as u32));
                let times = count_of(&mut self.values, place);
                value = of_values.share(*times, *count, below.values[at]);
                bits.add(value);
                *times += 1;
            }
            then.values.push(value);
            *total += 1;
            *count += 1;
        }
        bits.total()
    }

    /// The same under no circumstances.
    fn plain(&mut self, symbols: &[Symbol], then: &mut Shares) -> f64 {
        let mut kinds = [false; 256];
        for symbol in symbols {
            kinds[usize::from(symbol.token)] = true;
        }
        let share = 1.0 / kinds.iter().filter(|&&one| one).count() as f32;
        let below = Shares {
            tokens: vec![share; symbols.len()],
            values: symbols
                .iter()
                .map(|symbol| 0.5f32.powi(symbol.below as i32))
                .collect(),
        };
        self.cost(symbols.iter().map(|_| 0), symbols, &below, then)
    }
}

/// How far counts are right, by how much was counted: the weight of their share beside what is expected otherwise.
struct Belief {
    weights: [f32; 16],
}

impl Belief {
    fn new() -> Self {
        Belief { weights: [0.5; 16] }
    }

    /// The share of what came so often of so many times, given how it is expected otherwise.
    fn share(&mut self, count: u16, total: u16, below: f32) -> f32 {
        if total == 0 {
            return below;
        }
        let level = total.ilog2() as usize;
        let total = f32::from(total);
        let counted = (f32::from(count).min(total) + TRUST * below) / (total + TRUST);
        let weight = &mut self.weights[level];
        let share = *weight * counted + (1.0 - *weight) * below;
        *weight = (*weight * counted / share).clamp(0.01, 0.99);
        share
    }
}

impl Search {
    /// How a column is told best.
    pub(super) fn plan(
        &self,
        known: &[Column],
        rows: &Rows,
        values: &[i32],
        scale: Option<u32>,
    ) -> Plan {
        let sample = Sample::of(known, rows, values);
        let bases = match scale {
            Some(scale) => self.bases(&sample, scale),
            None => vec![Base::Nothing],
        };
        let mut best: Option<(f64, Base)> = None;
        for base in bases {
            let cost = Trial::new(&sample, &base, scale.is_none()).first_look();
            if best.as_ref().is_none_or(|&(least, _)| cost < least) {
                best = Some((cost, base));
            }
        }
        let base = best.map_or(Base::Nothing, |(_, base)| base);
        let trial = Trial::new(&sample, &base, scale.is_none());
        let contexts = trial.contexts(values.len());
        let (mut negative, mut zeros, mut same) = (0, 0, 0);
        for (&place, symbol) in sample.places.iter().zip(&trial.symbols) {
            let left = symbol.value;
            negative += usize::from(left < 0);
            zeros += usize::from(left == 0);
            same += usize::from(left != 0 && place > 0 && values[place] == values[place - 1]);
        }
        let all = sample.places.len();
        let wide = scale.is_some() && base != Base::Before;
        let signed = negative > 0
            || 2 * zeros > all
            || base != Base::Nothing
            || values.iter().any(|&one| one < 0);
        Plan {
            base,
            repeats: wide
                && same * 25 > all
                && constant(values).is_none()
                && same * 25 > all - zeros,
            form: Form { signed, depth: 20 },
            limit: 255,
            contexts,
        }
    }

    /// What may be expected of a column: nothing, the number before, and what seems best of one and two other columns, and of
    /// several.
    fn bases(&self, sample: &Sample, scale: u32) -> Vec<Base> {
        let mut bases = vec![Base::Nothing, Base::Before];
        let numeric: Vec<(usize, &Vec<i32>, u32)> = sample
            .others
            .iter()
            .filter_map(|(column, said)| self.scales[*column].map(|scale| (*column, said, scale)))
            .collect();
        let step = (sample.places.len() / FEW).max(1);
        let few: Vec<usize> = (0..sample.places.len()).step_by(step).collect();
        let mut found: Vec<(f64, Base)> = Vec::new();
        let mut left = Vec::with_capacity(few.len());
        let mut sorted = Vec::new();
        for (number, &(one, first, of_first)) in numeric.iter().enumerate() {
            for (at, &(other, second, of_second)) in numeric.iter().enumerate() {
                for how in HOWS {
                    let is_tried = match how {
                        How::Same => at == number,
                        How::Sum | How::Least => at > number,
                        How::Difference | How::Quotient => at != number,
                    };
                    if !is_tried {
                        continue;
                    }
                    let aligned = of_first as i32 - of_second as i32;
                    let unit = scale as i32
                        - if how == How::Quotient {
                            0
                        } else {
                            of_first as i32
                        };
                    left.clear();
                    for &at in &few {
                        let said = how.say(first[at], second[at], aligned, unit);
                        left.push(i64::from(sample.values[sample.places[at]]) - said);
                    }
                    sorted.clone_from(&left);
                    let middle = sorted.len() / 2;
                    let (_, &mut constant, _) = sorted.select_nth_unstable(middle);
                    if constant.abs() > i64::from(MOST) {
                        continue;
                    }
                    let cost: f64 = left.iter().map(|&one| size_of(one - constant)).sum();
                    let base = Base::Of {
                        how,
                        columns: [one, other],
                        aligned,
                        unit,
                        constant: constant as i32,
                    };
                    found.push((cost, base));
                }
            }
        }
        for &(column, said, _) in &numeric {
            let ratio = |at: &usize| {
                let (one, value) = (
                    i64::from(said[*at]),
                    i64::from(sample.values[sample.places[*at]]),
                );
                let is_said = said[*at] != i32::MIN && one != 0 && value != 0;
                is_said
                    .then(|| (value << POINT) / one)
                    .filter(|ratio| ratio.abs() < i64::from(MOST))
            };
            sorted.clear();
            sorted.extend(few.iter().filter_map(ratio));
            if 4 * sorted.len() < few.len() {
                continue;
            }
            let middle = sorted.len() / 2;
            let (_, &mut weight, _) = sorted.select_nth_unstable(middle);
            let terms = vec![(column, weight as i32)];
            let cost = few.iter().map(|&at| {
                let value = i64::from(sample.values[sample.places[at]]);
                size_of(value - weighted(&terms, 0, &[said[at]]))
            });
            let cost = cost.sum();
            found.push((cost, Base::Weighted { terms, constant: 0 }));
        }
        found.sort_by(|one, other| one.0.total_cmp(&other.0));
        bases.extend(found.into_iter().take(3).map(|(_, base)| base));
        bases.extend(fitted(sample, &numeric));
        bases
    }
}

/// Roughly the bits of a number.
fn size_of(left: i64) -> f64 {
    (left.unsigned_abs() as f64 + 1.0).log2() + f64::from(u8::from(left != 0))
}

/// The weighted sum of up to four columns that comes closest by least squares.
fn fitted(sample: &Sample, numeric: &[(usize, &Vec<i32>, u32)]) -> Option<Base> {
    let count = sample.places.len();
    let target: Vec<f64> = sample
        .places
        .iter()
        .map(|&place| f64::from(sample.values[place]))
        .collect();
    let candidates: Vec<(usize, Vec<f64>)> = numeric
        .iter()
        .filter(|(_, said, _)| said.iter().filter(|&&one| one == i32::MIN).count() * 50 < count)
        .map(|&(column, said, _)| {
            let said = said
                .iter()
                .map(|&one| if one == i32::MIN { 0.0 } else { f64::from(one) });
            (column, said.collect())
        })
        .collect();
    let mut chosen: Vec<usize> = Vec::new();
    let mut weights = vec![target.iter().sum::<f64>() / count as f64];
    let mut error = squares(&target, &weights, &chosen, &candidates);
    for _ in 0..3 {
        let left: Vec<f64> = left_of(&target, &weights, &chosen, &candidates).collect();
        let next = (0..candidates.len())
            .filter(|one| !chosen.contains(one))
            .map(|one| (correlation(&left, &candidates[one].1), one))
            .max_by(|one, other| one.0.total_cmp(&other.0));
        let Some((_, next)) = next else { break };
        let mut tried = chosen.clone();
        tried.push(next);
        let Some(solved) = solve(&target, &tried, &candidates) else {
            break;
        };
        let less = squares(&target, &solved, &tried, &candidates);
        if less > error * 0.97 {
            break;
        }
        (chosen, weights, error) = (tried, solved, less);
    }
    let unit = f64::from(1 << POINT);
    let fits = |weight: f64| (weight * unit).abs() < f64::from(MOST);
    let is_small = weights[1..].iter().all(|&one| fits(one)) && weights[0].abs() < f64::from(MOST);
    if chosen.is_empty() || !is_small {
        return None;
    }
    let terms = chosen.iter().zip(&weights[1..]);
    let terms: Vec<(usize, i32)> = terms
        .map(|(&one, weight)| (candidates[one].0, (weight * unit).round() as i32))
        .collect();
    // the constant by the median, since a few numbers that lie far off move the mean
    let mut left: Vec<i64> = (0..count)
        .map(|at| {
            let seen: Vec<i32> = chosen
                .iter()
                .map(|&one| candidates[one].1[at] as i32)
                .collect();
            i64::from(sample.values[sample.places[at]]) - weighted(&terms, 0, &seen)
        })
        .collect();
    let (_, &mut constant, _) = left.select_nth_unstable(count / 2);
    let constant = i32::try_from(constant)
        .ok()
        .filter(|one| one.abs() < MOST)?;
    Some(Base::Weighted { terms, constant })
}

fn left_of<'a>(
    target: &'a [f64],
    weights: &'a [f64],
    chosen: &'a [usize],
    candidates: &'a [(usize, Vec<f64>)],
) -> impl Iterator<Item = f64> + 'a {
    target.iter().enumerate().map(move |(at, &value)| {
        let terms = chosen.iter().zip(&weights[1..]);
        value
            - weights[0]
            - terms
                .map(|(&one, weight)| weight * candidates[one].1[at])
                .sum::<f64>()
    })
}

fn squares(
    target: &[f64],
    weights: &[f64],
    chosen: &[usize],
    candidates: &[(usize, Vec<f64>)],
) -> f64 {
    left_of(target, weights, chosen, candidates)
        .map(|one| one * one)
        .sum()
}

fn correlation(one: &[f64], other: &[f64]) -> f64 {
    let count = one.len() as f64;
    let (first, second) = (
        one.iter().sum::<f64>() / count,
        other.iter().sum::<f64>() / count,
    );
    let (mut both, mut own, mut its) = (0.0, 1e-9, 1e-9);
    for (a, b) in one.iter().zip(other) {
        both += (a - first) * (b - second);
        own += (a - first) * (a - first);
        its += (b - second) * (b - second);
    }
    both * both / (own * its)
}

/// Weights of a constant and the chosen columns, by Gauss' elimination.
fn solve(target: &[f64], chosen: &[usize], candidates: &[(usize, Vec<f64>)]) -> Option<Vec<f64>> {
    let size = chosen.len() + 1;
    let mut rows = vec![vec![0.0; size + 1]; size];
    for (at, &value) in target.iter().enumerate() {
        let mut terms = vec![1.0];
        terms.extend(chosen.iter().map(|&one| candidates[one].1[at]));
        for (row, &one) in rows.iter_mut().zip(&terms) {
            for (cell, &other) in row.iter_mut().zip(&terms) {
                *cell += one * other;
            }
            row[size] += one * value;
        }
    }
    for pivot in 0..size {
        let best =
            (pivot..size).max_by(|&a, &b| rows[a][pivot].abs().total_cmp(&rows[b][pivot].abs()))?;
        rows.swap(pivot, best);
        let by = rows[pivot][pivot];
        if by.abs() < 1e-6 {
            return None;
        }
        let told = rows[pivot].clone();
        for (number, row) in rows.iter_mut().enumerate() {
            if number != pivot {
                let times = row[pivot] / by;
                row.iter_mut()
                    .zip(&told)
                    .for_each(|(cell, one)| *cell -= times * one);
            }
        }
    }
    Some(
        (0..size)
            .map(|one| rows[one][size] / rows[one][one])
            .collect(),
    )
}

impl<'a> Sample<'a> {
    fn of(known: &[Column], rows: &Rows, values: &'a [i32]) -> Self {
        let places = places(values.len(), SAMPLE);
        let others = known
            .iter()
            .enumerate()
            .filter(|(_, column)| column.constant.is_none() && !column.rows.is_empty());
        let others = others.filter_map(|(number, column)| {
            let mut sight = Sight::new(column, rows);
            let said: Vec<i32> = places
                .iter()
                .map(|&place| sight.see(place, rows[place]))
                .collect();
            constant(&said).is_none().then_some((number, said))
        });
        let others = others.collect();
        Sample {
            places,
            values,
            others,
        }
    }
}

/// What a column costs under each circumstance alone, the best first, and under none.
struct Look<'a> {
    plain: f64,
    found: Vec<(f64, Atom, &'a Vec<i32>)>,
}

/// A way to tell a column, and what it costs.
struct Trial<'a> {
    sample: &'a Sample<'a>,
    symbols: Vec<Symbol>,
    /// What is known of each number beside other columns.
    own: Vec<(Source, Vec<i32>)>,
}

impl<'a> Trial<'a> {
    fn new(sample: &'a Sample<'a>, base: &Base, is_rank: bool) -> Self {
        let columns = base.columns();
        let said: Vec<Option<&Vec<i32>>> = columns
            .iter()
            .map(|column| {
                sample
                    .others
                    .iter()
                    .find(|(one, _)| one == column)
                    .map(|(_, said)| said)
            })
            .collect();
        let sources = (1..=MOST_BACK)
            .flat_map(|back| [Source::Own(back), Source::Left(back)])
            .chain((0..MEANS.len()).map(|which| Source::Mean(which as u32)))
            .chain([Source::Expected]);
        let is_plain = *base == Base::Nothing;
        let mut own: Vec<(Source, Vec<i32>)> = sources
            .filter(|source| !(is_plain && matches!(source, Source::Left(_) | Source::Expected)))
            .filter(|source| !(is_rank && matches!(source, Source::Mean(_))))
            .map(|source| (source, Vec::with_capacity(sample.places.len())))
            .collect();
        let mut trial = Trial {
            sample,
            symbols: Vec::with_capacity(sample.places.len()),
            own: Vec::new(),
        };
        let mut past = Past::default();
        let mut seen = vec![0; columns.len()];
        for (at, &place) in sample.places.iter().enumerate() {
            for (one, said) in seen.iter_mut().zip(&said) {
                *one = said.map_or(i32::MIN, |said| said[at]);
            }
            let before = place
                .checked_sub(1)
                .map_or(0, |before| sample.values[before]);
            let expected = base.say(before, &seen);
            let value = sample.values[place];
            let left = value.wrapping_sub(expected);
            for (source, known) in &mut own {
                known.push(past.say(*source, expected));
            }
            past.see(value, left);
            let (token, below) = token(left, is_rank);
            trial.symbols.push(Symbol {
                token,
                below,
                value: left,
            });
        }
        trial.own = own;
        trial
    }

    /// A look at a part of the sample.
    fn look(&self) -> Look<'_> {
        let step = (self.symbols.len() / THIN).max(1);
        let symbols: Vec<Symbol> = self.symbols.iter().copied().step_by(step).collect();
        let mut counts = Counts::new(symbols.len());
        let (mut below, mut then) = (Shares::default(), Shares::default());
        let plain = counts.plain(&symbols, &mut below);
        let others = self
            .sample
            .others
            .iter()
            .map(|(column, said)| (Source::Column(*column), said));
        let own = self.own.iter().map(|(source, said)| (*source, said));
        let mut found = Vec::new();
        for (source, said) in own.chain(others) {
            let is_small = |&one: &i32| one == i32::MIN || one.unsigned_abs() < 8;
            let grains = if said.iter().all(is_small) { 1 } else { GRAINS };
            for grain in 0..grains {
                let under = said
                    .iter()
                    .step_by(step)
                    .map(|&one| u64::from(grained(one, grain)));
                let cost = counts.cost(under, &symbols, &below, &mut then);
                found.push((cost, Atom { source, grain }, said));
            }
        }
        found.sort_by(|one, other| one.0.total_cmp(&other.0));
        Look { plain, found }
    }

    /// What it costs with the best of all circumstances.
    fn first_look(&self) -> f64 {
        let Look { plain, found } = self.look();
        found.first().map_or(plain, |&(cost, ..)| cost.min(plain))
    }

    /// The contexts that are worth it, each circumstances that add to those before.
    fn contexts(&self, count: usize) -> Vec<Vec<Atom>> {
        let (mut below, mut then, mut best_then) =
            (Shares::default(), Shares::default(), Shares::default());
        let mut counts = Counts::new(self.symbols.len());
        let mut cost = counts.plain(&self.symbols, &mut below);
        let grained =
            |said: &Vec<i32>, grain| said.iter().map(|&one| grained(one, grain)).collect();
        let Look { found, .. } = self.look();
        let best = found.into_iter().take(LEFT);
        let atoms: Vec<(Atom, Vec<u32>)> = best
            .map(|(_, atom, said)| (atom, grained(said, atom.grain)))
            .collect();
        let whole = count as f64 / self.symbols.len() as f64;
        let mut contexts: Vec<Vec<Atom>> = Vec::new();
        let mut chain: Vec<u64> = vec![0; self.symbols.len()];
        let mut on_chain: Vec<Atom> = Vec::new();
        while contexts.len() + 1 < MOST_CONTEXTS {
            let mut best: Option<(f64, bool, usize)> = None;
            for (number, (atom, said)) in atoms.iter().enumerate() {
                for longer in [true, false] {
                    let is_old = |context: &Vec<Atom>| context.as_slice() == [*atom];
                    if longer
                        && (on_chain.is_empty() || on_chain.len() == 4 || on_chain.contains(atom))
                        || !longer && contexts.iter().any(is_old)
                    {
                        continue;
                    }
                    let under = chain.iter().zip(said).map(|(&one, &other)| {
                        let one = if longer { one } else { 0 };
                        hash(one, u64::from(other) + 1)
                    });
                    let cost = counts.cost(under, &self.symbols, &below, &mut then);
                    if best.is_none_or(|(least, ..)| cost < least) {
                        best = Some((cost, longer, number));
                        std::mem::swap(&mut then, &mut best_then);
                    }
                }
            }
            let Some((less, longer, number)) = best else {
                break;
            };
            if (cost - less) * whole < WORTH + PART * cost * whole {
                break;
            }
            cost = less;
            let (atom, said) = &atoms[number];
            if !longer {
                chain.fill(0);
                on_chain.clear();
            }
            for (one, &other) in chain.iter_mut().zip(said) {
                *one = hash(*one, u64::from(other) + 1);
            }
            on_chain.push(*atom);
            contexts.push(on_chain.clone());
            std::mem::swap(&mut below, &mut best_then);
        }
        contexts
    }
}
