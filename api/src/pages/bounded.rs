//! A page of bounded length, whatever is asked: each text has a fair share of what fits, and what is cut
//! says where all of it is.

use super::approval::ApprovalPage;
use super::card::{OperationCard, UpstreamState};
use super::params::{Now, Param, ParamValue};
use super::shown::ShownText;
use std::fmt;

/// Bytes of HTML for all texts of a page together.
const PAGE: usize = 1024 * 1024;

/// Rows, and entries of lists, of all operations of a page together. Each takes some HTML of ours.
const ROWS: usize = 2000;

/// A file behind an approval link that has all of a text that the page cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApprovalFile {
    /// The request: the bytes that the fingerprint is made from.
    Request,
    /// The state that was read upstream, as JSON.
    Upstream,
    /// One param of one operation, by itself; both count from 1.
    Param { operation: usize, row: usize },
    /// The bytes of one file that an operation carries; both count from 1.
    Content { operation: usize, file: usize },
    /// The text of one file as people read it, where that is not a param; both count from 1.
    Text { operation: usize, file: usize },
    /// The files that were sent before one operation, counted from 1, one a line.
    Uploads { operation: usize },
    /// Where one file differs from the one that runs, as a unified diff; both count from 1.
    Diff { operation: usize, file: usize },
}

impl ApprovalFile {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "request.json" => return Some(Self::Request),
            "upstream.json" => return Some(Self::Upstream),
            _ => {}
        }
        let numbers = |prefix: &str, suffix: &str| {
            let numbers = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
            let (operation, of_it) = numbers.split_once('-')?;
            Some((operation.parse().ok()?, of_it.parse().ok()?))
        };
        let param =
            numbers("param-", ".txt").map(|(operation, row)| Self::Param { operation, row });
        let content = || {
            let (operation, file) = numbers("file-", ".bin")?;
            Some(Self::Content { operation, file })
        };
        let diff = || {
            let (operation, file) = numbers("file-", ".diff")?;
            Some(Self::Diff { operation, file })
        };
        let text = || {
            let (operation, file) = numbers("file-", ".txt")?;
            Some(Self::Text { operation, file })
        };
        let uploads = || {
            let operation = name.strip_prefix("uploads-")?.strip_suffix(".txt")?;
            let operation = operation.parse().ok()?;
            Some(Self::Uploads { operation })
        };
        // One name for each.
        param
            .or_else(content)
            .or_else(diff)
            .or_else(text)
            .or_else(uploads)
            .filter(|file| file.to_string() == name)
    }
}

impl fmt::Display for ApprovalFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => f.write_str("request.json"),
            Self::Upstream => f.write_str("upstream.json"),
            Self::Param { operation, row } => write!(f, "param-{operation}-{row}.txt"),
            Self::Content { operation, file } => write!(f, "file-{operation}-{file}.bin"),
            Self::Text { operation, file } => write!(f, "file-{operation}-{file}.txt"),
            Self::Uploads { operation } => write!(f, "uploads-{operation}.txt"),
            Self::Diff { operation, file } => write!(f, "file-{operation}-{file}.diff"),
        }
    }
}

impl ApprovalPage {
    /// The page with what fits of it. `link` is the approval's own URL, below which its files are.
    pub(crate) fn bounded(mut self, link: &str) -> Self {
        let url = |file: ApprovalFile| format!("{link}/files/{file}");
        let rows = ROWS / self.operations.len().max(1);
        for operation in &mut self.operations {
            operation.leave_out_beyond(rows.max(20), &url);
        }
        for operation in &mut self.operations {
            let number = operation.number;
            if !operation.files.uploads.is_empty() {
                operation.files.upload_list =
                    Some(url(ApprovalFile::Uploads { operation: number }));
            }
            for (index, file) in operation.files.files.iter_mut().enumerate() {
                file.address = Some(url(ApprovalFile::Content {
                    operation: number,
                    file: index + 1,
                }));
            }
        }
        let mut costs = Vec::new();
        self.each_text(&mut |text, _| costs.push(text.cost(PAGE)));
        let share = fair_share(costs, PAGE);
        self.each_text(&mut |text, file| text.fit(share, || url(file)));
        self
    }

    fn each_text(&mut self, visit: &mut dyn FnMut(&mut ShownText, ApprovalFile)) {
        let request = ApprovalFile::Request;
        visit(&mut self.agent, request);
        visit(&mut self.task_name, request);
        for approver in &mut self.approvers {
            visit(&mut approver.name.name, request);
        }
        for operation in &mut self.operations {
            operation.each_text(operation.number, visit);
        }
    }
}

