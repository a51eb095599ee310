//! Agent keys and task templates: what agents do with them is what they may.

use super::{altered, is_found};
use crate::scene::Scene;
use fixtures::commands::{
    AGENT, administrator, agent_with_key, create_key, create_template, dns_create,
    key as apply_key, open_task, presented_key,
};
use fixtures::history::History;
use ledger::audit::Check;
use ledger::command::{AgentChanges, CreateAgent, DeleteTemplate, RevokeKey, SubmitApply};
use ledger::event::{Envelope, Event, KeyRevoked, TemplateDeleted};
use ledger::{Actor, AgentId, AgentName, CommandId, KeyId, TemplateName, TokenId};
use std::time::Duration;

/// Two agents with a key each; the first opens a task from a template and has an apply carried out that was
/// granted, and then the template and the key are taken away.
async fn told() -> History {
    let scene = Scene::granted().await;
    let create = CreateAgent {
        agent: AgentName::unchecked("mallory"),
        described: AgentChanges {
            site: Some(Some("fra1".to_owned())),
            ..AgentChanges::default()
        },
    };
    scene.run(create).await.unwrap();
    let key = scene.run(create_key("cak_one")).await.unwrap();
    let mut other = create_key("cak_two");
    other.agent = AgentName::unchecked("mallory");
    scene.run(other).await.unwrap();
    scene.run(create_template("deploy")).await.unwrap();
    let task = scene
        .execute(agent_with_key(&key), open_task(&key, "deploy"))
        .await
        .unwrap();
    scene.clock.advance(Duration::from_secs(61));
    let submit = SubmitApply {
        token: presented_key(&key, &task).into(),
        key: apply_key("k1"),
        operations: vec![dns_create("a.example.com")],
        purpose: ledger::Purpose::default(),
        on_approval: ledger::event::OnApproval::Wait,
        callback: None,
        edge: ledger::policy::Edge::default(),
    };
    let submitted = scene.execute(agent_with_key(&key), submit).await.unwrap();
    assert!(submitted.accepted().unwrap().apply.authorised);
    let name = TemplateName::unchecked("deploy");
    scene.run(DeleteTemplate { name }).await.unwrap();
    let revoke = RevokeKey {
        agent: AgentName::unchecked(AGENT),
        key_id: key.id,
        reason: None,
    };
    scene.run(revoke).await.unwrap();
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

/// Changes the event at a position.
#[track_caller]
fn breaks(
    history: &History,
    at: u64,
    check: Check,
    change: impl FnOnce(&mut Envelope, &mut Event),
) {
    let report = altered(history, |history| history.alter_all(at, change));
    is_found(&report, check, at);
}

/// Adds an event by the administrator before a position, in the stream of another one.
#[track_caller]
fn added(history: &History, at: u64, stream: u64, event: &Event, check: Check, found: u64) {
    let report = altered(history, |history| {
        let stream = history.record(stream).header.stream_id;
        let envelope = Envelope {
            actor: administrator().actor,
            request_id: None,
            cause: None,
            command_id: CommandId::from_bytes([1; 16]),
        };
        history.insert_with(at, stream, &envelope, event);
    });
    is_found(&report, check, found);
}

fn by_key(envelope: &mut Envelope, change: impl FnOnce(&mut AgentId, &mut AgentName, &mut KeyId)) {
    let Actor::AgentKey {
        agent_id,
        name,
        key_id,
        ..
    } = &mut envelope.actor
    else {
        unreachable!()
    };
    change(agent_id, name, key_id);
}

#[tokio::test]
async fn what_agents_do_with_their_keys_is_honest() {
    let report = told().await.verify();
    assert!(report.verified && report.everything, "{report}");
    assert!(report.impossible.is_empty(), "{report}");
}

#[tokio::test]
async fn a_key_acts_while_it_is_in_force() {
    let history = told().await;
    let key = history.first("key.created");
    let revoked = Event::from(KeyRevoked { reason: None });
    for acts in [
        history.last("task.created"),
        history.first("apply.accepted"),
    ] {
        added(&history, acts, key, &revoked, Check::AgentKey, acts + 1);
    }
    // Nothing follows the end of a key.
    let end = history.first("key.revoked");
    added(&history, end, key, &revoked, Check::AfterEnd, end + 1);
}

#[tokio::test]
async fn a_key_acts_for_its_own_agent() {
    let history = told().await;
    let Event::KeyCreated(other) = history.event(history.last("key.created")).1 else {
        unreachable!()
    };
    for acts in [
        history.last("task.created"),
        history.first("apply.accepted"),
    ] {
        for key in [other.key_id, KeyId::from_bytes([1; 16])] {
            breaks(&history, acts, Check::AgentKey, |envelope, _| {
                by_key(envelope, |_, _, key_id| *key_id = key);
            });
        }
        breaks(&history, acts, Check::AgentKey, |envelope, _| {
            by_key(envelope, |agent_id, _, _| *agent_id = other.agent_id);
        });
    }
    let apply = history.first("apply.accepted");
    breaks(&history, apply, Check::Actor, |envelope, _| {
        by_key(envelope, |_, name, _| {
            *name = AgentName::unchecked("mallory")
        });
    });
}

#[tokio::test]
async fn a_key_acts_in_tasks_that_keys_of_its_agent_opened() {
    let history = told().await;
    let apply = history.first("apply.accepted");
    let Event::TaskCreated(others) = history.event(history.first("task.created")).1 else {
        unreachable!()
    };
    breaks(&history, apply, Check::AgentKey, |_, event| {
        if let Event::ApplyAccepted(accepted) = event {
            accepted.task_id = others.task_id;
        }
    });
    breaks(&history, apply, Check::Token, |_, event| {
        if let Event::ApplyAccepted(accepted) = event {
            accepted.token_id = TokenId::from_bytes([1; 16]);
        }
    });
    let issued = history.event(history.first("task.token_issued")).1;
    let opened = history.last("task.created");
    added(&history, apply, opened, &issued, Check::Token, apply);
}

#[tokio::test]
async fn a_key_opens_a_task_for_the_time_of_its_template() {
    let history = told().await;
    let template = history.first("template.created");
    let (opened, apply) = (
        history.last("task.created"),
        history.first("apply.accepted"),
    );
    let report = altered(&history, |history| {
        history.alter(template, |event| {
            if let Event::TemplateCreated(created) = event {
                created.expires_in_seconds = 60;
            }
        });
        history.alter(opened, |event| {
            if let Event::TaskCreated(created) = event {
                created.token_ttl_seconds = 60;
            }
        });
    });
    is_found(&report, Check::AgentKey, apply);
    for at in [template, opened] {
        breaks(&history, at, Check::TokenLife, |_, event| match event {
            Event::TemplateCreated(created) => created.expires_in_seconds = 86_401,
            Event::TaskCreated(created) => created.token_ttl_seconds = 86_401,
            _ => unreachable!(),
        });
    }
}

#[tokio::test]
async fn a_question_waits_as_long_as_the_template_of_its_task_says() {
    let history = told().await;
    let template = history.first("template.created");
    for seconds in [59, 604_801] {
        breaks(&history, template, Check::Deadline, |_, event| {
            if let Event::TemplateCreated(created) = event {
                created.question_seconds = Some(seconds);
            }
        });
    }
    let report = altered(&history, |history| {
        history.alter(template, |event| {
            if let Event::TemplateCreated(created) = event {
                created.question_seconds = Some(61);
            }
        });
    });
    is_found(&report, Check::Template, history.last("task.created"));
}

#[tokio::test]
async fn a_task_from_a_template_is_what_the_template_says() {
    let history = told().await;
    let opened = history.last("task.created");
    type Change = fn(&mut Event);
    let changes: [Change; 4] = [
        |event| {
            if let Event::TaskCreated(created) = event {
                created.allowed.pop();
            }
        },
        |event| {
            if let Event::TaskCreated(created) = event {
                created.token_ttl_seconds -= 1;
            }
        },
        |event| {
            if let Event::TaskCreated(created) = event
                && let Some(from) = &mut created.template
            {
                from.needs_approval = true;
            }
        },
        |event| {
            if let Event::TaskCreated(created) = event {
                created.template = None;
            }
        },
    ];
    for change in changes {
        breaks(&history, opened, Check::Template, |_, event| change(event));
    }
    breaks(&history, opened, Check::Template, |envelope, _| {
        envelope.actor = administrator().actor;
    });
    let template = history.first("template.created");
    let Event::KeyCreated(other) = history.event(history.last("key.created")).1 else {
        unreachable!()
    };
    let report = altered(&history, |history| {
        history.alter(template, |event| {
            if let Event::TemplateCreated(created) = event {
                created.agents = vec![other.agent_id];
            }
        });
    });
    is_found(&report, Check::Template, opened);
    let deleted = Event::from(TemplateDeleted {});
    added(
        &history,
        opened,
        template,
        &deleted,
        Check::Template,
        opened + 1,
    );
}

#[tokio::test]
async fn an_apply_waits_where_its_template_says_so() {
    let history = told().await;
    let report = altered(&history, |history| {
        history.alter(history.first("template.created"), |event| {
            if let Event::TemplateCreated(created) = event {
                created.needs_approval = true;
            }
        });
        history.alter(history.last("task.created"), |event| {
            if let Event::TaskCreated(created) = event
                && let Some(from) = &mut created.template
            {
                from.needs_approval = true;
            }
        });
    });
    let apply = history.first("apply.accepted");
    is_found(&report, Check::Authorisation, apply);
}

#[tokio::test]
async fn keys_and_templates_are_made_once_of_agents_that_there_are() {
    let history = told().await;
    let (first, second) = (history.first("key.created"), history.last("key.created"));
    let Event::KeyCreated(known) = history.event(first).1 else {
        unreachable!()
    };
    breaks(&history, second, Check::Unique, |_, event| {
        if let Event::KeyCreated(created) = event {
            created.hash = known.hash;
        }
    });
    breaks(&history, second, Check::StreamIdentity, |_, event| {
        if let Event::KeyCreated(created) = event {
            created.key_id = known.key_id;
        }
    });
    breaks(&history, second, Check::Reference, |_, event| {
        if let Event::KeyCreated(created) = event {
            created.agent_id = AgentId::from_bytes([1; 16]);
        }
    });
    let at = history.first("template.created");
    breaks(&history, at, Check::Reference, |_, event| {
        if let Event::TemplateCreated(created) = event {
            created.agents.push(AgentId::from_bytes([1; 16]));
        }
    });
    breaks(&history, at, Check::PermissionCheck, |_, event| {
        if let Event::TemplateCreated(created) = event {
            created.allowed.clear();
        }
    });
    let again = altered(&history, |history| {
        let (mut envelope, event) = history.event(at);
        envelope.command_id = CommandId::from_bytes([1; 16]);
        let stream = ledger::StreamId::from_bytes([1; 16]);
        history.insert_with(at + 1, stream, &envelope, &event);
    });
    is_found(&again, Check::Unique, at + 1);
    is_found(&again, Check::StreamIdentity, at + 1);
}

#[tokio::test]
async fn people_and_programs_of_the_operator_make_keys_and_templates_and_agents_do_not() {
    let history = told().await;
    let acts = history.first("apply.accepted");
    let agent = history.event(acts).0.actor;
    for name in [
        "agent.described",
        "key.created",
        "key.revoked",
        "template.created",
        "template.deleted",
    ] {
        let at = history.last(name);
        breaks(&history, at, Check::Actor, |envelope, _| {
            envelope.actor = agent.clone();
        });
    }
}
