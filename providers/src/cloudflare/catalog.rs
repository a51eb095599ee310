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

/// Those that applies are of, in the catalog's order.
pub const CATALOG: [CatalogEntry; 7] = [
    DNS_RECORD_READ,
    DNS_RECORD_WRITE,
    CACHE_PURGE,
    WORKERS_DEPLOY,
    WAF_RULES_READ,
    WAF_RULES_WRITE,
    SSL_MODE,
];

/// Reads accounts.
pub const ACCOUNT_READ: CatalogEntry = CatalogEntry {
    id: OperationId::of("account.read"),
    level: Level::Read,
    risk: Risk::Safe,
    scope_type: ACCOUNT,
    uploads: false,
    summary: "Reads an account, or lists what the token sees of accounts and its user. Through the proxy alone.",
};
/// Reads zones.
pub const ZONE_READ: CatalogEntry = CatalogEntry {
    id: OperationId::of("zone.read"),
    level: Level::Read,
    risk: Risk::Safe,
    scope_type: ZONE,
    uploads: false,
    summary: "Reads a zone, its settings and the routes of its Workers, or lists zones. Through the proxy alone.",
};
/// Reads what there is of Workers.
pub const WORKERS_READ: CatalogEntry = CatalogEntry {
    id: OperationId::of("workers.read"),
    level: Level::Read,
    risk: Risk::Safe,
    scope_type: ACCOUNT,
    uploads: false,
    summary: "Reads Workers, queues and workflows of an account. Through the proxy alone.",
};
/// Sets secrets of a script.
pub const WORKERS_SECRET: CatalogEntry = CatalogEntry {
    id: OperationId::of("workers.secret.write"),
    level: Level::Write,
    risk: Risk::Sensitive,
    scope_type: ACCOUNT,
    uploads: false,
    summary: "Sets or deletes a secret of a Worker. Through the proxy alone.",
};
/// Sets what calls a script.
pub const WORKERS_TRIGGER: CatalogEntry = CatalogEntry {
    id: OperationId::of("workers.trigger.write"),
    level: Level::Write,
    risk: Risk::Sensitive,
    scope_type: ACCOUNT,
    uploads: false,
    summary: "Sets routes, schedules, domains, queues and workflows that call a Worker. Through the proxy alone.",
};
/// Sets routes of a zone.
pub const WORKERS_ROUTE: CatalogEntry = CatalogEntry {
    id: OperationId::of("workers.route.write"),
    level: Level::Write,
    risk: Risk::Sensitive,
    scope_type: ZONE,
    uploads: false,
    summary: "Adds, changes or deletes a route of a zone that leads to a Worker. Through the proxy alone.",
};
/// Deletes a script.
pub const WORKERS_SCRIPT_DELETE: CatalogEntry = CatalogEntry {
    id: OperationId::of("workers.script.delete"),
    level: Level::Admin,
    risk: Risk::Sensitive,
    scope_type: ACCOUNT,
    uploads: false,
    summary: "Deletes a Worker. Through the proxy alone.",
};

/// The operations that requests through the proxy are, and applies are not, in the catalog's order.
pub const PROXIED: [CatalogEntry; 7] = [
    ACCOUNT_READ,
    ZONE_READ,
    WORKERS_READ,
    WORKERS_SECRET,
    WORKERS_TRIGGER,
    WORKERS_ROUTE,
    WORKERS_SCRIPT_DELETE,
];
