//! A comparison of the tables of a projection with those that another fold of the same events made.

use crate::error::Error;
use crate::progress::Difference;
use crate::projection::Projection;
use crate::store::{Row, TableSet};
use crate::tables;
use crate::tables::groups::for_each_row;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Rows};
use std::cmp::Ordering;

/// The most characters that are shown of a value.
const SHOWN: usize = 80;

#[derive(Clone, Copy)]
pub(crate) struct Side<'c> {
    pub(crate) db: &'c Connection,
    pub(crate) set: TableSet,
}

/// The first differing row of each table. Both sides are to be at the same cursor, and stay there.
pub(crate) fn differences(
    of: Projection,
    stored: Side<'_>,
    folded: Side<'_>,
) -> Result<Vec<Difference>, Error> {
    macro_rules! each {
        ($($row:ty),+) => { vec![$(first_difference::<$row>(stored, folded)?),+] };
    }
    let found = match of {
        Projection::Agents => for_each_row!(Agents, each),
        Projection::Approvers => for_each_row!(Approvers, each),
        Projection::Tasks => for_each_row!(Tasks, each),
        Projection::Callbacks => for_each_row!(Callbacks, each),
        Projection::Timeline => for_each_row!(Timeline, each),
    };
    Ok(found.into_iter().flatten().collect())
}

fn first_difference<R: Row>(
    stored: Side<'_>,
    folded: Side<'_>,
) -> Result<Option<Difference>, Error> {
    let failed = || Error::sqlite("comparing rows");
    let sql = |side: Side<'_>| {
        let table = side.set.table(R::SPEC.name);
        let columns = R::COLUMNS.join(", ");
        format!(
            "SELECT {columns} FROM {table} ORDER BY {}",
            R::KEY.join(", ")
        )
    };
    let mut stored_query = stored.db.prepare(&sql(stored)).map_err(failed())?;
    let mut folded_query = folded.db.prepare(&sql(folded)).map_err(failed())?;
    let mut stored = stored_query.query([]).map_err(failed())?;
    let mut folded = folded_query.query([]).map_err(failed())?;
    first_of::<R>(&mut stored, &mut folded).map_err(failed())
}

fn first_of<R: Row>(
    stored: &mut Rows<'_>,
    folded: &mut Rows<'_>,
) -> Result<Option<Difference>, rusqlite::Error> {
    loop {
        let (row, what) = match (stored.next()?, folded.next()?) {
            (None, None) => return Ok(None),
            (Some(stored), None) => (stored, "no event makes this row".to_owned()),
            (None, Some(folded)) => (folded, "the row is missing".to_owned()),
            (Some(stored), Some(folded)) => match in_order::<R>(stored, folded)? {
                Ordering::Less => (stored, "no event makes this row".to_owned()),
                Ordering::Greater => (folded, "the row is missing".to_owned()),
                Ordering::Equal => match differing::<R>(stored, folded)? {
                    Some(what) => (stored, what),
                    None => continue,
                },
            },
        };
        let key = R::KEY.iter().map(|column| {
            let value = row.get_ref(*column)?;
            Ok(format!("{column}={}", shown(value)))
        });
        let key: Result<Vec<_>, rusqlite::Error> = key.collect();
        return Ok(Some(Difference {
            table: R::SPEC.name,
            row: key?.join(" "),
            what,
        }));
    }
}

/// The order of two rows, by their keys as SQLite orders them.
fn in_order<R: Row>(
    one: &rusqlite::Row<'_>,
    other: &rusqlite::Row<'_>,
) -> Result<Ordering, rusqlite::Error> {
    for column in R::KEY {
        let order = match (one.get_ref(*column)?, other.get_ref(*column)?) {
            (ValueRef::Integer(one), ValueRef::Integer(other)) => one.cmp(&other),
            (ValueRef::Text(one), ValueRef::Text(other)) => one.cmp(other),
            // Keys are numbers or texts, which STRICT tables keep apart.
            _ => Ordering::Equal,
        };
        if order != Ordering::Equal {
            return Ok(order);
        }
    }
    Ok(Ordering::Equal)
}

/// The columns in which two rows of one key differ.
fn differing<R: Row>(
    stored: &rusqlite::Row<'_>,
    folded: &rusqlite::Row<'_>,
) -> Result<Option<String>, rusqlite::Error> {
    let mut found = Vec::new();
    for (index, column) in R::COLUMNS.iter().enumerate() {
        let (is, should) = (stored.get_ref(index)?, folded.get_ref(index)?);
        if is != should {
            let (is, should) = (shown(is), shown(should));
            found.push(format!("{column} is {is}, the events make it {should}"));
        }
    }
    Ok((!found.is_empty()).then(|| found.join("; ")))
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "empty".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => ledger::operation::shown(&String::from_utf8_lossy(text), SHOWN),
        // Bytes are sealed secrets.
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}
