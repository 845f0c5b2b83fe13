//! Starting: everything that can fail fails here, with one line that says what to do.

use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ostler_core::shutdown::Shutdown;
use ostler_shm::commons::Commons;

use super::accepting::Accepting;
use super::acceptor::Acceptor;
use super::base::Base;
use super::bound_descriptors::BoundDescriptors;
use super::certificate_watch::CertificateWatch;
use super::companion::Companion;
use super::daemon::Daemon;
use super::descriptors;
use super::event_loop::Master;
use super::figures::MasterFigures;
use super::managers::Managers;
use super::operator::Operators;
use super::orphans::Orphans;
use super::pid_file::PidFile;
use super::ports::{Estate, ListeningPorts};
use super::process_main::process_main;
use super::program_state::ProgramState;
use super::quarantine::Store;
use super::reactors::{make_mailboxes, make_reports, only_reactor, start_threads};
use super::reload::Reloads;
use super::report::Announcement;
use super::retired::Retired;
use super::rights::MasterRights;
use super::sandbox::Confinement;
use super::service::Service;
use super::shared_memory::Shared;
use super::size::Size;
use super::succession::{Origin, Predecessor, Succeeding};
use crate::api::outcome::IntoHandler;
use crate::api::port::Ports;
use crate::api::program_code::{ProgramCode, UserProcesses};
use crate::api::worker::Worker;
use crate::encryption::{Encryption, Handover};
use crate::error::{Error, Result};
use crate::inheritance::{Attributes, Charter, EndsKind, Privileges, ProcessMain, Resources};
use crate::log;
use crate::log::ServerLog;
use crate::manager::{
    DiagnosisSettings, ExecSetup, Forked, ManagerHandle, ManagerSetup, MemoryLimits, fork_managers,
    locate,
};
use crate::options::{Harden, Mode, Options, Start};
use crate::reactor::mailbox::Reports;
use crate::shared;
use crate::sys::epoll::Epoll;
use crate::sys::pidfd::PidFd;
use crate::sys::process::Dumping;
use crate::sys::process_name::Instance;
use crate::sys::signal::Held;
use crate::sys::{clock, panic, process, signal};

/// Listeners that are bound and from which nobody is accepted yet.
pub(crate) struct Bound {
    /// First, so that they are private as long as they are open.
    descriptors: BoundDescriptors,
    pub(crate) options: Options,
    pub(crate) ports: ListeningPorts,
    /// What it runs besides the server's handler.
    code: ProgramCode,
    /// Called once when the first worker serves.
    pub(crate) announcement: Announcement,
    log: ServerLog,
    /// The program that a reload starts, if that is to be executed.
    program: Option<PathBuf>,
    /// How a new master would be started.
    origin: Origin,
    /// The master whose place this one takes.
    predecessor: Option<Predecessor>,
    /// What rights workers give away.
    privileges: Privileges,
    /// What the master keeps of its own.
    rights: Option<MasterRights>,
    /// What resources each process has.
    resources: Resources,
    /// Where packages are kept that kill workers.
    quarantine: Option<Store>,
    /// Signals wait for the loop that will read them.
    pub(crate) signals: Held,
}

/// How many servers this process has bound.
static BOUND: AtomicUsize = AtomicUsize::new(0);

/// Whether this program has more than one server.
pub(super) fn binds_several() -> bool {
    BOUND.load(Ordering::Relaxed) > 1
}

fn hold_signals() -> Result<Held> {
    Held::new().map_err(|error| Error::start("cannot block signals", Some(error)))
}

/// What processes of the server have of rights and resources, as the options say.
pub(super) struct Rights {
    workers: Privileges,
    resources: Resources,
    pub(super) master: Option<MasterRights>,
}

impl Rights {
    pub(super) fn new(options: &Options) -> Result<Self> {
        let workers = Privileges::new(options)?;
        let resources = Resources::new(options)?;
        let master = MasterRights::new(options, &workers, &resources)?;
        Ok(Self { workers, resources, master })
    }
}

