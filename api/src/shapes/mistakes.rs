//! Everything that is wrong with a request, in one refusal.

use crate::problem::ApiError;

/// The longest text of several mistakes, in bytes; the rest is said to be there.
const MOST: usize = 1800;
const AND_MORE: &str = "; and more";

/// Two parts of a request, or what is wrong with both. The first refusal that is not a 400 stands alone.
///
/// # Errors
/// That of one part, or both as one text.
pub(crate) fn both<A, B>(
    one: Result<A, ApiError>,
    other: Result<B, ApiError>,
) -> Result<(A, B), ApiError> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(one), Err(other)) => Err(merged(one, other)),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// The items of a list, or what is wrong with all of them, as [`both`].
///
/// # Errors
/// As [`both`].
pub(crate) fn all<T>(items: impl Iterator<Item = Result<T, ApiError>>) -> Result<Vec<T>, ApiError> {
    let mut read = Ok(Vec::new());
    for item in items {
        read = both(read, item).map(|(mut items, item)| {
            items.push(item);
            items
        });
    }
    read
}

/// One refusal of all these mistakes, of which there is at least one.
pub(crate) fn text_of(mistakes: impl Iterator<Item = String>) -> ApiError {
    let told = mistakes.map(ApiError::bad_request);
    told.reduce(merged)
        .unwrap_or_else(|| ApiError::bad_request("body: it cannot be read"))
}

fn merged(one: ApiError, other: ApiError) -> ApiError {
    match (one, other) {
        (ApiError::BadRequest { mut detail }, ApiError::BadRequest { detail: other }) => {
            if detail.len() + other.len() <= MOST {
                detail.push_str("; ");
                detail.push_str(&other);
            } else if !detail.ends_with(AND_MORE) {
                detail.push_str(AND_MORE);
            }
            ApiError::BadRequest { detail }
        }
        (one, _) => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Forbidden;

    fn wrong<T>(detail: &str) -> Result<T, ApiError> {
        Err(ApiError::bad_request(detail))
    }

    #[test]
    fn all_mistakes_are_told_at_once_within_a_bound() {
        assert_eq!(all([Ok(1), Ok(2)].into_iter()).unwrap(), [1, 2]);
        let two = all([wrong("a: no"), Ok(1), wrong("b: no")].into_iter());
        assert_eq!(two.unwrap_err().to_string(), "a: no; b: no");
        let one = both(wrong::<()>("a: no"), Ok(1));
        assert_eq!(one.unwrap_err().to_string(), "a: no");
        let long = "x".repeat(100);
        let many = all::<()>((0..100).map(|_| wrong(&long)));
        let told = many.unwrap_err().to_string();
        assert!(told.len() < 2000 && told.ends_with("x; and more"), "{told}");
    }

    #[test]
    fn a_refusal_of_another_kind_stands_alone_where_it_is_the_first() {
        let forbidden = || Err::<(), _>(Forbidden::PermissionsAdmin.into());
        let first = both(forbidden(), wrong::<()>("a: no")).unwrap_err();
        assert!(matches!(first, ApiError::Forbidden { .. }), "{first}");
        let second = both(wrong::<()>("a: no"), forbidden()).unwrap_err();
        assert_eq!(second.to_string(), "a: no");
    }
}
