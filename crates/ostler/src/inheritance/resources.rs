//! What resources processes have, each by its kind: checked by the master before anything is
//! forked, taken by each process while it still has the rights for it, before it becomes its
//! program.

use std::io;

use ostler_core::ids::{ProcessKey, ProcessKind};

use crate::error::{Error, Result};
use crate::options::{Cpus, Limit, Options, PerKind};
use crate::sys::limit::{self, Limited};
use crate::sys::{capabilities, scheduling};

/// What processes take.
#[derive(Clone, Debug)]
pub(crate) struct Resources {
    /// On which processors they run; every list has one that the server may use.
    cpus: PerKind<Cpus>,
    /// Those on which the server may run, if anybody is to be bound to some.
    allowed_cpus: Vec<u16>,
    /// The event workers that there can be.
    workers: u16,
    nice: PerKind<i32>,
    oom_score_adjust: PerKind<i32>,
    /// What the program had.
    oom_adjustment_before: i32,
    /// Whether this process has something else, from the master whose place it takes.
    has_anothers: bool,
    limits: [(Limited, PerKind<Limit>); 3],
}

impl Resources {
    /// What the options say.
    ///
    /// # Errors
    ///
    /// `is_option`, if this process may not have, or not give away, what they say.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let found = Self {
            allowed_cpus: allowed_cpus(&options.cpu_affinity)?,
            cpus: options.cpu_affinity.clone(),
            workers: options.workers_room(),
            nice: options.nice.clone(),
            oom_score_adjust: options.oom_score_adjust.clone(),
            oom_adjustment_before: oom_adjustment_now(&options.oom_score_adjust)?,
            has_anothers: false,
            limits: [
                (Limited::OpenFiles, options.limit_open_files.clone()),
                (Limited::CoreSize, options.limit_core_size.clone()),
                (Limited::AddressSpace, options.limit_address_space.clone()),
            ],
        };
        found.check_niceness()?;
        found.check_oom_adjustment()?;
        found.check_limits()?;
        Ok(found)
    }

    fn check_niceness(&self) -> Result<()> {
        let Some(least) = self.nice.values().copied().min() else { return Ok(()) };
        let now = scheduling::niceness().map_err(|error| unknown("nice", error))?;
        match least < now {
            true => demand("nice", &least.to_string(), &now.to_string(), capabilities::SYS_NICE),
            false => Ok(()),
        }
    }

    fn check_oom_adjustment(&self) -> Result<()> {
        let now = self.oom_adjustment_before;
        match self.oom_score_adjust.values().copied().min() {
            Some(least) if least < now => {
                let (least, now) = (least.to_string(), now.to_string());
                demand("oom_score_adjust", &least, &now, capabilities::SYS_RESOURCE)
            }
            _ => Ok(()),
        }
    }

    fn check_limits(&self) -> Result<()> {
        for (limited, limits) in &self.limits {
            let numbers = limits.values().filter_map(|limit| match limit {
                Limit::Most => None,
                Limit::At(number) => Some(*number),
            });
            let Some(highest) = numbers.max() else { continue };
            let option = option_of(*limited);
            let hard = limit::hard(*limited).map_err(|error| unknown(option, error))?;
            if let Some(hard) = hard.filter(|hard| highest > *hard) {
                demand(
                    option,
                    &highest.to_string(),
                    &hard.to_string(),
                    capabilities::SYS_RESOURCE,
                )?;
            }
        }
        Ok(())
    }

    /// The capabilities without which processes that are not root's could not take it.
    pub(crate) fn needed(&self) -> io::Result<u64> {
        let mut needed = 0;
        if let Some(least) = self.nice.values().min()
            && *least < scheduling::niceness()?
        {
            needed |= capabilities::SYS_NICE;
        }
        // What root has raised only a process with the capability lowers again.
        let before = self.oom_adjustment_before;
        let highest = self.oom_score_adjust.of_master().map_or(before, |own| before.max(*own));
        let mut of_others =
            ProcessKind::ALL.into_iter().filter_map(|kind| self.oom_adjustment_of(kind));
        if of_others.any(|adjustment| adjustment < highest) {
            needed |= capabilities::SYS_RESOURCE;
        }
        for (limited, limits) in &self.limits {
            let hard = limit::hard(*limited)?;
            let is_above = |limit: &Limit| match (limit, hard) {
                (Limit::At(number), Some(hard)) => *number > hard,
                _ => false,
            };
            if limits.values().any(is_above) {
                needed |= capabilities::SYS_RESOURCE;
            }
        }
        Ok(needed)
    }

    /// The program had this before its first master changed it.
    pub(crate) fn follow(&mut self, oom_adjustment: i32) {
        self.oom_adjustment_before = oom_adjustment;
        self.has_anothers = true;
    }

    /// What the program had, if the master has something else.
    pub(crate) fn oom_adjustment_before(&self) -> Option<i32> {
        self.oom_score_adjust.of_master().map(|_| self.oom_adjustment_before)
    }

    /// What master, manager and spare have; in the master, before it forks any of them, and
    /// before it is closed to others of its user.
    pub(crate) fn take_as_master(&self) -> Result<()> {
        let back = self.has_anothers.then_some(self.oom_adjustment_before);
        let Some(adjustment) = self.oom_score_adjust.of_master().copied().or(back) else {
            return Ok(());
        };
        scheduling::set_oom_adjustment(adjustment).map_err(|error| {
            Error::start(format!("`oom_score_adjust`: master:{adjustment}"), Some(error))
        })
    }

    /// What a process of this kind has; in this process, which a manager has forked.
    ///
    /// # Errors
    /// When the kernel refuses it. Without the processors that it should have it runs elsewhere:
    /// they may have been taken from the server since it began.
    pub(crate) fn take(&self, key: ProcessKey) -> io::Result<()> {
        let of =
            |what: &str, error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
        if let Some(cpus) = self.cpus_of(key)
            && let Err(error) = scheduling::run_on(&cpus)
        {
            tracing::warn!(%error, ?cpus, "cpu_affinity has no effect on this process");
        }
        if let Some(&nice) = self.nice.of(key.kind) {
            scheduling::set_niceness(nice).map_err(|error| of("nice", error))?;
        }
        if let Some(adjustment) = self.oom_adjustment_of(key.kind) {
            scheduling::set_oom_adjustment(adjustment)
                .map_err(|error| of("oom_score_adjust", error))?;
        }
        for (limited, limits) in &self.limits {
            let Some(limit) = limits.of(key.kind) else { continue };
            let number = match limit {
                Limit::Most => limit::hard(*limited)?,
                Limit::At(number) => Some(*number),
            };
            limit::set(*limited, number).map_err(|error| of(option_of(*limited), error))?;
        }
        Ok(())
    }

    /// What is said of this kind; when only the master has another one than the program had, that.
    fn oom_adjustment_of(&self, kind: ProcessKind) -> Option<i32> {
        let said = self.oom_score_adjust.of(kind).copied();
        said.or(self.oom_adjustment_before())
    }

    /// One of them for each worker, so that no two share one as long as there are enough: task
    /// workers go on where event workers end, if they have the same processors.
    fn cpus_of(&self, key: ProcessKey) -> Option<Vec<u16>> {
        let cpus = match self.cpus.of(key.kind)? {
            Cpus::All => &self.allowed_cpus,
            Cpus::These(cpus) => cpus,
        };
        let place = match key.kind {
            ProcessKind::Event => key.slot.0,
            ProcessKind::Task if self.cpus.names(ProcessKind::Task) => key.slot.0,
            ProcessKind::Task => key.slot.0.saturating_add(self.workers),
            ProcessKind::User | ProcessKind::Companion => return Some(cpus.clone()),
        };
        let at = usize::from(place).checked_rem(cpus.len())?;
        cpus.get(at).map(|cpu| vec![*cpu])
    }
}

