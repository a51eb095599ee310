//! The tokens of an answer, read from a copy beside it. What goes to the client never waits for this, and is
//! never changed by it.

use crate::headers::is_event_stream;
use flate2::write::GzDecoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use memchr::memchr;
use memchr::memmem::Finder;
use serde::Deserialize;
use std::io::{self, Write};
use std::sync::LazyLock;

/// The longest line of a stream that is read; those that say what was used are short.
const LONGEST_LINE: usize = 64 * 1024;
/// The longest answer that is no stream.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

/// No answer uses more of anything; upstream may say so, and sums must hold.
const MOST: u64 = 1 << 40;

/// In each event that says something here.
static MESSAGE: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"message_"));
/// In each event with a piece of the answer.
static DELTA: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"content_block_delta\""));
/// The bytes of such an event around the piece, and at least.
const AROUND_DELTA: u64 = 90;
/// A token has this many bytes, and mostly more.
const BYTES_OF_TOKEN: u64 = 3;

/// The tokens that an answer has used, as far as it said so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// As the answer has it, which may be more exact than what was asked for; empty where none was seen.
    pub model: String,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Written to the cache for five minutes, and for an hour.
    pub cache_creation_5m: u64,
    pub cache_creation_1h: u64,
    pub cache_read: u64,
    pub web_searches: u64,
    /// The answer did not come to its end.
    pub is_interrupted: bool,
}

/// The usage of a message, as Anthropic's API says it. In a stream each is the count so far, not what was added.
#[derive(Debug, Deserialize)]
struct Said {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<Created>,
    server_tool_use: Option<Tools>,
}

#[derive(Debug, Deserialize)]
struct Created {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Tools {
    web_search_requests: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Message {
    model: Option<String>,
    usage: Option<Said>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Message,
    },
    MessageDelta {
        usage: Option<Said>,
    },
    MessageStop,
    #[serde(other)]
    Other,
}

impl Usage {
    fn take_message(&mut self, message: Message) {
        // Names of models are short.
        if let Some(model) = message.model.filter(|model| model.len() <= 128) {
            self.model = model;
        }
        if let Some(said) = message.usage {
            self.take(said);
        }
    }

    /// Takes over the counts that are said; the last one that says a count is right.
    fn take(&mut self, said: Said) {
        let set = |place: &mut u64, count: Option<u64>| {
            if let Some(count) = count {
                *place = count.min(MOST);
            }
        };
        set(&mut self.input_tokens, said.input_tokens);
        set(&mut self.output_tokens, said.output_tokens);
        set(&mut self.cache_read, said.cache_read_input_tokens);
        match said.cache_creation {
            Some(created) => {
                set(
                    &mut self.cache_creation_5m,
                    created.ephemeral_5m_input_tokens,
                );
                set(
                    &mut self.cache_creation_1h,
                    created.ephemeral_1h_input_tokens,
                );
            }
            // Without its parts the sum is of what is kept for five minutes, unless parts were said before.
            None if self.cache_creation_1h == 0 => {
                set(
                    &mut self.cache_creation_5m,
                    said.cache_creation_input_tokens,
                );
            }
            None => {}
        }
        let searches = said.server_tool_use.and_then(|it| it.web_search_requests);
        set(&mut self.web_searches, searches);
    }
}

/// What an answer used that came in these pieces; `None` for one that uses nothing.
#[must_use]
pub fn read_usage<'a>(
    headers: &HeaderMap,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    is_whole: bool,
) -> Option<Usage> {
    let mut reader = Reader::of(StatusCode::OK, headers)?;
    for piece in pieces {
        reader.read(piece);
    }
    Some(reader.end(is_whole))
}

/// Reads a copy of one answer.
#[derive(Debug)]
pub(crate) struct Reader(Coding);

#[derive(Debug)]
enum Coding {
    Plain(Copied),
    Gzip(Box<GzDecoder<Copied>>),
    /// It cannot be read further.
    Lost(Copied),
}

/// The part of an answer that is not read yet, and what the rest said.
#[derive(Debug, Default)]
struct Copied {
    is_stream: bool,
    bytes: Vec<u8>,
    /// What comes up to the next line is longer than what is read.
    is_skipping: bool,
    has_stopped: bool,
    /// The bytes of the pieces that came since upstream last said how many tokens they are.
    untold: u64,
    usage: Usage,
}

impl Reader {
    /// For an answer to messages.create with this head; `None` for one that uses nothing.
    pub(crate) fn of(status: StatusCode, headers: &HeaderMap) -> Option<Self> {
        if status != StatusCode::OK {
            return None;
        }
        let copied = Copied {
            is_stream: is_event_stream(headers),
            ..Copied::default()
        };
        let coding = headers.get(header::CONTENT_ENCODING);
        Some(Self(match coding.map(HeaderValue::as_bytes) {
            None | Some(b"identity" | b"") => Coding::Plain(copied),
            Some(b"gzip" | b"x-gzip") => Coding::Gzip(Box::new(GzDecoder::new(copied))),
            Some(_) => Coding::Lost(copied),
        }))
    }

