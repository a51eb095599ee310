//! One call that a request makes: what it does, what lets it through, and within which limits.

use crate::caller::Asked;
use ledger::OperationId;
use std::borrow::Cow;
use std::time::Duration;

/// A call that is sent on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Its name in the ledger.
    pub(crate) operation: OperationId,
    /// The template of its path.
    pub(crate) route: Cow<'static, str>,
    pub(crate) access: Access,
    /// The most bytes of its body.
    pub(crate) most: u64,
    /// How long its answer may take to begin, where that is not left to upstream.
    pub(crate) patience: Option<Duration>,
    /// Its answer says how many tokens it used.
    pub(crate) is_metered: bool,
    /// Its body has many messages, to whose rules it is held as well.
    pub(crate) has_messages: bool,
    /// Its answer has links that the client follows.
    pub(crate) has_links: bool,
    /// Its answer says which models there are.
    pub(crate) has_models: bool,
    /// Upstream answers with a token for an upload of files.
    pub(crate) opens_upload: bool,
}

/// The permission that a call needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Access {
    /// The stored key of upstream.
    Key,
    /// A grant, for what changes nothing.
    Read(Asked),
    /// A grant or people, as for an apply.
    Write(Asked),
}

impl Call {
    pub(crate) const fn new(operation: &'static str, most: u64) -> Self {
        Self {
            operation: OperationId::of(operation),
            route: Cow::Borrowed(""),
            access: Access::Key,
            most,
            patience: None,
            is_metered: false,
            has_messages: false,
            has_links: false,
            has_models: false,
            opens_upload: false,
        }
    }

    /// The same, whose body has many messages.
    pub(crate) const fn with_messages(mut self) -> Self {
        self.has_messages = true;
        self
    }

    /// The same, whose answer says how many tokens it used.
    pub(crate) const fn metered(mut self) -> Self {
        self.is_metered = true;
        self
    }

    /// The same, whose answer has links that the client follows.
    pub(crate) const fn with_links(mut self) -> Self {
        self.has_links = true;
        self
    }

    /// The same, whose answer says which models there are.
    pub(crate) const fn with_models(mut self) -> Self {
        self.has_models = true;
        self
    }

    /// The same, whose answer has a token for an upload of files.
    pub(crate) const fn opening_upload(mut self, opens_upload: bool) -> Self {
        self.opens_upload = opens_upload;
        self
    }

    /// The same, whose answer is waited for no longer.
    pub(crate) const fn within(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// A call that takes more than a stored key.
    pub(crate) const fn of(
        operation: OperationId,
        route: Cow<'static, str>,
        access: Access,
        most: u64,
    ) -> Self {
        Self {
            operation,
            route,
            access,
            most,
            patience: None,
            is_metered: false,
            has_messages: false,
            has_links: false,
            has_models: false,
            opens_upload: false,
        }
    }
}

/// The outcome of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Routed {
    /// It is a call of upstream.
    Call(Call),
    /// It asks whether its credential counts, which is answered here, where that is one of ours.
    OwnCredential,
}
