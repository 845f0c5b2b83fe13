//! The sandbox of a master that serves (`sandbox = master`): the files that it may open, and the
//! system calls that it may make.
//!
//! What files there are is settled when the managers are forked. Threads of the master (reactors,
//! which read what strangers send) open no others from their beginning; the main thread, which runs
//! the program's announcement, from that on. Then calls are restricted, in all threads at once. A
//! server that never serves ends with `boot_timeout_ms`. Processes of the program are never
//! restricted: they descend from the managers.
//! (`docs/decisions/74-a-sandbox-for-the-master.md`)

use std::path::{Path, PathBuf};

use super::event_loop::Master;
use crate::encryption;
use crate::error::{Error, Result};
use crate::manager::Forked;
use crate::options::{ListenUrl, Options, Sandbox};
use crate::sys::file_access::{self, Access, Files};
use crate::sys::{privileges, system_calls};

/// What a master reads whatever the options say: its children and itself, and what time it is.
const ALWAYS_READ: [&str; 3] = ["/proc", "/etc/localtime", "/usr/share/zoneinfo"];

/// Directories that many programs share: whoever opens what lies in them opens what is others'.
const SHARED: [&str; 10] =
    ["/dev", "/dev/shm", "/etc", "/home", "/opt", "/root", "/run", "/tmp", "/var", "/var/tmp"];

/// Whether there is one, and what was told of it.
#[derive(Debug)]
pub(super) struct Confinement {
    is_on: bool,
    /// What this thread is to open, as long as it opens more.
    files: Option<Files>,
    /// Refused calls that the log knows.
    told: u64,
}

impl Confinement {
    /// Whether this kernel has what the options ask for, before anything is started.
    ///
    /// # Errors
    /// `is_option`, when it has not.
    pub(super) fn check(options: &Options) -> Result<()> {
        if options.sandbox == Sandbox::Off {
            return Ok(());
        }
        let failed = |error| Error::option_refused("`sandbox`: the kernel cannot be asked", error);
        let missing = if !system_calls::is_supported().map_err(failed)? {
            "refuse system calls (seccomp)"
        } else if file_access::version().map_err(failed)?.is_none() {
            "restrict files (Landlock, Linux 5.13, and switched on)"
        } else {
            return refuse_everything(&paths_of(options));
        };
        Err(Error::option(format!(
            "`sandbox`: this kernel, or what this server runs in, does not let it {missing}: set \
             `sandbox` to off, or run it where that is allowed"
        )))
    }

    /// Settles what this process, which is the master alone, is to open: the directories as they
    /// are now.
    pub(super) fn begin(options: &Options, _: &Forked) -> Result<Self> {
        let is_on = options.sandbox == Sandbox::Master;
        let begin = || {
            privileges::forbid_new_privileges()?;
            // Before there are threads: whoever blocks it ends with the first call that is refused.
            system_calls::unblock_refusals()?;
            let paths = paths_of(options);
            for path in paths.iter().filter(|(path, _)| is_shared(path)) {
                let text = "the sandbox opens to the master all that lies in a directory of many: \
                            give its files a directory of their own";
                tracing::warn!(directory = %path.0.display(), "{text}");
            }
            Files::new(&paths)
        };
        let files = is_on.then(begin).transpose().map_err(stay_open)?;
        Ok(Self { is_on, files, told: 0 })
    }

    /// Starts threads that open only what the options name.
    ///
    /// What a thread may open it has from who starts it: here a thread that ends at once.
    pub(super) fn around_threads<T: Send>(
        &self,
        start: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        let Some(files) = &self.files else { return start() };
        let confined = || {
            files.restrict().map_err(stay_open)?;
            start()
        };
        let ended = std::thread::scope(|scope| {
            let starter = std::thread::Builder::new().name("starter".to_owned());
            starter.spawn_scoped(scope, confined).map(std::thread::ScopedJoinHandle::join)
        });
        let ended = ended.map_err(|error| Error::start("cannot start a thread", Some(error)))?;
        ended.unwrap_or_else(|_| Err(Error::internal("the thread that starts others", None)))
    }

