//! The lookups of decisions, derived from the events and written with them.

use super::error::ReadError;
use super::lookup_held::Held;
use crate::agent_key::AgentKeyHash;
use crate::clearance_key::ClearanceKey;
use crate::event::{
    Actor, Approved, Denied, Event, NameKind, SessionTokenHash, UploadTokenDigest,
    UpstreamKeyOwner, Voted,
};
use crate::fingerprint::Fingerprint;
use crate::id::{AgentId, ApplyId, StreamId, TaskId, TokenId, UserId};
use crate::label::{GroupName, UserName};
use crate::name::{
    AgentName, ApproverName, CredentialId, IdempotencyKey, ScheduleName, TemplateName, UpstreamName,
};
use crate::operation::{MatchDigest, ScopeId};
use std::collections::{BTreeMap, BTreeSet};

/// The kinds of lookups. The numbers stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LookupKind {
    /// Agent name → agent.
    Agent = 1,
    /// Principal → approver.
    Approver = 2,
    /// Credential id → approver.
    Credential = 3,
    /// Token id → task.
    Token = 4,
    /// (Task, idempotency key) → apply.
    ApplyKey = 5,
    /// (Task, fingerprint) → its newest approval.
    Fingerprint = 6,
    /// Credential id → signature counter.
    CredentialCounter = 7,
    /// Task → its newest approval.
    NewestApproval = 8,
    /// Enrolment id → approver.
    Enrolment = 9,
    /// (Kind of name, keyed digest of a name) → the erased stream that had it.
    ErasedName = 10,
    /// Name of a living user → user.
    User = 11,
    /// SHA-256 of a session's token → session.
    Session = 12,
    /// SHA-256 of an agent key → the key.
    AgentKey = 13,
    /// Name of a task template → the newest template that had it.
    Template = 14,
    /// Name of a living group → group.
    Group = 15,
    /// Living user → its role, and what else makes a usable administrator.
    Roster = 16,
    /// Principal → the user who has shown a passkey of it.
    Linked = 17,
    /// Agent key in force → the user who made or confirmed it.
    MintedKey = 18,
    /// Agent → the user who answers for it.
    OwnedAgent = 19,
    /// Lock → itself, for as long as the ledger lives.
    Lock = 20,
    /// Version of the policy → its stream.
    Policy = 21,
    /// Key of a clearance → the newest clearance that was made under it.
    Clearance = 22,
    /// Block or allow → itself, for as long as the ledger lives.
    Admission = 23,
    /// Name of a schedule → the newest put of it.
    Schedule = 24,
    /// (Owner, upstream) → the key that is stored there.
    UpstreamKey = 25,
    /// (Agent, match digest) → the newest task that was opened for such a write.
    Write = 26,
    /// Name of an API → the description that holds.
    Upstream = 27,
    /// SHA-256 of a token that upstream gave for an upload → the upload.
    UploadToken = 28,
    /// (Account, hash as clients choose it) → SHA-256 of the bytes that go up under it.
    AssetFile = 29,
    /// Apply of a write → the newest apply that follows it.
    Follower = 30,
}

/// How long a row of the lookup table stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowClass {
    /// Written once, and there are as many as there are tasks, applies and sessions.
    Once,
    /// Leads to the newest of several.
    Newest,
    /// There are few.
    Kept,
}

impl RowClass {
    /// That of a kind's rows; a kind that is not known counts as one with few rows, and is too many.
    #[must_use]
    pub const fn of(kind: i64) -> Self {
        const TOKEN: i64 = LookupKind::Token as i64;
        const APPLY_KEY: i64 = LookupKind::ApplyKey as i64;
        const FINGERPRINT: i64 = LookupKind::Fingerprint as i64;
        const NEWEST_APPROVAL: i64 = LookupKind::NewestApproval as i64;
        const CLEARANCE: i64 = LookupKind::Clearance as i64;
        const WRITE: i64 = LookupKind::Write as i64;
        const SESSION: i64 = LookupKind::Session as i64;
        const UPLOAD_TOKEN: i64 = LookupKind::UploadToken as i64;
        const ASSET_FILE: i64 = LookupKind::AssetFile as i64;
        const FOLLOWER: i64 = LookupKind::Follower as i64;
        match kind {
            TOKEN | APPLY_KEY | SESSION | ASSET_FILE => Self::Once,
            FINGERPRINT | NEWEST_APPROVAL | CLEARANCE | WRITE | UPLOAD_TOKEN | FOLLOWER => {
                Self::Newest
            }
            _ => Self::Kept,
        }
    }
}

