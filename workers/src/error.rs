//! Errors that end a round of a worker.

/// Errors of this crate. Sources are kept and not repeated in the text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger refused or failed.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The read tables cannot be asked what is owed.
    #[error("the read tables cannot be read")]
    ReadTables(#[from] projections::Error),
    /// Nobody folds events any more, so nothing that becomes owed would be seen.
    #[error("the read tables are not kept up any more")]
    ReadTablesStopped,
    /// A defect of this software.
    #[error("it panicked: {what}")]
    Panicked {
        /// The panic's message.
        what: String,
    },
}

impl From<ledger::ReadError> for Error {
    fn from(error: ledger::ReadError) -> Self {
        Self::Ledger(error.into())
    }
}

impl Error {
    /// True when the ledger's writer is gone, so that no worker can go on in this process.
    pub(crate) const fn is_end_of_writing(&self) -> bool {
        matches!(self, Self::Ledger(ledger::Error::Stopped))
    }

    /// A panic's payload in words.
    pub(crate) fn of_panic(payload: &(dyn std::any::Any + Send)) -> Self {
        let what = payload
            .downcast_ref::<&'static str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "without a text".to_owned());
        Self::Panicked { what }
    }

    /// The text with the texts of its sources.
    pub(crate) fn chain(&self) -> String {
        chain_of(self)
    }
}

/// The text of any error with the texts of its sources.
pub(crate) fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
