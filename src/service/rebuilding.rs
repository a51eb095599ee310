//! An operator's rebuild of projections beside the tables in use.

use crate::operator::{Performed, Telling};
use projections::{Progress, Projection, Projections, RebuildReport};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Has the service's runner make them anew, and says how that ended.
pub(crate) async fn rebuild(
    projections: &Projections,
    names: &[String],
    tell: &Telling,
) -> Performed {
    let names: Result<Vec<Projection>, _> = names.iter().map(|name| name.parse()).collect();
    let names = match names {
        Ok(names) => names,
        Err(error) => {
            let text = error.to_string();
            return Performed::Refused { text };
        }
    };
    let began = Instant::now();
    tell.send_replace("waiting for the rebuild to begin".to_owned());
    let on_progress = |progress| {
        tell.send_replace(told(progress, began.elapsed()));
    };
    match projections.rebuild(&names, on_progress).await {
        Ok(report) => Performed::Done {
            text: reported(&report),
        },
        Err(error) => Performed::Refused {
            text: format!(
                "{:#}; the old tables stay in use",
                anyhow::Error::from(error)
            ),
        },
    }
}

/// How far a long fold is: its rate and the time that is left.
pub(crate) fn told(progress: Progress, since: Duration) -> String {
    if progress.done >= progress.total {
        return format!("{} events folded; comparing", progress.done);
    }
    let rate = rate(progress.done, since);
    let left = float(progress.total.saturating_sub(progress.done)) / rate.max(1.0);
    format!(
        "{} of {} events, {rate:.0}/s, {left:.0} s left",
        progress.done, progress.total
    )
}

pub(crate) fn rate(events: u64, span: Duration) -> f64 {
    float(events) / span.as_secs_f64().max(0.001)
}

fn float(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

fn reported(report: &RebuildReport) -> String {
    let mut text = format!(
        "{} events folded and in use, in {:.1} s",
        report.events,
        report.took.as_secs_f64()
    );
    let compared: Vec<_> = report.compared.iter().map(|one| one.as_str()).collect();
    if compared.is_empty() {
        text.push_str("; nothing to compare with: the old tables had stopped");
    } else if report.differences.is_empty() {
        // Writing into memory does not fail.
        let _ = write!(
            text,
            "; the old rows were the same: {}",
            compared.join(", ")
        );
    }
    for difference in &report.differences {
        let _ = write!(text, "\nthe old tables differed: {difference}");
    }
    text
}
