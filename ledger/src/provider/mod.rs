//! The port to what operations are carried out on. A provider knows one upstream: what can be asked of it,
//! what that does, the request that does it, and how to read what stands there.
//!
//! The ledger, the auditor and the pages that people see ask an [`Operation`](crate::operation::Operation),
//! which holds its [`Effect`]; workers lend an [`Upstream`], the way to the provider's API, and do the rest.
//! A provider never sees a credential, a clock or the log.

mod outcome;
mod param;

pub use outcome::{Answer, Body, NoAnswer, Outcome, code};
pub use param::{Param, ParamType};

use crate::catalog::{CatalogEntry, OperationId, ScopeType, UnknownName};
use crate::event::Agreement;
use crate::id::AgentId;
use crate::operation::fields::Fields;
use crate::operation::{
    AlsoAllowed, Before, Beside, Entries, ForwardedBody, ForwardedRequest, InvalidOperation,
    Operation, OperationFiles, Scope, Sent, Unchecked, UpstreamRequest, Warning, refuse_secrets,
};
use serde_json::{Map, Value};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

/// An answer that upstream is being asked for.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Names of one provider: of itself, and of its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderNames {
    /// For people.
    pub title: &'static str,
    /// The setting that holds the base URL of its API.
    pub base_setting: &'static str,
    /// The base URL where that is not set.
    pub base: &'static str,
    /// The setting that holds the credential, which is sent as a bearer token (RFC 6750); empty where nothing is
    /// carried out with one of the service's.
    pub token_setting: &'static str,
    /// The header of an answer that names the request, in small letters.
    pub request_id_header: &'static str,
}

/// What a client's request is to one that was carried out before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Following {
    /// Nothing.
    No,
    /// It belongs to it, and is asked about.
    Asks,
    /// It is what the approval of that one can allow besides, under this name.
    Allowed(&'static str),
}

/// One upstream.
pub trait Provider: fmt::Debug + Send + Sync {
    /// Its names; no two providers have one in common.
    fn names(&self) -> &'static ProviderNames;

    /// Its operations, in the catalog's order; no other provider has one of the same id.
    fn catalog(&self) -> &'static [CatalogEntry];

    /// Its operations that are requests through a proxy of its API alone: grants, tasks and rules name them, and no
    /// apply is of them.
    fn proxied(&self) -> &'static [CatalogEntry] {
        &[]
    }

    /// True when a stored key is the grant of its operations, so that none is needed beside it.
    fn is_granted_by_key(&self) -> bool {
        false
    }

    /// The params that one of its operations can have in its accepted form. Conditions of policies can read
    /// these, and no others.
    fn params(&self, _entry: &CatalogEntry) -> &'static [Param] {
        &[]
    }

    /// Reads the params of one of its operations: everything that upstream surely refuses is refused, and
    /// defaults are filled in.
    ///
    /// # Errors
    /// Names the place of what is refused.
    fn parse(
        &self,
        entry: &CatalogEntry,
        params: Fields<'_>,
    ) -> Result<Arc<dyn Effect>, InvalidOperation>;

    /// The params of the operation that a client's own request is; `None` where that is not known. They are held
    /// to the request that the operation makes of them.
    fn params_of(&self, _entry: &CatalogEntry, _scope: &Scope, _sent: Sent<'_>) -> Option<Value> {
        None
    }

    /// What a client's own request does, where no operation makes the same one, for people: its title, its dangers and
    /// what stands upstream before. Nothing of it is recorded or sent. `None` where nothing is known.
    fn description_of(
        &self,
        _entry: &CatalogEntry,
        _scope: &Scope,
        _request: &ForwardedRequest,
        _body: &ForwardedBody,
    ) -> Option<Arc<dyn Effect>> {
        None
    }

    /// What the approval of a client's own request allows besides, once each and shortly after it; it is shown to people
    /// before they decide.
    fn also_allowed(&self, _sent: Sent<'_>) -> Vec<AlsoAllowed> {
        Vec::new()
    }

    /// What a request is to one that was carried out before it, and that has made what upstream calls `made`.
    fn following(&self, _first: Sent<'_>, _made: Option<&str>, _then: Sent<'_>) -> Following {
        Following::No
    }

    /// The outcome by an answer; `is_read` where the request can change nothing, so that it is never lost, or where it
    /// [ends with its answer](Effect::ends_with_its_answer).
    fn outcome(&self, answer: Result<Answer, NoAnswer>, is_read: bool) -> Outcome;

    /// True when objects of this type have a name beside their id, which requests and what is read back may
    /// depend on.
    fn has_name(&self, _scope_type: ScopeType) -> bool {
        false
    }

    /// True when people know objects of this type by a name beside their id, whether or not anything else
    /// depends on it.
    fn is_known_by_name(&self, scope_type: ScopeType) -> bool {
        self.has_name(scope_type)
    }

    /// The object's name upstream, or why that cannot be read, for people. Asked only where it
    /// [is known by one](Self::is_known_by_name); the answer holds for as long as the id does.
    fn read_name<'a>(
        &'a self,
        _scope: &'a Scope,
        _upstream: &'a dyn Upstream,
    ) -> Pending<'a, Result<String, String>> {
        Box::pin(std::future::ready(Err("it has no name".to_owned())))
    }
}