/// Checks the options, opens the log, opens the listeners.
pub(crate) fn bind(options: Options, code: ProgramCode) -> Result<Bound> {
    options.validate()?;
    let Rights { workers: privileges, mut resources, master: rights } = Rights::new(&options)?;
    Confinement::check(&options)?;
    let _acting = rights.as_ref().map_or(Ok(None), MasterRights::act)?;
    let log = log::init(options.log_level, &options.log_file, options.log_format)?;
    DiagnosisSettings::new(&options)?;
    let quarantine = Store::open(&options)?;
    // Before anybody can know that there is a server to send a signal to.
    let signals = hold_signals()?;
    let located = locate(&options.program);
    let origin = Origin::of_this_process(&located);
    let program = (options.start == Start::Exec).then_some(located).transpose()?;
    BOUND.fetch_add(1, Ordering::Relaxed);
    let (predecessor, passed_on) = Predecessor::take(&options)?.unzip();
    if let Some(before) = predecessor.as_ref().and_then(Predecessor::oom_adjustment) {
        resources.follow(before);
    }
    let ports = ListeningPorts::open(&options, passed_on.unwrap_or_default())?;
    let own = ports.descriptors().chain(log.descriptor());
    let own = own.chain(predecessor.iter().flat_map(Predecessor::descriptors));
    let descriptors = BoundDescriptors::new(own.collect());
    let announcement: Announcement = Box::new(|_| {});
    Ok(Bound {
        descriptors,
        options,
        ports,
        code,
        announcement,
        log,
        program,
        origin,
        predecessor,
        privileges,
        rights,
        resources,
        quarantine,
        signals,
    })
}

/// Runs the server until it is told to end, in the background if the options say so.
pub(crate) fn run<R, F>(mut bound: Bound, make: F) -> Result<()>
where
    R: IntoHandler,
    F: Fn(&Worker) -> R + 'static,
{
    if bound.options.start == Start::Exec {
        shared::refuse_with_exec()?;
    }
    if bound.predecessor.is_some() {
        // It is in the background if its predecessor is.
        return serve(bound, make);
    }
    let Some(daemon) = Daemon::begin(&bound.options, &bound.log)? else {
        return serve(bound, make);
    };
    bound.announcement = Rc::clone(&daemon).around(bound.announcement);
    let result = serve(bound, make);
    daemon.ends(&result);
    result
}

/// Runs the server in this process.
fn serve<R, F>(bound: Bound, make: F) -> Result<()>
where
    R: IntoHandler,
    F: Fn(&Worker) -> R + 'static,
{
    let Bound { descriptors: _private, mut options, mut ports, code, origin, .. } = bound;
    let Bound { announcement, log, program: path, privileges, mut predecessor, .. } = bound;
    let Bound { quarantine, resources, rights, signals: _held, .. } = bound;
    // Before anything is opened here, and when the program cannot close anything any more.
    let keep = descriptors::of_the_program(log.descriptor()).map_err(descriptors::cannot_list)?;
    let rights = rights.as_ref();
    let program = become_master(&log, &mut options, (&resources, rights), keep.len())?;
    let (name, described) = (options.name_resolved(), ports.described());
    let names = take_names(&described, &name);
    let Shared { board, base, roster, files, figures } = Shared::make(&options)?;
    let processes = code.processes.clone();
    let own = Own { files, keep, path, privileges, resources, rights, processes };
    let main = process_main(options.clone(), described.clone(), make, code);
    let setup = manager_setup(&options, &program, own, names, described.clone(), main)?;
    let orphans = Orphans::new(options.kill_orphans)?;
    // After what the program has open was listed, so that no other process has it and its lock.
    let (pid_file, operators) = claim_places(&options, &mut predecessor)?;
    // The last moment without threads: everything after this line may start some.
    let (manager, spare, forked, confinement) = fork_and_part(&setup, rights, &options)?;
    let encryption = load_certificates(&options, &forked)?;
    let reports = make_reports(&options, &board, &mut predecessor)?;
    let mailboxes = make_mailboxes(&options, &ports, predecessor.is_some())?;
    let estate = estate_of(&mut ports, &options);
    let accepts = who_accepts(ports, &options, base, &reports, &forked)?;
    let seen = (encryption.clone(), &board, mailboxes.as_slice(), &reports);
    let accepting = (accepts.reactor, predecessor.is_none());
    let (threads, poison) = start_threads((&options, &confinement), seen, accepting, quarantine)?;
    let master = Master {
        threads,
        poison,
        shutdown: shutdown_of(&options),
        companion: options.has_companion.then(Companion::new),
        process_names: setup.attributes.process_names.clone(),
        retired: Retired::default(),
        managers: Managers::new(manager, spare),
        size: Size::new(&options),
        reloads: Reloads::default(),
        predecessor,
        succeeding: Succeeding::new(&options, origin, estate, &setup),
        pid_file,
        operators,
        figures: MasterFigures::new(&options, figures, roster),
        confinement,
        boot_deadline: Some(clock::monotonic_ms() + options.boot_timeout_ms),
        certificate_watch: CertificateWatch::new(&options, clock::monotonic_ms()),
        options,
        epoll: Epoll::new().map_err(|error| fail("cannot make an epoll set", error))?,
        encryption,
        signals: signal::SignalFd::new().map_err(|error| fail("cannot watch signals", error))?,
        signal_notes: log::SignalNotes::default(),
        accepting: accepts.main_thread,
        base: accepts.base,
        service: Service::of_environment(mailboxes.len()),
        mailboxes,
        reports,
        drained: 0,
        orphans,
        exit: None,
        memory_failure: None,
        ports: described,
        name,
        announcement: Some(announcement),
    };
    master.run()
}

