//! A decision: who, about what, and the signature of a passkey or command-line key over exactly that.

use super::approvers::KnownCredential;
use super::erasures::Unknown;
use super::streams::State;
use super::{History, Now};
use crate::assertion::{Expectation, KeyThumbprint};
use crate::audit::check::Check;
use crate::audit::report::DecidingKey;
use crate::canonical::parse_strict;
use crate::event::{ApprovalDecided, AskedByPolicy, CredentialStatus};
use crate::id::{ApprovalId, LedgerId};
use crate::statement::{Choice, Decision, DecisionStatement, ReasonDigest, Statement, signs_state};

impl History {
    pub(super) fn decided(
        &mut self,
        now: &mut Now<'_>,
        decided: &ApprovalDecided,
        decision: Decision,
        ends: bool,
    ) {
        self.decision_unlocked(now, decided);
        let Some((statement, eligible)) = self.asked(now, decided, decision) else {
            return;
        };
        match eligible {
            Some(eligible) => now.expect(eligible, Check::DecisionCredential, || {
                format!("{:?} may not decide this approval", decided.principal)
            }),
            None if statement.choice().break_glass => {
                self.counted_in_emergency(now, decided, &statement);
            }
            None => self.counted(now, decided, decision, ends),
        }
        self.check_owner(now, &decided.principal);
        self.check_on_screen(now, decided);
        now.expect(
            statement.canonical_bytes() == decided.statement.as_bytes(),
            Check::DecisionStatement,
            || "its statement is not that of this approval, decision and reason".to_owned(),
        );
        let kept = statement.choice().retention.filter(|_| ends);
        let kept = match decision {
            Decision::Approve => self.all_keep(now.header.stream_id, kept, now.at()),
            Decision::Deny => kept,
        };
        if let Some(retention) = kept {
            self.keeps(now, decided, decision, retention);
        }
        if let Some(until) = statement.choice().use_until {
            let shortens = decision == Decision::Approve && now.at() < until;
            now.expect(shortens, Check::DecisionStatement, || {
                "it shortens its use to a time that is over, or approves nothing".to_owned()
            });
        }
        if let Some(block) = statement.choice().block {
            self.blocks(now, decision, block);
        }
        let Some(mut credential) = self.deciding_credential(now, decided) else {
            return;
        };
        if let Some(key) = &credential.key {
            self.check_pin(now, key.thumbprint());
        }
        check_signature(now, decided, &credential, &statement);
        if decided.sign_count > 0 || credential.counter > 0 {
            now.expect(
                decided.sign_count > credential.counter,
                Check::DecisionCounter,
                || {
                    format!(
                        "the counter goes from {} to {}",
                        credential.counter, decided.sign_count
                    )
                },
            );
        }
        credential.counter = decided.sign_count;
        self.note_key(decided, &credential);
        self.credentials
            .insert(decided.credential_id.clone(), credential);
    }

    /// Checks that the operations that a browser says were on its screen are of the question.
    fn check_on_screen(&mut self, now: &mut Now<'_>, decided: &ApprovalDecided) {
        let Some(State::Approval(question)) = self.streams.state(now.header.stream_id) else {
            return;
        };
        let said = decided.on_screen.as_ref();
        now.expect(
            said.is_none_or(|said| said.is_sound(question.asked)),
            Check::PayloadForm,
            || "what was on the screen are not operations of the question".to_owned(),
        );
    }

    /// The statement that this decision must have signed, and whether the principal was asked; of a question of a
    /// policy its needs say that.
    fn asked(
        &mut self,
        now: &mut Now<'_>,
        decided: &ApprovalDecided,
        decision: Decision,
    ) -> Option<(DecisionStatement, Option<bool>)> {
        let stream = now.header.stream_id;
        let named = ledger_of(&decided.statement);
        let Some(State::Approval(question)) = self.streams.state(stream) else {
            return None;
        };
        if !question.is_pending() {
            now.wrong(Check::ApprovalState, "it is decided and was decided before");
            return None;
        }
        let expires_at = question.expires_at;
        now.expect(now.header.recorded_at < expires_at, Check::Deadline, || {
            format!("it is decided after it ended at {expires_at}")
        });
        let is_asked = question.approvers.contains(&decided.principal);
        let eligible = question.policy.is_none().then_some(is_asked);
        let (task_id, fingerprint) = (question.task_id(), question.fingerprint);
        let kind = question.kind();
        let read = question.state;
        let policy = question.policy.as_ref();
        let is_bound =
            decision == Decision::Approve && policy.is_some_and(AskedByPolicy::binds_pre_state);
        let signs_state = signs_state(&decided.statement);
        let is_of_before = is_bound && !signs_state && !self.binds;
        self.binds |= is_bound && signs_state;
        let basis = policy.map(|asked| match is_of_before {
            true => asked.basis(),
            false => asked.basis_of(decision, || read),
        });
        let was_seen = read.is_some() || !is_bound || is_of_before;
        now.expect(was_seen, Check::DecisionStatement, || {
            "it is approved before anybody had read the state that it is bound to".to_owned()
        });
        // In a range that does not hold the ledger's beginning, the first that names it is believed.
        if let (None, Some(named)) = (self.ledger_id, named) {
            self.is_this_ledger(now, named);
        }
        let Some(ledger_id) = self.ledger_id else {
            now.wrong(Check::DecisionStatement, "its statement names no ledger");
            return None;
        };
        let statement = Statement {
            ledger_id,
            task_id,
            approval_id: ApprovalId::from_bytes(*stream.as_bytes()),
            fingerprint,
            decision,
            reason_digest: decided.reason.as_deref().map(ReasonDigest::of),
            expires_at,
        };
        // What is no statement is found to be another one.
        let choice = Choice::of_statement(&decided.statement).unwrap_or_default();
        let statement = DecisionStatement::of(statement, kind, choice, basis.unwrap_or_default());
        Some((statement, eligible))
    }

