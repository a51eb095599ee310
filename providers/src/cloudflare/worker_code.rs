//! The modules of a Worker beside those that run.
//!
//! The running code that an approver is shown is recorded for good, so it is read into a form that holds
//! little of it: digests of its modules, the lines that the upload replaces, and which of the upload's hosts it
//! names already. All other lines stand in the upload. Of lines that go, what looks like a secret is withheld.
//!
//! `{"modules": [{name, bytes, sha256, becomes?, hunks?: [{at, sent, gone, left_out}]}], "hosts": […]}`, or
//! `{"unread": why}`, under `code` in the script.

use super::read_back::Modules;
use super::worker_module::WorkerModule;
use super::{Before, WorkersDeploy, says_secret};
use ledger::operation::{FileChange, GoneFile, Hunk, OperationFile, OperationFiles, hosts_of};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use similar::{Algorithm, DiffTag, capture_diff_slices_deadline};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// The field of the script that holds it.
const FIELD: &str = "code";

/// Most bytes of lines that are recorded of one upload, and of one line.
const MOST_TEXT: usize = 48 * 1024;
const LONGEST_LINE: usize = 4 * 1024;
/// The largest module in which it is looked for what a line that goes holds too, in bytes.
const MOST_COMPARED: usize = 128 * 1024;
/// Most hosts that are looked for in the modules.
const MOST_HOSTS: usize = 1000;
/// After that long the rest of the lines counts as replaced.
const PATIENCE: Duration = Duration::from_millis(300);
/// Stands for what is not recorded of a line.
const WITHHELD: &str = "[withheld]";

