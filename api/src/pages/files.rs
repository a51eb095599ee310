//! The files that an operation carries, each by its name, size and digest, the hosts that its text names, and
//! where it differs from the one that runs.

use super::shown::{ShownText, in_thousands, lookalikes};
use ledger::operation::{
    FileChange, GoneFile, Hunk, OperationFile, OperationFiles, UploadedFile, hosts_of, is_plain,
    shown,
};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Most hosts that are looked for in one file, and that are listed of it.
const MOST_HOSTS: usize = 1000;
const MOST_LISTED: usize = 40;
/// Most files that were sent before and are listed.
const MOST_UPLOADS: usize = 500;
/// Lines around a difference.
const CONTEXT: usize = 3;

/// The files of an operation beside those upstream.
#[derive(Debug, Clone, Default)]
pub struct ShownFiles {
    pub files: Vec<ShownFile>,
    /// Files upstream that go.
    pub gone: Vec<(ShownText, u64, String)>,
    /// The reason for which those upstream could not be read.
    pub unread: Option<ShownText>,
    /// They are the parts of a form.
    pub are_parts: bool,
    /// Files that were sent before: path, bytes, and SHA-256 in lower-case hex where they went through this service.
    pub uploads: Vec<(ShownText, u64, Option<String>)>,
    /// The number of those that were sent before.
    pub uploaded: usize,
    /// Some of these did not go through this service.
    pub has_unknown_uploads: bool,
    /// The number of those whose paths hold what cannot be seen or may be taken for something else. They come first.
    pub odd_uploads: usize,
    /// The note on look-alike characters in the paths of all of them.
    pub upload_lookalikes: Option<String>,
    /// The address of the list of all of them.
    pub upload_list: Option<String>,
}

#[derive(Debug, Clone)]
pub struct ShownFile {
    pub name: ShownText,
    /// What its client calls it besides.
    pub file_name: Option<ShownText>,
    pub media_type: ShownText,
    pub bytes: usize,
    /// Lower-case hex.
    pub sha256: String,
    /// False for a binary, of which nothing else is shown.
    pub is_text: bool,
    /// Its fate in one word; empty where nothing is known.
    pub word: &'static str,
    /// Where it differs from the one that runs, as a unified diff.
    pub diff: Option<ShownText>,
    /// Lines that are sent and were not there, and lines that go.
    pub counted: (usize, usize),
    /// The hosts of URLs in its text, each with whether the running code names none like it: these first.
    pub hosts: Vec<(ShownText, bool)>,
    /// The number of hosts that it names besides.
    pub more_hosts: usize,
    /// The address of all of it.
    pub address: Option<String>,
    /// Its text, where no param shows it.
    pub text: Option<ShownText>,
}

impl ShownFiles {
    pub(super) fn of(files: OperationFiles<'_>) -> Self {
        let known = files.known_hosts;
        let of = |file| ShownFile::of(file, known.as_deref());
        let gone = |gone: GoneFile| (ShownText::line(gone.name), gone.bytes, gone.sha256);
        // Files that a person must look at come first, so that none of them is left out for want of room.
        let (plain, odd): (Vec<_>, Vec<_>) =
            files.uploads.iter().partition(|file| is_plain(&file.path));
        let odd_uploads = odd.len();
        let uploads = odd.into_iter().chain(plain).take(MOST_UPLOADS);
        let uploads = uploads.map(|file| {
            let path = ShownText::line(file.path.as_str());
            (path, file.bytes, file.sha256.clone())
        });
        let paths: Vec<_> = files
            .uploads
            .iter()
            .map(|file| file.path.as_str())
            .collect();
        Self {
            odd_uploads,
            upload_lookalikes: lookalikes(&paths.join("\n")),
            upload_list: None,
            are_parts: files.are_parts,
            uploads: uploads.collect(),
            uploaded: files.uploads.len(),
            has_unknown_uploads: files.uploads.iter().any(|file| file.sha256.is_none()),
            files: files.files.into_iter().map(of).collect(),
            gone: files.gone.into_iter().map(gone).collect(),
            unread: files.unread.map(ShownText::line),
        }
    }
}

