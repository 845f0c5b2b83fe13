//! Signal handlers of a worker that capture its stack into its black box: when its manager asks,
//! when it crashes, and when it panics.
//!
//! The handlers allocate nothing, take no lock, call only what `signal-safety(7)` allows or raw
//! system calls, keep `errno`, and read no memory that may be missing. They run on a stack of
//! their own, so that an overflow can be told. Registers and a bounded piece of the stack are
//! copied as they are; who reads the box makes frames of them (decision 39).
#![allow(unsafe_code)]

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

use ostler_shm::black_box::capture::{CaptureWords, Reason, STACK_BYTES_MAX};
use ostler_shm::black_box::memory::BlackBox;
use ostler_shm::sync::Ordering as WordOrdering;

use super::signal::{Disposition, SignalNumber};
use super::{black_box, clock, late_hook};

/// Signals by which a process ends because of what its code did.
const CRASHES: [SignalNumber; 5] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];
/// The stack of the handlers, bytes: the largest frame that a kernel makes for a signal is 12 KiB,
/// and handlers of user code may run on it, too.
const SIGNAL_STACK_BYTES: usize = 64 * 1024;
/// An address nearer to the end of the main thread's stack than that is on it: the kernel keeps at
/// least 128 MiB below the end free of other mappings.
const MAIN_STACK_BYTES_MAX: u64 = 128 * 1024 * 1024;
const PAGE: u64 = 4096;
const WORD: u64 = 8;

/// What crashes did before, in the order of [`CRASHES`].
static BEFORE: [OnceLock<Disposition>; CRASHES.len()] = [const { OnceLock::new() }; CRASHES.len()];
/// The process whose handlers these are: one that it forks has them too, and no box.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// A crash is handled by who handled crashes before.
static IS_CHAINED: AtomicBool = AtomicBool::new(false);
/// See [`set_frame_source`]; 0 for none.
static FRAME_SOURCE: AtomicUsize = AtomicUsize::new(0);

/// Adds frames of another language to a capture; see [`set_frame_source`].
pub type FrameSource = unsafe extern "C" fn(&mut Frames<'_>);

/// Where a [`FrameSource`] writes.
#[derive(Debug)]
pub struct Frames<'a>(CaptureWords<'a>);

impl Frames<'_> {
    /// Adds a frame, the innermost one first: its function, its file, and the line (0: unknown).
    /// Names are cut at 255 bytes; they need not be UTF-8. False: there is no room for more, which
    /// is counted, so that going on is of no use.
    pub fn add(&mut self, function: &[u8], file: &[u8], line: u32) -> bool {
        self.0.add_frame(function, file, line)
    }
}

/// From now on `source` is called whenever the stack of this worker is captured, so that code of
/// another language shows up by its own names. `None`: nobody is called any more.
///
/// # Safety
///
/// `source` runs in signal context, in the midst of whatever the worker's thread was doing, also in
/// the midst of a crash. It must be async-signal-safe: allocate nothing, take no lock, call nothing
/// that does (`signal-safety(7)`), and follow only pointers that are valid at every instruction of
/// the program, in a bounded number of steps. It must not unwind.
pub unsafe fn set_frame_source(source: Option<FrameSource>) {
    FRAME_SOURCE.store(source.map_or(0, |source| source as usize), Ordering::Release);
}

