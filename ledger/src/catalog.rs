//! What the catalog says of an operation, and the words of it that stand in events: operation, type of
//! scope, level and risk.
//!
//! In events these words are numbers, frozen below: nothing in a table may move or go. A name that has no
//! number there stands as text behind the first number that is free, so that a provider that comes later
//! changes nothing that is stored. In JSON all of them are text.

use crate::word::Word;
use serde::de::{EnumAccess, Error as _, Unexpected, VariantAccess as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// How much a permission allows; a higher level includes the lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Look, do not touch.
    Read,
    /// Change single objects.
    Write,
    /// Change what protects others.
    Admin,
}

/// How much harm an operation can do; `sensitive` always waits for a human.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Changes nothing.
    Safe,
    /// Changes something that can be changed back.
    Elevated,
    /// Can take a site down or open it to others.
    Sensitive,
}

impl Level {
    /// How far it goes beside the others; its place in events says nothing of that.
    const fn rank(self) -> u8 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Admin => 2,
        }
    }
}

impl Risk {
    /// How bad it is beside the others; its place in events says nothing of that.
    const fn rank(self) -> u8 {
        match self {
            Self::Safe => 0,
            Self::Elevated => 1,
            Self::Sensitive => 2,
        }
    }
}

/// The name of an operation: 1..=39 characters of `a-z 0-9 . _ -`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId(Word<39>);

/// The name of a kind of upstream object that operations act on: 1..=23 characters of `a-z 0-9 . _ -`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopeType(Word<23>);

/// The catalog's entry of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogEntry {
    /// The operation's stable name.
    pub id: OperationId,
    /// The least level a grant must have.
    pub level: Level,
    /// Its risk, at least.
    pub risk: Risk,
    /// The type of its objects.
    pub scope_type: ScopeType,
    /// Its params hold files, so that a request for it may be larger than others.
    pub uploads: bool,
    /// Its effect, in one sentence for people.
    pub summary: &'static str,
}

/// The name is not in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {name:?}")]
pub struct UnknownName {
    what: &'static str,
    name: String,
}

impl UnknownName {
    pub(crate) fn new(what: &'static str, name: &str) -> Self {
        Self {
            what,
            name: name.to_owned(),
        }
    }
}

/// Names of which those in the table are numbers in events.
macro_rules! names {
    ($type:ident, $what:literal, $frozen:ident = [$($name:literal),+ $(,)?]) => {
        /// By number. Frozen.
        const $frozen: &[&str] = &[$($name),+];

        impl $type {
            /// A constant; what is too long to be a name does not compile.
            #[must_use]
            pub const fn of(name: &'static str) -> Self {
                Self(Word::of(name))
            }

            /// The word used in requests, answers and payloads.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            /// The catalog says whether there is such an operation.
            fn from_str(name: &str) -> Result<Self, UnknownName> {
                let fine = |byte: u8| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
                };
                Word::parse(name, fine)
                    .map(Self)
                    .ok_or_else(|| UnknownName::new($what, name))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let name = self.as_str();
                if to.is_human_readable() {
                    return to.serialize_str(name);
                }
                match (0..).zip($frozen).find(|(_, frozen)| **frozen == name) {
                    Some((number, frozen)) => {
                        to.serialize_unit_variant(stringify!($type), number, frozen)
                    }
                    None => {
                        let free = u32::try_from($frozen.len()).unwrap_or(u32::MAX);
                        to.serialize_newtype_variant(stringify!($type), free, "other", name)
                    }
                }
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Numbered;

                impl<'de> Visitor<'de> for Numbered {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("the number or the name of an ", $what))
                    }

                    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<$type, A::Error> {
                        let (number, variant) = data.variant::<u32>()?;
                        let number = usize::try_from(number).unwrap_or(usize::MAX);
                        if let Some(frozen) = $frozen.get(number) {
                            variant.unit_variant()?;
                            return frozen.parse().map_err(A::Error::custom);
                        }
                        if number != $frozen.len() {
                            let found = Unexpected::Unsigned(number as u64);
                            return Err(A::Error::invalid_value(found, &self));
                        }
                        let name: String = variant.newtype_variant()?;
                        // One spelling for each name.
                        if $frozen.contains(&name.as_str()) {
                            return Err(A::Error::invalid_value(Unexpected::Str(&name), &self));
                        }
                        name.parse().map_err(A::Error::custom)
                    }
                }

                if from.is_human_readable() {
                    let name = String::deserialize(from)?;
                    return name.parse().map_err(D::Error::custom);
                }
                from.deserialize_enum(stringify!($type), $frozen, Numbered)
            }
        }
    };
}

