//! How what stands in a cell is cut into a template and numbers, and put together again.
//!
//! A template is the cell's bytes with a hole, a byte below 32, for each number. What a hole says of its number is how it is
//! spelled, so
//! that the integer behind it gives the same digits again.

/// A number in the spelling of its column.
const USUAL: u8 = 1;
/// A number with so many decimals more than 2 says.
const DECIMALS: u8 = 2;
const MOST_DECIMALS: usize = 8;
/// So many digits more than 16, leading zeros among them.
const DIGITS: u8 = 16;
const MOST_DIGITS: usize = 9;
/// The first letter of the reference allele, in alleles.
pub(super) const FIRST: u8 = 31;
const TENS: [i64; 19] = {
    let mut tens = [1; 19];
    let mut at = 1;
    while at < 19 {
        tens[at] = tens[at - 1] * 10;
        at += 1;
    }
    tens
};

pub(super) fn power(tens: u32) -> i64 {
    TENS[tens.min(18) as usize]
}

/// How numbers of a column are usually spelled.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Style {
    /// How many decimals the integers count.
    pub(super) decimals: u32,
    /// Whether zeros at the end of the decimals are left out.
    pub(super) stripped: bool,
}

/// A number as it stands in a cell.
struct Digits<'a> {
    negative: bool,
    whole: &'a [u8],
    decimals: &'a [u8],
}

