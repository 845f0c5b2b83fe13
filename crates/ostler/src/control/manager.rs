//! What master and manager tell each other.

use ostler_core::ids::{ProcessKey, ProcessKind, Slot};
use ostler_core::supervisor::{Exit, KillCause, ReloadOutcome};

use super::reload::{Asker, ReloadPart, read_asker, write_asker};
use super::short_text::ShortText;
use super::wire::{Malformed, Reader, Writer};

/// Size of every message between master and manager.
pub(crate) const MANAGER_MESSAGE_SIZE_BYTES: usize = 128;

/// Descriptors of [`ToManager::MemoryReady`] before the lane bells and file links: down memory, up
/// memory, worker bell.
pub(crate) const LANE_DESCRIPTORS_FIXED: usize = 3;
/// Descriptors of [`ToManager::MemoryReady`] before the listeners in BASE mode: the worker's bell,
/// its link to the master.
pub(crate) const BASE_DESCRIPTORS_FIXED: usize = 2;

/// From the master to the manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToManager {
    /// Stop being a spare: fork one, then supervise.
    Promote {
        /// All generations that the new manager names are above this one.
        generation_base: u32,
    },
    /// The lane memory of this process, with `[down, up, worker_bell, lane_bell_0 ..
    /// lane_bell_{R-1}, file_link_0 .. file_link_{R-1}]`; in BASE mode its seat, with
    /// `[worker_bell, link, listener_0 ..]`.
    MemoryReady {
        /// Who.
        worker: ProcessKey,
        /// Its seat; 0 without BASE mode.
        seat: u16,
    },
    /// There is no memory for this process now.
    MemoryFailed(ProcessKey),
    /// This process wrote nonsense into its lanes.
    Condemn(ProcessKey),
    /// This single process has ended for good under an earlier manager: it is not started.
    Retired(ProcessKey),
    /// There are to be so many event workers.
    Resize(u16),
    /// How many event workers are busy? Answered by [`ToMaster::Busy`].
    HowManyAreBusy,
    /// Replace all event workers; who wants that.
    Reload(Asker),
    /// Replace all processes of another kind, and nobody else; answered by [`ToMaster::Renewed`].
    Renew {
        /// Which.
        kind: ProcessKind,
        /// What the master calls that request of an operator.
        ticket: u32,
    },
    /// The sessions are being drained: the end is near, nobody is recycled.
    Draining,
    /// End all workers; the sessions are already drained.
    Shutdown {
        /// Kill instead of letting them leave.
        now: bool,
    },
    /// Answer with [`ToMaster::GoesOn`].
    AreYouThere,
    /// Every reactor has been told what this process is killed for, see [`ToMaster::Late`].
    LateIsKnown(ProcessKey),
    /// A turn of a reactor takes long, with the file of a `SlowTurn`.
    ReactorLags,
}

/// A death, for the log and the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeathNotice {
    /// Who.
    pub(crate) worker: ProcessKey,
    /// How.
    pub(crate) exit: Exit,
    /// Our own kill, if it was one.
    pub(crate) killed: Option<KillCause>,
    /// Whether it had taken at least one delivery.
    pub(crate) took_delivery: bool,
    /// Whether its end was asked for.
    pub(crate) expected: bool,
}

