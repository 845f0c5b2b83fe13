//! A worker that writes anything into its words and its out ring, against the reactor's functions.

use super::Plain;
use super::script::{Script, set};
use ostler_shm::consumer::Consumer;
use ostler_shm::giver::{Giver, ProtocolViolation};
use ostler_shm::peer::PeerBlock;
use ostler_shm::record::{HEADER_SIZE, Header, RecordKind};
use ostler_shm::ring::RingBytes;
use ostler_shm::sleep::Ringer;
use ostler_shm::sync::Ordering;
use ostler_shm::words::{DownWords, ProcessWords, UpWords};

const CAPACITY: u64 = 4096;

struct Lane {
    process: ProcessWords,
    down: DownWords,
    up: UpWords,
    packages: Plain,
    outputs: Plain,
    giver: Giver,
    consumer: Consumer,
    ringer: Ringer,
    published: u64,
    freed: u64,
    written: u64,
    seq: u64,
}

/// Plays a script. Panics when one of the reactor's functions breaks its promise; their own panics
/// and endless loops are found by who calls this.
pub fn up_bytes(script: &[u8]) {
    let mut script = Script::new(script);
    let mut lane = Lane {
        process: ProcessWords::new(),
        down: DownWords::new(),
        up: UpWords::new(),
        packages: Plain::new(CAPACITY),
        outputs: Plain::new(CAPACITY),
        giver: Giver::default(),
        consumer: Consumer::default(),
        ringer: Ringer::default(),
        published: 0,
        freed: 0,
        written: 0,
        seq: 0,
    };
    while !script.is_empty() {
        // A lane with nonsense in it is condemned: nothing more is read.
        if lane.step(&mut script).is_err() {
            return;
        }
    }
}

impl Lane {
    fn step(&mut self, script: &mut Script<'_>) -> Result<(), ProtocolViolation> {
        match script.byte() % 14 {
            0 => set(&self.process.commit.commit, script),
            1 | 2 => set(&self.up.out.out_written, script),
            3 => set(&self.up.taken.taken, script),
            4 => set(&self.up.taken.freed, script),
            5 => set(&self.process.sleep.room_want, script),
            6 => {
                let (offset, len) = (script.word() % CAPACITY, script.byte());
                let bytes: Vec<u8> = (0..len).map(|_| script.byte()).collect();
                self.outputs.scribble(offset, &bytes);
            }
            7 | 8 => self.almost_right(script),
            9 => self.give(script),
            10 => self.recall()?,
            11 => self.consume()?,
            12 => self.reclaim()?,
            _ => {
                let t = self.giver.started_below(&self.up)?;
                assert!(t <= self.published, "started beyond what was given");
                self.ringer.needs_bell(&self.process.sleep.room_want);
            }
        }
        assert!(self.giver.in_use() <= CAPACITY, "the package ring is overfull");
        Ok(())
    }

    /// A record as a correct worker would write it, with one or no field wrong, made visible.
    fn almost_right(&mut self, script: &mut Script<'_>) {
        let commit = self.process.commit.commit.load(Ordering::Relaxed);
        let kinds = [
            RecordKind::Out,
            RecordKind::Fin,
            RecordKind::Expose,
            RecordKind::Pad,
            RecordKind::Close,
            RecordKind::OutReference,
        ];
        let size = 64 + u32::from(script.byte()) * 4;
        let mut header = Header {
            len: size,
            kind: kinds[script.byte() as usize % kinds.len()] as u8,
            seq: self.seq + 1,
            stamp: commit.wrapping_add(1),
            ..Header::default()
        };
        match script.byte() % 16 {
            0 => header.len = script.word() as u32,
            1 => header.kind = script.byte(),
            2 => header.seq = script.number(header.seq),
            3 => header.stamp = script.number(commit),
            _ => {}
        }
        let offset = self.written & (CAPACITY - 1) & !63;
        self.outputs.write_header(offset, &header);
        self.written = self.written.wrapping_add(u64::from(size).div_ceil(64) * 64);
        self.seq += 1;
        self.up.out.out_written.store(self.written, Ordering::Relaxed);
        self.process.commit.commit.store(commit.wrapping_add(1), Ordering::Relaxed);
    }

    fn give(&mut self, script: &mut Script<'_>) {
        let (want, min) = (u64::from(script.byte()) * 8, u64::from(script.byte()));
        let Some(opening) = self.giver.open(CAPACITY, want.max(min), min) else { return };
        let first = opening.payload_offset - HEADER_SIZE as u64;
        assert!(first.is_multiple_of(HEADER_SIZE as u64));
        assert!(opening.payload_offset + opening.payload_max <= CAPACITY);
        assert!(opening.payload_max >= min && opening.payload_max <= want.max(min));
        let header = Header { kind: RecordKind::Data as u8, ..Header::default() };
        let given = self.giver.complete(&self.packages, opening, header, opening.payload_max);
        assert_eq!(given.position & (CAPACITY - 1), first);
        assert!(given.end > self.published);
        if script.byte().is_multiple_of(2) {
            self.publish(given.end);
        }
    }

    fn publish(&mut self, end: u64) {
        self.giver.publish(&self.down);
        self.published = end;
        assert_eq!(self.down.package.pkg_written.load(Ordering::Relaxed), end);
    }

    fn recall(&mut self) -> Result<(), ProtocolViolation> {
        let result = self.giver.recall(&self.down, &self.up);
        self.published = self.down.package.pkg_written.load(Ordering::Relaxed);
        assert_eq!(self.down.gate.gate.load(Ordering::Relaxed) % 2, 0, "the gate stays closed");
        assert!(result? <= self.published, "recalled beyond what was given");
        Ok(())
    }

    fn consume(&mut self) -> Result<(), ProtocolViolation> {
        self.consumer.look(&self.process, &self.up, CAPACITY)?;
        let commit = self.process.commit.commit.load(Ordering::Relaxed);
        let mut turns = 0;
        while let Some(record) = self.consumer.next(&self.outputs)? {
            turns += 1;
            assert!(turns <= CAPACITY / HEADER_SIZE as u64, "the consumer goes round and round");
            assert!(record.payload_offset + record.header.payload_len() as u64 <= CAPACITY);
            assert!(record.header.stamp <= commit, "an output that does not exist");
            assert_ne!(record.kind, RecordKind::Pad);
            assert_eq!(record.kind as u8, record.header.kind);
        }
        assert!(self.consumer.unreleased() <= CAPACITY);
        self.consumer.release(&self.down);
        assert_eq!(self.consumer.unreleased(), 0);
        Ok(())
    }

    fn reclaim(&mut self) -> Result<(), ProtocolViolation> {
        let freed = self.giver.peek_freed(&self.up);
        self.giver.reclaim(freed)?;
        assert!(self.freed <= freed && freed <= self.published, "freed is outside what was given");
        self.freed = freed;
        Ok(())
    }
}

/// Reads what may be an address of a datagram's peer: what is read is written in the same bytes.
pub fn peer_block(bytes: &[u8]) {
    let Some(block) = PeerBlock::read(bytes) else { return };
    assert!(bytes.starts_with(block.as_bytes()));
    let address = block.address().expect("what was read has an address");
    assert_eq!(PeerBlock::new(address), Some(block), "an address has one form");
}
