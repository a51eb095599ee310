//! Other APIs that administrators open to their own clients.

use crate::principal::Acting;
use crate::refusal::Error;
use crate::upstream_keys::UPSTREAMS;
use ledger::aggregate::Upstream;
use ledger::command::{PutSharedKey, PutUpstream, RemoveSharedKey, RemoveUpstream};
use ledger::{Described, Ledger, Rejection, UpstreamApi, UpstreamApiKey, UpstreamName};
use std::sync::Arc;

/// Names that may come to mean something of this service.
const RESERVED: [&str; 3] = ["me", "proxy", "v1"];

/// A name that an API can have.
///
/// # Errors
/// [`Rejection::Invalid`].
pub fn name(text: &str) -> Result<UpstreamName, Rejection> {
    let is_first = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase());
    let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (2..=32).contains(&text.len()) && is_first && text.bytes().all(is_fine);
    let is_ours = UPSTREAMS.contains(&text);
    let detail = match (fits, is_ours || RESERVED.contains(&text)) {
        (true, false) => return Ok(UpstreamName::unchecked(text)),
        (true, true) if is_ours => "name: that one is open already, and is not described",
        (true, true) => "name: that one is kept for this service",
        (false, _) => "name: 2 to 32 characters of a-z 0-9 -, a letter first",
    };
    Err(Rejection::Invalid {
        code: "invalid_upstream",
        detail: detail.to_owned(),
    })
}

/// Opens an API, in the place of the one that has its name.
///
/// # Errors
/// [`Rejection::Invalid`] with what is wrong in the description.
pub async fn put(
    ledger: &Ledger,
    who: Acting,
    name: UpstreamName,
    described: Described,
) -> Result<Arc<Upstream>, Error> {
    UpstreamApi::refuse_new(&described, &UPSTREAMS)?;
    let api = UpstreamApi::check(described, false)?;
    let put = PutUpstream { name, api };
    let upstream = ledger.execute(who.into_origin(), put).await?;
    refresh(ledger).await?;
    Ok(upstream)
}

/// Takes an API away.
///
/// # Errors
/// [`Rejection::NoSuchUpstream`].
pub async fn remove(ledger: &Ledger, who: Acting, name: UpstreamName) -> Result<(), Error> {
    let remove = RemoveUpstream { name };
    ledger.execute(who.into_origin(), remove).await?;
    refresh(ledger).await
}

/// Every API that is open.
pub async fn all(ledger: &Ledger, _: &Acting) -> Result<Vec<Arc<Upstream>>, Error> {
    Ok(ledger.upstreams().await?)
}

/// The API of a name.
///
/// # Errors
/// [`Rejection::NoSuchUpstream`].
pub async fn one(ledger: &Ledger, _: &Acting, name: &str) -> Result<Arc<Upstream>, Error> {
    let found = ledger.upstream(&UpstreamName::unchecked(name)).await?;
    Ok(found.ok_or(Rejection::NoSuchUpstream)?)
}

/// Stores the key that all agents share for an API, in the place of the one that is there.
///
/// # Errors
/// [`Rejection::Invalid`] for what is no key, [`Rejection::NoSuchUpstream`].
pub async fn put_key(ledger: &Ledger, who: Acting, name: &str, text: String) -> Result<(), Error> {
    let name = UpstreamName::unchecked(name);
    let api_key = UpstreamApiKey::parse(&name, text).map_err(Rejection::from)?;
    let put = PutSharedKey { name, api_key };
    ledger.execute(who.into_origin(), put).await?;
    Ok(())
}

/// Removes the key that all agents share for an API. Nothing happens where there is none.
///
/// # Errors
/// [`Rejection::NoSuchUpstream`].
pub async fn remove_key(ledger: &Ledger, who: Acting, name: &str) -> Result<(), Error> {
    let name = UpstreamName::unchecked(name);
    let remove = RemoveSharedKey { name };
    Ok(ledger.execute(who.into_origin(), remove).await?)
}

/// Puts the operations of all open APIs into the catalog: at the start, and whenever one is opened or taken away.
///
/// # Errors
/// A ledger that cannot be read.
pub async fn refresh(ledger: &Ledger) -> Result<(), Error> {
    let upstreams = ledger.upstreams().await?;
    let apis = upstreams
        .iter()
        .filter_map(|upstream| upstream.api.as_ref());
    let operations = apis.flat_map(|api| api.catalog()).collect();
    ledger.rules().providers.set_opened(operations);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_place_below_proxy_and_none_of_ours() {
        for text in ["github", "a1", "git-hub"] {
            assert!(name(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "a",
            "1a",
            "-a",
            "Git",
            "a_b",
            "a/b",
            "anthropic",
            "cloudflare",
            "me",
        ] {
            assert!(name(text).is_err(), "{text}");
        }
    }
}
