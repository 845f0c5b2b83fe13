//! Frames of a captured stack: addresses, and then names.
//!
//! Runs in a short-lived process of its own, beside the manager: what was captured is hostile, and
//! reading a program's debug information takes its time. Nothing of the process that was captured
//! is needed any more but its list of mapped files; that may be dead.

mod maps;
mod program;
mod unwind;

use std::collections::HashMap;
use std::fmt;

use ostler_shm::black_box::capture::{self, Capture};

pub(crate) use maps::own_modules_text;
use maps::{Maps, Module};
use program::Program;
pub(crate) use unwind::UNKNOWN;

/// Frames of one stack at most, without those that the compiler has inlined.
const FRAMES_MAX: usize = 128;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The function, or where the code lies that has no name.
    pub(crate) function: String,
    /// File and line.
    pub(crate) place: Option<String>,
    /// Frames between it and the one before it may be missing.
    pub(crate) is_guess: bool,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guess = if self.is_guess { "?" } else { "" };
        write!(f, "{guess}{}", self.function)?;
        self.place.as_ref().map_or(Ok(()), |place| write!(f, " ({place})"))
    }
}

/// Makes frames of captures. Programs that several of them have are read once.
pub(crate) struct Stacks {
    own: Maps,
    programs: HashMap<(String, u64), Option<Program>>,
}

impl Stacks {
    pub(crate) fn new() -> Self {
        Self { own: Maps::of_this_process(), programs: HashMap::new() }
    }

    /// The frames of a stack, the innermost first; those of other languages come before. `pid` is
    /// the process, if it lives; `said` is what it said of its mapped files, for one that does not.
    pub(crate) fn frames(&mut self, stack: &Capture, pid: Option<i32>, said: &[u8]) -> Vec<Frame> {
        let living = pid.and_then(Maps::of_process);
        let maps = living.unwrap_or_else(|| Maps::parse(&String::from_utf8_lossy(said)));
        let modules: Vec<Module> = maps.modules().cloned().collect();
        for module in &modules {
            let own = &self.own;
            self.programs
                .entry(module.file_key())
                .or_insert_with(|| Program::open(module.find_file(own, pid)?));
        }
        let program = |module: &Module| self.programs.get(&module.file_key())?.as_ref();
        let mut frames: Vec<Frame> = capture::frames(&stack.frames).map(of_another).collect();
        for address in unwind::addresses(stack, &modules, program) {
            let found = modules.iter().find(|module| module.contains(address.at));
            let known = found.and_then(|module| {
                let program = program(module)?;
                Some(program.frames_at(address.at.wrapping_sub(program.base_of(module)?)))
            });
            let known = known.filter(|frames| !frames.is_empty());
            let mut named = known.unwrap_or_else(|| vec![nameless(address.at, found)]);
            if let Some(first) = named.first_mut() {
                first.is_guess = address.is_guess;
            }
            frames.append(&mut named);
        }
        trimmed(frames)
    }
}

/// The loop that calls user code: what called that is the same in every worker.
const LOOP: &str = "ostler::worker::event_loop::";
/// What handles a panic: what was called in there says nothing about it.
const PANICS: [&str; 3] =
    ["core::panicking::", "std::panicking::begin_panic", "core::result::unwrap"];

/// Below it lies Rust's runtime, by which threads and programs begin.
const BEGINNING: &str = "__rust_begin_short_backtrace";

/// The frames of user code, and what they called.
fn trimmed(mut frames: Vec<Frame>) -> Vec<Frame> {
    let begins = |frame: &Frame| frame.function.contains(BEGINNING);
    if let Some(first) = frames.iter().position(begins).filter(|first| *first > 0) {
        frames.truncate(first);
    }
    let is_loop = |frame: &Frame| frame.function.starts_with(LOOP);
    if let Some(first) = frames.iter().position(is_loop).filter(|first| *first > 0) {
        frames.truncate(first);
    }
    let is_panic = |frame: &Frame| PANICS.iter().any(|name| frame.function.starts_with(name));
    if let Some(last) = frames.iter().rposition(is_panic).filter(|last| last + 1 < frames.len()) {
        frames.drain(..=last);
    }
    frames
}

fn of_another(frame: capture::Frame<'_>) -> Frame {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let place = (!frame.file.is_empty()).then(|| format!("{}:{}", text(frame.file), frame.line));
    Frame { function: text(frame.function), place, is_guess: false }
}

