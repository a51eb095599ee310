//! The HTTP surface: routes, authentication, pages and JSON shapes. Every request is extracted into
//! valid types, becomes a command or a question, and is answered; no policy lives here.

#[cfg(test)]
mod authorization_matrix;
pub mod extract;
pub mod limits;
mod openapi;
pub mod pages;
pub mod problem;
mod proxied;
mod router;
mod routes;
pub mod schemes;
pub mod server;
mod shapes;
mod state;
#[cfg(test)]
mod testing;
mod webhooks;

pub use problem::{ApiError, Problem};
pub use proxied::{Proxies, with_proxies};
pub use router::build_router;
pub use state::{ApiConfig, AppState, JwtSettings, Keys, MetricsText, Readiness, Services, Shared};
