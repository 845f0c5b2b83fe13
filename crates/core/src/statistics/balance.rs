//! The equations of the books: the one place that says what must come to what.

use std::fmt;

use crate::brain::Books;
use crate::handshakes::HandshakeCounts;
use crate::proxy_protocol::HeaderCounts;

/// Two sides of an equation that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imbalance {
    /// What was counted.
    pub of: &'static str,
    /// How many began.
    pub began: u64,
    /// What they are told to have come to: those that ended in any way, and those that are there.
    pub come_to: u64,
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, began, come_to } = self;
        write!(f, "{of}: {began} began, and {come_to} ended or are there")
    }
}

/// Each equation, with both of its sides. They hold at any moment for the books of each reactor,
/// and so for the sum of all.
fn equations(books: &Books) -> [Imbalance; 9] {
    let Books { datagrams, groups, handshakes, proxy_headers, tasks, messages, .. } = books;
    let equation = |of, began, parts: &[u64]| {
        let come_to = parts.iter().fold(0, |sum: u64, part| sum.saturating_add(*part));
        Imbalance { of, began, come_to }
    };
    // What is open of these is what is left: more may not have ended than has begun.
    let derived = |of, began, parts: &[u64]| {
        let Imbalance { come_to, .. } = equation(of, began, parts);
        Imbalance { of, began, come_to: come_to.max(began) }
    };
    [
        equation(
            "connections",
            books.accepted + books.taken_over,
            &[books.open, books.closed_total(), books.handed_over],
        ),
        equation(
            "packages",
            books.received,
            &[
                books.finished,
                books.in_hand,
                books.recalled,
                books.refused,
                books.dropped_total(),
                books.closed_by_total(),
            ],
        ),
        equation(
            "datagrams",
            datagrams.received,
            &[datagrams.finished, datagrams.in_hand, datagrams.waiting, datagrams.dropped_total()],
        ),
        equation("memberships", groups.joined, &[groups.members, groups.left, groups.ended]),
        equation(
            "messages to members",
            groups.addressed,
            &[groups.delivered, groups.skipped, groups.closed, groups.gone],
        ),
        derived("handshakes", handshakes.begun, &ended_handshakes(handshakes)),
        derived("headers of proxies", proxy_headers.awaited, &ended_headers(proxy_headers)),
        derived("tasks", tasks.asked, &[tasks.finished, tasks.failed, tasks.dropped, tasks.left]),
        derived("messages", messages.sent, &[messages.delivered, messages.ended, messages.left]),
    ]
}

const fn ended_handshakes(counts: &HandshakeCounts) -> [u64; 5] {
    let HandshakeCounts { done, failed, timed_out, crowded_out, ended, .. } = *counts;
    [done, failed, timed_out, crowded_out, ended]
}

fn ended_headers(counts: &HeaderCounts) -> [u64; 7] {
    let HeaderCounts { read, untrusted, bad, left, timed_out, crowded_out, ended, .. } = counts;
    [*read, *untrusted, bad.iter().sum(), *left, *timed_out, *crowded_out, *ended]
}

impl Books {
    /// Proves that everything that began has ended or is there.
    ///
    /// # Errors
    /// The first equation that does not hold.
    pub fn check(&self) -> Result<(), Imbalance> {
        let wrong = |equation: &Imbalance| equation.began != equation.come_to;
        equations(self).into_iter().find(wrong).map_or(Ok(()), Err)
    }

    /// Whether [`Books::check`] finds nothing.
    #[must_use]
    pub fn balance(&self) -> bool {
        self.check().is_ok()
    }

    /// Whether nothing is on its way: no delivery is at a worker or waits for one, no task and no
    /// message is open. Then what began has ended.
    #[must_use]
    pub const fn are_quiet(&self) -> bool {
        let Self { datagrams, tasks, messages, .. } = self;
        self.in_hand == 0
            && self.recalled == 0
            && datagrams.in_hand == 0
            && datagrams.waiting == 0
            && tasks.open() == 0
            && messages.open() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brain::{CLOSE_REASONS, DATAGRAM_DROPS};
    use crate::groups::GroupCounts;
    use crate::messages::MessageCounts;
    use crate::task_queue::TaskCounts;

    fn balanced() -> Books {
        let mut books = Books {
            accepted: 30,
            open: 6,
            closed: [1; CLOSE_REASONS],
            received: 100,
            finished: 60,
            in_hand: 4,
            recalled: 3,
            refused: 2,
            dropped_worker_died: 4,
            dropped_session_gone: 3,
            closed_by: [1; CLOSE_REASONS],
            groups: GroupCounts {
                joined: 9,
                left: 4,
                ended: 3,
                members: 2,
                addressed: 10,
                delivered: 4,
                skipped: 3,
                closed: 2,
                gone: 1,
                ..GroupCounts::default()
            },
            tasks: TaskCounts {
                asked: 5,
                finished: 2,
                failed: 1,
                dropped: 1,
                left: 1,
                ..TaskCounts::default()
            },
            messages: MessageCounts {
                sent: 4,
                delivered: 2,
                ended: 1,
                left: 1,
                ..MessageCounts::default()
            },
            ..Books::default()
        };
        books.datagrams.received = 20;
        books.datagrams.finished = 8;
        books.datagrams.in_hand = 3;
        books.datagrams.waiting = 2;
        books.datagrams.dropped = [1; DATAGRAM_DROPS];
        books
    }

    #[test]
    fn what_is_on_its_way_is_a_term_of_the_equation() {
        assert_eq!(balanced().check(), Ok(()));
        assert!(!balanced().are_quiet());
        assert_eq!(Books::default().check(), Ok(()));
        assert!(Books::default().are_quiet());
    }

    #[test]
    fn whatever_is_on_its_way_alone_is_no_quiet() {
        type Change = fn(&mut Books);
        let changes: [Change; 6] = [
            |books| books.in_hand = 1,
            |books| books.recalled = 1,
            |books| books.datagrams.in_hand = 1,
            |books| books.datagrams.waiting = 1,
            |books| books.tasks.asked = 1,
            |books| books.messages.sent = 1,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut books = Books::default();
            change(&mut books);
            assert!(!books.are_quiet(), "{number}");
        }
    }

    #[test]
    fn every_term_of_every_equation_counts() {
        type Change = fn(&mut Books);
        let of: [(&str, Change); 20] = [
            ("connections", |books| books.accepted += 1),
            ("connections", |books| books.open += 1),
            ("connections", |books| books.closed[3] += 1),
            ("packages", |books| books.received += 1),
            ("packages", |books| books.finished += 1),
            ("packages", |books| books.in_hand += 1),
            ("packages", |books| books.recalled += 1),
            ("packages", |books| books.refused += 1),
            ("packages", |books| books.dropped_worker_died += 1),
            ("packages", |books| books.dropped_session_gone += 1),
            ("packages", |books| books.closed_by[2] += 1),
            ("datagrams", |books| books.datagrams.received += 1),
            ("datagrams", |books| books.datagrams.dropped[1] += 1),
            ("memberships", |books| books.groups.left += 1),
            ("messages to members", |books| books.groups.gone += 1),
            ("tasks", |books| books.tasks.finished += 1),
            ("tasks", |books| books.tasks.left += 1),
            ("messages", |books| books.messages.ended += 1),
            ("handshakes", |books| books.handshakes.failed += 1),
            ("headers of proxies", |books| books.proxy_headers.left += 1),
        ];
        for (name, change) in of {
            let mut books = balanced();
            change(&mut books);
            let imbalance = books.check().unwrap_err();
            assert_eq!(imbalance.of, name, "{imbalance}");
        }
    }
}
