//! Commands that write nonsense into this process's own lanes.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use ostler_shm::file_range::FileRange;
use ostler_shm::record::{FLAG_IN_FILE, FLAG_PARTLY, FLAG_SKIPPED, Header, RecordKind};
use ostler_shm::words::{ProcessWords, WorkLine};
use rustix::fs::{MemfdFlags, SealFlags};

use crate::Probe;
use crate::memory::{Memory, bells, file_link, ring_all};
use crate::process::start_child;
use crate::words::Call;

/// A hostile command waits so long for its end.
const DOOM: Duration = Duration::from_secs(60);

/// Place of the commit word in the `up` file.
const COMMIT: u64 = 0;

/// Carries the command out, if it is one of these: `hostile KIND ...`.
pub(crate) fn run(probe: &Probe, call: &mut Call<'_>, word: &str) -> bool {
    if word != "hostile" {
        return false;
    }
    let what = call.arguments.word();
    let Some(mut harm) = Harm::new(probe, call) else {
        call.say("there is no up file");
        return true;
    };
    if let Some(answer) = harm.survives(call, what) {
        call.say(answer);
        return true;
    }
    let is_known = harm.words(call, what)
        || harm.record(call, what)
        || harm.group(call, what)
        || harm.file(call, what);
    if !is_known {
        call.say("unknown kind of harm");
        return true;
    }
    probe.note(call.worker, format!("harm {what}"));
    ring_all(&harm.bells);
    std::thread::sleep(DOOM);
    true
}

/// Where harm can be done: the words and the ring of one reactor in the `up` file.
struct Harm {
    up: Memory,
    up_len: u64,
    bells: Vec<OwnedFd>,
    random: Random,
    /// The words of this reactor.
    taken: u64,
    freed: u64,
    written: u64,
    ring: u64,
    ring_len: u64,
    /// Where the rings begin: before it are words only.
    rings: u64,
}

impl Harm {
    /// Every kind is followed by a number from which its random words come.
    fn new(probe: &Probe, call: &mut Call<'_>) -> Option<Self> {
        let seed = call.arguments.number() ^ u64::from(std::process::id());
        let reactor = call.session.info()?.reactor;
        let words = probe.sizes.up_words_at(reactor);
        Some(Self {
            up: Memory::open("ostler-up")?,
            up_len: probe.sizes.up_len(),
            bells: bells(),
            random: Random(seed),
            taken: words,
            freed: words + 8,
            written: words + 64,
            ring: probe.sizes.out_ring_at(reactor),
            ring_len: probe.sizes.lane_size,
            rings: probe.sizes.out_ring_at(0),
        })
    }

    /// Harm for which nobody is condemned, with what it answers.
    fn survives(&mut self, call: &mut Call<'_>, what: &str) -> Option<String> {
        let rest = &mut call.arguments;
        match what {
            "fuzz" => {
                self.fuzz(rest.number().max(1));
                ring_all(&self.bells);
                Some("fuzzed".to_owned())
            }
            "few_bells" => {
                (0..500).for_each(|_| ring_all(&self.bells));
                Some("rung".to_owned())
            }
            "work" => {
                let lie = rest.number();
                self.lie_about_work(lie);
                Some(format!("w{} lies {lie}", call.worker.slot()))
            }
            // The master's files are sealed: nothing can be written into them.
            "down" => {
                let refused = ["ostler-down", "ostler-board"].map(|name| {
                    Memory::open(name).map_or("missing", |memory| {
                        if memory.write(&[0xff; 64], 0).is_err() { "refused" } else { "written" }
                    })
                });
                Some(refused.join(" "))
            }
            "child" => Some(format!("child {}", start_child())),
            // Descriptors without records, as many as the link takes.
            "files_flood" => {
                let link = file_link(call.session.info()?.reactor)?;
                let null = File::open("/dev/null").ok()?;
                let count = rest.number();
                let passed =
                    (0..count).take_while(|_| pass(&link, &[0; 8], &[null.as_fd()])).count();
                Some(format!("passed {}", passed > 0))
            }
            _ => None,
        }
    }

