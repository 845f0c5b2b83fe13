//! The life of a process of BASE mode: it accepts, serves its clients, and leaves them time.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use ostler_core::accepting::AcceptCounts;
use ostler_core::brain::{Books, CloseReason};
use ostler_core::departure::{Departure, DepartureAction, Event};
use ostler_core::ids::PortId;
use ostler_core::{Millis, invariant};

use super::link::Link;
use super::local;
use super::opening::{Mine, Parts, open};
use super::relays::Relays;
use crate::api::outcome::Failure;
use crate::api::own_handler::AnyHandler;
use crate::api::port::Ports;
use crate::api::program_code::Factories;
use crate::api::worker::Worker;
use crate::control::{FromProcess, ToProcess};
use crate::inheritance::{ProcessBoot, ProcessEnds};
use crate::master::accepting::Accepting;
use crate::master::accepting_reactor;
use crate::options::Options;
use crate::reactor::mailbox::{FromReactor, ToReactor};
use crate::sys::clock;
use crate::sys::epoll::Interest;
use crate::worker::event_loop::{EXIT_LANES, Round, Run};
use crate::worker::handlers::{Callee, Handlers};
use crate::worker::start::{arm_fault, cannot_start, starting};

/// What this thread watches with its reactor: words of the master.
pub(super) const LINK: u32 = 0;
/// The bells of the worker: TERM, closures of other threads.
const WORKER: u32 = 1;
/// Reports of the reactor.
pub(super) const REPORTS: u32 = 2;
/// Ways from and to other processes.
pub(super) const OTHERS: u32 = 3;

/// Turns of reactor and worker before what happened outside is looked at again: enough to bring
/// home what one wait has brought, few enough that nobody outside waits for long.
const TURNS_MAX: usize = 16;

/// The part of `drain_timeout_ms` for which a process that could end waits for others to take what
/// they were sent: one in so many. A drain leaves a tenth.
const RELAYS_END_PART: u64 = 20;

/// The life of the process; answers its exit code.
pub(crate) fn process_main<H, F>(
    boot: ProcessBoot,
    options: &Options,
    ports: &Ports,
    factories: &Factories<F>,
) -> i32
where
    H: AnyHandler,
    F: Fn(&Worker) -> Result<H, Failure>,
{
    arm_fault(boot.key);
    let ProcessBoot { key, control, board: commons, worker_bell, ends, .. } = boot;
    let ProcessEnds::Clients { seat, link, switch, listeners } = ends else {
        invariant!(false, "a worker that serves clients itself is started as one");
        return EXIT_LANES;
    };
    let mine = Mine { key, seat, link, switch, listeners, commons, worker_bell };
    let callee = Callee::new(factories);
    let (parts, link, relays) = match open(mine, options, ports, callee) {
        Ok(opened) => opened,
        Err(error) => return cannot_start(&control, "the process cannot serve clients", &error),
    };
    let make_handlers = || Handlers::make(&parts.local.context, factories);
    let handlers = match starting(&control, make_handlers) {
        Ok(handlers) => handlers,
        Err(error) => return cannot_start(&control, "the handler cannot be made", &error),
    };
    let run = Run::new(Rc::clone(&parts.local.context), handlers, control);
    Process {
        run,
        link,
        relays,
        relays_end_ms: options.drain_timeout_ms / RELAYS_END_PART,
        ends_at: None,
        departure: Departure::new(options.drain_timeout_ms),
        settles_datagrams: false,
        is_busy: true,
        written: Books::default(),
        accept_counts: AcceptCounts::default(),
        parts,
    }
    .live()
}

struct Process<H: AnyHandler> {
    parts: Parts,
    run: Run<H>,
    link: Rc<Link>,
    relays: Rc<Relays>,
    /// How long it may wait for others at its end, milliseconds.
    relays_end_ms: Millis,
    /// Until then it does.
    ends_at: Option<Millis>,
    departure: Departure,
    /// Datagrams are read no more, and the master wants to know when all that were are handled.
    settles_datagrams: bool,
    /// There is something to do at once.
    is_busy: bool,
    /// The books as they were written last.
    written: Books,
    /// What accepting has counted, once it is over.
    accept_counts: AcceptCounts,
}

impl<H: AnyHandler> Process<H> {
    fn live(mut self) -> i32 {
        if let Err(code) = self.run.begin() {
            return code;
        }
        let reactor = &self.parts.local.reactor;
        let watched =
            self.run.with_bells(|bells| reactor.borrow().watch(bells, WORKER, Interest::READ));
        let code = match watched {
            Ok(()) => self.serve(),
            Err(error) => {
                tracing::error!(%error, "cannot watch the worker");
                EXIT_LANES
            }
        };
        // What came until now is counted, and done if anybody is left.
        self.serve_others();
        self.run.end(code);
        let local = &self.parts.local;
        local.mailbox.push(ToReactor::Stop);
        let mut reactor = local.reactor.borrow_mut();
        reactor.turn_again(&self.parts.no_events);
        reactor.read_mail();
        drop(reactor);
        self.write_books();
        self.run.end_spans(code);
        code
    }

