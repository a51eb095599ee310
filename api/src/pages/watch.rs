//! The page at `/watch`: one task as it goes on, for somebody who is not signed in. It holds nothing; its
//! script reads the token from the fragment, and asks with it.

use super::assets;
use askama::Template;

#[derive(Debug, Clone, Copy, Template)]
#[template(path = "watch.html")]
pub struct WatchPage;

impl WatchPage {
    fn assets(self) -> String {
        assets::base_from("/watch")
    }
}