/// The params of one operation as its provider understands them: what will be done.
///
/// `scope` is what the operation acts on, and `name` what upstream calls that, where it is known; `Err` says
/// why it is not.
pub trait Effect: fmt::Debug + Send + Sync {
    /// The params as they are fingerprinted, shown and sent; [`Provider::parse`] reads them back as the same.
    fn to_json(&self) -> Value;

    /// One line for people, long texts shortened.
    fn summary(&self, scope: &Scope) -> String;

    /// The one request that carries it out. Frozen for each form of params that was ever accepted, since an
    /// auditor makes it anew and holds it against what the log says was sent.
    fn request(&self, scope: &Scope, name: Option<&str>) -> UpstreamRequest;

    /// True when the request depends on the scope's name.
    fn asks_by_name(&self) -> bool {
        false
    }

    /// True when it can change anything upstream; one that cannot may be sent again.
    fn changes_upstream(&self) -> bool {
        true
    }

    /// True when nothing comes of it but its answer, so that any answer is its end.
    fn ends_with_its_answer(&self) -> bool {
        false
    }

    /// True when reading back can tell if it was carried out.
    fn reconcilable(&self) -> bool {
        self.changes_upstream()
    }

    /// True when what stands upstream can be read before it is carried out.
    fn reads_state(&self) -> bool {
        self.changes_upstream() && self.reconcilable()
    }

