//! The name that `ps`, `top` and `/proc` show of a process.
//!
//! The arguments that the program was started with stay where they are, because `std::env::args`
//! reads them there at each call: the kernel is told that the command line lies elsewhere, in
//! memory of ours. A kernel or a security policy that does not allow this leaves the old command
//! line; the short name can always be set.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::ops::Range;
use std::sync::{LazyLock, Mutex, PoisonError};

/// Longest command line that is shown, with the zero byte that ends it. Longer ones are cut.
const TITLE_BYTES_MAX: usize = 256;

/// Where the kernel finds our command line. On the heap and never given back: the kernel shows a
/// command line from anonymous memory only, which static memory is not. A forked process has its
/// own copy at the same place.
static TITLE: LazyLock<Mutex<Box<[u8]>>> =
    LazyLock::new(|| Mutex::new(vec![0; TITLE_BYTES_MAX].into_boxed_slice()));

/// The names of this process before it was named, to be put back.
#[derive(Debug)]
pub(crate) struct Names {
    comm: CString,
    /// Where the command line lies; unknown without `/proc`.
    command_line: Option<Range<u64>>,
}

impl Names {
    /// `prctl(2)`, `PR_GET_NAME`, and `/proc/self/stat` — remembers the names.
    pub(crate) fn save() -> io::Result<Self> {
        let command_line = MemoryMap::of_this_process().ok().map(|map| map.arguments());
        Ok(Self { comm: rustix::thread::name()?, command_line })
    }

    /// Puts the names back.
    pub(crate) fn restore(&self) -> io::Result<()> {
        rustix::thread::set_name(&self.comm)?;
        match &self.command_line {
            Some(at) => MemoryMap::of_this_process()?.set_arguments(at.clone()),
            None => Ok(()),
        }
    }
}

/// What the processes of one server are called.
///
/// The short name says what a process is (`ostler-w0`), the command line also whose (`ostler: w0
/// 127.0.0.1:9501 (chat)`), so that `pkill -f` can name one server among several.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    whose: String,
}

impl Instance {
    /// The server that listens on `address` and is called `name`.
    pub(crate) fn new(address: &dyn std::fmt::Display, name: &str) -> Self {
        Self { whose: format!("{address} ({name})") }
    }

    /// The same as in another process of the server, which said [`Instance::whose`].
    pub(crate) fn of(whose: &str) -> Self {
        Self { whose: whose.to_owned() }
    }

    /// Address and name of the server, as titles show them.
    pub(crate) fn whose(&self) -> &str {
        &self.whose
    }

    /// Names this process. Cosmetic: a process without a name works as well.
    pub(crate) fn take(&self, role: &str) {
        self.take_as(role, role);
    }

    /// The same with a shorter word for the short name.
    pub(crate) fn take_as(&self, short: &str, role: &str) {
        if let Err(error) = set(&format!("ostler-{short}"), &self.title(role)) {
            tracing::debug!(%error, "process keeps its command line");
        }
    }

    fn title(&self, role: &str) -> String {
        format!("ostler: {role} {}", self.whose)
    }
}

/// Names this process: `comm` in `/proc/PID/comm` (15 bytes at most), `title` as the command line.
/// For a process of one thread.
///
/// An error means that the command line stays as it was; the short name is set all the same.
fn set(comm: &str, title: &str) -> io::Result<()> {
    let name = title;
    let comm = CString::new(comm)?;
    // `prctl(2)`, `PR_SET_NAME` — the kernel cuts the name to 15 bytes.
    rustix::thread::set_name(&comm)?;
    let map = MemoryMap::of_this_process()?;
    let mut title = TITLE.lock().unwrap_or_else(PoisonError::into_inner);
    title.fill(0);
    // The last byte stays zero and ends the text.
    let length = name.len().min(TITLE_BYTES_MAX - 1);
    for (to, from) in title.iter_mut().zip(name.as_bytes().iter().take(length)) {
        *to = *from;
    }
    let start = title.as_ptr().expose_provenance() as u64;
    map.set_arguments(start..start + length as u64 + 1)
}

/// What `prctl(2)`, `PR_SET_MM_MAP` takes, in the kernel's order (`struct prctl_mm_map`). All of it
/// has to be given, although only the arguments are changed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct MemoryMap {
    code: [u64; 2],
    data: [u64; 2],
    heap: [u64; 2],
    stack: u64,
    arguments: [u64; 2],
    environment: [u64; 2],
    /// Null with a length of 0: the auxiliary vector stays.
    auxiliary_vector: u64,
    auxiliary_vector_bytes: u32,
    /// -1: the program file stays.
    program: u32,
}

