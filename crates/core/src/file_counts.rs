//! What became of files that workers sent.

/// How many there were. Not part of the balance of the books, which counts packages.
///
/// What was taken and is neither sent nor failed was dropped with its session; its bytes count as
/// dropped output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileCounts {
    /// They stood in the queue of a session.
    pub taken: u64,
    /// They were written to their end.
    pub sent: u64,
    /// They were shorter than when they were sent, or could not be read.
    pub failed: u64,
    /// There was no descriptor for them, or `sendfile_max` of them waited.
    pub refused: u64,
    /// How often one was looked at and the disk had not read what was next.
    pub disk_waits: u64,
}

impl FileCounts {
    /// Calls `visit` with each counter, always in the same order.
    pub fn visit(&mut self, visit: &mut (impl FnMut(&mut u64) + ?Sized)) {
        let Self { taken, sent, failed, refused, disk_waits } = self;
        [taken, sent, failed, refused, disk_waits].into_iter().for_each(visit);
    }

    /// Adds the counters of another thread.
    pub const fn add(&mut self, other: &Self) {
        self.taken += other.taken;
        self.sent += other.sent;
        self.failed += other.failed;
        self.refused += other.refused;
        self.disk_waits += other.disk_waits;
    }
}
