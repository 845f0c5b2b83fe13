//! `Table`: rows that all processes of a server read and write, and that outlive workers.

mod changes;

use std::cell::{Cell, OnceCell, RefCell};

use ext_php_rs::boxed::ZBox;
use ext_php_rs::ffi::{zend_ce_countable, zend_ce_iterator};
use ext_php_rs::types::{ZendHashTable, Zval};
use ostler::shared::{Column, Row, Table, TableDesign, TableError};

use crate::server::throw_exception;
use crate::zend::Thrown;
use crate::zend::call::{Call, handler};
use crate::zend::class::{
    Class, Default, Function, NOT_SERIALIZABLE, PUBLIC, Parameter, Property, kind, method,
    optional, required,
};
use crate::zend::message::{throw_error, warning};
use crate::zend::object::{self, Embedded, Handlers};
use crate::zend::value::Array;

/// Longest key, bytes: that of the reference.
const KEY_BYTES_MAX: usize = 63;

/// `Table::TYPE_INT`, `TYPE_FLOAT`, `TYPE_STRING`.
const TYPES: [(&str, i64); 3] = [("TYPE_INT", 1), ("TYPE_FLOAT", 2), ("TYPE_STRING", 3)];

/// A column, by its type.
#[derive(Clone, Copy)]
enum Typed {
    Integer(Column<i64>),
    Float(Column<f64>),
    Text(Column<[u8]>, usize),
}

/// A table, before and after it was created.
pub(crate) struct State {
    rows: u64,
    design: RefCell<Option<TableDesign>>,
    columns: RefCell<Vec<(String, Typed)>>,
    table: OnceCell<Table>,
    /// The program does not want it any more. Its memory goes with the object, because rows of it
    /// may be in hand.
    is_destroyed: Cell<bool>,
    /// What a walk goes over.
    walk: RefCell<Vec<(Vec<u8>, Row)>>,
    at: Cell<usize>,
}

static HANDLERS: Handlers<State> = Handlers::new();

impl Embedded for State {
    fn handlers() -> &'static Handlers<Self> {
        &HANDLERS
    }
}

const KEY: &[Parameter] = &[required(c"key", kind::STRING)];
const FIELD: &[Parameter] =
    &[required(c"key", kind::STRING), optional(c"field", kind::STRING | kind::NULL, c"null")];
const CHANGE: &[Parameter] = &[required(c"key", kind::STRING), required(c"values", kind::ARRAY)];
const STEP: &[Parameter] = &[
    required(c"key", kind::STRING),
    required(c"column", kind::STRING),
    optional(c"incrby", kind::INT | kind::FLOAT, c"1"),
];

const METHODS: &[Function] = &[
    method(
        c"__construct",
        handler!(construct),
        &[
            required(c"table_size", kind::INT),
            optional(c"conflict_proportion", kind::FLOAT, c"0.2"),
        ],
        kind::NONE,
    ),
    method(
        c"column",
        handler!(column),
        &[
            required(c"name", kind::STRING),
            required(c"type", kind::INT),
            optional(c"size", kind::INT, c"0"),
        ],
        kind::BOOL,
    ),
    method(c"create", handler!(create), &[], kind::BOOL),
    method(
        c"set",
        handler!(changes::set),
        &[required(c"key", kind::STRING), required(c"value", kind::ARRAY)],
        kind::BOOL,
    ),
    method(c"get", handler!(get), FIELD, kind::MIXED),
    method(c"add", handler!(changes::add), CHANGE, kind::BOOL),
    method(c"update", handler!(changes::update), CHANGE, kind::BOOL),
    method(
        c"cmpset",
        handler!(changes::compare_and_set),
        &[
            required(c"key", kind::STRING),
            required(c"expected", kind::ARRAY),
            required(c"values", kind::ARRAY),
        ],
        kind::BOOL,
    ),
    method(
        c"cmpdel",
        handler!(changes::compare_and_delete),
        &[required(c"key", kind::STRING), required(c"expected", kind::ARRAY)],
        kind::BOOL,
    ),
    method(c"getdel", handler!(changes::take), FIELD, kind::MIXED),
    method(c"del", handler!(changes::delete), KEY, kind::BOOL),
    method(c"delete", handler!(changes::delete), KEY, kind::BOOL),
    method(c"exists", handler!(exists), KEY, kind::BOOL),
    method(c"exist", handler!(exists), KEY, kind::BOOL),
    method(c"incr", handler!(changes::increment), STEP, kind::INT | kind::FLOAT | kind::FALSE),
    method(c"decr", handler!(changes::decrement), STEP, kind::INT | kind::FLOAT | kind::FALSE),
    method(c"count", handler!(count), &[], kind::INT),
    method(c"stats", handler!(stats), &[], kind::ARRAY | kind::FALSE),
    method(c"getSize", handler!(size), &[], kind::INT),
    method(c"getMemorySize", handler!(memory_size), &[], kind::INT | kind::NULL),
    method(c"destroy", handler!(destroy), &[], kind::BOOL),
    method(c"rewind", handler!(rewind), &[], kind::VOID),
    method(c"next", handler!(next), &[], kind::VOID),
    method(c"current", handler!(current), &[], kind::MIXED),
    method(c"key", handler!(key), &[], kind::MIXED),
    method(c"valid", handler!(valid), &[], kind::BOOL),
];

