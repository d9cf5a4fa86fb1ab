//! Text that no field tells: the lines before the rows, and what is said for the first time.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::mix::{hash, plain, Coder, Learner, Model};

/// How the files of the known services begin; everybody has read it before.
const HEADERS: &[u8] = include_bytes!("headers.txt");
/// Letters of which the place is found again where the same ones stood before.
const MATCHED: usize = 6;
const CONTEXTS: usize = 8;
const BITS: u32 = 12;

pub(super) struct Letters {
    model: Model,
    text: Vec<u8>,
    latest: HashMap<u64, usize>,
    /// Where the letters go on that are the same as the last ones, and how many were the same.
    candidate: usize,
    length: usize,
}

static READ: LazyLock<Letters> = LazyLock::new(|| {
    let mut letters = Letters {
        model: Model::new(CONTEXTS, BITS, 255),
        text: vec![b'\n'],
        latest: HashMap::new(),
        candidate: 0,
        length: 0,
    };
    for &letter in HEADERS {
        letters.letter(&mut Learner, letter, 0);
    }
    letters.model.rest();
    letters
});

impl Letters {
    /// After everybody's reading.
    pub(super) fn new() -> Self {
        Letters {
            model: READ.model.fresh(),
            text: READ.text.clone(),
            latest: READ.latest.clone(),
            candidate: READ.candidate,
            length: READ.length,
        }
    }

    /// Letters up to a line's end, which is none of them, appended to what is there; `of` says what they are about.
    pub(super) fn pass<C: Coder>(
        &mut self,
        coder: &mut C,
        given: Option<&[u8]>,
        of: u64,
        most: usize,
        into: &mut Vec<u8>,
    ) -> bool {
        for place in 0.. {
            let given = given.map_or(0, |text| text.get(place).copied().unwrap_or(b'\n'));
            let letter = self.letter(coder, given, of);
            if letter == b'\n' {
                return true;
            }
            if place >= most || coder.is_exhausted() {
                break;
            }
            into.push(letter);
        }
        false
    }

    fn letter<C: Coder>(&mut self, coder: &mut C, letter: u8, of: u64) -> u8 {
        let end = self.text.len();
        let mut sum = 1;
        for order in 0..6 {
            self.model.hashes[order] = sum;
            sum = hash(
                sum,
                u64::from(*self.text.get(end.wrapping_sub(order + 1)).unwrap_or(&0)) + 1,
            );
        }
        self.model.hashes[6] = hash(of, 2);
        self.model.hashes[7] = hash(
            self.expected().map_or(0, u64::from),
            3 + self.length.min(32) as u64,
        );
        let guess = self
            .expected()
            .map(|letter| (u32::from(letter), self.length.min(15)));
        let letter = plain(&mut self.model, coder, u32::from(letter), 8, guess) as u8;
        self.see(letter);
        letter
    }

    fn expected(&self) -> Option<u8> {
        (self.length > 0).then(|| self.text[self.candidate])
    }

    fn see(&mut self, letter: u8) {
        if self.expected() == Some(letter) {
            self.candidate += 1;
            self.length += 1;
        } else {
            self.length = 0;
        }
        self.text.push(letter);
        let Some(last) = self.text.last_chunk::<MATCHED>() else {
            return;
        };
        let key = last
            .iter()
            .fold(7, |sum, &letter| hash(sum, u64::from(letter)));
        let found = self.latest.insert(key, self.text.len());
        if let (0, Some(found)) = (self.length, found) {
            self.candidate = found;
            self.length = 1;
        }
    }
}