/// What processes of this server are called, this one from now on.
fn take_names(ports: &Ports, name: &str) -> Instance {
    let names = Instance::new(ports.first().local_address(), name);
    names.take("master");
    names
}

/// What others find of this server in the file system, besides its ports.
fn claim_places(
    options: &Options,
    predecessor: &mut Option<Predecessor>,
) -> Result<(Option<PidFile>, Option<Operators>)> {
    let pid_file = PidFile::claim(&options.pid_file, Predecessor::pid_file(predecessor))?;
    let operators = Operators::open(&options.operator_socket, predecessor.is_some())?;
    Ok((pid_file, operators))
}

/// What the master's own reactors show. From here on the master has private keys. Whoever descends
/// from manager or spare never has them, except in BASE mode, in which the master hands them to who
/// serves clients.
fn load_certificates(options: &Options, forked: &Forked) -> Result<Encryption> {
    match options.mode {
        Mode::Base => Ok(Encryption::default()),
        Mode::Process => Encryption::load(options, forked),
    }
}

fn shutdown_of(options: &Options) -> Shutdown {
    Shutdown::new(options.shutdown_timeout_ms, options.stop_timeout_ms())
        .announced(options.has_companion.then_some(options.drain_timeout_ms))
}

pub(super) fn fail(what: &str, error: std::io::Error) -> Error {
    Error::start(what, Some(error))
}

/// Who accepts clients: one of them.
struct Accepts {
    /// The main thread, which hands them to several reactors.
    main_thread: Option<Accepting>,
    /// The only reactor.
    reactor: Option<Accepting>,
    /// The workers, in BASE mode.
    base: Option<Base>,
}

fn who_accepts(
    ports: ListeningPorts,
    options: &Options,
    base: Option<(Arc<Commons>, Option<OwnedFd>)>,
    reports: &Reports,
    forked: &Forked,
) -> Result<Accepts> {
    let nobody = Accepts { main_thread: None, reactor: None, base: None };
    if let Some((commons, board_of_switch)) = base {
        let certificates = Handover::read(options, forked)?;
        let base = Some(Base::new(ports, commons, certificates, board_of_switch));
        return Ok(Accepts { base, ..nobody });
    }
    let acceptor = Acceptor::new(ports, options, reports.clone());
    let failed = |error| Error::start("cannot keep a descriptor in reserve", Some(error));
    let accepting = Some(Accepting::new(acceptor.map_err(failed)?));
    Ok(match only_reactor(options) {
        true => Accepts { reactor: accepting, ..nobody },
        false => Accepts { main_thread: accepting, ..nobody },
    })
}

/// From here on this process is the master. What that changes of it is put back when the answer is
/// dropped.
fn become_master(
    log: &ServerLog,
    options: &mut Options,
    (resources, rights): (&Resources, Option<&MasterRights>),
    kept: usize,
) -> Result<ProgramState> {
    let mut program = ProgramState::save();
    panic::abort_on_panic();
    log.make_current();
    log::set_process(log::Process::Master);
    descriptors::provide(options, kept)?;
    resources.take_as_master()?;
    if options.harden != Harden::Off {
        process::forbid_dumping()
            .map_err(|error| Error::start("cannot harden the master", Some(error)))?;
    }
    rights.map_or(Ok(()), |rights| rights.take(&mut program))?;
    Ok(program)
}

