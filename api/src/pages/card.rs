//! One operation of a question: its act and its risks, what is sent beside what stands upstream, and what is lost.

use super::files::ShownFiles;
use super::params::{Now, Param};
use super::shown::ShownText;
use super::table::ShownTable;
use ledger::operation::{
    Before, Beside, Entries, Operation, Scope, Unchecked, Warning, WarningLevel,
};
use ledger::{Risk, ScopeType};
use serde_json::{Value, json};

/// Most rows of a table that one warning links to.
const MOST_LINKS: usize = 20;

/// One risk of an operation, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownWarning {
    pub is_danger: bool,
    /// Its stable name.
    pub code: &'static str,
    pub text: ShownText,
    /// The rows of the operation's table that it is about.
    pub rows: Vec<usize>,
}

impl ShownWarning {
    pub(super) fn of(warning: Warning) -> Self {
        Self {
            is_danger: warning.level == WarningLevel::Danger,
            code: warning.code,
            text: ShownText::sentence(capitalised(&warning.text)),
            rows: Vec::new(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct OperationCard {
    /// Its place in the request, from 1.
    pub number: usize,
    /// Its name in the catalog.
    pub operation_id: String,
    /// Its effect, in one sentence for people.
    pub summary: ShownText,
    /// Zone or account.
    pub scope_type: ScopeType,
    pub scope_id: ShownText,
    /// Where it has its effect: the record's full name, and the zone's name beside its id. Absent for
    /// accounts.
    pub place: Option<ShownText>,
    /// The risk of a wrong answer.
    pub risk: Risk,
    /// Warnings, dangers first; empty when nothing stands out.
    pub warnings: Vec<ShownWarning>,
    pub params: Vec<Param>,
    /// The place of each param among all rows of the params, from 1.
    pub param_rows: Vec<usize>,
    /// The params that say what upstream takes anyway; they change nothing and are folded.
    pub defaults: Vec<Param>,
    /// The list of the params that is read entry by entry; it has no row among the params.
    pub table: Option<ShownTable>,
    /// The files that it carries.
    pub files: ShownFiles,
    /// The client's own request, where the params describe it in another way: its method, address and headers.
    pub request: Vec<Param>,
    /// Settings that upstream has now and will lose, though no param names them.
    pub lost: Vec<Param>,
    pub upstream: UpstreamState,
    /// The state in the place of that one when the operation was approved before, where it was another one.
    pub was: Option<UpstreamState>,
}

/// The state of the object that an operation will change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamState {
    /// The operation replaces nothing that could be read.
    NotApplicable,
    NotYetRead,
    /// Upstream has nothing there.
    Absent,
    /// It could not be read; the reason for people.
    Unavailable(ShownText),
    /// The fields that are there now, as far as no param shows them beside itself.
    Present(Vec<Param>),
}

impl OperationCard {
    /// The card of an operation as it will be sent, beside what upstream has now.
    #[must_use]
    pub fn of(
        number: usize,
        operation: &Operation,
        upstream: UpstreamState,
        before: &Before<'_>,
    ) -> Self {
        let entry = operation.entry;
        let scope = &operation.scope;
        let json = operation.to_json();
        let params = json.get("params").map(Param::rows).unwrap_or_default();
        let card = Self {
            number,
            operation_id: entry.id.to_string(),
            summary: act(operation.act(before), scope),
            scope_type: scope.scope_type,
            scope_id: ShownText::line(scope.id.as_str()),
            place: None,
            risk: entry.risk,
            warnings: Vec::new(),
            param_rows: (1..=params.len()).collect(),
            params,
            defaults: Vec::new(),
            table: None,
            files: ShownFiles::default(),
            request: own_request(operation, &json),
            lost: Vec::new(),
            upstream,
            was: None,
        };
        let mut card = card.by_field(operation.effect().read_by_field()).compared();
        card.put_in_order(operation.effect().reading_order());
        for param in &mut card.params {
            let is_unchecked = |place: &Unchecked| place.is_shown_by(param.name.original());
            param.is_unchecked = operation.unchecked().iter().any(is_unchecked);
        }
        card.leave_out(operation.effect().not_sent());
        card.weigh(operation, before);
        card.fold_defaults(&operation.effect().defaults());
        card
    }

    /// Gives the fields of these params a row each, here and in what upstream has; a field's text is found where all
    /// of its param is.
    fn by_field(mut self, names: &[&str]) -> Self {
        let is_named = |param: &Param| names.iter().any(|name| param.name == **name);
        let rows = std::mem::take(&mut self.param_rows);
        for (param, row) in std::mem::take(&mut self.params).into_iter().zip(rows) {
            let fields = match is_named(&param) {
                true => param.fields(),
                false => vec![param],
            };
            self.param_rows
                .extend(std::iter::repeat_n(row, fields.len()));
            self.params.extend(fields);
        }
        if let UpstreamState::Present(found) = &mut self.upstream {
            let split = std::mem::take(found).into_iter();
            found.extend(split.flat_map(|field| match is_named(&field) {
                true => field.fields(),
                false => vec![field],
            }));
        }
        self
    }

    /// Folds the params that are defaults. One that changes something stays open, and so does each of them while
    /// nobody can tell.
    fn fold_defaults(&mut self, defaults: &[&str]) {
        if let UpstreamState::NotYetRead | UpstreamState::Unavailable(_) = self.upstream {
            return;
        }
        let is_default = |param: &Param| {
            defaults.iter().any(|name| param.name == **name)
                && !matches!(param.now, Now::Other(_))
                && !param.is_unchecked
        };
        let rows = std::mem::take(&mut self.param_rows);
        for (param, row) in std::mem::take(&mut self.params).into_iter().zip(rows) {
            if is_default(&param) {
                self.defaults.push(param);
            } else {
                self.params.push(param);
                self.param_rows.push(row);
            }
        }
    }

    /// Weighs the operation against what was read: what it warns of, and what is lost, apart from what
    /// stays.
    fn weigh(&mut self, operation: &Operation, before: &Before<'_>) {
        let Beside {
            warnings,
            mut lost,
            entries,
        } = operation.beside(before);
        self.warnings = shown_warnings(warnings);
        self.list_files(operation, before);
        let unchanged = operation.unchanged(before);
        for param in &mut self.params {
            if unchanged.iter().any(|name| param.name == **name) {
                param.now = Now::Same;
            }
        }
        let is_named = self.params.iter().any(|param| param.name == *"bindings");
        if let Some(entries) = entries {
            // Entries that are lost stand in the table.
            let list = format!("{}[", entries.param);
            lost.retain(|name, _| !name.starts_with(&list));
            self.tabulate(entries);
        }
        self.lost = Param::rows(&Value::Object(lost.clone()));
        let UpstreamState::Present(stays) = &mut self.upstream else {
            return;
        };
        // What a rule loses is named without the rule.
        stays.retain(|row| {
            let name = row.name.original();
            let field = name.strip_prefix("rule.").unwrap_or(name);
            !lost.contains_key(name) && !lost.contains_key(field)
        });
        // Of the bindings, those that are not lost stay.
        if lost.keys().any(|name| name.starts_with("bindings.")) {
            stays.retain(|row| row.name != *"bindings");
            let all = before
                .state
                .and_then(|state| state.pointer("/script/bindings"));
            let names = |binding: &&Value| {
                let name = binding.get("name").and_then(Value::as_str);
                !lost.contains_key(&format!("bindings.{}", name.unwrap_or_default()))
            };
            let kept = all.and_then(Value::as_array).into_iter().flatten();
            let kept: Vec<_> = kept.filter(names).cloned().collect();
            if !kept.is_empty() && !is_named {
                stays.extend(Param::rows(&json!({ "bindings": kept })));
            }
        }
    }

    /// Takes away the params of these names, which are told elsewhere.
    fn leave_out(&mut self, names: &[&str]) {
        let rows = std::mem::take(&mut self.param_rows);
        let params = std::mem::take(&mut self.params).into_iter().zip(rows);
        let left = params.filter(|(param, _)| {
            let name = param.name.original();
            let name = name.split('[').next().unwrap_or(name);
            !names.contains(&name)
        });
        (self.params, self.param_rows) = left.unzip();
    }

    /// Puts the params into the order in which they are read; the others stay behind them as they are.
    fn put_in_order(&mut self, order: &[&str]) {
        let place = |param: &Param| order.iter().position(|name| param.name == **name);
        let rows = std::mem::take(&mut self.param_rows);
        let mut params: Vec<_> = std::mem::take(&mut self.params)
            .into_iter()
            .zip(rows)
            .collect();
        params.sort_by_key(|(param, _)| place(param).unwrap_or(order.len()));
        (self.params, self.param_rows) = params.into_iter().unzip();
    }

    /// Lists the files; a binary has no row among the params, since nobody reads its encoding.
    fn list_files(&mut self, operation: &Operation, before: &Before<'_>) {
        let Some(files) = operation.files(before) else {
            return;
        };
        let (param, recorded_as) = (files.param, files.recorded_as);
        self.files = ShownFiles::of(files);
        if self.files.are_parts {
            let part = format!("{param}[");
            let is_part = |param_name: &str| param_name == param || param_name.starts_with(&part);
            let rows = std::mem::take(&mut self.param_rows);
            let params = std::mem::take(&mut self.params).into_iter().zip(rows);
            let left = params.filter(|(row, _)| !is_part(row.name.original()));
            (self.params, self.param_rows) = left.unzip();
        }
        if let UpstreamState::Present(fields) = &mut self.upstream {
            // Where its texts are long, its parts have rows of their own.
            let part = format!("{recorded_as}.");
            fields.retain(|field| {
                field.name != *recorded_as && !field.name.original().starts_with(&part)
            });
        }
        for index in 0..self.files.files.len() {
            let binary = format!("{param}[{index}].content_base64");
            let at = self.params.iter().position(|param| param.name == *binary);
            if let Some(at) = at {
                self.params.remove(at);
                self.param_rows.remove(at);
            }
        }
    }

    /// Shows a list of the params as a table, and has each warning name the rows that it is about.
    fn tabulate(&mut self, entries: Entries) {
        for warning in &mut self.warnings {
            let named = entries.entries.iter().filter(|entry| {
                let mut own = entry.warnings.iter();
                own.any(|own| own.code == warning.code)
            });
            warning.rows = named.map(|entry| entry.number).take(MOST_LINKS).collect();
        }
        let name = entries.param;
        // Where the list is nested around long texts, its parts have rows of their own.
        let part = format!("{name}[");
        let is_part =
            |param: &Param| param.name == *name || param.name.original().starts_with(&part);
        let mut rows = std::mem::take(&mut self.param_rows).into_iter();
        let mut params = Vec::new();
        for param in std::mem::take(&mut self.params) {
            let at = rows.next().unwrap_or_default();
            if !is_part(&param) {
                self.param_rows.push(at);
                params.push(param);
            }
        }
        self.params = params;
        self.table = Some(ShownTable::of(entries));
        if let UpstreamState::Present(fields) = &mut self.upstream {
            fields.retain(|field| field.name != *name);
        }
    }

    /// Its sentence for the note on look-alikes: without this service's own arrow, which stands between two values,
    /// where no value has one itself.
    pub(super) fn named(&self) -> String {
        const ARROW: char = '\u{2192}';
        let sentence = self.summary.original();
        let upstream = match &self.upstream {
            UpstreamState::Present(fields) => fields.as_slice(),
            _ => &[],
        };
        let rows = [
            &*self.params,
            &*self.defaults,
            &*self.lost,
            &*self.request,
            upstream,
        ];
        let is_written = rows.into_iter().flatten().any(|row| row.holds(ARROW))
            || self.table.as_ref().is_some_and(|table| table.holds(ARROW));
        match is_written {
            true => sentence.to_owned(),
            false => sentence.replace(ARROW, " "),
        }
    }

    /// True where a wrong answer costs most: it is sensitive, or something dangerous stands out.
    pub(super) fn is_dangerous(&self) -> bool {
        cost(self.risk, &self.warnings).0
    }

    pub(super) fn dangers(&self) -> usize {
        dangers(&self.warnings)
    }

    /// Sets each param beside what upstream has under the same name; upstream's other fields stay
    /// where they are.
    #[must_use]
    pub fn compared(mut self) -> Self {
        if let UpstreamState::Present(fields) = &mut self.upstream {
            for param in &mut self.params {
                // A client's own request has the fields of the object in its body.
                let name = param.name.original();
                let name = name.strip_prefix("body.").unwrap_or(name);
                let found = fields.iter().position(|field| field.name == *name);
                if let Some(at) = found {
                    let field = fields.remove(at);
                    param.now = if field.value == param.value {
                        Now::Same
                    } else {
                        Now::Other(field.value)
                    };
                }
            }
        }
        self
    }
}

/// The request of a client, where it is sent as it came and the params do not show it.
fn own_request(operation: &Operation, shown: &Value) -> Vec<Param> {
    let request = operation.forwarded();
    let Some((request, url)) = request.and_then(|request| Some((request, request.url()?))) else {
        return Vec::new();
    };
    if shown.pointer("/params/url").is_some() {
        return Vec::new();
    }
    let mut rows = Param::rows(&json!({"method": request.method.as_str(), "url": url}));
    let headers = Param::rows(&json!({ "headers": request.shown_headers() }));
    rows.extend(headers.into_iter().flat_map(Param::fields));
    rows
}

/// The sentence of an operation, without the scope, which is named beside it.
pub(super) fn act(summary: String, scope: &Scope) -> ShownText {
    ShownText::sentence(without_scope(summary, scope))
}

/// By how much a wrong answer costs: whether it is dangerous (it is sensitive, or a danger stands out), and
/// then how much of that there is.
pub(super) fn cost(risk: Risk, warnings: &[ShownWarning]) -> (bool, Risk, usize, usize) {
    let dangers = dangers(warnings);
    let is_dangerous = risk == Risk::Sensitive || dangers > 0;
    (is_dangerous, risk, dangers, warnings.len())
}

fn dangers(warnings: &[ShownWarning]) -> usize {
    warnings.iter().filter(|warning| warning.is_danger).count()
}

pub(super) fn warnings(operation: &Operation, before: &Before<'_>) -> Vec<ShownWarning> {
    shown_warnings(operation.warnings(before))
}

fn shown_warnings(mut warnings: Vec<Warning>) -> Vec<ShownWarning> {
    warnings.sort_by_key(|warning| std::cmp::Reverse(warning.level));
    warnings.into_iter().map(ShownWarning::of).collect()
}

/// The text as a sentence begins.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// The card names the scope on a line of its own. Where the sentence has it twice, an agent wrote one of
/// the two into a param, and nobody can tell which: then it stays whole.
fn without_scope(summary: String, scope: &Scope) -> String {
    let named = ["in", "of", "for"].map(|before| format!(" {before} {scope}"));
    let times: usize = named
        .iter()
        .map(|named| summary.matches(named.as_str()).count())
        .sum();
    if times != 1 {
        return summary;
    }
    named
        .iter()
        .fold(summary, |line, named| line.replacen(named.as_str(), "", 1))
}
