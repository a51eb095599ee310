//! All tables together: their definitions, what these add up to, and making them.

use super::row::{Row, Spec};
use super::state::{self, State};
use crate::error::Error;
use crate::tables;
use ledger::LedgerId;
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, SqliteConnection};

const STATE_TABLE: &str = "projection_state";

fn specs() -> Vec<Spec> {
    fn of<R: Row>() -> Spec {
        R::SPEC
    }
    vec![
        of::<tables::AgentRow>(),
        of::<tables::PermissionView>(),
        of::<tables::ApproverRow>(),
        of::<tables::CredentialView>(),
        of::<tables::TaskView>(),
        of::<tables::TokenRow>(),
        of::<tables::CallbackView>(),
        of::<tables::ApprovalView>(),
        of::<tables::ApplyView>(),
        of::<tables::QueueRow>(),
        of::<tables::DeliveryView>(),
        of::<tables::AttemptView>(),
        of::<tables::TimelineEntry>(),
    ]
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
