//! Messages within the limits of each system, with whatever agents write.

use super::*;
use fixtures::receiver::Chat;
use ledger::{Purpose, Reason, Risk};

pub(super) const URL: &str = "https://proxy.example.com/gate/a/AAAAAAAAAAAAAAAAAAAAAA";

const CHATS: [(Notifier, Chat); 3] = [
    (Notifier::Slack, Chat::Slack),
    (Notifier::Discord, Chat::Discord),
    (Notifier::Teams, Chat::Teams),
];

pub(super) fn question(agent: &str, task_name: &str, act: &str, reason: &str) -> Question {
    Question {
        asker: Asker::Agent {
            name: agent.to_owned(),
            task: task_name.to_owned(),
        },
        summary: vec![visible(act, 300); 20],
        operations: 50,
        risk: Some(Risk::Sensitive),
        state: ApprovalState::Pending,
        purpose: Purpose {
            reason: Reason::parse(reason).unwrap(),
            link: None,
        },
    }
}

fn body(notifier: Notifier, question: &Question) -> String {
    message(notifier, question, URL).unwrap().to_string()
}

#[test]
fn a_message_says_who_asks_what_why_how_dangerous_it_is_and_where_it_is_answered() {
    let asked = question("deployer", "release", "Purge all", "the old logo is cached");
    for (notifier, chat) in CHATS {
        let body = body(notifier, &asked);
        chat.check(body.as_bytes()).unwrap();
        for part in [
            "deployer asks, in task \u{201c}release\u{201d}",
            "\u{2022} Purge all",
            "and 45 more operations",
            "sensitive",
            "deployer says: \u{201c}the old logo is cached\u{201d}",
            URL,
        ] {
            let found = body.contains(part) || body.replace('\u{200b}', "").contains(part);
            assert!(found, "{notifier}: {part} is not in {body}");
        }
        for decision in ["pprove", "deny"] {
            assert!(!body.contains(decision), "{notifier}: {body}");
        }
    }
}

#[test]
fn a_question_that_is_over_is_not_told_as_one_to_be_decided() {
    let over = Question {
        state: ApprovalState::Denied,
        ..question("deployer", "release", "Purge all", "")
    };
    for (notifier, chat) in CHATS {
        let body = body(notifier, &over);
        chat.check(body.as_bytes()).unwrap();
        assert!(body.contains("Nothing to decide any more"), "{body}");
    }
}

/// As long as the surface takes them, of letters that each system writes longest.
#[test]
fn whatever_agents_write_a_message_is_one_that_its_system_takes() {
    let hostile = [
        "@everyone @here <!channel> <@U1> <#C1> <@&1> <!subteam^S1>",
        "[ok](https://evil.example) <https://evil.example|Review and decide> https://evil.example",
        "<at>everyone</at> **bold** `code` ~~gone~~ || spoiler || > quote",
        "&lt;!channel&gt; \u{202e}\u{200b}\u{0}\n\n# heading",
        "😀",
        "&",
        "<",
        "@",
        "\\",
        "\u{202e}",
        "ü",
        "\n",
        "\"",
    ];
    for text in hostile {
        let long = text.repeat(2_000 / text.chars().count());
        let long = long.as_str();
        let reason: String = long.chars().take(500).collect();
        for (agent, task, act) in [(text, text, text), (long, long, long)] {
            let asked = question(agent, task, act, &reason);
            for (notifier, chat) in CHATS {
                let body = body(notifier, &asked);
                if let Err(problem) = chat.check(body.as_bytes()) {
                    panic!("{notifier}: {problem}: {body}");
                }
            }
        }
    }
}

#[test]
fn a_question_that_is_about_no_apply_says_who_wants_what() {
    let wanted = |asker, risk| Question {
        asker,
        risk,
        summary: vec!["change the policy to version 4".to_owned()],
        operations: 1,
        purpose: Purpose::default(),
        ..question("", "", "", "")
    };
    let anna = || vec!["anna".to_owned()];
    let cases = [
        (Asker::People(anna()), None, "Wanted by anna:"),
        (
            Asker::People(Vec::new()),
            None,
            "Wanted with the service token or at the command line:",
        ),
        (
            Asker::Deciders(anna()),
            Some(Risk::Elevated),
            "anna approved alone in an emergency:",
        ),
    ];
    for (asker, risk, asks) in cases {
        let text = Text::of(&wanted(asker, risk));
        let title = match risk {
            None => "A decision is wanted",
            Some(_) => "A decision is wanted (risk: elevated)",
        };
        assert_eq!((text.title.as_str(), text.asks.as_str()), (title, asks));
        assert_eq!(text.acts, ["change the policy to version 4"]);
        assert_eq!(text.says, None);
    }
}
