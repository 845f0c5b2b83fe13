//! What options demand of each other. What an option demands of itself is checked when it is set.

use ostler_core::per_port::PerPort;

use super::ports::{FIRST_PORT, LISTEN};
use super::{
    Dispatch, FramingKind, Mode, Options, PortOptions, PortPlan, Refusal, SessionIds,
    UNIX_PATH_BYTES_MAX, applicable, proxies, size, tls,
};
use crate::error::{Error, Result};

/// A reactor leases 256 KiB of the memory budget at a time. With less than two leases each,
/// reactors that hold nearly nothing would already make the budget tight.
pub(super) const BUDGET_PER_REACTOR_BYTES: usize = 512 * size::KIB;

/// Options that do not fit each other.
pub(super) struct Contradiction {
    /// The options that are involved.
    pub(super) names: &'static [&'static str],
    /// What is wrong and what would be valid.
    pub(super) text: String,
}

impl Options {
    /// Checks the options against each other. A server does so before it starts anything.
    ///
    /// # Errors
    ///
    /// [`Error::is_option`], naming all options that contradict each other and what would be valid.
    pub fn validate(&self) -> Result<()> {
        let texts: Vec<String> =
            self.contradictions().into_iter().map(|found| found.text).collect();
        if texts.is_empty() { Ok(()) } else { Err(Error::options(&texts)) }
    }

    /// Everything that does not fit, in the order of the table.
    pub(super) fn contradictions(&self) -> Vec<Contradiction> {
        let ports = self.ports();
        let of_ports = ports.iter().flat_map(|port| self.contradictions_of_named(*port));
        let server = [
            self.lanes_too_large(),
            self.budget_too_small(),
            not_above(
                &["session_state_size", "session_state_max_bytes"],
                bytes(self.session_state_size),
                &bytes(self.session_state_max_bytes),
            ),
            self.states_too_long(),
            self.session_ids_start_twice(),
            self.reactors_in_base(),
            self.memory_limits_reversed(),
            self.workers_min_too_high(),
            self.workers_max_too_low(),
            self.workers_cannot_change(),
            self.workers_change_in_base(),
            self.open_files_in_base(),
            self.quarantine_in_base(),
            self.journal_without_workers(),
            self.unknown_journal(),
            self.shared_journal_in_a_sandbox(),
            self.daemon_without_a_log(),
            self.operator_path_too_long(),
            self.group_of_no_master(),
            not_above(
                &["back_off_min_ms", "back_off_max_ms"],
                (self.back_off_min_ms, self.back_off_min_ms.to_string()),
                &(self.back_off_max_ms, self.back_off_max_ms.to_string()),
            ),
        ];
        let unused =
            proxies::not_asked(&ports).into_iter().chain(applicable::without_effect(&ports));
        let of_all = same_places(&ports).into_iter().chain(unused);
        server.into_iter().flatten().chain(of_ports).chain(of_all).collect()
    }

    /// What does not fit at a port, with its name if there may be several.
    fn contradictions_of_named(&self, port: PortPlan<'_>) -> Vec<Contradiction> {
        let mut found = self.contradictions_of(port.options);
        if port.name != FIRST_PORT {
            for contradiction in &mut found {
                contradiction.text = format!("port `{}`: {}", port.name, contradiction.text);
            }
            if !port.own.contains(&LISTEN) {
                let (names, name) = (&[LISTEN] as _, port.name);
                let text = format!(
                    "the port `{name}` has no `listen`: set `port.{name}.listen`, for example to \
                     `tcp://127.0.0.1:9502`"
                );
                found.push(Contradiction { names, text });
            }
        }
        found
    }

