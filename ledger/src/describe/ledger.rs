//! Events of the ledger itself.

use super::{Act, Change, Describe, Facts, Severity, Status, Topic, counted, number, wrote};
use crate::event::{ErasedPayload, LedgerAccepted, LedgerCreated, LedgerErased, LedgerForked};

impl Describe for LedgerCreated {
    fn text(&self, _: &Topic) -> String {
        format!("ledger {} begins", self.ledger_id)
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::created(0, "ledger")
    }
}

impl Describe for LedgerForked {
    fn text(&self, topic: &Topic) -> String {
        format!(
            "goes on as {} from a backup with {}; {} had signed {}: {}",
            self.new_origin,
            counted(self.forked_at, "event"),
            self.old_origin,
            self.old_size,
            wrote(&self.reason, topic)
        )
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::updated(0, "ledger").severity(Severity::High);
        facts.detail("forked").comment(Some(&self.reason))
    }
}

impl Describe for LedgerAccepted {
    fn text(&self, topic: &Topic) -> String {
        format!(
            "takes the ledger of {} as it is, because {}: {}",
            counted(self.size, "event"),
            self.unproven,
            wrote(&self.reason, topic)
        )
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::updated(0, "ledger").severity(Severity::High);
        let facts = facts.detail("accepted without proof");
        facts.comment(Some(&self.reason))
    }
}

impl Describe for LedgerErased {
    fn text(&self, topic: &Topic) -> String {
        format!(
            "{} {} erased, {} in {}: {}",
            self.subject.kind().as_str(),
            self.subject.stream(),
            counted(self.count(), "payload"),
            number(self.streams.len(), "stream"),
            wrote(&self.reason, topic)
        )
    }

    fn facts(&self, _: &Topic) -> Facts {
        let (kind, stream) = (self.subject.kind().as_str(), self.subject.stream());
        let facts = Facts::of(0, Act::managed(Change::Deleted, kind, stream));
        let facts = facts.severity(Severity::Medium).detail("payloads erased");
        facts.comment(Some(&self.reason))
    }
}

impl Describe for ErasedPayload {
    fn text(&self, _: &Topic) -> String {
        format!("erased by the event at position {}", self.erased_by)
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::of(1, Act::own(Change::Unknown, "erased"));
        facts
            .status(Status::Unknown)
            .detail("its payload was erased")
    }
}
