//! The end of a request's head, found in its bytes, and what in it could be read in two ways. The HTTP
//! library forgives some of that: lines that end in LF alone, and two statements of a body's length
//! (RFC 9112, sections 2.2, 6.1 and 6.3), and targets with a fragment.

/// The fields that say where a body ends.
const CONTENT_LENGTH: &[u8] = b"content-length";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding";
const LONGEST_NAME: usize = TRANSFER_ENCODING.len();

/// How far a head has been read.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The bytes of this line, without its end.
    line: usize,
    /// The last byte was a CR.
    after_cr: bool,
    /// The request line has begun.
    has_begun: bool,
    /// The request line is behind us.
    in_fields: bool,
    name: [u8; LONGEST_NAME],
    /// How much of a field's name has been read; `None` behind it, or where it is too long.
    named: Option<usize>,
    lengths: u32,
    encodings: u32,
    is_ambiguous: bool,
    /// It begins with what no method begins with: another protocol, most likely TLS.
    is_foreign: bool,
}

impl Head {
    /// Reads on. `Some` is how many of these bytes the head still has, when it ends among them.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<usize> {
        let end = bytes.iter().position(|byte| self.next(*byte))?;
        Some(end.saturating_add(1))
    }

    /// True when anything but empty lines has come.
    pub(super) const fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// True once the bytes cannot become a request.
    pub(super) const fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    /// True when two readers could understand different things.
    pub(super) const fn is_ambiguous(&self) -> bool {
        self.is_ambiguous || self.lengths.saturating_add(self.encodings) > 1
    }

    fn next(&mut self, byte: u8) -> bool {
        let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
        match byte {
            b'\n' => {
                self.is_ambiguous |= !after_cr;
                return self.end_line();
            }
            _ if after_cr => self.is_ambiguous = true,
            b'\r' => {}
            _ => self.take(byte),
        }
        false
    }

    fn take(&mut self, byte: u8) {
        if !self.has_begun {
            self.is_foreign = !byte.is_ascii_alphanumeric() && !b"!#$%&'*+-.^_`|~".contains(&byte);
        }
        self.has_begun = true;
        self.line = self.line.saturating_add(1);
        if !self.in_fields {
            // A target has no fragment (section 3.2); the library drops one, others may not.
            self.is_ambiguous |= byte == b'#';
            return;
        }
        let Some(named) = self.named else {
            return;
        };
        if byte == b':' {
            self.count(named);
            self.named = None;
            return;
        }
        self.named = self.name.get_mut(named).map(|place| {
            *place = byte.to_ascii_lowercase();
            named.saturating_add(1)
        });
    }

    fn count(&mut self, named: usize) {
        match self.name.get(..named) {
            Some(CONTENT_LENGTH) => self.lengths = self.lengths.saturating_add(1),
            Some(TRANSFER_ENCODING) => self.encodings = self.encodings.saturating_add(1),
            _ => {}
        }
    }

    /// Empty lines before the request line are none of the head (section 2.2).
    fn end_line(&mut self) -> bool {
        let is_empty = std::mem::take(&mut self.line) == 0;
        self.named = Some(0);
        let is_end = is_empty && self.in_fields;
        self.in_fields |= !is_empty;
        is_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the head ends and whether it is ambiguous, read in pieces of so many bytes.
    fn read(text: &str, piece: usize) -> (Option<usize>, bool) {
        let mut head = Head::default();
        let mut before = 0;
        for bytes in text.as_bytes().chunks(piece) {
            if let Some(end) = head.read(bytes) {
                return (Some(before + end), head.is_ambiguous());
            }
            before += bytes.len();
        }
        (None, head.is_ambiguous())
    }

    #[test]
    fn the_end_is_found_however_the_bytes_arrive() {
        let head = "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n";
        for piece in 1..=head.len() {
            let both = format!("\r\n\r\n{head}{{}}\r\n\r\n");
            assert_eq!(read(&both, piece), (Some(head.len() + 4), false), "{piece}");
            assert_eq!(read(&head[..head.len() - 1], piece), (None, false));
        }
        let mut head = Head::default();
        assert_eq!(head.read(b"\r\n\r\n"), None);
        assert!(!head.has_begun());
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_told() {
        for fields in [
            "host: x\n",
            "host: x\r\r\n",
            "a: b\rc: d\r\n",
            "content-length: 2\r\ncontent-length: 2\r\n",
            "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
            "transfer-encoding: chunked\r\nCONTENT-LENGTH: 2\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        ] {
            let text = format!("POST / HTTP/1.1\r\n{fields}\r\n");
            for piece in [1, 7, text.len()] {
                assert!(read(&text, piece).1, "{fields:?}");
            }
        }
        assert!(read("\nGET / HTTP/1.1\r\n\r\n", 3).1);
        assert!(read("GET /a#b HTTP/1.1\r\n\r\n", 3).1);
        assert_eq!(read("GET / HTTP/1.1\n\n", 4), (Some(16), true));
    }

    #[test]
    fn names_that_only_look_like_it_are_none_of_them() {
        let text = "POST /content-length: HTTP/1.1\r\nx: content-length: 1#\r\n\
                    content-lengths: 1\r\nx-content-length: 1\r\ntransfer-encodings: 1\r\n\
                    content-length: 1\r\n\r\n";
        assert_eq!(read(text, 5), (Some(text.len()), false));
    }
}
