//! Aggregates: what the events of one stream add up to, and nothing else. `evolve` is pure and
//! cannot fail; an event that does not concern the aggregate leaves it as it is.

mod admission;
mod agent;
mod apply;
mod approval;
mod approver;
mod asset_upload;
mod call;
mod clearance;
mod delivery;
mod group;
mod key;
mod lock;
mod policy;
mod question_subject;
mod schedule;
mod session;
mod task;
mod template;
mod upstream;
mod upstream_key;
mod user;

pub use admission::{Admission, AdmissionKind};
pub use agent::Agent;
pub use apply::{Apply, OperationState};
pub use approval::{Approval, ApprovalState, CancelledBy, EMERGENCY_USE, Vote, VoteEnd};
pub use approver::{Approver, Credential, Enrolment};
pub use asset_upload::{AssetUpload, UploadToken};
pub use call::Call;
pub use clearance::Clearance;
pub use delivery::{Delivery, DeliveryState};
pub use group::Group;
pub use key::Key;
pub use lock::Lock;
pub use policy::PolicyVersion;
pub use question_subject::{AskedApply, QuestionSubject};
pub use schedule::{Schedule, ScheduleRun};
pub use session::{KEY_SESSION_LIFE, SESSION_LIFE, STEP_UP_LIFE, Session};
pub use task::{Callback, Task, Token};
pub(crate) use task::{task_life, whole_seconds};
pub use template::Template;
pub use upstream::{SharedKey, Upstream};
pub use upstream_key::{UpstreamKey, UpstreamSecret};
pub use user::{Device, LinkedPrincipal, Password, User};

use crate::clock::Timestamp;
use crate::event::Event;
use crate::id::StreamId;
use crate::rejection::Rejection;
use std::fmt;

/// The fold of one stream.
pub trait Aggregate: Clone + Send + Sync + 'static {
    /// The id of its stream, and of no other aggregate's.
    type Id: Copy + Send + fmt::Display + From<StreamId> + Into<StreamId>;

    /// The answer to an id that names none.
    const NOT_FOUND: Rejection;

    /// Takes in the next event of the stream; the first one makes the state.
    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp);

    /// About how many bytes it holds, for the cache's bound.
    fn weight(&self) -> usize;
}

/// Folds a whole stream.
pub fn fold<'a, A: Aggregate>(
    events: impl IntoIterator<Item = (&'a Event, Timestamp)>,
) -> Option<A> {
    let mut state = None;
    for (event, at) in events {
        A::evolve(&mut state, event, at);
    }
    state
}
