//! The catalog of operations.

use ledger::Providers;
use serde::Serialize;
use utoipa::ToSchema;

/// What can be asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Catalog {
    /// Every operation there is.
    operations: Vec<CatalogOperation>,
}

/// One operation of the catalog.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CatalogOperation {
    /// Its stable name.
    #[schema(example = "dns.record.write")]
    operation_id: String,
    /// `zone` or `account`.
    scope_type: String,
    /// The least level that a grant must have.
    required_level: &'static str,
    /// `sensitive` always waits for a human.
    risk_tier: &'static str,
    /// What it does.
    summary: &'static str,
}

impl Catalog {
    pub(crate) fn whole(providers: &Providers) -> Self {
        let operations = providers
            .catalog()
            .map(|entry| CatalogOperation {
                operation_id: entry.id.to_string(),
                scope_type: entry.scope_type.to_string(),
                required_level: entry.level.as_str(),
                risk_tier: entry.risk.as_str(),
                summary: entry.summary,
            })
            .collect();
        Self { operations }
    }
}
