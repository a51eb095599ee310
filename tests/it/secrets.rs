//! After a full run, with everything logged, no secret and no token stands anywhere but where it has to:
//! in no file, log, metric or answer, in no form that somebody could undo.

use crate::service::{
    AGENT, CALLBACK_SECRET, Service, Surroundings, Task, deployment, purge, record, until,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use fixtures::approver::SoftApprover;
use fixtures::caller::Reply;
use fixtures::upstream::Fault;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Files that exist to hold a secret, and what they hold.
const HOLDERS: [&str; 2] = [".key", ".signing-key"];

/// Every token of ours begins with one of few heads, which tell nothing.
const LEAST_PART: usize = 24;

/// What must not be found, by name.
#[derive(Default)]
struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    /// A secret as it is.
    fn keep(&mut self, name: &str, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        assert!(secret.len() > 12, "{name} is too short to be looked for");
        self.0.push((name.to_owned(), secret.to_vec()));
    }

    /// A signed token: what is said in it, and the signature, which alone makes it one.
    fn keep_token(&mut self, name: &str, token: &str) {
        let token = token.rsplit('/').next().unwrap();
        for part in token.split('.').skip(1).filter(|it| it.len() >= LEAST_PART) {
            self.keep(&format!("{name} ({})", part.len()), part);
        }
    }

    /// Where any of them stands in a text, in any form.
    fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        Search::new(self).found_in(bytes)
    }
}

/// Looks for many texts in one go.
struct Search {
    /// The first two bytes of any of them.
    begins: Vec<bool>,
    /// By their first four bytes.
    needles: HashMap<[u8; 4], Vec<(String, Vec<u8>)>>,
}

impl Search {
    fn new(secrets: &Secrets) -> Self {
        let mut search = Self {
            begins: vec![false; 1 << 16],
            needles: HashMap::new(),
        };
        for (name, secret) in &secrets.0 {
            for (form, needle) in forms(secret) {
                search.begins[pair(&needle)] = true;
                let head = needle[..4].try_into().unwrap();
                let named = (format!("{name} as {form}"), needle);
                search.needles.entry(head).or_default().push(named);
            }
        }
        search
    }

    fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = BTreeSet::new();
        for at in 0..bytes.len().saturating_sub(4) {
            let rest = &bytes[at..];
            if !self.begins[pair(rest)] {
                continue;
            }
            let head: [u8; 4] = rest[..4].try_into().unwrap();
            let needles = self.needles.get(&head).into_iter().flatten();
            let here = needles.filter(|(_, needle)| rest.starts_with(needle));
            found.extend(here.map(|(name, _)| name.clone()));
        }
        found.into_iter().collect()
    }
}

fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// The ways to write something down.
fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("it is", secret.to_vec()),
        ("hex", hex::encode(secret).into_bytes()),
        ("HEX", hex::encode_upper(secret).into_bytes()),
    ];
    let percent = |keep: fn(&u8) -> bool| -> Vec<u8> {
        let coded = secret.iter().map(|byte| match keep(byte) {
            true => char::from(*byte).to_string(),
            false => format!("%{byte:02X}"),
        });
        coded.collect::<String>().into_bytes()
    };
    forms.push(("percent", percent(u8::is_ascii_alphanumeric)));
    forms.push(("percent, all of it", percent(|_| false)));
    // Base64 of something that it is a part of: at each of the three offsets, without the characters
    // that its neighbours have a part in.
    for offset in 0..3 {
        let mut padded = vec![0; offset];
        padded.extend(secret);
        let skip = [0, 2, 3][offset];
        let keep = padded.len() * 8 / 6;
        let trimmed = |text: String| text.as_bytes()[skip..keep].to_vec();
        forms.push(("base64", trimmed(STANDARD_NO_PAD.encode(&padded))));
        forms.push(("base64url", trimmed(URL_SAFE_NO_PAD.encode(&padded))));
    }
    forms
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            all.extend(files(&entry.path()));
        } else if kind.is_file() {
            all.push(entry.path());
        }
    }
    all
}

/// Fails where a file has what it must not.
fn look_through(folder: &Path, secrets: &Secrets) -> usize {
    let search = Search::new(secrets);
    let mut looked = 0;
    for file in files(folder) {
        let name = file.display().to_string();
        if HOLDERS.iter().any(|holder| name.ends_with(holder)) {
            continue;
        }
        // One that went away meanwhile holds nothing.
        let Ok(bytes) = std::fs::read(&file) else {
            continue;
        };
        looked += 1;
        let found = search.found_in(&bytes);
        assert!(found.is_empty(), "in {name}: {found:?}");
    }
    looked
}

