//! Whether a file is a whole program for this machine, as far as its headers say.
//!
//! A deploy that is under way, or went wrong, leaves files that the kernel would run all the same:
//! one that is cut dies at the first page that is missing. An ELF file says itself how long it has
//! to be, and its last part is written last.

use std::fmt;

/// Bytes of the header of a 64-bit ELF file.
pub const HEAD_BYTES: usize = 64;
/// Bytes of the header of a 32-bit ELF file, the shortest that a program can have.
const SHORT_HEAD_BYTES: usize = 52;
const PROGRAM_HEADER_BYTES: u64 = 56;
const SECTION_HEADER_BYTES: u64 = 64;
const TYPE_EXECUTABLE: u16 = 2;
const TYPE_SHARED: u16 = 3;
/// What a section of names says that it is.
const SECTION_STRINGS: u32 = 3;

/// The first bytes of a program.
pub type Head = [u8; HEAD_BYTES];

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It has no bytes, or fewer than any program.
    Short,
    /// It begins with `#!`.
    Script,
    /// It is no ELF file.
    Foreign,
    /// It is for another machine.
    OtherMachine,
    /// It is an ELF file that is not run: an object file, a core.
    NotRunnable,
    /// Its end is missing, or not written.
    Cut,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "it is empty or nearly so: it is not written yet, or its copy was cut",
            Self::Script => "it is a script: deploy the program itself",
            Self::Foreign => "it is no program (no ELF file)",
            Self::OtherMachine => "it is for another machine than the program that runs",
            Self::NotRunnable => "it is an ELF file, but no program",
            Self::Cut => "its end is missing: it is not written yet, or its copy was cut",
        })
    }
}

impl std::error::Error for Flaw {}

/// Looks at a file of `len` bytes, whose parts `read` fetches (`false`: it cannot). `own` are the
/// first bytes of the program that runs here, and so of what runs on this machine.
///
/// What is not read is not judged: the kernel may still refuse it.
///
/// # Errors
/// The first flaw that is found.
pub fn check(
    mut read: impl FnMut(u64, &mut [u8]) -> bool,
    len: u64,
    own: &Head,
) -> Result<(), Flaw> {
    let mut head = [0; HEAD_BYTES];
    let known = HEAD_BYTES.min(usize::try_from(len).unwrap_or(HEAD_BYTES));
    let Some(part) = head.get_mut(..known) else { return Err(Flaw::Short) };
    if !read(0, part) {
        return Err(Flaw::Short);
    }
    if head.starts_with(b"#!") {
        return Err(Flaw::Script);
    }
    if known < SHORT_HEAD_BYTES {
        return Err(Flaw::Short);
    }
    let head = Fields(&head);
    let own = Fields(own);
    if head.bytes(0, 4) != Some(b"\x7fELF") {
        return Err(Flaw::Foreign);
    }
    // Word size and byte order, then the machine.
    if head.bytes(4, 2) != own.bytes(4, 2) || head.bytes(18, 2) != own.bytes(18, 2) {
        return Err(Flaw::OtherMachine);
    }
    if !matches!(head.u16(16), Some(TYPE_EXECUTABLE | TYPE_SHARED)) {
        return Err(Flaw::NotRunnable);
    }
    // 1 is 32 bits, whose headers are others.
    if head.bytes(4, 1) == Some(&[1]) {
        return Ok(());
    }
    if segments_end(&head, &mut read, len).is_some_and(|end| end <= len)
        && has_last_part(&head, &mut read, len)
    {
        Ok(())
    } else {
        Err(Flaw::Cut)
    }
}

/// Where the last part that is loaded ends; `None` when its header is missing.
fn segments_end(
    head: &Fields<'_>,
    read: &mut impl FnMut(u64, &mut [u8]) -> bool,
    len: u64,
) -> Option<u64> {
    let (at, size, count) = (head.u64(32)?, u64::from(head.u16(54)?), u64::from(head.u16(56)?));
    if size != PROGRAM_HEADER_BYTES || count == 0 {
        return None;
    }
    let mut end = at.checked_add(size.checked_mul(count)?)?;
    if end > len {
        return None;
    }
    for index in 0..count {
        let mut bytes = [0; PROGRAM_HEADER_BYTES as usize];
        if !read(at + index * size, &mut bytes) {
            return None;
        }
        let segment = Fields(&bytes);
        end = end.max(segment.u64(8)?.checked_add(segment.u64(32)?)?);
    }
    Some(end)
}