    /// Wrong words; `false`: it is another kind of harm.
    fn words(&mut self, call: &mut Call<'_>, what: &str) -> bool {
        let commits = match what {
            "words" => {
                for at in (0..self.rings).step_by(8) {
                    self.up.put(at, self.random.next());
                }
                None
            }
            "ring" => {
                for at in (0..self.ring_len).step_by(8) {
                    self.up.put(self.ring + at, self.random.next());
                }
                self.up.put(self.written, self.up.get(self.written) + 64);
                Some(u64::MAX)
            }
            "commit_back" => {
                self.up.put(COMMIT, 0);
                self.up.put(self.written, self.up.get(self.written) + 64);
                None
            }
            "written_far" => self.writes(!63),
            "written_back" => self.writes(0),
            "written_odd" => self.writes(self.up.get(self.written) + 1),
            "taken_far" => self.moves(self.taken, u64::MAX),
            "taken_back" => self.moves(self.taken, 0),
            "freed_far" => self.moves(self.freed, self.up.get(self.taken) + (1 << 20)),
            "freed_odd" => self.moves(self.freed, self.up.get(self.freed) + 8),
            // All that was given is freed, also what was never taken.
            "freed_untaken" => {
                let up_to = call.arguments.number();
                self.moves(self.freed, (self.up.get(self.taken) - 1) + up_to)
            }
            "bells" => {
                let doom = Instant::now() + DOOM;
                while Instant::now() < doom {
                    ring_all(&self.bells);
                    std::thread::yield_now();
                }
                None
            }
            _ => return false,
        };
        if let Some(commit) = commits {
            self.up.put(COMMIT, commit);
        }
        true
    }

    /// The ring ends here now; what the commit word must say for that.
    fn writes(&self, end: u64) -> Option<u64> {
        self.up.put(self.written, end);
        Some(self.up.get(COMMIT) + 1)
    }

    /// A word of the ring of packages says this, and a good record makes the master look at it.
    fn moves(&self, word: u64, value: u64) -> Option<u64> {
        self.up.put(word, value);
        self.append(Header { kind: RecordKind::Close as u8, subject: 0, ..self.good() });
        None
    }

    /// A wrong record; `false`: it is another kind of harm.
    fn record(&mut self, call: &mut Call<'_>, what: &str) -> bool {
        let good = self.good();
        let rest = &mut call.arguments;
        let header = match what {
            "fin_unknown" => Header { cause: 1 << 40, ..good },
            "skip_unknown" => Header { cause: 1 << 40, flags: FLAG_SKIPPED, ..good },
            "fin_zero" => Header { cause: 0, ..good },
            // A part of this delivery is said to be used: its number, and how many bytes.
            "fin_partly" => {
                let (cause, total) = (rest.number(), rest.number() as u32);
                Header { flags: FLAG_PARTLY, cause, total, ..good }
            }
            "expose_unknown" => Header { kind: RecordKind::Expose as u8, cause: 77_777, ..good },
            "kind_unknown" => Header { kind: 99, ..good },
            "kind_down" => Header { kind: RecordKind::Data as u8, ..good },
            "seq_wrong" => Header { seq: good.seq + 1, ..good },
            "len_zero" => Header { len: 0, ..good },
            "len_huge" => Header { len: u32::MAX, ..good },
            "len_beyond" => Header { len: 128, ..good },
            "reference" => Header {
                kind: RecordKind::OutReference as u8,
                subject: call.session.id(),
                cause: rest.number(),
                part_offset: u32::MAX,
                total: u32::MAX,
                ..good
            },
            // A reply that is a part of this delivery: its number, where it begins, how long it is.
            "refer" => Header {
                kind: RecordKind::OutReference as u8,
                subject: call.session.id(),
                cause: rest.number(),
                part_offset: rest.number() as u32,
                total: rest.number() as u32,
                ..good
            },
            // Marks that are the reactor's own, and one that is set and taken away at once.
            "mark" => Header {
                kind: RecordKind::Mark as u8,
                subject: call.session.id(),
                part_offset: rest.number() as u32,
                total: rest.number() as u32,
                ..good
            },
            // The end of a message, so far behind its begin.
            "out" => Header {
                kind: RecordKind::Out as u8,
                subject: call.session.id(),
                part_offset: rest.number() as u32,
                ..good
            },
            "stream" => {
                Header { kind: RecordKind::Stream as u8, subject: call.session.id(), ..good }
            }
            _ => return false,
        };
        self.append(header);
        true
    }

