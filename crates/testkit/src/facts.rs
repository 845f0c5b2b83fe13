//! What `/proc` tells about one process: names, descriptors, mappings, memory, time.

use std::fs;

use crate::error::{TestError, TestResult};
use crate::process::Process;
use crate::procfs;

impl Process {
    fn read(&self, file: &str) -> TestResult<String> {
        let text = fs::read(format!("/proc/{}/{file}", self.pid()))
            .map_err(|error| TestError::new(format!("cannot read {file} of {self}: {error}")))?;
        // Read first, then asked who it was: a number that was reused meanwhile is noticed.
        self.stat()?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Its present name (`/proc/PID/comm`).
    ///
    /// # Errors
    /// When it is gone.
    pub fn comm(&self) -> TestResult<String> {
        Ok(self.stat()?.comm)
    }

    /// Its argument list.
    ///
    /// # Errors
    /// When it is gone.
    pub fn cmdline(&self) -> TestResult<Vec<String>> {
        let text = self.read("cmdline")?;
        Ok(text.split_terminator('\0').map(str::to_owned).collect())
    }

    /// The number of its parent.
    ///
    /// # Errors
    /// When it is gone.
    pub fn parent(&self) -> TestResult<u32> {
        Ok(self.stat()?.parent)
    }

    /// How many descriptors it has open.
    ///
    /// # Errors
    /// When it is gone.
    pub fn fd_count(&self) -> TestResult<usize> {
        Ok(self.fds()?.len())
    }

    /// What its descriptors point to, ordered by descriptor: `socket:[123]`, `/memfd:lane
    /// (deleted)`, ...
    ///
    /// # Errors
    /// When it is gone.
    pub fn fds(&self) -> TestResult<Vec<String>> {
        let links = procfs::links_of_descriptors(self.pid());
        self.stat()?;
        Ok(links.into_iter().map(|(_, target)| target).collect())
    }

    /// Its memory mappings, one line each as in `/proc/PID/maps`.
    ///
    /// # Errors
    /// When it is gone.
    pub fn maps(&self) -> TestResult<Vec<String>> {
        Ok(self.read("maps")?.lines().map(str::to_owned).collect())
    }

    /// Its proportional share of memory: private pages in full, shared pages divided by the number
    /// of sharers.
    ///
    /// # Errors
    /// When it is gone or the kernel has no `smaps_rollup`.
    pub fn pss_bytes(&self) -> TestResult<u64> {
        let text = self.read("smaps_rollup")?;
        procfs::labelled_number(&text, "Pss")
            .map(|kib| kib * 1024)
            .ok_or_else(|| TestError::new(format!("smaps_rollup of {self} has no Pss line")))
    }

    /// The names of its threads; the length of the list is their number.
    ///
    /// # Errors
    /// When it is gone.
    pub fn threads(&self) -> TestResult<Vec<String>> {
        Ok(self.per_thread("comm")?.into_iter().map(|name| name.trim_end().to_owned()).collect())
    }

    /// How often its threads went to sleep of their own will, summed over the threads now alive. An
    /// idle process does not move this number.
    ///
    /// # Errors
    /// When it is gone.
    pub fn voluntary_context_switches(&self) -> TestResult<u64> {
        let each = self.per_thread("status")?;
        Ok(each
            .iter()
            .filter_map(|text| procfs::labelled_number(text, "voluntary_ctxt_switches"))
            .sum())
    }

    /// Processor time in nanoseconds, summed over the threads now alive (`schedstat`, first field).
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu_ns(&self) -> TestResult<u64> {
        let each = self.per_thread("schedstat")?;
        Ok(each.iter().filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// Reads one file of each thread; a thread that ends meanwhile is left out.
    fn per_thread(&self, file: &str) -> TestResult<Vec<String>> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).map_err(|error| {
            TestError::new(format!("cannot list the threads of {self}: {error}"))
        })?;
        let texts = tasks
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join(file)).ok())
            .collect();
        self.stat()?;
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Process {
        Process::hold(&procfs::stat(std::process::id()).unwrap()).unwrap()
    }

    #[test]
    fn this_process_can_be_described() {
        let me = me();
        assert!(me.is_alive());
        assert_eq!(me.cmdline().unwrap(), std::env::args().collect::<Vec<_>>());
        assert!(me.fd_count().unwrap() >= 3);
        assert!(me.maps().unwrap().iter().any(|line| line.ends_with("[stack]")));
        assert!(me.pss_bytes().unwrap() > 4096);
        assert!(!me.threads().unwrap().is_empty());
        assert!(me.cpu_ns().unwrap() > 0);
    }

    #[test]
    fn going_to_sleep_is_counted() {
        let me = me();
        let before = me.voluntary_context_switches().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(me.voluntary_context_switches().unwrap() > before);
    }
}
