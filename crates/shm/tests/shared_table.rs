//! The table against a plain map, when it is full, in time, and with memory that somebody has
//! written at random.
#![cfg(not(loom))]
// test code
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use ostler_shm::shared::table::{Act, EXPIRES, Shape, Stamp, Table, Trouble, now_ns};
use proptest::prelude::*;
use std::collections::BTreeMap;

const SHAPE: Shape = Shape { rows: 16, key_bytes: 20, value_words: 3 };

fn table(shape: Shape) -> Table {
    Table::create("ostler-test", shape).unwrap()
}

fn buffer(table: &Table) -> Vec<u64> {
    vec![0; table.shape().content_words()]
}

fn get(table: &Table, key: &[u8]) -> Option<u64> {
    let mut content = buffer(table);
    let found = table.read(key, &mut content).unwrap();
    found.map(|_| values(table, &content))
}

/// All words of the values are the same.
fn values(table: &Table, content: &[u64]) -> u64 {
    let values = &content[table.shape().values_at()..];
    assert!(values.iter().all(|value| *value == values[0]), "a torn row: {values:?}");
    values[0]
}

fn set_until(table: &Table, key: &[u8], value: u64, expires: u64) -> Result<bool, Trouble> {
    let at = table.shape().values_at();
    table.change(key, &mut buffer(table), |found: Option<Stamp>, content| {
        content[at..].fill(value);
        content[EXPIRES] = expires;
        (Act::Write, found.is_some())
    })
}

fn set(table: &Table, key: &[u8], value: u64) -> Result<bool, Trouble> {
    set_until(table, key, value, 0)
}

fn remove(table: &Table, key: &[u8]) -> bool {
    let removed = |found: Option<Stamp>, _: &mut [u64]| (Act::Remove, found.is_some());
    table.change(key, &mut buffer(table), removed).unwrap()
}

fn all(table: &Table) -> BTreeMap<Vec<u8>, u64> {
    let mut content = buffer(table);
    let mut all = BTreeMap::new();
    for place in 0..table.places() {
        if let Some((key, _)) = table.read_place(place, &mut content).unwrap() {
            assert!(all.insert(key, values(table, &content)).is_none(), "two rows of one key");
        }
    }
    all
}

#[derive(Clone, Debug)]
enum Step {
    Set(u8, u64),
    Remove(u8),
    Get(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (any::<u8>(), any::<u64>()).prop_map(|(key, value)| Step::Set(key % 40, value)),
        2 => any::<u8>().prop_map(|key| Step::Remove(key % 40)),
        1 => any::<u8>().prop_map(|key| Step::Get(key % 40)),
    ]
}

/// Keys of many lengths, among them the empty one, and such as differ in zeros at their end.
fn key(number: u8) -> Vec<u8> {
    match number % 4 {
        0 => vec![0; usize::from(number / 4)],
        _ => [&[number][..], &vec![b'k'; usize::from(number % 20)]].concat(),
    }
}

proptest! {
    // A claim that seems to be our own is waited for: each costs a fifth of a second.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_table_is_a_map_until_it_is_full(steps in prop::collection::vec(step(), 1..400)) {
        let (table, mut map) = (table(SHAPE), BTreeMap::new());
        for step in steps {
            match step {
                Step::Set(number, value) => match set(&table, &key(number), value) {
                    Ok(was) => prop_assert_eq!(was, map.insert(key(number), value).is_some()),
                    Err(Trouble::Full) => prop_assert_eq!(map.len() as u64, table.places()),
                    Err(other) => panic!("{other:?}"),
                },
                Step::Remove(number) => {
                    let was = map.remove(&key(number)).is_some();
                    prop_assert_eq!(remove(&table, &key(number)), was);
                }
                Step::Get(number) => {
                    prop_assert_eq!(get(&table, &key(number)), map.get(&key(number)).copied());
                }
            }
        }
        prop_assert_eq!(table.count(), map.len() as u64);
        prop_assert_eq!(all(&table), map);
    }

    #[test]
    fn memory_that_somebody_has_written_at_random_is_read_without_harm(
        noise in prop::collection::vec((any::<u16>(), any::<u64>(), any::<u8>()), 1..300),
    ) {
        let table = table(SHAPE);
        (0..10).for_each(|number| { set(&table, &key(number), 1).unwrap(); });
        let words = (table.places() as usize) * 24;
        for (at, value, kind) in noise {
            // Small numbers and flipped bits reach more of the code than any number does.
            let value = match kind % 3 { 0 => value, 1 => value % 4 * 3, _ => value | 1 };
            table.write_at_random(usize::from(at) % words, value);
        }
        let mut content = buffer(&table);
        for number in 0..12 {
            let _ = table.read(&key(number), &mut content);
            let _ = table.change(&key(number), &mut content, |_, _| (Act::Write, ()));
            let _ = table.change(&key(number), &mut content, |_, _| (Act::Remove, ()));
        }
        for place in 0..table.places() {
            if let Ok(Some((key, _))) = table.read_place(place, &mut content) {
                prop_assert!(key.len() <= SHAPE.key_bytes);
            }
        }
        let _ = table.remove_expired();
        prop_assert!(table.count() <= table.places());
    }
}

#[test]
fn a_table_has_room_for_what_was_asked_and_says_when_it_is_full() {
    let table = table(Shape { rows: 30_000, key_bytes: 8, value_words: 1 });
    for number in 0_u64..30_000 {
        set(&table, &number.to_le_bytes(), number).unwrap();
    }
    assert_eq!(table.count(), 30_000);
    let more = (30_000_u64..).take_while(|number| set(&table, &number.to_le_bytes(), 0).is_ok());
    let total = 30_000 + more.count() as u64;
    assert!(total <= table.places());
    // What is in it can still be changed, and room is made by removing.
    assert!(set(&table, &7_u64.to_le_bytes(), 70).unwrap());
    for number in 0_u64..30_000 {
        assert_eq!(get(&table, &number.to_le_bytes()), Some(if number == 7 { 70 } else { number }));
        assert!(remove(&table, &number.to_le_bytes()));
    }
    assert_eq!(table.count(), total - 30_000);
    assert!(!set(&table, b"another", 1).unwrap());
}

#[test]
fn rows_whose_time_is_over_are_gone_and_give_their_room() {
    let table = table(SHAPE);
    let (soon, late) = (now_ns(), now_ns() + 3_600_000_000_000);
    for number in 0..table.places() {
        let expires = if number % 2 == 0 { soon } else { late };
        set_until(&table, &number.to_le_bytes(), number, expires).unwrap();
    }
    let living = table.places() / 2;
    assert_eq!((table.count(), all(&table).len() as u64), (living, living));
    assert_eq!(get(&table, &0_u64.to_le_bytes()), None);
    assert_eq!(get(&table, &1_u64.to_le_bytes()), Some(1));
    // A new key takes the place of a dead one, and an old one begins anew.
    assert!(!set(&table, b"new", 5).unwrap());
    assert!(!set(&table, &2_u64.to_le_bytes(), 6).unwrap());
    let left = table.remove_expired().unwrap();
    assert!(left < table.places() - living, "{left}");
    assert_eq!(table.remove_expired().unwrap(), 0);
    assert_eq!(table.count(), living + 2);
}

#[test]
fn impossible_sizes_are_refused() {
    // The last one is larger than any memory.
    for (rows, key_bytes) in [(0, 8), (1 << 33, 8), (1, 257), (1 << 32, 256)] {
        let shape = Shape { rows, key_bytes, value_words: 1 << 20 };
        assert!(Table::create("ostler-test", shape).is_err(), "{shape:?}");
    }
}
