//! Messages to reactors that may be longer than a record, with something in front of them: they go
//! up in parts.

use ostler_shm::record::{FLAG_MORE, Header};

use crate::api::send_error::SendError;

/// Cuts a message into parts whose payloads are at most `payload_max` bytes, and appends each with
/// its header, in pieces. `front` stands at the beginning of the first one, and fits into it. A
/// part that is not appended is the last: whoever reads them forgets what was begun.
pub(super) fn append_in_parts(
    header: Header,
    mut front: [&[u8]; 2],
    bytes: &[u8],
    payload_max: usize,
    mut append: impl FnMut(Header, &[&[u8]]) -> Result<(), SendError>,
) -> Result<(), SendError> {
    let mut in_front = front.iter().map(|piece| piece.len()).sum::<usize>();
    let header = Header { total: (in_front + bytes.len()) as u32, ..header };
    let (mut rest, mut offset) = (bytes, 0);
    loop {
        let len = rest.len().min(payload_max - in_front);
        let (part, behind) = rest.split_at_checked(len).unwrap_or((rest, &[]));
        let flags = if behind.is_empty() { 0 } else { FLAG_MORE };
        let [one, other] = front;
        append(Header { flags, part_offset: offset as u32, ..header }, &[one, other, part])?;
        if behind.is_empty() {
            return Ok(());
        }
        offset += in_front + part.len();
        (front, in_front, rest) = (Default::default(), 0, behind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::send_error::SendErrorKind;
    use proptest::prelude::*;

    proptest! {
        /// All parts together are what was sent, none is longer than a record, and all but the last
        /// say that there is more.
        #[test]
        fn parts_are_the_whole(
            front in 0_usize..9, other in 0_usize..9, len in 0_usize..100,
            payload_max in 16_usize..40,
        ) {
            let sent: Vec<u8> = (0..(front + other + len) as u8).collect();
            let (first, bytes) = sent.split_at(front + other);
            let (one, two) = first.split_at(front);
            let (mut seen, mut is_open) = (Vec::new(), true);
            let header = Header { subject: 7, ..Header::default() };
            append_in_parts(header, [one, two], bytes, payload_max, |header, pieces| {
                assert!(is_open, "one behind the last");
                assert_eq!((header.part_offset as usize, header.subject), (seen.len(), 7));
                assert_eq!(header.total as usize, sent.len());
                let payload = pieces.concat();
                assert!(payload.len() <= payload_max);
                seen.extend(payload);
                is_open = header.flags & FLAG_MORE != 0;
                Ok(())
            })
            .unwrap();
            prop_assert!(!is_open);
            prop_assert_eq!(seen, sent);
        }
    }

    #[test]
    fn nothing_comes_behind_a_part_that_is_not_appended() {
        let mut parts = 0;
        let refused = append_in_parts(Header::default(), [&[]; 2], &[1; 30], 10, |_, _| {
            parts += 1;
            if parts < 2 { Ok(()) } else { Err(SendError::new(SendErrorKind::Full)) }
        });
        assert!(refused.unwrap_err().is_full());
        assert_eq!(parts, 2);
    }
}
