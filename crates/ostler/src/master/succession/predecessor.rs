//! In a new master: the one whose place it takes.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ostler_core::Millis;
use ostler_core::budget::{Account, Budget};
use ostler_core::succession::hand_over::HandedSession;
use ostler_shm::sessions::SESSIONS_MAX;

use super::hand_over::RETRY_MS;
use super::kept_places::KeptPlaces;
use crate::control::{
    Channel, FILES_PROTOCOL, FromNewMaster, Received, SUCCESSION_PROTOCOL, ToNewMaster, is_known,
};
use crate::error::{Error, Result};
use crate::inheritance::left_socket::{self, LeftBy};
use crate::master::ports::{Known, PassedOn};
use crate::options::{Mode, Options};
use crate::reactor::mailbox::{Reports, TakenOver};
use crate::reactor::places::Places;
use crate::sys::epoll::Interest;
use crate::sys::process::ProcessId;
use crate::sys::{control_socket, poll, sealed_file};

/// Names the socket to the old master. Not like any option, as that of workers.
pub(super) const VARIABLE: &str = "OSTLER_PREDECESSOR";
/// How long the old master may take to say what it leaves: it says so before the new one is
/// started.
const WILL_MAX: Duration = Duration::from_secs(10);
/// Longest list of listeners: each port has a path of a socket or a host name.
const LIST_BYTES_MAX: u64 = 1 << 20;

/// The old master.
pub(in crate::master) struct Predecessor {
    channel: Channel<FromNewMaster, ToNewMaster>,
    pid: Option<ProcessId>,
    pid_file: Option<OwnedFd>,
    oom_adjustment: Option<i32>,
    /// The places of its sessions.
    kept: KeptPlaces,
    /// It has handed over.
    has_handed_over: bool,
    /// What waits to be said is tried again then.
    retry_at: Option<Millis>,
    /// Sessions that it has offered, that this master has said it can have, and that were not given
    /// yet; by the number of the old one's reactor and of the offer there.
    wanted: HashMap<(u8, u32), Vec<Wanted>>,
    /// What was told of sessions that are wanted is charged here until they are given.
    memory: Account,
    /// No other session is taken from it.
    pub(super) takes_nothing: bool,
}

/// A session that may be given.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Where it stands in its offer.
    pub(super) position: usize,
    /// Where it goes; its place there is taken.
    pub(super) reactor: usize,
    /// What was told of it.
    pub(super) session: Box<TakenOver>,
}

/// What it leaves.
struct Will {
    listeners: PassedOn,
    pid_file: Option<OwnedFd>,
    oom_adjustment: Option<i32>,
    newest_session: Option<u64>,
    sessions: Vec<u64>,
}

impl Predecessor {
    /// Who has started this process to be replaced by it, and the listeners that it passes on;
    /// `None` when this process was started as everybody is.
    ///
    /// # Errors
    /// When the environment lies, or the old master is of a version that this one does not
    /// understand.
    pub(in crate::master) fn take(options: &Options) -> Result<Option<(Self, PassedOn)>> {
        let meaning = "how a master starts the one that takes its place";
        let Some(socket) = left_socket::take(VARIABLE, meaning, LeftBy::ParentOrSibling)? else {
            return Ok(None);
        };
        if options.mode == Mode::Base {
            let text = "in BASE mode a new master cannot take the place of an old one: restart it";
            return Err(Error::start(text, None));
        }
        let maker = control_socket::maker(socket.as_fd()).ok();
        let channel = Channel::new(socket);
        match receive(&channel) {
            Ok(will) => {
                let old = Self {
                    channel,
                    pid: maker,
                    pid_file: will.pid_file,
                    oom_adjustment: will.oom_adjustment,
                    kept: KeptPlaces::new(will.newest_session, will.sessions),
                    has_handed_over: false,
                    retry_at: None,
                    wanted: HashMap::new(),
                    // Until the reactors are there, for which there is one budget.
                    memory: Account::new(Budget::new(0)),
                    takes_nothing: false,
                };
                Ok(Some((old, will.listeners)))
            }
            Err(problem) => {
                let text = format!("this program cannot take the place of its master: {problem}");
                Err(Error::start(text, None))
            }
        }
    }

    /// The pid file of an old master, locked, if there is one.
    pub(in crate::master) fn pid_file(old: &mut Option<Self>) -> Option<OwnedFd> {
        old.as_mut()?.pid_file.take()
    }

    /// What the program had of `oom_score_adj` when its first master began, if that changed it.
    pub(in crate::master) const fn oom_adjustment(&self) -> Option<i32> {
        self.oom_adjustment
    }

