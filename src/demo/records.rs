//! What is left of it all: the ledger, event by event.

use super::stage::Stage;
use super::teller::Teller;
use anyhow::Context;
use ledger::describe::{self, Topic};
use ledger::event::AggregateKind;
use ledger::{Actor, Event, Log as _, Recorded};
use ledger_sqlite::Reader;
use std::time::Duration;

/// More events than the demo makes.
const MOST: u32 = 10_000;

/// The most characters of a text.
const MOST_CHARS: usize = 400;

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
            &describe::line(&event.event, &Topic::default(), MOST_CHARS),
        )?;
    }
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
        Actor::User { .. } => "user",
        Actor::AgentKey { name, .. } => name,
        Actor::Service { .. } => "service token",
    }
}

/// The whole ledger, once every delivery that is owed has ended.
async fn all_delivered(reader: &Reader) -> anyhow::Result<Vec<Recorded>> {
    loop {
        let events = reader.events_from(0, MOST).await?;
        let count =
            |wanted: fn(&Event) -> bool| events.iter().filter(|event| wanted(&event.event)).count();
        let owed = count(|event| {
            let kind = event.kind().map(|kind| kind.aggregate);
            event.begins() && kind == Some(AggregateKind::Delivery)
        });
        let ended = count(|event| matches!(event, Event::AttemptEnded(_)));
        if ended >= owed {
            return Ok(events);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
