//! Clearances: decisions that are kept.

use super::{Act, Change, Describe, Facts, Reference, Severity, Topic};
use crate::event::{ClearanceEnd, ClearanceEnded, ClearanceMade};
use crate::retention::{Binding, Breadth};
use crate::statement::Decision;

impl Describe for ClearanceMade {
    fn text(&self, _: &Topic) -> String {
        let decision = match self.decision {
            Decision::Approve => "approval",
            Decision::Deny => "denial",
        };
        let breadth = match self.breadth {
            Breadth::Exact => "exactly these operations",
            Breadth::Scope => "these operations with any params",
        };
        let binding = match (self.binding, self.decision) {
            (Binding::Task, _) => "in this task",
            (Binding::Agent, Decision::Deny) => "in any task of the agent",
            (Binding::Agent, Decision::Approve) => {
                "in any task of the agent with the same subject or key"
            }
        };
        let time = match (self.until, self.binding) {
            (Some(until), _) => format!("until {until}"),
            (None, Binding::Task) => "until the task closes".to_owned(),
            (None, Binding::Agent) => "without an end".to_owned(),
        };
        let approval = self.approval_id;
        format!("{decision} {approval} kept {time} for {breadth} {binding}")
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::of(0, Act::own(Change::Created, "clearance")).severity(Severity::Low)
    }

    fn rests_on(&self) -> Vec<Reference> {
        vec![Reference::Beginning(self.approval_id.into())]
    }
}

impl Describe for ClearanceEnded {
    fn text(&self, _: &Topic) -> String {
        match self.reason {
            ClearanceEnd::Ended => "clearance ended".to_owned(),
        }
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::of(0, Act::own(Change::Deleted, "clearance")).severity(Severity::Low)
    }
}
