//! From registers and a piece of the stack to the addresses of the frames, by the tables that
//! compilers write for exceptions (`.eh_frame`): programs keep no frame pointers by default.

use framehop::{ExplicitModuleSectionInfo, MayAllocateDuringUnwind, Unwinder as _};
use ostler_shm::black_box::capture::Capture;

use super::FRAMES_MAX;
use super::maps::Module;
use super::program::Program;

/// Words of the stack that are looked through for a return address.
const SCANNED_MAX: usize = 1_024;
/// Guesses in one stack: where it can be followed only in parts, as from outside, where not all
/// registers are known.
const GUESSES_MAX: usize = 16;

/// A frame pointer that is not known: no stack is there, and 0 would be the outermost frame's.
pub(crate) const UNKNOWN: u64 = 1;

/// Where a frame is: for calls the instruction that called.
pub(super) struct Address {
    pub(super) at: u64,
    pub(super) is_guess: bool,
}

type Unwinder = framehop::UnwinderNative<&'static [u8], MayAllocateDuringUnwind>;

/// The addresses of a captured stack, the innermost first.
///
/// Code that lies in no file (of the kernel's vdso, of a compiler at run time, at a wrong address)
/// has no tables: then the next frame is the first word of the stack that looks like a return
/// address, which is a guess.
pub(super) fn addresses<'p>(
    stack: &Capture,
    modules: &[Module],
    program: impl Fn(&Module) -> Option<&'p Program>,
) -> Vec<Address> {
    let [pc, sp, fp, lr] = stack.registers[..] else { return Vec::new() };
    let mut unwinder = Unwinder::new();
    for module in modules {
        if let Some(described) = program(module).and_then(|program| describe(module, program)) {
            unwinder.add_module(described);
        }
    }
    let has_code = |at: u64| modules.iter().any(|module| module.contains(at));
    let mut found = vec![Address { at: pc, is_guess: false }];
    let mut is_complete = has_code(pc) && follow(&unwinder, stack, [pc, sp, fp, lr], &mut found);
    let mut from = sp;
    for _ in 0..GUESSES_MAX {
        if let Some(last) = found.last().filter(|_| found.len() > 1) {
            from = behind(stack, from, last.at + 1).unwrap_or(from);
        }
        if is_complete || found.len() >= FRAMES_MAX {
            break;
        }
        let Some((at, sp)) = first_return_address(stack, from, has_code) else { break };
        found.push(Address { at: at - 1, is_guess: true });
        from = sp;
        is_complete = follow(&unwinder, stack, [at, sp, UNKNOWN, lr], &mut found);
    }
    found
}

/// Where the stack goes on behind the place from which this frame returns.
fn behind(stack: &Capture, from: u64, return_address: u64) -> Option<u64> {
    let first = from.max(stack.stack_at).next_multiple_of(8);
    let places = (0..stack.stack.len() as u64).map_while(|index| first.checked_add(index * 8));
    let mut words = places.map_while(|at| Some((at, word_at(stack, at)?)));
    words.find(|(_, word)| *word == return_address).map(|(at, _)| at.saturating_add(8))
}

/// Adds the frames behind the innermost one. False: they end before the stack does.
fn follow(
    unwinder: &Unwinder,
    stack: &Capture,
    [pc, sp, fp, lr]: [u64; 4],
    found: &mut Vec<Address>,
) -> bool {
    let mut read = |address: u64| word_at(stack, address).ok_or(());
    let mut cache = framehop::CacheNative::<MayAllocateDuringUnwind>::new();
    let mut frames = unwinder.iter_frames(pc, registers(pc, sp, fp, lr), &mut cache, &mut read);
    let _innermost = frames.next();
    while found.len() < FRAMES_MAX {
        match frames.next() {
            Ok(Some(frame)) => {
                found.push(Address { at: frame.address_for_lookup(), is_guess: false });
            }
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
    true
}

#[cfg(target_arch = "x86_64")]
fn registers(pc: u64, sp: u64, fp: u64, _: u64) -> framehop::UnwindRegsNative {
    framehop::UnwindRegsNative::new(pc, sp, fp)
}

#[cfg(target_arch = "aarch64")]
fn registers(_: u64, sp: u64, fp: u64, lr: u64) -> framehop::UnwindRegsNative {
    framehop::UnwindRegsNative::new(lr, sp, fp)
}

fn word_at(stack: &Capture, address: u64) -> Option<u64> {
    let within = address.checked_sub(stack.stack_at)?;
    let index = usize::try_from(within / 8).ok()?;
    stack.stack.get(index).copied().filter(|_| within % 8 == 0)
}

/// A return address, and the stack pointer behind it.
fn first_return_address(
    stack: &Capture,
    sp: u64,
    has_code: impl Fn(u64) -> bool,
) -> Option<(u64, u64)> {
    let first = sp.max(stack.stack_at).next_multiple_of(8);
    (0..SCANNED_MAX).find_map(|index| {
        let at = first.checked_add(index as u64 * 8)?;
        let word = word_at(stack, at)?;
        (word > 0 && has_code(word - 1)).then_some((word, at.saturating_add(8)))
    })
}

fn describe(module: &Module, program: &Program) -> Option<framehop::Module<&'static [u8]>> {
    let base = program.base_of(module)?;
    let (text_svma, text) = program.section(".text");
    let (eh_frame_svma, eh_frame) = program.section(".eh_frame");
    let (eh_frame_hdr_svma, eh_frame_hdr) = program.section(".eh_frame_hdr");
    let (got_svma, _) = program.section(".got");
    let sections = ExplicitModuleSectionInfo {
        base_svma: 0,
        text_svma,
        text,
        got_svma,
        eh_frame_svma,
        eh_frame,
        eh_frame_hdr_svma,
        eh_frame_hdr,
        ..ExplicitModuleSectionInfo::default()
    };
    let range = module.start..module.end;
    Some(framehop::Module::new(module.name().to_owned(), range, base, sections))
}
