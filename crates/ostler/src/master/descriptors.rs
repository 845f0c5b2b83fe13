//! Descriptors: what the program had, how many there may be, and how many of them clients may take.
//!
//! A master whose clients have taken all descriptors cannot replace a worker: lane memory needs
//! some, and whatever a dead worker gives back goes to the next client. So some are never for
//! clients.

use std::io;
use std::os::fd::RawFd;

use ostler_core::succession::hand_over::{OFFERS_MAX, SESSIONS_PER_OFFER_MAX};

use super::bound_descriptors;
use super::operator::OPERATOR_DESCRIPTORS;
use crate::error::{Error, Result};
use crate::options::{Mode, Options, SuccessionSessions};
use crate::sys::{limit, process};

/// What the master has besides clients and lanes: the listener of one port, log, signals, epoll
/// sets, bells, managers.
const FIXED: u64 = 64;
/// What the lane memory of one worker takes while it is made: two files, a bell, and copies of them
/// to send away.
const PER_WORKER: u64 = 6;
/// What a process of BASE mode takes while it is made, besides a copy of each of its listeners:
/// both ends of its link, its bell, and later its pidfd; and its session table. (The ways of a
/// process to and from each of the others take no more there.)
const PER_PROCESS: u64 = 5;
/// What a process of BASE mode takes for its lane to the switch: two files and copies of them, a
/// lane bell and its copy, both ends of a file link, copies of its bell and of the board.
const PER_SWITCH_LANE: u64 = 10;
/// For each reactor: a lane bell and its copy, both ends of a file link, a copy of the worker's
/// bell. Later a pidfd takes the place of a copy.
const PER_LANE: u64 = 5;
/// Files that wait to be sent have at most so much of all descriptors: one in so many.
const FILES_PART: u64 = 8;
/// Copies of sockets that are on their way to a new master have at most so much of all descriptors:
/// one in so many, and one for each offer.
const OFFERS_PART: u64 = 16;

/// What the program has open besides listeners, of this server or of another one that is bound, but
/// with the log of this one. Every process of the tree keeps it.
pub(super) fn of_the_program(log: Option<RawFd>) -> io::Result<Vec<RawFd>> {
    let mut open = process::open_descriptors()?;
    open.retain(|&descriptor| Some(descriptor) == log || !bound_descriptors::contains(descriptor));
    Ok(open)
}

pub(super) fn cannot_list(error: io::Error) -> Error {
    Error::internal("cannot list this process's descriptors", Some(error))
}

/// Raises the limit of descriptors as far as it goes, and lowers `max_connections` to what it
/// leaves for clients.
///
/// All processes of the tree inherit the limit, workers and what they start too: whoever uses
/// `select(2)`, which knows descriptors below 1024 only, has to lower the soft limit again in
/// `on_worker_start`.
pub(super) fn provide(options: &mut Options, inherited: usize) -> Result<()> {
    let (limit, raised) = limit::raise_descriptors();
    if let Err(error) = raised {
        tracing::info!(%error, limit, "the limit of descriptors stays as it is");
    }
    let files = u32::try_from(limit / FILES_PART).unwrap_or(u32::MAX).max(1);
    if files < options.sendfile_max {
        tracing::debug!(sendfile_max = files, limit, "sendfile_max is lowered");
        options.sendfile_max = files;
    }
    options.offer_sessions = sessions_per_offer(options, limit);
    let reserve = reserve(options, inherited);
    let Some(most) = limit.checked_sub(reserve).filter(|most| *most > 0) else {
        let (workers, reactors) = (options.workers_room(), options.reactors);
        return Err(Error::start(
            format!(
                "the limit of descriptors ({limit}) leaves none for clients, because {workers} \
                 workers and {reactors} reactors need {reserve}: raise it (`ulimit -n`, \
                 `LimitNOFILE=` of the systemd unit) well above that, or lower `workers`, \
                 `workers_max` or `reactors`"
            ),
            None,
        ));
    };
    let wanted = u64::from(options.max_connections);
    if most < wanted {
        tracing::warn!(
            wanted,
            max_connections = most,
            limit,
            reserve,
            "max_connections is lowered to what the limit of descriptors allows: raise that \
             (ulimit -n, LimitNOFILE=) or set max_connections"
        );
        // Less than what was wanted, which is a u32.
        options.max_connections = u32::try_from(most).unwrap_or(u32::MAX);
    }
    Ok(())
}

/// Offers of sessions to a new master whose descriptors may be open at once: those of each reactor,
/// and one that comes from an old master.
fn offers(options: &Options) -> u64 {
    let hands_over = options.succession_sessions == SuccessionSessions::HandOver;
    match options.mode {
        Mode::Process if hands_over => u64::from(options.reactors) * OFFERS_MAX as u64 + 1,
        _ => 0,
    }
}

