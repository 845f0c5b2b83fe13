//! New code after a reload, also with opcache.
//!
//! On the command line opcache looks at a file's time once in `opcache.revalidate_freq` seconds of
//! the *request*, and the request of a worker began when the server was started: a reload would
//! never see new code. So each worker, when it begins, lets opcache look at what it has.

use ext_php_rs::boxed::ZBox;
use ext_php_rs::ffi::{_call_user_function_impl, zend_hash_str_find};
use ext_php_rs::types::{ZendHashTable, Zval};

use super::globals;
use super::value::key_text;

/// Calls a function of PHP, if there is one of this name.
fn call(name: &str, arguments: Vec<Zval>) -> Option<Zval> {
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

fn text(text: &str) -> Zval {
    let mut value = Zval::new();
    let _ = value.set_string(text, false);
    value
}

/// Scripts whose files have changed are compiled anew at their next use.
pub(crate) fn forget_changed_scripts() {
    let mut with_scripts = Zval::new();
    with_scripts.set_bool(true);
    let Some(status) = call("opcache_get_status", vec![with_scripts]) else { return };
    let scripts: Option<ZBox<ZendHashTable>> =
        status.array().and_then(|status| status.get("scripts")?.array().map(ToOwned::to_owned));
    for (key, _) in scripts.iter().flat_map(|scripts| scripts.iter()) {
        if let Some(path) = key_text(&key) {
            // It looks at the file's time itself.
            call("opcache_invalidate", vec![text(&path)]);
        }
    }
}
