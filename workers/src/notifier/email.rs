//! A message for a mailbox: plain text in ASCII, whatever agents write.
//!
//! Limits: 998 characters of a line (RFC 5322, section 2.1.1), which quoted-printable and encoded words keep
//! (RFC 2045, section 6.7; RFC 2047). Mail readers make links of whatever looks like an address, so only the link is
//! left looking like one.

use super::mail_server::MailAddress;
use super::{REVIEW, Text};
use crate::question::visible;
use ledger::{DeliveryId, Timestamp};
use lettre::error::Error;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Message, SinglePart};
use std::time::{Duration, SystemTime};

/// The longest subject, in characters.
const LONGEST_SUBJECT: usize = 150;

/// The message as it is sent, in lines that end with CRLF. The same delivery has the same Message-ID on every try, so
/// that readers can tell a repetition.
///
/// # Errors
/// None for addresses that were parsed.
pub(super) fn message(
    text: &Text,
    url: &str,
    (from, to): (&MailAddress, &MailAddress),
    delivery: DeliveryId,
    now: Timestamp,
) -> Result<Vec<u8>, Error> {
    let subject = format!("{}: {}", text.title, text.asks.trim_end_matches(':'));
    let lines: Vec<String> = text.lines().map(|line| unlinked(&line)).collect();
    let body = format!(
        "{}\n\n{}\n\n{REVIEW}:\n{url}\n\nAn answer to this message decides nothing.\n",
        text.title,
        lines.join("\n"),
    );
    let body = body.replace('\n', "\r\n");
    let encoding = ContentTransferEncoding::QuotedPrintable;
    let body = Body::new_with_encoding(body, encoding).map_err(|_| Error::NonAsciiChars)?;
    let plain = |name: &'static str, value: String| {
        HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
    };
    let message = Message::builder()
        .from(Mailbox::new(None, from.0.clone()))
        .to(Mailbox::new(None, to.0.clone()))
        .date(sent_at(now))
        .message_id(Some(format!("<{delivery}@{}>", from.0.domain())))
        .subject(unencoded(&unlinked(&visible(&subject, LONGEST_SUBJECT))))
        // RFC 3834: nobody's out-of-office answers it.
        .raw_header(plain("Auto-Submitted", "auto-generated".to_owned()))
        .singlepart(
            SinglePart::builder()
                .header(ContentType::TEXT_PLAIN)
                .body(body),
        )?;
    Ok(message.formatted())
}

fn sent_at(now: Timestamp) -> SystemTime {
    let seconds = u64::try_from(now.as_seconds()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The same for what would be read as an encoded word.
fn unencoded(text: &str) -> String {
    text.replace("=?", "=\u{200b}?")
}

/// A space of no width breaks what would be an address.
fn unlinked(text: &str) -> String {
    let mut broken = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        broken.push(c);
        let goes_on = chars.peek().is_some_and(|next| !next.is_whitespace());
        if goes_on && ".:@/".contains(c) {
            broken.push('\u{200b}');
        }
    }
    broken
}