    /// Reads the next piece.
    pub(crate) fn read(&mut self, data: &[u8]) {
        match &mut self.0 {
            Coding::Plain(copied) => copied.take(data),
            Coding::Gzip(decoder) => {
                let read = decoder.write_all(data).and_then(|()| decoder.flush());
                if read.is_err() {
                    let copied = std::mem::take(decoder.get_mut());
                    self.0 = Coding::Lost(copied);
                }
            }
            Coding::Lost(_) => {}
        }
    }

    /// Whether the stream has had its last event.
    pub(crate) fn has_stopped(&self) -> bool {
        match &self.0 {
            Coding::Plain(copied) | Coding::Lost(copied) => copied.has_stopped,
            Coding::Gzip(decoder) => decoder.get_ref().has_stopped,
        }
    }

    /// What was used, of an answer that has ended whole or not.
    pub(crate) fn end(&mut self, is_whole: bool) -> Usage {
        let mut copied = match &mut self.0 {
            Coding::Plain(copied) | Coding::Lost(copied) => std::mem::take(copied),
            Coding::Gzip(decoder) => std::mem::take(decoder.get_mut()),
        };
        if !copied.is_stream && is_whole {
            copied.read_message();
        }
        let is_complete = is_whole && (copied.has_stopped || !copied.is_stream);
        copied.usage.is_interrupted = !is_complete;
        if !is_complete {
            // Who goes before upstream says what it was has had it all the same.
            let untold = copied.untold.div_ceil(BYTES_OF_TOKEN);
            let output = &mut copied.usage.output_tokens;
            *output = output.saturating_add(untold).min(MOST);
        }
        copied.usage
    }
}

impl Copied {
    fn take(&mut self, mut data: &[u8]) {
        if !self.is_stream {
            self.keep(data, LONGEST_ANSWER);
            return;
        }
        while let Some(end) = memchr(b'\n', data) {
            let (line, rest) = data.split_at(end);
            data = rest.get(1..).unwrap_or_default();
            let is_whole = self.bytes.is_empty() && !self.is_skipping;
            if is_whole && line.len() <= LONGEST_LINE {
                self.read_line(line);
                continue;
            }
            self.keep(line, LONGEST_LINE);
            if std::mem::take(&mut self.is_skipping) {
                continue;
            }
            let mut bytes = std::mem::take(&mut self.bytes);
            self.read_line(&bytes);
            bytes.clear();
            self.bytes = bytes;
        }
        self.keep(data, LONGEST_LINE);
    }

    fn keep(&mut self, data: &[u8], longest: usize) {
        if self.is_skipping {
            return;
        }
        if self.bytes.len().saturating_add(data.len()) > longest {
            self.is_skipping = true;
            self.bytes = Vec::new();
            return;
        }
        self.bytes.extend_from_slice(data);
    }

    /// Reads one line of a stream. Each event of Anthropic's has its data in one.
    fn read_line(&mut self, line: &[u8]) {
        let Some(data) = line.strip_prefix(b"data:") else {
            return;
        };
        // Most events are pieces of text, which are not worth parsing.
        if MESSAGE.find(data).is_none() {
            let bytes = data.len() as u64;
            if DELTA.find(data).is_some() {
                let piece = bytes.saturating_sub(AROUND_DELTA).max(1);
                self.untold = self.untold.saturating_add(piece);
            }
            return;
        }
        match serde_json::from_slice(data) {
            Ok(Event::MessageStart { message }) => self.usage.take_message(message),
            Ok(Event::MessageDelta { usage: Some(said) }) => {
                if said.output_tokens.is_some() {
                    self.untold = 0;
                }
                self.usage.take(said);
            }
            Ok(Event::MessageStop) => self.has_stopped = true,
            Ok(Event::MessageDelta { usage: None } | Event::Other) | Err(_) => {}
        }
    }

    /// Reads an answer that is no stream.
    fn read_message(&mut self) {
        if let Ok(message) = serde_json::from_slice(&self.bytes) {
            self.usage.take_message(message);
        }
    }
}

