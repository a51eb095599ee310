//! All tables together: their definitions, what these add up to, making them, putting rebuilt ones
//! in the place of old ones. Transactions are the caller's throughout.

use crate::error::Error;
use crate::projection::Projection;
use crate::store::state::{
    self, FileState, OLD, PROJECTIONS_TABLE, ProjectionState, STATE_TABLE, TableSet,
};
use crate::store::{in_transaction, stored_tables};
use ledger::LedgerId;
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use std::path::Path;

pub(crate) fn table_names() -> Vec<&'static str> {
    let all = Projection::ALL.into_iter();
    all.flat_map(names_of)
        .chain([STATE_TABLE, PROJECTIONS_TABLE])
        .collect()
}

fn names_of(projection: Projection) -> impl Iterator<Item = &'static str> {
    projection.specs().into_iter().map(|spec| spec.name)
}

/// Names the definitions of a projection's tables and of their folds; another hash means that the
/// rows have to be made anew.
pub(crate) fn schema_hash(projection: Projection) -> String {
    let mut hash = Sha256::new();
    for spec in projection.specs() {
        hash.update(spec.create_table(TableSet::Live, 0));
        hash.update(spec.create_indexes(TableSet::Live, 0));
        hash.update(spec.revision.to_le_bytes());
    }
    hex::encode(hash.finalize())
}

/// Names the definitions of everything in the file.
pub(crate) fn file_hash() -> String {
    let mut hash = Sha256::new().chain_update(state::DDL);
    for projection in Projection::ALL {
        hash.update(schema_hash(projection));
    }
    hex::encode(hash.finalize())
}

/// Drops the given tables and makes all of ours, empty, with the cursors at 0.
pub(crate) fn create_all(
    db: &Connection,
    ledger_id: LedgerId,
    drop: &[String],
) -> Result<(), Error> {
    drop_tables(db, drop)?;
    create_state(db, ledger_id)?;
    for projection in Projection::ALL {
        make(db, projection, TableSet::Live, 0, Indexes::Now)?;
    }
    note_tables(db)
}

/// Makes the tables about the file and the projections.
pub(crate) fn create_state(db: &Connection, ledger_id: LedgerId) -> Result<(), Error> {
    let id = state::APPLICATION_ID;
    run(db, &format!("PRAGMA application_id = {id};{}", state::DDL))?;
    let state = FileState {
        ledger_id,
        cursor: 0,
        record_hash: None,
        schema_hash: file_hash(),
        tables: Vec::new(),
    };
    state.create(db)
}

/// When the indexes are made that only queries need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Indexes {
    Now,
    /// By [`make_indexes`], once the rows are there, which is faster.
    Later,
}

/// Makes the indexes that [`Indexes::Later`] left out.
pub(crate) fn make_indexes(db: &Connection, state: &ProjectionState) -> Result<(), Error> {
    for spec in state.projection.specs() {
        run(db, &spec.create_indexes(state.set, state.generation))?;
    }
    Ok(())
}

/// Makes the tables and indexes of a projection, empty, with its cursor at 0. None may stand there.
pub(crate) fn make(
    db: &Connection,
    projection: Projection,
    set: TableSet,
    generation: u64,
    indexes: Indexes,
) -> Result<ProjectionState, Error> {
    for spec in projection.specs() {
        run(db, &spec.create_table(set, generation))?;
        if indexes == Indexes::Now {
            run(db, &spec.create_indexes(set, generation))?;
        }
    }
    let state = ProjectionState {
        projection,
        set,
        cursor: 0,
        record_hash: None,
        schema_hash: schema_hash(projection),
        generation,
    };
    state.put(db)?;
    Ok(state)
}

/// Makes a projection's tables in use anew, empty.
pub(crate) fn remake(db: &Connection, projection: Projection) -> Result<ProjectionState, Error> {
    let names: Vec<_> = names_of(projection).map(str::to_owned).collect();
    drop_tables(db, &names)?;
    let made = make(db, projection, TableSet::Live, 0, Indexes::Now)?;
    note_tables(db)?;
    Ok(made)
}

