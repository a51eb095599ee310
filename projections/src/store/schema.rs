//! All tables together: their definitions, what these add up to, and making them.

use super::row::{Row, Spec};
use super::state::{self, State};
use crate::error::Error;
use crate::tables;
use ledger::LedgerId;
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, SqliteConnection};

const STATE_TABLE: &str = "projection_state";

/// Calls a macro with the row of every table.
macro_rules! for_each_row {
    ($each:ident) => {
        $each!(
            tables::AgentRow,
            tables::PermissionView,
            tables::ApproverRow,
            tables::CredentialView,
            tables::TaskView,
            tables::TokenRow,
            tables::CallbackView,
            tables::ApprovalView,
            tables::ApplyView,
            tables::QueueRow,
            tables::DeliveryView,
            tables::AttemptView,
            tables::TimelineEntry
        )
    };
}

fn specs() -> Vec<Spec> {
    macro_rules! spec {
        ($($row:ty),+) => { vec![$(<$row as Row>::SPEC),+] };
    }
    for_each_row!(spec)
}

/// The names of all tables.
pub(crate) fn table_names() -> Vec<&'static str> {
    specs()
        .into_iter()
        .map(|spec| spec.name)
        .chain([STATE_TABLE])
        .collect()
}

/// Names the definitions of the tables and of their folds; another hash means that the rows have
/// to be made anew.
pub(crate) fn schema_hash() -> String {
    let mut hash = Sha256::new().chain_update(state::DDL);
    for spec in specs() {
        hash.update(spec.ddl);
        hash.update(spec.revision.to_le_bytes());
    }
    hex::encode(hash.finalize())
}

/// Drops the given tables and makes all of ours, empty, with the cursor at 0. The transaction is
/// the caller's.
pub(crate) async fn create_all(
    db: &mut SqliteConnection,
    ledger_id: LedgerId,
    drop: &[String],
) -> Result<State, Error> {
    let mut script = format!("PRAGMA application_id = {};", super::file::APPLICATION_ID);
    for table in drop {
        script.push_str(&format!("DROP TABLE IF EXISTS \"{table}\";"));
    }
    script.push_str(state::DDL);
    for spec in specs() {
        script.push_str(spec.ddl);
    }
    sqlx::raw_sql(AssertSqlSafe(script))
        .execute(&mut *db)
        .await
        .map_err(Error::database("making the read tables"))?;
    let state = State {
        ledger_id,
        cursor: 0,
        record_hash: None,
        schema_hash: schema_hash(),
        tables: table_names().into_iter().map(str::to_owned).collect(),
    };
    state.create(db).await?;
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::{Connection as _, Row as _};

    async fn names(db: &mut SqliteConnection, sql: &'static str, table: &str) -> Vec<String> {
        sqlx::query(sql)
            .bind(table.to_owned())
            .fetch_all(db)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect()
    }

    async fn check<R: Row>(db: &mut SqliteConnection) {
        let table = R::SPEC.name;
        let columns = "SELECT name FROM pragma_table_info(?) ORDER BY cid";
        assert_eq!(names(db, columns, table).await, R::COLUMNS, "{table}");
        let key = "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk";
        assert_eq!(names(db, key, table).await, R::KEY, "{table}");
    }

    #[tokio::test]
    async fn rows_have_the_columns_of_their_tables_in_order() {
        let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let ledger_id = LedgerId::from_bytes([7; 16]);
        let state = create_all(&mut db, ledger_id, &[]).await.unwrap();

        macro_rules! check_each {
            ($($row:ty),+) => { $(check::<$row>(&mut db).await;)+ };
        }
        for_each_row!(check_each);
        assert_eq!(State::read(&mut db).await, Some(state));
    }
}
