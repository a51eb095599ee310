//! Names of scopes upstream. A scope keeps its name for as long as it has its id, so it is asked
//! for once.

use super::client::UpstreamClient;
use ledger::operation::Scope;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many names are kept; beyond that all are asked for again.
const MOST_KEPT: usize = 4096;
/// How long it is believed that a name cannot be read: a token that may not see them asks for nothing
/// most of the time.
const REFUSAL_KEPT: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct ScopeNames(Mutex<HashMap<Scope, KnownName>>);

enum KnownName {
    Name(String),
    Refused(String, Instant),
}

impl ScopeNames {
    fn get(&self, scope: &Scope) -> Option<Result<String, String>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.get(scope)? {
            KnownName::Name(name) => Some(Ok(name.clone())),
            KnownName::Refused(why, at) if at.elapsed() < REFUSAL_KEPT => Some(Err(why.clone())),
            KnownName::Refused(..) => None,
        }
    }

    fn put(&self, scope: &Scope, found: KnownName) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(scope.clone(), found);
    }
}

impl UpstreamClient {
    /// The object's name upstream, where anything that is sent may depend on it; `None` for the others.
    ///
    /// The inner error says why the name cannot be read, for people.
    pub async fn name_of(&self, scope: &Scope) -> Option<Result<String, String>> {
        match self.provider.has_name(scope.scope_type) {
            true => self.name_for_people(scope).await,
            false => None,
        }
    }

    /// The same for every object that people know by a name.
    pub async fn name_for_people(&self, scope: &Scope) -> Option<Result<String, String>> {
        if !self.provider.is_known_by_name(scope.scope_type) {
            return None;
        }
        if let Some(known) = self.known_name(scope) {
            return Some(known);
        }
        let name = self.provider.read_name(scope, self).await;
        self.scope_names.put(
            scope,
            match &name {
                Ok(name) => KnownName::Name(name.clone()),
                Err(why) => KnownName::Refused(why.clone(), Instant::now()),
            },
        );
        Some(name)
    }

    /// The same where upstream need not be asked.
    pub(super) fn known_name(&self, scope: &Scope) -> Option<Result<String, String>> {
        self.scope_names.get(scope)
    }
}
