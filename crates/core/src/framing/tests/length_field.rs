//! Packages whose header says how long they are.

use super::*;
use crate::framing::{LengthField, LengthType, MAX_HEADER_OFFSET};

/// The letter, the field that says `five`, and whether it has a sign.
const TYPES: [(char, &[u8], bool); 14] = [
    ('c', &[5], true),
    ('C', &[5], false),
    ('s', &5_i16.to_ne_bytes(), true),
    ('S', &5_u16.to_ne_bytes(), false),
    ('n', &[0, 5], false),
    ('v', &[5, 0], false),
    ('l', &5_i32.to_ne_bytes(), true),
    ('L', &5_u32.to_ne_bytes(), false),
    ('N', &[0, 0, 0, 5], false),
    ('V', &[5, 0, 0, 0], false),
    ('q', &5_i64.to_ne_bytes(), true),
    ('Q', &5_u64.to_ne_bytes(), false),
    ('J', &[0, 0, 0, 0, 0, 0, 0, 5], false),
    ('P', &[5, 0, 0, 0, 0, 0, 0, 0], false),
];

fn length_type(letter: char) -> LengthType {
    LengthType::from_letter(letter).unwrap()
}

/// The length counts the body, which follows at once.
fn body_counted(letter: char, max_length: u32) -> LengthField {
    let length_type = length_type(letter);
    LengthField::new(length_type, 0, length_type.size(), max_length).unwrap()
}

#[test]
fn every_letter_is_read_as_pack_writes_it() {
    for (letter, field, _) in TYPES {
        let framed = [field, b"12345+"].concat();
        let len = field.len() + 5;
        assert_eq!(usize::try_from(length_type(letter).size()).unwrap(), field.len(), "{letter}");
        let mut framer = body_counted(letter, 100);
        for end in 0..field.len() {
            assert_eq!(framer.next(&framed[..end]), Frame::NeedMore, "{letter} {end}");
        }
        for end in field.len()..len {
            assert_eq!(framer.next(&framed[..end]), Frame::Incomplete { len }, "{letter} {end}");
        }
        assert_eq!(framer.next(&framed), Frame::Package { len }, "{letter}");
    }
}

#[test]
fn letters_have_one_type_each() {
    for (letter, ..) in TYPES {
        assert_eq!(length_type(letter).letter(), letter);
    }
    assert_eq!(LengthType::from_letter('x'), None);
}

#[test]
fn a_length_is_refused_on_the_header() {
    for (letter, field, has_sign) in TYPES {
        let ones = vec![0xff; field.len()];
        let expected = if has_sign { Frame::Malformed } else { Frame::TooLong };
        assert_eq!(body_counted(letter, 64).next(&ones), expected, "{letter}");
        let zeros = vec![0; field.len()];
        assert_eq!(
            body_counted(letter, 64).next(&zeros),
            Frame::Package { len: field.len() },
            "a body may be empty: {letter}"
        );
        let mut whole = LengthField::new(length_type(letter), 0, 0, 64).unwrap();
        assert_eq!(whole.next(&zeros), Frame::Malformed, "it ends before its header: {letter}");
    }
}

/// The bits of a number as `pack` writes them.
fn packed(letter: char, bits: u64) -> Vec<u8> {
    let size = usize::try_from(length_type(letter).size()).unwrap();
    let mut field = bits.to_le_bytes()[..size].to_vec();
    let is_big =
        "nNJ".contains(letter) || (cfg!(target_endian = "big") && "sSlLqQ".contains(letter));
    if is_big {
        field.reverse();
    }
    field
}

#[test]
fn nothing_that_a_field_can_say_is_taken_for_something_else() {
    const MAX: i128 = 1_000;
    for (letter, _, has_sign) in TYPES {
        let size = i128::from(length_type(letter).size());
        let width = 8 * u32::try_from(size).unwrap();
        let high = 1_u64 << (width - 1);
        let same = [1 << 31, (1 << 31) - 1, (1 << 32) - 1, 1 << 63, u64::MAX, 0, 1];
        for bits in same.into_iter().chain([high, high - 1, high | 1]) {
            let field = packed(letter, bits);
            let unsigned = i128::from(bits & (u64::MAX >> (64 - width)));
            let is_negative = has_sign && bits & high != 0;
            let value = if is_negative { unsigned - (1 << width) } else { unsigned };
            for body_offset in [0, size, size + 1] {
                let total = value + body_offset;
                let len = usize::try_from(total).unwrap_or_default();
                let expected = if value < 0 || total < size {
                    Frame::Malformed
                } else if total > MAX {
                    Frame::TooLong
                } else if total == size {
                    Frame::Package { len }
                } else {
                    Frame::Incomplete { len }
                };
                let body_offset = u32::try_from(body_offset).unwrap();
                let mut framer =
                    LengthField::new(length_type(letter), 0, body_offset, 1_000).unwrap();
                for end in 0..field.len() {
                    assert_eq!(framer.next(&field[..end]), Frame::NeedMore);
                }
                assert_eq!(framer.next(&field), expected, "{letter} {bits:#x} + {body_offset}");
                assert!(
                    matches!(expected, Frame::Package { .. }) || framer.next(&field) == expected
                );
            }
        }
    }
}

