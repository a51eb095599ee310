//! Reads, once for each approval, what its operations would change, so that the approver sees it.

use crate::error::Error;
use crate::in_flight::InFlight;
use crate::recording::Recorder;
use crate::supervisor::WorkersConfig;
use crate::tail_queue::TailQueue;
use crate::upstream::{Upstreams, bounded, unread};
use crate::worker::{Signals, Worker, paced};
use ledger::aggregate::{Apply, Approval, ApprovalState};
use ledger::command::{ReadAgain, RecordPreState};
use ledger::event::{PreState, ZoneNameRead, ZoneRead};
use ledger::operation::{Operation, Scope};
use ledger::{ApprovalId, Event, Ledger, Recorded};
use projections::{Projection, Projections};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How many approvals are read for at a time, from upstream and where there is nothing to be read.
const AT_A_TIME: usize = 8;
const SIMULATED_AT_A_TIME: usize = 64;
/// How long reading for one approval may take in all; what was not read by then is unavailable.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most that is recorded for one approval, in bytes of JSON.
const MOST_BYTES: usize = 512 * 1024;
/// Why nothing was read in the end.
const LATE: &str = "upstream did not answer in time";

/// Takes pending approvals that nobody has read for yet.
pub(crate) struct PreStateReader {
    recorder: Recorder,
    projections: Projections,
    upstreams: Upstreams,
    approvals: InFlight<ApprovalId>,
}

impl PreStateReader {
    pub(crate) fn new(config: &WorkersConfig, ledger: &Ledger, projections: &Projections) -> Self {
        Self {
            recorder: Recorder::new(ledger.clone(), Self::NAME),
            projections: projections.clone(),
            upstreams: config.upstreams.clone(),
            approvals: InFlight::new(match config.upstreams.are_simulated() {
                true => SIMULATED_AT_A_TIME,
                false => AT_A_TIME,
            }),
        }
    }

    /// Takes what the read table shows and nobody reads for; whether there may be more than could be
    /// taken.
    async fn take(&mut self) -> Result<bool, Error> {
        let limit = self.approvals.held() + 2 * self.approvals.room();
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let found = self.projections.approvals_without_pre_state(limit).await?;
        let is_whole = u32::try_from(found.len()).is_ok_and(|found| found < limit);
        for approval_id in found {
            if self.approvals.room() == 0 {
                return Ok(true);
            }
            self.spawn(approval_id);
        }
        Ok(!is_whole)
    }

    /// Takes what the log tells of, as far as there is room.
    async fn take_newest(&mut self, newest: &mut TailQueue<ApprovalId>) {
        newest.take_in().await;
        while self.approvals.room() > 0
            && let Some(approval_id) = newest.pop()
        {
            self.spawn(approval_id);
        }
    }

    /// Begins, unless it is being read for or rests after a failure.
    fn spawn(&mut self, approval_id: ApprovalId) {
        if self.approvals.is_free(&approval_id) {
            let reading = Reading {
                recorder: self.recorder.clone(),
                upstreams: self.upstreams.clone(),
                approval_id,
                failures: self.approvals.failures(&approval_id),
            };
            self.approvals.spawn(approval_id, reading.run());
        }
    }
}

/// The approval that is to be read for from that event on.
fn asks(recorded: &Recorded) -> Option<ApprovalId> {
    let asks = matches!(recorded.event, Event::ApprovalRequested(_));
    asks.then(|| ApprovalId::from(recorded.stream_id()))
}

impl Worker for PreStateReader {
    const NAME: &'static str = "pre_state_reader";
    const READS: &'static [Projection] = &[Projection::Tasks];

    async fn run(&mut self, signals: &Signals) -> Result<(), Error> {
        self.approvals.abort().await;
        let mut progress = self.projections.progress(Projection::Tasks);
        // Taken before the table is asked: from there on the log tells.
        let mut newest = TailQueue::from(self.recorder.ledger(), *progress.borrow(), asks);
        let mut look = true;
        let mut backlog = false;
        loop {
            let looked = Instant::now();
            if look {
                let cursor = *progress.borrow_and_update();
                backlog = self.take().await?;
                if !backlog {
                    newest.was_asked(cursor);
                }
            }
            self.take_newest(&mut newest).await;
            signals.pulse.beat();
            self.approvals.measure(Self::NAME);
            newest.measure(Self::NAME);
            let has_room = self.approvals.room() > 0;
            let asks_table = has_room && (backlog || newest.has_gap());
            look = tokio::select! {
                () = signals.stop.cancelled() => break,
                changed = paced(&mut progress, looked), if asks_table => {
                    changed?;
                    true
                }
                change = self.approvals.changed() => {
                    let retry = change.has_rested;
                    if !change.failed.is_empty() {
                        newest.gives_back();
                    }
                    signals.note(Self::NAME, change.failed)?;
                    // What was passed over is older than what waits.
                    retry || newest.has_gap()
                }
                () = newest.grown() => false,
            };
        }
        // Reading changes nothing: the next start reads again.
        self.approvals.abort().await;
        Ok(())
    }
}

struct Reading {
    recorder: Recorder,
    upstreams: Upstreams,
    approval_id: ApprovalId,
    failures: u32,
}

