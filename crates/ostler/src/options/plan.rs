//! What follows from the options: sizes of lanes, the spread of `max_requests`.

use ostler_core::framing::FramingConfig;
use ostler_core::ids::{ProcessKey, ProcessKind};
use ostler_core::supervisor::{GroupSettings, Restart, Settings, SingleSettings};

use ostler_shm::board::{BODY_AREA_MAX, BoardSizes, STATE_AREA_MAX};
use ostler_shm::group_index::GroupSizes;
use ostler_shm::layout::{LANE_SIZE_MIN, PAGE, Sizes};

use super::port_options::PortOptions;
use super::size::KIB;
use super::{Dispatch, FramingKind, Mode, Options, Start};

/// Above this size rings gained nothing measurable.
const LANE_SIZE_AUTOMATIC_MAX: usize = 512 * KIB;

/// The part of the memory budget that body areas may take, over all reactors: one in so many. What
/// was used of them once is not given back to the system.
const BODY_AREA_PART: usize = 4;

/// The part of the memory budget that state areas take at most, likewise.
const STATE_AREA_PART: usize = 4;

/// Larger reads gained nothing measurable.
const RECEIVE_SIZE_AUTOMATIC_MAX: usize = 64 * KIB;

/// Entries of each reactor for sessions that have ended and whose end no worker has seen yet: waves
/// of clients that leave while a worker is busy must not keep out those who come. When they are
/// taken too, accepting pauses.
const ENDED_SESSIONS: u64 = 1_024;

impl Options {
    /// Session ids begin at most so high, which leaves numbers for 285 years of a million
    /// connections a second.
    pub(crate) const START_SESSION_ID_MAX: u64 = 1 << 48;

    /// Smallest lane: below it a raw package of common size no longer fits into a quarter.
    pub(crate) const LANE_SIZE_MIN: usize = LANE_SIZE_MIN as usize;

    /// Package and output rings over all lanes of one generation.
    pub(super) fn rings(&self) -> usize {
        // Without task workers the lanes to the switch of BASE mode are of the smallest size.
        let to_switch = usize::from(self.has_switch() && self.task_workers > 0);
        let lanes = self.lanes_of_worker() + to_switch;
        2 * lanes * usize::from(self.workers_room() + self.task_workers)
    }

    /// Most event workers that there may be while the server runs.
    pub(crate) fn workers_room(&self) -> u16 {
        self.workers.max(self.workers_max)
    }

    /// Bytes of each package ring and each output ring: `lane_size`, or what `lane_memory` allows.
    /// A power of two, and never less than 64 KiB; [`Options::validate`] refuses options whose
    /// memory is not enough for that.
    pub(crate) fn lane_size_resolved(&self) -> usize {
        if self.lane_size != 0 {
            return self.lane_size;
        }
        let share = (self.lane_memory / self.rings().max(1)).min(LANE_SIZE_AUTOMATIC_MAX);
        let power = share.checked_ilog2().map_or(0, |log| 1 << log);
        power.max(Self::LANE_SIZE_MIN)
    }

    /// The sizes that fix a worker's memory files.
    pub(crate) fn lane_sizes(&self) -> Sizes {
        Sizes { reactors: self.lanes_of_worker(), lane_size: self.lane_size_resolved() as u64 }
    }

    /// Most bytes of one raw package: `receive_size`, or by itself 64 KiB or what one record holds,
    /// which is a quarter of the lane *including* the header. [`Options::validate`] refuses a
    /// `receive_size` that does not fit.
    pub(crate) fn receive_size_resolved(&self, port: &PortOptions) -> usize {
        let most = self.lane_sizes().payload_max();
        match port.receive_size {
            0 => most.min(RECEIVE_SIZE_AUTOMATIC_MAX),
            size => size.min(most),
        }
    }

    /// Entries of the session table: `max_connections`, a quarter more, and [`ENDED_SESSIONS`] for
    /// each reactor, as a power of two. The quarter is slack: without it the search for a free
    /// entry gets long when the server is nearly full.
    pub(crate) fn session_entries(&self) -> u64 {
        let connections = u64::from(self.max_connections);
        let ended = ENDED_SESSIONS * self.lanes_of_worker() as u64;
        (connections + connections.div_ceil(4) + ended).next_power_of_two()
    }

