//! Names of users and groups: labels that are told, changed and given again. What they stand for has an
//! id, which never is.

use crate::name::name;
use crate::rejection::Rejection;

/// The most characters of a label.
const MOST: usize = 64;

/// Names that the service itself goes by.
const RESERVED: [&str; 4] = ["service-token", "auth-disabled", "bootstrap", "system"];

name!(
    /// A user's name.
    UserName
);

impl UserName {
    /// # Errors
    /// [`Rejection::InvalidLabel`] unless it is 1..=64 of `a-z 0-9 . _ @ -`, and
    /// [`Rejection::NameReserved`] for one that the service itself goes by.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let name = label("name", text).map(Self)?;
        match RESERVED.contains(&name.as_str()) {
            true => Err(Rejection::NameReserved),
            false => Ok(name),
        }
    }
}

name!(
    /// A group's name.
    GroupName
);

impl GroupName {
    /// # Errors
    /// [`Rejection::InvalidLabel`] unless it is 1..=64 of `a-z 0-9 . _ @ -`.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        label("name", text).map(Self)
    }
}

/// The text, where it is a label.
pub(crate) fn label(what: &'static str, text: &str) -> Result<String, Rejection> {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._@-".contains(&byte);
    if (1..=MOST).contains(&text.len()) && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(Rejection::InvalidLabel { what, limit: MOST })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_1_to_64_small_letters_digits_dots_underscores_at_signs_and_hyphens() {
        for fine in ["a", "zoe@example.com", "a-b_c.9", &"a".repeat(64)] {
            assert_eq!(UserName::parse(fine), Ok(UserName::unchecked(fine)));
            assert_eq!(GroupName::parse(fine), Ok(GroupName::unchecked(fine)));
        }
        for wrong in ["", "A", "a b", "user:1", "é", "a\n", &"a".repeat(65)] {
            let refused = Rejection::InvalidLabel {
                what: "name",
                limit: 64,
            };
            assert_eq!(UserName::parse(wrong), Err(refused.clone()), "{wrong:?}");
            assert_eq!(GroupName::parse(wrong), Err(refused), "{wrong:?}");
        }
    }

    #[test]
    fn no_user_has_a_name_that_the_service_goes_by() {
        for reserved in RESERVED {
            assert_eq!(UserName::parse(reserved), Err(Rejection::NameReserved));
        }
    }
}
