//! A table whose writers and readers are killed at random.

use super::process::{Child, wait_until};
use nix::sys::signal::{Signal, kill};
use ostler_shm::shared::atomic::Words64;
use ostler_shm::shared::place::Place;
use ostler_shm::shared::table::{Act, Shape, Stamp, Table};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const SHAPE: Shape = Shape { rows: 24, key_bytes: 8, value_words: 40 };
/// Few keys: writers meet in gates, and rows are used again for other keys.
const KEYS: u64 = 12;
/// `OSTLER_TABLE_SECONDS` asks for as many as there are in so much time.
const KILLS: u64 = 200;

fn buffer(table: &Table) -> Vec<u64> {
    vec![0; table.shape().content_words()]
}

/// Every word of a row is the same number; nobody ever sees anything else.
fn check(table: &Table, content: &[u64]) -> u64 {
    let values = &content[table.shape().values_at()..];
    assert!(values.iter().all(|value| *value == values[0]), "a torn row: {values:?}");
    values[0]
}

fn add(table: &Table, key: u64, content: &mut [u64]) -> u64 {
    let at = table.shape().values_at();
    table
        .change(&key.to_le_bytes(), content, |_: Option<Stamp>, content| {
            let next = content[at] + 1;
            content[at..].fill(next);
            (Act::Write, next)
        })
        .expect("a row is stuck")
}

fn remove(table: &Table, key: u64, content: &mut [u64]) {
    table.change(&key.to_le_bytes(), content, |_, _| (Act::Remove, ())).expect("a row is stuck");
}

fn write_for_ever(table: &Table, turns: &Words64) {
    let mut content = buffer(table);
    loop {
        let turn = turns.value.fetch_add(1, Ordering::Relaxed);
        let key = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        match key % 8 {
            0 => remove(table, key % KEYS, &mut content),
            _ => drop(add(table, key % KEYS, &mut content)),
        }
    }
}

fn read_for_ever(table: &Table, turns: &Words64) {
    let mut content = buffer(table);
    loop {
        for key in 0..KEYS {
            if table.read(&key.to_le_bytes(), &mut content).expect("never quiet").is_some() {
                check(table, &content);
            }
        }
        for place in 0..table.places() {
            if table.read_place(place, &mut content).expect("never quiet").is_some() {
                check(table, &content);
            }
        }
        turns.value.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether there were kills enough.
fn enough() -> impl Fn(u64) -> bool {
    let seconds = std::env::var("OSTLER_TABLE_SECONDS").ok().and_then(|text| text.parse().ok());
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    move |kills| until.map_or(kills == KILLS, |until| Instant::now() >= until)
}

pub fn no_row_is_torn_or_stuck_whoever_is_killed() {
    let table = Table::create("ostler-test", SHAPE).unwrap();
    let turns: Vec<Place<Words64>> =
        (0..4).map(|_| Place::create("ostler-turns").unwrap()).collect();
    let begin = |number: usize| {
        Child::new(|| match number {
            0 | 1 => write_for_ever(&table, &turns[number]),
            _ => read_for_ever(&table, &turns[number]),
        })
    };
    let mut children: Vec<Child> = (0..4).map(begin).collect();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut content = buffer(&table);
    let (enough, mut kills) = (enough(), [0_u64; 4]);
    while !enough(kills.iter().sum()) {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (victim, micros) = ((random >> 33) as usize % 4, (random >> 40) % 3_000);
        // It has to have begun, or nothing of it could be in the middle of anything.
        let before = turns[victim].value.load(Ordering::Relaxed);
        wait_until("a process to work", || {
            (turns[victim].value.load(Ordering::Relaxed) != before).then_some(())
        });
        std::thread::sleep(Duration::from_micros(micros));
        // Nobody has found a torn or stuck row.
        assert!(children.iter_mut().all(|child| child.poll().is_none()), "a process has failed");
        kill(children[victim].pid(), Signal::SIGKILL).unwrap();
        // Before it is reaped, which makes no difference.
        for key in 0..KEYS {
            add(&table, key, &mut content);
            assert!(table.read(&key.to_le_bytes(), &mut content).is_ok(), "never quiet");
            check(&table, &content);
        }
        wait_until("the victim to end", || children[victim].poll());
        children[victim] = begin(victim);
        kills[victim] += 1;
    }
    drop(children);
    let turns: Vec<u64> = turns.iter().map(|it| it.value.load(Ordering::Relaxed)).collect();
    println!("two writers and two readers: killed {kills:?}, turns {turns:?}");
    // All rows can still be taken, and none is there twice.
    (0..KEYS).for_each(|key| remove(&table, key, &mut content));
    assert_eq!(table.count(), 0);
    let all = (0..table.places()).map(|key| add(&table, key, &mut content)).sum::<u64>();
    assert_eq!((all, table.count()), (table.places(), table.places()));
}

/// A process that is stopped in the middle costs others a bounded wait, and changes nothing when it
/// goes on.
pub fn a_stopped_writer_is_not_waited_for_without_end() {
    let table = Table::create("ostler-test", SHAPE).unwrap();
    let held = Place::<Words64>::create("ostler-turns").unwrap();
    let mut content = buffer(&table);
    assert_eq!(add(&table, 1, &mut content), 1);
    let child = Child::new(|| {
        let mut content = buffer(&table);
        let answer = table.change(&1_u64.to_le_bytes(), &mut content, |_, content| {
            held.value.store(1, Ordering::SeqCst);
            while held.value.load(Ordering::SeqCst) == 1 {
                std::thread::sleep(Duration::from_millis(1));
            }
            let at = table.shape().values_at();
            content[at..].fill(7);
            (Act::Write, ())
        });
        assert!(answer.is_ok());
        held.value.store(3, Ordering::SeqCst);
        std::thread::sleep(Duration::from_secs(60));
    });
    wait_until("the writer to be in the middle", || {
        (held.value.load(Ordering::SeqCst) == 1).then_some(())
    });
    kill(child.pid(), Signal::SIGSTOP).unwrap();
    let refused = table.change(&1_u64.to_le_bytes(), &mut content, |_, _| (Act::Remove, ()));
    assert!(refused.is_err(), "a living process has lost its claim");
    assert!(table.read(&1_u64.to_le_bytes(), &mut content).unwrap().is_some());
    assert_eq!(check(&table, &content), 1, "the old row");
    kill(child.pid(), Signal::SIGCONT).unwrap();
    held.value.store(2, Ordering::SeqCst);
    wait_until("the writer to go on", || (held.value.load(Ordering::SeqCst) == 3).then_some(()));
    assert_eq!(add(&table, 1, &mut content), 8);
}
