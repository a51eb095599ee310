//! What follows a write that people approved: allowed once each, shortly after it, by the key that made it, and asked
//! about otherwise; and the files of such a write, which are those of an upload.

use crate::scene::{Scene, end, refusal, start};
use fixtures::commands::{AGENT, agent_with_key, create_key};
use ledger::aggregate::Key;
use ledger::command::{
    CompleteAssetUpload, FOLLOWED, ForwardWrite, OpenAssetUpload, RevokeKey, SendAssetFiles,
    SetLock, Submitted,
};
use ledger::event::{
    CallCredential, FileDigest, LockTarget, OperationOutcome, SentFile, UploadTokenDigest,
};
use ledger::operation::{
    AlsoAllowed, ForwardedRequest, Method, Operation, Scope, ScopeId, UploadOf, UploadedFile,
};
use ledger::{
    AgentName, ApplyId, Decision, Error, Level, OperationId, Origin, Rejection, Risk, ScopeType,
    Timestamp, UpstreamName,
};
use std::time::Duration;

const SCRIPT: &str = "/accounts/a1/workers/scripts/shop";
pub(crate) const TOKEN: UploadTokenDigest = UploadTokenDigest::from_bytes([1; 32]);
pub(crate) const COMPLETION: UploadTokenDigest = UploadTokenDigest::from_bytes([2; 32]);

fn operation(
    operation: &'static str,
    method: Method,
    target: &str,
    body: &str,
    change: impl FnOnce(&mut ForwardedRequest),
) -> Operation {
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    let mut request = ForwardedRequest {
        upstream: UpstreamName::cloudflare(),
        title: None,
        level: Level::Write,
        risk: Risk::Sensitive,
        method,
        base_url: Some("https://api.example.com/client/v4".to_owned()),
        target: target.to_owned(),
        headers: headers.into_iter().collect(),
        body: body.as_bytes().to_vec(),
        secrets: Vec::new(),
        uploads: Vec::new(),
        upload: None,
        also_allowed: Vec::new(),
        follows: None,
    };
    change(&mut request);
    let scope = Scope {
        scope_type: ScopeType::of("account"),
        id: ScopeId::parse("a1").unwrap(),
    };
    let providers = providers::all();
    providers
        .forward(OperationId::of(operation), scope, request)
        .unwrap()
}

/// The upload of a version; its form does not matter here.
pub(crate) fn version(body: &str) -> Operation {
    let target = format!("{SCRIPT}/versions?bindings_inherit=strict");
    operation(DEPLOY, Method::Post, &target, body, |request| {
        request.also_allowed = ["deployment", "script_settings", "subdomain"]
            .map(|name| AlsoAllowed {
                name: name.to_owned(),
                text: format!("what {name} does"),
            })
            .into();
    })
}

const DEPLOY: &str = "workers.deploy.write";

pub(crate) fn deployment(of: &str, follows: ApplyId) -> Operation {
    let body = format!(
        "{{\"strategy\":\"percentage\",\"versions\":[{{\"version_id\":\"{of}\",\"percentage\":100}}]}}"
    );
    let target = format!("{SCRIPT}/deployments");
    operation(DEPLOY, Method::Post, &target, &body, |request| {
        request.follows = Some(follows);
    })
}

pub(crate) fn schedules(follows: ApplyId) -> Operation {
    let target = format!("{SCRIPT}/schedules");
    operation(
        "workers.trigger.write",
        Method::Put,
        &target,
        "[]",
        |request| {
            request.follows = Some(follows);
        },
    )
}

pub(crate) async fn asked(
    scene: &Scene,
    key: &Key,
    operation: Operation,
) -> Result<Submitted, Error> {
    with_upload(scene, key, operation, None).await
}

async fn with_upload(
    scene: &Scene,
    key: &Key,
    operation: Operation,
    upload: Option<UploadTokenDigest>,
) -> Result<Submitted, Error> {
    let command = ForwardWrite {
        upload,
        ..crate::writes::forward(key, operation)
    };
    let ruling = scene.execute(agent_with_key(key), command).await?;
    Ok(ruling.accepted()?)
}

/// A version that was approved and uploaded, and is called `v1` upstream.
pub(crate) async fn uploaded(scene: &Scene, key: &Key, body: &str) -> ApplyId {
    let first = asked(scene, key, version(body)).await.unwrap();
    scene.decided(&first, Decision::Approve).await;
    let goes_on = asked(scene, key, version(body)).await.unwrap();
    assert!(goes_on.apply.authorised);
    let id = first.apply.id;
    scene.run(start(id, 0)).await.unwrap();
    let made = OperationOutcome::Succeeded {
        http_status: Some(200),
        request_id: None,
        result: "{\"id\":\"v1\"}".to_owned(),
    };
    scene.run(end(id, 0, made)).await.unwrap();
    id
}

