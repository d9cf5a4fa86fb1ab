//! A document in JSON that comes in pieces: where the elements of its list begin and end, and where it is cut.
//!
//! The *list* is the value of the member `entry` of the object that the document is. Nothing else is understood than strings, escapes
//! and how deep one is; any bytes are gone through, whether they are JSON or not.

use pyo3::prelude::*;

/// How the list is called.
const NAME: &[u8] = b"entry";

/// What ends at a byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mark {
    /// What stands before the elements: the byte opens the list.
    Open,
    /// An element: the byte is the comma behind it.
    Next,
    /// The last element: the byte closes the list.
    Close,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Before,
    Inside,
    Behind,
}

/// How far a document has been read.
#[derive(Clone, Copy)]
struct Scanner {
    place: Place,
    depth: u64,
    in_string: bool,
    escaped: bool,
    /// How many bytes of the string at hand are those of the name; none if it is another.
    alike: Option<usize>,
    /// The last token was a string of that name.
    named: bool,
    /// And a colon has followed it.
    colon: bool,
    /// Of the element so far.
    hash: u64,
}

impl Scanner {
    const fn new() -> Self {
        Scanner {
            place: Place::Before,
            depth: 0,
            in_string: false,
            escaped: false,
            alike: None,
            named: false,
            colon: false,
            hash: 0,
        }
    }

    fn string_byte(&mut self, byte: u8) {
        if self.escaped {
            self.escaped = false;
        } else if byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.in_string = false;
            self.named = self.depth == 1 && self.alike == Some(NAME.len());
            return;
        }
        self.alike = self
            .alike
            .filter(|&count| NAME.get(count) == Some(&byte))
            .map(|count| count + 1);
    }

    fn step(&mut self, byte: u8) -> Option<Mark> {
        self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if self.in_string {
            self.string_byte(byte);
            return None;
        }
        let (named, colon) = (self.named, self.colon);
        (self.named, self.colon) = (false, false);
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => (self.named, self.colon) = (named, colon),
            b'"' => (self.in_string, self.alike) = (true, Some(0)),
            b':' => self.colon = named,
            b'[' | b'{' => {
                self.depth += 1;
                if byte == b'[' && colon && self.place == Place::Before {
                    self.place = Place::Inside;
                    return Some(Mark::Open);
                }
            }
            b']' | b'}' => {
                self.depth = self.depth.saturating_sub(1);
                if self.place == Place::Inside && self.depth == 1 {
                    self.place = Place::Behind;
                    return Some(Mark::Close);
                }
            }
            b',' if self.place == Place::Inside && self.depth == 2 => return Some(Mark::Next),
            _ => {}
        }
        None
    }

    /// Go on behind the next mark; where that is, or nothing if all was gone through.
    fn mark(&mut self, text: &[u8], start: usize) -> Option<usize> {
        let rest = text.get(start..)?;
        let found = rest.iter().position(|&byte| self.step(byte).is_some());
        found.map(|place| start + place + 1)
    }

    /// Where a part ends that begins where one is, and go on there. It is what stands before the elements, or whole elements
    /// with the comma and the spaces behind each; these end with the list or, of the places that are no more than `most` bytes on,
    /// at the one behind the element with the largest hash of all its bytes that is at or behind `least`; if there is none, at the
    /// last before it, or else at the first behind `most`. 0, and one stays where one is, if there is no such place.
    fn cut(&mut self, text: &[u8], least: usize, most: usize) -> usize {
        let mut scanner = *self;
        let (mut largest, mut found) = (0, None);
        let mut ended: Option<(Mark, u64)> = None;
        for (place, &byte) in text.iter().enumerate() {
            if place > most && found.is_some() {
                break;
            }
            let is_space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
            if let (Some((mark, hash)), false) = (ended, is_space) {
                ended = None;
                if mark == Mark::Open || place > most {
                    found = Some((place, scanner));
                    break;
                }
                if place < least || hash >= largest {
                    largest = if place < least { 0 } else { hash };
                    found = Some((place, scanner));
                }
                scanner.hash = 0;
            }
            let (before, hash) = (scanner, scanner.hash);
            match scanner.step(byte) {
                Some(Mark::Close) if place > 0 => {
                    found = Some((place, before));
                    break;
                }
                Some(mark @ (Mark::Open | Mark::Next)) => ended = Some((mark, hash)),
                _ => {}
            }
        }
        let Some((end, scanner)) = found else {
            return 0;
        };
        *self = scanner;
        self.hash = 0;
        end
    }
}

/// A document that is read once, from its beginning to its end.
#[pyclass(module = "edgehold._native")]
pub(crate) struct ElementScanner {
    scanner: Scanner,
}

#[pymethods]
impl ElementScanner {
    #[new]
    fn new() -> Self {
        ElementScanner {
            scanner: Scanner::new(),
        }
    }

