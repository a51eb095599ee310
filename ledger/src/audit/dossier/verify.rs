//! Verifies a dossier: each record on its own against the checkpoint, and all of them against the
//! rules that a history follows.

use super::report::{DOSSIER_LIMITS, DossierReport};
use super::scope::Scope;
use super::{Dossier, DossierPart, DossierRecord, name_of, readable};
use crate::audit::check::Check;
use crate::audit::checkpoints::{read, witness};
use crate::audit::finding::Findings;
use crate::audit::history::History;
use crate::audit::log::{AuditRecord, Content};
use crate::audit::options::VerifyOptions;
use crate::audit::report::{CheckedCheckpoint, NoteSource, Range, Verdict};
use crate::event::{ErasedStream, Event};
use crate::id::StreamId;
use crate::record::{Header, SALT_LEN, genesis_hash, payload_digest};
use crate::tlog::{Checkpoint, InclusionProof, record_leaf};
use std::collections::HashSet;

/// Checks everything that a dossier can show: that each record is in the tree of a checkpoint that a
/// trusted key signed, that payloads and readable parts are those of the records, that each decision
/// was signed by the registered key over exactly what was asked, that what was executed is what was
/// approved, and the other rules of [`Check`] as far as they concern the task. The options' depth is
/// always everything; checkpoints that were kept say nothing about single records and are not looked at.
#[must_use]
pub fn verify_dossier(dossier: &Dossier, options: &VerifyOptions) -> DossierReport {
    let mut findings = Findings::new(options.max_findings);
    let mut checked = CheckedCheckpoint::unread(NoteSource::Dossier);
    let checkpoint = match read(&dossier.checkpoint, options) {
        Ok((note, checkpoint)) => {
            checked.name(&checkpoint);
            witness(&mut checked, &note, options, &mut findings);
            Some(checkpoint)
        }
        Err((check, reason)) => {
            findings.add(None, check, reason);
            None
        }
    };
    let headers: Vec<Option<Header>> = dossier
        .records
        .iter()
        .map(|record| header(record, &mut findings))
        .collect();
    let pairs = || dossier.records.iter().zip(&headers);
    let mut scope = Scope::new(dossier.task_id);
    for (record, header) in pairs() {
        if let Some((header, event)) = decoded(record, header.as_ref()) {
            scope.take(header, &event);
        }
    }
    let mut history = History::of_some_streams(options);
    let mut before: Option<Header> = None;
    let elsewhere = erased_elsewhere(dossier, &headers);
    let mut erased = Vec::new();
    let mut task_records = 0;
    for (record, header) in pairs() {
        let Some(header) = header else { continue };
        follow(before.as_ref(), header, dossier, &mut findings);
        if let Some(checkpoint) = &checkpoint {
            include(record, header, checkpoint, &mut findings);
        }
        task_records += u64::from(belongs(record, header, &scope, &mut findings));
        let salt = content(record, header, &mut findings);
        if record.payload.is_none() {
            Range::push(&mut erased, header.position);
        }
        describe(record, header, &mut findings);
        let content = salt.as_ref().zip(record.payload.as_ref());
        let content = content.map(|(salt, payload)| Content {
            salt,
            payload: payload.as_slice(),
        });
        let audited = AuditRecord {
            header: *header,
            record_hash: None,
            content,
        };
        // A key of an upstream hides nothing of a task, and where it was stored is told elsewhere.
        let is_elsewhere =
            decoded(record, Some(header)).is_some_and(|(_, event)| event.erases_upstream_key());
        if !is_elsewhere {
            history.take(&audited, &mut findings);
        }
        before = Some(*header);
    }
    complete(dossier, task_records, &mut findings);
    if let Some(policy) = &options.policy
        && policy.needs_witnesses()
        && !checked.witnessed
    {
        let reason = "the checkpoint is not cosigned as the policy asks";
        findings.add(None, Check::WitnessPolicy, reason);
    }
    names_its_log(dossier, checkpoint.as_ref(), options, &mut findings);
    let history = history.finish(&mut findings);
    if history.ledger_id.is_some_and(|id| id != dossier.ledger_id) {
        let reason = "its records are of another ledger than it names";
        findings.add(None, Check::LedgerIdentity, reason);
    }
    let (mut findings, more_findings, impossible) = findings.into_parts();
    findings.retain(|finding| {
        finding.check != Check::Erasure
            || !finding.position.is_some_and(|at| elsewhere.contains(&at))
    });
    checked.holds = checkpoint.is_some()
        && !findings
            .iter()
            .any(|finding| finding.check == Check::Inclusion);
    // What is left out above may have kept something else from being kept.
    let verified = findings.is_empty() && more_findings == 0;
    DossierReport {
        verdict: Verdict::of(
            verified,
            impossible.is_empty() && erased.is_empty() && !dossier.has_story,
        ),
        verified,
        ledger_id: dossier.ledger_id,
        task_id: dossier.task_id,
        checkpoint: checked,
        records: u64::try_from(dossier.records.len()).unwrap_or(u64::MAX),
        task_records,
        erased,
        history,
        findings,
        more_findings,
        impossible,
        limits: DOSSIER_LIMITS,
    }
}

