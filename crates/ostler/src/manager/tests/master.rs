//! A master for tests: single-threaded, with eventfds in place of lane memory.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use ostler_core::ids::ProcessKey;
use ostler_core::supervisor::{Exit, GroupSettings, Settings};

use super::worker::COMMAND_BASE;
use crate::control::{DeathNotice, Received, ToManager, ToMaster};
use crate::inheritance::{Attributes, EndsKind, Privileges, ProcessMain, Resources};
use crate::manager::diagnosis::DiagnosisSettings;
use crate::manager::{ManagerHandle, ManagerSetup, MemoryLimits, fork_managers};
use crate::options::{Harden, KillOrphans, Options};
use crate::statistics::roster;
use crate::sys::pidfd::PidFd;
use crate::sys::process::{self, ProcessId};
use crate::sys::process_name::Instance;
use crate::sys::{eventfd, orphans, poll, signal};

const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn settings(workers: u16) -> GroupSettings {
    GroupSettings { slots: workers, drain_timeout_ms: 5_000, ..GroupSettings::default() }
}

pub(super) struct TestMaster {
    pub(super) manager: ManagerHandle,
    pub(super) spare: Option<ManagerHandle>,
    /// All messages but Need, Spare and Spawned, in order.
    pub(super) heard: Vec<ToMaster>,
    pub(super) workers: HashMap<ProcessKey, TestWorker>,
    /// `Need` is answered with `MemoryFailed` this many times.
    pub(super) memory_failures: u32,
    pub(super) spares_seen: u32,
    generation_max: u32,
    _board: OwnedFd,
    _signals: signal::Held,
}

pub(super) struct TestWorker {
    pub(super) pid: i32,
    pub(super) pidfd: PidFd,
    down: OwnedFd,
}

impl TestMaster {
    pub(super) fn start(settings: GroupSettings, process_main: ProcessMain) -> Self {
        Self::start_with(settings, process_main, Harden::Master)
    }

    /// Starts without `harden`, so that the test may look into the processes.
    pub(super) fn start_open(settings: GroupSettings, process_main: ProcessMain) -> Self {
        Self::start_with(settings, process_main, Harden::Off)
    }

    fn start_with(settings: GroupSettings, process_main: ProcessMain, harden: Harden) -> Self {
        let signals = signal::Held::new().unwrap();
        let board = eventfd::create().unwrap();
        let setup = ManagerSetup {
            master_pidfd: PidFd::open(process::current()).unwrap(),
            master_pid: process::current(),
            board: board.try_clone().unwrap(),
            roster: roster::create(&Options::default()).unwrap().1,
            settings: Settings { event: settings, ..Settings::default() },
            attributes: Attributes {
                ends: EndsKind::Lanes(2),
                harden,
                dumping: process::dumping(),
                sched_batch: true,
                privileges: Privileges::default(),
                names: Instance::new(&"127.0.0.1:0", "test"),
                process_names: Vec::new(),
            },
            resources: Resources::new(&Options::default()).unwrap(),
            capabilities: 0,
            diagnosis: DiagnosisSettings::new(&Options::default()).unwrap(),
            kill_orphans: KillOrphans::End,
            memory_limits: MemoryLimits::new(&Options::default()),
            keep: Vec::new(),
            exec: None,
            process_main,
        };
        let (manager, spare, _) = fork_managers(&setup).unwrap();
        Self {
            manager,
            spare: Some(spare),
            heard: Vec::new(),
            workers: HashMap::new(),
            memory_failures: 0,
            spares_seen: 1,
            generation_max: 0,
            _board: board,
            _signals: signals,
        }
    }

