//! Schedules: what fires at another time, twice, paused or for something else is found.

use super::{altered, is_found};
use crate::scene::Scene;
use fixtures::commands::{administrator, dns_create, purge, put_schedule, ssl_mode};
use fixtures::history::History;
use ledger::aggregate::Approval;
use ledger::audit::Check;
use ledger::command::{CloseTask, RunSchedule};
use ledger::event::{
    AskedSubject, Authorisation, Envelope, Event, MissReason, ScheduleDeleted, ScheduleMissed,
};
use ledger::{ApprovalId, ClientSubject, CommandId, Decision, Origin, ScheduleId};
use std::time::Duration;

/// A schedule that has fired once, with what came after it.
async fn told() -> History {
    let scene = Scene::granted().await;
    let schedule = scene
        .run(put_schedule("nightly", vec![purge()]))
        .await
        .unwrap();
    scene.clock.advance(Duration::from_secs(600));
    let schedule_id = schedule.id;
    scene.run(RunSchedule { schedule_id }).await.unwrap();
    let token = scene.task().await;
    let after = vec![dns_create("a.example.com")];
    scene.submit(&token, "after", after).await.unwrap().unwrap();
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

#[tokio::test]
async fn a_firing_that_its_schedule_does_not_name_is_found() {
    let history = told().await;
    history.assert_verified();
    let (put, fired) = (
        history.first("schedule.put"),
        history.first("schedule.fired"),
    );
    let with = |at: u64, change: &dyn Fn(&mut Event)| {
        altered(&history, |history| history.alter(at, change))
    };
    let nominal = |by: i64| {
        with(fired, &move |event| {
            if let Event::ScheduleFired(fired) = event {
                let seconds = fired.nominal.as_seconds() + by;
                fired.nominal = ledger::Timestamp::from_seconds(seconds);
            }
        })
    };
    is_found(&nominal(-60), Check::Schedule, fired);
    is_found(&nominal(600), Check::Schedule, fired);
    let paused = with(put, &|event| {
        if let Event::SchedulePut(put) = event {
            put.enabled = false;
        }
    });
    is_found(&paused, Check::Schedule, fired);
    let of_another = with(put, &|event| {
        if let Event::SchedulePut(put) = event {
            put.origin = ScheduleId::from_bytes([7; 16]);
        }
    });
    is_found(&of_another, Check::Schedule, put);
    let other = with(put, &|event| {
        if let Event::SchedulePut(put) = event {
            put.operations = put.operations.replace("true", "false");
        }
    });
    is_found(&other, Check::Schedule, fired);
    let other_zones = with(fired, &|event| {
        if let Event::ScheduleFired(fired) = event {
            fired.tzdata = "another".to_owned();
        }
    });
    assert!(other_zones.findings.is_empty(), "cannot be checked");
}

#[tokio::test]
async fn what_the_scheduler_does_without_a_firing_is_found() {
    let history = told().await;
    let fired = history.first("schedule.fired");
    let created = fired - 2;
    let without = altered(&history, |history| drop(history.remove(fired)));
    is_found(&without, Check::Schedule, created);
    let asked_by_agent = history.last("apply.accepted");
    let by_scheduler = altered(&history, |history| {
        history.alter_all(asked_by_agent, |envelope, _| {
            envelope.actor = Origin::system("scheduler").actor;
        });
    });
    is_found(&by_scheduler, Check::Schedule, asked_by_agent);
    let in_the_name_of_another = altered(&history, |history| {
        history.alter(created, |event| {
            if let Event::TaskCreated(created) = event {
                created.subject = ClientSubject::unchecked("schedule:another".to_owned());
            }
        });
    });
    is_found(&in_the_name_of_another, Check::Schedule, fired);
}

/// Its subject would let what is kept for a schedule answer somebody else.
#[tokio::test]
async fn a_task_with_the_subject_of_a_schedule_that_did_not_open_it_is_found() {
    let history = told().await;
    let created = history.first("task.created");
    let subject = format!("schedule:{}", ScheduleId::from_bytes([7; 16]));
    let taken = altered(&history, |history| {
        history.alter(created, |event| {
            if let Event::TaskCreated(created) = event {
                created.subject = ClientSubject::unchecked(subject.clone());
            }
        });
    });
    is_found(&taken, Check::Schedule, created);
}

#[tokio::test]
async fn a_task_that_the_scheduler_closes_without_having_opened_it_is_found() {
    let scene = Scene::granted().await;
    scene
        .run(CloseTask {
            task_id: scene.token.task.id,
            token: None,
            reason: None,
        })
        .await
        .unwrap();
    let closed = scene.ledger.close().await;
    let history = History::read(closed.path());
    let at = history.first("task.closed");
    let by_scheduler = altered(&history, |history| {
        history.alter_all(at, |envelope, _| {
            envelope.actor = Origin::system("scheduler").actor;
        });
    });
    is_found(&by_scheduler, Check::Schedule, at);
}

#[tokio::test]
async fn an_instant_that_is_dealt_with_twice_or_after_the_end_is_found() {
    let history = told().await;
    let at = history.first("schedule.fired");
    let (envelope, event) = history.event(at);
    let Event::ScheduleFired(fired) = event else {
        panic!("{event:?}");
    };
    let mut copy = history.clone();
    let stream = copy.record(at).header.stream_id;
    let other = |actor| Envelope {
        actor,
        command_id: CommandId::from_bytes([0xCD; 16]),
        ..envelope.clone()
    };
    let missed: Event = ScheduleMissed {
        first: fired.nominal,
        last: fired.nominal,
        count: 1,
        why: MissReason::Late,
        tzdata: fired.tzdata.clone(),
    }
    .into();
    let twice = altered(&history, |history| {
        let by = other(envelope.actor.clone());
        history.insert_with(at + 1, stream, &by, &missed);
    });
    is_found(&twice, Check::Schedule, at + 1);
    let after_end = altered(&history, |history| {
        let by = other(administrator().actor);
        history.insert_with(at + 1, stream, &by, &ScheduleDeleted {}.into());
        let by = other(envelope.actor.clone());
        history.insert_with(at + 2, stream, &by, &missed);
    });
    is_found(&after_end, Check::AfterEnd, at + 2);
}

/// A schedule that people approved as a whole, and that has fired once.
async fn approved() -> History {
    let scene = Scene::granted().await;
    let put = put_schedule("nightly", vec![ssl_mode("strict")]);
    let schedule = scene.run(put).await.unwrap();
    let asked = scene.load::<Approval>(schedule.asked[0]).await.unwrap();
    let approve = scene
        .alice
        .decide(&scene.ledger, &asked.unwrap(), Decision::Approve, None);
    scene.run(approve).await.unwrap().accepted().unwrap();
    scene.clock.advance(Duration::from_secs(600));
    let schedule_id = schedule.id;
    let ran = scene.run(RunSchedule { schedule_id }).await.unwrap();
    assert!(ran.fired.is_some());
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

#[tokio::test]
async fn a_firing_that_nobody_approved_with_its_schedule_is_found() {
    let history = approved().await;
    history.assert_verified();
    let accepted = history.last("apply.accepted");
    let by = |whole: Authorisation| {
        altered(&history, |history| {
            history.alter(accepted, |event| {
                if let Event::ApplyAccepted(accepted) = event {
                    accepted.authorisation = whole;
                }
            });
        })
    };
    let never_asked = by(Authorisation::Scheduled(ApprovalId::from_bytes([7; 16])));
    is_found(&never_asked, Check::Schedule, accepted);
    is_found(&by(Authorisation::Granted), Check::Authorisation, accepted);
    let approval = history.first("approval.approved");
    let unanswered = altered(&history, |history| drop(history.remove(approval)));
    is_found(&unanswered, Check::Schedule, accepted - 1);
    let by_an_agent = altered(&history, |history| {
        history.alter_all(accepted, |envelope, _| {
            envelope.actor = administrator().actor;
        });
    });
    is_found(&by_an_agent, Check::Schedule, accepted);
}

#[tokio::test]
async fn a_question_about_another_schedule_than_was_put_is_found() {
    let history = approved().await;
    let asked = history.first("approval.asked");
    let other = altered(&history, |history| {
        history.alter(asked, |event| {
            if let Event::ApprovalAsked(asked) = event
                && let AskedSubject::Schedule(proposal) = &mut asked.subject
            {
                proposal.definition = proposal.definition.replace("strict", "off");
            }
        });
    });
    is_found(&other, Check::Schedule, asked);
    let named = history.first("schedule.asked");
    let of_nothing = altered(&history, |history| {
        history.alter(named, |event| {
            if let Event::ScheduleAsked(asked) = event {
                asked.approval_id = ApprovalId::from_bytes([7; 16]);
            }
        });
    });
    is_found(&of_nothing, Check::Schedule, named);
}