/// All files that were sent before, one a line: SHA-256 or `unknown`, bytes, and the path, in which what cannot be seen
/// is spelled as on the page.
pub(crate) fn upload_list(uploads: &[UploadedFile]) -> Option<String> {
    let mut list = String::new();
    for file in uploads {
        let sha256 = file.sha256.as_deref().unwrap_or("unknown");
        // Writing to a String cannot fail.
        let _ = writeln!(
            list,
            "{sha256} {} {}",
            file.bytes,
            shown(&file.path, usize::MAX)
        );
    }
    (!uploads.is_empty()).then_some(list)
}

impl ShownFiles {
    /// The number of those whose names hide something.
    pub(super) fn odd(&self) -> String {
        in_thousands(self.odd_uploads)
    }

    /// `19,502 more, in whose names nothing hides`
    pub(super) fn left_out(&self) -> String {
        let more = in_thousands(self.uploaded.saturating_sub(self.uploads.len()));
        match self.odd_uploads.saturating_sub(self.uploads.len()) {
            0 => format!("{more} more, in whose names nothing hides"),
            odd => format!(
                "{more} more; the names of {} of them hide something too",
                in_thousands(odd)
            ),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.uploads.is_empty()
    }
}

impl ShownFile {
    fn of(file: OperationFile<'_>, known: Option<&[String]>) -> Self {
        let text = std::str::from_utf8(file.content).ok();
        let hunks = match &file.change {
            FileChange::Changed(hunks) => hunks.as_deref(),
            FileChange::Unknown | FileChange::Added | FileChange::Same => None,
        };
        let hosts = hosts_of(text.unwrap_or_default(), MOST_HOSTS).into_iter();
        let hosts = hosts.map(|host| {
            let is_new = known.is_some_and(|known| !known.contains(&host));
            (ShownText::line(host), is_new)
        });
        let mut hosts: Vec<_> = hosts.collect();
        hosts.sort_by_key(|(_, is_new)| !is_new);
        let more_hosts = hosts.len().saturating_sub(MOST_LISTED);
        hosts.truncate(MOST_LISTED);
        Self {
            name: ShownText::line(file.name),
            file_name: file
                .file_name
                .filter(|file_name| *file_name != file.name)
                .map(ShownText::line),
            media_type: ShownText::line(file.media_type),
            bytes: file.content.len(),
            sha256: hex::encode(Sha256::digest(file.content)),
            is_text: text.is_some(),
            word: match &file.change {
                FileChange::Unknown => "",
                FileChange::Added => "new",
                FileChange::Same => "unchanged",
                FileChange::Changed(_) => "changed",
            },
            diff: diff_of(&file).map(ShownText::block),
            counted: hunks.map_or((0, 0), counted),
            hosts,
            more_hosts,
            address: None,
            text: file.text.map(ShownText::block),
        }
    }
}

/// Lines that are sent and were not there, and lines that go.
fn counted(hunks: &[Hunk]) -> (usize, usize) {
    hunks
        .iter()
        .fold((0, 0), |(sent, gone): (usize, usize), hunk| {
            let lines = hunk.gone.len().saturating_add(hunk.left_out);
            (sent.saturating_add(hunk.sent), gone.saturating_add(lines))
        })
}

/// The places where a file differs from the one that runs, as a unified diff; `None` where they are not known.
pub(crate) fn diff_of(file: &OperationFile<'_>) -> Option<String> {
    let FileChange::Changed(Some(hunks)) = &file.change else {
        return None;
    };
    let text = std::str::from_utf8(file.content).ok()?;
    Some(unified(text, hunks))
}

/// The differences as a unified diff of the text that is sent, with the lines around them.
fn unified(text: &str, hunks: &[Hunk]) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    let mut diff = String::new();
    let mut rest = hunks;
    // Lines that were there before this place, less those that are sent before it.
    let mut ahead = (0_usize, 0_usize);
    while let Some(first) = rest.first() {
        // Those that lie near each other stand under one heading.
        let near = rest.windows(2).take_while(|pair| match pair {
            [one, next] => next.at.saturating_sub(end(one)) <= 2 * CONTEXT,
            _ => false,
        });
        let (together, others) = rest.split_at(near.count() + 1);
        rest = others;
        let from = first.at.saturating_sub(CONTEXT);
        let until = together.last().map_or(from, end).saturating_add(CONTEXT);
        let until = until.min(lines.len());
        let (sent, gone) = counted(together);
        let length = until.saturating_sub(from);
        let before = from.saturating_add(ahead.1).saturating_sub(ahead.0);
        // Writing to a String cannot fail.
        let _ = writeln!(
            diff,
            "@@ -{},{} +{},{length} @@",
            before.saturating_add(1),
            length.saturating_add(gone).saturating_sub(sent),
            from.saturating_add(1),
        );
        let mut at = from;
        for hunk in together {
            put(&mut diff, ' ', &lines, at..hunk.at);
            for line in &hunk.gone {
                let _ = writeln!(diff, "-{line}");
            }
            if hunk.left_out > 0 {
                let _ = writeln!(
                    diff,
                    "\\ {} more lines go; they are not recorded",
                    hunk.left_out
                );
            }
            put(&mut diff, '+', &lines, hunk.at..end(hunk));
            at = end(hunk);
        }
        put(&mut diff, ' ', &lines, at..until);
        ahead = (ahead.0.saturating_add(sent), ahead.1.saturating_add(gone));
    }
    diff
}

