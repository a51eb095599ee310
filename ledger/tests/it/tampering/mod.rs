//! Whatever somebody changes in a ledger or in a bundle of it, the verifier finds, and by which rule it
//! does is part of the promise.

mod columns;
mod flips;
mod order;
mod rewriting;

use crate::scene::{Scene, end, start, succeeded};
use fixtures::approver::SoftApprover;
use fixtures::commands::{administrator, callback, create_task, purge};
use fixtures::rules::APPROVER;
use fixtures::test_ledger::{ORIGIN, SIGNING_SEED, Setup, TestLedger};
use ledger::audit::{
    AuditRecord, BundleMeta, BundleWriter, Check, Content, Depth, NoteSource, Report, Verifier,
    VerifyOptions, verify_bundle,
};
use ledger::command::CreateTask;
use ledger::tlog::{Checkpoint, Frontier, LogOrigin, LogSigner, Note, TreeHash, record_leaf};
use ledger::{Decision, Header, RecordHash, StoredRecord, genesis_hash};

/// A whole ledger as its bytes: what a grant, an approval, a denial and their executions left behind.
pub(super) struct Log {
    pub(super) records: Vec<StoredRecord>,
    /// The checkpoint over all of it, as the log signs it.
    pub(super) signed: Note,
}

pub(super) fn signer() -> LogSigner {
    LogSigner::from_seed(ORIGIN.parse().unwrap(), &SIGNING_SEED)
}

pub(super) fn options() -> VerifyOptions {
    VerifyOptions::new(signer().public(), providers::all())
}

/// Looks at bytes only: what is changed in them is found without reading a payload.
pub(super) fn hashes_only() -> VerifyOptions {
    VerifyOptions {
        depth: Depth::Hashes,
        ..options()
    }
}

impl Log {
    pub(super) async fn recorded() -> Self {
        Self::recorded_with(Setup::signed()).await
    }

    pub(super) async fn recorded_with(setup: Setup) -> Self {
        let ledger = TestLedger::with(setup).await;
        let alice = SoftApprover::new(APPROVER);
        ledger.run(alice.registration()).await.unwrap();
        ledger.grant_all().await;
        let command = CreateTask {
            callback: Some(callback(9, "secret")),
            ..create_task()
        };
        let token = ledger.execute(administrator(), command).await.unwrap();
        let scene = Scene {
            ledger,
            alice,
            token,
        };
        let granted = scene.submitted("granted", vec![purge()]).await.apply.id;
        scene.run(start(granted, 0)).await.unwrap();
        scene.run(end(granted, 0, succeeded())).await.unwrap();
        let asked = scene.approved("approved").await;
        let continued = scene.continued(&asked).await.unwrap().apply.id;
        scene.run(start(continued, 0)).await.unwrap();
        scene.run(end(continued, 0, succeeded())).await.unwrap();
        let asked = scene.asked("denied").await;
        scene.decided(&asked, Decision::Deny).await;
        Self::of(
            scene
                .log()
                .records_within(0, 1_000, u64::MAX)
                .await
                .unwrap(),
        )
    }

    pub(super) fn of(records: Vec<StoredRecord>) -> Self {
        let tree = tree(&records);
        let origin: LogOrigin = ORIGIN.parse().unwrap();
        let checkpoint = Checkpoint::new(origin, tree.size(), tree.root());
        Self {
            records,
            signed: signer().sign_checkpoint(&checkpoint),
        }
    }

    /// Its first records, as an older copy has them.
    pub(super) fn beginning(&self, records: usize) -> Self {
        Self::of(self.records[..records].to_vec())
    }

    /// The same checkpoint beside other records.
    pub(super) fn altered(&self, change: impl FnOnce(&mut Vec<StoredRecord>)) -> Self {
        let mut records = self.records.clone();
        change(&mut records);
        Self {
            records,
            signed: self.signed.clone(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// The records with every hash, position and link computed anew, as somebody does who can write
    /// the file.
    pub(super) fn relinked(mut self) -> Self {
        let ledger_id = self.records[0].header.stream_id;
        let mut before = genesis_hash(ledger::LedgerId::from_bytes(*ledger_id.as_bytes()));
        for (position, record) in (0..).zip(&mut self.records) {
            record.header.position = position;
            record.header.prev_hash = before;
            if let Some((salt, payload)) = &record.payload {
                record.header.payload_digest = ledger::payload_digest(salt, payload);
                record.header.payload_len = payload.len().try_into().unwrap();
            }
            before = record.header.record_hash();
            record.record_hash = before;
        }
        self
    }

    /// What a verifier says of it beside these checkpoints.
    pub(super) fn verified(&self, options: VerifyOptions, notes: &[Note]) -> Report {
        let mut verifier = Verifier::new(options);
        for note in notes {
            verifier.checkpoint(NoteSource::Stored, &note.to_string(), None);
        }
        for record in &self.records {
            verifier.record(&audited(&record.header, Some(record.record_hash), record));
        }
        verifier.finish()
    }

    /// A bundle of it, with a checkpoint.
    pub(super) fn bundle(&self, note: &Note) -> Vec<u8> {
        let meta = BundleMeta {
            from: 0,
            to: self.records.len().try_into().unwrap(),
            frontier: Vec::<TreeHash>::new(),
            ledger_id: None,
            origin: Some(ORIGIN.to_owned()),
            vkey: Some(signer().public().to_string()),
            software: "test".to_owned(),
        };
        let mut writer = BundleWriter::new(Vec::new(), &meta).unwrap();
        writer.note(note, None).unwrap();
        for record in &self.records {
            let content = record.payload.as_ref();
            let content = content.map(|(salt, payload)| Content { salt, payload });
            writer.record(&record.header, content).unwrap();
        }
        writer.finish().unwrap()
    }
}

fn tree(records: &[StoredRecord]) -> Frontier {
    let mut tree = Frontier::empty();
    for record in records {
        let leaf = record_leaf(&record.header);
        tree.append(leaf, &mut Vec::new()).unwrap();
    }
    tree
}

fn audited<'a>(
    header: &Header,
    record_hash: Option<RecordHash>,
    record: &'a StoredRecord,
) -> AuditRecord<'a> {
    let content = record.payload.as_ref();
    AuditRecord {
        header: *header,
        record_hash,
        content: content.map(|(salt, payload)| Content { salt, payload }),
    }
}

/// The rule that a report names first.
pub(super) fn first(report: &Report) -> Option<Check> {
    assert_eq!(report.verified, report.first().is_none());
    report.first().map(|finding| finding.check)
}

#[tokio::test]
async fn what_nobody_touched_verifies() {
    let log = Log::recorded().await;
    let report = log.verified(options(), std::slice::from_ref(&log.signed));
    assert_eq!(report.findings, [], "{report:?}");
    assert_eq!(report.signed_size, log.len() as u64);
    assert!(
        !report.anchored,
        "the operator's own signature anchors nothing"
    );
    let bundle = log.bundle(&log.signed);
    let report = verify_bundle(bundle.as_slice(), &options()).unwrap();
    assert_eq!(report.findings, [], "{report:?}");
    assert!(
        report.history.approved == 1 && report.history.denied == 1,
        "{report:?}"
    );
    assert!(report.history.deliveries > 0, "{report:?}");
}