/// `sigaction(2)`, `sigaltstack(2)` — lets this process capture itself into its box; answers the
/// signal by which it is asked to: the highest real-time signal that the program does not use.
///
/// Call it once, in the main thread, before signals of no effect get their handler.
pub(crate) fn install() -> io::Result<Option<SignalNumber>> {
    let Some(own) = black_box::own() else { return Ok(None) };
    OWNER.store(std::process::id().cast_signed(), Ordering::Release);
    use_signal_stack()?;
    for (signal, before) in CRASHES.into_iter().zip(&BEFORE) {
        let disposition = Disposition::of(signal)?;
        // A program that ignores its crashes goes on doing so.
        if !disposition.is_ignored() && before.set(disposition).is_ok() {
            set_handler(signal, on_crash)?;
        }
    }
    let real_time = (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev();
    let mut unused = real_time.filter(|signal| super::signal::has_default_effect(*signal));
    let asked_by = unused.next();
    if let Some(signal) = asked_by {
        set_handler(signal, on_request)?;
    }
    own.identify(asked_by.unwrap_or(0), end_of_main_stack().unwrap_or(0));
    Ok(asked_by)
}

/// Marks a request of the manager that is no request for a capture: what runs is late. The rest of
/// the number is its turn.
pub(crate) const LATE: u64 = 1 << 63;

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

fn set_handler(signal: SignalNumber, handler: Handler) -> io::Result<()> {
    // SAFETY: `sigaction` is a C struct of integers and a nullable function pointer, for which zero
    // bits are valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK | libc::SA_SIGINFO;
    // SAFETY: both pointers are valid, and the handlers below are async-signal-safe.
    if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// `sigaltstack(2)` — gives the main thread a stack for handlers, with a page below it that faults.
/// It is never given back.
fn use_signal_stack() -> io::Result<()> {
    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
    let len = SIGNAL_STACK_BYTES + PAGE as usize;
    let rights = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a fresh mapping at an address of the kernel's choice aliases nothing.
    let base = unsafe { mmap_anonymous(std::ptr::null_mut(), len, rights, MapFlags::PRIVATE)? };
    // SAFETY: the first page of the mapping above, which nobody uses.
    unsafe { mprotect(base, PAGE as usize, MprotectFlags::empty())? };
    let stack = libc::stack_t {
        ss_sp: base.wrapping_byte_add(PAGE as usize),
        ss_flags: 0,
        ss_size: SIGNAL_STACK_BYTES,
    };
    // SAFETY: the stack is mapped for ever and used for nothing else.
    if unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// `/proc/self/maps` — where the stack of the main thread ends.
fn end_of_main_stack() -> Option<u64> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("[stack]"))?;
    let (_, end) = line.split_whitespace().next()?.split_once('-')?;
    u64::from_str_radix(end, 16).ok()
}

/// Notes last words, and captures the stack of this thread as that of a process that is about to
/// end. For a hook of panics: who catches the panic loses nothing.
pub(crate) fn capture_last(words: &str) {
    let Some(own) = own_of_this_process() else { return };
    own.set_last_words(words.as_bytes());
    if let Some(signal) = own.signal() {
        // Handled before this returns, unless the thread blocks it.
        queue_to_thread(signal, this_thread(), 0);
    }
}

/// The manager asks.
extern "C" fn on_request(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let _errno = KeptErrno::new();
    // SAFETY: with SA_SIGINFO the kernel gives a valid `siginfo_t`.
    let (code, number) = unsafe { ((*info).si_code, (*info).si_value().sival_ptr as u64) };
    let Some(own) = own_of_this_process() else { return };
    if code != libc::SI_QUEUE {
        // A stray signal has no effect.
        return;
    }
    let (main, thread) = (OWNER.load(Ordering::Relaxed), this_thread());
    if number & LATE != 0 && thread == main {
        return late_hook::call(own.phase().is_some_and(|line| line.turn() == number & !LATE));
    }
    if number != 0 && thread != main {
        // The main thread blocks it, or is about to end: it shall have it when it can.
        return queue_to_thread(signal, main, number);
    }
    let reason = Reason { number, code, thread: thread.unsigned_abs(), ..reason_of(own, signal) };
    capture(own, &reason, context, Added::Before);
}

/// The process crashes.
extern "C" fn on_crash(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let _errno = KeptErrno::new();
    // What aborts while it handles a crash (the runtime of Rust, when a stack has overflowed) is
    // not the cause.
    if !IS_CHAINED.load(Ordering::Relaxed)
        && let Some(own) = own_of_this_process()
    {
        // SAFETY: with SA_SIGINFO the kernel gives a valid `siginfo_t`; fields that this signal
        // does not have are other integers of the same union.
        let (code, address, sender) =
            unsafe { ((*info).si_code, (*info).si_addr() as u64, (*info).si_pid().unsigned_abs()) };
        let is_sent = code <= 0;
        let reason = Reason {
            code,
            address: if is_sent { 0 } else { address },
            sender: if is_sent { sender } else { 0 },
            thread: this_thread().unsigned_abs(),
            ..reason_of(own, signal)
        };
        capture(own, &reason, context, Added::Behind);
    }
    go_on_as_before(signal, info, context);
}

/// Lets happen what would have happened without us.
fn go_on_as_before(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let index = CRASHES.iter().position(|crash| *crash == signal);
    let before = index.and_then(|index| BEFORE.get(index)?.get());
    let was_chained = IS_CHAINED.swap(true, Ordering::Relaxed);
    // SAFETY: called with what the kernel gave for this signal.
    if before.is_some_and(|before| unsafe { before.call(signal, info, context) }) {
        // It may have mended what was wrong, and the program goes on.
        return IS_CHAINED.store(was_chained, Ordering::Relaxed);
    }
    // The default effect: the instruction is tried again, or the signal is sent again.
    // SAFETY: sets the default effect of a signal, in a process that is at its end; then sends it
    // to this thread, which takes it when this handler has returned. Both are async-signal-safe.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        if (*info).si_code <= 0 {
            libc::syscall(libc::SYS_tgkill, libc::getpid(), this_thread(), signal);
        }
    }
}

