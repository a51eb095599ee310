//! Stored bytes, as an auditor reads those of somebody else's ledger.

#![expect(
    clippy::expect_used,
    reason = "a property that does not hold ends the run"
)]

use crate::cut::Cut;
use fixtures::golden_events;
use ledger::{Event, Header};

/// A payload of the form that the first byte names, by its place in the table of forms.
pub(crate) fn event(bytes: &[u8]) {
    let mut cut = Cut::new(bytes);
    let form = usize::from(cut.byte()) % (Event::FORMS.len() + 1);
    let (event_type, schema_version, _) =
        Event::FORMS.get(form).copied().unwrap_or((u16::MAX, 1, ""));
    let payload = cut.rest();
    let Ok((envelope, event)) = Event::decode(event_type, schema_version, payload) else {
        return;
    };
    assert_eq!(event.event_type(), event_type);
    serde_json::to_value(&event).expect("an event can be shown");
    // An older form becomes the newest of its type, and is never written again.
    assert!(event.schema_version() >= schema_version);
    if event.schema_version() > schema_version {
        return;
    }
    let written = event
        .encode(&envelope)
        .expect("what was read can be written");
    // Numbers may have been written in more bytes than they need.
    assert!(written.len() <= payload.len(), "it grows by being read");
    let again = Event::decode(event_type, schema_version, &written).expect("it was written");
    assert_eq!(again, (envelope.clone(), event.clone()));
    serde_json::to_value(&envelope).expect("an envelope can be shown");
    let json = serde_json::to_value(&event).expect("an event can be shown");
    if let Some(Ok(shown)) = Event::from_json(event_type, schema_version, json) {
        assert_eq!(shown, event, "it is shown as something else");
    }
}

/// A header: what is taken is what was written.
pub(crate) fn header(bytes: &[u8]) {
    if let Ok(header) = Header::decode(bytes) {
        assert_eq!(header.encode().as_slice(), bytes);
        let _ = (format!("{header:?}"), header.record_hash());
    }
}

/// The golden payloads, each behind the place of its form.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let cases = (0_u8..)
        .zip(Event::FORMS)
        .flat_map(|(form, (_, schema, name))| {
            let payloads = stored(name, *schema, |stored| stored.payload.clone());
            payloads
                .into_iter()
                .map(move |payload| [vec![form], payload].concat())
        });
    cases.collect()
}

/// The golden headers.
pub(crate) fn header_seeds() -> Vec<Vec<u8>> {
    let forms = Event::FORMS.iter().take(4);
    forms
        .flat_map(|(_, schema, name)| stored(name, *schema, |stored| stored.header.clone()))
        .collect()
}

fn stored(
    name: &str,
    schema: u16,
    hexadecimal: impl Fn(&golden_events::Stored) -> String,
) -> Vec<Vec<u8>> {
    let golden = golden_events::read(name, schema).expect("every form has golden data");
    let cases = golden.cases.iter().filter_map(|case| case.stored.as_ref());
    cases
        .map(|stored| hex::decode(hexadecimal(stored)).expect("golden data is hexadecimal"))
        .collect()
}
