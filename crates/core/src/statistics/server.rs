//! What the master knows of the life of its server.

/// Numbers that the master's main thread writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerFigures {
    /// When the server was started, milliseconds since 1970.
    pub started_at_ms: u64,
    /// The number of its master's process.
    pub master_pid: u64,
    /// That of its manager.
    pub manager_pid: u64,
    /// Event workers that there are to be now.
    pub workers: u64,
    /// Task workers that there are to be.
    pub task_workers: u64,
    /// User processes that the program has named.
    pub user_processes: u64,
    /// Reactors, each with its books; in BASE mode 0, where each process has one.
    pub reactors: u64,
    /// The most connections at once.
    pub max_connections: u64,
    /// The memory budget, bytes.
    pub budget_bytes: u64,
    /// Processes that were started, of every kind.
    pub processes_started: u64,
    /// Processes that ended although nobody had asked them to.
    pub deaths: u64,
    /// Those of them that handled events of clients.
    pub worker_deaths: u64,
    /// Managers that were lost.
    pub manager_deaths: u64,
    /// Reloads that have begun.
    pub reloads_begun: u64,
    /// Reloads after which every worker was new.
    pub reloads_done: u64,
    /// Reloads that were not done: the new code did not start, or the server ended.
    pub reloads_failed: u64,
    /// Turns of reactors that took longer than `reactor_slowlog_timeout_ms`.
    pub reactor_lags: u64,
}

impl ServerFigures {
    /// Calls `visit` with each number, always in the same order.
    pub fn visit(&mut self, visit: &mut (impl FnMut(&mut u64) + ?Sized)) {
        // No `..`: who adds a number is told by the compiler.
        let Self {
            started_at_ms,
            master_pid,
            manager_pid,
            workers,
            task_workers,
            user_processes,
            reactors,
            max_connections,
            budget_bytes,
            processes_started,
            deaths,
            worker_deaths,
            manager_deaths,
            reloads_begun,
            reloads_done,
            reloads_failed,
            reactor_lags,
        } = self;
        let who = [started_at_ms, master_pid, manager_pid, workers, task_workers, user_processes];
        let limits = [reactors, max_connections, budget_bytes];
        let lives = [processes_started, deaths, worker_deaths, manager_deaths];
        let reloads = [reloads_begun, reloads_done, reloads_failed];
        let all = who.into_iter().chain(limits).chain(lives).chain(reloads);
        all.chain([reactor_lags]).for_each(visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_visited_once() {
        let (mut figures, mut next) = (ServerFigures::default(), 1..);
        figures.visit(&mut |number| *number = next.next().unwrap());
        let text = format!("{figures:?}");
        let words = text.split(|letter: char| !letter.is_ascii_digit());
        let mut seen: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (1..next.next().unwrap()).collect::<Vec<_>>());
    }
}
