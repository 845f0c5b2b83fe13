//! Looks that are as rare as can be close the same connections at the same time as somebody who
//! counts every millisecond.

use proptest::prelude::*;

use super::*;

const MILLISECOND: Nanos = 1_000_000;

#[test]
fn each_of_them_alone_is_one() {
    let none = Deadlines::default();
    assert!(none.is_none());
    let alone = [
        Deadlines { idle: 1, ..none },
        Deadlines { silence: 1, ..none },
        Deadlines { first_package: 1, ..none },
        Deadlines { package: 1, ..none },
        Deadlines { receive_rate: 1, ..none },
        Deadlines { send_stall: 1, ..none },
    ];
    for deadlines in alone {
        assert!(!deadlines.is_none(), "{deadlines:?}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Nothing,
    /// The client sends bytes, of which the last may complete a package.
    Sends {
        bytes: usize,
        completes: bool,
    },
    /// This side has its turn to read.
    Reads,
    WorkerFinishes,
    /// The kernel takes no more output.
    OutputWaits,
    OutputMoves,
    OutputIsWritten,
    /// What waits is a file's and has to wait for its turn or the disk, until some of it moves.
    OutputWaitsForUs,
    /// The kernel takes some output at once.
    Writes,
    Protect(bool),
    Drain,
}

/// One connection, and all that has happened, millisecond by millisecond.
#[derive(Default)]
struct World {
    unread: usize,
    completes: bool,
    is_incomplete: bool,
    had_package: bool,
    at_worker: bool,
    has_output: bool,
    /// It waits for this side.
    output_is_withheld: bool,
    is_protected: bool,
    draining: bool,
    rested_at: u64,
    /// When something was last unread.
    unread_at: u64,
    moved_at: u64,
    /// When something was written that did not wait.
    written_at: u64,
    /// The client's milliseconds, since it was accepted and since a package began.
    client_ms: u64,
    package_ms: Option<u64>,
    /// How long it may still be silent within a package.
    patience_ms: u64,
}

/// The deadlines in milliseconds, the rate in bytes per millisecond.
#[derive(Clone, Copy, Debug)]
struct Limits {
    idle: u64,
    silence: u64,
    first_package: u64,
    package: u64,
    rate: u64,
    grace: u64,
    send_stall: u64,
}

impl Limits {
    fn deadlines(self) -> Deadlines {
        Deadlines {
            idle: self.idle * MILLISECOND,
            silence: self.silence * MILLISECOND,
            first_package: self.first_package * MILLISECOND,
            package: self.package * MILLISECOND,
            receive_rate: self.rate * 1_000,
            receive_rate_grace: self.grace * MILLISECOND,
            send_stall: self.send_stall * MILLISECOND,
        }
    }
}

impl World {
    fn waits_for_us(&self) -> bool {
        self.at_worker || self.unread > 0
    }

    fn facts(&self) -> Facts {
        Facts {
            is_open: !self.draining,
            waits_for_us: self.waits_for_us(),
            rested_at: self.rested_at * MILLISECOND,
            is_incomplete: self.is_incomplete,
            has_output: self.has_output,
            output_waits_for_us: self.output_is_withheld,
            is_protected: self.is_protected,
        }
    }

    /// A millisecond passes.
    fn pass(&mut self) {
        if self.unread == 0 {
            self.client_ms += 1;
            self.package_ms = self.package_ms.map(|ms| ms + 1);
            self.patience_ms = self.patience_ms.saturating_sub(1);
        }
    }

    /// What an observer who looks all the time would close for.
    fn due(&self, now: u64, limits: Limits) -> Vec<CloseReason> {
        let over = |limit: u64, since: u64| limit > 0 && now - since >= limit;
        let counts = !self.waits_for_us() && !self.is_protected;
        let heard = self.unread_at.max(self.rested_at);
        let mut due = Vec::new();
        let mut add = |is_due: bool, reason| due.extend(is_due.then_some(reason));
        add(
            counts && over(limits.idle, heard.max(self.moved_at).max(self.written_at)),
            CloseReason::Idle,
        );
        let waits_for_client = self.has_output && !self.output_is_withheld;
        add(waits_for_client && over(limits.send_stall, self.moved_at), CloseReason::SendStalled);
        if self.draining {
            return due;
        }
        add(counts && over(limits.silence, heard.max(self.moved_at)), CloseReason::Silent);
        let counts = self.unread == 0;
        let is_first_late = limits.first_package > 0 && self.client_ms >= limits.first_package;
        add(counts && !self.had_package && is_first_late, CloseReason::FirstPackageTimeout);
        let is_late = self.package_ms.is_some_and(|ms| limits.package > 0 && ms >= limits.package);
        add(counts && is_late, CloseReason::PackageTimeout);
        let is_slow = limits.rate > 0 && self.package_ms.is_some() && self.patience_ms == 0;
        add(counts && is_slow, CloseReason::ReceiveTooSlow);
        due
    }

    /// The event happens; returns by when the timer is to be due because of it.
    fn happen(
        &mut self,
        event: Event,
        now: u64,
        clock: &mut ClientClock,
        limits: Limits,
    ) -> Option<Nanos> {
        let deadlines = limits.deadlines();
        match event {
            Event::Sends { bytes, completes } if !self.completes => {
                clock.input_came(now * MILLISECOND);
                (self.unread, self.completes) = (self.unread + bytes, completes);
            }
            Event::Reads if self.unread > 0 => return self.read(now, clock, limits),
            Event::WorkerFinishes if self.at_worker => {
                (self.at_worker, self.rested_at) = (false, now);
            }
            Event::OutputWaits if !self.has_output => {
                clock.took(now * MILLISECOND);
                (self.has_output, self.moved_at) = (true, now);
                let at = now * MILLISECOND + deadlines.send_stall;
                return (deadlines.send_stall > 0).then_some(at);
            }
            Event::OutputMoves | Event::OutputIsWritten if self.has_output => {
                clock.took(now * MILLISECOND);
                self.moved_at = now;
                self.has_output = matches!(event, Event::OutputMoves);
                self.output_is_withheld = false;
            }
            Event::OutputWaitsForUs if self.has_output => self.output_is_withheld = true,
            Event::Writes if !self.has_output => {
                clock.wrote(now * MILLISECOND);
                self.written_at = now;
            }
            Event::Protect(is_protected) => {
                if self.is_protected && !is_protected {
                    clock.protection_ended(now * MILLISECOND);
                    (self.unread_at, self.written_at) = (now, now);
                }
                self.is_protected = is_protected;
            }
            Event::Drain => self.draining = true,
            _ => {}
        }
        None
    }

    fn read(&mut self, now: u64, clock: &mut ClientClock, limits: Limits) -> Option<Nanos> {
        clock.received(now * MILLISECOND, self.unread, &limits.deadlines());
        if let (Some(_), Some(worth)) =
            (self.package_ms, (self.unread as u64).checked_div(limits.rate))
        {
            self.patience_ms = limits.grace.min(self.patience_ms + worth);
        }
        self.is_incomplete = !self.completes;
        if self.completes {
            clock.package_given(now * MILLISECOND);
            (self.had_package, self.at_worker, self.package_ms) = (true, true, None);
        } else if self.package_ms.is_none() {
            (self.package_ms, self.patience_ms) = (Some(0), limits.grace);
        }
        (self.unread, self.completes) = (0, false);
        clock.went_dry(now * MILLISECOND, self.is_incomplete, &limits.deadlines())
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        40 => Just(Event::Nothing),
        // Whole milliseconds of the rates below.
        4 => (1..8_usize, any::<bool>())
            .prop_map(|(some, completes)| Event::Sends { bytes: some * 12, completes }),
        8 => Just(Event::Reads),
        4 => Just(Event::WorkerFinishes),
        2 => Just(Event::OutputWaits),
        2 => Just(Event::OutputMoves),
        2 => Just(Event::OutputIsWritten),
        2 => Just(Event::OutputWaitsForUs),
        2 => Just(Event::Writes),
        1 => any::<bool>().prop_map(Event::Protect),
        1 => Just(Event::Drain),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let limit = || prop_oneof![Just(0), 1..60_u64];
    let rate = prop_oneof![Just(0), Just(2), Just(3), Just(12)];
    (limit(), limit(), limit(), limit(), rate, 1..40_u64, limit()).prop_map(
        |(idle, silence, first_package, package, rate, grace, send_stall)| Limits {
            idle,
            silence,
            first_package,
            package,
            rate,
            grace,
            send_stall,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(3_000)
    })]

    #[test]
    fn rare_looks_close_when_a_look_at_every_moment_would(
        limits in limits(),
        events in proptest::collection::vec(event(), 1..400),
    ) {
        let deadlines = limits.deadlines();
        let (mut world, mut clock) = (World::default(), ClientClock::new(0));
        let mut timer = match deadlines.verdict(0, &clock, &world.facts()) {
            Verdict::LookAgain(at) => Some(at),
            Verdict::Nothing => None,
            Verdict::Close(reason) => panic!("{reason:?} at once"),
        };
        let mut looks = 0;
        for (now, event) in (1..).zip(&events) {
            world.pass();
            if world.unread > 0 {
                world.unread_at = now;
            }
            if let Some(at) = world.happen(*event, now, &mut clock, limits) {
                timer = Some(timer.map_or(at, |armed| armed.min(at)));
            }
            let due = world.due(now, limits);
            if timer.is_none_or(|timer| timer > now * MILLISECOND) {
                prop_assert!(due.is_empty(), "{due:?} and nobody looks");
                continue;
            }
            looks += 1;
            timer = match deadlines.verdict(now * MILLISECOND, &clock, &world.facts()) {
                Verdict::Close(reason) => {
                    prop_assert!(due.contains(&reason), "{reason:?} instead of {due:?}");
                    return Ok(());
                }
                Verdict::LookAgain(at) => {
                    prop_assert!(at > now * MILLISECOND, "the loop would turn without an end");
                    Some(at)
                }
                Verdict::Nothing => None,
            };
            prop_assert!(due.is_empty(), "{due:?} and no verdict");
        }
        prop_assert!(deadlines.is_none() || looks <= events.len());
        prop_assert!(!deadlines.is_none() || looks == 0, "looks without deadlines");
    }
}

/// A second, by its name.
const S: Nanos = 1_000 * MILLISECOND;

fn waiting(is_incomplete: bool) -> Facts {
    Facts {
        is_open: true,
        waits_for_us: false,
        rested_at: 0,
        is_incomplete,
        has_output: false,
        output_waits_for_us: false,
        is_protected: false,
    }
}

#[test]
fn an_idle_connection_is_looked_at_once_per_timeout_however_busy_it_was() {
    let deadlines = Deadlines { idle: 10 * S, ..Deadlines::default() };
    let mut clock = ClientClock::new(0);
    let mut looks = 0;
    let mut at = 10 * S;
    for now in (0..100 * S).step_by(10 * MILLISECOND as usize) {
        clock.input_came(now);
        clock.package_given(now);
        clock.is_dry(now);
        if at <= now {
            looks += 1;
            let verdict = deadlines.verdict(now, &clock, &waiting(false));
            let Verdict::LookAgain(next) = verdict else { panic!("{verdict:?}") };
            at = next;
        }
    }
    assert_eq!(looks, 9);
}

/// Who sends a great deal and then a byte now and then gains nothing by it.
#[test]
fn what_is_sent_faster_than_the_least_rate_is_not_saved_up() {
    let deadlines =
        Deadlines { receive_rate: 100, receive_rate_grace: 5 * S, ..Deadlines::default() };
    let mut clock = ClientClock::new(0);
    clock.input_came(S);
    clock.received(S, 1_000, &deadlines);
    assert_eq!(clock.went_dry(S, true, &deadlines), Some(6 * S));
    clock.input_came(2 * S);
    clock.received(2 * S, 1_000_000, &deadlines);
    assert_eq!(clock.went_dry(2 * S, true, &deadlines), Some(7 * S));
    // A byte is worth ten milliseconds.
    for second in 3..=6 {
        clock.input_came(second * S);
        clock.received(second * S, 1, &deadlines);
        clock.went_dry(second * S, true, &deadlines);
    }
    let end = 7 * S + 4 * 10 * MILLISECOND;
    assert_eq!(deadlines.verdict(end - 1, &clock, &waiting(true)), Verdict::LookAgain(end));
    let slow = Verdict::Close(CloseReason::ReceiveTooSlow);
    assert_eq!(deadlines.verdict(end, &clock, &waiting(true)), slow);
    // Half of the least rate: every second costs half a second of five.
    let mut clock = ClientClock::new(0);
    clock.went_dry(0, true, &deadlines);
    let closed = (1..100).find(|second| {
        let now = second * S;
        if matches!(deadlines.verdict(now, &clock, &waiting(true)), Verdict::Close(_)) {
            return true;
        }
        clock.received(now, 50, &deadlines);
        clock.went_dry(now, true, &deadlines);
        false
    });
    assert_eq!(closed, Some(9));
}

/// The rest of a stream: the time in which a worker looks at it is not the client's, the beginning
/// of the next message is the beginning of its time, and one that is used up is forgotten.
#[test]
fn a_rest_of_a_stream_has_the_time_of_a_package() {
    let deadlines = Deadlines { package: 10 * S, ..Deadlines::default() };
    let late = Verdict::Close(CloseReason::PackageTimeout);
    let mut clock = ClientClock::new(0);
    clock.input_came(S);
    clock.package_given(S);
    clock.is_dry(S);
    assert_eq!(clock.rest_was_left(2 * S, false, &deadlines), Some(12 * S));
    // More of it after four seconds; a worker has it for an hour, and cannot use it either.
    clock.input_came(6 * S);
    clock.part_given(6 * S);
    clock.is_dry(6 * S);
    let now = 3_606 * S;
    assert_eq!(clock.rest_was_left(now, false, &deadlines), Some(now + 6 * S));
    assert_eq!(deadlines.verdict(now + 6 * S, &clock, &waiting(true)), late);
    // It is used, and what follows it is the next one.
    assert_eq!(clock.rest_was_left(now + 5 * S, true, &deadlines), Some(now + 15 * S));
    // All of it is used.
    let later = now + 100 * S;
    assert_eq!(deadlines.verdict(later, &clock, &waiting(false)), Verdict::Nothing);
    clock.input_came(later);
    clock.package_given(later);
    assert_eq!(clock.went_dry(later, false, &deadlines), None);
    assert_eq!(clock.rest_was_left(later + S, false, &deadlines), Some(later + 11 * S));
}

/// What the client has sent waits in the kernel for an hour, because nobody takes it.
#[test]
fn a_client_whose_input_waits_is_not_slow() {
    let deadlines = Limits {
        idle: 10_000,
        silence: 10_000,
        first_package: 10_000,
        package: 10_000,
        rate: 1,
        grace: 5_000,
        send_stall: 0,
    };
    let deadlines = deadlines.deadlines();
    let mut clock = ClientClock::new(0);
    clock.went_dry(0, true, &deadlines);
    clock.input_came(4 * S);
    let facts = Facts { waits_for_us: true, ..waiting(true) };
    let now = 3_604 * S;
    let verdict = deadlines.verdict(now, &clock, &facts);
    assert_eq!(verdict, Verdict::LookAgain(now + 10 * S));
    clock.received(now, 1, &deadlines);
    let end = now + S + MILLISECOND;
    assert_eq!(clock.went_dry(now, true, &deadlines), Some(end), "a second of five is left");
}
