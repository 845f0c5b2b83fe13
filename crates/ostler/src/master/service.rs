//! What the service manager that started this program hears of it: sd_notify(3), over the socket
//! that `NOTIFY_SOCKET` names (P63).
//!
//! When to say what is decided by [`Readiness`] and [`Watchdog`]; here it is put into words.
//! Nothing of it can fail the server: who does not hear is told again a moment later, and otherwise
//! the service manager has its own time limits.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use ostler_core::Millis;
use ostler_core::ids::{ProcessKey, Slot};
use ostler_core::readiness::{Notice, Readiness};
use ostler_core::supervisor::ReloadOutcome;
use ostler_core::watchdog::{Part, Round, Watchdog};

use super::event_loop::Master;
use crate::control::ToManager;
use crate::reactor::mailbox::ToReactor;
use crate::sys::notify_socket::{NOTIFY_VARIABLE, NotifySocket, WATCHDOG_VARIABLES};
use crate::sys::{clock, poll, process};

/// How often what has changed is told, and that what takes time goes on.
const TICK_MS: Millis = 5_000;
/// So much time each tick asks for while something takes time: two ticks may come late.
const EXTENSION: Duration = Duration::from_millis(3 * TICK_MS);
/// How long a service manager that has too much to read is left alone.
const RETRY_MS: Millis = 100;
/// How long a service manager that has too much to read is waited for when it has to know its main
/// process.
const MAIN_PROCESS_MAX: Duration = Duration::from_secs(1);
/// Messages that wait to be told; beyond them the oldest is forgotten.
const WAITING_MAX: usize = 16;

/// The words to the service manager, and what they are made of.
#[derive(Debug)]
pub(super) struct Service {
    socket: NotifySocket,
    readiness: Readiness,
    watchdog: Option<Watchdog>,
    /// What it did not take yet.
    waiting: VecDeque<String>,
    tick_at: Millis,
    /// The process that serves, of each slot.
    serving: BTreeMap<Slot, ProcessKey>,
    last_reload: Option<ReloadOutcome>,
    status: String,
    /// A new master says everything from now on; what waits is still told.
    has_left: bool,
}

impl Service {
    /// Who started this program, if that wants to hear of it.
    pub(super) fn of_environment(reactors: usize) -> Option<Self> {
        let address = std::env::var_os(NOTIFY_VARIABLE).filter(|address| !address.is_empty())?;
        let socket = match NotifySocket::connect(&address) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(
                    %error,
                    address = %address.display(),
                    "the service manager cannot be told anything: NOTIFY_SOCKET does not lead to it"
                );
                return None;
            }
        };
        let now = clock::monotonic_ms();
        Some(Self::at(socket, watchdog_of_environment(reactors, now), now))
    }

    fn at(socket: NotifySocket, watchdog: Option<Watchdog>, now: Millis) -> Self {
        Self {
            socket,
            readiness: Readiness::default(),
            watchdog,
            waiting: VecDeque::new(),
            tick_at: now,
            serving: BTreeMap::new(),
            last_reload: None,
            status: String::new(),
            has_left: false,
        }
    }

    fn due(&self) -> Millis {
        let watchdog = self.watchdog.as_ref().map_or(Millis::MAX, Watchdog::due);
        watchdog.min(self.tick_at)
    }

    fn status(&self, open: u64) -> String {
        let phase = self.readiness.word();
        let workers = self.serving.len();
        let reload = match self.last_reload {
            None
            | Some(
                ReloadOutcome::Done | ReloadOutcome::ShuttingDown | ReloadOutcome::NothingToReload,
            ) => String::new(),
            Some(ReloadOutcome::CanaryFailed(slot)) => {
                format!("; last reload: aborted, the new worker {} did not start", slot.0)
            }
            Some(ReloadOutcome::Partial(slot)) => {
                format!("; last reload: stopped, the new worker {} did not start", slot.0)
            }
        };
        format!("{phase}: {open} open sessions, {workers} workers{reload}")
    }

    /// Says it now, or as soon as it is heard.
    fn say(&mut self, message: String) {
        if self.has_left {
            return;
        }
        self.waiting.push_back(message);
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front();
        }
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(message) = self.waiting.front() {
            match self.socket.send(message) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let again = clock::monotonic_ms().saturating_add(RETRY_MS);
                    self.tick_at = self.tick_at.min(again);
                    return;
                }
                Err(error) => tracing::warn!(%error, "the service manager does not hear"),
            }
            self.waiting.pop_front();
        }
    }

    /// This is the main process from now on. It is waited for until that is heard: meanwhile it
    /// would hear nobody else.
    fn name_main_process(&mut self, pid: i32) {
        self.say(format!("MAINPID={pid}"));
        self.flush_within(MAIN_PROCESS_MAX);
    }

    fn flush_within(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while !self.waiting.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || poll::wait_writable(self.socket.socket(), left).is_err() {
                return;
            }
            self.flush();
        }
    }

    /// Somebody else says everything from now on. Whether it has all been told.
    fn leave(&mut self) -> bool {
        self.has_left = true;
        self.watchdog = None;
        self.waiting.is_empty()
    }

    fn tell(&mut self, notice: Option<Notice>, open: u64) {
        let Some(notice) = notice else { return };
        self.status = self.status(open);
        let status = &self.status;
        let message = match notice {
            Notice::Ready => {
                format!("READY=1\nMAINPID={}\nSTATUS={status}", process::current())
            }
            Notice::Reloading => {
                // Of the clock and in the unit that sd_notify(3) demands.
                let moment = clock::monotonic_ns() / 1_000;
                format!("RELOADING=1\nMONOTONIC_USEC={moment}\nSTATUS={status}")
            }
            Notice::Stopping => format!("STOPPING=1\nSTATUS={status}"),
        };
        self.say(message);
        if notice != Notice::Ready {
            self.extend();
        }
    }

    fn extend(&mut self) {
        self.say(format!("EXTEND_TIMEOUT_USEC={}", EXTENSION.as_micros()));
    }

    fn tick(&mut self, open: u64, now: Millis) {
        self.tick_at = now.saturating_add(TICK_MS);
        self.flush();
        if self.has_left {
            return;
        }
        if self.readiness.takes_time() {
            self.extend();
        }
        let status = self.status(open);
        if status != self.status {
            self.say(format!("STATUS={status}"));
            self.status = status;
        }
    }
}

