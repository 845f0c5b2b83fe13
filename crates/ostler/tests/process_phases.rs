//! Each kind of process is killed in each phase of its life: booting, ready, busy, draining,
//! stopping. (The master is not among them: with it all ends.)
//!
//! What follows is always the same: clients are served as if nothing had happened, each kind has
//! its process again, and the server ends in order; or it was ending, and does.

mod support;
mod talk;

use ostler_testkit::{DEADLINE, Process, Signal, TestError, TestResult, TestServer};
use support::{check, wait_lines};
use talk::{Scratch, Talk};

/// A server whose processes can be held (`tests/programs/phases.rs`).
struct Scene {
    scratch: Scratch,
    server: TestServer,
}

impl Scene {
    fn new(held: &[&str]) -> TestResult<Self> {
        let scratch = Scratch::new("phases")?;
        held.iter().try_for_each(|hold| scratch.make(hold))?;
        let server = TestServer::example("phases")
            .set("workers", 2)
            .set("task_workers", 1)
            .set("crash_policy", "redeliver:5")
            .set("task_crash_policy", "redeliver")
            .set("drain_timeout_ms", 60_000)
            .set("shutdown_timeout_ms", 60_000)
            .env("PHASES_DIR", scratch.at());
        let expected = [
            "worker died",
            "process died",
            "the companion",
            "the manager died",
            "died",
            "ended before it served",
            "nothing changed",
            "before it had finished",
        ];
        let server =
            expected.iter().fold(server, |server, text| server.expect_log(text)).start()?;
        let scene = Self { scratch, server };
        if held.is_empty() {
            scene.is_whole()?;
        }
        Ok(scene)
    }

    /// The processes that have come to a phase and live, the newest last.
    fn at(&self, phase: &str) -> Vec<Process> {
        let living = self.server.tree().processes();
        let lines = self.scratch.lines("journal");
        let pids = lines.iter().filter_map(|line| line.strip_prefix(phase)?.trim().parse().ok());
        let of = |pid: u32| living.iter().find(|process| process.pid() == pid).cloned();
        pids.filter_map(of).collect()
    }

    /// The newest process in a phase, which is waited for.
    fn one_at(&self, phase: &str) -> TestResult<Process> {
        self.server.wait_for(phase, |_| !self.at(phase).is_empty())?;
        self.at(phase).pop().ok_or_else(|| TestError::new(format!("nobody is {phase} any more")))
    }

    /// All kinds have their processes, and clients are served by those that serve any.
    fn is_whole(&self) -> TestResult {
        for (kind, count) in [("event", 2), ("task", 1), ("user", 1), ("companion", 1)] {
            let phase = format!("{kind} ready");
            let whole = |_: &TestServer| self.at(&phase).len() == count;
            self.server.wait_for(&format!("{count} of {phase}"), whole)?;
        }
        let mut talk = Talk::new(&self.server)?;
        for order in ["event again", "task again"] {
            check(talk.ask(order)? == order, "the answer is another one")?;
        }
        Ok(())
    }

    fn release(&self, hold: &str) -> TestResult {
        Ok(std::fs::remove_file(self.scratch.path(hold))?)
    }

    /// Kills who is in this phase, once there is somebody, and lets the next one pass.
    fn kill_at(&self, kind: &str, phase: &str) -> TestResult {
        let victim = self.one_at(&format!("{kind} {phase}"))?;
        victim.kill();
        victim.wait_gone(DEADLINE)?;
        self.release(&format!("{kind}.{phase}"))
    }

    /// Asks for a reload, which is to end like this.
    fn reload(&self, outcome: &str) -> TestResult {
        let ended = self.server.log_lines_with(outcome).len();
        self.server.signal(Signal::USR1);
        wait_lines(&self.server, outcome, ended + 1)
    }

    /// The server serves as before, and ends in order.
    fn goes_on(self) -> TestResult {
        self.is_whole()?;
        self.server.stop()
    }

    /// The server was told to end, and does.
    fn ends(self) -> TestResult {
        let ended = self.server.wait_end()?;
        check(ended.code() == Some(0), format!("it ended with {:?}", ended.code()))?;
        ended.check_books()
    }
}

/// Kills the process of a kind that is ready, and then its successor while it boots.
fn boots_again(kind: &str) -> TestResult {
    let scene = Scene::new(&[])?;
    scene.scratch.make(&format!("{kind}.boot"))?;
    scene.one_at(&format!("{kind} ready"))?.kill();
    scene.kill_at(kind, "boot")?;
    scene.goes_on()
}

#[test]
fn whoever_boots_may_be_killed() -> TestResult {
    ["event", "task", "user", "companion"].into_iter().try_for_each(boots_again)
}

#[test]
fn whoever_is_ready_may_be_killed() -> TestResult {
    let scene = Scene::new(&[])?;
    for kind in ["event", "task", "user", "companion"] {
        scene.one_at(&format!("{kind} ready"))?.kill();
        scene.is_whole()?;
    }
    scene.server.manager().kill();
    wait_lines(&scene.server, "supervises", 2)?;
    scene.goes_on()
}

