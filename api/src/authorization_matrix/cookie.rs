//! A session cookie, in the tests only: a scheme is one file and one line in the list, and its rows in the
//! matrix follow from the table of actions.

use super::routes::ROUTES;
use super::service::TestService;
use crate::problem::{ApiError, Unauthorized};
use crate::schemes::{self, Head, Identity, Scheme};
use crate::testing::BEGIN;
use app::token::jwt::TokenKey;
use app::{Action, Administrator, Principal, Right, Rights, Who};
use http::Request;
use ledger::{ClientSubject, Timestamp};
use serde_json::{Value, json};

/// `session=JWT`, with a name, an end and the rights of a bootstrap token.
#[derive(Clone)]
struct SessionCookie(TokenKey);

impl Scheme for SessionCookie {
    fn proves(&self, who: Who) -> bool {
        matches!(who, Who::Administrator(_))
    }

    fn identify(&self, head: &mut Head<'_>) -> Result<Identity, ApiError> {
        let cookie = head.header("cookie");
        let Some(session) = cookie.and_then(|cookie| cookie.strip_prefix("session=")) else {
            return Ok(Identity::Absent(Unauthorized::TokenMissing));
        };
        let claims = self.0.open::<Value>(session);
        let claims = claims.ok_or(Unauthorized::TokenInvalid)?;
        let end = claims["exp"].as_i64().map(Timestamp::from_seconds);
        if end.is_none_or(|end| head.now() >= end) {
            return Err(Unauthorized::TokenExpired.into());
        }
        let all = [
            Right::IssueTasks,
            Right::ManagePermissions,
            Right::ManageApprovers,
            Right::Audit,
        ];
        let given = all
            .into_iter()
            .filter(|right| claims[right.claim()] == json!(true));
        Ok(Identity::Proven(Principal::Administrator(Administrator {
            name: claims["sub"].as_str().unwrap_or_default().to_owned(),
            subject: ClientSubject::parse("session").ok_or(Unauthorized::TokenInvalid)?,
            rights: given.fold(Rights::default(), Rights::and),
        })))
    }
}

fn right_of(action: Action) -> Option<Right> {
    action.who().iter().find_map(|who| match who {
        Who::Administrator(right) => Some(*right),
        _ => None,
    })
}

#[tokio::test]
async fn a_scheme_more_admits_its_principals_to_their_actions_only() {
    let key = TokenKey::new(b"a secret of thirty-two bytes here", "sessions", "here");
    let foreign = TokenKey::new(b"another secret of thirty-two bytes", "sessions", "here");
    let mut list = schemes::all();
    list.push(Box::new(SessionCookie(key.clone())));
    let service = TestService::with_schemes(list).await;
    let end = BEGIN.as_seconds() + 60;
    let claims = |right: Option<Right>, end: i64| {
        let mut claims = json!({"iss": "sessions", "aud": "here", "sub": "agent:ops", "exp": end});
        if let Some(right) = right {
            claims[right.claim()] = json!(true);
        }
        claims
    };
    for (method, template, action) in ROUTES {
        let path = service.filled(template);
        let ask = async |cookie: Option<&str>| {
            let mut request = Request::builder().method(*method).uri(&path);
            if let Some(session) = cookie {
                request = request.header("cookie", format!("session={session}"));
            }
            let answer = service.ask(request, "{\"nonsense\":").await;
            (answer.status, answer.code().to_owned())
        };
        let right = right_of(*action);
        let fitting = key
            .sign(&claims(right.or(Some(Right::Audit)), end))
            .unwrap();
        if right.is_none() {
            if !action.who().contains(&Who::Anyone) {
                assert_eq!(ask(Some(&fitting)).await.0, 401, "{method} {template}");
            }
            continue;
        }
        let rows = [
            ("no cookie", None, 401, "unauthorized"),
            (
                "forged",
                Some(foreign.sign(&claims(right, end)).unwrap()),
                401,
                "unauthorized",
            ),
            (
                "over",
                Some(key.sign(&claims(right, end - 60)).unwrap()),
                401,
                "token_expired",
            ),
            (
                "no right",
                Some(key.sign(&claims(None, end)).unwrap()),
                403,
                "forbidden",
            ),
        ];
        for (way, cookie, status, code) in rows {
            let refused = ask(cookie.as_deref()).await;
            assert_eq!(
                refused,
                (status, code.to_owned()),
                "{method} {template}: {way}"
            );
        }
        let (status, code) = ask(Some(&fitting)).await;
        assert!(
            ![401, 403].contains(&status),
            "{method} {template}: {status} {code}"
        );
    }
}
