//! What the service knows of a request and the log does not: from where it came, as facts of policies.

use crate::app::App;
use ledger::Timestamp;
use ledger::policy::{Edge, Fact, Value};
use maxminddb::{MaxMindDbError, PathElement, Reader};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// No file says such things.
const NOT_CONFIGURED: &str = "not_configured";
/// No file has the address.
const NOT_FOUND: &str = "not_found";
const NOT_TOLD: &str = "not_told";
/// Characters of a name that are shown.
const LONGEST_NAME: usize = 100;

/// Where a request came from, and by which client certificate, as far as the connection and proxies of ours say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFrom {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The subject of the client's certificate.
    pub tls_subject: Fact,
    /// SHA-256 of the certificate in lower-case hex.
    pub tls_fingerprint: Fact,
}

impl Default for SeenFrom {
    fn default() -> Self {
        Self {
            address: None,
            tls_subject: Fact::unknown(NOT_TOLD),
            tls_fingerprint: Fact::unknown(NOT_TOLD),
        }
    }
}

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct UnreadableFile {
    path: PathBuf,
    source: MaxMindDbError,
}

/// Files in the format of MaxMind that say where an address is. They are read once.
#[derive(Default)]
pub struct Places(Vec<Reader<Vec<u8>>>);

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Places").field(&self.0.len()).finish()
    }
}

/// What is known of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacesFile {
    /// The kind that it says it is.
    pub kind: String,
    /// When it was made.
    pub made_at: Timestamp,
}

impl Places {
    /// Reads them into memory.
    ///
    /// # Errors
    /// The first that cannot be read, or is none of these.
    pub fn open(files: &[PathBuf]) -> Result<Self, UnreadableFile> {
        let read = files.iter().map(|path| open(path));
        Ok(Self(read.collect::<Result<_, _>>()?))
    }

    /// What each file says of itself, in order.
    #[must_use]
    pub fn files(&self) -> Vec<PlacesFile> {
        let described = self.0.iter().map(|file| PlacesFile {
            kind: file.metadata().database_type.clone(),
            made_at: made_at(file.metadata().build_epoch),
        });
        described.collect()
    }

    /// The ISO code of an address's country.
    #[must_use]
    pub fn country(&self, address: IpAddr) -> Fact {
        let path = [PathElement::Key("country"), PathElement::Key("iso_code")];
        self.ask(address, &path, |code: String| {
            let code = code.to_ascii_uppercase();
            let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
            is_code.then_some(Value::Text(code))
        })
    }

    /// The number of an address's autonomous system.
    #[must_use]
    pub fn asn(&self, address: IpAddr) -> Fact {
        let path = [PathElement::Key("autonomous_system_number")];
        self.ask(address, &path, |number: u32| {
            Some(Value::Int(number.into()))
        })
    }

    /// The English name of an address's city, for people to read. No rule reads it.
    #[must_use]
    pub fn city(&self, address: IpAddr) -> Option<String> {
        self.name(address, &["city", "names", "en"])
    }

    /// The name of an address's provider, else of its autonomous system, for people to read. No rule reads it.
    #[must_use]
    pub fn isp(&self, address: IpAddr) -> Option<String> {
        self.name(address, &["isp"])
            .or_else(|| self.name(address, &["autonomous_system_organization"]))
    }

    fn name(&self, address: IpAddr, path: &[&str]) -> Option<String> {
        let path: Vec<PathElement<'_>> = path.iter().copied().map(PathElement::Key).collect();
        let said = self.ask(address, &path, |name: String| {
            let name: String = name.chars().take(LONGEST_NAME).collect();
            (!name.is_empty()).then_some(Value::Text(name))
        });
        match said {
            Fact::Known(Value::Text(name)) => Some(name),
            _ => None,
        }
    }

