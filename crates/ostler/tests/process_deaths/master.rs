//! With the master everything ends.

use std::time::Duration;

use ostler_testkit::{DEADLINE, Signal, TestResult};

use crate::support::{Held, check, echo, orders, start, worker_of};

/// With the master everything ends, and the port is free (P7). `wait_end` looks for processes, port
/// and files.
#[test]
fn nothing_outlives_the_master() -> TestResult {
    for round in 0..20 {
        let server = start(echo(2, 1), 2)?;
        let load = server.load().connections(8).depth(2).start()?;
        load.wait_for_more(50)?;
        if round % 2 == 1 {
            // In the middle of a hand-over.
            server.signal(Signal::USR1);
        }
        server.master().kill();
        let ended = server.wait_end()?;
        check(ended.signal() == Some(9), "somebody else ended the master")?;
        drop(load);
    }
    Ok(())
}

#[test]
fn nothing_outlives_a_master_that_dies_while_starting() -> TestResult {
    for round in 0..24_u64 {
        let server = echo(3, 2).start()?;
        std::thread::sleep(Duration::from_micros(round * 250));
        server.master().kill();
        server.wait_end()?;
    }
    Ok(())
}

#[test]
fn a_busy_worker_does_not_outlive_the_master() -> TestResult {
    let server = start(orders(1), 1)?;
    let mut client = server.connect()?;
    let hold = Held::by(&server, &mut client, "hold")?;
    let worker = worker_of(&server, hold.pid())?;
    server.master().kill();
    worker.wait_gone(DEADLINE)?;
    client.expect_closed()?;
    server.wait_end()?;
    drop(hold);
    Ok(())
}
