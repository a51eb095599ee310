//! The logs that a witness watches, as its operator lists them.

use crate::text_file;
use anyhow::{Context, bail, ensure};
use ledger::tlog::{LogKey, LogOrigin};
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

/// The keys of each log. A log has more than one while it changes its key.
///
/// Text form: one key a line, its verifier key, then, where the log's origin is not the key's name, a
/// blank and the origin, which reaches to the line's end. Blank lines and lines that begin with `#` are
/// left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WatchedLogs(BTreeMap<LogOrigin, Vec<LogKey>>);

impl WatchedLogs {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or a line is wrong, which is named.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = text_file::read(path)
            .with_context(|| format!("reading the logs in {}", path.display()))?;
        text.parse()
            .with_context(|| format!("the file of logs {}", path.display()))
    }
}

impl FromStr for WatchedLogs {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut logs: BTreeMap<LogOrigin, Vec<LogKey>> = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (origin, key) =
                parse_line(line).with_context(|| format!("line {} is wrong", at + 1))?;
            let keys = logs.entry(origin).or_default();
            if keys.contains(&key) {
                bail!("line {} has a key that stands above already", at + 1);
            }
            keys.push(key);
        }
        ensure!(
            !logs.is_empty(),
            "it names no log, so there is nothing to watch"
        );
        Ok(Self(logs))
    }
}

impl IntoIterator for WatchedLogs {
    type Item = (LogOrigin, Vec<LogKey>);
    type IntoIter = std::collections::btree_map::IntoIter<LogOrigin, Vec<LogKey>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

fn parse_line(line: &str) -> anyhow::Result<(LogOrigin, LogKey)> {
    let (key, origin) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let key: LogKey = key.parse()?;
    let origin = match origin.trim() {
        "" => LogOrigin::from(key.name()),
        origin => origin.parse()?,
    };
    Ok((origin, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::tlog::LogSigner;

    fn key(name: &str, seed: u8) -> LogKey {
        LogSigner::from_seed(name.parse().unwrap(), &[seed; 32]).public()
    }

    #[test]
    fn a_line_is_a_key_and_its_origin_where_that_is_another() {
        let (a, b, c) = (
            key("log.example/a", 1),
            key("b", 2),
            key("log.example/a", 3),
        );
        let text = format!("# ours\n{a}\n\n  {b}\tGo.SUM database tree\n{c} log.example/a\n");
        let logs: Vec<_> = text.parse::<WatchedLogs>().unwrap().into_iter().collect();
        let origin = |text: &str| text.parse::<LogOrigin>().unwrap();
        let expected = [
            (origin("Go.SUM database tree"), vec![b]),
            (origin("log.example/a"), vec![a, c]),
        ];
        assert_eq!(logs, expected);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let a = key("log.example/a", 1);
        for (text, says) in [
            (String::new(), "no log"),
            ("# nothing\n".to_owned(), "no log"),
            (format!("{a}\nlog.example/b\n"), "line 2"),
            (format!("{a}\n{a}\n"), "line 2"),
            (format!("\n{}", &a.to_string()[1..]), "line 2"),
        ] {
            let refused = format!("{:#}", text.parse::<WatchedLogs>().unwrap_err());
            assert!(refused.contains(says), "{text:?}: {refused}");
        }
    }
}
