//! A program or library: where its code lies, how its frames end, what its functions are called.

use std::cell::OnceCell;
use std::fs::File;
use std::ops::Range;

use addr2line::Context;
use addr2line::gimli::{Dwarf, EndianSlice, RunTimeEndian};
use object::{
    Object as _, ObjectSection as _, ObjectSegment as _, SegmentFlags, SymbolMap, SymbolMapName,
};

use super::Frame;
use super::maps::Module;
use crate::sys::file_map;

type Bytes = EndianSlice<'static, RunTimeEndian>;

/// Frames that the compiler has inlined into one, at most.
const INLINED_MAX: usize = 16;
const PAGE: u64 = 4096;

/// A file of the ELF format.
pub(super) struct Program {
    file: object::File<'static>,
    symbols: OnceCell<SymbolMap<SymbolMapName<'static>>>,
    lines: OnceCell<Option<Context<Bytes>>>,
}

impl Program {
    /// `None` when it is no program, or cannot be mapped.
    pub(super) fn open(file: File) -> Option<Self> {
        let file = object::File::parse(file_map::map_for_ever(&file).ok()?).ok()?;
        Some(Self { file, symbols: OnceCell::new(), lines: OnceCell::new() })
    }

    /// How far from the addresses that the program itself gives a process has mapped this code.
    pub(super) fn base_of(&self, module: &Module) -> Option<u64> {
        let is_code = |flags| match flags {
            SegmentFlags::Elf { p_flags } => p_flags & object::elf::PF_X != 0,
            _ => false,
        };
        let code = self.file.segments().filter(|segment| is_code(segment.flags()));
        let mut places = code.map(|segment| (segment.file_range(), segment.address()));
        places.find_map(|((offset, len), at)| {
            // Mappings begin at pages, segments where they like.
            let is_it = match module.offset.checked_sub(offset) {
                Some(within) => within < len,
                None => offset - module.offset < PAGE,
            };
            let first = at.wrapping_sub(offset).wrapping_add(module.offset);
            is_it.then(|| module.start.wrapping_sub(first))
        })
    }

    /// Section by name: its addresses and its bytes.
    pub(super) fn section(&self, name: &str) -> (Option<Range<u64>>, Option<&'static [u8]>) {
        let Some(section) = self.file.section_by_name(name) else { return (None, None) };
        let from = section.address();
        (Some(from..from.saturating_add(section.size())), section.data().ok())
    }

    /// What runs there, with what is inlined, the innermost first. Empty: it has no name.
    pub(super) fn frames_at(&self, address: u64) -> Vec<Frame> {
        let mut frames = self.lines().map_or(Vec::new(), |lines| frames_of(lines, address));
        let is_named = frames.last().is_some_and(|frame| !frame.function.is_empty());
        if !is_named && let Some(symbol) = self.symbol_at(address) {
            let place = frames.pop().and_then(|frame| frame.place);
            frames.push(Frame { function: symbol, place, is_guess: false });
        }
        frames.retain(|frame| !frame.function.is_empty());
        frames
    }

    fn symbol_at(&self, address: u64) -> Option<String> {
        let symbols = self.symbols.get_or_init(|| self.file.symbol_map());
        Some(demangled(symbols.before(address)?.name()))
    }

    fn lines(&self) -> Option<&Context<Bytes>> {
        let load = || -> Option<Context<Bytes>> {
            let endian = if self.file.is_little_endian() {
                RunTimeEndian::Little
            } else {
                RunTimeEndian::Big
            };
            let section = |id: addr2line::gimli::SectionId| -> Result<Bytes, ()> {
                let (_, bytes) = self.section(id.name());
                Ok(EndianSlice::new(bytes.unwrap_or_default(), endian))
            };
            Context::from_dwarf(Dwarf::load(section).ok()?).ok()
        };
        self.lines.get_or_init(load).as_ref()
    }
}

fn frames_of(lines: &Context<Bytes>, address: u64) -> Vec<Frame> {
    let mut frames = Vec::new();
    let Ok(mut found) = lines.find_frames(address).skip_all_loads() else { return frames };
    while frames.len() < INLINED_MAX
        && let Ok(Some(frame)) = found.next()
    {
        let name = frame.function.as_ref().and_then(|function| function.raw_name().ok());
        let place = frame.location.and_then(|at| {
            let line = at.line.map_or(String::new(), |line| format!(":{line}"));
            Some(format!("{}{line}", shortened(at.file?)))
        });
        let function = name.map_or(String::new(), |name| demangled(&name));
        frames.push(Frame { function, place, is_guess: false });
    }
    frames
}

/// Files of the standard library, as people know them.
fn shortened(file: &str) -> &str {
    let within = file.strip_prefix("/rustc/").and_then(|rest| rest.split_once('/'));
    within.map_or(file, |(_, within)| within)
}

/// Names of Rust as they are written, without their hashes; those of C as they are.
fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
