//! A settings file with secrets of its own, for a new installation.

use super::parse::is_local;
use super::problem::{Problem, Problems};
use super::storage::as_url;
use super::table::{self, Variable};
use super::{Config, private_file, secret};
use ledger::{ApproverName, Random};
use secrecy::zeroize::Zeroizing;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use url::Url;

/// The file as problems name it.
const FILE: &str = "the settings file";
/// Where a service listens behind a proxy.
const PORT: u16 = 8080;

/// The choices of an installation; all else has a default or is random.
pub(crate) struct FreshSettings<'a> {
    /// Where people reach the service.
    pub(crate) base_url: &'a Url,
    /// Where it listens; loopback where this is not given.
    pub(crate) bind: Option<SocketAddr>,
    /// At least one.
    pub(crate) approvers: &'a [ApproverName],
}

impl FreshSettings<'_> {
    /// Makes the file, for its owner alone. The data stand in a folder `data` beside it.
    ///
    /// # Errors
    /// A file that is there already, what the system says, and settings that a start would refuse.
    pub(crate) fn write(&self, path: &Path, random: &dyn Random) -> Result<(), Problems> {
        let failed = |why: String| Problem::new(FILE, format!("{} {why}", path.display()));
        let absolute = std::path::absolute(path);
        let absolute = absolute.map_err(|error| failed(format!("has no place: {error}")))?;
        let folder = absolute.parent().unwrap_or(Path::new("/"));
        if folder.to_str().is_none() {
            return Err(failed("lies in a folder whose name is not UTF-8".to_owned()).into());
        }
        let text = self.text(folder, random);
        Config::from_sources(&BTreeMap::new(), Some(&text))?;
        private_file::make_whole(path, &text).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                failed("is there already, and is never written over".to_owned()).into()
            }
            _ => failed(format!("cannot be made: {error}")).into(),
        })
    }

    fn text(&self, folder: &Path, random: &dyn Random) -> Zeroizing<String> {
        let mut text = Zeroizing::new(
            "# Settings of llm-permission-proxy. docs/configuration.md says what each means and which more\n\
             # there are. The secrets are random: keep a copy of this file elsewhere, and show it to nobody.\n\n"
                .to_owned(),
        );
        let mut put = |variable: &Variable, value: &str| {
            let value = Zeroizing::new(toml::Value::from(value).to_string());
            for part in [
                "# ",
                variable.about,
                "\n",
                variable.name,
                " = ",
                &value,
                "\n",
            ] {
                text.push_str(part);
            }
        };
        let names: Vec<&str> = self.approvers.iter().map(ApproverName::as_str).collect();
        put(&table::BIND_ADDR, &self.bind().to_string());
        put(&table::BASE_URL, self.base_url.as_str());
        put(
            &table::WEBAUTHN_RP_ID,
            self.base_url.host_str().unwrap_or_default(),
        );
        put(
            &table::WEBAUTHN_ORIGIN,
            &self.base_url.origin().ascii_serialization(),
        );
        put(&table::APPROVAL_APPROVERS, &names.join(","));
        put(&table::DATABASE_URL, &as_url(&folder.join("data/proxy.db")));
        for variable in secret::REQUIRED {
            put(variable, &random_text(random));
        }
        put(&table::SERVICE_TOKEN, &random_text(random));
        text.push_str("# ");
        text.push_str(table::CLOUDFLARE_API_TOKEN.about);
        text.push_str("; without it every operation is simulated\n# CLOUDFLARE_API_TOKEN = \"\"\n");
        text
    }

    /// A service that is reached on this machine under a port listens there.
    fn bind(&self) -> SocketAddr {
        let port = self.base_url.port().filter(|_| is_local(self.base_url));
        self.bind
            .unwrap_or_else(|| (Ipv4Addr::LOCALHOST, port.unwrap_or(PORT)).into())
    }
}

/// A secret of 32 random bytes, in hex.
pub(crate) fn random_text(random: &dyn Random) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; 32]);
    random.fill(&mut *bytes);
    Zeroizing::new(hex::encode(*bytes))
}
