//! The text form of witness policies (C2SP tlog-policy): lines `log`, `witness`, `group` and `quorum`.

use super::policy::{Group, Member, PolicyError, PolicyLog, PolicyWitness, WitnessPolicy};
use super::tile::canonical_number;
use std::collections::{HashMap, HashSet};
use std::str::FromStr;

/// The name that stands for no cosignature at all.
const NONE: &str = "none";
/// More lines are refused.
const MAX_LINES: usize = 4096;

/// Parses a policy's file. Lines refer only to names of lines before them.
impl FromStr for WitnessPolicy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let mut file = File::default();
        for (at, line) in text.split('\n').enumerate() {
            let wrong = |problem: String| PolicyError::Line {
                line: at + 1,
                problem,
            };
            if at >= MAX_LINES {
                return Err(wrong("more lines than are read".to_owned()));
            }
            if line.bytes().any(|byte| byte != b'\t' && is_control(byte)) {
                return Err(wrong("control characters other than tab".to_owned()));
            }
            file.take(line).map_err(wrong)?;
        }
        let policy = Self {
            logs: file.logs,
            witnesses: file.witnesses,
            groups: file.groups,
            quorum: file.quorum.ok_or(PolicyError::NoQuorum)?,
        };
        policy.check_keys()?;
        Ok(policy)
    }
}

#[derive(Default)]
struct File {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    quorum: Option<Option<Member>>,
    names: HashMap<String, Member>,
    /// Whoever is a member already: nobody counts in two ways.
    members: HashSet<Member>,
}

impl File {
    fn take(&mut self, line: &str) -> Result<(), String> {
        let items: Vec<&str> = line.split([' ', '\t']).filter(|i| !i.is_empty()).collect();
        match items.as_slice() {
            [] => Ok(()),
            [comment, ..] if comment.starts_with('#') => Ok(()),
            ["log", key, url @ ..] => {
                let key = key.parse().map_err(describe)?;
                let url = at_most_one(url)?;
                self.logs.push(PolicyLog { key, url });
                Ok(())
            }
            ["witness", name, key, url @ ..] => {
                let key = key.parse().map_err(describe)?;
                let url = at_most_one(url)?;
                self.name(name, Member::Witness(self.witnesses.len()))?;
                self.witnesses.push(PolicyWitness { key, url });
                Ok(())
            }
            ["group", name, threshold, members @ ..] => self.group(name, threshold, members),
            ["quorum", name] => self.set_quorum(name),
            [keyword, ..] => Err(format!(
                "{keyword:?} is not log, witness, group or quorum, or has not what belongs to it"
            )),
        }
    }

    fn group(&mut self, name: &str, threshold: &str, members: &[&str]) -> Result<(), String> {
        let members = members
            .iter()
            .map(|member| self.known(member))
            .collect::<Result<Vec<_>, _>>()?;
        for member in &members {
            if !self.members.insert(*member) {
                return Err("a member is in a group already".to_owned());
            }
        }
        let threshold = match threshold {
            "any" => 1,
            "all" => members.len(),
            number => canonical_number(number)
                .and_then(|number| usize::try_from(number).ok())
                .ok_or("a group needs any, all or a number of its members")?,
        };
        let group = Group::new(threshold, members).map_err(describe)?;
        self.name(name, Member::Group(self.groups.len()))?;
        self.groups.push(group);
        Ok(())
    }

    fn set_quorum(&mut self, name: &str) -> Result<(), String> {
        if self.quorum.is_some() {
            return Err("a second quorum line".to_owned());
        }
        self.quorum = Some(match name {
            NONE => None,
            name => Some(self.known(name)?),
        });
        Ok(())
    }

    fn name(&mut self, name: &str, member: Member) -> Result<(), String> {
        if name == NONE || self.names.insert(name.to_owned(), member).is_some() {
            return Err(format!("{name:?} is taken already"));
        }
        Ok(())
    }

    fn known(&self, name: &str) -> Result<Member, String> {
        let unknown = || format!("{name:?} is no witness or group of a line above");
        self.names.get(name).copied().ok_or_else(unknown)
    }
}

fn at_most_one(rest: &[&str]) -> Result<Option<String>, String> {
    match rest {
        [] => Ok(None),
        [url] => Ok(Some((*url).to_owned())),
        _ => Err("more than a URL at the end".to_owned()),
    }
}

fn describe(error: impl std::error::Error) -> String {
    error.to_string()
}

const fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7f
}
