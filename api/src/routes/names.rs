//! Names of people where the log has ids: a page names a user as the user is called now, and one whose record was
//! erased by its id.

use crate::pages::UserNames;
use crate::problem::ApiError;
use crate::state::AppState;
use ledger::aggregate::User;
use ledger::{ApproverName, UserId};

/// The name that a user has now; with `(deleted)` behind that of one who was deleted, since it may be another's by now. `None` where none is named, there is no such user, or it was erased.
pub(crate) async fn user_name(
    state: &AppState,
    id: impl Into<Option<UserId>>,
) -> Result<Option<String>, ApiError> {
    let Some(id) = id.into() else {
        return Ok(None);
    };
    let user = ledger::Error::none_if_erased(state.app.ledger.load::<User>(id).await)?;
    Ok(user.map(|user| match user.deleted {
        true => format!("{} (deleted)", user.name),
        false => user.name.to_string(),
    }))
}

/// A principal as people call it: the name of the user that it belongs to.
pub(crate) async fn principal_name(
    state: &AppState,
    principal: &ApproverName,
) -> Result<String, ApiError> {
    let name = user_name(state, User::named_by(principal)).await?;
    Ok(name.unwrap_or_else(|| principal.to_string()))
}

/// The actor, as the log says it: `user ID` and `approver user:ID` by the name of that user.
pub(crate) async fn actor_name(state: &AppState, who: &str) -> Result<String, ApiError> {
    for (kind, before) in [("user", "user "), ("approver", "approver user:")] {
        let id = who.strip_prefix(before);
        if let Some(id) = id.and_then(|id| id.parse::<UserId>().ok()) {
            let name = user_name(state, id).await?;
            return Ok(name.map_or_else(|| who.to_owned(), |name| format!("{kind} {name}")));
        }
    }
    // Of the service's own, whose names are words with underscores.
    Ok(match who.strip_prefix("the ") {
        Some(_) => who.replace('_', " "),
        None => who.to_owned(),
    })
}

/// The names of these users, as far as they are known.
pub(crate) async fn names_of(state: &AppState, users: Vec<UserId>) -> Result<UserNames, ApiError> {
    let mut names = UserNames::default();
    for id in users {
        if let Some(name) = user_name(state, id).await? {
            names.insert(id, name);
        }
    }
    Ok(names)
}
