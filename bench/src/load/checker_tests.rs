//! The checker must see every kind of damage, wherever it is and however the stream is cut.

use super::*;

const SIZE: usize = 100;

fn pattern() -> Pattern {
    Pattern::new(SIZE, 42)
}

fn stream(requests: u64) -> Vec<u8> {
    let pattern = pattern();
    let mut bytes = Vec::new();
    for sequence in 0..requests {
        let message = pattern.message(3, sequence);
        let (header, body) = message.parts(0);
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(body);
    }
    bytes
}

/// Feeds `bytes` in pieces of `cut` and returns the completed replies or the first fault.
fn check(bytes: &[u8], sent: u64, cut: usize) -> Result<u64, Fault> {
    let pattern = pattern();
    let mut checker = Checker::new(3, 0);
    let mut completed = 0;
    let mut owed = sent * SIZE as u64;
    for piece in bytes.chunks(cut) {
        completed += checker.accept(&pattern, owed, piece)?;
        owed -= piece.len() as u64;
    }
    Ok(completed)
}

#[test]
fn the_right_stream_passes_however_it_is_cut() {
    for cut in [1, 7, 15, 16, 17, 99, 100, 101, 250, 1000] {
        assert_eq!(check(&stream(5), 5, cut), Ok(5), "cut {cut}");
    }
}

#[test]
fn a_changed_byte_is_found_at_its_place() {
    for place in 0..3 * SIZE {
        let mut bytes = stream(3);
        bytes[place] ^= 1;
        let fault = check(&bytes, 3, 64).unwrap_err();
        assert_eq!(fault.sequence as usize, place / SIZE);
        assert_eq!(fault.offset, place % SIZE);
        assert!(matches!(fault.kind, FaultKind::Wrong { .. }));
    }
}

#[test]
fn swapped_bytes_are_found() {
    for place in 0..3 * SIZE - 1 {
        let mut bytes = stream(3);
        if bytes[place] == bytes[place + 1] {
            continue;
        }
        bytes.swap(place, place + 1);
        assert!(check(&bytes, 3, 37).is_err(), "place {place}");
    }
}

#[test]
fn a_missing_byte_never_completes_all_replies() {
    for place in 0..3 * SIZE {
        let mut bytes = stream(3);
        bytes.remove(place);
        assert!(!matches!(check(&bytes, 3, 37), Ok(3)), "place {place}");
    }
}

#[test]
fn a_doubled_byte_is_found() {
    for place in 0..3 * SIZE {
        let mut bytes = stream(3);
        bytes.insert(place, bytes[place]);
        assert!(check(&bytes, 3, 37).is_err(), "place {place}");
    }
}

#[test]
fn bytes_beyond_what_was_sent_are_found_even_if_they_would_be_right_later() {
    let fault = check(&stream(3), 2, 1000).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Extra { bytes: SIZE as u64 });
}

#[test]
fn doubled_reordered_and_foreign_replies_are_named() {
    let whole = stream(3);
    let (first, second, third) = (&whole[..SIZE], &whole[SIZE..2 * SIZE], &whole[2 * SIZE..]);
    let origin = |bytes: Vec<u8>| match check(&bytes, 3, 33).unwrap_err().kind {
        FaultKind::Wrong { origin, .. } => origin,
        FaultKind::Extra { .. } => None,
    };
    let doubled = origin([first, first, third].concat());
    assert_eq!(doubled, Some(Origin { connection: 3, sequence: 0 }));
    let reordered = origin([second, first, third].concat());
    assert_eq!(reordered, Some(Origin { connection: 3, sequence: 1 }));
    let foreign = pattern();
    let message = foreign.message(9, 0);
    let (header, body) = message.parts(0);
    let foreign = origin([header, body].concat());
    assert_eq!(foreign, Some(Origin { connection: 9, sequence: 0 }));
}
