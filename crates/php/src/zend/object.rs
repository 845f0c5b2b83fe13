//! Objects of PHP that have a value of Rust with them.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::ptr::NonNull;

use ext_php_rs::boxed::ZBox;
use ext_php_rs::ffi::{
    ext_php_rs_zend_object_alloc, object_properties_init, std_object_handlers, zend_class_entry,
    zend_object, zend_object_handlers, zend_object_std_dtor, zend_object_std_init, zval,
};
use ext_php_rs::types::{ZendHashTable, ZendObject, Zval};

/// An object of PHP's with a value in front, as PHP's own classes are laid out.
#[repr(C)]
struct Block<T> {
    /// Null until the constructor has run.
    value: *mut T,
    object: zend_object,
}

/// What a class needs so that each of its objects has a `T`.
pub(crate) trait Embedded: Sized + 'static {
    /// Where the handlers of such objects are kept.
    fn handlers() -> &'static Handlers<Self>;
}

/// The handlers of all objects with a `T`.
pub(crate) struct Handlers<T>(Cell<Option<NonNull<zend_object_handlers>>>, PhantomData<T>);

// SAFETY: PHP has one thread (this extension refuses to be built for others), which alone comes
// here.
unsafe impl<T> Sync for Handlers<T> {}

impl<T> Handlers<T> {
    /// Not made yet.
    pub(crate) const fn new() -> Self {
        Self(Cell::new(None), PhantomData)
    }
}

/// Lets objects of this class and of those that extend it have a `T`. They cannot be cloned.
pub(crate) fn embed<T: Embedded>(class: *mut zend_class_entry) {
    // SAFETY: a table of functions of PHP's, made before any module starts.
    let mut handlers = unsafe { std_object_handlers };
    handlers.offset = i32::try_from(offset_of!(Block<T>, object)).unwrap_or(0);
    handlers.free_obj = Some(free::<T>);
    handlers.clone_obj = None;
    let kept = Box::leak(Box::new(handlers));
    T::handlers().0.set(Some(NonNull::from(kept)));
    // SAFETY: a class that was just declared.
    unsafe { (*class).__bindgen_anon_2.create_object = Some(create::<T>) };
}

unsafe extern "C" fn create<T: Embedded>(class: *mut zend_class_entry) -> *mut zend_object {
    // SAFETY: PHP calls this with the class of the object to be made, and takes it. The block has
    // room for the properties behind it.
    unsafe {
        let block = ext_php_rs_zend_object_alloc(size_of::<Block<T>>(), class).cast::<Block<T>>();
        (*block).value = std::ptr::null_mut();
        let object = &raw mut (*block).object;
        zend_object_std_init(object, class);
        object_properties_init(object, class);
        (*object).handlers = match T::handlers().0.get() {
            Some(handlers) => handlers.as_ptr(),
            None => &raw const std_object_handlers,
        };
        object
    }
}

unsafe extern "C" fn free<T>(object: *mut zend_object) {
    // SAFETY: PHP calls this once for an object that `create` has made.
    unsafe {
        let block = block::<T>(object);
        if !(*block).value.is_null() {
            drop(Box::from_raw((*block).value));
            (*block).value = std::ptr::null_mut();
        }
        zend_object_std_dtor(object);
    }
}

/// # Safety
/// `object` was made by `create::<T>`.
unsafe fn block<T>(object: *mut zend_object) -> *mut Block<T> {
    // SAFETY: as the caller says; the object lies in a block at this distance.
    unsafe { object.byte_sub(offset_of!(Block<T>, object)).cast() }
}

/// Whether an object is of a class that [`embed`] was called for with `T`, or extends one.
pub(crate) fn has<T: Embedded>(object: *mut zend_object) -> bool {
    // SAFETY: an object of PHP's, which lives; its handlers are read.
    let handlers = unsafe { (*object).handlers };
    T::handlers().0.get().is_some_and(|own| std::ptr::eq(own.as_ptr(), handlers))
}

