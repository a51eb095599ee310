//! Lookup rows that follow from a whole state, and not from one event: what moves when a name is changed
//! or given up.

use super::lookup::LookupKey;
use crate::aggregate::{Group, User};

/// Rows that a state holds.
pub(crate) type Held = Vec<(LookupKey, Vec<u8>)>;

const IS_DISABLED: u8 = 1;
const HAS_PASSWORD: u8 = 2;

/// A living user's name, and its row of the roster; the principals that are the user's, for good.
pub(crate) fn of_user(user: &User) -> Held {
    let id = || user.id.as_bytes().to_vec();
    let linked = user.linked.iter();
    let mut held: Held = linked
        .map(|linked| (LookupKey::linked(&linked.principal), id()))
        .collect();
    if user.deleted {
        return held;
    }
    let disabled = if user.disabled { IS_DISABLED } else { 0 };
    let password = if user.password.is_some() {
        HAS_PASSWORD
    } else {
        0
    };
    let row = vec![user.role as u8, disabled | password];
    held.push((LookupKey::user(&user.name), id()));
    held.push((LookupKey::roster(user.id), row));
    held
}

/// A living group's name.
pub(crate) fn of_group(group: &Group) -> Held {
    match group.deleted {
        true => Vec::new(),
        false => vec![(LookupKey::group(&group.name), group.id.as_bytes().to_vec())],
    }
}
