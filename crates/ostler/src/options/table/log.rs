//! Log: what is written, and where.

use crate::options::choices::Words as _;
use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::field;
use crate::options::{LogFormat, LogLevel};

const TOPIC: &str = "Log";

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "log_level",
        topic: TOPIC,
        kind: Kind::Choice(LogLevel::WORDS),
        default: "info",
        unit: "",
        why: "A line for each event that an operator asks for afterwards: start, worker, reload, \
            death, \
              end; nothing per client.",
        effect: "Least important level that is written.",
        access: field!(log_level),
    },
    OptionInfo {
        name: "log_file",
        topic: TOPIC,
        kind: Kind::Path,
        default: "",
        unit: "",
        why: "Supervisors such as systemd collect standard error.",
        effect: "File to append the log to; empty = standard error. Whoever rotates it renames \
            it, and then makes the new one (`create` of logrotate) or sends HUP to the master: \
            every process goes on in the new file with its next line.",
        access: field!(log_file),
    },
    OptionInfo {
        name: "log_format",
        topic: TOPIC,
        kind: Kind::Choice(LogFormat::WORDS),
        default: "text",
        unit: "",
        why: "People read it first; collectors read json.",
        effect: "Form of the lines: text (local time with its offset from UTC, level, process, \
            message, \
                 fields; coloured on a terminal unless NO_COLOR is set), json (an object each), or \
                 journald (text without time, behind the priority that systemd's journal reads).",
        access: field!(log_format),
    },
];