impl Reading {
    async fn run(self) -> Result<(), Error> {
        let ledger = self.recorder.ledger();
        let Some(approval) = ledger.load::<Approval>(self.approval_id).await? else {
            return Ok(());
        };
        let is_pending = approval.state_at(ledger.now()) == ApprovalState::Pending;
        if approval.pre_state.is_some() || !is_pending {
            return Ok(());
        }
        let Some(asked) = approval.apply() else {
            return Ok(());
        };
        let Some(apply) = ledger.load::<Apply>(asked.apply_id).await? else {
            return Ok(());
        };
        let read = self.read(&apply).await;
        let record = RecordPreState {
            approval_id: self.approval_id,
            operations: read.operations,
            zones: read.zones.recorded(),
        };
        match self.recorder.record(record).await {
            Ok(()) | Err(ledger::Error::Rejected(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// One state for each operation of the apply, whatever happens.
    async fn read(&self, apply: &Apply) -> Read {
        let unavailable = |why: &str| Read {
            operations: vec![PreState::Unavailable(why.to_owned()); apply.operations.len()],
            zones: Zones::default(),
        };
        let operations = match self.upstreams.read_operations(apply) {
            Ok(operations) if operations.len() == apply.operations.len() => operations,
            Ok(_) => return unavailable("the submission holds another number of operations"),
            Err(why) => return unavailable(&why),
        };
        if !self.upstreams.carry(apply) {
            return Read::simulated(&operations);
        }
        if self.failures > 0 {
            return unavailable("reading it failed; see the service's log");
        }
        Read::upstream(&self.upstreams, &operations).await
    }
}

/// The state where nothing reads upstream: none where nothing could be read of the operation anyway.
fn unread_state(operation: &Operation) -> PreState {
    match operation.reads_state() {
        true => PreState::Unavailable(unread(operation)),
        false => PreState::NotApplicable,
    }
}

/// What stands upstream where operations change something.
struct Read {
    operations: Vec<PreState>,
    zones: Zones,
}

/// Reads it again, before the operations are sent, in the words in which it was read for their approval.
pub(crate) async fn read_again(upstreams: &Upstreams, operations: &[Operation]) -> ReadAgain {
    let read = Read::upstream(upstreams, operations).await;
    ReadAgain {
        operations: read.operations,
        zones: read.zones.recorded(),
    }
}

impl Read {
    fn simulated(operations: &[Operation]) -> Self {
        let mut zones = Zones::default();
        for operation in operations {
            zones.put(operation, || Err(unread(operation)));
        }
        let states = operations.iter().map(unread_state);
        Self {
            operations: states.collect(),
            zones,
        }
    }

    async fn upstream(upstreams: &Upstreams, operations: &[Operation]) -> Self {
        let until = Instant::now() + PATIENCE;
        let mut zones = Zones::default();
        let mut bytes = 0;
        let mut states = Vec::with_capacity(operations.len());
        for operation in operations {
            let Some(client) = upstreams.of(operation) else {
                states.push(unread_state(operation));
                continue;
            };
            if zones.lacks(operation)
                && let Some(name) = timeout_at(until, client.name_for_people(&operation.scope))
                    .await
                    .unwrap_or_else(|_| Some(Err(LATE.to_owned())))
            {
                zones.put(operation, || name);
            }
            let name = zones.of(operation);
            let read = timeout_at(until, client.read_pre_state(operation, name)).await;
            states.push(match read {
                Ok(PreState::Found(text)) => {
                    let room = MOST_BYTES.saturating_sub(bytes);
                    bytes += text.len();
                    bounded(text, room)
                }
                Ok(state) => state,
                Err(_) => PreState::Unavailable(LATE.to_owned()),
            });
        }
        Self {
            operations: states,
            zones,
        }
    }
}

/// The names of what an apply acts on, in the order in which it names them.
#[derive(Default)]
struct Zones(Vec<(Scope, Result<String, String>)>);

impl Zones {
    fn find(&self, operation: &Operation) -> Option<&Result<String, String>> {
        let mut zones = self.0.iter();
        zones
            .find(|(scope, _)| *scope == operation.scope)
            .map(|(_, name)| name)
    }

    fn lacks(&self, operation: &Operation) -> bool {
        let provider = operation.provider();
        provider.is_known_by_name(operation.scope.scope_type) && self.find(operation).is_none()
    }

    fn put(&mut self, operation: &Operation, name: impl FnOnce() -> Result<String, String>) {
        if self.lacks(operation) {
            self.0.push((operation.scope.clone(), name()));
        }
    }

    fn of(&self, operation: &Operation) -> Result<&str, &str> {
        match self.find(operation) {
            Some(name) => name.as_deref().map_err(String::as_str),
            None => Err("it has no name"),
        }
    }

    fn recorded(self) -> Vec<ZoneRead> {
        let zones = self.0.into_iter();
        zones
            .map(|(scope, name)| ZoneRead {
                zone_id: ZoneRead::id_of(&scope),
                name: match name {
                    Ok(name) => ZoneNameRead::Known(name),
                    Err(why) => ZoneNameRead::Unavailable(why),
                },
            })
            .collect()
    }
}
