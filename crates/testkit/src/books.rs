//! The books: one line by which the master accounts for every connection and every package at its
//! end.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{TestError, TestResult};
use crate::line_books::LineBooks;
use crate::log_line::LogLine;

/// The master's account. `accepted` counts connections, `received` packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Books {
    pub accepted: u64,
    pub open: u64,
    pub closed: u64,
    /// Sessions that came from the master before this one.
    pub taken_over: u64,
    /// Sessions that went to the master behind this one.
    pub handed_over: u64,
    pub received: u64,
    pub finished: u64,
    pub in_hand: u64,
    pub runnable: u64,
    /// Recalled and now waiting; a package recalled and given again is counted where it went.
    pub recalled: u64,
    pub refused: u64,
    pub dropped: u64,
    pub closed_by: u64,
    /// Every further number of the line, such as `closed_peer`.
    pub details: BTreeMap<String, u64>,
}

impl Books {
    /// Reads the line.
    ///
    /// # Errors
    /// When a field is no number. What is missing is 0: the server tells only what happened.
    pub fn from_line(line: &LogLine) -> TestResult<Self> {
        let LineBooks(mut numbers) = LineBooks::of_line(line)?;
        let mut take = |name: &str| numbers.remove(name).unwrap_or(0);
        Ok(Self {
            accepted: take("accepted"),
            open: take("open"),
            closed: take("closed"),
            taken_over: take("taken_over"),
            handed_over: take("handed_over"),
            received: take("received"),
            finished: take("finished"),
            in_hand: take("in_hand"),
            runnable: take("runnable"),
            recalled: take("recalled"),
            refused: take("refused"),
            dropped: take("dropped"),
            closed_by: take("closed_by"),
            details: numbers,
        })
    }

    /// A number beside the main ones, 0 when the line has none of that name.
    #[must_use]
    pub fn detail(&self, name: &str) -> u64 {
        self.details.get(name).copied().unwrap_or(0)
    }

    /// Where the packages went: the right side of the second equation.
    #[must_use]
    pub fn settled(&self) -> u64 {
        [
            self.finished,
            self.in_hand,
            self.runnable,
            self.recalled,
            self.refused,
            self.dropped,
            self.closed_by,
        ]
        .iter()
        .sum()
    }

    /// Demands `accepted + taken_over = open + closed + handed_over` and
    /// `received = finished + in_hand + runnable + recalled + refused + dropped + closed_by`.
    ///
    /// # Errors
    /// With both sides of each equation that does not hold.
    pub fn check_balance(&self) -> TestResult {
        let mut wrong = Vec::new();
        let came = self.accepted + self.taken_over;
        let went = self.open + self.closed + self.handed_over;
        if came != went {
            wrong.push(format!("connections: {came} != {went}"));
        }
        if self.received != self.settled() {
            wrong.push(format!("packages: {} != {}", self.received, self.settled()));
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let wrong = wrong.join("; ");
        Err(TestError::new(format!("the books do not balance: {wrong}\n  {self}")))
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, open, closed, received, finished, in_hand, runnable, .. } = self;
        let Self { recalled, refused, dropped, closed_by, details, .. } = self;
        let Self { taken_over, handed_over, .. } = self;
        write!(f, "accepted {accepted} + taken over {taken_over} = ")?;
        write!(f, "open {open} + closed {closed} + handed over {handed_over}; ")?;
        write!(f, "received {received} = finished {finished} + in_hand {in_hand} ")?;
        write!(f, "+ runnable {runnable} + recalled {recalled} + refused {refused} ")?;
        write!(f, "+ dropped {dropped} + closed_by {closed_by}")?;
        for (name, number) in details {
            write!(f, " {name}={number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "2026-11-23T10:00:00.123Z INFO master books accepted=3 open=1 closed=2 \
        received=21 finished=15 in_hand=1 runnable=1 recalled=1 refused=1 dropped=1 closed_by=1 \
        closed_peer=2";

    fn books() -> Books {
        Books::from_line(&LogLine::parse(LINE).unwrap()).unwrap()
    }

    #[test]
    fn a_balanced_line_is_accepted() {
        let books = books();
        books.check_balance().unwrap();
        assert_eq!((books.received, books.detail("closed_peer")), (21, 2));
        assert_eq!(books.detail("closed_nobody"), 0);
    }

    #[test]
    fn each_side_that_is_off_by_one_is_found() {
        let connections = Books { closed: 1, ..books() }.check_balance().unwrap_err().to_string();
        assert!(connections.contains("connections: 3 != 2"), "{connections}");
        let packages = Books { finished: 14, ..books() }.check_balance().unwrap_err().to_string();
        assert!(packages.contains("packages: 21 != 20"), "{packages}");
    }

    #[test]
    fn a_missing_field_is_zero_and_one_that_is_no_number_is_named() {
        let line = LINE.replace("refused=1 ", "");
        let books = Books::from_line(&LogLine::parse(&line).unwrap()).unwrap();
        assert_eq!(books.refused, 0);
        books.check_balance().unwrap_err();
        let line = LINE.replace("refused=1 ", "refused=many ");
        let error = Books::from_line(&LogLine::parse(&line).unwrap()).unwrap_err();
        assert!(error.to_string().contains("refused=many"));
    }
}
