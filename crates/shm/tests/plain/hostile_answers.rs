//! A worker that says anything about the answers that it has read, against the reactor's end of
//! their ring; and a worker's end that finds anything in there.

use super::Plain;
use super::script::{Script, set};
use ostler_shm::answers::{AnswerGiver, AnswerTaker, TakeAnswer};
use ostler_shm::giver::ProtocolViolation;
use ostler_shm::record::{HEADER_SIZE, Header, RecordKind};
use ostler_shm::ring::max_record;
use ostler_shm::sync::Ordering;
use ostler_shm::words::{DownWords, UpWords};

const CAPACITY: u64 = 4096;

struct Lane {
    down: DownWords,
    up: UpWords,
    ring: Plain,
    giver: AnswerGiver,
    /// What the worker's end would do if it were honest: it reads what the other one says.
    taker: AnswerTaker,
    head: u64,
    published: u64,
    read: u64,
    /// Nobody has lied, and nothing else than answers was written into the ring.
    is_honest: bool,
}

/// Plays a script. Panics when one of the ends breaks its promise.
pub fn answers(script: &[u8]) {
    let mut script = Script::new(script);
    let mut lane = Lane {
        down: DownWords::new(),
        up: UpWords::new(),
        ring: Plain::new(CAPACITY),
        giver: AnswerGiver::default(),
        taker: AnswerTaker::default(),
        head: 0,
        published: 0,
        read: 0,
        is_honest: true,
    };
    while !script.is_empty() {
        // A worker that says nonsense is condemned, one that reads nonsense ends.
        if lane.step(&mut script).is_err() {
            return;
        }
    }
}

impl Lane {
    fn step(&mut self, script: &mut Script<'_>) -> Result<(), ProtocolViolation> {
        match script.byte() % 10 {
            0 => {
                self.is_honest = false;
                set(&self.up.ctl_read.out_written, script);
            }
            1..=3 => self.append(script),
            4 => self.publish(),
            5 => self.look()?,
            6 => {
                let waits = script.byte().is_multiple_of(2);
                self.giver.set_waits(waits, &self.down);
                assert_eq!(AnswerTaker::is_awaited(&self.down), waits);
                let has_read = self.up.ctl_read.out_written.load(Ordering::Relaxed) != self.read;
                assert_eq!(self.giver.has_room_news(&self.up), waits && has_read);
            }
            7 => {
                let (offset, len) = (script.word() % CAPACITY, script.byte());
                let bytes: Vec<u8> = (0..len).map(|_| script.byte()).collect();
                self.is_honest &= len == 0;
                self.ring.scribble(offset, &bytes);
            }
            _ => self.take()?,
        }
        assert!(self.head - self.read <= CAPACITY, "the ring is overfull");
        Ok(())
    }

    fn append(&mut self, script: &mut Script<'_>) {
        let len = usize::from(script.byte()) * 5;
        let kind = RecordKind::Answer as u8;
        let header = Header { kind, subject: self.head, ..Header::default() };
        let Ok(end) = self.giver.append(&self.ring, header, &vec![7; len]) else { return };
        assert!((HEADER_SIZE + len) as u64 <= max_record(CAPACITY), "longer than a record may be");
        assert!(end > self.head && end.is_multiple_of(HEADER_SIZE as u64));
        self.head = end;
    }

    fn publish(&mut self) {
        assert_eq!(self.giver.publish(&self.down), self.head != self.published);
        self.published = self.head;
        assert_eq!(self.down.control.ctl_written.load(Ordering::Relaxed), self.head);
    }

    fn look(&mut self) -> Result<(), ProtocolViolation> {
        let read = self.giver.read(&self.up)?;
        assert!(self.read <= read && read <= self.published, "read is outside what was given");
        self.read = read;
        Ok(())
    }

    /// The other end takes what is there, and says so.
    fn take(&mut self) -> Result<(), ProtocolViolation> {
        match self.taker.take(&self.down, &self.ring) {
            TakeAnswer::Empty => {}
            TakeAnswer::Broken => {
                assert!(!self.is_honest, "nonsense in an honest ring");
                return Err(ProtocolViolation("nonsense"));
            }
            TakeAnswer::Record { header, position } => {
                let offset = position & (CAPACITY - 1);
                let end = offset + HEADER_SIZE as u64 + header.payload_len() as u64;
                assert!(end <= CAPACITY, "a record that leaves the ring");
                assert_ne!(header.kind, RecordKind::Pad as u8);
                self.ring.bytes(offset, HEADER_SIZE + header.payload_len());
                self.taker.done(&self.up);
                assert!(self.up.ctl_read.out_written.load(Ordering::Relaxed) <= self.published);
            }
        }
        Ok(())
    }
}
