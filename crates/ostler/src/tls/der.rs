//! What is to be known of a certificate and rustls has no words for: from when and until when it
//! is valid, and whose it is.
//!
//! It reads what rustls has accepted or is about to check; a certificate that it cannot read has no
//! such field. It never panics and never looks at a byte twice for each level.

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// Attributes of a subject that are read; more are those of nobody's certificate.
const ATTRIBUTES_MAX: usize = 64;

/// What is read of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// The first second at which it is valid, since 1970.
    pub(crate) not_before: i64,
    /// The last one.
    pub(crate) not_after: i64,
}

/// An element: its tag, and what is in it.
type Element<'a> = (u8, &'a [u8]);

/// Takes the first element off.
fn next<'a>(bytes: &mut &'a [u8]) -> Option<Element<'a>> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut len = usize::from(first);
    if first & 0x80 != 0 {
        let digits = usize::from(first & 0x7f);
        // Four bytes are more than any certificate has.
        if digits == 0 || digits > 4 || rest.len() < digits {
            return None;
        }
        let (number, behind) = rest.split_at(digits);
        len = number.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
        rest = behind;
    }
    let content = rest.get(..len)?;
    *bytes = rest.get(len..)?;
    Some((tag, content))
}

fn expect<'a>(bytes: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    next(bytes).filter(|(found, _)| *found == tag).map(|(_, content)| content)
}

/// A word about the owner of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    /// What it is about: an object identifier, as it is encoded.
    pub(crate) kind: &'a [u8],
    /// Of which type its value is.
    pub(crate) tag: u8,
    pub(crate) value: &'a [u8],
    /// The value with its tag and its length.
    pub(crate) encoded: &'a [u8],
}

/// Whose a certificate is: the sets of attributes, in their order; `None` if it cannot be read.
pub(crate) fn subject(mut der: &[u8]) -> Option<Vec<Vec<Attribute<'_>>>> {
    let mut certificate = expect(&mut der, SEQUENCE)?;
    let mut body = expect(&mut certificate, SEQUENCE)?;
    if body.first() == Some(&VERSION) {
        next(&mut body)?;
    }
    let (_serial, _algorithm, _issuer) = (next(&mut body)?, next(&mut body)?, next(&mut body)?);
    let _validity = expect(&mut body, SEQUENCE)?;
    let mut sets = expect(&mut body, SEQUENCE)?;
    let (mut subject, mut left) = (Vec::new(), ATTRIBUTES_MAX);
    while !sets.is_empty() {
        let mut set = expect(&mut sets, SET)?;
        let mut attributes = Vec::new();
        while !set.is_empty() {
            left = left.checked_sub(1)?;
            let mut pair = expect(&mut set, SEQUENCE)?;
            let kind = expect(&mut pair, OBJECT_IDENTIFIER)?;
            let encoded = pair;
            let (tag, value) = next(&mut pair)?;
            let encoded = encoded.get(..encoded.len() - pair.len())?;
            attributes.push(Attribute { kind, tag, value, encoded });
        }
        subject.push(attributes);
    }
    Some(subject)
}

impl Certificate {
    /// Reads a certificate; `None` if it is none.
    pub(crate) fn read(mut der: &[u8]) -> Option<Self> {
        let mut certificate = expect(&mut der, SEQUENCE)?;
        let mut body = expect(&mut certificate, SEQUENCE)?;
        if body.first() == Some(&VERSION) {
            next(&mut body)?;
        }
        let (_serial, _algorithm, _issuer) = (next(&mut body)?, next(&mut body)?, next(&mut body)?);
        let mut validity = expect(&mut body, SEQUENCE)?;
        let not_before = time(next(&mut validity)?)?;
        let not_after = time(next(&mut validity)?)?;
        Some(Self { not_before, not_after })
    }
}

/// Seconds since 1970 of `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, the only forms that RFC 5280 allows.
fn time((tag, text): Element<'_>) -> Option<i64> {
    let digits = text.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        digits
            .get(range)?
            .iter()
            .try_fold(0_i64, |sum, digit| Some(sum * 10 + i64::from(digit - b'0')))
    };
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let year = number(0..2)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, 2)
        }
        (GENERALIZED_TIME, 14) => (number(0..4)?, 4),
        _ => return None,
    };
    let two = |index: usize| number(rest + 2 * index..rest + 2 * index + 2);
    let (month, day) = (two(0)?, two(1)?);
    let (hour, minute, second) = (two(2)?, two(3)?, two(4)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    Some(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. The year begins in March, so that the
/// leap day is its last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn certificate() -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(1999, 12, 31);
        params.not_after = date_time_ymd(2060, 2, 29);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn its_time_is_read() {
        let der = certificate();
        let read = Certificate::read(&der).unwrap();
        assert_eq!((read.not_before, read.not_after), (946_598_400, 2_845_238_400));
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        let known = [((1970, 1, 1), 0), ((2000, 2, 29), 11_016), ((2000, 3, 1), 11_017)];
        for ((year, month, day), expected) in known {
            assert_eq!(days(year, month, day), expected, "{year}-{month}-{day}");
        }
        assert_eq!(time((UTC_TIME, b"491231235959Z")), Some(2_524_607_999));
        assert_eq!(time((UTC_TIME, b"500101000000Z")), Some(-631_152_000));
        for bad in [&b"4912312359Z"[..], b"491331235959Z", b"49123123595xZ", b"491231235959"] {
            assert_eq!(time((UTC_TIME, bad)), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(cut in 0..2_000_usize, at in 0..2_000_usize, byte: u8) {
            let mut der = certificate();
            der.truncate(cut);
            if let Some(place) = der.get_mut(at) {
                *place = byte;
            }
            let _ = Certificate::read(&der);
        }
    }
}
