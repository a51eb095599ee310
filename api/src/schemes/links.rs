//! A signed link in the path. It comes before the body, so that a stranger's body is not even read.

use super::{Head, Identity, Scheme};
use crate::limits::bounds::HeldPermits;
use crate::limits::counted_for::CountedFor;
use crate::limits::links::ThroughLink;
use crate::problem::{ApiError, Unauthorized};
use app::token::link::{ApprovalLink, LinkKey, Said};
use app::{Principal, Who};
use ledger::aggregate::{Approval, Task};
use ledger::{ApprovalId, Ledger, Rejection};

pub(super) struct ToApproval;

impl Scheme for ToApproval {
    fn proves(&self, who: Who) -> bool {
        who == Who::ApprovalLink
    }

    fn identify(&self, head: &mut Head<'_>) -> Result<Identity, ApiError> {
        let keys = &head.state.app.keys;
        if let Some(approval) = head
            .param("link")
            .and_then(|link| keys.short_link.open(link))
        {
            return Ok(Identity::Linked(approval));
        }
        let link = opened(head, &keys.approval_link)?;
        Ok(Identity::Proven(Principal::ApprovalLink(link)))
    }
}

/// An invitation to register a passkey.
pub(super) struct ToEnrolment;

impl Scheme for ToEnrolment {
    fn proves(&self, who: Who) -> bool {
        who == Who::EnrolmentLink
    }

    fn identify(&self, head: &mut Head<'_>) -> Result<Identity, ApiError> {
        let link = opened(head, &head.state.app.keys.enrolment_link)?;
        Ok(Identity::Proven(Principal::EnrolmentLink(link)))
    }
}

/// The link by which a start has the first admin made.
pub(super) struct ToSetup;

impl Scheme for ToSetup {
    fn proves(&self, who: Who) -> bool {
        who == Who::SetupLink
    }

    fn identify(&self, head: &mut Head<'_>) -> Result<Identity, ApiError> {
        let link = head.param("link").unwrap_or_default();
        if head.state.app.setup.is(link) {
            return Ok(Identity::Proven(Principal::SetupLink));
        }
        head.state.admit_forged_link(head.parts)?;
        Err(Unauthorized::LinkInvalid.into())
    }
}

/// The holder of a short link: one that leads to a question, which a guess does not.
pub(super) async fn find(head: &Head<'_>, approval_id: ApprovalId) -> Result<Principal, ApiError> {
    let none: ApiError = match head.state.app.ledger.load::<Approval>(approval_id).await {
        Ok(Some(approval)) => {
            let task_id = approval.task_id();
            return Ok(Principal::ApprovalLink(ApprovalLink {
                approval_id,
                task_id,
            }));
        }
        Ok(None) => Unauthorized::LinkInvalid.into(),
        Err(erased @ ledger::Error::Rejected(Rejection::Erased)) => erased.into(),
        Err(error) => return Err(error.into()),
    };
    head.state.admit_forged_link(head.parts)?;
    Err(none)
}

fn opened<T: Said>(head: &Head<'_>, key: &LinkKey<T>) -> Result<T, ApiError> {
    let link = head.param("link").ok_or(ApiError::NotFound {
        what: "thing at this path",
    })?;
    match key.open(link) {
        Ok(said) => Ok(said),
        Err(forged) => {
            head.state.admit_forged_link(head.parts)?;
            Err(forged.into())
        }
    }
}

/// Counts a request through a link, for the task or invitation that the link belongs to: all links of one
/// share a rate and places. After the signature, so that nobody without a link can fill a table, use a rate
/// up or take a place.
pub(super) async fn count(principal: &Principal, head: &mut Head<'_>) -> Result<(), ApiError> {
    let state = head.state;
    let (leads_to, owner) = match principal {
        Principal::ApprovalLink(link) => {
            let leads_to = match link.task_id {
                Some(task_id) => CountedFor::task(task_id),
                None => CountedFor::question(link.approval_id),
            };
            state.links.admit(&leads_to)?;
            (leads_to, owner(&state.app.ledger, link).await?)
        }
        Principal::EnrolmentLink(link) => {
            let leads_to = CountedFor::invitation(link.enrolment_id);
            state.links.admit(&leads_to)?;
            (leads_to, CountedFor::invitations_of(&link.principal))
        }
        Principal::SetupLink => {
            let leads_to = CountedFor::setup();
            state.links.admit(&leads_to)?;
            (leads_to.clone(), leads_to)
        }
        _ => return Ok(()),
    };
    let seats = state.links.take(&leads_to, &owner)?;
    let held = head.parts.extensions.get::<HeldPermits>();
    held.ok_or_else(|| ApiError::internal("this request was counted nowhere"))?
        .hold_link(seats);
    head.parts.extensions.insert(ThroughLink { owner });
    Ok(())
}

