//! A file as memory.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use rustix::mm::{MapFlags, ProtFlags, mmap};

/// `mmap(2)` — maps a whole file for reading, for as long as this process lives. For processes that
/// end soon.
///
/// Whoever shortens the file meanwhile ends this process (SIGBUS).
pub(crate) fn map_for_ever(file: &File) -> io::Result<&'static [u8]> {
    let len = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: a fresh private mapping at an address of the kernel's choice.
    let base =
        unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::PRIVATE, file, 0)? };
    // SAFETY: mapped just now for that length, never unmapped, and only read. A file that somebody
    // overwrites in place may change under it: what is made of it (names of functions) is checked
    // as hostile anyway, and a program that runs cannot be overwritten.
    Ok(unsafe { std::slice::from_raw_parts(base.cast::<u8>(), len) })
}
