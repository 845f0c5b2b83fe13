//! Whose a certificate is, in words (RFC 4514). The certificate was checked, and may still say
//! anything about its owner: a name can never look like another one, whatever signs are in it.

use std::fmt::Write as _;

use super::der::{self, Attribute};

const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const BMP_STRING: u8 = 0x1e;

/// The attributes that have a usual short name, by their numbers as they are encoded.
const SHORT_NAMES: &[(&[u8], &str)] = &[
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "emailAddress"),
];
const COMMON_NAME: &[u8] = &[0x55, 4, 3];

/// The whole subject; `None` if it cannot be read.
pub(crate) fn text(certificate: &[u8]) -> Option<String> {
    let sets = der::subject(certificate)?;
    let mut text = String::new();
    for (at, set) in sets.iter().rev().enumerate() {
        for (place, attribute) in set.iter().enumerate() {
            match (at, place) {
                (0, 0) => {}
                (_, 0) => text.push(','),
                _ => text.push('+'),
            }
            write_attribute(&mut text, attribute)?;
        }
    }
    Some(text)
}

/// The only common name.
pub(crate) fn common_name(certificate: &[u8]) -> Option<String> {
    let sets = der::subject(certificate)?;
    let mut names = sets.iter().flatten().filter(|attribute| attribute.kind == COMMON_NAME);
    let name = names.next()?;
    if names.next().is_some() { None } else { value_of(name) }
}

fn write_attribute(text: &mut String, attribute: &Attribute<'_>) -> Option<()> {
    let known = SHORT_NAMES.iter().find(|(kind, _)| *kind == attribute.kind);
    match (known, value_of(attribute)) {
        (Some((_, name)), Some(value)) => {
            text.push_str(name);
            text.push('=');
            escape(text, &value);
        }
        (known, _) => {
            // What has no name or is no text is written as it is encoded.
            match known {
                Some((_, name)) => text.push_str(name),
                None => write_number(text, attribute.kind)?,
            }
            text.push_str("=#");
            for byte in attribute.encoded {
                let _ = write!(text, "{byte:02x}");
            }
        }
    }
    Some(())
}

/// The value, if it is text.
fn value_of(attribute: &Attribute<'_>) -> Option<String> {
    let bytes = attribute.value;
    match attribute.tag {
        UTF8_STRING => String::from_utf8(bytes.to_vec()).ok(),
        PRINTABLE_STRING | IA5_STRING if bytes.is_ascii() => String::from_utf8(bytes.to_vec()).ok(),
        BMP_STRING if bytes.len().is_multiple_of(2) => {
            let units = bytes.chunks_exact(2).map(|pair| {
                let [high, low] = [pair.first(), pair.last()].map(|byte| byte.map_or(0, |b| *b));
                u16::from_be_bytes([high, low])
            });
            char::decode_utf16(units).collect::<Result<String, _>>().ok()
        }
        _ => None,
    }
}

/// A value, with an escape in front of every sign that means something else in a subject. Control
/// characters are written in hex, so that a line of a log stays one.
fn escape(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (at, sign) in value.chars().enumerate() {
        let is_special = match sign {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => true,
            '#' => at == 0,
            ' ' => at == 0 || at == last,
            _ => false,
        };
        if sign.is_control() {
            let mut bytes = [0; 4];
            for byte in sign.encode_utf8(&mut bytes).bytes() {
                let _ = write!(text, "\\{byte:02x}");
            }
            continue;
        }
        if is_special {
            text.push('\\');
        }
        text.push(sign);
    }
}

/// An object identifier as numbers with dots; `None` if it is none.
fn write_number(text: &mut String, kind: &[u8]) -> Option<()> {
    let mut number: u64 = 0;
    let mut is_first = true;
    let mut is_whole = false;
    for byte in kind {
        number = number.checked_mul(128)? | u64::from(byte & 0x7f);
        is_whole = byte & 0x80 == 0;
        if !is_whole {
            continue;
        }
        if is_first {
            // The first two numbers are one in the encoding.
            let first = (number / 40).min(2);
            let _ = write!(text, "{first}.{}", number - first * 40);
        } else {
            let _ = write!(text, ".{number}");
        }
        (number, is_first) = (0, false);
    }
    is_whole.then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

    fn certificate(attributes: Vec<(DnType, DnValue)>) -> Vec<u8> {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in attributes {
            params.distinguished_name.push(kind, value);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn utf8(text: &str) -> DnValue {
        DnValue::Utf8String(text.to_owned())
    }

    #[test]
    fn a_subject_reads_from_the_last_attribute_to_the_first() {
        let der = certificate(vec![
            (DnType::CountryName, DnValue::PrintableString("SE".try_into().unwrap())),
            (DnType::OrganizationName, utf8("Example")),
            (DnType::CommonName, utf8("ada")),
        ]);
        assert_eq!(text(&der).unwrap(), "CN=ada,O=Example,C=SE");
        assert_eq!(common_name(&der).unwrap(), "ada");
    }

    #[test]
    fn no_name_looks_like_another_one() {
        let names = [
            ("x,O=Admin", "CN=x\\,O\\=Admin"),
            (" # ", "CN=\\ #\\ "),
            ("#1", "CN=\\#1"),
            ("a\nb\u{85}", "CN=a\\0ab\\c2\\85"),
            ("\\,+\";<>", "CN=\\\\\\,\\+\\\"\\;\\<\\>"),
            ("åäö", "CN=åäö"),
            ("", "CN="),
        ];
        for (name, expected) in names {
            let der = certificate(vec![(DnType::CommonName, utf8(name))]);
            assert_eq!(text(&der).unwrap(), expected);
            assert_eq!(common_name(&der).unwrap(), name);
        }
    }

    #[test]
    fn what_has_no_short_name_has_a_number_and_what_is_no_text_is_in_hex() {
        let kind = DnType::CustomDnType(vec![2, 999, 16_384, 3]);
        let der = certificate(vec![(kind, utf8("A"))]);
        assert_eq!(text(&der).unwrap(), "2.999.16384.3=#0c0141");
        assert_eq!(common_name(&der), None);
        let bmp = DnValue::BmpString("Ω".try_into().unwrap());
        let der = certificate(vec![(DnType::CommonName, bmp)]);
        assert_eq!(text(&der).unwrap(), "CN=Ω");
        let teletex = DnValue::TeletexString("ada".try_into().unwrap());
        let der = certificate(vec![(DnType::CommonName, teletex)]);
        assert_eq!(text(&der).unwrap(), "CN=#1403616461");
        assert_eq!(text(&certificate(vec![])).unwrap(), "");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(cut in 0..2_000_usize, at in 0..2_000_usize, byte: u8) {
            let mut der = certificate(vec![(DnType::CommonName, utf8("ada"))]);
            der.truncate(cut);
            if let Some(place) = der.get_mut(at) {
                *place = byte;
            }
            let _ = (text(&der), common_name(&der));
        }
    }
}