/// What was answered, but for what had to hand a secret out.
#[derive(Default)]
struct Answers(Vec<(String, String)>);

impl Answers {
    fn keep(&mut self, of: &str, reply: &Reply) {
        self.0
            .push((format!("{of}: {}", reply.status), reply.text.clone()));
    }
}

#[test]
fn a_planted_secret_is_found_in_every_form_and_at_every_place() {
    let mut secrets = Secrets::default();
    secrets.keep("planted", "planted+secret/with?signs");
    for (form, needle) in forms(b"planted+secret/with?signs") {
        for before in ["", "x", "xy", "xyz"] {
            let mut text = before.as_bytes().to_vec();
            text.extend(&needle);
            text.extend(b" and more");
            assert!(
                !secrets.found_in(&text).is_empty(),
                "{form} after {before:?}"
            );
        }
    }
    // Base64 of a longer text, whatever stands before it.
    for before in ["", "x", "xy", "xyz"] {
        let text = format!("{before}planted+secret/with?signs and more");
        for coded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            assert!(!secrets.found_in(coded.as_bytes()).is_empty(), "{coded}");
        }
    }
    assert!(secrets.found_in(b"planted secret").is_empty());
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("below")).unwrap();
    std::fs::write(
        folder.path().join("below/file"),
        "planted+secret/with?signs",
    )
    .unwrap();
    let looked = std::panic::catch_unwind(|| look_through(folder.path(), &secrets));
    assert!(looked.is_err(), "a file that has it is found");
}

/// Requests that carry a secret where none belongs.
async fn misplaced(service: &Service, task: &Task, secret: &str, answers: &mut Answers) {
    let operation = record("misplaced");
    let bodies = [
        json!({ secret: 1 }),
        json!({"operations": [operation], secret: true}),
        json!({"operations": [{ secret: {} }]}),
        json!({"operations": secret}),
        json!({"operations": [{"operation_id": secret}]}),
        json!({"operations": [{"operation_id": "dns.record.write", "scope_type": secret,
            "scope_id": "z1", "params": {}}]}),
        json!({"operations": [{"operation_id": "dns.record.write", "scope_type": "zone",
            "scope_id": "z1", "params": { secret: 1 }}]}),
        json!({"operations": [{"operation_id": "dns.record.write", "scope_type": "zone",
            "scope_id": "z1", "params": {"type": secret, "name": "a.example.com"}}]}),
        json!({"operations": [operation], "callback": {"url": "https://localhost/", secret: secret}}),
        json!({"operations": [operation], "callback": {"url": secret, "secret": secret}}),
        json!({"resume_token": format!("{secret}x")}),
    ];
    for (number, body) in bodies.iter().enumerate() {
        // Of one task ten refusals a minute are recorded, and all of these should be.
        let task = service.open_task().await;
        let path = |rest: &str| format!("/v1/tasks/{}{rest}", task.id);
        for route in [
            "/apply",
            "/apply/continue",
            "/plan",
            "/approve",
            "/dns/create",
        ] {
            let key = format!("misplaced-{number}");
            let reply = service
                .caller
                .ask_with(
                    Method::POST,
                    &path(route),
                    &task.token,
                    Some(&key),
                    Some(body),
                )
                .await
                .unwrap();
            assert!(reply.status >= 400, "{route} {body}: {}", reply.text);
            answers.keep(route, &reply);
        }
        let reply = service
            .caller
            .administer(Method::POST, "/v1/tasks", Some(body))
            .await
            .unwrap();
        answers.keep("/v1/tasks", &reply);
    }
    for url in [
        format!("/v1/tasks/{}?token={secret}", task.id),
        format!("/v1/tasks/{secret}"),
        format!("/v1/nowhere/{secret}"),
        format!("/v1/approve/{secret}x"),
        format!("/v1/enrol/{secret}x"),
        format!("/v1/ledger/events?limit={secret}"),
        format!("/v1/ledger/events?{secret}=1"),
        format!("/v1/ledger/proof/inclusion?index={secret}&{secret}=1"),
    ] {
        for token in [task.token.as_str(), secret, "none"] {
            let reply = service
                .caller
                .ask_with(Method::GET, &url, token, None, None)
                .await;
            answers.keep("a wrong place", &reply.unwrap());
        }
    }
    raw(service, task, secret, answers).await;
}

