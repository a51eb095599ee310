//! Carries out what was authorised, as the real executor would: intent, effect, outcome.

use ledger::aggregate::Apply;
use ledger::command::{EndOperation, OperationStart, StartOperation};
use ledger::event::OperationOutcome;
use ledger::{ApplyId, Event, Ledger, Origin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// What upstream does with the operation of an index.
type Upstream = Box<dyn Fn(usize) -> OperationOutcome + Send>;

pub(super) struct Executor {
    upstream: Arc<Mutex<Upstream>>,
    simulates: Arc<AtomicBool>,
    open: watch::Sender<bool>,
}

impl Executor {
    pub(super) fn start(ledger: Ledger) -> Self {
        let fine: Upstream = Box::new(|_| succeeded());
        let upstream = Arc::new(Mutex::new(fine));
        let simulates = Arc::new(AtomicBool::new(false));
        let open = watch::Sender::new(true);
        let world = (Arc::clone(&upstream), Arc::clone(&simulates));
        tokio::spawn(follow(ledger, world, open.subscribe()));
        Self {
            upstream,
            simulates,
            open,
        }
    }

    /// From here on upstream answers like this.
    pub(super) fn answers(&self, upstream: impl Fn(usize) -> OperationOutcome + Send + 'static) {
        *self.upstream.lock().unwrap() = Box::new(upstream);
    }

    /// From here on nothing is sent upstream.
    pub(super) fn simulates(&self) {
        self.simulates.store(true, Ordering::Relaxed);
    }

    /// Nothing is carried out until [`Self::release`].
    pub(super) fn hold(&self) {
        self.open.send_replace(false);
    }

    /// Upstream does one operation, and nothing after it until [`Self::release`].
    pub(super) fn holds_after_one(&self) {
        let open = self.open.clone();
        self.answers(move |_| {
            open.send_replace(false);
            succeeded()
        });
    }

    pub(super) fn release(&self) {
        self.open.send_replace(true);
    }
}

pub(super) fn succeeded() -> OperationOutcome {
    OperationOutcome::Succeeded {
        http_status: Some(200),
        request_id: Some("ray-1".into()),
        result: "{\"id\":\"r1\"}".into(),
    }
}

pub(super) fn failed() -> OperationOutcome {
    OperationOutcome::Failed {
        http_status: Some(400),
        request_id: Some("ray-2".into()),
        code: "upstream_refused".into(),
        message: "the record exists".into(),
        errors: "[{\"code\":81057}]".into(),
    }
}

pub(super) fn unknown() -> OperationOutcome {
    OperationOutcome::Unknown {
        why: "the connection broke".into(),
    }
}

async fn follow(
    ledger: Ledger,
    (upstream, simulates): (Arc<Mutex<Upstream>>, Arc<AtomicBool>),
    mut open: watch::Receiver<bool>,
) {
    let mut size = ledger.size();
    let mut next = 0;
    loop {
        for recorded in ledger.events_from(next, 1_000).await.unwrap() {
            next = recorded.header.position + 1;
            let stream = recorded.header.stream_id;
            let authorised = match &recorded.event {
                Event::ApplyAccepted(accepted) => accepted.authorisation.runs_at_once(),
                Event::ApplyAuthorised(_) => true,
                _ => false,
            };
            if authorised {
                carry_out(&ledger, &upstream, &simulates, &mut open, stream.into()).await;
            }
        }
        if size.changed().await.is_err() {
            return;
        }
    }
}

async fn carry_out(
    ledger: &Ledger,
    upstream: &Mutex<Upstream>,
    simulates: &AtomicBool,
    open: &mut watch::Receiver<bool>,
    apply_id: ApplyId,
) {
    let operations = ledger
        .load::<Apply>(apply_id)
        .await
        .unwrap()
        .unwrap()
        .operations
        .len();
    for index in 0..operations {
        open.wait_for(|open| *open).await.unwrap();
        let simulated = simulates.load(Ordering::Relaxed);
        let start = StartOperation {
            apply_id,
            index,
            simulated,
            method: "POST".into(),
            path: "/zones/z1/dns_records".into(),
            body_digest: None,
            read_before: Default::default(),
            read_again: None,
        };
        let origin = || Origin::system("executor");
        if ledger.execute(origin(), start).await.unwrap() != OperationStart::Go {
            return;
        }
        let outcome = upstream.lock().unwrap()(index);
        let succeeded = matches!(outcome, OperationOutcome::Succeeded { .. });
        let duration = Duration::from_millis(1);
        let end = EndOperation {
            apply_id,
            index,
            outcome,
            reconciled: false,
            duration,
            evidence: Default::default(),
        };
        ledger.execute(origin(), end).await.unwrap();
        if !succeeded {
            return;
        }
    }
}