    /// Whether there is one.
    pub(super) const fn is_on(&self) -> bool {
        self.is_on
    }
}

impl Master {
    /// The server serves, and the program has said so: no other files and calls from here on.
    pub(super) fn confine(&mut self) {
        let Some(files) = self.confinement.files.take() else { return };
        let refused =
            |error| Error::start("`sandbox`: system calls cannot be refused", Some(error));
        let confined = files.restrict().map_err(stay_open);
        if let Err(error) = confined.and_then(|()| system_calls::confine().map_err(refused)) {
            self.exit = Some(Err(error));
        }
    }

    /// The log hears of calls that were refused: somebody is in this process who should not be, or
    /// the list lacks one.
    pub(super) fn tell_refused_calls(&mut self) {
        if !self.confinement.is_on {
            return;
        }
        let (refused, system_call) = system_calls::refused();
        if refused > self.confinement.told {
            self.confinement.told = refused;
            let text = "the sandbox has refused a system call of the master (the last one is told)";
            tracing::error!(system_call, refused, "{text}");
        }
    }
}

fn refuse_everything(paths: &[(PathBuf, Access)]) -> Result<()> {
    match paths.iter().any(|(path, _)| path == Path::new("/")) {
        false => Ok(()),
        true => Err(Error::option(
            "`sandbox`: a file that an option names lies in `/` itself, so the master could open \
             every file: put it into a directory of its own",
        )),
    }
}

fn is_shared(path: &Path) -> bool {
    SHARED.into_iter().any(|shared| path == Path::new(shared))
}

fn stay_open(error: std::io::Error) -> Error {
    Error::start("`sandbox`: files stay open to all", Some(error))
}

