//! The figures as JSON, for whoever reads them from outside: an operator, a collector of metrics.
//!
//! Every field stands under its own name. Times are whole nanoseconds, under names that end in
//! `_ns`; a moment is milliseconds since 1970, under a name that ends in `_ms`. What is not there
//! is `null`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ostler_core::brain::CloseReason;
use serde_json::Value;

use super::{
    ConnectionStatistics, DatagramStatistics, MessageStatistics, PackageStatistics,
    ProcessStatistics, RunningStatistics, ServerStatistics, Statistics, TaskStatistics, TimeSpread,
    TimeStatistics, TrafficStatistics,
};

/// An object of all fields of a structure: one that is forgotten does not compile. Those behind
/// `;` stand under another name, as something that is made of them.
macro_rules! object {
    ($value:expr, $structure:ident {
        $($field:ident),* $(,)? $(; $($other:ident as $name:literal: $made:expr),* $(,)?)?
    }) => {{
        let $structure { $($field,)* $($($other,)*)? } = $value;
        object_of([
            $((stringify!($field), Value::from(*$field)),)*
            $($(($name, Value::from($made)),)*)?
        ])
    }};
}

fn object_of<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn milliseconds(moment: SystemTime) -> u64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Statistics {
    /// All figures as an object of JSON: `server`, `connections` and so on with the fields of these
    /// structures under their own names, and `closed_because` with a number for each
    /// [`CloseReason`](crate::CloseReason). `server.started_at` is `started_at_ms`, milliseconds
    /// since 1970.
    ///
    /// ```
    /// use ostler::{Outcome, Package, Session, Worker};
    ///
    /// fn on_metrics(worker: &Worker, session: &Session, _: &Package) -> Outcome {
    ///     Ok(session.send(format!("{}\n", worker.stats().to_json()).as_bytes())?)
    /// }
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    pub(crate) fn to_value(&self) -> Value {
        let Self { server, connections, packages, datagrams, traffic, tasks, messages, books: _ } =
            self;
        let reasons = CloseReason::ALL.into_iter();
        let closed = reasons.map(|it| (it.name().to_owned(), self.closed_because(it).into()));
        object_of([
            ("server", server.to_value()),
            ("connections", connections.to_value()),
            ("closed_because", Value::Object(closed.collect())),
            ("packages", packages.to_value()),
            ("datagrams", datagrams.to_value()),
            ("traffic", traffic.to_value()),
            ("tasks", tasks.to_value()),
            ("messages", messages.to_value()),
        ])
    }
}

impl ServerStatistics {
    fn to_value(&self) -> Value {
        object!(self, Self {
            master_pid,
            manager_pid,
            workers,
            task_workers,
            user_processes,
            reactors,
            processes_started,
            deaths,
            worker_deaths,
            manager_deaths,
            reloads_begun,
            reloads_done,
            reloads_failed,
            reactor_lags;
            started_at as "started_at_ms": milliseconds(*started_at),
        })
    }
}

impl ConnectionStatistics {
    fn to_value(&self) -> Value {
        object!(
            self,
            Self {
                open,
                max,
                accepted,
                closed,
                taken_over,
                handed_over,
                refused,
                refused_no_descriptor,
                refused_address_full,
                refused_connection_rate,
                refused_address_deaths,
                accept_rests,
                handshakes,
                handshakes_failed,
            }
        )
    }
}

impl PackageStatistics {
    fn to_value(&self) -> Value {
        object!(
            self,
            Self {
                received,
                finished,
                in_hand,
                recalled,
                refused,
                dropped,
                closed_by,
                redelivered,
                given,
                answers,
                held_back,
            }
        )
    }
}

impl DatagramStatistics {
    fn to_value(&self) -> Value {
        object!(
            self,
            Self {
                received,
                finished,
                in_hand,
                waiting,
                dropped,
                dropped_by_kernel,
                redelivered,
                sent,
                not_sent,
            }
        )
    }
}