/// From the manager to the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToMaster {
    /// There is a new spare manager, with `[socket, pidfd]`; an older one is gone.
    Spare {
        /// Its number, for the log.
        pid: i32,
    },
    /// No spare manager could be forked; the manager tries again.
    SpareFailed {
        /// `errno` of the failure.
        errno: i32,
    },
    /// Make lane memory for this process; answered by `MemoryReady` or `MemoryFailed`.
    Need(ProcessKey),
    /// The process was forked, with `[pidfd]`.
    Spawned {
        /// Who.
        worker: ProcessKey,
        /// Its number, for the log.
        pid: i32,
    },
    /// One process takes packages from now on, another no more.
    Serve {
        /// Who serves.
        serve: ProcessKey,
        /// Its predecessor.
        leave: Option<ProcessKey>,
    },
    /// This process takes no more packages.
    Leave(ProcessKey),
    /// Drop the memory of a process that was never forked.
    Release(ProcessKey),
    /// Why a process died whose death is told next. Said when there is a companion, which is told.
    Cause(ProcessKey, ShortText),
    /// A process ended and was reaped.
    Died(DeathNotice),
    /// A single process has ended for good: no other takes its place.
    Retired(ProcessKey),
    /// A reload of the event workers begins.
    ReloadStarted {
        /// It is for the first so many that were asked for and have not begun.
        requests: u32,
    },
    /// Slots of the reload, or of the renewal, whose end is told next.
    ReloadSlots(ReloadPart),
    /// It ended.
    ReloadFinished {
        /// How.
        outcome: ReloadOutcome,
        /// Why it was aborted; empty otherwise.
        why: ShortText,
    },
    /// The processes of another kind than event workers were replaced, or were not.
    Renewed {
        /// Which.
        kind: ProcessKind,
        /// Whose request that answers.
        ticket: u32,
        /// How it ended; why, was said before.
        outcome: ReloadOutcome,
    },
    /// Why a process did not start, of the renewal whose end is told next; empty otherwise.
    RenewalWhy(ShortText),
    /// No worker has ever been ready, and every slot has failed to start one; the last reason.
    NobodyStarts(ShortText),
    /// So many slots are filled from now on, the first ones; whoever is in the others is told to
    /// leave later.
    Resized(u16),
    /// In so many event workers a callback runs.
    Busy(u16),
    /// A worker asks for so many workers.
    WantWorkers {
        /// How many.
        workers: u16,
        /// Who asks.
        worker: ProcessKey,
    },
    /// Code in a process asks for a reload of the event workers.
    WantReload {
        /// Which process.
        worker: ProcessKey,
        /// What it calls its request.
        ticket: u32,
    },
    /// The manager got TERM from outside.
    ShutdownRequested,
    /// All workers are gone; the manager ends.
    Finished,
    /// The manager's loop goes on.
    GoesOn,
    /// The process is about to be killed because it is late with something of this session: its
    /// client is told so. Session 0: it is killed for nobody's sake, or after all not at all.
    /// Session [`OF_TASK`]: with the task that it runs, whose asker is told so.
    /// Answered by [`ToManager::LateIsKnown`], because the reactors may see its end before a
    /// message.
    Late {
        /// Who.
        worker: ProcessKey,
        /// Whose request is late.
        session: u64,
    },
    /// In which callback a process died whose death is told next. Said when packages that kill are
    /// looked for, and only of callbacks about a session or a datagram.
    DiedIn(DyingCallback),
}

/// The callback in which a process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DyingCallback {
    /// Who.
    pub(crate) worker: ProcessKey,
    /// Whose session; 0: a datagram's.
    pub(crate) session: u64,
    /// Which, as in its black box.
    pub(crate) callback: u8,
    /// It ended by itself: nobody has killed it.
    pub(crate) by_itself: bool,
}

impl ToManager {
    /// The message as bytes.
    pub(crate) fn encode(&self) -> [u8; MANAGER_MESSAGE_SIZE_BYTES] {
        let writer = Writer::new();
        match *self {
            Self::Promote { generation_base } => writer.u8(1).u32(generation_base),
            Self::MemoryReady { worker, seat } => writer.u8(2).key(worker).u16(seat),
            Self::MemoryFailed(key) => writer.u8(3).key(key),
            Self::Condemn(key) => writer.u8(4).key(key),
            Self::Reload(asker) => write_asker(writer.u8(5), asker),
            Self::Shutdown { now } => writer.u8(6).flag(now),
            Self::Draining => writer.u8(7),
            Self::AreYouThere => writer.u8(8),
            Self::Retired(key) => writer.u8(9).key(key),
            Self::LateIsKnown(key) => writer.u8(10).key(key),
            Self::Resize(workers) => writer.u8(11).u16(workers),
            Self::HowManyAreBusy => writer.u8(12),
            Self::ReactorLags => writer.u8(13),
            Self::Renew { kind, ticket } => writer.u8(14).kind(kind).u32(ticket),
        }
        .finish()
    }

