//! Cloudflare's door: who may read what, and how it is told in that API's own form.

use crate::stage::{AGENT, Answer, KEYLESS, STORED, Stage, USER};
use gateway::Word;

const PLACE: &str = "/proxy/cloudflare/client/v4";

fn asked(line: &str, more: &str) -> String {
    let (method, path) = line.split_once(' ').unwrap();
    format!("{method} {PLACE}{path} HTTP/1.1\r\nhost: ours\r\nconnection: close\r\n{more}\r\n")
}

fn with_key(line: &str) -> String {
    asked(line, &format!("authorization: Bearer {AGENT}\r\n"))
}

#[tokio::test]
async fn a_read_that_is_granted_goes_up_with_the_stored_key_and_comes_down_as_it_is() {
    let mut stage = Stage::new().await;
    for form in [
        format!("authorization: Bearer {AGENT}\r\n"),
        format!("x-auth-email: a@example.com\r\nx-auth-key: {AGENT}\r\n"),
        format!("x-auth-user-service-key: {AGENT}\r\n"),
    ] {
        let more = format!("{form}if-none-match: \"a\"\r\nx-app: cli\r\ncookie: a=b\r\n");
        let sent = asked("GET /zones/z1/dns_records?name=a%2Eb&page=2", &more);
        let mut client = stage.sent(sent).await;
        let body = r#"{"result":[],"success":true,"errors":[],"messages":[]}"#;
        let asked = stage
            .answer_one(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\ncf-ray: r1\r\n\
                 etag: \"b\"\r\nratelimit: \"default\";r=1;t=1\r\nset-cookie: a=b\r\n\r\n{body}",
                body.len()
            ))
            .await;
        let mut lines = asked.lines();
        assert_eq!(
            lines.next(),
            Some("GET /client/v4/zones/z1/dns_records?name=a%2Eb&page=2 HTTP/1.1")
        );
        let mut names: Vec<&str> = lines
            .filter_map(|line| line.split_once(": ").map(|(name, _)| name))
            .collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["accept-encoding", "authorization", "host", "if-none-match"]
        );
        assert!(asked.contains(&format!("authorization: Bearer {STORED}\r\n")));
        assert!(!asked.contains(AGENT), "{asked}");
        let answer = Answer::read(&mut client).await;
        assert_eq!((answer.status, answer.code()), (200, None));
        assert_eq!(answer.body, body);
        assert_eq!(answer.header("cf-ray"), Some("r1"));
        assert_eq!(answer.header("etag"), Some("\"b\""));
        assert_eq!(answer.header("ratelimit"), Some("\"default\";r=1;t=1"));
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[tokio::test]
async fn an_error_of_cloudflares_own_passes_byte_for_byte() {
    let mut stage = Stage::new().await;
    let mut client = stage
        .sent(with_key("GET /accounts/a1/workers/services/new"))
        .await;
    let body = r#"{"result": null, "success": false, "errors": [{"code": 10090}], "messages": []}"#;
    let length = body.len();
    stage
        .answer_one(format!(
            "HTTP/1.1 404 Not Found\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await;
    let answer = Answer::read(&mut client).await;
    assert_eq!((answer.status, answer.code()), (404, None));
    assert_eq!(answer.body, body);
}

#[tokio::test]
async fn what_is_not_granted_closed_or_unknown_is_refused_in_cloudflares_envelope() {
    let mut stage = Stage::new().await;
    for (line, word) in [
        ("GET /zones/z2/dns_records", Word::Forbidden),
        ("GET /zones", Word::Forbidden),
        ("GET /user/tokens", Word::Forbidden),
        ("POST /accounts/a1/tokens", Word::Forbidden),
        ("GET /accounts/a1/logs/audit", Word::Forbidden),
        ("GET /radar/attacks", Word::NotFound),
        ("POST /zones", Word::MethodNotAllowed),
        ("GET /zones/z1/../z2", Word::Malformed),
    ] {
        let answer = stage.ask(with_key(line)).await;
        assert!(answer.refuses_cloudflare(word), "{line}");
        assert_eq!(answer.header("x-should-retry"), Some("false"), "{line}");
    }
    let beside = format!(
        "GET /proxy/cloudflare/zones HTTP/1.1\r\nhost: ours\r\nx-auth-key: {AGENT}\r\nconnection: close\r\n\r\n"
    );
    assert!(stage.ask(beside).await.refuses_cloudflare(Word::NotFound));
    assert!(stage.is_quiet(), "nothing of it went up");
}

#[tokio::test]
async fn only_an_agents_key_opens_it_and_a_real_one_does_not() {
    let mut stage = Stage::new().await;
    let line = "GET /zones/z1";
    for (more, says) in [
        (String::new(), "CLOUDFLARE_API_TOKEN"),
        (format!("authorization: Bearer {USER}\r\n"), "session"),
        (
            format!("authorization: Bearer {}\r\n", "A".repeat(40)),
            "real Cloudflare",
        ),
        (
            format!(
                "x-auth-key: {}\r\nauthorization: Bearer {AGENT}\r\n",
                "0".repeat(37)
            ),
            "real Cloudflare",
        ),
        (format!("x-api-key: {STORED}\r\n"), "ANTHROPIC_AUTH_TOKEN"),
    ] {
        let answer = stage.ask(asked(line, &more)).await;
        assert!(answer.refuses_cloudflare(Word::Unauthorized), "{says}");
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(body.contains(says), "{body}");
    }
    let keyless = asked(line, &format!("authorization: Bearer {KEYLESS}\r\n"));
    let answer = stage.ask(keyless).await;
    assert!(answer.refuses_cloudflare(Word::Forbidden));
    let body = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(
        body.contains("/v1/agents/keyless/upstream-keys/cloudflare"),
        "{body}"
    );
    assert!(stage.is_quiet(), "nothing of it went up");
}

#[tokio::test]
async fn a_credential_of_ours_is_verified_here() {
    let mut stage = Stage::new().await;
    for path in ["/user/tokens/verify", "/accounts/a9/tokens/verify"] {
        let answer = stage.ask(with_key(&format!("GET {path}"))).await;
        assert_eq!((answer.status, answer.code()), (200, None));
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["success"], true);
        assert_eq!(body["result"]["status"], "active");
        assert_eq!(body["result"]["id"], "01".repeat(16));
    }
    let unknown = asked(
        "GET /user/tokens/verify",
        "authorization: Bearer cak_none\r\n",
    );
    let answer = stage.ask(unknown).await;
    assert!(answer.refuses_cloudflare(Word::Unauthorized));
    assert!(stage.is_quiet());
}
