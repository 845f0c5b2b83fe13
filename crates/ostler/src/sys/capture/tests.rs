//! Processes that capture themselves, each in a process of its own.

use std::os::fd::AsFd as _;

use ostler_shm::black_box::capture::Capture;

use super::*;
use crate::sys::pidfd::{Exit, PidFd};
use crate::sys::poll;
use crate::sys::process::{ExitBy, fork_child, in_forked_test};

/// Lets this process capture itself; the answer is how its manager sees it.
fn live_with_a_box() -> BlackBox {
    let (seen, file) = BlackBox::create().unwrap();
    black_box::keep(file).unwrap();
    install().unwrap().unwrap();
    seen
}

fn captured(seen: &BlackBox) -> Capture {
    seen.read_capture().expect("a capture")
}

/// How a process ends that does this, and what it has captured of itself.
fn end_of(live: impl FnOnce()) -> (Exit, BlackBox) {
    let (seen, file) = BlackBox::create().unwrap();
    let pid = fork_child(&[std::os::fd::AsRawFd::as_raw_fd(&file)], ExitBy::Immediately, || {
        black_box::keep(file).unwrap();
        // A core file of a test is of no use to anybody.
        crate::sys::process::forbid_dumping().unwrap();
        live();
        0
    });
    let pidfd = PidFd::open(pid.unwrap()).unwrap();
    poll::wait_readable([pidfd.as_fd()], None).unwrap();
    (pidfd.try_reap().unwrap().unwrap(), seen)
}

fn died_of(signal: SignalNumber) -> Exit {
    Exit::Signal { signal, core_dumped: false }
}

#[inline(never)]
fn write_to(address: usize) {
    // SAFETY: none: the address is not mapped, which is what the test is about.
    unsafe { std::ptr::write_volatile(address as *mut u64, 1) };
}

#[test]
fn a_process_that_is_asked_captures_the_stack_that_it_has() {
    in_forked_test(|| {
        let seen = live_with_a_box();
        let canary = std::hint::black_box([0x1234_5678_9abc_def0_u64; 4]);
        queue_to_thread(seen.signal().unwrap(), this_thread(), 7);
        let capture = captured(&seen);
        assert_eq!((capture.reason.number, seen.capture().unwrap().number()), (7, 7));
        let at = &raw const canary as u64;
        let index = at.checked_sub(capture.stack_at).unwrap() / WORD;
        assert_eq!(capture.stack[index as usize], canary[0]);
        assert!(capture.took_ns > 0 && capture.registers.len() == 4, "{capture:?}");
    });
}

#[test]
fn a_stack_that_the_kernel_did_not_make_is_captured_too() {
    in_forked_test(|| {
        let seen = live_with_a_box();
        let signal = seen.signal().unwrap();
        let at = std::thread::spawn(move || {
            let canary = std::hint::black_box([0x1234_5678_9abc_def0_u64; 4]);
            queue_to_thread(signal, this_thread(), 0);
            (&raw const canary as u64, canary[0])
        });
        let (at, canary) = at.join().unwrap();
        let capture = captured(&seen);
        let index = at.checked_sub(capture.stack_at).unwrap() / WORD;
        assert_eq!(capture.stack[index as usize], canary);
        assert!(capture.reason.thread != std::process::id());
    });
}

#[test]
fn a_request_that_another_thread_takes_is_handed_to_the_main_thread() {
    in_forked_test(|| {
        let seen = live_with_a_box();
        let signal = seen.signal().unwrap();
        std::thread::spawn(move || queue_to_thread(signal, this_thread(), 5)).join().unwrap();
        while seen.capture().unwrap().number() != 5 {
            std::thread::yield_now();
        }
        assert_eq!(captured(&seen).reason.thread, std::process::id());
    });
}

#[test]
fn a_stray_signal_captures_nothing_and_errno_is_kept() {
    in_forked_test(|| {
        let seen = live_with_a_box();
        let signal = seen.signal().unwrap();
        // SAFETY: sends a signal to this process; sets and reads this thread's `errno`.
        let errno = unsafe {
            assert_eq!(libc::kill(libc::getpid(), signal), 0);
            assert_eq!(seen.read_capture(), None);
            *libc::__errno_location() = 77;
            queue_to_thread(signal, this_thread(), 1);
            *libc::__errno_location()
        };
        assert_eq!((errno, captured(&seen).reason.number), (77, 1));
    });
}

#[test]
fn a_process_that_it_forks_writes_nothing_into_its_box() {
    in_forked_test(|| {
        let seen = live_with_a_box();
        let signal = seen.signal().unwrap();
        let pid = fork_child(&[], ExitBy::Immediately, || {
            queue_to_thread(signal, this_thread(), 9);
            capture_last("of a child");
            0
        });
        let child = PidFd::open(pid.unwrap()).unwrap();
        poll::wait_readable([child.as_fd()], None).unwrap();
        assert_eq!(child.try_reap().unwrap().unwrap(), Exit::Code(0));
        assert!(seen.read_capture().is_none() && seen.last_words().is_empty());
    });
}

