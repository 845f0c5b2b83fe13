//! Which files are mapped where, as `/proc/PID/maps` has it.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;

/// Mapped code of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Where in the file it begins.
    pub(super) offset: u64,
    device: String,
    inode: u64,
    path: String,
}

/// All mapped code of a process.
#[derive(Clone, Debug, Default)]
pub(super) struct Maps(Vec<Module>);

/// What the kernel writes behind the name of a file that has it no more.
const DELETED: &str = " (deleted)";
/// Files of one process at most: those of the largest programs are some hundred.
const MODULES_MAX: usize = 1_024;

impl Maps {
    pub(super) fn of_this_process() -> Self {
        std::fs::read_to_string("/proc/self/maps")
            .map_or(Self::default(), |text| Self::parse(&text))
    }

    /// `None` when it is gone, or closed to this user.
    pub(super) fn of_process(pid: i32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
        Some(Self::parse(&text)).filter(|maps| !maps.0.is_empty())
    }

    /// Lines that make no sense are skipped.
    pub(super) fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(Module::parse).take(MODULES_MAX).collect())
    }

    pub(super) fn modules(&self) -> impl Iterator<Item = &Module> {
        self.0.iter()
    }
}

/// What a process says of its mapped files in its black box.
pub(crate) fn own_modules_text() -> Vec<u8> {
    let text = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let code = text.lines().filter(|line| Module::parse(line).is_some());
    code.flat_map(|line| [line, "\n"]).collect::<String>().into_bytes()
}

impl Module {
    /// `start-end rights offset device inode path`, of code that lies in a file.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(6, ' ');
        let (start, end) = words.next()?.split_once('-')?;
        let hexadecimal = |text: &str| u64::from_str_radix(text, 16).ok();
        let (start, end) = (hexadecimal(start)?, hexadecimal(end)?);
        words.next().filter(|rights| rights.contains('x'))?;
        let offset = hexadecimal(words.next()?)?;
        let device = words.next()?.to_owned();
        let inode = words.next()?.parse().ok()?;
        let path = words.next()?.trim_start().to_owned();
        let is_file = path.starts_with('/') && start < end;
        is_file.then_some(Self { start, end, offset, device, inode, path })
    }

    pub(super) fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Where in the file an address lies.
    pub(super) const fn offset_of(&self, address: u64) -> u64 {
        address.saturating_sub(self.start).saturating_add(self.offset)
    }

    pub(super) fn file_key(&self) -> (String, u64) {
        (self.device.clone(), self.inode)
    }

    fn path(&self) -> &str {
        self.path.strip_suffix(DELETED).unwrap_or(&self.path)
    }

    pub(super) fn name(&self) -> &str {
        self.path().rsplit('/').next().unwrap_or_default()
    }

    /// The file that is mapped, also when another one has its name now. `None` when it cannot be
    /// found: the wrong names would be worse than none.
    pub(super) fn find_file(&self, own: &Maps, pid: Option<i32>) -> Option<File> {
        let is_own = own.modules().any(|module| module.file_key() == self.file_key());
        let own_program = std::fs::read_link("/proc/self/exe").ok();
        let is_own_program = own_program.is_some_and(|link| {
            let link = link.to_string_lossy();
            link.strip_suffix(DELETED).unwrap_or(&link) == self.path()
        });
        if is_own && is_own_program {
            return File::open("/proc/self/exe").ok();
        }
        let of_process = pid.map(|pid| format!("/proc/{pid}/exe"));
        let candidates = std::iter::once(self.path()).chain(of_process.as_deref());
        let mut opened = candidates.filter_map(|path| File::open(path).ok());
        let found = opened.find(|file| file.metadata().is_ok_and(|of| of.ino() == self.inode));
        // On some file systems (overlayfs) the kernel shows the number of another layer.
        let may_differ = is_own && !self.path.ends_with(DELETED);
        found.or_else(|| File::open(self.path()).ok().filter(|_| may_differ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "1000-3000 r-xp 00000800 fe:01 17                   /usr/bin/my app (deleted)";

    #[test]
    fn code_in_files_is_found_and_the_rest_is_skipped() {
        let text = format!(
            "{LINE}\n2000-3000 rw-p 0 fe:01 17 /usr/bin/app\n3000-4000 r-xp 0 00:00 0 [vdso]\n\
             4000-5000 r-xp 0 00:00 0\nnonsense\n5000-4000 r-xp 0 fe:01 18 /wrong\n"
        );
        let maps = Maps::parse(&text);
        let [module] = &maps.0[..] else { panic!("{maps:?}") };
        assert_eq!((module.name(), module.path()), ("my app", "/usr/bin/my app"));
        assert!(module.contains(0x1000) && !module.contains(0x3000));
        assert_eq!((module.offset_of(0x1010), module.inode), (0x810, 17));
    }

    #[test]
    fn another_file_of_the_same_name_is_not_taken_for_it() {
        let path = std::env::temp_dir().join(format!("ostler-maps-{}", std::process::id()));
        std::fs::write(&path, "new").unwrap();
        let inode = std::fs::metadata(&path).unwrap().ino();
        let line = |inode: u64| format!("1000-2000 r-xp 0 fe:01 {inode} {}", path.display());
        let module = |inode| Module::parse(&line(inode)).unwrap();
        assert!(module(inode).find_file(&Maps::default(), None).is_some());
        assert!(module(inode + 1).find_file(&Maps::default(), None).is_none());
        std::fs::remove_file(&path).unwrap();
        assert!(module(inode).find_file(&Maps::default(), None).is_none());
    }
}
