//! Telling a person's device of a question by Web Push: sealed to the browser, so that the push service reads
//! nothing, and signed for this installation. Nothing can be decided in a message.
//!
//! | file | holds |
//! |---|---|
//! | `content` | the words |
//! | `encryption` | the content encryption (RFC 8291) |
//! | `vapid` | the authorization (RFC 8292) |

mod content;
mod encryption;
mod vapid;

use crate::callback::{AttemptOutcome, CallbackSender};
use crate::question::Question;
use bytes::Bytes;
use encryption::Encryption;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};
use ledger::{PushRules, PushSubscription, Random, Timestamp};

/// How long a push service keeps a message at least, in seconds (RFC 8030, section 5.2).
const SHORTEST_LIFE: i64 = 60;
/// How long at most: as long as a question lives.
const LONGEST_LIFE: i64 = 604_800;

const TTL: HeaderName = HeaderName::from_static("ttl");
const URGENCY: HeaderName = HeaderName::from_static("urgency");

/// Sends messages to devices.
#[derive(Debug, Clone)]
pub(crate) struct Pusher {
    /// Sends to push services and to nothing else.
    sender: CallbackSender,
    rules: PushRules,
    /// The address that push services may write to about this installation.
    contact: Option<String>,
}

/// A question on its way to a device.
pub(crate) struct PushMessage<'a> {
    pub(crate) question: &'a Question,
    /// The one address where it is answered.
    pub(crate) url: &'a str,
    /// The time until which it can be answered.
    pub(crate) until: Timestamp,
    pub(crate) now: Timestamp,
}

impl Pusher {
    pub(crate) fn new(
        callbacks: &CallbackSender,
        rules: &PushRules,
        contact: Option<String>,
    ) -> Self {
        Self {
            sender: callbacks.with_policy(rules.services.clone()),
            rules: rules.clone(),
            contact,
        }
    }

    /// Sends the message once; `None` where the subscription's key or address is none, which none that was
    /// recorded is.
    pub(crate) async fn send(
        &self,
        to: &PushSubscription,
        message: &PushMessage<'_>,
        random: &dyn Random,
    ) -> Option<AttemptOutcome> {
        let PushMessage {
            question,
            url,
            until,
            now,
        } = *message;
        let content = content::of(question, url, encryption::ROOM);
        let body = Encryption::draw(random).seal(to, &content)?;
        let contact = self.contact.as_deref();
        let authorization = vapid::authorization(&self.rules.key, to.endpoint(), contact, now)?;
        let mut authorization = HeaderValue::try_from(authorization).ok()?;
        authorization.set_sensitive(true);
        let left = until.as_seconds().saturating_sub(now.as_seconds());
        let left = left.clamp(SHORTEST_LIFE, LONGEST_LIFE);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, authorization),
            (CONTENT_ENCODING, HeaderValue::from_static("aes128gcm")),
            (
                CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            ),
            (TTL, HeaderValue::from(left)),
            // Somebody waits (RFC 8030, section 5.3).
            (URGENCY, HeaderValue::from_static("high")),
        ]);
        let body = Bytes::from(body);
        Some(self.sender.push(to.endpoint(), now, body, headers).await)
    }
}
