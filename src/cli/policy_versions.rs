//! `policy apply|show|versions|rollback`: the policy of a service.

use crate::api_client::{ApiRequest, Shown};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

const COLUMNS: &[&str] = &[
    "version",
    "created_at",
    "author",
    "format",
    "restores",
    "digest",
];

/// `policy apply`
#[derive(Debug, Args)]
pub(crate) struct ApplyPolicy {
    /// The document: TOML, or JSON where its name ends in .json
    pub(crate) file: PathBuf,

    /// The version that it follows; the one in force where this is not given
    #[arg(long, value_name = "VERSION")]
    pub(crate) follows: Option<u64>,
}

/// `policy show`
#[derive(Debug, Args)]
pub(crate) struct ShowPolicy {
    /// The version; the one in force where this is not given
    #[arg(value_name = "VERSION")]
    pub(crate) number: Option<u64>,
}

impl From<&ShowPolicy> for ApiRequest {
    fn from(args: &ShowPolicy) -> Self {
        match args.number {
            Some(number) => of_version(number),
            None => in_force(),
        }
    }
}

/// `policy versions`
#[derive(Debug, Args)]
pub(crate) struct PolicyVersions {
    #[command(flatten)]
    page: super::access::Page,
}

impl From<PolicyVersions> for ApiRequest {
    fn from(args: PolicyVersions) -> Self {
        let form = Shown::Rows("versions", COLUMNS);
        Self::get(&["policy", "versions"], form).with_page(args.page)
    }
}

/// `policy rollback`
#[derive(Debug, Args)]
pub(crate) struct RollbackPolicy {
    /// The version to bring back; 0 is no document
    #[arg(value_name = "VERSION")]
    pub(crate) number: u64,

    /// The version that it follows; the one in force where this is not given
    #[arg(long, value_name = "VERSION")]
    pub(crate) follows: Option<u64>,
}

/// The request for what is in force.
pub(crate) fn in_force() -> ApiRequest {
    ApiRequest::get(&["policy"], Shown::Members)
}

/// The request for a version.
pub(crate) fn of_version(version: u64) -> ApiRequest {
    let version = version.to_string();
    ApiRequest::get(&["policy", "versions", &version], Shown::Members)
}

/// The request that brings a version back.
pub(crate) fn back_to(version: u64, follows: u64) -> ApiRequest {
    let body = json!({"version": version});
    let request = ApiRequest::post(&["policy", "rollback"], body, Shown::Members);
    request.following(follows)
}
