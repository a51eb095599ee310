//! Where callbacks may go and how hard they are tried.

use super::problem::Problem;
use super::sources::Sources;
use super::variable::{self, Variable};
use crate::text_file;
use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::PathBuf;
use std::time::Duration;
use url::Host;

/// The dispatcher's bounds.
pub(crate) struct Callbacks {
    /// Host names (lower case, IDNA-encoded) that a callback may name. Empty: none.
    pub(crate) allowed_hosts: Vec<String>,
    /// Restricted networks that an allowed host may nevertheless resolve to.
    pub(crate) allowed_nets: Vec<IpNet>,
    /// PEM roots trusted beside the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// Tries for each delivery, the first included.
    pub(crate) max_retries: u32,
    /// Deliveries claimed at a time.
    pub(crate) batch_size: u32,
    /// The longest sleep between two looks at what is owed.
    pub(crate) worker_interval: Duration,
}

impl Callbacks {
    /// Reads the section; problems are left with `sources`.
    pub(crate) fn read(sources: &mut Sources) -> Self {
        let interval = sources.number(&variable::CALLBACK_WORKER_INTERVAL_SECS, 1, 60);
        Self {
            allowed_hosts: hosts(sources),
            allowed_nets: nets(sources),
            ca_file: ca_file(sources),
            max_retries: sources.number(&variable::CALLBACK_MAX_RETRIES, 1, 20),
            batch_size: sources.number(&variable::CALLBACK_BATCH_SIZE, 1, 500),
            worker_interval: Duration::from_secs(u64::from(interval)),
        }
    }

    /// The bytes of the CA file, after a look at whether certificates stand in them; `None` when no
    /// file is named.
    pub(crate) fn read_ca_file(&self) -> Result<Option<Vec<u8>>, Problem> {
        let Some(path) = &self.ca_file else {
            return Ok(None);
        };
        let problem = |text: String| Problem::new(variable::CALLBACK_CA_FILE.name(), text);
        let bytes = text_file::read(path)
            .map(|text| text.as_bytes().to_vec())
            .map_err(|error| problem(format!("cannot be read from {}: {error}", path.display())))?;
        let mut found = 0_u32;
        for certificate in CertificateDer::pem_slice_iter(&bytes) {
            certificate.map_err(|_| problem(format!("{} is not valid PEM", path.display())))?;
            found += 1;
        }
        if found == 0 {
            return Err(problem(format!(
                "{} holds no PEM certificate",
                path.display()
            )));
        }
        Ok(Some(bytes))
    }
}

fn hosts(sources: &mut Sources) -> Vec<String> {
    const NAME: &Variable = &variable::CALLBACK_ALLOWED_HOSTS;
    let mut hosts = Vec::new();
    for (at, item) in sources.list(NAME).iter().enumerate() {
        match host(item) {
            Ok(host) => hosts.push(host),
            Err(text) => sources.problem(NAME, format!("item {}: {text}", at + 1)),
        }
    }
    hosts.sort();
    hosts.dedup();
    hosts
}

fn host(item: &str) -> Result<String, &'static str> {
    if item.contains('*') {
        return Err("wildcards are not accepted; name every host");
    }
    match Host::parse(item.trim_end_matches('.')) {
        Ok(Host::Domain(name))
            if !ledger::is_host_as_written(item.trim_end_matches('.'), &name) =>
        {
            Err("is read as another host: write it in the characters that are meant")
        }
        Ok(Host::Domain(name)) if !name.is_empty() => Ok(name),
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) => Err("IP addresses are not accepted; name a host"),
        Ok(Host::Domain(_)) | Err(_) => {
            Err("is not a host name (give the name alone, without scheme, port and path)")
        }
    }
}

fn nets(sources: &mut Sources) -> Vec<IpNet> {
    const NAME: &Variable = &variable::CALLBACK_ALLOWED_NETS;
    let mut nets = Vec::new();
    for (at, item) in sources.list(NAME).iter().enumerate() {
        let text = match item.parse::<IpNet>() {
            Ok(net) if net.prefix_len() == 0 => "names every address there is",
            Ok(net) if net != net.trunc() => "has bits set behind its prefix",
            Ok(net) => {
                nets.push(net);
                continue;
            }
            Err(_) => "is not a network such as 10.1.0.0/16 or fd00:1::/64",
        };
        sources.problem(NAME, format!("item {}: {text}", at + 1));
    }
    nets
}

fn ca_file(sources: &mut Sources) -> Option<PathBuf> {
    sources.set(&variable::CALLBACK_CA_FILE)?;
    let text = sources.text(&variable::CALLBACK_CA_FILE);
    (!text.is_empty()).then(|| PathBuf::from(text))
}
