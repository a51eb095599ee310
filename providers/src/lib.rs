//! What operations are carried out on: a folder for each provider, behind the port
//! [`ledger::provider`]. Depends on the ledger only; HTTP and credentials are the workers'.
//!
//! To add a provider: a folder with its catalog, params, requests and read-back, and a line in [`all`].

pub mod anthropic;
pub mod cloudflare;

use ledger::provider::Providers;
use std::sync::Arc;

/// Every provider that this version knows.
#[must_use]
pub fn all() -> Providers {
    Providers::new(vec![
        Arc::new(cloudflare::Cloudflare),
        Arc::new(anthropic::Anthropic),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_is_found_by_its_own_name() {
        let all = all();
        let mut names = BTreeSet::new();
        for known in all.catalog() {
            assert_eq!(all.entry(known.id.as_str()), Ok(known));
            assert_eq!(known.id.as_str().parse(), Ok(known.id));
            assert_eq!(known.scope_type.as_str().parse(), Ok(known.scope_type));
            assert!(names.insert(known.id), "{} is there twice", known.id);
        }
        assert!(all.entry("permissions.admin").is_err());
    }

    #[test]
    fn what_only_a_proxy_carries_is_refused_as_an_apply_and_says_so() {
        let all = all();
        for entry in cloudflare::PROXIED.iter().chain(&anthropic::PROXIED) {
            let scope_type = entry.scope_type.as_str();
            let params = serde_json::json!({});
            let refused = all.parse(entry.id.as_str(), scope_type, "z1", &params);
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("through the proxy"), "{refused}");
        }
    }
}
