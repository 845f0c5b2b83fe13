//! The objects that callbacks get in place of several arguments (`event_object`).

use ext_php_rs::ffi::{zend_class_entry, zend_object};
use ext_php_rs::types::Zval;

use super::{CLASSES, tasks};
use crate::zend::call::handler;
use crate::zend::class::{
    Class, Default, Function, NOT_SERIALIZABLE, PUBLIC, Property, kind, method, required,
};
use crate::zend::object::{self, Slot};
use crate::zend::value::{self, Argument};

const fn int(name: &'static str) -> Property {
    Property { name, kind: kind::INT, default: Default::Long(0), flags: PUBLIC }
}

const fn time() -> Property {
    Property {
        name: "dispatch_time",
        kind: kind::FLOAT,
        default: Default::Float(0.0),
        flags: PUBLIC,
    }
}

const fn text(name: &'static str) -> Property {
    Property { name, kind: kind::STRING, default: Default::EmptyString, flags: PUBLIC }
}

const fn data() -> Property {
    Property { name: "data", kind: kind::MIXED, default: Default::Null, flags: PUBLIC }
}

/// A connect, a close, or bytes that have come.
const EVENT: [Property; 4] = [int("reactor_id"), int("fd"), time(), data()];
const PACKET: [Property; 6] =
    [int("server_socket"), int("server_port"), time(), text("address"), int("port"), text("data")];
const PIPE_MESSAGE: [Property; 4] = [int("source_worker_id"), int("worker_id"), time(), data()];
const STATUS_INFO: [Property; 5] =
    [int("worker_id"), int("worker_pid"), int("status"), int("exit_code"), int("signal")];
const TASK_RESULT: [Property; 4] = [int("task_id"), int("task_worker_id"), time(), data()];

const TASK: [Property; 5] = [
    data(),
    time(),
    Property { name: "id", kind: kind::INT, default: Default::Long(-1), flags: PUBLIC },
    Property { name: "worker_id", kind: kind::INT, default: Default::Long(-1), flags: PUBLIC },
    int("flags"),
];
const TASK_METHODS: &[Function] = &[method(
    c"finish",
    handler!(tasks::finish_object),
    &[required(c"data", kind::MIXED)],
    kind::BOOL,
)];
/// Where a task's number lies.
pub(super) const TASK_ID: usize = 2;

/// The classes, as PHP has them.
#[derive(Clone, Copy)]
pub(crate) struct ObjectClasses {
    pub(super) event: *mut zend_class_entry,
    pub(super) packet: *mut zend_class_entry,
    pub(super) pipe_message: *mut zend_class_entry,
    pub(super) status_info: *mut zend_class_entry,
    pub(super) task: *mut zend_class_entry,
    pub(super) task_result: *mut zend_class_entry,
}

pub(super) fn declare(swoole: &impl Fn(Class, &str) -> Class) {
    let declare = |name: &str, properties: &[Property], methods: &'static [Function]| {
        let class =
            Class::declare(&format!("Ostler\\Server\\{name}"), std::ptr::null_mut(), methods)
                .flags(NOT_SERIALIZABLE)
                .properties(properties);
        swoole(class, &format!("Swoole\\Server\\{name}")).entry()
    };
    CLASSES.objects.set(Some(ObjectClasses {
        event: declare("Event", &EVENT, &[]),
        packet: declare("Packet", &PACKET, &[]),
        pipe_message: declare("PipeMessage", &PIPE_MESSAGE, &[]),
        status_info: declare("StatusInfo", &STATUS_INFO, &[]),
        task: declare("Task", &TASK, TASK_METHODS),
        task_result: declare("TaskResult", &TASK_RESULT, &[]),
    }));
}

/// An object of one of these classes, that is being filled in, and dropped after its callback.
pub(super) struct Filled(Zval);

impl Filled {
    /// A new one; nothing while the module starts.
    pub(super) fn new(class: impl Fn(&ObjectClasses) -> *mut zend_class_entry) -> Option<Self> {
        let class = class(&CLASSES.objects.get()?);
        object::plain(class).map(Self)
    }

    fn object(&self) -> *mut zend_object {
        // SAFETY: `object::plain` answers with an object.
        unsafe { self.0.value.obj }
    }

    fn slot(&self, number: usize) -> Slot {
        // SAFETY: numbers are those of the tables above.
        unsafe { object::slot(self.object(), number) }
    }

    pub(super) fn long(self, number: usize, value: i64) -> Self {
        self.slot(number).set_long(value);
        self
    }

    /// The place of `dispatch_time`.
    pub(super) fn now(self, number: usize) -> Self {
        let mut time = Zval::new();
        time.set_double(super::handler::now());
        self.slot(number).set(time);
        self
    }

    pub(super) fn text(self, number: usize, value: &str) -> Self {
        self.slot(number).set_text(value);
        self
    }

    pub(super) fn value(self, number: usize, value: Zval) -> Self {
        self.slot(number).set(value);
        self
    }

    /// As an argument, which owns nothing.
    pub(super) fn argument(&self) -> Argument {
        value::object(self.object())
    }
}
