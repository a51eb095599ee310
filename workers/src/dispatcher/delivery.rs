//! One try of one delivery, from its claim to its recorded end.

use super::endpoints::Permit;
use crate::callback::{
    Attempt, AttemptOutcome as Sent, CallbackSender, delay_after_interruption, retry_delay,
};
use crate::error::Error;
use crate::notifier::{Places, Way, message};
use crate::push::{PushMessage, Pusher};
use crate::question::{ApprovalUrls, Question};
use crate::recording::Recorder;
use bytes::Bytes;
use ledger::aggregate::{Approval, Delivery, DeliveryState};
use ledger::callback_proof::{DeliveryProof, UnavailableProof};
use ledger::command::{EndAttempt, ForgetDevice, NewCallback, StartAttempt, Started};
use ledger::event::{AfterAttempt, AttemptOutcome, DeliveryOwed, RegisteredCallback};
use ledger::{
    CallbackEvent, CallbackSecret, DeliveryId, DeviceId, Ledger, MasterKeys, Notifier, SealContext,
    Sealed, StreamId, TaskId, Timestamp,
};
use projections::DueDelivery;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The code of a try whose registration is not in the log.
const CALLBACK_UNKNOWN: &str = "callback_unknown";
/// The code of a try whose secret does not open under the configured master keys.
const SECRET_UNREADABLE: &str = "secret_unreadable";

/// The code of a try at a place that the settings do not name any more.
const NOTIFIER_UNKNOWN: &str = "notifier_unknown";
/// The code of a try to tell of a question that cannot be read.
const QUESTION_GONE: &str = "question_gone";

/// The receiver of a delivery.
enum Destination {
    Notifier(Notifier),
    Device(DeviceId),
    /// The registration of a task's callback, where the log has it.
    Callback(Option<RegisteredCallback>),
}

/// The tools of every try.
#[derive(Clone)]
pub(super) struct Courier {
    pub(super) recorder: Recorder,
    pub(super) sender: CallbackSender,
    pub(super) approval_urls: Option<ApprovalUrls>,
    pub(super) places: Places,
    pub(super) pusher: Pusher,
    pub(super) keys: Arc<MasterKeys>,
}

/// The result of a try, before it is recorded.
struct Try {
    outcome: AttemptOutcome,
    /// How long the receiver asked to be left alone.
    retry_after: Option<Duration>,
}

impl Try {
    fn of(sent: Sent) -> Self {
        match sent {
            Sent::Delivered { status, .. } => Self {
                outcome: AttemptOutcome::Delivered {
                    http_status: status,
                },
                retry_after: None,
            },
            Sent::Failed(failure) => Self {
                outcome: AttemptOutcome::Failed {
                    http_status: failure.http_status,
                    code: failure.code.as_str().to_owned(),
                    message: failure.detail,
                },
                retry_after: failure.retry_after,
            },
        }
    }

    fn failed(code: &str, message: impl Into<String>) -> Self {
        Self {
            outcome: AttemptOutcome::Failed {
                http_status: None,
                code: code.to_owned(),
                message: message.into(),
            },
            retry_after: None,
        }
    }
}

impl Courier {
    /// Claims the delivery, sends it once, records how that ended. Holds its permit at the endpoint
    /// until then.
    pub(super) async fn deliver(self, due: DueDelivery, permit: Permit) -> Result<(), Error> {
        // The registration that it is owed to; the task may have another by now. Looked up before the
        // claim: a try should not be used up by what is wrong on this side. And in the log, not in the
        // read tables: who can write those must not be able to have an event sent elsewhere.
        let ledger = self.recorder.ledger();
        let known = match ledger.load::<Delivery>(due.delivery_id).await {
            Ok(Some(known)) => known,
            Ok(None) | Err(ledger::Error::Rejected(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let (task, receiver) = (known.owed.task_id, known.owed.callback_id);
        let destination = match (Notifier::of(receiver), DeviceId::of(receiver)) {
            (Some(notifier), _) => Destination::Notifier(notifier),
            (None, Some(device)) => Destination::Device(device),
            (None, None) => Destination::Callback(ledger.callback(task, receiver).await?),
        };
        let claim = StartAttempt {
            delivery_id: due.delivery_id,
        };
        let Started { delivery, attempt } = match self.recorder.record(claim).await {
            Ok(started) => started,
            // The read tables were behind, or a retry by hand came first.
            Err(ledger::Error::Rejected(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let began = Instant::now();
        let tried = match destination {
            Destination::Notifier(notifier) => self.notify(notifier, &delivery, due.position).await,
            Destination::Device(device) => self.push(device, &delivery).await?,
            Destination::Callback(callback) => {
                let body = self.body(&delivery, due.position).await;
                self.attempt(&delivery.owed, callback, body).await
            }
        };
        self.end(&delivery, attempt, tried, began.elapsed()).await?;
        drop(permit);
        Ok(())
    }

    /// The event, what is recorded of it the same on every try, and the proof that can be given now: a later try
    /// may have one that an earlier one had not. What keeps a proof from being read does not keep the event from
    /// being told.
    async fn body(&self, delivery: &Delivery, position: u64) -> Bytes {
        let owed = &delivery.owed;
        let ledger = self.recorder.ledger();
        let proof = match ledger.prove_delivery(owed.delivery_id, position).await {
            Ok(proof) => proof,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    delivery.id = %owed.delivery_id,
                    "a callback goes without its proof"
                );
                DeliveryProof::Unavailable(UnavailableProof {
                    position,
                    unavailable: "the ledger could not be read".to_owned(),
                })
            }
        };
        // Numbers, texts and lists serialise into memory without a way to fail.
        let proof = serde_json::to_string(&proof).unwrap_or_else(|_| "null".to_owned());
        let event = self.event(owed).await;
        Bytes::from(format!("{{\"event\":{event},\"proof\":{proof}}}"))
    }

    /// The event as it is owed. One that tells of a question says more of it, which is known only now, or, as
    /// its address, belongs in no log.
    async fn event<'o>(&self, owed: &'o DeliveryOwed) -> Cow<'o, str> {
        let is_question = owed.event_name == CallbackEvent::ApprovalPending.as_str();
        let Some(approval_id) = owed.approval_id.filter(|_| is_question) else {
            return Cow::Borrowed(&owed.event);
        };
        match Question::read(self.recorder.ledger(), approval_id).await {
            Ok(Some(question)) => {
                let url = self.approval_urls.as_ref().map(|urls| urls.of(approval_id));
                Cow::Owned(question.told_in(&owed.event, url))
            }
            Ok(None) => Cow::Borrowed(&owed.event),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    delivery.id = %owed.delivery_id,
                    "a callback goes without what its question says"
                );
                Cow::Borrowed(&owed.event)
            }
        }
    }

