//! Other APIs: described so that it can be read, one of a name at a time, without an operation of another.

use super::streams::State;
use super::{History, Now};
use crate::audit::check::Check;
use crate::catalog::{CatalogEntry, OperationId};
use crate::event::{AggregateKind, Event, UpstreamDefined};
use crate::id::StreamId;
use crate::upstream_api::UpstreamApi;
use std::collections::{BTreeMap, HashMap};

/// An API that is open.
#[derive(Debug)]
pub(super) struct KnownUpstream {
    operations: BTreeMap<OperationId, CatalogEntry>,
    pub(super) base_url: String,
}

/// The operations of APIs that administrators opened: each with the positions at which descriptions gave or took it,
/// oldest first.
#[derive(Debug, Default)]
pub(super) struct OpenedOperations(HashMap<OperationId, Vec<(u64, Option<CatalogEntry>)>>);

impl OpenedOperations {
    fn note(&mut self, position: u64, operation: OperationId, entry: Option<CatalogEntry>) {
        self.0.entry(operation).or_default().push((position, entry));
    }

    /// The entries of an operation that stood when the log had that size, and since.
    pub(super) fn since(
        &self,
        operation: OperationId,
        size: u64,
    ) -> impl Iterator<Item = CatalogEntry> {
        let known = self.0.get(&operation).map_or(&[][..], Vec::as_slice);
        let later = known.partition_point(|(position, _)| *position < size);
        let known = known.iter().skip(later.saturating_sub(1));
        known.filter_map(|(_, entry)| *entry)
    }
}

impl History {
    /// The catalog's entry of an operation: one of a provider's, or of an API that is open as of this event.
    pub(super) fn entry(&self, operation: &str) -> Option<CatalogEntry> {
        let of_provider = self.providers.entry(operation).ok();
        of_provider.or_else(|| {
            let operation = operation.parse().ok()?;
            let mut opened = self.upstreams.values();
            opened.find_map(|upstream| upstream.operations.get(&operation).copied())
        })
    }

    pub(super) fn upstream_event(&mut self, now: &mut Now<'_>, event: &Event) {
        let stream = now.header.stream_id;
        match event {
            Event::UpstreamDefined(defined) => self.upstream_defined(now, defined),
            Event::UpstreamEnded(ended) => {
                if let Some(State::Upstream(name)) = self.streams.state(stream) {
                    let same = *name == ended.name;
                    now.expect(same, Check::Upstream, || {
                        "it says another name than the API was opened under".to_owned()
                    });
                }
                self.upstream_leaves_no_key(now, ended);
                let gone = self.upstreams.remove(&ended.name);
                for operation in gone.iter().flat_map(|gone| gone.operations.keys()) {
                    self.opened.note(now.position(), *operation, None);
                }
                self.streams
                    .put(stream, State::Ended(AggregateKind::Upstream));
            }
            Event::UpstreamKeyShared(shared) => self.key_shared(now, shared),
            Event::UpstreamKeyUnshared(unshared) => self.key_unshared(now, unshared),
            _ => {}
        }
    }

    fn upstream_defined(&mut self, now: &mut Now<'_>, defined: &UpstreamDefined) {
        let stream = now.header.stream_id;
        let id = defined.upstream_id;
        now.expect(StreamId::from(id) == stream, Check::Upstream, || {
            format!("it begins upstream {id} in stream {stream}")
        });
        let is_free = !self.upstreams.contains_key(&defined.name);
        now.expect(is_free, Check::Upstream, || {
            format!("an upstream named {} is open already", defined.name)
        });
        let api = UpstreamApi::parse(&defined.document);
        now.expect(api.is_ok(), Check::Upstream, || {
            "its description cannot be read".to_owned()
        });
        let own = KnownUpstream {
            operations: match &api {
                Ok(api) => {
                    let entries = api.catalog().into_iter();
                    entries.map(|entry| (entry.id, entry)).collect()
                }
                Err(_) => BTreeMap::new(),
            },
            base_url: match &api {
                Ok(api) => api.described().base_url.clone(),
                Err(_) => String::new(),
            },
        };
        let mut others = self.upstreams.iter();
        let shared = others.find(|(name, theirs)| {
            let mut theirs = theirs.operations.keys();
            **name != defined.name && theirs.any(|id| own.operations.contains_key(id))
        });
        now.expect(shared.is_none(), Check::Upstream, || {
            let name = shared.map(|(name, _)| name.to_string()).unwrap_or_default();
            format!("it has an operation of upstream {name}")
        });
        self.upstream_leads_no_key_elsewhere(now, &defined.name, &own.base_url);
        for (operation, entry) in &own.operations {
            self.opened.note(now.position(), *operation, Some(*entry));
        }
        self.upstreams.insert(defined.name.clone(), own);
        self.streams
            .put(stream, State::Upstream(defined.name.clone()));
    }
}