/// Whether it was allowed by the approval of what it follows.
fn is_allowed(submitted: &Submitted) -> bool {
    assert_eq!(submitted.apply.authorised, submitted.approval.is_none());
    submitted.apply.allowed_by().is_some()
}

async fn scene_with_key() -> (Scene, std::sync::Arc<Key>) {
    let scene = Scene::new().await;
    let key = scene.run(create_key("cak_one")).await.unwrap();
    (scene, key)
}

#[tokio::test]
async fn the_deployment_of_what_was_uploaded_is_allowed_once() {
    let (scene, key) = scene_with_key().await;
    let first = uploaded(&scene, &key, "1").await;
    let from = scene.size_now();
    let deployed = asked(&scene, &key, deployment("v1", first)).await.unwrap();
    assert!(is_allowed(&deployed));
    assert_eq!(
        scene.names_since(from).await,
        ["task.created", "apply.accepted", "apply.follows"]
    );
    let other = asked(&scene, &key, deployment("v0", first)).await.unwrap();
    assert!(!is_allowed(&other), "another version");
    let trigger = asked(&scene, &key, schedules(first)).await.unwrap();
    assert!(!is_allowed(&trigger), "triggers are asked about");
    // The same again, in another form, so that it is another write.
    let again = deployment("v1", first);
    let again = ForwardedRequest::clone(again.forwarded().unwrap());
    let again = ForwardedRequest {
        body: String::from_utf8(again.body.clone())
            .unwrap()
            .replace('}', ",\"annotations\":{}}")
            .replacen(",\"annotations\":{}}]", "}]", 1)
            .into_bytes(),
        ..again
    };
    let again = providers::all()
        .forward(OperationId::of(DEPLOY), other_scope(), again)
        .unwrap();
    let again = asked(&scene, &key, again).await.unwrap();
    assert!(!is_allowed(&again), "it was done before");
}

fn other_scope() -> Scope {
    Scope {
        scope_type: ScopeType::of("account"),
        id: ScopeId::parse("a1").unwrap(),
    }
}

#[tokio::test]
async fn nothing_is_allowed_after_ten_minutes_before_the_end_or_with_another_key() {
    let (scene, key) = scene_with_key().await;
    let waiting = asked(&scene, &key, version("2")).await.unwrap();
    let early = deployment("v1", waiting.apply.id);
    assert!(!is_allowed(&asked(&scene, &key, early).await.unwrap()));
    let first = uploaded(&scene, &key, "1").await;
    let second = scene.run(create_key("cak_two")).await.unwrap();
    let with_other = asked(&scene, &second, deployment("v1", first)).await;
    assert!(!is_allowed(&with_other.unwrap()));
    let (scene, key) = scene_with_key().await;
    let first = uploaded(&scene, &key, "1").await;
    scene.clock.advance(FOLLOWED - Duration::from_secs(1));
    let target = deployment("v1", first);
    scene.clock.advance(Duration::from_secs(1));
    assert!(!is_allowed(&asked(&scene, &key, target).await.unwrap()));
}

#[tokio::test]
async fn a_denial_of_what_follows_a_lock_and_the_end_of_the_key_end_what_was_allowed() {
    let (scene, key) = scene_with_key().await;
    let first = uploaded(&scene, &key, "1").await;
    let trigger = asked(&scene, &key, schedules(first)).await.unwrap();
    scene.decided(&trigger, Decision::Deny).await;
    let deployed = asked(&scene, &key, deployment("v1", first)).await.unwrap();
    assert!(!is_allowed(&deployed), "after a denial");

    let (scene, key) = scene_with_key().await;
    let first = uploaded(&scene, &key, "1").await;
    let lock = SetLock {
        target: LockTarget::Operation(OperationId::of(DEPLOY).into()),
        reason: "drill".to_owned(),
        duration: Some(Duration::from_secs(60)),
    };
    scene.run(lock).await.unwrap();
    scene.clock.advance(Duration::from_secs(61));
    let deployed = asked(&scene, &key, deployment("v1", first)).await.unwrap();
    assert!(!is_allowed(&deployed), "a lock was set since");

    let revoke = RevokeKey {
        agent: AgentName::unchecked(AGENT),
        key_id: key.id,
        reason: None,
    };
    scene.run(revoke).await.unwrap();
    let refused = refusal(asked(&scene, &key, deployment("v2", first)).await);
    assert!(matches!(refused, Rejection::KeyRevoked), "{refused:?}");
}

#[tokio::test]
async fn what_follows_nothing_is_refused() {
    let (scene, key) = scene_with_key().await;
    let nothing = deployment("v1", ApplyId::from_bytes([9; 16]));
    let refused = refusal(asked(&scene, &key, nothing).await);
    assert!(matches!(refused, Rejection::FollowsNothing), "{refused:?}");
}