/// What no client library sends.
async fn raw(service: &Service, task: &Task, secret: &str, answers: &mut Answers) {
    let http = reqwest::Client::new();
    let url = format!("http://{}/v1/tasks/{}", service.address, task.id);
    let ask = |name: &'static str, value: String| {
        let request = http.request(Method::GET, &url).header(name, value);
        async move { request.send().await.unwrap().text().await.unwrap() }
    };
    for (name, value) in [
        ("authorization", format!("Basic {secret}")),
        ("authorization", secret.to_owned()),
        ("x-client-subject", secret.to_owned()),
        ("x-request-id", secret.to_owned()),
        ("cookie", format!("session={secret}")),
        ("prefer", format!("wait={secret}")),
    ] {
        answers.0.push((name.to_owned(), ask(name, value).await));
    }
    // Malformed, cut off, and of another kind.
    for body in [
        format!("{{\"operations\": [], \"token\": \"{secret}"),
        format!("{{\"{secret}\": "),
        format!("{{\"a\": \"{secret}\", \"a\": 1}}"),
        format!("{{\"{secret}\": 1, \"{secret}\": 2}}"),
        secret.to_owned(),
        format!("token={secret}"),
    ] {
        let body = Value::String(body);
        let text = body.as_str().unwrap().to_owned();
        let request = http
            .post(format!("{url}/apply"))
            .header("content-type", "application/json")
            .body(text);
        let reply = request.send().await.unwrap().text().await.unwrap();
        answers.0.push(("malformed".to_owned(), reply));
    }
}