#[test]
fn a_fault_is_captured_and_ends_the_process_as_it_would_have() {
    in_forked_test(|| {
        let (exit, seen) = end_of(|| {
            install().unwrap();
            // The runtime of Rust has a handler of its own in between.
            write_to(8);
        });
        assert_eq!(exit, died_of(libc::SIGSEGV));
        let reason = captured(&seen).reason;
        assert_eq!((reason.signal, reason.address, reason.sender), (libc::SIGSEGV, 8, 0));
    });
}

#[test]
fn an_abort_and_a_signal_of_others_are_captured_and_end_the_process() {
    in_forked_test(|| {
        let (exit, seen) = end_of(|| {
            install().unwrap();
            std::process::abort();
        });
        assert_eq!((exit, captured(&seen).reason.signal), (died_of(libc::SIGABRT), libc::SIGABRT));
        for signal in CRASHES {
            let (exit, seen) = end_of(|| {
                // The runtime's handler takes a signal that somebody sends for a fault that comes
                // again, and lets it pass.
                super::super::signal::restore_default(&[signal]).unwrap();
                install().unwrap();
                // SAFETY: sends a signal to this process.
                unsafe { libc::kill(libc::getpid(), signal) };
            });
            let reason = captured(&seen).reason;
            assert_eq!((exit, reason.signal), (died_of(signal), signal));
            assert!(reason.sender > 0 && reason.address == 0, "{reason:?}");
        }
    });
}

#[test]
fn an_overflow_of_the_stack_is_captured_on_another_one() {
    #[inline(never)]
    fn descend(depth: u64) -> u64 {
        let frame = std::hint::black_box([depth; 64]);
        if depth == 0 { 0 } else { descend(depth - 1) + frame[63] }
    }
    in_forked_test(|| {
        let (exit, seen) = end_of(|| {
            install().unwrap();
            descend(u64::MAX);
        });
        // The runtime of Rust says so, and aborts.
        assert!([died_of(libc::SIGABRT), died_of(libc::SIGSEGV)].contains(&exit), "{exit:?}");
        let capture = captured(&seen);
        assert_eq!(capture.reason.signal, libc::SIGSEGV);
        assert!(capture.reason.address.abs_diff(capture.stack_at) < 64 * 1024, "{capture:?}");
        assert_eq!(capture.stack.len(), STACK_BYTES_MAX / 8, "{:x}", capture.stack_at);
    });
}

#[test]
fn a_handler_that_the_program_has_is_called_with_what_the_kernel_gave() {
    extern "C" fn leave(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: what the kernel gave.
        let address = unsafe { (*info).si_addr() } as i32;
        crate::sys::process::exit_immediately(address);
    }
    in_forked_test(|| {
        let (exit, seen) = end_of(|| {
            set_handler(libc::SIGSEGV, leave).unwrap();
            install().unwrap();
            write_to(48);
        });
        assert_eq!((exit, captured(&seen).reason.address), (Exit::Code(48), 48));
    });
}

#[test]
fn last_words_come_with_the_stack_that_said_them() {
    in_forked_test(|| {
        let seen = live_with_a_box();
        capture_last("out of cheese");
        assert_eq!(seen.last_words(), b"out of cheese");
        let reason = captured(&seen).reason;
        assert_eq!((reason.number, Some(reason.signal)), (0, seen.signal()));
    });
}

#[test]
fn frames_of_another_language_are_added() {
    unsafe extern "C" fn source(frames: &mut Frames<'_>) {
        frames.add(b"inner", b"a.php", 1);
        frames.add(b"outer", b"b.php", 2);
    }
    in_forked_test(|| {
        let seen = live_with_a_box();
        // SAFETY: writes to the frames and does nothing else.
        unsafe { set_frame_source(Some(source)) };
        queue_to_thread(seen.signal().unwrap(), this_thread(), 3);
        let capture = captured(&seen);
        let frames: Vec<_> = ostler_shm::black_box::capture::frames(&capture.frames).collect();
        assert_eq!((frames.len(), frames[1].function, frames[1].line), (2, &b"outer"[..], 2));
    });
}

/// The worker waits in a system call all the time, as one that waits for its database.
#[test]
fn ten_thousand_captures_interrupt_no_system_call_and_leave_nothing_stuck() {
    const CAPTURES: u64 = 10_000;
    in_forked_test(|| {
        let seen = live_with_a_box();
        let signal = seen.signal().unwrap();
        let main = this_thread();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let asking = std::thread::spawn(move || {
            for number in 1..=CAPTURES {
                queue_to_thread(signal, main, number);
                while seen.capture().unwrap().number() != number {
                    std::thread::yield_now();
                }
            }
            rustix::io::write(&writer, b"x").unwrap();
            captured(&seen)
        });
        let mut byte = [0];
        // SAFETY: one byte of a live buffer. The C function, because that of `rustix` may not be
        // what user code calls.
        let read = unsafe {
            libc::read(std::os::fd::AsRawFd::as_raw_fd(&reader), byte.as_mut_ptr().cast(), 1)
        };
        assert_eq!((read, byte), (1, *b"x"), "{}", io::Error::last_os_error());
        let last = asking.join().unwrap();
        assert_eq!(last.reason.number, CAPTURES);
        assert!(!last.stack.is_empty());
    });
}
