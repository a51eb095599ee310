//! Where operations are carried out.

use crate::cloudflare::CloudflareClient;

/// Cloudflare, or nowhere.
#[derive(Debug, Clone)]
pub enum Upstream {
    /// No token is configured: nothing is sent, and every result and event says so.
    Simulated,
    /// Sent with the real credential.
    Cloudflare(CloudflareClient),
}
