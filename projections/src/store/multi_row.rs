//! Statements for many rows at once. A statement for one row costs about ten times its share of one
//! for many, most of it on the way to SQLite's thread and back.

use std::fmt::Write as _;
use std::sync::Arc;

/// How many rows one statement takes. Few sizes, so that each is prepared once and kept, and halves
/// of one another, so that any number of rows takes few statements.
const CHUNKS: [usize; 8] = [128, 64, 32, 16, 8, 4, 2, 1];

/// One statement for each chunk size.
pub(crate) struct MultiRow([Arc<str>; CHUNKS.len()]);

impl MultiRow {
    /// `head (?, …), (?, …) … tail` with as many places in a row as there are columns.
    pub(crate) fn new(head: &str, columns: usize, tail: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        Self(CHUNKS.map(|rows| {
            let mut sql = String::from(head);
            let _ = write!(sql, " {}{tail}", vec![row.as_str(); rows].join(","));
            Arc::from(sql)
        }))
    }

    /// Splits the rows into chunks and gives the statement for each.
    pub(crate) fn chunks<'r, T>(
        &self,
        mut rows: &'r [T],
    ) -> impl Iterator<Item = (Arc<str>, &'r [T])> {
        std::iter::from_fn(move || {
            let (size, sql) = CHUNKS
                .iter()
                .zip(&self.0)
                .find(|(size, _)| **size <= rows.len())?;
            let (chunk, rest) = rows.split_at(*size);
            rows = rest;
            Some((Arc::clone(sql), chunk))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_the_rows_in_order() {
        let statement = MultiRow::new("INSERT INTO t VALUES", 2, "");
        for count in [0_usize, 1, 7, 8, 9, 127, 128, 300] {
            let rows: Vec<usize> = (0..count).collect();
            let mut seen = Vec::new();
            for (sql, chunk) in statement.chunks(&rows) {
                assert_eq!(sql.matches("(?,?)").count(), chunk.len());
                seen.extend_from_slice(chunk);
            }
            assert_eq!(seen, rows);
        }
    }
}
