//! Kept decisions: made by the command of their decision as it was signed, and answering for nothing else.

use super::streams::{Seen, State};
use super::votes::{Count, KnownVote};
use super::{History, Now};
use crate::aggregate::{Aggregate as _, Clearance};
use crate::audit::check::Check;
use crate::audit::finding::{Findings, Obstacle};
use crate::catalog::Risk;
use crate::clearance_key::{
    BoundTo, ClearanceKey, KeyParts, OperationsDigest, edge_of, excluded_of,
};
use crate::command::offers;
use crate::event::{
    Actor, AggregateKind, ApplyAccepted, ApprovalDecided, ClearanceMade, CredentialStatus, Event,
    PolicyEvaluation,
};
use crate::fingerprint::operations_of;
use crate::id::{ApprovalId, ClearanceId, CommandId, TaskId};
use crate::name::{ApproverName, CredentialId};
use crate::policy::{Excluded, Need, NeedGroup};
use crate::retention::{Binding, Breadth, Retention};
use crate::statement::{Decision, SignedRule};

/// The reason of an end with a clearance.
pub(super) const CLEARANCE_ENDED: &str = "clearance_ended";

/// What of an apply's operations stands in keys.
#[derive(Debug, Clone)]
pub(super) struct Covers {
    /// That of now, and that of before requests of clients stood in keys as their match digests.
    exact: [OperationsDigest; 2],
    scope: OperationsDigest,
    /// The rules that ask; `None` where the policy is not known.
    rules: Option<Vec<SignedRule>>,
    /// What the policy read of the request's way here; `None` where it was not known.
    edge: Option<Vec<(String, String)>>,
    /// Whom the question excludes, as it stands in keys.
    excluded: Result<Vec<(String, String)>, Obstacle>,
    /// One of them takes a person each time.
    pub(super) is_sensitive: bool,
}

impl Covers {
    fn digests(&self, breadth: Breadth) -> [OperationsDigest; 2] {
        match breadth {
            Breadth::Exact => self.exact,
            Breadth::Scope => [self.scope; 2],
        }
    }
}

/// A clearance that nobody has ended, with who made it where that can be seen.
#[derive(Debug, Clone)]
pub(super) struct KnownClearance {
    clearance: Clearance,
    made_by: Option<Makers>,
}

/// Those whose answers made a kept decision.
#[derive(Debug, Clone)]
struct Makers {
    /// Each who approved it, or the one who denied.
    signed: Vec<(ApproverName, CredentialId)>,
    /// Those of them whom the configuration named.
    approvers: Vec<ApproverName>,
    /// What each of them had to count for, where a policy asked.
    needs: Vec<Need>,
    exclude: Vec<Excluded>,
}

/// The keys of an apply for a kept decision, each of its operations as they stand in keys now and stood before.
#[derive(Debug)]
struct Keys {
    keys: [ClearanceKey; 2],
    /// As they were made before keys said whom a question excludes.
    before: [ClearanceKey; 2],
}

/// A decision that its command is to keep.
#[derive(Debug)]
pub(super) struct Keeping {
    position: u64,
    command_id: CommandId,
    approval_id: ApprovalId,
    task_id: TaskId,
    decision: Decision,
    retention: Retention,
    /// The keys of what was decided on.
    keys: Result<Keys, Obstacle>,
    made_by: Makers,
}

impl History {
    /// What of an apply stands in keys: of one that people are asked about, or that a clearance answers.
    pub(super) fn covers(&mut self, actor: &Actor, accepted: &ApplyAccepted) -> Option<Covers> {
        let operations = operations_of(accepted.submission.as_bytes()).ok()?;
        let exact = OperationsDigest::both(&operations, Breadth::Exact).ok()?;
        let scope = OperationsDigest::of(&operations, Breadth::Scope).ok()?;
        let Some(State::Task(task)) = self.streams.state(accepted.task_id) else {
            return None;
        };
        let requested = accepted.check.requested.iter();
        let is_sensitive = requested.into_iter().any(|asked| {
            let scope = super::submission::scope_of(asked);
            let allowed = scope.and_then(|scope| task.allowlist.allows(asked.operation, &scope));
            allowed.is_none_or(|(_, risk)| risk >= Risk::Sensitive)
        });
        let agent_id = task.agent_id;
        let said = accepted.evaluation.as_ref();
        let excluded = match said {
            None => Ok(Vec::new()),
            Some(_) => {
                let wished = self.wished_by(actor, (accepted.task_id, agent_id));
                wished.map(|wished| excluded_of(&wished).collect())
            }
        };
        Some(Covers {
            exact,
            scope,
            rules: self.rules_of(said),
            edge: said.map_or_else(|| Some(Vec::new()), edge_of),
            excluded,
            is_sensitive,
        })
    }

