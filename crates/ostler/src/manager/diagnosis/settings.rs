//! What of workers is told, and where.

use ostler_core::Millis;
use ostler_core::request_deadline::RequestDeadlines;

use crate::error::Result;
use crate::log::RecordFile;
use crate::options::{LogFormat, Mode, Options};

/// What is to be told, and where.
#[derive(Clone, Debug)]
pub(crate) struct DiagnosisSettings {
    /// A callback that runs for so long is slow; `None`: none is.
    pub(super) slow_after_ms: Option<Millis>,
    /// Where that is told; `None`: in the log.
    pub(super) slow_file: Option<RecordFile>,
    /// Where deaths are told besides the log.
    pub(super) death_file: Option<RecordFile>,
    /// How long handlers may take, for each port by number.
    pub(super) deadlines: Vec<RequestDeadlines>,
    /// How long tasks may take.
    pub(super) of_tasks: RequestDeadlines,
    /// The names of the ports, by number.
    pub(super) port_names: Vec<String>,
    /// Whether packages that kill workers are looked for.
    pub(in crate::manager) seeks_culprits: bool,
    /// Whether the sessions of all workers stand in one table.
    pub(super) has_board: bool,
}

impl DiagnosisSettings {
    /// Whether the files that the options name could be made or appended to.
    ///
    /// # Errors
    ///
    /// `is_option`, if not.
    pub(crate) fn check(options: &Options) -> Result<()> {
        RecordFile::check("request_slowlog_file", &options.request_slowlog_file)?;
        RecordFile::check("death_log_file", &options.death_log_file)
    }

    /// What the options say; makes the files that they name.
    ///
    /// # Errors
    ///
    /// `is_option`, if such a file cannot be appended to.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let (slow, format) = (&options.request_slowlog_file, options.log_format);
        let deaths = &options.death_log_file;
        Ok(Self {
            slow_after_ms: Some(options.request_slowlog_timeout_ms).filter(|ms| *ms > 0),
            slow_file: RecordFile::open("request_slowlog_file", slow, format)?,
            death_file: RecordFile::open("death_log_file", deaths, LogFormat::Json)?,
            deadlines: options
                .ports()
                .iter()
                .map(|port| port.options.request_deadlines())
                .collect(),
            of_tasks: options.task_deadlines(),
            port_names: options.ports().iter().map(|port| port.name.to_owned()).collect(),
            seeks_culprits: options.seeks_culprits(),
            has_board: options.mode == Mode::Process,
        })
    }
}
