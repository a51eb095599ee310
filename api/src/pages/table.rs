//! A list of a param as a table: what a wrong answer costs most first, each entry with its place.

use super::card::ShownWarning;
use super::shown::ShownText;
use ledger::operation::{Entries, Entry, EntryChange};

/// A list of a param, entry by entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownTable {
    pub noun: &'static str,
    /// In the order in which they are to be read.
    pub rows: Vec<TableRow>,
    /// Where not all fit.
    pub left_out: Option<ShownText>,
    /// The number of rows of each kind, in words, also of those that are left out.
    counted: String,
    /// The note on look-alike characters, over all rows.
    lookalikes: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// Its place in its list, from 1.
    pub number: usize,
    pub change: EntryChange,
    pub cells: Vec<TableCell>,
    /// Its other fields, one on each line, as JSON.
    pub more: Option<ShownText>,
    pub warnings: Vec<ShownWarning>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCell {
    pub name: &'static str,
    pub value: ShownText,
    pub was: Option<ShownText>,
}

impl ShownTable {
    pub(super) fn of(entries: Entries) -> Self {
        let mut rows: Vec<TableRow> = entries.entries.into_iter().map(TableRow::of).collect();
        rows.sort_by_key(|row| (!row.is_dangerous(), row.change, row.number));
        Self {
            noun: entries.noun,
            counted: counted(&rows),
            lookalikes: lookalikes(&rows),
            rows,
            left_out: None,
        }
    }

    /// True where a cell has this character.
    pub(super) fn holds(&self, character: char) -> bool {
        let is_in = |text: &ShownText| text.original().contains(character);
        let mut cells = self.rows.iter().flat_map(|row| &row.cells);
        cells.any(|cell| is_in(&cell.value) || cell.was.as_ref().is_some_and(is_in))
    }

    /// The rows that are open, and those that are folded because they stand as they are.
    pub(super) fn folded(&self) -> (&[TableRow], &[TableRow]) {
        const OPEN: usize = 5;
        const LEAST_FOLDED: usize = 3;
        let is_told = |row: &&TableRow| row.is_dangerous() || row.change != EntryChange::Same;
        let open = self.rows.iter().filter(is_told).count().max(OPEN);
        match self.rows.split_at_checked(open) {
            Some((open, folded)) if folded.len() >= LEAST_FOLDED => (open, folded),
            _ => (&self.rows, &[]),
        }
    }

    pub(super) fn shorten(&mut self, rows: usize, file: &impl Fn() -> String) {
        if self.rows.len() > rows {
            let left_out = self.rows.len() - rows;
            self.rows.truncate(rows);
            self.left_out = Some(ShownText::left_out(left_out, file(), None));
        }
    }

    pub(super) fn each_text(&mut self, visit: &mut dyn FnMut(&mut ShownText)) {
        for row in &mut self.rows {
            for cell in &mut row.cells {
                visit(&mut cell.value);
                cell.was.iter_mut().for_each(&mut *visit);
            }
            row.more.iter_mut().for_each(&mut *visit);
            for warning in &mut row.warnings {
                visit(&mut warning.text);
            }
        }
    }

    pub(super) fn lookalikes(&self) -> Option<&str> {
        self.lookalikes.as_deref()
    }

    pub(super) fn counted(&self) -> &str {
        &self.counted
    }
}

fn lookalikes(rows: &[TableRow]) -> Option<String> {
    let texts = rows.iter().flat_map(|row| {
        let cells = row.cells.iter();
        let cells = cells.flat_map(|cell| std::iter::once(&cell.value).chain(&cell.was));
        cells.chain(&row.more)
    });
    let all: Vec<&str> = texts.map(ShownText::original).collect();
    ShownText::block(all.join("\n")).lookalikes()
}

fn counted(rows: &[TableRow]) -> String {
    let count = |change: EntryChange| rows.iter().filter(|row| row.change == change).count();
    let told = [
        (EntryChange::Added, "new"),
        (EntryChange::Changed, "changed"),
        (EntryChange::Moved, "moved"),
        (EntryChange::Lost, "lost"),
        (EntryChange::Same, "unchanged"),
        (
            EntryChange::Unknown,
            "to be sent; what is there now was not read",
        ),
    ];
    let told = told
        .into_iter()
        .map(|(change, word)| (count(change), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"));
    told.collect::<Vec<_>>().join(", ")
}

impl TableRow {
    fn of(entry: Entry) -> Self {
        let cells = entry.fields.into_iter().map(|field| TableCell {
            name: field.name,
            value: ShownText::block(field.value),
            was: field.was.map(ShownText::block),
        });
        let more = entry.more.iter();
        let more: Vec<_> = more
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let more = (!more.is_empty()).then(|| ShownText::block(more.join("\n")));
        Self {
            number: entry.number,
            change: entry.change,
            cells: cells.collect(),
            more,
            warnings: entry.warnings.into_iter().map(ShownWarning::of).collect(),
        }
    }

    pub(super) fn is_dangerous(&self) -> bool {
        self.warnings.iter().any(|warning| warning.is_danger)
    }

    /// True where its other fields are folded: it goes, or stays as it is.
    pub(super) const fn folds_the_rest(&self) -> bool {
        matches!(self.change, EntryChange::Lost | EntryChange::Same)
    }

    /// Its fate in one word; empty where it stays or nothing is known.
    pub(super) fn word(&self) -> &'static str {
        match self.change {
            EntryChange::Lost => "lost",
            EntryChange::Changed => "changed",
            EntryChange::Moved => "moved",
            EntryChange::Added => "new",
            EntryChange::Same => "unchanged",
            EntryChange::Unknown => "",
        }
    }

    /// Its id on the page below that of its card.
    pub(super) fn anchor(&self) -> String {
        match self.change {
            EntryChange::Lost => format!("lost-{}", self.number),
            _ => self.number.to_string(),
        }
    }
}
