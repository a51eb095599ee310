//! A running service, over HTTP.

use crate::api_client::{bounded_answer, http_client};
use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::audit::{AuditRecord, Check, Content, NoteSource, Report, Verifier, VerifyOptions};
use ledger::tlog::{Checkpoint, MAX_NOTE_BYTES, Note};
use ledger::{Clock, Header, RecordHash, Timestamp};
use ledger_sqlite::SystemClock;
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::Duration;
use url::Url;

/// Events asked for at a time, as many as the service gives.
const STEP: u32 = 1000;
/// More than any answer with so many events.
const MOST_BYTES: usize = 128 * 1024 * 1024;
/// How long the service may take for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Signs the subject for a request at a moment: header names and values.
pub(crate) type SignSubject = dyn Fn(Timestamp) -> anyhow::Result<[(&'static str, String); 3]>;

/// A service and what it lets an auditor in by.
pub(crate) struct ServiceSource<'a> {
    pub(crate) base: Url,
    /// That of a session of a user who may audit, or a bootstrap token that has `can_audit`.
    pub(crate) token: SecretString,
    /// Makes the signed subject headers of a bootstrap token, which are good for a minute.
    pub(crate) subject: Option<&'a SignSubject>,
}

/// What `GET /v1/ledger/events` answers, as far as it proves something.
#[derive(Debug, Deserialize)]
struct Page {
    events: Vec<ServedEvent>,
    size: u64,
}

#[derive(Debug, Deserialize)]
struct ServedEvent {
    position: u64,
    header: String,
    record_hash: Option<String>,
    salt: Option<String>,
    payload: Option<String>,
}

impl ServiceSource<'_> {
    /// Verifies what the service has, up to its newest checkpoint. Events that are recorded meanwhile
    /// are left out.
    ///
    /// # Errors
    /// When the service cannot be asked; what is wrong with its answers is in the report.
    pub(crate) async fn verify(&self, options: VerifyOptions) -> anyhow::Result<Report> {
        let client = http_client(&self.base, PATIENCE)?;
        let mut verifier = Verifier::new(options);
        let mut end = None;
        if let Some(note) = self.checkpoint(&client).await? {
            verifier.checkpoint(NoteSource::Service, &note, None);
            end = size_of(&note);
        }
        let mut next = 0;
        while end.is_none_or(|end| next < end) {
            let page = self.page(&client, next).await?;
            // Without a checkpoint it ends where the log did when it was first asked.
            let end = *end.get_or_insert(page.size);
            let before = next;
            for entry in page.events.iter().take_while(|entry| entry.position < end) {
                take(&mut verifier, entry);
                next = entry.position.saturating_add(1);
            }
            if next <= before {
                break;
            }
        }
        Ok(verifier.finish())
    }

    /// The newest checkpoint; `None` while the service has none.
    async fn checkpoint(&self, client: &Client) -> anyhow::Result<Option<String>> {
        let url = self.url("v1/ledger/checkpoint")?;
        let (status, body) = bounded_answer(client.get(url), MAX_NOTE_BYTES).await?;
        match status {
            StatusCode::OK => Ok(Some(String::from_utf8_lossy(&body).into_owned())),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::NOT_FOUND => Ok(None),
            other => bail!("asking for the checkpoint: {other}"),
        }
    }

    async fn page(&self, client: &Client, from: u64) -> anyhow::Result<Page> {
        let mut url = self.url("v1/ledger/events")?;
        url.set_query(Some(&format!("from={from}&limit={STEP}")));
        let mut request = client.get(url).bearer_auth(self.token.expose_secret());
        if let Some(sign) = self.subject {
            for (name, value) in sign(SystemClock.now())? {
                request = request.header(name, value);
            }
        }
        let (status, body) = bounded_answer(request, MOST_BYTES).await?;
        ensure!(
            status == StatusCode::OK,
            "asking for events: {status} {}",
            ledger::operation::shown(&String::from_utf8_lossy(&body), 300)
        );
        serde_json::from_slice(&body).context("the service's events cannot be read")
    }

    fn url(&self, path: &str) -> anyhow::Result<Url> {
        let base = self.base.as_str().trim_end_matches('/');
        Ok(Url::parse(&format!("{base}/{path}"))?)
    }
}

fn size_of(note: &str) -> Option<u64> {
    let note: Note = note.parse().ok()?;
    Some(Checkpoint::of_unverified(&note).ok()?.size())
}

fn take(verifier: &mut Verifier, entry: &ServedEvent) {
    let position = Some(entry.position);
    let header = STANDARD.decode(&entry.header).unwrap_or_default();
    let header = match Header::decode(&header) {
        Ok(header) => header,
        Err(error) => return verifier.unreadable(position, Check::HeaderForm, error.to_string()),
    };
    let decode = |text: &Option<String>| text.as_ref().map(|text| STANDARD.decode(text));
    let (salt, payload) = match (decode(&entry.salt), decode(&entry.payload)) {
        (None, None) => (None, Vec::new()),
        (Some(Ok(salt)), Some(Ok(payload))) => match salt.try_into() {
            Ok(salt) => (Some(salt), payload),
            Err(_) => {
                return verifier.unreadable(position, Check::PayloadForm, "its salt is not one");
            }
        },
        _ => {
            let reason = "its payload or salt cannot be read";
            return verifier.unreadable(position, Check::PayloadForm, reason);
        }
    };
    let record_hash: Option<Result<RecordHash, _>> = entry.record_hash.as_ref().map(|h| h.parse());
    let Ok(record_hash) = record_hash.transpose() else {
        return verifier.unreadable(position, Check::RecordHash, "its hash is not one");
    };
    verifier.record(&AuditRecord {
        header,
        record_hash,
        content: salt.as_ref().map(|salt| Content {
            salt,
            payload: &payload,
        }),
    });
}