/// Fewer than there may be in an offer where there are few descriptors.
fn sessions_per_offer(options: &Options, limit: u64) -> u16 {
    let share = limit / OFFERS_PART / offers(options).max(1);
    let most = u16::try_from(SESSIONS_PER_OFFER_MAX).unwrap_or(u16::MAX);
    u16::try_from(share).unwrap_or(most).clamp(1, most)
}

/// What operators take.
fn of_operators(options: &Options) -> u64 {
    if options.operator_socket.is_empty() { 0 } else { OPERATOR_DESCRIPTORS }
}

/// Descriptors that are not for clients. Each worker counts twice, for a successor beside it; a
/// user process has none.
fn reserve(options: &Options, inherited: usize) -> u64 {
    let inherited = inherited as u64 + of_operators(options);
    let workers = u64::from(options.workers_room());
    let tasks = u64::from(options.task_workers);
    let processes = 2 * (workers + tasks) + u64::from(options.single_processes());
    if options.mode == Mode::Base {
        let ports = options.ports().iter().count() as u64;
        let switch = if options.has_switch() { PER_SWITCH_LANE } else { 0 };
        let of_processes = processes * (PER_PROCESS + switch + ports);
        return FIXED + inherited + workers * ports + of_processes;
    }
    let reactors = u64::from(options.reactors);
    let files = u64::from(options.sendfile_max);
    let more_ports = options.ports().iter().skip(1).count() as u64;
    // Each with its list.
    let offered = offers(options) * (u64::from(options.offer_sessions) + 1);
    let lanes = processes * (PER_WORKER + PER_LANE * reactors);
    FIXED + inherited + more_ports + lanes + files + offered
}

#[cfg(test)]
mod tests {
    use super::bound_descriptors::BoundDescriptors;
    use super::*;
    use crate::sys::process::in_forked_test;
    use crate::sys::{eventfd, socket};
    use std::os::fd::AsRawFd as _;

    fn options() -> Options {
        Options {
            workers: 2,
            reactors: 3,
            max_connections: 500,
            sendfile_max: 7,
            succession_sessions: SuccessionSessions::Drain,
            ..Options::default()
        }
    }

    #[test]
    fn sockets_on_their_way_to_a_new_master_are_not_for_clients() {
        let hands_over = SuccessionSessions::HandOver;
        let options = || Options { succession_sessions: hands_over, ..options() };
        // Two offers of each of three reactors, and one that comes.
        for (limit, sessions) in [(700, 6), (1_024, 9), (1 << 20, 120)] {
            let mut options = options();
            options.offer_sessions = sessions_per_offer(&options, limit);
            assert_eq!(options.offer_sessions, sessions, "{limit}");
            let drains =
                Options { succession_sessions: SuccessionSessions::Drain, ..options.clone() };
            assert_eq!(reserve(&options, 5), reserve(&drains, 5) + 7 * (u64::from(sessions) + 1));
        }
    }

    #[test]
    fn what_servers_have_or_the_program_closed_is_not_the_programs() {
        in_forked_test(|| {
            let listener = socket::listen("127.0.0.1:0".parse().unwrap(), 1, |_| Ok(())).unwrap();
            let private = BoundDescriptors::new(vec![listener.as_raw_fd()]);
            let before = of_the_program(None).unwrap();
            assert!(!before.contains(&listener.as_raw_fd()));
            assert!(of_the_program(Some(listener.as_raw_fd())).unwrap().len() == before.len() + 1);
            let bell = eventfd::create().unwrap();
            let number = bell.as_raw_fd();
            assert!(of_the_program(None).unwrap().contains(&number));
            drop(bell);
            assert_eq!(of_the_program(None).unwrap(), before);
            drop(private);
            assert!(of_the_program(None).unwrap().contains(&listener.as_raw_fd()));
        });
    }

    #[test]
    fn processes_of_base_mode_have_a_lane_to_the_switch() {
        let base = |workers| Options { workers, mode: Mode::Base, ..options() };
        assert_eq!(reserve(&base(1), 5), 64 + 5 + 1 + 2 * (5 + 1));
        assert_eq!(reserve(&base(2), 5), 64 + 5 + 2 + 2 * 2 * (5 + 10 + 1));
    }

    #[test]
    fn clients_get_what_the_rest_does_not_need() {
        let reserve = reserve(&options(), 5);
        assert_eq!(reserve, 64 + 5 + 2 * 2 * (6 + 5 * 3) + 7);
        for (limit, expected) in [
            (reserve, None),
            (reserve + 1, Some(1)),
            (reserve + 499, Some(499)),
            (reserve + 501, Some(500)),
        ] {
            in_forked_test(|| {
                limit::set_descriptors(limit);
                let mut options = options();
                match (provide(&mut options, 5), expected) {
                    (Ok(()), Some(most)) => assert_eq!(options.max_connections, most),
                    (Err(error), None) => {
                        assert!(error.is_start() && error.to_string().contains("ulimit -n"));
                    }
                    (result, _) => panic!("{limit}: {result:?}"),
                }
            });
        }
    }
}
