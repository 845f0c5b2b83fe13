#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use ostler_core::task_journal::SyncPace;
use ostler_testkit::wait_until;

use super::file::DIRECTORY_FAILS;
use super::reading::BAD_BYTES;
use super::*;
use crate::options::Options;

/// A path in a directory of its own, which is removed at the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("journal-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("tasks")
    }

    fn options(&self, more: &[(&str, &str)]) -> Options {
        let mut options = Options::default();
        let path = self.file().display().to_string();
        for (name, value) in [("task_journal", path.as_str()), ("name", "shop")].iter().chain(more)
        {
            options.set(name, value).unwrap();
        }
        options
    }

    fn open(&self) -> (JournalFile, Vec<LeftTask>) {
        opened(&self.options(&[])).unwrap()
    }

    fn error(&self, more: &[(&str, &str)]) -> String {
        opened(&self.options(more)).err().unwrap().to_string()
    }

    /// What who has it somewhere else makes of it at once.
    fn is_in_use(&self) -> bool {
        let error = JournalFile::open(&self.options(&[])).err().unwrap().to_string();
        error.contains(IN_USE)
    }
}

const IN_USE: &str = "another server runs with it";

/// Opened as soon as nobody has it: between the fork and the exec of a program that another test of
/// this process starts, that has what was open here.
fn opened(options: &Options) -> Result<(JournalFile, Vec<LeftTask>)> {
    let mut last = None;
    let free = wait_until("the journal to be free", || {
        let result = JournalFile::open(options);
        let is_in_use =
            result.as_ref().err().is_some_and(|error| error.to_string().contains(IN_USE));
        last = Some(result);
        !is_in_use
    });
    free.unwrap();
    last.unwrap()
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn task(number: u64, len: usize) -> TaskToKeep {
    TaskToKeep { number, due_unix_ms: number, body: vec![number as u8; len] }
}

fn numbers(left: &[LeftTask]) -> Vec<(u64, u16)> {
    left.iter().map(|task| (task.number, task.attempt)).collect()
}

#[test]
fn what_is_not_settled_is_left_to_the_next_server_and_may_have_been_started() {
    let place = Place::new();
    let (mut file, left) = place.open();
    assert_eq!(left, []);
    file.commit(&[task(1, 10), task(2, 0), task(3, 5_000)], &[]).unwrap();
    file.commit(&[task(4, 1)], &[2]).unwrap();
    drop(file);
    let (mut file, left) = place.open();
    assert_eq!(numbers(&left), [(1, 1), (3, 1), (4, 1)]);
    assert_eq!((left[1].body.as_slice(), left[1].due_unix_ms), ([3; 5_000].as_slice(), 3));
    file.commit(&[], &[1, 4]).unwrap();
    file.close();
    drop(file);
    assert_eq!(numbers(&place.open().1), [(3, 1)], "a start of the server uses up no attempt");
}

#[test]
fn a_file_that_cannot_be_used_is_told_with_what_to_do() {
    let place = Place::new();
    let (mut file, _) = place.open();
    assert!(place.is_in_use());
    file.commit(&[task(1, 100), task(2, 100)], &[]).unwrap();
    file.close();
    drop(file);
    assert!(place.error(&[("name", "inn")]).contains("set `name = shop`"));
    assert!(place.error(&[("task_queue_max", "1")]).contains("raise `task_queue_max`"));
    let good = std::fs::read(place.file()).unwrap();
    for (at, words) in [
        (0, "a file of something else"),
        (12, "of version 0"),
        (50, "its first 128 bytes are spoilt"),
        (200, "the first of them at byte 128; 1 tasks can be read"),
    ] {
        let mut bad = good.clone();
        bad[at] ^= if at == 12 { 2 } else { 1 };
        std::fs::write(place.file(), bad).unwrap();
        let error = place.error(&[]);
        assert!(error.contains(words) && error.contains("tasks"), "{error}");
    }
    std::fs::write(place.file(), &good[..60]).unwrap();
    assert!(place.error(&[]).contains("ends at byte 60"));
    std::fs::remove_file(place.file()).unwrap();
    std::fs::create_dir(place.file()).unwrap();
    assert!(place.error(&[]).contains("is no file"));
    std::fs::remove_dir(place.file()).unwrap();
    std::os::unix::fs::symlink("elsewhere", place.file()).unwrap();
    assert!(place.error(&[]).contains("symbolic link"));
    let nowhere = place.0.join("none/tasks").display().to_string();
    let error = place.error(&[("task_journal", &nowhere)]);
    assert!(error.contains("its directory has to exist"), "{error}");
    let error = place.error(&[("task_journal", "/proc/tasks")]);
    assert!(error.contains("cannot be"), "{error}");
}

#[test]
fn a_spoilt_file_is_kept_beside_the_one_with_the_rest() {
    let place = Place::new();
    let (mut file, _) = place.open();
    file.commit(&[task(1, 100), task(2, 100), task(3, 100)], &[]).unwrap();
    file.close();
    drop(file);
    let mut bad = std::fs::read(place.file()).unwrap();
    bad[400] ^= 1;
    std::fs::write(place.file(), &bad).unwrap();
    let options = place.options(&[("task_journal_damage", "skip")]);
    let (file, left) = opened(&options).unwrap();
    assert_eq!(numbers(&left), [(1, 1), (3, 1)]);
    drop(file);
    let names = std::fs::read_dir(&place.0).unwrap().map(|it| it.unwrap().path());
    let spoilt: Vec<_> = names.filter(|it| it.display().to_string().contains("spoilt")).collect();
    assert_eq!(std::fs::read(&spoilt[0]).unwrap(), bad, "as it was");
    assert_eq!(numbers(&place.open().1), [(1, 1), (3, 1)], "the new one is whole");
}

#[test]
fn a_file_that_is_taken_away_is_made_again_and_anothers_is_left_alone() {
    let place = Place::new();
    let (mut file, _) = place.open();
    file.commit(&[task(1, 10)], &[]).unwrap();
    std::fs::remove_file(place.file()).unwrap();
    file.commit(&[task(2, 10)], &[]).unwrap();
    std::fs::rename(place.file(), place.0.join("moved")).unwrap();
    std::fs::write(place.file(), b"mine").unwrap();
    assert!(file.commit(&[task(3, 10)], &[1]).unwrap_err().contains("another file"));
    assert_eq!(std::fs::read(place.file()).unwrap(), b"mine");
    std::fs::remove_file(place.file()).unwrap();
    file.commit(&[], &[]).unwrap();
    drop(file);
    assert_eq!(numbers(&place.open().1), [(2, 1)], "1 was settled, 3 was refused");
}

#[test]
fn a_long_file_of_settled_tasks_becomes_a_short_one() {
    let place = Place::new();
    let (mut file, _) = place.open();
    file.commit(&[task(1, 7)], &[]).unwrap();
    for number in 2..=20 {
        file.commit(&[task(number, 1 << 20)], &[number - 1].map(|it| if it == 1 { 0 } else { it }))
            .unwrap();
    }
    assert!(std::fs::metadata(place.file()).unwrap().len() < 18 << 20);
    drop(file);
    assert_eq!(numbers(&place.open().1), [(1, 1), (20, 1)]);
}

/// A disk that takes nothing refuses those tasks and no others.
#[test]
fn what_finds_no_room_is_refused_and_what_is_settled_is_still_owed() {
    let place = Place::new();
    let (mut file, _) = place.open();
    file.commit(&[task(1, 10), task(2, 10)], &[]).unwrap();
    let before = std::fs::read(place.file()).unwrap();
    file.break_next_write(30);
    assert!(file.commit(&[task(3, 100)], &[1]).is_err());
    assert_eq!(std::fs::read(place.file()).unwrap(), before, "half a record is taken back");
    assert!(file.due().is_some(), "1 is to be forgotten");
    file.tend(0).unwrap();
    file.commit(&[task(4, 10)], &[]).unwrap();
    drop(file);
    assert_eq!(numbers(&place.open().1), [(2, 1), (4, 1)]);
}

/// The keys of two files differ: a record of one is none in the other.
#[test]
fn a_new_file_does_not_take_over_bytes_of_an_old_one() {
    let place = Place::new();
    let (mut file, _) = place.open();
    file.commit(&[task(1, 10)], &[]).unwrap();
    let old = std::fs::read(place.file()).unwrap();
    drop(file);
    drop(place.open());
    let new = std::fs::File::options().write(true).open(place.file()).unwrap();
    new.write_all_at(&old[128..], 128).unwrap();
    assert!(place.error(&[]).contains("; 0 tasks can be read"));
}

/// A file that has just been made is no less sure than one that was written for a while.
#[test]
fn damage_in_a_file_that_was_written_anew_is_told() {
    let place = Place::new();
    let (mut file, _) = place.open();
    file.commit(&[task(1, 100), task(2, 100)], &[]).unwrap();
    drop(file);
    assert_eq!(place.open().1.len(), 2, "it was written anew");
    let mut bad = std::fs::read(place.file()).unwrap();
    bad[300] ^= 1;
    std::fs::write(place.file(), &bad).unwrap();
    let error = place.error(&[]);
    assert!(error.contains("bytes are spoilt") && error.contains("; 1 tasks"), "{error}");
}

/// The new file has its place already when its directory cannot be synced.
#[test]
fn a_new_file_whose_directory_cannot_be_synced_is_not_lost() {
    let place = Place::new();
    let (mut file, _) = place.open();
    file.commit(&[task(1, 10), task(2, 10)], &[]).unwrap();
    std::fs::remove_file(place.file()).unwrap();
    DIRECTORY_FAILS.set(true);
    assert!(file.commit(&[task(3, 10)], &[1]).is_err());
    assert!(place.is_in_use(), "it has the new one");
    file.retry_now();
    file.commit(&[task(4, 10)], &[]).unwrap();
    drop(file);
    assert_eq!(numbers(&place.open().1), [(2, 1), (4, 1)]);
    DIRECTORY_FAILS.set(true);
    assert!(place.error(&[]).contains("cannot be written"));
    assert_eq!(numbers(&place.open().1), [(2, 1), (4, 1)]);
}

/// Nobody has a lock where there is no file: the second does not take the place of the first.
#[test]
fn of_servers_that_start_with_a_new_file_one_has_it() {
    let place = Place::new();
    let new = place.0.join("tasks.new");
    let (mut first, _) = place.open();
    first.commit(&[task(1, 10)], &[]).unwrap();
    let second = || {
        let pace = SyncPace::new(place.options(&[]).journal_sync_mode());
        JournalFile::make(place.file(), "shop".to_owned(), [].into_iter(), pace, false)
    };
    let error = second().err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists, "it saw none");
    assert!(!new.exists());
    first.commit(&[task(2, 10)], &[]).unwrap();
    drop(first);
    assert_eq!(numbers(&place.open().1), [(1, 1), (2, 1)]);
    // One that is being made is not taken away.
    let making = std::fs::File::create(&new).unwrap();
    making.lock().unwrap();
    assert!(place.error(&[]).contains("starts with it in this moment"));
    assert!(new.exists());
    std::fs::remove_file(place.file()).unwrap();
    assert!(second().is_err() && new.exists());
    // One that was left is.
    drop(making);
    let free = wait_until("it to be left", || JournalFile::open(&place.options(&[])).is_ok());
    free.unwrap();
    assert!(!new.exists() && place.file().exists());
}

