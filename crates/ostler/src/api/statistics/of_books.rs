//! The figures that programs are shown, made of those that lie in memory.

use std::time::{Duration, UNIX_EPOCH};

use ostler_core::brain::Books;
use ostler_core::statistics::ServerFigures;

use super::{
    ConnectionStatistics, DatagramStatistics, MessageStatistics, PackageStatistics,
    ServerStatistics, TaskStatistics, TrafficStatistics,
};

/// A number that is small in every honest server.
fn small<T: TryFrom<u64> + Default>(number: u64) -> T {
    T::try_from(number).unwrap_or_default()
}

impl ServerStatistics {
    pub(super) fn new(figures: &ServerFigures) -> Self {
        let since = Duration::from_millis(figures.started_at_ms);
        Self {
            started_at: UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH),
            master_pid: small(figures.master_pid),
            manager_pid: small(figures.manager_pid),
            workers: small(figures.workers),
            task_workers: small(figures.task_workers),
            user_processes: small(figures.user_processes),
            reactors: small(figures.reactors),
            processes_started: figures.processes_started,
            deaths: figures.deaths,
            worker_deaths: figures.worker_deaths,
            manager_deaths: figures.manager_deaths,
            reloads_begun: figures.reloads_begun,
            reloads_done: figures.reloads_done,
            reloads_failed: figures.reloads_failed,
            reactor_lags: figures.reactor_lags,
        }
    }
}

impl ConnectionStatistics {
    pub(super) fn new(books: &Books, max: u64) -> Self {
        let accepting = &books.accepting;
        let refused = [
            accepting.refused_no_descriptor,
            accepting.refused_address_full,
            accepting.refused_connection_rate,
            accepting.refused_address_deaths,
        ];
        let handshakes = &books.handshakes;
        Self {
            open: books.open,
            max,
            accepted: books.accepted,
            closed: books.closed_total(),
            taken_over: books.taken_over,
            handed_over: books.handed_over,
            refused: refused.into_iter().sum(),
            refused_no_descriptor: accepting.refused_no_descriptor,
            refused_address_full: accepting.refused_address_full,
            refused_connection_rate: accepting.refused_connection_rate,
            refused_address_deaths: accepting.refused_address_deaths,
            accept_rests: accepting.accept_rests,
            handshakes: handshakes.begun,
            handshakes_failed: handshakes.failed + handshakes.timed_out + handshakes.crowded_out,
        }
    }
}

impl PackageStatistics {
    pub(super) fn new(books: &Books) -> Self {
        Self {
            received: books.received,
            finished: books.finished,
            in_hand: books.in_hand,
            recalled: books.recalled,
            refused: books.refused,
            dropped: books.dropped_total(),
            closed_by: books.closed_by_total(),
            redelivered: books.redelivered,
            given: books.given,
            answers: books.traffic.messages,
            held_back: books.held_back,
        }
    }
}

impl DatagramStatistics {
    pub(super) fn new(books: &Books) -> Self {
        let datagrams = &books.datagrams;
        Self {
            received: datagrams.received,
            finished: datagrams.finished,
            in_hand: datagrams.in_hand,
            waiting: datagrams.waiting,
            dropped: datagrams.dropped_total(),
            dropped_by_kernel: datagrams.kernel_dropped,
            redelivered: datagrams.redelivered,
            sent: datagrams.sent,
            not_sent: datagrams.not_sent_total(),
        }
    }
}

impl TrafficStatistics {
    pub(super) const fn new(books: &Books, budget_bytes: u64) -> Self {
        Self {
            received_bytes: books.traffic.received_bytes,
            sent_bytes: books.traffic.sent_bytes,
            unsent_bytes: books.traffic.unsent_bytes,
            charged_bytes: books.traffic.charged_bytes,
            long_states: books.traffic.long_states,
            state_bytes: books.traffic.state_bytes,
            states_refused: books.traffic.states_refused,
            budget_bytes,
            memory_shortages: books.memory_shortages,
        }
    }
}

impl TaskStatistics {
    pub(super) const fn new(books: &Books) -> Self {
        let tasks = &books.tasks;
        Self {
            asked: tasks.asked,
            open: tasks.open(),
            finished: tasks.finished,
            failed: tasks.failed,
            dropped: tasks.dropped,
            refused: tasks.refused,
            redelivered: tasks.redelivered,
            results: tasks.results,
            unheard: tasks.unheard,
        }
    }
}

impl MessageStatistics {
    pub(super) const fn new(books: &Books) -> Self {
        let messages = &books.messages;
        Self {
            sent: messages.sent,
            delivered: messages.delivered,
            open: messages.open(),
            ended: messages.ended,
            refused: messages.refused_not_running + messages.refused_full,
        }
    }
}