    /// The params that are told and not sent, by name.
    fn not_sent(&self) -> &'static [&'static str] {
        &[]
    }

    /// The risks that an approver must see before deciding, beside params that are not known here.
    fn warnings(&self, _before: &Before<'_>) -> Vec<Warning> {
        Vec::new()
    }

    /// Settings that stand upstream now, are not named in the params, and are gone afterwards, by name.
    fn lost(&self, _before: &Before<'_>) -> Map<String, Value> {
        Map::new()
    }

    /// Its warnings, what is lost, and its entries, for who shows all of them.
    fn beside(&self, before: &Before<'_>) -> Beside {
        Beside {
            warnings: self.warnings(before),
            lost: self.lost(before),
            entries: self.entries(before),
        }
    }

    /// What it does to what stands upstream, in one line for the person who decides: by names instead of ids,
    /// changes as `now → then`. `None` where the summary says all of that.
    fn act(&self, _scope: &Scope, _before: &Before<'_>) -> Option<String> {
        None
    }

    /// The params that stand upstream already though they may be spelled in another way, by name.
    fn unchanged(&self, _before: &Before<'_>) -> Vec<String> {
        Vec::new()
    }

    /// The params that people read field by field, by name. Each is an object; a field of it is called
    /// `param.field`.
    fn read_by_field(&self) -> &'static [&'static str] {
        &[]
    }

    /// The params, or fields of those that are read by field, that hold what upstream takes where they are left
    /// out, by name.
    fn defaults(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// The params that people read first, in the order in which they read them.
    fn reading_order(&self) -> &'static [&'static str] {
        &[]
    }

    /// The files that it carries, where it does, beside those upstream.
    fn files(&self, _before: &Before<'_>) -> Option<OperationFiles<'_>> {
        None
    }

    /// The list in the params that people read entry by entry, where there is one.
    fn entries(&self, _before: &Before<'_>) -> Option<Entries> {
        None
    }

    /// Where it has its effect, for people; `name` is `None` while nobody has asked.
    fn place(&self, _scope: &Scope, _name: Option<Result<&str, &str>>) -> Option<String> {
        None
    }

    /// Checks that a request may ask for it: nothing in it is a secret, which would be recorded for good.
    ///
    /// # Errors
    /// Names the place and what to do instead.
    fn check_asked(&self, unchecked: &[Unchecked]) -> Result<(), InvalidOperation> {
        refuse_secrets(&self.to_json(), unchecked, |_, _| None, &[])
    }

    /// Why nothing is sent where the scope's name is not known; `None` where it is sent all the same.
    fn unsent(&self, _name: Option<&str>) -> Option<Outcome> {
        None
    }

    /// The outcome with what an approver or agent must know beside upstream's own words.
    fn told(&self, outcome: Outcome, _name: Option<&str>) -> Outcome {
        outcome
    }

    /// Reads what it would change, and changes nothing; `None` where nothing of that can be read.
    fn read_state<'a>(
        &'a self,
        _scope: &'a Scope,
        _name: Result<&'a str, &'a str>,
        _depth: Depth,
        _upstream: &'a dyn Upstream,
    ) -> Pending<'a, Result<Option<Snapshot>, String>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Compares the state upstream with the one that it makes.
    fn agreement(&self, _found: &Snapshot, _name: Option<&str>) -> Agreement {
        Agreement::CannotTell
    }

    /// True when it makes an object that upstream names, so that what is not there may still appear.
    fn makes_something(&self) -> bool {
        false
    }

    /// The result that upstream's answer would have had, as far as that can be read.
    fn result(&self, found: &Snapshot) -> Value {
        found.first_part()
    }
}

/// The way to a provider's API: base URL, credential, limits of time and size, and another try where upstream
/// throttles. Nothing that it gives back holds the credential, but for the bytes of a body.
pub trait Upstream: Send + Sync {
    /// Sends a request and says what became of it.
    fn send(&self, request: UpstreamRequest) -> Pending<'_, Outcome>;

    /// Sends a request whose answer is no envelope of the API's.
    fn fetch(&self, request: UpstreamRequest) -> Pending<'_, Result<Answer, NoAnswer>>;

    /// A text of upstream's without the credential.
    fn redacted(&self, text: &str) -> String;
}

/// The names of what operations act on, for plans. Reading one changes nothing, but it spends of the requests
/// that upstream allows.
pub trait ScopeNames: Send + Sync {
    /// What upstream calls the operation's scope, or why that is not known, for people; `None` where it
    /// [has no name](Provider::has_name). It is read for `agent`, which cannot have many read.
    fn name_for<'a>(
        &'a self,
        agent: AgentId,
        operation: &'a Operation,
    ) -> Pending<'a, Option<Result<String, String>>>;
}

/// How much of what stands upstream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// For an approver to see.
    Shown,
    /// Everything, files included: for comparing.
    Whole,
}

/// The state upstream where an operation changes something.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    value: Value,
    files: Option<Vec<(String, Vec<u8>)>>,
    /// Where it is not the value.
    recorded: Option<Value>,
}

impl Snapshot {
    /// An object that says what each part is: `{"record": …}`; `null` says that nothing is there. All of it
    /// may be recorded for good.
    #[must_use]
    pub const fn new(value: Value) -> Self {
        Self {
            value,
            files: None,
            recorded: None,
        }
    }

    /// The same with files, by name, and with what may be recorded of it.
    #[must_use]
    pub const fn withheld(
        value: Value,
        files: Option<Vec<(String, Vec<u8>)>>,
        recorded: Value,
    ) -> Self {
        Self {
            value,
            files,
            recorded: Some(recorded),
        }
    }