impl WorkersDeploy {
    /// The modules, as they are uploaded, beside those that run.
    pub(super) fn files(&self, before: &Before<'_>) -> OperationFiles<'_> {
        let read = before.object("script").and_then(|script| script.get(FIELD));
        let unread = read.and_then(|read| read.get("unread"));
        let running = read.and_then(|read| read.get("modules")?.as_array());
        let is_new = before.is_absent("script");
        let change = |module: &WorkerModule| match running {
            _ if is_new => FileChange::Added,
            None => FileChange::Unknown,
            Some(running) => {
                let mut running = running.iter();
                let found = running.find(|found| text(found, "becomes") == Some(module.name()));
                found.map_or(FileChange::Added, |found| change_of(module, found))
            }
        };
        let files = self.modules().iter().map(|module| OperationFile {
            name: module.name(),
            file_name: None,
            media_type: module.module_type().as_str(),
            content: module.content(),
            change: change(module),
            text: None,
        });
        let gone = running.into_iter().flatten();
        let gone = gone.filter(|found| text(found, "becomes").is_none());
        OperationFiles {
            param: "modules",
            files: files.collect(),
            gone: gone.map(gone_file).collect(),
            known_hosts: known_hosts(before),
            unread: unread.and_then(Value::as_str).map(str::to_owned),
            recorded_as: FIELD,
            ..OperationFiles::default()
        }
    }

    /// The hosts that the upload names and the running code does not; none where that was not read.
    pub(super) fn new_hosts(&self, before: &Before<'_>) -> Vec<String> {
        // A new script names none that anybody could know.
        let is_new = before.is_absent("script");
        let Some(known) = known_hosts(before).filter(|_| !is_new) else {
            return Vec::new();
        };
        let mut hosts = self.hosts();
        hosts.retain(|host| !known.contains(host));
        hosts
    }

    fn hosts(&self) -> Vec<String> {
        hosts_in(self.modules().iter().map(WorkerModule::content))
    }

    /// Adds to a script as it is recorded what is recorded of its code, or why that could not be read.
    /// `redacted` takes the credential out of a text.
    pub(super) fn record_code(
        &self,
        script: &mut Map<String, Value>,
        running: Result<Modules, String>,
        redacted: &dyn Fn(&str) -> String,
    ) {
        let code = match running {
            Ok(running) => self.beside(&running, redacted),
            Err(why) => json!({"unread": why}),
        };
        script.insert(FIELD.to_owned(), code);
    }

    fn beside(&self, running: &[(String, Vec<u8>)], redacted: &dyn Fn(&str) -> String) -> Value {
        let until = Instant::now() + PATIENCE;
        let mut room = MOST_TEXT;
        let modules: Vec<_> = running
            .iter()
            .map(|(name, content)| {
                let mut found = Map::new();
                found.insert("name".to_owned(), json!(name));
                found.insert("bytes".to_owned(), json!(content.len()));
                found.insert("sha256".to_owned(), json!(digest(content)));
                if let Some(module) = self.successor(running, name) {
                    found.insert("becomes".to_owned(), json!(module.name()));
                    if let Some(hunks) = hunks(content, module.content(), until) {
                        // In a large upload it is not looked for what it has too: that is withheld then.
                        let sent = std::str::from_utf8(module.content())
                            .ok()
                            .filter(|sent| sent.len() <= MOST_COMPARED)
                            .unwrap_or_default();
                        let hunks = hunks
                            .into_iter()
                            .map(|hunk| recorded(hunk, sent, redacted, &mut room));
                        found.insert("hunks".to_owned(), hunks.collect());
                    }
                }
                Value::Object(found)
            })
            .collect();
        let running = hosts_in(running.iter().map(|(_, content)| content.as_slice()));
        let running: HashSet<_> = running.into_iter().collect();
        let mut hosts = self.hosts();
        hosts.retain(|host| running.contains(host));
        json!({"modules": modules, "hosts": hosts})
    }

    /// The module that takes the place of a running one: that of the same name, or the only one in the place of
    /// the only one (a service worker comes without a name).
    fn successor(&self, running: &[(String, Vec<u8>)], name: &str) -> Option<&WorkerModule> {
        let mut modules = self.modules().iter();
        match (self.modules(), running) {
            ([only], [_]) => Some(only),
            _ => modules.find(|module| module.name() == name),
        }
    }
}

/// Of the upload's hosts those that the running code names; `None` where that was not read.
fn known_hosts(before: &Before<'_>) -> Option<Vec<String>> {
    if before.is_absent("script") {
        return Some(Vec::new());
    }
    texts(before.object("script")?.get(FIELD)?.get("hosts")?)
}

fn change_of(module: &WorkerModule, found: &Value) -> FileChange {
    if text(found, "sha256") == Some(&digest(module.content())) {
        return FileChange::Same;
    }
    let hunks = found.get("hunks").and_then(Value::as_array);
    FileChange::Changed(hunks.map(|hunks| {
        let number = |hunk: &Value, name| {
            let number = hunk.get(name).and_then(Value::as_u64).unwrap_or(0);
            usize::try_from(number).unwrap_or(usize::MAX)
        };
        let hunk = |hunk: &Value| Hunk {
            at: number(hunk, "at"),
            sent: number(hunk, "sent"),
            gone: hunk.get("gone").and_then(texts).unwrap_or_default(),
            left_out: number(hunk, "left_out"),
        };
        hunks.iter().map(hunk).collect()
    }))
}

fn gone_file(found: &Value) -> GoneFile {
    GoneFile {
        name: text(found, "name").unwrap_or_default().to_owned(),
        bytes: found.get("bytes").and_then(Value::as_u64).unwrap_or(0),
        sha256: text(found, "sha256").unwrap_or_default().to_owned(),
    }
}

/// Where two texts differ; `None` where one of them is none, or nothing differs.
fn hunks(running: &[u8], sent: &[u8], until: Instant) -> Option<Vec<Hunk>> {
    let running: Vec<_> = std::str::from_utf8(running).ok()?.split('\n').collect();
    let sent: Vec<_> = std::str::from_utf8(sent).ok()?.split('\n').collect();
    let differing =
        capture_diff_slices_deadline(Algorithm::Myers, &running, &sent, Some(until)).into_iter();
    let hunks = differing.filter(|part| part.tag() != DiffTag::Equal);
    let hunks: Vec<_> = hunks
        .map(|part| Hunk {
            at: part.new_range().start,
            sent: part.new_range().len(),
            gone: running
                .get(part.old_range())
                .unwrap_or_default()
                .iter()
                .map(|line| (*line).to_owned())
                .collect(),
            left_out: 0,
        })
        .collect();
    (!hunks.is_empty()).then_some(hunks)
}

/// A hunk as it is recorded: without what looks like a secret, and as far as there is room.
fn recorded(hunk: Hunk, sent: &str, redacted: &dyn Fn(&str) -> String, room: &mut usize) -> Value {
    let lines = hunk.gone.len();
    let mut gone = Vec::new();
    for line in hunk.gone {
        // Before anything is looked for in it: of a line of megabytes nothing is.
        if line.len() > LONGEST_LINE {
            break;
        }
        let line = without_secrets(&redacted(&line), sent);
        let bytes = json!(line).to_string().len();
        if bytes > *room {
            break;
        }
        *room -= bytes;
        gone.push(line);
    }
    let left_out = lines - gone.len();
    json!({"at": hunk.at, "sent": hunk.sent, "gone": gone, "left_out": left_out})
}

/// A line without quoted texts behind a name that says secret, and without runs of characters as keys have
/// them. What the upload has too stays: it is recorded there.
fn without_secrets(line: &str, sent: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find(['"', '\'', '`']) {
        let (before, quoted) = rest.split_at(start);
        kept.push_str(before);
        let quote = quoted.chars().next().unwrap_or('"');
        let body = quoted.get(1..).unwrap_or("");
        let end = end_of(body, quote);
        let (literal, behind) = body.split_at(end);
        kept.push(quote);
        if !literal.is_empty() && says_secret(&kept) && !sent.contains(literal) {
            kept.push_str(WITHHELD);
        } else {
            kept.push_str(literal);
        }
        match behind.strip_prefix(quote) {
            Some(behind) => {
                kept.push(quote);
                rest = behind;
            }
            None => rest = behind,
        }
    }
    kept.push_str(rest);
    without_keys(&kept, sent)
}

/// Where a quoted text ends, at its closing quote or with the line.
fn end_of(body: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return at,
            _ => {}
        }
    }
    body.len()
}

