//! `docs/OPTIONS.md`, written from the table.

use std::fmt::Write as _;

use super::info::OptionInfo;
use super::{OptionKind, Options, table};

const HEAD: &str = "# Options

Written from the table in `crates/ostler/src/options/table`; do not edit (a test compares).
`OSTLER_BLESS=1 cargo test -p ostler options` writes it anew.

Sizes take units: `65536`, `64K` or `64KiB`, `64M` or `64MiB`, `1.5G` or `1.5GiB` (1024, 1024²,
1024³). Times do too: `100us`, `500ms`, `10s`, `1.5min`, `2h`, `1d`; without a unit the number
counts what the option's name ends with. A value outside of its limits is an error at start that
names the nearest valid value, all wrong options are told at once, and nothing is clamped in
silence. `S..` and `P..` are rows of [requirements.md](requirements.md).

An option *of* the server is there once. One of a *port* is there for each of them: set alone it is
that of every port that does not say it itself, `port.NAME.OPTION` sets it for one
([guide/ports.md](guide/ports.md)).

A new value takes effect, as *change* says, at the next start of the server (*restart*), or also at
the next reload of one with `start = exec` (*reload*), whose new workers read it anew
([guide/deploys.md](guide/deploys.md)). No option changes while the server runs; what files say that
options name (certificates) is read again at each reload.

Checked between options: `send_queue_low <= send_queue_high <= send_queue_max`;
`back_off_min_ms <= back_off_max_ms`; `package_max_length` and `max_send_bytes` fit into
`memory_budget`, which has 512K for each reactor; all lanes fit into `lane_memory`.
";

impl Options {
    /// The table as Markdown: the contents of `docs/OPTIONS.md`.
    #[must_use]
    pub fn table_markdown() -> String {
        let mut text = HEAD.to_owned();
        let mut topic = "";
        for info in table::rows() {
            if info.topic != topic {
                topic = info.topic;
                // Writing into a String cannot fail.
                let _ = write!(
                    text,
                    "\n## {topic}\n\n| option | of | values | default | change | what it does | \
                     why so |\n|---|---|---|---|---|---|---|\n"
                );
            }
            row(&mut text, info);
        }
        text
    }
}

fn row(text: &mut String, info: &OptionInfo) {
    let mut values = info.kind.describe();
    // Sizes and times show their units themselves.
    if matches!(info.kind, OptionKind::Integer { .. }) {
        values = format!("{values} {}", info.unit);
    }
    let default = match info.default {
        "" => "empty".to_owned(),
        // Words, not a value: it depends on the machine.
        words if words.contains(' ') => words.to_owned(),
        value => format!("`{value}`"),
    };
    let scope = if info.is_of_port() { "port" } else { "server" };
    let _ = writeln!(
        text,
        "| `{}` | {scope} | {values} | {default} | {} | {} | {} |",
        info.name,
        info.change().word(),
        info.effect,
        info.why
    );
}