impl MemoryMap {
    /// `/proc/self/stat` — where everything lies now, but for the end of the heap.
    fn of_this_process() -> io::Result<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        Self::parse(&stat).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Fields 26 to 28 and 45 to 51 of `/proc/PID/stat`; see `proc_pid_stat(5)`.
    fn parse(stat: &str) -> Option<Self> {
        // Field 2 is the program's name in parentheses and may contain anything, so count from the
        // last parenthesis.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number.checked_sub(3)?)?.parse::<u64>().ok();
        Some(Self {
            code: [field(26)?, field(27)?],
            data: [field(45)?, field(46)?],
            heap: [field(47)?, 0],
            stack: field(28)?,
            arguments: [field(48)?, field(49)?],
            environment: [field(50)?, field(51)?],
            auxiliary_vector: 0,
            auxiliary_vector_bytes: 0,
            program: u32::MAX,
        })
    }

    fn arguments(&self) -> Range<u64> {
        let [start, end] = self.arguments;
        start..end
    }

    /// `prctl(2)`, `PR_SET_MM_MAP` — tells the kernel where the command line lies. Needs no
    /// privilege, but a kernel built with `CONFIG_CHECKPOINT_RESTORE`.
    fn set_arguments(mut self, at: Range<u64>) -> io::Result<()> {
        self.arguments = [at.start, at.end];
        // SAFETY: `sbrk` with 0 only tells where the heap ends. Asked last, because the kernel
        // takes the end of the heap from us too, and an allocation in between could move it; this
        // thread makes none and there is no other.
        self.heap[1] = unsafe { libc::sbrk(0) }.expose_provenance() as u64;
        let bytes = size_of::<Self>();
        // SAFETY: the kernel reads `bytes` bytes of a valid struct and checks them. It changes only
        // what it tells others of this process: no memory, and nothing that the program itself
        // uses.
        let result = unsafe {
            libc::prctl(libc::PR_SET_MM, libc::PR_SET_MM_MAP, &raw const self, bytes, 0_usize)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::{self, ExitBy, fork_child};

    fn shown() -> (String, String) {
        let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
        let line = std::fs::read_to_string("/proc/self/cmdline").unwrap();
        (comm.trim_end().to_owned(), line.trim_end_matches('\0').to_owned())
    }

    #[test]
    fn names_show_in_proc_and_the_arguments_stay() {
        process::in_forked_test(|| {
            let arguments: Vec<_> = std::env::args_os().collect();
            set("ostler-w0", "ostler-w0").unwrap();
            assert_eq!(shown(), ("ostler-w0".to_owned(), "ostler-w0".to_owned()));
            assert_eq!(std::env::args_os().collect::<Vec<_>>(), arguments);
            // A long name is cut, and a shorter one after it leaves nothing behind.
            set(&"x".repeat(100_000), &"x".repeat(100_000)).unwrap();
            assert_eq!(shown(), ("x".repeat(15), "x".repeat(TITLE_BYTES_MAX - 1)));
            set("ostler-w1", "ostler-w1").unwrap();
            assert_eq!(shown().1, "ostler-w1");
            assert_eq!(std::env::args_os().collect::<Vec<_>>(), arguments);
        });
    }

    #[test]
    fn names_are_put_back() {
        process::in_forked_test(|| {
            let before = shown();
            let names = Names::save().unwrap();
            set("ostler-master", "ostler-master").unwrap();
            assert_ne!(shown(), before);
            names.restore().unwrap();
            assert_eq!(shown(), before);
        });
    }

    #[test]
    fn a_child_has_its_own_name() {
        process::in_forked_test(|| {
            set("parent", "parent").unwrap();
            let child = fork_child(&[], ExitBy::Immediately, || {
                set("child", "child").unwrap();
                i32::from(shown().1 != "child")
            });
            let child = crate::sys::pidfd::PidFd::open(child.unwrap()).unwrap();
            while !child.has_ended().unwrap() {}
            let exit = child.try_reap().unwrap();
            assert_eq!(exit, Some(ostler_core::supervisor::Exit::Code(0)));
            assert_eq!(shown().1, "parent");
        });
    }

    #[test]
    fn an_odd_stat_line_is_refused() {
        let line = |last: &str| {
            let numbers: Vec<String> = (4..=50).map(|field| field.to_string()).collect();
            format!("1 (a) b) S {} {last} 0", numbers.join(" "))
        };
        let map = MemoryMap::parse(&line("51")).unwrap();
        assert_eq!((map.code, map.stack, map.heap), ([26, 27], 28, [47, 0]));
        assert_eq!((map.data, map.arguments(), map.environment), ([45, 46], 48..49, [50, 51]));
        assert_eq!(MemoryMap::parse(&line("x")), None);
        assert_eq!(MemoryMap::parse("1 (a) S 1 2"), None);
        assert_eq!(MemoryMap::parse(""), None);
    }

    #[test]
    fn titles_name_the_server() {
        let instance = Instance::new(&"[::1]:9501", "chat");
        assert_eq!(instance.title("w12"), "ostler: w12 [::1]:9501 (chat)");
    }
}
