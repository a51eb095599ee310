//! The APIs that clients reach: those that this service knows, and those that administrators opened.

use crate::Settings;
use crate::api::Api;
use crate::caller::{Opened, Upstreams};
use crate::refusal::{Refusal, Word};
use crate::upstream::{Limits, SetupError, Upstream};
use ledger::{UpstreamId, UpstreamName};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The APIs, each with connections of its own.
pub(crate) struct Apis {
    known: [Arc<Api>; 2],
    /// Those that administrators opened, as they were last.
    opened: Mutex<HashMap<UpstreamName, (UpstreamId, Arc<Api>)>>,
    upstreams: Arc<dyn Upstreams>,
    limits: Limits,
    is_public: fn(IpAddr) -> bool,
}

impl Apis {
    /// # Errors
    /// [`SetupError`] when an upstream's URL cannot be used, or TLS not set up.
    pub(crate) fn new(
        settings: &Settings,
        upstreams: Arc<dyn Upstreams>,
    ) -> Result<Self, SetupError> {
        let limits = Limits {
            connect: settings.connect,
            allowed_nets: settings.allowed_nets.clone(),
            public: None,
        };
        let base = settings.anthropic_base.clone();
        let upstream = Upstream::new("ANTHROPIC_API_BASE", &base, &limits)?;
        let anthropic = Api::anthropic(upstream, base, settings.files);
        let base = settings.cloudflare_base.clone();
        let upstream = Upstream::new("CLOUDFLARE_API_BASE", &base, &limits)?;
        let cloudflare = Api::cloudflare(upstream, base, settings.cloudflare_calls);
        Ok(Self {
            known: [Arc::new(anthropic), Arc::new(cloudflare)],
            opened: Mutex::default(),
            upstreams,
            limits,
            is_public: settings.is_public,
        })
    }

    /// The API of a name, as it is now.
    ///
    /// # Errors
    /// A ledger that cannot be read.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<Arc<Api>>, Refusal> {
        if let Some(api) = self.known.iter().find(|api| api.name.as_str() == name) {
            return Ok(Some(Arc::clone(api)));
        }
        let name = UpstreamName::unchecked(name);
        let opened = self.upstreams.opened(&name).await?;
        self.opened(&name, opened)
    }

    /// An API that an administrator opened, with its connections for as long as nothing changes.
    fn opened(
        &self,
        name: &UpstreamName,
        opened: Option<Opened>,
    ) -> Result<Option<Arc<Api>>, Refusal> {
        let mut known = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Opened { id, api }) = opened else {
            known.remove(name);
            return Ok(None);
        };
        if let Some((of, api)) = known.get(name)
            && *of == id
        {
            return Ok(Some(Arc::clone(api)));
        }
        let limits = Limits {
            public: Some(self.is_public),
            ..self.limits.clone()
        };
        let api = match Api::opened(name, (id, &api), &limits) {
            Ok(api) => Arc::new(api),
            Err(error) => {
                tracing::warn!(%error, upstream.name = %name, "an upstream cannot be reached as it is described");
                return Err(Refusal::new(
                    Word::Unreachable,
                    format!(
                        "{name} cannot be reached as an administrator has described it: {error}"
                    ),
                ));
            }
        };
        known.insert(name.clone(), (id, Arc::clone(&api)));
        Ok(Some(api))
    }
}
