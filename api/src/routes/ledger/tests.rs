//! What auditors and strangers get, checked with nothing but the log's key.

use crate::schemes::client_address::PeerAddress;
use crate::testing::{Answer, PATIENCE, Stage};
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Request};
use ledger::record::Header;
use ledger::tlog::{
    Checkpoint, ConsistencyProof, EntryBundle, InclusionProof, LogKey, LogOrigin, Note, Tile,
    TreeHash, WitnessSigner, record_leaf,
};
use serde_json::{Value, json};
use tower::ServiceExt;

/// Asks without saying who asks.
async fn fetch(stage: &Stage, path: &str) -> (u16, HeaderMap, Vec<u8>) {
    let request = Request::builder().uri(path).body(Body::empty()).unwrap();
    let response = stage.router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    (parts.status.as_u16(), parts.headers, body.to_vec())
}

async fn text(stage: &Stage, path: &str) -> String {
    let (status, headers, body) = fetch(stage, path).await;
    assert_eq!(status, 200, "{path}");
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    String::from_utf8(body).unwrap()
}

/// The checkpoint as a stranger gets it.
async fn checkpoint(stage: &Stage) -> Checkpoint {
    let key = text(stage, "/v1/ledger/vkey").await;
    let key: LogKey = key.strip_suffix('\n').unwrap().parse().unwrap();
    let note: Note = text(stage, "/v1/ledger/checkpoint").await.parse().unwrap();
    Checkpoint::open(&note, &key, &LogOrigin::from(key.name())).unwrap()
}

async fn audit(stage: &Stage, path: &str) -> Answer {
    let token = stage.bootstrap(|claims| {
        for right in [
            "can_issue_tasks",
            "can_manage_permissions",
            "can_manage_approvers",
        ] {
            claims[right] = json!(false);
        }
    });
    stage.send("GET", path, &token, &Value::Null).await
}

/// A ledger with some events, all of them under a checkpoint.
async fn grown() -> (Stage, Checkpoint) {
    let stage = Stage::new().await;
    for n in 0..4 {
        stage.task(&format!("agent-{n}")).await;
    }
    covered(&stage).await;
    let checkpoint = checkpoint(&stage).await;
    (stage, checkpoint)
}

/// Waits until the newest checkpoint covers everything.
async fn covered(stage: &Stage) {
    let ledger = &stage.state.app.ledger;
    let newest = *ledger.size().borrow() - 1;
    let checkpoints = ledger.checkpoints().unwrap();
    checkpoints.covering(newest, PATIENCE).await.unwrap();
}

fn hash(value: &Value) -> TreeHash {
    value.as_str().unwrap().parse().unwrap()
}

