//! Verifying a bundle in one pass.

use super::{BundleError, BundleFrame, BundleReader};
use crate::audit::check::Check;
use crate::audit::log::AuditRecord;
use crate::audit::options::VerifyOptions;
use crate::audit::report::{NoteSource, Report};
use crate::audit::verifier::Verifier;
use crate::record::Header;
use crate::tlog::{Checkpoint, ConsistencyProof, Frontier, Note};
use std::io::Read;

/// Verifies the bundle that `read` gives. Whatever is wrong with it, down to its form, is a finding of
/// the report.
///
/// # Errors
/// When it could not be read, so that nothing can be said about it.
pub fn verify_bundle(read: impl Read, options: &VerifyOptions) -> std::io::Result<Report> {
    let mut reader = match BundleReader::new(read) {
        Ok(reader) => reader,
        Err(error) => return stopped(Verifier::new(options.clone()), error),
    };
    let meta = reader.meta();
    let (to, frontier) = (meta.to, meta.frontier.clone());
    let frontier = Frontier::lookup(meta.from).and_then(|lookup| lookup.complete(&frontier));
    let mut verifier = match frontier {
        Ok(frontier) => Verifier::from_frontier(options.clone(), frontier),
        Err(error) => {
            let error = BundleError::Meta(error.to_string());
            return stopped(Verifier::new(options.clone()), error);
        }
    };
    verifier.must_be_signed_to_the_end();
    loop {
        match reader.next_frame() {
            Ok(Some(BundleFrame::Note(note))) => {
                let bridge = bridge(note.text, note.proof, to);
                verifier.checkpoint(NoteSource::Bundle, note.text, bridge);
            }
            Ok(Some(BundleFrame::Record(record))) => match Header::decode(record.header) {
                Ok(header) => verifier.record(&AuditRecord {
                    header,
                    record_hash: None,
                    content: record.content,
                }),
                Err(error) => {
                    let at = Some(verifier.next_position());
                    verifier.unreadable(at, Check::HeaderForm, error.to_string());
                }
            },
            Ok(None) => return Ok(verifier.finish()),
            Err(error) => return stopped(verifier, error),
        }
    }
}

/// The proof from the tree of `to` leaves to the one that the note claims, which its signature has yet
/// to confirm.
fn bridge(note: &str, hashes: Vec<crate::tlog::TreeHash>, to: u64) -> Option<ConsistencyProof> {
    if hashes.is_empty() {
        return None;
    }
    let note: Note = note.parse().ok()?;
    let size = Checkpoint::of_unverified(&note).ok()?.size();
    Some(ConsistencyProof::from_parts(to, size, hashes))
}

/// The report of what was read before it could not be read on.
fn stopped(mut verifier: Verifier, error: BundleError) -> std::io::Result<Report> {
    match (error.check(), error) {
        (Some(check), error) => {
            let at = Some(verifier.next_position());
            verifier.unreadable(at, check, error.to_string());
            Ok(verifier.finish())
        }
        (None, BundleError::Io(error)) => Err(error),
        (None, error) => Err(std::io::Error::other(error)),
    }
}
