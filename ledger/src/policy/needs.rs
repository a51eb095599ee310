//! Needs held against people: each person counts once, whichever groups they are in.

use std::collections::BTreeSet;

/// One need, and the people who count towards it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates<P> {
    /// How many of them it needs.
    pub n: u32,
    /// Those who may be counted.
    pub people: BTreeSet<P>,
}

impl<P: Ord> Candidates<P> {
    fn needs(&self) -> usize {
        usize::try_from(self.n).unwrap_or(usize::MAX)
    }
}

/// How many people each need gets when as many as possible are counted, each person for one need. Equal
/// arguments have equal answers.
#[must_use]
pub fn assigned<P: Ord>(needs: &[Candidates<P>]) -> Vec<usize> {
    let everybody: BTreeSet<&P> = needs.iter().flat_map(|need| &need.people).collect();
    let everybody: Vec<&P> = everybody.into_iter().collect();
    let mut matching = Matching {
        needs,
        counted: vec![None; everybody.len()],
        everybody,
    };
    for (index, need) in needs.iter().enumerate() {
        let most = need.needs().min(need.people.len());
        for _ in 0..most {
            let mut tried = vec![false; matching.everybody.len()];
            if !matching.finds_one_for(index, &mut tried) {
                break;
            }
        }
    }
    let has = |index| move |counted: &&Option<usize>| **counted == Some(index);
    let indices = 0..needs.len();
    indices
        .map(|index| matching.counted.iter().filter(has(index)).count())
        .collect()
}

/// Whether distinct people can be assigned to all needs at once. Without needs nobody is asked for, and that
/// is no agreement: `false`.
#[must_use]
pub fn are_met<P: Ord>(needs: &[Candidates<P>]) -> bool {
    !needs.is_empty()
        && assigned(needs)
            .iter()
            .zip(needs)
            .all(|(has, need)| need.n > 0 && *has >= need.needs())
}

/// A matching of people to needs, grown by augmenting paths.
struct Matching<'a, P> {
    needs: &'a [Candidates<P>],
    everybody: Vec<&'a P>,
    /// For each person the need that counts them.
    counted: Vec<Option<usize>>,
}

impl<P: Ord> Matching<'_, P> {
    /// Counts one person more for a need, moving others where that makes room.
    fn finds_one_for(&mut self, need: usize, tried: &mut [bool]) -> bool {
        for person in 0..self.everybody.len() {
            let may = self.everybody.get(person).is_some_and(|person| {
                let need = self.needs.get(need);
                need.is_some_and(|need| need.people.contains(*person))
            });
            let Some(was_tried) = tried.get_mut(person) else {
                continue;
            };
            if !may || std::mem::replace(was_tried, true) {
                continue;
            }
            let before = self.counted.get(person).copied().flatten();
            let is_free = match before {
                None => true,
                // One who is counted here already adds nothing.
                Some(other) => other != need && self.finds_one_for(other, tried),
            };
            if is_free && let Some(counted) = self.counted.get_mut(person) {
                *counted = Some(need);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn need(n: u32, people: &[u8]) -> Candidates<u8> {
        Candidates {
            n,
            people: people.iter().copied().collect(),
        }
    }

    /// Tries every way of counting each person for one need or for none.
    fn by_brute_force(needs: &[Candidates<u8>]) -> bool {
        fn tries(needs: &[Candidates<u8>], has: &mut Vec<u32>, people: &[u8]) -> bool {
            let Some((person, others)) = people.split_first() else {
                return needs
                    .iter()
                    .zip(has.iter())
                    .all(|(need, has)| *has >= need.n);
            };
            if tries(needs, has, others) {
                return true;
            }
            (0..needs.len()).any(|index| {
                if !needs[index].people.contains(person) {
                    return false;
                }
                has[index] += 1;
                let met = tries(needs, has, others);
                has[index] -= 1;
                met
            })
        }
        let people: Vec<u8> = (0..6).collect();
        tries(needs, &mut vec![0; needs.len()], &people)
    }

    #[test]
    fn one_person_in_two_groups_is_counted_once() {
        assert!(!are_met(&[need(1, &[1]), need(1, &[1])]));
        assert!(are_met(&[need(1, &[1]), need(1, &[1, 2])]));
        // The one who fits both is moved to where nobody else does.
        assert!(are_met(&[need(1, &[1, 2]), need(1, &[1])]));
        assert_eq!(assigned(&[need(2, &[1]), need(1, &[1, 2])]), [1, 1]);
    }

    #[test]
    fn no_needs_and_a_need_of_nobody_are_never_met() {
        assert!(!are_met::<u8>(&[]));
        assert!(!are_met(&[need(0, &[1])]));
        assert!(!are_met(&[need(1, &[1]), need(0, &[])]));
    }

    #[test]
    fn a_need_of_more_people_than_there_are_ends_at_once() {
        assert_eq!(assigned(&[need(u32::MAX, &[1, 2])]), [2]);
        assert!(!are_met(&[need(u32::MAX, &[1, 2])]));
    }

    proptest! {
        #[test]
        fn needs_are_met_exactly_when_some_way_of_counting_meets_them(
            needs in prop::collection::vec(
                (1_u32..4, prop::collection::btree_set(0_u8..6, 0..6)), 1..5,
            ),
        ) {
            let needs: Vec<_> = needs
                .into_iter()
                .map(|(n, people)| Candidates { n, people })
                .collect();
            prop_assert_eq!(are_met(&needs), by_brute_force(&needs));
        }

        #[test]
        fn who_counts_is_counted_for_one_need_and_for_no_more_than_it_needs(
            needs in prop::collection::vec(
                (1_u32..4, prop::collection::btree_set(0_u8..6, 0..6)), 1..5,
            ),
        ) {
            let needs: Vec<_> = needs
                .into_iter()
                .map(|(n, people)| Candidates { n, people })
                .collect();
            let has = assigned(&needs);
            prop_assert!(has.iter().sum::<usize>() <= 6);
            for (has, need) in has.iter().zip(&needs) {
                prop_assert!(*has <= need.needs());
            }
        }
    }
}
