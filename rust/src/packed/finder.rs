//! Which token zlib, and gzip before it, would take next: chains of places whose next three bytes are alike, and a look ahead.

use super::blocks::{Token, LEAST_MATCH, MOST_MATCH, WINDOW};

/// How far back zlib looks at most: it keeps room for the longest match.
const FARTHEST: usize = WINDOW - (MOST_MATCH + LEAST_MATCH + 1);
/// Beyond this three bytes are no match that saves anything.
const TOO_FAR: usize = 4096;
/// Places that are looked at to say which of several a match is.
const MOST_HOPS: usize = 4096;

/// How hard a writer looks.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Style {
    /// From this length on the look ahead is shorter.
    good: usize,
    /// Matches shorter than this are taken only if the next place has no longer one; of a greedy writer, those longer than
    /// this leave the places inside out.
    lazy: usize,
    /// From this length on nothing better is looked for.
    nice: usize,
    /// Places that are looked at.
    chain: usize,
    is_lazy: bool,
}

const fn style(good: usize, lazy: usize, nice: usize, chain: usize, is_lazy: bool) -> Style {
    Style {
        good,
        lazy,
        nice,
        chain,
        is_lazy,
    }
}

/// The levels of zlib from 1 to 9; before them a writer that never looks.
pub(super) const STYLES: [Style; 10] = [
    style(0, 0, 0, 0, false),
    style(4, 4, 8, 4, false),
    style(4, 5, 16, 8, false),
    style(4, 6, 32, 32, false),
    style(4, 4, 16, 16, true),
    style(8, 16, 32, 32, true),
    style(8, 16, 128, 128, true),
    style(8, 32, 128, 256, true),
    style(32, 128, 258, 1024, true),
    style(32, 258, 258, 4096, true),
];

/// A text, and where in it three bytes were seen before.
#[derive(Clone)]
pub(super) struct Finder<'a> {
    text: &'a [u8],
    style: Style,
    /// By the hash of three bytes, the last place with it; 0 if there is none, so that the first place is never found.
    heads: Vec<u32>,
    /// By place modulo the window, the place before with the same hash.
    before: Vec<u32>,
    /// Places before this one are in the chains.
    seen: usize,
    /// The match at the next place that made this one a literal.
    pending: Option<(usize, usize)>,
    pub(super) at: usize,
}

impl<'a> Finder<'a> {
    pub(super) fn new(text: &'a [u8], style: Style) -> Self {
        Finder {
            text,
            style,
            heads: vec![0; WINDOW],
            before: vec![0; WINDOW],
            seen: 0,
            pending: None,
            at: 0,
        }
    }