fn header(record: &DossierRecord, findings: &mut Findings) -> Option<Header> {
    match Header::decode(record.header.as_slice()) {
        Ok(header) => Some(header),
        Err(error) => {
            findings.add(Some(record.position), Check::HeaderForm, error.to_string());
            None
        }
    }
}

fn decoded<'a>(record: &DossierRecord, header: Option<&'a Header>) -> Option<(&'a Header, Event)> {
    let header = header?;
    let payload = record.payload.as_ref()?.as_slice();
    let (_, event) = Event::decode(header.event_type, header.schema_version, payload).ok()?;
    Some((header, event))
}

/// The positions of erasures of streams that are not here: what they say of those cannot be held
/// against anything in this dossier.
fn erased_elsewhere(dossier: &Dossier, headers: &[Option<Header>]) -> HashSet<u64> {
    let here: HashSet<StreamId> = headers
        .iter()
        .flatten()
        .map(|header| header.stream_id)
        .collect();
    let pairs = dossier.records.iter().zip(headers);
    pairs
        .filter_map(|(record, header)| decoded(record, header.as_ref()))
        .filter_map(|(header, event)| match event {
            Event::LedgerErased(erased) => {
                let elsewhere = |stream: &ErasedStream| !here.contains(&stream.stream_id);
                erased
                    .streams
                    .iter()
                    .all(elsewhere)
                    .then_some(header.position)
            }
            _ => None,
        })
        .collect()
}

/// Records stand in their order, none twice; those that are neighbours in the log are linked.
fn follow(before: Option<&Header>, header: &Header, dossier: &Dossier, findings: &mut Findings) {
    let mut wrong = |check, reason: &str| findings.add(Some(header.position), check, reason);
    let Some(before) = before else {
        if header.position != 0 {
            wrong(
                Check::DossierScope,
                "the ledger's first record is not there",
            );
        } else if header.prev_hash != genesis_hash(dossier.ledger_id) {
            wrong(
                Check::Genesis,
                "the chain does not begin at the ledger's id",
            );
        }
        return;
    };
    if header.position <= before.position {
        wrong(
            Check::Position,
            "it does not come after the record before it",
        );
    }
    if header.recorded_at < before.recorded_at {
        wrong(
            Check::RecordedAt,
            "it was recorded before the record before it",
        );
    }
    let neighbours = before.position.checked_add(1) == Some(header.position);
    if neighbours && header.prev_hash != before.record_hash() {
        wrong(
            Check::Chain,
            "it does not name the hash of the record before it",
        );
    }
}

