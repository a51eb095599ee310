//! Schedules.

use super::{Act, Change, Describe, Facts, Reference, Severity, Topic, number};
use crate::event::{
    MissReason, ScheduleAsked, ScheduleDeleted, ScheduleFired, ScheduleMissed, SchedulePut,
};

impl Describe for SchedulePut {
    fn text(&self, topic: &Topic) -> String {
        let mut text = format!("schedule {} put", self.name);
        if !self.enabled {
            text.push_str(", paused");
        }
        if topic.detailed {
            let terms = &self.terms;
            text = format!(
                "{text}: {} in {}, misfire {}",
                terms.cron,
                terms.zone,
                terms.misfire.as_str()
            );
        }
        text
    }

    fn facts(&self, _: &Topic) -> Facts {
        let act = Act::Managed {
            change: match self.replaces {
                Some(_) => Change::Updated,
                None => Change::Created,
            },
            kind: "schedule",
            id: None,
            name: Some(self.name.to_string()),
        };
        Facts::of(0, act).severity(Severity::Medium)
    }

    fn rests_on(&self) -> Vec<Reference> {
        vec![Reference::Beginning(self.agent_id.into())]
    }
}

impl Describe for ScheduleFired {
    fn text(&self, _: &Topic) -> String {
        format!("schedule fired for {}", self.nominal)
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(0, "schedule")
    }
}

impl Describe for ScheduleMissed {
    fn text(&self, _: &Topic) -> String {
        let why = match &self.why {
            MissReason::Late => "their time had passed".to_owned(),
            MissReason::Overlap { apply_id } => {
                format!("apply {apply_id} of the firing before had not ended")
            }
            MissReason::Refused { code, .. } => format!("refused: {code}"),
        };
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        let firings = number(count, "firing");
        format!(
            "{firings} missed from {} to {}: {why}",
            self.first, self.last
        )
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(0, "schedule").severity(Severity::Low)
    }
}

impl Describe for ScheduleAsked {
    fn text(&self, _: &Topic) -> String {
        let approval = self.approval_id;
        format!("schedule waits for approval {approval}")
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(0, "schedule")
    }

    fn rests_on(&self) -> Vec<Reference> {
        vec![Reference::Stream(self.approval_id.into())]
    }
}

impl Describe for ScheduleDeleted {
    fn text(&self, _: &Topic) -> String {
        "schedule deleted".to_owned()
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::of(0, Act::own(Change::Deleted, "schedule")).severity(Severity::Medium)
    }
}
