//! The page at `/`: a person logs in, or sees their own sessions and passkeys. It holds nothing of anybody;
//! its script asks for what it shows.

use super::assets;
use askama::Template;

#[derive(Debug, Clone, Copy, Template)]
#[template(path = "account.html")]
pub struct AccountPage;

impl AccountPage {
    fn assets(self) -> String {
        assets::base_from("/")
    }
}