/// Puts the tables of [`TableSet::Next`] in the place of the live ones, which stay under other names
/// until they are dropped.
pub(crate) fn replace(db: &Connection, projection: Projection) -> Result<(), Error> {
    for name in names_of(projection) {
        let next = TableSet::Next.table(name);
        run(db, &format!("ALTER TABLE {name} RENAME TO {name}{OLD}"))?;
        run(db, &format!("ALTER TABLE {next} RENAME TO {name}"))?;
    }
    let failed = || Error::sqlite("putting the rebuilt tables in place");
    let name = projection.as_str();
    db.execute(
        "DELETE FROM projections WHERE name = ? AND place = 'live'",
        [name],
    )
    .map_err(failed())?;
    db.execute(
        "UPDATE projections SET place = 'live' WHERE name = ? AND place = 'next'",
        [name],
    )
    .map_err(failed())?;
    Ok(())
}

/// Takes the tables of these projections over from another file, in one transaction of its own.
pub(crate) fn adopt(db: &Connection, from: &Path, names: &[Projection]) -> Result<(), Error> {
    let failed = || Error::sqlite("taking over the rebuilt tables");
    let path = from.as_os_str().to_string_lossy();
    db.execute("ATTACH ? AS made", [path]).map_err(failed())?;
    let adopted = in_transaction(db, |db| {
        for projection in names {
            adopt_one(db, *projection)?;
        }
        note_tables(db)
    });
    db.execute_batch("DETACH made").map_err(failed())?;
    adopted
}

fn adopt_one(db: &Connection, projection: Projection) -> Result<(), Error> {
    let failed = || Error::sqlite("taking over the rebuilt tables");
    let names: Vec<_> = names_of(projection).map(str::to_owned).collect();
    drop_tables(db, &names)?;
    let made = make(db, projection, TableSet::Live, 0, Indexes::Later)?;
    for name in names {
        run(
            db,
            &format!("INSERT INTO main.{name} SELECT * FROM made.{name}"),
        )?;
    }
    make_indexes(db, &made)?;
    db.execute(
        "INSERT OR REPLACE INTO main.projections
         SELECT * FROM made.projections WHERE name = ? AND place = 'live'",
        [projection.as_str()],
    )
    .map_err(failed())?;
    Ok(())
}

/// Takes away the rows about tables that were being made beside; the tables are left over then.
pub(crate) fn forget_next(db: &Connection) -> Result<(), Error> {
    run(db, "DELETE FROM projections WHERE place = 'next'")
}

/// Tables of ours that are not in use and not being made: replaced ones, those of a rebuild that did
/// not end, and those of another version.
pub(crate) fn left_over(db: &Connection, state: &FileState) -> Result<Vec<String>, Error> {
    let in_use = in_use(db);
    let mut stored = stored_tables(db)?;
    stored.retain(|table| state.tables.contains(table) && !in_use.contains(table));
    Ok(stored)
}

fn in_use(db: &Connection) -> Vec<String> {
    let mut names: Vec<_> = table_names().into_iter().map(str::to_owned).collect();
    for state in ProjectionState::read_all(db).unwrap_or_default() {
        if state.set == TableSet::Next {
            names.extend(names_of(state.projection).map(|name| TableSet::Next.table(name)));
        }
    }
    names
}

/// Takes rows away from a table that is not in use, and the table once it is empty: dropping a large
/// one at once would hold up whoever folds.
pub(crate) fn shrink(db: &Connection, table: &str, rows: u32) -> Result<(), Error> {
    let failed = || Error::sqlite("removing replaced tables");
    let mut query = db
        .prepare("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk")
        .map_err(failed())?;
    let key: Result<Vec<String>, _> = query
        .query_map([table], |row| row.get(0))
        .and_then(Iterator::collect);
    let key = key.map_err(failed())?.join(", ");
    let gone = if key.is_empty() {
        0
    } else {
        let some = format!("SELECT {key} FROM \"{table}\" ORDER BY {key} LIMIT {rows}");
        db.execute(
            &format!("DELETE FROM \"{table}\" WHERE ({key}) IN ({some})"),
            [],
        )
        .map_err(failed())?
    };
    if gone == 0 {
        drop_tables(db, &[table.to_owned()])?;
    }
    Ok(())
}