fn end(hunk: &Hunk) -> usize {
    hunk.at.saturating_add(hunk.sent)
}

fn put(diff: &mut String, mark: char, lines: &[&str], which: std::ops::Range<usize>) {
    for line in lines.get(which).unwrap_or_default() {
        let _ = writeln!(diff, "{mark}{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file<'c>(content: &'c [u8], change: FileChange) -> OperationFile<'c> {
        OperationFile {
            name: "a.wasm",
            file_name: None,
            media_type: "application/wasm",
            content,
            change,
            text: None,
        }
    }

    fn hunk(at: usize, sent: usize, gone: &[&str]) -> Hunk {
        Hunk {
            at,
            sent,
            gone: gone.iter().map(|line| (*line).to_owned()).collect(),
            left_out: 0,
        }
    }

    #[test]
    fn a_binary_is_its_name_size_and_digest() {
        let binary = [0, 0x61, 0x73, 0x6d, 0xff];
        let shown = ShownFile::of(file(&binary, FileChange::Changed(None)), None);
        assert!(!shown.is_text && shown.hosts.is_empty() && shown.diff.is_none());
        assert_eq!((shown.bytes, shown.sha256.len()), (5, 64));
        assert_eq!(shown.word, "changed");
    }

    #[test]
    fn hosts_that_the_running_code_does_not_name_are_marked_and_come_first() {
        let mut text: String = (0..60).map(|n| format!("https://h{n}.example/ ")).collect();
        text.push_str("https://evil.example");
        let known: Vec<_> = (0..60).map(|n| format!("h{n}.example")).collect();
        let shown = ShownFile::of(file(text.as_bytes(), FileChange::Unknown), Some(&known));
        assert_eq!(shown.hosts[0].0.original(), "evil.example");
        assert!(shown.hosts[0].1 && !shown.hosts[1].1);
        assert_eq!((shown.hosts.len(), shown.more_hosts), (MOST_LISTED, 21));
        // Where the running code was not read, none is called new.
        let unread = ShownFile::of(file(text.as_bytes(), FileChange::Unknown), None);
        assert!(unread.hosts.iter().all(|(_, is_new)| !is_new));
    }

    #[test]
    fn differences_stand_among_the_lines_around_them() {
        let text: String = (1..=30).map(|n| format!("{n}\n")).collect();
        let hunks = [
            hunk(0, 1, &["one"]),
            hunk(2, 0, &["x", "y"]),
            hunk(20, 1, &[]),
        ];
        let expected = "@@ -1,7 +1,5 @@\n-one\n+1\n 2\n-x\n-y\n 3\n 4\n 5\n\
                        @@ -20,6 +18,7 @@\n 18\n 19\n 20\n+21\n 22\n 23\n 24\n";
        assert_eq!(unified(&text, &hunks), expected);
    }

    #[test]
    fn hunks_that_the_text_does_not_have_are_harmless() {
        for (at, sent) in [(usize::MAX, usize::MAX), (99, 1), (0, 99)] {
            let diff = unified("a\nb", &[hunk(at, sent, &["gone"]), hunk(0, 0, &[])]);
            assert!(diff.contains("-gone"), "{diff}");
        }
    }
}
