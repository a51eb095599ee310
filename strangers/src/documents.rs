//! What leaves the service with its proof inside: dossiers and callbacks.

#![expect(
    clippy::expect_used,
    reason = "a property that does not hold ends the run"
)]

use crate::story::STORY;
use fixtures::history::{log_signer, trusting};
use fixtures::test_ledger::ORIGIN;
use ledger::audit::{
    DOSSIER_FORMAT, DOSSIER_VERSION, Dossier, DossierLog, DossierPart, DossierRecord,
    verify_dossier,
};
use ledger::callback_proof::{CallbackTrust, verify_callback};
use ledger::tlog::{Frontier, InclusionProof, LogOrigin, TreeHash, record_leaf};
use ledger::{Event, Header, LedgerId, StreamId, TaskId};
use std::collections::HashMap;

/// A dossier in which nothing wrong is found holds no record that is not in the log.
pub(crate) fn dossier(bytes: &[u8]) {
    let Ok(dossier) = Dossier::read(bytes) else {
        return;
    };
    let written = serde_json::to_vec(&dossier).expect("a dossier is JSON");
    assert_eq!(Dossier::read(&written).ok().as_ref(), Some(&dossier));
    let report = verify_dossier(&dossier, &trusting());
    serde_json::to_value(&report).expect("a report is JSON");
    if !report.verified {
        return;
    }
    for record in &dossier.records {
        let header = Header::decode(record.header.as_slice()).expect("it was verified");
        let known = STORY.history.records.iter().any(|known| {
            let payload = known
                .content
                .as_ref()
                .map(|(_, payload)| payload.as_slice());
            let shown = record.payload.as_ref().map(|payload| payload.as_slice());
            known.header == header && (shown.is_none() || shown == payload)
        });
        assert!(
            known,
            "a record that is not in the log was verified: {record:?}"
        );
    }
}

/// A callback that proves something says what the log says.
pub(crate) fn callback_proof(bytes: &[u8]) {
    let Ok(verified) = verify_callback(bytes, &trust()) else {
        return;
    };
    let record = usize::try_from(verified.position)
        .ok()
        .and_then(|at| STORY.history.records.get(at))
        .expect("it is in the log");
    assert_eq!(record.header.event_id, verified.event_id);
    assert_eq!(record.header.recorded_at, verified.recorded_at);
    let body = ledger::parse_strict(bytes).expect("a body is strict JSON");
    let said = body.get("event").expect("a body has its event");
    let honest = STORY.callbacks.iter().filter_map(|body| body.get("event"));
    let mut honest = honest.map(|event| ledger::canonicalise(event).ok());
    let said = ledger::canonicalise(said).ok();
    assert!(honest.any(|event| event == said), "it says something else");
}

fn trust() -> CallbackTrust {
    let signer = log_signer().public();
    CallbackTrust {
        origin: LogOrigin::from(signer.name()),
        key: signer,
        policy: None,
    }
}

#[cfg(test)]
pub(crate) fn is_proven(body: &[u8]) -> bool {
    verify_callback(body, &trust()).is_ok()
}

/// The story's dossier, as `ledger dossier` writes it but for the words.
pub(crate) fn dossier_seeds() -> Vec<Vec<u8>> {
    let history = &STORY.history;
    let mut frontier = Frontier::empty();
    let mut rows = Vec::new();
    for record in &history.records {
        let appended = frontier.append(record_leaf(&record.header), &mut rows);
        appended.expect("stories are short");
    }
    let stored: HashMap<u64, TreeHash> = rows.iter().map(|row| (row.index, row.hash)).collect();
    let created = history.event(history.first("task.created")).1;
    let Event::TaskCreated(created) = created else {
        return Vec::new();
    };
    let size = history.size();
    let records = history.records.iter().filter_map(|record| {
        let lookup = InclusionProof::lookup(record.header.position, size).ok()?;
        let hashes = lookup
            .indexes()
            .iter()
            .map(|index| stored.get(index).copied());
        let hashes = hashes.collect::<Option<Vec<TreeHash>>>()?;
        let proof = lookup.complete(&hashes).ok()?;
        let content = record.content.as_ref();
        let content = content.map(|(salt, payload)| (salt, payload.as_slice()));
        let part = part(&record.header, created.task_id);
        Some(DossierRecord::new(&record.header, content, part, &proof))
    });
    let dossier = Dossier {
        format: DOSSIER_FORMAT.to_owned(),
        version: DOSSIER_VERSION,
        ledger_id: ledger_id(),
        task_id: created.task_id,
        log: DossierLog {
            origin: ORIGIN.to_owned(),
            vkey: log_signer().public().to_string(),
        },
        checkpoint: history.sign().to_string(),
        records: records.collect(),
        has_story: false,
    };
    vec![serde_json::to_vec(&dossier).expect("a dossier is JSON")]
}

fn ledger_id() -> LedgerId {
    let first = STORY.history.records.first().expect("a story begins");
    LedgerId::from_bytes(*first.header.stream_id.as_bytes())
}

/// Streams that began before the task are there for its sake.
fn part(header: &Header, task: TaskId) -> DossierPart {
    let created = STORY.history.first("task.created");
    let records = STORY.history.records.iter();
    let mut before = records.take_while(|record| record.header.position < created);
    let is_older = before.any(|record| record.header.stream_id == header.stream_id);
    if header.stream_id != StreamId::from(task) && is_older {
        DossierPart::Context
    } else {
        DossierPart::Task
    }
}

pub(crate) fn callback_proof_seeds() -> Vec<Vec<u8>> {
    let bodies = STORY.callbacks.iter();
    bodies.map(|body| body.to_string().into_bytes()).collect()
}
