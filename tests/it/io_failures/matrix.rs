//! Many cases beside each other.

use super::case;
use super::point::{self, Point, Target};
use super::scenario::Course;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Cases at a time: each waits for processes most of its time.
const AT_ONCE: usize = 3;

/// How often a case is tried before it counts as one that met nothing: two lives are not alike to the last
/// write.
const TRIES: usize = 3;

/// Which cases are run: absent, a choice that goes quickly; "all"; a number for every so many of all; or
/// a plan, as a case that failed is named.
const WHICH: &str = "IO_FAILURES";

/// Runs the cases of a course.
pub(super) fn run(course: Course) {
    let counts = point::counted(&alone(case::undisturbed(course)));
    let points = chosen(&counts, course);
    let count = points.len();
    let waiting = Mutex::new(points.into_iter());
    let (missed, failed) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().next();
                    let Some(point) = next else { break };
                    let name = point.to_string();
                    let case = std::thread::spawn(move || {
                        (0..TRIES).any(|_| alone(case::hit(course, &point)))
                    });
                    match case.join() {
                        Ok(true) => {}
                        Ok(false) => missed.lock().unwrap().push(name),
                        Err(_) => failed.lock().unwrap().push(name),
                    }
                }
            });
        }
    });
    let (missed, failed) = (missed.into_inner().unwrap(), failed.into_inner().unwrap());
    println!("{count} cases, {} of which met nothing", missed.len());
    assert!(failed.is_empty(), "{course:?}: {failed:#?}");
    assert!(
        missed.len() <= count / 2,
        "{course:?} met nothing: {missed:#?}"
    );
}

/// Runs to its end on this thread.
pub(super) fn alone<T>(what: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(what)
}

#[expect(clippy::disallowed_methods, reason = "no setting of the service")]
fn chosen(counts: &BTreeMap<Target, usize>, course: Course) -> Vec<Point> {
    let Ok(which) = std::env::var(WHICH) else {
        return point::some(counts, course);
    };
    let all = point::all(counts);
    match (which.as_str(), which.parse()) {
        ("all", _) => all,
        (_, Ok(every)) => all.into_iter().step_by(every).collect(),
        (plan, Err(_)) => all
            .into_iter()
            .filter(|point| point.to_string() == plan)
            .collect(),
    }
}
