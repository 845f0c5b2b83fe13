//! A byte stream in arbitrary cuts: packages must not depend on the cuts, and every answer keeps
//! the framing's promises.

use ostler_core::framing::{Frame, Framer, Framing, FramingConfig};

/// Input: settings, then (length of a read, its bytes) until the end.
pub fn cuts(input: &[u8]) {
    let Some((settings, rest)) = input.split_at_checked(3) else { return };
    let eof_len = usize::from(settings[0] % 4) + 1;
    let max_length = u32::from(u16::from_le_bytes([settings[1], settings[2] % 4]));
    let Some((eof, rest)) = rest.split_at_checked(eof_len) else { return };
    let mut reads = Vec::new();
    let mut rest = rest;
    while let Some((len, bytes)) = rest.split_first() {
        let (read, after) = bytes.split_at(usize::from(*len % 64).min(bytes.len()));
        reads.push(read);
        rest = after;
    }
    check_raw(max_length, &reads);
    check_split(eof, max_length, &reads);
    check_stream(max_length, &reads);
}

fn check_raw(max_length: u32, reads: &[&[u8]]) {
    let Ok(mut framer) = Framer::new(&FramingConfig::Raw { max_length }) else { return };
    for read in reads {
        let mut rest = *read;
        while let Frame::Package { len } = framer.next(rest) {
            assert!(len >= 1 && len <= rest.len() && len <= framer.max_length());
            rest = &rest[len..];
        }
    }
}

/// The first byte of a message says how long the whole of it is. A message that is longer than the
/// limit, and only such a one, ends the stream; the messages do not depend on the cuts.
fn check_stream(max_length: u32, reads: &[&[u8]]) {
    let Ok(framer) = Framer::new(&FramingConfig::Stream { max_length }) else { return };
    let (mut cut, mut buffered, mut lengths, mut too_long) =
        (framer, Vec::new(), Vec::new(), false);
    for read in reads {
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

fn check_split(eof: &[u8], max_length: u32, reads: &[&[u8]]) {
    let config = FramingConfig::EofSplit { eof: eof.to_vec(), max_length };
    let Ok(framer) = Framer::new(&config) else { return };
    // As the stream comes.
    let mut cut = framer;
    let (mut buffered, mut lengths, mut too_long) = (Vec::new(), Vec::new(), false);
    for read in reads {
        buffered.extend_from_slice(read);
        too_long |= next_packages(&mut cut, &mut buffered, &mut lengths, eof);
        if too_long {
            break;
        }
    }
    // All at once.
    let mut whole = framer;
    let (mut all, mut whole_lengths) = (reads.concat(), Vec::new());
    let whole_too_long = next_packages(&mut whole, &mut all, &mut whole_lengths, eof);
    assert_eq!((lengths, too_long), (whole_lengths, whole_too_long), "packages depend on the cuts");
}

/// Removes the packages at the front; answers whether the stream is too long.
fn next_packages(
    framer: &mut Framer,
    buffered: &mut Vec<u8>,
    lengths: &mut Vec<usize>,
    eof: &[u8],
) -> bool {
    loop {
        match framer.next(buffered) {
            Frame::Package { len } => {
                assert!(len >= 1 && len <= buffered.len() && len <= framer.max_length());
                let package = &buffered[..len];
                assert!(package.ends_with(eof), "a package without its delimiter");
                let first = package.windows(eof.len()).position(|window| window == eof);
                assert_eq!(first, Some(len - eof.len()), "a delimiter inside a package");
                lengths.push(len);
                buffered.drain(..len);
            }
            Frame::NeedMore => {
                assert!(buffered.len() < framer.max_length(), "it waits for bytes of no use");
                return false;
            }
            Frame::TooLong => return true,
        }
    }
}
