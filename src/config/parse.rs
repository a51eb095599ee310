//! How the text of a setting is read; what is wrong is told without the text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use ledger::seal::MASTER_KEY_LEN;
use ledger::tlog::{KeyName, LogOrigin, LogSigner};
use ledger::{ApproverName, CallbackPolicy, CallbackSecret, CallbackUrl};
use secrecy::zeroize::Zeroizing;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::{Host, Url};
use workers::notifier::{InvalidMail, MailAddress, MailServer};

/// What is wrong with a text, and what to do about it.
pub(crate) type Fault = Cow<'static, str>;

/// A master key, wiped when it goes.
pub(crate) type Key = Zeroizing<[u8; MASTER_KEY_LEN]>;

/// The least quota of bytes: the largest apply fits into it, with what comes of it.
const LEAST_QUOTA: u64 = 32 << 20;

/// A thousand times what anybody could use.
const MOST_BYTES: u64 = 1 << 50;

pub(super) fn text(text: &str) -> Result<String, Fault> {
    Ok(text.to_owned())
}

pub(super) fn path(text: &str) -> Result<PathBuf, Fault> {
    Ok(text.into())
}

pub(super) fn switch(text: &str) -> Result<bool, Fault> {
    text.parse().map_err(|_| "must be true or false".into())
}

pub(super) fn on_or_off(text: &str) -> Result<bool, Fault> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off".into()),
    }
}

/// For a switch that other programs write as a number.
pub(super) fn numeric_switch(text: &str) -> Result<bool, Fault> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err("must be 1 or true, 0 or false".into()),
    }
}

/// Between two bounds, both included; written as programs write it.
fn whole(text: &str, least: u64, most: u64) -> Result<u64, Fault> {
    let number = text
        .parse()
        .ok()
        .filter(|number: &u64| (least..=most).contains(number) && number.to_string() == text);
    number.ok_or_else(|| format!("must be a whole number from {least} to {most}").into())
}

pub(super) fn count<const LEAST: u32, const MOST: u32>(text: &str) -> Result<u32, Fault> {
    let number = whole(text, LEAST.into(), MOST.into())?;
    Ok(u32::try_from(number).unwrap_or(MOST))
}

pub(super) fn seconds<const LEAST: u32, const MOST: u32>(text: &str) -> Result<Duration, Fault> {
    whole(text, LEAST.into(), MOST.into()).map(Duration::from_secs)
}

pub(super) fn bytes(text: &str) -> Result<u64, Fault> {
    whole(text, 0, MOST_BYTES)
}

pub(super) fn quota(text: &str) -> Result<u64, Fault> {
    whole(text, LEAST_QUOTA, MOST_BYTES)
}

pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        "must be an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080".into()
    })
}

/// An http or https address with a host and without credentials, query and fragment, and without a
/// slash at the end of its path, so that `/v1/…` can be put behind it.
pub(super) fn web_address(text: &str) -> Result<Url, Fault> {
    let url = Url::parse(text.trim_end_matches('/'))
        .map_err(|_| "is not a URL such as https://proxy.example.com")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with https:// or http://".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not carry credentials".into());
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
        return Err("must name its host plainly, in the characters that are meant".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not carry a query or a fragment".into());
    }
    Ok(url)
}

/// As [`web_address`], for an API whose requests bring the `/v1` of their paths along.
pub(super) fn address_before_v1(text: &str) -> Result<Url, Fault> {
    let url = web_address(text)?;
    match url.path().ends_with("/v1") {
        true => Err("ends in /v1, which stands in the path of every request: leave it off".into()),
        false => Ok(url),
    }
}

/// As [`web_address`], for a service that is shown a credential: nobody on the way may read it.
pub(crate) fn service_address(text: &str) -> Result<Url, Fault> {
    let url = web_address(text)?;
    if url.scheme() == "https" || is_local(&url) {
        return Ok(url);
    }
    Err("must begin with https://, except on this machine: a password or token would be sent in the clear".into())
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

pub(super) fn domain(text: &str) -> Result<String, Fault> {
    match Host::parse(text) {
        Ok(Host::Domain(name)) if ledger::is_host_as_written(text, &name) => Ok(name),
        Ok(_) | Err(_) => Err("must be a domain such as proxy.example.com or localhost".into()),
    }
}

/// In lower case and IDNA-encoded.
pub(super) fn callback_host(item: &str) -> Result<String, Fault> {
    if item.contains('*') {
        return Err("wildcards are not accepted; name every host".into());
    }
    let item = item.trim_end_matches('.');
    match Host::parse(item) {
        Ok(Host::Domain(name)) if !ledger::is_host_as_written(item, &name) => {
            Err("is read as another host: write it in the characters that are meant".into())
        }
        Ok(Host::Domain(name)) if !name.is_empty() => Ok(name),
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) => {
            Err("IP addresses are not accepted; name a host".into())
        }
        Ok(Host::Domain(_)) | Err(_) => {
            Err("is not a host name (give the name alone, without scheme, port and path)".into())
        }
    }
}

