//! Where the values come from: the environment first, then the TOML file, then the defaults.

use super::parse::Fault;
use super::problem::{Problem, Warning};
use super::table::{self, Row, Variable};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Environment,
    /// The file given with `--config`.
    File,
    /// Nobody set it.
    Default,
}

impl Origin {
    /// How it is named to people.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
        }
    }
}

/// The values as written, and everything found wrong with them so far.
///
/// A section takes its variables from here and reports what it cannot use; reading goes on, so that
/// all problems come out together.
pub(crate) struct Sources {
    values: BTreeMap<&'static str, (String, Origin)>,
    insecure: bool,
    /// Whose values an env file spoilt: that says all there is to say of them.
    spoilt: BTreeSet<&'static str>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Sources {
    /// Merges the environment (names that are not ours are other programs' and are left alone) over
    /// the text of the TOML file (every name must be ours).
    pub(crate) fn new(environment: &BTreeMap<String, String>, file: Option<&str>) -> Self {
        let mut sources = Self {
            values: BTreeMap::new(),
            insecure: false,
            spoilt: BTreeSet::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        if let Some(text) = file {
            sources.read_file(text);
        }
        for variable in table::ALL {
            if let Some(value) = environment.get(variable.name) {
                sources
                    .values
                    .insert(variable.name, (value.clone(), Origin::Environment));
            }
        }
        sources.refuse_misnamed(environment.keys());
        sources.refuse_left_overs();
        sources.insecure = sources.read(&table::ALLOW_INSECURE_DEFAULTS);
        sources
    }

    /// Names that were meant to be ours: an env file with `export` in front, or with a byte order mark.
    fn refuse_misnamed<'n>(&mut self, names: impl Iterator<Item = &'n String>) {
        for name in names {
            let bare = name.trim_start_matches('\u{feff}').trim();
            let bare = bare.strip_prefix("export ").unwrap_or(bare).trim();
            if bare != name && table::find(bare).is_some() {
                let text = "is set under a name with something before or behind it (`export`, a blank, \
                            a byte order mark); the file it comes from must hold NAME=value lines";
                self.problem_named(bare, text.to_owned());
            }
        }
    }

    /// What an env file leaves in values where it is not read by a shell: quotes, comments, references, marks
    /// that nobody sees.
    fn refuse_left_overs(&mut self) {
        for variable in table::ALL {
            let found = self
                .set(variable)
                .and_then(|value| left_over(variable, value));
            if let Some(text) = found {
                self.problem(variable, text);
                self.spoilt.insert(variable.name);
            }
        }
    }

