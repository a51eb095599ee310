//! Cloudflare's operations.

use ledger::{CatalogEntry, Level, OperationId, Risk, ScopeType};

pub const ZONE: ScopeType = ScopeType::of("zone");
pub const ACCOUNT: ScopeType = ScopeType::of("account");

pub const DNS_RECORD_READ: CatalogEntry = CatalogEntry {
    id: OperationId::of("dns.record.read"),
    level: Level::Read,
    risk: Risk::Safe,
    scope_type: ZONE,
    uploads: false,
    summary: "Lists DNS records of a zone, or reads one.",
};
pub const DNS_RECORD_WRITE: CatalogEntry = CatalogEntry {
    id: OperationId::of("dns.record.write"),
    level: Level::Write,
    risk: Risk::Elevated,
    scope_type: ZONE,
    uploads: false,
    summary: "Creates, replaces, edits or deletes one DNS record.",
};
pub const CACHE_PURGE: CatalogEntry = CatalogEntry {
    id: OperationId::of("cache.purge.execute"),
    level: Level::Write,
    risk: Risk::Elevated,
    scope_type: ZONE,
    uploads: false,
    summary: "Purges a zone's cache, in whole or in part.",
};
/// Uploads a script.
pub const WORKERS_DEPLOY: CatalogEntry = CatalogEntry {
    id: OperationId::of("workers.deploy.write"),
    level: Level::Write,
    risk: Risk::Sensitive,
    scope_type: ACCOUNT,
    uploads: true,
    summary: "Uploads a Worker script.",
};
pub const WAF_RULES_READ: CatalogEntry = CatalogEntry {
    id: OperationId::of("waf.rules.read"),
    level: Level::Read,
    risk: Risk::Safe,
    scope_type: ZONE,
    uploads: false,
    summary: "Reads a zone's rulesets.",
};
/// Changes firewall rules.
pub const WAF_RULES_WRITE: CatalogEntry = CatalogEntry {
    id: OperationId::of("waf.rules.write"),
    level: Level::Write,
    risk: Risk::Sensitive,
    scope_type: ZONE,
    uploads: false,
    summary: "Adds, edits, deletes or replaces firewall rules.",
};
/// Sets the TLS mode.
pub const SSL_MODE: CatalogEntry = CatalogEntry {
    id: OperationId::of("ssl.mode.write"),
    level: Level::Admin,
    risk: Risk::Sensitive,
    scope_type: ZONE,
    uploads: false,
    summary: "Sets how a zone talks TLS to its origin.",
};

/// All of them, in the catalog's order.
pub const CATALOG: [CatalogEntry; 7] = [
    DNS_RECORD_READ,
    DNS_RECORD_WRITE,
    CACHE_PURGE,
    WORKERS_DEPLOY,
    WAF_RULES_READ,
    WAF_RULES_WRITE,
    SSL_MODE,
];