    /// The message in these bytes, if they are exactly one.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, MANAGER_MESSAGE_SIZE_BYTES)?;
        let message = match reader.u8()? {
            1 => Self::Promote { generation_base: reader.u32()? },
            2 => Self::MemoryReady { worker: reader.key()?, seat: reader.u16()? },
            3 => Self::MemoryFailed(reader.key()?),
            4 => Self::Condemn(reader.key()?),
            5 => Self::Reload(read_asker(&mut reader)?),
            6 => Self::Shutdown { now: reader.flag()? },
            7 => Self::Draining,
            8 => Self::AreYouThere,
            9 => Self::Retired(reader.key()?),
            10 => Self::LateIsKnown(reader.key()?),
            11 => Self::Resize(reader.u16()?),
            12 => Self::HowManyAreBusy,
            13 => Self::ReactorLags,
            14 => Self::Renew { kind: reader.kind()?, ticket: reader.u32()? },
            _ => return Err(Malformed),
        };
        reader.finish(message)
    }
}

impl ToMaster {
    /// The message as bytes.
    pub(crate) fn encode(&self) -> [u8; MANAGER_MESSAGE_SIZE_BYTES] {
        let writer = Writer::new();
        match *self {
            Self::Spare { pid } => writer.u8(65).i32(pid),
            Self::SpareFailed { errno } => writer.u8(66).i32(errno),
            Self::Need(key) => writer.u8(67).key(key),
            Self::Spawned { worker, pid } => writer.u8(68).key(worker).i32(pid),
            Self::Serve { serve, leave: None } => writer.u8(69).key(serve).flag(false),
            Self::Serve { serve, leave: Some(leave) } => {
                writer.u8(69).key(serve).flag(true).key(leave)
            }
            Self::Leave(key) => writer.u8(70).key(key),
            Self::Release(key) => writer.u8(71).key(key),
            Self::Died(death) => encode_death(writer.u8(72), death),
            Self::ReloadFinished { outcome, why } => {
                encode_outcome(writer.u8(73).text(why), outcome)
            }
            Self::ShutdownRequested => writer.u8(74),
            Self::Finished => writer.u8(75),
            Self::NobodyStarts(why) => writer.u8(76).text(why),
            Self::GoesOn => writer.u8(77),
            Self::Retired(key) => writer.u8(78).key(key),
            Self::Late { worker, session } => writer.u8(79).key(worker).u64(session),
            Self::Cause(key, cause) => writer.u8(81).key(key).text(cause),
            Self::ReloadStarted { requests } => writer.u8(82).u32(requests),
            Self::ReloadSlots(part) => part.write(writer.u8(84)),
            Self::Renewed { kind, ticket, outcome } => {
                encode_outcome(writer.u8(88).kind(kind).u32(ticket), outcome)
            }
            Self::RenewalWhy(why) => writer.u8(89).text(why),
            Self::WantReload { worker, ticket } => writer.u8(85).key(worker).u32(ticket),
            Self::Resized(workers) => writer.u8(80).u16(workers),
            Self::Busy(workers) => writer.u8(87).u16(workers),
            Self::WantWorkers { workers, worker } => writer.u8(83).key(worker).u16(workers),
            Self::DiedIn(DyingCallback { worker, session, callback, by_itself }) => {
                writer.u8(86).key(worker).u64(session).u8(callback).flag(by_itself)
            }
        }
        .finish()
    }

    /// The message in these bytes, if they are exactly one.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, MANAGER_MESSAGE_SIZE_BYTES)?;
        let message = match reader.u8()? {
            65 => Self::Spare { pid: reader.i32()? },
            66 => Self::SpareFailed { errno: reader.i32()? },
            67 => Self::Need(reader.key()?),
            68 => Self::Spawned { worker: reader.key()?, pid: reader.i32()? },
            69 => {
                let serve = reader.key()?;
                let leave = if reader.flag()? { Some(reader.key()?) } else { None };
                Self::Serve { serve, leave }
            }
            70 => Self::Leave(reader.key()?),
            71 => Self::Release(reader.key()?),
            72 => Self::Died(decode_death(&mut reader)?),
            73 => {
                let why = reader.text()?;
                Self::ReloadFinished { outcome: decode_outcome(&mut reader)?, why }
            }
            74 => Self::ShutdownRequested,
            75 => Self::Finished,
            76 => Self::NobodyStarts(reader.text()?),
            77 => Self::GoesOn,
            78 => Self::Retired(reader.key()?),
            79 => Self::Late { worker: reader.key()?, session: reader.u64()? },
            81 => {
                let key = reader.key()?;
                Self::Cause(key, reader.text()?)
            }
            82 => Self::ReloadStarted { requests: reader.u32()? },
            84 => Self::ReloadSlots(ReloadPart::read(&mut reader)?),
            88 => {
                let (kind, ticket) = (reader.kind()?, reader.u32()?);
                Self::Renewed { kind, ticket, outcome: decode_outcome(&mut reader)? }
            }
            89 => Self::RenewalWhy(reader.text()?),
            85 => Self::WantReload { worker: reader.key()?, ticket: reader.u32()? },
            80 => Self::Resized(reader.u16()?),
            87 => Self::Busy(reader.u16()?),
            83 => {
                let worker = reader.key()?;
                Self::WantWorkers { workers: reader.u16()?, worker }
            }
            86 => Self::DiedIn(DyingCallback {
                worker: reader.key()?,
                session: reader.u64()?,
                callback: reader.u8()?,
                by_itself: reader.flag()?,
            }),
            _ => return Err(Malformed),
        };
        reader.finish(message)
    }
}

