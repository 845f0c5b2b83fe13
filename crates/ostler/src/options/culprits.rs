//! Whether packages that kill workers are looked for.

use super::Options;

impl Options {
    /// Whether it matters which package has killed a worker.
    pub(crate) fn seeks_culprits(&self) -> bool {
        let ports = self.ports();
        let mut limits = ports.iter().map(|port| port.options.worker_deaths_per_address);
        !self.quarantine_dir.is_empty() || limits.any(|most| most > 0)
    }
}
