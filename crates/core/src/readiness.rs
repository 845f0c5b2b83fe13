//! What a service manager is told of the life of a server, and when (P63): that it is ready, that
//! it reloads, that it stops.
//!
//! Whoever asked for a reload waits until the server is ready again; so that is said once, when the
//! last reload that was asked for has ended, and not when the one before it has.

/// What to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Clients are served; a reload, if there was one, is over.
    Ready,
    /// A reload has begun, or one more is wanted.
    Reloading,
    /// The end has begun.
    Stopping,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Serving,
    Reloading {
        /// Another was asked for meanwhile, which follows.
        again: bool,
    },
    Stopping,
}

/// The state machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    phase: Phase,
}

impl Readiness {
    /// The first worker serves.
    pub fn serves(&mut self) -> Option<Notice> {
        (self.phase == Phase::Starting).then(|| self.serve())
    }

    /// Somebody asked for a reload. Before the server is ready nobody waits for one.
    pub fn reload_requested(&mut self) -> Option<Notice> {
        let again = match self.phase {
            Phase::Starting | Phase::Stopping => return None,
            Phase::Serving => false,
            Phase::Reloading { .. } => true,
        };
        self.phase = Phase::Reloading { again };
        Some(Notice::Reloading)
    }

    /// A reload has ended, however.
    pub fn reload_finished(&mut self) -> Option<Notice> {
        match self.phase {
            Phase::Reloading { again: false } => Some(self.serve()),
            Phase::Reloading { again: true } => {
                self.phase = Phase::Reloading { again: false };
                None
            }
            Phase::Starting | Phase::Serving | Phase::Stopping => None,
        }
    }

    /// Who carried reloads out is gone, and its successor knows of none.
    pub fn reloads_lost(&mut self) -> Option<Notice> {
        matches!(self.phase, Phase::Reloading { .. }).then(|| self.serve())
    }

    /// The server is told to end.
    pub fn stops(&mut self) -> Option<Notice> {
        if self.phase == Phase::Stopping {
            return None;
        }
        self.phase = Phase::Stopping;
        Some(Notice::Stopping)
    }

    /// Whether something is going on for which a service manager has a time limit.
    #[must_use]
    pub const fn takes_time(self) -> bool {
        !matches!(self.phase, Phase::Serving)
    }

    /// What the server does, for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self.phase {
            Phase::Starting => "starts",
            Phase::Serving => "serves",
            Phase::Reloading { .. } => "reloads",
            Phase::Stopping => "stops",
        }
    }

    fn serve(&mut self) -> Notice {
        self.phase = Phase::Serving;
        Notice::Ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serving() -> Readiness {
        let mut readiness = Readiness::default();
        assert_eq!(readiness.serves(), Some(Notice::Ready));
        readiness
    }

    #[test]
    fn ready_is_said_once_and_stopping_is_said_once() {
        let mut readiness = serving();
        assert_eq!(readiness.serves(), None);
        assert!(!readiness.takes_time());
        assert_eq!((Readiness::default().word(), readiness.word()), ("starts", "serves"));
        assert_eq!(readiness.stops(), Some(Notice::Stopping));
        assert_eq!(readiness.stops(), None);
        assert_eq!(readiness.word(), "stops");
        assert!(readiness.takes_time());
        assert_eq!(readiness.serves(), None, "it never becomes ready again");
    }

    #[test]
    fn a_reload_ends_with_the_last_one_that_was_asked_for() {
        let mut readiness = serving();
        assert_eq!(readiness.reload_requested(), Some(Notice::Reloading));
        // Two more become one that follows (S3), and each has somebody who waits for the word.
        assert_eq!(readiness.reload_requested(), Some(Notice::Reloading));
        assert_eq!(readiness.reload_requested(), Some(Notice::Reloading));
        assert_eq!(readiness.reload_finished(), None);
        assert!(readiness.takes_time());
        assert_eq!(readiness.word(), "reloads");
        assert_eq!(readiness.reload_finished(), Some(Notice::Ready));
        assert_eq!(readiness.reload_finished(), None, "nobody waits any more");
    }

    #[test]
    fn reloads_outside_of_serving_say_nothing() {
        let mut readiness = Readiness::default();
        assert!(readiness.takes_time());
        assert_eq!(readiness.reload_requested(), None);
        assert_eq!(readiness.reload_finished(), None);
        assert_eq!(readiness.reloads_lost(), None);
        assert_eq!(readiness.serves(), Some(Notice::Ready));
        readiness.stops();
        assert_eq!(readiness.reload_requested(), None);
        assert_eq!(readiness.reload_finished(), None);
        assert_eq!(readiness.reloads_lost(), None);
    }

    #[test]
    fn a_reload_whose_manager_died_is_over() {
        let mut readiness = serving();
        assert_eq!(readiness.reloads_lost(), None);
        readiness.reload_requested();
        readiness.reload_requested();
        assert_eq!(readiness.reloads_lost(), Some(Notice::Ready));
        assert_eq!(readiness.reload_finished(), None);
    }
}
