//! The operation catalog: what an agent can ask for, at which level, at which risk, on what.
//!
//! To add an operation: a variant of [`OperationKind`] with its row in [`OperationKind::entry`],
//! its params and its request in `operation/`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How much a permission allows; a higher level includes the lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Look, do not touch.
    Read,
    /// Change single objects.
    Write,
    /// Change what protects others.
    Admin,
}

/// How much harm an operation can do; `sensitive` always waits for a human.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Changes nothing.
    Safe,
    /// Changes something that can be changed back.
    Elevated,
    /// Can take a site down or open it to others.
    Sensitive,
}

/// What kind of upstream object an operation acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScopeType {
    /// A Cloudflare zone.
    Zone,
    /// A Cloudflare account.
    Account,
}

/// One entry of the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OperationKind {
    /// `dns.record.read`
    #[serde(rename = "dns.record.read")]
    DnsRecordRead,
    /// `dns.record.write`
    #[serde(rename = "dns.record.write")]
    DnsRecordWrite,
    /// `cache.purge.execute`
    #[serde(rename = "cache.purge.execute")]
    CachePurgeExecute,
    /// `workers.deploy.write`
    #[serde(rename = "workers.deploy.write")]
    WorkersDeployWrite,
    /// `waf.rules.read`
    #[serde(rename = "waf.rules.read")]
    WafRulesRead,
    /// `waf.rules.write`
    #[serde(rename = "waf.rules.write")]
    WafRulesWrite,
    /// `ssl.mode.write`
    #[serde(rename = "ssl.mode.write")]
    SslModeWrite,
}

/// What the catalog says of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogEntry {
    /// The operation's stable name.
    pub operation_id: &'static str,
    /// The least level a grant must have.
    pub level: Level,
    /// Its risk, at least.
    pub risk: Risk,
    /// What it acts on.
    pub scope_type: ScopeType,
    /// What it does, in one sentence for people.
    pub summary: &'static str,
}

impl OperationKind {
    /// All of them, in the catalog's order.
    pub const ALL: [Self; 7] = [
        Self::DnsRecordRead,
        Self::DnsRecordWrite,
        Self::CachePurgeExecute,
        Self::WorkersDeployWrite,
        Self::WafRulesRead,
        Self::WafRulesWrite,
        Self::SslModeWrite,
    ];

    /// The catalog's entry.
    #[must_use]
    pub const fn entry(self) -> CatalogEntry {
        let (operation_id, level, risk, scope_type, summary) = match self {
            Self::DnsRecordRead => (
                "dns.record.read",
                Level::Read,
                Risk::Safe,
                ScopeType::Zone,
                "Lists DNS records of a zone, or reads one.",
            ),
            Self::DnsRecordWrite => (
                "dns.record.write",
                Level::Write,
                Risk::Elevated,
                ScopeType::Zone,
                "Creates, replaces, edits or deletes one DNS record.",
            ),
            Self::CachePurgeExecute => (
                "cache.purge.execute",
                Level::Write,
                Risk::Elevated,
                ScopeType::Zone,
                "Purges a zone's cache, in whole or in part.",
            ),
            Self::WorkersDeployWrite => (
                "workers.deploy.write",
                Level::Write,
                Risk::Sensitive,
                ScopeType::Account,
                "Uploads a Worker script.",
            ),
            Self::WafRulesRead => (
                "waf.rules.read",
                Level::Read,
                Risk::Safe,
                ScopeType::Zone,
                "Reads a zone's rulesets.",
            ),
            Self::WafRulesWrite => (
                "waf.rules.write",
                Level::Write,
                Risk::Sensitive,
                ScopeType::Zone,
                "Adds, edits, deletes or replaces firewall rules.",
            ),
            Self::SslModeWrite => (
                "ssl.mode.write",
                Level::Admin,
                Risk::Sensitive,
                ScopeType::Zone,
                "Sets how a zone talks TLS to its origin.",
            ),
        };
        CatalogEntry {
            operation_id,
            level,
            risk,
            scope_type,
            summary,
        }
    }

    /// The stable name, as in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.entry().operation_id
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name is not in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {name:?}")]
pub struct UnknownName {
    what: &'static str,
    name: String,
}

impl FromStr for OperationKind {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| UnknownName {
                what: "operation",
                name: name.to_owned(),
            })
    }
}

macro_rules! words {
    ($type:ident, $what:literal, $($variant:ident = $word:literal),+) => {
        impl $type {
            /// The word used in requests, answers and payloads.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, UnknownName> {
                match name {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownName { what: $what, name: name.to_owned() }),
                }
            }
        }
    };
}

words!(
    Level,
    "level",
    Read = "read",
    Write = "write",
    Admin = "admin"
);
words!(
    Risk,
    "risk tier",
    Safe = "safe",
    Elevated = "elevated",
    Sensitive = "sensitive"
);
words!(ScopeType, "scope type", Zone = "zone", Account = "account");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_found_by_its_own_name() {
        for kind in OperationKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("permissions.admin".parse::<OperationKind>().is_err());
    }
}