    /// What is open here because of it.
    pub(in crate::master) fn descriptors(&self) -> impl Iterator<Item = RawFd> + '_ {
        let pid_file = self.pid_file.iter().map(AsRawFd::as_raw_fd);
        pid_file.chain([self.channel.as_fd().as_raw_fd()])
    }

    /// Its number, if it still runs.
    pub(in crate::master) const fn pid(&self) -> Option<ProcessId> {
        self.pid
    }

    /// Tells it that a worker serves. It may have ended meanwhile, which it says by itself.
    pub(in crate::master) fn hear_that_we_serve(&mut self, takes_over: bool) {
        let takes_over = takes_over && self.kept.come();
        self.answer(&FromNewMaster::Serves { takes_over });
    }

    /// Whether it has handed over.
    pub(in crate::master) const fn has_handed_over(&self) -> bool {
        self.has_handed_over
    }

    /// It has handed over; sessions may come from now on.
    pub(super) const fn note_handed_over(&mut self, now: Millis) {
        self.has_handed_over = true;
        self.kept.note_handed_over(now);
    }

    /// What it says.
    pub(super) fn receive(&self) -> std::io::Result<Received<ToNewMaster>> {
        self.channel.receive()
    }

    /// Nothing more is heard; whether it has handed over before that. If it has not, it cannot any
    /// more, and sees that.
    pub(super) fn was_put_in_charge(&self) -> bool {
        if control_socket::hear_no_more(&self.channel).is_err() {
            return false;
        }
        while let Ok(Received::Message(message, _)) = self.channel.receive() {
            if message == ToNewMaster::InCharge {
                return true;
            }
        }
        false
    }

    /// Says which sessions can be had.
    pub(super) fn answer(&mut self, message: &FromNewMaster) {
        let sent = self.channel.send(message, Vec::new());
        self.after_sending(sent);
    }

    /// Says what could not be said before.
    pub(super) fn flush(&mut self) {
        let sent = self.channel.flush();
        self.after_sending(sent);
    }

    /// Who cannot be told which sessions are wanted gives no other ones; those it gives until its
    /// end is read are taken.
    fn after_sending(&mut self, sent: std::io::Result<()>) {
        if let Err(error) = sent {
            tracing::debug!(%error, "the old master cannot be told anything");
            self.takes_nothing = true;
        }
    }

    /// What its socket is watched for. What waits for something that nothing tells of is tried
    /// again when that is [due](Self::due).
    pub(super) fn interest(&mut self, now: Millis) -> Interest {
        let waits_untold = self.channel.waits_untold();
        self.retry_at = waits_untold.then(|| now.saturating_add(RETRY_MS));
        if self.channel.has_backlog() && !waits_untold {
            Interest::READ | Interest::WRITE
        } else {
            Interest::READ
        }
    }

    /// These sessions of an offer can be had; answers those that another one of the same number had
    /// before, which are not given any more.
    pub(super) fn want(&mut self, offer: (u8, u32), sessions: Vec<Wanted>) -> Vec<Wanted> {
        if sessions.is_empty() {
            return Vec::new();
        }
        self.wanted.insert(offer, sessions).unwrap_or_default()
    }

    /// The sessions of an offer that can be had.
    pub(super) fn wanted_of(&mut self, offer: (u8, u32)) -> Vec<Wanted> {
        self.wanted.remove(&offer).unwrap_or_default()
    }

    /// How many sessions may be given.
    pub(super) fn wanted(&self) -> usize {
        self.wanted.values().map(Vec::len).sum()
    }

    /// Whether sessions may be given.
    pub(super) fn has_wanted(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// What is told of its sessions is a part of this budget.
    pub(in crate::master) fn charge_to(&mut self, budget: Arc<Budget>) {
        self.memory = Account::new(budget);
    }

    /// New sessions get ids behind its, and the places of those that may come are kept for them.
    pub(in crate::master) fn keep_places(&mut self, places: &Places) {
        self.kept.begin(places);
    }

    /// The reactor where this session has room, which it has from now on; `None`: not for now.
    pub(super) fn room_for(
        &mut self,
        handed: &HandedSession,
        connections_max: u64,
        reports: &Reports,
    ) -> Option<usize> {
        let weight = handed.weight() as u64;
        if !reports.places.have_room_for_state(handed.state.len()) || !self.memory.charge(weight) {
            return None;
        }
        let room = self.kept.room_for(handed.session, &handed.groups, connections_max, reports);
        match room {
            Some(_) => reports.places.expect_state(handed.state.len()),
            None => self.memory.release(weight),
        }
        room
    }

    /// This session, which was wanted, is given: its reactor has it, and charges what it keeps.
    pub(super) fn came(&mut self, weight: u64) {
        self.memory.release(weight);
    }

    /// It was wanted here, and stays where it was, to be offered again.
    pub(super) fn put_off(&mut self, one: &Wanted, reports: &Reports) {
        let handed = &one.session.handed;
        self.memory.release(handed.weight() as u64);
        reports.places.expect_state_no_more(handed.state.len());
        self.kept.put_off(handed.session, &handed.groups, one.reactor, reports);
    }

    /// This session never comes.
    pub(super) fn give_up(&mut self, session: u64, reports: &Reports) {
        self.kept.give_up(session, reports);
    }

    /// When places are kept no longer, or something is to be said again.
    pub(in crate::master) fn due(&self) -> Option<Millis> {
        self.kept.due().into_iter().chain(self.retry_at).min()
    }

    /// Whether something is to be said again.
    pub(super) fn is_to_retry(&self, now: Millis) -> bool {
        self.retry_at.is_some_and(|at| now >= at)
    }

    /// Looks whether places are kept no longer.
    pub(super) fn look_at_places(&mut self, now: Millis, reports: &Reports) {
        if self.kept.are_due(now) {
            self.kept.let_go(reports);
        }
    }

    /// Nobody comes any more.
    pub(in crate::master) fn let_all_go(&mut self, reports: &Reports) {
        self.kept.let_go(reports);
        let wanted = std::mem::take(&mut self.wanted);
        wanted.into_values().flatten().for_each(|one| self.put_off(&one, reports));
    }
}