    /// What does not fit at a port.
    fn contradictions_of(&self, port: &PortOptions) -> Vec<Contradiction> {
        let low = bytes(port.send_queue_low);
        let high = bytes(port.send_queue_high);
        let max = bytes(port.send_queue_max);
        let budget = bytes(self.budget_of_process());
        [
            self.receive_size_too_large(port),
            not_above(
                &["package_max_length", "memory_budget"],
                bytes(port.package_max_length),
                &budget,
            ),
            self.header_too_long(port),
            not_above(&["max_send_bytes", "memory_budget"], bytes(port.max_send_bytes), &budget),
            events_needed(port),
            refusal_without_boundaries(port),
            not_above(&["send_queue_low", "send_queue_high"], low, &high),
            not_above(&["send_queue_high", "send_queue_max"], high, &max),
            tls::without_certificate(port),
            tls::unequal_lists(port),
            tls::half_client_auth(port),
            tls::not_built(port),
            proxies::nobody_trusted(port),
            late_before_soft(port),
            never_longer(port),
        ]
        .into_iter()
        .flatten()
        .chain(self.contradictions_of_base(port))
        .collect()
    }

    /// A daemon whose words nobody could read.
    fn daemon_without_a_log(&self) -> Option<Contradiction> {
        (self.daemonize && self.log_file.is_empty()).then(|| Contradiction {
            names: &["daemonize", "log_file"],
            text: "`daemonize` needs `log_file`: a server in the background has no standard error \
                   that anybody reads; name a file, or /dev/null"
                .to_owned(),
        })
    }

    /// The kernel's names of sockets end there.
    fn operator_path_too_long(&self) -> Option<Contradiction> {
        let len = self.operator_socket.len();
        (len > UNIX_PATH_BYTES_MAX).then(|| Contradiction {
            names: &["operator_socket"],
            text: format!(
                "`operator_socket` has {len} bytes, and the path of a unix socket \
                 {UNIX_PATH_BYTES_MAX} at most: choose a directory with a shorter name, for \
                 example in /run"
            ),
        })
    }

    /// A group of whom the master does not become.
    fn group_of_no_master(&self) -> Option<Contradiction> {
        (self.master_user.is_empty() && !self.master_group.is_empty()).then(|| Contradiction {
            names: &["master_group", "master_user"],
            text: format!(
                "`master_group` ({}) has no effect without `master_user`: set that, too",
                self.master_group
            ),
        })
    }

    /// A header of which no package has room.
    fn header_too_long(&self, port: &PortOptions) -> Option<Contradiction> {
        use ostler_core::framing::Framer;
        if port.framing != FramingKind::Length {
            return None;
        }
        let error = Framer::new(&self.framing_config(port)).err()?;
        Some(Contradiction {
            names: &["package_length_offset", "package_body_offset", "package_max_length"],
            text: format!(
                "`package_max_length` has no room for the header of `package_length_type`, \
                 `package_length_offset` and `package_body_offset`: {error}; raise the limit or \
                 correct the offsets"
            ),
        })
    }

    /// A start that would not be used.
    fn session_ids_start_twice(&self) -> Option<Contradiction> {
        let is_unused = self.start_session_id != 0 && self.session_ids != SessionIds::Sequential;
        is_unused.then(|| Contradiction {
            names: &["session_ids", "start_session_id"],
            text: format!(
                "`start_session_id` ({}) has no effect while `session_ids` is random_start: set \
                 `session_ids` to sequential, or leave `start_session_id` at 0",
                self.start_session_id
            ),
        })
    }

    /// A worker that would be killed before it could be replaced.
    fn memory_limits_reversed(&self) -> Option<Contradiction> {
        let hard = Some(self.worker_memory_hard_max).filter(|most| *most > 0)?;
        not_above(
            &["worker_memory_soft_max", "worker_memory_hard_max"],
            bytes(self.worker_memory_soft_max),
            &bytes(hard),
        )
    }

    fn workers_min_too_high(&self) -> Option<Contradiction> {
        not_above(
            &["workers_min", "workers"],
            (self.workers_min.into(), self.workers_min.to_string()),
            &(self.workers.into(), self.workers.to_string()),
        )
    }

    fn workers_max_too_low(&self) -> Option<Contradiction> {
        let max = Some(self.workers_max).filter(|max| *max > 0)?;
        not_above(
            &["workers", "workers_max"],
            (self.workers.into(), self.workers.to_string()),
            &(max.into(), max.to_string()),
        )
    }

