//! The stack of another thread of this process, captured by that thread itself in a signal handler.
//!
//! The handler allocates nothing, takes no lock, calls only what `signal-safety(7)` allows or raw
//! system calls, keeps `errno`, and reads no memory that may be missing. Each thread answers at a
//! place of its own: who asks one of them need not wait for it before asking another, and the
//! thread that is asked waits for nobody.
//!
//! What such a thread works with is nobody else's business: of its stack only those words are kept
//! that are addresses of code or of the stack itself, by which frames are found.
#![allow(unsafe_code)]

use std::io;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use nix::sys::signal::{SigmaskHow, sigprocmask};
use ostler_shm::black_box::capture::{Capture, STACK_BYTES_MAX};

use super::capture::{KeptErrno, queue_to_thread, registers, this_thread};
use super::signal::{Disposition, SignalNumber, has_default_effect, set_of};

const WORD: u64 = 8;
const WORDS: usize = STACK_BYTES_MAX / WORD as usize;

/// Nobody is asked; or the last answer was taken.
const FREE: u32 = 0;
/// Who asks is about to.
const PREPARES: u32 = 1;
/// The thread was asked.
const ASKED: u32 = 2;
/// It answers.
const ANSWERS: u32 = 3;
/// It has answered.
const ANSWERED: u32 = 4;

/// Where one thread answers. A handler may look for it whenever a signal comes, so that it stays
/// for ever: a process has few threads that can be asked.
#[derive(Debug)]
struct Place {
    thread: i32,
    stack: Range<u64>,
    /// Which of these it is: who moves it owns what is below.
    state: AtomicU32,
    /// The request, by its number.
    request: AtomicU64,
    registers: [AtomicU64; 4],
    /// Made when the thread is asked for the first time.
    captured: OnceLock<Vec<AtomicU64>>,
    captured_at: AtomicU64,
    captured_words: AtomicUsize,
    next: OnceLock<&'static Self>,
}

/// The first of all places.
static FIRST: OnceLock<&'static Place> = OnceLock::new();
/// The number of the newest request.
static REQUEST: AtomicU64 = AtomicU64::new(0);
/// Where code is mapped.
static CODE: OnceLock<Vec<Range<u64>>> = OnceLock::new();
/// The thread that reads the signals of the process.
static READER: AtomicI32 = AtomicI32::new(0);

/// The signal by which threads are asked; 0: none.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Whether threads are asked by this signal: a stray one is as any other that nobody uses.
pub(super) fn asks_by(signal: SignalNumber) -> bool {
    SIGNAL.load(Ordering::Relaxed) == signal
}

/// The signal by which threads are asked; what it did before is put back when this is dropped.
#[derive(Debug)]
pub(crate) struct Asking {
    signal: SignalNumber,
    before: Disposition,
}

impl Asking {
    /// `sigaction(2)` — threads of this process can be asked from now on, if there is a real-time
    /// signal that the program does not use. This thread reads the signals of the process.
    pub(crate) fn install() -> io::Result<Option<Self>> {
        let mut unused =
            (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev().filter(|one| has_default_effect(*one));
        let Some(signal) = unused.next() else { return Ok(None) };
        READER.store(this_thread(), Ordering::Release);
        let _ = CODE.set(mapped_code());
        let before = Disposition::of(signal)?;
        // SAFETY: `sigaction` is a C struct of integers and a nullable function pointer, for which
        // zero bits are valid.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_request as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART | libc::SA_SIGINFO;
        // SAFETY: both pointers are valid, and the handler is async-signal-safe.
        if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        SIGNAL.store(signal, Ordering::Relaxed);
        Ok(Some(Self { signal, before }))
    }

    pub(crate) const fn signal(&self) -> SignalNumber {
        self.signal
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = SIGNAL.compare_exchange(self.signal, 0, Ordering::Relaxed, Ordering::Relaxed);
        // Fails only for a signal that does not exist.
        let _ = self.before.restore();
    }
}

impl Place {
    /// Adds one for this thread. It is behind all others; those that ended lie before it.
    fn add(stack: Range<u64>) -> &'static Self {
        let place: &'static Self = Box::leak(Box::new(Self {
            thread: this_thread(),
            stack,
            state: AtomicU32::new(FREE),
            request: AtomicU64::new(0),
            registers: Default::default(),
            captured: OnceLock::new(),
            captured_at: AtomicU64::new(0),
            captured_words: AtomicUsize::new(0),
            next: OnceLock::new(),
        }));
        let mut end = &FIRST;
        while let Err(place) = end.set(place) {
            let Some(last) = end.get() else { return place };
            end = &last.next;
        }
        place
    }

    /// The place where this request is to be answered, if it is this thread's.
    fn of_request(number: u64) -> Option<&'static Self> {
        let own = this_thread();
        let mut next = FIRST.get();
        while let Some(place) = next {
            if place.thread == own && place.request.load(Ordering::Relaxed) == number {
                return Some(place);
            }
            next = place.next.get();
        }
        None
    }

    fn moves(&self, from: u32, to: u32) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// A thread that can be asked.
