//! Tokens: bearer texts, and claims under a good signature that say anything.

#![expect(
    clippy::expect_used,
    reason = "a property that does not hold ends the run"
)]

use app::token::bootstrap::BootstrapClaims;
use app::token::capability::{CapabilityToken, OpenedToken};
use app::token::jwt::{LEEWAY, TokenKey};
use app::token::link::{ApprovalLink, LinkKey, Resume};
use app::{Administrator, Right, Subject};
use ledger::{ApprovalId, Bindings, CapabilityClaims, ScopeClaim, TaskId, Timestamp};
use serde_json::{Value, json};
use std::sync::LazyLock;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const SECRET: &[u8] = b"a secret of at least thirty-two bytes";
const ISSUER: &str = "us";
const AUDIENCE: &str = "here";
const CLIENT: &str = "client-a";

static KEY: LazyLock<TokenKey> = LazyLock::new(|| TokenKey::new(SECRET, ISSUER, AUDIENCE));
static LINKS: LazyLock<LinkKey<ApprovalLink>> = LazyLock::new(|| LinkKey::new(SECRET));
static RESUMES: LazyLock<LinkKey<Resume>> = LazyLock::new(|| LinkKey::new(SECRET));

/// No token opens that was not signed here, to the last character, for this purpose.
pub(crate) fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let opened = KEY.open::<Value>(text).is_some();
    let linked = LINKS.open(text).is_ok();
    let resumed = RESUMES.open(text).is_ok();
    assert!(u8::from(opened) + u8::from(linked) + u8::from(resumed) <= 1);
    if opened || linked || resumed {
        assert!(
            seeds().iter().any(|known| known == bytes),
            "a forged token opens: {text}"
        );
    }
}

/// Claims as another issuer with the same secret may write them: who is let in is who they name, in
/// time, and with the right.
pub(crate) fn claims(bytes: &[u8]) {
    let Ok(claims) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let Ok(token) = KEY.sign(&claims) else {
        return;
    };
    let field = |name: &str| claims.get(name);
    if let Ok(opened) = OpenedToken::open(&KEY, &token) {
        assert_eq!(field("iss").and_then(Value::as_str), Some(ISSUER));
        assert_eq!(
            field("task_id").and_then(Value::as_str).map(str::parse),
            Some(Ok(opened.task_id()))
        );
        let presented = opened.presented_by(CLIENT);
        assert_eq!(presented.task_id, opened.task_id());
        if opened.counts_at(NOW).is_ok() {
            let exp = field("exp").and_then(Value::as_i64).expect("it has an end");
            assert!(exp > NOW.as_seconds());
        }
    }
    let Ok(opened) = BootstrapClaims::open(&KEY, &token, NOW) else {
        return;
    };
    let subject = Subject::parse(CLIENT).expect("a subject");
    if let Ok(admitted) = Administrator::presenting(opened, subject) {
        for right in [Right::IssueTasks, Right::ManageApprovers] {
            let given = field(right.claim()) == Some(&Value::Bool(true));
            assert_eq!(admitted.rights.include(right), given);
        }
        let bound = claims.pointer("/bindings/mtls_subject");
        assert_eq!(bound.and_then(Value::as_str), Some(CLIENT));
        let exp = field("exp").and_then(Value::as_i64).expect("it has an end");
        assert!(Timestamp::from_seconds(exp).plus(LEEWAY) > NOW);
        assert!(!admitted.name.is_empty());
        assert!(admitted.agent_name().map_or(true, |name| !name.is_empty()));
    }
}

#[cfg(test)]
pub(crate) fn opens(token: &[u8]) -> bool {
    let text = String::from_utf8_lossy(token);
    KEY.open::<Value>(&text).is_some() || LINKS.open(&text).is_ok()
}

fn bootstrap() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "agent:ci", "jti": "b-1", "nbf": 1_799_999_999,
        "exp": 1_800_000_300, "bindings": {"mtls_subject": CLIENT}, "can_issue_tasks": true,
        "can_manage_approvers": true,
    })
}

fn capability() -> CapabilityClaims {
    CapabilityClaims {
        iss: ISSUER.to_owned(),
        sub: "agent:ci".to_owned(),
        aud: AUDIENCE.to_owned(),
        jti: "019a0000-0001-7000-8000-0000000000cc".to_owned(),
        iat: 1_800_000_000,
        nbf: 1_800_000_000,
        exp: 1_800_000_300,
        task_id: "019a0000-0001-7000-8000-0000000000aa".to_owned(),
        agent_id: "ci".to_owned(),
        allowed_ops: vec!["dns.record.write".to_owned()],
        resource_scopes: vec![ScopeClaim {
            kind: "zone".to_owned(),
            id: "*".to_owned(),
        }],
        bindings: Bindings {
            mtls_subject: CLIENT.to_owned(),
        },
        perms_rev: 1,
    }
}

pub(crate) fn claims_seeds() -> Vec<Vec<u8>> {
    let capability = serde_json::to_value(capability()).expect("claims are JSON");
    let several = json!({"aud": ["there", AUDIENCE], "iss": [ISSUER], "exp": 1e10, "nbf": -1});
    [bootstrap(), capability, several]
        .map(|claims| claims.to_string().into_bytes())
        .to_vec()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let capability = CapabilityToken::sign(&KEY, &capability()).expect("claims are JSON");
    let link = ApprovalLink {
        approval_id: ApprovalId::from_bytes([1; 16]),
        task_id: TaskId::from_bytes([2; 16]),
    };
    let link = LINKS.sign(link).expect("a link is JSON");
    let bootstrap = KEY.sign(&bootstrap()).expect("claims are JSON");
    [bootstrap, capability.into_revealed(), link.into_revealed()]
        .map(String::into_bytes)
        .to_vec()
}
