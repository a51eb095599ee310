//! One request to a witness, and what it answers.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use ledger::tlog::{NoteError, NoteSignature, WitnessRequest};
use reqwest::{Client, Response, redirect};
use std::time::Duration;
use url::Url;

const USER_AGENT: &str = concat!("llm-permission-proxy/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From the first thought of connecting to the end of the answer.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(15);
/// Room for the signature lines of many keys; a size is a few bytes.
const MOST_ANSWER_BYTES: usize = 64 * 1024;
/// The media type of an answer that is a size.
const SIZE: &str = "text/x.tlog.size";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Signature lines; nobody has verified them yet.
    Cosigned(Vec<NoteSignature>),
    /// The newest checkpoint that it has cosigned has this size.
    Newest(u64),
    /// Its cosigned tree is not the beginning of the one that it was shown.
    OtherHistory,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// It could not be reached, or broke off, or took too long.
    #[error("the witness could not be reached")]
    Transport(#[source] reqwest::Error),
    /// A status that is neither a cosignature nor a conflict.
    #[error("the witness answered {0}{hint}", hint = hint(*.0))]
    Status(StatusCode),
    #[error("the witness's answer is too large")]
    TooLarge,
    /// Neither signature lines nor a size.
    #[error("the witness's answer is not of tlog-witness")]
    Form(#[source] Option<NoteError>),
}

/// Its state, by what can be done about it.
const fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => {
            ": it does not watch this log; its operator must add the log's key"
        }
        StatusCode::FORBIDDEN => ": it knows another key for this log",
        _ => "",
    }
}

/// Speaks to witnesses: no redirects, no proxy from the environment, a bound for time and size.
#[derive(Debug, Clone)]
pub(super) struct WitnessClient(Client);

impl WitnessClient {
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        // The HTTP client panics without a process-wide provider; whoever installs one first wins.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::builder()
            .user_agent(USER_AGENT)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .pool_max_idle_per_host(1)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .build()
            .map(Self)
    }

    /// Sends `add-checkpoint` once.
    ///
    /// # Errors
    /// When there is no answer that means anything; see [`AskError`].
    pub(super) async fn add_checkpoint(
        &self,
        url: &Url,
        request: &WitnessRequest,
    ) -> Result<Answer, AskError> {
        let sent = self.0.post(url.clone()).body(request.to_string()).send();
        let answer = sent
            .await
            .map_err(|error| AskError::Transport(error.without_url()))?;
        let status = answer.status();
        let is_size = answer
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|media| media.as_bytes().starts_with(SIZE.as_bytes()));
        match status {
            StatusCode::OK => {
                let lines = text(answer).await?;
                let lines = NoteSignature::parse_lines(&lines);
                lines
                    .map(Answer::Cosigned)
                    .map_err(|why| AskError::Form(Some(why)))
            }
            StatusCode::CONFLICT if is_size => {
                let size = parse_size(&text(answer).await?);
                size.map(Answer::Newest).ok_or(AskError::Form(None))
            }
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => Ok(Answer::OtherHistory),
            other => Err(AskError::Status(other)),
        }
    }
}

async fn text(mut answer: Response) -> Result<String, AskError> {
    let mut bytes = Vec::new();
    let broken = |error: reqwest::Error| AskError::Transport(error.without_url());
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        if bytes.len() + chunk.len() > MOST_ANSWER_BYTES {
            return Err(AskError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| AskError::Form(None))
}

/// A decimal number in its one form and a line end.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.strip_suffix('\n')?;
    let size: u64 = digits.parse().ok()?;
    (size.to_string() == digits).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_one_form() {
        assert_eq!(parse_size("0\n"), Some(0));
        assert_eq!(parse_size("20852163\n"), Some(20_852_163));
        for text in [
            "", "\n", "1", "01\n", "+1\n", " 1\n", "1\n\n", "1\r\n", "-1\n",
        ] {
            assert_eq!(parse_size(text), None, "{text:?}");
        }
    }
}
