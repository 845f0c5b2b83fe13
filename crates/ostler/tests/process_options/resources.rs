//! Resources: what the kernel says of the processes, from outside.

use ostler_testkit::{Process, ServerBuilder, TestError, TestResult, TestServer};

use crate::Effect;
use crate::talk::facts::{allowed_cpus, niceness, of_process, oom_adjustment};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("cpu_affinity", cpu_affinity_binds_each_worker_to_a_processor_that_is_allowed),
    ("nice", nice_is_said_for_each_kind),
    ("oom_score_adjust", oom_score_adjust_protects_the_master_and_nobody_else),
    ("limit_open_files", limit_open_files_is_that_of_its_kind),
    ("limit_core_size", limit_core_size_is_that_of_its_kind),
    ("limit_address_space", limit_address_space_is_that_of_its_kind),
];

/// Two event workers and one for tasks.
fn three() -> ServerBuilder {
    TestServer::echo().set("workers", 2).set("task_workers", 1)
}

/// Looks at the processes of a server, which is started in either way.
fn in_both_ways(
    server: impl Fn() -> ServerBuilder,
    look: impl Fn(&TestServer, &[Process], &Process) -> TestResult,
) -> TestResult {
    for start in ["fork", "exec"] {
        let server = server().set("start", start).start()?;
        for name in ["serves worker=w0.1", "serves worker=w1.1", "takes tasks worker=t0.1"] {
            server.wait_for_log(name)?;
        }
        let (workers, tasks) = (server.workers(), server.task_workers());
        let task = tasks.first().ok_or_else(|| TestError::new("no task worker"))?;
        look(&server, &workers, task)?;
        server.stop()?;
    }
    Ok(())
}

#[test]
fn cpu_affinity_binds_each_worker_to_a_processor_that_is_allowed() -> TestResult {
    let allowed = allowed_cpus(std::process::id())?;
    in_both_ways(
        || three().set("cpu_affinity", "all"),
        |server, workers, task| {
            let of = |process: &Process| allowed_cpus(process.pid());
            let turn = |place: usize| vec![allowed[place % allowed.len()]];
            assert_eq!((of(&workers[0])?, of(&workers[1])?), (turn(0), turn(1)));
            assert_eq!(of(task)?, turn(2));
            assert_eq!(
                (of(&server.master())?, of(&server.manager())?),
                (allowed.clone(), allowed.clone())
            );
            Ok(())
        },
    )?;
    let last = allowed[allowed.len() - 1];
    in_both_ways(
        || three().set("cpu_affinity", format!("task:{last}")),
        |_, workers, task| {
            assert_eq!(allowed_cpus(task.pid())?, [last]);
            assert_eq!(allowed_cpus(workers[0].pid())?, allowed);
            Ok(())
        },
    )?;
    let other = (0..1_024).find(|cpu| !allowed.contains(cpu)).unwrap_or(1_023);
    let (code, text) = three().set("cpu_affinity", other).start_expecting_failure()?;
    assert!(code == 2 && text.contains(&format!("may not run on processor {other}")), "{text}");
    Ok(())
}

#[test]
fn nice_is_said_for_each_kind() -> TestResult {
    let own = niceness(std::process::id())?;
    in_both_ways(
        || three().set("nice", "19 event:18"),
        |server, workers, task| {
            assert_eq!((niceness(workers[1].pid())?, niceness(task.pid())?), (18, 19));
            assert_eq!(niceness(server.master().pid())?, own);
            Ok(())
        },
    )
}

#[test]
fn oom_score_adjust_protects_the_master_and_nobody_else() -> TestResult {
    let own = oom_adjustment(std::process::id())?;
    let (master, event) = (own.midpoint(1_000), 1_000);
    in_both_ways(
        || three().set("oom_score_adjust", format!("master:{master} event:{event}")),
        |server, workers, task| {
            for process in [server.master(), server.manager(), server.spare()] {
                assert_eq!(oom_adjustment(process.pid())?, master, "{process}");
            }
            assert_eq!(oom_adjustment(workers[0].pid())?, event);
            // Nothing is said of it, and the master's is not its.
            assert_eq!(oom_adjustment(task.pid())?, own);
            Ok(())
        },
    )
}

/// The option gives task workers a limit of `small`, and event workers the most that there is.
fn limit_is_that_of_its_kind(option: &str, small: u64, line: &str) -> TestResult {
    let limits = |process: &Process| -> TestResult<(String, String)> {
        let text = of_process(process.pid(), "limits")?;
        let found = text.lines().find_map(|found| found.strip_prefix(line));
        let mut words = found.unwrap_or_default().split_whitespace().map(str::to_owned);
        Ok((words.next().unwrap_or_default(), words.next().unwrap_or_default()))
    };
    in_both_ways(
        || three().set("harden", "off").set(option, format!("max task:{small}")),
        |server, workers, task| {
            assert_eq!(limits(task)?, (small.to_string(), small.to_string()));
            let (_, hard) = limits(&server.master())?;
            assert_eq!(limits(&workers[0])?, (hard.clone(), hard));
            Ok(())
        },
    )
}

#[test]
fn limit_open_files_is_that_of_its_kind() -> TestResult {
    limit_is_that_of_its_kind("limit_open_files", 100, "Max open files")
}

#[test]
fn limit_core_size_is_that_of_its_kind() -> TestResult {
    limit_is_that_of_its_kind("limit_core_size", 0, "Max core file size")
}

#[test]
fn limit_address_space_is_that_of_its_kind() -> TestResult {
    limit_is_that_of_its_kind("limit_address_space", 8 << 30, "Max address space")
}