    /// What the board is made for.
    pub(crate) fn board_sizes(&self) -> BoardSizes {
        BoardSizes {
            reactors: self.lanes_of_worker(),
            sessions: self.session_entries(),
            state_bytes: self.session_state_size,
            body_area: self.body_area() as u64,
            state_area: self.state_area() as u64,
            groups: GroupSizes {
                groups: u64::from(self.groups_max),
                of_session: u64::from(self.session_groups_max),
            },
        }
    }

    /// Bytes of memory, for each reactor, in which long packages are received and from which
    /// workers read them: whole pages.
    fn body_area(&self) -> usize {
        let share = self.memory_budget / BODY_AREA_PART / self.lanes_of_worker().max(1);
        let most = usize::try_from(BODY_AREA_MAX).unwrap_or(usize::MAX);
        let page = PAGE as usize;
        share.min(most) / page * page
    }

    /// Bytes of memory, for each reactor, for states that the session table has no room for: whole
    /// pages, two of the longest states at least ([`Options::validate`]).
    fn state_area(&self) -> usize {
        if self.session_state_max_bytes <= self.session_state_size {
            return 0;
        }
        let share = self.memory_budget / STATE_AREA_PART / self.lanes_of_worker().max(1);
        let most = usize::try_from(STATE_AREA_MAX).unwrap_or(usize::MAX);
        let page = PAGE as usize;
        share.min(most) / page * page
    }

    /// The least memory budget for which each state area has room for two of the longest states:
    /// one that is there, and the one that takes its place.
    pub(super) fn least_budget_for_states(&self) -> usize {
        if self.session_state_max_bytes <= self.session_state_size {
            return 0;
        }
        let longest = self.session_state_max_bytes.next_multiple_of(PAGE as usize);
        let areas = match self.mode {
            Mode::Process => usize::from(self.reactors),
            Mode::Base => self.budgets_in_base(),
        };
        2 * longest * STATE_AREA_PART * areas
    }

    /// Deliveries after which a process asks to be replaced; `None` = never.
    ///
    /// Above 10 the slots are spread evenly over half as many again, by their number and not by
    /// chance, so that workers that started together do not leave together (S29).
    pub(crate) fn max_requests_of(&self, key: ProcessKey) -> Option<u64> {
        const SPREAD_ABOVE: u64 = 10;
        let (limit, workers) = match key.kind {
            ProcessKind::Event => (self.max_requests, self.workers),
            ProcessKind::Task => (self.task_max_requests, self.task_workers),
            ProcessKind::User | ProcessKind::Companion => return None,
        };
        match limit {
            0 => None,
            limit if limit <= SPREAD_ABOVE => Some(limit),
            limit => {
                let workers = u64::from(workers.max(1));
                let turn = u64::from(key.slot.0) % workers;
                // At most 1e12 / 2 * 1024: far below the largest u64.
                Some(limit + limit / 2 * turn / workers)
            }
        }
    }

    /// Which worker gets the packages of a session that is not bound to one, as `dispatch` and
    /// `framing` of the server say it.
    #[must_use]
    pub fn dispatch_resolved(&self) -> Dispatch {
        self.port.dispatch_resolved()
    }

    /// The framing of a port.
    pub(crate) fn framing_config(&self, port: &PortOptions) -> FramingConfig {
        // The table's limits are far below 4 GiB.
        let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let max_length = length(port.package_max_length);
        let eof = || port.package_eof.clone();
        match port.framing {
            FramingKind::Raw => {
                FramingConfig::Raw { max_length: length(self.receive_size_resolved(port)) }
            }
            FramingKind::Stream => FramingConfig::Stream { max_length },
            FramingKind::Eof => FramingConfig::EofSplit { eof: eof(), max_length },
            FramingKind::EofAtEnd => FramingConfig::EofAtEnd { eof: eof(), max_length },
            FramingKind::Line => FramingConfig::EofSplit { eof: b"\n".to_vec(), max_length },
            FramingKind::Length => FramingConfig::LengthField {
                length_type: port.package_length_type,
                length_offset: port.package_length_offset,
                body_offset: port.package_body_offset,
                max_length,
            },
            FramingKind::Mqtt => FramingConfig::Mqtt { max_length },
            FramingKind::Resp => FramingConfig::Resp { max_length },
        }
    }

