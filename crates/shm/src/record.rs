//! The 64-byte header in front of every record (protocol §3).

/// Bytes of a header; also the alignment of records, so that a header always fits before the wrap.
pub const HEADER_SIZE: usize = 64;

/// What a record is. The numbers are part of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// Filler up to the wrap; carries nothing.
    Pad = 1,
    /// Down, package ring: a session was accepted; what its client has shown, if anything
    /// (`tls_facts`).
    Connect = 2,
    /// Down, package ring: a package, or a part of one.
    Data = 3,
    /// Down, package ring: a session is closed; its last delivery.
    Closed = 4,
    /// Down, package ring: a datagram, or a part of one; the address of its sender is in front of
    /// its bytes (`peer`).
    Datagram = 5,
    /// Down, package ring: the session's unsent output is above the high mark.
    BufferFull = 6,
    /// Down, package ring: it is at the low mark or below, after it was full.
    BufferEmpty = 7,
    /// Down, package ring: a task, or a part of one; the terms on which it was asked are in front
    /// of its bytes (`task_terms`). `subject` is the asker's number for it, `cause` the asker,
    /// `port` how often it was started before.
    Task = 8,
    /// Down, ring for answers: a result of a task, or a part of one. `subject` is the asker's
    /// number for the task, `cause` the asker, `port` the slot of the worker that has run it.
    Answer = 9,
    /// Down, ring for answers: a task is over, or was never taken in; `total` says how.
    /// `subject` and `cause` as with an answer.
    TaskEnd = 10,
    /// Down, ring for answers: a message of another process, or a part of one. `subject` is the
    /// sender's number for it, `cause` the sender, `port` its form.
    Message = 11,
    /// Down, ring for answers: the message `subject` did not reach its receiver; `total` says why.
    MessageEnd = 12,
    /// Up: bytes for a session.
    Out = 16,
    /// Up: the message begun with `Out` will never be complete.
    Abort = 17,
    /// Up: close a session (`flags` bit 1: with a reset).
    Close = 18,
    /// Up: the session's new state blob.
    State = 19,
    /// Up: the outputs of delivery `cause` become visible before it is finished; it is never
    /// redelivered.
    Expose = 20,
    /// Up: delivery `cause` is finished.
    Fin = 21,
    /// Up: bytes for a session that lie in the package ring of the same lane (`part_offset`,
    /// `total`: see `Reference`).
    OutReference = 22,
    /// Up: sets marks of a session (`part_offset`) and takes others away (`total`), see
    /// [`crate::sessions::MARKS`].
    Mark = 23,
    /// Up: the session is bound to a number, which is `total`.
    Bind = 24,
    /// Up: a datagram from the port of the header, or a part of one; the address of its receiver is
    /// in front of its bytes (`peer`).
    SendTo = 25,
    /// Up: bytes of a message whose length is not known yet, see [`FLAG_MORE`]. `total` is the
    /// number of the stream at its worker, not 0; `part_offset` counts modulo 2^32.
    Stream = 26,
    /// Up: a part of a file for a session, as the payload says
    /// ([`FileRange`](crate::file_range::FileRange)). The file's descriptor came before, through
    /// the lane's file link, and `total` is its number there.
    File = 27,
    /// Up: the session joins the group whose name is the payload.
    Join = 28,
    /// Up: it leaves that group.
    Leave = 29,
    /// Up: a message, or a part of one, for the members of a group at this reactor: the length of
    /// its name in a byte, its name, the bytes. `subject` is a session that does not get it, or 0.
    ToGroup = 30,
    /// Up: a task is asked, or a part of one; its terms are in front of its bytes (`task_terms`).
    /// `subject` is the asker's number for it.
    AskTask = 31,
    /// Up: a result of the task `cause`, or a part of one.
    Result = 32,
    /// Up: a message for another process, or a part of one. `subject` is the sender's number for
    /// it, `cause` the receiver (generation 0: whoever lives in the slot), `port` its form.
    SendMessage = 33,
}

impl RecordKind {
    /// Reads a kind byte written by a peer.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Pad,
            2 => Self::Connect,
            3 => Self::Data,
            4 => Self::Closed,
            5 => Self::Datagram,
            6 => Self::BufferFull,
            7 => Self::BufferEmpty,
            8 => Self::Task,
            9 => Self::Answer,
            10 => Self::TaskEnd,
            11 => Self::Message,
            12 => Self::MessageEnd,
            16 => Self::Out,
            17 => Self::Abort,
            18 => Self::Close,
            19 => Self::State,
            20 => Self::Expose,
            21 => Self::Fin,
            22 => Self::OutReference,
            23 => Self::Mark,
            24 => Self::Bind,
            25 => Self::SendTo,
            26 => Self::Stream,
            27 => Self::File,
            28 => Self::Join,
            29 => Self::Leave,
            30 => Self::ToGroup,
            31 => Self::AskTask,
            32 => Self::Result,
            33 => Self::SendMessage,
            _ => return None,
        })
    }
}

