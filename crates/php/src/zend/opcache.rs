//! New code after a reload, also with opcache.
//!
//! On the command line opcache looks at a file's time once in `opcache.revalidate_freq` seconds of
//! the *request*, and the request of a worker began when the server was started: a reload would
//! never see new code. So each worker, when it begins, lets opcache look at what it has.

use ext_php_rs::boxed::ZBox;
use ext_php_rs::types::{ZendHashTable, Zval};

use super::function;
use super::value::key_text;

fn text(text: &str) -> Zval {
    let mut value = Zval::new();
    let _ = value.set_string(text, false);
    value
}

/// Scripts whose files have changed are compiled anew at their next use.
pub(crate) fn forget_changed_scripts() {
    let mut with_scripts = Zval::new();
    with_scripts.set_bool(true);
    let Some(status) = function::call("opcache_get_status", vec![with_scripts]) else { return };
    let scripts: Option<ZBox<ZendHashTable>> =
        status.array().and_then(|status| status.get("scripts")?.array().map(ToOwned::to_owned));
    for (key, _) in scripts.iter().flat_map(|scripts| scripts.iter()) {
        if let Some(path) = key_text(&key) {
            // It looks at the file's time itself.
            function::call("opcache_invalidate", vec![text(&path)]);
        }
    }
}
