//! Records are swapped, dropped, doubled and put in.

use super::rewriting::freshly_made;
use super::{Log, first, hashes_only, options};
use ledger::audit::Check;

/// What is found when the records are changed and nothing else, and when every hash behind them is
/// computed anew.
fn verdicts(log: Log) -> (Option<Check>, Option<Check>) {
    let notes = [log.signed.clone()];
    let plain = first(&log.verified(hashes_only(), &notes));
    let relinked = first(&log.relinked().verified(hashes_only(), &notes));
    (plain, relinked)
}

#[tokio::test]
async fn swapped_records_are_found() {
    let log = Log::recorded().await;
    for at in 2..log.len() {
        let (plain, relinked) = verdicts(log.altered(|r| r.swap(at - 1, at)));
        assert_eq!(plain, Some(Check::Position), "{at}");
        assert_eq!(relinked, Some(Check::TreeRoot), "{at}");
    }
}

#[tokio::test]
async fn dropped_records_are_found() {
    let log = Log::recorded().await;
    let last = log.len() - 1;
    for at in 1..log.len() {
        let (plain, relinked) = verdicts(log.altered(|r| drop(r.remove(at))));
        // Without its last record a log is only shorter than what was signed.
        let expected = if at == last {
            Check::Coverage
        } else {
            Check::Position
        };
        assert_eq!(plain, Some(expected), "{at}");
        assert_eq!(relinked, Some(Check::Coverage), "{at}");
    }
}

#[tokio::test]
async fn doubled_records_are_found() {
    let log = Log::recorded().await;
    // The last one doubled is a record behind the signed ones; below.
    for at in 1..log.len() - 1 {
        let (plain, relinked) = verdicts(log.altered(|r| r.insert(at, r[at].clone())));
        assert_eq!(plain, Some(Check::Position), "{at}");
        assert_eq!(relinked, Some(Check::TreeRoot), "{at}");
    }
}

#[tokio::test]
async fn inserted_records_are_found() {
    let log = Log::recorded().await;
    let other = freshly_made(77).await;
    for at in 1..log.len() {
        let foreign = other.records[at].clone();
        let (plain, relinked) = verdicts(log.altered(|r| r.insert(at, foreign)));
        assert!(
            matches!(plain, Some(Check::Position | Check::Chain)),
            "{at}: {plain:?}"
        );
        assert_eq!(relinked, Some(Check::TreeRoot), "{at}");
    }
}

#[tokio::test]
async fn a_record_put_behind_the_signed_ones_is_not_said_to_be_signed() {
    let log = Log::recorded().await;
    let signed = log.beginning(log.len() - 1);
    let report = log.verified(options(), std::slice::from_ref(&signed.signed));
    assert!(report.verified, "{report:?}");
    assert_eq!(report.signed_size, signed.len() as u64);
    assert_eq!(report.to, log.len() as u64);
}