/// Nobody asks for a task any more, and the file is still to be made good.
#[test]
fn a_broken_file_is_tried_again_by_itself_and_at_the_end() {
    let place = Place::new();
    let (mut file, _) = place.open();
    let away = place.0.with_extension("away");
    file.commit(&[task(1, 10), task(2, 10)], &[]).unwrap();
    std::fs::rename(&place.0, &away).unwrap();
    assert!(file.commit(&[task(3, 10)], &[]).is_err());
    assert!(file.due().is_some());
    assert!(file.tend(0).is_err());
    std::fs::rename(&away, &place.0).unwrap();
    file.retry_now();
    file.tend(0).unwrap();
    assert_eq!(file.due(), None, "it is whole again");
    std::fs::rename(&place.0, &away).unwrap();
    assert!(file.commit(&[], &[1]).is_err());
    std::fs::rename(&away, &place.0).unwrap();
    file.close();
    drop(file);
    assert_eq!(numbers(&place.open().1), [(2, 1)]);
}

/// A start that fails behind the journal leaves it to the next one.
#[test]
fn a_keeper_that_is_dropped_lets_go_of_the_file() {
    let place = Place::new();
    let (file, _) = place.open();
    drop(Keeper::start(Box::new(file), 0, 1_000).unwrap());
    assert_eq!(place.open().1, []);
}