    /// The rules that ask, as the policy in force has them.
    fn rules_of(&self, said: Option<&PolicyEvaluation>) -> Option<Vec<SignedRule>> {
        let Some(said) = said else {
            return Some(Vec::new());
        };
        let policy = self.policies.in_force.as_ref()?;
        let rules = said.rules.iter().map(|id| {
            let digest = policy.policy.rule(id)?.digest();
            Some(SignedRule { id: *id, digest })
        });
        rules.collect()
    }

    /// What is asked about anew stands in keys as the policy asks now.
    pub(super) fn covers_anew(
        &self,
        covers: &mut Covers,
        said: &PolicyEvaluation,
        excluded: &[Excluded],
    ) {
        covers.rules = self.rules_of(Some(said));
        covers.edge = edge_of(said);
        covers.excluded = Ok(excluded_of(excluded).collect());
    }

    fn keys_in(
        &mut self,
        task_id: TaskId,
        decision: Decision,
        (binding, breadth): (Binding, Breadth),
        covers: &Covers,
    ) -> Result<Keys, Obstacle> {
        let unseen = Obstacle::BeforeRange;
        let task = match self.streams.state(task_id) {
            Some(State::Task(task)) => task,
            Some(State::Hidden(_, why)) => return Err(*why),
            _ => return Err(unseen),
        };
        let none = (Some(Vec::new()), Some(Vec::new()), Ok(Vec::new()));
        let (rules, edge, excluded) = match decision {
            Decision::Approve => (
                covers.rules.clone(),
                covers.edge.clone(),
                covers.excluded.clone(),
            ),
            Decision::Deny => none,
        };
        let (rules, mut edge) = (rules.ok_or(unseen)?, edge.ok_or(unseen)?);
        let of = |edge: &[(String, String)]| {
            covers.digests(breadth).map(|operations| {
                ClearanceKey::of(&KeyParts {
                    decision,
                    agent_id: task.agent_id,
                    bound_to: BoundTo::of(binding, task_id, &task.subject),
                    rules: &rules,
                    edge,
                    breadth,
                    operations,
                })
            })
        };
        let before = of(&edge);
        edge.extend(excluded?);
        Ok(Keys {
            keys: of(&edge),
            before,
        })
    }

    /// Whether a kept decision has one of the keys, and not that of before where keys say more already.
    fn has_key(&mut self, keys: &Keys, key: ClearanceKey) -> bool {
        let (is_of_now, is_before) = (keys.keys.contains(&key), keys.before.contains(&key));
        self.binds |= is_of_now && !is_before;
        is_of_now || is_before && !self.binds
    }

    /// Takes note of a decision that is to be kept, and holds it to what can be kept.
    pub(super) fn keeps(
        &mut self,
        now: &mut Now<'_>,
        decided: &ApprovalDecided,
        decision: Decision,
        retention: Retention,
    ) {
        let stream = now.header.stream_id;
        let is_sound = retention.is_sound() && retention.lasts_at(now.at());
        now.expect(is_sound, Check::Clearance, || {
            "it is kept for a time that is over, or its end and its binding do not fit".to_owned()
        });
        let Some(State::Approval(question)) = self.streams.state(stream) else {
            return;
        };
        let Some((task_id, first_apply)) = question.apply() else {
            return now.wrong(Check::Clearance, "it is kept, and is not about an apply");
        };
        let policy = question.policy.clone();
        let own = (decided.principal.clone(), decided.credential_id.clone());
        let votes = question.votes.iter().map(KnownVote::signed_by);
        let signed: Vec<_> = match decision {
            Decision::Approve => votes.chain([own]).collect(),
            Decision::Deny => vec![own],
        };
        let named = signed.iter().map(|(principal, _)| principal);
        let named = named.filter(|principal| question.approvers.contains(*principal));
        let made_by = Makers {
            approvers: named.cloned().collect(),
            needs: question.needs().to_vec(),
            exclude: question.excluded().to_vec(),
            signed,
        };
        let (covers, unseen) = match self.streams.state(first_apply) {
            Some(State::Apply(apply)) => (apply.covers.clone(), Obstacle::BeforeRange),
            Some(State::Hidden(_, why)) => (None, *why),
            _ => (None, Obstacle::BeforeRange),
        };
        let of = (retention.binding, retention.breadth);
        let keys = match &covers {
            Some(covers) => self.keys_in(task_id, decision, of, covers),
            None => Err(unseen),
        };
        let is_sensitive = covers.is_some_and(|covers| covers.is_sensitive);
        let is_offered = match &policy {
            Some(asked) => offers(asked, &retention, now.at()),
            None => !is_sensitive,
        };
        now.expect(
            decision == Decision::Deny || is_offered,
            Check::Clearance,
            || {
                "an approval is kept of what is sensitive, or in a way that its policy does not offer"
                    .to_owned()
            },
        );
        self.keeping = Some(Keeping {
            position: now.position(),
            command_id: now.envelope.command_id,
            approval_id: stream.into(),
            task_id,
            decision,
            retention,
            keys,
            made_by,
        });
    }

