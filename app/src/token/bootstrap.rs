//! Bootstrap tokens: who may administer the service, and what of it.

use super::jwt::{Claims, LEEWAY, NumericDate, TokenKey, Validity};
use crate::principal::{Right, Rights};
use crate::refusal::Unauthorized;
use ledger::{Bindings, Timestamp};
use serde::Deserialize;
use std::time::Duration;

/// The longest life of a bootstrap token, from when it was issued or, where it does not say so, from now
/// on. One that never ends would outlive every secret that leaks.
pub const LONGEST_LIFE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

const TEXT: &str = "must be a text that is not empty";
const MOMENT: &str = "must be a number of seconds since 1970 (RFC 7519, NumericDate)";
const SWITCH: &str = "must be true or false, or be left out";
const CLAIMS: Claims = Claims(&[
    ("iss", "must be BOOTSTRAP_JWT_ISSUER"),
    (
        "aud",
        "must be BOOTSTRAP_JWT_AUDIENCE, or a list that holds it",
    ),
    ("sub", TEXT),
    ("jti", TEXT),
    ("iat", MOMENT),
    ("nbf", MOMENT),
    ("exp", MOMENT),
    (
        "bindings",
        "must be an object with mtls_subject, the subject that presents the token",
    ),
    (
        "mtls_subject",
        "must be the subject that presents the token, in bindings",
    ),
    ("can_issue_tasks", SWITCH),
    ("can_manage_permissions", SWITCH),
    ("can_manage_approvers", SWITCH),
    ("can_audit", SWITCH),
]);

/// The claims of a bootstrap token. Others are tolerated: its issuer may be another program.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BootstrapClaims {
    /// `agent:NAME`, or whoever administers.
    pub sub: String,
    pub jti: String,
    #[serde(default)]
    pub iat: Option<NumericDate>,
    /// Not valid before.
    #[serde(default)]
    pub nbf: Option<NumericDate>,
    /// Not valid at or after.
    pub exp: NumericDate,
    /// The client that it is bound to.
    pub bindings: Bindings,
    /// May open and close tasks, and settle unknown outcomes.
    #[serde(default)]
    pub can_issue_tasks: bool,
    /// May read and replace agents' permissions.
    #[serde(default)]
    pub can_manage_permissions: bool,
    /// May add and take away approvers' credentials.
    #[serde(default)]
    pub can_manage_approvers: bool,
    /// May read the whole ledger and its proofs.
    #[serde(default)]
    pub can_audit: bool,
}

impl BootstrapClaims {
    /// The claims of a token that counts now, whoever presents it.
    ///
    /// # Errors
    /// [`Unauthorized`], naming the claim where the token was made with this key.
    pub fn open(key: &TokenKey, token: &str, now: Timestamp) -> Result<Self, Unauthorized> {
        let claims: Self = key.open_explained(token, CLAIMS)?;
        for (claim, text) in [("sub", &claims.sub), ("jti", &claims.jti)] {
            if text.is_empty() {
                return Err(CLAIMS.refused(claim));
            }
        }
        let (nbf, exp) = (claims.nbf.map(|nbf| nbf.0), claims.exp.0);
        Validity { nbf, exp }.check(now, LEEWAY)?;
        let from = claims.iat.map_or(now, |iat| iat.0.min(now));
        if exp > from.plus(LONGEST_LIFE).plus(LEEWAY) {
            return Err(Unauthorized::TokenLivesTooLong);
        }
        Ok(claims)
    }

