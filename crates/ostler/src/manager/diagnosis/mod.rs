//! What workers do that takes too long, and why they die: noticed here, told by a helper.
//!
//! The manager only looks: at shared memory, now and then, while slow requests are to be told. It
//! asks a worker for its stack by a signal and takes what that has captured. Frames, names and
//! lines are made by a process of their own that ends at once ([`helper`]), for all that is to be
//! told at that time.

mod asked;
mod case;
mod cause;
mod helper;
mod lateness;
mod out_of_memory;
mod outside;
mod overdue;
mod settings;
mod tell;
mod watch;

use std::collections::HashMap;
use std::rc::Rc;

use ostler_core::Millis;
use ostler_core::bursts::Bursts;
use ostler_core::ids::ProcessKey;
use ostler_core::supervisor::{Exit, KillCause};
use ostler_shm::black_box::capture::Capture;

use asked::Requests;
pub(super) use case::DeathCase;
use case::{Case, Stack};
use helper::Helper;
use lateness::Lateness;
pub(super) use lateness::Measure;
use out_of_memory::OutOfMemory;
use overdue::Overdue;
pub(crate) use settings::DiagnosisSettings;
use watch::Watches;

use super::children::{Child, Children};
use super::reaping::Reaped;
use super::setup::ManagerSetup;
use crate::control::{DeathNotice, ShortText, SlowTurn};
use crate::sys::clock;
use crate::sys::process::{EXIT_PANIC, ProcessId};

/// Cases that wait for the helper at most; each may have 64 KiB of stack. More are told without.
const CASES_MAX: usize = 64;
/// One death of a kind is told in this time.
const DEATH_PERIOD_MS: Millis = 1_000;
/// Kinds of deaths whose number is known.
const FINGERPRINTS_MAX: usize = 256;

/// What the manager knows of slow workers and of deaths.
pub(super) struct Diagnosis {
    watches: Watches,
    lateness: Lateness,
    overdue: Overdue,
    requests: Requests,
    deaths: Bursts<DeathKind, DeathCase>,
    out_of_memory: OutOfMemory,
    /// What the next helper tells.
    waiting: Vec<Case>,
    helper: Option<Helper>,
    /// How often deaths of the same fingerprint were told.
    seen: HashMap<u64, u64>,
}

/// Deaths that are told as one when they come in a burst.
type DeathKind = (Exit, Option<KillCause>);

impl Diagnosis {
    pub(super) fn new(settings: &DiagnosisSettings) -> Self {
        Self {
            watches: Watches::new(settings.slow_after_ms),
            lateness: Lateness::new(
                settings.deadlines.clone(),
                settings.of_tasks,
                settings.port_names.clone(),
            ),
            overdue: Overdue::default(),
            requests: Requests::default(),
            deaths: Bursts::new(DEATH_PERIOD_MS),
            out_of_memory: OutOfMemory::new(),
            waiting: Vec::new(),
            helper: None,
            seen: HashMap::new(),
        }
    }

    /// When [`Diagnosis::run_due`] has something to do.
    pub(super) fn due(&self) -> Option<Millis> {
        let helper = self.helper.as_ref().map(Helper::until);
        let overdue = self.overdue.due();
        [self.watches.due(), self.lateness.due(), overdue, self.deaths.due(), helper]
            .into_iter()
            .flatten()
            .min()
    }

    /// Looks at who is slow or late, and lets be told what is to be told. Returns what is to be
    /// done about it.
    #[must_use]
    pub(super) fn run_due(
        &mut self,
        now: Millis,
        children: &Children,
        setup: &ManagerSetup,
    ) -> Vec<Measure> {
        let mut measures = self.lateness.run_due(now, children, &mut self.requests);
        measures.extend(self.overdue.run_due(now, children));
        for (key, _) in children.iter().filter(|(key, _)| self.lateness.is_at(*key)) {
            self.watches.let_be(key);
        }
        for case in self.watches.run_due(now, children, &mut self.requests) {
            self.add(Case::Slow(case), setup);
        }
        for (mut case, more) in self.deaths.take_due(now) {
            case.more = more;
            self.add(Case::Death(case), setup);
        }
        if let Some(helper) = &self.helper {
            helper.end_if_late(now);
        }
        self.start_helper(now, setup);
        measures
    }

    /// The master has told all reactors what this worker is killed for.
    #[must_use]
    pub(super) fn on_late_known(
        &mut self,
        key: ProcessKey,
        children: &Children,
    ) -> Option<Measure> {
        self.lateness.on_known(key, children)
    }

    /// A worker has not left in time: it is asked why, and ended then ([`Measure::End`]).
    pub(super) fn ask_what_holds(&mut self, key: ProcessKey, child: &Child, now: Millis) {
        self.overdue.ask(key, child, now, &mut self.requests);
    }

    /// It says one thing that holds it.
    pub(super) fn on_holder(&mut self, key: ProcessKey, holder: ShortText) {
        self.overdue.on_holder(key, holder);
    }

    /// That was all.
    pub(super) fn on_last_holder(&mut self, key: ProcessKey, more: u32) {
        self.overdue.on_last_holder(key, more);
    }

