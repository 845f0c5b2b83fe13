//! Typed methods for what resources processes have, each of which may say another value for each
//! kind of process: `event`, `task`, `user`, `companion`.

use super::builder::ServerBuilder;

impl ServerBuilder {
    /// The processors on which processes run, one for each worker: `all` of those on which the
    /// server may run, or numbers.
    ///
    /// ```
    /// let builder = ostler::Server::builder().cpu_affinity("event:0-3 task:4,5");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn cpu_affinity(self, processors: &str) -> Self {
        self.set("cpu_affinity", processors)
    }

    /// How nice processes are, -20 to 19.
    ///
    /// ```
    /// let builder = ostler::Server::builder().nice("task:10");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn nice(self, niceness: &str) -> Self {
        self.set("nice", niceness)
    }

    /// How much sooner than by its memory a process is killed when the machine has none left, -1000
    /// to 1000; also for `master`, with manager and spare.
    ///
    /// ```
    /// let builder = ostler::Server::builder().oom_score_adjust("master:-500 event:300");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn oom_score_adjust(self, adjustments: &str) -> Self {
        self.set("oom_score_adjust", adjustments)
    }

    /// Most descriptors that a process has open, or `max`.
    ///
    /// ```
    /// let builder = ostler::Server::builder().limit_open_files("task:1024");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn limit_open_files(self, descriptors: &str) -> Self {
        self.set("limit_open_files", descriptors)
    }

    /// Largest core file of a process that dies, or `max`.
    ///
    /// ```
    /// let builder = ostler::Server::builder().limit_core_size("0");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn limit_core_size(self, bytes: &str) -> Self {
        self.set("limit_core_size", bytes)
    }

    /// Most bytes of addresses that a process maps, or `max`.
    ///
    /// ```
    /// let builder = ostler::Server::builder().limit_address_space("task:4G");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn limit_address_space(self, bytes: &str) -> Self {
        self.set("limit_address_space", bytes)
    }
}
