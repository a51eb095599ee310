//! What goes over the wire, one file for each resource: requests, which are read into valid types,
//! and answers, which are written from them. Field names and words are fixed by the surface.

pub(crate) mod admissions;
pub(crate) mod agent_descriptions;
pub(crate) mod agents;
pub(crate) mod answers;
pub(crate) mod applies;
pub(crate) mod approvals;
pub(crate) mod approvers;
pub(crate) mod audit;
pub(crate) mod callbacks;
pub(crate) mod catalog;
pub(crate) mod clearances;
pub(crate) mod devices;
pub(crate) mod evaluation;
pub(crate) mod history;
pub(crate) mod keys;
pub(crate) mod lists;
pub(crate) mod locks;
pub(crate) mod mistakes;
pub(crate) mod pairing;
pub(crate) mod passkeys;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod projections;
pub(crate) mod schedules;
pub(crate) mod sessions;
pub(crate) mod shortcuts;
pub(crate) mod shortened;
pub(crate) mod software_keys;
pub(crate) mod stream;
pub(crate) mod tasks;
pub(crate) mod templates;
pub(crate) mod upstream_keys;
pub(crate) mod upstreams;
pub(crate) mod usage;
pub(crate) mod users;
pub(crate) mod votes;

use crate::problem::ApiError;
use ledger::{CatalogEntry, Link, Providers, Purpose, Reason, ScopePattern, Timestamp};

/// Bytes, as a description names them.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes an answer of bytes")]
pub(crate) struct Octets(Vec<u8>);

/// Which objects an entry of an allowlist or a grant covers: one, or `*`, every one of its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Coverage {
    pub(crate) operation: CatalogEntry,
    pub(crate) scope_id: ScopePattern,
}

impl Coverage {
    /// Reads the three fields that allowlist entries and grants have in common; `at` is where they
    /// stand in the body.
    pub(crate) fn read(
        at: &str,
        operation_id: &str,
        scope_type: &str,
        scope_id: &str,
        providers: &Providers,
    ) -> Result<Self, ApiError> {
        let operation = providers
            .entry(operation_id)
            .map_err(|why| ApiError::bad_request(format!("{at}.operation_id: {why}")))?;
        let (operation_id, expected) = (operation.id, operation.scope_type);
        let is_of_type = match scope_type.parse() == Ok(expected) {
            true => Ok(()),
            false => Err(ApiError::bad_request(format!(
                "{at}.scope_type: {operation_id} acts on scope_type \"{expected}\""
            ))),
        };
        // Objects of an API that an administrator opened are named by segments of paths.
        let parse = match providers.find(operation_id.as_str()) {
            Some(_) => ScopePattern::parse,
            None => ScopePattern::of_route,
        };
        let scope_id = parse(scope_id).ok_or_else(|| {
            ApiError::bad_request(format!(
                "{at}.scope_id: \"*\", or 1 to 64 characters of A-Z a-z 0-9 _ -"
            ))
        });
        let ((), scope_id) = mistakes::both(is_of_type, scope_id)?;
        Ok(Self {
            operation,
            scope_id,
        })
    }
}

/// Reads a word of a fixed set, naming the place.
pub(crate) fn word<T>(at: &str, text: &str) -> Result<T, ApiError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    text.parse()
        .map_err(|why| ApiError::bad_request(format!("{at}: {why}")))
}

/// Ids as text.
pub(crate) fn words<T: std::fmt::Display>(ids: &[T]) -> Vec<String> {
    ids.iter().map(T::to_string).collect()
}

/// Reads an RFC 3339 time with an offset, naming the place.
pub(crate) fn time(at: &str, text: &str) -> Result<Timestamp, ApiError> {
    let read: jiff::Timestamp = text
        .parse()
        .map_err(|_| ApiError::bad_request(format!("{at}: expected 2026-12-31T23:59:59Z")))?;
    Ok(Timestamp::from_micros(read.as_microsecond()))
}

/// The reason and the link that people are shown.
pub(crate) fn purpose(reason: Option<&str>, link: Option<&str>) -> Result<Purpose, ApiError> {
    let refused = |why: ledger::Rejection| ApiError::bad_request(why);
    let reason = reason.map(Reason::parse).transpose();
    let link = link.map(Link::parse).transpose();
    let (reason, link) = mistakes::both(reason.map_err(refused), link.map_err(refused))?;
    Ok(Purpose {
        reason: reason.flatten(),
        link,
    })
}

/// A reason that somebody gives for the ledger: absent, or 1..=1000 characters.
pub(crate) fn reason(text: Option<String>) -> Result<Option<String>, ApiError> {
    match text {
        None => Ok(None),
        Some(text) if text.trim().is_empty() => Ok(None),
        Some(text) if text.chars().count() <= 1000 => Ok(Some(text)),
        Some(_) => Err(ApiError::bad_request("reason: at most 1000 characters")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_is_one_id_or_all_of_the_operations_type() {
        let providers = providers::all();
        let read =
            |operation, scope_type, id| Coverage::read("x", operation, scope_type, id, &providers);
        let one = read("dns.record.write", "zone", "z1").unwrap();
        assert_eq!(one.scope_id.as_str(), "z1");
        assert_eq!(
            read("workers.deploy.write", "account", "*")
                .unwrap()
                .scope_id,
            ScopePattern::every()
        );
        for (operation, scope_type, id, place) in [
            ("dns.record.rename", "zone", "z1", "x.operation_id"),
            ("dns.record.write", "account", "z1", "x.scope_type"),
            ("dns.record.write", "zone", "", "x.scope_id"),
            ("dns.record.write", "zone", "../z1", "x.scope_id"),
        ] {
            let refused = read(operation, scope_type, id).unwrap_err().to_string();
            assert!(refused.starts_with(place), "{refused}");
        }
    }

    #[test]
    fn times_have_an_offset() {
        let at = time("x", "2026-01-01T01:00:00+01:00").unwrap();
        assert_eq!(at.to_string(), "2026-01-01T00:00:00Z");
        assert!(time("x", "2026-01-01T01:00:00").is_err());
        assert!(time("x", "tomorrow").is_err());
    }
}
