#![allow(clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const KEY: Key = Key(3, 4);

fn header() -> FileHeader {
    FileHeader { key: KEY, name: "shop".to_owned() }
}

fn body_of(number: u64, len: usize) -> Vec<u8> {
    (0..len).map(|at| (number as usize * 31 + at) as u8).collect()
}

/// A file and its writer, and what is known of every task.
struct World {
    file: Vec<u8>,
    writer: JournalWriter,
    next: u64,
    /// Bodies of tasks that were taken in.
    kept: BTreeMap<u64, Vec<u8>>,
    settled: BTreeSet<u64>,
    /// Bytes that no failure of the machine can take, and what was so then.
    synced: (usize, BTreeSet<u64>, BTreeSet<u64>),
}

impl World {
    fn new() -> Self {
        let file = header().to_bytes().to_vec();
        let synced = (file.len(), BTreeSet::new(), BTreeSet::new());
        let (kept, settled) = (BTreeMap::new(), BTreeSet::new());
        Self { file, writer: JournalWriter::new(KEY), next: 1, kept, settled, synced }
    }

    /// Writes a group of tasks with bodies of these lengths; `fails`: so many bytes arrive.
    fn write(&mut self, lens: &[usize], fails: Option<usize>) {
        let tasks: Vec<(u64, Vec<u8>)> = lens
            .iter()
            .zip(self.next..)
            .map(|(len, number)| (number, body_of(number, *len)))
            .collect();
        self.next += lens.len() as u64;
        let stored = tasks.iter().map(|(number, body)| StoredTask {
            number: *number,
            attempt: 0,
            due_unix_ms: *number,
            body,
        });
        let mut out = Vec::new();
        self.writer.compose(stored, &mut out);
        if let Some(most) = fails {
            self.file.extend(&out[..most.min(out.len())]);
            self.writer.failed();
            self.file.truncate(self.writer.length() as usize);
            return;
        }
        self.file.extend(out);
        self.writer.stands();
        assert_eq!(self.writer.length(), self.file.len() as u64);
        self.kept.extend(tasks);
    }

    fn settle(&mut self, pick: usize) {
        let open: Vec<u64> = self.open().into_iter().collect();
        if let Some(number) = open.get(pick % open.len().max(1)) {
            self.writer.settle([*number]);
            self.settled.insert(*number);
        }
    }

    fn open(&self) -> BTreeSet<u64> {
        self.kept.keys().copied().filter(|number| !self.settled.contains(number)).collect()
    }

    fn sync(&mut self) {
        self.writer.synced();
        let settled = if self.writer.owes() { self.synced.2.clone() } else { self.settled.clone() };
        self.synced = (self.file.len(), self.kept.keys().copied().collect(), settled);
    }

    fn close(&mut self) {
        self.write(&[], None);
        self.sync();
        let mut out = Vec::new();
        self.writer.close(&mut out);
        self.file.extend(out);
        self.writer.stands();
    }

