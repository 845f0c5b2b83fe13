//! A call of one of our functions by PHP: its arguments, and what it returns.
//!
//! Arguments are converted as PHP's own functions convert them: exactly what the caller's
//! `strict_types` says, with PHP's wording when it cannot be done.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ext_php_rs::ffi::{
    _zend_expected_type_Z_EXPECTED_ARRAY, _zend_expected_type_Z_EXPECTED_BOOL,
    _zend_expected_type_Z_EXPECTED_DOUBLE, _zend_expected_type_Z_EXPECTED_LONG,
    _zend_expected_type_Z_EXPECTED_STRING, zend_execute_data, zend_expected_type, zend_object,
    zend_parse_arg_bool_slow, zend_parse_arg_double_slow, zend_parse_arg_long_slow,
    zend_parse_arg_str_slow, zend_string, zend_wrong_callback_error,
    zend_wrong_parameter_type_error, zend_wrong_parameters_count_error, zval,
};
use ext_php_rs::types::{ZendHashTable, Zval};

use super::message::throw_error;
use super::{Thrown, globals};

/// As the Zend engine calls a function.
pub(crate) type Handler = extern "C" fn(*mut zend_execute_data, *mut zval);
/// What a function of ours is.
pub(crate) type Body = fn(&mut Call<'_>) -> Result<(), Thrown>;

/// Arguments begin so many values behind the beginning of a frame (`ZEND_CALL_FRAME_SLOT`).
const FRAME_SLOTS: usize = size_of::<zend_execute_data>().div_ceil(size_of::<zval>());

/// Makes a [`Handler`] of a [`Body`].
macro_rules! handler {
    ($body:path) => {{
        extern "C" fn handler(
            frame: *mut ext_php_rs::ffi::zend_execute_data,
            result: *mut ext_php_rs::ffi::zval,
        ) {
            // SAFETY: PHP calls a function with the frame of that call and a place for what it
            // returns, both for itself alone until it comes back.
            unsafe { $crate::zend::call::enter(frame, result, $body) }
        }
        handler as $crate::zend::call::Handler
    }};
}
pub(crate) use handler;

/// Runs `body`. A panic in it is an `Error` for PHP: it must not cross the frames of C.
///
/// # Safety
/// `frame` and `result` are those of a call that PHP makes now.
pub(crate) unsafe fn enter(frame: *mut zend_execute_data, result: *mut zval, body: Body) {
    // SAFETY: as the caller says.
    let mut call = unsafe { Call { frame: &mut *frame, result: &mut *result, next: 0 } };
    if catch_unwind(AssertUnwindSafe(|| body(&mut call))).is_err() && globals::exception().is_null()
    {
        let _ = throw_error("Ostler has failed: this is a defect of the extension");
    }
}

/// A call that runs.
pub(crate) struct Call<'a> {
    frame: &'a mut zend_execute_data,
    result: &'a mut Zval,
    /// The argument that is read next.
    next: u32,
}

impl<'a> Call<'a> {
    /// Lets another function have this call, of which nothing was read yet.
    ///
    /// # Safety
    /// The number is that of a [`Handler`], for a function with these parameters.
    pub(super) unsafe fn pass_to(&mut self, handler: usize) -> Result<(), Thrown> {
        let handler = std::ptr::with_exposed_provenance::<()>(handler);
        // SAFETY: as the caller says; frame and result are those of a call that PHP makes now.
        unsafe {
            let handler: Handler = std::mem::transmute(handler);
            handler(&raw mut *self.frame, &raw mut *self.result);
        }
        if globals::exception().is_null() { Ok(()) } else { Err(Thrown) }
    }

    /// The object whose method this is.
    pub(crate) fn this(&self) -> *mut zend_object {
        // SAFETY: only methods ask, and PHP calls those with an object.
        unsafe { self.frame.This.value.obj }
    }

    /// How many arguments there are.
    fn count(&self) -> u32 {
        // SAFETY: of a frame's `This` this part is the number of arguments.
        unsafe { self.frame.This.u2.num_args }
    }

    /// There have to be so many arguments; the first is read next.
    pub(crate) fn arguments(&mut self, least: u32, most: u32) -> Result<(), Thrown> {
        self.next = 0;
        if (least..=most).contains(&self.count()) {
            return Ok(());
        }
        // SAFETY: this is called within a function of ours.
        unsafe { zend_wrong_parameters_count_error(least, most) };
        Err(Thrown)
    }

