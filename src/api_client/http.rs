//! HTTP to one host, for all commands.

use anyhow::{Context, ensure};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use std::time::Duration;
use url::Url;

/// A client for the service at this address. What authenticates a request goes to that host alone: no
/// redirect is followed, and without TLS no proxy of the environment is used.
///
/// # Errors
/// When the system's certificates cannot be read.
pub(crate) fn http_client(base: &Url, patience: Duration) -> anyhow::Result<Client> {
    let mut builder = Client::builder()
        .timeout(patience)
        .redirect(redirect::Policy::none());
    if base.scheme() != "https" {
        builder = builder.no_proxy();
    }
    Ok(builder.build()?)
}

/// Status and body, of which no more than `most` bytes are taken.
///
/// # Errors
/// When the service cannot be reached, or answers with more.
pub(crate) async fn bounded_answer(
    request: RequestBuilder,
    most: usize,
) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let mut response = request.send().await.context("asking the service")?;
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.context("reading the answer")? {
        ensure!(
            body.len() + part.len() <= most,
            "the service's answer is too large"
        );
        body.extend_from_slice(&part);
    }
    Ok((response.status(), body))
}
