//! A load run on a thread of its own, beside the scenario that disturbs the server.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::client::run;
use super::options::LoadOptions;
use super::progress::{Observer, Progress};
use super::report::LoadReport;
use crate::{Error, Result};

/// A running load. Dropped, it stops and is waited for.
#[derive(Debug)]
pub struct LoadThread {
    progress: Arc<Progress>,
    thread: Option<JoinHandle<Result<LoadReport>>>,
}

impl LoadThread {
    /// Starts the load.
    pub fn spawn(options: LoadOptions) -> Result<Self> {
        Self::spawn_observed(options, ())
    }

    /// Starts the load with an observer, which is called on the load's thread.
    pub fn spawn_observed(
        options: LoadOptions,
        mut observer: impl Observer + Send + 'static,
    ) -> Result<Self> {
        options.validate()?;
        let progress = Arc::new(Progress::default());
        let shared = Arc::clone(&progress);
        let thread = std::thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || run(&options, &shared, &mut observer))
            .map_err(Error::system("start the load thread"))?;
        Ok(Self { progress, thread: Some(thread) })
    }

    /// Live counts.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether the load has ended by itself.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the load to end by itself.
    pub fn join(mut self) -> Result<LoadReport> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Err(Error::usage("the load was joined already")),
        }
    }

    /// Stops the load, waits for the replies in flight, and returns the report.
    pub fn stop(self) -> Result<LoadReport> {
        self.progress.stop();
        self.join()
    }
}

impl Drop for LoadThread {
    fn drop(&mut self) {
        self.progress.stop();
        if let Some(thread) = self.thread.take() {
            // Nobody is left to tell.
            _ = thread.join();
        }
    }
}
