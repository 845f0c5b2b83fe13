//! What a read and a write of a shared table cost, uncontended: `cargo run --release -p ostler-shm
//! --example shared_table`.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a measurement

use std::hint::black_box;
use std::time::Instant;

use ostler_shm::shared::counter::Stripes;
use ostler_shm::shared::place::Place;
use ostler_shm::shared::table::{Act, Shape, Table};

const TURNS: u64 = 2_000_000;

fn measure(what: &str, mut act: impl FnMut(u64)) {
    (0..TURNS / 10).for_each(&mut act);
    let begin = Instant::now();
    (0..TURNS).for_each(&mut act);
    println!("{what}: {:.0} ns", begin.elapsed().as_nanos() as f64 / TURNS as f64);
}

fn main() {
    let counter = Place::<Stripes>::create("counter").unwrap();
    measure("counter, add", |number| counter.add(number));
    // A row of 16 bytes of key and 64 bytes of values.
    for rows in [1_000, 1_000_000] {
        let shape = Shape { rows, key_bytes: 16, value_words: 8 };
        let table = Table::create("table", shape).unwrap();
        let mut content = vec![0; shape.content_words()];
        let key = |number: u64| u128::from(number.wrapping_mul(7_919) % rows).to_le_bytes();
        for number in 0..rows {
            table.change(&key(number), &mut content, |_, _| (Act::Write, ())).unwrap();
        }
        measure(&format!("{rows} rows, read"), |number| {
            assert!(black_box(table.read(&key(number), &mut content)).unwrap().is_some());
        });
        measure(&format!("{rows} rows, add to a row"), |number| {
            let add = |_, content: &mut [u64]| {
                if let Some(last) = content.last_mut() {
                    *last += 1;
                }
                (Act::Write, ())
            };
            black_box(table.change(&key(number), &mut content, add)).unwrap();
        });
    }
}
