//! What the calls of an agent through the proxies used, by model, for its page.

use super::agents::TEXT;
use crate::pages::Short;
use crate::pages::views::UsageRow;
use crate::problem::ApiError;
use ledger::{AgentId, Timestamp};
use projections::{Paging, Projections, UsageFilter};
use std::collections::BTreeMap;

/// The most sums, of a task and a model each, that are added up.
const MOST: u32 = 200;

/// The use since then, the model with the most requests first.
pub(super) async fn rows(
    views: &Projections,
    agent: AgentId,
    since: Timestamp,
) -> Result<Vec<UsageRow>, ApiError> {
    let filter = UsageFilter {
        agent: Some(agent),
        from: Some(since),
        ..UsageFilter::default()
    };
    let newest = Paging {
        after: None,
        limit: MOST,
    };
    let mut by_model: BTreeMap<String, UsageRow> = BTreeMap::new();
    for used in views.usage(filter, newest).await?.rows {
        let name = match used.model.as_str() {
            "" => "model not named",
            model => model,
        };
        let row = by_model
            .entry(used.model.clone())
            .or_insert_with(|| UsageRow {
                model: Short::line(name, TEXT),
                requests: 0,
                interrupted: 0,
                input: 0,
                cached: 0,
                output: 0,
            });
        let written = used
            .cache_creation_5m
            .saturating_add(used.cache_creation_1h);
        let input = used.input_tokens.saturating_add(written);
        for (sum, count) in [
            (&mut row.requests, used.requests),
            (&mut row.interrupted, used.interrupted),
            (&mut row.input, input.saturating_add(used.cache_read)),
            (&mut row.cached, used.cache_read),
            (&mut row.output, used.output_tokens),
        ] {
            *sum = sum.saturating_add(count);
        }
    }
    let mut rows: Vec<UsageRow> = by_model.into_values().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.requests));
    Ok(rows)
}
