//! Watching the files of certificates: when they have changed, and are quiet again, they are read
//! anew.
//!
//! What is watched are names in directories, not files: tools write a new file and rename it, or
//! turn a link. So each link on the way to a file is watched, too, and the way is looked for again
//! after each change. In a directory of authorities every name counts that is one of a certificate,
//! also when it goes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use ostler_core::Millis;
use ostler_core::settling::Settling;

use super::event_loop::Master;
use crate::encryption;
use crate::options::Options;
use crate::sys::inotify::{Happened, Inotify};

/// Tools write a certificate and its key one after the other.
const QUIET_MS: Millis = 1_000;
/// A file that is written all the time is looked at all the same.
const LONGEST_MS: Millis = 10_000;
/// Links on the way to a file, as the kernel takes them.
const LINKS_MAX: usize = 40;

/// A name in a directory.
type Step = (PathBuf, OsString);

/// When a name counts.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Also when it means nothing any more. Otherwise there is nothing to be read as long as it
    /// does not.
    when_gone: bool,
}

/// The files, and the names on the way to them.
pub(super) struct CertificateWatch {
    inotify: Inotify,
    files: Vec<PathBuf>,
    /// The names that count, by the number of their directory.
    names: BTreeMap<i32, BTreeMap<OsString, Counts>>,
    /// Directories of authorities.
    directories: BTreeSet<i32>,
    settling: Settling,
}

impl CertificateWatch {
    /// Watches the files of all encrypted ports, if it is wanted and there are any. Where that is
    /// impossible the log says so, and a reload reads them as ever.
    pub(super) fn new(options: &Options, now: Millis) -> Option<Self> {
        let files = encryption::files(options);
        if !options.tls_watch || files.is_empty() {
            return None;
        }
        let settling = Settling::new(QUIET_MS, LONGEST_MS);
        let made = Inotify::new().and_then(|inotify| {
            let (names, directories) = (BTreeMap::new(), BTreeSet::new());
            let mut watch = Self { inotify, files, names, directories, settling };
            watch.watch_all()?;
            // They may have changed since they were read.
            watch.settling.changed(now);
            Ok(watch)
        });
        made.map_err(|error| tell_of_failure(&error)).ok()
    }

    fn watch_all(&mut self) -> io::Result<()> {
        self.names.clear();
        self.directories.clear();
        for (directory, name) in self.files.iter().flat_map(|file| steps(file)) {
            let (number, name) = watch_way(&self.inotify, directory, name)?;
            self.names.entry(number).or_default().entry(name).or_default();
        }
        for directory in self.files.iter().filter(|file| file.is_dir()) {
            self.directories.extend(if_there(self.inotify.watch(directory))?);
            // What its links lead to.
            let files = encryption::files_in_directory(directory);
            for (place, name) in files.iter().flat_map(|file| steps(file)) {
                if let Some(number) = if_there(self.inotify.watch(&place))? {
                    let name = self.names.entry(number).or_default().entry(name).or_default();
                    name.when_gone = true;
                }
            }
        }
        Ok(())
    }

    /// Something has happened in one of the directories.
    fn look(&mut self, now: Millis) -> io::Result<()> {
        let Self { inotify, names, directories, settling, .. } = self;
        inotify.take(|directory, happened| {
            let (name, is_gone) = match happened {
                Happened::Name(name) => (OsStr::from_bytes(name), false),
                Happened::Gone(name) => (OsStr::from_bytes(name), true),
                Happened::Unknown => return settling.changed(now),
            };
            let known = names.get(&directory).and_then(|names| names.get(name));
            if known.is_some_and(|counts| counts.when_gone || !is_gone)
                || (directories.contains(&directory) && encryption::counts_in_directory(name))
            {
                settling.changed(now);
            }
        })
    }

    /// When the files are to be read.
    pub(super) fn due(&self) -> Option<Millis> {
        self.settling.due()
    }
}

impl AsFd for CertificateWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// Watches a name in a directory, or as much of the way to it as is there: the number of the last
/// directory that is, and the name in it.
fn watch_way(
    inotify: &Inotify,
    mut directory: PathBuf,
    mut name: OsString,
) -> io::Result<(i32, OsString)> {
    loop {
        if let Some(number) = if_there(inotify.watch(&directory))? {
            return Ok((number, name));
        }
        let last = directory.file_name().ok_or(ErrorKind::NotFound)?;
        name = last.to_owned();
        directory.pop();
    }
}

/// What is not there (a link that leads nowhere, what has just gone) is not watched.
fn if_there(watched: io::Result<i32>) -> io::Result<Option<i32>> {
    match watched {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        watched => watched.map(Some),
    }
}

fn tell_of_failure(error: &io::Error) {
    tracing::warn!(%error, "the files of certificates cannot be watched, only a reload reads them");
}