    /// A number that is to follow the waiting of clients, and cannot.
    fn workers_cannot_change(&self) -> Option<Contradiction> {
        if self.workers_grow_after_ms == 0 {
            let usual = Self::default().workers_shrink_after_ms;
            return (self.workers_shrink_after_ms != usual).then(|| Contradiction {
                names: &["workers_shrink_after_ms", "workers_grow_after_ms"],
                text: "`workers_shrink_after_ms` has no effect while the number of workers does \
                       not follow the waiting of clients: set `workers_grow_after_ms`, too"
                    .to_owned(),
            });
        }
        let is_fixed = self.mode == Mode::Base || self.workers_min >= self.workers_room();
        is_fixed.then(|| Contradiction {
            names: &["workers_grow_after_ms", "workers_min", "workers_max", "mode"],
            text:
                "`workers_grow_after_ms` has no effect on a number of workers that is fixed: set \
                   `workers_max` above `workers`, or `workers_min` below it, with `mode = process`"
                    .to_owned(),
        })
    }

    fn budget_too_small(&self) -> Option<Contradiction> {
        if self.mode == Mode::Base {
            return self.budget_too_small_for_base();
        }
        let least = BUDGET_PER_REACTOR_BYTES * usize::from(self.reactors);
        (self.memory_budget < least).then(|| Contradiction {
            names: &["memory_budget", "reactors"],
            text: format!(
                "`memory_budget` ({}) is too small for {} reactors, which need 512K each: raise \
                 it to {} or more, or \
                 lower `reactors`",
                size::render(self.memory_budget as u64),
                self.reactors,
                size::render(least as u64)
            ),
        })
    }

    fn states_too_long(&self) -> Option<Contradiction> {
        let least = self.least_budget_for_states();
        (self.memory_budget < least).then(|| Contradiction {
            names: &["session_state_max_bytes", "memory_budget", "reactors"],
            text: format!(
                "`session_state_max_bytes` ({}) is too much for a `memory_budget` of {}: a \
                 quarter of it is for long states, in equal parts, each with room for two: raise \
                 it to {} or more, or lower the length of a state",
                size::render(self.session_state_max_bytes as u64),
                size::render(self.memory_budget as u64),
                size::render(least as u64)
            ),
        })
    }

    fn lanes_too_large(&self) -> Option<Contradiction> {
        let workers = self.workers_room() + self.task_workers;
        let reactors = self.lanes_of_worker();
        let lane_memory = size::render(self.lane_memory as u64);
        let lane_size = if self.lane_size == 0 { Self::LANE_SIZE_MIN } else { self.lane_size };
        let needed = lane_size.saturating_mul(self.rings());
        if needed <= self.lane_memory {
            return None;
        }
        let needed = size::render(needed as u64);
        let text = if self.lane_size == 0 {
            format!(
                "`lane_memory` ({lane_memory}) gives each lane of {reactors} reactors and \
                 {workers} workers less than \
                 64K: raise it to {needed} or more, or lower `reactors` or `workers`"
            )
        } else {
            format!(
                "`lane_size` ({}) for {reactors} reactors and {workers} workers takes {needed}, \
                 more than `lane_memory` \
                 ({lane_memory}): raise `lane_memory` to {needed} or more, or lower `lane_size`",
                size::render(lane_size as u64)
            )
        };
        Some(Contradiction {
            names: &["lane_memory", "lane_size", "workers", "workers_max", "reactors"],
            text,
        })
    }

    fn receive_size_too_large(&self, port: &PortOptions) -> Option<Contradiction> {
        let most = self.lane_sizes().payload_max();
        (port.receive_size > most).then(|| Contradiction {
            names: &["receive_size", "lane_size", "lane_memory", "workers", "reactors"],
            text: format!(
                "`receive_size` ({}) does not fit into a record of the lane, which takes {most} \
                 bytes of a lane of {}: \
                 lower it to {most} or less (0 = as much as fits, up to 64K), or raise `lane_size`",
                size::render(port.receive_size as u64),
                size::render(self.lane_size_resolved() as u64)
            ),
        })
    }
}