/// Forks the managers; from here on this process is the master alone.
fn fork_and_part(
    setup: &ManagerSetup,
    rights: Option<&MasterRights>,
    options: &Options,
) -> Result<(ManagerHandle, ManagerHandle, Forked, Confinement)> {
    let failed = |error| Error::fork("the manager", error);
    let (manager, spare, forked) = fork_managers(setup).map_err(failed)?;
    rights.map_or(Ok(()), MasterRights::leave_to_managers)?;
    let confinement = Confinement::begin(options, &forked)?;
    Ok((manager, spare, forked, confinement))
}

/// What managers have of this server's.
struct Own<'start> {
    files: (OwnedFd, OwnedFd),
    keep: Vec<RawFd>,
    /// The program that a reload executes.
    path: Option<PathBuf>,
    processes: UserProcesses,
    privileges: Privileges,
    resources: Resources,
    rights: Option<&'start MasterRights>,
}

/// What workers need that are started by exec.
fn exec_setup(
    path: PathBuf,
    options: &Options,
    ports: &Ports,
    names: &Instance,
    (dumping, privileges, process_names): (Dumping, Privileges, Vec<String>),
) -> Result<ExecSetup> {
    if binds_several() {
        return Err(Error::start(
            "this program binds several servers, but `start = exec` is for programs with one: \
             each worker runs `main` up to its server; set start = fork",
            None,
        ));
    }
    let charter = Charter {
        options: options.clone(),
        ports: ports.clone(),
        names: names.clone(),
        dumping,
        privileges,
        blocked_before: signal::blocked_before(),
        log_path: log::file_path(),
        process_names,
    };
    let made = charter.write().and_then(|charter| ExecSetup::new(path, charter));
    made.map_err(|error| Error::start("cannot lay down what workers are to be given", Some(error)))
}

/// What manager and spare are made with.
fn manager_setup(
    options: &Options,
    program: &ProgramState,
    own: Own<'_>,
    names: Instance,
    ports: Ports,
    process_main: ProcessMain,
) -> Result<ManagerSetup> {
    let master_pidfd = PidFd::open(process::current())
        .map_err(|error| Error::start("cannot open the master's pidfd", Some(error)))?;
    let (processes, (board, roster)) = (own.processes, own.files);
    let left = || (program.dumping(), own.privileges.clone(), processes.names());
    let executed = |path| exec_setup(path, options, &ports, &names, left());
    let exec = own.path.map(executed).transpose()?;
    Ok(ManagerSetup {
        master_pid: process::current(),
        master_pidfd,
        board,
        roster,
        settings: options.supervisor_settings(
            processes.settings((options.back_off_min_ms, options.back_off_max_ms)),
        ),
        diagnosis: DiagnosisSettings::new(options)?,
        memory_limits: MemoryLimits::new(options),
        resources: own.resources,
        capabilities: own.rights.map_or(0, MasterRights::of_managers),
        kill_orphans: options.kill_orphans,
        attributes: Attributes {
            process_names: processes.names(),
            ..attributes_of_workers(options, program.dumping(), own.privileges, names)
        },
        keep: own.keep,
        exec,
        process_main,
    })
}

pub(super) fn attributes_of_workers(
    options: &Options,
    dumping: Dumping,
    privileges: Privileges,
    names: Instance,
) -> Attributes {
    Attributes {
        ends: match options.mode {
            Mode::Process => EndsKind::Lanes(usize::from(options.reactors)),
            Mode::Base => EndsKind::Clients {
                ports: options.ports().iter().count(),
                has_switch: options.has_switch(),
            },
        },
        harden: options.harden,
        dumping,
        sched_batch: options.sched_batch,
        privileges,
        names,
        process_names: Vec::new(),
    }
}

/// What is kept for a new master. In BASE mode nobody can be followed.
fn estate_of(ports: &mut ListeningPorts, options: &Options) -> Option<Estate> {
    let plans = options.ports();
    let urls = plans.iter().map(|plan| plan.options.listen.clone());
    (options.mode == Mode::Process).then(|| Estate::of(ports, urls))
}
