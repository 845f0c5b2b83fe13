//! Callables of the program, found once and called often.

use std::cell::Cell;
use std::mem::MaybeUninit;

use ext_php_rs::ffi::{
    _call_user_function_impl, ZEND_ACC_CALL_VIA_TRAMPOLINE, zend_call_known_function,
    zend_fcall_info_cache, zend_is_callable_ex,
};
use ext_php_rs::types::Zval;

use super::globals;
use super::object::Slot;
use super::value::Argument;

/// A callable that lies in a property of an object, which owns it: PHP's collector of cycles sees
/// it there.
#[derive(Default)]
pub(crate) struct Callable {
    /// What was found for which value of the property.
    found: Cell<Option<(u64, Found)>>,
}

#[derive(Clone, Copy)]
enum Found {
    /// A function, with its object and class.
    Function(zend_fcall_info_cache),
    /// One that is made for each call (`__call`, `__callStatic`).
    PerCall,
}

/// Calls a value, and drops what it returned.
pub(crate) fn call_value(value: &mut Zval, arguments: &mut [Argument]) {
    call_into(value, arguments, &mut Zval::new());
}

fn call_into(value: &mut Zval, arguments: &mut [Argument], result: &mut Zval) {
    let count = u32::try_from(arguments.len()).unwrap_or(0);
    let null = std::ptr::null_mut();
    // SAFETY: valid values for the length of the call; arguments are borrowed, and PHP copies them.
    unsafe {
        _call_user_function_impl(
            null,
            value,
            result,
            count,
            arguments.as_mut_ptr().cast(),
            std::ptr::null_mut(),
        );
    }
}

/// The same, for what it returned; null when it threw.
pub(crate) fn call_for(value: &mut Zval, arguments: &mut [Argument]) -> Zval {
    let mut result = Zval::new();
    call_into(value, arguments, &mut result);
    result
}

/// Whether a value can be called.
pub(crate) fn is_callable(value: &mut Zval) -> bool {
    find(value).is_some()
}

/// Why a value cannot be called, in PHP's words and PHP's memory, which the caller hands on to PHP.
pub(crate) fn why_not(value: *mut Zval) -> *mut std::ffi::c_char {
    let (mut why, mut cache) = (std::ptr::null_mut(), MaybeUninit::zeroed());
    let null = std::ptr::null_mut();
    // SAFETY: a valid value, and places for what was found and for the text.
    unsafe {
        zend_is_callable_ex(value, null, 0, std::ptr::null_mut(), cache.as_mut_ptr(), &raw mut why)
    };
    why
}

fn find(value: *mut Zval) -> Option<Found> {
    // SAFETY: pointers, which may be null.
    let mut cache = unsafe { MaybeUninit::<zend_fcall_info_cache>::zeroed().assume_init() };
    let null = std::ptr::null_mut();
    // SAFETY: a valid value; nothing is wanted of the name and of the error.
    let is_callable = unsafe {
        zend_is_callable_ex(
            value,
            std::ptr::null_mut(),
            0,
            std::ptr::null_mut(),
            &raw mut cache,
            null,
        )
    };
    if !is_callable || cache.function_handler.is_null() {
        return None;
    }
    // SAFETY: the common part of all functions.
    let flags = unsafe { (*cache.function_handler).common.fn_flags };
    if flags & ZEND_ACC_CALL_VIA_TRAMPOLINE != 0 {
        release_trampoline(&cache);
        return Some(Found::PerCall);
    }
    Some(Found::Function(cache))
}

/// Gives back a function that was made for one call, which does not happen.
fn release_trampoline(cache: &zend_fcall_info_cache) {
    // SAFETY: PHP made it for whoever asked, and it is used by nobody; its name is counted.
    // (`zend_release_fcall_info_cache`, which is an inline function of C.)
    unsafe {
        let function = cache.function_handler;
        let name = (*function).common.function_name;
        if !name.is_null() {
            ext_php_rs::ffi::ext_php_rs_zend_string_release(name);
        }
        let trampoline = &raw mut (*globals::executor()).trampoline;
        if std::ptr::eq(function, trampoline) {
            (*function).common.function_name = std::ptr::null_mut();
        } else {
            ext_php_rs::ffi::_efree(function.cast());
        }
    }
}

/// What tells one value from another one.
fn identity(property: Slot) -> u64 {
    // SAFETY: the first word of a value, whatever that is; it is only compared.
    unsafe { (*property.as_ptr()).value.lval }.cast_unsigned()
}

impl Callable {
    /// Calls what lies in the property; `false` when nothing does. What it returned is in `result`,
    /// which stays undefined when it threw.
    pub(crate) fn call(
        &self,
        property: Slot,
        arguments: &mut [Argument],
        result: &mut Zval,
    ) -> bool {
        let identity = identity(property);
        let found = match self.found.get() {
            Some((of, found)) if of == identity && !property.is_null() => found,
            _ => {
                let Some(found) = find(property.as_ptr()) else { return false };
                self.found.set(Some((identity, found)));
                found
            }
        };
        let count = u32::try_from(arguments.len()).unwrap_or(0);
        let (arguments, null) = (arguments.as_mut_ptr().cast::<Zval>(), std::ptr::null_mut());
        match found {
            // SAFETY: the function belongs to the value in the property, which is the one it was
            // found for and lives until the call is over: a handler that replaces its own callback
            // is kept alive by the frame of the call. Arguments are borrowed, and PHP copies them.
            Found::Function(found) => unsafe {
                zend_call_known_function(
                    found.function_handler,
                    found.object,
                    found.called_scope,
                    result,
                    count,
                    arguments,
                    null,
                );
            },
            // SAFETY: as above.
            Found::PerCall => unsafe {
                _call_user_function_impl(
                    null.cast(),
                    property.as_ptr(),
                    result,
                    count,
                    arguments,
                    null,
                );
            },
        }
        true
    }

    /// Remembers what the value of the property is, as the frame that runs now may call it: a
    /// method that is private can be given by its own class only. False: it cannot be called.
    pub(crate) fn bind(&self, property: Slot) -> bool {
        let found = find(property.as_ptr());
        self.found.set(found.map(|found| (identity(property), found)));
        found.is_some()
    }
}
