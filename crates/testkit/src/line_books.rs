//! Books of one line: the numbers by which the master accounts for something at its end.

use std::collections::BTreeMap;

use crate::error::{TestError, TestResult};
use crate::log::Log;
use crate::log_line::LogLine;

/// The numbers of a line, by their names. What did not happen is not told, and is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineBooks(pub(crate) BTreeMap<String, u64>);

impl LineBooks {
    /// Those of the line that begins with this title; all is 0 when the log has none.
    ///
    /// # Errors
    /// When there are several, or a field is no number.
    pub(crate) fn of_log(log: &Log, title: &str) -> TestResult<Self> {
        let is_theirs = |line: &LogLine| line.label == "master" && line.message == title;
        let lines: Vec<LogLine> = log.parsed().into_iter().filter(is_theirs).collect();
        match lines.as_slice() {
            [] => Ok(Self::default()),
            [line] => Self::of_line(line),
            many => Err(TestError::new(format!("{} {title}", many.len()))),
        }
    }

    /// Those of this line.
    ///
    /// # Errors
    /// When a field is no number.
    pub(crate) fn of_line(line: &LogLine) -> TestResult<Self> {
        let number = |(name, text): (&String, &String)| {
            let number = text.parse::<u64>().map_err(|_| {
                let title = &line.message;
                TestError::new(format!("the {title} say {name}={text}, which is no number"))
            });
            Ok((name.clone(), number?))
        };
        line.fields.iter().map(number).collect::<TestResult<_>>().map(Self)
    }

    /// A number of the line, 0 when there is none of that name.
    pub(crate) fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Demands that each of these is what the parts of it come to. `title` is that of the line.
    ///
    /// # Errors
    /// When one is not.
    pub(crate) fn check_balance(&self, title: &str, sums: &[(&str, &[&str])]) -> TestResult {
        let balances = |(whole, parts): &(&str, &[&str])| {
            self.get(whole) == parts.iter().map(|part| self.get(part)).sum::<u64>()
        };
        if sums.iter().all(balances) {
            return Ok(());
        }
        Err(TestError::new(format!("the {title} do not balance: {self:?}")))
    }
}