/// A disk that takes its time: it says what it is given, and waits to be told how that ends.
struct Slow {
    given: mpsc::Sender<(usize, Vec<u64>)>,
    ends: mpsc::Receiver<bool>,
}

impl TaskStore for Slow {
    fn commit(&mut self, tasks: &[TaskToKeep], settled: &[u64]) -> Stored<()> {
        self.given.send((tasks.len(), settled.to_vec())).unwrap();
        if self.ends.recv().unwrap() { Ok(()) } else { Err("told to".to_owned()) }
    }

    fn due(&self) -> Option<Millis> {
        None
    }

    fn tend(&mut self, _: usize) -> Stored<Vec<LeftTask>> {
        Ok(Vec::new())
    }

    fn close(&mut self) {}
}

#[test]
fn what_comes_while_the_disk_is_busy_is_the_next_group_and_nobody_waits() {
    let (given, gifts) = mpsc::channel();
    let (end, ends) = mpsc::channel();
    let mut keeper = Keeper::start(Box::new(Slow { given, ends }), 70, 1_000).unwrap();
    assert!(keeper.has_room(5_000), "one that is alone is never too long");
    assert_eq!(keeper.keep(0, vec![0; 100]), 71);
    assert_eq!(gifts.recv().unwrap(), (1, vec![]));
    assert_eq!((keeper.keep(0, vec![0; 600]), keeper.keep(0, vec![])), (72, 73));
    keeper.settle(vec![5, 6]);
    assert!(!keeper.has_room(300) && keeper.has_room(50));
    assert_eq!(keeper.take_answers(), []);
    end.send(true).unwrap();
    assert_eq!(gifts.recv().unwrap(), (2, vec![5, 6]), "together");
    end.send(false).unwrap();
    let mut answers = Vec::new();
    while answers.len() < 2 {
        answers.extend(keeper.take_answers());
        std::thread::yield_now();
    }
    let expected = [Answer { last: 71, is_kept: true }, Answer { last: 73, is_kept: false }];
    assert_eq!(answers, expected);
    keeper.end();
    assert!(keeper.has_room(5_000));
}