#[test]
fn large_fields_overflow_nothing() {
    for value in [1_u64 << 31, (1 << 32) - 1, 1 << 63, u64::MAX] {
        for (letter, field) in [('J', value.to_be_bytes()), ('P', value.to_le_bytes())] {
            let mut framer = LengthField::new(length_type(letter), 0, 8_152, 10_000).unwrap();
            assert_eq!(framer.next(&field), Frame::TooLong, "{letter} {value}");
        }
    }
}

#[test]
fn the_limit_counts_the_header() {
    assert_eq!(body_counted('C', 6).next(&[5]), Frame::Incomplete { len: 6 });
    assert_eq!(body_counted('C', 5).next(&[5]), Frame::TooLong);
}

#[test]
fn the_field_may_stand_behind_others_and_count_from_elsewhere() {
    // Two bytes of another field, the length of what follows the header, a checksum, the body.
    let mut framer = LengthField::new(LengthType::U16Big, 2, 5, 100).unwrap();
    assert_eq!(framer.next(b"id"), Frame::NeedMore);
    assert_eq!(framer.next(b"id\0"), Frame::NeedMore);
    assert_eq!(framer.next(b"id\0\x03c"), Frame::Incomplete { len: 8 });
    assert_eq!(framer.next(b"id\0\x03cabcid"), Frame::Package { len: 8 });
    // It counts everything: fewer than its own four bytes cannot be.
    let whole = || LengthField::new(LengthType::U16Big, 2, 0, 100).unwrap();
    assert_eq!(whole().next(b"id\0\x04"), Frame::Package { len: 4 });
    assert_eq!(whole().next(b"id\0\x03"), Frame::Malformed);
}

#[test]
fn refuses_headers_that_cannot_work() {
    let new = |offset, body, max| {
        LengthField::new(LengthType::U32Big, offset, body, max).map(|_| ()).unwrap_err()
    };
    let far = MAX_HEADER_OFFSET + 1;
    assert_eq!(new(far, 0, 1 << 20), FramingError::OffsetTooLarge { offset: far });
    assert_eq!(new(0, far, 1 << 20), FramingError::OffsetTooLarge { offset: far });
    assert_eq!(new(0, 1 << 16, 1 << 20), FramingError::OffsetTooLarge { offset: 1 << 16 });
    let too_small = |max_length, needed| FramingError::MaxLengthTooSmall { max_length, needed };
    assert_eq!(new(3, 0, 6), too_small(6, 7));
    assert_eq!(new(0, 9, 8), too_small(8, 9));
    assert!(LengthField::new(LengthType::U32Big, MAX_HEADER_OFFSET, 0, 8_156).is_ok());
}

proptest! {
    #[test]
    fn any_chunking_gives_the_packages_that_were_written(
        kind in 0_usize..TYPES.len(),
        bodies in vec(0_usize..100, 0..20),
        offset in 0_u32..5,
        tail in 0_usize..4,
        chunks in vec(1_usize..40, 1..20),
    ) {
        let length_type = length_type(TYPES[kind].0);
        let header = offset + length_type.size();
        let mut packages = Vec::new();
        for body in bodies {
            let mut package = vec![7; usize::try_from(offset).unwrap()];
            let bytes = u64::try_from(body).unwrap().to_le_bytes();
            let mut field = bytes[..usize::try_from(length_type.size()).unwrap()].to_vec();
            let is_big = matches!(length_type.letter(), 'n' | 'N' | 'J')
                || (cfg!(target_endian = "big") && "sSlLqQ".contains(length_type.letter()));
            if is_big {
                field.reverse();
            }
            package.extend(field);
            package.extend(std::iter::repeat_n(b'b', body));
            packages.push(package);
        }
        let mut stream = packages.concat();
        stream.extend(std::iter::repeat_n(1, tail.min(usize::try_from(header - 1).unwrap())));
        let config = FramingConfig::LengthField {
            length_type, length_offset: offset, body_offset: header, max_length: 200,
        };
        let (seen, last) = answers(&Framer::new(&config).unwrap(), &stream, &chunks);
        prop_assert_eq!(seen, packages);
        prop_assert_eq!(last, Frame::NeedMore);
    }

    #[test]
    fn random_bytes_break_no_promise(
        kind in 0_usize..TYPES.len(),
        stream in vec(any::<u8>(), 0..300),
        offset in 0_u32..5,
        body_offset in 0_u32..9,
        chunks in vec(1_usize..40, 1..20),
    ) {
        let length_type = length_type(TYPES[kind].0);
        let config = FramingConfig::LengthField {
            length_type, length_offset: offset, body_offset, max_length: 60,
        };
        let framer = Framer::new(&config).unwrap();
        prop_assert_eq!(answers(&framer, &stream, &chunks).0, answers(&framer, &stream, &[300]).0);
    }
}