    pub(super) fn clearance_event(&mut self, now: &mut Now<'_>, event: &Event) {
        let stream = now.header.stream_id;
        match event {
            Event::ClearanceMade(made) => self.clearance_made(now, made, event),
            Event::ClearanceEnded(_) => {
                let lasts = match self.streams.state(stream) {
                    Some(State::Clearance(known)) => known.clearance.lasts_at(now.at()),
                    _ => return,
                };
                now.expect(lasts, Check::Clearance, || {
                    "it is ended and its time was over before".to_owned()
                });
                let over = State::Ended(AggregateKind::Clearance);
                self.streams.put(stream, over);
            }
            _ => {}
        }
    }

    fn clearance_made(&mut self, now: &mut Now<'_>, made: &ClearanceMade, event: &Event) {
        let stream = now.header.stream_id;
        now.expect(
            made.clearance_id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || {
                format!(
                    "it begins clearance {} in stream {stream}",
                    made.clearance_id
                )
            },
        );
        let command_id = now.envelope.command_id;
        let kept = self.keeping.take_if(|keeping| {
            keeping.command_id == command_id && keeping.approval_id == made.approval_id
        });
        match &kept {
            Some(kept) => {
                let same = made.retention() == kept.retention
                    && made.decision == kept.decision
                    && made.task_id == kept.task_id;
                now.expect(same, Check::Clearance, || {
                    "it is not what its decision says that is kept".to_owned()
                });
                match &kept.keys {
                    Ok(keys) => {
                        let holds = self.has_key(keys, made.key);
                        now.expect(holds, Check::Clearance, || {
                            "its key is not that of what was decided on".to_owned()
                        });
                    }
                    Err(why) => now.cannot(Check::Clearance, *why),
                }
                let agent_id = match self.streams.state(made.task_id) {
                    Some(State::Task(task)) => Some(task.agent_id),
                    _ => None,
                };
                now.expect(
                    agent_id.is_none_or(|agent_id| agent_id == made.agent_id),
                    Check::Reference,
                    || format!("its task is not of agent {}", made.agent_id),
                );
            }
            None => match self.question_unseen(made.approval_id) {
                Some(why) => now.cannot(Check::Clearance, why),
                None => now.wrong(
                    Check::Clearance,
                    "no decision of its command says that it is kept",
                ),
            },
        }
        let mut clearance = None;
        Clearance::evolve(&mut clearance, event, now.at());
        if let Some(clearance) = clearance {
            let known = KnownClearance {
                clearance,
                made_by: kept.map(|kept| kept.made_by),
            };
            self.streams.put(stream, State::Clearance(Box::new(known)));
        }
    }

    /// An apply is accepted because a kept decision answers for it: one for just such applies.
    pub(super) fn cleared(
        &mut self,
        now: &mut Now<'_>,
        accepted: &ApplyAccepted,
        id: ClearanceId,
        covers: Option<&Covers>,
    ) {
        let Some(known) = self.in_force(now, id, accepted.task_id) else {
            return;
        };
        let Clearance { key, retention, .. } = known.clearance;
        let is_sensitive = covers.is_some_and(|covers| covers.is_sensitive);
        let is_asked = is_sensitive && accepted.evaluation.is_none();
        now.expect(!is_asked, Check::Clearance, || {
            "one of its operations is sensitive, and no person was asked".to_owned()
        });
        let of = (retention.binding, retention.breadth);
        let task_id = accepted.task_id;
        let own = match covers {
            Some(covers) => self.keys_in(task_id, Decision::Approve, of, covers),
            None => Err(Obstacle::BeforeRange),
        };
        match own {
            Ok(own) => {
                let holds = self.has_key(&own, key);
                now.expect(holds, Check::Clearance, || {
                    format!("clearance {id}, which authorises it, is for other applies")
                });
            }
            Err(why) => now.cannot(Check::Clearance, why),
        }
    }