    /// The supervisor's part of the options; `singles` are the user processes.
    pub(crate) fn supervisor_settings(&self, singles: Vec<SingleSettings>) -> Settings {
        let event = GroupSettings {
            slots: self.workers,
            slots_max: self.workers_room(),
            boot_timeout_ms: self.boot_timeout_ms,
            drain_timeout_ms: self.drain_timeout_ms,
            back_off_min_ms: self.back_off_min_ms,
            back_off_max_ms: self.back_off_max_ms,
            fork_interval_ms: self.fork_interval_ms,
            recycle_at_once: self.recycle_at_once,
            reload_at_once: self.reload_parallel,
            age_max_ms: Some(self.worker_age_max_ms).filter(|age| *age > 0),
            keeps_accepted: self.start == Start::Exec,
            ..GroupSettings::default()
        };
        let user = GroupSettings {
            slots: u16::try_from(singles.len()).unwrap_or(u16::MAX),
            singles,
            age_max_ms: None,
            ..event.clone()
        };
        let companion = GroupSettings {
            slots: u16::from(self.has_companion),
            last_words_ms: Some(ostler_core::shutdown::LAST_WORDS_MS),
            singles: vec![SingleSettings {
                restart: Restart::Always,
                back_off_min_ms: self.back_off_min_ms.max(1),
                back_off_max_ms: self.back_off_max_ms.max(1),
                is_reloaded: true,
            }],
            ..user.clone()
        };
        let task = GroupSettings {
            slots: self.task_workers,
            slots_max: 0,
            keeps_accepted: false,
            reloads_behind: true,
            ..event.clone()
        };
        Settings { event, task, user, companion }
    }

    /// Processes that serve nobody.
    pub(crate) fn single_processes(&self) -> u16 {
        self.user_processes.saturating_add(u16::from(self.has_companion))
    }

