//! Processes.

use ostler_testkit::{Process, TestResult};

use crate::Effect;
use crate::talk::{Talk, probe, small_probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("workers", workers_and_reactors_are_as_many_as_told),
    ("reactors", workers_and_reactors_are_as_many_as_told),
    ("harden", harden_forbids_dumping),
    ("sched_batch", sched_batch_is_the_workers_policy),
];

#[test]
fn workers_and_reactors_are_as_many_as_told() -> TestResult {
    for (workers, reactors) in [(1, 1), (3, 2), (2, 5)] {
        let server = probe().set("workers", workers).set("reactors", reactors).start()?;
        for worker in 0..workers {
            server.wait_for_log(&format!("serves worker=w{worker}."))?;
        }
        assert_eq!(server.workers().len(), workers);
        let threads = server.master().threads()?;
        let count = threads.iter().filter(|name| name.starts_with("reactor-")).count();
        assert_eq!(count, reactors, "{threads:?}");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn harden_forbids_dumping() -> TestResult {
    // A worker keeps what master and manager have.
    for (harden, wanted) in [("on", "NotDumpable"), ("off", "Dumpable")] {
        let server = probe().set("harden", harden).start()?;
        assert_eq!(Talk::new(&server)?.ask("dumpable")?, wanted);
        server.stop()?;
    }
    Ok(())
}

/// Field 41 of `/proc/PID/stat`: the scheduling policy.
fn policy(process: &Process) -> TestResult<String> {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", process.pid()))?;
    let behind_name = text.rsplit(')').next().unwrap_or("");
    Ok(behind_name.split_whitespace().nth(38).unwrap_or("").to_owned())
}

#[test]
fn sched_batch_is_the_workers_policy() -> TestResult {
    const BATCH: &str = "3";
    for (value, wanted) in [("on", BATCH), ("off", "0")] {
        let server = small_probe().set("sched_batch", value).start()?;
        assert_eq!(Talk::new(&server)?.ask("echo up")?, "up");
        assert_eq!(policy(&server.worker(0))?, wanted);
        assert_eq!(policy(&server.master())?, "0");
        server.stop()?;
    }
    Ok(())
}