    fn serve(&mut self) -> i32 {
        loop {
            let mut timeout = self.sleep_time();
            // The reactor's lane is awake as long as this thread is; the switch has to be told.
            if timeout != Some(Duration::ZERO) && !self.run.fall_asleep() {
                timeout = Some(Duration::ZERO);
            }
            let mut reactor = self.parts.local.reactor.borrow_mut();
            let waited = reactor.wait_and_turn(&mut self.parts.events, timeout);
            let outside = reactor.take_outside();
            drop(reactor);
            self.run.wake();
            match waited {
                Ok(turned) => self.is_busy = turned.has_more,
                Err(error) => {
                    tracing::error!(%error, "cannot wait");
                    return EXIT_LANES;
                }
            }
            for number in outside {
                if let Err(code) = self.on_outside(number) {
                    return code;
                }
            }
            if let Err(code) = self.take_turns() {
                return code;
            }
            if self.link.has_orders() {
                // They came with introductions that were looked for.
                self.hear_master();
            }
            self.run_due();
            self.look_for_settled();
            self.write_books();
            if self.may_end() {
                return self.run.exit_code();
            }
        }
    }

    /// How long to sleep, apart from what the reactor says; `None`: until something happens.
    fn sleep_time(&self) -> Option<Duration> {
        if self.is_busy || self.run.has_more() || self.link.has_orders() {
            return Some(Duration::ZERO);
        }
        let accepting = self.parts.accepting.as_ref().and_then(Accepting::due);
        let due = [self.departure.deadline(), accepting, self.ends_at];
        let due = due.into_iter().flatten().min();
        let due = due.map(|at| Duration::from_millis(at.saturating_sub(clock::monotonic_ms())));
        // What the master and others could not be told is tried again.
        let again = [self.link.try_again(), self.relays.try_again()].into_iter().flatten().min();
        [due, again, self.run.sleep_time()].into_iter().flatten().min()
    }

    /// Lets worker and reactor do what there is to do for them.
    fn take_turns(&mut self) -> Result<(), i32> {
        for _ in 0..TURNS_MAX {
            // What user code dies of must be in the books before.
            self.write_books();
            let round = self.run.round();
            if round == Round::Broken {
                return Err(EXIT_LANES);
            }
            let mut reactor = self.parts.local.reactor.borrow_mut();
            if !reactor.has_news() {
                if round == Round::Idle {
                    return Ok(());
                }
                continue;
            }
            let turned = reactor.turn_again(&self.parts.no_events);
            self.is_busy |= turned.has_more;
            if round == Round::Idle && !turned.gave {
                return Ok(());
            }
        }
        self.is_busy = true;
        Ok(())
    }

    fn on_outside(&mut self, number: u32) -> Result<(), i32> {
        match number {
            LINK => self.hear_master(),
            OTHERS => self.serve_others(),
            // It is looked at in each turn.
            WORKER => self.run.hush(),
            REPORTS => return self.take_reports(),
            _ => match accepting_reactor::port_of(number) {
                Some(port) => self.accept(port),
                None => invariant!(false, "what this thread watches has a number"),
            },
        }
        Ok(())
    }

    fn run_due(&mut self) {
        let accepting_due = self.parts.accepting.as_ref().and_then(Accepting::due);
        if accepting_due.is_none() && self.departure.deadline().is_none() {
            return;
        }
        let now = clock::monotonic_ms();
        if let Some(accepting) = &mut self.parts.accepting {
            accepting.run_due(now, &*self.parts.local.reactor.borrow());
        }
        if self.departure.awaits_empty() && self.parts.local.reports.connections.here() == 0 {
            self.depart(Event::Empty);
        }
        if self.departure.deadline().is_some_and(|deadline| now >= deadline) {
            self.depart(Event::Tick);
        }
    }

    fn write_books(&mut self) {
        let mut books = self.parts.local.reactor.borrow().books();
        let accepting = self.parts.accepting.as_ref();
        books.accepting.add(accepting.map_or(&self.accept_counts, Accepting::counts));
        if books != self.written {
            self.parts.seat.write_books(&books);
            self.written = books;
        }
    }

    // ---- the master and other processes

    fn hear_master(&mut self) {
        self.link.read();
        self.relays.meet();
        if self.link.is_closed() {
            self.parts.local.reactor.borrow().unwatch(&*self.link);
        }
        while let Some((order, descriptors)) = self.link.next_order() {
            match order {
                ToProcess::Serve => self.depart(Event::Serve),
                ToProcess::Leave => {
                    self.run.listen();
                    self.depart(Event::Leave);
                }
                ToProcess::Drain => {
                    self.run.listen();
                    // What others have sent before the end began.
                    self.serve_others();
                    self.depart(Event::Drain);
                }
                ToProcess::CloseAll { timed_out } => self.depart(Event::CloseAll { timed_out }),
                ToProcess::ReadDatagrams => self.read_datagrams(),
                ToProcess::Certificates => self.show_new_certificates(descriptors),
                ToProcess::Board { .. } | ToProcess::Gone { .. } | ToProcess::Way { .. } => {
                    invariant!(false, "introductions are no orders");
                }
            }
        }
    }