/// The links of the task's client.
async fn owner(ledger: &Ledger, link: &ApprovalLink) -> Result<CountedFor, ApiError> {
    let Some(task_id) = link.task_id else {
        return Ok(CountedFor::question(link.approval_id));
    };
    let task = ledger::Error::none_if_erased(ledger.load::<Task>(task_id).await)?;
    let owner = task.map(|task| CountedFor::links_of(&task.subject));
    Ok(owner.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{AGENT, Answer, Stage};
    use app::token::link::EnrolmentLink;
    use axum::body::{Body, Bytes};
    use http::Request;
    use ledger::{ApprovalId, ApproverName, EnrolmentId, TaskId};
    use std::time::Duration;
    use tower::ServiceExt;

    impl Stage {
        /// The path of a link to a question of the task. There need be no such question.
        fn link_of(&self, task: TaskId, rest: &str) -> String {
            let link = ApprovalLink {
                approval_id: ApprovalId::from_bytes([1; 16]),
                task_id: Some(task),
            };
            let link = self.state.app.keys.approval_link.sign(link).unwrap();
            format!("/v1/approve/{}{rest}", link.reveal())
        }

        async fn through(&self, method: &str, path: &str, body: Body) -> Answer {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("content-type", "application/json");
            let request = request.body(body).unwrap();
            Answer::of(self.router.clone().oneshot(request).await.unwrap()).await
        }
    }

    async fn statuses(stage: &Stage, paths: &[String], times: usize) -> [usize; 2] {
        let mut let_through = 0;
        let mut limited = 0;
        for path in paths.iter().cycle().take(times) {
            match stage.through("GET", path, Body::empty()).await.status {
                429 => limited += 1,
                _ => let_through += 1,
            }
        }
        [let_through, limited]
    }

    #[tokio::test]
    async fn the_links_of_many_tasks_share_the_rate_of_their_subject() {
        let stage = Stage::with(|config| config.rate_limit_rps = 200).await;
        let mut paths = Vec::new();
        for _ in 0..20 {
            let (issued, _) = stage.task(AGENT).await;
            paths.push(stage.link_of(issued.task.id, "/state"));
        }
        let begun = std::time::Instant::now();
        let [let_through, limited] = statuses(&stage, &paths, 400).await;
        // Twice the rate of one owner at once, and that rate for each second that has begun.
        let seconds = usize::try_from(begun.elapsed().as_secs() + 1).unwrap();
        assert!(
            (100..=100 + 50 * seconds).contains(&let_through),
            "{let_through}"
        );
        assert!(limited > 0);
    }

    #[tokio::test]
    async fn forged_links_use_up_no_rate_but_their_own() {
        let stage = Stage::with(|config| config.rate_limit_rps = 10).await;
        let [let_through, limited] = statuses(&stage, &["/v1/approve/x/state".into()], 100).await;
        assert!(let_through < 50 && limited > 50, "{let_through} {limited}");
        let (issued, _) = stage.task(AGENT).await;
        let real = stage.link_of(issued.task.id, "/state");
        assert_eq!(stage.through("GET", &real, Body::empty()).await.status, 404);
        let public = "/v1/ledger/checkpoint";
        let public = stage.through("GET", public, Body::empty()).await.status;
        assert_ne!(public, 429);
    }

    #[tokio::test]
    async fn guesses_of_short_links_are_refused_and_counted_as_forged_ones() {
        let stage = Stage::with(|config| config.rate_limit_rps = 10).await;
        let (issued, _) = stage.task(AGENT).await;
        let guesses: Vec<String> = (0..100)
            .map(|guess| ApprovalId::from_bytes([guess; 16]))
            .map(|id| stage.state.app.keys.short_link.seal(id))
            .map(|link| format!("/a/{}/state", link.reveal()))
            .collect();
        let first = stage.through("GET", &guesses[0], Body::empty()).await;
        assert_eq!((first.status, first.code()), (401, "unauthorized"));
        let [let_through, limited] = statuses(&stage, &guesses, 100).await;
        assert!(let_through < 50 && limited > 50, "{let_through} {limited}");
        let real = stage.link_of(issued.task.id, "/state");
        assert_eq!(stage.through("GET", &real, Body::empty()).await.status, 404);
    }

    #[tokio::test]
    async fn a_body_through_a_link_is_small() {
        let stage = Stage::new().await;
        let (issued, _) = stage.task(AGENT).await;
        let body = Body::from(" ".repeat(33 * 1024));
        let path = stage.link_of(issued.task.id, "/verify");
        let answer = stage.through("POST", &path, body).await;
        assert_eq!((answer.status, answer.code()), (413, "payload_too_large"));
    }

    #[tokio::test]
    async fn a_body_that_never_comes_keeps_its_place_for_seconds_only() {
        let stage = Stage::new().await;
        let (issued, _) = stage.task(AGENT).await;
        let link = EnrolmentLink {
            enrolment_id: EnrolmentId::from_bytes([1; 16]),
            principal: ApproverName::unchecked("default"),
            exp: i64::MAX / 2_000_000,
        };
        let link = stage.state.app.keys.enrolment_link.sign(link).unwrap();
        tokio::time::pause();
        for path in [
            stage.link_of(issued.task.id, "/verify"),
            stage.link_of(issued.task.id, "/options"),
            format!("/v1/enrol/{}/verify", link.reveal()),
        ] {
            let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
            let begun = tokio::time::Instant::now();
            let answer = stage.through("POST", &path, Body::from_stream(never)).await;
            assert_eq!(answer.status, 408, "{path}: {answer:?}");
            assert!(begun.elapsed() < Duration::from_secs(10), "{path}");
        }
        assert_eq!(stage.state.links.under_way(), 0);
    }
}
