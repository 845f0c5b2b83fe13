//! Framings against splitters that are too simple to be wrong, one file a framing; here what they
//! share, and raw, stream and the delimiter.

mod eof_at_end;
mod length_field;
mod mqtt;
mod resp;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{EofSplit, Frame, Framer, Framing, FramingConfig, FramingError, Raw, Stream};

fn eof_config(eof: &[u8], max_length: u32) -> FramingConfig {
    FramingConfig::EofSplit { eof: eof.to_vec(), max_length }
}

/// What a stream becomes: packages, and whether it was cut off as too long.
type Split = (Vec<Vec<u8>>, bool);

/// How far a framing got: the packages, and what it said of the bytes behind them.
type Answers = (Vec<Vec<u8>>, Frame);

/// Feeds the stream in chunks of the given lengths (again and again), as a connection does, until
/// it ends or the framing gives up.
fn answers(framer: &Framer, stream: &[u8], chunks: &[usize]) -> Answers {
    let mut framer = *framer;
    let mut buffered: Vec<u8> = Vec::new();
    let mut packages = Vec::new();
    let mut stream = stream;
    let mut last = Frame::NeedMore;
    for chunk in chunks.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (now, later) = stream.split_at(stream.len().min(*chunk));
        buffered.extend_from_slice(now);
        stream = later;
        loop {
            last = framer.next(&buffered);
            if let Frame::Package { len } = last {
                assert!(len > 0 && len <= framer.max_length());
                packages.push(buffered.drain(..len).collect());
                continue;
            }
            assert_eq!(framer.next(&buffered), last, "asking twice");
            break;
        }
        match last {
            Frame::NeedMore => assert!(buffered.len() < framer.max_length()),
            Frame::Incomplete { len } => {
                assert!(len > buffered.len() && len <= framer.max_length());
            }
            _ => break,
        }
    }
    (packages, last)
}

/// The definition of `EofSplit`, without increments.
fn reference(stream: &[u8], eof: &[u8], max_length: usize) -> Split {
    let mut packages = Vec::new();
    let mut rest = stream;
    loop {
        let end = (eof.len()..=rest.len()).find(|end| rest[..*end].ends_with(eof));
        match end {
            Some(end) if end <= max_length => {
                packages.push(rest[..end].to_vec());
                rest = &rest[end..];
            }
            _ => return (packages, rest.len() >= max_length),
        }
    }
}

/// The same for a framing that has no headers.
fn split(framer: &Framer, stream: &[u8], chunks: &[usize]) -> Split {
    let (packages, last) = answers(framer, stream, chunks);
    assert!(matches!(last, Frame::NeedMore | Frame::TooLong), "{last:?}");
    (packages, last == Frame::TooLong)
}

#[test]
fn a_framer_is_small() {
    assert!(size_of::<Framer>() <= 24, "{}", size_of::<Framer>());
}

#[test]
fn refuses_what_cannot_work() {
    let error = |config: FramingConfig| Framer::new(&config).unwrap_err();
    assert_eq!(error(eof_config(b"", 10)), FramingError::EofEmpty);
    assert_eq!(error(eof_config(b"123456789", 10)), FramingError::EofTooLong { length: 9 });
    let too_small = FramingError::MaxLengthTooSmall { max_length: 1, needed: 2 };
    assert_eq!(error(eof_config(b"\r\n", 1)), too_small);
    let too_small = FramingError::MaxLengthTooSmall { max_length: 0, needed: 1 };
    assert_eq!(error(FramingConfig::Raw { max_length: 0 }), too_small);
    assert_eq!(FramingError::EofEmpty.to_string(), "the package delimiter is empty");
    assert!(Framer::new(&eof_config(b"12345678", 8)).is_ok());
    assert!(Framer::new(&eof_config(b"\n", u32::MAX)).is_ok());
}

#[test]
fn raw_takes_all_up_to_the_limit() {
    let mut raw = Raw::new(4).unwrap();
    assert_eq!(raw.next(b""), Frame::NeedMore);
    assert_eq!(raw.next(b"abc"), Frame::Package { len: 3 });
    assert_eq!(raw.next(b"abcdef"), Frame::Package { len: 4 });
}

#[test]
fn a_stream_waits_for_more_only_when_nothing_was_used() {
    let mut stream = Stream::new(6).unwrap();
    assert_eq!(stream.next(b""), Frame::NeedMore);
    assert_eq!(stream.next(b"abcd"), Frame::Package { len: 4 });
    assert_eq!(stream.next(b"abcd"), Frame::Package { len: 4 }, "asking twice");
    stream.put_back(1, 3);
    assert_eq!(stream.next(b"bcd"), Frame::Package { len: 3 }, "there may be more messages in it");
    stream.put_back(0, 3);
    assert_eq!(stream.next(b"bcd"), Frame::NeedMore);
    assert_eq!(stream.next(b"bcd"), Frame::NeedMore, "asking twice");
    assert_eq!(stream.next(b"bcde"), Frame::Package { len: 4 });
    // All was used: what follows is new.
    assert_eq!(stream.next(b"fg"), Frame::Package { len: 2 });
}

#[test]
fn a_stream_that_brings_no_message_within_the_limit_is_too_long() {
    let mut stream = Stream::new(4).unwrap();
    assert_eq!(stream.next(b"abcdef"), Frame::Package { len: 4 });
    stream.put_back(0, 4);
    assert_eq!(stream.next(b"abcdef"), Frame::TooLong);
    assert_eq!(stream.next(b"abcdefg"), Frame::TooLong, "it is final");
}