    /// The same in a text that goes on: of this one so many bytes less at its start, which are whole windows farther back than
    /// anything is looked for.
    pub(super) fn moved<'b>(self, text: &'b [u8], dropped: usize) -> Finder<'b> {
        let nearer = |places: Vec<u32>| {
            let places = places.into_iter();
            places
                .map(|place| place.saturating_sub(dropped as u32))
                .collect()
        };
        Finder {
            text,
            style: self.style,
            heads: nearer(self.heads),
            before: nearer(self.before),
            seen: self.seen.saturating_sub(dropped),
            pending: self.pending,
            at: self.at - dropped,
        }
    }

    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }

    pub(super) fn left(&self) -> usize {
        self.text.len() - self.at
    }

    #[inline]
    fn see_before(&mut self, end: usize) {
        let end = end.min(self.text.len().saturating_sub(LEAST_MATCH - 1));
        for place in self.seen..end {
            let [one, two, three] = [0, 1, 2].map(|offset| usize::from(self.text[place + offset]));
            let hash = (one << 10 ^ two << 5 ^ three) & (WINDOW - 1);
            self.before[place % WINDOW] = self.heads[hash];
            self.heads[hash] = place as u32;
        }
        self.seen = self.seen.max(end);
    }

    /// How many bytes are alike here and so far back.
    #[inline]
    fn common(&self, at: usize, from: usize, most: usize) -> usize {
        let one = &self.text[at..at + most];
        let other = &self.text[from..from + most];
        let (ones, rest) = one.as_chunks::<8>();
        let (others, _) = other.as_chunks::<8>();
        for (place, (a, b)) in ones.iter().zip(others).enumerate() {
            let differ = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
            if differ != 0 {
                return place * 8 + differ.trailing_zeros() as usize / 8;
            }
        }
        let whole = most - rest.len();
        whole
            + (whole..most)
                .take_while(|&place| one[place] == other[place])
                .count()
    }

    /// The places before this one with the same hash, the nearest first, as far as zlib follows them.
    #[inline]
    fn chain(&self, at: usize) -> impl Iterator<Item = usize> + use<'_, 'a> {
        let limit = at.saturating_sub(FARTHEST);
        let first = self.before[at % WINDOW] as usize;
        let first = (first > 0 && at - first <= FARTHEST).then_some(first);
        std::iter::successors(first, move |&place| {
            let next = self.before[place % WINDOW] as usize;
            (next > limit && next < place).then_some(next)
        })
    }

    /// The first of the longest matches here that are longer than `least`.
    fn longest(&mut self, at: usize, least: usize, hops: usize) -> Option<(usize, usize)> {
        let most = (self.text.len() - at).min(MOST_MATCH);
        if most < LEAST_MATCH {
            return None;
        }
        self.see_before(at + 1);
        let nice = self.style.nice.min(most);
        let mut best = (least, 0);
        for place in self.chain(at).take(hops) {
            // a longer one goes on where the best ends
            if best.0 < most && self.text[place + best.0] != self.text[at + best.0] {
                continue;
            }
            let length = self.common(at, place, most);
            if length > best.0 {
                best = (length, at - place);
                if length >= nice {
                    break;
                }
            }
        }
        (best.1 > 0).then_some(best)
    }

    /// The token that is expected next, and the longest match that was found here, if any.
    pub(super) fn expect(&mut self) -> (Token, usize) {
        let Style {
            good,
            lazy,
            chain,
            is_lazy,
            ..
        } = self.style;
        let fresh = match self.pending.take() {
            Some(found) => Some(found),
            None => self.longest(self.at, LEAST_MATCH - 1, chain),
        };
        let found = fresh
            .filter(|&(length, distance)| !is_lazy || length > LEAST_MATCH || distance <= TOO_FAR);
        let Some((length, distance)) = found else {
            return (Token::LITERAL, 0);
        };
        if is_lazy && length < lazy {
            let hops = if length >= good { chain >> 2 } else { chain };
            let next = self.longest(self.at + 1, length, hops);
            if next.is_some() {
                self.pending = next;
                return (Token::LITERAL, length);
            }
        }
        (Token::matched(length, distance), length)
    }

    /// This is the token that is there.
    pub(super) fn go(&mut self, token: Token) {
        let end = self.at + token.size();
        if token.length > 0 {
            self.pending = None;
            if !self.style.is_lazy && usize::from(token.length) > self.style.lazy {
                self.see_before(self.at + 1);
                self.seen = self.seen.max(end);
            }
        }
        if self.style.chain > 0 {
            self.see_before(end);
        }
        self.at = end;
    }

    /// So many bytes are there that belong to no token.
    pub(super) fn skip(&mut self, size: usize) {
        self.pending = None;
        self.see_before(self.at + size);
        self.at += size;
    }

    /// How many places are passed that match as far as this one, on the way to it; none if it is not on the way.
    pub(super) fn hops_to(&mut self, token: Token) -> Option<usize> {
        self.alike(usize::from(token.length))
            .position(|distance| distance == usize::from(token.distance))
    }

    /// How far back the match lies on the way to which so many that match as far are passed.
    pub(super) fn after_hops(&mut self, length: usize, hops: usize) -> Option<usize> {
        self.alike(length).nth(hops)
    }

    /// How far back the places lie that match so far, the nearest first.
    fn alike(&mut self, length: usize) -> impl Iterator<Item = usize> + use<'_, 'a> {
        let at = self.at;
        let most = if length <= self.left() && self.left() >= LEAST_MATCH {
            self.see_before(at + 1);
            MOST_HOPS
        } else {
            0
        };
        let here: &Self = self;
        here.chain(at)
            .take(most)
            .filter(move |&place| here.common(at, place, length) == length)
            .map(move |place| at - place)
    }
}
