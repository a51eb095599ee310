//! The rules that a ledger is held to, each with a stable code.

use serde::{Serialize, Serializer};
use std::fmt;

macro_rules! checks {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $rule:literal;)+) => {
        /// One rule. Its code never changes its meaning; new rules get new codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check {
            $(#[doc = $rule] $variant,)+
        }

        impl Check {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name for programs: `record_hash`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// The rule in one sentence, for people.
            #[must_use]
            pub const fn rule(self) -> &'static str {
                match self { $(Self::$variant => $rule),+ }
            }
        }
    };
}

checks! {
    BundleForm = "bundle_form", "A bundle is of a format that is known and follows it to the last byte.";
    BundleEnd = "bundle_end", "A bundle ends with its end frame, and holds what that counts.";
    BundleDigest = "bundle_digest", "A bundle's bytes are those that its end frame names.";

    DossierForm = "dossier_form", "What is readable in a dossier is what its records say.";
    DossierScope = "dossier_scope", "A dossier holds the records of its task and of what they refer to.";
    Inclusion = "inclusion", "A record is in the tree of the checkpoint, at its position.";

    HeaderForm = "header_form", "Every record has a header of format 1.";
    Position = "position", "Positions are gapless and in order.";
    RecordHash = "record_hash", "A record's stored hash is the hash of its header.";
    Genesis = "genesis", "Position 0 is ledger.created, and the chain begins at its ledger id.";
    Chain = "chain", "Every record names the hash of the record before it.";
    RecordedAt = "recorded_at", "The time of recording never goes back.";
    StreamVersion = "stream_version", "The versions of a stream are gapless, from 0.";

    PayloadMissing = "payload_missing", "A payload is there, unless a later event says that it was erased.";
    PayloadLength = "payload_length", "A payload has the length that its header names.";
    PayloadDigest = "payload_digest", "A payload has, under its salt, the digest that its header names.";
    PayloadForm = "payload_form", "A payload is exactly one envelope and one event of the form that its header names.";
    Envelope = "envelope", "An event is caused by an earlier one where its kind is, and what one command records has one actor, request and time.";
    Actor = "actor", "An event is caused by somebody who can cause it: an agent with a token of its task, the approver whom it is about, or the part of the service that does it.";

    CheckpointMissing = "checkpoint_missing", "A checkpoint of the trusted key covers the records, and all of those that a bundle holds.";
    CheckpointForm = "checkpoint_form", "A checkpoint can be read.";
    CheckpointSignature = "checkpoint_signature", "A checkpoint is signed by the trusted key.";
    CheckpointOrigin = "checkpoint_origin", "A checkpoint is of the log that the trusted key belongs to.";
    Cosignature = "cosignature", "A cosignature of a trusted witness is valid.";
    WitnessPolicy = "witness_policy", "A checkpoint is witnessed as the policy asks.";
    TreeRoot = "tree_root", "The tree over the records has the root that the checkpoint names.";
    Consistency = "consistency", "All checkpoints are of one history.";
    Coverage = "coverage", "The records reach at least as far as every checkpoint.";

    Erasure = "erasure", "An erasure covers whole streams of earlier positions.";
    Fork = "fork", "A fork names its place, and truly the last checkpoint of the log that it leaves.";
    Acceptance = "acceptance", "An acceptance names the log that it takes as it is.";

    LedgerIdentity = "ledger_id", "Whatever names a ledger names this one.";
    StreamStart = "stream_start", "A stream begins with an event that makes its aggregate, and holds no event of another kind.";
    StreamIdentity = "stream_identity", "An event that begins a stream names that stream.";
    AfterEnd = "after_end", "Nothing happens in a stream after its end.";
    Unique = "unique", "Names, credentials, tokens and idempotency keys are registered once.";
    Reference = "reference", "What an event refers to was recorded before it.";
    TaskClosed = "task_closed", "Nothing is begun in a task after it was closed, and nothing is stopped for that unless it was.";
    Token = "token", "An apply is asked for with a token of its task that is in force.";
    TokenLife = "token_life", "A token is issued for now, lives no longer than its task's tokens do, and ends with the task's day.";
    AgentKey = "agent_key", "An agent key acts for its agent alone while it is in force, in tasks that a key of the agent opened, while their time lasts.";
    Template = "template", "A task that an agent opens with its key is what a template says that stands and names the agent.";
    Lock = "lock", "Nothing of a locked target begins, is decided or goes on, and nothing is cancelled or stopped by a lock unless one was set.";
    QuestionLimit = "question_limit", "While a policy is in force no question is asked beyond its limits.";
    Policy = "policy", "Versions of the policy count up by one, a document's digest is that of its tree, and what the policy in force says of an apply, or said of a call where it arrived, is what is recorded of it.";
    Clearance = "clearance", "A decision is kept as it was signed, in its own commit, and answers only for applies that are in all parts of its key as the one decided on, while its time lasts, its maker may decide and nothing was locked since.";
    Admission = "admission", "Nothing is accepted of a client that is blocked, as far as the record says who asked, and nothing is blocked that an allow covers.";
    Schedule = "schedule", "A schedule fires at an instant that its terms name, each once and in order, while it is active, for the operations and the agent that it was put with, where people are needed after they approved it as it was put and were enough, and the scheduler does nothing else.";
    UpstreamKey = "upstream_key", "A key of an upstream is stored for one who is there, by its user or for an agent or for all of them by an administrator, one at a time, for the address that the upstream has then, and its sealed bytes are erased once it was removed, and not before.";
    Call = "call", "A call is sent on for one who is there, with a credential of theirs, one that changes something upstream only after its beginning was recorded, and it ends as the call that began.";
    Usage = "usage", "What calls used is added up for one who is there, over times that do not overlap and have passed.";
    Upstream = "upstream", "An API is opened by an administrator with a description that can be read, one of a name at a time, and no two have an operation in common.";
    AssetUpload = "asset_upload", "An upload of files is for an agent that is there, no hash of an account stands for two files, and a write names files only of a complete upload of its agent, account and script, as they were sent.";
    FollowUp = "follow_up", "What the approval of a write allows besides is done once each, within ten minutes after that write was carried out, by the key that made it, while nothing that followed it was denied and the approval counts.";
    Write = "write", "A task for a write through a proxy is opened by its agent's key, for one operation, and in it and in no other task that one request is asked for.";
    PermissionRevision = "permission_revision", "Each change of an agent's grants raises its revision by one.";
    Fingerprint = "fingerprint", "A fingerprint is that of the operations as they will be sent, for this ledger, task and agent.";
    PermissionCheck = "permission_check", "What an apply was checked for is what it asks for, within its task's allowlist, which takes nothing for less than the catalog does.";
    Authorisation = "authorisation", "Nothing is executed without grants for all of it, or an approval that was consumed for it.";
    ApprovedOperations = "approved_operations", "What is executed is what was approved.";
    Request = "request", "What is sent is the request of the operation that was accepted.";
    ExecutionOnce = "execution_once", "An approval is consumed once, and an apply authorised once.";
    ExecutionOrder = "execution_order", "Operations run in order, each started before it ends, and the apply ends as they did.";
    ApprovalState = "approval_state", "An approval is decided while it is open, and continued while it is approved.";
    Vote = "vote", "A question is approved by as many distinct people as it needs, each of whom may answer it and is counted once; a vote is taken back by its voter, and is void where that one may not vote any more.";
    Deadline = "deadline", "Deadlines bind.";

    Credential = "credential", "A registered credential is a sound public key with its own thumbprint.";
    Enrolment = "enrolment", "An invitation is used once, in time.";
    DecisionCredential = "decision_credential", "A decision is made with a credential that was registered before it, active, and of a principal who may decide.";
    DecisionStatement = "decision_statement", "A decision's statement is about exactly this approval, its operations and this decision.";
    DecisionAssertion = "decision_assertion", "A decision's assertion is by that credential's key, with the user verified.";
    DecisionChallenge = "decision_challenge", "A decision's challenge binds its statement, and was answered in time.";
    DecisionCounter = "decision_counter", "A credential's signature counter rises.";
    ApproversList = "approvers_list", "Every deciding key is on the auditor's list.";

    LastAdmin = "last_admin", "The last administrator who can log in is not taken away.";
    UserKeys = "user_keys", "Agent keys that are revoked with their user are those that the user made or confirmed, all of them and no other.";
    Membership = "membership", "The members of a group are living users, each once.";
    Session = "session", "A session is opened for a user who may do something, in that one's epoch, for a day at most.";
    Passkey = "passkey", "A user logs in, steps up and links a principal by a passkey that is theirs, with an assertion that was made for that.";
    FailedLogin = "failed_login", "Failed logins are counted for a minute that has begun.";

    Device = "device", "A device is told of questions for a living user who has added it themselves and has it once, until it is removed or their sessions end.";

    Callback = "callback", "The orchestrator's callback comes with its task, an agent's with an apply of its own where the task takes that.";
    Delivery = "delivery", "A delivery is tried only while it is due, each try once.";
    DeliveryEvent = "delivery_event", "A delivery is owed to a callback of the task for the event that it reports, and tells what that says.";
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Check;
    use std::collections::HashSet;

    #[test]
    fn codes_are_words_and_none_is_used_twice() {
        let codes: HashSet<&str> = Check::ALL.iter().map(|check| check.code()).collect();
        assert_eq!(codes.len(), Check::ALL.len());
        for code in codes {
            assert!(
                code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{code}"
            );
        }
    }
}
