//! Questions that are not about applies: what is asked is what the policy in force wants people for, and what was
//! approved is done by the same command, and nothing else.

use super::approvals::{KnownSubject, QuestionState};
use super::streams::State;
use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::finding::{Findings, Obstacle};
use crate::event::{Actor, ApprovalAsked, AskedSubject, PolicyChanged, PolicyProposal};
use crate::id::CommandId;
use crate::policy::{Excluded, Exclusion, PolicyDigest, Requirement};

/// The number of `approval.cancelled`, which who approves a change of the policy causes of the other changes.
pub(super) const CANCELLED: u16 = 36;

/// A change of the policy that the command of its approval is to make.
#[derive(Debug)]
pub(super) struct Changing {
    position: u64,
    command_id: CommandId,
    version: u64,
    digest: Option<PolicyDigest>,
    restores: Option<u64>,
}

impl History {
    pub(super) fn approval_asked(&mut self, now: &mut Now<'_>, asked: ApprovalAsked) {
        self.counts.approvals += 1;
        let stream = now.header.stream_id;
        now.expect(
            asked.approval_id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || {
                let id = asked.approval_id;
                format!("it begins approval {id} in stream {stream}")
            },
        );
        now.expect(now.at() < asked.expires_at, Check::Deadline, || {
            format!("it ended at {} before it was asked", asked.expires_at)
        });
        if let Some(ledger_id) = self.ledger_id {
            let fingerprint = asked.subject.fingerprint(ledger_id);
            now.expect(fingerprint == asked.fingerprint, Check::Fingerprint, || {
                format!(
                    "it has the fingerprint {}, its subject has {fingerprint}",
                    asked.fingerprint
                )
            });
        }
        self.asked_under(now, &asked);
        match &asked.subject {
            AskedSubject::PolicyChange(change) => self.change_asked(now, &asked, change),
            AskedSubject::Review(review) => self.review_asked(now, &asked, *review),
            AskedSubject::Schedule(proposal) => self.asked_about_schedule(now, &asked, proposal),
        }
        let question = QuestionState::of_besides(asked, now.at());
        self.streams
            .put(stream, State::Approval(Box::new(question)));
    }

    /// It names the policy that is in force.
    fn asked_under(&self, now: &mut Now<'_>, asked: &ApprovalAsked) {
        if self.is_policy_unseen() {
            return now.cannot(Check::Policy, Obstacle::BeforeRange);
        }
        let known = self.policies.in_force.as_ref();
        let known = known.map(|known| (known.version, known.digest));
        let named = asked.policy.as_ref();
        let named = named.map(|named| (named.version, named.digest));
        now.expect(known == named, Check::Policy, || {
            "it is asked by another policy than the one in force".to_owned()
        });
    }

    /// A change of the policy is asked as the policy in force wants it, and of others than its author.
    fn change_asked(&self, now: &mut Now<'_>, asked: &ApprovalAsked, change: &PolicyProposal) {
        self.is_document_sound(now, change.document.as_ref());
        if self.is_policy_unseen() {
            return;
        }
        let in_force = self.policies.in_force.as_ref();
        let replaces = in_force.map(|known| known.digest);
        let newest = self.policies.newest();
        let follows = (change.follows, change.replaces) == (newest, replaces);
        now.expect(follows, Check::Policy, || {
            format!(
                "it changes version {}, and version {newest} is the newest",
                change.follows
            )
        });
        let wanted = in_force.and_then(|known| known.policy.policy_change.as_ref());
        let author = match now.envelope.actor {
            Actor::User { user_id, .. } => Some(Excluded {
                user_id,
                why: Exclusion::Author,
            }),
            _ => None,
        };
        let required =
            wanted.map(|wanted| Requirement::besides(&wanted.needs, author.into_iter().collect()));
        let said = asked.policy.as_ref();
        let said = said.map(|said| said.requirement.get());
        now.expect(required.as_ref() == said, Check::Policy, || {
            "it is asked of others than the policy in force wants for a change, or of its author"
                .to_owned()
        });
    }

    /// Takes note of an approval that is not about an apply; its question is over.
    pub(super) fn besides_approved(&mut self, now: &Now<'_>) {
        let Some(State::Approval(question)) = self.streams.state(now.header.stream_id) else {
            return;
        };
        let KnownSubject::Besides(subject) = &question.subject else {
            return;
        };
        if let AskedSubject::PolicyChange(change) = &**subject {
            self.changing = Some(Changing {
                position: now.position(),
                command_id: now.envelope.command_id,
                version: change.follows.saturating_add(1),
                digest: change.document.as_ref().map(|document| document.digest),
                restores: change.restores,
            });
        }
    }

    /// Whether this command approved a change of the policy, which withdraws other questions.
    pub(super) fn is_changing(&self, now: &Now<'_>) -> bool {
        let command_id = now.envelope.command_id;
        self.changing
            .as_ref()
            .is_some_and(|changing| changing.command_id == command_id)
    }

    /// A change of the policy is one that was approved, or the policy before has nobody approve it.
    pub(super) fn change_is_permitted(&mut self, now: &mut Now<'_>, changed: &PolicyChanged) {
        let approved = self.changing.take();
        let is_approvers = matches!(now.envelope.actor, Actor::Approver { .. });
        let Some(approved) = approved else {
            if is_approvers && let Some(why) = self.unseen_before(now) {
                return now.cannot(Check::Policy, why);
            }
            now.expect(!is_approvers, Check::Policy, || {
                "an approver makes it, and has approved no change".to_owned()
            });
            let in_force = self.policies.in_force.as_ref();
            let wanted = in_force.and_then(|known| known.policy.policy_change.as_ref());
            let needs = wanted.map(|wanted| wanted.needs.clone());
            if changed.overrides.is_some() && self.is_policy_unseen() {
                return now.cannot(Check::Policy, Obstacle::BeforeRange);
            }
            if changed.overrides.is_some() {
                let by_operator = matches!(now.envelope.actor, Actor::Operator { .. });
                let Some(needs) = needs.filter(|_| by_operator) else {
                    let reason = "it says that it was made without people, and nobody wants them or its actor \
                                  has not the machine";
                    return now.wrong(Check::Policy, reason);
                };
                return self.too_few_are_left(now, &needs);
            }
            return now.expect(needs.is_none(), Check::Policy, || {
                "the policy before it has people approve a change, and nobody did".to_owned()
            });
        };
        let digest = changed.document.as_ref().map(|document| document.digest);
        let same = (changed.version, digest, changed.restores)
            == (approved.version, approved.digest, approved.restores)
            && changed.overrides.is_none();
        now.expect(same, Check::Policy, || {
            "it is another change than the one that was approved".to_owned()
        });
    }

    /// Before each event, and at the end (`None`): a change that another command has approved was made.
    pub(super) fn settle_changing(&mut self, next: Option<CommandId>, findings: &mut Findings) {
        let over = |changing: &mut Changing| next != Some(changing.command_id);
        let Some(changing) = self.changing.take_if(over) else {
            return;
        };
        let begun = (changing.position, changing.command_id);
        let reason = "it approves a change of the policy, which was not made";
        self.unfinished(begun, next, (Check::Policy, reason), findings);
    }
}
