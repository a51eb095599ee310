//! Asking the API.

use super::http::{bounded_answer, http_client};
use super::request::ApiRequest;
use anyhow::{Context, bail, ensure};
use ledger::operation::shown;
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use url::Url;

/// The time that the service has for one answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than any answer of a list.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// A service, and the credential for it.
pub(crate) struct ApiClient {
    http: Client,
    base: Url,
    token: Option<SecretString>,
}

/// A refusal of the API.
#[derive(Debug, thiserror::Error)]
#[error("{detail}{}", self.hint())]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) code: String,
    detail: String,
}

/// The members of a refusal that are told (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    detail: String,
}

impl Refused {
    fn read(status: StatusCode, body: &[u8]) -> Self {
        let problem = serde_json::from_slice(body).unwrap_or_else(|_| Problem {
            code: String::new(),
            detail: format!("{status} {}", String::from_utf8_lossy(body)),
        });
        Self {
            status: status.as_u16(),
            code: problem.code,
            detail: shown(problem.detail.trim(), 2000),
        }
    }

    fn hint(&self) -> &'static str {
        match (self.status, &*self.code) {
            (401, code) if code != "login_failed" => "; log in: llm-permission-proxy login NAME",
            _ => "",
        }
    }
}

impl ApiClient {
    /// One that has proven nothing yet.
    ///
    /// # Errors
    /// As [`http_client`].
    pub(crate) fn new(base: Url) -> anyhow::Result<Self> {
        Ok(Self {
            http: http_client(&base, PATIENCE)?,
            base,
            token: None,
        })
    }

    pub(crate) fn with_token(mut self, token: SecretString) -> Self {
        self.token = Some(token);
        self
    }

    /// The body of a successful answer; empty when it has none.
    ///
    /// # Errors
    /// [`Refused`] when the service refuses; anything else when it cannot be asked.
    pub(crate) async fn ask(&self, request: &ApiRequest) -> anyhow::Result<Vec<u8>> {
        let mut building = self
            .http
            .request(request.method.clone(), self.url(request)?);
        if let Some(body) = &request.body {
            building = building.json(body);
        }
        if let Some(token) = &self.token {
            building = building.bearer_auth(token.expose_secret());
        }
        let asked = bounded_answer(building, MOST_BYTES).await;
        let (status, body) = asked.with_context(|| format!("asking {}", self.base))?;
        match status {
            status if status.is_success() => Ok(body),
            status if status.is_redirection() => bail!(
                "{} answers with a redirect, which is not followed: name the address of the service \
                 itself with --url",
                self.base
            ),
            status => Err(Refused::read(status, &body).into()),
        }
    }

    /// The same, read as JSON.
    ///
    /// # Errors
    /// As [`Self::ask`], and when the answer is of another form.
    pub(crate) async fn ask_json<T: DeserializeOwned>(
        &self,
        request: &ApiRequest,
    ) -> anyhow::Result<T> {
        let body = self.ask(request).await?;
        serde_json::from_slice(&body).context("the service's answer is not understood")
    }

    fn url(&self, request: &ApiRequest) -> anyhow::Result<Url> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            for segment in &request.path {
                // A URL has no segment of these names: another route would be asked.
                ensure!(
                    !matches!(&**segment, "" | "." | ".."),
                    "{segment:?} is not a name or an id"
                );
                path.push(segment);
            }
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_client::Shown;

    fn url(path: &[&str]) -> anyhow::Result<String> {
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = ApiClient::new(Url::parse("https://proxy.example/prefix").unwrap())?;
        let request = ApiRequest::get(path, Shown::Members);
        Ok(client.url(&request)?.to_string())
    }

    #[test]
    fn a_name_cannot_lead_to_another_route() {
        let asked = url(&["agents", "a/../b?c#d", "keys"]).unwrap();
        assert_eq!(
            asked,
            "https://proxy.example/prefix/v1/agents/a%2F..%2Fb%3Fc%23d/keys"
        );
        for name in ["", ".", ".."] {
            assert!(url(&["agents", name, "keys"]).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do_and_carries_no_control_characters() {
        let read = |status, body: &str| Refused::read(status, body.as_bytes()).to_string();
        let ended = r#"{"code":"session_ended","detail":"the session has ended"}"#;
        let told = read(StatusCode::UNAUTHORIZED, ended);
        assert_eq!(
            told,
            "the session has ended; log in: llm-permission-proxy login NAME"
        );
        let failed = r#"{"code":"login_failed","detail":"wrong"}"#;
        assert_eq!(read(StatusCode::UNAUTHORIZED, failed), "wrong");
        let odd = read(StatusCode::BAD_GATEWAY, "\u{1b}[2Jgone");
        assert_eq!(odd, "502 Bad Gateway \\u{1b}[2Jgone");
    }
}
