//! The policy documents of the laboratory, each by its number.

/// No limits: how many questions are open is no matter here.
const HEAD: &str = "\
engine = \"lpp-cel/1\"
limits = { open = 0, per_agent = 0, per_owner = 0, per_operation = 0 }
";

/// Counts are read and recorded, and decide nothing.
const COUNTED: &str = "
[[rule]]
id = \"counted\"
priority = 900
action = \"deny\"
mode = \"observe\"
when = 'counts.executed_1h >= 3'
";

/// Two people for what goes to production.
const TWO_PEOPLE: &str = "
[[rule]]
id = \"two\"
priority = 500
action = \"ask\"
operations = [\"workers.deploy.write\"]
reason = \"Two people look at it\"
needs = [{ group = \"default\", n = 2 }]
pre_state = \"shown\"
";

/// Some purges are asked about although they are granted, and some never run.
const SOME_PURGES: &str = "
[[rule]]
id = \"some\"
priority = 300
action = \"ask\"
operations = [\"cache.purge.execute\"]
when = 'has(params.tags) && params.tags.exists(tag, tag.endsWith(\"7\"))'
retention = [\"once\", \"cache\"]
pre_state = \"shown\"

[[rule]]
id = \"never\"
priority = 400
action = \"deny\"
operations = [\"cache.purge.execute\"]
when = 'has(params.tags) && params.tags.exists(tag, tag.endsWith(\"3\"))'
";

/// No batch of messages is cancelled.
const NO_CANCELS: &str = "
[[rule]]
id = \"cancels\"
priority = 600
action = \"deny\"
operations = [\"anthropic.batches.write\"]
";

/// Whether a document denies calls that cancel a batch.
pub(super) fn denies_cancels(text: &str) -> bool {
    text.contains(NO_CANCELS)
}

/// How many there are.
pub(super) const DOCUMENTS: u64 = 4;

/// The document of a number.
pub(super) fn document(number: u64) -> String {
    let rules: &[&str] = match number {
        0 => &[],
        1 => &[TWO_PEOPLE, NO_CANCELS],
        2 => &[COUNTED, SOME_PURGES],
        _ => &[COUNTED, TWO_PEOPLE, SOME_PURGES],
    };
    format!("{HEAD}{}", rules.concat())
}