/// Gives the object its value, if it has none.
///
/// # Safety
/// `object` is of a class that [`embed`] was called for with `T`, or of one that extends it.
pub(crate) unsafe fn set<T: Embedded>(object: *mut zend_object, value: T) {
    // SAFETY: as the caller says.
    unsafe {
        let block = block::<T>(object);
        if (*block).value.is_null() {
            (*block).value = Box::into_raw(Box::new(value));
        }
    }
}

/// The value of the object, if its constructor has run.
///
/// # Safety
/// As [`set`]; what is answered is not used longer than the object lives.
pub(crate) unsafe fn get<'a, T: Embedded>(object: *mut zend_object) -> Option<&'a T> {
    // SAFETY: as the caller says; the value is changed through cells only.
    unsafe { (*block::<T>(object)).value.as_ref() }
}

/// The place of a declared property. What lies there belongs to the object, and code of the program
/// may change it at any time; so nothing is borrowed from it for longer than a look.
#[derive(Clone, Copy)]
pub(crate) struct Slot(*mut Zval);

/// The place of a declared property, by its number.
///
/// # Safety
/// The class of the object declares at least so many properties, and the object lives as long as
/// the answer is used.
pub(crate) unsafe fn slot(object: *mut zend_object, number: usize) -> Slot {
    // SAFETY: declared properties lie in the object in the order of their declaration.
    Slot(unsafe { (&raw mut (*object).properties_table).cast::<zval>().add(number) })
}

impl Slot {
    /// As PHP takes it.
    pub(crate) const fn as_ptr(self) -> *mut Zval {
        self.0
    }

    fn get<'a>(self) -> &'a Zval {
        // SAFETY: as `slot` demands; the answer is used within one look.
        unsafe { &*self.0 }
    }

    /// Whether nothing was put there.
    pub(crate) fn is_null(self) -> bool {
        self.get().is_null()
    }

    /// The number that lies there.
    pub(crate) fn long(self) -> Option<i64> {
        self.get().long()
    }

    /// The array that lies there; a copy, because what lies there may be replaced.
    pub(crate) fn array(self) -> Option<ZBox<ZendHashTable>> {
        self.get().array().map(ToOwned::to_owned)
    }

    /// Another reference to what lies there.
    pub(crate) fn copy(self) -> Zval {
        self.get().shallow_clone()
    }

    /// Puts a value there.
    pub(crate) fn set(self, value: Zval) {
        // SAFETY: as `slot` demands. What lay there is dropped after the new value is there:
        // its destructor may look.
        drop(unsafe { std::mem::replace(&mut *self.0, value) });
    }

    /// Puts a number there.
    pub(crate) fn set_long(self, number: i64) {
        let mut value = Zval::new();
        value.set_long(number);
        self.set(value);
    }

    /// Puts true or false there.
    pub(crate) fn set_bool(self, yes: bool) {
        let mut value = Zval::new();
        value.set_bool(yes);
        self.set(value);
    }

    /// Puts a text there.
    pub(crate) fn set_text(self, text: &str) {
        let mut value = Zval::new();
        let _ = value.set_string(text, false);
        self.set(value);
    }

    /// Puts an array there.
    pub(crate) fn set_array(self, array: ZBox<ZendHashTable>) {
        let mut value = Zval::new();
        value.set_hashtable(array);
        self.set(value);
    }
}

/// A new object of a class that has properties only.
pub(crate) fn plain(class: *mut zend_class_entry) -> Option<Zval> {
    // SAFETY: a class that was declared, which PHP keeps as long as the process lives, or null.
    let mut object = ZendObject::new(unsafe { class.as_ref() }?);
    let mut value = Zval::new();
    // The value has a reference of its own; that of the box goes.
    value.set_object(&mut object);
    Some(value)
}

/// Creates an object of a class that has no constructor for programs.
///
/// # Safety
/// The class was declared and [`embed`]ded with `T`.
pub(crate) unsafe fn make<T: Embedded>(class: *mut zend_class_entry, value: T) -> *mut zend_object {
    // SAFETY: as the caller says.
    unsafe {
        let object = create::<T>(class);
        set(object, value);
        object
    }
}