/// The option that sets a limit.
const fn option_of(limited: Limited) -> &'static str {
    match limited {
        Limited::OpenFiles => "limit_open_files",
        Limited::CoreSize => "limit_core_size",
        Limited::AddressSpace => "limit_address_space",
    }
}

fn unknown(option: &str, error: io::Error) -> Error {
    Error::option_refused(format!("`{option}`: the kernel does not say what is so now"), error)
}

/// Refuses what only a process with this capability may have.
fn demand(option: &str, wanted: &str, now: &str, needed: u64) -> Result<()> {
    let have = capabilities::effective().map_err(|error| unknown(option, error))?;
    if have & needed != 0 {
        return Ok(());
    }
    let names = capabilities::names(needed).join(", ");
    Err(Error::option(format!(
        "`{option}`: {wanted} goes beyond what this process has ({now}), which needs the \
         capability {names}: start it with that, or set what it may have"
    )))
}

/// Those on which this process may run, if somebody is to be bound to some of them.
fn allowed_cpus(affinity: &PerKind<Cpus>) -> Result<Vec<u16>> {
    if affinity.values().next().is_none() {
        return Ok(Vec::new());
    }
    let allowed = scheduling::allowed_cpus().map_err(|error| unknown("cpu_affinity", error))?;
    for cpus in affinity.values() {
        let Cpus::These(named) = cpus else { continue };
        if let Some(other) = named.iter().find(|cpu| !allowed.contains(cpu)) {
            let allowed = Cpus::spell(&allowed);
            return Err(Error::option(format!(
                "`cpu_affinity`: this server may not run on processor {other}: name some of \
                 {allowed}, or `all`"
            )));
        }
    }
    Ok(allowed)
}