/// The links on the way to a file, and its name.
fn steps(file: &Path) -> Vec<Step> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let mut steps = Vec::new();
    let mut ahead: VecDeque<OsString> = names_of(&file).collect();
    let mut at = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        let target = std::fs::read_link(&next).ok().filter(|_| links < LINKS_MAX);
        if target.is_some() || ahead.is_empty() {
            steps.push((at.clone(), name));
        }
        let Some(target) = target else {
            at = next;
            continue;
        };
        links += 1;
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        names_of(&target)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .for_each(|one| ahead.push_front(one));
    }
    steps
}

fn names_of(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

impl Master {
    /// Something has happened where files of certificates are.
    pub(super) fn on_certificate_files(&mut self, now: Millis) {
        let Some(watch) = &mut self.certificate_watch else { return };
        if let Err(error) = watch.look(now) {
            tell_of_failure(&error);
            self.end_certificate_watch();
        }
    }

    /// Files of certificates that have changed and are quiet are read. Those that are right are
    /// shown, by all processes.
    pub(super) fn look_at_certificates(&mut self, now: Millis) {
        let Some(watch) = &mut self.certificate_watch else { return };
        if !watch.settling.take_due(now) {
            return;
        }
        // First, so that no change is between the two.
        let watched = watch.watch_all();
        self.encryption.renew();
        self.renew_base_certificates();
        if let Err(error) = watched {
            tell_of_failure(&error);
            self.end_certificate_watch();
        }
    }

    fn end_certificate_watch(&mut self) {
        if let Some(watch) = self.certificate_watch.take() {
            let _ = self.epoll.remove(&watch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn each_link_on_the_way_to_a_file_is_a_step() {
        let root = std::env::temp_dir().join(format!("steps-{}", std::process::id()));
        let root = {
            fs::create_dir_all(root.join("archive")).unwrap();
            root.canonicalize().unwrap()
        };
        fs::create_dir_all(root.join("live")).unwrap();
        fs::write(root.join("archive/one.pem"), "1").unwrap();
        symlink("../archive/one.pem", root.join("live/own.pem")).unwrap();
        symlink("archive", root.join("now")).unwrap();
        let of = |path: &str| -> Vec<String> {
            let steps = steps(&root.join(path)).into_iter();
            let texts = steps.map(|(directory, name)| directory.join(name));
            let inside = texts.map(|path| path.strip_prefix(&root).map(Path::to_owned));
            inside.map(|path| path.unwrap().display().to_string()).collect()
        };
        assert_eq!(of("archive/one.pem"), ["archive/one.pem"]);
        assert_eq!(of("live/own.pem"), ["live/own.pem", "archive/one.pem"]);
        assert_eq!(of("live/../now/./one.pem"), ["now", "archive/one.pem"]);
        assert_eq!(of("none/such.pem"), ["none/such.pem"]);
        symlink("round", root.join("round")).unwrap();
        assert_eq!(of("round").len(), LINKS_MAX + 1, "a link to itself ends");
        fs::remove_dir_all(&root).unwrap();
    }

    fn of(file: &Path) -> CertificateWatch {
        CertificateWatch {
            inotify: Inotify::new().unwrap(),
            files: vec![file.to_owned()],
            names: BTreeMap::new(),
            directories: BTreeSet::new(),
            settling: Settling::new(QUIET_MS, LONGEST_MS),
        }
    }

    impl CertificateWatch {
        /// Whether something has happened; the ways are looked for again as they are then.
        fn has_seen(&mut self) -> bool {
            self.look(0).unwrap();
            let has_seen = self.settling.take_due(LONGEST_MS);
            self.watch_all().unwrap();
            has_seen
        }
    }

    /// Whoever makes a directory anew has removed it first, and there it was not for a moment.
    #[test]
    fn a_directory_that_was_gone_is_watched_when_it_is_there_again() {
        let root = std::env::temp_dir().join(format!("gone-{}", std::process::id()));
        let (site, directory) = (root.join("site"), root.join("site/tls"));
        let file = directory.join("own.pem");
        fs::create_dir_all(&directory).unwrap();
        fs::write(&file, "1").unwrap();
        let mut watch = of(&file);
        watch.watch_all().unwrap();
        assert!(!watch.has_seen());
        for gone in [&directory, &site] {
            fs::remove_dir_all(gone).unwrap();
            assert!(watch.has_seen());
            fs::write(root.join("beside"), "1").unwrap();
            assert!(!watch.has_seen(), "nothing has come");
            fs::create_dir_all(&directory).unwrap();
            assert!(watch.has_seen(), "the way to it is there again");
            fs::write(&file, "2").unwrap();
            assert!(watch.has_seen(), "the file is there again");
            fs::write(&file, "3").unwrap();
            assert!(watch.has_seen());
        }
        fs::remove_dir_all(&root).unwrap();
    }

    /// A key that the server may not read yet.
    #[test]
    fn a_file_that_gets_other_permissions_is_read_again() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = std::env::temp_dir().join(format!("rights-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join("own.key");
        fs::write(&file, "1").unwrap();
        let mut watch = of(&file);
        watch.watch_all().unwrap();
        assert!(!watch.has_seen());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(watch.has_seen());
        fs::remove_dir_all(&directory).unwrap();
    }
}