    #[must_use]
    pub fn rights(&self) -> Rights {
        let given = [
            (Right::IssueTasks, self.can_issue_tasks),
            (Right::ManagePermissions, self.can_manage_permissions),
            (Right::ManageApprovers, self.can_manage_approvers),
            (Right::Audit, self.can_audit),
        ];
        let given = given.into_iter().filter(|(_, given)| *given);
        given.fold(Rights::default(), |rights, (right, _)| rights.and(right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::Administrator;
    use crate::refusal::{Error, Forbidden};
    use ledger::ClientSubject;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn key() -> TokenKey {
        TokenKey::new(&[7; 32], "us", "here")
    }

    fn claims() -> Value {
        json!({
            "iss": "us", "aud": "here", "sub": "agent:ci", "jti": "1", "exp": 2_000,
            "bindings": {"mtls_subject": "client-a"}, "can_issue_tasks": true,
        })
    }

    fn attempt(claims: &Value, subject: &str) -> Result<Administrator, Error> {
        let token = key().sign(claims).unwrap();
        let subject = ClientSubject::parse(subject).unwrap();
        let claims = BootstrapClaims::open(&key(), &token, NOW)?;
        Ok(Administrator::presenting(claims, subject)?)
    }

    #[test]
    fn a_right_is_what_its_claim_says() {
        for (claim, given) in [
            ("can_issue_tasks", Right::IssueTasks),
            ("can_manage_permissions", Right::ManagePermissions),
            ("can_manage_approvers", Right::ManageApprovers),
            ("can_audit", Right::Audit),
        ] {
            let mut claims = claims();
            claims["can_issue_tasks"] = json!(false);
            claims[claim] = json!(true);
            let administrator = attempt(&claims, "client-a").unwrap();
            assert_eq!(administrator.agent_name(), Ok("ci"));
            assert_eq!(administrator.rights, Rights::default().and(given));
            assert_eq!(given.claim(), claim);
        }
    }

    #[test]
    fn a_token_is_of_the_client_that_it_is_bound_to() {
        assert!(matches!(
            attempt(&claims(), "client-b"),
            Err(Error::Forbidden(Forbidden::OtherSubject))
        ));
    }

    #[test]
    fn an_incomplete_token_is_refused() {
        for missing in ["iss", "aud", "sub", "jti", "exp", "bindings"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(missing);
            assert_eq!(claim_of(&claims), Some(missing));
        }
        let mut claims = claims();
        claims["bindings"] = json!({});
        assert_eq!(claim_of(&claims), Some("bindings"));
    }

    /// The claim that a refusal names.
    fn claim_of(claims: &Value) -> Option<&'static str> {
        match attempt(claims, "client-a") {
            Err(Error::Unauthorized(Unauthorized::TokenClaim { claim, .. })) => Some(claim),
            Err(other) => panic!("{claims}: {other}"),
            Ok(_) => None,
        }
    }

    #[test]
    fn a_claim_that_does_not_fit_is_named() {
        for (claim, value) in [
            ("exp", json!("2000")),
            ("exp", json!(null)),
            ("nbf", json!("1")),
            ("nbf", json!([1])),
            ("iat", json!(true)),
            ("iss", json!("them")),
            ("iss", json!(["us"])),
            ("aud", json!("there")),
            ("aud", json!(["there", "elsewhere"])),
            ("sub", json!("")),
            ("sub", json!(7)),
            ("jti", json!("")),
            ("bindings", json!("client-a")),
            ("bindings", json!({"mtls_subject": 1})),
            ("can_issue_tasks", json!("true")),
            ("can_audit", json!(1)),
        ] {
            let mut claims = claims();
            claims[claim] = value.clone();
            assert_eq!(claim_of(&claims), Some(claim), "{value}");
        }
    }

    #[test]
    fn times_may_have_fractions() {
        for (claim, value) in [
            ("exp", json!(1_970.5)),
            ("exp", json!(970.000_001)),
            ("nbf", json!(1_029.999_999)),
            ("nbf", json!(-1)),
            ("nbf", json!(null)),
            ("iat", json!(999.25)),
            ("iat", json!(-1.5)),
            ("aud", json!(["there", "here"])),
        ] {
            let mut claims = claims();
            claims[claim] = value.clone();
            assert_eq!(claim_of(&claims), None, "{claim} {value}");
        }
        let mut claims = claims();
        claims["exp"] = json!(969.999_999);
        let refused = attempt(&claims, "client-a");
        assert!(matches!(
            refused,
            Err(Error::Unauthorized(Unauthorized::TokenExpired))
        ));
    }

    #[test]
    fn a_token_lives_a_year_at_most() {
        let with = |exp: Value, iat: Value| {
            let mut claims = claims();
            claims["exp"] = exp;
            claims["iat"] = iat;
            attempt(&claims, "client-a")
        };
        let year = i64::try_from(LONGEST_LIFE.as_secs()).unwrap();
        with(json!(1_000 + year), json!(null)).unwrap();
        with(json!(900 + year), json!(900)).unwrap();
        for (exp, iat) in [
            (json!(1_031 + year), json!(null)),
            (json!(1_000 + year), json!(900)),
            // A moment of issue that has not come lengthens no life.
            (json!(2_000 + year), json!(2_000)),
            (json!(1_u64 << 62), json!(null)),
            (json!(u64::MAX), json!(1_000)),
            (json!(1e300), json!(null)),
        ] {
            let refused = with(exp.clone(), iat);
            assert!(
                matches!(
                    refused,
                    Err(Error::Unauthorized(Unauthorized::TokenLivesTooLong))
                ),
                "{exp}"
            );
        }
    }

    #[test]
    fn tasks_need_an_agent() {
        for sub in ["operator:o", "agent:", "ci"] {
            let mut claims = claims();
            claims["sub"] = json!(sub);
            let administrator = attempt(&claims, "client-a").unwrap();
            assert_eq!(
                administrator.agent_name(),
                Err(Forbidden::NotAnAgent),
                "{sub}"
            );
        }
    }
}
