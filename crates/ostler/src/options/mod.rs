//! The options of a server: one table, from which parsing, limits, error texts and
//! `docs/OPTIONS.md` come.
//!
//! Responsible for: names, defaults, limits, the checks between options, sizes that follow from
//! options. Must never: touch the system (apart from counting CPUs, naming the program and
//! resolving the name in `listen`), or accept a value silently changed into another.
//!
//! To add an option: a field and its default in `fields.rs` (or `port_options.rs`, if each port has
//! its own value), a row in `table/` (with `field!` or `port_field!`), a method in
//! `api/setters.rs`, and `OSTLER_BLESS=1 cargo test -p ostler` to write the documentation anew.

mod addresses;
mod amount;
mod applicable;
mod base;
mod capabilities;
mod change;
mod choices;
mod cpus;
mod crash_policy;
mod culprits;
mod delimiter;
mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod groups;
mod info;
mod list;
mod markdown;
mod memory_plan;
mod messages;
mod name;
mod per_kind;
mod plan;
mod port_options;
mod ports;
mod proxies;
mod refusal;
mod setting;
mod size;
pub(crate) mod sources;
mod table;
mod tasks;
#[cfg(test)]
mod tests;
mod tls;
mod unix_mode;
mod url;
mod validate;

pub(crate) use capabilities::Capabilities;
pub use change::Change;
pub use choices::KillOrphans;
pub use choices::Sandbox;
pub use choices::SuccessionSessions;
pub use choices::{
    FramingKind, GroupOverflow, Harden, JournalDamage, JournalSync, LogFormat, LogLevel, Mode,
    SessionIds, Start, TaskCrash, TaskResultTo,
};
pub(crate) use cpus::Cpus;
pub use fields::Options;
pub use info::{OptionInfo, OptionKind};
pub use ostler_core::policy::{AnswerOrder, CrashPolicy, Dispatch};
pub(crate) use per_kind::{Limit, PerKind};
pub(crate) use port_options::PortOptions;
pub(crate) use ports::{FIRST_PORT, PortPlan};
pub(crate) use proxies::Proxies;
pub use proxies::ProxyProtocol;
pub use refusal::Refusal;
pub(crate) use setting::{Spell, spell_bytes};
pub use tls::{ClientAuth, TlsVersion, UnknownName};
#[cfg(feature = "tls")]
pub(crate) use tls::{TlsPair, TlsSettings};
pub(crate) use unix_mode::UnixMode;
pub(crate) use url::{HostPort, ListenUrl, UNIX_PATH_BYTES_MAX};

use ostler_core::ids::PortId;

use crate::error::{Error, Result};
use ports::PortOption;
use setting::Access;

impl Options {
    /// Every option, in the order of the documentation.
    #[must_use]
    pub fn table() -> &'static [OptionInfo] {
        table::rows()
    }

    /// Gives the option `name` the value that `value` spells. An option that each port has for
    /// itself is set for all ports that do not say it, and for one with `port.NAME.` in front:
    /// `port.admin.framing`. A port begins with the first of its options.
    ///
    /// # Errors
    ///
    /// [`Error::is_option`] if there is no such option (the text suggests the nearest name) or the
    /// value is none of its values (the text names the nearest valid one). The options are then
    /// unchanged.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let wrong = |problem| {
            let (name, value) = (shown(name), shown(value));
            Error::option(format!("option `{name}` cannot be `{value}`: {problem}"))
        };
        if let Some(rest) = name.strip_prefix(ports::PREFIX) {
            let option = PortOption::parse(rest).map_err(Error::option)?;
            return self.set_of_port(option, value).map_err(wrong);
        }
        let info = table::find(name).ok_or_else(|| unknown(name))?;
        match info.access {
            Access::Server(field) => (field.set)(self, info.kind, value),
            Access::Port(field) => self.set_of_ports(info, field, value),
        }
        .map_err(wrong)
    }

    /// The value of the option `name`, spelled so that [`Options::set`] reads it back; `None` if
    /// there is no such option.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        if let Some(rest) = name.strip_prefix(ports::PREFIX) {
            return self.get_of_port(PortOption::parse(rest).ok()?);
        }
        let info = table::find(name)?;
        Some(match info.access {
            Access::Server(field) => (field.get)(self),
            Access::Port(field) if info.name == ports::LISTEN => {
                (field.get)(self.ports().get(PortId::FIRST).options)
            }
            Access::Port(field) => (field.get)(&self.port),
        })
    }
}

fn unknown(name: &str) -> Error {
    let shown = shown(name);
    match nearest(name) {
        Some(near) => {
            Error::option(format!("there is no option `{shown}`: did you mean `{near}`?"))
        }
        None => Error::option(format!(
            "there is no option `{shown}`: docs/OPTIONS.md lists all of them"
        )),
    }
}

/// The option whose name is nearest to `name`, if one is near enough to be meant.
fn nearest(name: &str) -> Option<&'static str> {
    let wanted = name.trim().to_ascii_lowercase().replace(['-', ' '], "_");
    nearest_of(&wanted, table::rows().iter().map(|info| info.name))
}

/// The word that is nearest to `wanted`, if one is near enough to be meant.
pub(crate) fn nearest_of(
    wanted: &str,
    words: impl IntoIterator<Item = &'static str>,
) -> Option<&'static str> {
    // Distances cost the product of both lengths: a name that long is no slip of the finger.
    const NAME_BYTES_MAX: usize = 64;
    if wanted.len() > NAME_BYTES_MAX {
        return None;
    }
    words
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(wanted, word), word))
        .min()
        .filter(|(distance, near)| *distance <= near.len() / 3 + 1)
        .map(|(_, near)| near)
}

/// `value` as an error text shows it: on one line, without control characters, not endless.
fn shown(value: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    let mut text: String =
        value.chars().take(CHARACTERS_MAX).flat_map(char::escape_debug).collect();
    if value.chars().nth(CHARACTERS_MAX).is_some() {
        text.push('…');
    }
    text
}

/// `text` as it is, but for control characters, which would end its line.
pub(crate) fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for sign in text.chars() {
        if sign.is_control() {
            line.extend(sign.escape_default());
        } else {
            line.push(sign);
        }
    }
    line
}

/// The name of this program's file, for help and process titles.
pub(crate) fn program_name() -> String {
    let file = std::env::current_exe().ok();
    let name = file.as_deref().and_then(std::path::Path::file_name);
    name.map_or_else(|| "server".to_owned(), |name| name.to_string_lossy().into_owned())
}