/// How many rows were asked for, and how many bytes they take. Without types, as in the reference,
/// because programs that extend the class may declare them, too.
const SIZES: [Property; 2] = [untyped("size"), untyped("memorySize")];

const fn untyped(name: &'static str) -> Property {
    Property { name, kind: kind::NONE, default: Default::Null, flags: PUBLIC }
}

/// Declares the class.
pub(crate) fn declare() -> Class {
    let class = Class::declare("Ostler\\Table", std::ptr::null_mut(), METHODS)
        .flags(NOT_SERIALIZABLE)
        .properties(&SIZES)
        .numbers(&TYPES);
    object::embed::<State>(class.entry());
    // SAFETY: PHP sets them before it loads modules.
    let interfaces = unsafe { [zend_ce_iterator, zend_ce_countable] };
    interfaces.into_iter().fold(class, Class::implements)
}

fn state<'a>(call: &Call<'_>) -> Result<&'a State, Thrown> {
    // SAFETY: the methods are those of the class.
    unsafe { object::get::<State>(call.this()) }
        .ok_or_else(|| throw_error("must call the constructor first"))
}

/// The table, which has to be created.
fn table<'a>(call: &Call<'_>) -> Result<(&'a State, &'a Table), Thrown> {
    let state = state(call)?;
    let table = state.table.get().filter(|_| !state.is_destroyed.get());
    let table = table.ok_or_else(|| throw_error("table is not created or has been destroyed"))?;
    Ok((state, table))
}

impl State {
    fn column(&self, name: &str) -> Option<Typed> {
        self.columns.borrow().iter().find(|(known, _)| known == name).map(|(_, typed)| *typed)
    }
}

fn construct(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 2)?;
    let rows = call.long()?;
    call.float_or(0.2)?;
    let Some(rows) = u64::try_from(rows).ok().filter(|rows| *rows > 0) else {
        return Err(throw_exception(0, "table size cannot be less than 1"));
    };
    let state = State {
        rows,
        design: RefCell::new(Some(TableDesign::new(rows).key_bytes_max(KEY_BYTES_MAX))),
        columns: RefCell::default(),
        table: OnceCell::new(),
        is_destroyed: Cell::new(false),
        walk: RefCell::default(),
        at: Cell::new(0),
    };
    // SAFETY: this is a method of the class.
    unsafe { object::set(call.this(), state) };
    // SAFETY: the class declares this property, and the object lives as long as the call.
    let size = unsafe { object::slot(call.this(), 0) };
    size.set_long(i64::try_from(rows).unwrap_or(i64::MAX));
    Ok(())
}

fn column(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(2, 3)?;
    let state = state(call)?;
    let (name, kind, size) = (call.text_or("")?, call.long()?, call.long_or(0)?);
    let mut design = state.design.borrow_mut();
    let Some(design) = design.as_mut() else {
        warning("unable to add column after table has been created");
        return call.returns_bool(false);
    };
    let size = usize::try_from(size).unwrap_or(0);
    let typed = match kind {
        1 => Typed::Integer(design.integer(&name)),
        2 => Typed::Float(design.float(&name)),
        3 if size > 0 => Typed::Text(design.bytes(&name, size), size),
        3 => {
            warning("the length of a string column has to be at least 1");
            return call.returns_bool(false);
        }
        _ => {
            warning(&format!("unknown column type[{kind}]"));
            return call.returns_bool(false);
        }
    };
    state.columns.borrow_mut().push((name, typed));
    call.returns_bool(true)
}

fn create(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let state = state(call)?;
    let Some(design) = state.design.take() else {
        warning("the table has been created already");
        return call.returns_bool(false);
    };
    match design.make("table") {
        Ok(made) => {
            // SAFETY: the class declares this property, and the object lives as long as the call.
            let size = unsafe { object::slot(call.this(), 1) };
            size.set_long(i64::try_from(made.memory_bytes()).unwrap_or(i64::MAX));
            let _ = state.table.set(made);
            call.returns_bool(true)
        }
        Err(error) => {
            warning(&error.to_string());
            call.returns_bool(false)
        }
    }
}

