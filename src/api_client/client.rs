//! Asking the API.

use super::events::EventStream;
use super::http::{bounded_answer, bounded_body, http_client, in_a_sentence};
use super::request::ApiRequest;
use anyhow::{Context, bail, ensure};
use ledger::operation::shown;
use reqwest::header::{CONTENT_TYPE, IF_MATCH};
use reqwest::{Client, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// The time that the service has for one answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// A stream that has run for so long is opened anew.
const LONGEST_STREAM: Duration = Duration::from_secs(24 * 3600);
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
    /// What is wrong with what was sent, one by one, where it is told so.
    pub(crate) problems: Vec<Value>,
}

/// The members of a refusal that are told (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    detail: String,
    #[serde(default)]
    errors: Vec<Value>,
}

impl Refused {
    fn read(status: StatusCode, body: &[u8]) -> Self {
        let problem = serde_json::from_slice(body).unwrap_or_else(|_| Problem {
            code: String::new(),
            detail: format!("{status} {}", String::from_utf8_lossy(body)),
            errors: Vec::new(),
        });
        Self {
            status: status.as_u16(),
            code: problem.code,
            detail: shown(problem.detail.trim(), 2000),
            problems: problem.errors,
        }
    }

    fn hint(&self) -> &'static str {
        match (self.status, &*self.code) {
            (403, "not_eligible") => {
                "; in an emergency a passkey approves, on the page of the question, and no key of the \
                 command line does"
            }
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
        let asked = bounded_answer(self.built(request)?, MOST_BYTES).await;
        let (status, body) = asked.with_context(|| self.asking())?;
        self.accept(status, body)
    }

    /// Opens a stream of events.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn events(&self, request: &ApiRequest) -> anyhow::Result<EventStream> {
        let building = self.built(request)?.timeout(LONGEST_STREAM);
        let sent = building.send().await.map_err(in_a_sentence);
        let response = sent.with_context(|| self.asking())?;
        let status = response.status();
        if status.is_success() {
            return Ok(EventStream::new(response));
        }
        let body = bounded_body(response, MOST_BYTES).await?;
        self.accept(status, body)?;
        bail!("{} gives no stream", self.base)
    }

    /// The answer of a public address, whatever its status. No credential is sent.
    ///
    /// # Errors
    /// When the service cannot be asked.
    pub(crate) async fn look(&self, path: &[&str]) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let asked = bounded_answer(self.http.get(self.page(path)?), MOST_BYTES).await;
        asked.with_context(|| self.asking())
    }

    /// The address of a page or route.
    ///
    /// # Errors
    /// When a segment is none.
    pub(crate) fn page(&self, path: &[&str]) -> anyhow::Result<Url> {
        self.below(path.iter().copied())
    }

    fn asking(&self) -> String {
        format!("asking {}", self.base)
    }

    fn built(&self, request: &ApiRequest) -> anyhow::Result<RequestBuilder> {
        let mut building = self
            .http
            .request(request.method.clone(), self.url(request)?);
        if let Some(body) = &request.body {
            building = building.json(body);
        }
        if let Some((media_type, text)) = &request.text {
            building = building
                .header(CONTENT_TYPE, *media_type)
                .body(text.clone());
        }
        if let Some(version) = request.follows {
            building = building.header(IF_MATCH, format!("\"{version}\""));
        }
        if let Some(token) = &self.token {
            building = building.bearer_auth(token.expose_secret());
        }
        Ok(building)
    }

    fn accept(&self, status: StatusCode, body: Vec<u8>) -> anyhow::Result<Vec<u8>> {
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

    fn below<'p>(&self, segments: impl Iterator<Item = &'p str>) -> anyhow::Result<Url> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            for segment in segments {
                // A URL has no segment of these names: another route would be asked.
                ensure!(
                    !matches!(segment, "" | "." | ".."),
                    "{segment:?} is not a name or an id"
                );
                path.push(segment);
            }
        }
        Ok(url)
    }

    fn url(&self, request: &ApiRequest) -> anyhow::Result<Url> {
        let mut url = self.below(request.path.iter().map(String::as_str))?;
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
        assert_eq!(odd, "502 Bad Gateway ‹U+001B›[2Jgone");
    }
}