/// A key of the lookup table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupKey(LookupKind, Vec<u8>);

impl LookupKey {
    pub(crate) fn agent(name: &AgentName) -> Self {
        Self(LookupKind::Agent, name.as_bytes().to_vec())
    }

    pub(crate) fn approver(principal: &ApproverName) -> Self {
        Self(LookupKind::Approver, principal.as_bytes().to_vec())
    }

    pub(crate) fn credential(id: &CredentialId) -> Self {
        Self(LookupKind::Credential, id.as_slice().to_vec())
    }

    pub(crate) fn token(id: TokenId) -> Self {
        Self(LookupKind::Token, id.as_bytes().to_vec())
    }

    pub(crate) fn apply_key(task: TaskId, key: &IdempotencyKey) -> Self {
        Self(
            LookupKind::ApplyKey,
            [task.as_bytes().as_slice(), key.as_bytes()].concat(),
        )
    }

    pub(crate) fn fingerprint(task: TaskId, fingerprint: &Fingerprint) -> Self {
        let key = [task.as_bytes().as_slice(), fingerprint.as_bytes()].concat();
        Self(LookupKind::Fingerprint, key)
    }

    pub(crate) fn newest_approval(task: TaskId) -> Self {
        Self(LookupKind::NewestApproval, task.as_bytes().to_vec())
    }

    pub(crate) fn enrolment(id: crate::id::EnrolmentId) -> Self {
        Self(LookupKind::Enrolment, id.as_bytes().to_vec())
    }

    pub(crate) fn user(name: &UserName) -> Self {
        Self(LookupKind::User, name.as_bytes().to_vec())
    }

    pub(crate) fn session(hash: &SessionTokenHash) -> Self {
        Self(LookupKind::Session, hash.as_bytes().to_vec())
    }

    pub(crate) fn group(name: &GroupName) -> Self {
        Self(LookupKind::Group, name.as_bytes().to_vec())
    }

    pub(crate) fn linked(principal: &ApproverName) -> Self {
        Self(LookupKind::Linked, principal.as_bytes().to_vec())
    }

    pub(crate) fn roster(user: UserId) -> Self {
        Self(LookupKind::Roster, user.as_bytes().to_vec())
    }

    /// The key of a row of that kind.
    #[must_use]
    pub const fn of_row(kind: LookupKind, key: Vec<u8>) -> Self {
        Self(kind, key)
    }

    pub(crate) fn agent_key(hash: &AgentKeyHash) -> Self {
        Self(LookupKind::AgentKey, hash.as_bytes().to_vec())
    }

    pub(crate) fn template(name: &TemplateName) -> Self {
        Self(LookupKind::Template, name.as_bytes().to_vec())
    }

    pub(crate) fn minted_key(key: StreamId) -> Self {
        Self(LookupKind::MintedKey, key.as_bytes().to_vec())
    }

    pub(crate) fn owned_agent(agent: StreamId) -> Self {
        Self(LookupKind::OwnedAgent, agent.as_bytes().to_vec())
    }

    pub(crate) fn lock(lock: StreamId) -> Self {
        Self(LookupKind::Lock, lock.as_bytes().to_vec())
    }

    pub(crate) fn policy(version: u64) -> Self {
        Self(LookupKind::Policy, version.to_be_bytes().to_vec())
    }

    pub(crate) fn clearance(key: &ClearanceKey) -> Self {
        Self(LookupKind::Clearance, key.as_bytes().to_vec())
    }

    pub(crate) fn admission(admission: StreamId) -> Self {
        Self(LookupKind::Admission, admission.as_bytes().to_vec())
    }

    pub(crate) fn schedule(name: &ScheduleName) -> Self {
        Self(LookupKind::Schedule, name.as_bytes().to_vec())
    }

    pub(crate) fn upstream_key(owner: UpstreamKeyOwner, upstream: &UpstreamName) -> Self {
        let key = [&Self::owner(owner), upstream.as_bytes()].concat();
        Self(LookupKind::UpstreamKey, key)
    }