/// A call that failed: a warning, and false.
fn failed(call: &mut Call<'_>, error: &TableError) -> Result<(), Thrown> {
    warning(&error.to_string());
    call.returns_bool(false)
}

fn read(row: &Row, typed: Typed) -> Zval {
    let mut value = Zval::new();
    match typed {
        Typed::Integer(column) => value.set_long(row.get(column)),
        Typed::Float(column) => value.set_double(row.get(column)),
        Typed::Text(column, _) => value.set_binary(row.get(column)),
    }
    value
}

/// All values of a row.
fn all(state: &State, row: &Row) -> ZBox<ZendHashTable> {
    let mut values = ZendHashTable::new();
    for (name, typed) in state.columns.borrow().iter() {
        let _ = values.insert(name.as_str(), read(row, *typed));
    }
    values
}

/// Answers with a row, or one of its values; false when it is not there.
fn answer(
    call: &mut Call<'_>,
    state: &State,
    row: Option<&Row>,
    field: &str,
) -> Result<(), Thrown> {
    match (row, state.column(field)) {
        (Some(row), _) if field.is_empty() => call.result().set_hashtable(all(state, row)),
        (Some(row), Some(typed)) => *call.result() = read(row, typed),
        _ => call.result().set_bool(false),
    }
    Ok(())
}

fn get(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 2)?;
    let (state, table) = table(call)?;
    let key = call.bytes()?.unwrap_or_default();
    let field = call.text_or("")?;
    let row = table.get(key).ok().flatten();
    answer(call, state, row.as_ref(), &field)
}

fn exists(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let (_, table) = table(call)?;
    let key = call.bytes()?.unwrap_or_default();
    let exists = table.get(key).is_ok_and(|row| row.is_some());
    call.returns_bool(exists)
}

fn count(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let (_, table) = table(call)?;
    call.returns_long(i64::try_from(table.len()).unwrap_or(i64::MAX))
}

/// There are no collisions to tell of, and what comes and goes is not counted.
fn stats(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let (_, table) = table(call)?;
    let untold = [
        "conflict_count",
        "conflict_max_level",
        "insert_count",
        "update_count",
        "delete_count",
        "available_slice_num",
        "total_slice_num",
    ];
    let count = i64::try_from(table.len()).unwrap_or(i64::MAX);
    let array = Array::new().long("num", count);
    untold.into_iter().fold(array, |array, name| array.long(name, 0)).into(call.result());
    Ok(())
}

fn size(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let rows = state(call)?.rows;
    call.returns_long(i64::try_from(rows).unwrap_or(i64::MAX))
}

/// Before the table is created it takes nothing, and has no number.
fn memory_size(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    match state(call)?.table.get() {
        Some(table) => call.returns_long(i64::try_from(table.memory_bytes()).unwrap_or(i64::MAX)),
        None => Ok(()),
    }
}

fn destroy(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let (state, _) = table(call)?;
    state.is_destroyed.set(true);
    state.walk.borrow_mut().clear();
    call.returns_bool(true)
}

/// A walk goes over the rows that were there when it began.
fn rewind(call: &mut Call<'_>) -> Result<(), Thrown> {
    let (state, table) = table(call)?;
    *state.walk.borrow_mut() = table.rows().filter_map(Result::ok).collect();
    state.at.set(0);
    Ok(())
}

fn next(call: &mut Call<'_>) -> Result<(), Thrown> {
    let state = state(call)?;
    state.at.set(state.at.get().saturating_add(1));
    Ok(())
}

fn current(call: &mut Call<'_>) -> Result<(), Thrown> {
    let state = state(call)?;
    let walk = state.walk.borrow();
    if let Some((_, row)) = walk.get(state.at.get()) {
        call.result().set_hashtable(all(state, row));
    }
    Ok(())
}

fn key(call: &mut Call<'_>) -> Result<(), Thrown> {
    let state = state(call)?;
    let walk = state.walk.borrow();
    if let Some((key, _)) = walk.get(state.at.get()) {
        call.result().set_binary(key.clone());
    }
    Ok(())
}

fn valid(call: &mut Call<'_>) -> Result<(), Thrown> {
    let state = state(call)?;
    let is_valid = state.at.get() < state.walk.borrow().len();
    call.returns_bool(is_valid)
}