    /// How long all processes may take to leave: workers first, then the others.
    pub(crate) fn stop_timeout_ms(&self) -> u64 {
        let others = [self.task_workers > 0, self.user_processes > 0, self.has_companion];
        let groups = others.into_iter().fold(1, |groups, is_there| groups + u64::from(is_there));
        groups.saturating_mul(self.drain_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::framing::Framer;

    fn options(pairs: &[(&str, &str)]) -> Options {
        let mut options = Options { workers: 2, reactors: 2, ..Options::default() };
        for (name, value) in pairs {
            options.set(name, value).unwrap();
        }
        options
    }

    fn receive_size(options: &Options) -> usize {
        options.receive_size_resolved(&options.port)
    }

    fn framing(options: &Options) -> FramingConfig {
        options.framing_config(&options.port)
    }

    #[test]
    fn options_lane_size_follows_memory_reactors_and_workers() {
        assert_eq!(
            options(&[]).lane_size_resolved(),
            512 * KIB,
            "never more than 512 KiB by itself"
        );
        let many = options(&[("workers", "64"), ("reactors", "8")]);
        assert_eq!(many.lane_size_resolved(), 256 * KIB);
        let odd = options(&[("workers", "65"), ("reactors", "8")]);
        assert_eq!(odd.lane_size_resolved(), 128 * KIB, "rounded down to a power of two");
        assert_eq!(options(&[("lane_size", "1M")]).lane_size_resolved(), 1024 * KIB);
    }

    #[test]
    fn options_raw_package_fits_into_a_quarter_with_its_header() {
        let small = options(&[("lane_size", "64K")]);
        assert_eq!(receive_size(&small), 16 * KIB - 64);
        assert_eq!(
            receive_size(&options(&[])),
            64 * KIB,
            "the default lane holds 64 KiB and its header"
        );
        let edge = options(&[("lane_size", "256K")]);
        assert_eq!(receive_size(&edge), 64 * KIB - 64, "64 KiB miss it by the header");
        assert!(edge.validate().is_ok());
        let explicit = options(&[("lane_size", "256K"), ("receive_size", "64K")]);
        let text = explicit.validate().unwrap_err().to_string();
        assert!(text.contains("lower it to 65472"), "{text}");
    }

    #[test]
    fn options_max_requests_are_spread_by_slot_not_by_chance() {
        let spread = options(&[("max_requests", "1000"), ("workers", "4")]);
        let limits: Vec<_> =
            (0..4).map(|slot| spread.max_requests_of(ProcessKey::event(slot, 1))).collect();
        assert_eq!(limits, [Some(1000), Some(1125), Some(1250), Some(1375)]);
        let few = options(&[("max_requests", "10"), ("workers", "4")]);
        assert_eq!(few.max_requests_of(ProcessKey::event(3, 1)), Some(10), "too few to spread");
        assert_eq!(options(&[]).max_requests_of(ProcessKey::event(0, 1)), None);
    }

    #[test]
    fn options_supervisor_gets_every_time() {
        let settings = options(&[
            ("boot_timeout_ms", "1"),
            ("drain_timeout_ms", "2"),
            ("back_off_min_ms", "3"),
            ("back_off_max_ms", "4"),
            ("fork_interval_ms", "5"),
            ("recycle_at_once", "6"),
            ("reload_parallel", "8"),
            ("worker_age_max_ms", "7"),
        ])
        .supervisor_settings(Vec::new());
        let event = GroupSettings {
            slots: 2,
            slots_max: 2,
            boot_timeout_ms: 1,
            drain_timeout_ms: 2,
            back_off_min_ms: 3,
            back_off_max_ms: 4,
            fork_interval_ms: 5,
            recycle_at_once: 6,
            reload_at_once: 8,
            age_max_ms: Some(7),
            ..GroupSettings::default()
        };
        assert_eq!((settings.event, settings.user.slots), (event, 0));
    }

    #[test]
    fn options_framing_is_one_that_the_framer_takes() {
        let raw = options(&[("framing", "raw"), ("receive_size", "100000")]);
        assert_eq!(framing(&raw), FramingConfig::Raw { max_length: 100_000 });
        let eof = options(&[
            ("framing", "eof"),
            ("package_eof", "12345678"),
            ("package_max_length", "64"),
        ]);
        let words = ["eof", "eof_at_end", "line", "length", "mqtt", "resp", "stream"];
        let all = words.map(|word| options(&[("framing", word), ("package_max_length", "64")]));
        for options in all.into_iter().chain([raw, eof, options(&[])]) {
            assert!(Framer::new(&framing(&options)).is_ok());
        }
    }

    #[test]
    fn options_dispatch_follows_the_framing_unless_it_is_set() {
        for (framing, dispatch) in [
            ("stream", Dispatch::SessionHash),
            ("raw", Dispatch::SessionHash),
            ("eof", Dispatch::IdleFirst),
        ] {
            assert_eq!(options(&[("framing", framing)]).dispatch_resolved(), dispatch);
            let set = options(&[("framing", framing), ("dispatch", "round_robin")]);
            assert_eq!(set.dispatch_resolved(), Dispatch::RoundRobin);
            let auto = options(&[("framing", framing), ("dispatch", "auto")]);
            assert_eq!(auto.dispatch_resolved(), dispatch);
        }
        assert_eq!(options(&[]).dispatch_resolved(), Dispatch::SessionHash);
    }

    #[test]
    fn options_memory_plan_adds_up() {
        let plan = options(&[("lane_size", "512K"), ("max_connections", "16384")]).memory_plan();
        let expected = "\
one lane         1 MiB  packages 512 KiB, output 512 KiB, answers 64 KiB
one worker     2.1 MiB  a lane to each of 2 reactors, and their words
all lanes      4.2 MiB  2 workers
board           12 MiB  the session table, for 16384 connections
budget          64 MiB  queues and bodies in the master
total         80.2 MiB  without kernel buffers and user code
reload         2.1 MiB  more for each worker that runs beside its successor
";
        assert_eq!(plan, expected);
    }

    #[test]
    fn options_session_table_has_room_for_every_connection_and_slack() {
        for (connections, reactors, entries) in
            [("16384", "2", 32_768), ("1", "1", 2_048), ("5000", "3", 16_384)]
        {
            let options = options(&[("max_connections", connections), ("reactors", reactors)]);
            assert_eq!(options.session_entries(), entries);
        }
    }
}