    pub(crate) fn upstream(name: &UpstreamName) -> Self {
        Self(LookupKind::Upstream, name.as_bytes().to_vec())
    }

    pub(crate) fn write(agent: AgentId, digest: &MatchDigest) -> Self {
        let key = [agent.as_bytes().as_slice(), digest.as_bytes()].concat();
        Self(LookupKind::Write, key)
    }

    pub(crate) fn upload_token(token: &UploadTokenDigest) -> Self {
        Self(LookupKind::UploadToken, token.as_bytes().to_vec())
    }

    pub(crate) fn asset_file(account: &ScopeId, hash: &str) -> Self {
        // No id of an account has a blank.
        let key = [account.as_bytes(), b" ", hash.as_bytes()].concat();
        Self(LookupKind::AssetFile, key)
    }

    pub(crate) fn follower(first: ApplyId) -> Self {
        Self(LookupKind::Follower, first.as_bytes().to_vec())
    }

    /// True for the row of a stored key of that owner.
    pub(crate) fn is_of_owner(&self, owner: UpstreamKeyOwner) -> bool {
        self.0 == LookupKind::UpstreamKey && self.1.starts_with(&Self::owner(owner))
    }

    fn owner(owner: UpstreamKeyOwner) -> Vec<u8> {
        let kind = match owner {
            UpstreamKeyOwner::User(_) => 1,
            UpstreamKeyOwner::Agent(_) => 2,
        };
        [&[kind], owner.stream().as_bytes().as_slice()].concat()
    }

    /// A name that stays taken after what had it was erased.
    pub(crate) fn erased_name(kind: NameKind, digest: &[u8]) -> Self {
        Self(LookupKind::ErasedName, [&[kind.number()], digest].concat())
    }

    pub(crate) const fn kind(&self) -> LookupKind {
        self.0
    }

    /// The kind of lookup, and the bytes of the key.
    #[must_use]
    pub fn parts(&self) -> (LookupKind, &[u8]) {
        (self.0, &self.1)
    }

    /// The error where it does not lead to the thing that it names.
    pub(crate) fn misleads(&self) -> ReadError {
        ReadError::LookupsDiffer {
            table: "lookups",
            what: format!(
                "the row of kind {} and key {} leads to something else",
                self.0 as i64,
                hex::encode(&self.1)
            ),
        }
    }

    /// The name that this key is, where it is one that an erasure keeps taken.
    pub(crate) fn name(&self) -> Option<(NameKind, &[u8])> {
        let kind = match self.0 {
            LookupKind::Agent => NameKind::Agent,
            LookupKind::Approver => NameKind::Principal,
            LookupKind::Credential => NameKind::Credential,
            LookupKind::Enrolment => NameKind::Enrolment,
            LookupKind::Linked => NameKind::Linked,
            LookupKind::Token
            | LookupKind::ApplyKey
            | LookupKind::Fingerprint
            | LookupKind::CredentialCounter
            | LookupKind::NewestApproval
            | LookupKind::ErasedName
            | LookupKind::User
            | LookupKind::Session
            | LookupKind::Group
            | LookupKind::Roster
            | LookupKind::AgentKey
            | LookupKind::Template
            | LookupKind::MintedKey
            | LookupKind::OwnedAgent
            | LookupKind::Lock
            | LookupKind::Policy
            | LookupKind::Clearance
            | LookupKind::Admission
            | LookupKind::Schedule
            | LookupKind::UpstreamKey
            | LookupKind::Upstream
            | LookupKind::UploadToken
            | LookupKind::AssetFile
            | LookupKind::Follower
            | LookupKind::Write => return None,
        };
        Some((kind, &self.1))
    }

    /// The credential whose counter this is the key of.
    pub(crate) fn counted_credential(&self) -> Option<CredentialId> {
        (self.0 == LookupKind::CredentialCounter)
            .then(|| CredentialId::unchecked(self.1.as_slice()))
    }

    fn counter(id: &CredentialId) -> Self {
        Self(LookupKind::CredentialCounter, id.as_slice().to_vec())
    }
}

/// The key and the reading of a credential's signature counter.
pub(crate) fn credential_counter(id: &CredentialId) -> (LookupKey, fn(&[u8]) -> u32) {
    (LookupKey::counter(id), |value| {
        value.try_into().map_or(0, u32::from_le_bytes)
    })
}