/// What is opened, made and removed while a server runs.
fn paths_of(options: &Options) -> Vec<(PathBuf, Access)> {
    let mut paths: Vec<_> =
        ALWAYS_READ.iter().map(|path| (PathBuf::from(path), Access::Read)).collect();
    paths.extend(encryption::files(options).iter().flat_map(|path| places_of_certificates(path)));
    let files =
        [&options.log_file, &options.pid_file, &options.task_journal, &options.operator_socket];
    let files = files.into_iter().filter(|file| !file.is_empty()).map(Path::new);
    let ports = options.ports();
    let sockets = ports.iter().filter_map(|port| match &port.options.listen {
        ListenUrl::Unix(path) | ListenUrl::Unixgram(path) => Some(path.as_path()),
        _ => None,
    });
    paths.extend(files.chain(sockets).flat_map(|path| directories_of(path, Access::Keep)));
    if !options.quarantine_dir.is_empty() {
        paths.push((PathBuf::from(&options.quarantine_dir), Access::Keep));
    }
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// Where a file of certificates lies; or a directory of authorities, and what its links lead to.
fn places_of_certificates(path: &Path) -> Vec<(PathBuf, Access)> {
    if !path.is_dir() {
        return directories_of(path, Access::Read).collect();
    }
    let mut places: Vec<_> = std::path::absolute(path).ok().into_iter().collect();
    places.extend(path.canonicalize().ok());
    let mut places: Vec<_> = places.into_iter().map(|place| (place, Access::Read)).collect();
    let inside = encryption::files_in_directory(path);
    let links = inside.iter().map(PathBuf::as_path).chain([path]).filter(|path| path.is_symlink());
    places.extend(links.flat_map(|link| directories_of(link, Access::Read)));
    places
}

/// Where a file lies, and what it leads to if it is a link (to another one after the next renewal):
/// others may be made there under its name.
fn directories_of(file: &Path, access: Access) -> impl Iterator<Item = (PathBuf, Access)> {
    let places = [std::path::absolute(file).ok(), file.canonicalize().ok()];
    let directory = move |place: PathBuf| Some((place.parent()?.to_owned(), access));
    places.into_iter().flatten().filter_map(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_opened_where_it_leads_and_the_root_is_nobodys_directory() {
        let here = std::env::temp_dir().join(format!("sandbox-{}", std::process::id()));
        let [links, files] = ["links", "files"].map(|name| here.join(name));
        for directory in [&links, &files] {
            std::fs::create_dir_all(directory).unwrap();
        }
        std::fs::write(files.join("log"), "").unwrap();
        std::os::unix::fs::symlink(files.join("log"), links.join("log")).unwrap();
        let real = files.canonicalize().unwrap();
        let mut options = Options::default();
        options.set("log_file", links.join("log").to_str().unwrap()).unwrap();
        let paths = paths_of(&options);
        std::fs::remove_dir_all(&here).unwrap();
        for path in [links, real] {
            assert!(paths.contains(&(path, Access::Keep)), "{paths:?}");
        }
        refuse_everything(&paths).unwrap();
        options.set("pid_file", "/pid").unwrap();
        assert!(refuse_everything(&paths_of(&options)).unwrap_err().is_option());
        assert!(is_shared(Path::new("/tmp")) && !is_shared(Path::new("/tmp/shop")));
    }

    #[test]
    fn threads_open_no_other_files_from_their_beginning() {
        if file_access::version().unwrap().is_none() {
            eprintln!("NOT TESTED: this kernel has no Landlock");
            return;
        }
        crate::sys::process::in_forked_test(|| {
            privileges::forbid_new_privileges().unwrap();
            let files = Files::new(&paths_of(&Options::default())).unwrap();
            let confinement = Confinement { is_on: true, files: Some(files), told: 0 };
            let reads = || std::fs::read("/etc/passwd").is_ok();
            let started = confinement.around_threads(|| Ok((reads(), std::thread::spawn(reads))));
            let (starter, thread) = started.unwrap();
            assert!(!starter && !thread.join().unwrap());
            assert!(reads(), "the main thread still does");
            confinement.files.unwrap().restrict().unwrap();
            assert!(!reads());
        });
    }

    /// What the master opens of what an option names.
    enum Opens {
        /// The directory of the file, to read, or to make and remove files.
        Directory(Access),
        /// The directory itself.
        Itself(Access),
        /// Nothing: it is another process that does.
        Nothing,
    }

    /// Every option that names paths.
    const NAMES_PATHS: [(&str, Opens); 14] = [
        ("log_file", Opens::Directory(Access::Keep)),
        ("pid_file", Opens::Directory(Access::Keep)),
        ("task_journal", Opens::Directory(Access::Keep)),
        ("operator_socket", Opens::Directory(Access::Keep)),
        ("quarantine_dir", Opens::Itself(Access::Keep)),
        ("listen", Opens::Directory(Access::Keep)),
        ("tls_certificate", Opens::Directory(Access::Read)),
        ("tls_key", Opens::Directory(Access::Read)),
        ("tls_ocsp", Opens::Directory(Access::Read)),
        // Or a directory itself, and what its links lead to: the next test.
        ("tls_client_ca", Opens::Directory(Access::Read)),
        // The manager writes these, and executes that; workers go there.
        ("request_slowlog_file", Opens::Nothing),
        ("death_log_file", Opens::Nothing),
        ("program", Opens::Nothing),
        ("chroot", Opens::Nothing),
    ];

    #[test]
    fn no_option_that_names_a_path_is_forgotten() {
        use crate::OptionKind::{Address, Path, Paths};
        let table = Options::table().iter();
        let rows = table.filter(|row| matches!(row.kind, Address | Path | Paths));
        let mut all: Vec<_> = rows.map(|row| row.name).collect();
        let mut known = NAMES_PATHS.map(|(name, _)| name);
        all.sort_unstable();
        known.sort_unstable();
        assert_eq!(all, known);
    }

    /// A server without files, or with a certificate where another option needs one.
    fn paths_with(settings: &[(&str, &str)]) -> Vec<(PathBuf, Access)> {
        let mut options = Options::default();
        settings.iter().for_each(|(name, value)| options.set(name, value).unwrap());
        paths_of(&options)
    }

    #[test]
    fn what_an_option_names_is_opened_in_its_directory_and_nothing_else() {
        let always = ["/etc/localtime", "/proc", "/usr/share/zoneinfo"];
        let always = always.map(|path| (PathBuf::from(path), Access::Read));
        assert_eq!(paths_with(&[]), always);
        for (name, opens) in NAMES_PATHS {
            let (encrypted, certificate) = (name.starts_with("tls_"), "tls_certificate");
            let mut before = vec![];
            if encrypted {
                before.extend([("listen", "tls://127.0.0.1:1"), (certificate, "/srv/first/file")]);
            }
            if name == "tls_client_ca" {
                before.push(("tls_client_auth", "required"));
            }
            let value = if name == "listen" { "unix:///srv/own/file" } else { "/srv/own/file" };
            let mut expected = always.to_vec();
            if encrypted && name != certificate && cfg!(feature = "tls") {
                expected.push(("/srv/first".into(), Access::Read));
            }
            match opens {
                Opens::Directory(Access::Read) if !cfg!(feature = "tls") => {}
                Opens::Directory(access) => expected.push(("/srv/own".into(), access)),
                Opens::Itself(access) => expected.push(("/srv/own/file".into(), access)),
                Opens::Nothing => {}
            }
            expected.sort_unstable();
            assert_eq!(paths_with(&[&before[..], &[(name, value)]].concat()), expected, "{name}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_directory_of_authorities_is_opened_itself_with_what_its_links_lead_to() {
        let here = std::env::temp_dir().join(format!("sandbox-authorities-{}", std::process::id()));
        std::fs::create_dir_all(&here).unwrap();
        let here = here.canonicalize().unwrap();
        let [inside, elsewhere, others] =
            ["inside", "elsewhere", "others"].map(|name| here.join(name));
        for directory in [&inside, &elsewhere, &others] {
            std::fs::create_dir(directory).unwrap();
            std::fs::write(directory.join("file"), "").unwrap();
        }
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, inside.join(name));
        std::fs::write(inside.join("plain.pem"), "").unwrap();
        link(&elsewhere.join("file"), "0a1b2c3d.0").unwrap();
        link(&others.join("file"), "not-counted").unwrap();
        let paths = paths_with(&[
            ("listen", "tls://127.0.0.1:1"),
            ("tls_certificate", "/srv/first/file"),
            ("tls_client_auth", "required"),
            ("tls_client_ca", inside.to_str().unwrap()),
        ]);
        std::fs::remove_dir_all(&here).unwrap();
        let mut expected: Vec<_> = ALWAYS_READ.iter().map(PathBuf::from).collect();
        expected.extend(["/srv/first".into(), inside, elsewhere]);
        expected.sort_unstable();
        let paths = paths.into_iter().map(|(path, access)| {
            assert_eq!(access, Access::Read);
            path
        });
        assert_eq!(paths.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn of_several_paths_and_ports_all_are_opened() {
        let paths = paths_with(&[
            ("log_file", "/var/log/shop/log"),
            ("pid_file", "/run/shop/pid"),
            ("listen", "unix:///run/shop/socket"),
            ("port.admin.listen", "unixgram:///run/admin/socket"),
            ("port.secure.listen", "tls://127.0.0.1:1"),
            ("port.secure.tls_certificate", "/etc/shop/one.pem,/etc/others/two.pem"),
        ]);
        let keep = ["/run/admin", "/run/shop", "/var/log/shop"];
        let read = if cfg!(feature = "tls") { &["/etc/others", "/etc/shop"][..] } else { &[] };
        let kept = paths.iter().filter(|(_, access)| *access == Access::Keep);
        assert_eq!(kept.map(|(path, _)| path.as_path()).collect::<Vec<_>>(), keep.map(Path::new));
        for path in read {
            assert!(paths.contains(&(path.into(), Access::Read)), "{path}: {paths:?}");
        }
        assert_eq!(paths.len(), ALWAYS_READ.len() + keep.len() + read.len());
    }
}
