//! What is refused before anything is accepted: where it is said to be wrong; and what accepted
//! operations look like when they are written, shown and warned about.

mod deploy;
mod described;
mod dns;
mod earlier_params;
mod losses;
mod open_sets;
mod properties;
mod purge;
mod requests;
mod scope;
mod secrets;
mod shown_to_people;
mod waf;

use ledger::operation::{Before, InvalidOperation, Operation};
use serde_json::Value;

fn parse(operation_id: &str, params: &Value) -> Result<Operation, InvalidOperation> {
    let scope = if operation_id.starts_with("workers.") {
        "account"
    } else {
        "zone"
    };
    crate::all().parse(operation_id, scope, "z1", params)
}

fn accepted(operation_id: &str, params: Value) -> Operation {
    parse(operation_id, &params).unwrap_or_else(|error| panic!("{params}: {error}"))
}

/// Each of these params is refused with this path.
fn refused(operation_id: &str, cases: &[(&str, Value)]) {
    for (path, params) in cases {
        match parse(operation_id, params) {
            Ok(_) => panic!("accepted: {params}"),
            Err(error) => assert_eq!(error.path, *path, "{params}: {error}"),
        }
    }
}

fn codes(operation: &Operation) -> Vec<&'static str> {
    codes_given(operation, &Before::default())
}

fn codes_given(operation: &Operation, before: &Before<'_>) -> Vec<&'static str> {
    operation
        .warnings(before)
        .into_iter()
        .map(|warning| warning.code)
        .collect()
}

/// The places that are named as unchecked, below the params.
fn unchecked(operation: &Operation) -> Vec<&str> {
    operation
        .unchecked()
        .iter()
        .map(ledger::operation::Unchecked::name)
        .collect()
}