names!(
    OperationId,
    "operation",
    FROZEN_OPERATIONS = [
        "dns.record.read",
        "dns.record.write",
        "cache.purge.execute",
        "workers.deploy.write",
        "waf.rules.read",
        "waf.rules.write",
        "ssl.mode.write",
    ]
);
names!(
    ScopeType,
    "scope type",
    FROZEN_SCOPE_TYPES = ["zone", "account"]
);

/// Words of which there will be no others.
macro_rules! words {
    ($type:ident, $what:literal, $($variant:ident = $word:literal),+) => {
        impl $type {
            /// The word used in requests, answers and payloads.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $type {
            fn cmp(&self, other: &Self) -> Ordering {
                self.rank().cmp(&other.rank())
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, UnknownName> {
                match name {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownName::new($what, name)),
                }
            }
        }
    };
}

words!(
    Level,
    "level",
    Read = "read",
    Write = "write",
    Admin = "admin"
);
words!(
    Risk,
    "risk tier",
    Safe = "safe",
    Elevated = "elevated",
    Sensitive = "sensitive"
);

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;
    use std::fmt::Debug;

    fn stands_as<T>(name: &str, bytes: &[u8])
    where
        T: FromStr<Err = UnknownName> + Debug + PartialEq + Serialize + DeserializeOwned,
    {
        let word: T = name.parse().unwrap();
        assert_eq!(postcard::to_allocvec(&word).unwrap(), bytes, "{name}");
        assert_eq!(postcard::from_bytes::<T>(bytes).as_ref(), Ok(&word));
        let json = serde_json::json!(name);
        assert_eq!(serde_json::to_value(&word).unwrap(), json);
        assert_eq!(serde_json::from_value::<T>(json).unwrap(), word);
    }

    #[test]
    fn numbers_of_words_in_events_are_frozen() {
        for (number, name) in [
            (0, "dns.record.read"),
            (1, "dns.record.write"),
            (2, "cache.purge.execute"),
            (3, "workers.deploy.write"),
            (4, "waf.rules.read"),
            (5, "waf.rules.write"),
            (6, "ssl.mode.write"),
        ] {
            stands_as::<OperationId>(name, &[number]);
        }
        stands_as::<OperationId>("a.b", &[7, 3, b'a', b'.', b'b']);
        for (number, name) in [(0, "zone"), (1, "account")] {
            stands_as::<ScopeType>(name, &[number]);
        }
        stands_as::<ScopeType>("room", &[2, 4, b'r', b'o', b'o', b'm']);
        for (number, name) in [(0, "read"), (1, "write"), (2, "admin")] {
            stands_as::<Level>(name, &[number]);
        }
        for (number, name) in [(0, "safe"), (1, "elevated"), (2, "sensitive")] {
            stands_as::<Risk>(name, &[number]);
        }
    }

    #[test]
    fn a_name_stands_in_events_in_one_way_only() {
        let long = [&[7, 40][..], &[b'a'; 40]].concat();
        for other in [
            &[
                7, 14, b's', b's', b'l', b'.', b'm', b'o', b'd', b'e', b'.', b'w', b'r', b'i',
                b't', b'e',
            ][..],
            &[8, 1, b'a'],
            &[7, 0],
            &[7, 1, b'A'],
            &long,
        ] {
            assert!(
                postcard::from_bytes::<OperationId>(other).is_err(),
                "{other:?}"
            );
        }
    }

    #[test]
    fn levels_and_risks_are_ranked() {
        assert!(Level::Read < Level::Write && Level::Write < Level::Admin);
        assert!(Risk::Safe < Risk::Elevated && Risk::Elevated < Risk::Sensitive);
    }
}
