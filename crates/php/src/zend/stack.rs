//! The stack of the PHP code that runs, as it is captured when a request is slow or a worker
//! crashes (decision 65).

use std::mem::{MaybeUninit, offset_of};

use ext_php_rs::ffi::{
    _zend_executor_globals, _zend_op, ZEND_USER_FUNCTION, zend_class_entry, zend_execute_data,
    zend_function, zend_op_array, zend_string,
};
use ostler::stack::Frames;

use super::{globals, naps};

/// Most frames that are followed: a list that was caught in the midst of a change may be a ring.
const FRAMES_MAX: usize = 128;
/// A frame's name is a class, two colons and a function, each cut at so many bytes.
const NAME_BYTES_MAX: usize = 120;

/// From now on captured stacks of this process have the frames of PHP.
pub(crate) fn show_frames() {
    naps::make_whole();
    // SAFETY: `add_frames` allocates nothing, takes no lock, and reads memory by a system call
    // that fails where there is none.
    unsafe { ostler::stack::set_frame_source(Some(add_frames)) };
}

/// Copies bytes of this process, wherever the address leads: nothing when there is no memory.
fn read_into(address: usize, place: *mut libc::c_void, length: usize) -> Option<()> {
    let local = libc::iovec { iov_base: place, iov_len: length };
    let base = std::ptr::with_exposed_provenance_mut(address);
    let remote = libc::iovec { iov_base: base, iov_len: length };
    // SAFETY: the callers give a place for so many bytes; the other address is checked by the
    // kernel. A system call, which is async-signal-safe.
    let read = unsafe {
        libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0)
    };
    (usize::try_from(read) == Ok(length)).then_some(())
}

/// Copies a number or a pointer.
fn read<T: Copy + Into<u128>>(address: usize) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    read_into(address, value.as_mut_ptr().cast(), size_of::<T>())?;
    // SAFETY: all of it was written, and any bytes are a number.
    Some(unsafe { value.assume_init() })
}

/// Copies a pointer, as a number.
fn pointer(address: usize) -> Option<usize> {
    read::<u64>(address).and_then(|pointer| usize::try_from(pointer).ok())
}

/// Bytes of a string of PHP's.
struct Name {
    bytes: [u8; NAME_BYTES_MAX],
    length: usize,
}

impl Name {
    const fn empty() -> Self {
        Self { bytes: [0; NAME_BYTES_MAX], length: 0 }
    }

    fn of(string: usize) -> Option<Self> {
        let length = pointer(string + offset_of!(zend_string, len))?;
        let length = length.min(NAME_BYTES_MAX);
        let mut name = Self { bytes: [0; NAME_BYTES_MAX], length };
        let place = name.bytes.get_mut(..length)?;
        read_into(string + offset_of!(zend_string, val), place.as_mut_ptr().cast(), length)?;
        Some(name)
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

unsafe extern "C" fn add_frames(frames: &mut Frames<'_>) {
    naps::count_capture();
    let executor = globals::executor().expose_provenance();
    let first = executor + offset_of!(_zend_executor_globals, current_execute_data);
    let Some(mut frame) = pointer(first) else { return };
    for _ in 0..FRAMES_MAX {
        if frame == 0 || add_frame(frames, frame).is_none() {
            return;
        }
        let next = frame + offset_of!(zend_execute_data, prev_execute_data);
        let Some(next) = pointer(next) else { return };
        frame = next;
    }
}

/// `None`: there is no room, or what is there cannot be read.
fn add_frame(frames: &mut Frames<'_>, frame: usize) -> Option<()> {
    let function = pointer(frame + offset_of!(zend_execute_data, func))?;
    if function == 0 {
        return Some(());
    }
    let kind: u8 = read(function + offset_of!(zend_function, type_))?;
    let name = pointer(function + offset_of!(zend_op_array, function_name))?;
    let class = pointer(function + offset_of!(zend_op_array, scope))?;
    let mut text = [0; 2 * NAME_BYTES_MAX + 2];
    let mut length = 0;
    let mut push = |bytes: &[u8]| {
        for (to, from) in text.iter_mut().skip(length).zip(bytes) {
            *to = *from;
        }
        length += bytes.len();
    };
    if name == 0 {
        push(b"{main}");
    } else {
        if class != 0 {
            push(Name::of(pointer(class + offset_of!(zend_class_entry, name))?)?.as_bytes());
            push(b"::");
        }
        push(Name::of(name)?.as_bytes());
    }
    // Functions of C are 1, user code is 2, that of `eval` 4.
    let is_user = u32::from(kind) >= ZEND_USER_FUNCTION;
    let (file, line) = if is_user { place(frame, function)? } else { (Name::empty(), 0) };
    let text = text.get(..length)?;
    frames.add(text, file.as_bytes(), line).then_some(())
}

/// File and line of a frame of user code.
fn place(frame: usize, function: usize) -> Option<(Name, u32)> {
    let file = pointer(function + offset_of!(zend_op_array, filename))?;
    let instruction = pointer(frame + offset_of!(zend_execute_data, opline))?;
    let line = match instruction {
        0 => 0,
        at => read(at + offset_of!(_zend_op, lineno))?,
    };
    Some((if file == 0 { Name::empty() } else { Name::of(file)? }, line))
}
