//! What must hold of every ledger at every moment: one place, used by many scenarios.

use fixtures::test_ledger::TestLedger;
use ledger::aggregate::{
    Agent, Aggregate, Apply, Approval, ApprovalState, Approver, Delivery, Group, Key, Session,
    Task, Template, UpstreamKey, User, fold,
};
use ledger::tlog::{Frontier, record_leaf};
use ledger::{Event, Recorded, Stored, StreamId, genesis_hash};
use sqlx::Row as _;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Debug;

/// Chain, versions, causes, states in memory and lookup tables, all against the file.
pub(crate) async fn check(ledger: &TestLedger) {
    let events = ledger.log().events_from(0, 100_000).await.unwrap();
    assert_eq!(events.len() as u64, *ledger.size().borrow());
    chain(ledger, &events);
    tree(ledger, &events).await;
    once(&events);
    states(ledger, &events).await;
    ledger.file().await.verify_lookups().await.unwrap();
    ledger.file().await.verify_erasures().await.unwrap();
    open_streams(ledger, &events).await;
    let audit = fixtures::history::History::read(ledger.path()).verify();
    assert!(audit.verified, "{audit}");
}

/// The stored tree against one that is grown from the headers.
async fn tree(ledger: &TestLedger, events: &[Recorded]) {
    let mut grown = Frontier::empty();
    for recorded in events {
        let leaf = record_leaf(&recorded.header);
        grown.append(leaf, &mut Vec::new()).unwrap();
    }
    let stored = Frontier::lookup(grown.size()).unwrap();
    assert_eq!(ledger.log().compute(stored).await.unwrap(), grown);
    let beyond = Frontier::lookup(grown.size() + 1).unwrap();
    assert!(ledger.log().compute(beyond).await.is_err());
}

/// The table of open streams against the states themselves: authorised applies that have not ended,
/// approvals that are pending or approved; of those that are not about an apply, the pending ones.
async fn open_streams(ledger: &TestLedger, events: &[Recorded]) {
    let mut expected = BTreeSet::new();
    for recorded in events {
        let stream = recorded.stream_id();
        let is_open = match &recorded.event {
            Event::ApplyAccepted(_) => {
                let apply = ledger.load::<Apply>(stream.into()).await.unwrap();
                apply.unwrap().is_running()
            }
            Event::ApprovalRequested(_) => {
                let approval = ledger.load::<Approval>(stream.into()).await.unwrap();
                let state = approval.unwrap().state;
                matches!(state, ApprovalState::Pending | ApprovalState::Approved)
            }
            Event::ApprovalAsked(_) => {
                let approval = ledger.load::<Approval>(stream.into()).await.unwrap();
                approval.unwrap().state == ApprovalState::Pending
            }
            _ => continue,
        };
        if is_open {
            expected.insert(stream.as_bytes().to_vec());
        }
    }
    let mut connection = crate::store::foreign(ledger.path()).await;
    let rows = sqlx::query("SELECT stream_id FROM open_streams")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let found: BTreeSet<Vec<u8>> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(found, expected);
    assert_eq!(found.len(), rows.len());
}

fn chain(ledger: &TestLedger, events: &[Recorded]) {
    let mut hash = genesis_hash(ledger.id());
    let mut versions: HashMap<StreamId, u64> = HashMap::new();
    let mut newest = events[0].recorded_at();
    for (position, recorded) in events.iter().enumerate() {
        let header = &recorded.header;
        assert_eq!(header.position, position as u64);
        assert_eq!(header.prev_hash, hash, "the link at {position}");
        hash = header.record_hash();
        let version = versions.entry(header.stream_id).or_default();
        assert_eq!(header.stream_version, *version, "the version at {position}");
        *version += 1;
        assert!(header.recorded_at >= newest, "time goes back at {position}");
        newest = header.recorded_at;
        if let Some(cause) = recorded.envelope.cause {
            assert!(cause < header.position, "{position} is caused by {cause}");
        }
    }
}

/// What may happen once only.
fn once(events: &[Recorded]) {
    let mut seen = HashSet::new();
    let ids: HashSet<_> = events.iter().map(Recorded::event_id).collect();
    assert_eq!(ids.len(), events.len(), "event ids are unique");
    for recorded in events {
        let stream = recorded.stream_id();
        let what = match &recorded.event {
            Event::ApprovalConsumed(_) => "consumed".to_owned(),
            Event::ApprovalReleased(_) => {
                assert!(seen.remove(&(stream, "consumed".to_owned())));
                continue;
            }
            Event::ApprovalApproved(_) | Event::ApprovalDenied(_) => "decided".to_owned(),
            Event::ApplyEnded(_) => "ended".to_owned(),
            Event::ApplyAuthorised(_) => "authorised".to_owned(),
            Event::OperationStarted(started) => format!("started {}", started.index),
            Event::OperationEnded(ended) => format!("ended {}", ended.index),
            Event::TaskClosed(_) => "closed".to_owned(),
            _ => continue,
        };
        assert!(
            seen.insert((stream, what.clone())),
            "{what} twice in {stream}"
        );
    }
}

async fn states(ledger: &TestLedger, events: &[Recorded]) {
    let mut streams: BTreeMap<StreamId, Vec<&Recorded>> = BTreeMap::new();
    for recorded in events {
        streams
            .entry(recorded.stream_id())
            .or_default()
            .push(recorded);
    }
    for (stream, events) in streams {
        match &events[0].event {
            Event::TaskCreated(_) => same::<Task>(ledger, stream, &events).await,
            Event::ApplyAccepted(_) => same::<Apply>(ledger, stream, &events).await,
            Event::ApprovalRequested(_) => same::<Approval>(ledger, stream, &events).await,
            Event::AgentRegistered(_) => same::<Agent>(ledger, stream, &events).await,
            Event::ApproverRegistered(_) => same::<Approver>(ledger, stream, &events).await,
            Event::KeyCreated(_) => same::<Key>(ledger, stream, &events).await,
            Event::TemplateCreated(_) => same::<Template>(ledger, stream, &events).await,
            Event::DeliveryOwed(_) => same::<Delivery>(ledger, stream, &events).await,
            Event::UserCreated(_) => same::<User>(ledger, stream, &events).await,
            Event::GroupCreated(_) => same::<Group>(ledger, stream, &events).await,
            Event::SessionOpened(_) => same::<Session>(ledger, stream, &events).await,
            Event::UpstreamKeyStored(_) => same::<UpstreamKey>(ledger, stream, &events).await,
            _ => {}
        }
    }
}

async fn same<A: Stored + Aggregate + Debug + PartialEq>(
    ledger: &TestLedger,
    stream: StreamId,
    events: &[&Recorded],
) {
    let folded: Option<A> = fold(events.iter().map(|r| (&r.event, r.recorded_at())));
    let kept = ledger.load::<A>(stream.into()).await.unwrap();
    assert_eq!(kept.as_deref(), folded.as_ref(), "{stream}");
}