    async fn attempt(
        &self,
        owed: &DeliveryOwed,
        callback: Option<RegisteredCallback>,
        body: Bytes,
    ) -> Try {
        let Some(callback) = callback else {
            return Try::failed(CALLBACK_UNKNOWN, "the callback's registration is not there");
        };
        let secret = match self.open(owed.task_id, &callback) {
            Ok(secret) => secret,
            Err(why) => return Try::failed(SECRET_UNREADABLE, why),
        };
        let attempt = Attempt {
            url: &callback.url,
            secret: &secret,
            event_id: owed.event_id,
            body,
            now: self.recorder.ledger().now(),
        };
        Try::of(self.sender.attempt(attempt).await)
    }

    /// Tells a place of the operator's of the question that the event put.
    async fn notify(&self, notifier: Notifier, delivery: &Delivery, position: u64) -> Try {
        let owed = &delivery.owed;
        let (Some(place), Some(urls), Some(approval_id)) = (
            self.places.of(notifier),
            &self.approval_urls,
            owed.approval_id,
        ) else {
            return Try::failed(NOTIFIER_UNKNOWN, format!("no {notifier} is configured"));
        };
        let now = self.recorder.ledger().now();
        if let Way::Post {
            url,
            secret: Some(secret),
            sender,
        } = &place.0
        {
            let attempt = Attempt {
                url,
                secret,
                event_id: owed.event_id,
                body: self.body(delivery, position).await,
                now,
            };
            return Try::of(sender.attempt(attempt).await);
        }
        let question = match Question::read(self.recorder.ledger(), approval_id).await {
            Ok(Some(question)) => question,
            Ok(None) => return Try::failed(QUESTION_GONE, "the question was erased"),
            Err(error) => return Try::failed(QUESTION_GONE, error.to_string()),
        };
        let link = urls.of(approval_id);
        Try::of(match &place.0 {
            Way::Post { url, sender, .. } => {
                let Some(message) = message(notifier, &question, &link) else {
                    return Try::failed(NOTIFIER_UNKNOWN, format!("{notifier} has no secret"));
                };
                let body = Bytes::from(message.to_string());
                sender.post(url, now, body).await
            }
            Way::Mail(mailer) => mailer.tell(&question, &link, owed.delivery_id, now).await,
        })
    }

