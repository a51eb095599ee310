//! URLs that stand in the configuration.

use super::sources::Sources;
use super::variable::Variable;
use url::{Host, Url};

/// An http or https address with a host and without credentials, query and fragment, and without a
/// slash at the end of its path, so that `/v1/…` can be put behind it.
pub(crate) fn read(sources: &mut Sources, variable: &Variable) -> Url {
    let text = sources.text(variable);
    match parse(&text) {
        Ok(url) => url,
        Err(problem) => {
            sources.problem(variable, problem);
            nowhere()
        }
    }
}

fn parse(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text.trim_end_matches('/'))
        .map_err(|_| "is not a URL such as https://proxy.example.com")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with https:// or http://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not carry credentials");
    }
    let authority = text.split("://").nth(1).unwrap_or_default();
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.ends_with(']') {
        true => host,
        false => host.rsplit_once(':').map_or(host, |(host, _)| host),
    };
    if let Some(Host::Domain(parsed)) = url.host()
        && !ledger::is_host_as_written(host, parsed)
    {
        return Err("must name its host plainly, in the characters that are meant");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not carry a query or a fragment");
    }
    Ok(url)
}

/// What stands in for an address that was refused; nothing is started from it.
#[expect(clippy::expect_used, reason = "a constant that parses")]
fn nowhere() -> Url {
    Url::parse("http://invalid").expect("a constant URL")
}

/// Whether this is what stands in for a refused address; nothing more need be said about it.
pub(crate) fn is_refused(url: &Url) -> bool {
    *url == nowhere()
}

/// Whether traffic to this address stays on the machine: `localhost`, a name below it, or a loopback
/// address.
pub(crate) fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}