pub(crate) fn files() -> Vec<UploadedFile> {
    vec![UploadedFile {
        path: "/index.html".to_owned(),
        hash: "0a".to_owned(),
        bytes: 4,
        sha256: Some(digest(3).to_string()),
    }]
}

fn digest(byte: u8) -> FileDigest {
    FileDigest::from_bytes([byte; 32])
}

pub(crate) fn open(scene: &Scene, key: &Key) -> OpenAssetUpload {
    OpenAssetUpload {
        agent_id: key.agent_id,
        credential: CallCredential::AgentKey(key.id),
        task_id: None,
        account: ScopeId::parse("a1").unwrap(),
        script: "shop".to_owned(),
        manifest: UploadedFile::manifest(&files()).unwrap(),
        files: 1,
        token: TOKEN,
        expires_at: until(scene),
        is_complete: false,
    }
}

fn until(scene: &Scene) -> Timestamp {
    scene.now().plus(Duration::from_secs(3600))
}

pub(crate) fn send(byte: u8) -> SendAssetFiles {
    SendAssetFiles {
        token: TOKEN,
        task_id: None,
        account: ScopeId::parse("a1").unwrap(),
        files: vec![SentFile {
            hash: "0a".to_owned(),
            size: 4,
            digest: digest(byte),
        }],
    }
}

pub(crate) fn complete(scene: &Scene) -> CompleteAssetUpload {
    CompleteAssetUpload {
        token: TOKEN,
        completion: COMPLETION,
        expires_at: until(scene),
    }
}

pub(crate) fn gateway() -> Origin {
    Origin::system("gateway")
}

/// A version that names the files of the upload.
pub(crate) fn version_with_files() -> Operation {
    let target = format!("{SCRIPT}/versions");
    operation(DEPLOY, Method::Post, &target, "{}", |request| {
        request.uploads = files();
        request.upload = Some(UploadOf {
            place: "/metadata/assets/jwt".to_owned(),
            script: "shop".to_owned(),
            manifest: UploadedFile::manifest(&files()).unwrap(),
        });
    })
}

#[tokio::test]
async fn a_hash_stands_for_the_first_bytes_that_went_up_under_it() {
    let (scene, key) = scene_with_key().await;
    let refused = refusal(scene.execute(gateway(), send(3)).await);
    assert!(matches!(refused, Rejection::UploadTokenUnknown));
    scene.execute(gateway(), open(&scene, &key)).await.unwrap();
    let from = scene.size_now();
    for _ in 0..2 {
        scene.execute(gateway(), send(3)).await.unwrap();
    }
    assert_eq!(scene.names_since(from).await, ["asset_upload.files_sent"]);
    let refused = refusal(scene.execute(gateway(), send(4)).await);
    assert!(
        matches!(refused, Rejection::FileDiffers { .. }),
        "{refused:?}"
    );
    scene.clock.advance(Duration::from_secs(3600));
    let refused = refusal(scene.execute(gateway(), send(3)).await);
    assert!(
        matches!(refused, Rejection::UploadTokenUnknown),
        "it is over"
    );
}

#[tokio::test]
async fn a_write_names_files_of_a_complete_upload_of_its_own() {
    let (scene, key) = scene_with_key().await;
    let name = async |token: Option<UploadTokenDigest>| {
        with_upload(&scene, &key, version_with_files(), token).await
    };
    scene.execute(gateway(), open(&scene, &key)).await.unwrap();
    scene.execute(gateway(), send(3)).await.unwrap();
    for token in [None, Some(TOKEN), Some(COMPLETION)] {
        let refused = refusal(name(token).await);
        assert!(
            matches!(refused, Rejection::UploadTokenUnknown),
            "{token:?}"
        );
    }
    for _ in 0..2 {
        let completed = scene.execute(gateway(), complete(&scene)).await;
        completed.unwrap();
    }
    let asked = name(Some(COMPLETION)).await.unwrap();
    // Another upload of the same files is the same write.
    let again = OpenAssetUpload {
        token: UploadTokenDigest::from_bytes([5; 32]),
        is_complete: true,
        ..open(&scene, &key)
    };
    scene.execute(gateway(), again).await.unwrap();
    let same = name(Some(UploadTokenDigest::from_bytes([5; 32]))).await;
    assert_eq!(same.unwrap().apply.id, asked.apply.id);
    let other_script = OpenAssetUpload {
        token: UploadTokenDigest::from_bytes([6; 32]),
        script: "other".to_owned(),
        is_complete: true,
        ..open(&scene, &key)
    };
    scene.execute(gateway(), other_script).await.unwrap();
    let refused = refusal(name(Some(UploadTokenDigest::from_bytes([6; 32]))).await);
    assert!(matches!(refused, Rejection::UploadTokenUnknown));
}
