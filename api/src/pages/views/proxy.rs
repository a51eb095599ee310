//! A person's own key of an upstream, and the settings of programs that go through this service.

use super::frame::Frame;
use crate::pages::Beside;
use askama::Template;

/// A person's own key. The page never holds it.
#[derive(Debug, Clone, Template)]
#[template(path = "views/proxy.html")]
pub(crate) struct ProxyPage {
    pub(crate) frame: Frame,
    /// Since when one is stored.
    pub(crate) since: Option<Beside>,
    /// Lines for a shell, to be copied.
    pub(crate) settings: String,
    /// How long a session lasts, in words.
    pub(crate) session: String,
}

impl ProxyPage {
    fn assets(&self) -> String {
        self.frame.assets()
    }
}
