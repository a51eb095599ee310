use super::*;
use http::header;
use ledger::operation::{
    Before, ForwardedRequest, Method, Operation, Scope, ScopeId, UploadedFile,
};
use ledger::{Risk, ScopeType, Timestamp};
use serde_json::{Value, json};

/// Text that would break out of every place a template could put it in.
const HOSTILE: &str = "\"'><img src=x onerror=alert(1)></script>\u{202e}{{7*7}}";

fn hostile() -> ShownText {
    ShownText::line(HOSTILE)
}

/// As much of the hostile text as a URL can hold.
const LINK: &str = "https://git.example/\"'><img/onerror=alert(1)></script>{{7*7}}";

fn says() -> Says {
    Says::of(&ledger::Purpose {
        reason: ledger::Reason::parse(HOSTILE).unwrap(),
        link: Some(ledger::Link::parse(LINK).unwrap()),
    })
}

fn at(seconds: i64) -> Moment {
    Moment::new(Timestamp::from_seconds(1_795_356_000 + seconds))
}

fn operation(upstream: UpstreamState) -> OperationCard {
    OperationCard {
        number: 1,
        operation_id: "dns.record.write".to_owned(),
        summary: hostile(),
        scope_type: ScopeType::of("zone"),
        scope_id: hostile(),
        place: None,
        risk: Risk::Elevated,
        warnings: vec![ShownWarning {
            is_danger: true,
            code: "test",
            text: hostile(),
            rows: vec![2],
        }],
        params: Param::rows(&json!({
            HOSTILE: HOSTILE, "content": "192.0.2.7", "ttl": 60, "list": [HOSTILE, ""],
            "script": format!("{HOSTILE}\n{}", "// line\n".repeat(5000)), "nested": {"a": [HOSTILE]},
        })),
        defaults: Vec::new(),
        param_rows: Vec::new(),
        table: None,
        files: ShownFiles::default(),
        request: Vec::new(),
        lost: Vec::new(),
        upstream,
        was: None,
    }
}

/// A record whose last answer is hostile.
fn about() -> AboutAgent {
    let at = Timestamp::from_seconds(1_795_350_000);
    let last = projections::ApprovalView {
        id: ledger::ApprovalId::from_bytes([1; 16]),
        kind: "apply".to_owned(),
        task_id: Some(ledger::TaskId::from_bytes([2; 16])),
        agent: Some(ledger::AgentName::unchecked("ci")),
        apply_id: Some(ledger::ApplyId::from_bytes([3; 16])),
        fingerprint: ledger::Fingerprint::of(b"x"),
        state: projections::ApprovalStatus::Denied,
        approvers: Vec::new(),
        voters: Vec::new(),
        voted_until: Vec::new(),
        created_at: at,
        expires_at: at,
        continuation_seconds: 1,
        deadline: None,
        decided_at: Some(at),
        decided_by: Some(ledger::ApproverName::unchecked(HOSTILE)),
        decision_reason: Some(HOSTILE.to_owned()),
        break_glass: false,
        credential_id: None,
        answer: Some(projections::ApprovalStatus::Denied),
        answered_at: Some(at),
        answered: Some(1),
        rules: Vec::new(),
        pre_state_at: None,
        ended_at: None,
        end_reason: None,
        consumed_by: None,
        updated_at: at,
        position: 0,
    };
    let record = app::agent_record::AgentRecord {
        in_task: projections::Carried::default(),
        in_period: projections::Carried::default(),
        asked: vec![(projections::ApprovalStatus::Pending, false, 1)],
        last: Some(last),
        is_erased_in_part: true,
    };
    AboutAgent::of(record, &UserNames::default(), at)
}

#[test]
fn what_is_not_known_of_an_agent_is_said() {
    let known = approval().render().unwrap();
    assert!(known.contains("Records were erased from this ledger"));
    let page = ApprovalPage {
        about: None,
        ..approval()
    };
    assert!(
        page.render()
            .unwrap()
            .contains("What it did before is unknown")
    );
}

