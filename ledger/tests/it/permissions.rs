//! What a task may do at all, and what waits for a human.

use crate::scene::{Scene, refusal};
use crate::store::tamper;
use fixtures::commands::{
    AGENT, administrator, allow, allow_on, create_task, deploy, dns_create, dns_create_in,
    dns_read, grant, permissions, purge, ssl_mode,
};
use fixtures::test_ledger::TestLedger;
use ledger::aggregate::Agent;
use ledger::command::{AllowedEntry, CreateTask, IssuedToken, ReplacePermissions, RevokeGrants};
use ledger::event::{Authorisation, Event, Grant};
use ledger::{AgentName, Error, Level, ReadError, Rejection, Risk, ScopePattern, Timestamp};
use providers::cloudflare;
use std::time::Duration;

async fn task_of(ledger: &TestLedger, operations: Vec<AllowedEntry>) -> IssuedToken {
    let command = CreateTask {
        operations,
        ..create_task()
    };
    ledger.execute(administrator(), command).await.unwrap()
}

/// The lookups are rows beside the log, under no hash.
#[tokio::test]
async fn another_agents_grants_are_not_reached_by_a_lookup_that_somebody_changed() {
    let ledger = TestLedger::open().await;
    ledger.grant_all().await;
    let create = CreateTask {
        agent: AgentName::unchecked("mallory"),
        ..create_task()
    };
    ledger
        .execute(administrator(), create.clone())
        .await
        .unwrap();
    let ledger = ledger.restart().await;
    let sql = format!(
        "UPDATE lookups SET value = (SELECT value FROM lookups WHERE kind = 1 \
         AND key = CAST('{AGENT}' AS BLOB)) WHERE kind = 1 AND key = CAST('mallory' AS BLOB)"
    );
    tamper(ledger.path(), &sql).await;
    let made = ledger.execute(administrator(), create).await.map(drop);
    assert!(
        matches!(made, Err(Error::Read(ReadError::LookupsDiffer { .. }))),
        "{made:?}"
    );
    let revoke = RevokeGrants {
        agent: AgentName::unchecked("mallory"),
        operation: None,
        reason: None,
    };
    let revoked = ledger.execute(administrator(), revoke).await.map(drop);
    assert!(
        matches!(revoked, Err(Error::Read(ReadError::LookupsDiffer { .. }))),
        "{revoked:?}"
    );
    assert!(ledger.is_damaged());
}

#[tokio::test]
async fn an_operation_outside_the_allowlist_is_refused_and_the_refusal_recorded() {
    let ledger = TestLedger::open().await;
    ledger.grant_all().await;
    let token = task_of(
        &ledger,
        vec![allow_on(cloudflare::DNS_RECORD_WRITE, "zone-1")],
    )
    .await;
    let cases = [
        vec![dns_create_in("zone-2", "a.example.com")],
        vec![purge()],
        vec![dns_create("a.example.com"), ssl_mode("strict")],
    ];
    for (number, operations) in cases.into_iter().enumerate() {
        let key = format!("k{number}");
        let before = *ledger.size().borrow();
        let refused = ledger.submit(&token, &key, operations).await.unwrap();
        assert!(
            matches!(refused, Err(Rejection::OutsideAllowlist { .. })),
            "{refused:?}"
        );
        let recorded = ledger.events_from(before, 10).await.unwrap();
        assert_eq!(recorded.len(), 1);
        let Event::ApplyRefused(event) = &recorded[0].event else {
            panic!("{recorded:?}");
        };
        assert_eq!(event.code, "outside_allowlist");
        assert_eq!(event.idempotency_key.as_deref(), Some(key.as_str()));
        assert!(event.fingerprint.is_some());
        assert!(matches!(
            recorded[0].envelope.actor,
            ledger::Actor::Agent { .. }
        ));
    }
    // A refusal does not use the key up.
    let accepted = ledger
        .submit(&token, "k0", vec![dns_create("a.example.com")])
        .await
        .unwrap()
        .unwrap();
    assert!(accepted.is_new && accepted.apply.authorised);
}

#[tokio::test]
async fn a_star_in_the_allowlist_covers_every_scope_of_its_type() {
    let ledger = TestLedger::open().await;
    let token = task_of(&ledger, vec![allow(cloudflare::DNS_RECORD_WRITE)]).await;
    for zone in ["zone-1", "zone-2"] {
        let submitted = ledger
            .submit(&token, zone, vec![dns_create_in(zone, "a.example.com")])
            .await
            .unwrap();
        assert!(submitted.is_ok());
    }
}

#[tokio::test]
async fn what_no_grant_covers_waits_and_what_one_covers_runs() {
    let scene = Scene::new().await;
    let waiting = scene
        .submitted("k1", vec![dns_read(), dns_create("a.example.com")])
        .await;
    assert!(!waiting.apply.authorised && waiting.approval.is_some());
    assert_eq!(waiting.apply.check.missing.len(), 2);

    let granted = Scene::granted().await;
    let running = granted
        .submitted("k1", vec![dns_read(), dns_create("a.example.com")])
        .await;
    assert!(running.apply.authorised && running.approval.is_none());
    assert_eq!(running.apply.check.pre_approved.len(), 2);
}

