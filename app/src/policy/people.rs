//! The groups that a document names, and whether their people can meet its needs.

use super::names::{Groups, KnownGroup, Names};
use super::problem::{Code, Problems, quoted};
use ledger::GroupId;
use ledger::policy::{Assurance, Candidates, Need, NeedGroup, are_met};
use sha2::{Digest as _, Sha256};

/// The groups that there are.
pub(super) struct People<'a>(&'a Groups);

impl<'a> People<'a> {
    pub(super) const fn of(names: &'a Names) -> Self {
        Self(&names.groups)
    }

    /// A group by its name or its id.
    pub(super) fn group(
        &self,
        text: &str,
        line: Option<u32>,
        problems: &mut Problems,
    ) -> Option<NeedGroup> {
        if text == "default" {
            return Some(NeedGroup::Default);
        }
        let id = text.parse().ok().map(NeedGroup::Group);
        match self.0 {
            Groups::Unknown => Some(id.unwrap_or_else(|| NeedGroup::Group(made_of(text)))),
            Groups::Named(named) => {
                let by_id = id.filter(|id| named.values().any(|known| known == id));
                let found = by_id.or_else(|| named.get(text).copied()).or(id);
                known_or_problem(found, text, line, problems)
            }
            Groups::Known(known) => {
                let found = known
                    .iter()
                    .find(|group| Some(group.id) == id)
                    .or_else(|| known.iter().find(|group| group.name == text));
                known_or_problem(found.map(|group| group.id), text, line, problems)
            }
        }
    }

    /// Whether distinct people can meet all of the needs; `who` says what asks for them.
    pub(super) fn check(
        &self,
        needs: &[Need],
        line: Option<u32>,
        who: &str,
        problems: &mut Problems,
    ) {
        let Groups::Known(known) = self.0 else {
            return;
        };
        if !can_meet(known, needs, None) {
            let message = format!(
                "{who} for {}, and there are not enough people with usable credentials, each of whom counts \
                 once",
                wanted(known, needs)
            );
            problems.add(Code::Unsatisfiable, line, message);
        }
    }

    /// Whether somebody of the group can act alone, and others can look at it afterwards.
    pub(super) fn check_break_glass(
        &self,
        group: NeedGroup,
        review: &[Need],
        line: Option<u32>,
        problems: &mut Problems,
    ) {
        let Groups::Known(known) = self.0 else {
            return;
        };
        let fits = people_of(known, group)
            .filter(|(_, shows)| **shows == Assurance::Passkey)
            .any(|(person, _)| can_meet(known, review, Some(person)));
        if !fits {
            let message = "nobody of the group has a passkey and enough others for the review";
            problems.add(Code::Unsatisfiable, line, message);
        }
    }
}

fn known_or_problem(
    found: Option<NeedGroup>,
    text: &str,
    line: Option<u32>,
    problems: &mut Problems,
) -> Option<NeedGroup> {
    if found.is_none() {
        let message = format!("there is no group {}", quoted(text));
        problems.add(Code::GroupUnknown, line, message);
    }
    found
}

/// The id that stands for a group where nobody knows the real one: the same for the same name.
fn made_of(name: &str) -> GroupId {
    let digest = Sha256::new()
        .chain_update(b"llm-permission-proxy group by name v1")
        .chain_update(name)
        .finalize();
    let mut bytes = [0; 16];
    bytes
        .iter_mut()
        .zip(digest)
        .for_each(|(byte, drawn)| *byte = drawn);
    GroupId::from_bytes(bytes)
}

fn people_of(known: &[KnownGroup], id: NeedGroup) -> impl Iterator<Item = (&str, &Assurance)> {
    let group = known.iter().find(move |group| group.id == id);
    group
        .into_iter()
        .flat_map(|group| group.people.iter())
        .map(|(person, shows)| (person.as_str(), shows))
}

fn wanted(known: &[KnownGroup], needs: &[Need]) -> String {
    let wanted = needs.iter().map(|need| {
        let group = known.iter().find(|group| group.id == need.group);
        let name = group.map_or("default", |group| group.name.as_str());
        format!("{} of {}", need.n, quoted(name))
    });
    wanted.collect::<Vec<_>>().join(" and ")
}

/// Whether distinct people can meet all of the needs.
fn can_meet(known: &[KnownGroup], needs: &[Need], without: Option<&str>) -> bool {
    let candidates = needs.iter().map(|need| Candidates {
        n: need.n,
        people: people_of(known, need.group)
            .filter(|(person, shows)| **shows >= need.assurance && Some(*person) != without)
            .map(|(person, _)| person)
            .collect(),
    });
    needs.is_empty() || are_met(&candidates.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(number: u8, people: &[&str]) -> KnownGroup {
        KnownGroup {
            id: NeedGroup::Group(GroupId::from_bytes([number; 16])),
            name: format!("group{number}"),
            people: people
                .iter()
                .map(|person| ((*person).to_owned(), Assurance::Passkey))
                .collect(),
        }
    }

    fn need(number: u8, n: u32) -> Need {
        Need {
            group: NeedGroup::Group(GroupId::from_bytes([number; 16])),
            n,
            assurance: Assurance::Any,
        }
    }

    #[test]
    fn one_person_in_two_groups_meets_one_need_only() {
        let known = [group(1, &["anna"]), group(2, &["anna"])];
        assert!(can_meet(&known, &[need(1, 1)], None));
        assert!(!can_meet(&known, &[need(1, 1), need(2, 1)], None));
        let known = [group(1, &["anna", "ben"]), group(2, &["anna"])];
        assert!(can_meet(&known, &[need(1, 1), need(2, 1)], None));
        assert!(!can_meet(&known, &[need(1, 2), need(2, 1)], None));
        assert!(!can_meet(&known, &[need(1, 1), need(2, 1)], Some("ben")));
    }
}