impl OperationCard {
    fn each_text(&mut self, number: usize, visit: &mut dyn FnMut(&mut ShownText, ApprovalFile)) {
        visit(&mut self.summary, ApprovalFile::Request);
        visit(&mut self.scope_id, ApprovalFile::Request);
        for warning in &mut self.warnings {
            visit(&mut warning.text, ApprovalFile::Request);
        }
        for (index, param) in self.params.iter_mut().enumerate() {
            let row = self.param_rows.get(index).copied().unwrap_or(index + 1);
            let file = ApprovalFile::Param {
                operation: number,
                row,
            };
            param.each_text(file, visit);
        }
        for param in self.defaults.iter_mut().chain(&mut self.request) {
            param.each_text(ApprovalFile::Request, visit);
        }
        for (index, file) in self.files.files.iter_mut().enumerate() {
            visit(&mut file.name, ApprovalFile::Request);
            visit(&mut file.media_type, ApprovalFile::Request);
            if let Some(file_name) = &mut file.file_name {
                visit(file_name, ApprovalFile::Request);
            }
            if let Some(text) = &mut file.text {
                let of_file = ApprovalFile::Text {
                    operation: number,
                    file: index + 1,
                };
                visit(text, of_file);
            }
            for (host, _) in &mut file.hosts {
                visit(host, ApprovalFile::Request);
            }
            if let Some(diff) = &mut file.diff {
                let of_file = ApprovalFile::Diff {
                    operation: number,
                    file: index + 1,
                };
                visit(diff, of_file);
            }
        }
        for (path, ..) in &mut self.files.uploads {
            visit(path, ApprovalFile::Uploads { operation: number });
        }
        for (name, ..) in &mut self.files.gone {
            visit(name, ApprovalFile::Upstream);
        }
        if let Some(why) = &mut self.files.unread {
            visit(why, ApprovalFile::Upstream);
        }
        if let Some(table) = &mut self.table {
            table.each_text(&mut |text| visit(text, ApprovalFile::Request));
        }
        for lost in &mut self.lost {
            lost.each_text(ApprovalFile::Upstream, visit);
        }
        match &mut self.upstream {
            UpstreamState::Present(fields) => {
                for field in fields {
                    field.each_text(ApprovalFile::Upstream, visit);
                }
            }
            UpstreamState::Unavailable(why) => visit(why, ApprovalFile::Upstream),
            UpstreamState::NotApplicable | UpstreamState::NotYetRead | UpstreamState::Absent => {}
        }
    }

    fn leave_out_beyond(&mut self, rows: usize, url: &impl Fn(ApprovalFile) -> String) {
        leave_out(&mut self.params, rows, &|| url(ApprovalFile::Request));
        if let Some(table) = &mut self.table {
            table.shorten(rows, &|| url(ApprovalFile::Request));
        }
        leave_out(&mut self.lost, rows, &|| url(ApprovalFile::Upstream));
        if let UpstreamState::Present(fields) = &mut self.upstream {
            leave_out(fields, rows, &|| url(ApprovalFile::Upstream));
        }
    }
}

/// Keeps so many rows, and of each list so many entries; a note says how many are left out.
fn leave_out(params: &mut Vec<Param>, rows: usize, file: &impl Fn() -> String) {
    if params.len() > rows {
        let left_out: Vec<Param> = params.drain(rows..).collect();
        let notes = left_out.iter().filter_map(|param| param.value.lookalikes());
        let notes: Vec<_> = notes.collect();
        let lookalikes = (!notes.is_empty()).then(|| notes.join("; "));
        let note = ShownText::left_out(left_out.len(), file(), lookalikes);
        params.push(Param {
            name: ShownText::line("…"),
            value: ParamValue::Text(note),
            now: Now::Unknown,
            is_unchecked: false,
        });
    }
    for param in params {
        shorten(&mut param.value, rows, file);
        if let Now::Other(value) = &mut param.now {
            shorten(value, rows, file);
        }
    }
}

fn shorten(value: &mut ParamValue, entries: usize, file: &impl Fn() -> String) {
    let lookalikes = value.lookalikes();
    if let ParamValue::List(items) = value
        && items.len() > entries
    {
        let left_out = items.len() - entries;
        items.truncate(entries);
        items.push(ShownText::left_out(left_out, file(), lookalikes));
    }
}

