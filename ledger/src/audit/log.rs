//! Records as bytes: positions, hashes, the chain, the tree. Nothing here reads a payload.

use super::check::Check;
use super::finding::Findings;
use crate::clock::Timestamp;
use crate::id::LedgerId;
use crate::record::{Header, RecordHash, SALT_LEN, genesis_hash, payload_digest, record_hash_of};
use crate::tlog::{Frontier, StoredHash, leaf_hash};

/// The event type of `ledger.created`.
const LEDGER_CREATED: u16 = 1;

/// One record as it was found.
#[derive(Debug, Clone, Copy)]
pub struct AuditRecord<'a> {
    /// Its header.
    pub header: Header,
    /// The hash that is stored beside it, where one is.
    pub record_hash: Option<RecordHash>,
    /// Salt and payload, where they are still there.
    pub content: Option<Content<'a>>,
}

/// The part of a record that can be erased.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// The salt of the payload's digest.
    pub salt: &'a [u8; SALT_LEN],
    /// The stored bytes.
    pub payload: &'a [u8],
}

/// The fold over headers.
#[derive(Debug)]
pub(super) struct Log {
    from: u64,
    next: u64,
    records: u64,
    head: Option<RecordHash>,
    times: Option<(Timestamp, Timestamp)>,
    ledger_id: Option<LedgerId>,
    frontier: Frontier,
    /// Kept for its allocation only.
    rows: Vec<StoredHash>,
}

impl Log {
    /// Before the first record, which is expected at the frontier's size.
    pub(super) fn new(frontier: Frontier) -> Self {
        Self {
            from: frontier.size(),
            next: frontier.size(),
            records: 0,
            head: None,
            times: None,
            ledger_id: None,
            frontier,
            rows: Vec::new(),
        }
    }

    pub(super) const fn from(&self) -> u64 {
        self.from
    }

    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    pub(super) const fn records(&self) -> u64 {
        self.records
    }

    pub(super) const fn head(&self) -> Option<RecordHash> {
        self.head
    }

    /// When the first and the last record were recorded.
    pub(super) const fn times(&self) -> Option<(Timestamp, Timestamp)> {
        self.times
    }

    /// As the record at position 0 names it.
    pub(super) const fn ledger_id(&self) -> Option<LedgerId> {
        self.ledger_id
    }

    pub(super) const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Takes in the next record. Whatever is wrong with it, the ones after it are held against it, so
    /// that one fault is not told over and over.
    pub(super) fn take(&mut self, record: &AuditRecord<'_>, findings: &mut Findings) {
        let header = &record.header;
        let at = Some(header.position);
        let in_place = header.position == self.next;
        if !in_place {
            // No later than where it stands: what it says of its place may be anything.
            let reason = format!(
                "the record at position {} was expected here, this one says {}",
                self.next, header.position
            );
            let place = header.position.min(self.next);
            findings.add(Some(place), Check::Position, reason);
        }
        let encoded = header.encode();
        let hash = record_hash_of(&encoded);
        if let Some(stored) = record.record_hash
            && stored != hash
        {
            let reason = format!("its header's hash is {hash}, but {stored} is stored");
            findings.add(at, Check::RecordHash, reason);
        }
        self.link(header, in_place, findings);
        self.clock(header, findings);
        if let Some(content) = record.content {
            check_content(header, content, findings);
        }
        self.rows.clear();
        if let Err(error) = self.frontier.append(leaf_hash(&encoded), &mut self.rows) {
            findings.add(at, Check::Position, error.to_string());
        }
        self.head = Some(hash);
        self.next = header.position.saturating_add(1);
        self.records += 1;
    }

    fn link(&mut self, header: &Header, in_place: bool, findings: &mut Findings) {
        let at = Some(header.position);
        if header.position == 0 {
            self.begin(header, findings);
        }
        // A gap is told once: what is missing cannot be named by what follows.
        let Some(before) = self.head.filter(|_| in_place) else {
            return;
        };
        if header.prev_hash != before {
            let reason = format!(
                "it names {} as the record before it, which is {before}",
                header.prev_hash
            );
            findings.add(at, Check::Chain, reason);
        }
    }

    fn begin(&mut self, header: &Header, findings: &mut Findings) {
        let ledger_id = LedgerId::from_bytes(*header.stream_id.as_bytes());
        if header.event_type != LEDGER_CREATED {
            let reason = format!(
                "it has event type {}, not ledger.created",
                header.event_type
            );
            findings.add(Some(0), Check::Genesis, reason);
            return;
        }
        if header.prev_hash != genesis_hash(ledger_id) {
            let reason = format!("the chain does not begin at ledger {ledger_id}");
            findings.add(Some(0), Check::Genesis, reason);
        }
        self.ledger_id.get_or_insert(ledger_id);
    }

    fn clock(&mut self, header: &Header, findings: &mut Findings) {
        let now = header.recorded_at;
        let Some((first, last)) = self.times else {
            self.times = Some((now, now));
            return;
        };
        if now < last {
            let reason = format!("it was recorded at {now}, the record before it at {last}");
            findings.add(Some(header.position), Check::RecordedAt, reason);
        }
        self.times = Some((first, now.max(last)));
    }
}

fn check_content(header: &Header, content: Content<'_>, findings: &mut Findings) {
    let at = Some(header.position);
    let length = content.payload.len();
    if u32::try_from(length) != Ok(header.payload_len) {
        let reason = format!(
            "its payload has {length} bytes, its header says {}",
            header.payload_len
        );
        findings.add(at, Check::PayloadLength, reason);
        return;
    }
    let digest = payload_digest(content.salt, content.payload);
    if digest != header.payload_digest {
        let reason = format!(
            "its payload has the digest {digest}, its header says {}",
            header.payload_digest
        );
        findings.add(at, Check::PayloadDigest, reason);
    }
}