/// Flag of [`RecordKind::Out`] and [`RecordKind::Data`]: more parts of the same message follow.
pub const FLAG_MORE: u8 = 1;
/// Flag of [`RecordKind::Data`]: the package, of `total` bytes, lies in the reactor's body area,
/// from the page `part_offset` on; the record has no payload. Of [`RecordKind::Task`] and
/// [`RecordKind::Answer`]: the same, and the payload says in eight bytes where they begin
/// ([`place_in_area`]); there are no terms in front of them, but those of a task behind the place.
pub const FLAG_IN_AREA: u8 = 128;
/// Flag of [`RecordKind::AskTask`] and [`RecordKind::Result`]: the bytes are `total` ones of the
/// delivery `cause`, from `part_offset` on; the record has no bytes of its own but terms. Of
/// [`RecordKind::OutReference`]: they are those of the answer with the number `cause` among the
/// answers of this process that lie in the area, from 1.
pub const FLAG_REFERENCE: u8 = 128;
/// Flag of [`RecordKind::State`]: the state is a part of a file, as the payload says
/// ([`FileRange`](crate::file_range::FileRange)), whose descriptor came before, as that of a
/// [`RecordKind::File`]; nobody can change it any more. The record has no bytes of its own.
pub const FLAG_IN_FILE: u8 = 128;
/// Flag of [`RecordKind::Close`]: close with a reset, dropping what is unsent.
pub const FLAG_RESET: u8 = 2;
/// Flag of an up record: the delivery `cause` is finished with this record (saves a `Fin`).
pub const FLAG_FIN: u8 = 4;
/// Flag of [`RecordKind::Fin`]: no handler saw the package, because its session had been closed.
pub const FLAG_SKIPPED: u8 = 64;
/// Flag of [`RecordKind::Data`]: the delivery was started before by a process that died (attempt >
/// 1).
pub const FLAG_REDELIVERED: u8 = 8;

/// Flag of [`RecordKind::Data`]: nothing of the session's input comes behind this package.
pub const FLAG_LAST: u8 = 16;
/// Flag of [`RecordKind::Fin`]: only the first `total` bytes of the package were used, the rest is
/// to be given again.
pub const FLAG_PARTLY: u8 = 32;

/// A record's header, as plain values. [`Header::to_words`] and [`Header::from_words`] are its form
/// in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Header {
    /// Bytes of the record with its header, without the alignment behind it.
    pub len: u32,
    /// See [`RecordKind`]; a raw byte because a peer may write anything.
    pub kind: u8,
    /// `FLAG_*`.
    pub flags: u8,
    /// Down: number of the listening port on which the subject came. Up: that from which a datagram
    /// is sent, the form of a message, else 0.
    pub port: u16,
    /// Number of the record in its ring, from 1, plus one each.
    pub seq: u64,
    /// Session (or slot, or task) that the record is about.
    pub subject: u64,
    /// Up: `seq` of the delivery that caused this record, 0 for none; or the receiver of a message.
    pub cause: u64,
    /// Up: transaction. Down: when the record was written, nanoseconds of the monotonic clock.
    pub stamp: u64,
    /// Offset of this part in its message, bytes.
    pub part_offset: u32,
    /// Bytes of the whole message.
    pub total: u32,
    /// Down, package ring: when what it is about was received or asked, nanoseconds of the same
    /// clock; of the deliveries of one reactor no two at the same moment. Else 0.
    pub received: u64,
    /// 0.
    pub spare: u64,
}

impl Header {
    /// The header as the eight little-endian words of the protocol.
    #[must_use]
    pub const fn to_words(&self) -> [u64; 8] {
        [
            self.len as u64
                | (self.kind as u64) << 32
                | (self.flags as u64) << 40
                | (self.port as u64) << 48,
            self.seq,
            self.subject,
            self.cause,
            self.stamp,
            self.part_offset as u64 | (self.total as u64) << 32,
            self.received,
            self.spare,
        ]
    }

    /// Reads the eight words; every value is possible, the caller checks.
    #[must_use]
    pub const fn from_words(words: [u64; 8]) -> Self {
        let [first, seq, subject, cause, stamp, part, received, spare] = words;
        Self {
            len: first as u32,
            kind: (first >> 32) as u8,
            flags: (first >> 40) as u8,
            port: (first >> 48) as u16,
            seq,
            subject,
            cause,
            stamp,
            part_offset: part as u32,
            total: (part >> 32) as u32,
            received,
            spare,
        }
    }

    /// Bytes behind the header.
    #[must_use]
    pub const fn payload_len(&self) -> usize {
        (self.len as usize).saturating_sub(HEADER_SIZE)
    }
}

/// The payload of a record whose bytes lie in the body area, so many bytes from its begin.
#[must_use]
pub const fn place_in_area(offset: u64) -> [u8; 8] {
    offset.to_le_bytes()
}

/// Where in the body area bytes begin, as such a payload says it.
#[must_use]
pub fn read_place(payload: &[u8]) -> Option<u64> {
    payload.first_chunk().copied().map(u64::from_le_bytes)
}

/// What stands behind the place in such a payload.
#[must_use]
pub fn read_behind_place(payload: &[u8]) -> Option<&[u8]> {
    payload.get(size_of::<u64>()..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_memory_form() {
        for offset in [0, 1, 4_096, u64::MAX] {
            assert_eq!(read_place(&place_in_area(offset)), Some(offset));
            let more = [&place_in_area(offset), &b"terms"[..]].concat();
            let read = (read_place(&more), read_behind_place(&more));
            assert_eq!(read, (Some(offset), Some(&b"terms"[..])));
        }
        assert_eq!(read_place(&[0; 7]), None);
    }

    #[test]
    fn a_header_survives_its_memory_form() {
        let header = Header {
            len: 0x1234_5678,
            kind: 21,
            flags: 5,
            port: 0xbeef,
            seq: 7,
            subject: u64::MAX,
            cause: 9,
            stamp: 11,
            part_offset: 13,
            total: u32::MAX,
            received: 15,
            spare: 17,
        };
        assert_eq!(Header::from_words(header.to_words()), header);
    }
}
