//! Types of DNS records, and what each of them carries.
//!
//! The set is open: upstream gains types, and one that is not known here is sent as it is named, with
//! content and data as they came.

use super::dns_name::host_name;
use super::fields::plain_text;
use ledger::Word;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest content; upstream's limit is 4096 bytes of a record on the wire.
const LONGEST_CONTENT: usize = 4096;

macro_rules! record_types {
    ($($variant:ident = $word:literal),+ $(,)?) => {
        /// The types of DNS records that upstream lets its users write.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum RecordType {
            $(#[doc = $word] $variant,)+
            /// A type that is not known here, by its name: a capital letter, then capital letters and
            /// digits.
            Other(Word<16>),
        }

        impl RecordType {
            pub(super) const KNOWN: &[Self] = &[$(Self::$variant),+];

            /// Upstream's word.
            pub(super) fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word.as_str(),
                }
            }
        }
    };
}

record_types!(
    A = "A",
    Aaaa = "AAAA",
    Caa = "CAA",
    Cert = "CERT",
    Cname = "CNAME",
    Dnskey = "DNSKEY",
    Ds = "DS",
    Https = "HTTPS",
    Loc = "LOC",
    Mx = "MX",
    Naptr = "NAPTR",
    Ns = "NS",
    Openpgpkey = "OPENPGPKEY",
    Ptr = "PTR",
    Smimea = "SMIMEA",
    Srv = "SRV",
    Sshfp = "SSHFP",
    Svcb = "SVCB",
    Tlsa = "TLSA",
    Txt = "TXT",
    Uri = "URI",
);

impl RecordType {
    /// The type of this name, in capitals whichever way it is written.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let capitals = text.to_ascii_uppercase();
        let mut known = Self::KNOWN.iter().copied();
        if let Some(known) = known.find(|known| known.as_str() == capitals) {
            return Ok(known);
        }
        let begins = capitals.starts_with(|first: char| first.is_ascii_uppercase());
        Word::parse(&capitals, |byte| {
            byte.is_ascii_uppercase() || byte.is_ascii_digit()
        })
        .filter(|_| begins)
        .map(Self::Other)
        .ok_or_else(|| {
            let known: Vec<_> = Self::KNOWN.iter().map(Self::as_str).collect();
            format!("must be a record type, such as {}", known.join(", "))
        })
    }

    /// True when nothing of the type is known here.
    pub(super) const fn is_unknown(self) -> bool {
        matches!(self, Self::Other(_))
    }

    /// True when upstream can stand between visitors and what the record points to.
    pub(super) const fn is_proxiable(self) -> bool {
        matches!(self, Self::A | Self::Aaaa | Self::Cname)
    }

    /// True when upstream surely refuses to proxy it.
    pub(super) const fn is_never_proxied(self) -> bool {
        !self.is_proxiable() && !self.is_unknown()
    }

    /// True when the record has a priority beside its content.
    pub(super) const fn has_priority(self) -> bool {
        matches!(self, Self::Mx | Self::Uri)
    }

    /// Checks `content` for a type that has it, and returns the form that is sent: addresses in
    /// their one written form (RFC 5952), host names without a final dot.
    pub(super) fn content(self, text: &str) -> Result<String, String> {
        match self {
            Self::A => match text.parse::<Ipv4Addr>() {
                Ok(address) => Ok(address.to_string()),
                Err(_) => Err("must be an IPv4 address such as 192.0.2.1".to_owned()),
            },
            Self::Aaaa => match text.parse::<Ipv6Addr>() {
                Ok(address) => Ok(address.to_string()),
                Err(_) => Err("must be an IPv6 address such as 2001:db8::1".to_owned()),
            },
            // The zone's apex has a short name here too.
            Self::Cname if text == "@" => Ok(text.to_owned()),
            // RFC 7505: a domain that takes no mail.
            Self::Mx if text == "." => Ok(text.to_owned()),
            Self::Cname | Self::Mx | Self::Ns | Self::Ptr => host_name(text),
            Self::Txt | Self::Openpgpkey => {
                plain_text(text, 1..=LONGEST_CONTENT).map(|()| text.to_owned())
            }
            // Upstream's documents say that it writes the content of these from their data; whether
            // it also reads one is its to decide.
            Self::Caa
            | Self::Cert
            | Self::Dnskey
            | Self::Ds
            | Self::Https
            | Self::Loc
            | Self::Naptr
            | Self::Smimea
            | Self::Srv
            | Self::Sshfp
            | Self::Svcb
            | Self::Tlsa
            | Self::Uri
            | Self::Other(_) => plain_text(text, 1..=LONGEST_CONTENT).map(|()| text.to_owned()),
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