/// Whether a sign of life is wanted of this process, and how often.
fn watchdog_of_environment(reactors: usize, now: Millis) -> Option<Watchdog> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let [usec, pid] = WATCHDOG_VARIABLES.map(variable);
    match watchdog_time(&usec, &pid, std::process::id()) {
        Ok(within) => Some(Watchdog::new(within?, reactors, now)),
        Err(()) => {
            tracing::warn!(
                usec,
                pid,
                "no sign of life is given: WATCHDOG_USEC and WATCHDOG_PID make no sense"
            );
            None
        }
    }
}

/// The time within which the process `own` has to give a sign, if it has to.
fn watchdog_time(usec: &str, pid: &str, own: u32) -> Result<Option<Millis>, ()> {
    if usec.is_empty() {
        return Ok(None);
    }
    let usec: u64 = usec.parse().map_err(drop)?;
    if usec == 0 {
        return Err(());
    }
    if !pid.is_empty() && pid.parse::<u32>().map_err(drop)? != own {
        return Ok(None);
    }
    Ok(Some(usec / 1_000))
}

impl Master {
    /// When the service manager is to be told something.
    pub(super) fn service_due(&self) -> Option<Millis> {
        self.service.as_ref().map(Service::due)
    }

    pub(super) fn run_service(&mut self, now: Millis) {
        let open = self.open_connections();
        let Some(service) = &mut self.service else { return };
        if now >= service.tick_at {
            service.tick(open, now);
        }
        if service.has_left && service.waiting.is_empty() {
            self.service = None;
            return;
        }
        match service.watchdog.as_mut().and_then(|watchdog| watchdog.round(now)) {
            None => {}
            Some(Round::Ask(parts)) => parts.into_iter().for_each(|part| self.ask(part)),
            Some(Round::Unanswered(parts)) => {
                tracing::error!(?parts, "parts of the server hang; the watchdog is not fed");
            }
        }
    }

    fn ask(&mut self, part: Part) {
        match part {
            Part::Manager => self.send(&ToManager::AreYouThere, Vec::new()),
            Part::Reactor(index) => {
                if let Some(mailbox) = self.mailboxes.get(index) {
                    mailbox.push(ToReactor::AreYouThere);
                }
            }
        }
    }

    pub(super) fn service_goes_on(&mut self, part: Part) {
        let Some(service) = &mut self.service else { return };
        if service.watchdog.as_mut().is_some_and(|watchdog| watchdog.answered(part)) {
            service.say("WATCHDOG=1".to_owned());
        }
    }

    pub(super) fn service_serves(&mut self, serve: ProcessKey, leave: Option<ProcessKey>) {
        let Some(service) = &mut self.service else { return };
        ostler_core::invariant!(serve.kind.serves_sessions(), "others serve nobody");
        service.serving.retain(|_, key| Some(*key) != leave);
        service.serving.insert(serve.slot, serve);
    }

    pub(super) fn service_left(&mut self, gone: ProcessKey) {
        if let Some(service) = &mut self.service {
            service.serving.retain(|_, key| *key != gone);
        }
    }