/// Whether the table of sections, which is written last, is there; a program without one has none
/// to miss.
fn has_last_part(
    head: &Fields<'_>,
    read: &mut impl FnMut(u64, &mut [u8]) -> bool,
    len: u64,
) -> bool {
    let mut names = || {
        let (at, size, count) = (head.u64(40)?, u64::from(head.u16(58)?), u64::from(head.u16(60)?));
        if at == 0 || count == 0 {
            return Some(true);
        }
        if size != SECTION_HEADER_BYTES || at.checked_add(size * count)? > len {
            return None;
        }
        let index = u64::from(head.u16(62)?);
        let mut bytes = [0; SECTION_HEADER_BYTES as usize];
        if index >= count || !read(at + index * size, &mut bytes) {
            return None;
        }
        let section = Fields(&bytes);
        let end = section.u64(24)?.checked_add(section.u64(32)?)?;
        Some(section.u32(4)? == SECTION_STRINGS && end <= len)
    };
    names().unwrap_or(false)
}

/// Fields of a header, in the byte order of this machine.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes(&self, at: usize, count: usize) -> Option<&[u8]> {
        self.0.get(at..at.checked_add(count)?)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.bytes(at, 2)?.try_into().ok().map(u16::from_ne_bytes)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.bytes(at, 4)?.try_into().ok().map(u32::from_ne_bytes)
    }

    fn u64(&self, at: usize) -> Option<u64> {
        self.bytes(at, 8)?.try_into().ok().map(u64::from_ne_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A program with one segment and a table of two sections at its end.
    fn program() -> Vec<u8> {
        let mut file = vec![0; 1_000];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"\x7fELF\x02\x01\x01");
        put(16, &TYPE_SHARED.to_ne_bytes());
        put(18, &62_u16.to_ne_bytes());
        put(32, &64_u64.to_ne_bytes());
        put(40, &872_u64.to_ne_bytes());
        for (at, value) in [(54, 56_u16), (56, 1), (58, 64), (60, 2), (62, 1)] {
            put(at, &value.to_ne_bytes());
        }
        // The segment: 800 bytes from 0.
        put(64 + 32, &800_u64.to_ne_bytes());
        // The section of names: 50 bytes from 810.
        put(872 + 64 + 4, &SECTION_STRINGS.to_ne_bytes());
        put(872 + 64 + 24, &810_u64.to_ne_bytes());
        put(872 + 64 + 32, &50_u64.to_ne_bytes());
        file
    }

    fn head(file: &[u8]) -> Head {
        file[..HEAD_BYTES].try_into().unwrap()
    }

    fn judge(file: &[u8]) -> Result<(), Flaw> {
        let read = |at: u64, into: &mut [u8]| {
            let at = usize::try_from(at).unwrap();
            match file.get(at..at + into.len()) {
                Some(bytes) => into.copy_from_slice(bytes),
                None => return false,
            }
            true
        };
        check(read, file.len() as u64, &head(&program()))
    }

    #[test]
    fn a_whole_program_has_no_flaw_and_one_that_is_cut_anywhere_has() {
        let whole = program();
        assert_eq!(judge(&whole), Ok(()));
        for len in 0..whole.len() {
            let expected = if len < SHORT_HEAD_BYTES { Flaw::Short } else { Flaw::Cut };
            assert_eq!(judge(&whole[..len]), Err(expected), "{len} bytes");
        }
    }

    /// Some tools give the file its length first and its contents then.
    #[test]
    fn a_file_whose_end_is_not_written_yet_is_cut() {
        for written in HEAD_BYTES..940 {
            let mut file = program();
            file[written..].fill(0);
            assert_eq!(judge(&file), Err(Flaw::Cut), "{written} bytes are written");
        }
    }

    #[test]
    fn what_is_no_program_is_told_apart() {
        assert_eq!(judge(b""), Err(Flaw::Short));
        assert_eq!(judge(b"#!/bin/sh\nexit\n"), Err(Flaw::Script));
        assert_eq!(judge(&[b'x'; 100]), Err(Flaw::Foreign));
        let changed = |at: usize, byte: u8| {
            let mut file = program();
            file[at] = byte;
            judge(&file)
        };
        assert_eq!(changed(18, 183), Err(Flaw::OtherMachine));
        assert_eq!(changed(4, 1), Err(Flaw::OtherMachine));
        assert_eq!(changed(16, 1), Err(Flaw::NotRunnable));
        // Without sections there are none to miss.
        assert_eq!(changed(60, 0), Ok(()));
    }

    proptest! {
        #[test]
        fn no_header_breaks_the_look(bytes in prop::collection::vec(any::<u8>(), 0..1_200)) {
            let _ = judge(&bytes);
            let mut file = program();
            let end = bytes.len().min(file.len() - 20);
            file[20..20 + end].copy_from_slice(&bytes[..end]);
            let _ = judge(&file);
        }
    }
}
