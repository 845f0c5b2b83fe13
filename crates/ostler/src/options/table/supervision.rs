//! Supervision: starting, replacing and ending workers.

use crate::options::SuccessionSessions;
use crate::options::choices::Words as _;
use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::field;

const TOPIC: &str = "Supervision";

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "drain_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 86_400_000 },
        default: "10000",
        unit: "milliseconds",
        why: "Requests are expected to end within seconds; raise it for long ones, up to a day.",
        effect: "How long a leaving worker may finish what it has in hand before it is killed \
                 (S18, P8).",
        access: field!(drain_timeout_ms),
    },
    OptionInfo {
        name: "shutdown_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 86_400_000 },
        default: "10000",
        unit: "milliseconds",
        why: "Below the 90 seconds after which systemd kills, with a margin.",
        effect: "How long a shutdown may take to finish and flush before everything ends (S18).",
        access: field!(shutdown_timeout_ms),
    },
    OptionInfo {
        name: "succession_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 2_592_000_000 },
        default: "3600000",
        unit: "milliseconds",
        why: "Two servers hold memory meanwhile, and one of them runs old code. 0 = no limit, for \
              clients that stay for days and cannot come again.",
        effect: "How long a master serves its sessions after a new one has taken its place \
                 (`USR2`); what is left then is drained as at a shutdown (P24).",
        access: field!(succession_timeout_ms),
    },
    OptionInfo {
        name: "succession_sessions",
        topic: TOPIC,
        kind: Kind::Choice(SuccessionSessions::WORDS),
        default: "hand_over",
        unit: "",
        why: "Clients get the new code at once, and the old master need not stay for them. `drain` \
              where programs keep something of a session in a worker that must outlive this.",
        effect: "Whether sessions of plain connections go to a new master (`USR2`) as soon as they \
                 are at rest, or stay with the old one to their end. In the new master: whether it \
                 takes them.",
        access: field!(succession_sessions),
    },
    OptionInfo {
        name: "boot_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 1, max: 3_600_000 },
        default: "30000",
        unit: "milliseconds",
        why: "Loading a large application takes seconds; a worker that hangs at start must not \
              hang a reload.",
        effect: "How long a worker may take to become ready before it is killed (P14).",
        access: field!(boot_timeout_ms),
    },
    OptionInfo {
        name: "slot_down_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 3_600_000 },
        default: "1000",
        unit: "milliseconds",
        why: "A restart takes far less; clients should not wait for a slot that does not come \
              back. Raise it where workers need longer to boot.",
        effect: "How long a session hashed to a slot without a worker waits before it is hashed \
              over the others; without any worker, how long clients wait before those that ask for \
              something are closed (`closed_no_worker`).",
        access: field!(slot_down_ms),
    },
    OptionInfo {
        name: "back_off_min_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 1, max: 3_600_000 },
        default: "100",
        unit: "milliseconds",
        why: "Short enough that a single bad start is hardly noticed.",
        effect: "Pause after the first boot failure of a slot; it doubles with each further one \
              (P18).",
        access: field!(back_off_min_ms),
    },
    OptionInfo {
        name: "back_off_max_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 1, max: 3_600_000 },
        default: "30000",
        unit: "milliseconds",
        why: "A repaired application is serving again within half a minute.",
        effect: "Longest pause between boot attempts of a slot (P18).",
        access: field!(back_off_max_ms),
    },
    OptionInfo {
        name: "fork_interval_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 60_000 },
        default: "50",
        unit: "milliseconds",
        why: "A worker that dies with every request must not turn the machine into a fork loop.",
        effect: "Least time between two forks for one slot (P18).",
        access: field!(fork_interval_ms),
    },
    OptionInfo {
        name: "max_requests",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: 1_000_000_000_000 },
        default: "0",
        unit: "deliveries",
        why: "0 = never: only code that leaks needs it.",
        effect: "Deliveries after which a worker asks to be replaced; above 10 the slots are \
              spread over half as many again, so that they do not leave together (S29, S44, P13, \
              P43).",
        access: field!(max_requests),
    },
    OptionInfo {
        name: "worker_age_max_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 31_536_000_000 },
        default: "0",
        unit: "milliseconds",
        why: "0 = never: only code that degrades with time needs it.",
        effect: "How long a worker may serve before it is replaced, successor first; slot *i* of \
                 *n* is replaced *i* / 2*n* of that earlier, so that workers that started \
                 together do not leave together (S29).",
        access: field!(worker_age_max_ms),
    },
    OptionInfo {
        name: "worker_idle_max_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 31_536_000_000 },
        default: "0",
        unit: "milliseconds",
        why: "0 = never: what a worker holds is worth keeping until somebody says otherwise.",
        effect: "How long a worker that has served may be without a delivery before it is replaced \
                 by a fresh one, which gives back what it holds. Deferred deliveries, keep-alive \
                 tokens and one-shot timers count as work.",
        access: field!(worker_idle_max_ms),
    },
    OptionInfo {
        name: "worker_memory_soft_max",
        topic: TOPIC,
        kind: Kind::Bytes { min: 0, max: 1 << 44 },
        default: "0",
        unit: "bytes",
        why: "0 = no limit: what is normal differs from program to program.",
        effect: "Memory of its own above which a worker that has served is replaced after what it \
                 has in hand, successor first. Own memory is what its end would give back: private \
                 pages and swap, not what it shares; it is looked at once a second (P43).",
        access: field!(worker_memory_soft_max),
    },
    OptionInfo {
        name: "worker_memory_hard_max",
        topic: TOPIC,
        kind: Kind::Bytes { min: 0, max: 1 << 44 },
        default: "0",
        unit: "bytes",
        why: "0 = no limit. One worker is better lost than the whole machine; a program that grows \
              faster than once a second shows needs a limit of the kernel's (a cgroup) besides.",
        effect: "Memory of its own above which a worker is killed, with a record of its death; \
                 `crash_policy` settles what it had in hand.",
        access: field!(worker_memory_hard_max),
    },
    OptionInfo {
        name: "recycle_at_once",
        topic: TOPIC,
        kind: Kind::Integer { min: 1, max: 1_024 },
        default: "1",
        unit: "workers",
        why: "Recycling costs a boot each; one at a time keeps the CPU for requests.",
        effect: "Most workers that are recycled at the same time, whatever the reason: requests, \
                 age, idleness, memory, their own wish.",
        access: field!(recycle_at_once),
    },
    OptionInfo {
        name: "reload_parallel",
        topic: TOPIC,
        kind: Kind::Integer { min: 1, max: 1_024 },
        default: "1",
        unit: "workers",
        why: "One after another costs the CPU of one boot at a time and stops at the first that \
              fails; with many workers that take long to start, more at once is sooner done. The \
              first is always alone: it proves the new code.",
        effect: "Most workers that a reload replaces at the same time, once the first new one \
                 serves.",
        access: field!(reload_parallel),
    },
];