/// When another language adds its frames.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Added {
    /// Before the capture is complete: who waits for it wants them.
    Before,
    /// When it is: in a crash that may be the end.
    Behind,
}

fn reason_of(own: &BlackBox, signal: SignalNumber) -> Reason {
    Reason {
        signal,
        phase_turn: own.phase().map_or(0, |line| line.turn()),
        taken_ns: clock::monotonic_ns(),
        ..Reason::default()
    }
}

fn capture(own: &BlackBox, reason: &Reason, context: *mut libc::c_void, added: Added) {
    let Some(words) = own.capture() else { return };
    words.begin(reason);
    // SAFETY: with SA_SIGINFO the kernel gives a valid `ucontext_t`.
    let registers = registers(unsafe { &*context.cast::<libc::ucontext_t>() });
    let [_, at, ..] = registers;
    words.set_registers(registers.into_iter());
    let at = lowest_mapped(at, reason.address) & !(WORD - 1);
    words.set_stack(at, copy_stack(&words, at, own.stack_end()));
    let took = || clock::monotonic_ns().saturating_sub(reason.taken_ns);
    if added == Added::Before {
        add_frames(words);
        words.end(took());
    } else {
        words.end(took());
        add_frames(words);
    }
}

/// Where the stack can be read from: a stack that has overflowed ends between its pointer and the
/// address that faulted, or a little above.
const fn lowest_mapped(at: u64, fault: u64) -> u64 {
    let page_above = (fault / PAGE + 1) * PAGE;
    if fault.abs_diff(at) < STACK_BYTES_MAX as u64 && page_above > at { page_above } else { at }
}

fn add_frames(words: CaptureWords<'_>) {
    let source = FRAME_SOURCE.load(Ordering::Acquire);
    if source != 0 {
        // SAFETY: only `set_frame_source` stores here, and only function pointers of this type,
        // whose giver promises that they may be called here.
        unsafe { std::mem::transmute::<usize, FrameSource>(source)(&mut Frames(words)) };
    }
}

/// Copies the stack from `at` on; answers how many words of it. Memory that is not mapped ends it.
fn copy_stack(words: &CaptureWords<'_>, at: u64, main_end: u64) -> usize {
    let to_end = main_end.saturating_sub(at);
    if to_end == 0 || to_end > MAIN_STACK_BYTES_MAX {
        return copy_foreign_stack(words, at);
    }
    let count = (to_end / WORD) as usize;
    let mut copied = 0;
    for word in words.stack.iter().take(count) {
        // SAFETY: `at` is aligned and on the main thread's stack, which is mapped from the stack
        // pointer to its end.
        let value = unsafe { std::ptr::read_volatile((at as *const u64).wrapping_add(copied)) };
        word.store(value, WordOrdering::Relaxed);
        copied += 1;
    }
    copied
}