    /// A file that is not passed as it should be, to be sent or as a state; `false`: it is another
    /// kind of harm.
    fn file(&self, call: &mut Call<'_>, what: &str) -> bool {
        let (kind, flags, what) = match (what.strip_prefix("file_"), what.strip_prefix("state_")) {
            (Some(what), _) => (RecordKind::File, 0, what),
            (_, Some("ring")) => (RecordKind::State, 0, "none"),
            (_, Some(what)) => (RecordKind::State, FLAG_IN_FILE, what),
            _ => return false,
        };
        let Some(link) = call.session.info().and_then(|info| file_link(info.reactor)) else {
            call.say("there is no file link");
            return true;
        };
        let number = call.arguments.number();
        let (passed, range) = wrong_file(what);
        if what != "none" {
            let descriptors: Vec<_> = passed.iter().map(AsFd::as_fd).collect();
            pass(&link, &number.to_le_bytes(), &descriptors);
        }
        let header = Header {
            len: 64 + range.len() as u32,
            kind: kind as u8,
            flags,
            subject: call.session.id(),
            total: if what == "number" { 7 } else { number as u32 },
            ..self.good()
        };
        self.append_with(header, &range);
        true
    }

    /// A wrong record about a group; `false`: it is another kind of harm.
    fn group(&self, call: &Call<'_>, what: &str) -> bool {
        let (kind, payload): (RecordKind, &[u8]) = match what {
            "join_nameless" => (RecordKind::Join, b""),
            "leave_nameless" => (RecordKind::Leave, b""),
            "to_group_empty" => (RecordKind::ToGroup, b""),
            "to_group_nameless" => (RecordKind::ToGroup, b"\0bytes"),
            "to_group_short" => (RecordKind::ToGroup, b"\xfflobby"),
            "to_group_part" => (RecordKind::ToGroup, b"part"),
            _ => return false,
        };
        let offset = if what == "to_group_part" { 77 } else { 0 };
        let header = Header {
            len: 64 + payload.len() as u32,
            kind: kind as u8,
            subject: call.session.id(),
            part_offset: offset,
            ..self.good()
        };
        self.append_with(header, payload);
        true
    }

    /// A record without fault: the next one, of this moment.
    fn good(&self) -> Header {
        Header {
            len: 64,
            kind: RecordKind::Fin as u8,
            seq: self.last_seq() + 1,
            stamp: self.up.get(COMMIT) + 1,
            ..Header::default()
        }
    }

    /// A record of 64 bytes is behind those that are there, whatever else is wrong with it.
    fn append(&self, header: Header) {
        self.append_with(header, &[]);
    }

    /// The same with a payload of at most 64 bytes.
    fn append_with(&self, header: Header, payload: &[u8]) {
        let end = self.up.get(self.written);
        let at = self.ring + (end & (self.ring_len - 1));
        for (index, word) in header.to_words().into_iter().enumerate() {
            self.up.put(at + 8 * index as u64, word);
        }
        let _ = self.up.write(payload, at + 64);
        self.up.put(self.written, end + 64 + (payload.len() as u64).next_multiple_of(64));
        self.up.put(COMMIT, self.up.get(COMMIT) + 1);
    }

