//! How long tokens live, and what a range cannot know.

use super::{altered, is_first, is_found, told};
use fixtures::history::{History, trusting};
use ledger::audit::{Check, Obstacle, verify_bundle};
use ledger::event::{ApprovalRequested, Event, TokenIssued};
use ledger::{Link, Reason};
use std::time::Duration;

/// Its first token, changed.
fn issued(history: &mut History, change: impl FnOnce(&mut TokenIssued)) {
    let at = history.first("task.token_issued");
    history.alter(at, |event| {
        if let Event::TokenIssued(issued) = event {
            change(issued);
        }
    });
}

#[tokio::test]
async fn a_token_lives_no_longer_than_its_tasks_tokens_do() {
    let history = told().await;
    let at = Some(history.first("task.token_issued"));
    let second = Duration::from_secs(1);
    let report = altered(&history, |history| {
        issued(history, |token| {
            token.expires_at = token.expires_at.plus(second)
        });
    });
    is_first(&report, Check::TokenLife, at);
    // Nor by being issued as of a time that has not come.
    let report = altered(&history, |history| {
        issued(history, |token| {
            token.issued_at = token.issued_at.plus(second);
            token.expires_at = token.expires_at.plus(second);
        });
    });
    is_first(&report, Check::TokenLife, at);
    let report = altered(&history, |history| {
        issued(history, |token| token.expires_at = token.issued_at);
    });
    is_first(&report, Check::TokenLife, at);
}

#[tokio::test]
async fn no_token_reaches_beyond_the_day_of_its_task() {
    let history = told().await;
    let (made, at) = (
        history.first("task.created"),
        history.first("task.token_issued"),
    );
    let report = altered(&history, |history| {
        history.alter(made, |event| {
            if let Event::TaskCreated(created) = event {
                created.token_ttl_seconds = 3 * 24 * 60 * 60;
            }
        });
        issued(history, |token| {
            token.expires_at = token.issued_at.plus(Duration::from_secs(25 * 60 * 60));
        });
    });
    is_found(&report, Check::TokenLife, at);
}

#[tokio::test]
async fn a_question_waits_as_long_as_its_task_says() {
    let history = told().await;
    let second = Duration::from_secs(1);
    let (made, asked) = (
        history.first("task.created"),
        history.first("approval.requested"),
    );
    let changes: [fn(&mut ApprovalRequested); 3] = [
        |asked| asked.expires_at = asked.expires_at.plus(Duration::from_secs(1)),
        |asked| asked.expires_at = asked.expires_at.minus(Duration::from_secs(1)),
        |asked| asked.continuation_seconds += 1,
    ];
    for change in changes {
        let report = altered(&history, |history| {
            history.alter(asked, |event| {
                if let Event::ApprovalRequested(asked) = event {
                    change(asked);
                }
            });
        });
        is_found(&report, Check::Deadline, asked);
    }
    for seconds in [Some(59), Some(604_801), None] {
        let report = altered(&history, |history| {
            history.alter(made, |event| {
                if let Event::TaskCreated(created) = event {
                    created.question_seconds = seconds;
                }
            });
        });
        is_first(&report, Check::Deadline, Some(made));
    }
    // By default a token lives as long as a question, and not longer than that.
    for (ttl, fits) in [(604_800, true), (604_799, false)] {
        let report = altered(&history, |history| {
            history.alter(made, |event| {
                if let Event::TaskCreated(created) = event {
                    (created.question_seconds, created.token_ttl_seconds) = (Some(604_800), ttl);
                }
            });
            issued(history, |token| {
                token.expires_at = token.issued_at.plus(Duration::from_secs(u64::from(ttl)));
            });
        });
        let found = report
            .findings
            .iter()
            .any(|finding| finding.check == Check::TokenLife);
        assert_eq!(found, !fits, "{report}");
    }
    // The life of a task follows what it says.
    let report = altered(&history, |history| {
        history.alter(made, |event| {
            if let Event::TaskCreated(created) = event {
                (created.question_seconds, created.token_ttl_seconds) = (Some(60_000), 604_800);
            }
        });
        issued(history, |token| {
            token.expires_at = token.issued_at.plus(Duration::from_secs(120_000) + second);
        });
    });
    is_found(
        &report,
        Check::TokenLife,
        history.first("task.token_issued"),
    );
}

#[tokio::test]
async fn what_a_task_was_opened_with_is_a_reason_and_a_link() {
    let history = told().await;
    let made = history.first("task.created");
    for (reason, link) in [(Some(" "), None), (None, Some("javascript:alert(1)"))] {
        let report = altered(&history, |history| {
            history.alter(made, |event| {
                if let Event::TaskCreated(created) = event {
                    created.purpose.reason = reason.map(Reason::unchecked);
                    created.purpose.link = link.map(Link::unchecked);
                }
            });
        });
        is_first(&report, Check::PayloadForm, Some(made));
    }
}

/// A name that is taken in a range may have been taken before it: that is not found, and it is said.
#[tokio::test]
async fn a_range_says_that_it_cannot_know_which_names_were_taken() {
    let history = told().await;
    let from = 1;
    let frontier = history.frontier(from).subtrees().to_vec();
    let bundle = history.bundle_from(from, frontier, &[history.sign()]);
    let report = verify_bundle(bundle.as_slice(), &trusting()).unwrap();
    assert!(report.verified, "{report}");
    let unique = report
        .impossible
        .iter()
        .find(|limit| limit.check == Check::Unique && limit.why == Obstacle::BeforeRange)
        .unwrap();
    // The approver, its credential, and the agent.
    assert_eq!(unique.count, 3, "{report}");
    let whole = history.verify();
    assert!(whole.impossible.is_empty(), "{whole}");
}

/// A reason quotes names, and a name may be as long as a payload: what is kept of it has a limit.
#[tokio::test]
async fn a_reason_is_cut_where_a_name_in_it_is_longer_than_anybody_reads() {
    let history = told().await;
    let at = history.first("agent.registered");
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            if let Event::AgentRegistered(registered) = event {
                registered.name = ledger::AgentName::unchecked("n".repeat(1 << 20));
            }
        });
    });
    is_first(
        &report,
        Check::Reference,
        Some(history.first("task.created")),
    );
    let longest = report
        .findings
        .iter()
        .map(|finding| finding.reason.len())
        .max();
    assert!(longest.is_some_and(|longest| longest < 16 * 1024));
}
