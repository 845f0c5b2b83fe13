//! What changes the rows of a table: each call is one change, whoever writes beside it.

use ext_php_rs::types::{ZendHashTable, Zval};
use ostler::shared::{Row, Table, TableError};

use super::{State, Typed, answer, failed, table};
use crate::zend::call::Call;
use crate::zend::message::warning;
use crate::zend::value::{Scalar, key_text};
use crate::zend::{Thrown, globals};

/// The bytes that a value is in a column of texts.
fn as_bytes(value: &Scalar<'_>) -> Vec<u8> {
    match value.bytes() {
        Some(bytes) => bytes.to_vec(),
        None => value.text().unwrap_or_default().into_bytes(),
    }
}

/// Puts a value into a row, converted to the column's type; a text that is too long is cut.
fn put(row: &mut Row, typed: Typed, name: &str, value: &Zval) -> Result<(), TableError> {
    let value = Scalar(value);
    match typed {
        Typed::Integer(column) => row.set(column, value.long()),
        Typed::Float(column) => row.set(column, value.float()),
        Typed::Text(column, most) => {
            let bytes = as_bytes(&value);
            let cut = bytes.get(..most).unwrap_or(&bytes);
            if cut.len() < bytes.len() {
                warning(&format!("the value of the column [{name}] is too long and is cut"));
            }
            row.set(column, cut)
        }
    }
}

/// Whether a row has these values, each converted to its column's type.
fn has(state: &State, row: &Row, expected: &ZendHashTable) -> bool {
    expected.iter().all(|(name, value)| {
        let typed = key_text(&name).and_then(|name| state.column(&name));
        let value = Scalar(value);
        match typed {
            Some(Typed::Integer(column)) => row.get(column) == value.long(),
            Some(Typed::Float(column)) => row.get(column) == value.float(),
            Some(Typed::Text(column, _)) => row.get(column) == as_bytes(&value),
            None => false,
        }
    })
}

/// Changes some values of a row, if `may` says so of the row that is there; what others have
/// written meanwhile stays.
fn change(
    call: &mut Call<'_>,
    (state, table): (&State, &Table),
    (key, values): (&[u8], &ZendHashTable),
    may: impl Fn(Option<&Row>) -> bool,
) -> Result<(), Thrown> {
    loop {
        let found = match table.get(key) {
            Ok(found) => found,
            Err(error) => return failed(call, &error),
        };
        if !may(found.as_ref()) {
            return call.returns_bool(false);
        }
        let mut row = found.unwrap_or_else(|| table.row());
        for (name, value) in values {
            let Some(name) = key_text(&name) else { continue };
            let Some(typed) = state.column(&name) else { continue };
            if let Err(error) = put(&mut row, typed, &name, value) {
                return failed(call, &error);
            }
            if !globals::exception().is_null() {
                return Err(Thrown);
            }
        }
        match table.replace(key, &row) {
            Ok(true) => return call.returns_bool(true),
            // Somebody else was faster.
            Ok(false) => {}
            Err(error) => return failed(call, &error),
        }
    }
}

/// The same by key and values, for what depends on whether there is a row.
fn change_if(call: &mut Call<'_>, may: fn(bool) -> bool) -> Result<(), Thrown> {
    call.arguments(2, 2)?;
    let table = table(call)?;
    let key = call.bytes()?.unwrap_or_default();
    let values = call.array()?;
    change(call, table, (key, values), |row| may(row.is_some()))
}

pub(super) fn set(call: &mut Call<'_>) -> Result<(), Thrown> {
    change_if(call, |_| true)
}

/// If there is no row.
pub(super) fn add(call: &mut Call<'_>) -> Result<(), Thrown> {
    change_if(call, |is_there| !is_there)
}

/// If there is one.
pub(super) fn update(call: &mut Call<'_>) -> Result<(), Thrown> {
    change_if(call, |is_there| is_there)
}

/// If it has the values that are expected.
pub(super) fn compare_and_set(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(3, 3)?;
    let table = table(call)?;
    let key = call.bytes()?.unwrap_or_default();
    let (expected, values) = (call.array()?, call.array()?);
    change(call, table, (key, values), |row| row.is_some_and(|row| has(table.0, row, expected)))
}

/// Removes a row if `may` says so of it; answers with the row that it has removed.
fn remove(
    table: &Table,
    key: &[u8],
    may: impl Fn(&Row) -> bool,
) -> Result<Option<Row>, TableError> {
    loop {
        let Some(row) = table.get(key)?.filter(&may) else { return Ok(None) };
        if table.remove_row(key, &row)? {
            return Ok(Some(row));
        }
    }
}

pub(super) fn compare_and_delete(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(2, 2)?;
    let (state, table) = table(call)?;
    let key = call.bytes()?.unwrap_or_default();
    let expected = call.array()?;
    match remove(table, key, |row| has(state, row, expected)) {
        Ok(removed) => call.returns_bool(removed.is_some()),
        Err(error) => failed(call, &error),
    }
}

/// What was there, which is there no more. Nothing is removed for a field that is no column.
pub(super) fn take(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 2)?;
    let (state, table) = table(call)?;
    let key = call.bytes()?.unwrap_or_default();
    let field = call.text_or("")?;
    let is_known = field.is_empty() || state.column(&field).is_some();
    match remove(table, key, |_| is_known) {
        Ok(removed) => answer(call, state, removed.as_ref(), &field),
        Err(error) => failed(call, &error),
    }
}

pub(super) fn delete(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let (_, table) = table(call)?;
    let key = call.bytes()?.unwrap_or_default();
    match table.remove(key) {
        Ok(was_there) => call.returns_bool(was_there),
        Err(error) => failed(call, &error),
    }
}

pub(super) fn increment(call: &mut Call<'_>) -> Result<(), Thrown> {
    step(call, 1)
}

pub(super) fn decrement(call: &mut Call<'_>) -> Result<(), Thrown> {
    step(call, -1)
}

/// Adds to a number, `sign` times.
fn step(call: &mut Call<'_>, sign: i8) -> Result<(), Thrown> {
    call.arguments(2, 3)?;
    let (state, table) = table(call)?;
    let key = call.bytes()?.unwrap_or_default();
    let name = call.text_or("")?;
    let by = call.value();
    match state.column(&name) {
        Some(Typed::Integer(column)) => {
            let by = by.map_or(1, |by| Scalar(by).long()).wrapping_mul(i64::from(sign));
            match table.add(key, column, by) {
                Ok(sum) => call.returns_long(sum),
                Err(error) => failed(call, &error),
            }
        }
        Some(Typed::Float(column)) => {
            let by = by.map_or(1.0, |by| Scalar(by).float()) * f64::from(sign);
            match table.add(key, column, by) {
                Ok(sum) => {
                    call.result().set_double(sum);
                    Ok(())
                }
                Err(error) => failed(call, &error),
            }
        }
        Some(Typed::Text(..)) => {
            warning("can't execute 'incr' on a string type column");
            call.returns_bool(false)
        }
        None => {
            warning(&format!("column[{name}] does not exist"));
            call.returns_bool(false)
        }
    }
}
