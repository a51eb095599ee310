//! `lock` and `unlock`.

use super::access::{Access, Page, ServiceAddress};
use super::anchors::read_token;
use super::operate::parse_reason;
use crate::api_client::{ApiRequest, Shown};
use clap::Args;
use secrecy::SecretString;
use serde_json::json;

const COLUMNS: &[&str] = &[
    "id",
    "target",
    "set_at",
    "until",
    "lifted_at",
    "by",
    "reason",
];

const LOCK_HELP: &str = "\
Without KIND it prints the locks. From its answer on nothing of the target begins, is decided or
goes on; what was asked, approved or issued before stays dead when the lock is lifted. Agent keys
and passkeys count again then: revoke those that somebody else may have.

Example:
  llm-permission-proxy lock agent:ci-bot --reason 'key leaked'
  llm-permission-proxy lock all 1h --reason 'incident 42'

Locks on all, user and credential take an admin. With --local it is done on the machine of the
service, with its account and settings.";

/// `lock`
#[derive(Debug, Args)]
#[command(after_help = LOCK_HELP)]
pub(crate) struct LockArgs {
    /// all, or agent, owner, task, operation, key, user or credential with : and its name or id
    #[arg(value_name = "KIND[:ID]", requires = "reason")]
    target: Option<String>,

    /// How long: seconds, or a number of s, m, h, d, w or y; until it is lifted where this is not given
    #[arg(value_name = "DURATION")]
    duration: Option<String>,

    /// Why, for those who find the lock; recorded for good
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,

    #[command(flatten)]
    page: Page,

    #[command(flatten)]
    service: ServiceAddress,

    /// A session's token or the service token; - reads it from standard input, @ and a file from there.
    /// Where this is not given the session of `login`, else SERVICE_TOKEN
    #[arg(long, value_name = "TOKEN", value_parser = read_token)]
    token: Option<SecretString>,

    /// Print the API's answer
    #[arg(long)]
    json: bool,

    /// Do it on the machine of the service, as an operator command
    #[arg(long, requires = "target", conflicts_with_all = ["token", "url", "json"])]
    local: bool,
}

impl LockArgs {
    /// The request, and how it is asked.
    pub(crate) fn into_request(self) -> (ApiRequest, Access) {
        let access = Access {
            service: self.service,
            token: self.token,
            json: self.json,
            local: self.local,
            reason: self.reason.clone().filter(|_| self.local),
        };
        let Some(target) = self.target else {
            let form = Shown::Rows("locks", COLUMNS);
            return (
                ApiRequest::get(&["locks"], form).with_page(self.page),
                access,
            );
        };
        let (kind, id) = match target.split_once(':') {
            Some((kind, id)) => (kind, Some(id)),
            None => (target.as_str(), None),
        };
        let body = json!({
            "target": {"kind": kind, "id": id},
            "reason": self.reason,
            "duration": self.duration,
        });
        (ApiRequest::post(&["locks"], body, Shown::Members), access)
    }
}

/// `unlock`
#[derive(Debug, Args)]
#[command(after_help = super::access::ACCESS_HELP)]
pub(crate) struct UnlockArgs {
    /// The lock's id, as `lock` prints it
    id: String,

    /// Revoke the agent keys of its target too, so that none of them counts again: those of the agent, of the
    /// owner's agents, the key itself, or those that the user made
    #[arg(long, conflicts_with = "keep_keys")]
    pub(crate) revoke_keys: bool,

    /// Leave those keys as they are: they count again. A terminal asks where neither is said
    #[arg(long)]
    pub(crate) keep_keys: bool,
}

impl From<UnlockArgs> for ApiRequest {
    fn from(args: UnlockArgs) -> Self {
        let keys = args.revoke_keys.then(|| "keys".to_owned());
        Self::delete(&["locks", &args.id]).with_query("revoke", keys)
    }
}
