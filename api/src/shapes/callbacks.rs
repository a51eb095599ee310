//! Callbacks as a task or an apply registers them.

use super::mistakes::{all, both};
use super::reason;
use crate::problem::ApiError;
use ledger::command::NewCallback;
use ledger::{CallbackEvent, CallbackPolicy, CallbackSecret, CallbackUrl, TaskId};
use projections::DeliveryView;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where events of a task are to be sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallbackRequest {
    /// An https URL on an allowlisted host.
    #[schema(example = "https://orchestrator.example/hooks/proxy")]
    url: String,
    /// Which events; every one when left out.
    #[serde(default)]
    #[schema(example = json!(["approval.approved", "apply.finished"]))]
    events: Option<Vec<String>>,
    /// 1 to 256 bytes; signs every delivery. It is never shown again. One that begins with `whsec_` is a
    /// Standard Webhooks secret: padded base64 of 24 to 64 bytes.
    #[schema(value_type = String)]
    secret: SecretString,
}

impl CallbackRequest {
    /// Checks the form; where the host leads is checked at every attempt.
    pub(crate) fn read(&self, policy: &CallbackPolicy) -> Result<NewCallback, ApiError> {
        let url = CallbackUrl::parse(&self.url, policy)
            .map_err(|why| ApiError::bad_request(format!("callback.url: {why}")));
        let events = match &self.events {
            None => Ok(CallbackEvent::ALL.to_vec()),
            Some(named) if named.is_empty() => Err(ApiError::bad_request(
                "callback.events: name at least one event, or leave it out for all",
            )),
            Some(named) => read_events(named),
        };
        let secret = CallbackSecret::for_registration(self.secret.expose_secret())
            .map_err(|why| ApiError::bad_request(format!("callback.secret: {why}")));
        let ((url, events), secret) = both(both(url, events), secret)?;
        Ok(NewCallback {
            url,
            events,
            secret,
        })
    }
}

fn read_events(named: &[String]) -> Result<Vec<CallbackEvent>, ApiError> {
    let read = named.iter().enumerate().map(|(index, name)| {
        let event = name.parse::<CallbackEvent>();
        event.map_err(|why| ApiError::bad_request(format!("callback.events[{index}]: {why}")))
    });
    let mut events = Vec::new();
    for event in all(read)? {
        if !events.contains(&event) {
            events.push(event);
        }
    }
    Ok(events)
}

/// What a task's callbacks are owed and have got, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveriesPage)]
pub(crate) struct Deliveries {
    deliveries: Vec<DeliverySummary>,
}

/// One event for one callback.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliverySummary {
    /// To be named when it is tried again.
    delivery_id: String,
    callback_id: String,
    event_id: String,
    /// The event's name.
    event_type: String,
    /// Scheme, host and port of the callback's URL.
    endpoint: String,
    /// Where it stands; one that was given up can be retried.
    state: &'static str,
    /// Tries so far.
    attempts: u32,
    /// The next try, while it is owed; RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<String>,
    /// The receiver's newest answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_http_status: Option<u16>,
    /// The newest failure, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// When it arrived; RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<String>,
}

impl From<Vec<DeliveryView>> for Deliveries {
    fn from(views: Vec<DeliveryView>) -> Self {
        Self {
            deliveries: views.into_iter().map(DeliverySummary::from).collect(),
        }
    }
}

impl From<DeliveryView> for DeliverySummary {
    fn from(view: DeliveryView) -> Self {
        Self {
            delivery_id: view.id.to_string(),
            callback_id: view.callback_id.to_string(),
            event_id: view.event_id.to_string(),
            event_type: view.event_type,
            endpoint: view.endpoint,
            state: view.state.as_str(),
            attempts: view.attempts,
            due_at: view.due_at.map(|at| at.to_string()),
            last_http_status: view.last_http_status,
            last_error: view.last_error_text,
            delivered_at: view.delivered_at.map(|at| at.to_string()),
        }
    }
}

/// Why a delivery is tried again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryRequest {
    /// For the ledger; up to 1000 characters.
    #[serde(default)]
    reason: Option<String>,
}

impl RetryRequest {
    pub(crate) fn read(self) -> Result<Option<String>, ApiError> {
        reason(self.reason)
    }
}

/// A delivery that is owed again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetryStarted {
    /// The delivery.
    pub(crate) delivery_id: String,
    /// The event that it carries; the same on every try.
    pub(crate) event_id: String,
    /// Always `pending`.
    pub(crate) status: &'static str,
}

/// Which deliveries are tried again, and why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryAllRequest {
    /// Those of one task; of every task when left out.
    #[serde(default)]
    task_id: Option<String>,
    /// For the ledger; up to 1000 characters.
    #[serde(default)]
    reason: Option<String>,
}

impl RetryAllRequest {
    pub(crate) fn read(self) -> Result<(Option<TaskId>, Option<String>), ApiError> {
        let task = self.task_id.as_deref().map(str::parse).transpose();
        let task = task.map_err(|_| ApiError::bad_request("task_id: the id of a task, a UUID"))?;
        Ok((task, reason(self.reason)?))
    }
}

/// Deliveries that are owed again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetryAllStarted {
    /// How many.
    pub(crate) retried: u32,
    /// Whether more are given up than one request takes: ask again.
    pub(crate) left: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(callback: Value) -> Result<NewCallback, ApiError> {
        let policy = CallbackPolicy::new(["hooks.example"]).unwrap();
        serde_json::from_value::<CallbackRequest>(callback)
            .unwrap()
            .read(&policy)
    }

    #[test]
    fn without_events_it_wants_all() {
        let callback = read(json!({"url": "https://hooks.example/x", "secret": "s"})).unwrap();
        assert_eq!(callback.events, CallbackEvent::ALL);
    }

    #[test]
    fn every_part_is_checked() {
        let fine = json!({"url": "https://hooks.example/x", "secret": "s"});
        for (field, value) in [
            ("url", json!("http://hooks.example/x")),
            ("url", json!("https://elsewhere.example/x")),
            ("events", json!(["apply.exploded"])),
            ("events", json!([])),
            ("secret", json!("")),
            ("secret", json!("s".repeat(257))),
            ("secret", json!("whsec_not base64!")),
        ] {
            let mut callback = fine.clone();
            callback[field] = value;
            let refused = read(callback).unwrap_err().to_string();
            assert!(
                refused.starts_with(&format!("callback.{field}")),
                "{refused}"
            );
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let callback = json!({"url": "https://hooks.example/x", "secret": "hush-hush"});
        let callback: CallbackRequest = serde_json::from_value(callback).unwrap();
        assert!(!format!("{callback:?}").contains("hush"));
    }
}