#[test]
fn whoever_is_busy_with_an_order_may_be_killed() -> TestResult {
    for kind in ["event", "task"] {
        let scene = Scene::new(&[])?;
        scene.scratch.make(&format!("{kind}.busy"))?;
        let mut talk = Talk::new(&scene.server)?;
        let order = format!("{kind} held");
        talk.say(&order)?;
        scene.kill_at(kind, "busy")?;
        check(talk.line()? == order, "the answer is another one")?;
        drop(talk);
        scene.goes_on()?;
    }
    Ok(())
}

#[test]
fn a_user_process_at_its_work_may_be_killed() -> TestResult {
    let scene = Scene::new(&[])?;
    scene.scratch.make("user.busy")?;
    scene.kill_at("user", "busy")?;
    scene.goes_on()
}

#[test]
fn a_companion_that_handles_an_event_may_be_killed() -> TestResult {
    let scene = Scene::new(&[])?;
    scene.scratch.make("companion.busy")?;
    scene.one_at("event ready")?.kill();
    scene.kill_at("companion", "busy")?;
    scene.goes_on()
}

/// One that leaves with an order in hand, and one that has none and lets go.
#[test]
fn workers_that_leave_may_be_killed() -> TestResult {
    for kind in ["event", "task"] {
        let scene = Scene::new(&[])?;
        scene.scratch.make(&format!("{kind}.busy"))?;
        let mut talk = Talk::new(&scene.server)?;
        let order = format!("{kind} held");
        talk.say(&order)?;
        scene.one_at(&format!("{kind} busy"))?;
        scene.reload("reload finished")?;
        scene.kill_at(kind, "busy")?;
        check(talk.line()? == order, "the answer is another one")?;
        drop(talk);
        scene.is_whole()?;
        scene.scratch.make(&format!("{kind}.draining"))?;
        scene.reload("reload finished")?;
        scene.kill_at(kind, "draining")?;
        scene.goes_on()?;
    }
    Ok(())
}

#[test]
fn workers_that_stop_may_be_killed() -> TestResult {
    for kind in ["event", "task"] {
        let scene = Scene::new(&[])?;
        scene.scratch.make(&format!("{kind}.stopping"))?;
        scene.reload("reload finished")?;
        scene.kill_at(kind, "stopping")?;
        scene.goes_on()?;
    }
    Ok(())
}

#[test]
fn a_user_process_that_leaves_or_stops_may_be_killed() -> TestResult {
    for phase in ["draining", "stopping"] {
        let scene = Scene::new(&[])?;
        scene.scratch.make(&format!("user.{phase}"))?;
        scene.one_at("user ready")?.try_signal(Signal::TERM);
        scene.kill_at("user", phase)?;
        scene.goes_on()?;
    }
    Ok(())
}

/// Its part in the end is the beginning of that, and its last event.
#[test]
fn a_companion_at_the_end_of_its_server_may_be_killed() -> TestResult {
    for phase in ["draining", "stopping"] {
        let scene = Scene::new(&[])?;
        scene.scratch.make(&format!("companion.{phase}"))?;
        scene.server.signal(Signal::TERM);
        scene.kill_at("companion", phase)?;
        scene.ends()?;
    }
    Ok(())
}

#[test]
fn a_manager_of_a_server_that_starts_may_be_killed() -> TestResult {
    // (That it listens is said when the first event worker serves.)
    let scene = Scene::new(&["task.boot", "user.boot"])?;
    scene.one_at("task boot")?;
    scene.one_at("user boot")?;
    scene.server.manager().kill();
    wait_lines(&scene.server, "supervises", 2)?;
    scene.release("task.boot")?;
    scene.release("user.boot")?;
    scene.goes_on()
}

#[test]
fn a_manager_in_a_reload_may_be_killed() -> TestResult {
    let scene = Scene::new(&[])?;
    scene.scratch.make("event.boot")?;
    scene.server.signal(Signal::USR1);
    scene.one_at("event boot")?;
    scene.server.manager().kill();
    wait_lines(&scene.server, "supervises", 2)?;
    scene.release("event.boot")?;
    scene.goes_on()
}

/// What is in hand when its worker dies with the manager is served to its end all the same.
#[test]
fn a_manager_of_a_server_that_drains_may_be_killed() -> TestResult {
    let scene = Scene::new(&[])?;
    scene.scratch.make("event.busy")?;
    let mut talk = Talk::new(&scene.server)?;
    talk.say("event held")?;
    scene.one_at("event busy")?;
    scene.server.signal(Signal::TERM);
    scene.server.wait_for_log("draining")?;
    scene.server.manager().kill();
    wait_lines(&scene.server, "supervises", 2)?;
    scene.release("event.busy")?;
    check(talk.line()? == "event held", "the answer is another one")?;
    scene.ends()
}

#[test]
fn a_manager_whose_workers_stop_may_be_killed() -> TestResult {
    let scene = Scene::new(&[])?;
    scene.scratch.make("event.stopping")?;
    scene.server.signal(Signal::TERM);
    scene.one_at("event stopping")?;
    scene.server.manager().kill();
    scene.ends()
}