fn digits_at(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

impl<'a> Digits<'a> {
    /// The number that begins a text, if one does; `begins` says whether a sign would be one.
    fn at(text: &'a [u8], begins: bool) -> Option<Self> {
        let negative = begins && text[0] == b'-';
        let text = &text[usize::from(negative)..];
        let size = digits_at(text);
        if size == 0 {
            return None;
        }
        let (whole, rest) = text.split_at(size);
        let decimals = match rest.split_first() {
            Some((b'.', rest)) => &rest[..digits_at(rest)],
            _ => &[],
        };
        Some(Digits {
            negative,
            whole,
            decimals,
        })
    }

    fn size(&self) -> usize {
        let point = usize::from(!self.decimals.is_empty());
        usize::from(self.negative) + self.whole.len() + point + self.decimals.len()
    }

    fn is_plain(&self) -> bool {
        let zero = |digits: &[u8]| digits.iter().all(|&byte| byte == b'0');
        (self.whole.len() == 1 || self.whole[0] != b'0')
            && !(self.negative && zero(self.whole) && zero(self.decimals))
    }

    /// The number in units of so many decimals, if these are enough of them and it is not too long.
    fn value(&self, decimals: usize) -> Option<i32> {
        if self.whole.len() + decimals > MOST_DIGITS || self.decimals.len() > decimals {
            return None;
        }
        let value = number_of(self.whole) * TENS[decimals] as i32
            + number_of(self.decimals) * TENS[decimals - self.decimals.len()] as i32;
        Some(if self.negative { -value } else { value })
    }

    /// The number, if it is spelled as its column usually does.
    fn usual(&self, style: Style) -> Option<i32> {
        let decimals = style.decimals as usize;
        let fits = match style.stripped {
            true => self.decimals.last() != Some(&b'0'),
            false => self.decimals.len() == decimals,
        };
        fits.then(|| self.value(decimals)).flatten()
    }
}

fn number_of(digits: &[u8]) -> i32 {
    digits
        .iter()
        .fold(0, |sum, byte| sum * 10 + i32::from(byte - b'0'))
}

/// Where numbers begin in a cell.
fn starts(cell: &[u8], at: usize) -> Option<(bool, Digits<'_>)> {
    let byte = cell[at];
    let begins = byte == b'-' && (at == 0 || !cell[at - 1].is_ascii_alphanumeric());
    if !begins && !byte.is_ascii_digit() {
        return None;
    }
    Digits::at(&cell[at..], begins).map(|digits| (begins, digits))
}

/// Put the template of a cell into `template`, and its numbers into `numbers`.
pub(super) fn cut(cell: &[u8], style: Style, template: &mut Vec<u8>, numbers: &mut Vec<i32>) {
    let mut at = 0;
    while at < cell.len() {
        let Some((_, digits)) = starts(cell, at) else {
            template.push(cell[at]);
            at += 1;
            continue;
        };
        if digits.is_plain() {
            if let Some(value) = digits.usual(style) {
                template.push(USUAL);
                numbers.push(value);
                at += digits.size();
                continue;
            }
            let decimals = digits.decimals.len();
            if let Some(value) = digits.value(decimals).filter(|_| decimals <= MOST_DECIMALS) {
                template.push(DECIMALS + decimals as u8);
                numbers.push(value);
                at += digits.size();
                continue;
            }
        }
        if digits.negative {
            template.push(b'-');
            at += 1;
            continue;
        }
        for part in digits.whole.chunks(MOST_DIGITS) {
            template.push(DIGITS + part.len() as u8);
            numbers.push(number_of(part));
        }
        at += digits.whole.len();
    }
}

/// How many numbers a template has.
pub(super) fn holes(template: &[u8]) -> usize {
    template.iter().filter(|&&byte| is_hole(byte)).count()
}

fn is_hole(byte: u8) -> bool {
    byte < 32 && byte != FIRST
}

/// Whether a template is one integer.
pub(super) fn is_integer(template: &[u8], style: Style) -> bool {
    template == [DECIMALS] || template == [USUAL] && style.decimals == 0
}

/// Whether a template holds nothing but numbers and what parts them.
pub(super) fn is_numeric(template: &[u8]) -> bool {
    template
        .iter()
        .all(|&byte| is_hole(byte) || matches!(byte, b',' | b'.' | b'-' | b'/' | b'|'))
}

/// Put a cell together of its template and numbers.
pub(super) fn fill(
    template: &[u8],
    style: Style,
    mut number: impl FnMut() -> i32,
    first: u8,
    into: &mut Vec<u8>,
) {
    for &byte in template {
        match byte {
            FIRST => into.push(first),
            USUAL => spell(number(), style, into),
            DECIMALS..DIGITS => {
                let decimals = u32::from(byte - DECIMALS).min(MOST_DECIMALS as u32);
                let style = Style {
                    decimals,
                    stripped: false,
                };
                spell(number(), style, into);
            }
            DIGITS..FIRST => {
                let width = usize::from(byte - DIGITS).clamp(1, MOST_DIGITS);
                digits(i64::from(number().unsigned_abs()), width, into);
            }
            _ => into.push(byte),
        }
    }
}

pub(super) fn digits(value: i64, width: usize, into: &mut Vec<u8>) {
    let start = into.len();
    let mut rest = value;
    while rest > 0 || into.len() - start < width {
        into.push(b'0' + (rest % 10) as u8);
        rest /= 10;
    }
    into[start..].reverse();
}

fn spell(value: i32, style: Style, into: &mut Vec<u8>) {
    if value < 0 {
        into.push(b'-');
    }
    let size = i64::from(value.unsigned_abs());
    let unit = power(style.decimals);
    digits(size / unit, 1, into);
    if style.decimals > 0 {
        let (mut rest, mut width) = (size % unit, style.decimals as usize);
        if style.stripped {
            while width > 0 && rest % 10 == 0 {
                rest /= 10;
                width -= 1;
            }
        }
        if width > 0 {
            into.push(b'.');
            digits(rest, width, into);
        }
    }
}

/// The style in which most of a column's numbers are spelled, each cell as often as it is said to occur.
pub(super) fn style_of<'a>(cells: impl Iterator<Item = (&'a [u8], usize)>) -> Style {
    let mut zeros = [0; MOST_DECIMALS + 1];
    let mut others = [0; MOST_DECIMALS + 1];
    for (cell, times) in cells {
        let mut at = 0;
        while at < cell.len() {
            let Some((_, digits)) = starts(cell, at) else {
                at += 1;
                continue;
            };
            let decimals = digits.decimals.len();
            if digits.is_plain() && digits.value(decimals).is_some() && decimals <= MOST_DECIMALS {
                match digits.decimals.last() {
                    Some(b'0') => zeros[decimals] += times,
                    _ => others[decimals] += times,
                }
            }
            at += digits.size();
        }
    }
    let total: usize = others.iter().sum();
    let most = (0..=MOST_DECIMALS)
        .max_by_key(|&one| (zeros[one] + others[one], MOST_DECIMALS - one))
        .unwrap_or(0);
    let enough = (0..=MOST_DECIMALS)
        .find(|&one| others[..=one].iter().sum::<usize>() * 100 >= total * 99)
        .unwrap_or(0);
    let stripped = others[..=enough].iter().sum::<usize>() >= zeros[most] + others[most];
    Style {
        decimals: if stripped { enough } else { most } as u32,
        stripped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELLS: [&str; 16] = [
        "",
        ".",
        "0/1",
        "12,0,-7",
        "0.5,1.50,007",
        "-0",
        "-0.0",
        "1e-05",
        "rs012345",
        "123456789012.345678901234",
        "1.2.3",
        "--1",
        "a-1",
        "5.",
        ".5",
        "0.12345678",
    ];

    #[test]
    fn cells_are_put_together_as_they_were() {
        for decimals in 0..=8 {
            for stripped in [false, true] {
                let style = Style { decimals, stripped };
                for cell in CELLS {
                    let (mut template, mut numbers) = (Vec::new(), Vec::new());
                    cut(cell.as_bytes(), style, &mut template, &mut numbers);
                    assert_eq!(holes(&template), numbers.len());
                    let (mut filled, mut next) = (Vec::new(), numbers.into_iter());
                    fill(&template, style, || next.next().unwrap(), 0, &mut filled);
                    assert_eq!(filled, cell.as_bytes(), "{style:?}");
                }
            }
        }
    }

    #[test]
    fn the_usual_style_is_found() {
        let style =
            |cells: &[&'static str]| style_of(cells.iter().map(|cell| (cell.as_bytes(), 1)));
        let found = |decimals, stripped| Style { decimals, stripped };
        assert_eq!(style(&["1", "27", "-3"]), found(0, true));
        assert_eq!(style(&["1", "0.5", "0.25"]), found(2, true));
        assert_eq!(style(&["1.00", "0.50", "0.25"]), found(2, false));
    }
}