    /// The first worker serves.
    pub(super) fn service_is_ready(&mut self) {
        self.tell_service(Readiness::serves);
    }

    pub(super) fn service_reloads(&mut self) {
        self.tell_service(Readiness::reload_requested);
    }

    pub(super) fn service_reloaded(&mut self, outcome: ReloadOutcome) {
        if let Some(service) = &mut self.service {
            service.last_reload = Some(outcome);
        }
        self.tell_service(Readiness::reload_finished);
    }

    pub(super) fn service_stops(&mut self) {
        self.tell_service(Readiness::stops);
    }

    /// This is the main process of the service from now on.
    pub(super) fn service_names(&mut self, pid: i32) {
        if let Some(service) = &mut self.service {
            service.name_main_process(pid);
        }
    }

    /// A new master is in charge from now on, and says everything else.
    pub(super) fn service_hands_over(&mut self) {
        if self.service.as_mut().is_some_and(Service::leave) {
            self.service = None;
        }
    }

    /// This master is about to end: what waits is told now, or never.
    pub(super) fn service_ends(&mut self) {
        if let Some(service) = &mut self.service {
            service.flush_within(MAIN_PROCESS_MAX);
        }
    }

    /// Another manager is in charge: it knows of no reload, and has not been asked anything.
    pub(super) fn service_has_new_manager(&mut self) {
        self.tell_service(Readiness::reloads_lost);
        let Some(service) = &mut self.service else { return };
        service.serving.clear();
        let watchdog = service.watchdog.as_ref();
        if watchdog.is_some_and(|watchdog| watchdog.is_waiting_for(Part::Manager)) {
            self.ask(Part::Manager);
        }
    }

    fn tell_service(&mut self, change: fn(&mut Readiness) -> Option<Notice>) {
        let open = self.open_connections();
        if let Some(service) = &mut self.service {
            let notice = change(&mut service.readiness);
            service.tell(notice, open);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    /// A service that has told its manager so much that this takes no more, and that manager.
    fn to_one_that_does_not_read(name: &str) -> (Service, UnixDatagram) {
        let name = format!("ostler-service-{name}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        manager.set_nonblocking(true).unwrap();
        let socket = NotifySocket::connect(OsStr::new(&format!("@{name}"))).unwrap();
        while socket.send("STATUS=full").is_ok() {}
        (Service::at(socket, None, 0), manager)
    }

    fn all_that_is_heard(manager: &UnixDatagram) -> Vec<String> {
        let mut all = Vec::new();
        let mut bytes = [0; 256];
        while let Ok(len) = manager.recv(&mut bytes) {
            all.push(String::from_utf8_lossy(bytes.get(..len).unwrap()).into_owned());
        }
        all
    }

    #[test]
    fn a_main_process_is_told_also_when_too_much_waits_at_first() {
        let (mut service, manager) = to_one_that_does_not_read("late");
        let reads = std::thread::spawn(move || {
            let deadline = Instant::now() + Duration::from_secs(60);
            let mut all = Vec::new();
            while Instant::now() < deadline && !all.iter().any(|it| it == "MAINPID=7") {
                all.extend(all_that_is_heard(&manager));
                std::thread::yield_now();
            }
            all
        });
        service.name_main_process(7);
        assert!(service.leave(), "it has heard it");
        assert_eq!(reads.join().unwrap().last().map(String::as_str), Some("MAINPID=7"));
    }

    #[test]
    fn a_main_process_is_told_later_to_one_that_reads_later_and_nothing_else_is() {
        let (mut service, manager) = to_one_that_does_not_read("later");
        service.name_main_process(7);
        assert!(!service.leave(), "it does not read");
        service.tell(Some(Notice::Stopping), 0);
        all_that_is_heard(&manager);
        service.tick(3, 100);
        assert_eq!(all_that_is_heard(&manager), ["MAINPID=7"]);
        service.tick(4, 200);
        assert!(service.waiting.is_empty() && all_that_is_heard(&manager).is_empty());
    }

    #[test]
    fn the_watchdog_is_for_the_process_that_is_meant() {
        assert_eq!(watchdog_time("", "", 7), Ok(None));
        assert_eq!(watchdog_time("30000000", "", 7), Ok(Some(30_000)));
        assert_eq!(watchdog_time("30000000", "7", 7), Ok(Some(30_000)));
        assert_eq!(watchdog_time("30000000", "8", 7), Ok(None));
        assert_eq!(watchdog_time("1", "", 7), Ok(Some(0)));
        for (usec, pid) in [("0", ""), ("-1", ""), ("30s", ""), ("30000000", "x"), ("5", "-7")] {
            assert_eq!(watchdog_time(usec, pid, 7), Err(()), "{usec} {pid}");
        }
    }
}