/// Tasks of others, as many as there is room for, and its own whenever there are some.
struct Bringing(mpsc::Sender<usize>);

impl TaskStore for Bringing {
    fn commit(&mut self, tasks: &[TaskToKeep], _: &[u64]) -> Stored<()> {
        assert!(tasks.len() < 1_000, "nobody asks so many");
        Ok(())
    }

    fn due(&self) -> Option<Millis> {
        Some(0)
    }

    fn tend(&mut self, room: usize) -> Stored<Vec<LeftTask>> {
        // Nobody listens at the end.
        let _ = self.0.send(room);
        let left = |number| LeftTask { number, attempt: 1, due_unix_ms: 0, body: vec![] };
        Ok((0..room as u64).map(left).collect())
    }

    fn close(&mut self) {}
}

#[test]
fn what_others_left_comes_when_there_is_room_for_it() {
    let (tended, rooms) = mpsc::channel();
    let mut keeper = Keeper::start(Box::new(Bringing(tended)), 0, 1_000).unwrap();
    assert_eq!(rooms.recv().unwrap(), 0, "nobody has said how much there is");
    assert_eq!(keeper.take_brought(), []);
    keeper.set_room(3);
    assert_eq!(rooms.iter().find(|room| *room > 0), Some(3));
    assert_eq!(rooms.iter().find(|room| *room != 3), Some(0), "what waits has its room");
    assert_eq!(keeper.take_brought().len(), 3);
    assert_eq!(rooms.iter().find(|room| *room > 0), Some(3), "and the next ones come");
    keeper.keep(0, vec![]);
    keeper.end();
}

