//! Processes: how many there are, and how they are kept apart.

use crate::options::choices::Words as _;
use crate::options::info::{Kind, OptionInfo};
use crate::options::name::NAME_BYTES_MAX;
use crate::options::setting::field;
use crate::options::{Harden, KillOrphans, Mode, Start};

const TOPIC: &str = "Processes";

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "name",
        topic: TOPIC,
        kind: Kind::Name { bytes_max: NAME_BYTES_MAX },
        default: "",
        unit: "",
        why: "Several servers on one machine are told apart; the characters mean \
              nothing to `pkill -f`.",
        effect: "What the server is called in process titles (`ostler: master 127.0.0.1:9501 \
                 (chat)`) and in the log; empty = the name of the program's file.",
        access: field!(name),
    },
    OptionInfo {
        name: "mode",
        topic: TOPIC,
        kind: Kind::Choice(Mode::WORDS),
        default: "process",
        unit: "",
        why: "Connections that outlive their workers are what most servers want; `base` saves the \
              way between two processes where they need not.",
        effect: "Which process serves the clients: the master, or (`base`) each worker its own, \
                 which it accepts itself. In BASE mode connections end with their worker. \
                 Tasks and messages go through the master in either mode.",
        access: field!(mode),
    },
    OptionInfo {
        name: "start",
        topic: TOPIC,
        kind: Kind::Choice(Start::WORDS),
        default: "fork",
        unit: "",
        why: "A fork begins sooner and asks nothing of `main`; `exec` is for programs that are \
              deployed while clients are connected.",
        effect: "How a worker begins: as a fork of the program that was started, or (`exec`) by \
                 executing it, so that a reload puts the program into service that lies on disk \
                 then. What no reload has accepted replaces no worker that dies (P14, P42).",
        access: field!(start),
    },
    OptionInfo {
        name: "program",
        topic: TOPIC,
        kind: Kind::Path,
        default: "",
        unit: "",
        why: "The path by which a program was started follows a link that a deploy switches; \
              another one is needed only where that path says nothing, as under a loader.",
        effect: "The program that a reload with `start = exec` executes; empty = the path by \
                 which this one was started.",
        access: field!(program),
    },
    OptionInfo {
        name: "workers",
        topic: TOPIC,
        kind: Kind::Integer { min: 1, max: 1_024 },
        default: "number of CPUs, at most 256",
        unit: "processes",
        why: "A worker runs user code on one thread; 256 of them get lanes of the smallest size \
              from the default lane_memory, so that the default starts on any machine.",
        effect: "Number of event workers (slots).",
        access: field!(workers),
    },
    OptionInfo {
        name: "workers_min",
        topic: TOPIC,
        kind: Kind::Integer { min: 1, max: 1_024 },
        default: "1",
        unit: "processes",
        why: "One worker is enough to serve; a server that must bear the death of one without a \
              pause needs two.",
        effect: "Fewest event workers that `TTOU`, `Worker::set_workers` or a lack of work leaves.",
        access: field!(workers_min),
    },
    OptionInfo {
        name: "workers_max",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: 1_024 },
        default: "0",
        unit: "processes",
        why: "0 = `workers`: memory and descriptors are planned for so many, whether they are \
              there or not.",
        effect: "Most event workers that `TTIN`, `Worker::set_workers` or the waiting of clients \
                 (`workers_grow_after_ms`) can ask for while the server runs. In BASE mode the \
                 number is fixed.",
        access: field!(workers_max),
    },
    OptionInfo {
        name: "workers_grow_after_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 3_600_000 },
        default: "0",
        unit: "milliseconds",
        why: "0 = the number changes only when somebody asks for it: a program that was never run \
              with more workers should not meet them first under load.",
        effect: "When a client has waited so long for a worker, and at least 70 % of the workers \
                 are busy, there is one event worker more, up to `workers_max`, and the next one \
                 when that serves. Not in BASE mode; what datagrams wait is not looked at.",
        access: field!(workers_grow_after_ms),
    },
    OptionInfo {
        name: "workers_shrink_after_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 10, max: 86_400_000 },
        default: "60000",
        unit: "milliseconds",
        why: "Long enough that who comes once a minute finds the worker of before, and that the \
              mean of 60 looks says something.",
        effect: "With `workers_grow_after_ms`: when nobody has waited for so long, and the others \
                 would have been busy for at most 70 % of that time, there is one event worker \
                 less, down to `workers_min`.",
        access: field!(workers_shrink_after_ms),
    },
    OptionInfo {
        name: "reactors",
        topic: TOPIC,
        kind: Kind::Integer { min: 1, max: 64 },
        default: "half the number of CPUs, 1 to 8",
        unit: "threads",
        why: "A reactor only moves bytes and so serves several workers. On two CPUs one reactor \
            costs 1.08 times the CPU of a raw echo at 64 bytes and two cost 1.53 times, because \
            they sleep and wake more often (decision 25); each costs one more lane per worker.",
        effect: "Number of reactor threads in the master. In BASE mode there is one, for tasks and \
                 messages, if there is more than one process.",
        access: field!(reactors),
    },
    OptionInfo {
        name: "harden",
        topic: TOPIC,
        kind: Kind::Choice(Harden::WORDS),
        default: "master",
        unit: "",
        why: "A hostile worker of the same user could open the master's memory and sockets \
            through /proc. Workers \
              stay open, because they have the same code and the same sessions anyway, and their \
              author wants to \
              debug and profile them; `off` only to debug the master.",
        effect: "Which processes are not dumpable, that is, closed to others of the same user: \
            none, `master` (with \
                 manager and spare), or `all` (workers too, which then leave no core files and \
                 cannot be traced) (P72).",
        access: field!(harden),
    },
    OptionInfo {
        name: "kill_orphans",
        topic: TOPIC,
        kind: Kind::Choice(KillOrphans::WORDS),
        default: "end",
        unit: "",
        why: "A program that a handler started on purpose may have work to finish when its worker \
              is gone, or replaced; only whoever writes the handler knows.",
        effect: "When programs are ended that a process of the server has started and left \
                 behind: at the `end` of a server that ends in order, `always` when the server \
                 ends (also if its master is killed), or with the `worker` (as soon as the \
                 process that started them has ended, and always).",
        access: field!(kill_orphans),
    },
    OptionInfo {
        name: "sched_batch",
        topic: TOPIC,
        kind: Kind::Bool,
        default: "true",
        unit: "",
        why: "A woken worker otherwise preempts the reactor that woke it, which costs more than \
              the lane itself.",
        effect: "Runs workers, and the programs that they start, under SCHED_BATCH.",
        access: field!(sched_batch),
    },
    OptionInfo {
        name: "pid_file",
        topic: TOPIC,
        kind: Kind::Path,
        default: "",
        unit: "",
        why: "Empty = none: who starts a service knows its number. Scripts that do not need the \
              file.",
        effect: "File that has the number of the master while the server runs. It is locked: a \
                 second server with it does not start, one that was left by a crash is replaced, \
                 and what is no pid file is not touched. Removed at the end, if it is still the \
                 same file (P26).",
        access: field!(pid_file),
    },
    OptionInfo {
        name: "operator_socket",
        topic: TOPIC,
        kind: Kind::Path,
        default: "",
        unit: "",
        why: "Empty = none: signals and the log are enough for many, and who reaches the socket \
              can end the server.",
        effect: "Path of a unix socket, 107 bytes at most, at which the user of the server and \
                 root ask for its figures and order reloads, a new master, other numbers of \
                 workers, its end, and commands of its processes: a line for each request, a line \
                 of JSON for each answer (docs/guide/operators.md). A socket that was left by a \
                 crash gives way; a living one and any other file do not. Removed at the end.",
        access: field!(operator_socket),
    },
    OptionInfo {
        name: "daemonize",
        topic: TOPIC,
        kind: Kind::Bool,
        default: "false",
        unit: "",
        why: "Service managers and containers watch the process that they started. For scripts \
              that have neither.",
        effect: "The server goes to the background when it runs, in a session of its own and \
                 without a terminal; needs `log_file`, to which everything is written that is \
                 printed. The program that was started ends with 0 when the first worker serves, \
                 or with the reason and the exit code of a start that failed. The working \
                 directory stays.",
        access: field!(daemonize),
    },
];
