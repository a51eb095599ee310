//! What follows an approved write, and the files of writes: what no approval allowed, and files that went up as others,
//! are found.

use super::{altered, is_found};
use crate::deploys::{
    complete, deployment, gateway, open, schedules, send, uploaded, version_with_files,
};
use crate::scene::Scene;
use fixtures::commands::{agent_with_key, create_key};
use fixtures::history::History;
use ledger::ApplyId;
use ledger::audit::Check;
use ledger::command::ForwardWrite;
use ledger::event::{ApplyEnd, ApplyFollows, Event, FileDigest, ManifestDigest, OperationOutcome};

/// A version is uploaded and deployed by one approval; its triggers are asked about. Then files are uploaded, and a
/// version that names them waits.
async fn told() -> History {
    let scene = Scene::new().await;
    let key = scene.run(create_key("cak_one")).await.unwrap();
    let first = uploaded(&scene, &key, "1").await;
    let deployed = crate::deploys::asked(&scene, &key, deployment("v1", first)).await;
    assert!(deployed.unwrap().apply.allowed_by().is_some());
    crate::deploys::asked(&scene, &key, schedules(first))
        .await
        .unwrap();
    scene.execute(gateway(), open(&scene, &key)).await.unwrap();
    scene.execute(gateway(), send(3)).await.unwrap();
    scene.execute(gateway(), complete(&scene)).await.unwrap();
    let named = ForwardWrite {
        upload: Some(crate::deploys::COMPLETION),
        ..crate::writes::forward(&key, version_with_files())
    };
    let named = scene.execute(agent_with_key(&key), named).await.unwrap();
    named.accepted().unwrap();
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

#[tokio::test]
async fn a_deploy_by_one_approval_is_honest() {
    let report = told().await.verify();
    assert!(report.verified && report.everything, "{report}");
}

fn follows(
    history: &History,
    at: u64,
    change: impl Fn(&mut ApplyFollows),
) -> ledger::audit::Report {
    altered(history, |history| {
        history.alter(at, |event| {
            let Event::ApplyFollows(follows) = event else {
                unreachable!()
            };
            change(follows);
        });
    })
}

#[tokio::test]
async fn what_no_approval_allowed_is_found() {
    let history = told().await;
    let allowed = history.first("apply.follows");
    let asked = history.last("apply.follows");
    let as_another = follows(&history, allowed, |it| {
        it.allowed_as = Some("subdomain".to_owned());
    });
    is_found(&as_another, Check::FollowUp, allowed);
    let as_none = follows(&history, allowed, |it| it.allowed_as = None);
    is_found(&as_none, Check::FollowUp, allowed);
    let of_another = follows(&history, allowed, |it| {
        it.first = ApplyId::from_bytes([7; 16]);
    });
    is_found(&of_another, Check::FollowUp, allowed);
    let without_trace = follows(&history, asked, |it| it.previous = None);
    is_found(&without_trace, Check::FollowUp, asked);
    let unasked = follows(&history, asked, |it| {
        it.allowed_as = Some("deployment".to_owned());
    });
    is_found(&unasked, Check::FollowUp, asked);
}

#[tokio::test]
async fn the_deployment_of_another_version_or_of_an_unknown_end_is_found() {
    let history = told().await;
    let allowed = history.first("apply.follows");
    let made = history.first("apply.operation_ended");
    let another = altered(&history, |history| {
        history.alter(made, |event| {
            if let Event::OperationEnded(ended) = event
                && let OperationOutcome::Succeeded { result, .. } = &mut ended.outcome
            {
                *result = result.replace("v1", "v2");
            }
        });
    });
    is_found(&another, Check::FollowUp, allowed);
    let unended = altered(&history, |history| {
        let ended = history.first("apply.ended");
        history.alter(ended, |event| {
            if let Event::ApplyEnded(ended) = event {
                ended.end = ApplyEnd::Unknown;
            }
        });
    });
    is_found(&unended, Check::FollowUp, allowed);
}

#[tokio::test]
async fn files_that_are_not_those_of_the_upload_are_found() {
    let history = told().await;
    let (sent, named) = (
        history.last("asset_upload.files_sent"),
        history.last("apply.accepted"),
    );
    let other = altered(&history, |history| {
        history.alter(sent, |event| {
            if let Event::AssetFilesSent(sent) = event {
                for file in &mut sent.files {
                    file.digest = FileDigest::from_bytes([4; 32]);
                }
            }
        });
    });
    is_found(&other, Check::AssetUpload, named);
    let opened = history.last("asset_upload.opened");
    let of_others = altered(&history, |history| {
        history.alter(opened, |event| {
            if let Event::AssetUploadOpened(opened) = event {
                opened.manifest = ManifestDigest::from_bytes([4; 32]);
            }
        });
    });
    is_found(&of_others, Check::AssetUpload, named);
}
