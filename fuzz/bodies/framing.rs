//! A byte stream in arbitrary cuts: packages must not depend on the cuts, and every answer keeps
//! the framing's promises. One function for each framing.
//!
//! Input of each: its settings, then (length of a read, its bytes) until the end.

use ostler_core::framing::{Frame, Framer, Framing, FramingConfig, LengthType};

const LETTERS: [char; 14] = ['c', 'C', 's', 'S', 'n', 'v', 'l', 'L', 'N', 'V', 'q', 'Q', 'J', 'P'];

pub fn raw(input: &[u8]) {
    let Some((max_length, reads)) = max_length(input) else { return };
    let Ok(mut framer) = Framer::new(&FramingConfig::Raw { max_length }) else { return };
    for read in cut(reads) {
        let mut rest = read;
        while let Frame::Package { len } = framer.next(rest) {
            assert!(len >= 1 && len <= rest.len() && len <= framer.max_length());
            rest = &rest[len..];
        }
        assert!(rest.is_empty(), "raw waits for something");
    }
}

/// A package ends with the delimiter and has none before its end.
pub fn eof_split(input: &[u8]) {
    let Some((max_length, eof, reads)) = delimiter(input) else { return };
    let config = FramingConfig::EofSplit { eof: eof.to_vec(), max_length };
    check(&config, reads, |package| {
        assert!(package.ends_with(eof), "a package without its delimiter");
        let first = package.windows(eof.len()).position(|window| window == eof);
        assert_eq!(first, Some(package.len() - eof.len()), "a delimiter inside a package");
    });
}

/// A package ends with the delimiter; where, depends on the cuts.
pub fn eof_at_end(input: &[u8]) {
    let Some((max_length, eof, reads)) = delimiter(input) else { return };
    let config = FramingConfig::EofAtEnd { eof: eof.to_vec(), max_length };
    let Ok(framer) = Framer::new(&config) else { return };
    let mut seen = Vec::new();
    let _ = as_it_comes(framer, &cut(reads), |package| {
        assert!(package.ends_with(eof), "a package without its delimiter");
        seen.extend_from_slice(package);
    });
    assert!(cut(reads).concat().starts_with(&seen), "bytes were lost or invented");
}

/// A package is as long as its header says.
pub fn length_field(input: &[u8]) {
    let Some((max_length, rest)) = max_length(input) else { return };
    let Some(([kind, length_offset, body_offset], reads)) = rest.split_first_chunk() else {
        return;
    };
    let letter = LETTERS[usize::from(*kind) % LETTERS.len()];
    let Some(length_type) = LengthType::from_letter(letter) else { return };
    let (length_offset, body_offset) = (u32::from(*length_offset), u32::from(*body_offset));
    let config = FramingConfig::LengthField { length_type, length_offset, body_offset, max_length };
    check(&config, reads, |package| {
        let header = usize::try_from(length_offset + length_type.size()).unwrap();
        assert!(package.len() >= header, "a package ends before its header");
    });
}

pub fn mqtt(input: &[u8]) {
    let Some((max_length, reads)) = max_length(input) else { return };
    check(&FramingConfig::Mqtt { max_length }, reads, |package| {
        assert!(package.len() >= 2 && package[0] >> 4 != 0, "a package that is no packet");
    });
}

pub fn resp(input: &[u8]) {
    let Some((max_length, reads)) = max_length(input) else { return };
    check(&FramingConfig::Resp { max_length }, reads, |package| {
        assert!(package.ends_with(b"\n"), "a package that ends within a line");
    });
}

/// The first byte of a message says how long the whole of it is. A message that is longer than the
/// limit, and only such a one, ends the stream; the messages do not depend on the cuts.
pub fn stream(input: &[u8]) {
    let Some((max_length, rest)) = max_length(input) else { return };
    let reads = cut(rest);
    let Ok(framer) = Framer::new(&FramingConfig::Stream { max_length }) else { return };
    let (mut cut, mut buffered, mut lengths, mut too_long) =
        (framer, Vec::new(), Vec::new(), false);
    for read in &reads {
        buffered.extend_from_slice(read);
        too_long |= use_messages(&mut cut, &mut buffered, &mut lengths);
        if too_long {
            break;
        }
    }
    let (mut whole, mut all, mut whole_lengths) = (framer, reads.concat(), Vec::new());
    let whole_too_long = use_messages(&mut whole, &mut all, &mut whole_lengths);
    assert_eq!((lengths, too_long), (whole_lengths, whole_too_long), "messages depend on the cuts");
}