    /// Tells a device of somebody who may decide the question, and forgets it where its push service says that it
    /// is gone. A crash between that and the end of the try leaves a device that is not there, and the next try says
    /// so.
    async fn push(&self, device: DeviceId, delivery: &Delivery) -> Result<Try, Error> {
        let ledger = self.recorder.ledger();
        let (Some(urls), Some(approval_id)) = (&self.approval_urls, delivery.owed.approval_id)
        else {
            return Ok(Try::failed(NOTIFIER_UNKNOWN, "devices are not told of it"));
        };
        let approval = ledger::Error::none_if_erased(ledger.load::<Approval>(approval_id).await)?;
        let question = Question::read(ledger, approval_id).await?;
        let (Some(approval), Some(question)) = (approval, question) else {
            return Ok(Try::failed(QUESTION_GONE, "the question was erased"));
        };
        let (user_id, subscription) = match ledger.device(&approval, device).await? {
            Some((user_id, Some(subscription))) => (user_id, subscription),
            Some((_, None)) => {
                let why =
                    "the device's subscription does not open under the configured master keys";
                return Ok(Try::failed(SECRET_UNREADABLE, why));
            }
            None => {
                let why = "nobody who may decide has this device any more";
                return Ok(Try::failed(AttemptOutcome::DEVICE_GONE, why));
            }
        };
        let message = PushMessage {
            question: &question,
            url: &urls.of(approval_id),
            until: approval.expires_at,
            now: ledger.now(),
        };
        let sent = self
            .pusher
            .send(&subscription, &message, &**ledger.random());
        let Some(sent) = sent.await else {
            return Ok(Try::failed(
                SECRET_UNREADABLE,
                "the device's subscription is none",
            ));
        };
        let mut tried = Try::of(sent);
        // RFC 8030, section 7.3, and what push services answer.
        if let AttemptOutcome::Failed {
            http_status: Some(404 | 410),
            code,
            ..
        } = &mut tried.outcome
        {
            AttemptOutcome::DEVICE_GONE.clone_into(code);
            let forget = ForgetDevice {
                user_id,
                device_id: device,
            };
            match self.recorder.record(forget).await {
                // The user was erased meanwhile, and the device with them.
                Ok(()) | Err(ledger::Error::Rejected(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(tried)
    }

    fn open(
        &self,
        task_id: TaskId,
        callback: &RegisteredCallback,
    ) -> Result<CallbackSecret, String> {
        let context = SealContext {
            ledger_id: self.recorder.ledger().id(),
            stream: StreamId::from(task_id),
            field: NewCallback::SECRET_FIELD,
        };
        let sealed = Sealed::from_bytes(callback.sealed_secret.as_slice().to_vec());
        let opened = self
            .keys
            .open(&context, &sealed)
            .map_err(|error| error.to_string())?;
        CallbackSecret::new(opened.as_slice()).map_err(|error| error.to_string())
    }

    /// Ends a try that nobody works on any more. Does nothing when it has ended.
    pub(super) async fn end_interrupted(&self, delivery_id: DeliveryId) -> Result<(), Error> {
        let delivery = self.recorder.ledger().load::<Delivery>(delivery_id).await?;
        let Some(delivery) = delivery.filter(|found| found.state == DeliveryState::UnderWay) else {
            return Ok(());
        };
        let interrupted = Try {
            outcome: AttemptOutcome::Interrupted,
            retry_after: None,
        };
        self.end(&delivery, delivery.attempts, interrupted, Duration::ZERO)
            .await
    }

    async fn end(
        &self,
        delivery: &Delivery,
        attempt: u32,
        tried: Try,
        duration: Duration,
    ) -> Result<(), Error> {
        let (outcome, http_status) = match &tried.outcome {
            AttemptOutcome::Delivered { http_status } => {
                ("delivered".to_owned(), Some(*http_status))
            }
            AttemptOutcome::Failed {
                http_status, code, ..
            } => (code.clone(), *http_status),
            AttemptOutcome::Interrupted => ("interrupted".to_owned(), None),
        };
        let retry_at = self.retry_at(delivery.attempts_in_round, &tried);
        let ended = EndAttempt {
            delivery_id: delivery.owed.delivery_id,
            attempt,
            outcome: tried.outcome,
            retry_at,
            duration,
        };
        let after = match self.recorder.record(ended).await {
            Ok(after) => after,
            Err(ledger::Error::Rejected(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let then = match after {
            AfterAttempt::Done => "done".to_owned(),
            AfterAttempt::RetryAt(at) => format!("retry at {at}"),
            AfterAttempt::GivenUp => "given up".to_owned(),
        };
        tracing::info!(
            delivery.id = %delivery.owed.delivery_id,
            task.id = %delivery.owed.task_id,
            event = delivery.owed.event_name,
            attempt,
            outcome,
            http_status,
            then,
            duration_ms = duration.as_millis(),
            "callback tried"
        );
        metrics::histogram!("callback_attempt_duration_seconds", "outcome" => outcome.clone())
            .record(duration.as_secs_f64());
        metrics::counter!("callback_attempts_total", "outcome" => outcome).increment(1);
        if after == AfterAttempt::GivenUp {
            metrics::counter!("callback_deliveries_given_up_total").increment(1);
        }
        Ok(())
    }

    fn retry_at(&self, failures: u32, tried: &Try) -> Timestamp {
        let ledger: &Ledger = self.recorder.ledger();
        let mut jitter = [0; 8];
        ledger.random().fill(&mut jitter);
        let delay = match tried.outcome {
            AttemptOutcome::Interrupted => delay_after_interruption(jitter),
            AttemptOutcome::Delivered { .. } | AttemptOutcome::Failed { .. } => {
                retry_delay(failures, jitter, tried.retry_after)
            }
        };
        ledger.now().plus(delay)
    }
}