    /// The number of the last record: the next one is not known here, but the ring knows the last.
    /// In a ring that never wrapped the first record is at 0, and each tells where the next one is.
    fn last_seq(&self) -> u64 {
        let written = self.up.get(self.written);
        let mut at = written.saturating_sub(self.ring_len).next_multiple_of(64);
        let mut last = 0;
        while at < written {
            let mut bytes = [0; 64];
            if self.up.read(&mut bytes, self.ring + (at & (self.ring_len - 1))).is_err() {
                return last;
            }
            let mut words = [0; 8];
            for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
                *word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
            }
            let header = Header::from_words(words);
            last = header.seq;
            at += u64::from(header.len.max(64)).next_multiple_of(64);
        }
        last
    }

    /// Flips random words for a while and goes on as if nothing had happened.
    fn fuzz(&mut self, times: u64) {
        let (taken, freed, written) = (self.taken, self.freed, self.written);
        let places = [COMMIT, 64, 72, 128, 136, taken, freed, written, taken + 128];
        let up = &self.up;
        let random = &mut self.random;
        for _ in 0..times {
            match random.next() % 4 {
                0 => up.put((random.next() % self.up_len) & !7, random.next()),
                1 => {
                    let at = places.get(random.next() as usize % places.len());
                    up.put(at.copied().unwrap_or(0), random.next());
                }
                2 => {
                    let at = *places.get(random.next() as usize % places.len()).unwrap_or(&0);
                    up.put(at, up.get(at).wrapping_add(random.next() % 256 * 64));
                }
                _ => {
                    let at = self.ring + ((random.next() % self.ring_len) & !7);
                    up.put(at, random.next() % 1024);
                }
            }
        }
    }

    /// Says from now on that a delivery takes so long, whatever the engine says of it in between.
    fn lie_about_work(&self, ns: u64) {
        let Some(up) = Memory::open("ostler-up") else { return };
        let work_ns =
            std::mem::offset_of!(ProcessWords, work) + std::mem::offset_of!(WorkLine, work_ns);
        std::thread::spawn(move || {
            while up.write(&ns.to_le_bytes(), work_ns as u64).is_ok() {
                std::thread::sleep(Duration::from_micros(20));
            }
        });
    }
}

/// What is passed, and the payload of the record: a part of a file, as it should be.
fn wrong_file(what: &str) -> (Vec<OwnedFd>, Vec<u8>) {
    let open = |path: &str| File::open(path).map(OwnedFd::from);
    let own = || open("/proc/self/exe");
    let passed = match what {
        "pipe" => std::io::pipe().map(|(read_end, _)| vec![read_end.into()]),
        "socket" => UnixStream::pair().map(|(near, _)| vec![near.into()]),
        "directory" => open("/").map(|one| vec![one]),
        "device" => open("/dev/zero").map(|one| vec![one]),
        "answered" => open("/proc/self/maps").map(|one| vec![one]),
        "write_only" => {
            let path = std::env::temp_dir().join(format!("probe-{}", std::process::id()));
            let opened = File::options().create(true).append(true).open(&path);
            let _ = std::fs::remove_file(path);
            opened.map(|one| vec![one.into()])
        }
        "open" => memory(SealFlags::SHRINK | SealFlags::GROW),
        "short" => memory(ALL_SEALS),
        "two" => own().and_then(|one| Ok(vec![one, own()?])),
        "nothing" => Ok(Vec::new()),
        _ => own().map(|one| vec![one]),
    };
    let range = match what {
        "range" => [0xff; 16].to_vec(),
        "no_range" => Vec::new(),
        "later" => range_of(1, 50),
        "huge" => range_of(0, 1 << 30),
        "short" => range_of(0, 101),
        _ => range_of(0, 100),
    };
    (passed.unwrap_or_default(), range)
}

fn range_of(offset: u64, len: u64) -> Vec<u8> {
    FileRange::new(offset, len).map_or_else(Vec::new, |range| range.to_bytes().to_vec())
}

const ALL_SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// A file of 100 bytes in memory, with these seals.
fn memory(seals: SealFlags) -> std::io::Result<Vec<OwnedFd>> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create("hostile", flags)?;
    rustix::io::write(&file, &[7; 100])?;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(vec![file])
}

/// Sends a message with descriptors; false when the socket does not take it.
fn pass(link: &OwnedFd, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> bool {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(link, &[std::io::IoSlice::new(message)], &mut control, flags).is_ok()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
