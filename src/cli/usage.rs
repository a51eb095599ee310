//! `usage`.

use super::access::{ACCESS_HELP, Page};
use crate::api_client::{ApiRequest, Shown};
use clap::Args;

const COLUMNS: &[&str] = &[
    "agent",
    "user_id",
    "task_id",
    "model",
    "requests",
    "interrupted",
    "input_tokens",
    "output_tokens",
    "cache_creation_5m",
    "cache_creation_1h",
    "cache_read",
    "from",
    "to",
];

/// `usage`
#[derive(Debug, Args)]
#[command(after_help = ACCESS_HELP)]
pub(crate) struct UsageArgs {
    /// Only that of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,

    /// Only that of this task
    #[arg(long, value_name = "ID")]
    task: Option<String>,

    /// Only that of this model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,

    /// Only whole hours of UTC that begin then or later (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: Option<String>,

    /// Only whole hours of UTC that begin before
    #[arg(long, value_name = "TIME")]
    to: Option<String>,

    #[command(flatten)]
    page: Page,
}

impl From<UsageArgs> for ApiRequest {
    fn from(args: UsageArgs) -> Self {
        Self::get(&["usage"], Shown::Rows("items", COLUMNS))
            .with_query("agent", args.agent)
            .with_query("task", args.task)
            .with_query("model", args.model)
            .with_query("from", args.from)
            .with_query("to", args.to)
            .with_page(args.page)
    }
}
