//! Writing a bundle, frame by frame.

use super::{
    BUNDLE_FORMAT, BundleError, BundleMeta, DIGEST_CONTEXT, END, MAGIC, MAX_FRAME_BYTES, META,
    NOTE, RECORD,
};
use crate::audit::log::Content;
use crate::record::Header;
use crate::tlog::{ConsistencyProof, Note};
use std::io::Write;

/// Writes a bundle and holds no more of it than one record. What has been written is a bundle only
/// after [`Self::finish`]: a reader takes anything less for cut off.
#[derive(Debug)]
pub struct BundleWriter<W> {
    out: W,
    digest: blake3::Hasher,
    notes: u32,
    records: u64,
    expected: u64,
}

impl<W: Write> BundleWriter<W> {
    /// Begins a bundle.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(out: W, meta: &BundleMeta) -> Result<Self, BundleError> {
        let mut writer = Self {
            out,
            digest: blake3::Hasher::new_derive_key(DIGEST_CONTEXT),
            notes: 0,
            records: 0,
            expected: meta.to.saturating_sub(meta.from),
        };
        writer.put(&MAGIC)?;
        writer.put(&BUNDLE_FORMAT.to_le_bytes())?;
        let meta =
            serde_json::to_vec(meta).map_err(|error| BundleError::Meta(error.to_string()))?;
        writer.frame(META, &[&meta])?;
        Ok(writer)
    }

    /// Adds a signed checkpoint; before the first record. One that covers more records than the bundle
    /// holds needs the proof that it continues them.
    ///
    /// # Errors
    /// When it comes after a record, or cannot be written.
    pub fn note(
        &mut self,
        note: &Note,
        bridge: Option<&ConsistencyProof>,
    ) -> Result<(), BundleError> {
        if self.records > 0 {
            return Err(BundleError::Kind(NOTE));
        }
        let hashes = bridge.map_or(&[][..], ConsistencyProof::hashes);
        let count = u16::try_from(hashes.len())
            .map_err(|_| BundleError::Form("a proof has too many hashes"))?;
        let hashes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
        self.frame(
            NOTE,
            &[&count.to_le_bytes(), &hashes, note.to_string().as_bytes()],
        )?;
        self.notes = self.notes.saturating_add(1);
        Ok(())
    }

    /// Adds the next record.
    ///
    /// # Errors
    /// When it is larger than a frame may be, or cannot be written.
    pub fn record(
        &mut self,
        header: &Header,
        content: Option<Content<'_>>,
    ) -> Result<(), BundleError> {
        let header = header.encode();
        match content {
            Some(content) => {
                self.frame(RECORD, &[&header, &[1], content.salt, content.payload])?;
            }
            None => self.frame(RECORD, &[&header, &[0]])?,
        }
        self.records += 1;
        Ok(())
    }

    /// Ends the bundle and gives the writer back, flushed.
    ///
    /// # Errors
    /// When there were not exactly the records that the meta frame says, or they cannot be written.
    pub fn finish(mut self) -> Result<W, BundleError> {
        if self.records != self.expected {
            return Err(BundleError::Count {
                what: "records",
                expected: self.expected,
                found: self.records,
            });
        }
        let digest = self.digest.finalize();
        let (records, notes) = (self.records.to_le_bytes(), self.notes.to_le_bytes());
        self.frame(END, &[&records, &notes, digest.as_bytes()])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn frame(&mut self, kind: u8, parts: &[&[u8]]) -> Result<(), BundleError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let length = u32::try_from(length)
            .ok()
            .filter(|_| length <= MAX_FRAME_BYTES)
            .ok_or(BundleError::Form(
                "a frame would be larger than a frame may be",
            ))?;
        self.put(&[kind])?;
        self.put(&length.to_le_bytes())?;
        parts.iter().try_for_each(|part| self.put(part))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.digest.update(bytes);
        Ok(self.out.write_all(bytes)?)
    }
}
