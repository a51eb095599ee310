//! Lookups that the writer has read or written, absent ones included. Nobody else writes to the
//! file, so what is known stays true until the writer itself changes it.

use crate::storage::{LookupKey, LookupKind, Lookups, ReadError, Storage};
use lru::LruCache;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;

/// The most keys that are kept.
const MAX_KEYS: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// A bounded memory of the lookup table.
#[derive(Debug)]
pub(crate) struct KnownKeys {
    keys: LruCache<LookupKey, Option<Vec<u8>>>,
    /// Every row of the kinds that were asked for as a whole.
    whole: HashMap<LookupKind, BTreeMap<LookupKey, Vec<u8>>>,
    /// Whether there is no row, of the kinds of which that was asked.
    empty: HashMap<LookupKind, bool>,
}

impl Default for KnownKeys {
    fn default() -> Self {
        Self {
            keys: LruCache::new(MAX_KEYS),
            whole: HashMap::new(),
            empty: HashMap::new(),
        }
    }
}

impl KnownKeys {
    /// The value of a key, read where it is not known yet.
    pub(crate) async fn get(
        &mut self,
        key: &LookupKey,
        storage: &mut dyn Storage,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        if let Some(known) = self.keys.get(key) {
            return Ok(known.clone());
        }
        let found = storage.lookups(std::slice::from_ref(key)).await?;
        let value = found.into_iter().next().map(|(_, value)| value);
        self.keys.put(key.clone(), value.clone());
        Ok(value)
    }

    /// Every row of a kind of which there are few.
    pub(crate) async fn all(
        &mut self,
        kind: LookupKind,
        storage: &mut dyn Storage,
    ) -> Result<&BTreeMap<LookupKey, Vec<u8>>, ReadError> {
        Ok(match self.whole.entry(kind) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                let rows = storage.all_lookups(kind).await?;
                free.insert(rows.into_iter().collect())
            }
        })
    }

    /// Whether there is no row of a kind.
    pub(crate) async fn has_none(
        &mut self,
        kind: LookupKind,
        storage: &mut dyn Storage,
    ) -> Result<bool, ReadError> {
        Ok(match self.empty.entry(kind) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => *unknown.insert(storage.all_lookups(kind).await?.is_empty()),
        })
    }

    /// Reads what is not known yet of many keys at once.
    pub(crate) async fn prefetch(
        &mut self,
        mut wanted: Vec<LookupKey>,
        storage: &mut dyn Storage,
    ) -> Result<(), ReadError> {
        wanted.retain(|key| !self.keys.contains(key));
        if wanted.is_empty() {
            return Ok(());
        }
        let found = storage.lookups(&wanted).await?;
        for key in wanted {
            self.keys.put(key, None);
        }
        for (key, value) in found {
            self.keys.put(key, Some(value));
        }
        Ok(())
    }

    /// Takes in what was committed.
    pub(crate) fn learn(&mut self, lookups: Lookups) {
        for key in lookups.removed() {
            self.keys.pop(key);
            if let Some(rows) = self.whole.get_mut(&key.parts().0) {
                rows.remove(key);
            }
        }
        for (key, value) in lookups.into_values() {
            if let Some(empty) = self.empty.get_mut(&key.parts().0) {
                *empty = false;
            }
            if let Some(rows) = self.whole.get_mut(&key.parts().0) {
                rows.insert(key.clone(), value.clone());
            }
            self.keys.put(key, Some(value));
        }
    }

    /// How many keys are kept.
    pub(crate) fn count(&self) -> usize {
        self.keys.len()
    }

    /// Forgets everything, after a commit that may not have happened.
    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.whole.clear();
        self.empty.clear();
    }
}