    /// Does what others want of sessions here.
    fn serve_others(&mut self) {
        self.is_busy |= self.relays.serve(&self.parts.local.context);
    }

    /// Whether this process may end: what it has sent to others is with the kernel, if they look at
    /// it at all.
    fn may_end(&mut self) -> bool {
        if self.ends_at.is_none() && !self.run.may_end() {
            return false;
        }
        let now = clock::monotonic_ms();
        let until = *self.ends_at.get_or_insert(now.saturating_add(self.relays_end_ms));
        self.relays.are_flushed() || now >= until
    }

    fn read_datagrams(&mut self) {
        // Unless it was told to leave since.
        if self.parts.accepting.as_ref().is_some_and(Accepting::is_open) {
            self.parts.local.reactor.borrow_mut().let_datagrams_be_read(true);
            self.is_busy = true;
        }
    }

    fn stop_reading_datagrams(&mut self) {
        self.parts.local.reactor.borrow_mut().let_datagrams_be_read(false);
        self.settles_datagrams = true;
        self.is_busy = true;
    }

    /// Tells the master when its successor may read.
    fn look_for_settled(&mut self) {
        if self.settles_datagrams && self.parts.local.reactor.borrow().datagrams_are_settled() {
            self.settles_datagrams = false;
            self.link.send(FromProcess::DatagramsSettled, Vec::new());
        }
    }

    /// The master has read them, and they were right.
    fn show_new_certificates(&self, file: Vec<OwnedFd>) {
        if file.is_empty() {
            let text = "new certificates cannot be shown yet, no descriptors left; the master is \
                        asked for them again";
            tracing::warn!("{text}");
            return self.link.send(FromProcess::MissedCertificates, Vec::new());
        }
        let replaced = file.into_iter().map(|file| self.parts.encryption.replace(file));
        for error in replaced.filter_map(Result::err) {
            tracing::error!(%error, "cannot show new certificates, the old ones are shown on");
        }
    }

    fn take_reports(&mut self) -> Result<(), i32> {
        for report in self.parts.local.reports.queue.take() {
            match report {
                FromReactor::Condemned(_, why) => {
                    tracing::error!(why, "the lane of this process holds nonsense");
                    return Err(EXIT_LANES);
                }
                FromReactor::Drained => self.depart(Event::Drained),
                FromReactor::Closed => self.resume_accepting(),
                // Nobody asks this process.
                FromReactor::GoesOn(_)
                | FromReactor::Settled(..)
                | FromReactor::ClientsWait
                | FromReactor::CallAnswered(..)
                | FromReactor::Deserted(_) => {}
                // Nobody has told it to.
                FromReactor::Offer(_) | FromReactor::Given { .. } | FromReactor::Lags(_) => {}
                FromReactor::Failed(_, error) => {
                    tracing::error!(%error, "the reactor of this process failed");
                    return Err(EXIT_LANES);
                }
            }
        }
        Ok(())
    }

    fn depart(&mut self, event: Event) {
        for action in self.departure.on(event, clock::monotonic_ms()) {
            match action {
                DepartureAction::Accept => self.begin_accepting(),
                DepartureAction::StopAccepting => {
                    self.stop_accepting();
                    self.stop_reading_datagrams();
                }
                DepartureAction::Drain => self.tell_reactor(ToReactor::Drain),
                DepartureAction::CloseAll { timed_out } => {
                    let reason = CloseReason::ShutdownTimeout;
                    self.tell_reactor(ToReactor::CloseAll { reason, timed_out });
                }
                DepartureAction::SayDrained => {
                    self.link.send(FromProcess::Drained, Vec::new());
                }
                DepartureAction::LetGo => {
                    let worker = local::worker_of(self.run.key().generation);
                    self.tell_reactor(ToReactor::Leave(worker));
                }
            }
        }
    }

    fn tell_reactor(&mut self, message: ToReactor) {
        self.parts.local.mailbox.push(message);
        self.parts.local.reactor.borrow_mut().read_mail();
        // What follows from it is done in the next turn.
        self.is_busy = true;
    }

    // ---- accepting

    fn accept(&mut self, port: PortId) {
        let Some(accepting) = &mut self.parts.accepting else { return };
        let mut reactor = self.parts.local.reactor.borrow_mut();
        accepting.accept(port, clock::monotonic_ms(), &*reactor);
        accepting.accepted_for(0).for_each(|accepted| reactor.accepted(accepted));
        // What follows from it is done in the next turn.
        self.is_busy = true;
    }

    fn begin_accepting(&mut self) {
        let Some(accepting) = &mut self.parts.accepting else { return };
        if let Err(error) = accepting.begin(&*self.parts.local.reactor.borrow()) {
            tracing::error!(%error, "cannot watch a listener");
        }
    }

    fn stop_accepting(&mut self) {
        if let Some(accepting) = self.parts.accepting.take() {
            self.accept_counts = accepting.end(&*self.parts.local.reactor.borrow());
        }
    }

    fn resume_accepting(&mut self) {
        if let Some(accepting) = &mut self.parts.accepting {
            accepting.resume(&*self.parts.local.reactor.borrow());
        }
    }
}