/// The whole of what the service does, with what must stay secret noted on the way.
async fn live(
    surroundings: &Surroundings,
    service: &Service,
    secrets: &mut Secrets,
    answers: &mut Answers,
) -> Task {
    let bootstrap = service.caller.bootstrap_token().unwrap();
    secrets.keep_token("a bootstrap token", &bootstrap);
    let alice = SoftApprover::new("alice");
    answers.keep("a passkey", &service.caller.register(&alice).await.unwrap());
    let enrolment = service
        .caller
        .administer(
            Method::POST,
            "/v1/approvers/bob/enrolment",
            Some(&json!({})),
        )
        .await
        .unwrap();
    assert_eq!(enrolment.status, 201, "{}", enrolment.text);
    let link = enrolment.text_at("enrolment_url").to_owned();
    secrets.keep_token("an enrolment link", &link);
    let page = service.caller.ask(Method::GET, &link, None).await.unwrap();
    assert_eq!(page.status, 200);

    service.grant(&["dns.record.write"]).await;
    let task = service.open_task().await;
    secrets.keep_token("a capability token", &task.token);
    let done = service.apply(&task, "k1", &record("a")).await;
    assert_eq!(done.status, 200, "{}", done.text);
    answers.keep("an apply", &done);
    // Upstream refuses, and repeats what it was sent.
    let token = surroundings.upstream.token();
    surroundings.upstream.on_next_mutation(Fault::Refuse {
        status: 403,
        code: 9109,
        message: format!("Invalid access token in 'Authorization: Bearer {token}'"),
    });
    let refused = service.apply(&task, "k2", &record("b")).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    answers.keep("an apply that upstream refused", &refused);

    for (key, decision, operation) in [("k3", "approve", deployment()), ("k4", "deny", purge("a"))]
    {
        let asked = service.apply(&task, key, &operation).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
        let url = asked.text_at("approval_url").to_owned();
        secrets.keep_token("an approval link", &url);
        secrets.keep_token("a resume token", asked.text_at("resume_token"));
        let decided = service
            .caller
            .decide(&alice, &url, decision, Some("as agreed"))
            .await
            .unwrap();
        assert_eq!(decided.status, 200, "{}", decided.text);
        answers.keep("a decision", &decided);
        let ended = service
            .resume(&task, key, asked.text_at("resume_token"))
            .await
            .unwrap();
        answers.keep("a continuation", &ended);
    }
    // A change of grants makes the token stale, and its successor takes its place.
    service
        .grant(&["dns.record.write", "cache.purge.execute"])
        .await;
    let stale = service.apply(&task, "k5", &record("c")).await;
    assert_eq!(stale.status, 401, "{}", stale.text);
    answers.keep("a stale token", &stale);
    let renewed = service
        .caller
        .ask_with(
            Method::POST,
            &format!("/v1/tasks/{}/token", task.id),
            &task.token,
            None,
            None,
        )
        .await
        .unwrap();
    assert!(renewed.status < 300, "{}", renewed.text);
    let task = Task {
        id: task.id,
        token: renewed.text_at("capability_token").to_owned(),
    };
    secrets.keep_token("a renewed token", &task.token);
    task
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_full_run_no_secret_stands_anywhere_but_where_it_has_to() {
    let mut surroundings = Surroundings::new().await;
    surroundings.settings.insert("RUST_LOG", "trace".to_owned());
    surroundings
        .settings
        .insert("RATE_LIMIT_RPS", "0".to_owned());
    let mut secrets = Secrets::default();
    for (name, value) in &surroundings.settings {
        let is_secret = ["_SECRET", "_TOKEN"].iter().any(|end| name.ends_with(end));
        if is_secret {
            secrets.keep(name, value);
        }
    }
    assert_eq!(secrets.0.len(), 6, "five secrets and upstream's token");
    secrets.keep("the callback's secret", CALLBACK_SECRET);

    let service = surroundings.start().await;
    let ledger = surroundings.ledger_file().display().to_string();
    for holder in HOLDERS {
        let text = std::fs::read_to_string(format!("{ledger}{holder}")).unwrap();
        // A signing key stands behind its name and id.
        let key = text.trim();
        let key = key
            .splitn(5, '+')
            .nth(4)
            .filter(|_| key.starts_with("PRIVATE"))
            .unwrap_or(key);
        secrets.keep(holder, key);
        secrets.keep(
            &format!("{holder}, its bytes"),
            STANDARD.decode(key).unwrap(),
        );
    }
    let mut answers = Answers::default();
    let task = live(&surroundings, &service, &mut secrets, &mut answers).await;
    let own = service.caller.bootstrap_token().unwrap();
    for secret in [
        task.token.clone(),
        own,
        surroundings.settings["JWT_SECRET"].replace([' ', ','], "_"),
    ] {
        if !secret.contains('.') {
            secrets.keep("a secret in a wrong place", &secret);
        }
        misplaced(&service, &task, &secret, &mut answers).await;
    }
    until("all callbacks", async || {
        let path = format!("/v1/tasks/{}/deliveries", task.id);
        let reply = service
            .caller
            .ask_with(Method::GET, &path, &task.token, None, None)
            .await
            .unwrap();
        (reply.status == 200 && !reply.text.contains("\"owed\"")).then(|| {
            answers.keep("deliveries", &reply);
        })
    })
    .await;
    for path in ["", "/applies", "/approval-status"] {
        let path = format!("/v1/tasks/{}{path}", task.id);
        let reply = service
            .caller
            .ask_with(Method::GET, &path, &task.token, None, None);
        answers.keep("a look", &reply.await.unwrap());
    }
    let path = format!("/v1/agents/{AGENT}/permissions");
    let grants = service.caller.administer(Method::GET, &path, None).await;
    answers.keep("grants", &grants.unwrap());
    for path in ["/metrics", "/v1/openapi.json", "/v1/readyz"] {
        let reply = service.caller.ask(Method::GET, path, None).await.unwrap();
        answers.keep(path, &reply);
    }
    let events = surroundings.events().await;
    let refused = events
        .iter()
        .filter(|it| it.event.name() == "apply.refused");
    assert!(refused.count() >= 60, "what was misplaced is on record");
    // What may be found is found: the search reaches into what is recorded.
    let mut recorded = Secrets::default();
    recorded.keep("a task's name", "a task of the tests");
    let file = std::fs::read(surroundings.read_tables_file()).unwrap();
    let wal = surroundings.read_tables_file().with_extension("db-wal");
    let wal = std::fs::read(wal).unwrap_or_default();
    assert!(!recorded.found_in(&[file, wal].concat()).is_empty());
    // While it runs, SQLite's logs hold what was written last.
    let running = look_through(surroundings.folder(), &secrets);
    assert!(running >= 6, "{running} files");
    let lines = [
        "backup copy.db".to_owned(),
        "ledger export --out bundle".to_owned(),
        format!("ledger dossier {} --out dossier.json", task.id),
        format!("ledger replay --task {}", task.id),
        "ledger tail -n 1000 --format jsonl".to_owned(),
        "ledger tail -n 1000 --format ocsf".to_owned(),
        "doctor --json".to_owned(),
        "--check-config".to_owned(),
        "projections status".to_owned(),
        format!("task close {} --reason done", task.id),
    ];
    for line in lines {
        let output = surroundings.run(&line);
        let (out, error) = crate::service::said(&output);
        let may_fail = line.starts_with("doctor");
        assert!(output.status.success() || may_fail, "{line}: {error}");
        answers.0.push((line.clone(), out));
        answers.0.push((line, error));
    }
    assert!(service.stop().await.success());
    assert!(surroundings.log().contains("\"level\":\"TRACE\""));
    look_through(surroundings.folder(), &secrets);
    let search = Search::new(&secrets);
    let mut leaks = BTreeMap::new();
    for (of, text) in &answers.0 {
        let found = search.found_in(text.as_bytes());
        if !found.is_empty() {
            leaks.insert(of, (found, text));
        }
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
}
