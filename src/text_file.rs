//! Text files that people write: read the same everywhere.

use secrecy::zeroize::Zeroizing;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// More than a file of settings, keys or names holds.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// The text of a file, without a byte order mark and with lines that end as Unix ends them, whatever the
/// editor wrote.
///
/// # Errors
/// As the system says; a file that is not UTF-8, or of more than 4 MiB.
pub(crate) fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    read_from(File::open(path)?)
}

/// As [`read`], of a file that is open.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_from(file: impl Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    file.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        let why = "the file is too large to be one of these";
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    let bare = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(Zeroizing::new(bare.replace("\r\n", "\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_and_carriage_returns_are_the_editors() {
        let read = |bytes: &[u8]| read_from(bytes).map(|text| text.to_string());
        assert_eq!(
            read(b"\xef\xbb\xbfa = 1\r\nb = 2\r\n").unwrap(),
            "a = 1\nb = 2\n"
        );
        assert_eq!(read(b"a\nb").unwrap(), "a\nb");
        assert!(read(b"\xff\xfea").is_err());
        assert!(read_from(io::repeat(b'a')).is_err());
    }
}