impl AsFd for Predecessor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

type Problem<T> = std::result::Result<T, String>;

fn receive(channel: &Channel<FromNewMaster, ToNewMaster>) -> Problem<Will> {
    let deadline = Instant::now() + WILL_MAX;
    let (message, will) = message(channel, deadline)?;
    let ToNewMaster::Will { protocol, listeners, has_pid_file, oom_adjustment, newest_session } =
        message
    else {
        return Err("what it says is not understood".to_owned());
    };
    if !is_known(protocol) {
        return Err(format!(
            "it hands over by protocol {protocol}, this program by {SUCCESSION_PROTOCOL}: restart \
             the server"
        ));
    }
    let missing = || "descriptors are missing; is the limit of descriptors too low?".to_owned();
    let mut will = will.into_iter();
    let hands_over = protocol == SUCCESSION_PROTOCOL;
    let with_files = protocol >= FILES_PROTOCOL;
    let names = listeners_in(&will.next().ok_or_else(missing)?, with_files)?;
    let sessions = match newest_session {
        Some(_) => sessions_in(&will.next().ok_or_else(missing)?)?,
        None => Vec::new(),
    };
    let pid_file = will.next();
    if names.len() != usize::from(listeners) || pid_file.is_some() != has_pid_file {
        return Err(missing());
    }
    let mut descriptors = Vec::new();
    while descriptors.len() < names.len() {
        match self::message(channel, deadline)? {
            (ToNewMaster::Listeners, more) if !more.is_empty() => descriptors.extend(more),
            _ => return Err(missing()),
        }
    }
    let listeners = PassedOn::new(names.into_iter().zip(descriptors).collect());
    let newest_session = newest_session.filter(|_| hands_over);
    let sessions = if hands_over { sessions } else { Vec::new() };
    Ok(Will { listeners, pid_file, oom_adjustment, newest_session, sessions })
}

fn message(
    channel: &Channel<FromNewMaster, ToNewMaster>,
    deadline: Instant,
) -> Problem<(ToNewMaster, Vec<OwnedFd>)> {
    loop {
        match channel.receive().map_err(|error| error.to_string())? {
            Received::Message(message, descriptors) => return Ok((message, descriptors)),
            Received::Closed => return Err("it is gone".to_owned()),
            Received::Nothing => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("it says nothing".to_owned());
        }
        let waited = poll::wait_readable([channel.as_fd()], Some(left));
        waited.map_err(|error| error.to_string())?;
    }
}

/// What the listeners in a list are known by.
fn listeners_in(list: &OwnedFd, with_files: bool) -> Problem<Vec<Known>> {
    let bytes = sealed_file::read(list, LIST_BYTES_MAX)
        .map_err(|error| format!("its list of listeners cannot be read: {error}"))?;
    Known::read_all(&bytes, with_files)
}

/// The ids in a list of sessions.
fn sessions_in(list: &OwnedFd) -> Problem<Vec<u64>> {
    let bytes = sealed_file::read(list, SESSIONS_MAX * 8)
        .map_err(|error| format!("its list of sessions cannot be read: {error}"))?;
    let (ids, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err("its list of sessions is cut".to_owned());
    }
    Ok(ids.iter().map(|id| u64::from_ne_bytes(*id)).collect())
}

#[cfg(test)]
mod tests;