    /// [`Scanner::mark`].
    fn mark(&mut self, python: Python<'_>, text: &[u8], start: usize) -> Option<usize> {
        python.detach(|| self.scanner.mark(text, start))
    }

    /// [`Scanner::cut`].
    fn cut(&mut self, python: Python<'_>, text: &[u8], least: usize, most: usize) -> usize {
        python.detach(|| self.scanner.cut(text, least, most))
    }

    /// Go through all of it.
    fn skip(&mut self, python: Python<'_>, text: &[u8]) {
        python.detach(|| {
            for &byte in text {
                self.scanner.step(byte);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(text: &[u8]) -> Vec<usize> {
        let mut scanner = Scanner::new();
        let mut found = vec![0];
        while let Some(end) = scanner.mark(text, found[found.len() - 1]) {
            found.push(end);
        }
        found.split_off(1)
    }

    fn cuts(text: &[u8], least: usize, most: usize) -> Vec<&str> {
        let (mut scanner, mut at, mut found) = (Scanner::new(), 0, Vec::new());
        while at < text.len() {
            let end = match scanner.cut(&text[at..], least, most) {
                0 => text.len() - at,
                end => end,
            };
            found.push(std::str::from_utf8(&text[at..at + end]).unwrap());
            at += end;
        }
        found
    }

    #[test]
    fn elements_end_where_their_list_says_so() {
        let text = br#"{"a":["entry",{"entry":[1,2]}],"b":"entry", "entry" : [{"c":"],\""}, [3,4]],"entry":[5]}"#;
        let ends: Vec<&str> = marks(text)
            .iter()
            .map(|&end| std::str::from_utf8(&text[end - 7..end]).unwrap())
            .collect();
        assert_eq!(
            ends,
            [r#"try" : ["#, r#""],\""},"#, " [3,4]]"].map(|end| &end[end.len() - 7..])
        );
        assert!(marks(b"[[1,2]]").is_empty());
        assert!(
            marks(br#"{"entry":{"a":[1]},"entrye":[1],"entr":[1],"\u0065ntry":[1]}"#).is_empty()
        );
        assert!(marks(br#"{"entry\":[1,2]"#).is_empty());
        assert!(marks(b"]]]}}}\"").is_empty());
    }

    #[test]
    fn what_comes_in_pieces_has_the_same_elements() {
        let text = br#" {"x":"\"entry\":[","entry" : [ {"a\\":"b"} , [1] ,2 ] , "y":[1,2]}"#;
        let whole = marks(text);
        let (mut scanner, mut found) = (Scanner::new(), Vec::new());
        for (place, byte) in text.iter().enumerate() {
            if scanner.mark(&[*byte], 0).is_some() {
                found.push(place + 1);
            }
        }
        assert_eq!((whole.len(), found), (4, whole));
        assert_eq!(Scanner::new().mark(b"a", 2), None);
    }

    #[test]
    fn parts_are_whole_elements() {
        let text = r#"{"entry":[ {"a":1}, {"b":2},{"c":3} ],"d":4}"#;
        let expected = [
            r#"{"entry":[ "#,
            r#"{"a":1}, {"b":2},{"c":3} "#,
            r#"],"d":4}"#,
        ];
        assert_eq!(cuts(text.as_bytes(), 100, 200), expected);
        let expected = [
            r#"{"entry":[ "#,
            r#"{"a":1}, "#,
            r#"{"b":2},"#,
            r#"{"c":3} "#,
            r#"],"d":4}"#,
        ];
        assert_eq!(cuts(text.as_bytes(), 3, 9), expected);
        assert_eq!(cuts(text.as_bytes(), 0, 1), expected);
        assert_eq!(cuts(br#"{"entry":[]}"#, 1, 2), [r#"{"entry":["#, "]}"]);
        assert_eq!(cuts(br#"{"entry":[  "#, 1, 2), [r#"{"entry":[  "#]);
        assert_eq!(cuts(b"[1,2]", 1, 2), ["[1,2]"]);
    }

    #[test]
    fn the_same_elements_are_cut_at_the_same_place_wherever_they_are() {
        let elements: Vec<String> = (0..400u32)
            .map(|number| format!("{{\"id\":{}}},\n", number.wrapping_mul(2_654_435_761)))
            .collect();
        let list = elements.concat();
        let text = format!("{{\"entry\":[{list}1]}}");
        let moved = format!("{{\"entry\":[{{}}, {list}1]}}");
        let (parts, others) = (
            cuts(text.as_bytes(), 500, 2000),
            cuts(moved.as_bytes(), 500, 2000),
        );
        assert!(parts.len() > 4 && parts.concat() == text && others.concat() == moved);
        assert!(parts.iter().all(|part| part.len() <= 2000));
        assert_eq!(parts[parts.len() - 3..], others[others.len() - 3..]);
    }
}
