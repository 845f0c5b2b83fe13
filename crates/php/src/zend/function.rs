//! Functions of PHP, called by their names.

use ext_php_rs::ffi::{_call_user_function_impl, zend_hash_str_find};
use ext_php_rs::types::Zval;

use super::globals;

/// Calls a function of PHP, if there is one of this name; nothing when it has thrown.
pub(crate) fn call(name: &str, arguments: Vec<Zval>) -> Option<Zval> {
    // SAFETY: PHP's table of functions, in its only thread; a name with its length.
    let known = unsafe {
        let table = (*globals::executor()).function_table;
        !zend_hash_str_find(table, name.as_ptr().cast(), name.len()).is_null()
    };
    if !known {
        return None;
    }
    let mut function = Zval::new();
    let _ = function.set_string(name, false);
    let mut arguments = arguments;
    let mut result = Zval::new();
    let count = u32::try_from(arguments.len()).ok()?;
    let null = std::ptr::null_mut();
    // SAFETY: valid values for the length of the call.
    unsafe {
        _call_user_function_impl(
            std::ptr::null_mut(),
            &raw mut function,
            &raw mut result,
            count,
            arguments.as_mut_ptr(),
            null,
        );
    }
    globals::exception().is_null().then_some(result)
}