/// A host of push services, or `*.` and a domain for all that lie in it.
pub(super) fn push_service(item: &str) -> Result<String, Fault> {
    let (any, domain) = match item.strip_prefix("*.") {
        Some(domain) => ("*.", domain),
        None => ("", item),
    };
    if !any.is_empty() && !domain.contains('.') {
        return Err("names every host of a top-level domain".into());
    }
    Ok(format!("{any}{}", callback_host(domain)?))
}

/// The address of a place that is told of questions. It is a secret, so no fault repeats it.
pub(super) fn notifier(text: &str) -> Result<String, Fault> {
    let malformed = "is not a URL such as https://hooks.example.com/services/1";
    let url = Url::parse(text).map_err(|_| malformed)?;
    let policy =
        CallbackPolicy::new(url.host_str()).map_err(|_| "must name its host, not an IP address")?;
    let url = CallbackUrl::parse(url.as_str(), &policy).map_err(|why| why.to_string())?;
    Ok(url.as_str().to_owned())
}

/// A mail server. Its text has a password in it, so no fault repeats it.
pub(super) fn mail_server(text: &str) -> Result<MailServer, Fault> {
    text.parse().map_err(mail_fault)
}

pub(super) fn mail_address(text: &str) -> Result<MailAddress, Fault> {
    text.parse().map_err(mail_fault)
}

fn mail_fault(why: InvalidMail) -> Fault {
    why.to_string().into()
}

pub(super) fn callback_secret(text: &str) -> Result<String, Fault> {
    CallbackSecret::new(text).map_err(|why| why.to_string())?;
    Ok(text.to_owned())
}

pub(super) fn network(item: &str) -> Result<IpNet, Fault> {
    match item.parse::<IpNet>() {
        Ok(net) if net.prefix_len() == 0 => Err("names every address there is".into()),
        Ok(net) if net != net.trunc() => Err("has bits set behind its prefix".into()),
        Ok(net) => Ok(net),
        Err(_) => Err("is not a network such as 10.1.0.0/16 or fd00:1::/64".into()),
    }
}

pub(super) fn principal(item: &str) -> Result<ApproverName, Fault> {
    if item.contains([';', '[', ']']) {
        return Err("holds one of ; [ ], as a list in another spelling does; separate items with single commas".into());
    }
    ApproverName::parse(item)
        .map_err(|_| "is a name with control characters or of more than 200 characters".into())
}

/// What may stand behind "Bearer " in a header (RFC 6750, section 2.1).
pub(super) fn header_token(text: &str) -> Result<String, Fault> {
    match text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err("holds characters that cannot stand in a header".into()),
    }
}

/// A key is named after the origin, so an origin is what a key's name may be.
pub(super) fn origin(text: &str) -> Result<LogOrigin, Fault> {
    let name: KeyName = text.parse().map_err(|_| {
        "must be a name without blanks and pluses, best a URL without its scheme, such as \
         proxy.example.com/ledger"
    })?;
    Ok(LogOrigin::from(&name))
}

pub(super) fn signing_key(text: &str) -> Result<LogSigner, Fault> {
    LogSigner::parse(text).map_err(|error| format!("cannot be used: {error}").into())
}

pub(super) fn key(text: &str) -> Result<Key, Fault> {
    let decoded = STANDARD.decode(text).map(Zeroizing::new).ok();
    let key = decoded.and_then(|bytes| bytes.as_slice().try_into().ok());
    key.map(Zeroizing::new)
        .ok_or_else(|| "is not 32 bytes in base64 (openssl rand -base64 32 makes one)".into())
}

/// The file that an SQLite URL names.
pub(super) fn database(text: &str) -> Result<PathBuf, Fault> {
    let rest = text
        .strip_prefix("sqlite://")
        .or_else(|| text.strip_prefix("sqlite:"))
        .ok_or("must begin with sqlite:// and name a file, such as sqlite://data/proxy.db")?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path == ":memory:" || query.contains("mode=memory") {
        return Err("must name a file; a database in memory would not outlive the process".into());
    }
    // Writing and creating is what happens anyway, so these two may stay where they stand already.
    if !matches!(query, "" | "mode=rw" | "mode=rwc") {
        return Err("takes no parameters behind the file name".into());
    }
    if path.is_empty() || path.ends_with('/') {
        return Err("must name a file".into());
    }
    if path.contains(['%', '#']) {
        return Err("must name its file plainly, without % and #".into());
    }
    Ok(PathBuf::from(path))
}
