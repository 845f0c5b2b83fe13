//! The long proofs: what the README promises, counted from outside under load and faults, one table
//! at the end.
//!
//! Responsible for: scenarios over real release-built servers, each with targets that are met or
//! missed. A scenario ends its server in order, so its books, log, processes, port and files are
//! judged too. Must never: hang (every wait has a deadline), leave a process behind (servers are
//! leashed to this process), or hide a figure: what was measured is printed whether or not the
//! target was met.

mod base;
mod clients;
mod deaf_listeners;
mod deploys;
mod every_port;
mod flood;
mod idle;
mod idle_tls;
mod kill_close;
mod kill_manager;
mod kill_master;
mod kill_redeliver;
mod kill_tasks;
mod memory;
mod mostly_deaf;
mod non_readers;
mod reload;
mod sheet;
mod stage;
mod storm;
mod streams;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use ostler_testkit::{TestError, TestResult};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub(crate) use kill_redeliver::KILL_EVERY;
pub(crate) use reload::reload;
pub use sheet::{Row, Verdict, table};
pub(crate) use stage::{REDELIVER, Stage, WORKERS, endless, kit};

use crate::{Error, Result};
use sheet::Sheet;

type Scenario = fn(&Stage, &mut Sheet<'_>) -> TestResult;

const SCENARIOS: [(&str, Scenario); 28] = [
    ("reload", reload::run),
    ("reload-kill", reload::among_kills),
    ("deploys", deploys::run),
    ("kill-redeliver-echo", kill_redeliver::echo),
    ("kill-redeliver-2ms", kill_redeliver::two_ms),
    ("kill-close", kill_close::run),
    ("kill-master", kill_master::run),
    ("kill-master-other-ids", kill_master::other_ids),
    ("kill-manager", kill_manager::run),
    ("storm", storm::run),
    ("ports-reload", every_port::reloads),
    ("ports-kill", every_port::kills),
    ("ports-close", every_port::closes),
    ("ports-manager", every_port::managers),
    ("ports-master", every_port::masters),
    ("ports-deploys", every_port::deploys),
    ("base-kill", base::kills),
    ("base-reload", base::reloads),
    ("idle", idle::run),
    ("idle-tls", idle_tls::run),
    ("tls-flood", flood::run),
    ("non-readers", non_readers::run),
    ("deaf-listeners", deaf_listeners::run),
    ("mostly-deaf", mostly_deaf::run),
    ("streams", streams::run),
    ("tasks-redeliver", kill_tasks::redelivered),
    ("tasks-fail", kill_tasks::failed),
    ("tasks-askers", kill_tasks::deserted),
];

/// What to soak.
#[derive(Debug, Clone)]
pub struct SoakOptions {
    /// This program, which leashes the servers.
    pub bench: PathBuf,
    /// The instrument, built with `--release`.
    pub instrument: PathBuf,
    /// The directory with the example `chat`, built with `--release`.
    pub examples: PathBuf,
    /// Scenarios to run; empty means all.
    pub only: Vec<String>,
    /// A few seconds each, with smaller targets: to see that it works.
    pub quick: bool,
}

impl SoakOptions {
    /// Checks the names of the scenarios.
    pub fn validate(&self) -> Result<()> {
        let names = SCENARIOS.map(|(name, _)| name);
        match self.only.iter().find(|name| !names.contains(&name.as_str())) {
            Some(unknown) => Err(Error::usage(format!(
                "no scenario `{unknown}`; there are {}",
                names.join(", ")
            ))),
            None => Ok(()),
        }
    }
}

/// Runs the scenarios one after the other. `progress` gets every row as soon as it is known.
pub fn run(options: &SoakOptions, progress: &mut dyn Write) -> Result<Vec<Row>> {
    options.validate()?;
    raise_descriptor_limit()?;
    let stage = Stage::new(&options.bench, &options.instrument, &options.examples, options.quick);
    stage.check_programs()?;
    let mut sheet = Sheet::new(progress);
    for (name, scenario) in SCENARIOS {
        if options.only.is_empty() || options.only.iter().any(|wanted| wanted == name) {
            sheet.begin(name);
            // The kit panics where a process that must be there is not; the other scenarios shall
            // still run.
            let attempt = AssertUnwindSafe(|| scenario(&stage, &mut sheet));
            match catch_unwind(attempt) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => sheet.broke_off(&error),
                Err(_) => sheet.broke_off(&TestError::new("a panic, see above")),
            }
        }
    }
    Ok(sheet.into_rows())
}

/// Thousands of clients need descriptors, here and in the server, which inherits the limit.
fn raise_descriptor_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .map_err(Error::system("raise the limit of open files"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scenario_is_named() {
        let mut options = SoakOptions {
            bench: PathBuf::new(),
            instrument: PathBuf::new(),
            examples: PathBuf::new(),
            only: vec!["reload".to_owned(), "idle".to_owned()],
            quick: true,
        };
        options.validate().unwrap();
        options.only.push("tea".to_owned());
        let text = options.validate().unwrap_err().to_string();
        assert!(text.contains("`tea`") && text.contains("deaf-listeners"), "{text}");
    }
}
