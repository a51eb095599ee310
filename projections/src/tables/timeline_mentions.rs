//! `timeline_mentions`: the events that concern a person, who may be one of several.

use crate::error::Error;
use crate::store::{Appended, Spec, Stored, Table, row};
use crate::tables::fold::{Folding, parts};
use crate::tables::timeline_topics::{self, TopicRow};
use ledger::event::{Actor, LedgerErased};
use ledger::{ApproverName, Event, UserId};
use std::collections::BTreeSet;

const SPEC: Spec = Spec {
    name: "timeline_mentions",
    revision: 1,
    definition: "(
    -- Events that concern a person, one row for each of them: approver:NAME, user:ID.
    topic    TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (topic, position)
) STRICT, WITHOUT ROWID",
    indexes: &[("timeline_mentions_in_order", "(position)")],
    fold_indexes: &[],
};

row! {
    pub(crate) struct MentionRow in SPEC, key (topic: String = "topic", position: u64 = "position") {
        topic: String,
        position: u64,
    }
}

parts!(Parts: Table<TopicRow>, Appended<MentionRow>);

/// The topic of what concerns an approver.
pub(super) fn of_approver(principal: &ApproverName) -> String {
    format!("approver:{principal}")
}

/// The topic of what a user did, and of what was done to it.
pub(super) fn of_user(user: UserId) -> String {
    format!("user:{user}")
}

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let topic = timeline_topics::topic(folding)?;
    let recorded = folding.recorded;
    let mut mentioned: BTreeSet<String> = topic.approver.iter().map(of_approver).collect();
    mentioned.extend(topic.user_id.map(of_user));
    match &recorded.envelope.actor {
        Actor::Approver { principal, .. } => _ = mentioned.insert(of_approver(principal)),
        Actor::User { user_id, .. } => _ = mentioned.insert(of_user(*user_id)),
        _ => {}
    }
    match &recorded.event {
        Event::ApprovalRequested(asked) => {
            mentioned.extend(asked.approvers.iter().map(of_approver));
        }
        Event::ApprovalNarrowed(narrowed) => {
            mentioned.extend(narrowed.approvers.iter().map(of_approver));
        }
        event => {
            let decided = event.answer();
            mentioned.extend(decided.map(|(_, decided)| of_approver(&decided.principal)));
        }
    }
    let position = recorded.position();
    let mentions = folding.part::<Appended<MentionRow>>();
    for topic in mentioned {
        mentions.push(MentionRow { topic, position });
    }
    Ok(())
}

pub(crate) fn erase(stored: Stored<'_>, erased: &LedgerErased) -> Result<(), Error> {
    for range in &erased.positions {
        let [from, until] =
            [range.from, range.until].map(|at| i64::try_from(at).unwrap_or(i64::MAX));
        let statement = "DELETE FROM {} WHERE position >= ? AND position < ?";
        stored.erase(SPEC.name, statement, (from, until))?;
    }
    Ok(())
}
