//! Settings: the witnesses to ask, the policy, and where the result is kept.

use super::client::WitnessClient;
use super::schedule::Backoff;
use ledger::tlog::{WitnessKey, WitnessPolicy};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Why a policy cannot be followed by a log.
#[derive(Debug, thiserror::Error)]
pub enum WitnessSettingsError {
    /// `quorum none`: nobody would have to cosign.
    #[error("the policy asks for no cosignature (quorum none); leave it out instead")]
    NoQuorum,
    /// A witness without a URL cannot be asked.
    #[error("the policy says no URL for the witness {0}, so it cannot be asked")]
    NoUrl(String),
    #[error("the URL of the witness {0} is not an http or https address without user and query")]
    Url(String),
    /// Not even the system's roots can be read.
    #[error("TLS for witnesses cannot be set up: it takes the system's certificates")]
    Tls(#[source] reqwest::Error),
}

/// How cosignatures are collected.
#[derive(Debug, Clone)]
pub struct WitnessSettings {
    policy: WitnessPolicy,
    witnesses: Vec<AskedWitness>,
    file: PathBuf,
    client: WitnessClient,
    /// When a witness that has failed is asked again.
    pub(super) backoff: Backoff,
}

#[derive(Debug, Clone)]
pub(super) struct AskedWitness {
    pub(super) key: WitnessKey,
    /// Of `add-checkpoint`.
    pub(super) url: Url,
}

impl WitnessSettings {
    /// Asks the witnesses of the policy at their URLs, which are submission prefixes; keeps the newest
    /// witnessed checkpoint in `file`.
    ///
    /// # Errors
    /// When the policy asks nobody, or does not say where a witness is.
    pub fn new(policy: WitnessPolicy, file: PathBuf) -> Result<Self, WitnessSettingsError> {
        if !policy.needs_witnesses() {
            return Err(WitnessSettingsError::NoQuorum);
        }
        let witnesses = policy
            .witnesses()
            .iter()
            .map(|witness| {
                let name = || witness.key.name().to_string();
                let prefix = witness.url.as_deref();
                let prefix = prefix.ok_or_else(|| WitnessSettingsError::NoUrl(name()))?;
                let url = add_checkpoint(prefix);
                Ok(AskedWitness {
                    key: witness.key.clone(),
                    url: url.ok_or_else(|| WitnessSettingsError::Url(name()))?,
                })
            })
            .collect::<Result<_, WitnessSettingsError>>()?;
        Ok(Self {
            policy,
            witnesses,
            file,
            client: WitnessClient::new().map_err(WitnessSettingsError::Tls)?,
            backoff: Backoff {
                floor: Duration::from_secs(1),
                first_ceiling: Duration::from_secs(2),
                last_ceiling: Duration::from_secs(5 * 60),
            },
        })
    }

    /// When a checkpoint is witnessed.
    #[must_use]
    pub const fn policy(&self) -> &WitnessPolicy {
        &self.policy
    }

    pub(super) fn witnesses(&self) -> &[AskedWitness] {
        &self.witnesses
    }

    pub(super) const fn client(&self) -> &WitnessClient {
        &self.client
    }

    pub(super) const fn file(&self) -> &PathBuf {
        &self.file
    }
}

/// The address of `add-checkpoint` below a submission prefix.
fn add_checkpoint(prefix: &str) -> Option<Url> {
    let mut url: Url = prefix.parse().ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !is_plain {
        return None;
    }
    url.path_segments_mut()
        .ok()?
        .pop_if_empty()
        .push("add-checkpoint");
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::tlog::WitnessSigner;

    #[test]
    fn requests_go_below_the_submission_prefix() {
        let at = |prefix| add_checkpoint(prefix).map(String::from);
        let expected = |url: &str| Some(url.to_owned());
        for (prefix, url) in [
            ("https://w.example", "https://w.example/add-checkpoint"),
            ("https://w.example/", "https://w.example/add-checkpoint"),
            (
                "http://10.0.0.1:81/a/b",
                "http://10.0.0.1:81/a/b/add-checkpoint",
            ),
            ("http://w.example/a/", "http://w.example/a/add-checkpoint"),
        ] {
            assert_eq!(at(prefix), expected(url));
        }
        for prefix in [
            "w.example",
            "ftp://w.example",
            "https://user@w.example",
            "https://w.example/?q",
            "https://w.example/#f",
            "mailto:w@w.example",
        ] {
            assert_eq!(at(prefix), None, "{prefix}");
        }
    }

    #[test]
    fn a_policy_that_leaves_nobody_to_ask_is_refused() {
        let key = WitnessSigner::from_seed("w.example".parse().unwrap(), &[1; 32]).public();
        let refused = |policy: String| {
            let made = WitnessSettings::new(policy.parse().unwrap(), PathBuf::from("x"));
            made.err().map(|why| why.to_string())
        };
        for (policy, says) in [
            ("quorum none\n".to_owned(), "quorum none"),
            (
                format!("witness a {key}\nquorum a\n"),
                "no URL for the witness w.example",
            ),
            (
                format!("witness a {key} w.example\nquorum a\n"),
                "URL of the witness w.example",
            ),
        ] {
            let refused = refused(policy).unwrap();
            assert!(refused.contains(says), "{refused}");
        }
        let asked = format!("witness a {key} https://w.example\nquorum a\n");
        assert_eq!(refused(asked), None);
    }
}