fn without_keys(line: &str, sent: &str) -> String {
    const LEAST: usize = 20;
    let is_of_key = |c: char| c.is_ascii_alphanumeric() || "+/_=-".contains(c);
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while !rest.is_empty() {
        let run = rest.find(|c| !is_of_key(c)).unwrap_or(rest.len());
        let (key, behind) = rest.split_at(run);
        let has = |is: fn(&u8) -> bool| key.bytes().any(|byte| is(&byte));
        let is_key = key.len() >= LEAST && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
        kept.push_str(match is_key && !sent.contains(key) {
            true => WITHHELD,
            false => key,
        });
        let next = behind.find(is_of_key).unwrap_or(behind.len());
        let (between, after) = behind.split_at(next);
        kept.push_str(between);
        rest = after;
    }
    kept
}

/// The hosts that are named in those of the contents that are texts.
fn hosts_in<'c>(contents: impl Iterator<Item = &'c [u8]>) -> Vec<String> {
    let texts = contents.filter_map(|content| std::str::from_utf8(content).ok());
    let mut found: Vec<String> = Vec::new();
    for host in texts.flat_map(|text| hosts_of(text, MOST_HOSTS)) {
        if found.len() < MOST_HOSTS && !found.contains(&host) {
            found.push(host);
        }
    }
    found
}

pub(super) fn digest(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

fn text<'v>(found: &'v Value, name: &str) -> Option<&'v str> {
    found.get(name).and_then(Value::as_str)
}

