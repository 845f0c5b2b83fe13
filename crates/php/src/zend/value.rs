//! Values of PHP.

use std::mem::ManuallyDrop;

use ext_php_rs::boxed::ZBox;
use ext_php_rs::ffi::{
    GC_IMMUTABLE, IS_INTERNED_STRING_EX, IS_OBJECT_EX, IS_STRING_EX, ext_php_rs_zend_string_init,
    ext_php_rs_zend_string_release, zend_is_true, zend_object, zend_string, zval_get_double_func,
    zval_get_long_func,
};
use ext_php_rs::types::{ArrayKey, ZendHashTable, Zval};

/// An argument: it owns nothing, because PHP copies what it keeps of one.
pub(crate) type Argument = ManuallyDrop<Zval>;

/// An object as an argument.
pub(crate) fn object(object: *mut zend_object) -> Argument {
    let mut value = Zval::new();
    value.value.obj = object;
    value.u1.type_info = IS_OBJECT_EX;
    ManuallyDrop::new(value)
}

/// A number as an argument.
pub(crate) fn long(number: i64) -> Argument {
    let mut value = Zval::new();
    value.set_long(number);
    ManuallyDrop::new(value)
}

/// The number of a session as an argument; it has 53 bits.
pub(crate) fn id(session: u64) -> Argument {
    long(session.cast_signed())
}

/// The key of an array, unless it is a number.
pub(crate) fn key_text(key: &ArrayKey<'_>) -> Option<String> {
    match key {
        ArrayKey::Long(_) => None,
        ArrayKey::String(name) => Some(name.clone()),
        ArrayKey::Str(name) => Some((*name).to_owned()),
        ArrayKey::ZendString(name) => Some(super::call::text(name.as_bytes())),
    }
}

/// A string of PHP's with one owner.
pub(crate) struct OwnString(*mut zend_string);

impl OwnString {
    /// The only copy of these bytes that is made.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        // SAFETY: reads as many bytes as there are, and answers with a string of one reference or
        // one that is never freed.
        Self(unsafe { ext_php_rs_zend_string_init(bytes.as_ptr().cast(), bytes.len(), false) })
    }

    /// Where its bytes lie.
    pub(crate) fn as_ptr(&self) -> *const u8 {
        // SAFETY: it is a string of PHP's as long as `self` lives.
        unsafe { (&raw const (*self.0).val).cast() }
    }

    /// As an argument, which borrows it.
    pub(crate) fn argument(&self) -> Argument {
        let mut value = Zval::new();
        value.value.str_ = self.0;
        // SAFETY: it is a string of PHP's as long as `self` lives. Strings of at most one byte are
        // shared by all and must not be counted.
        let is_shared = unsafe { (*self.0).gc.u.type_info } & GC_IMMUTABLE != 0;
        value.u1.type_info = if is_shared { IS_INTERNED_STRING_EX } else { IS_STRING_EX };
        ManuallyDrop::new(value)
    }
}

impl From<OwnString> for Zval {
    /// The value takes the string over.
    fn from(string: OwnString) -> Self {
        let string = ManuallyDrop::new(string);
        ManuallyDrop::into_inner(string.argument())
    }
}

impl Drop for OwnString {
    fn drop(&mut self) {
        // SAFETY: it was made in `new` and its reference is given back once.
        unsafe { ext_php_rs_zend_string_release(self.0) };
    }
}

/// An array that is being made.
pub(crate) struct Array(ZBox<ZendHashTable>);

impl Array {
    pub(crate) fn new() -> Self {
        Self(ZendHashTable::new())
    }

    pub(crate) fn long(mut self, key: &str, number: i64) -> Self {
        // Fails only for values that cannot be converted.
        let _ = self.0.insert(key, number);
        self
    }

    pub(crate) fn bool(mut self, key: &str, yes: bool) -> Self {
        let _ = self.0.insert(key, yes);
        self
    }

    pub(crate) fn float(mut self, key: &str, number: f64) -> Self {
        let _ = self.0.insert(key, number);
        self
    }

    pub(crate) fn text(mut self, key: &str, text: &str) -> Self {
        let _ = self.0.insert(key, text);
        self
    }

    /// Puts it into a value.
    pub(crate) fn into(self, value: &mut Zval) {
        value.set_hashtable(self.0);
    }
}

/// A value, as PHP converts it when it wants a number or a text.
pub(crate) struct Scalar<'a>(pub(crate) &'a Zval);

impl Scalar<'_> {
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
            return Some(super::call::text(string.as_bytes()));
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
