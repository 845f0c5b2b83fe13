//! Resources: where and how eagerly processes run, and how much each of them may take.

use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::field;

const TOPIC: &str = "Resources";

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "cpu_affinity",
        topic: TOPIC,
        kind: Kind::PerKind { of: &Kind::Cpus, has_master: false },
        default: "",
        unit: "",
        why: "Empty = the kernel moves processes to where there is time, which is better for most; \
              for machines on which some processors are kept for this server.",
        effect: "Event and task workers run on one of these processors each, in turn, slot by \
                 slot, user processes and the companion on all of them. `all` are those on which \
                 the server may run; naming another one is an error at the start (S25).",
        access: field!(cpu_affinity),
    },
    OptionInfo {
        name: "nice",
        topic: TOPIC,
        kind: Kind::PerKind { of: &Kind::Signed { min: -20, max: 19 }, has_master: false },
        default: "",
        unit: "",
        why: "Empty = as the server. `task:10` keeps tasks from taking the time of requests.",
        effect: "How nice processes are, and the programs that they start. Less nice than the \
                 server they can only be with `CAP_SYS_NICE`, which is an error at the start \
                 without.",
        access: field!(nice),
    },
    OptionInfo {
        name: "oom_score_adjust",
        topic: TOPIC,
        kind: Kind::PerKind { of: &Kind::Signed { min: -1_000, max: 1_000 }, has_master: true },
        default: "",
        unit: "",
        why: "Empty = as the server. `master:-500 event:300` has the kernel end a worker, which is \
              replaced, rather than the process that has the connections.",
        effect: "What the kernel adds to the score by which it chooses whom to kill when memory is \
                 out (-1000 = never this one). `master` is also manager and spare; if nothing is \
                 said of a kind it has what the program had. Below that only with \
                 `CAP_SYS_RESOURCE`, which is an error at the start without.",
        access: field!(oom_score_adjust),
    },
    OptionInfo {
        name: "limit_open_files",
        topic: TOPIC,
        kind: Kind::PerKind { of: &Kind::Integer { min: 64, max: 1 << 30 }, has_master: false },
        default: "",
        unit: "",
        why: "Empty = as the server, which raises its own limit as far as it may. 1024 for code \
              that uses `select`; 64 are what a small worker begins with.",
        effect: "Most descriptors that a process has open, it and the programs that it starts \
                 (RLIMIT_NOFILE, soft and hard). `max` is the hard limit of the server; above it \
                 only with `CAP_SYS_RESOURCE`, which is an error at the start without. Not for \
                 event workers in BASE mode, which have the clients.",
        access: field!(limit_open_files),
    },
    OptionInfo {
        name: "limit_core_size",
        topic: TOPIC,
        kind: Kind::PerKind { of: &Kind::Bytes { min: 0, max: 1 << 44 }, has_master: false },
        default: "",
        unit: "",
        why: "Empty = as the server. `0` where memory has secrets, `max` to look at a crash.",
        effect: "Largest core file of a process that dies (RLIMIT_CORE, soft and hard); 0 = none. \
                 `max` is the hard limit of the server; above it only with `CAP_SYS_RESOURCE`, \
                 which is an error at the start without.",
        access: field!(limit_core_size),
    },
    OptionInfo {
        name: "limit_address_space",
        topic: TOPIC,
        kind: Kind::PerKind { of: &Kind::Bytes { min: 64 << 20, max: 1 << 44 }, has_master: false },
        default: "",
        unit: "",
        why: "Empty = as the server. It also counts what is mapped and not used, so it is far \
              above what a process needs; `worker_memory_hard_max` looks at what is used.",
        effect: "Most bytes of addresses that a process maps, with lanes, the table of sessions \
                 and the program itself (RLIMIT_AS, soft and hard): what asks for more gets no \
                 memory, and a program of Rust aborts. `max` is the hard limit of the server.",
        access: field!(limit_address_space),
    },
];
