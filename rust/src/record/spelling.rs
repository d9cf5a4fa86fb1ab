//! Texts that say less than they are long: identifiers, times, base64.

pub(super) const UUID: usize = 36;

/// The first identifier in a text, in lower case with its four hyphens, and where it begins.
pub(super) fn find_uuid(text: &[u8]) -> Option<(usize, u128)> {
    if text.len() < UUID || text.len() > 200 {
        return None;
    }
    (0..=text.len() - UUID).find_map(|at| {
        let one = &text[at..at + UUID];
        if one[8] != b'-' || one[13] != b'-' || one[18] != b'-' || one[23] != b'-' {
            return None;
        }
        let mut value = 0u128;
        for (place, &byte) in one.iter().enumerate() {
            if matches!(place, 8 | 13 | 18 | 23) {
                continue;
            }
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                _ => return None,
            };
            value = value << 4 | u128::from(digit);
        }
        Some((at, value))
    })
}

pub(super) fn write_uuid(value: u128, into: &mut Vec<u8>) {
    for place in 0..32 {
        if matches!(place, 8 | 12 | 16 | 20) {
            into.push(b'-');
        }
        into.push(b"0123456789abcdef"[(value >> (124 - 4 * place) & 15) as usize]);
    }
}

/// A FHIR date, dateTime or instant by the day (since 1970) and second of its own zone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Moment {
    pub(super) day: i64,
    pub(super) second: Option<i64>,
}

impl Moment {
    pub(super) fn seconds(self) -> i64 {
        self.day * 86400 + self.second.unwrap_or(0)
    }

    /// So many seconds later; of a date, whole days.
    pub(super) fn after(self, seconds: i64) -> Self {
        let all = self.seconds() + seconds;
        Moment {
            day: all.div_euclid(86400),
            second: self.second.map(|_| all.rem_euclid(86400)),
        }
    }
}

fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468
}

pub(super) fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719468;
    let era = days.div_euclid(146097);
    let of_era = days.rem_euclid(146097);
    let year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

pub(super) fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0i64, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + i64::from(byte - b'0'))
    })
}

/// How long a date is.
pub(super) const DATE: usize = 10;

/// A moment, what stands between date and time, and what follows the seconds: their fraction and the zone.
pub(super) fn parse_moment(text: &[u8]) -> Option<(Moment, u8, &[u8])> {
    let date = text.get(..10)?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let (year, month, day) = (
        digits(&date[..4])?,
        digits(&date[5..7])?,
        digits(&date[8..])?,
    );
    let days = days_of(year, month, day);
    if !(1000..3000).contains(&year) || date_of(days) != (year, month, day) {
        return None;
    }
    if text.len() == 10 {
        return Some((
            Moment {
                day: days,
                second: None,
            },
            0,
            &[],
        ));
    }
    let time = text.get(10..19)?;
    if !matches!(time[0], b'T' | b' ') || time[3] != b':' || time[6] != b':' {
        return None;
    }
    let (hour, minute, second) = (
        digits(&time[1..3])?,
        digits(&time[4..6])?,
        digits(&time[7..])?,
    );
    let rest = &text[19..];
    if hour > 23 || minute > 59 || second > 59 || rest.len() > 16 {
        return None;
    }
    Some((
        Moment {
            day: days,
            second: Some(hour * 3600 + minute * 60 + second),
        },
        time[0],
        rest,
    ))
}

pub(super) fn write_moment(moment: Moment, into: &mut Vec<u8>) {
    let two = |number: i64| [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
    let (year, month, day) = date_of(moment.day);
    match u16::try_from(year).ok().filter(|&year| year < 10_000) {
        Some(year) => into.extend(
            two(i64::from(year / 100))
                .into_iter()
                .chain(two(year.into())),
        ),
        None => into.extend(format!("{year:04}").bytes()),
    }
    for part in [month, day] {
        into.push(b'-');
        into.extend(two(part));
    }
    if let Some(second) = moment.second {
        for (before, part) in [(b'T', second / 3600), (b':', second / 60), (b':', second)] {
            into.push(before);
            into.extend(two(part % 60));
        }
    }
}

/// The digits after the point, if there are any, and what follows them.
pub(super) fn split_fraction(rest: &[u8]) -> (&[u8], &[u8]) {
    if rest.first() != Some(&b'.') {
        return (&[], rest);
    }
    let end = 1 + rest[1..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if end == 1 {
        return (&[], rest);
    }
    (&rest[1..end], &rest[end..])
}

const MOST_DIGITS: usize = 9;

/// A decimal in its only usual spelling: its digits as a whole number, and how many of them are decimals.
pub(super) fn parse_decimal(text: &[u8]) -> Option<(i64, u32)> {
    let (positive, sign) = text.strip_prefix(b"-").map_or((text, 1), |rest| (rest, -1));
    let (whole, rest) = positive.split_at(
        positive
            .iter()
            .position(|&byte| byte == b'.')
            .unwrap_or(positive.len()),
    );
    let decimals = rest.len().saturating_sub(1);
    let is_usual = !whole.is_empty() && (whole == b"0" || whole[0] != b'0') && rest.len() != 1;
    if !is_usual || whole.len() + decimals > MOST_DIGITS {
        return None;
    }
    let value =
        digits(whole)? * 10i64.pow(decimals as u32) + digits(&rest[rest.len() - decimals..])?;
    (value != 0 || sign > 0).then_some((sign * value, decimals as u32))
}

/// The spelling of so many digits, if that is a usual one.
pub(super) fn write_decimal(value: i64, decimals: u32) -> Option<Vec<u8>> {
    if decimals > MOST_DIGITS as u32 || value.unsigned_abs() >= 10u64.pow(MOST_DIGITS as u32) {
        return None;
    }
    let sign = if value < 0 { "-" } else { "" };
    let unit = 10u64.pow(decimals);
    let (whole, part) = (value.unsigned_abs() / unit, value.unsigned_abs() % unit);
    Some(if decimals == 0 {
        format!("{sign}{whole}").into_bytes()
    } else {
        format!("{sign}{whole}.{part:0width$}", width = decimals as usize).into_bytes()
    })
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn encode_base64(data: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(data.len().div_ceil(3) * 4);
    for chunk in data.chunks(3) {
        let value = chunk
            .iter()
            .fold(0u32, |sum, &byte| sum << 8 | u32::from(byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            text.push(if place <= chunk.len() {
                BASE64[(value >> (18 - 6 * place) & 63) as usize]
            } else {
                b'='
            });
        }
    }
    text
}

/// What a text of base64 says, if it says so in the only usual spelling.
pub(super) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() < 40 || !text.len().is_multiple_of(4) {
        return None;
    }
    let mut data = Vec::with_capacity(text.len() / 4 * 3);
    let mut held = (0u32, 0);
    for &byte in text.iter().take_while(|&&byte| byte != b'=') {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = (held.0 << 6 | u32::from(value), held.1 + 6);
        if held.1 >= 8 {
            held.1 -= 8;
            data.push((held.0 >> held.1) as u8);
            held.0 &= (1 << held.1) - 1;
        }
    }
    (encode_base64(&data) == text).then_some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree() {
        for day in -400_000..400_000 {
            let (year, month, of_month) = date_of(day);
            assert_eq!(days_of(year, month, of_month), day);
        }
        assert_eq!(date_of(0), (1970, 1, 1));
    }
}
