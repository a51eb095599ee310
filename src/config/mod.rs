//! The configuration, and the only place that reads the environment.
//!
//! Values come from the environment, then from the TOML file, then from the defaults. Everything
//! wrong is reported at once; no report carries a value.

mod environment;
mod fresh;
mod master_key;
mod parse;
mod private_file;
mod problem;
mod secret;
mod sections;
mod signing;
mod sources;
mod storage;
mod table;

#[cfg(test)]
mod tests;

pub(crate) use environment::Environment;
pub(crate) use fresh::FreshSettings;
#[cfg(feature = "demo")]
pub(crate) use fresh::random_text;
pub(crate) use master_key::MasterKeySource;
pub(crate) use parse::{is_local, service_address};
pub(crate) use problem::{Problem, Problems, Warning};
#[cfg(feature = "demo")]
pub(crate) use secret::REQUIRED;
pub(crate) use secret::{Auth, TokenFamily, TokenKind, is_missing, service_token, subject_secret};
pub(crate) use sections::{
    Approvals, Callbacks, Email, Http, Notifiers, Proxies, Upstream, Webauthn, Witnesses,
    approvers, base_url, geoip_files, http_bind, min_free_bytes, push_services, session_ttl,
};
pub(crate) use signing::SigningSource;
pub(crate) use sources::Sources;
pub(crate) use storage::{Storage, as_url};
pub(crate) use table::help;

use ledger::CallbackPolicy;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Everything the service is told before it starts; all of it valid.
pub(crate) struct Config {
    pub(crate) http: Http,
    pub(crate) auth: Auth,
    pub(crate) storage: Storage,
    pub(crate) master_key: MasterKeySource,
    pub(crate) signing: SigningSource,
    pub(crate) callbacks: Callbacks,
    pub(crate) notifiers: Notifiers,
    /// The push services that devices may have; without any, none is told.
    pub(crate) push_services: CallbackPolicy,
    pub(crate) approvals: Approvals,
    pub(crate) quotas: ledger::Quotas,
    pub(crate) webauthn: Webauthn,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) proxies: Proxies,
    pub(crate) witnesses: Witnesses,
    effective: String,
}

impl Config {
    /// True when nothing is sent upstream: no upstream has a token.
    pub(crate) fn is_simulated(&self) -> bool {
        self.upstreams
            .iter()
            .all(|upstream| upstream.token.is_none())
    }

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
                notifiers: Notifiers::read(sources),
                push_services: push_services(sources),
                approvals: Approvals::read(sources),
                quotas: sections::quotas(sources),
                webauthn: Webauthn::read(sources, &http),
                upstreams: Upstream::all(sources),
                proxies: Proxies::read(sources),
                witnesses: Witnesses::read(sources, &storage),
                effective: effective(sources, &storage),
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
            self.storage.check(),
            self.master_key.check(),
            self.signing.check(),
            self.callbacks.read_ca_file().map(drop),
            self.http.read_places().map(drop),
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

/// One line for each setting, in TOML, such as `BIND_ADDR = "127.0.0.1:8080" # default`, secrets redacted.
/// What is not set stands as a comment.
fn effective(sources: &Sources, storage: &Storage) -> String {
    let assigned = |name: &str, value: &str| format!("{name} = {}", toml::Value::from(value));
    let derived = |name: &str| match name {
        "LEDGER_URL" => Some((as_url(&storage.ledger), "beside DATABASE_URL")),
        "LEDGER_SIGNING_STATE" => {
            let file = storage.signing_state_file().display().to_string();
            Some((file, "beside the ledger"))
        }
        _ => None,
    };
    let mut text = String::new();
    for variable in table::ALL {
        let name = variable.name;
        let set = sources.set(variable).map(str::trim);
        let (line, origin) = match (set, variable.default, derived(name)) {
            (Some(""), ..) if variable.is_secret => (format!("# {name} is not set"), None),
            (Some(_), ..) if variable.is_secret => (assigned(name, "[redacted]"), None),
            (Some(value), ..) | (None, Some(value), _) => (assigned(name, value), None),
            (None, None, Some((value, origin))) => (assigned(name, &value), Some(origin)),
            (None, None, None) => (format!("# {name} is not set"), Some("")),
        };
        let origin = origin.unwrap_or_else(|| sources.origin(variable).as_str());
        // Writing to a String cannot fail.
        let _ = match origin {
            "" => writeln!(text, "{line}"),
            origin => writeln!(text, "{line} # {origin}"),
        };
    }
    text
}