/// Under which open streams stand that are of no task: questions that are not about an apply. No task has this id,
/// as ids hold the time at which they were made.
pub(crate) const NO_TASK: TaskId = TaskId::from_bytes([0; 16]);

/// Rows of a table, each as its columns.
pub type Rows = BTreeSet<Vec<Vec<u8>>>;

/// A batch's changes of the lookup tables.
#[derive(Debug, Default, Clone)]
pub struct Lookups {
    values: BTreeMap<LookupKey, Vec<u8>>,
    /// `true`: opened in this batch and still open; `false`: closed in it.
    open: BTreeMap<(TaskId, StreamId), bool>,
    /// Keys that are taken away; none of them has a value.
    removed: BTreeSet<LookupKey>,
}

impl Lookups {
    /// Takes a key away, with its value.
    pub fn remove(&mut self, key: LookupKey) {
        self.values.remove(&key);
        self.removed.insert(key);
    }

    /// Puts what a state holds in the place of what it held before.
    pub(crate) fn replace(&mut self, before: Held, after: Held) {
        let stays = |key: &LookupKey| after.iter().any(|(held, _)| held == key);
        for (key, _) in before.into_iter().filter(|(key, _)| !stays(key)) {
            self.remove(key);
        }
        for (key, value) in after {
            self.removed.remove(&key);
            self.values.insert(key, value);
        }
    }

    /// Whether a row of the kind is put.
    pub(crate) fn has_any(&self, kind: LookupKind) -> bool {
        self.values.keys().any(|key| key.0 == kind)
    }

    #[must_use]
    pub const fn removed(&self) -> &BTreeSet<LookupKey> {
        &self.removed
    }

    /// The keys of the rows that are put or taken away.
    pub(crate) fn written(&self) -> impl Iterator<Item = &LookupKey> {
        self.values.keys().chain(&self.removed)
    }

    /// Puts the counter of a credential.
    pub(crate) fn keep_counter(&mut self, credential: &CredentialId, sign_count: u32) {
        let value = sign_count.to_le_bytes().to_vec();
        self.values.insert(LookupKey::counter(credential), value);
    }

    /// Drops the counters of credentials that nothing tells of any more.
    pub(crate) fn forget_counters_without_credential(&mut self) {
        let known: BTreeSet<Vec<u8>> = self
            .values
            .keys()
            .filter(|key| key.0 == LookupKind::Credential)
            .map(|key| key.1.clone())
            .collect();
        self.values
            .retain(|key, _| key.0 != LookupKind::CredentialCounter || known.contains(&key.1));
    }

    /// Takes out what no later event changes: gives the rows that are written once, and drops those that
    /// lead to the newest of several and what is not open any more.
    pub fn take_settled(&mut self, mut once: impl FnMut(i64, &[u8], &[u8])) {
        self.values.retain(|LookupKey(kind, key), value| {
            let kind = *kind as i64;
            match RowClass::of(kind) {
                RowClass::Once => once(kind, key, value),
                RowClass::Newest => {}
                RowClass::Kept => return true,
            }
            false
        });
        self.open.retain(|_, open| *open);
    }

    /// The rows of which there are few.
    #[must_use]
    pub fn kept(&self) -> BTreeSet<(i64, Vec<u8>, Vec<u8>)> {
        let rows = self.values.iter();
        let rows =
            rows.map(|(LookupKey(kind, key), value)| (*kind as i64, key.clone(), value.clone()));
        rows.filter(|(kind, ..)| RowClass::of(*kind) == RowClass::Kept)
            .collect()
    }

    /// The open streams, with the task of each.
    #[must_use]
    pub fn opened(&self) -> BTreeSet<(Vec<u8>, Vec<u8>)> {
        let open = self.open.iter().filter(|(_, open)| **open);
        open.map(|((task, stream), _)| (task.as_bytes().to_vec(), stream.as_bytes().to_vec()))
            .collect()
    }

    /// What the batch makes of a key: its value, or that it has none any more; `None` where it leaves it
    /// as it is.
    pub(crate) fn get(&self, key: &LookupKey) -> Option<Option<&Vec<u8>>> {
        match self.values.get(key) {
            Some(value) => Some(Some(value)),
            None => self.removed.contains(key).then_some(None),
        }
    }

