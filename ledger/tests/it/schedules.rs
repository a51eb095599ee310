//! Schedules: each instant is dealt with once, under what holds when it comes.

use crate::policy_changes::approves;
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
    AgentName, CommitFaults, CommitPoint, Decision, Error, Origin, QuestionKind, Rejection,
    ScheduleName, Timestamp,
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

async fn put_policy(people: &People, policy: Policy, follows: u64) {
    people.run(put(policy, follows)).await.unwrap();
}

/// Ends the ledger, and has everything that it recorded audited.
async fn audited(ledger: TestLedger) {
    let closed = ledger.close().await;
    History::read(closed.path()).assert_verified();
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
    /// The newest question about a schedule as a whole.
    async fn asked_about(&self, schedule: &Schedule) -> Arc<Approval> {
        let now = self.load::<Schedule>(schedule.id).await.unwrap().unwrap();
        let newest = now.asked.last().unwrap();
        self.load::<Approval>(*newest).await.unwrap().unwrap()
    }

    /// Alice answers the newest question about a schedule.
    async fn answers(&self, schedule: &Schedule, decision: Decision) {
        let asked = self.asked_about(schedule).await;
        let answer = self.alice.decide(&self.ledger, &asked, decision, None);
        self.run(answer).await.unwrap().accepted().unwrap();
    }

    /// The code with which the newest instant was refused.
    async fn refused_with(&self) -> String {
        match self.missed().await.pop().map(|missed| missed.why) {
            Some(MissReason::Refused { code, .. }) => code,
            other => panic!("{other:?}"),
        }
    }

    /// The question that a firing asks.
    async fn question_of(&self, run: ScheduleRun) -> Arc<Approval> {
        let asked = self.ledger.newest_approval(run.task_id).await.unwrap();
        asked.unwrap()
    }

    async fn authorised(&self, run: ScheduleRun) -> Arc<Apply> {
        let apply = self.load::<Apply>(run.apply_id).await.unwrap().unwrap();
        assert!(apply.authorised);
        apply
    }
}

#[tokio::test]
async fn a_schedule_is_approved_once_and_then_fires_until_it_changes() {
    let scene = Scene::granted().await;
    let put = put_schedule("nightly", vec![ssl_mode("strict")]);
    let schedule = scene.scheduled(put.clone()).await;
    let asked = scene.asked_about(&schedule).await;
    assert_eq!(asked.state, ApprovalState::Pending);
    assert_eq!(asked.kind(), QuestionKind::Schedule);
    assert_eq!(scene.after(TEN_MINUTES / 2, &schedule).await, None);
    scene.answers(&schedule, Decision::Approve).await;
    for round in 0..3 {
        let time = if round == 0 {
            TEN_MINUTES / 2
        } else {
            TEN_MINUTES
        };
        let run = scene.after(time, &schedule).await.unwrap();
        let apply = scene.authorised(run).await;
        assert_eq!(apply.scheduled_by, Some(asked.id), "{round}");
        assert_eq!(apply.approval_id, None, "nobody is asked about it");
        scene.carried_out(run).await;
    }
    assert_eq!(
        scene.scheduled(put.clone()).await.id,
        schedule.id,
        "the same"
    );
    let mut later = put;
    later.terms.cron = "*/5 * * * *".to_owned();
    let later = scene.scheduled(later).await;
    assert_ne!(scene.asked_about(&later).await.id, asked.id);
    assert_eq!(scene.after(TEN_MINUTES / 2, &later).await, None);
    assert_eq!(scene.refused_with().await, "schedule_not_approved");
    audited(scene.ledger).await;
}