fn encode_death<const N: usize>(writer: Writer<N>, death: DeathNotice) -> Writer<N> {
    let writer = writer.key(death.worker).flag(death.took_delivery).flag(death.expected);
    let writer = writer.u8(match death.killed {
        None => 0,
        Some(KillCause::BootTimeout) => 1,
        Some(KillCause::DrainTimeout) => 2,
        Some(KillCause::Condemned) => 3,
        Some(KillCause::Shutdown) => 4,
        Some(KillCause::ReloadAborted) => 5,
        Some(KillCause::Memory) => 6,
        Some(KillCause::RequestDeadline) => 7,
        Some(KillCause::Stopped) => 8,
        Some(KillCause::Surplus) => 9,
    });
    encode_exit(writer, death.exit)
}

pub(super) fn encode_exit<const N: usize>(writer: Writer<N>, exit: Exit) -> Writer<N> {
    match exit {
        Exit::Code(code) => writer.u8(1).i32(code),
        Exit::Signal { signal, core_dumped } => writer.u8(2).i32(signal).flag(core_dumped),
    }
}

pub(super) fn decode_exit(reader: &mut Reader<'_>) -> Result<Exit, Malformed> {
    match reader.u8()? {
        1 => Ok(Exit::Code(reader.i32()?)),
        2 => Ok(Exit::Signal { signal: reader.i32()?, core_dumped: reader.flag()? }),
        _ => Err(Malformed),
    }
}

fn decode_death(reader: &mut Reader<'_>) -> Result<DeathNotice, Malformed> {
    let (worker, took_delivery, expected) = (reader.key()?, reader.flag()?, reader.flag()?);
    let killed = match reader.u8()? {
        0 => None,
        1 => Some(KillCause::BootTimeout),
        2 => Some(KillCause::DrainTimeout),
        3 => Some(KillCause::Condemned),
        4 => Some(KillCause::Shutdown),
        5 => Some(KillCause::ReloadAborted),
        6 => Some(KillCause::Memory),
        7 => Some(KillCause::RequestDeadline),
        8 => Some(KillCause::Stopped),
        9 => Some(KillCause::Surplus),
        _ => return Err(Malformed),
    };
    let exit = decode_exit(reader)?;
    Ok(DeathNotice { worker, exit, killed, took_delivery, expected })
}

pub(super) fn encode_outcome<const N: usize>(
    writer: Writer<N>,
    outcome: ReloadOutcome,
) -> Writer<N> {
    let (kind, Slot(slot)) = match outcome {
        ReloadOutcome::Done => (1, Slot(0)),
        ReloadOutcome::CanaryFailed(slot) => (2, slot),
        ReloadOutcome::Partial(slot) => (3, slot),
        ReloadOutcome::ShuttingDown => (4, Slot(0)),
        ReloadOutcome::NothingToReload => (5, Slot(0)),
    };
    writer.u8(kind).u16(slot)
}

pub(super) fn decode_outcome(reader: &mut Reader<'_>) -> Result<ReloadOutcome, Malformed> {
    match reader.u8()? {
        1 => Ok(ReloadOutcome::Done),
        2 => Ok(ReloadOutcome::CanaryFailed(Slot(reader.u16()?))),
        3 => Ok(ReloadOutcome::Partial(Slot(reader.u16()?))),
        4 => Ok(ReloadOutcome::ShuttingDown),
        5 => Ok(ReloadOutcome::NothingToReload),
        _ => Err(Malformed),
    }
}
