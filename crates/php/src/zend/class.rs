//! Declaring classes: methods with names, types and defaults as reflection shows them, properties
//! in a fixed order, constants.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

use ext_php_rs::ffi::{
    _ZEND_IS_VARIADIC_BIT, IS_ARRAY, IS_CALLABLE, IS_DOUBLE, IS_FALSE, IS_LONG, IS_NULL, IS_OBJECT,
    IS_STRING, IS_TRUE, IS_VOID, MAY_BE_ANY, zend_class_entry, zend_declare_class_constant_ex,
    zend_declare_typed_property, zend_do_implement_interface, zend_function_entry,
    zend_internal_arg_info, zend_register_class_alias_ex, zend_register_functions,
    zend_register_internal_class_ex, zend_string, zend_string_init_interned, zend_type, zval,
};
use ext_php_rs::types::Zval;

use super::call::Handler;
use super::message::c_text;

/// Types, as bits that may be combined.
pub(crate) mod kind {
    use super::*;

    pub(crate) const NULL: u32 = 1 << IS_NULL;
    pub(crate) const FALSE: u32 = 1 << IS_FALSE;
    pub(crate) const BOOL: u32 = FALSE | 1 << IS_TRUE;
    pub(crate) const INT: u32 = 1 << IS_LONG;
    pub(crate) const FLOAT: u32 = 1 << IS_DOUBLE;
    pub(crate) const STRING: u32 = 1 << IS_STRING;
    pub(crate) const ARRAY: u32 = 1 << IS_ARRAY;
    pub(crate) const OBJECT: u32 = 1 << IS_OBJECT;
    pub(crate) const CALLABLE: u32 = 1 << IS_CALLABLE;
    pub(crate) const VOID: u32 = 1 << IS_VOID;
    pub(crate) const MIXED: u32 = MAY_BE_ANY;
    /// No type is declared.
    pub(crate) const NONE: u32 = 0;
}

/// `ZEND_ACC_PUBLIC`, `ZEND_ACC_PRIVATE`: the same in all versions of PHP.
pub(crate) const PUBLIC: u32 = 1;
pub(crate) const PRIVATE: u32 = 1 << 2;
pub(crate) const STATIC: u32 = 1 << 4;
/// `ZEND_ACC_VARIADIC`.
const VARIADIC: u32 = 1 << 14;
/// `ZEND_ACC_ALLOW_DYNAMIC_PROPERTIES`: a program may give the object properties of its own.
pub(crate) const DYNAMIC_PROPERTIES: u32 = 1 << 15;
/// `ZEND_ACC_NOT_SERIALIZABLE`.
pub(crate) const NOT_SERIALIZABLE: u32 = 1 << 29;

/// A parameter.
pub(crate) struct Parameter {
    pub(crate) name: &'static CStr,
    pub(crate) kind: u32,
    /// As PHP would write it; without one it is required.
    pub(crate) default: Option<&'static CStr>,
}

impl Parameter {
    fn is_variadic(&self) -> bool {
        self.default == Some(c"...")
    }
}

/// A required parameter.
pub(crate) const fn required(name: &'static CStr, kind: u32) -> Parameter {
    Parameter { name, kind, default: None }
}

/// One that may be left out.
pub(crate) const fn optional(name: &'static CStr, kind: u32, default: &'static CStr) -> Parameter {
    Parameter { name, kind, default: Some(default) }
}

/// The last one, of which there may be any number.
pub(crate) const fn variadic(name: &'static CStr, kind: u32) -> Parameter {
    Parameter { name, kind, default: Some(c"...") }
}

/// A function or a method.
pub(crate) struct Function {
    pub(crate) name: &'static CStr,
    pub(crate) handler: Handler,
    pub(crate) parameters: &'static [Parameter],
    pub(crate) returns: u32,
    pub(crate) flags: u32,
}

/// A public method.
pub(crate) const fn method(
    name: &'static CStr,
    handler: Handler,
    parameters: &'static [Parameter],
    returns: u32,
) -> Function {
    Function { name, handler, parameters, returns, flags: PUBLIC }
}

/// A public method that belongs to no object.
pub(crate) const fn static_method(
    name: &'static CStr,
    handler: Handler,
    parameters: &'static [Parameter],
    returns: u32,
) -> Function {
    Function { flags: PUBLIC | STATIC, ..method(name, handler, parameters, returns) }
}

/// A function of no class.
pub(crate) const fn function(
    name: &'static CStr,
    handler: Handler,
    parameters: &'static [Parameter],
    returns: u32,
) -> Function {
    Function { flags: 0, ..method(name, handler, parameters, returns) }
}

/// The value that a property begins with.
pub(crate) enum Default {
    Null,
    Long(i64),
    Bool(bool),
    Float(f64),
    EmptyString,
}

/// A property. Those of a class have numbers in the order of its table.
pub(crate) struct Property {
    pub(crate) name: &'static str,
    pub(crate) kind: u32,
    pub(crate) default: Default,
    pub(crate) flags: u32,
}

/// A name that PHP keeps for ever.
fn interned(text: &str) -> *mut zend_string {
    // SAFETY: PHP sets the function before it loads modules, and reads as many bytes as there are.
    unsafe {
        let make = zend_string_init_interned;
        make.map_or(std::ptr::null_mut(), |make| {
            make(text.as_ptr().cast::<c_char>(), text.len(), true)
        })
    }
}

const fn type_of(mask: u32) -> zend_type {
    zend_type { ptr: std::ptr::null_mut(), type_mask: mask }
}

