//! The table of all options: one row each, in one file per topic.
//!
//! A row gives limits and default, why they are so, and what the option does. `S..` and `P..` name
//! the rows of the requirements that it answers.

mod deadlines;
mod diagnosis;
mod lanes;
mod limits;
mod log;
mod messages;
mod network;
mod packages;
mod privileges;
mod processes;
mod requests;
mod resources;
mod sending;
mod sockets;
mod supervision;
mod tasks;
mod tls;
mod tracing;

use std::sync::LazyLock;

use super::info::OptionInfo;

static ROWS: LazyLock<Vec<OptionInfo>> = LazyLock::new(|| {
    let topics = [
        network::ROWS,
        sockets::ROWS,
        tls::ROWS,
        processes::ROWS,
        privileges::ROWS,
        resources::ROWS,
        lanes::ROWS,
        packages::ROWS,
        sending::ROWS,
        deadlines::ROWS,
        requests::ROWS,
        limits::ROWS,
        supervision::ROWS,
        tasks::ROWS,
        messages::ROWS,
        log::ROWS,
        tracing::ROWS,
        diagnosis::ROWS,
    ];
    topics.concat()
});

/// Every row, in the order of the documentation.
pub(super) fn rows() -> &'static [OptionInfo] {
    &ROWS
}

/// The row of the option `name`.
pub(super) fn find(name: &str) -> Option<&'static OptionInfo> {
    rows().iter().find(|info| info.name == name)
}