#[derive(Debug)]
pub(crate) struct Askable {
    signal: SignalNumber,
    place: &'static Place,
}

impl Askable {
    /// `sigprocmask(2)`, `SIG_UNBLOCK`; `pthread_getattr_np(3)` — this thread can be asked from now
    /// on, by this signal of [`Asking::signal`].
    pub(crate) fn here(signal: SignalNumber) -> io::Result<Self> {
        let place = Place::add(own_stack()?);
        sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&set_of(&[signal])), None)?;
        Ok(Self { signal, place })
    }

    /// `rt_tgsigqueueinfo(2)` — asks what the thread is doing, which [`Askable::answer`] knows in a
    /// moment. `Err`: why it cannot be asked.
    pub(crate) fn ask(&self) -> Result<(), &'static str> {
        let place = self.place;
        // One that came too late is of no use any more.
        if !place.moves(FREE, PREPARES) && !place.moves(ANSWERED, PREPARES) {
            return Err("it has not answered an earlier question yet");
        }
        place.captured.get_or_init(|| (0..WORDS).map(|_| AtomicU64::new(0)).collect());
        let number = REQUEST.fetch_add(1, Ordering::Relaxed) + 1;
        place.request.store(number, Ordering::Relaxed);
        place.state.store(ASKED, Ordering::Release);
        queue_to_thread(self.signal, place.thread, number);
        Ok(())
    }

    /// What the thread has answered, if it has.
    pub(crate) fn answer(&self) -> Option<Capture> {
        let place = self.place;
        if place.state.load(Ordering::Acquire) != ANSWERED {
            return None;
        }
        let capture = place.capture();
        place.state.store(FREE, Ordering::Release);
        Some(capture)
    }

    /// It is waited for no longer: what it may answer now nobody takes.
    pub(crate) fn give_up(&self) {
        self.place.moves(ASKED, FREE);
    }
}

/// A thread is asked, or a stray signal came.
extern "C" fn on_request(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let _errno = KeptErrno::new();
    // SAFETY: with SA_SIGINFO the kernel gives a valid `siginfo_t`; fields that this signal does
    // not have are other integers of the same union.
    let (code, sender, number) =
        unsafe { ((*info).si_code, (*info).si_pid(), (*info).si_value().sival_ptr as u64) };
    // SAFETY: has no precondition, and is async-signal-safe.
    let own = unsafe { libc::getpid() };
    if (code, sender) == (libc::SI_QUEUE, own) {
        if let Some(place) = Place::of_request(number)
            && place.moves(ASKED, ANSWERS)
        {
            // SAFETY: with SA_SIGINFO the kernel gives a valid `ucontext_t`.
            place.answer(registers(unsafe { &*context.cast::<libc::ucontext_t>() }));
            place.state.store(ANSWERED, Ordering::Release);
        }
        return;
    }
    // The one who reads signals would have had it, were it blocked here.
    let reader = READER.load(Ordering::Acquire);
    if reader != this_thread() {
        // SAFETY: a valid `siginfo_t`, which is copied and read; async-signal-safe. (The kernel
        // lets nobody pass on what it says itself; who has sent it stands at the same place.)
        unsafe {
            let mut told = *info;
            told.si_code = libc::SI_QUEUE;
            libc::syscall(libc::SYS_rt_tgsigqueueinfo, own, reader, signal, &raw const told);
        }
    }
}

impl Place {
    /// Copies registers and stack of this thread, which is the one that was asked.
    fn answer(&self, registers: [u64; 4]) {
        let [_, at, ..] = registers;
        for (word, register) in self.registers.iter().zip(registers) {
            word.store(register, Ordering::Relaxed);
        }
        let at = at & !(WORD - 1);
        let code = CODE.get().map_or(&[][..], Vec::as_slice);
        let captured = self.captured.get().map_or(&[][..], Vec::as_slice);
        let mut words = 0;
        if self.stack.contains(&at) {
            for (number, word) in captured.iter().enumerate() {
                let place = at + number as u64 * WORD;
                if place >= self.stack.end {
                    break;
                }
                // SAFETY: aligned, and on this thread's stack between its pointer and its end,
                // which is mapped as long as the thread lives.
                let value = unsafe { std::ptr::read_volatile(place as *const u64) };
                let is_kept =
                    self.stack.contains(&value) || code.iter().any(|range| range.contains(&value));
                word.store(if is_kept { value } else { 0 }, Ordering::Relaxed);
                words = number + 1;
            }
        }
        self.captured_at.store(at, Ordering::Relaxed);
        self.captured_words.store(words, Ordering::Relaxed);
    }

    /// What was copied.
    fn capture(&self) -> Capture {
        let words = self.captured_words.load(Ordering::Relaxed);
        let get = |word: &AtomicU64| word.load(Ordering::Relaxed);
        Capture {
            registers: self.registers.iter().map(get).collect(),
            stack_at: self.captured_at.load(Ordering::Relaxed),
            stack: self.captured.get().into_iter().flatten().take(words).map(get).collect(),
            ..Capture::default()
        }
    }
}