/// What PHP wants to know of the parameters; kept for ever, as PHP points there.
fn arguments(function: &Function) -> &'static [zend_internal_arg_info] {
    let required = function.parameters.iter().filter(|one| one.default.is_none()).count();
    // The first is about the function: in place of a name the number of required parameters.
    let head = zend_internal_arg_info {
        name: std::ptr::without_provenance(required),
        type_: type_of(function.returns),
        default_value: std::ptr::null(),
    };
    let rest = function.parameters.iter().map(|parameter| {
        let many = parameter.is_variadic();
        let default = parameter.default.filter(|_| !many);
        zend_internal_arg_info {
            name: parameter.name.as_ptr(),
            type_: type_of(parameter.kind | if many { _ZEND_IS_VARIADIC_BIT } else { 0 }),
            default_value: default.map_or(std::ptr::null(), CStr::as_ptr),
        }
    });
    Vec::leak(std::iter::once(head).chain(rest).collect())
}

/// The table of functions as PHP reads it, which ends with an empty entry.
fn entries(functions: &[Function]) -> *const zend_function_entry {
    // SAFETY: all fields are numbers, pointers that may be null, and an optional function.
    let empty = || unsafe { MaybeUninit::<zend_function_entry>::zeroed().assume_init() };
    let made = functions.iter().map(|function| {
        let arguments = arguments(function);
        let mut entry = empty();
        entry.fname = function.name.as_ptr();
        entry.handler = Some(function.handler);
        entry.arg_info = arguments.as_ptr();
        let is_variadic = function.parameters.last().is_some_and(Parameter::is_variadic);
        // The variadic one does not count.
        let count = arguments.len() - 1 - usize::from(is_variadic);
        entry.num_args = u32::try_from(count).unwrap_or(0);
        entry.flags = function.flags | if is_variadic { VARIADIC } else { 0 };
        entry
    });
    Vec::leak(made.chain(std::iter::once(empty())).collect()).as_ptr()
}

/// Declares functions outside of classes.
pub(crate) fn declare_functions(functions: &[Function]) {
    const MODULE_PERSISTENT: i32 = 1;
    // SAFETY: called while this module starts; the table is kept for ever.
    unsafe {
        zend_register_functions(
            std::ptr::null_mut(),
            entries(functions),
            std::ptr::null_mut(),
            MODULE_PERSISTENT,
        );
    }
}

/// A class that is being declared.
pub(crate) struct Class(*mut zend_class_entry);

impl Class {
    /// Declares a class with these methods, which extends `parent` if that is one.
    pub(crate) fn declare(
        name: &str,
        parent: *mut zend_class_entry,
        methods: &'static [Function],
    ) -> Self {
        // SAFETY: as `INIT_CLASS_ENTRY` does; the rest is filled in by PHP.
        let mut entry = unsafe { MaybeUninit::<zend_class_entry>::zeroed().assume_init() };
        entry.name = interned(name);
        entry.info.internal.builtin_functions = entries(methods);
        // SAFETY: called while this module starts; PHP copies the entry.
        Self(unsafe { zend_register_internal_class_ex(&raw mut entry, parent) })
    }

    /// The class as PHP has it.
    pub(crate) const fn entry(&self) -> *mut zend_class_entry {
        self.0
    }

    /// Adds bits to its flags.
    pub(crate) fn flags(self, flags: u32) -> Self {
        // SAFETY: PHP keeps the class as long as the process lives.
        unsafe { (*self.0).ce_flags |= flags };
        self
    }

    /// The class implements an interface.
    pub(crate) fn implements(self, interface: *mut zend_class_entry) -> Self {
        // SAFETY: both classes are kept as long as the process lives.
        unsafe { zend_do_implement_interface(self.0, interface) };
        self
    }

    /// The class has another name, too.
    pub(crate) fn alias(self, name: &str) -> Self {
        let (bytes, length) = (c_text(name), name.len());
        // SAFETY: a name with its length, which PHP copies.
        unsafe { zend_register_class_alias_ex(bytes.as_ptr(), length, self.0, true) };
        self
    }

    /// Declares properties, which have numbers in this order (behind those of the parent).
    pub(crate) fn properties(self, properties: &[Property]) -> Self {
        for property in properties {
            let mut value = Zval::new();
            match property.default {
                Default::Null => value.set_null(),
                Default::Long(number) => value.set_long(number),
                Default::Bool(yes) => value.set_bool(yes),
                Default::Float(number) => value.set_double(number),
                Default::EmptyString => {
                    value.u1.type_info = IS_STRING;
                    value.value.str_ = interned("");
                }
            }
            let flags = i32::try_from(property.flags).unwrap_or(0);
            // SAFETY: name and default value are kept for ever and need no counting.
            unsafe {
                zend_declare_typed_property(
                    self.0,
                    interned(property.name),
                    &raw mut value,
                    flags,
                    std::ptr::null_mut(),
                    type_of(property.kind),
                );
            }
            std::mem::forget(value);
        }
        self
    }

    fn constant(&self, name: &str, value: &mut zval) {
        let flags = i32::try_from(PUBLIC).unwrap_or(0);
        // SAFETY: name and value are kept for ever and need no counting.
        unsafe {
            zend_declare_class_constant_ex(
                self.0,
                interned(name),
                value,
                flags,
                std::ptr::null_mut(),
            );
        }
    }

    /// Declares constants that are numbers.
    pub(crate) fn numbers(self, constants: &[(&str, i64)]) -> Self {
        for (name, number) in constants {
            let mut value = Zval::new();
            value.set_long(*number);
            self.constant(name, &mut value);
        }
        self
    }

    /// Declares constants that are texts.
    pub(crate) fn texts<'a>(self, constants: impl Iterator<Item = (String, &'a str)>) -> Self {
        for (name, text) in constants {
            let mut value = Zval::new();
            value.u1.type_info = IS_STRING;
            value.value.str_ = interned(text);
            self.constant(&name, &mut value);
            std::mem::forget(value);
        }
        self
    }
}