    /// Brings the rows of a kind up to this batch.
    pub(crate) fn apply_to(&self, rows: &mut BTreeMap<LookupKey, Vec<u8>>, kind: LookupKind) {
        rows.retain(|key, _| !self.removed.contains(key));
        let values = self.values.iter().filter(|(key, _)| key.0 == kind);
        rows.extend(values.map(|(key, value)| (key.clone(), value.clone())));
    }

    #[must_use]
    pub const fn values(&self) -> &BTreeMap<LookupKey, Vec<u8>> {
        &self.values
    }

    /// Streams that the batch opened, or closed, with the task of each.
    #[must_use]
    pub const fn open(&self) -> &BTreeMap<(TaskId, StreamId), bool> {
        &self.open
    }

    pub(crate) fn into_values(self) -> BTreeMap<LookupKey, Vec<u8>> {
        self.values
    }

    /// The rows of both tables after these events and no others.
    #[must_use]
    pub fn rows(&self) -> (Rows, Rows) {
        let values = self.values.iter().map(|(LookupKey(kind, key), value)| {
            let kind = (*kind as i64).to_string().into_bytes();
            vec![kind, key.clone(), value.clone()]
        });
        let open = self.open.iter().filter(|(_, open)| **open);
        let open = open
            .map(|((task, stream), _)| vec![task.as_bytes().to_vec(), stream.as_bytes().to_vec()]);
        (values.collect(), open.collect())
    }

    /// Later entries win.
    pub(crate) fn extend(&mut self, later: Self) {
        for key in later.removed {
            self.remove(key);
        }
        if !self.removed.is_empty() {
            self.removed.retain(|key| !later.values.contains_key(key));
        }
        self.values.extend(later.values);
        self.open.extend(later.open);
    }

    /// The open streams of a task as of this batch, given those that stand in the file.
    pub(crate) fn open_streams(&self, task: TaskId, mut stored: Vec<StreamId>) -> Vec<StreamId> {
        for ((owner, stream), open) in &self.open {
            if *owner == task {
                stored.retain(|id| id != stream);
                if *open {
                    stored.push(*stream);
                }
            }
        }
        stored
    }