/// What this process has, if anybody is to have something else.
fn oom_adjustment_now(said: &PerKind<i32>) -> Result<i32> {
    if said.values().next().is_none() {
        return Ok(0);
    }
    scheduling::oom_adjustment().map_err(|error| unknown("oom_score_adjust", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::in_forked_test;

    fn of(pairs: &[(&str, &str)]) -> Result<Resources> {
        let mut options = Options { workers: 3, workers_max: 3, ..Options::default() };
        for (name, value) in pairs {
            options.set(name, value)?;
        }
        Resources::new(&options)
    }

    fn place(resources: &mut Resources, allowed: &[u16], key: ProcessKey) -> Option<Vec<u16>> {
        allowed.clone_into(&mut resources.allowed_cpus);
        resources.cpus_of(key)
    }

    #[test]
    fn workers_have_a_processor_each_and_others_all_of_them() {
        let all = &mut of(&[("cpu_affinity", "all")]).unwrap();
        let allowed = &[2, 5, 7, 8];
        let event = [0, 1, 2].map(|slot| place(all, allowed, ProcessKey::event(slot, 1)).unwrap());
        let task = [0, 1].map(|slot| place(all, allowed, ProcessKey::task(slot, 1)).unwrap());
        assert_eq!((event, task), ([vec![2], vec![5], vec![7]], [vec![8], vec![2]]));
        assert_eq!(place(all, allowed, ProcessKey::user(1, 1)).unwrap(), allowed);
        let first = scheduling::allowed_cpus().unwrap()[0];
        let task = &mut of(&[("cpu_affinity", &format!("task:{first}"))]).unwrap();
        assert_eq!(place(task, allowed, ProcessKey::task(9, 1)), Some(vec![first]));
        assert_eq!(place(task, allowed, ProcessKey::event(0, 1)), None);
    }

    #[test]
    fn what_only_the_master_has_is_taken_back_in_others() {
        let mut resources = of(&[("oom_score_adjust", "master:900 task:950")]).unwrap();
        resources.oom_adjustment_before = 3;
        assert_eq!(resources.oom_adjustment_of(ProcessKind::Event), Some(3));
        assert_eq!(resources.oom_adjustment_of(ProcessKind::Task), Some(950));
        assert_eq!(of(&[]).unwrap().oom_adjustment_of(ProcessKind::Event), None);
    }

    #[test]
    fn what_goes_beyond_what_a_user_may_have_needs_a_capability() {
        in_forked_test(|| {
            let needed = |pairs: &[(&str, &str)]| of(pairs).unwrap().needed().unwrap();
            assert_eq!(needed(&[("nice", "19"), ("limit_core_size", "max")]), 0);
            assert_eq!(needed(&[("oom_score_adjust", "task:1000")]), 0);
            // The others go back to what the program had.
            let raised = needed(&[("oom_score_adjust", "master:1000")]);
            assert_eq!(raised, capabilities::SYS_RESOURCE);
            let have = capabilities::effective().unwrap();
            if have & capabilities::SYS_NICE != 0 {
                let nice = (scheduling::niceness().unwrap() - 1).max(-20).to_string();
                assert_eq!(needed(&[("nice", &nice)]), capabilities::SYS_NICE);
            }
            if have & capabilities::SYS_RESOURCE != 0 {
                limit::set(Limited::CoreSize, Some(4_096)).unwrap();
                let above = needed(&[("limit_core_size", "1M")]);
                assert_eq!(above, capabilities::SYS_RESOURCE);
            }
        });
    }

    #[test]
    fn what_this_process_may_not_have_is_refused() {
        in_forked_test(|| {
            capabilities::keep_only(0).unwrap();
            let nice = (scheduling::niceness().unwrap() - 1).max(-20).to_string();
            let oom = (scheduling::oom_adjustment().unwrap() - 1).max(-1_000).to_string();
            limit::set(Limited::CoreSize, Some(4_096)).unwrap();
            for (name, value, words) in [
                ("nice", nice.as_str(), "capability sys_nice"),
                ("oom_score_adjust", &oom, "capability sys_resource"),
                ("limit_core_size", "1M", "capability sys_resource"),
                ("cpu_affinity", "1023", "processor 1023"),
            ] {
                let error = of(&[(name, value)]).unwrap_err();
                assert!(error.is_option() && error.to_string().contains(words), "{error}");
            }
            of(&[("limit_core_size", "max"), ("nice", "19")]).unwrap();
        });
    }
}