    fn check_found(&self, file: &[u8], found: &Recovery) {
        for (number, task) in &found.tasks {
            assert_eq!(&file[task.body.clone()], self.kept[number], "{number}");
            assert_eq!(task.due_unix_ms, *number);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<usize>),
    Fail(Vec<usize>, usize),
    Settle(usize),
    Sync,
}

fn step() -> impl Strategy<Value = Step> {
    let lens = || vec(0_usize..900, 0..5);
    prop_oneof![
        4 => lens().prop_map(Step::Write),
        1 => (lens(), 0_usize..2_000).prop_map(|(lens, most)| Step::Fail(lens, most)),
        4 => any::<usize>().prop_map(Step::Settle),
        2 => Just(Step::Sync),
    ]
}

fn run(steps: Vec<Step>) -> World {
    let mut world = World::new();
    for step in steps {
        match step {
            Step::Write(lens) => world.write(&lens, None),
            Step::Fail(lens, most) => world.write(&lens, Some(most)),
            Step::Settle(pick) => world.settle(pick),
            Step::Sync => world.sync(),
        }
    }
    world
}

proptest! {
    /// The server is killed in the middle of a group: everything that was taken in is there.
    #[test]
    fn a_kill_at_any_byte_of_a_group_loses_nothing(
        steps in vec(step(), 0..30), lens in vec(0_usize..900, 0..4), cut: prop::sample::Index,
    ) {
        let mut world = run(steps);
        world.write(&[], None); // what is owed
        let (before, open) = (world.file.len(), world.open());
        world.write(&lens, None);
        let file = &world.file[..before + cut.index(world.file.len() - before + 1)];
        let found = recover(file).unwrap();
        world.check_found(file, &found);
        prop_assert!(found.tasks.keys().copied().collect::<BTreeSet<_>>().is_superset(&open));
        prop_assert!(found.tasks.keys().all(|number| !world.settled.contains(number)));
        prop_assert_eq!(found.damage(), None);
    }

    /// The machine fails: of what was not synced any sectors are there, and the file ends anywhere.
    #[test]
    fn a_failure_of_the_machine_loses_nothing_that_was_synced(
        steps in vec(step(), 0..40), sectors in vec(any::<bool>(), 64), cut: prop::sample::Index,
    ) {
        let world = run(steps);
        let (synced, kept, settled) = &world.synced;
        let mut file = world.file.clone();
        for at in *synced..file.len() {
            if sectors[at / 512 % sectors.len()] {
                file[at] = 0;
            }
        }
        file.truncate(synced + cut.index(file.len() - synced + 1));
        let found = recover(&file).unwrap();
        world.check_found(&file, &found);
        prop_assert_eq!(found.damage(), None, "a torn end is no damage");
        for number in kept {
            let is_there = found.tasks.contains_key(number);
            prop_assert!(is_there || world.settled.contains(number), "{} is lost", number);
            prop_assert!(!is_there || !settled.contains(number), "{} came back", number);
        }
    }
}

fn small_file() -> World {
    let mut world = World::new();
    world.write(&[5, 0, 64], None);
    world.sync();
    world.settle(1);
    world.write(&[8], None);
    world.sync();
    world.settle(0);
    world.write(&[1, 2], None);
    world.sync();
    world
}

/// Whatever is left of a file: what stands whole in it is found, nothing that was settled there.
#[test]
fn a_file_that_is_cut_at_any_byte_says_what_stands_in_it() {
    let world = small_file();
    for len in 0..=world.file.len() {
        let file = &world.file[..len];
        match recover(file) {
            Err(error) => {
                assert!(
                    len < FILE_HEADER_BYTES && error == NotAJournal::TooShort,
                    "{len}: {error:?}"
                );
            }
            Ok(found) => {
                world.check_found(file, &found);
                assert_eq!(found.damage(), None, "{len}");
                assert_eq!(found.torn() > 0, found.gaps.len() == 1);
            }
        }
    }
    let found = recover(&world.file).unwrap();
    assert_eq!(found.tasks.keys().copied().collect::<BTreeSet<_>>(), world.open());
    assert_eq!((found.torn(), found.is_closed), (0, false));
}

/// A spoilt byte costs the record in which it stands, and no other; it is told where that is.
#[test]
fn a_flipped_byte_is_told_and_costs_one_record() {
    let mut world = small_file();
    world.close();
    let whole = recover(&world.file).unwrap();
    assert!(whole.is_closed && whole.gaps.is_empty());
    let closed_at = world.file.len() - RECORD_BYTES;
    for at in 0..world.file.len() {
        for bit in [0x01, 0x80] {
            let mut file = world.file.clone();
            file[at] ^= bit;
            let Ok(found) = recover(&file) else {
                assert!(at < FILE_HEADER_BYTES, "{at}");
                continue;
            };
            assert!(at >= FILE_HEADER_BYTES, "{at}: the header is checked");
            assert_eq!(found.gaps.len(), 1, "{at}");
            assert!(found.gaps[0].bytes.contains(&at), "{at}: {found:?}");
            assert_eq!(found.gaps[0].is_damage, at < closed_at, "{at}: {found:?}");
            let missing = world.open().iter().filter(|it| !found.tasks.contains_key(it)).count();
            assert!(missing <= 1, "{at}: {missing}");
            for (number, task) in &found.tasks {
                assert_eq!(&file[task.body.clone()], world.kept[number], "{at}");
            }
        }
    }
}

/// A task whose bytes are a record of the same file, at a place where one could stand: when the
/// record around it is spoilt, that is none.
#[test]
fn what_stands_inside_a_task_is_no_record() {
    let mut world = World::new();
    world.write(&[16], None);
    let forged = world.file[FILE_HEADER_BYTES..].to_vec();
    let task = StoredTask { number: 2, attempt: 0, due_unix_ms: 0, body: &forged };
    let mut out = Vec::new();
    world.writer.compose([task], &mut out);
    let at = world.file.len();
    world.file.extend(out);
    world.writer.stands();
    world.file[at] ^= 1;
    let found = recover(&world.file).unwrap();
    assert_eq!(found.tasks.len(), 1, "{found:?}");
    assert_eq!(found.gaps.len(), 1);
}

#[test]
fn other_files_are_told_apart() {
    let good = header().to_bytes();
    assert_eq!(FileHeader::read(&good), Ok(header()));
    assert_eq!(recover(b"#!/bin/sh\n"), Err(NotAJournal::OtherFile));
    assert_eq!(recover(b"ostler"), Err(NotAJournal::TooShort));
    assert_eq!(recover(b""), Err(NotAJournal::TooShort));
    let mut newer = good;
    newer[12] = 7;
    assert_eq!(recover(&newer), Err(NotAJournal::Version(7)));
    // The first version is read: what it has are terms of today, too.
    let mut older = good;
    older[12] = 1;
    let sum = KEY.sum(0, &older[..FILE_HEADER_BYTES - 8]);
    older[FILE_HEADER_BYTES - 8..].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(FileHeader::read(&older), Ok(header()));
    let mut spoilt = good;
    spoilt[41] ^= 1;
    assert_eq!(recover(&spoilt), Err(NotAJournal::Spoilt));
}

#[test]
fn a_file_is_written_anew_when_most_of_it_is_settled_or_when_nobody_knows_it() {
    let mut world = World::new();
    for _ in 0..20 {
        world.write(&[1024 * 1024], None);
    }
    assert!(!world.writer.wants_rewriting());
    world.writer.settle(1..=19);
    assert!(world.writer.wants_rewriting() && world.writer.live() == 1);
    let place = world.writer.places().next().unwrap();
    let bytes = &world.file[place.offset as usize..][..place.len];
    let task = read_task(KEY, place.offset, bytes).unwrap();
    assert_eq!((task.number, task.body), (20, world.kept[&20].as_slice()));
    assert_eq!(read_task(KEY, place.offset + 8, bytes), None, "it stands somewhere else");
    let mut broken = JournalWriter::new(KEY);
    broken.broke();
    assert!(broken.wants_rewriting() && broken.is_broken());
}
