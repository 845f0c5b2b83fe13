//! When a new value of an option takes effect.

use super::OptionInfo;

/// When a new value of an option takes effect.
///
/// ```
/// use ostler::{Change, Options};
///
/// let of = |name| Options::table().iter().find(|info| info.name == name).map(|o| o.change());
/// assert_eq!(of("max_requests"), Some(Change::Reload));
/// assert_eq!(of("workers"), Some(Change::Restart));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change {
    /// At the next reload of a server with `start = exec`, whose new workers read it anew.
    /// Otherwise at the next start of the server.
    Reload,
    /// At the next start of the server: the master has it.
    Restart,
}

impl Change {
    /// The word by which the documentation calls it.
    ///
    /// ```
    /// assert_eq!(ostler::Change::Restart.word(), "restart");
    /// ```
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Restart => "restart",
        }
    }
}

/// The options that only workers look at, when they begin. What both sides of a lane have to know,
/// or the master alone knows, does not belong here.
const OF_WORKERS: [&str; 7] = [
    "sched_batch",
    "redeliver_output_bytes",
    "send_timeout_ms",
    "max_requests",
    "task_max_requests",
    "worker_idle_max_ms",
    "log_level",
];

impl OptionInfo {
    /// When a new value takes effect.
    ///
    /// ```
    /// use ostler::{Change, Options};
    ///
    /// let of_workers = Options::table().iter().filter(|info| info.change() == Change::Reload);
    /// assert!(of_workers.map(|info| info.name).any(|name| name == "log_level"));
    /// ```
    #[must_use]
    pub fn change(&self) -> Change {
        if OF_WORKERS.contains(&self.name) { Change::Reload } else { Change::Restart }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn what_a_reload_changes_are_options_of_the_server() {
        for name in OF_WORKERS {
            let info = Options::table().iter().find(|info| info.name == name).unwrap();
            assert!(!info.is_of_port(), "{name}");
        }
    }
}
