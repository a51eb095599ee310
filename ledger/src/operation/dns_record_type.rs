//! Types of DNS records, and what each of them carries.

use super::dns_name::host_name;
use super::fields::plain_text;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest content; upstream's limit is 4096 bytes of a record on the wire.
const LONGEST_CONTENT: usize = 4096;

macro_rules! record_types {
    ($($variant:ident = $word:literal),+ $(,)?) => {
        /// The types of DNS records that upstream lets its users write.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum RecordType {
            $(#[doc = $word] $variant),+
        }

        impl RecordType {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Upstream's word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
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
    /// The type of this name, which is written in capitals.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| known.as_str() == text)
            .ok_or_else(|| {
                let known: Vec<_> = Self::ALL.iter().map(|known| known.as_str()).collect();
                format!("must be one of {}", known.join(", "))
            })
    }

    /// Whether upstream can stand between visitors and what the record points to.
    #[must_use]
    pub const fn is_proxiable(self) -> bool {
        matches!(self, Self::A | Self::Aaaa | Self::Cname)
    }

    /// Whether the record has a priority beside its content.
    #[must_use]
    pub const fn has_priority(self) -> bool {
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
            | Self::Uri => Err(format!("{self} records take data instead of content")),
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