/// `/proc/self/maps` — where there is code.
fn mapped_code() -> Vec<Range<u64>> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let range = |line: &str| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        words.next().filter(|rights| rights.contains('x'))?;
        let address = |text| u64::from_str_radix(text, 16).ok();
        Some(address(start)?..address(end)?)
    };
    maps.lines().filter_map(range).collect()
}

/// `pthread_getattr_np(3)` — where the stack of this thread lies.
fn own_stack() -> io::Result<Range<u64>> {
    // SAFETY: a C struct of bytes and integers, for which zero bits are valid.
    let mut attributes: libc::pthread_attr_t = unsafe { std::mem::zeroed() };
    let (mut at, mut len) = (std::ptr::null_mut(), 0);
    // SAFETY: this thread lives; the attributes are made by the first call, read by the second and
    // given back by the third; all pointers are to values that live as long as the calls.
    let failed = unsafe {
        let made = libc::pthread_getattr_np(libc::pthread_self(), &raw mut attributes);
        if made != 0 {
            return Err(io::Error::from_raw_os_error(made));
        }
        let failed = libc::pthread_attr_getstack(&raw const attributes, &raw mut at, &raw mut len);
        libc::pthread_attr_destroy(&raw mut attributes);
        failed
    };
    match failed {
        0 => Ok(at as u64..(at as u64).saturating_add(len as u64)),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stacks::Stacks;
    use crate::sys::poll;
    use crate::sys::process::in_forked_test;
    use crate::sys::signal::{Held, SignalFd};
    use std::os::fd::AsFd as _;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    const DEADLINE: Duration = Duration::from_secs(30);
    const SECRET: u64 = 0x5ec2_e75e_c2e7_0001;

    fn stack_of(askable: &Askable) -> Capture {
        let deadline = Instant::now() + DEADLINE;
        askable.ask().unwrap();
        loop {
            if let Some(capture) = askable.answer() {
                return capture;
            }
            assert!(Instant::now() < deadline, "it does not answer");
            std::thread::yield_now();
        }
    }

    #[inline(never)]
    fn turns_for_ever(over: &AtomicBool) -> u64 {
        let secret = std::hint::black_box([SECRET; 64]);
        while !over.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        std::hint::black_box(secret).iter().fold(0, |sum, word| sum ^ word)
    }

    #[test]
    fn a_thread_tells_where_it_is_and_nothing_of_what_it_works_with() {
        in_forked_test(|| {
            let _held = Held::new().unwrap();
            let asking = Asking::install().unwrap().unwrap();
            let (sends, has) = channel();
            let over = Arc::new(AtomicBool::new(false));
            let (signal, ends) = (asking.signal(), Arc::clone(&over));
            let thread = std::thread::spawn(move || {
                sends.send(Askable::here(signal).unwrap()).unwrap();
                turns_for_ever(&ends)
            });
            let askable = has.recv().unwrap();
            let mut stack = stack_of(&askable);
            for _ in 0..100 {
                stack = stack_of(&askable);
            }
            over.store(true, Ordering::Relaxed);
            thread.join().unwrap();
            assert!(stack.stack.len() > 64 && !stack.stack.contains(&SECRET));
            let text = crate::stacks::own_modules_text();
            let frames = Stacks::new().frames(&stack, None, &text);
            let is_there = frames.iter().any(|it| it.function.ends_with("turns_for_ever"));
            assert!(is_there, "{frames:#?}");
            // It is gone, and asked in vain as often as one likes.
            for _ in 0..2 {
                askable.ask().unwrap();
                assert!(askable.answer().is_none() && askable.ask().is_err());
                askable.give_up();
            }
        });
    }

    #[test]
    fn a_stray_signal_goes_to_who_reads_signals_and_the_program_has_its_own_back() {
        in_forked_test(|| {
            let held = Held::new().unwrap();
            let asking = Asking::install().unwrap().unwrap();
            let signals = SignalFd::new().unwrap();
            let signal = asking.signal();
            let (sends, has) = channel();
            let (over, end) = channel::<()>();
            let thread = std::thread::spawn(move || {
                sends.send(Askable::here(signal).unwrap()).unwrap();
                end.recv().unwrap_err();
            });
            has.recv().unwrap();
            // SAFETY: a signal to this process, which handles it.
            assert_eq!(unsafe { libc::kill(libc::getpid(), signal) }, 0);
            // It may be seen before the other thread has taken it, and then again.
            let received = loop {
                let readable = poll::wait_readable([signals.as_fd()], Some(DEADLINE)).unwrap();
                assert_eq!(readable, [true]);
                if let Some(received) = signals.read().unwrap() {
                    break received;
                }
            };
            assert_eq!((received.signal, received.sender_pid), (signal, std::process::id() as _));
            drop(over);
            thread.join().unwrap();
            drop(asking);
            assert!(has_default_effect(signal));
            drop(held);
        });
    }
}