#[test]
fn a_delimiter_cut_by_reads_is_found() {
    let mut framer = EofSplit::new(b"\r\n\r\n", 100).unwrap();
    assert_eq!(framer.next(b"GET\r"), Frame::NeedMore);
    assert_eq!(framer.next(b"GET\r\n"), Frame::NeedMore);
    assert_eq!(framer.next(b"GET\r\n\r"), Frame::NeedMore);
    assert_eq!(framer.next(b"GET\r\n\r\nPUT"), Frame::Package { len: 7 });
    assert_eq!(framer.next(b"PUT"), Frame::NeedMore);
    assert_eq!(framer.next(b"PUT\r\n\r\n"), Frame::Package { len: 7 });
    assert_eq!(framer.next(b"\r\n\r\n"), Frame::Package { len: 4 });
}

#[test]
fn the_limit_counts_the_delimiter() {
    let framer = || EofSplit::new(b"\r\n", 5).unwrap();
    assert_eq!(framer().next(b"abc\r\n"), Frame::Package { len: 5 });
    assert_eq!(framer().next(b"abcd"), Frame::NeedMore);
    assert_eq!(framer().next(b"abcd\r"), Frame::TooLong);
    assert_eq!(framer().next(b"abcd\r\n"), Frame::TooLong);
}

#[test]
fn bytes_are_searched_once() {
    // 256 KiB byte by byte: searching from the start each time would be 3 * 10^10 bytes.
    let stream = vec![b'x'; 256 << 10];
    let mut framer = EofSplit::new(b"xxxxxxxy", 8 << 20).unwrap();
    for end in 0..stream.len() {
        assert_eq!(framer.next(&stream[..end]), Frame::NeedMore);
    }
}

#[test]
fn broken_caller_rules_do_not_panic() {
    let mut framer = EofSplit::new(b"\n", 100).unwrap();
    assert_eq!(framer.next(b"long enough"), Frame::NeedMore);
    assert_eq!(framer.next(b"short"), Frame::NeedMore);
    assert_eq!(framer.next(b""), Frame::NeedMore);
}

proptest! {
    /// Few different bytes, so that delimiters and near misses are common.
    #[test]
    fn any_chunking_gives_the_packages_of_the_reference(
        stream in vec(0_u8..3, 0..400),
        eof in vec(0_u8..3, 1..=8),
        spare in 0_u32..80,
        chunks in vec(1_usize..40, 1..20),
    ) {
        let max_length = u32::try_from(eof.len()).unwrap() + spare;
        let framer = Framer::new(&eof_config(&eof, max_length)).unwrap();
        let expected = reference(&stream, &eof, usize::try_from(max_length).unwrap());
        prop_assert_eq!(split(&framer, &stream, &chunks), expected);
    }

    /// Long stretches without a delimiter, for the search by blocks.
    #[test]
    fn long_packages_too(
        lengths in vec(0_usize..300, 0..8),
        eof in vec(any::<u8>().prop_map(|byte| byte & 0x7f), 1..=8),
        chunks in vec(1_usize..200, 1..10),
    ) {
        let mut stream = Vec::new();
        for length in lengths {
            stream.extend(std::iter::repeat_n(0xff, length));
            stream.extend_from_slice(&eof);
        }
        let framer = Framer::new(&eof_config(&eof, 280)).unwrap();
        prop_assert_eq!(split(&framer, &stream, &chunks), reference(&stream, &eof, 280));
    }

    #[test]
    fn raw_loses_nothing(
        stream in vec(any::<u8>(), 0..400),
        max_length in 1_u32..50,
        chunks in vec(1_usize..100, 1..10),
    ) {
        let framer = Framer::new(&FramingConfig::Raw { max_length }).unwrap();
        let (packages, too_long) = split(&framer, &stream, &chunks);
        prop_assert!(!too_long);
        prop_assert_eq!(packages.concat(), stream);
    }

    /// Messages of one length byte and so many bytes, parsed by a worker that uses whole ones only
    /// and between one and all of them: every message is seen once, whole and in order, however the
    /// stream is cut, and nobody spins.
    #[test]
    fn a_stream_brings_every_message_once(
        lengths in vec(0_u8..60, 0..40),
        max_length in 61_u32..200,
        chunks in vec(1_usize..100, 1..10),
        at_once in vec(1_usize..5, 1..10),
    ) {
        let messages: Vec<Vec<u8>> = lengths.iter().enumerate()
            .map(|(index, len)| [vec![*len], vec![index as u8; usize::from(*len)]].concat())
            .collect();
        let stream = messages.concat();
        let mut framer = Framer::new(&FramingConfig::Stream { max_length }).unwrap();
        let (mut seen, mut buffered, mut rest) = (Vec::new(), Vec::new(), stream.as_slice());
        let mut at_once = at_once.iter().cycle();
        for chunk in chunks.iter().cycle() {
            loop {
                match framer.next(&buffered) {
                    Frame::NeedMore => break,
                    Frame::Incomplete { .. } | Frame::TooLong | Frame::Malformed => {
                        prop_assert!(false, "no message is too long");
                    }
                    Frame::Package { len } => {
                        prop_assert!(len > 0 && len <= framer.max_length());
                        let mut used = 0;
                        for _ in 0..*at_once.next().unwrap() {
                            let first = buffered[used..len].first();
                            let end = first.map(|l| used + 1 + usize::from(*l));
                            let Some(end) = end else { break };
                            if end > len { break }
                            seen.push(buffered[used..end].to_vec());
                            used = end;
                        }
                        buffered.drain(..used);
                        if used < len {
                            framer.put_back(used, len - used);
                        }
                    }
                }
            }
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at(rest.len().min(*chunk));
            buffered.extend_from_slice(now);
            rest = later;
        }
        prop_assert_eq!(seen, messages);
        prop_assert!(buffered.is_empty());
    }
}
