//! System calls: the only module of this crate with unsafe code.
//!
//! Responsible for typed, thin wrappers, one file per idea. `rustix` first, `nix` where `rustix`
//! lacks the call (`fork`, `sigaction`, `sigprocmask`, `signalfd`), `libc` for raw pointers and the
//! few calls neither has. None of these crates appears in a signature that leaves this module,
//! except for the descriptor types of the standard library.
//!
//! Must never: hold policy, log, or retry. A call that would block answers `WouldBlock`; the caller
//! decides.

pub(crate) mod alarm;
pub(crate) mod background;
pub(crate) mod black_box;
pub(crate) mod capabilities;
pub(crate) mod capture;
pub(crate) mod clock;
pub(crate) mod control_socket;
pub(crate) mod datagram;
pub(crate) mod descriptor;
pub(crate) mod epoll;
pub(crate) mod eventfd;
pub(crate) mod file;
pub(crate) mod file_access;
pub(crate) mod file_map;
pub(crate) mod file_prospect;
pub(crate) mod inotify;
pub(crate) mod lane_io;
pub(crate) mod late_hook;
pub(crate) mod limit;
pub(crate) mod log_signal;
#[cfg(feature = "tls")]
pub(crate) mod memory_file;
pub(crate) mod new_program;
pub(crate) mod notify_socket;
pub(crate) mod orphans;
pub(crate) mod panic;
pub(crate) mod pidfd;
pub(crate) mod poll;
pub(crate) mod privileges;
pub(crate) mod process;
pub(crate) mod process_memory;
pub(crate) mod process_name;
pub(crate) mod process_start;
pub(crate) mod program;
pub(crate) mod random;
pub(crate) mod scheduling;
pub(crate) mod sealed_file;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod socket_options;
pub(crate) mod system_calls;
pub(crate) mod thread_stack;
pub(crate) mod unix_diag;
pub(crate) mod unix_socket;