fn nameless(address: u64, module: Option<&Module>) -> Frame {
    let function = module.map_or_else(
        || format!("{address:#x}"),
        |module| format!("{}+{:#x}", module.name(), module.offset_of(address)),
    );
    Frame { function, place: None, is_guess: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::in_forked_test;
    use crate::sys::{black_box, capture};
    use ostler_shm::black_box::memory::BlackBox;

    #[inline(never)]
    fn outer(depth: u32) -> u32 {
        std::hint::black_box(inner(depth) + 1)
    }

    #[inline(never)]
    fn inner(depth: u32) -> u32 {
        capture::capture_last("here");
        std::hint::black_box(depth)
    }

    fn captured() -> (Capture, BlackBox) {
        let (seen, file) = BlackBox::create().unwrap();
        black_box::keep(file).unwrap();
        capture::install().unwrap();
        outer(1);
        (seen.read_capture().unwrap(), seen)
    }

    fn position(frames: &[Frame], name: &str) -> Option<usize> {
        frames.iter().position(|frame| frame.function.ends_with(name))
    }

    #[test]
    fn a_stack_becomes_functions_with_their_places() {
        in_forked_test(|| {
            let (stack, _) = captured();
            let pid = std::process::id().cast_signed();
            let frames = Stacks::new().frames(&stack, Some(pid), b"");
            let inner = position(&frames, "stacks::tests::inner").expect("inner");
            let outer = position(&frames, "stacks::tests::outer").expect("outer");
            assert!(inner < outer, "{frames:#?}");
            let place = frames[outer].place.as_ref().unwrap();
            assert!(place.contains("src/stacks/mod.rs:"), "{place}");
            assert!(frames.iter().all(|frame| !frame.is_guess), "{frames:#?}");
        });
    }

    #[test]
    fn of_a_dead_process_its_own_words_about_its_files_are_enough() {
        in_forked_test(|| {
            let (stack, _) = captured();
            let frames = Stacks::new().frames(&stack, None, &maps::own_modules_text());
            assert!(position(&frames, "stacks::tests::inner").is_some(), "{frames:#?}");
            // Without them there are addresses.
            let nameless = Stacks::new().frames(&stack, None, b"");
            assert!(nameless.iter().all(|frame| frame.function.starts_with("0x")));
        });
    }

    #[test]
    fn a_frame_whose_code_lies_in_no_file_is_jumped_over() {
        in_forked_test(|| {
            let (mut stack, _) = captured();
            stack.registers[0] = 8;
            let frames = Stacks::new().frames(&stack, None, &maps::own_modules_text());
            assert_eq!(frames[0].function, "0x8");
            assert!(frames[1].is_guess && position(&frames, "stacks::tests::outer").is_some());
        });
    }

    #[test]
    fn what_is_the_same_in_every_stack_is_left_out() {
        let frame =
            |name: &&str| Frame { function: (*name).to_owned(), place: None, is_guess: false };
        let names = |names: &[&str]| -> Vec<String> {
            let trimmed = trimmed(names.iter().map(frame).collect());
            trimmed.into_iter().map(|frame| frame.function).collect()
        };
        let deliver = "ostler::worker::event_loop::Run<H>::deliver";
        assert_eq!(names(&["read", "user", deliver, "main"]), ["read", "user"]);
        assert_eq!(names(&["syscall", "core::panicking::panic_fmt", "user", deliver]), ["user"]);
        assert_eq!(names(&["user", "main"]), ["user", "main"]);
        assert_eq!(names(&[deliver, "main"]), [deliver, "main"], "the loop itself");
        let begins = "std::sys::backtrace::__rust_begin_short_backtrace<f, ()>";
        assert_eq!(names(&["read", "turn", begins, "clone"]), ["read", "turn"]);
        assert_eq!(names(&[begins, "clone"]), [begins, "clone"]);
        assert_eq!(names(&["core::panicking::panic_fmt"]), ["core::panicking::panic_fmt"]);
    }

    #[test]
    fn any_stack_makes_some_frames_and_ends() {
        let text = maps::own_modules_text();
        let mut random = 1_u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            random
        };
        let mut stacks = Stacks::new();
        let code = a_stack_becomes_functions_with_their_places as *const () as u64;
        for _ in 0..50 {
            let mut stack = Capture { stack_at: 0x7000_0000_0000, ..Capture::default() };
            stack.registers = vec![code + next() % 4_096, stack.stack_at, next(), 0];
            stack.stack = (0..1_000).map(|_| code + next() % 100_000).collect();
            assert!(stacks.frames(&stack, None, &text).len() <= 20 * FRAMES_MAX);
        }
    }
}