    fn read_file(&mut self, text: &str) {
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                // The error's own Display quotes the line, which may hold a secret.
                let at = error.span().map_or(0, |span| span.start);
                let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
                self.problem_named("--config", format!("line {line}: is not valid TOML"));
                return;
            }
        };
        for (key, value) in table {
            let Some(variable) = table::find(&key) else {
                self.problem_named(
                    &key,
                    "is not a setting (unknown key in the file)".to_owned(),
                );
                continue;
            };
            match as_text(&value) {
                Some(text) => {
                    self.values.insert(variable.name, (text, Origin::File));
                }
                None => self.problem(
                    variable,
                    "must be a string, a whole number, true or false, or a list of strings",
                ),
            }
        }
    }

    /// Whether `ALLOW_INSECURE_DEFAULTS` is on.
    pub(crate) const fn insecure(&self) -> bool {
        self.insecure
    }

    /// The value as set; `None` when nobody set it. An empty value is a value.
    pub(crate) fn set(&self, variable: &Variable) -> Option<&str> {
        self.values
            .get(variable.name)
            .map(|(text, _)| text.as_str())
    }

    pub(crate) fn origin(&self, variable: &Variable) -> Origin {
        self.values
            .get(variable.name)
            .map_or(Origin::Default, |(_, origin)| *origin)
    }

    /// The value as set or by default. One that cannot be read is a problem, and the default stands in for
    /// it; nothing is started from it.
    pub(crate) fn read<T>(&mut self, row: &Row<T>) -> T {
        self.given(row).unwrap_or_else(|| default_of(row))
    }

    /// The value as set; `None` when nobody set it, or when it cannot be read, which is a problem.
    pub(crate) fn given<T>(&mut self, row: &Row<T>) -> Option<T> {
        let text = self.set(row)?.trim();
        let read = match text.is_empty() {
            true => Err(Fault::from("is empty; give it a value or remove it")),
            false => (row.read)(text),
        };
        read.map_err(|fault| self.problem(row, fault)).ok()
    }

    /// The comma-separated items. Empty items are a problem; an empty value is no items.
    pub(crate) fn list<T>(&mut self, row: &Row<T>) -> Vec<T> {
        let text = self.set(row).or(row.default).unwrap_or_default();
        let text = text.trim().to_owned();
        if text.is_empty() {
            return Vec::new();
        }
        let mut seen = BTreeSet::new();
        let mut items = Vec::new();
        for (at, item) in text.split(',').map(str::trim).enumerate() {
            if item.is_empty() {
                self.problem(row, "has an empty item; separate items with single commas");
                continue;
            }
            if !seen.insert(item) {
                self.warn(row, "names the same item twice");
            }
            match (row.read)(item) {
                Ok(item) => items.push(item),
                Err(fault) => self.problem(row, format!("item {}: {fault}", at + 1)),
            }
        }
        items
    }

    /// Whether something was found wrong with it.
    pub(crate) fn is_refused(&self, variable: &Variable) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.name() == variable.name)
    }

    /// Notes what is wrong with a variable.
    pub(crate) fn problem(&mut self, variable: &Variable, text: impl Into<Fault>) {
        if !self.spoilt.contains(variable.name) {
            let text: Fault = text.into();
            self.problems.push(Problem::new(variable.name, text));
        }
    }

    fn problem_named(&mut self, name: &str, text: String) {
        self.problems.push(Problem::new(name, text));
    }

    /// Notes what should be known about a variable.
    pub(crate) fn warn(&mut self, variable: &Variable, text: impl Into<String>) {
        self.warnings.push(Warning::new(variable.name, text));
    }

    /// What was found wrong, and what should be known.
    pub(crate) fn finish(self) -> (Vec<Problem>, Vec<Warning>) {
        (self.problems, self.warnings)
    }
}

/// A test reads every default.
#[expect(clippy::expect_used, reason = "constants that are read")]
fn default_of<T>(row: &Row<T>) -> T {
    let default = row.default.unwrap_or_default();
    (row.read)(default).expect("a default that is read")
}

/// Quotes that people and their editors write.
const QUOTES: [char; 9] = ['"', '\'', '`', '“', '”', '„', '‘', '’', '«'];
/// Those that no value of ours holds anywhere.
const NEVER: [char; 5] = ['"', '“', '”', '„', '«'];
/// Characters that nobody sees.
const UNSEEN: [char; 4] = ['\u{feff}', '\u{200b}', '\u{2060}', '\u{ad}'];

fn left_over(variable: &Variable, value: &str) -> Option<&'static str> {
    let value = value.trim();
    let mut items = value.split(',').map(str::trim);
    let quoted = |item: &str| item.starts_with(QUOTES) || item.ends_with(QUOTES);
    if quoted(value) || items.any(quoted) || (!variable.is_secret && value.contains(NEVER)) {
        return Some(
            "holds quotes, which belong to a shell and not to an env file: write the value without them",
        );
    }
    if value.starts_with("${") || value.starts_with("$(") {
        return Some(
            "is a reference that a shell or a program before this one should have replaced by its value: write the value itself",
        );
    }
    if value.contains(UNSEEN) {
        return Some("holds characters that nobody sees, such as a byte order mark; remove them");
    }
    if value.chars().any(char::is_control) {
        return Some("holds a line break or another control character; remove it");
    }
    if !variable.is_secret && value.contains(" #") {
        return Some("holds a comment, which an env file keeps; put it on a line of its own");
    }
    None
}

fn as_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(on) => Some(on.to_string()),
        toml::Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().filter(|text| !text.contains(',')))
            .collect::<Option<Vec<_>>>()
            .map(|items| items.join(",")),
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}