fn texts(list: &Value) -> Option<Vec<String>> {
    let list = list.as_array()?.iter();
    Some(
        list.filter_map(|text| text.as_str().map(str::to_owned))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudflare::Params;
    use ledger::operation::Operation;

    fn deploy(modules: &Value) -> Operation {
        let params = json!({"script_name": "s", "main_module": "a.js", "modules": modules});
        let operation = crate::all().parse("workers.deploy.write", "account", "a1", &params);
        operation.unwrap()
    }

    /// The script as it is recorded where these modules run.
    fn state(operation: &Operation, running: &[(&str, &str)]) -> Value {
        let params = operation.to_json()["params"].clone();
        let marks = ledger::operation::fields::Marks::default();
        let fields = ledger::operation::fields::Fields::params(&params, &marks).unwrap();
        let Ok(Params::WorkersDeploy(deploy)) = Params::parse(operation.entry.id, fields) else {
            panic!("no deployment")
        };
        let running = running
            .iter()
            .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
        let mut script = Map::new();
        let without_credential = |text: &str| text.replace("the-credential", "[credential]");
        deploy.record_code(&mut script, Ok(running.collect()), &without_credential);
        json!({ "script": script })
    }

    fn changes(operation: &Operation, state: &Value) -> Vec<FileChange> {
        let before = Before {
            state: Some(state),
            name: None,
        };
        let files = operation.files(&before).unwrap().files.into_iter();
        files.map(|file| file.change).collect()
    }

    #[test]
    fn a_module_says_which_lines_it_takes_the_place_of() {
        let sent = json!([
            {"name": "a.js", "content": "one\ntwo\nthree\n"}, {"name": "b.txt", "content": "same"},
            {"name": "c.txt", "content": "new"},
        ]);
        let operation = deploy(&sent);
        let running = [
            ("a.js", "one\nto go\nthree\nand this"),
            ("b.txt", "same"),
            ("d.txt", "x"),
        ];
        let state = state(&operation, &running);
        let gone = |at: usize, sent: usize, gone: &str| Hunk {
            at,
            sent,
            gone: vec![gone.to_owned()],
            left_out: 0,
        };
        assert_eq!(
            changes(&operation, &state),
            [
                FileChange::Changed(Some(vec![gone(1, 1, "to go"), gone(3, 1, "and this")])),
                FileChange::Same,
                FileChange::Added,
            ]
        );
        let before = Before {
            state: Some(&state),
            name: None,
        };
        let files = operation.files(&before).unwrap();
        assert_eq!((files.gone.len(), &*files.gone[0].name), (1, "d.txt"));
        // Of what stays and of what is not replaced, nothing is recorded.
        let recorded = state.to_string();
        assert!(!recorded.contains("three") && recorded.contains("to go"));
    }

    #[test]
    fn the_only_module_takes_the_place_of_the_only_one() {
        let operation = deploy(&json!([{"name": "a.js", "content": "export default {}"}]));
        let state = state(&operation, &[("", "addEventListener()")]);
        let [FileChange::Changed(Some(hunks))] = &*changes(&operation, &state) else {
            panic!("{state}")
        };
        assert_eq!(hunks[0].gone, ["addEventListener()"]);
    }

    #[test]
    fn what_was_not_read_is_not_said_to_be_new() {
        let operation = deploy(&json!([{"name": "a.js", "content": "export default {}"}]));
        assert_eq!(
            changes(&operation, &json!({"script": {}})),
            [FileChange::Unknown]
        );
        assert_eq!(
            changes(&operation, &json!({"script": {"code": {"unread": "no"}}})),
            [FileChange::Unknown]
        );
        assert_eq!(
            changes(&operation, &json!({"script": null})),
            [FileChange::Added]
        );
    }

    #[test]
    fn what_looks_like_a_secret_of_the_running_code_is_not_recorded() {
        let sent = "const apiKey = \"shared\";\nfetch('https://a.example');";
        let operation = deploy(&json!([{"name": "a.js", "content": sent}]));
        let secrets = [
            "hunter2",
            "Qm9va3Mgb2YgdGhlIDIwdGgK12",
            "the-credential",
            "pa\\\"ss",
        ];
        let running = format!(
            "const password = '{}';\nh['Authorization'] = `Bearer {}`;\nlog('{}');\n\
             const t = {{token: \"{}\"}}; const apiKey = \"shared\"; keep(\"this\");",
            secrets[0], secrets[1], secrets[2], secrets[3]
        );
        let recorded = state(&operation, &[("a.js", &running)]).to_string();
        for secret in secrets {
            assert!(!recorded.contains(secret), "{secret}: {recorded}");
        }
        assert!(
            recorded.contains("shared") && recorded.contains("log("),
            "{recorded}"
        );
    }

    #[test]
    fn much_code_is_counted_and_not_recorded() {
        let operation = deploy(&json!([{"name": "a.js", "content": "export default {}"}]));
        let many: String = (0..20_000).map(|n| format!("line {n} of many\n")).collect();
        let minified = "x".repeat(200_000);
        // Quoted texts of one line, each behind a name that says secret.
        let quoted = "token=\"a\";".repeat(1 << 20);
        for running in [many, minified, quoted] {
            let state = state(&operation, &[("a.js", &running)]);
            assert!(state.to_string().len() < 2 * MOST_TEXT);
            let [FileChange::Changed(Some(hunks))] = &*changes(&operation, &state) else {
                panic!("no hunks")
            };
            let lines: usize = hunks.iter().map(|h| h.gone.len() + h.left_out).sum();
            assert_eq!(lines, running.split('\n').count());
        }
    }

    #[test]
    fn hosts_that_the_running_code_does_not_name_are_warned_of() {
        let sent = "fetch('https://a.example'); fetch('https://evil.example')";
        let operation = deploy(&json!([{"name": "a.js", "content": sent}]));
        let warned = |state: &Value| -> Vec<String> {
            let before = Before {
                state: Some(state),
                name: None,
            };
            let warnings = operation.warnings(&before).into_iter();
            let hosts = warnings.filter(|warning| warning.code == "new_hosts");
            hosts.map(|warning| warning.text).collect()
        };
        let known = state(&operation, &[("a.js", "fetch('https://a.example')")]);
        let [text] = &*warned(&known) else {
            panic!("no warning")
        };
        assert!(
            text.contains("evil.example") && !text.contains("a.example"),
            "{text}"
        );
        assert!(warned(&json!({"script": null})).is_empty());
        assert!(warned(&json!({"script": {}})).is_empty());
    }
}
