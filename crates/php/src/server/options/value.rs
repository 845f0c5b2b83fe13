//! What a program gave as the value of an option.

use ext_php_rs::ffi::{zend_is_true, zval_get_double_func, zval_get_long_func};
use ext_php_rs::types::Zval;

use crate::zend::call::text;

/// A value, as far as an option can be one.
pub(crate) struct Value<'a>(pub(crate) &'a Zval);

impl Value<'_> {
    /// As PHP converts it to an integer.
    pub(crate) fn long(&self) -> i64 {
        self.0.long().unwrap_or_else(|| {
            // SAFETY: a valid value, which is read.
            unsafe { zval_get_long_func((&raw const *self.0).cast_mut(), false) }
        })
    }

    /// As PHP converts it to a number with a fraction.
    pub(crate) fn float(&self) -> f64 {
        // SAFETY: a valid value, which is read.
        unsafe { zval_get_double_func((&raw const *self.0).cast_mut()) }
    }

    /// Whether PHP takes it for true.
    pub(crate) fn is_true(&self) -> bool {
        // SAFETY: a valid value, which is read.
        let yes = unsafe { zend_is_true((&raw const *self.0).cast_mut()) };
        #[allow(clippy::useless_conversion, reason = "from PHP 8.4 on it answers with a `bool`")]
        let yes = i32::from(yes) != 0;
        yes
    }

    /// As a text; nothing for an array or an object.
    pub(crate) fn text(&self) -> Option<String> {
        if let Some(string) = self.0.zend_str() {
            return Some(text(string.as_bytes()));
        }
        if let Some(yes) = self.0.bool() {
            return Some(yes.to_string());
        }
        if self.0.is_long() {
            return Some(self.long().to_string());
        }
        self.0.is_double().then(|| self.float().to_string())
    }

    /// The bytes of a string.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        self.0.zend_str().map(|string| string.as_bytes())
    }

    /// A number of bytes: an integer, or a string with K, M or G behind the number.
    pub(crate) fn size(&self) -> Option<i64> {
        let Some(bytes) = self.bytes() else { return Some(self.long()) };
        let string = std::str::from_utf8(bytes).ok()?.trim();
        let (digits, unit) = match string.char_indices().next_back()? {
            (at, 'k' | 'K') => (string.get(..at)?, 10),
            (at, 'm' | 'M') => (string.get(..at)?, 20),
            (at, 'g' | 'G') => (string.get(..at)?, 30),
            _ => (string, 0),
        };
        digits.trim().parse::<i64>().ok()?.checked_mul(1 << unit)
    }
}