fn approval() -> ApprovalPage {
    let now = Param::rows(&json!({"content": "192.0.2.1", "ttl": 60, "priority": 10}));
    ApprovalPage {
        asked_by: None,
        is_of_write: false,
        from: Some(hostile()),
        keep: KeepChoices::default(),
        agent: hostile(),
        task_name: hostile(),
        opener_says: says(),
        says: says(),
        executes: true,
        needed: None,
        may_approve_own: false,
        may_break_glass: false,
        answers: 0,
        bound_to: None,
        task_id: "0193a1f2-7c1e-7d43-9a55-3f1f5b0c9e11".to_owned(),
        approval_id: "0193a1f2-8d0b-7a5e-8b7c-52d1c0aa0e42".to_owned(),
        operations: vec![
            operation(UpstreamState::Present(now)).compared(),
            operation(UpstreamState::Unavailable(hostile())),
            operation(UpstreamState::NotYetRead),
            operation(UpstreamState::Absent),
            operation(UpstreamState::NotApplicable),
        ],
        about: Some(about()),
        approvers: vec![MayDecide {
            name: ShownPerson::principal(HOSTILE),
            passkeys: 1,
            command_line_keys: 0,
        }],
        fingerprint: "0123456789abcdef".repeat(4),
        asked_at: at(0),
        expires_at: at(600),
        now: at(5),
        simulated: true,
        path: "/v1/approve/link".to_owned(),
    }
}

fn ended(ended: Ended) -> EndedPage {
    EndedPage {
        ended,
        at: at(60),
        apply_ended_at: Some(at(70)),
        usable_until: Some(at(80)),
        progress: 1,
        decided_by: vec![Answer {
            by: ShownPerson::principal(HOSTILE),
            at: at(30),
        }],
        approved_before: vec![Answer {
            by: ShownPerson::principal(HOSTILE),
            at: at(20),
        }],
        reason: Some(hostile()),
        kept: None,
        is_emergency: false,
        on_screen: None,
        was_tried: false,
        agent: hostile(),
        task_name: hostile(),
        opener_says: says(),
        says: says(),
        went_on: None,
        task_id: "0193a1f2-7c1e-7d43-9a55-3f1f5b0c9e11".to_owned(),
        operations: vec![EndedOperation {
            summary: hostile(),
            risk: Risk::Sensitive,
            outcome: Some(OutcomeShown {
                word: "failed",
                done: false,
                why: Some(hostile()),
                upstream_request: Some(hostile()),
            }),
        }],
        path: "/v1/approve/link".to_owned(),
    }
}

/// Every way in which it can end.
const ENDS: [Ended; 20] = [
    Ended::Approved,
    Ended::FailedForNow,
    Ended::Running,
    Ended::CarriedOut,
    Ended::Simulated,
    Ended::Failed,
    Ended::InPart,
    Ended::Unknown,
    Ended::Stopped,
    Ended::Used,
    Ended::Denied,
    Ended::Expired,
    Ended::Lapsed,
    Ended::Cancelled,
    Ended::LockedOut,
    Ended::StoppedByLock,
    Ended::PolicyChanged,
    Ended::StateChanged,
    Ended::StoppedByPolicy,
    Ended::CancelledByPerson,
];

fn every_page() -> Vec<String> {
    let enrolment = EnrolmentPage {
        may_decide: true,
        name: hostile(),
        is_user: false,
        label: Some(hostile()),
        registered: 2,
        expires_at: at(900),
        now: at(0),
    };
    let used = |used| EnrolmentUsedPage {
        name: hostile(),
        used,
        expires_at: Some(at(900)),
    };
    let mut pages: Vec<String> = ENDS
        .into_iter()
        .map(|how| ended(how).render().unwrap())
        .collect();
    pages.extend([
        AccountPage.render().unwrap(),
        approval().render().unwrap(),
        enrolment.render().unwrap(),
        used(true).render().unwrap(),
        used(false).render().unwrap(),
        SetupPage.render().unwrap(),
        NoticePage::link_not_valid().render().unwrap(),
        NoticePage::not_found().render().unwrap(),
        NoticePage::admin_exists().render().unwrap(),
        NoticePage::unavailable(Some(HOSTILE.to_owned()))
            .render()
            .unwrap(),
        NoticePage::internal(None).render().unwrap(),
    ]);
    pages
}