/// A store with something to do at any time.
struct Busy {
    done: mpsc::Sender<&'static str>,
    goes_on: mpsc::Receiver<()>,
}

impl TaskStore for Busy {
    fn commit(&mut self, _: &[TaskToKeep], _: &[u64]) -> Stored<()> {
        self.done.send("group").unwrap();
        self.goes_on.recv().unwrap();
        Ok(())
    }

    fn due(&self) -> Option<Millis> {
        Some(0)
    }

    fn tend(&mut self, _: usize) -> Stored<Vec<LeftTask>> {
        let _ = self.done.send("due");
        Ok(Vec::new())
    }

    fn close(&mut self) {}
}

/// Else `task_journal_sync = timed` would sync nothing as long as tasks come without a pause.
#[test]
fn what_is_due_is_done_also_when_one_group_follows_the_other() {
    let (done, doings) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    let mut keeper = Keeper::start(Box::new(Busy { done, goes_on }), 0, 1_000).unwrap();
    keeper.keep(0, vec![]);
    assert!(doings.iter().any(|it| it == "group"));
    keeper.keep(0, vec![]);
    go_on.send(()).unwrap();
    assert_eq!(doings.recv().unwrap(), "due", "between two groups");
    go_on.send(()).unwrap();
    keeper.end();
}

/// A sector that the disk cannot read costs the tasks that stand there, and is told as damage,
/// wherever it is.
#[test]
fn what_the_disk_cannot_read_is_damage_and_the_rest_is_read() {
    let place = Place::new();
    let (mut file, _) = place.open();
    file.commit(&[task(1, 10_000), task(2, 10_000), task(3, 10_000)], &[]).unwrap();
    drop(file);
    for (bad, left) in [
        (12_400..12_401, vec![(1, 1), (3, 1)]),
        (8_192..16_384, vec![(3, 1)]),
        // Behind it nothing says that it had been on the disk.
        (29_000..29_100, vec![(1, 1), (2, 1)]),
    ] {
        let before = std::fs::read(place.file()).unwrap();
        BAD_BYTES.set(bad.clone());
        let error = place.error(&[]);
        assert!(error.contains("bytes are spoilt"), "{error}");
        let options = place.options(&[("task_journal_damage", "skip")]);
        assert_eq!(numbers(&opened(&options).unwrap().1), left, "{bad:?}");
        BAD_BYTES.set(0..0);
        std::fs::write(place.file(), before).unwrap();
    }
    BAD_BYTES.set(0..10);
    assert!(place.error(&[]).contains("its first 128 bytes are spoilt"));
    BAD_BYTES.set(0..0);
}

#[test]
fn files_that_are_spoilt_in_the_same_moment_are_all_kept() {
    let place = Place::new();
    drop(place.open());
    let kept: std::collections::BTreeSet<_> =
        (0..200).map(|_| super::opening::keep_spoilt(&place.file()).unwrap()).collect();
    assert_eq!(kept.len(), 200);
}