/// Ports of which only one can listen.
fn same_places(ports: &PerPort<PortPlan<'_>>) -> Vec<Contradiction> {
    let mut found = Vec::new();
    for (before, port) in ports.iter().enumerate() {
        let url = &port.options.listen;
        let same = |other: &&PortPlan<'_>| other.options.listen.collides_with(url);
        if let Some(other) = ports.iter().take(before).find(same) {
            let (one, other) = (other.name, port.name);
            let text = format!(
                "the ports `{one}` and `{other}` listen at the same place, {url}: give one of them \
                 another `listen`"
            );
            found.push(Contradiction { names: &[LISTEN], text });
        }
    }
    found
}

/// A value as a number and as it is spelled.
type Bound = (u64, String);

fn bytes(value: usize) -> Bound {
    (value as u64, size::render(value as u64))
}

/// A request is late when its worker is dead already.
fn late_before_soft(port: &PortOptions) -> Option<Contradiction> {
    let (soft, hard) = (port.request_soft_deadline_ms, port.request_deadline_ms);
    (hard != 0 && soft >= hard).then(|| Contradiction {
        names: &["request_soft_deadline_ms", "request_deadline_ms"],
        text: format!(
            "`request_soft_deadline_ms` ({soft}) must be below `request_deadline_ms` ({hard}), at \
             which the worker is killed: lower the first or raise the second"
        ),
    })
}

/// Requests may have more time, of which they have less than without.
fn never_longer(port: &PortOptions) -> Option<Contradiction> {
    let (most, hard) = (port.request_deadline_max_ms, port.request_deadline_ms);
    (most != 0 && (hard == 0 || most < hard)).then(|| Contradiction {
        names: &["request_deadline_max_ms", "request_deadline_ms"],
        text: format!(
            "`request_deadline_max_ms` ({most}) is how far a handler may lengthen \
             `request_deadline_ms` ({hard}): set that, to {most} or less, or leave the first at 0"
        ),
    })
}

/// An answer for each package where nobody knows where one ends.
fn refusal_without_boundaries(port: &PortOptions) -> Option<Contradiction> {
    if matches!(port.request_deadline_answer, Refusal::AnswerAndStay(_)) {
        let text = "`request_deadline_answer` ends the session: use `bytes:` instead of `answer:`";
        return Some(Contradiction { names: &["request_deadline_answer"], text: text.to_owned() });
    }
    let has_boundaries = !matches!(port.framing, FramingKind::Raw | FramingKind::Stream);
    let answers = matches!(port.refusal, Refusal::AnswerAndStay(_));
    (answers && !has_boundaries).then(|| Contradiction {
        names: &["refusal", "framing"],
        text: "`refusal = answer:` answers each package that is refused, so it needs a `framing` \
               that knows where one ends; set `framing`, or use `bytes:`, which ends the session"
            .to_owned(),
    })
}

/// Something is to be decided in `on_connect`, which is not called.
fn events_needed(port: &PortOptions) -> Option<Contradiction> {
    if port.connect_events {
        return None;
    }
    let (names, what): (&'static [&'static str], _) = match port.dispatch_resolved() {
        _ if port.accept_confirm => (&["connect_events", "accept_confirm"], "accept_confirm"),
        Dispatch::UserFunction => (&["connect_events", "dispatch"], "dispatch = user_function"),
        _ => return None,
    };
    let text = format!(
        "`{what}` is decided in on_connect, which is not called with `connect_events = false`; \
         switch the events on"
    );
    Some(Contradiction { names, text })
}

fn not_above(names: &'static [&'static str; 2], low: Bound, high: &Bound) -> Option<Contradiction> {
    let [first, second] = names;
    (low.0 > high.0).then(|| Contradiction {
        names,
        text: format!(
            "`{first}` ({}) must not be above `{second}` ({}): lower the first to {} or raise the \
             second to {}",
            low.1, high.1, high.1, low.1
        ),
    })
}
