//! Schedules: each instant is dealt with once, under what holds when it comes.

use crate::scene::{Scene, end, refusal, refused, start, succeeded};
use crate::votes::{People, of};
use fixtures::commands::{
    AGENT, create_key, create_task, create_template, dns_create, open_task, purge, put_schedule,
    ssl_mode,
};
use fixtures::history::History;
use fixtures::policies::put;
use fixtures::rules::TestRules;
use fixtures::test_ledger::{Setup, TestLedger};
use futures_util::future::join_all;
use ledger::aggregate::{Apply, Approval, ApprovalState, Schedule, ScheduleRun, Task};
use ledger::command::{
    CloseTask, CreateTask, DeleteSchedule, LiftLock, OpenTask, PutSchedule, RanSchedule,
    RunSchedule, SetAdmission, SetLock,
};
use ledger::event::{ClientTarget, Event, LockTarget, Misfire, MissReason, ScheduleMissed};
use ledger::policy::{DefaultAction, Exclusion, Policy};
use ledger::storage::{StorageError, StorageErrorKind};
use ledger::{
    AgentName, Binding, Breadth, CommitFaults, CommitPoint, Decision, Error, KeptMode, Origin,
    Rejection, Retention, ScheduleName, Timestamp,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Instants are ten minutes apart, and the clock begins at one of them.
const TEN_MINUTES: Duration = Duration::from_secs(600);

fn nightly() -> ScheduleName {
    ScheduleName::unchecked("nightly")
}

fn with_misfire(misfire: Misfire) -> PutSchedule {
    let mut put = put_schedule("nightly", vec![purge()]);
    put.terms.misfire = misfire;
    put
}

impl Scene {
    async fn scheduled(&self, put: PutSchedule) -> Arc<Schedule> {
        self.run(put).await.unwrap()
    }

    async fn fires(&self, schedule: &Schedule) -> RanSchedule {
        let schedule_id = schedule.id;
        self.run(RunSchedule { schedule_id }).await.unwrap()
    }

    /// The clock moves on, and the schedule is looked at.
    async fn after(&self, time: Duration, schedule: &Schedule) -> Option<ScheduleRun> {
        self.clock.advance(time);
        self.fires(schedule).await.fired
    }

    async fn missed(&self) -> Vec<ScheduleMissed> {
        let events = self.all().await.into_iter();
        let missed = events.filter_map(|event| match event {
            Event::ScheduleMissed(missed) => Some(missed),
            _ => None,
        });
        missed.collect()
    }

    /// Carries out the one operation of an apply.
    async fn carried_out(&self, run: ScheduleRun) {
        self.run(start(run.apply_id, 0)).await.unwrap();
        self.run(end(run.apply_id, 0, succeeded())).await.unwrap();
    }
}

fn in_minutes(minutes: i64) -> Timestamp {
    Timestamp::from_seconds(fixtures::clock::START.as_seconds() + 60 * minutes)
}

/// Ends the ledger, and has everything that it recorded audited.
async fn audited(ledger: TestLedger) {
    let closed = ledger.close().await;
    let report = History::read(closed.path()).verify();
    assert_eq!(report.findings, []);
}

#[tokio::test]
async fn an_instant_opens_a_task_and_asks_for_the_operations_in_one_commit_and_once() {
    let scene = Scene::granted().await;
    let schedule = scene
        .scheduled(put_schedule("nightly", vec![purge()]))
        .await;
    assert_eq!(scene.fires(&schedule).await.fired, None, "before its time");
    let before = scene.size_now();
    let run = scene.after(TEN_MINUTES, &schedule).await.unwrap();
    let names = scene.names_since(before).await;
    assert_eq!(names, ["task.created", "apply.accepted", "schedule.fired"]);
    let recorded = scene.since(before).await;
    let command = recorded[0].envelope.command_id;
    assert!(recorded.iter().all(|it| it.envelope.command_id == command));
    let apply = scene.load::<Apply>(run.apply_id).await.unwrap().unwrap();
    assert!(apply.authorised && apply.task_id == run.task_id);
    let task = scene.load::<Task>(run.task_id).await.unwrap().unwrap();
    assert_eq!((task.agent.as_str(), task.tokens.len()), (AGENT, 0));
    for _ in 0..3 {
        assert_eq!(scene.fires(&schedule).await.fired, None, "again");
    }
    scene.carried_out(run).await;
    let next = scene.after(TEN_MINUTES, &schedule).await.unwrap();
    assert_ne!(next, run);
    let closed = scene.load::<Task>(run.task_id).await.unwrap().unwrap();
    assert!(closed.closed_at.is_some(), "its firing has ended");
    audited(scene.ledger).await;
}

#[tokio::test]
async fn sixty_four_at_once_fire_an_instant_once_also_after_a_restart() {
    let scene = Scene::granted().await;
    let schedule = scene
        .scheduled(put_schedule("nightly", vec![purge()]))
        .await;
    scene.clock.advance(TEN_MINUTES);
    let all = join_all((0..64).map(|_| scene.fires(&schedule))).await;
    assert_eq!(all.iter().filter(|ran| ran.fired.is_some()).count(), 1);
    let ledger = scene.ledger.restart().await;
    let schedule_id = schedule.id;
    let ran = ledger.run(RunSchedule { schedule_id }).await.unwrap();
    assert_eq!(ran.fired, None, "after a restart");
    let kept = ledger.schedules();
    assert_eq!(kept.get(&nightly()).unwrap().settled, in_minutes(10));
    audited(ledger).await;
}

/// Lets commits fail, once or for ever, before or after they are written.
struct Strike {
    point: CommitPoint,
    armed: AtomicBool,
}

impl CommitFaults for Strike {
    fn strike(&self, point: CommitPoint) -> Option<StorageError> {
        let strikes = point == self.point && self.armed.swap(false, Ordering::SeqCst);
        strikes.then(|| StorageError::new(StorageErrorKind::Passing, "committing", "struck"))
    }
}

#[tokio::test]
async fn a_firing_is_whole_or_not_at_all_wherever_its_commit_fails() {
    for point in [
        CommitPoint::Write,
        CommitPoint::Commit,
        CommitPoint::Committed,
    ] {
        let strike = Arc::new(Strike {
            point,
            armed: AtomicBool::new(false),
        });
        let scene = Scene::with(Setup {
            faults: Some(Arc::clone(&strike) as Arc<dyn CommitFaults>),
            ..Setup::default()
        })
        .await;
        scene.ledger.grant_all().await;
        let schedule = scene
            .scheduled(put_schedule("nightly", vec![purge()]))
            .await;
        scene.clock.advance(TEN_MINUTES);
        strike.armed.store(true, Ordering::SeqCst);
        let schedule_id = schedule.id;
        let _ = scene.run(RunSchedule { schedule_id }).await;
        let ledger = scene.ledger.restart().await;
        for _ in 0..2 {
            ledger.run(RunSchedule { schedule_id }).await.unwrap();
        }
        let events = ledger.log().events_from(0, 10_000).await.unwrap();
        let count = |name| {
            let named = events.iter().filter(|it| it.event.name() == name);
            named.count()
        };
        assert_eq!(count("schedule.fired"), 1, "{point:?}");
        assert_eq!(count("apply.accepted"), 1, "{point:?}");
        audited(ledger).await;
    }
}

#[tokio::test]
async fn what_passed_while_nobody_fired_is_missed_and_once_fires_the_newest() {
    for misfire in [Misfire::Skip, Misfire::Once] {
        let scene = Scene::granted().await;
        let schedule = scene.scheduled(with_misfire(misfire)).await;
        let late = scene.after(Duration::from_secs(3_300), &schedule).await;
        let missed = scene.missed().await;
        let (last, count) = match misfire {
            Misfire::Skip => (in_minutes(50), 5),
            Misfire::Once => (in_minutes(40), 4),
        };
        assert_eq!(late.is_some(), misfire == Misfire::Once);
        assert_eq!(missed.len(), 1);
        assert_eq!((missed[0].first, missed[0].last), (in_minutes(10), last));
        assert_eq!(
            (missed[0].count, &missed[0].why),
            (count, &MissReason::Late)
        );
        if let Some(run) = late {
            scene.carried_out(run).await;
        }
        let next = scene.after(Duration::from_secs(330), &schedule).await;
        assert!(next.is_some(), "in time again");
        audited(scene.ledger).await;
    }
}

#[tokio::test]
async fn a_long_absence_is_told_in_parts_that_no_command_is_long_for() {
    let scene = Scene::granted().await;
    let schedule = scene.scheduled(with_misfire(Misfire::Once)).await;
    scene.clock.advance(TEN_MINUTES * 450);
    let mut commands = 1;
    while scene.fires(&schedule).await.has_more {
        commands += 1;
    }
    assert_eq!(commands, 3);
    let missed = scene.missed().await;
    assert_eq!(missed.iter().map(|it| it.count).sum::<u32>(), 449);
    audited(scene.ledger).await;
}

#[tokio::test]
async fn a_firing_is_skipped_while_the_one_before_has_not_ended_also_when_it_was_put_anew() {
    let scene = Scene::granted().await;
    let schedule = scene
        .scheduled(put_schedule("nightly", vec![purge()]))
        .await;
    let run = scene.after(TEN_MINUTES, &schedule).await.unwrap();
    assert_eq!(scene.after(TEN_MINUTES, &schedule).await, None);
    let other = put_schedule("nightly", vec![dns_create("a.example.com")]);
    let other = scene.scheduled(other).await;
    assert_ne!(other.id, schedule.id);
    assert_eq!(scene.after(TEN_MINUTES, &schedule).await, None, "replaced");
    assert_eq!(scene.fires(&other).await.fired, None);
    let apply_id = run.apply_id;
    for missed in scene.missed().await {
        assert_eq!(missed.why, MissReason::Overlap { apply_id });
    }
    assert_eq!(scene.missed().await.len(), 2);
    scene.carried_out(run).await;
    assert!(scene.after(TEN_MINUTES, &other).await.is_some());
    audited(scene.ledger).await;
}

#[tokio::test]
async fn a_lock_refuses_firings_and_after_it_they_live_again() {
    let scene = Scene::granted().await;
    let agent = AgentName::unchecked(AGENT);
    let agent_id = scene.ledger.agent(&agent).await.unwrap().unwrap().id;
    let schedule = scene
        .scheduled(put_schedule("nightly", vec![purge()]))
        .await;
    for target in [
        LockTarget::All,
        LockTarget::Agent(agent_id),
        LockTarget::Operation(purge().entry.id.into()),
    ] {
        let set = SetLock {
            target,
            reason: "drill".to_owned(),
            duration: None,
        };
        let lock = scene.run(set).await.unwrap().lock;
        assert_eq!(scene.after(TEN_MINUTES, &schedule).await, None);
        let missed = scene.missed().await.pop().unwrap();
        assert!(
            matches!(&missed.why, MissReason::Refused { code, task_id: None } if code == "locked")
        );
        let (lock_id, revoke_keys) = (lock.id, false);
        scene
            .run(LiftLock {
                lock_id,
                revoke_keys,
            })
            .await
            .unwrap();
        let run = scene.after(TEN_MINUTES, &schedule).await.unwrap();
        scene.carried_out(run).await;
    }
    audited(scene.ledger).await;
}

#[tokio::test]
async fn blocks_and_the_policy_of_the_moment_decide_each_firing() {
    let scene = Scene::granted().await;
    let agent = AgentName::unchecked(AGENT);
    let agent_id = scene.ledger.agent(&agent).await.unwrap().unwrap().id;
    let schedule = scene
        .scheduled(put_schedule("nightly", vec![purge()]))
        .await;
    let block = SetAdmission {
        kind: ledger::aggregate::AdmissionKind::Block,
        target: ClientTarget::Agent(agent_id),
        reason: None,
        duration: Some(Duration::from_secs(900)),
    };
    scene.run(block).await.unwrap();
    assert_eq!(scene.after(TEN_MINUTES, &schedule).await, None);
    let deny = Policy {
        default: DefaultAction::Deny,
        ..fixtures::policies::policy()
    };
    scene.run(put(deny, 0)).await.unwrap();
    assert_eq!(scene.after(TEN_MINUTES, &schedule).await, None);
    let codes = scene
        .missed()
        .await
        .into_iter()
        .map(|missed| match missed.why {
            MissReason::Refused { code, task_id } => (code, task_id.is_some()),
            other => panic!("{other:?}"),
        });
    let codes: Vec<_> = codes.collect();
    let expected = [
        ("blocked".to_owned(), true),
        ("denied_by_policy".to_owned(), true),
    ];
    assert_eq!(codes, expected);
    audited(scene.ledger).await;
}

impl Scene {
    /// The question that a firing asks.
    async fn question_of(&self, run: ScheduleRun) -> Arc<Approval> {
        let asked = self.ledger.newest_approval(run.task_id).await.unwrap();
        asked.unwrap()
    }
}

#[tokio::test]
async fn a_change_or_the_end_of_a_schedule_withdraws_what_waits_for_people() {
    let scene = Scene::granted().await;
    let put = put_schedule("nightly", vec![ssl_mode("strict")]);
    let other = put_schedule("nightly", vec![ssl_mode("full")]);
    let paused = PutSchedule {
        enabled: false,
        ..put.clone()
    };
    for change in [Some(other), Some(paused), None] {
        let schedule = scene.scheduled(put.clone()).await;
        let run = scene.after(TEN_MINUTES, &schedule).await.unwrap();
        let asked = scene.question_of(run).await;
        match change {
            Some(change) => drop(scene.scheduled(change).await),
            None => scene.run(DeleteSchedule { name: nightly() }).await.unwrap(),
        }
        let left = scene.load::<Approval>(asked.id).await.unwrap().unwrap();
        assert_eq!(left.state, ApprovalState::Cancelled);
        let task = scene.load::<Task>(run.task_id).await.unwrap().unwrap();
        assert!(task.closed_at.is_some());
    }
    // What is being carried out goes on.
    let granted = scene
        .scheduled(put_schedule("nightly", vec![purge()]))
        .await;
    let run = scene.after(TEN_MINUTES, &granted).await.unwrap();
    scene.run(DeleteSchedule { name: nightly() }).await.unwrap();
    scene.carried_out(run).await;
    audited(scene.ledger).await;
}

#[tokio::test]
async fn firings_are_skipped_while_people_think_and_asked_anew_once_their_time_is_over() {
    let scene = Scene::granted().await;
    let five_minutes = TEN_MINUTES / 2;
    let mut put = put_schedule("nightly", vec![ssl_mode("strict")]);
    put.terms.cron = "*/5 * * * *".to_owned();
    let schedule = scene.scheduled(put).await;
    let run = scene.after(five_minutes, &schedule).await.unwrap();
    let asked = scene.question_of(run).await;
    assert_eq!(scene.after(five_minutes, &schedule).await, None);
    let apply_id = run.apply_id;
    let missed = scene.missed().await.pop().unwrap();
    assert_eq!(missed.why, MissReason::Overlap { apply_id });
    // Its time is over, and nobody has recorded that.
    let next = scene.after(five_minutes, &schedule).await.unwrap();
    let over = scene.load::<Approval>(asked.id).await.unwrap().unwrap();
    assert_eq!(over.state, ApprovalState::Expired);
    let anew = scene.question_of(next).await;
    let deny = scene
        .alice
        .decide(&scene.ledger, &anew, Decision::Deny, None);
    scene.run(deny).await.unwrap().accepted().unwrap();
    assert!(scene.after(five_minutes, &schedule).await.is_some());
    audited(scene.ledger).await;
}

/// Who wants it done does not approve it: whose schedule it is counts as who asks.
#[tokio::test]
async fn who_put_a_schedule_and_who_put_its_operations_cannot_approve_what_it_asks() {
    let people = People::of(["anna", "ben", "carl"]).await;
    let all = people.group("security", &[0, 1, 2]).await;
    people.needs(&[of(all, 1)]).await;
    let put = put_schedule("nightly", vec![purge()]);
    let as_anna = people.by(0).await;
    people.execute(as_anna, put.clone()).await.unwrap();
    let mut later = put;
    later.terms.cron = "*/5 * * * *".to_owned();
    let as_ben = people.by(1).await;
    let schedule = people.execute(as_ben, later).await.unwrap();
    let run = people.after(TEN_MINUTES, &schedule).await.unwrap();
    let asked = people.question_of(run).await;
    let excluded = &asked.policy.as_ref().unwrap().requirement.get().exclude;
    let mut expected = [people.users[0], people.users[1]];
    expected.sort_unstable();
    let why: Vec<_> = excluded.iter().map(|one| (one.user_id, one.why)).collect();
    assert_eq!(why, expected.map(|user| (user, Exclusion::TaskOpener)));
    for who in [0, 1] {
        let decide = people.passkeys[who].decide(&people.ledger, &asked, Decision::Approve, None);
        let refused = refused(&people.scene, decide).await;
        assert_eq!(refused, Rejection::VoterExcluded);
    }
    let decide = people.passkeys[2].decide(&people.ledger, &asked, Decision::Approve, None);
    people.run(decide).await.unwrap().accepted().unwrap();
    let apply = people.load::<Apply>(run.apply_id).await.unwrap().unwrap();
    assert!(apply.authorised);
    // Operations of Carl's own are no wish of Anna's any more.
    people.carried_out(run).await;
    let as_carl = people.by(2).await;
    let other = put_schedule("nightly", vec![dns_create("a.example.com")]);
    let schedule = people.execute(as_carl, other).await.unwrap();
    let run = people.after(TEN_MINUTES, &schedule).await.unwrap();
    let asked = people.question_of(run).await;
    let excluded = &asked.policy.as_ref().unwrap().requirement.get().exclude;
    let excluded: Vec<_> = excluded.iter().map(|one| one.user_id).collect();
    assert_eq!(excluded, [people.users[2]]);
    audited(people.scene.ledger).await;
}

#[tokio::test]
async fn a_kept_decision_answers_the_firings_of_its_schedule_until_that_changes() {
    let scene = Scene::new().await;
    let schedule = scene
        .scheduled(put_schedule("nightly", vec![purge()]))
        .await;
    let run = scene.after(TEN_MINUTES, &schedule).await.unwrap();
    let asked = scene.question_of(run).await;
    let retention = Retention {
        mode: KeptMode::Cache,
        breadth: Breadth::Exact,
        binding: Binding::Agent,
        until: Some(scene.now().plus(TEN_MINUTES * 10)),
    };
    let approve = scene
        .alice
        .keep(&scene.ledger, &asked, Decision::Approve, retention);
    scene.run(approve).await.unwrap().accepted().unwrap();
    scene.carried_out(run).await;
    let next = scene.after(TEN_MINUTES, &schedule).await.unwrap();
    let apply = scene.load::<Apply>(next.apply_id).await.unwrap().unwrap();
    assert!(apply.authorised && apply.clearance_id.is_some());
    scene.carried_out(next).await;
    let mut later = put_schedule("nightly", vec![purge()]);
    later.terms.cron = "*/5 * * * *".to_owned();
    let later = scene.scheduled(later).await;
    let run = scene.after(TEN_MINUTES, &later).await.unwrap();
    let apply = scene.load::<Apply>(run.apply_id).await.unwrap().unwrap();
    assert!(!apply.authorised, "the same, at other times");
    audited(scene.ledger).await;
}

#[tokio::test]
async fn nobody_but_a_schedule_opens_tasks_with_its_subject() {
    let scene = Scene::granted().await;
    let schedule = scene
        .scheduled(put_schedule("nightly", vec![purge()]))
        .await;
    let subject = ledger::ClientSubject::unchecked(format!("schedule:{}", schedule.id));
    let create = CreateTask {
        subject: subject.clone(),
        ..create_task()
    };
    assert_eq!(refusal(scene.run(create).await).code(), "invalid_subject");
    let key = scene.run(create_key("lpp_agent_key")).await.unwrap();
    scene.run(create_template("t")).await.unwrap();
    let open = OpenTask {
        subject: Some(subject),
        ..open_task(&key, "t")
    };
    assert_eq!(refusal(scene.run(open).await).code(), "invalid_subject");
}

/// Grants were taken away since it was put: each firing is an apply like any other.
#[tokio::test]
async fn a_firing_that_is_not_granted_any_more_asks_and_runs_once_it_is_approved() {
    let scene = Scene::granted().await;
    let schedule = scene
        .scheduled(put_schedule("nightly", vec![purge()]))
        .await;
    let none = fixtures::commands::permissions(Vec::new());
    scene.run(none).await.unwrap();
    let run = scene.after(TEN_MINUTES, &schedule).await.unwrap();
    let apply = scene.load::<Apply>(run.apply_id).await.unwrap().unwrap();
    assert!(!apply.authorised);
    assert_eq!(scene.after(Duration::from_secs(60), &schedule).await, None);
    let asked = scene.ledger.newest_approval(run.task_id).await.unwrap();
    let approve = scene
        .alice
        .decide(&scene.ledger, &asked.unwrap(), Decision::Approve, None);
    scene.run(approve).await.unwrap().accepted().unwrap();
    let apply = scene.load::<Apply>(run.apply_id).await.unwrap().unwrap();
    assert!(apply.authorised, "at once");
    audited(scene.ledger).await;
}

#[tokio::test]
async fn a_paused_schedule_misses_nothing_and_goes_on_from_when_it_is_resumed() {
    let scene = Scene::granted().await;
    let put = put_schedule("nightly", vec![purge()]);
    let schedule = scene.scheduled(put.clone()).await;
    let again = scene.scheduled(put.clone()).await;
    assert_eq!(again.id, schedule.id, "the same changes nothing");
    let paused = PutSchedule {
        enabled: false,
        ..put.clone()
    };
    let paused = scene.scheduled(paused).await;
    assert_eq!(scene.after(TEN_MINUTES * 5, &paused).await, None);
    let resumed = scene.scheduled(put).await;
    assert_eq!(scene.fires(&resumed).await.fired, None);
    assert_eq!(scene.missed().await, []);
    assert!(scene.after(TEN_MINUTES, &resumed).await.is_some());
    audited(scene.ledger).await;
}

#[tokio::test]
async fn a_deleted_schedule_never_fires_and_its_name_is_free() {
    let scene = Scene::granted().await;
    let put = put_schedule("nightly", vec![purge()]);
    let schedule = scene.scheduled(put.clone()).await;
    let delete = || DeleteSchedule { name: nightly() };
    scene.run(delete()).await.unwrap();
    assert_eq!(scene.after(TEN_MINUTES, &schedule).await, None);
    assert!(scene.schedules().is_empty());
    let again = scene.run(delete()).await;
    assert_eq!(refusal(again), Rejection::ScheduleNotFound);
    let anew = scene.scheduled(put).await;
    assert!(scene.after(TEN_MINUTES, &anew).await.is_some());
    audited(scene.ledger).await;
}

#[tokio::test]
async fn a_schedule_that_cannot_be_put_is_refused() {
    let scene = Scene::granted().await;
    let fine = || put_schedule("nightly", vec![purge()]);
    let nobody = PutSchedule {
        agent: AgentName::unchecked("nobody"),
        ..fine()
    };
    assert_eq!(refusal(scene.run(nobody).await), Rejection::AgentNotFound);
    let mut never = fine();
    never.terms.cron = "never".to_owned();
    let refused = refusal(scene.run(never).await);
    assert_eq!(refused.code(), "invalid_schedule");
    let nothing = put_schedule("nightly", Vec::new());
    assert_eq!(refusal(scene.run(nothing).await).code(), "invalid_schedule");
    let by_a_person = RunSchedule {
        schedule_id: scene.scheduled(fine()).await.id,
    };
    let refused = scene.execute(Origin::system("executor"), by_a_person).await;
    assert!(matches!(refused, Err(Error::Rejected(_))));
}

#[tokio::test]
async fn closing_the_task_of_a_firing_ends_it() {
    let scene = Scene::granted().await;
    let schedule = scene
        .scheduled(put_schedule("nightly", vec![purge()]))
        .await;
    let run = scene.after(TEN_MINUTES, &schedule).await.unwrap();
    let close = CloseTask {
        task_id: run.task_id,
        token: None,
        reason: None,
    };
    scene.run(close).await.unwrap();
    let apply = scene.load::<Apply>(run.apply_id).await.unwrap().unwrap();
    assert!(apply.end.is_some());
    assert!(scene.after(TEN_MINUTES, &schedule).await.is_some());
    audited(scene.ledger).await;
}

/// The rules of the tests name an instant for every ten minutes.
#[test]
fn the_clock_of_the_tests_names_whole_steps() {
    let rules = TestRules::default().build();
    let terms = put_schedule("nightly", vec![purge()]).terms;
    let clock = &rules.schedules;
    assert_eq!(clock.next(&terms, in_minutes(0)), Some(in_minutes(10)));
    assert!(clock.fires_at(&terms, in_minutes(10)));
    assert!(!clock.fires_at(&terms, in_minutes(11)));
}