    /// Takes in one event of that actor. `task` is the task that the event's stream belongs to, where it does.
    pub(crate) fn fold(
        &mut self,
        stream: StreamId,
        task: Option<TaskId>,
        actor: &Actor,
        event: &Event,
    ) {
        if let Some(proof) = event.passkey_proof() {
            self.keep_counter(&proof.credential_id, proof.sign_count);
        }
        let mut put = |key: LookupKey, value: &[u8]| {
            self.values.insert(key, value.to_vec());
        };
        match event {
            Event::AgentRegistered(e) => put(LookupKey::agent(&e.name), stream.as_bytes()),
            Event::ApproverRegistered(e) => {
                put(LookupKey::approver(&e.principal), stream.as_bytes());
            }
            Event::EnrolmentOpened(e) => {
                put(LookupKey::enrolment(e.enrolment_id), stream.as_bytes());
            }
            Event::CredentialPut(e) => {
                put(LookupKey::credential(&e.credential_id), stream.as_bytes());
                put(
                    LookupKey::counter(&e.credential_id),
                    &e.sign_count.to_le_bytes(),
                );
            }
            Event::ApprovalVoted(Voted(e))
            | Event::ApprovalApproved(Approved(e))
            | Event::ApprovalDenied(Denied(e)) => {
                put(
                    LookupKey::counter(&e.credential_id),
                    &e.sign_count.to_le_bytes(),
                );
                let is_over = match event {
                    Event::ApprovalDenied(_) => true,
                    // What is not about an apply has its effect at once.
                    Event::ApprovalApproved(_) => task == Some(NO_TASK),
                    _ => false,
                };
                if is_over {
                    self.set_open(task, stream, false);
                }
            }
            Event::AgentDescribed(e) => self.set(LookupKey::owned_agent(stream), e.owner),
            Event::KeyCreated(e) => {
                put(LookupKey::agent_key(&e.hash), stream.as_bytes());
                if let Actor::User { user_id, .. } = actor {
                    put(LookupKey::minted_key(stream), user_id.as_bytes());
                }
            }
            Event::KeyRevoked(_) => self.remove(LookupKey::minted_key(stream)),
            Event::TemplateCreated(e) => put(LookupKey::template(&e.name), stream.as_bytes()),
            Event::LockSet(_) => put(LookupKey::lock(stream), stream.as_bytes()),
            Event::PolicyChanged(e) => put(LookupKey::policy(e.version), stream.as_bytes()),
            Event::ClearanceMade(e) => put(LookupKey::clearance(&e.key), stream.as_bytes()),
            Event::BlockSet(_) | Event::AllowSet(_) => {
                put(LookupKey::admission(stream), stream.as_bytes());
            }
            Event::SchedulePut(e) => put(LookupKey::schedule(&e.name), stream.as_bytes()),
            Event::UpstreamKeyStored(e) => {
                let key = LookupKey::upstream_key(e.owner, &e.upstream);
                self.removed.remove(&key);
                self.values.insert(key, stream.as_bytes().to_vec());
            }
            Event::UpstreamKeyRemoved(e) => {
                self.remove(LookupKey::upstream_key(e.owner, &e.upstream));
            }
            Event::UpstreamDefined(e) => {
                let key = LookupKey::upstream(&e.name);
                self.removed.remove(&key);
                self.values.insert(key, stream.as_bytes().to_vec());
            }
            Event::UpstreamEnded(e) => self.remove(LookupKey::upstream(&e.name)),
            Event::AssetUploadOpened(e) => {
                put(LookupKey::upload_token(&e.token), stream.as_bytes());
            }
            Event::AssetUploadCompleted(e) => {
                put(LookupKey::upload_token(&e.token), stream.as_bytes());
            }
            Event::AssetFilesSent(e) => {
                for file in &e.files {
                    let key = LookupKey::asset_file(&e.account, &file.hash);
                    put(key, file.digest.as_bytes());
                }
            }
            Event::ApplyFollows(e) => put(LookupKey::follower(e.first), stream.as_bytes()),
            Event::TaskCreated(e) => {
                if let Some(digest) = &e.write {
                    put(LookupKey::write(e.agent_id, digest), stream.as_bytes());
                }
            }
            Event::TokenIssued(e) => put(LookupKey::token(e.token_id), stream.as_bytes()),
            Event::SessionOpened(e) => put(LookupKey::session(&e.token_hash), stream.as_bytes()),
            Event::ApplyAccepted(e) => {
                put(
                    LookupKey::apply_key(e.task_id, &e.idempotency_key),
                    stream.as_bytes(),
                );
                if e.authorisation.runs_at_once() {
                    self.set_open(Some(e.task_id), stream, true);
                }
            }
            Event::ApplyAuthorised(_) => self.set_open(task, stream, true),
            Event::ApplyAskedAnew(_) => self.set_open(task, stream, false),
            Event::ApplyEnded(_) => self.set_open(task, stream, false),
            Event::ApprovalRequested(e) => {
                put(
                    LookupKey::fingerprint(e.task_id, &e.fingerprint),
                    stream.as_bytes(),
                );
                put(LookupKey::newest_approval(e.task_id), stream.as_bytes());
                self.set_open(Some(e.task_id), stream, true);
            }
            Event::ApprovalAsked(_) => self.set_open(Some(NO_TASK), stream, true),
            Event::LedgerErased(e) => {
                for name in &e.names {
                    let key = LookupKey::erased_name(name.kind, name.digest.as_slice());
                    put(key, e.subject.stream().as_bytes());
                }
            }
            Event::ApprovalReleased(_) => self.set_open(task, stream, true),
            Event::ApprovalExpired(_)
            | Event::ApprovalCancelled(_)
            | Event::ApprovalConsumed(_) => self.set_open(task, stream, false),
            _ => {}
        }
    }

    /// Gives a key to a user, or takes it away.
    pub(crate) fn set(&mut self, key: LookupKey, user: Option<UserId>) {
        match user {
            Some(user) => {
                self.removed.remove(&key);
                self.values.insert(key, user.as_bytes().to_vec());
            }
            None => self.remove(key),
        }
    }

    fn set_open(&mut self, task: Option<TaskId>, stream: StreamId, open: bool) {
        if let Some(task) = task {
            self.open.insert((task, stream), open);
        }
    }
}
