//! Packages that end where what was received ends with a delimiter.

use super::*;
use crate::framing::EofAtEnd;

fn framer(eof: &[u8], max_length: u32) -> EofAtEnd {
    EofAtEnd::new(eof, max_length).unwrap()
}

#[test]
fn what_was_received_is_a_package_once_it_ends_with_the_delimiter() {
    let mut framer = framer(b"\r\n", 100);
    assert_eq!(framer.next(b""), Frame::NeedMore);
    assert_eq!(framer.next(b"one\r\ntw"), Frame::NeedMore, "it is not searched");
    assert_eq!(framer.next(b"one\r\ntwo\r\n"), Frame::Package { len: 10 });
    assert_eq!(framer.next(b"\r"), Frame::NeedMore);
    assert_eq!(framer.next(b"\r\n"), Frame::Package { len: 2 });
}

#[test]
fn a_burst_above_the_limit_ends_at_its_last_delimiter() {
    assert_eq!(framer(b"\n", 8).next(b"one\ntwo\nthree\n"), Frame::Package { len: 8 });
    assert_eq!(framer(b"\n", 7).next(b"one\ntwo\nthree\n"), Frame::Package { len: 4 });
    assert_eq!(framer(b"\n", 7).next(b"one\ntwo"), Frame::Package { len: 4 });
}

#[test]
fn without_a_delimiter_within_the_limit_it_is_too_long() {
    assert_eq!(framer(b"\r\n", 5).next(b"abcd"), Frame::NeedMore);
    assert_eq!(framer(b"\r\n", 5).next(b"abcd\r"), Frame::TooLong);
    assert_eq!(framer(b"\r\n", 5).next(b"abcd\r\n"), Frame::TooLong);
    assert_eq!(framer(b"\r\n", 5).next(b"abc\r\n"), Frame::Package { len: 5 });
}

#[test]
fn delimiters_are_checked_as_for_splitting() {
    let refused = |eof: &[u8], max| EofAtEnd::new(eof, max).unwrap_err();
    assert_eq!(refused(b"", 10), FramingError::EofEmpty);
    assert_eq!(refused(b"123456789", 10), FramingError::EofTooLong { length: 9 });
    let too_small = FramingError::MaxLengthTooSmall { max_length: 1, needed: 2 };
    assert_eq!(refused(b"\r\n", 1), too_small);
}

proptest! {
    #[test]
    fn nothing_is_lost_and_every_package_ends_with_the_delimiter(
        stream in vec(0_u8..3, 0..400),
        eof in vec(0_u8..3, 1..=3),
        spare in 0_u32..80,
        chunks in vec(1_usize..40, 1..20),
    ) {
        let max_length = 3 + spare;
        let config = FramingConfig::EofAtEnd { eof: eof.clone(), max_length };
        let (packages, _) = answers(&Framer::new(&config).unwrap(), &stream, &chunks);
        prop_assert!(packages.iter().all(|package| package.ends_with(&eof)));
        prop_assert!(stream.starts_with(&packages.concat()));
    }
}