    /// An apply that a kept decision authorised goes on only while that answers for it.
    pub(super) fn still_cleared(&mut self, now: &mut Now<'_>) {
        let cleared = match self.streams.state(now.header.stream_id) {
            Some(State::Apply(apply)) => apply.clearance.map(|id| (id, apply.task_id)),
            _ => None,
        };
        if let Some((id, task_id)) = cleared {
            self.in_force(now, id, task_id);
        }
    }

    /// The clearance, as far as it answers for an apply of the task now.
    fn in_force(
        &mut self,
        now: &mut Now<'_>,
        id: ClearanceId,
        task_id: TaskId,
    ) -> Option<KnownClearance> {
        let found = self.streams.find(id, |state| match state {
            State::Clearance(known) => Some(KnownClearance::clone(known)),
            _ => None,
        });
        if self.is_excerpt && matches!(found, Seen::Never) {
            now.cannot(Check::Clearance, Obstacle::BeforeRange);
            return None;
        }
        let missing = || format!("clearance {id}, which authorises it, was not made or had ended");
        let known = found.or_tell(now, Check::Clearance, missing)?;
        let Clearance {
            retention,
            decision,
            made_at,
            ..
        } = known.clearance;
        now.expect(decision == Decision::Approve, Check::Clearance, || {
            format!("clearance {id}, which authorises it, is a denial")
        });
        now.expect(retention.lasts_at(now.at()), Check::Clearance, || {
            format!("the time of clearance {id}, which authorises it, was over")
        });
        let is_bound = retention.binding == Binding::Task;
        now.expect(
            !is_bound || known.clearance.task_id == task_id,
            Check::Clearance,
            || format!("clearance {id}, which authorises it, is for another task"),
        );
        if let Some(made_by) = &known.made_by {
            self.could_still_decide(now, id, made_by);
        }
        let signed = known.made_by.as_ref().map(|made_by| &*made_by.signed);
        self.unlocked_since(now, made_at, signed.unwrap_or_default(), task_id);
        Some(known)
    }

    /// Each whose answer made a kept decision could give it today.
    fn could_still_decide(&mut self, now: &mut Now<'_>, id: ClearanceId, made_by: &Makers) {
        for (principal, credential) in &made_by.signed {
            let known = self.credentials.get(credential);
            match known.map(|known| known.put.status) {
                Some(status) => {
                    let is_active = status == CredentialStatus::Active;
                    now.expect(is_active, Check::Clearance, || {
                        format!(
                            "credential {credential}, which made clearance {id}, was revoked before"
                        )
                    });
                }
                None => now.cannot(Check::Clearance, Obstacle::BeforeRange),
            }
            self.check_owner(now, principal);
            // Whom the configuration names now is not in the log.
            let names_group = |need: &Need| need.group != NeedGroup::Default;
            if !made_by.needs.iter().any(names_group) {
                continue;
            }
            let is_named = made_by.approvers.contains(principal);
            let signed = (principal, credential);
            match self.count_among(&made_by.needs, &made_by.exclude, is_named, signed) {
                Count::For(_) => {}
                Count::Nothing(why) => {
                    let reason = format!("{principal:?}, who made clearance {id}, {why}");
                    now.wrong(Check::Clearance, reason);
                }
                Count::Unknown(why) => now.cannot(Check::Clearance, why),
            }
        }
    }

    /// Before each event, and at the end (`None`): what another command was to keep was kept.
    pub(super) fn settle_keeping(&mut self, next: Option<CommandId>, findings: &mut Findings) {
        let over = |keeping: &mut Keeping| next != Some(keeping.command_id);
        let Some(keeping) = self.keeping.take_if(over) else {
            return;
        };
        // The commit may go on in a stream that was left out.
        if self.is_excerpt {
            return findings.cannot(keeping.position, Check::Clearance, Obstacle::AfterRange);
        }
        let begun = (keeping.position, keeping.command_id);
        let reason = "what it decides was to be kept, and was not";
        self.unfinished(begun, next, (Check::Clearance, reason), findings);
    }
}