#[tokio::test]
async fn a_change_or_the_end_of_a_schedule_withdraws_its_question() {
    let scene = Scene::granted().await;
    let put = put_schedule("nightly", vec![ssl_mode("strict")]);
    let other = put_schedule("nightly", vec![ssl_mode("full")]);
    let paused = PutSchedule {
        enabled: false,
        ..put.clone()
    };
    for change in [Some(other), Some(paused), None] {
        let schedule = scene.scheduled(put.clone()).await;
        let asked = scene.asked_about(&schedule).await;
        match change {
            Some(change) => drop(scene.scheduled(change).await),
            None => scene.run(DeleteSchedule { name: nightly() }).await.unwrap(),
        }
        let left = scene.load::<Approval>(asked.id).await.unwrap().unwrap();
        assert_eq!(left.state, ApprovalState::Cancelled);
        let approve = scene
            .alice
            .decide(&scene.ledger, &left, Decision::Approve, None);
        let refused = refused(&scene, approve).await;
        assert_eq!(refused, Rejection::CancelledByPerson);
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
async fn firings_are_refused_while_people_think_and_people_are_asked_anew_once_their_time_is_over()
{
    let scene = Scene::granted().await;
    let five_minutes = TEN_MINUTES / 2;
    let mut put = put_schedule("nightly", vec![ssl_mode("strict")]);
    put.terms.cron = "*/5 * * * *".to_owned();
    let schedule = scene.scheduled(put.clone()).await;
    let asked = scene.asked_about(&schedule).await;
    assert_eq!(scene.after(five_minutes, &schedule).await, None);
    assert_eq!(scene.refused_with().await, "schedule_not_approved");
    assert_eq!(scene.asked_about(&schedule).await.id, asked.id);
    // Its time is over, and nobody has recorded that.
    scene.clock.advance(Duration::from_secs(7 * 24 * 3600));
    while scene.fires(&schedule).await.has_more {}
    let anew = scene.asked_about(&schedule).await;
    assert_ne!(anew.id, asked.id);
    scene.answers(&schedule, Decision::Deny).await;
    for _ in 0..2 {
        assert_eq!(scene.after(five_minutes, &schedule).await, None);
        assert_eq!(scene.refused_with().await, "schedule_denied");
    }
    assert_eq!(
        scene.asked_about(&schedule).await.id,
        anew.id,
        "a denial holds"
    );
    put.terms.cron = "*/10 * * * *".to_owned();
    let other = scene.scheduled(put).await;
    scene.answers(&other, Decision::Approve).await;
    assert!(scene.after(five_minutes, &other).await.is_some());
    audited(scene.ledger).await;
}

#[tokio::test]
async fn what_is_denied_or_blocked_stays_so_for_a_schedule_that_people_approved() {
    let scene = Scene::granted().await;
    let put_ssl = put_schedule("nightly", vec![ssl_mode("strict")]);
    let schedule = scene.scheduled(put_ssl).await;
    scene.answers(&schedule, Decision::Approve).await;
    let deny = Policy {
        default: DefaultAction::Deny,
        ..fixtures::policies::policy()
    };
    scene.run(put(deny, 0)).await.unwrap();
    assert_eq!(scene.after(TEN_MINUTES, &schedule).await, None);
    assert_eq!(scene.refused_with().await, "denied_by_policy");
    audited(scene.ledger).await;
}

#[tokio::test]
async fn a_lock_ends_the_approval_of_a_schedule_and_people_are_asked_anew_after_it() {
    let scene = Scene::granted().await;
    let schedule = scene
        .scheduled(put_schedule("nightly", vec![ssl_mode("strict")]))
        .await;
    let first = scene.asked_about(&schedule).await;
    scene.answers(&schedule, Decision::Approve).await;
    let target = LockTarget::Operation(ssl_mode("strict").entry.id.into());
    let set = SetLock {
        target,
        reason: "drill".to_owned(),
        duration: None,
    };
    let lock_id = scene.run(set).await.unwrap().lock.id;
    let revoke_keys = false;
    let lift = LiftLock {
        lock_id,
        revoke_keys,
    };
    scene.run(lift).await.unwrap();
    assert_eq!(scene.after(TEN_MINUTES, &schedule).await, None);
    assert_eq!(scene.refused_with().await, "schedule_not_approved");
    let anew = scene.asked_about(&schedule).await;
    assert_ne!(anew.id, first.id);
    scene.answers(&schedule, Decision::Approve).await;
    let run = scene.after(TEN_MINUTES, &schedule).await.unwrap();
    assert_eq!(scene.authorised(run).await.scheduled_by, Some(anew.id));
    audited(scene.ledger).await;
}

#[tokio::test]
async fn a_lock_ends_the_question_about_a_schedule() {
    let scene = Scene::granted().await;
    let schedule = scene
        .scheduled(put_schedule("nightly", vec![ssl_mode("strict")]))
        .await;
    let asked = scene.asked_about(&schedule).await;
    let target = LockTarget::Operation(ssl_mode("strict").entry.id.into());
    let set = SetLock {
        target,
        reason: "drill".to_owned(),
        duration: None,
    };
    scene.run(set).await.unwrap();
    let approve = scene
        .alice
        .decide(&scene.ledger, &asked, Decision::Approve, None);
    let refused = refused(&scene, approve).await;
    assert!(
        matches!(refused, Rejection::QuestionLocked { .. }),
        "{refused}"
    );
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
    let asked = people.asked_about(&schedule).await;
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
    let run = people.after(TEN_MINUTES, &schedule).await.unwrap();
    people.authorised(run).await;
    // Operations of Carl's own are no wish of Anna's any more.
    people.carried_out(run).await;
    let as_carl = people.by(2).await;
    let other = put_schedule("nightly", vec![dns_create("a.example.com")]);
    let schedule = people.execute(as_carl, other).await.unwrap();
    let asked = people.asked_about(&schedule).await;
    let excluded = &asked.policy.as_ref().unwrap().requirement.get().exclude;
    let excluded: Vec<_> = excluded.iter().map(|one| one.user_id).collect();
    assert_eq!(excluded, [people.users[2]]);
    audited(people.scene.ledger).await;
}

#[tokio::test]
async fn where_the_policy_wants_more_people_than_approved_a_schedule_they_are_asked_again() {
    let people = People::of(["anna", "ben", "carl"]).await;
    let all = people.group("security", &[0, 1, 2]).await;
    let wants = |n, follows| {
        let asks = crate::votes::asks(&[of(all, n)]);
        put_policy(&people, asks, follows)
    };
    wants(1, 0).await;
    let schedule = people
        .scheduled(put_schedule("nightly", vec![purge()]))
        .await;
    let first = people.asked_about(&schedule).await;
    approves(&people, 0, &first).await;
    let run = people.after(TEN_MINUTES, &schedule).await.unwrap();
    people.carried_out(run).await;
    wants(2, 1).await;
    assert_eq!(people.after(TEN_MINUTES, &schedule).await, None);
    let second = people.asked_about(&schedule).await;
    assert_ne!(second.id, first.id);
    approves(&people, 0, &second).await;
    assert_eq!(
        people.after(TEN_MINUTES, &schedule).await,
        None,
        "one of two"
    );
    approves(&people, 1, &second).await;
    let run = people.after(TEN_MINUTES, &schedule).await.unwrap();
    assert_eq!(people.authorised(run).await.scheduled_by, Some(second.id));
    people.carried_out(run).await;
    // Enough for more is enough for less.
    wants(1, 2).await;
    let run = people.after(TEN_MINUTES, &schedule).await.unwrap();
    assert!(people.authorised(run).await.scheduled_by.is_some());
    audited(people.scene.ledger).await;
}

#[tokio::test]
async fn a_policy_that_became_stricter_stops_what_a_schedule_has_fired_and_not_begun() {
    let people = People::of(["anna", "ben", "carl"]).await;
    let all = people.group("security", &[0, 1, 2]).await;
    let asks = |n| crate::votes::asks(&[of(all, n)]);
    put_policy(&people, asks(1), 0).await;
    let schedule = people
        .scheduled(put_schedule("nightly", vec![purge()]))
        .await;
    let asked = people.asked_about(&schedule).await;
    approves(&people, 0, &asked).await;
    let run = people.after(TEN_MINUTES, &schedule).await.unwrap();
    put_policy(&people, asks(2), 1).await;
    people.run(start(run.apply_id, 0)).await.unwrap();
    let apply = people.load::<Apply>(run.apply_id).await.unwrap().unwrap();
    assert_eq!(apply.stopped.as_deref(), Some("policy"));
    audited(people.scene.ledger).await;
}

/// An approval that is bound to the state that its approver sees cannot be given for another day.
#[tokio::test]
async fn what_is_bound_to_its_state_is_asked_about_at_each_firing() {
    let scene = Scene::granted().await;
    scene
        .run(put(fixtures::policies::policy(), 0))
        .await
        .unwrap();
    let schedule = scene
        .scheduled(put_schedule("nightly", vec![ssl_mode("strict")]))
        .await;
    assert_eq!(schedule.asked, []);
    let run = scene.after(TEN_MINUTES, &schedule).await.unwrap();
    let asked = scene.question_of(run).await;
    assert!(asked.binds_pre_state());
    audited(scene.ledger).await;
}

#[tokio::test]
async fn a_schedule_that_nobody_could_approve_is_refused() {
    let people = People::of(["anna"]).await;
    let all = people.group("security", &[0]).await;
    put_policy(&people, crate::votes::asks(&[of(all, 1)]), 0).await;
    let as_anna = people.by(0).await;
    let put = put_schedule("nightly", vec![purge()]);
    let refused = people.execute(as_anna, put).await;
    assert_eq!(refusal(refused).code(), "approval_unsatisfiable");
    assert!(people.schedules().is_empty());
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

/// Grants were taken away since it was put: people are asked about it as a whole, and no instant waits for them.
#[tokio::test]
async fn a_schedule_that_is_not_granted_any_more_is_asked_about_and_fires_once_it_is_approved() {
    let scene = Scene::granted().await;
    let schedule = scene
        .scheduled(put_schedule("nightly", vec![purge()]))
        .await;
    assert_eq!(schedule.asked, []);
    let none = fixtures::commands::permissions(Vec::new());
    scene.run(none).await.unwrap();
    assert_eq!(scene.after(TEN_MINUTES, &schedule).await, None);
    assert_eq!(scene.refused_with().await, "schedule_not_approved");
    scene.answers(&schedule, Decision::Approve).await;
    let run = scene.after(TEN_MINUTES, &schedule).await.unwrap();
    scene.authorised(run).await;
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