    /// One part; null where it is not there.
    #[must_use]
    pub fn part(&self, name: &str) -> &Value {
        self.value.get(name).unwrap_or(&Value::Null)
    }

    /// The files, where they were read.
    #[must_use]
    pub fn files(&self) -> Option<&[(String, Vec<u8>)]> {
        self.files.as_deref()
    }

    /// As it may be recorded for good.
    #[must_use]
    pub fn recorded(&self) -> &Value {
        self.recorded.as_ref().unwrap_or(&self.value)
    }

    /// True when equal records of two snapshots say that the two are equal.
    #[must_use]
    pub const fn is_recorded_whole(&self) -> bool {
        self.recorded.is_none()
    }

    /// The first part as it may be recorded; null where there is none.
    #[must_use]
    pub fn first_part(&self) -> Value {
        let parts = self.recorded().as_object();
        let first = parts.and_then(|parts| parts.values().next());
        first.cloned().unwrap_or_default()
    }
}

/// The providers of a service or of an auditor, and the operations of APIs that administrators opened. Cheap to clone;
/// clones are one.
#[derive(Debug, Clone, Default)]
pub struct Providers {
    all: Arc<[Arc<dyn Provider>]>,
    opened: Arc<RwLock<Arc<[CatalogEntry]>>>,
}

impl Providers {
    /// These, in the catalog's order.
    #[must_use]
    pub fn new(providers: Vec<Arc<dyn Provider>>) -> Self {
        Self {
            all: providers.into(),
            opened: Arc::default(),
        }
    }

    /// Every provider.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Provider>> {
        self.all.iter()
    }

    /// Says which operations the APIs have that are open now. They are requests through a proxy alone.
    pub fn set_opened(&self, operations: Vec<CatalogEntry>) {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        *opened = operations.into();
    }

    fn opened(&self) -> Arc<[CatalogEntry]> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&opened)
    }

    /// Everything that can be asked for, in the catalog's order.
    pub fn catalog(&self) -> impl Iterator<Item = CatalogEntry> + '_ {
        let all = |provider: &'_ Arc<dyn Provider>| {
            let (applied, proxied) = (provider.catalog(), provider.proxied());
            applied.iter().chain(proxied)
        };
        let opened = self.opened();
        let opened: Vec<CatalogEntry> = opened.to_vec();
        self.all.iter().flat_map(all).copied().chain(opened)
    }

    /// The catalog's entry of an operation.
    ///
    /// # Errors
    /// When no provider has it.
    pub fn entry(&self, operation: &str) -> Result<CatalogEntry, UnknownName> {
        let known = self.find(operation).map(|(_, entry)| *entry);
        known
            .or_else(|| {
                let opened = self.opened();
                opened
                    .iter()
                    .find(|entry| entry.id.as_str() == operation)
                    .copied()
            })
            .ok_or_else(|| UnknownName::new("operation", operation))
    }

    /// The provider of an operation, and its entry; `None` for one of an API that an administrator opened.
    #[must_use]
    pub fn find(&self, operation: &str) -> Option<(&Arc<dyn Provider>, &'static CatalogEntry)> {
        self.all.iter().find_map(|provider| {
            let mut entries = provider.catalog().iter().chain(provider.proxied());
            let entry = entries.find(|entry| entry.id.as_str() == operation)?;
            Some((provider, entry))
        })
    }

    /// Whether a stored key is the grant of an operation.
    #[must_use]
    pub fn is_granted_by_key(&self, operation: OperationId) -> bool {
        let found = self.find(operation.as_str());
        found.is_some_and(|(provider, _)| provider.is_granted_by_key())
    }

    /// Whether an operation is a request through a proxy alone.
    #[must_use]
    pub fn is_proxied(&self, operation: OperationId) -> bool {
        let mut proxied = self.all.iter().flat_map(|provider| provider.proxied());
        proxied.any(|entry| entry.id == operation)
            || self.opened().iter().any(|entry| entry.id == operation)
    }
}
