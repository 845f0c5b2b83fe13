//! Log: what is written, and where.

use crate::options::LogLevel;
use crate::options::choices::Words as _;
use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::field;

const TOPIC: &str = "Log";

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "log_level",
        topic: TOPIC,
        kind: Kind::Choice(LogLevel::WORDS),
        default: "warn",
        unit: "",
        why: "A healthy server is silent.",
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
        effect: "File to append the log to; empty = standard error.",
        access: field!(log_file),
    },
];
