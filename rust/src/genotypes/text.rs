//! Genotypes as text: lines of a name, a chromosome, a position and what was called there, as the files of genotyping services have.

use crate::Outcome;

/// Of the beginning, so much is looked at to find how rows are written.
const SAMPLE: usize = 1 << 16;
/// A position is below.
pub(super) const MOST_POSITION: u32 = 1 << 31;
const MOST_NAME: usize = 64;

/// How rows are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Style {
    separator: u8,
    /// Whether each field stands in quotation marks.
    is_quoted: bool,
    /// Whether the two alleles are fields of their own.
    is_parted: bool,
    /// Whether a carriage return stands before each line's end.
    has_return: bool,
}

/// One row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Row<'t> {
    pub(super) name: &'t [u8],
    pub(super) chromosome: &'t [u8],
    pub(super) position: u32,
    /// All that follows the position's separator.
    pub(super) call: &'t [u8],
}

const STYLES: [(u8, bool, bool); 6] = [
    (b'\t', false, false),
    (b'\t', false, true),
    (b',', true, false),
    (b',', false, false),
    (b',', false, true),
    (b',', true, true),
];

impl Style {
    /// The style in which most of the first lines are rows; none if it is less than one in two.
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        let sample = &text[..text.len().min(SAMPLE)];
        let lines = || {
            sample
                .split_inclusive(|&byte| byte == b'\n')
                .filter(|line| line.ends_with(b"\n") && line[0] != b'#')
                .map(|line| &line[..line.len() - 1])
        };
        let returns = lines().filter(|line| line.ends_with(b"\r")).count();
        let has_return = 2 * returns > lines().count();
        let styles = STYLES.map(|(separator, is_quoted, is_parted)| Style {
            separator,
            is_quoted,
            is_parted,
            has_return,
        });
        let rows = |style: &Style| lines().filter(|line| style.row(line).is_some()).count();
        let best = styles.into_iter().max_by_key(rows)?;
        (2 * rows(&best) > lines().count()).then_some(best)
    }

    pub(super) fn numbered(number: u32) -> Outcome<Self> {
        let (separator, is_quoted, is_parted) = *STYLES
            .get(number as usize / 2)
            .ok_or("rows are written in a style that there is not")?;
        Ok(Style {
            separator,
            is_quoted,
            is_parted,
            has_return: !number.is_multiple_of(2),
        })
    }

    pub(super) fn number(&self) -> u32 {
        let own = (self.separator, self.is_quoted, self.is_parted);
        let place = STYLES.iter().position(|&one| one == own).unwrap_or(0);
        place as u32 * 2 + u32::from(self.has_return)
    }

    /// What stands before, between and behind the two alleles of a call.
    pub(super) fn around(&self) -> [&'static [u8]; 3] {
        match (self.is_parted, self.is_quoted, self.separator) {
            (false, false, _) => [b"", b"", b""],
            (false, true, _) => [b"\"", b"", b"\""],
            (true, true, _) => [b"\"", b"\",\"", b"\""],
            (true, false, b'\t') => [b"", b"\t", b""],
            (true, false, _) => [b"", b",", b""],
        }
    }

    /// What a line says, if it is a row and would be written again just so.
    pub(super) fn row<'t>(&self, line: &'t [u8]) -> Option<Row<'t>> {
        let line = if self.has_return {
            line.strip_suffix(b"\r")?
        } else {
            line
        };
        let mut fields = line.splitn(4, |&byte| byte == self.separator);
        let mut field = || {
            let field = fields.next()?;
            if self.is_quoted {
                field.strip_prefix(b"\"")?.strip_suffix(b"\"")
            } else {
                Some(field)
            }
        };
        let name = field()?;
        let chromosome = field()?;
        let position = position_of(field()?)?;
        let call = fields.next()?;
        let [opening, joint, closing] = self.around();
        let inner = call.strip_prefix(opening)?.strip_suffix(closing)?;
        let separators = inner.iter().filter(|&&byte| byte == self.separator).count();
        let fits = !name.is_empty()
            && name.len() <= MOST_NAME
            && (1..=MOST_NAME).contains(&chromosome.len())
            && (1..=MOST_NAME).contains(&inner.len())
            && separators == usize::from(self.is_parted)
            && (!self.is_parted || inner.windows(joint.len()).any(|part| part == joint));
        fits.then_some(Row {
            name,
            chromosome,
            position,
            call,
        })
    }

    /// Begin the writing of a row; what follows is the call and the line's end.
    pub(super) fn write(&self, into: &mut Vec<u8>, fields: [&[u8]; 3]) {
        for field in fields {
            if self.is_quoted {
                into.push(b'"');
            }
            into.extend_from_slice(field);
            if self.is_quoted {
                into.push(b'"');
            }
            into.push(self.separator);
        }
    }

    pub(super) fn end(&self, into: &mut Vec<u8>) {
        if self.has_return {
            into.push(b'\r');
        }
    }
}

/// A number in its only usual spelling.
fn position_of(digits: &[u8]) -> Option<u32> {
    if digits.len() > 10 || digits.is_empty() || digits[0] == b'0' && digits.len() > 1 {
        return None;
    }
    let value = digits.iter().try_fold(0u64, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u64::from(byte - b'0'))
    })?;
    u32::try_from(value).ok().filter(|&one| one < MOST_POSITION)
}

/// A name as letters and the number at its end: at most nine digits, without a zero before it.
pub(super) fn parts_of(name: &[u8]) -> (&[u8], Option<u32>) {
    let digits = name
        .iter()
        .rev()
        .take(9)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let zeros = name[name.len() - digits..]
        .iter()
        .take_while(|&&byte| byte == b'0')
        .count();
    let (letters, number) = name.split_at(name.len() - digits + zeros);
    if number.is_empty() {
        return (name, None);
    }
    let value = number
        .iter()
        .fold(0, |sum, byte| sum * 10 + u32::from(byte - b'0'));
    (letters, Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_written_as_it_was_read() {
        let lines: [&[u8]; 5] = [
            b"rs7\t1\t82154\tAG",
            b"rs7\t23\t82154\tA\tG\r",
            b"\"rs7\",\"X\",\"82154\",\"--\"",
            b"i7,MT,0,A",
            b"rs7,1,5,A,\r",
        ];
        for line in lines {
            let text = [line, b"\n"].concat();
            let style = Style::of(&text).unwrap();
            let row = style.row(line).unwrap();
            let digits = row.position.to_string();
            let mut again = Vec::new();
            style.write(&mut again, [row.name, row.chromosome, digits.as_bytes()]);
            again.extend_from_slice(row.call);
            style.end(&mut again);
            assert_eq!(again, line);
            assert_eq!(Style::numbered(style.number()).unwrap(), style);
        }
        let strange: [&[u8]; 5] = [
            b"a\tb\t07\tAA\n",
            b"a\tb\t7\n",
            b"a\tb\t7\t\n",
            b"\tb\t7\tA\n",
            b"a\tb\t2147483648\tA\n",
        ];
        assert!(strange.iter().all(|text| Style::of(text).is_none()));
        assert!(Style::numbered(12).is_err());
    }

    #[test]
    fn a_name_ends_in_a_number_without_zeros_before_it() {
        let names: [(&[u8], &[u8], Option<u32>); 5] = [
            (b"rs123", b"rs", Some(123)),
            (b"rs0123", b"rs0", Some(123)),
            (b"rs1234567890", b"rs1", Some(234567890)),
            (b"i0", b"i0", None),
            (b"abc", b"abc", None),
        ];
        for (name, letters, number) in names {
            assert_eq!(parts_of(name), (letters, number));
        }
    }
}