    /// The next argument, if there is one.
    fn next(&mut self) -> Option<&'a mut zval> {
        if self.next >= self.count() {
            return None;
        }
        let index = FRAME_SLOTS + self.next as usize;
        self.next += 1;
        // SAFETY: arguments lie behind the frame, as many as it says, and stay there until the
        // call is over.
        let argument = unsafe { &mut *(&raw mut *self.frame).cast::<zval>().add(index) };
        Some(argument)
    }

    /// The next argument, as it is.
    pub(crate) fn value(&mut self) -> Option<&'a mut Zval> {
        self.next()
    }

    /// The next argument, if it is a string that begins as a path does.
    pub(crate) fn path(&mut self) -> Option<String> {
        let before = self.next;
        let string = self.next().and_then(|argument| argument.zend_str());
        let path = string.map(|string| string.as_bytes()).filter(|bytes| bytes.starts_with(b"/"));
        if path.is_none() {
            self.next = before;
        }
        path.map(text)
    }

    fn wrong(&self, expected: zend_expected_type, argument: *mut zval) -> Thrown {
        if globals::exception().is_null() {
            // SAFETY: within a function of ours, about an argument of it.
            unsafe { zend_wrong_parameter_type_error(self.next, expected, argument) };
        }
        Thrown
    }

    /// An integer, or `default` when it is not given.
    pub(crate) fn long_or(&mut self, default: i64) -> Result<i64, Thrown> {
        let Some(argument) = self.next() else { return Ok(default) };
        if let Some(number) = argument.long() {
            return Ok(number);
        }
        let mut number = 0;
        // SAFETY: an argument of this call, and a place for the number.
        match unsafe { zend_parse_arg_long_slow(argument, &raw mut number, self.next) } {
            true => Ok(number),
            false => Err(self.wrong(_zend_expected_type_Z_EXPECTED_LONG, argument)),
        }
    }

    /// An integer, which [`Call::arguments`] has demanded.
    pub(crate) fn long(&mut self) -> Result<i64, Thrown> {
        self.long_or(0)
    }

    /// A number with a fraction.
    pub(crate) fn float_or(&mut self, default: f64) -> Result<f64, Thrown> {
        let Some(argument) = self.next() else { return Ok(default) };
        if let Some(number) = argument.double() {
            return Ok(number);
        }
        let mut number = 0.0;
        // SAFETY: as in `long_or`.
        match unsafe { zend_parse_arg_double_slow(argument, &raw mut number, self.next) } {
            true => Ok(number),
            false => Err(self.wrong(_zend_expected_type_Z_EXPECTED_DOUBLE, argument)),
        }
    }

    /// True or false.
    pub(crate) fn bool_or(&mut self, default: bool) -> Result<bool, Thrown> {
        let Some(argument) = self.next() else { return Ok(default) };
        if let Some(value) = argument.bool() {
            return Ok(value);
        }
        let mut value = false;
        // SAFETY: as in `long_or`.
        match unsafe { zend_parse_arg_bool_slow(argument, &raw mut value, self.next) } {
            true => Ok(value),
            false => Err(self.wrong(_zend_expected_type_Z_EXPECTED_BOOL, argument)),
        }
    }

    /// The bytes of a string, not copied; `None` when it is not given.
    pub(crate) fn bytes(&mut self) -> Result<Option<&'a [u8]>, Thrown> {
        let Some(argument) = self.next() else { return Ok(None) };
        let string = if argument.is_string() {
            // SAFETY: the type says that it is one; the frame keeps it until the call is over.
            unsafe { argument.value.str_ }
        } else {
            let mut string: *mut zend_string = std::ptr::null_mut();
            // SAFETY: as in `long_or`; the string is kept in the argument's place.
            if !unsafe { zend_parse_arg_str_slow(argument, &raw mut string, self.next) } {
                return Err(self.wrong(_zend_expected_type_Z_EXPECTED_STRING, argument));
            }
            string
        };
        // SAFETY: a string of PHP's has so many bytes from `val` on.
        Ok(Some(unsafe {
            std::slice::from_raw_parts((&raw const (*string).val).cast(), (*string).len)
        }))
    }

    /// A text; what is no UTF-8 in it is replaced.
    pub(crate) fn text_or(&mut self, default: &str) -> Result<String, Thrown> {
        let bytes = self.bytes()?;
        Ok(bytes.map_or_else(|| default.to_owned(), text))
    }

    /// An array.
    pub(crate) fn array(&mut self) -> Result<&'a ZendHashTable, Thrown> {
        let Some(argument) = self.next() else { return Err(Thrown) };
        let raw = &raw mut *argument;
        match argument.array() {
            Some(array) => Ok(array),
            None => Err(self.wrong(_zend_expected_type_Z_EXPECTED_ARRAY, raw)),
        }
    }

    /// Something that can be called, as PHP's own functions demand it.
    pub(crate) fn callable(&mut self) -> Result<Zval, Thrown> {
        let Some(argument) = self.next() else { return Err(Thrown) };
        if super::callable::is_callable(argument) {
            return Ok(argument.shallow_clone());
        }
        let why = super::callable::why_not(argument);
        if globals::exception().is_null() {
            // SAFETY: within a function of ours, about an argument of it; PHP frees the text.
            unsafe { zend_wrong_callback_error(self.next, why) };
        }
        Err(Thrown)
    }

    /// Where what the call returns is put; null when nothing is.
    pub(crate) fn result(&mut self) -> &mut Zval {
        self.result
    }

    /// It returns true or false.
    pub(crate) fn returns_bool(&mut self, value: bool) -> Result<(), Thrown> {
        self.result.set_bool(value);
        Ok(())
    }

    /// It returns a number.
    pub(crate) fn returns_long(&mut self, value: i64) -> Result<(), Thrown> {
        self.result.set_long(value);
        Ok(())
    }
}

/// A text of these bytes; what is no UTF-8 in it is replaced.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