    /// A worker was reaped: what is known of its death.
    pub(super) fn on_death(
        &mut self,
        death: &DeathNotice,
        reaped: &Reaped,
        now: Millis,
    ) -> DeathCase {
        self.watches.forget(reaped.key);
        let verdict = self.lateness.on_death(reaped.key);
        let held = self.overdue.on_death(reaped.key);
        let held_by = held.as_ref().map(|held| held.by.clone()).filter(|by| !by.is_empty());
        let (child, black_box) = (&reaped.child, &reaped.child.black_box);
        let is_kill = matches!(death.exit, Exit::Signal { signal: libc::SIGKILL, .. });
        let last_words = black_box.last_words();
        let crash = crash_of(death.exit, reaped, &last_words);
        let facts = cause::Facts {
            exit: death.exit,
            killed: death.killed,
            verdict: verdict.as_ref().map(|verdict| verdict.words.as_str()),
            out_of_memory: self.out_of_memory.look().filter(|_| is_kill),
            crash: crash.as_ref(),
            last_words: &String::from_utf8_lossy(&last_words),
        };
        let (cause, by_itself) = (facts.in_words(), facts.is_by_itself(child.pid.get()));
        let stack = match (crash, verdict, held) {
            (Some(crash), ..) => Stack::Captured(Box::new(crash)),
            (None, Some(verdict), _) => verdict.stack,
            (None, None, Some(held)) => held.stack,
            (None, None, None) => Stack::Missing("it gave none".to_owned()),
        };
        let phase = child.running().map(|seen| seen.phase);
        let since = |start: u64| clock::monotonic_ns().saturating_sub(start) / 1_000_000;
        DeathCase {
            worker: reaped.key,
            pid: child.pid,
            cause,
            held_by,
            phase,
            by_itself,
            elapsed_ms: phase.map(|phase| since(phase.started_ns)),
            age_ms: now.saturating_sub(child.forked_at),
            memory_peak_kib: reaped.usage.memory_peak_kib,
            cpu_ms: reaped.usage.cpu_ms,
            more: 0,
            stack,
            modules: black_box.modules(),
        }
    }

    /// Tells a death, at once or with others of its kind.
    pub(super) fn tell_death(
        &mut self,
        death: &DeathNotice,
        case: DeathCase,
        now: Millis,
        setup: &ManagerSetup,
    ) {
        if let Some(case) = self.deaths.add((death.exit, death.killed), case, now) {
            self.add(Case::Death(case), setup);
            self.start_helper(now, setup);
        }
    }

    /// The master says that a turn of a reactor takes long.
    pub(super) fn on_slow_turn(&mut self, turn: SlowTurn, now: Millis, setup: &ManagerSetup) {
        self.add(Case::Turn(turn.into()), setup);
        self.start_helper(now, setup);
    }

    fn add(&mut self, case: Case, setup: &ManagerSetup) {
        let has_stack = matches!(case.stack(), Stack::Captured(_));
        if self.waiting.len() < CASES_MAX {
            self.waiting.push(case);
        } else {
            let why = if has_stack { "too many stacks to read at once" } else { "" };
            tell::without_stack(&setup.diagnosis, &case, why);
        }
    }

    fn start_helper(&mut self, now: Millis, setup: &ManagerSetup) {
        if self.helper.is_some() || self.waiting.is_empty() {
            return;
        }
        let cases = Rc::new(std::mem::take(&mut self.waiting));
        match Helper::start(setup, Rc::clone(&cases), &self.seen, now) {
            Ok(helper) => self.helper = Some(helper),
            Err(error) => {
                let why = format!("no process to read it: {error}");
                cases.iter().for_each(|case| tell::without_stack(&setup.diagnosis, case, &why));
            }
        }
    }

    /// Whether this child that has ended is the helper.
    pub(super) fn is_helper(&self, pid: ProcessId) -> bool {
        self.helper.as_ref().is_some_and(|helper| helper.pid() == pid)
    }

    /// The helper has ended: what it did not tell is told without stacks.
    pub(super) fn on_helper_end(&mut self, now: Millis, setup: &ManagerSetup) {
        let Some(helper) = self.helper.take() else { return };
        for fingerprint in helper.end(setup) {
            if self.seen.len() < FINGERPRINTS_MAX || self.seen.contains_key(&fingerprint) {
                *self.seen.entry(fingerprint).or_insert(0) += 1;
            }
        }
        self.start_helper(now, setup);
    }

    /// The manager ends: tells what is left.
    pub(super) fn finish(&mut self, setup: &ManagerSetup) {
        if let Some(helper) = &self.helper {
            helper.wait();
            self.on_helper_end(Millis::MAX, setup);
        }
        for (mut case, more) in self.deaths.take_due(Millis::MAX) {
            case.more = more;
            self.waiting.push(Case::Death(case));
        }
        for case in std::mem::take(&mut self.waiting) {
            tell::without_stack(&setup.diagnosis, &case, "the server ended");
        }
        if let Some(helper) = self.helper.take() {
            helper.wait();
            let _ = helper.end(setup);
        }
    }
}

/// What a process captured of the crash or panic by which it ended. What it captured for other
/// reasons has nothing to do with its death.
fn crash_of(exit: Exit, reaped: &Reaped, last_words: &[u8]) -> Option<Capture> {
    let black_box = &reaped.child.black_box;
    if !black_box.is_understood() {
        return None;
    }
    let capture = black_box.read_capture().filter(|capture| capture.reason.number == 0)?;
    let captured_by = capture.reason.signal;
    let is_its_own = match exit {
        Exit::Code(EXIT_PANIC) => Some(captured_by) == black_box.signal() && !last_words.is_empty(),
        Exit::Code(_) => false,
        // The runtime of Rust aborts a process whose stack has overflowed.
        Exit::Signal { signal: libc::SIGABRT, .. } => {
            [libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS].contains(&captured_by)
        }
        Exit::Signal { signal, .. } => signal == captured_by,
    };
    is_its_own.then_some(capture)
}
