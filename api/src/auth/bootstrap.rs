//! Bootstrap tokens: who may administer the service, and what of it.

use super::jwt::{LEEWAY, TokenKey, Validity};
use super::subject::Subject;
use crate::problem::{ApiError, Forbidden, Unauthorized};
use ledger::{Actor, Bindings, Timestamp};
use serde::{Deserialize, Serialize};

/// The claims of a bootstrap token. Others are tolerated: its issuer may be another program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootstrapClaims {
    /// Issuer.
    pub iss: String,
    /// Audience.
    pub aud: Audience,
    /// `agent:NAME`, or whoever administers.
    pub sub: String,
    /// Names the token.
    pub jti: String,
    /// When it was issued, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// Not valid before, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Not valid at or after, in seconds since 1970.
    pub exp: i64,
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

/// One audience or several (RFC 7519, section 4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// The usual form.
    One(String),
    /// A list that holds ours.
    Several(Vec<String>),
}

/// A right of a bootstrap token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// `can_issue_tasks`
    IssueTasks,
    /// `can_manage_permissions`
    ManagePermissions,
    /// `can_manage_approvers`
    ManageApprovers,
    /// `can_audit`
    Audit,
}

impl Right {
    /// The claim that grants it.
    #[must_use]
    pub const fn claim(self) -> &'static str {
        match self {
            Self::IssueTasks => "can_issue_tasks",
            Self::ManagePermissions => "can_manage_permissions",
            Self::ManageApprovers => "can_manage_approvers",
            Self::Audit => "can_audit",
        }
    }

    const fn granted_by(self, claims: &BootstrapClaims) -> bool {
        match self {
            Self::IssueTasks => claims.can_issue_tasks,
            Self::ManagePermissions => claims.can_manage_permissions,
            Self::ManageApprovers => claims.can_manage_approvers,
            Self::Audit => claims.can_audit,
        }
    }
}

/// The holder of a bootstrap token with a right, on the client that it is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Administrator {
    principal: String,
    subject: Subject,
}

impl Administrator {
    /// Opens a token and checks it in the fixed order: token, time, client, right.
    ///
    /// # Errors
    /// 401 for the token and its time, 403 for the client and the right.
    pub fn authenticate(
        key: &TokenKey,
        token: &str,
        subject: Subject,
        right: Right,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        let claims: BootstrapClaims = key.open(token).ok_or(Unauthorized::TokenInvalid)?;
        if claims.sub.is_empty() || claims.jti.is_empty() {
            return Err(Unauthorized::TokenInvalid.into());
        }
        Validity {
            nbf: claims.nbf,
            exp: claims.exp,
        }
        .check(now, LEEWAY)?;
        if claims.bindings.mtls_subject != subject.as_str() {
            return Err(Forbidden::OtherSubject.into());
        }
        if !right.granted_by(&claims) {
            return Err(Forbidden::MissingRight(right.claim()).into());
        }
        Ok(Self {
            principal: claims.sub,
            subject,
        })
    }

    /// The token's `sub`.
    #[must_use]
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// The client that asked.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::Administrator {
            principal: self.principal.clone(),
            subject: self.subject.as_str().to_owned(),
        }
    }

    /// The agent that tasks made with this token belong to.
    ///
    /// # Errors
    /// [`Forbidden::NotAnAgent`] when `sub` is not `agent:NAME`.
    pub fn agent_name(&self) -> Result<&str, Forbidden> {
        match self.principal.strip_prefix("agent:") {
            Some(name) if !name.is_empty() => Ok(name),
            Some(_) | None => Err(Forbidden::NotAnAgent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    fn attempt(claims: &Value, subject: &str, right: Right) -> Result<Administrator, ApiError> {
        let token = key().sign(claims).unwrap();
        let subject = Subject::parse(subject).unwrap();
        Administrator::authenticate(&key(), &token, subject, right, NOW)
    }

    #[test]
    fn a_right_is_what_its_claim_says() {
        let administrator = attempt(&claims(), "client-a", Right::IssueTasks).unwrap();
        assert_eq!(administrator.agent_name(), Ok("ci"));
        for right in [
            Right::ManagePermissions,
            Right::ManageApprovers,
            Right::Audit,
        ] {
            assert!(matches!(
                attempt(&claims(), "client-a", right),
                Err(ApiError::Forbidden(Forbidden::MissingRight(claim))) if claim == right.claim()
            ));
        }
    }

    #[test]
    fn the_client_is_checked_before_the_right() {
        assert!(matches!(
            attempt(&claims(), "client-b", Right::ManageApprovers),
            Err(ApiError::Forbidden(Forbidden::OtherSubject))
        ));
    }

    #[test]
    fn an_incomplete_token_is_refused() {
        for missing in ["iss", "aud", "sub", "jti", "exp", "bindings"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(missing);
            assert!(
                matches!(
                    attempt(&claims, "client-a", Right::IssueTasks),
                    Err(ApiError::Unauthorized(Unauthorized::TokenInvalid))
                ),
                "{missing}"
            );
        }
    }

    #[test]
    fn tasks_need_an_agent() {
        for sub in ["operator:o", "agent:", "ci"] {
            let mut claims = claims();
            claims["sub"] = json!(sub);
            let administrator = attempt(&claims, "client-a", Right::IssueTasks).unwrap();
            assert_eq!(
                administrator.agent_name(),
                Err(Forbidden::NotAnAgent),
                "{sub}"
            );
        }
    }
}
