//! Time that runs out, answers used twice, and what the links show afterwards.

use super::*;

#[tokio::test]
async fn challenges_and_questions_run_out() {
    let stage = Stage::new().await;
    let mut person = stage.enrol("default").await;
    let asked = stage.question().await;
    let verify = format!("{}/verify", asked.path);
    let body = person.sign(&stage, &asked, &json!({})).await;
    stage.clock.advance(Duration::from_secs(90));
    let late = stage.post(&verify, &body).await;
    assert_eq!(
        (late.status, late.code()),
        (401, "challenge_expired"),
        "{late:?}"
    );
    stage.clock.advance(Duration::from_secs(510));
    let gone = stage.post(&verify, &body).await;
    assert_eq!(
        (gone.status, gone.code()),
        (410, "approval_expired"),
        "{gone:?}"
    );
    let (page, html) = stage.look(&asked.path).await;
    assert_eq!(page.status, 410);
    assert!(html.contains("This request has expired"));
    let (problem, _) = stage.ask("GET", &asked.path, "*/*", &Value::Null).await;
    assert_eq!((problem.status, problem.code()), (410, "approval_expired"));
}

#[tokio::test]
async fn a_used_answer_and_a_counter_that_stands_still_are_refused() {
    let stage = Stage::new().await;
    let mut person = stage.enrol("default").await;
    let asked = stage.question().await;
    let other = stage.question().await;
    let body = person.sign(&stage, &asked, &json!({})).await;
    let elsewhere = stage.post(&format!("{}/verify", other.path), &body).await;
    assert_eq!(
        (elsewhere.status, elsewhere.code()),
        (401, "assertion_invalid")
    );
    let older = person.sign(&stage, &other, &json!({})).await;
    let newer = person.sign(&stage, &asked, &json!({})).await;
    assert_eq!(
        stage
            .post(&format!("{}/verify", asked.path), &newer)
            .await
            .status,
        200
    );
    let back = stage.post(&format!("{}/verify", other.path), &older).await;
    assert_eq!(
        (back.status, back.code()),
        (401, "counter_went_back"),
        "{back:?}"
    );
}

#[tokio::test]
async fn the_page_shows_what_stands_upstream_and_what_became_of_a_closed_task() {
    let stage = Stage::new().await;
    let asked = stage.question().await;
    let ledger = &stage.state.app.ledger;
    let (_, html) = stage.look(&asked.path).await;
    assert!(html.contains("data-upstream=\"unread\"") && html.contains("Not read yet"));
    assert!(html.contains("whose name is not known yet"), "{html}");
    assert_eq!(
        stage.standing(&asked).await,
        json!(["pending", false, null])
    );
    let read = RecordPreState {
        approval_id: asked.approval_id,
        operations: vec![PreState::Found(
            json!({"ssl": {"value": "strict"}}).to_string(),
        )],
        zones: vec![ZoneRead {
            zone_id: "023e105f4ecef8ad9ca31a8372d0c353".to_owned(),
            name: ZoneNameRead::Known("xn--bcher-kva.example".to_owned()),
        }],
    };
    ledger.execute(Origin::system("test"), read).await.unwrap();
    let (_, html) = stage.look(&asked.path).await;
    assert!(html.contains("class=\"was\"") && html.contains("strict"));
    assert!(
        html.contains(
            "zone xn--bcher-kva.example (id 023e105f4ecef8ad9ca31a8372d0c353, in Unicode b"
        ),
        "{html}"
    );
    assert_eq!(stage.standing(&asked).await, json!(["pending", true, null]));
    let close = CloseTask {
        task_id: asked.task_id,
        token: None,
        reason: None,
    };
    ledger.execute(Origin::system("test"), close).await.unwrap();
    let (page, html) = stage.look(&asked.path).await;
    assert_eq!(page.status, 410);
    assert!(html.contains("cancelled"));
    let (problem, _) = stage.ask("GET", &asked.path, "*/*", &Value::Null).await;
    assert_eq!(
        (problem.status, problem.code()),
        (410, "approval_cancelled")
    );
    // An open page tells from these that it shows something else than its link.
    assert!(html.contains("data-became=\"cancelled\""), "{html}");
    assert_eq!(
        stage.standing(&asked).await,
        json!(["cancelled", true, "cancelled"])
    );
}