fn include(
    record: &DossierRecord,
    header: &Header,
    checkpoint: &Checkpoint,
    findings: &mut Findings,
) {
    let given = &record.proof;
    let leaf = record_leaf(header);
    let mut wrong = |reason: String| findings.add(Some(header.position), Check::Inclusion, reason);
    if given.leaf_index != header.position || given.tree_size != checkpoint.size() {
        return wrong(format!(
            "its proof is for leaf {} of {}, the record is at {} and the checkpoint covers {}",
            given.leaf_index,
            given.tree_size,
            header.position,
            checkpoint.size()
        ));
    }
    if given.leaf_hash != leaf {
        return wrong("its proof is for another record".to_owned());
    }
    let proof = InclusionProof::from_parts(given.leaf_index, given.tree_size, given.hashes.clone());
    if let Err(error) = proof.verify(&leaf, checkpoint.root()) {
        wrong(error.to_string());
    }
}

/// True when it is one of the task's own records; one that is neither that nor context is wrong here.
fn belongs(
    record: &DossierRecord,
    header: &Header,
    scope: &Scope,
    findings: &mut Findings,
) -> bool {
    let part = scope.part(header);
    match part {
        None => findings.add(
            Some(header.position),
            Check::DossierScope,
            "it is neither of the task nor of what the task refers to",
        ),
        Some(part) if part != record.part => findings.add(
            Some(header.position),
            Check::DossierScope,
            "it is called the task's where it is context, or the other way round",
        ),
        Some(_) => {}
    }
    part == Some(DossierPart::Task)
}

/// Compares the payload with the header; the salt, where there is one.
fn content(
    record: &DossierRecord,
    header: &Header,
    findings: &mut Findings,
) -> Option<[u8; SALT_LEN]> {
    let mut wrong = |check, reason: &str| findings.add(Some(header.position), check, reason);
    let (salt, payload) = match (&record.salt, &record.payload) {
        (Some(salt), Some(payload)) => (salt, payload.as_slice()),
        (None, None) => return None,
        _ => {
            wrong(
                Check::PayloadDigest,
                "salt and payload are there or not together",
            );
            return None;
        }
    };
    let Ok(salt) = <[u8; SALT_LEN]>::try_from(salt.as_slice()) else {
        wrong(Check::PayloadDigest, "its salt has another length");
        return None;
    };
    if u32::try_from(payload.len()) != Ok(header.payload_len) {
        wrong(
            Check::PayloadLength,
            "the payload has another length than the header names",
        );
    }
    if payload_digest(&salt, payload) != header.payload_digest {
        wrong(
            Check::PayloadDigest,
            "the payload has another digest than the header names",
        );
    }
    Some(salt)
}

/// Compares the readable form with the bytes.
fn describe(record: &DossierRecord, header: &Header, findings: &mut Findings) {
    let read = record
        .payload
        .as_ref()
        .and_then(|payload| readable(header, payload.as_slice()));
    let (envelope, content) = match read {
        Some((envelope, content)) => (Some(envelope), Some(content)),
        None => (None, None),
    };
    let same = record.position == header.position
        && record.recorded_at == header.recorded_at
        && record.event == name_of(header)
        && record.envelope == envelope
        && record.content == content;
    if !same {
        let reason = "what is readable of it is not what its bytes say";
        findings.add(Some(header.position), Check::DossierForm, reason);
    }
}

/// The log that it names is the one whose checkpoint it has, with a key that is trusted.
fn names_its_log(
    dossier: &Dossier,
    checkpoint: Option<&Checkpoint>,
    options: &VerifyOptions,
    findings: &mut Findings,
) {
    let named = &dossier.log;
    let trusted = options.keys.iter().any(|key| key.to_string() == named.vkey);
    let its = checkpoint.is_none_or(|checkpoint| checkpoint.origin().as_str() == named.origin);
    if !trusted || !its {
        let reason = "the log that it names is not the one that has signed its checkpoint";
        findings.add(None, Check::DossierForm, reason);
    }
}

fn complete(dossier: &Dossier, task_records: u64, findings: &mut Findings) {
    if dossier.records.is_empty() || task_records == 0 {
        let reason = format!("there is no record of task {}", dossier.task_id);
        findings.add(None, Check::DossierScope, reason);
    }
}