/// `process_vm_readv(2)` — copies of a stack of which nothing is known: that of another thread, or
/// one that user code made. Where the system call is forbidden (a seccomp profile), nothing.
fn copy_foreign_stack(words: &CaptureWords<'_>, at: u64) -> usize {
    const PAGES: usize = STACK_BYTES_MAX / PAGE as usize;
    let end = at.saturating_add(STACK_BYTES_MAX as u64);
    // A part for each page: the kernel copies whole parts only.
    let part = |number: u64| {
        let from = if number == 0 { at } else { at / PAGE * PAGE + number * PAGE };
        let to = ((from / PAGE + 1) * PAGE).min(end);
        let len = to.saturating_sub(from) as usize;
        libc::iovec { iov_base: from as *mut libc::c_void, iov_len: len }
    };
    let mut number = 0;
    let parts: [libc::iovec; PAGES] = std::array::from_fn(|_| {
        let part = part(number);
        number += 1;
        part
    });
    let local = libc::iovec {
        iov_base: words.stack.as_ptr().cast_mut().cast(),
        iov_len: size_of_val(words.stack),
    };
    // SAFETY: the kernel checks every address of the other side, and writes only to the words of
    // the box, which are shared memory of atomics. The process is this one.
    let copied = unsafe {
        let (local, parts) = (&raw const local, parts.as_ptr());
        libc::process_vm_readv(libc::getpid(), local, 1, parts, PAGES as libc::c_ulong, 0)
    };
    usize::try_from(copied).unwrap_or(0) / WORD as usize
}

/// Program counter, stack pointer, frame pointer, link register (0 where there is none).
#[cfg(target_arch = "x86_64")]
pub(super) fn registers(context: &libc::ucontext_t) -> [u64; 4] {
    let get = |register: i32| {
        let value = context.uc_mcontext.gregs.get(register.unsigned_abs() as usize);
        value.copied().unwrap_or(0).cast_unsigned()
    };
    [get(libc::REG_RIP), get(libc::REG_RSP), get(libc::REG_RBP), 0]
}

/// Program counter, stack pointer, frame pointer, link register.
#[cfg(target_arch = "aarch64")]
pub(super) fn registers(context: &libc::ucontext_t) -> [u64; 4] {
    let machine = &context.uc_mcontext;
    let get = |register: usize| machine.regs.get(register).copied().unwrap_or(0);
    [machine.pc, machine.sp, get(29), get(30)]
}

/// Not known here.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn registers(_: &libc::ucontext_t) -> [u64; 4] {
    [0; 4]
}

/// The box, in the process that has it: one that user code forks has only its address.
fn own_of_this_process() -> Option<&'static BlackBox> {
    // SAFETY: has no precondition, and is async-signal-safe.
    let is_owner = unsafe { libc::getpid() } == OWNER.load(Ordering::Acquire);
    if is_owner { black_box::own() } else { None }
}

/// `gettid(2)` — this thread.
pub(super) fn this_thread() -> i32 {
    // SAFETY: has no precondition, and is async-signal-safe.
    unsafe { libc::gettid() }
}

/// `rt_tgsigqueueinfo(2)` — sends a signal with a number to a thread of this process. A thread that
/// is gone gets none.
pub(super) fn queue_to_thread(signal: SignalNumber, thread: i32, number: u64) {
    let info = queued(signal, number);
    // SAFETY: a valid `siginfo_t`, which is read; async-signal-safe.
    unsafe {
        let process = libc::getpid();
        libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, signal, &raw const info);
    }
}

/// What the kernel is told of a signal with a number.
pub(super) fn queued(signal: SignalNumber, number: u64) -> libc::siginfo_t {
    /// The part of `siginfo_t` that a queued signal has.
    #[repr(C)]
    struct Queued {
        signal: libc::c_int,
        errno: libc::c_int,
        code: libc::c_int,
        _pad: libc::c_int,
        pid: libc::pid_t,
        uid: libc::uid_t,
        value: u64,
    }
    const _: () = assert!(size_of::<Queued>() <= size_of::<libc::siginfo_t>());
    // SAFETY: `siginfo_t` is a C struct of integers and unions of integers: zero bits are valid. It
    // is large enough for what is written over its beginning, which is its own layout (64 bits).
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let (pid, uid) = (libc::getpid(), libc::getuid());
        let queued =
            Queued { signal, errno: 0, code: libc::SI_QUEUE, _pad: 0, pid, uid, value: number };
        std::ptr::write((&raw mut info).cast::<Queued>(), queued);
        info
    }
}

/// `errno` belongs to the code that was interrupted.
pub(super) struct KeptErrno(libc::c_int);

impl KeptErrno {
    pub(super) fn new() -> Self {
        // SAFETY: the location of `errno` is valid in every thread.
        Self(unsafe { *libc::__errno_location() })
    }
}

impl Drop for KeptErrno {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = self.0 };
    }
}

#[cfg(test)]
mod tests;