#[tokio::test]
async fn one_missing_operation_makes_the_whole_apply_wait() {
    let scene = Scene::granted().await;
    let waiting = scene
        .submitted("k1", vec![dns_create("a.example.com"), ssl_mode("strict")])
        .await;
    assert!(!waiting.apply.authorised);
    assert_eq!(waiting.apply.check.pre_approved.len(), 1);
    assert_eq!(waiting.apply.check.missing.len(), 1);
}

#[tokio::test]
async fn what_is_sensitive_waits_whatever_is_granted() {
    let scene = Scene::granted().await;
    let script = "addEventListener('fetch', event => event.respondWith(new Response('ok')))";
    for (key, operation) in [("k1", ssl_mode("off")), ("k2", deploy("site", script))] {
        let waiting = scene.submitted(key, vec![operation]).await;
        assert!(!waiting.apply.authorised && waiting.approval.is_some());
    }
}

#[tokio::test]
async fn a_task_that_raises_the_risk_to_sensitive_makes_it_wait() {
    let ledger = TestLedger::open().await;
    ledger.grant_all().await;
    let raised = AllowedEntry {
        risk_tier: Some(Risk::Sensitive),
        ..allow(cloudflare::DNS_RECORD_WRITE)
    };
    let token = task_of(&ledger, vec![raised]).await;
    let submitted = ledger
        .submit(&token, "k", vec![dns_create("a.example.com")])
        .await
        .unwrap()
        .unwrap();
    assert!(!submitted.apply.authorised);
}

#[tokio::test]
async fn where_several_entries_match_the_strictest_of_each_counts() {
    let ledger = TestLedger::open().await;
    ledger.grant_all().await;
    let strict = AllowedEntry {
        required_level: Some(Level::Admin),
        ..allow_on(cloudflare::DNS_RECORD_WRITE, "zone-1")
    };
    let token = task_of(&ledger, vec![allow(cloudflare::DNS_RECORD_WRITE), strict]).await;
    let submit = |key, zone| ledger.submit(&token, key, vec![dns_create_in(zone, "a.example.com")]);
    assert!(
        !submit("k1", "zone-1")
            .await
            .unwrap()
            .unwrap()
            .apply
            .authorised
    );
    assert!(
        submit("k2", "zone-2")
            .await
            .unwrap()
            .unwrap()
            .apply
            .authorised
    );
}

#[tokio::test]
async fn a_grant_counts_from_its_level_up_and_on_its_scope_only() {
    let ledger = TestLedger::open().await;
    let on = |scope_id: &str, granted_level| Grant {
        scope_id: ScopePattern::unchecked(scope_id),
        granted_level,
        ..grant(cloudflare::DNS_RECORD_WRITE)
    };
    let cases = [
        (on("*", Level::Read), false),
        (on("*", Level::Write), true),
        (on("*", Level::Admin), true),
        (on("zone-1", Level::Write), true),
        (on("zone-2", Level::Write), false),
        (grant(cloudflare::CACHE_PURGE), false),
    ];
    for (number, (grant, granted)) in cases.into_iter().enumerate() {
        let shown = format!("{grant:?}");
        ledger.run(permissions(vec![grant])).await.unwrap();
        let token = ledger.task().await;
        let key = format!("k{number}");
        let submitted = ledger
            .submit(&token, &key, vec![dns_create("a.example.com")])
            .await
            .unwrap()
            .unwrap();
        assert_eq!(submitted.apply.authorised, granted, "{shown}");
    }
}

#[tokio::test]
async fn a_grant_ends_exactly_at_its_end() {
    let ledger = TestLedger::open().await;
    let until = ledger.now().plus(Duration::from_secs(60));
    let grant = Grant {
        expires_at: Some(until),
        ..grant(cloudflare::DNS_RECORD_WRITE)
    };
    ledger.run(permissions(vec![grant])).await.unwrap();
    let token = ledger.task().await;
    let just_before = Timestamp::from_micros(until.as_micros() - 1);
    for (key, at, granted) in [("k1", just_before, true), ("k2", until, false)] {
        ledger.clock.set(at);
        let submitted = ledger
            .submit(&token, key, vec![dns_create("a.example.com")])
            .await
            .unwrap()
            .unwrap();
        assert_eq!(submitted.apply.authorised, granted);
    }
}

#[tokio::test]
async fn replacing_permissions_raises_the_revision_and_makes_tokens_stale() {
    let scene = Scene::new().await;
    let agent = scene.grant_all().await;
    assert_eq!(agent.permission_revision, 1);
    let refused = refusal(scene.submit(&scene.token, "k", vec![dns_read()]).await);
    assert_eq!(refused, Rejection::TokenStale);
    let agent = scene.run(permissions(Vec::new())).await.unwrap();
    assert_eq!((agent.permission_revision, agent.grants.len()), (2, 0));
    // A task made now speaks for the newest revision.
    let token = scene.task().await;
    assert_eq!(token.claims.perms_rev, 2);
    assert!(scene.submit(&token, "k", vec![dns_read()]).await.is_ok());
}