#[test]
fn no_page_carries_markup_script_or_style_of_its_own_or_of_others() {
    for html in every_page() {
        assert!(!html.contains("<img"), "foreign markup");
        assert!(!html.contains(" style="), "inline style");
        assert!(!html.contains("<style"), "inline style sheet");
        assert!(!html.contains('\u{202e}'), "raw override");
        for script in html.split("<script").skip(1) {
            assert!(
                script.starts_with(" type=\"module\" src=\"../../assets/")
                    || script.starts_with(" type=\"module\" src=\"assets/"),
                "inline script"
            );
            assert!(script.contains("\"></script>"));
        }
        let html = html.replace(r#"href="https://git.example/%22"#, "");
        assert!(
            !html.contains("http://") && !html.contains("https://"),
            "external address"
        );
    }
}

#[test]
fn the_question_is_complete() {
    let page = approval();
    let html = page.render().unwrap();
    for operation in &page.operations {
        for param in &operation.params {
            assert!(html.contains(&param.name.to_string()));
            let texts = match &param.value {
                ParamValue::Text(text)
                | ParamValue::Literal(text)
                | ParamValue::Block(text)
                | ParamValue::Json(text) => vec![text],
                ParamValue::List(items) => items.iter().collect(),
            };
            if let ParamValue::Block(text) = &param.value {
                assert!(html.contains(&text.numbered().to_string()), "{text:?}");
                continue;
            }
            for text in texts.into_iter().filter(|text| !text.is_empty()) {
                assert!(html.contains(&text.to_string()), "{text:?}");
            }
        }
    }
    assert_eq!(html.matches("// line").count(), 5 * 5000);
    assert!(html.contains("0123 4567 89ab cdef 0123"));
    assert!(html.contains("Simulation."));
    assert!(html.contains("22 Nov 2026, 14:10:00 UTC"));
    assert!(html.contains("5 dangers"));
}

#[test]
fn what_is_replaced_stands_beside_what_replaces_it() {
    let compared = &approval().operations[0];
    let by_name = |name: &str| {
        compared
            .params
            .iter()
            .find(|param| param.name == *name)
            .unwrap()
    };
    assert_eq!(
        by_name("content").now,
        Now::Other(ParamValue::Text(ShownText::line("192.0.2.1")))
    );
    assert_eq!(by_name("ttl").now, Now::Same);
    assert_eq!(by_name("script").now, Now::Unknown);
    let UpstreamState::Present(rest) = &compared.upstream else {
        panic!("no upstream state")
    };
    assert_eq!(rest.len(), 1);
    assert!(rest[0].name == *"priority");
}

#[test]
fn a_card_shows_the_operation_as_it_will_be_sent() {
    let operation = providers::all()
        .parse(
            "ssl.mode.write",
            "zone",
            "023e105f4ecef8ad9ca31a8372d0c353",
            &json!({"value": "flexible"}),
        )
        .unwrap();
    let now = UpstreamState::Present(Param::rows(&json!({"value": "full"})));
    let card = OperationCard::of(1, &operation, now, &Before::default());
    assert_eq!(card.operation_id, "ssl.mode.write");
    assert!(!format!("{:?}", card.summary).contains("023e105f"));
    assert!(!card.warnings.is_empty());
    assert_eq!(
        card.params[0].now,
        Now::Other(ParamValue::Text(ShownText::line("full")))
    );
}

#[test]
fn what_an_agent_writes_takes_nothing_out_of_the_sentence() {
    let card = |content: &str| {
        let params = json!({"type": "TXT", "name": "a", "content": content});
        let operation = providers::all().parse("dns.record.write", "zone", "z1", &params);
        let upstream = UpstreamState::NotApplicable;
        OperationCard::of(1, &operation.unwrap(), upstream, &Before::default())
    };
    assert!(!card("\"v\"").summary.original().contains("zone z1"));
    for content in ["\"b in zone z1c\"", "\"b of zone z1c\"", "\"b in zone z1\""] {
        let card = card(content);
        let sentence = card.summary.original();
        assert!(sentence.contains(content), "{sentence}");
        assert!(
            sentence.contains(&format!("{content} in zone z1")),
            "{sentence}"
        );
    }
}

#[test]
fn a_name_that_imitates_another_is_told_from_it() {
    let page = |agent: &str, task_name: &str| ApprovalPage {
        agent: ShownText::line(agent),
        task_name: ShownText::line(task_name),
        operations: Vec::new(),
        ..approval()
    };
    let note = "Characters outside ASCII in these names and headings";
    assert!(!page("deployer", "release").render().unwrap().contains(note));
    // Cyrillic letters that look like Latin ones.
    for (agent, task_name) in [("depl\u{43e}yer", "release"), ("deployer", "r\u{435}lease")] {
        let html = page(agent, task_name).render().unwrap();
        assert!(html.contains(note), "{agent} {task_name}");
    }
}

#[test]
fn an_arrow_of_this_service_is_no_look_alike_and_one_that_an_agent_wrote_is() {
    let note = |content: &str| {
        let params = json!({"type": "TXT", "name": "a", "content": content});
        let operation = providers::all().parse("dns.record.write", "zone", "z1", &params);
        let upstream = UpstreamState::NotApplicable;
        let card = OperationCard::of(1, &operation.unwrap(), upstream, &Before::default());
        assert!(card.summary.original().contains('\u{2192}'));
        let page = ApprovalPage {
            agent: ShownText::line("deployer"),
            task_name: ShownText::line("release"),
            operations: vec![card],
            ..approval()
        };
        let html = page.render().unwrap();
        let (_, note) = html.split_once("in these names and headings: ")?;
        Some(note.split_once("</p>").unwrap().0.to_owned())
    };
    assert_eq!(note("\"v\""), None);
    assert!(note("\"v \u{2192} w\"").unwrap().contains("U+2192"));
    let mixed = note("\"p\u{430}ypal\"").unwrap();
    assert!(
        mixed.contains("U+0430") && !mixed.contains("U+2192"),
        "{mixed}"
    );
}

#[test]
fn a_receipt_of_several_operations_has_the_heading_of_its_question_and_their_risks() {
    let one = |risk| EndedOperation {
        risk,
        ..ended(Ended::CarriedOut).operations.remove(0)
    };
    let page = EndedPage {
        operations: vec![one(Risk::Elevated), one(Risk::Sensitive)],
        ..ended(Ended::CarriedOut)
    };
    let html = page.render().unwrap();
    assert!(html.contains("<title>Approved and carried out: 2 operations, 1 sensitive"));
    assert!(html.contains("badge sensitive"));
}

#[test]
fn what_an_agent_says_is_quoted_and_attributed_and_its_link_names_the_host() {
    let deployer = ShownText::line("deployer");
    let says = |reason: &str, link: &str| {
        Says::of(&ledger::Purpose {
            reason: ledger::Reason::parse(reason).unwrap(),
            link: ledger::Link::parse(link).ok(),
        })
    };
    let says = says("The old one is off", "https://tickets.example:8443/OPS-42");
    let question = ApprovalPage {
        agent: deployer.clone(),
        opener_says: Says::default(),
        says: says.clone(),
        ..approval()
    };
    let receipt = EndedPage {
        agent: deployer,
        opener_says: Says::default(),
        says,
        ..ended(Ended::Denied)
    };
    for html in [question.render().unwrap(), receipt.render().unwrap()] {
        let (_, said) = html.split_once(r#"<figure class="says">"#).unwrap();
        let (said, _) = said.split_once("</figure>").unwrap();
        assert!(
            said.contains("deployer</bdi></span> says:") || said.contains("deployer</span> says:"),
            "{said}"
        );
        assert!(
            said.contains("“") && said.contains("The old one is off"),
            "{said}"
        );
        assert!(
            said.contains(r#"href="https://tickets.example:8443/OPS-42""#),
            "{said}"
        );
        assert!(said.contains("noopener noreferrer"), "{said}");
        let (_, shown) = said.split_once("nofollow\">").unwrap();
        assert!(shown.contains("tickets.example:8443"), "{shown}");
    }
    let silent = ApprovalPage {
        opener_says: Says::default(),
        says: Says::default(),
        ..approval()
    };
    assert!(!silent.render().unwrap().contains("says:"));
}

#[test]
fn buttons_wait_for_the_script_and_everything_else_can_be_read_without_it() {
    let html = approval().render().unwrap();
    assert!(html.contains(r#"id="approve" class="approve" disabled"#));
    assert!(html.contains(r#"id="deny" class="deny" disabled"#));
    assert!(html.contains("<noscript>"));
    assert!(html.contains("script has not loaded"));
}

#[test]
fn every_page_is_private_unframed_and_closed_to_foreign_content() {
    let response = respond(StatusCode::GONE, &ended(Ended::Denied));
    assert_eq!(response.status(), StatusCode::GONE);
    let headers = response.headers();
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
    assert_eq!(headers[header::X_FRAME_OPTIONS], "DENY");
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    for rule in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ] {
        assert!(policy.contains(rule), "{rule}");
    }
    assert!(!policy.contains("unsafe"));
}

#[test]
fn what_an_upload_drops_stands_apart_from_what_stays() {
    let params = json!({"script_name": "s", "script": "export default {}",
        "keep_bindings": ["secret_text"], "containers": [{"class_name": "C"}]});
    let operation = providers::all()
        .parse("workers.deploy.write", "account", "a1", &params)
        .unwrap();
    let found = json!({"script": {"limits": {"cpu_ms": 50}, "usage_model": "standard",
        "bindings": [{"type": "kv_namespace", "name": "KV", "namespace_id": "k"},
            {"type": "secret_text", "name": "KEY"}]}});
    let stays = UpstreamState::Present(Param::rows(&found["script"]));
    let before = Before {
        state: Some(&found),
        name: None,
    };
    let card = OperationCard::of(1, &operation, stays, &before);
    let names = |rows: &[Param]| -> Vec<_> {
        rows.iter()
            .map(|row| row.name.original().to_owned())
            .collect()
    };
    assert_eq!(names(&card.lost), ["bindings.KV", "limits"]);
    let UpstreamState::Present(stays) = &card.upstream else {
        panic!("nothing stays")
    };
    assert_eq!(names(stays), ["usage_model", "bindings"]);
    let kept = Param::rows(&json!({"bindings": [{"type": "secret_text", "name": "KEY"}]}));
    assert_eq!(stays.last(), kept.first());
    let html = ApprovalPage {
        operations: vec![card],
        ..approval()
    }
    .render()
    .unwrap();
    assert!(html.contains("<h3>Will be lost</h3>"), "{html}");
    assert!(
        html.contains("containers</bdi> <span class=\"unchecked\">not checked</span>"),
        "{html}"
    );
    assert!(html.contains("Not known to this service"), "{html}");
    assert_eq!(html.matches("not checked</span>").count(), 1, "{html}");
}

#[test]
fn params_stand_in_the_order_of_reading_and_keep_their_files() {
    let params = json!({"type": "A", "name": "www", "content": "192.0.2.1", "comment": "why"});
    let operation = providers::all()
        .parse("dns.record.write", "zone", "z1", &params)
        .unwrap();
    let upstream = UpstreamState::NotApplicable;
    let card = OperationCard::of(1, &operation, upstream, &Before::default());
    let names: Vec<_> = card.params.iter().map(|row| row.name.original()).collect();
    assert_eq!(names[..4], ["action", "type", "name", "content"]);
    assert_eq!(names.last(), Some(&"comment"));
    let all = operation.to_json()["params"].clone();
    for (row, at) in card.params.iter().zip(&card.param_rows) {
        assert_eq!(Param::rows(&all)[at - 1].name, row.name);
    }
}

#[test]
fn defaults_are_folded_where_they_change_nothing_and_stay_on_the_page() {
    let read = |found: Value| {
        let Value::Object(_) = found else {
            panic!("no record")
        };
        UpstreamState::Present(Param::rows(&found))
    };
    let create = json!({"type": "A", "name": "www", "content": "192.0.2.1"});
    let update = json!({"action": "update", "record_id": "a".repeat(32), "type": "A",
        "name": "www", "content": "192.0.2.1", "proxied": false, "ttl": 1});
    let edit = json!({"action": "edit", "record_id": "a".repeat(32), "proxied": false, "ttl": 1});
    let told = |params: &Value, fields: Value| {
        let mut params = params.clone();
        let fields = fields.as_object().unwrap().clone();
        params.as_object_mut().unwrap().extend(fields);
        params
    };
    let nothing = || UpstreamState::NotApplicable;
    let proxied = || read(json!({"proxied": true, "ttl": 1}));
    for (params, upstream, folded) in [
        (create.clone(), nothing(), &["proxied", "ttl"][..]),
        (create.clone(), UpstreamState::Absent, &["proxied", "ttl"]),
        (told(&create, json!({"ttl": 60})), nothing(), &["proxied"]),
        (
            told(&create, json!({"ttl": 60, "proxied": true})),
            nothing(),
            &[],
        ),
        // The record's address is uncovered.
        (update.clone(), proxied(), &["ttl"]),
        (
            update.clone(),
            read(json!({"proxied": false, "ttl": 1})),
            &["proxied", "ttl"],
        ),
        // Nobody can tell whether it is.
        (update.clone(), UpstreamState::NotYetRead, &[]),
        (
            update,
            UpstreamState::Unavailable(ShownText::line("away")),
            &[],
        ),
        (edit, nothing(), &[]),
    ] {
        let operation = providers::all()
            .parse("dns.record.write", "zone", "z1", &params)
            .unwrap();
        let card = OperationCard::of(1, &operation, upstream, &Before::default());
        let names: Vec<_> = card.defaults.iter().map(|it| it.name.original()).collect();
        assert_eq!(names, folded, "{params}");
        assert_eq!(card.params.len(), card.param_rows.len());
        // What is signed is there, open or folded.
        let all = Param::rows(&operation.to_json()["params"]);
        assert_eq!(card.params.len() + card.defaults.len(), all.len());
        let approval = ApprovalPage {
            operations: vec![card],
            ..approval()
        };
        let html = approval.render().unwrap();
        let summary = [
            "",
            "<summary>and one default</summary>",
            "<summary>and 2 defaults</summary>",
        ];
        assert_eq!(html.contains("<summary>and"), !folded.is_empty());
        assert!(html.contains(summary[folded.len()]), "{html}");
        let is_there = |param: &Param| html.contains(param.name.original());
        assert!(all.iter().all(is_there));
    }
}

#[test]
fn a_binary_is_listed_and_its_encoding_is_not_read() {
    let params = json!({
        "script_name": "s", "main_module": "a.mjs", "modules": [
            {"name": "a.mjs", "content": "export default {\"a\": 1}"},
            {"name": "b.wasm", "content_base64": "AGFzbf8="},
        ],
    });
    let operation = providers::all()
        .parse("workers.deploy.write", "account", "a1", &params)
        .unwrap();
    let upstream = UpstreamState::NotApplicable;
    let card = OperationCard::of(1, &operation, upstream, &Before::default());
    let binary = &card.files.files[1];
    assert_eq!((binary.is_text, binary.bytes), (false, 5));
    let html = ApprovalPage {
        operations: vec![card],
        ..approval()
    };
    let html = html.bounded("https://gate/x").render().unwrap();
    assert!(!html.contains("AGFzbf8="), "nobody reads base64");
    assert!(html.contains("</bdi>, binary, 5 bytes"), "{html}");
    // A module is never a JSON string.
    assert!(html.contains("export default {&quot;a&quot;: 1}") && !html.contains("\\&quot;"));
}

#[test]
fn the_page_says_before_the_press_whether_it_is_carried_out_at_once() {
    let page = |executes| ApprovalPage {
        executes,
        ..approval()
    };
    let told = "Carried out at once after your approval";
    let html = page(true).render().unwrap();
    let (before, _) = html.split_once("confirm with your passkey").unwrap();
    assert!(before.contains(told));
    assert!(!page(false).render().unwrap().contains(told));
    let receipt = EndedPage {
        went_on: Some("It went on at once after the approval, as it was asked for."),
        ..ended(Ended::CarriedOut)
    };
    assert!(receipt.render().unwrap().contains("It went on at once"));
}

#[test]
fn what_a_task_was_opened_with_is_attributed_to_its_opener() {
    let opener_says = Says::of(&ledger::Purpose {
        reason: ledger::Reason::parse("Friday’s move").unwrap(),
        link: ledger::Link::parse("https://tickets.example/OPS-1").ok(),
    });
    let question = ApprovalPage {
        opener_says: opener_says.clone(),
        says: Says::default(),
        ..approval()
    };
    let receipt = EndedPage {
        opener_says,
        says: Says::default(),
        ..ended(Ended::Denied)
    };
    for html in [question.render().unwrap(), receipt.render().unwrap()] {
        let (_, said) = html.split_once(r#"<figure class="says">"#).unwrap();
        let (said, _) = said.split_once("</figure>").unwrap();
        assert!(said.contains("The task’s opener</span> says:"), "{said}");
        assert!(said.contains("Friday’s move"), "{said}");
        assert!(
            said.contains(r#"href="https://tickets.example/OPS-1""#),
            "{said}"
        );
    }
}

fn folded(operation: &str, scope: &str, params: &Value, upstream: UpstreamState) -> OperationCard {
    let operation = providers::all().parse(operation, scope, "z1", params);
    OperationCard::of(1, &operation.unwrap(), upstream, &Before::default())
}

fn names(params: &[Param]) -> Vec<&str> {
    params.iter().map(|param| param.name.original()).collect()
}

#[test]
fn one_rule_is_read_field_by_field_and_its_defaults_are_folded() {
    let id = "a".repeat(32);
    let update = |enabled: bool| {
        json!({"action": "update_rule", "ruleset_id": id, "rule_id": id, "rule": {
            "action": "block", "expression": "ip.src eq 192.0.2.1", "description": "", "enabled": enabled}})
    };
    let now = |enabled: bool| {
        UpstreamState::Present(Param::rows(&json!({"rule": {
            "action": "log", "expression": "ip.src eq 192.0.2.1", "enabled": enabled}})))
    };
    let card = folded("waf.rules.write", "zone", &update(true), now(true));
    assert_eq!(
        names(&card.params),
        [
            "action",
            "ruleset_id",
            "rule_id",
            "rule.action",
            "rule.expression"
        ]
    );
    assert_eq!(names(&card.defaults), ["rule.description", "rule.enabled"]);
    let was: Vec<_> = card.params.iter().map(|param| &param.now).collect();
    assert!(matches!(was[3], Now::Other(_)) && *was[4] == Now::Same);
    // A rule that is switched on by it says so, and so does one that is switched off.
    let on = folded("waf.rules.write", "zone", &update(true), now(false));
    assert_eq!(names(&on.defaults), ["rule.description"]);
    let off = folded("waf.rules.write", "zone", &update(false), now(true));
    assert!(names(&off.params).contains(&"rule.enabled"));
}

#[test]
fn settings_of_a_worker_that_say_nothing_are_folded_unless_they_change_something() {
    let deploy = json!({"script_name": "site", "script": "export default {}", "logpush": false,
        "tags": [], "observability": {"enabled": false}, "compatibility_date": "2026-01-01"});
    let script = |logpush: bool| {
        UpstreamState::Present(Param::rows(&json!({"logpush": logpush, "tags": ["shop"]})))
    };
    let card = folded(
        "workers.deploy.write",
        "account",
        &deploy,
        UpstreamState::Absent,
    );
    assert_eq!(names(&card.defaults), ["logpush", "observability", "tags"]);
    let card = folded("workers.deploy.write", "account", &deploy, script(false));
    assert_eq!(names(&card.defaults), ["logpush", "observability"]);
    let card = folded("workers.deploy.write", "account", &deploy, script(true));
    assert_eq!(names(&card.defaults), ["observability"]);
    let unread = folded(
        "workers.deploy.write",
        "account",
        &deploy,
        UpstreamState::NotYetRead,
    );
    assert!(unread.defaults.is_empty());
}

#[test]
fn every_digest_of_a_page_can_be_copied_whole() {
    let params = json!({"script_name": "site", "script": format!("export default {{}};\n//{}", "x".repeat(3 << 20))});
    let card = folded(
        "workers.deploy.write",
        "account",
        &params,
        UpstreamState::Absent,
    );
    let page = ApprovalPage {
        operations: vec![card],
        ..approval()
    };
    let html = page
        .bounded("https://proxy.example/a/link")
        .render()
        .unwrap();
    let fingerprint = format!(
        "class=\"digest\" data-copy=\"{}\"",
        "0123456789abcdef".repeat(4)
    );
    assert!(html.contains(&fingerprint), "{html}");
    let digests = html
        .matches("SHA-256</span> <code class=\"digest\">")
        .count();
    let cut = html
        .matches("SHA-256 of this text: <code class=\"digest\">")
        .count();
    assert_eq!((digests, cut), (1, 1));
    assert_eq!(html.matches("SHA-256").count(), digests + cut);
}

#[test]
fn the_page_says_which_rules_ask_and_why() {
    let asked = |rules: &[&str]| ApprovalPage {
        asked_by: Some(AskedByRules {
            rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
            reason: Some(ShownText::line("From abroad or at night")),
        }),
        ..approval()
    };
    let html = asked(&["foreign"]).render().unwrap();
    assert!(
        html.contains("Asked by the policy’s rule <code>foreign</code>: "),
        "{html}"
    );
    assert!(html.contains("From abroad or at night"), "{html}");
    let html = asked(&["a", "b"]).render().unwrap();
    assert!(
        html.contains("rules <code>a</code>, <code>b</code>"),
        "{html}"
    );
    assert!(!approval().render().unwrap().contains("Asked by the policy"));
}

/// A form that a client of Cloudflare's API sent, with hostile text in every place that a client writes.
fn form(uploads: Vec<UploadedFile>) -> Operation {
    let hostile = HOSTILE.replace('"', "%22");
    let mut body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{}\r\n",
        json!({"main_module": HOSTILE, "bindings": []})
    );
    body.push_str(&format!(
        "--x\r\nContent-Disposition: form-data; name=\"{hostile}\"; filename=\"f{hostile}\"\r\n\
         Content-Type: text/<img src=x onerror=alert(1)>\r\n\r\n{HOSTILE}\n{}\r\n",
        "// line\n".repeat(300_000)
    ));
    body.push_str("--x--\r\n");
    let content_type = "multipart/form-data; boundary=x".to_owned();
    let request = ForwardedRequest {
        upstream: ledger::UpstreamName::cloudflare(),
        title: Some(format!("Upload {HOSTILE}")),
        level: ledger::Level::Write,
        risk: Risk::Sensitive,
        method: Method::Put,
        base_url: Some("https://api.cloudflare.com/client/v4".to_owned()),
        target: "/accounts/a1/workers/scripts/s?\"'><img/src=x>".to_owned(),
        headers: [("content-type".to_owned(), content_type)].into(),
        body: body.into_bytes(),
        secrets: Vec::new(),
        uploads,
        upload: None,
        also_allowed: Vec::new(),
        follows: None,
    };
    let scope = Scope {
        scope_type: ScopeType::of("account"),
        id: ScopeId::parse("a1").unwrap(),
    };
    let id = ledger::OperationId::of("workers.deploy.write");
    providers::all().forward(id, scope, request).unwrap()
}

/// The page of a question about this operation alone.
fn page_of(operation: &Operation) -> String {
    let upstream = UpstreamState::NotApplicable;
    let card = OperationCard::of(1, operation, upstream, &Before::default());
    let page = ApprovalPage {
        operations: vec![card],
        ..approval()
    };
    page.bounded("https://gate/x").render().unwrap()
}

#[test]
fn a_file_of_unknown_content_is_told_though_it_is_not_listed() {
    let known = (0..600).map(|number| upload(&format!("/{number}"), Some("0f".repeat(32))));
    let mut uploads: Vec<_> = known.collect();
    let told = |uploads: Vec<UploadedFile>| {
        let html = page_of(&form(uploads));
        assert!(html.contains("and 100 more") || html.contains("and 101 more"));
        html.contains("does not know the content")
    };
    assert!(!told(uploads.clone()));
    uploads.push(upload("/unknown", None));
    assert!(told(uploads));
}

#[test]
fn a_file_whose_name_hides_something_is_never_among_those_that_are_left_out() {
    let plain = (0..600).map(|number| upload(&format!("/a/{number}"), None));
    let odd = ["/z/\u{202e}gnp.exe", "/z/p\u{430}ypal.html"].map(|path| upload(path, None));
    let operation = form(plain.chain(odd).collect());
    let html = page_of(&operation);
    assert!(html.contains("gnp.exe") && html.contains("ypal"), "{html}");
    assert!(html.contains("The names of 2 of them"));
    assert!(html.contains("and 102 more, in whose names nothing hides"));
    assert!(html.contains("https://gate/x/files/uploads-1.txt"));
    let list = upload_list(operation.files(&Before::default()).unwrap().uploads).unwrap();
    assert_eq!(list.lines().count(), 602);
    assert!(list.contains("unknown 12 /z/‹U+202E›gnp.exe"), "{list}");
    assert!(list.contains("/z/p‹U+0430›ypal.html"));
}

#[test]
fn what_a_page_hides_is_spelled_once_everywhere() {
    let params = json!({
        "type": "TXT", "name": "a.example", "content": "\u{202e}gnp.exe", "comment": "p\u{430}ypal",
    });
    let operation = providers::all().parse("dns.record.write", "zone", "z1", &params);
    let html = page_of(&operation.unwrap());
    assert!(
        html.contains("U+202E") && !html.contains("U+2039"),
        "{html}"
    );
    let title = ShownText::sentence(ledger::operation::shown("p\u{430}ypal \u{202e}", 99));
    assert_eq!(title.spelled_out(), "p‹U+0430›ypal ‹U+202E›");
}

fn upload(path: &str, sha256: Option<String>) -> UploadedFile {
    UploadedFile {
        path: path.to_owned(),
        hash: "0a".repeat(16),
        bytes: 12,
        sha256,
    }
}

#[test]
fn a_form_is_shown_part_by_part_bounded_and_harmless() {
    let mut uploads = vec![
        upload(HOSTILE, None),
        upload("/a.css", Some("0f".repeat(32))),
    ];
    uploads.extend((0..20_000).map(|number| upload(&format!("/{number}"), None)));
    let operation = form(uploads);
    let upstream = UpstreamState::NotApplicable;
    let card = OperationCard::of(1, &operation, upstream, &Before::default());
    assert_eq!(card.params.len(), card.param_rows.len());
    let page = ApprovalPage {
        operations: vec![card],
        ..approval()
    };
    let html = page.bounded("https://gate/x").render().unwrap();
    assert!(!html.contains("<img"), "{html}");
    assert!(!html.contains('\u{202e}'));
    assert!(html.contains("https://api.cloudflare.com/client/v4/accounts/a1/workers/scripts/s"));
    assert!(html.contains("a form of 2 parts"));
    assert!(html.contains("file-1-2.txt") && html.contains("file-1-2.bin"));
    assert!(html.contains("not uploaded through this service"));
    assert!(html.contains("20,002 files sent before") && html.contains("and 19,502 more"));
    assert!(html.len() < 2_500_000, "{}", html.len());
}