fn hashes(value: &Value) -> Vec<TreeHash> {
    value.as_array().unwrap().iter().map(hash).collect()
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

async fn inclusion(stage: &Stage, query: &str) -> (TreeHash, InclusionProof) {
    let answer = audit(stage, &format!("/v1/ledger/proof/inclusion?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = &answer.body;
    let number = |field: &str| body[field].as_u64().unwrap();
    let proof = InclusionProof::from_parts(
        number("leaf_index"),
        number("tree_size"),
        hashes(&body["hashes"]),
    );
    (hash(&body["leaf_hash"]), proof)
}

#[tokio::test]
async fn each_event_is_proven_to_be_under_the_public_checkpoint() {
    let (stage, checkpoint) = grown().await;
    let answer = audit(&stage, "/v1/ledger/events?limit=1000").await;
    let events = answer.body["events"].as_array().unwrap();
    assert_eq!(events.len() as u64, checkpoint.size());
    for (position, event) in events.iter().enumerate() {
        let header = Header::decode(&bytes(&event["header"])).unwrap();
        assert_eq!(header.position, position as u64);
        assert_eq!(event["record_hash"], header.record_hash().to_string());
        let (leaf, proof) = inclusion(&stage, &format!("position={position}")).await;
        assert_eq!(leaf, record_leaf(&header));
        assert_eq!(proof.tree_size(), checkpoint.size());
        proof.verify(&leaf, checkpoint.root()).unwrap();
    }
}

#[tokio::test]
async fn each_size_is_proven_to_lead_to_the_public_checkpoint() {
    let (stage, checkpoint) = grown().await;
    let reader = stage.state.app.ledger.log();
    for from in 0..=checkpoint.size() {
        let path = format!("/v1/ledger/proof/consistency?from={from}");
        let answer = audit(&stage, &path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let to = answer.body["to"].as_u64().unwrap();
        assert_eq!(
            (answer.body["from"].as_u64(), to),
            (Some(from), checkpoint.size())
        );
        let proof = ConsistencyProof::from_parts(from, to, hashes(&answer.body["hashes"]));
        let earlier = ledger::tlog::Frontier::lookup(from).unwrap();
        let earlier = reader.compute(earlier).await.unwrap().root();
        proof.verify(&earlier, checkpoint.root()).unwrap();
    }
}

#[tokio::test]
async fn a_proof_for_an_earlier_size_is_that_trees() {
    let (stage, checkpoint) = grown().await;
    let reader = stage.state.app.ledger.log();
    let size = checkpoint.size() - 1;
    let (leaf, proof) = inclusion(&stage, &format!("position=2&size={size}")).await;
    assert_eq!((proof.leaf_index(), proof.tree_size()), (2, size));
    let earlier = ledger::tlog::Frontier::lookup(size).unwrap();
    let earlier = reader.compute(earlier).await.unwrap().root();
    proof.verify(&leaf, &earlier).unwrap();
}

#[tokio::test]
async fn tiles_and_bundles_hold_what_the_checkpoint_commits_to() {
    let (stage, checkpoint) = grown().await;
    let width = u16::try_from(checkpoint.size()).unwrap();
    let (status, headers, found) = fetch(&stage, &format!("/v1/ledger/tile/0/000.p/{width}")).await;
    assert_eq!(status, 200);
    assert_eq!(headers["content-type"], "application/octet-stream");
    assert_eq!(
        headers["cache-control"],
        "public, max-age=31536000, immutable"
    );
    let leaves = Tile::new(0, 0, width).unwrap().hashes(&found).unwrap();
    let mut tree = ledger::tlog::Frontier::empty();
    for leaf in &leaves {
        tree.append(*leaf, &mut Vec::new()).unwrap();
    }
    assert_eq!(tree.root(), *checkpoint.root());

    let token = stage.bootstrap(|_| ());
    let request = stage
        .signed(
            "GET",
            &format!("/v1/ledger/tile/entries/000.p/{width}"),
            crate::testing::CLIENT,
        )
        .header("authorization", format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    let response = stage.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let caching = &response.headers()["cache-control"];
    assert_eq!(caching, "private, max-age=31536000, immutable");
    let body = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    let bundle = EntryBundle::new(0, width).unwrap().decode(&body).unwrap();
    let entries: Vec<TreeHash> = bundle.iter().map(record_leaf).collect();
    assert_eq!(entries, leaves);
}

#[tokio::test]
async fn beyond_the_checkpoint_there_is_nothing() {
    let (stage, checkpoint) = grown().await;
    let size = checkpoint.size();
    let more = size + 1;
    for path in [
        format!("0/000.p/{more}"),
        "0/000".to_owned(),
        "0/001.p/1".to_owned(),
        "1/000.p/1".to_owned(),
        "63/000.p/1".to_owned(),
        "64/000.p/1".to_owned(),
        "0/0.p/1".to_owned(),
        "0/000.p/0".to_owned(),
        "00/000.p/1".to_owned(),
        "0/x000/000.p/1".to_owned(),
        "0/999/999".to_owned(),
        "entries".to_owned(),
        "x".to_owned(),
    ] {
        let (status, headers, _) = fetch(&stage, &format!("/v1/ledger/tile/{path}")).await;
        assert_eq!(status, 404, "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
    }
    for (path, status, code) in [
        (format!("tile/entries/000.p/{more}"), 404, "not_found"),
        ("tile/entries/000".to_owned(), 404, "not_found"),
        ("tile/entries/0/000.p/1".to_owned(), 404, "not_found"),
        (
            format!("proof/inclusion?position={size}"),
            404,
            "beyond_checkpoint",
        ),
        (
            format!("proof/inclusion?position=0&size={more}"),
            404,
            "beyond_checkpoint",
        ),
        (
            "proof/inclusion?position=2&size=2".to_owned(),
            400,
            "impossible_proof",
        ),
        (
            "proof/inclusion?position=0&size=0".to_owned(),
            400,
            "impossible_proof",
        ),
        ("proof/inclusion".to_owned(), 400, "bad_request"),
        ("proof/inclusion?position=-1".to_owned(), 400, "bad_request"),
        (
            "proof/inclusion?position=0&sise=2".to_owned(),
            400,
            "bad_request",
        ),
        (
            format!("proof/inclusion?position={}0", u64::MAX),
            400,
            "bad_request",
        ),
        (
            format!("proof/consistency?from=0&to={more}"),
            404,
            "beyond_checkpoint",
        ),
        (
            format!("proof/consistency?from={}", u64::MAX),
            404,
            "beyond_checkpoint",
        ),
        (
            "proof/consistency?from=2&to=1".to_owned(),
            400,
            "impossible_proof",
        ),
        ("proof/consistency".to_owned(), 400, "bad_request"),
        ("events?limit=0".to_owned(), 400, "bad_request"),
        ("events?limit=1001".to_owned(), 400, "bad_request"),
        ("events?from=x".to_owned(), 400, "bad_request"),
    ] {
        let answer = audit(&stage, &format!("/v1/ledger/{path}")).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{path}");
    }
}

#[tokio::test]
async fn events_are_read_step_by_step_to_the_end() {
    let (stage, checkpoint) = grown().await;
    let mut from = 0;
    let mut seen = Vec::new();
    loop {
        let answer = audit(&stage, &format!("/v1/ledger/events?from={from}&limit=3")).await;
        assert_eq!(answer.body["size"], checkpoint.size());
        let events = answer.body["events"].as_array().unwrap();
        seen.extend(
            events
                .iter()
                .map(|event| event["position"].as_u64().unwrap()),
        );
        let next = answer.body["next"].as_u64().unwrap();
        if events.is_empty() {
            assert_eq!(next, from);
            break;
        }
        from = next;
    }
    assert_eq!(seen, (0..checkpoint.size()).collect::<Vec<_>>());
    let beyond = audit(&stage, "/v1/ledger/events?from=1000").await;
    assert_eq!((beyond.status, &beyond.body["events"]), (200, &json!([])));
}

#[tokio::test]
async fn an_event_is_readable_beside_what_is_proven() {
    let (stage, _) = grown().await;
    let answer = audit(&stage, "/v1/ledger/events").await;
    let event = &answer.body["events"][0];
    assert_eq!(event["state"], "checkpointed");
    assert_eq!(event["erased"], false);
    assert_eq!(event["readable"]["event"], "ledger.created");
    assert_eq!(
        event["readable"]["envelope"]["actor"]["system"]["component"],
        "ledger"
    );
    let ledger_id = stage.state.app.ledger.id().to_string();
    assert_eq!(event["readable"]["payload"]["ledger_id"], ledger_id);
    let header = Header::decode(&bytes(&event["header"])).unwrap();
    let salt = bytes(&event["salt"]).try_into().unwrap();
    let digest = ledger::record::payload_digest(&salt, &bytes(&event["payload"]));
    assert_eq!(digest, header.payload_digest);
}

/// How many of so many requests for a tile are let through: from a peer, by way of whom it says.
async fn let_through(stage: &Stage, times: usize, peer: &str, forwarded: Option<&str>) -> usize {
    let mut let_through = 0;
    for _ in 0..times {
        let mut request = Request::builder().uri("/v1/ledger/tile/0/000.p/1");
        if let Some(forwarded) = forwarded {
            request = request.header("x-forwarded-for", forwarded);
        }
        let mut request = request.body(Body::empty()).unwrap();
        let peer = PeerAddress(peer.parse().unwrap());
        request.extensions_mut().insert(peer);
        let answer = stage.router.clone().oneshot(request).await.unwrap();
        match answer.status().as_u16() {
            200 => let_through += 1,
            status => assert_eq!(status, 429),
        }
    }
    let_through
}

#[tokio::test]
async fn strangers_of_one_network_share_a_rate() {
    let stage = Stage::with(|config| config.rate_limit_rps = 1).await;
    for (peer, expected) in [
        ("192.0.2.1:9", 2),
        ("192.0.2.1:10", 0),
        ("[::ffff:192.0.2.1]:9", 0),
        ("192.0.2.2:9", 2),
        ("[2001:db8:0:1::1]:9", 2),
        ("[2001:db8:0:1:ffff::2]:9", 0),
        ("[2001:db8:0:2::1]:9", 2),
    ] {
        assert_eq!(let_through(&stage, 3, peer, None).await, expected, "{peer}");
    }
    // Those cost nothing, and whoever watches the log must not be kept out by others.
    text(&stage, "/v1/ledger/checkpoint").await;
}

#[tokio::test]
async fn nobody_uses_up_or_dodges_a_rate_by_a_forged_address() {
    let stage = Stage::with(|config| {
        config.rate_limit_rps = 1;
        config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    })
    .await;
    let framed = Some("198.51.100.7");
    assert_eq!(let_through(&stage, 3, "192.0.2.1:9", framed).await, 2);
    for dodge in ["198.51.100.8", "10.0.0.1", "198.51.100.9, 10.0.0.1"] {
        let more = let_through(&stage, 1, "192.0.2.1:9", Some(dodge)).await;
        assert_eq!(more, 0, "{dodge}");
    }
    assert_eq!(let_through(&stage, 3, "198.51.100.7:9", None).await, 2);
    // A proxy of ours is believed, and nothing before what it saw.
    for (forwarded, expected) in [
        ("203.0.113.1", 2),
        ("203.0.113.9, 203.0.113.1", 0),
        ("203.0.113.2", 2),
    ] {
        let count = let_through(&stage, 3, "10.0.0.1:9", Some(forwarded)).await;
        assert_eq!(count, expected, "{forwarded}");
    }
}

#[tokio::test]
async fn credentials_that_are_none_use_up_the_rate_of_their_network_alone() {
    let stage = Stage::with(|config| config.rate_limit_rps = 1).await;
    let session = stage.session_of(ledger::Role::Viewer).await;
    stage.log_out(&session).await;
    let ask = async |authorization: String, cookie: &str, peer: &str| {
        let request = stage.signed("GET", "/v1/me", "client-a");
        let mut request = request.header("authorization", authorization);
        if !cookie.is_empty() {
            request.headers_mut().unwrap().remove("authorization");
            request = request.header("cookie", format!("__Host-lpp={cookie}"));
        }
        let mut request = request.body(Body::empty()).unwrap();
        let peer = PeerAddress(peer.parse().unwrap());
        request.extensions_mut().insert(peer);
        let answer = stage.router.clone().oneshot(request).await.unwrap();
        answer.status().as_u16()
    };
    let dead = format!("Bearer {}", session.bearer);
    for (authorization, cookie, peer) in [
        (dead.clone(), "", "192.0.2.1:9"),
        (String::new(), "guess", "192.0.2.2:9"),
    ] {
        let asked = async || ask(authorization.clone(), cookie, peer).await;
        let statuses = [asked().await, asked().await, asked().await];
        assert_eq!(statuses, [401, 401, 429], "{peer}");
    }
    assert_eq!(ask(dead, "", "192.0.2.3:9").await, 401);
    let living = stage.session_of(ledger::Role::Viewer).await;
    let living = format!("Bearer {}", living.bearer);
    assert_eq!(ask(living, "", "192.0.2.1:9").await, 200);
}

#[tokio::test]
async fn without_a_key_it_says_so() {
    let stage = Stage::unsigned().await;
    for path in ["checkpoint", "vkey", "tile/0/000.p/1"] {
        let (status, headers, body) = fetch(&stage, &format!("/v1/ledger/{path}")).await;
        assert_eq!(status, 503, "{path}");
        assert!(headers.contains_key("retry-after"));
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert!(
            body["detail"]
                .as_str()
                .unwrap()
                .contains("signs no checkpoints")
        );
    }
    for path in ["proof/inclusion?position=0", "proof/consistency?from=0"] {
        let answer = audit(&stage, &format!("/v1/ledger/{path}")).await;
        assert_eq!(
            (answer.status, answer.code()),
            (503, "unavailable"),
            "{path}"
        );
    }
    let answer = audit(&stage, "/v1/ledger/events").await;
    assert_eq!(answer.body["events"][0]["state"], "appended");
}

#[tokio::test]
async fn what_witnesses_have_cosigned_shows_on_the_checkpoint_and_on_the_events() {
    let (stage, checkpoint) = grown().await;
    let checkpoints = stage.state.app.ledger.checkpoints().unwrap();
    let witness = WitnessSigner::from_seed("witness.example".parse().unwrap(), &[3; 32]);
    let note = checkpoints.newest().unwrap().note().clone();
    let cosigned = note.with_signature(witness.cosign(&checkpoint, crate::testing::BEGIN));
    checkpoints.publish_witnessed(cosigned.clone()).unwrap();

    let shown = text(&stage, "/v1/ledger/checkpoint").await;
    assert_eq!(shown, cosigned.to_string());
    let events = audit(&stage, "/v1/ledger/events").await;
    assert_eq!(events.body["events"][0]["state"], "witnessed");

    // A newer one is shown without cosignatures until it has them.
    stage.task("one more").await;
    covered(&stage).await;
    let newest = checkpoints.newest().unwrap().note().to_string();
    assert_eq!(text(&stage, "/v1/ledger/checkpoint").await, newest);
    let from = checkpoint.size();
    let events = audit(&stage, &format!("/v1/ledger/events?from={from}")).await;
    assert_eq!(events.body["events"][0]["state"], "checkpointed");
}
