//! Task workers: how many there are, and what they are given.

use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::field;

const TOPIC: &str = "Tasks";

pub(super) const ROWS: &[OptionInfo] = &[OptionInfo {
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
}];