#[tokio::test]
async fn permissions_are_replaced_only_where_they_are_still_as_they_were_read() {
    let scene = Scene::new().await;
    let [one, two] = [cloudflare::DNS_RECORD_WRITE, cloudflare::DNS_RECORD_READ].map(grant);
    let until = scene.now().plus(Duration::from_secs(60));
    let ends = Grant {
        expires_at: Some(until),
        ..grant(cloudflare::CACHE_PURGE)
    };
    let instead_of = |read: &[&Grant], given: &[&Grant]| ReplacePermissions {
        instead_of: Some(read.iter().map(|it| (*it).clone()).collect()),
        ..permissions(given.iter().map(|it| (*it).clone()).collect())
    };
    let changed = async |command| {
        let size = scene.size_now();
        assert_eq!(
            refusal(scene.run(command).await),
            Rejection::PermissionsChanged
        );
        assert_eq!(scene.size_now(), size);
    };
    // An agent that nobody has heard of has none.
    changed(instead_of(&[&one], &[&two])).await;
    scene.run(instead_of(&[], &[&one, &ends])).await.unwrap();
    // Two have read the same, and the second would take away what the first has given.
    scene
        .run(instead_of(&[&ends, &one], &[&one, &ends, &two]))
        .await
        .unwrap();
    changed(instead_of(&[&one, &ends], &[&one])).await;
    changed(instead_of(&[&one, &one, &ends], &[])).await;
    changed(instead_of(&[&one; 501], &[])).await;
    // What has run out since does not count.
    scene.clock.set(until);
    scene
        .run(instead_of(&[&one, &two, &ends], &[&two]))
        .await
        .unwrap();
    let agent = scene.run(instead_of(&[&two], &[&one])).await.unwrap();
    assert_eq!(agent.grants, [one]);
}

#[tokio::test]
async fn revoking_grants_takes_away_those_of_the_operation_and_keeps_the_rest() {
    let ledger = TestLedger::open().await;
    ledger.grant_all().await;
    let revoke = |operation| RevokeGrants {
        agent: AgentName::unchecked("ci-bot"),
        operation,
        reason: Some("an incident".to_owned()),
    };
    let one = ledger
        .run(revoke(Some(cloudflare::DNS_RECORD_WRITE.id)))
        .await
        .unwrap();
    assert_eq!(one.grants.len(), cloudflare::CATALOG.len() - 1);
    assert!(
        one.grants
            .iter()
            .all(|grant| grant.operation != cloudflare::DNS_RECORD_WRITE.id)
    );
    let none = ledger.run(revoke(None)).await.unwrap();
    assert_eq!((none.grants.len(), none.permission_revision), (0, 3));
}

#[tokio::test]
async fn revoking_from_an_agent_nobody_knows_says_so_instead_of_making_one() {
    let ledger = TestLedger::open().await;
    let before = *ledger.size().borrow();
    let refused = refusal(
        ledger
            .run(RevokeGrants {
                agent: AgentName::unchecked("ci-bto"),
                operation: None,
                reason: None,
            })
            .await,
    );
    assert_eq!(refused.code(), "agent_not_found");
    assert_eq!(*ledger.size().borrow(), before);
}

#[tokio::test]
async fn too_many_permissions_are_refused() {
    let ledger = TestLedger::open().await;
    let many = vec![grant(cloudflare::DNS_RECORD_READ); 501];
    assert_eq!(
        refusal(ledger.run(permissions(many)).await).code(),
        "too_many_permissions"
    );
}

#[tokio::test]
async fn a_grant_given_before_the_first_task_is_the_agents_own() {
    let ledger = TestLedger::open().await;
    let granted = ledger.grant_all().await;
    let token = ledger.task().await;
    assert_eq!(token.task.agent_id, granted.id);
    let agent = ledger.load::<Agent>(granted.id).await.unwrap().unwrap();
    assert_eq!(agent.name.as_str(), "ci-bot");
}

#[tokio::test]
async fn the_check_that_is_recorded_is_the_check_that_decided() {
    let scene = Scene::granted().await;
    scene
        .submitted("k1", vec![dns_create("a.example.com")])
        .await;
    let accepted = scene
        .all()
        .await
        .into_iter()
        .find_map(|event| match event {
            Event::ApplyAccepted(accepted) => Some(accepted),
            _ => None,
        })
        .unwrap();
    assert_eq!(accepted.authorisation, Authorisation::Granted);
    assert_eq!(accepted.check.requested, accepted.check.pre_approved);
    assert_eq!(accepted.check.requested[0].required_level, Level::Write);
}
