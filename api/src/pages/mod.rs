//! What a person sees in a browser: the approval page, what became of an approval, enrolment, and
//! refusals. Each page is a plain struct that holds everything it shows; none of them asks the ledger.

mod account;
mod approval;
pub mod assets;
mod bounded;
mod card;
mod ended;
mod enrolment;
mod files;
mod glance;
mod headers;
mod hidden;
mod keep;
mod moment;
mod notice;
mod params;
mod person;
mod question;
mod receipt;
mod record;
mod refusal;
mod says;
mod shown;
mod subject;
mod table;
mod upstream;
pub(crate) mod views;
mod watch;

pub use account::AccountPage;
pub use approval::{ApprovalPage, AskedByRules, MayDecide};
pub(crate) use bounded::ApprovalFile;
pub use card::{OperationCard, ShownWarning, UpstreamState};
pub use ended::{Ended, EndedOperation, EndedPage, OutcomeShown};
pub use enrolment::{EnrolmentPage, EnrolmentUsedPage, SetupPage};
pub use files::{ShownFile, ShownFiles};
pub(crate) use files::{diff_of, upload_list};
pub(crate) use glance::{Acts, Glance};
pub(crate) use headers::allow_worker;
pub use headers::set_page_headers;
pub use keep::{KeepChoices, KeepFor};
pub use moment::Moment;
pub(crate) use moment::{Beside, lasting};
pub use notice::NoticePage;
pub(crate) use params::whole_param;
pub use params::{Now, Param, ParamValue};
pub(crate) use person::UserNames;
pub use person::{Answer, ShownPerson};
pub(crate) use question::Question;
pub(crate) use receipt::Became;
pub use record::AboutAgent;
pub(crate) use record::Record;
pub(crate) use refusal::{WantsPage, notice, refused};
pub use says::{Says, ShownLink};
pub use shown::ShownText;
pub(crate) use shown::{Short, in_thousands};
pub(crate) use subject::{SubjectQuestion, sentence};
pub use table::{ShownTable, TableCell, TableRow};
pub use watch::WatchPage;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;

/// Renders a page with its status and all its headers.
#[must_use]
pub fn respond(status: StatusCode, page: &impl Template) -> Response {
    let mut response = match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "internal error").into_response()
        }
    };
    set_page_headers(response.headers_mut());
    response
}

#[cfg(test)]
mod tests;
