//! What zones are called. A zone keeps its name for as long as it has its id, so it is asked for once.

use super::client::CloudflareClient;
use super::read_back::Unreadable;
use ledger::operation::catalog::ZONE;
use ledger::operation::{Operation, ScopeId, ZoneName};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many names are kept; beyond that all are asked for again.
const MOST_KEPT: usize = 4096;
/// How long it is believed that a name cannot be read: a token that may not see zones asks for nothing
/// most of the time.
const REFUSAL_KEPT: Duration = Duration::from_secs(60);

/// A zone's name, or why it cannot be read.
pub(super) type ZoneLookup<'z> = Result<&'z ZoneName, &'z str>;

#[derive(Default)]
pub(super) struct ZoneNames(Mutex<HashMap<ScopeId, Kept>>);

enum Kept {
    Name(ZoneName),
    Refused(Unreadable, Instant),
}

impl ZoneNames {
    fn get(&self, zone: &ScopeId) -> Option<Result<ZoneName, Unreadable>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.get(zone)? {
            Kept::Name(name) => Some(Ok(name.clone())),
            Kept::Refused(why, at) if at.elapsed() < REFUSAL_KEPT => Some(Err(why.clone())),
            Kept::Refused(..) => None,
        }
    }

    fn put(&self, zone: &ScopeId, found: Kept) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(zone.clone(), found);
    }
}

impl CloudflareClient {
    /// What upstream calls the zone.
    ///
    /// # Errors
    /// The reason, for people, where the name cannot be read: a token may be allowed to change records
    /// and not to see their zone.
    pub async fn zone_name(&self, zone: &ScopeId) -> Result<ZoneName, String> {
        if let Some(known) = self.zone_names.get(zone) {
            return known;
        }
        let answer = self.read_zone(zone).await;
        let name = match answer {
            Ok(Some(found)) => found
                .get("name")
                .and_then(Value::as_str)
                .and_then(ZoneName::parse)
                .ok_or_else(|| "upstream's answer names no zone".to_owned()),
            Ok(None) => Err("there is no such zone".to_owned()),
            Err(why) => Err(why),
        };
        self.zone_names.put(
            zone,
            match &name {
                Ok(name) => Kept::Name(name.clone()),
                Err(why) => Kept::Refused(why.clone(), Instant::now()),
            },
        );
        name
    }

    /// The name of the zone that the operation acts on; `None` for operations on an account.
    pub async fn zone_of(&self, operation: &Operation) -> Option<Result<ZoneName, String>> {
        if operation.scope.scope_type == ZONE {
            Some(self.zone_name(&operation.scope.id).await)
        } else {
            None
        }
    }
}
