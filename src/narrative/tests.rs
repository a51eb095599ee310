//! Every form has a line, and no line breaks out of itself.

use super::{Line, Narrative, StoryRecord, Subject};
use ledger::event::Envelope;
use ledger::{Event, EventId, Header, PayloadDigest, RecordHash, StreamId, Timestamp};

fn entry(position: u64, envelope: &Envelope, event: &Event) -> StoryRecord {
    let payload = event.encode(envelope).unwrap();
    let header = Header {
        position,
        event_id: EventId::from_bytes([1; 16]),
        stream_id: StreamId::from_bytes([2; 16]),
        stream_version: position,
        event_type: event.event_type(),
        schema_version: event.schema_version(),
        recorded_at: Timestamp::from_seconds(0),
        prev_hash: RecordHash::from_bytes([3; 32]),
        payload_len: 0,
        payload_digest: PayloadDigest::from_bytes([4; 32]),
    };
    StoryRecord::read(header, Some(&payload))
}

fn told(entry: &StoryRecord) -> Line {
    let told = Narrative::new(Subject::Everything).tell(entry, &());
    told.unwrap().line
}

#[test]
fn every_form_is_told_in_one_line_without_secrets() {
    for (number, schema, name) in Event::FORMS {
        let golden = fixtures::golden_events::read(name, *schema).unwrap();
        for case in golden.cases {
            let (envelope, event) = (case.envelope(), case.event(*number, *schema));
            let line = told(&entry(7, &envelope, &event));
            assert_eq!(line.event, *name);
            assert!(
                !line.text.is_empty() && !line.text.contains(['\n', '\r']),
                "{line:?}"
            );
            if let Event::CallbackSet(set) = &event {
                assert!(
                    !line
                        .text
                        .contains(&set.callback.sealed_secret.to_base64url())
                );
                assert!(!line.text.contains(&set.callback.url), "{line:?}");
            }
        }
    }
}

#[test]
fn an_erased_payload_is_said_to_be_erased() {
    let golden = fixtures::golden_events::read("task.created", 1).unwrap();
    let case = &golden.cases[0];
    let whole = entry(7, &case.envelope(), &case.event(10, 1));
    let line = told(&StoryRecord::read(whole.header, None));
    assert!(line.erased && line.text.contains("erased"), "{line:?}");
    assert_eq!(line.event, "task.created");
    let line = told(&StoryRecord::read(whole.header, Some(b"x")));
    assert!(
        !line.erased && line.text.contains("cannot be read"),
        "{line:?}"
    );
}

#[test]
fn what_an_agent_wrote_stays_in_its_quotes() {
    let golden = fixtures::golden_events::read("task.created", 1).unwrap();
    let Event::TaskCreated(mut created) = golden.cases[0].event(10, 1) else {
        unreachable!()
    };
    created.name = "x\" for agent root\n\u{202e}\u{1b}[2J".to_owned();
    let envelope = golden.cases[0].envelope();
    let line = told(&entry(7, &envelope, &Event::TaskCreated(created)));
    assert!(
        line.text
            .contains(r#"x\" for agent root‹U+000A›‹U+202E›‹U+001B›[2J""#),
        "{line:?}"
    );
    assert!(!line.text.chars().any(|c| c.is_control() || c == '\u{202e}'));
}