impl Write for Copied {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.take(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    const STREAM: &str = concat!(
        "event: message_start\n",
        r#"data: {"type":"message_start","message":{"id":"m","model":"claude-x","usage":{"#,
        r#""input_tokens":25,"cache_creation_input_tokens":30,"cache_read_input_tokens":7,"#,
        r#""cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"#,
        r#""output_tokens":1}}}"#,
        "\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n",
        r#"data: {"type":"content_block_delta","delta":{"text":"say \"message_stop\""}}"#,
        "\n\n",
        r#"data: {"type":"message_delta","delta":{},"usage":{"output_tokens":9}}"#,
        "\r\n\r\n",
        r#"data: {"type":"message_delta","usage":{"input_tokens":26,"output_tokens":15,"#,
        r#""server_tool_use":{"web_search_requests":2}}}"#,
        "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );

    fn whole() -> Usage {
        Usage {
            model: "claude-x".to_owned(),
            input_tokens: 26,
            output_tokens: 15,
            cache_creation_5m: 10,
            cache_creation_1h: 20,
            cache_read: 7,
            web_searches: 2,
            is_interrupted: false,
        }
    }

    fn reader(kind: &'static str, coding: Option<&'static str>) -> Reader {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        Reader::of(StatusCode::OK, &headers).unwrap()
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        // Each line is a block of its own, as where events are flushed.
        for line in text.split_inclusive('\n') {
            encoder.write_all(line.as_bytes()).unwrap();
            encoder.flush().unwrap();
        }
        encoder.finish().unwrap()
    }

    #[test]
    fn counts_of_a_stream_are_cumulative_and_the_same_however_they_arrive() {
        let coded = gzip(STREAM);
        for (coding, bytes) in [(None, STREAM.as_bytes()), (Some("gzip"), &coded)] {
            for piece in [1, 7, 100, bytes.len()] {
                let mut reader = reader("text/event-stream", coding);
                for data in bytes.chunks(piece) {
                    reader.read(data);
                }
                assert!(reader.has_stopped(), "{coding:?} {piece}");
                assert_eq!(reader.end(true), whole(), "{coding:?} {piece}");
            }
        }
    }

    #[test]
    fn what_was_seen_before_a_hang_up_counts_as_interrupted() {
        let mut last = Usage::default();
        for (end, _) in STREAM.match_indices("\n\n") {
            let mut reader = reader("text/event-stream", None);
            reader.read(&STREAM.as_bytes()[..end + 1]);
            let seen = reader.end(false);
            assert!(seen.is_interrupted);
            assert!(seen.output_tokens >= last.output_tokens, "{seen:?}");
            assert_eq!((&*seen.model, seen.cache_creation_1h), ("claude-x", 20));
            last = seen;
        }
        let mut reader = reader("text/event-stream", None);
        let nothing = reader.end(false);
        assert_eq!((nothing.output_tokens, nothing.is_interrupted), (0, true));
    }

    #[test]
    fn what_came_and_was_not_told_is_estimated_where_the_answer_did_not_come_to_its_end() {
        let start = STREAM.split_inclusive("\n\n").next().unwrap();
        let piece = |text: &str| {
            format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\
                 \"text\":\"{text}\"}}}}\n\n"
            )
        };
        let pieces = piece(&"word ".repeat(60)).repeat(10);
        let told = r#"data: {"type":"message_delta","usage":{"output_tokens":600}}"#;
        let used = |text: &str, is_whole: bool| {
            let mut reader = reader("text/event-stream", None);
            reader.read(text.as_bytes());
            reader.end(is_whole).output_tokens
        };
        let seen = used(&format!("{start}{pieces}"), false);
        assert!((900..1200).contains(&seen), "{seen}");
        assert_eq!(used(&format!("{start}{pieces}{told}\n\n"), false), 600);
        let stop = r#"data: {"type":"message_stop"}"#;
        let whole = format!("{start}{pieces}{told}\n\n{stop}\n\n");
        assert_eq!(used(&whole, true), 600);
        assert_eq!(used(&format!("{start}{}", piece("")), false), 2);
    }

    #[test]
    fn an_answer_in_one_piece_counts_the_same() {
        let body = r#"{"type":"message","model":"claude-x","content":[],"usage":{"input_tokens":26,
            "output_tokens":15,"cache_creation_input_tokens":30,"cache_read_input_tokens":7,
            "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},
            "server_tool_use":{"web_search_requests":2}}}"#;
        let mut reader = reader("application/json", None);
        reader.read(body.as_bytes());
        assert_eq!(reader.end(true), whole());
        let older =
            r#"{"model":"claude-x","usage":{"input_tokens":1,"cache_creation_input_tokens":30}}"#;
        let mut reader = self::reader("application/json", None);
        reader.read(older.as_bytes());
        assert_eq!(reader.end(true).cache_creation_5m, 30);
    }

    #[test]
    fn what_cannot_be_read_or_is_too_long_counts_nothing_and_stops_nothing() {
        let mut reader = reader("text/event-stream", Some("gzip"));
        reader.read(b"this is no gzip");
        reader.read(STREAM.as_bytes());
        assert_eq!(reader.end(true).output_tokens, 0);
        let mut reader = self::reader("text/event-stream", None);
        let long = format!("data: {{\"x\":\"{}\"}}\n\n", "y".repeat(2 * LONGEST_LINE));
        for data in long.as_bytes().chunks(1000) {
            reader.read(data);
        }
        reader.read(STREAM.as_bytes());
        assert_eq!(reader.end(true), whole());
        let status = StatusCode::BAD_REQUEST;
        assert!(Reader::of(status, &HeaderMap::new()).is_none());
    }
}
