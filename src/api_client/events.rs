//! A stream of server-sent events (WHATWG HTML, section 9.2), as a client reads it.

use anyhow::{Context, ensure};
use reqwest::Response;
use std::time::Duration;

/// A message of the service is smaller.
const MOST_BYTES: usize = 1024 * 1024;
/// The service says something every 20 seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Message {
    /// Empty where the stream names none.
    pub(crate) event: String,
    pub(crate) data: String,
}

/// The rest of a stream.
pub(crate) struct EventStream {
    response: Response,
    buffer: Vec<u8>,
}

impl EventStream {
    pub(super) const fn new(response: Response) -> Self {
        Self {
            response,
            buffer: Vec::new(),
        }
    }

    /// The next message with data; `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks, nothing comes for a minute, or a message is too large.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Message>> {
        loop {
            while let Some(message) = take(&mut self.buffer) {
                if !message.data.is_empty() {
                    return Ok(Some(message));
                }
            }
            let part = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let part = part.context("nothing has come for a minute")?;
            let Some(part) = part.context("the connection broke")? else {
                return Ok(None);
            };
            ensure!(
                self.buffer.len() + part.len() <= MOST_BYTES,
                "a message is too large"
            );
            self.buffer.extend_from_slice(&part);
        }
    }
}

/// The first whole message of the buffer, which is taken from it. Its lines end with line feeds, as the
/// service writes them.
fn take(buffer: &mut Vec<u8>) -> Option<Message> {
    let end = buffer.windows(2).position(|two| two == b"\n\n")?;
    let block: Vec<u8> = buffer.drain(..end + 2).collect();
    let text = String::from_utf8_lossy(&block);
    let mut message = Message::default();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut message.event),
            "data" if message.data.is_empty() => value.clone_into(&mut message.data),
            "data" => {
                message.data.push('\n');
                message.data.push_str(value);
            }
            _ => {}
        }
    }
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_whole_and_in_their_order() {
        let mut buffer =
            b": still here\n\nid: 4\ndata: [1]\n\nevent: ended\ndata: {}\ndata:x\n\nid: 5".to_vec();
        let message = |event: &str, data: &str| Message {
            event: event.to_owned(),
            data: data.to_owned(),
        };
        assert_eq!(take(&mut buffer), Some(Message::default()));
        assert_eq!(take(&mut buffer), Some(message("", "[1]")));
        assert_eq!(take(&mut buffer), Some(message("ended", "{}\nx")));
        assert_eq!(take(&mut buffer), None);
        assert_eq!(buffer, b"id: 5");
    }
}
