//! Bundles: cut off, changed, with proofs to larger checkpoints.

use super::{is_first, told};
use fixtures::history::{log_signer, trusting};
use ledger::audit::{BundleMeta, BundleWriter, Check, Content, Depth, verify_bundle};
use ledger::tlog::{ConsistencyProof, Frontier, StoredHash, record_leaf};
use proptest::prelude::*;

#[tokio::test]
async fn a_bundle_that_was_cut_off_is_named_wherever_it_was_cut() {
    let history = told().await;
    let bundle = history.bundle(&[history.sign()]);
    let mut options = trusting();
    options.depth = Depth::Hashes;
    for end in (0..bundle.len())
        .step_by(37)
        .chain(bundle.len() - 50..bundle.len())
    {
        let report = verify_bundle(&bundle[..end], &options).unwrap();
        let check = report.first().unwrap().check;
        let expected = if end < 8 {
            Check::BundleForm
        } else {
            Check::BundleEnd
        };
        assert!(
            report.findings.iter().any(|f| f.check == expected),
            "{end}: {check} {report}"
        );
    }
    let mut longer = bundle.clone();
    longer.push(0);
    let report = verify_bundle(longer.as_slice(), &options).unwrap();
    is_first(&report, Check::BundleEnd, Some(history.size()));
}

#[tokio::test]
async fn no_byte_of_a_bundle_can_be_changed() {
    let history = told().await;
    let bundle = history.bundle(&[history.sign()]);
    let mut options = trusting();
    options.depth = Depth::Hashes;
    for at in (0..600).chain((600..bundle.len()).step_by(11)) {
        let mut changed = bundle.clone();
        changed[at] ^= 1;
        let report = verify_bundle(changed.as_slice(), &options).unwrap();
        assert!(!report.verified, "byte {at}");
    }
}

#[tokio::test]
async fn a_part_leads_to_a_larger_checkpoint_by_its_proof() {
    let history = told().await;
    let note = history.sign_at(history.size(), &log_signer());
    let mut stored: Vec<StoredHash> = Vec::new();
    let mut tree = Frontier::empty();
    for record in &history.records {
        tree.append(record_leaf(&record.header), &mut stored)
            .unwrap();
    }
    let (from, to) = (7, 20);
    let meta = BundleMeta {
        from,
        to,
        frontier: history.frontier(from).subtrees().to_vec(),
        ledger_id: None,
        origin: None,
        vkey: None,
        software: String::new(),
    };
    let proof = ConsistencyProof::lookup(to, history.size()).unwrap();
    let proof = proof.complete_rows(stored).unwrap();
    let write = |proof: Option<&ConsistencyProof>| {
        let mut writer = BundleWriter::new(Vec::new(), &meta).unwrap();
        writer.note(&note, proof).unwrap();
        for record in &history.records[7..20] {
            let (salt, payload) = record.content.as_ref().unwrap();
            writer
                .record(&record.header, Some(Content { salt, payload }))
                .unwrap();
        }
        writer.finish().unwrap()
    };
    let report = verify_bundle(write(Some(&proof)).as_slice(), &trusting()).unwrap();
    assert!(report.verified, "{report}");
    assert_eq!(report.signed_size, to);
    let report = verify_bundle(write(None).as_slice(), &trusting()).unwrap();
    is_first(&report, Check::Coverage, Some(to));
    let mut hashes = proof.hashes().to_vec();
    hashes.swap(0, 1);
    let wrong = ConsistencyProof::from_parts(to, history.size(), hashes);
    let report = verify_bundle(write(Some(&wrong)).as_slice(), &trusting()).unwrap();
    is_first(&report, Check::Consistency, Some(to - 1));
}

#[tokio::test]
async fn a_wrong_frontier_does_not_lead_to_the_root() {
    let history = told().await;
    let mut frontier = history.frontier(9).subtrees().to_vec();
    frontier.swap(0, 1);
    let bundle = history.bundle_from(9, frontier, &[history.sign()]);
    let report = verify_bundle(bundle.as_slice(), &trusting()).unwrap();
    is_first(&report, Check::TreeRoot, Some(history.size() - 1));
    let bundle = history.bundle_from(9, Vec::new(), &[history.sign()]);
    let report = verify_bundle(bundle.as_slice(), &trusting()).unwrap();
    is_first(&report, Check::BundleForm, Some(0));
}

#[tokio::test]
async fn records_that_nobody_has_signed_are_named() {
    let history = told().await;
    // Whoever has no key at all can add to a bundle what no checkpoint covers.
    let signed = history.size() - 5;
    let note = history.sign_at(signed, &log_signer());
    let report = verify_bundle(history.bundle(&[note]).as_slice(), &trusting()).unwrap();
    is_first(&report, Check::CheckpointMissing, None);
    assert_eq!(report.signed_size, signed);
}

#[tokio::test]
async fn a_bundle_of_nothing_proves_nothing() {
    let mut history = told().await;
    let all = history.clone();
    history.records.clear();
    let empty = history.sign_at(0, &log_signer());
    for notes in [vec![], vec![empty]] {
        let report = verify_bundle(history.bundle(&notes).as_slice(), &trusting()).unwrap();
        is_first(&report, Check::CheckpointMissing, None);
    }
    // The checkpoint is of what came before.
    let mut none = all.clone();
    let frontier = all.frontier(9).subtrees().to_vec();
    none.records.truncate(9);
    let note = none.sign();
    let bundle = none.bundle_from(9, frontier, &[note]);
    let report = verify_bundle(bundle.as_slice(), &trusting()).unwrap();
    is_first(&report, Check::CheckpointMissing, None);
}

proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let begun = [b"LPPLBNDL\x01\x00".as_slice(), &bytes].concat();
        for bytes in [bytes, begun] {
            let report = verify_bundle(bytes.as_slice(), &trusting()).unwrap();
            prop_assert!(!report.verified);
        }
    }
}
