//! Task workers: how many there are, and what they are given.

use crate::options::choices::Words as _;
use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::field;
use crate::options::size;
use crate::options::{JournalDamage, JournalSync, TaskCrash, TaskResultTo};

const TOPIC: &str = "Tasks";
const MIB: u64 = size::MIB as u64;
const DAY: u64 = 24 * 60 * 60 * 1_000;

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "task_workers",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: 1_024 },
        default: "0",
        unit: "processes",
        why: "0 = none: a server that hands over no tasks needs none. Each is a process with a \
              handler of its own.",
        effect: "Number of processes that run tasks (`Worker::task`), beside those that serve \
                 clients. They are supervised as those are, and follow them when the server is \
                 reloaded (S13).",
        access: field!(task_workers),
    },
    OptionInfo {
        name: "task_max_requests",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: 1_000_000_000_000 },
        default: "0",
        unit: "tasks",
        why: "0 = never: only code that leaks needs it.",
        effect: "Tasks after which a task worker asks to be replaced; above 10 the slots are \
                 spread over half as many again, as with `max_requests` (S29).",
        access: field!(task_max_requests),
    },
    OptionInfo {
        name: "task_queue_max",
        topic: TOPIC,
        kind: Kind::Integer { min: 1, max: 10_000_000 },
        default: "100000",
        unit: "tasks",
        why: "Minutes of work of most workers; who asks for more than is done has to hear of it. \
              Their payloads are charged to `memory_budget` besides.",
        effect: "Most tasks that wait, are delayed or in hand, over the whole server; who asks for \
                 one more is told that the queue is full.",
        access: field!(task_queue_max),
    },
    OptionInfo {
        name: "task_max_length",
        topic: TOPIC,
        kind: Kind::Bytes { min: 64, max: 64 * MIB },
        default: "2M",
        unit: "bytes",
        why: "As long as a package may be (`package_max_length`), which many tasks are made of.",
        effect: "Longest payload of a task, and longest result; a longer one is refused where it \
                 is asked.",
        access: field!(task_max_length),
    },
    OptionInfo {
        name: "task_crash_policy",
        topic: TOPIC,
        kind: Kind::Choice(TaskCrash::WORDS),
        default: "fail",
        unit: "",
        why: "Nothing runs twice unless somebody says that it may.",
        effect: "What becomes of a task whose worker died after it was started: its asker is told \
                 (`fail`), nobody is called back (`drop`; who waits for it waits no longer), or \
                 another worker runs it (`redeliver`), up to `task_attempts_max` times. With \
                 `redeliver` its results come exactly once, the execution may not. What no worker \
                 had started is run by another one anyway (S13).",
        access: field!(task_crash_policy),
    },
    OptionInfo {
        name: "task_attempts_max",
        topic: TOPIC,
        kind: Kind::Integer { min: 1, max: 100 },
        default: "3",
        unit: "attempts",
        why: "A task that kills every worker must end; more than 100 attempts only repeat the same \
              crash.",
        effect: "How often a task is started with `task_crash_policy = redeliver`, before it \
                 fails.",
        access: field!(task_attempts_max),
    },
    OptionInfo {
        name: "task_deadline_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: DAY },
        default: "0",
        unit: "milliseconds",
        why: "0 = never: tasks are what may take long.",
        effect: "The task worker that runs a task for so long is killed and replaced, also one \
                 that is stopped or blocks its signals; its stack is in the record of its death. \
                 The task is settled by `task_crash_policy`: its asker is told that it took too \
                 long, or it is run again, and has its time anew. A task worker that is stopped \
                 while it runs none is replaced after this time, too (P6).",
        access: field!(task_deadline_ms),
    },
    OptionInfo {
        name: "task_result_to",
        topic: TOPIC,
        kind: Kind::Choice(TaskResultTo::WORDS),
        default: "asker",
        unit: "",
        why: "Callbacks and what they hold have died with the asker, and most results mean nothing \
              without them.",
        effect: "Who hears of a task whose asker is dead: nobody (`asker`), or the next process of \
                 its slot (`successor`), in `on_finish` of the server's handler \
                 (`TaskResult::is_inherited`). What had been written for the dead one went with \
                 it.",
        access: field!(task_result_to),
    },
    OptionInfo {
        name: "task_journal",
        topic: TOPIC,
        kind: Kind::Path,
        default: "",
        unit: "",
        why: "Empty = none: tasks end with the server, and cost no disk.",
        effect: "File that keeps each task from before it is taken in until it is done, so that a \
                 server that starts with it runs what the one before it has left, however that \
                 ended. Made if it is not there; read and written by the master, as its user. Or \
                 `redis://[[user]:password@]host[:port][/database]`, with the feature `redis`: \
                 servers of one name run what those of them left that are dead (S13).",
        access: field!(task_journal),
    },
    OptionInfo {
        name: "task_journal_sync",
        topic: TOPIC,
        kind: Kind::Choice(JournalSync::WORDS),
        default: "always",
        unit: "",
        why: "What is kept survives the machine, unless somebody says that the server is enough.",
        effect: "When the disk is asked to have what was written to task_journal: before tasks are \
                 taken in, many at once (`always`), every task_journal_sync_ms (`timed`), or when \
                 the system does (`never`). A server that is killed loses nothing either way.",
        access: field!(task_journal_sync),
    },
    OptionInfo {
        name: "task_journal_sync_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 1, max: 60_000 },
        default: "100",
        unit: "milliseconds",
        why: "Few enough tasks to do them again by hand, and ten times a second is no load.",
        effect: "How often the disk is asked with `task_journal_sync = timed`: what a failure of \
                 the machine can lose.",
        access: field!(task_journal_sync_ms),
    },
    OptionInfo {
        name: "task_journal_backlog_max",
        topic: TOPIC,
        kind: Kind::Bytes { min: 64 * size::KIB as u64, max: 1_024 * MIB },
        default: "16M",
        unit: "bytes",
        why: "A disk that takes 100 MiB in a second needs a sixth of one; more only hides that it \
              is too slow.",
        effect: "Most bytes of tasks that wait to be written to task_journal; one more is refused, \
                 unless none waits.",
        access: field!(task_journal_backlog_max),
    },
    OptionInfo {
        name: "task_journal_damage",
        topic: TOPIC,
        kind: Kind::Choice(JournalDamage::WORDS),
        default: "refuse",
        unit: "",
        why: "Tasks that cannot be read are lost: somebody should know before the file changes.",
        effect: "What a server does whose task_journal has bytes that were spoilt: it does not \
                 start, and says where they are (`refuse`), or it starts with all tasks that can \
                 be read and leaves the file as it was beside the new one (`skip`).",
        access: field!(task_journal_damage),
    },
    OptionInfo {
        name: "task_journal_lease_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 1_000, max: DAY },
        default: "30000",
        unit: "milliseconds",
        why: "A server that is only slow, or that a network hides for a moment, has to be heard of \
              again before others run its tasks a second time.",
        effect: "With a Redis as task_journal: after how long a silence a server is dead, so that \
                 others of its name run what it has left. It is heard of at least \
                 four times as often.",
        access: field!(task_journal_lease_ms),
    },
];
