//! Where a text is cut, so that the same lines give the same cuts wherever they have moved to.
//!
//! What stands before the end of a line is hashed (a gear hash, which sees 64 bytes); the largest hash says where to cut.

use pyo3::prelude::*;

/// Bytes that a hash sees.
const SEEN: usize = 64;

/// A number for each byte, by splitmix64.
const GEAR: [u64; 256] = gear();

const fn gear() -> [u64; 256] {
    let mut table = [0; 256];
    let mut place = 0;
    while place < 256 {
        let mut mixed = (place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[place] = mixed ^ (mixed >> 31);
        place += 1;
    }
    table
}

/// Behind which line to cut: of those that end at or behind `least`, the one before whose end the largest hash stands, the last of
/// equal ones; 0 if none ends there.
fn find_cut(text: &[u8], least: usize) -> usize {
    let (mut hash, mut largest, mut found) = (0u64, 0, 0);
    let begin = least.saturating_sub(SEEN + 1);
    for (place, &byte) in text.iter().enumerate().skip(begin) {
        if byte == b'\n' && place + 1 >= least && hash >= largest {
            (largest, found) = (hash, place + 1);
        }
        hash = (hash << 1).wrapping_add(GEAR[byte as usize]);
    }
    found
}

/// [`find_cut`], for Python.
#[pyfunction]
pub(crate) fn lines_cut(python: Python<'_>, text: &[u8], least: usize) -> usize {
    python.detach(|| find_cut(text, least))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_lines_are_cut_at_the_same_place_wherever_they_are() {
        let text: Vec<u8> = (0..400u32)
            .flat_map(|number| {
                format!("line {}\n", number.wrapping_mul(2_654_435_761)).into_bytes()
            })
            .collect();
        let cut = find_cut(&text, 1000);
        let moved = [b"other\n".as_slice(), &text].concat();
        assert!(cut >= 1000 && text[cut - 1] == b'\n');
        assert_eq!(find_cut(&moved, 1000), cut + 6);
    }

    #[test]
    fn what_has_no_line_there_is_not_cut() {
        assert_eq!(find_cut(b"", 0), 0);
        assert_eq!(find_cut(b"a\nbbbb", 3), 0);
        assert_eq!(find_cut(b"a\nbbbb\n", 7), 7);
        assert_eq!(find_cut(b"a\n", 9), 0);
        assert_eq!(find_cut(&[b'\n'; 200], 100), 200);
    }
}
