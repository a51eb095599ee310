//! The configuration, and the only place that reads the environment.
//!
//! Values come from the environment, then from the TOML file, then from the defaults. Everything
//! wrong is reported at once; no report carries a value.

mod approvals;
mod auth;
mod callbacks;
mod effective;
mod environment;
mod http;
mod master_key;
mod private_file;
mod problem;
mod quotas;
mod secret;
mod signing;
mod sources;
mod storage;
mod upstream;
mod variable;
mod web_address;
mod webauthn;
mod witnesses;

#[cfg(test)]
mod tests;

pub(crate) use approvals::Approvals;
pub(crate) use auth::{Auth, TokenFamily, TokenKind, subject_secret};
pub(crate) use callbacks::Callbacks;
pub(crate) use environment::Environment;
pub(crate) use http::{Http, bind as http_bind};
pub(crate) use master_key::MasterKeySource;
pub(crate) use problem::{Problem, Problems, Warning};
pub(crate) use quotas::min_free_bytes;
pub(crate) use signing::SigningSource;
pub(crate) use sources::Sources;
pub(crate) use storage::{Storage, as_url};
pub(crate) use upstream::Upstream;
pub(crate) use webauthn::Webauthn;
pub(crate) use witnesses::Witnesses;

use std::collections::BTreeMap;

/// Everything the service is told before it starts; all of it valid.
pub(crate) struct Config {
    /// The listener and the public address.
    pub(crate) http: Http,
    /// Token issuers and signing secrets.
    pub(crate) auth: Auth,
    /// The two files.
    pub(crate) storage: Storage,
    /// Where the master keys come from.
    pub(crate) master_key: MasterKeySource,
    /// How checkpoints of the ledger are signed.
    pub(crate) signing: SigningSource,
    /// Bounds of the dispatcher.
    pub(crate) callbacks: Callbacks,
    /// The life of an approval.
    pub(crate) approvals: Approvals,
    /// What one agent may ask and have kept.
    pub(crate) quotas: ledger::Quotas,
    /// The relying party.
    pub(crate) webauthn: Webauthn,
    /// The API that operations are carried out on.
    pub(crate) upstream: Upstream,
    /// Whose cosignatures checkpoints need.
    pub(crate) witnesses: Witnesses,
    effective: String,
}

impl Config {
    /// The configuration that these variables and this TOML text make. Touches no file.
    ///
    /// # Errors
    /// Every problem there is, not only the first.
    pub(crate) fn from_sources(
        environment: &BTreeMap<String, String>,
        file: Option<&str>,
    ) -> Result<(Self, Vec<Warning>), Problems> {
        read_part(environment, file, |sources| {
            let http = Http::read(sources);
            let storage = Storage::read(sources);
            Self {
                auth: Auth::read(sources),
                master_key: MasterKeySource::read(sources, &storage),
                signing: SigningSource::read(sources, &storage),
                callbacks: Callbacks::read(sources),
                approvals: Approvals::read(sources),
                quotas: quotas::read(sources),
                webauthn: Webauthn::read(sources, &http),
                upstream: Upstream::read(sources),
                witnesses: Witnesses::read(sources, &storage),
                effective: effective::render(sources, &storage),
                http,
                storage,
            }
        })
    }

    /// What a start would find out from files, without making or changing any.
    ///
    /// # Errors
    /// As [`Config::from_sources`].
    pub(crate) fn check_files(&self) -> Result<(), Problems> {
        let found = [
            self.storage.refuse_one_file(),
            self.master_key.check(),
            self.signing.check(),
            self.callbacks.read_ca_file().map(drop),
            self.witnesses.settings().map(drop),
        ];
        let problems: Vec<Problem> = found.into_iter().filter_map(Result::err).collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Problems::new(problems))
        }
    }

    /// The configuration as it holds, as TOML with secrets redacted.
    pub(crate) fn effective(&self) -> &str {
        &self.effective
    }
}

/// Reads only some sections, for commands that need no more than those; `read` takes them from the
/// sources and leaves its problems there.
///
/// # Errors
/// Every problem of those sections, and of the file as a whole.
pub(crate) fn read_part<T>(
    environment: &BTreeMap<String, String>,
    file: Option<&str>,
    read: impl FnOnce(&mut Sources) -> T,
) -> Result<(T, Vec<Warning>), Problems> {
    let mut sources = Sources::new(environment, file);
    let part = read(&mut sources);
    let (problems, warnings) = sources.finish();
    if problems.is_empty() {
        Ok((part, warnings))
    } else {
        Err(Problems::new(problems))
    }
}