    /// Answers messages until `done`.
    pub(super) fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "waited for {what}; heard {:?}", self.heard);
            let left = Some(Duration::from_millis(100));
            let watched = [self.manager.channel.as_fd(), self.manager.pidfd.as_fd()];
            poll::wait_readable(watched, left).unwrap();
            self.hear();
        }
    }

    /// Answers what is there now.
    pub(super) fn hear(&mut self) {
        while let Ok(Received::Message(message, descriptors)) = self.manager.channel.receive() {
            match message {
                ToMaster::Need(key) => self.give_memory(key),
                ToMaster::Spawned { worker, pid } => {
                    let [pidfd] = <[OwnedFd; 1]>::try_from(descriptors).unwrap();
                    let known = self.workers.get_mut(&worker).unwrap();
                    known.pid = pid;
                    known.pidfd = PidFd::from_descriptor(pidfd);
                }
                ToMaster::Spare { pid } => {
                    self.spare = Some(ManagerHandle::from_spare(pid, descriptors).unwrap());
                    self.spares_seen += 1;
                }
                other => {
                    assert!(descriptors.is_empty());
                    self.heard.push(other);
                }
            }
        }
    }

    fn give_memory(&mut self, key: ProcessKey) {
        assert!(self.generation_max < u32::MAX);
        self.generation_max = self.generation_max.max(key.generation.0);
        if self.memory_failures > 0 {
            self.memory_failures -= 1;
            return self.tell(ToManager::MemoryFailed(key));
        }
        let down = eventfd::create().unwrap();
        let mut descriptors = vec![down.try_clone().unwrap()];
        descriptors.extend((0..6).map(|_| eventfd::create().unwrap()));
        let pidfd = PidFd::open(process::current()).unwrap();
        let before = self.workers.insert(key, TestWorker { pid: 0, pidfd, down });
        assert!(before.is_none(), "{key} was named twice");
        self.manager
            .channel
            .send(&ToManager::MemoryReady { worker: key, seat: 0 }, descriptors)
            .unwrap();
    }

    pub(super) fn tell(&mut self, message: ToManager) {
        self.manager.channel.send(&message, Vec::new()).unwrap();
    }

    pub(super) fn command(&self, key: ProcessKey, command: u64) {
        let value = (COMMAND_BASE + command).to_ne_bytes();
        rustix::io::write(&self.workers[&key].down, &value).unwrap();
    }

    /// Takes the manager's place with the spare, as the real master does.
    pub(super) fn promote_spare(&mut self) {
        self.manager = self.spare.take().unwrap();
        self.manager.promote(self.generation_max).unwrap();
    }

    pub(super) fn serving(&self) -> Vec<ProcessKey> {
        let mut serving = Vec::new();
        for message in &self.heard {
            match message {
                ToMaster::Serve { serve, leave } => {
                    serving.retain(|key| Some(*key) != *leave);
                    serving.push(*serve);
                }
                ToMaster::Leave(key) => serving.retain(|other| other != key),
                ToMaster::Died(death) => serving.retain(|key| *key != death.worker),
                _ => {}
            }
        }
        serving.sort_unstable();
        serving
    }

    pub(super) fn death_of(&self, key: ProcessKey) -> Option<DeathNotice> {
        self.heard.iter().find_map(|message| match message {
            ToMaster::Died(death) if death.worker == key => Some(*death),
            _ => None,
        })
    }

    pub(super) fn until_serving(&mut self, keys: &[ProcessKey]) {
        self.until(&format!("{keys:?} to serve"), |master| master.serving() == keys);
    }

    pub(super) fn until_dead(&mut self, key: ProcessKey) -> DeathNotice {
        self.until(&format!("{key} to die"), |master| master.death_of(key).is_some());
        self.death_of(key).unwrap()
    }

    /// Asks for the end and lets every leaving worker go; all processes must be gone afterwards.
    pub(super) fn shut_down(mut self) {
        self.tell(ToManager::Shutdown { now: false });
        let leaving = self.serving();
        self.until("all to leave", |master| master.serving().is_empty());
        for key in leaving {
            self.command(key, super::worker::LEAVE);
        }
        self.until_finished();
    }

    pub(super) fn until_finished(mut self) {
        self.until("the end", |master| master.heard.last() == Some(&ToMaster::Finished));
        assert_eq!(reap(&self.manager.pidfd), Exit::Code(0));
        let spare = self.spare.take().unwrap();
        assert_eq!(orphans::children().unwrap(), [spare.pid], "only the spare is left");
        let pidfd = spare.pidfd.try_clone().unwrap();
        drop(spare);
        assert_eq!(reap(&PidFd::from_descriptor(pidfd)), Exit::Code(0));
    }
}

pub(super) fn reap(process: &PidFd) -> Exit {
    assert_eq!(poll::wait_readable([process.as_fd()], Some(PATIENCE)).unwrap(), [true]);
    process.try_reap().unwrap().unwrap()
}

/// What the descriptors of a process name, sorted, without the standard ones.
pub(super) fn descriptor_kinds(pid: i32) -> Vec<String> {
    let mut kinds: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !["0", "1", "2"].iter().any(|standard| path.ends_with(standard)))
        .map(|path| std::fs::read_link(path).unwrap().into_os_string().into_string().unwrap())
        .map(|target| if target.starts_with("socket:") { "socket".to_owned() } else { target })
        .collect();
    kinds.sort_unstable();
    kinds
}

/// The value of a line of `/proc/PID/status`.
pub(super) fn status(pid: i32, field: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line[field.len() + 1..].trim().to_owned()
}

pub(super) fn send_signal(pid: i32, signal: rustix::process::Signal) {
    // Not reaped while we look: a child of ours or of a manager that the test keeps alive.
    let pid = ProcessId::new(pid).unwrap();
    rustix::process::kill_process(pid.to_rustix(), signal).unwrap();
}