pub(crate) fn drop_tables(db: &Connection, names: &[String]) -> Result<(), Error> {
    for table in names {
        run(db, &format!("DROP TABLE IF EXISTS \"{table}\""))?;
    }
    Ok(())
}

/// Writes into the file which of its tables are ours, so that no later start takes one for a
/// stranger's.
pub(crate) fn note_tables(db: &Connection) -> Result<(), Error> {
    let known = table_names();
    let before = FileState::read(db)
        .map(|state| state.tables)
        .unwrap_or_default();
    let mut tables = stored_tables(db)?;
    tables.retain(|table| {
        let base = [TableSet::Next.suffix(), OLD]
            .iter()
            .find_map(|suffix| table.strip_suffix(suffix))
            .unwrap_or(table);
        known.contains(&base) || before.contains(table)
    });
    FileState::note_tables(db, &file_hash(), &tables)
}

fn run(db: &Connection, sql: &str) -> Result<(), Error> {
    db.execute_batch(sql)
        .map_err(Error::sqlite("making the read tables"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Row;
    use crate::tables;
    use crate::tables::groups::for_each_row;

    fn names(db: &Connection, sql: &str, table: &str) -> Vec<String> {
        let mut query = db.prepare(sql).unwrap();
        let rows = query.query_map([table], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn check<R: Row>(db: &Connection, set: TableSet) {
        let table = set.table(R::SPEC.name);
        let columns = "SELECT name FROM pragma_table_info(?) ORDER BY cid";
        assert_eq!(names(db, columns, &table), R::COLUMNS, "{table}");
        let key = "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk";
        assert_eq!(names(db, key, &table), R::KEY, "{table}");
        let indexes = "SELECT name FROM pragma_index_list(?) WHERE origin = 'c'";
        assert_eq!(
            names(db, indexes, &table).len(),
            R::SPEC.indexes.len() + R::SPEC.fold_indexes.len()
        );
    }

    fn check_all(db: &Connection, set: TableSet) {
        macro_rules! check_each {
            ($($row:ty),+) => { $(check::<$row>(db, set);)+ };
        }
        for_each_row!(Agents, check_each);
        for_each_row!(Approvers, check_each);
        for_each_row!(Tasks, check_each);
        for_each_row!(Callbacks, check_each);
        for_each_row!(Timeline, check_each);
    }

    #[test]
    fn rows_have_the_columns_of_their_tables_in_order_before_and_after_a_switch() {
        let db = Connection::open_in_memory().unwrap();
        create_all(&db, LedgerId::from_bytes([7; 16]), &[]).unwrap();
        check_all(&db, TableSet::Live);
        for generation in 1..3 {
            for projection in Projection::ALL {
                make(&db, projection, TableSet::Next, generation, Indexes::Now).unwrap();
            }
            note_tables(&db).unwrap();
            check_all(&db, TableSet::Next);
            let state = FileState::read(&db).unwrap();
            assert!(left_over(&db, &state).unwrap().is_empty());
            for projection in Projection::ALL {
                replace(&db, projection).unwrap();
            }
            note_tables(&db).unwrap();
            check_all(&db, TableSet::Live);
            let state = FileState::read(&db).unwrap();
            let old = left_over(&db, &state).unwrap();
            assert_eq!(old.len(), table_names().len() - 2);
            drop_tables(&db, &old).unwrap();
            note_tables(&db).unwrap();
            let states = ProjectionState::read_all(&db).unwrap();
            assert!(states.iter().all(|one| one.generation == generation));
        }
        assert_eq!(stored_tables(&db).unwrap().len(), table_names().len());
    }
}