#[tokio::test]
async fn a_link_is_opened_as_often_as_people_open_links() {
    let stage = Stage::with(|config| config.rate_limit_rps = 30).await;
    let asked = stage.question().await;
    let other = stage.question().await;
    let mut looked = 0;
    let (page, html) = loop {
        let (page, html) = stage.look(&asked.path).await;
        if page.status != 200 {
            break (page, html);
        }
        looked += 1;
    };
    // More where the machine is so slow that time to look again comes meanwhile.
    assert!((40..80).contains(&looked), "{looked}");
    assert_eq!(page.status, 429);
    assert_eq!(page.headers["retry-after"], "1");
    assert!(html.contains("Too many tries"));
    let options = format!("{}/options", asked.path);
    let refused = stage.post(&options, &json!({})).await;
    assert_eq!((refused.status, refused.code()), (429, "rate_limited"));
    assert_eq!(stage.look(&other.path).await.0.status, 200);
}

#[tokio::test]
async fn a_bad_link_is_a_page_for_people_and_a_problem_for_programs() {
    let stage = Stage::new().await;
    for path in ["/v1/approve/nonsense", "/a/nonsense", "/v1/enrol/nonsense"] {
        let (page, html) = stage.look(path).await;
        assert_eq!(page.status, 401);
        assert!(html.contains("This link is not valid"));
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'self'"));
        let (problem, _) = stage.ask("GET", path, "*/*", &Value::Null).await;
        assert_eq!((problem.status, problem.code()), (401, "unauthorized"));
    }
}

/// A link that was handed out before links were short, and the short one at the address of before.
#[tokio::test]
async fn a_link_of_before_leads_to_the_same_question_and_decides_it() {
    let stage = Stage::new().await;
    let mut person = stage.enrol("default").await;
    let asked = stage.question().await;
    let signed = stage.state.app.keys.approval_link.sign(ApprovalLink {
        approval_id: asked.approval_id,
        task_id: Some(asked.task_id),
    });
    let signed = signed.unwrap().into_revealed();
    let short = asked.path.strip_prefix("/a/").unwrap();
    let (_, shown) = stage.look(&asked.path).await;
    let other_root = shown.replace("\"../assets/", "\"../../assets/");
    assert_ne!(shown, other_root);
    for path in [
        format!("/v1/approve/{signed}"),
        format!("/v1/approve/{short}"),
    ] {
        let (page, html) = stage.look(&path).await;
        assert_eq!((page.status, &html), (200, &other_root), "{path}");
    }
    let (page, html) = stage.look(&format!("/a/{signed}")).await;
    assert_eq!((page.status, &html), (200, &shown));
    let old = Asked {
        path: format!("/v1/approve/{signed}"),
        ..asked
    };
    let body = person.sign(&stage, &old, &json!({})).await;
    let decided = stage.post(&format!("{}/verify", old.path), &body).await;
    assert_eq!(decided.status, 200, "{decided:?}");
    assert_eq!(stage.look(&format!("/a/{short}")).await.0.status, 410);
}

#[tokio::test]
async fn an_invitation_registers_one_passkey_in_its_time() {
    let stage = Stage::new().await;
    let path = stage.invite("default").await;
    let (page, html) = stage.look(&path).await;
    assert_eq!(page.status, 200);
    assert!(html.contains("default"));
    let verify = format!("{path}/verify");
    let (_, first) = stage.make_passkey(&path).await;
    let (_, second) = stage.make_passkey(&path).await;
    assert_eq!(stage.post(&verify, &first).await.status, 201);
    let again = stage.post(&verify, &second).await;
    assert_eq!(
        (again.status, again.code()),
        (410, "enrolment_ended"),
        "{again:?}"
    );
    let (page, html) = stage.look(&path).await;
    assert_eq!(page.status, 410);
    assert!(html.contains("This link has been used"));

    let unused = stage.invite("default").await;
    let other = stage.invite("default").await;
    let crossed = stage.post(&format!("{other}/verify"), &second).await;
    assert_eq!(crossed.status, 400, "{crossed:?}");
    stage.clock.advance(Duration::from_secs(15 * 60));
    let (page, html) = stage.look(&unused).await;
    assert_eq!(page.status, 410);
    assert!(html.contains("This link has expired"));
}