impl Param {
    fn each_text(
        &mut self,
        file: ApprovalFile,
        visit: &mut dyn FnMut(&mut ShownText, ApprovalFile),
    ) {
        let of_name = match file {
            ApprovalFile::Param { .. } => ApprovalFile::Request,
            other => other,
        };
        visit(&mut self.name, of_name);
        self.value.each_text(&mut |text| visit(text, file));
        if let Now::Other(value) = &mut self.now {
            value.each_text(&mut |text| visit(text, ApprovalFile::Upstream));
        }
    }
}

impl ParamValue {
    fn each_text(&mut self, visit: &mut dyn FnMut(&mut ShownText)) {
        match self {
            Self::Text(text) | Self::Literal(text) | Self::Block(text) | Self::Json(text) => {
                visit(text);
            }
            Self::List(items) => items.iter_mut().for_each(visit),
        }
    }
}

/// The room of each text, so that all fit: short ones are whole, and the long ones have equal shares of
/// what those leave.
fn fair_share(mut costs: Vec<usize>, room: usize) -> usize {
    costs.sort_unstable();
    let mut left = room;
    let mut count = costs.len();
    for cost in costs {
        let share = left / count.max(1);
        if cost > share {
            return share;
        }
        left -= cost;
        count -= 1;
    }
    room
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::operation::{Before, Operation};
    use serde_json::json;

    #[test]
    fn short_texts_are_whole_and_long_ones_share_what_is_left() {
        assert_eq!(fair_share(vec![], 100), 100);
        assert_eq!(fair_share(vec![10, 20, 30], 100), 100);
        assert_eq!(fair_share(vec![10, 500, 500], 100), 45);
        assert_eq!(fair_share(vec![10, 40, 500], 100), 50);
        assert_eq!(fair_share(vec![500; 10], 100), 10);
    }

    #[test]
    fn what_a_page_leaves_out_is_counted_and_searched_for_lookalikes() {
        let rules: Vec<_> = (1..=30)
            .map(|n| json!({"action": "block", "expression": format!("http.host eq \"{n}\"")}))
            .collect();
        let mut rules = rules;
        rules[29]["description"] = json!("depl\u{43e}yer");
        let params = json!({
            "action": "replace_phase", "phase": "http_request_firewall_custom", "rules": rules,
        });
        let firewall = providers::all().parse("waf.rules.write", "zone", "z1", &params);
        let firewall = firewall.unwrap();
        let files: Vec<_> = (1..=30)
            .map(|n| {
                format!(
                    "https://a.example/{n}{}",
                    if n == 30 { "\u{43e}a" } else { "" }
                )
            })
            .collect();
        let purge = providers::all().parse(
            "cache.purge.execute",
            "zone",
            "z1",
            &json!({ "files": files }),
        );
        let purge = purge.unwrap();
        let card = |operation: &Operation| {
            let upstream = UpstreamState::NotApplicable;
            let mut card = OperationCard::of(1, operation, upstream, &Before::default());
            card.leave_out_beyond(20, &|file| file.to_string());
            card
        };
        let table = card(&firewall).table.unwrap();
        assert_eq!((table.rows.len(), table.left_out.is_some()), (20, true));
        assert!(table.counted().starts_with("30 "), "{}", table.counted());
        assert!(table.lookalikes().unwrap().contains("U+043E"));
        let list = &card(&purge).params[0].value;
        assert!(matches!(list, ParamValue::List(items) if items.len() == 21));
        assert!(list.lookalikes().unwrap().contains("U+043E"));
    }

    #[test]
    fn each_file_has_one_name() {
        let files = [
            ApprovalFile::Request,
            ApprovalFile::Upstream,
            ApprovalFile::Param {
                operation: 3,
                row: 12,
            },
            ApprovalFile::Content {
                operation: 1,
                file: 2,
            },
            ApprovalFile::Text {
                operation: 1,
                file: 2,
            },
            ApprovalFile::Diff {
                operation: 1,
                file: 2,
            },
            ApprovalFile::Uploads { operation: 3 },
        ];
        for file in files {
            assert_eq!(ApprovalFile::named(&file.to_string()), Some(file));
        }
        for name in [
            "",
            "param-1.txt",
            "param-01-2.txt",
            "param-+1-2.txt",
            "file-1-02.bin",
            "uploads-01.txt",
            "../x",
        ] {
            assert_eq!(ApprovalFile::named(name), None, "{name}");
        }
    }
}