    /// What the first file says that says it.
    fn ask<T: for<'de> serde::Deserialize<'de>>(
        &self,
        address: IpAddr,
        path: &[PathElement<'_>],
        read: impl Fn(T) -> Option<Value>,
    ) -> Fact {
        if self.0.is_empty() {
            return Fact::unknown(NOT_CONFIGURED);
        }
        let mut why = NOT_FOUND;
        for file in &self.0 {
            let found = file.lookup(address);
            match found.and_then(|found| found.decode_path::<T>(path)) {
                Ok(Some(found)) => match read(found) {
                    Some(value) => return Fact::Known(value),
                    None => why = "unreadable",
                },
                // An address of IPv6 in a file of IPv4 is none that it has.
                Ok(None) | Err(MaxMindDbError::InvalidInput { .. }) => {}
                Err(_) => why = "unreadable",
            }
        }
        Fact::unknown(why)
    }
}

fn made_at(seconds: u64) -> Timestamp {
    // Microseconds of later ones do not fit.
    let last = i64::MAX / 1_000_000;
    Timestamp::from_seconds(i64::try_from(seconds).unwrap_or(last).min(last))
}

fn open(path: &Path) -> Result<Reader<Vec<u8>>, UnreadableFile> {
    Reader::open_readfile(path).map_err(|source| UnreadableFile {
        path: path.to_owned(),
        source,
    })
}

/// The facts of a request that asks nobody anything. Where no policy is in force and nothing is blocked they are not
/// needed.
pub(crate) fn edge(app: &App, seen: &SeenFrom) -> Edge {
    let policy = app.ledger.policy();
    if policy.in_force.is_none() && app.ledger.admissions().is_empty() {
        return Edge::default();
    }
    facts(app, seen)
}

/// The facts of a request that may become a question, with the names that people are told.
pub(crate) fn edge_of_asker(app: &App, seen: &SeenFrom) -> Edge {
    let mut edge = facts(app, seen);
    let named = |name: fn(&Places, IpAddr) -> Option<String>| {
        let found = seen.address.and_then(|address| name(&app.places, address));
        Fact::text(found.as_deref(), NOT_FOUND)
    };
    edge.say("city", named(Places::city));
    edge.say("isp", named(Places::isp));
    edge
}

fn facts(app: &App, seen: &SeenFrom) -> Edge {
    let mut edge = Edge::default();
    let of_place = |fact: fn(&Places, IpAddr) -> Fact| match seen.address {
        Some(address) => fact(&app.places, address),
        None => Fact::unknown(NOT_TOLD),
    };
    let address = seen.address.map(|address| address.to_string());
    edge.say("address", Fact::text(address.as_deref(), NOT_TOLD));
    edge.say("country", of_place(Places::country));
    edge.say("asn", of_place(Places::asn));
    edge.say("tls.subject", seen.tls_subject.clone());
    edge.say("tls.fingerprint", seen.tls_fingerprint.clone());
    edge
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(names: &[&str]) -> Places {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/data/geoip");
        let files: Vec<_> = names.iter().map(|name| folder.join(name)).collect();
        Places::open(&files).unwrap()
    }

    fn told(places: &Places, address: &str) -> (Fact, Fact) {
        let address = address.parse().unwrap();
        (places.country(address), places.asn(address))
    }

    #[test]
    fn an_address_has_the_country_and_the_network_that_the_files_say() {
        let both = places(&["country.mmdb", "asn.mmdb"]);
        let text = |code: &str| Fact::Known(Value::Text(code.to_owned()));
        let number = |number| Fact::Known(Value::Int(number));
        let nothing = || Fact::unknown("not_found");
        assert_eq!(told(&both, "192.0.2.9"), (text("DE"), number(64496)));
        assert_eq!(told(&both, "198.51.100.9"), (text("US"), number(64497)));
        assert_eq!(told(&both, "2001:db8::9"), (text("DE"), nothing()));
        // It is there, and nobody says in which country.
        assert_eq!(told(&both, "203.0.113.9"), (nothing(), nothing()));
        assert_eq!(told(&both, "10.0.0.1"), (nothing(), nothing()));
        let kinds = both.files().into_iter().map(|file| file.kind);
        assert_eq!(kinds.collect::<Vec<_>>(), ["Test-Country", "Test-ASN"]);
    }

    #[test]
    fn people_are_told_the_city_and_the_provider_that_the_files_name() {
        let told = |address: &str| {
            let (named, address) = (places(&["asn.mmdb", "city.mmdb"]), address.parse().unwrap());
            (named.city(address), named.isp(address))
        };
        let text = |name: &str| Some(name.to_owned());
        assert_eq!(told("192.0.2.9"), (text("Berlin"), text("Example Net")));
        assert_eq!(told("198.51.100.9"), (None, text("Other Net")));
        assert_eq!(told("10.0.0.1"), (None, None));
    }

    #[test]
    fn without_a_file_nothing_is_known() {
        let unknown = || Fact::unknown("not_configured");
        assert_eq!(
            told(&Places::default(), "192.0.2.9"),
            (unknown(), unknown())
        );
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        Places::open(&[folder.join("Cargo.toml")]).unwrap_err();
        Places::open(&[folder.join("no-such-file")]).unwrap_err();
    }
}