/// Uses whole messages as a worker does; answers whether one is too long.
fn use_messages(framer: &mut Framer, buffered: &mut Vec<u8>, lengths: &mut Vec<usize>) -> bool {
    loop {
        match framer.next(buffered) {
            Frame::NeedMore => return false,
            Frame::TooLong => return true,
            Frame::Incomplete { .. } | Frame::Malformed => panic!("a stream has no headers"),
            Frame::Package { len } => {
                assert!(len >= 1 && len <= buffered.len() && len <= framer.max_length());
                let mut used = 0;
                while let Some(first) = buffered.get(used).filter(|_| used < len) {
                    let message = usize::from(*first).max(1);
                    if used + message > len {
                        break;
                    }
                    lengths.push(message);
                    used += message;
                }
                buffered.drain(..used);
                if used < len {
                    framer.put_back(used, len - used);
                }
            }
        }
    }
}

/// The limit, at most 1 023 bytes, because a small one is reached more often.
fn max_length(input: &[u8]) -> Option<(u32, &[u8])> {
    let ([low, high], rest) = input.split_first_chunk()?;
    Some((u32::from(u16::from_le_bytes([*low, *high % 4])), rest))
}

fn delimiter(input: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (max_length, rest) = max_length(input)?;
    let (eof_len, rest) = rest.split_first()?;
    let (eof, rest) = rest.split_at_checked(usize::from(*eof_len % 4) + 1)?;
    Some((max_length, eof, rest))
}

/// The reads: each a byte with its length, and its bytes.
fn cut(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut reads = Vec::new();
    while let Some((len, bytes)) = rest.split_first() {
        let (read, after) = bytes.split_at(usize::from(*len % 64).min(bytes.len()));
        reads.push(read);
        rest = after;
    }
    reads
}

/// The stream as it comes and the stream at once have the same packages and the same end.
fn check(config: &FramingConfig, reads: &[u8], is_package: impl Fn(&[u8])) {
    let Ok(framer) = Framer::new(config) else { return };
    let reads = cut(reads);
    let (mut lengths, mut whole_lengths) = (Vec::new(), Vec::new());
    let end = as_it_comes(framer, &reads, |package| {
        is_package(package);
        lengths.push(package.len());
    });
    let whole = reads.concat();
    let whole_end = as_it_comes(framer, &[&whole], |package| whole_lengths.push(package.len()));
    assert_eq!(lengths, whole_lengths, "packages depend on the cuts");
    let is_final = |end| matches!(end, Frame::TooLong | Frame::Malformed);
    assert_eq!(is_final(end), is_final(whole_end), "the end depends on the cuts");
}

/// Takes packages off the stream as its reads arrive; answers what was said last.
fn as_it_comes(mut framer: Framer, reads: &[&[u8]], mut seen: impl FnMut(&[u8])) -> Frame {
    let (mut buffered, mut last) = (Vec::new(), Frame::NeedMore);
    for read in reads {
        buffered.extend_from_slice(read);
        loop {
            last = framer.next(&buffered);
            let Frame::Package { len } = last else { break };
            assert!(len >= 1 && len <= buffered.len() && len <= framer.max_length());
            seen(&buffered[..len]);
            buffered.drain(..len);
        }
        match last {
            Frame::NeedMore => {
                assert!(buffered.len() < framer.max_length(), "it waits for bytes of no use");
            }
            Frame::Incomplete { len } => {
                assert!(len > buffered.len() && len <= framer.max_length(), "it waits for nothing");
            }
            _ => return last,
        }
    }
    last
}