impl TrafficStatistics {
    fn to_value(&self) -> Value {
        object!(
            self,
            Self {
                received_bytes,
                sent_bytes,
                unsent_bytes,
                charged_bytes,
                long_states,
                state_bytes,
                states_refused,
                budget_bytes,
                memory_shortages,
            }
        )
    }
}

impl TaskStatistics {
    fn to_value(&self) -> Value {
        object!(
            self,
            Self { asked, open, finished, failed, dropped, refused, redelivered, results, unheard }
        )
    }
}

impl MessageStatistics {
    fn to_value(&self) -> Value {
        object!(self, Self { sent, delivered, open, ended, refused })
    }
}

impl ProcessStatistics {
    /// What this process does as an object of JSON, with the fields of this structure under their
    /// own names; `slot` is the text of a log (`w0`), `age` and `busy` are `age_ns` and `busy_ns`,
    /// and `running` is `null` when nothing runs.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn print_all(worker: &Worker) {
    ///     worker.process_stats().iter().for_each(|process| println!("{}", process.to_json()));
    /// }
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    pub(crate) fn to_value(&self) -> Value {
        object!(self, Self {
            generation,
            pid,
            is_leaving,
            deliveries,
            requests;
            slot as "slot": slot.to_string(),
            age as "age_ns": nanoseconds(*age),
            busy as "busy_ns": nanoseconds(*busy),
            running as "running": running.as_ref().map(RunningStatistics::to_value),
        })
    }
}

impl RunningStatistics {
    fn to_value(&self) -> Value {
        object!(self, Self {
            session,
            port,
            is_repeated;
            callback as "callback": callback.as_str(),
            since as "since_ns": nanoseconds(*since),
            waited as "waited_ns": waited.map(nanoseconds),
        })
    }
}

impl TimeStatistics {
    /// How long deliveries have waited and taken as an object of JSON: `waited` and `took`, each
    /// with its `count` and, in nanoseconds, its mean, quantiles (`p50_ns`, `p90_ns`, `p99_ns`,
    /// `p999_ns`) and longest (`max_ns`), which are `null` when nothing was counted.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn print_times(worker: &Worker) {
    ///     println!("{}", worker.port_times(0).to_json());
    /// }
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    pub(crate) fn to_value(&self) -> Value {
        let Self { waited, took } = self;
        object_of([("waited", waited.to_value()), ("took", took.to_value())])
    }
}

impl TimeSpread {
    fn to_value(&self) -> Value {
        let part = |part| Value::from(self.quantile(part).map(nanoseconds));
        object_of([
            ("count", self.count().into()),
            ("mean_ns", self.mean().map(nanoseconds).into()),
            ("p50_ns", part(0.5)),
            ("p90_ns", part(0.9)),
            ("p99_ns", part(0.99)),
            ("p999_ns", part(0.999)),
            ("max_ns", part(1.0)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Figures;

    #[test]
    fn figures_stand_under_the_names_of_their_fields() {
        let mut figures = Figures::default();
        figures.server.started_at_ms = 1_700_000_000_123;
        figures.server.worker_deaths = 3;
        figures.books.accepted = 1 << 60;
        figures.books.closed[CloseReason::SlowReader as usize] = 7;
        let text = Statistics::new(figures).to_json();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["server"]["started_at_ms"], 1_700_000_000_123_u64);
        assert_eq!(read["server"]["worker_deaths"], 3);
        assert_eq!(read["connections"]["accepted"], 1_u64 << 60);
        assert_eq!(read["closed_because"]["slow_reader"], 7);
        assert_eq!(read["closed_because"]["peer"], 0);
        assert!(!text.contains('\n'), "it is one line");
    }

    #[test]
    fn times_without_anything_are_null() {
        let read: Value = serde_json::from_str(&TimeStatistics::default().to_json()).unwrap();
        assert_eq!((&read["took"]["count"], &read["took"]["p99_ns"]), (&0.into(), &Value::Null));
    }
}
