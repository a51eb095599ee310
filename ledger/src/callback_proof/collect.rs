//! Reading a delivery's proof from the ledger.

use super::body::{CallbackProof, ProvenRecord, UnavailableProof};
use crate::checkpoints::SignedCheckpoint;
use crate::error::Error;
use crate::event::Event;
use crate::id::{DeliveryId, StreamId};
use crate::ledger::Ledger;
use crate::storage::{ReadError, StoredRecord};
use crate::tlog::InclusionProof;
use serde::Serialize;

/// The `proof` in a delivery's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum DeliveryProof {
    /// The proof.
    Proven(Box<CallbackProof>),
    /// Why there is none.
    Unavailable(UnavailableProof),
}

impl Ledger {
    /// The proof of a delivery whose `delivery.owed` stands at a position: under the newest checkpoint,
    /// or the newest witnessed one where that covers it already. Reads two records and few hashes.
    ///
    /// # Errors
    /// What keeps it from being read, and [`ReadError::Damaged`] when another event stands there.
    pub async fn prove_delivery(
        &self,
        delivery_id: DeliveryId,
        position: u64,
    ) -> Result<DeliveryProof, Error> {
        let owed = self.record(position).await?;
        let Some((_, payload)) = &owed.payload else {
            return Ok(unavailable(
                position,
                "what was to be sent has been erased from the ledger".to_owned(),
            ));
        };
        let header = &owed.header;
        let decoded = Event::decode(header.event_type, header.schema_version, payload);
        let (envelope, event) = decoded.map_err(|source| ReadError::Decode { position, source })?;
        let reported = match (event, envelope.cause) {
            (Event::DeliveryOwed(_), Some(cause))
                if header.stream_id == StreamId::from(delivery_id) =>
            {
                cause
            }
            _ => {
                let what = "it is not what made the delivery owed".to_owned();
                return Err(ReadError::Damaged { position, what }.into());
            }
        };
        let Some(checkpoint) = self.checkpoint_over(position) else {
            if self.checkpoints().is_none() {
                let why = "the service signs no checkpoints".to_owned();
                return Ok(unavailable(reported, why));
            }
            let why = format!(
                "no checkpoint covers the event yet; GET /v1/ledger/events?from={reported}&limit=1 \
                 and /v1/ledger/proof/inclusion?position={reported} give its parts once one does, \
                 to a bootstrap token with can_audit"
            );
            return Ok(unavailable(reported, why));
        };
        let reported = self.record(reported).await?;
        let proof = CallbackProof::new(
            self.proven(&reported, &checkpoint).await?,
            self.proven(&owed, &checkpoint).await?,
            checkpoint.note(),
        );
        Ok(DeliveryProof::Proven(Box::new(proof)))
    }

    fn checkpoint_over(&self, position: u64) -> Option<std::sync::Arc<SignedCheckpoint>> {
        let checkpoints = self.checkpoints()?;
        [checkpoints.witnessed(), checkpoints.newest()]
            .into_iter()
            .flatten()
            .find(|checkpoint| checkpoint.size() > position)
    }

    async fn record(&self, position: u64) -> Result<StoredRecord, Error> {
        let found = self.log().records_within(position, 1, u64::MAX).await?;
        let found = found.into_iter().next();
        let found = found.filter(|record| record.header.position == position);
        let record = found.ok_or_else(|| ReadError::Damaged {
            position,
            what: "it is missing".to_owned(),
        })?;
        // Only an erasure takes a payload away: without one, nobody is told that it was erased.
        record.content()?;
        Ok(record)
    }

    async fn proven(
        &self,
        record: &StoredRecord,
        checkpoint: &SignedCheckpoint,
    ) -> Result<ProvenRecord, Error> {
        let lookup = InclusionProof::lookup(record.header.position, checkpoint.size())?;
        let proof = self.log().compute(lookup).await?;
        let stored = record.payload.as_ref();
        let stored = stored.map(|(salt, payload)| (salt, payload.as_slice()));
        Ok(ProvenRecord::new(&record.header, stored, &proof))
    }
}

const fn unavailable(position: u64, why: String) -> DeliveryProof {
    DeliveryProof::Unavailable(UnavailableProof {
        position,
        unavailable: why,
    })
}