    /// The credential as it was registered before the decision.
    fn deciding_credential(
        &mut self,
        now: &mut Now<'_>,
        decided: &ApprovalDecided,
    ) -> Option<KnownCredential> {
        let id = &decided.credential_id;
        let Some(known) = self.credentials.get(id).cloned() else {
            match self.why_unknown(now, decided) {
                Some(why) => {
                    if let Unknown::Because(why) = why {
                        now.cannot(Check::DecisionAssertion, why);
                    }
                    // Who brings a list wants to know of every key; this one cannot be known.
                    now.expect(self.pinned.is_none(), Check::ApproversList, || {
                        format!("credential {id} decided, and its key is not to be had")
                    });
                }
                None => {
                    let reason = format!("credential {id} was not registered before");
                    now.wrong(Check::DecisionCredential, reason);
                }
            }
            return None;
        };
        now.expect(
            known.put.status == CredentialStatus::Active,
            Check::DecisionCredential,
            || format!("credential {id} was revoked before"),
        );
        now.expect(
            known.put.public_key_thumbprint == decided.public_key_thumbprint,
            Check::DecisionCredential,
            || format!("credential {id} was registered with another key"),
        );
        self.check_holder(now, &known, &decided.principal);
        Some(known)
    }

    fn check_pin(&mut self, now: &mut Now<'_>, key: KeyThumbprint) {
        let listed = self
            .pinned
            .as_ref()
            .is_none_or(|pinned| pinned.contains(&key));
        now.expect(listed, Check::ApproversList, || {
            let key = key.to_base64url();
            format!("the key with thumbprint {key} decided, and is not on the list")
        });
    }

    /// Keeps account of which keys decided, for the report.
    fn note_key(&mut self, decided: &ApprovalDecided, credential: &KnownCredential) {
        // One of another length was told of where it was registered.
        let Some(known) = credential.put.public_key_thumbprint.known() else {
            return;
        };
        let comment = self.pinned.as_ref().and_then(|pins| pins.comment(&known));
        let key = self.keys.entry(known).or_insert_with(|| DecidingKey {
            thumbprint: known.to_string(),
            principal: decided.principal.clone(),
            credential_id: decided.credential_id.clone(),
            registered_at_position: credential.position,
            registered_by: credential.registered_by.to_string(),
            listed_as: comment.map(str::to_owned),
            rp_ids: Vec::new(),
            origins: Vec::new(),
            decisions: 0,
        });
        key.decisions += 1;
        // A command-line key signs at no page.
        if decided.is_by_passkey() {
            remember(&mut key.rp_ids, &decided.rp_id);
            remember(&mut key.origins, &decided.origin);
        }
    }
}

/// Few, as they are the service's own address.
const MAX_PLACES: usize = 16;

fn remember(places: &mut Vec<String>, place: &str) {
    if places.len() < MAX_PLACES && !places.iter().any(|known| known == place) {
        places.push(place.to_owned());
    }
}

fn ledger_of(statement: &str) -> Option<LedgerId> {
    let statement = parse_strict(statement.as_bytes()).ok()?;
    statement.get("ledger_id")?.as_str()?.parse().ok()
}

fn check_signature(
    now: &mut Now<'_>,
    decided: &ApprovalDecided,
    credential: &KnownCredential,
    statement: &DecisionStatement,
) {
    // An unsound key was told of where it was registered.
    let Some(key) = &credential.key else {
        return now.wrong(
            Check::DecisionAssertion,
            "its credential's key is not sound",
        );
    };
    now.expect(decided.is_of_one_kind(), Check::PayloadForm, || {
        "it has parts of a passkey's proof beside a command-line key's".to_owned()
    });
    let expectation = Expectation {
        credential_id: decided.credential_id.as_slice(),
        rp_id: &decided.rp_id,
        origin: &decided.origin,
        challenge_binds: statement,
    };
    match decided.proof().verify(key, &expectation) {
        Ok(verified) => {
            let until = verified.valid_until;
            now.expect(
                now.header.recorded_at < until,
                Check::DecisionChallenge,
                || format!("its challenge was good until {until} only"),
            );
            now.expect(
                verified.sign_count == decided.sign_count,
                Check::DecisionCounter,
                || {
                    format!(
                        "{} was signed as the counter, {} recorded",
                        verified.sign_count, decided.sign_count
                    )
                },
            );
            let known = credential.backup_eligible;
            now.expect(
                known.is_none() || known == verified.backup_eligible,
                Check::DecisionCredential,
                || "the credential's backup eligibility has changed".to_owned(),
            );
        }
        Err(error) if error.is_of_challenge() => {
            now.wrong(Check::DecisionChallenge, error.to_string());
        }
        Err(error) => now.wrong(Check::DecisionAssertion, error.to_string()),
    }
}
