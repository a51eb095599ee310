//! What is left of it all: the ledger, read as an auditor would, from its file.

use super::stage::Stage;
use super::teller::Teller;
use crate::chain::check_chain;
use anyhow::{Context, ensure};
use ledger::aggregate::{Approval, fold};
use ledger::event::ApprovalDecided;
use ledger::{
    Actor, Assertion, Decision, Event, Expectation, LedgerId, PublicKey, Reader, Recorded,
    verify_assertion,
};
use projections::summary;
use std::time::Duration;

/// More events than the demo makes.
const MOST: u32 = 10_000;

/// How long the last deliveries may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at whether they have ended.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn tell(stage: &Stage, teller: &mut Teller) -> anyhow::Result<()> {
    let reader = Reader::open(&stage.config.storage.ledger_url()).await?;
    let events = tokio::time::timeout(PATIENCE, all_delivered(&reader))
        .await
        .context("not every delivery came to its end")??;
    teller.heading("What the ledger tells, from its first event")?;
    for event in &events {
        teller.event(
            event.position(),
            who(&event.envelope.actor),
            &summary(&event.event),
        )?;
    }
    teller.heading("What an auditor can check without trusting the service")?;
    let checked = check_chain(&reader, |_| ()).await?;
    ensure!(
        checked.size >= u64::try_from(events.len())?,
        "the ledger became shorter"
    );
    let head: String = checked.head.to_string().chars().take(16).collect();
    teller.seen(&format!(
        "{} records, each follows from the one before it; head hash {head}…",
        checked.size
    ))?;
    let proven = check_decisions(stage, &reader, checked.ledger_id, &events).await?;
    ensure!(proven == 2, "{proven} decisions instead of two");
    teller.seen("both decisions were signed by Alice's passkey: her public key alone proves it")?;
    Ok(())
}

/// Who acted, as short as it can be said.
fn who(actor: &Actor) -> &str {
    match actor {
        Actor::System { component } => component,
        Actor::Agent { agent, .. } => agent,
        Actor::Administrator { .. } => "administrator",
        Actor::Approver { principal, .. } => principal,
        Actor::Operator { .. } => "operator",
    }
}

/// The whole ledger, once every delivery that is owed has ended.
async fn all_delivered(reader: &Reader) -> anyhow::Result<Vec<Recorded>> {
    loop {
        let events = reader.events_from(0, MOST).await?;
        let count =
            |wanted: fn(&Event) -> bool| events.iter().filter(|event| wanted(&event.event)).count();
        let owed = count(|event| matches!(event, Event::DeliveryOwed(_)));
        let ended = count(|event| matches!(event, Event::AttemptEnded(_)));
        if ended >= owed {
            return Ok(events);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn check_decisions(
    stage: &Stage,
    reader: &Reader,
    ledger_id: LedgerId,
    events: &[Recorded],
) -> anyhow::Result<u32> {
    let key = stage.alice.public_key();
    let mut proven = 0;
    for event in events {
        let (decision, decided) = match &event.event {
            Event::ApprovalApproved(decided) => (Decision::Approve, &decided.0),
            Event::ApprovalDenied(decided) => (Decision::Deny, &decided.0),
            _ => continue,
        };
        let stream = reader.stream(event.stream_id()).await?;
        let approval = fold::<Approval>(
            stream
                .iter()
                .map(|event| (&event.event, event.recorded_at())),
        )
        .context("a decision without its approval")?;
        prove(&key, ledger_id, &approval, decision, decided)?;
        proven += 1;
    }
    Ok(proven)
}

fn prove(
    key: &PublicKey,
    ledger_id: LedgerId,
    approval: &Approval,
    decision: Decision,
    decided: &ApprovalDecided,
) -> anyhow::Result<()> {
    let statement = approval.statement(ledger_id, decision, decided.reason.as_deref());
    ensure!(
        statement.canonical_bytes() == decided.statement.as_bytes(),
        "the recorded statement is about something else"
    );
    let assertion = Assertion {
        credential_id: decided.credential_id.as_slice().to_vec(),
        client_data_json: decided.client_data_json.as_slice().to_vec(),
        authenticator_data: decided.authenticator_data.as_slice().to_vec(),
        signature: decided.signature.as_slice().to_vec(),
        user_handle: None,
    };
    let expectation = Expectation {
        credential_id: decided.credential_id.as_slice(),
        rp_id: &decided.rp_id,
        origin: &decided.origin,
        challenge_binds: &statement,
    };
    verify_assertion(key, &assertion, &expectation).context("a decision is not proven")?;
    Ok(())
}
