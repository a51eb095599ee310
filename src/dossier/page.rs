//! A dossier as a page: one file without scripts that loads nothing, to be read, printed and kept.
//! It proves nothing; the file beside it does.

use crate::narrative::{Line, clock};
use api::pages::{Param, ParamValue, ShownText};
use askama::Template;
use ledger::audit::{DOSSIER_LIMITS, Dossier, DossierPart, DossierRecord};
use ledger::event::{ApplyAccepted, ApprovalDecided, TaskCreated};
use ledger::{Decision, Event, Header, operations_of};
use serde_json::Value;

/// Everything that the page shows.
#[derive(Template)]
#[template(path = "dossier.html")]
pub(crate) struct DossierPage {
    file: ShownText,
    task: Option<ShownText>,
    agent: Option<ShownText>,
    task_id: String,
    ledger_id: String,
    origin: String,
    vkey: String,
    size: String,
    checkpoint: ShownText,
    software_version: &'static str,
    story: Vec<StoryLine>,
    applies: Vec<AskedApply>,
    decisions: Vec<Decided>,
    records: Vec<Stored>,
    own: usize,
    limits: &'static [&'static str],
}

/// A line of the story.
struct StoryLine {
    at: String,
    position: u64,
    depth: u8,
    event: String,
    text: ShownText,
}

/// What an agent asked for, in full.
struct AskedApply {
    position: u64,
    key: ShownText,
    fingerprint: String,
    reason: Option<ShownText>,
    link: Option<ShownText>,
    operations: Vec<Operation>,
}

struct Operation {
    name: ShownText,
    scope: ShownText,
    params: Vec<Param>,
}

/// A person's decision.
struct Decided {
    position: u64,
    at: String,
    approved: bool,
    principal: ShownText,
    reason: Option<ShownText>,
    credential: String,
    thumbprint: String,
    statement: ShownText,
}

struct Stored {
    position: u64,
    at: String,
    event: String,
    own: bool,
    record_hash: String,
    leaf_hash: String,
    json: Option<ShownText>,
}

impl DossierPage {
    /// The page of a dossier that stands in a file of that name.
    pub(crate) fn new(dossier: &Dossier, story: &[Line], file: &str) -> Self {
        let mut page = Self {
            file: ShownText::line(file),
            task: None,
            agent: None,
            task_id: dossier.task_id.to_string(),
            ledger_id: dossier.ledger_id.to_string(),
            origin: dossier.log.origin.clone(),
            vkey: dossier.log.vkey.clone(),
            size: dossier.checkpoint.lines().nth(1).unwrap_or("?").to_owned(),
            checkpoint: ShownText::block(dossier.checkpoint.trim_end()),
            software_version: env!("CARGO_PKG_VERSION"),
            story: story.iter().map(told).collect(),
            applies: Vec::new(),
            decisions: Vec::new(),
            records: dossier.records.iter().map(stored).collect(),
            own: 0,
            limits: DOSSIER_LIMITS,
        };
        page.own = page.records.iter().filter(|record| record.own).count();
        for record in &dossier.records {
            if record.part == DossierPart::Task
                && let Some((header, event)) = event_of(record)
            {
                page.take(&header, &event);
            }
        }
        page
    }

    fn take(&mut self, header: &Header, event: &Event) {
        if let Some((how, decided)) = event.answer() {
            let approved = how == Decision::Approve;
            self.decisions.push(decision(header, decided, approved));
        }
        match event {
            Event::TaskCreated(TaskCreated { name, agent, .. }) => {
                self.task = Some(ShownText::line(name.as_str()));
                self.agent = Some(ShownText::line(agent.as_str()));
            }
            Event::ApplyAccepted(accepted) => self.applies.push(asked(header, accepted)),
            _ => {}
        }
    }
}

fn event_of(record: &DossierRecord) -> Option<(Header, Event)> {
    let header = Header::decode(record.header.as_slice()).ok()?;
    let payload = record.payload.as_ref()?.as_slice();
    let (_, event) = Event::decode(header.event_type, header.schema_version, payload).ok()?;
    Some((header, event))
}

fn told(line: &Line) -> StoryLine {
    StoryLine {
        at: clock(line.at),
        position: line.position,
        depth: line.depth,
        event: line.event.clone(),
        text: ShownText::line(line.text.as_str()),
    }
}

fn asked(header: &Header, accepted: &ApplyAccepted) -> AskedApply {
    let operations = operations_of(accepted.submission.as_bytes()).unwrap_or_default();
    AskedApply {
        position: header.position,
        key: ShownText::line(accepted.idempotency_key.as_str()),
        fingerprint: accepted.fingerprint.to_string(),
        reason: accepted.purpose.reason.as_deref().map(ShownText::line),
        link: accepted.purpose.link.as_deref().map(ShownText::line),
        operations: operations.iter().map(operation).collect(),
    }
}

fn operation(operation: &Value) -> Operation {
    let part = |name: &str| operation.get(name).and_then(Value::as_str).unwrap_or("?");
    Operation {
        name: ShownText::line(part("operation_id")),
        scope: ShownText::line(format!("{} {}", part("scope_type"), part("scope_id"))),
        params: operation.get("params").map(Param::rows).unwrap_or_default(),
    }
}

fn decision(header: &Header, decided: &ApprovalDecided, approved: bool) -> Decided {
    Decided {
        position: header.position,
        at: clock(header.recorded_at),
        approved,
        principal: ShownText::line(decided.principal.as_str()),
        reason: decided.reason.as_deref().map(ShownText::line),
        credential: decided.credential_id.to_base64url(),
        thumbprint: decided.public_key_thumbprint.to_base64url(),
        statement: ShownText::block(decided.statement.as_str()),
    }
}

fn stored(record: &DossierRecord) -> Stored {
    let json = record.content.as_ref().map(|content| {
        let whole = serde_json::json!({"envelope": record.envelope, "content": content});
        ShownText::block(format!("{whole:#}"))
    });
    let header = Header::decode(record.header.as_slice());
    Stored {
        position: record.position,
        at: clock(record.recorded_at),
        event: record.event.clone(),
        own: record.part == DossierPart::Task,
        record_hash: header.map_or_else(
            |_| "?".to_owned(),
            |header| header.record_hash().to_string(),
        ),
        leaf_hash: record.proof.leaf_hash.to_string(),
        json,
    }
}
