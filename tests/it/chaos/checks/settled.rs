//! Nothing moves any more, but for what waits for a person.

use crate::chaos::story::{DeliveryState, OperationStory, Story};

/// What is still on its way at that moment, in microseconds since 1970. An unknown outcome and an
/// approval wait for people; a delivery whose next try comes later waits for that.
pub(in crate::chaos) fn moving(story: &Story, now: i64) -> Vec<String> {
    let mut moving = Vec::new();
    for (id, apply) in &story.applies {
        if apply.operations.contains(&OperationStory::Started) {
            moving.push(format!("apply {id}: an operation has no outcome"));
        }
        if apply.authorised && apply.ends.is_empty() {
            moving.push(format!("apply {id} is authorised and has not ended"));
        }
    }
    for (id, approval) in &story.approvals {
        let is_open = approval.approved.is_none() && approval.ended.is_none();
        if is_open && approval.expires <= now {
            moving.push(format!(
                "approval {id} is past its deadline and has not expired"
            ));
        }
    }
    for (id, delivery) in &story.deliveries {
        match delivery.state {
            DeliveryState::Due => moving.push(format!("delivery {id} is due")),
            DeliveryState::UnderWay => moving.push(format!("delivery {id} is under way")),
            DeliveryState::RetryAt(at) if at <= now => {
                moving.push(format!("delivery {id} is due again"));
            }
            DeliveryState::RetryAt(_) | DeliveryState::Delivered | DeliveryState::GivenUp => {}
        }
    }
    moving
}
