//! A viewer token, as a bearer token. It needs no signed subject.

use super::{Head, Identity, Scheme};
use crate::limits::counted_for::CountedFor;
use crate::problem::ApiError;
use app::Principal;

pub(super) struct Viewer;

impl Scheme for Viewer {
    fn identify(&self, head: &mut Head<'_>) -> Result<Identity, ApiError> {
        let key = &head.state.app.keys.viewer;
        let Some(token) = head.bearer().and_then(|token| key.open(token).ok()) else {
            return Ok(Identity::NotOfThis);
        };
        head.count_for(CountedFor::viewers_of(token.task_id))?;
        Ok(Identity::Proven(Principal::Viewer(token)))
    }
}
