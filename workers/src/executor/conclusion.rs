//! The outcome of an operation, in the words of the log.

use crate::excerpt::{MOST_ERRORS_BYTES, MOST_RESULT_BYTES, json_text, message};
use crate::upstream::{Before, ReadBack, Reconciled};
use ledger::event::{Evidence, OperationOutcome};
use ledger::provider::Outcome;
use serde_json::Value;

/// The code of an operation that was not sent because its stored form cannot be read.
pub(super) const UNREADABLE: &str = "operation_unreadable";
/// The code of an operation that was not sent because the credential is gone.
pub(super) const NO_CREDENTIAL: &str = "credential_missing";
/// The code of an operation that was not sent because the executor failed over it again and again.
pub(super) const EXECUTOR_FAILED: &str = "executor_failed";
/// The code of a read whose answer was lost when the service stopped.
pub(super) const INTERRUPTED: &str = "interrupted";
/// The code of an operation that reading back showed not to have been applied.
pub(super) const NOT_APPLIED: &str = "upstream_not_applied";

/// The largest state that is kept whole beside an outcome, in bytes of JSON.
const MOST_STATE_BYTES: usize = 64 * 1024;

/// Whether a request whose answer was lost may still be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Landing {
    /// It was sent moments ago, or may have been.
    Possible,
    /// Every attempt has timed out, and upstream has had time to finish what it had begun.
    Over,
}

/// How an operation ended, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conclusion {
    pub(super) outcome: OperationOutcome,
    /// Found by reading back.
    pub(super) reconciled: bool,
    /// Upstream's answer and state, as evidence.
    pub(super) evidence: Evidence,
}

/// A request whose answer was lost: why, and what there was of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) why: String,
    pub(super) evidence: Box<Evidence>,
}

impl Lost {
    pub(super) fn without_answer(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            evidence: Box::default(),
        }
    }
}

impl Conclusion {
    fn told(outcome: OperationOutcome) -> Self {
        Self {
            outcome,
            reconciled: false,
            evidence: Evidence::default(),
        }
    }

    /// A result that is not upstream's.
    pub(super) fn simulated(result: &Value) -> Self {
        Self::told(OperationOutcome::Succeeded {
            http_status: None,
            request_id: None,
            result: json_text(result, MOST_RESULT_BYTES),
        })
    }

    /// Surely not carried out, for a reason on this side.
    pub(super) fn not_sent(code: &str, why: impl Into<String>) -> Self {
        Self::told(OperationOutcome::Failed {
            http_status: None,
            request_id: None,
            code: code.to_owned(),
            message: message(why.into()),
            errors: "[]".to_owned(),
        })
    }

    /// A person has to settle it.
    pub(super) fn unknown(why: impl Into<String>) -> Self {
        Self::told(OperationOutcome::Unknown {
            why: message(why.into()),
        })
    }

    /// The conclusion from an answer; `Err` when it was lost.
    pub(super) fn of(outcome: Outcome) -> Result<Self, Lost> {
        let notes = |value: Option<Value>| value.map(|value| json_text(&value, MOST_ERRORS_BYTES));
        match outcome {
            Outcome::Succeeded {
                http_status,
                request_id,
                result,
                result_info,
                messages,
            } => Ok(Self {
                evidence: Evidence {
                    result_info: notes(result_info),
                    messages: notes(messages),
                    ..Evidence::default()
                },
                ..Self::told(OperationOutcome::Succeeded {
                    http_status: Some(http_status),
                    request_id,
                    result: json_text(&result, MOST_RESULT_BYTES),
                })
            }),
            Outcome::Failed {
                http_status,
                request_id,
                code,
                message: text,
                errors,
                messages,
            } => Ok(Self {
                evidence: Evidence {
                    messages: notes(messages),
                    ..Evidence::default()
                },
                ..Self::told(OperationOutcome::Failed {
                    http_status,
                    request_id,
                    code: code.to_owned(),
                    message: message(text),
                    errors: json_text(&errors, MOST_ERRORS_BYTES),
                })
            }),
            Outcome::Lost {
                http_status,
                request_id,
                why,
                errors,
            } => Err(Lost {
                why,
                evidence: Box::new(Evidence {
                    http_status,
                    request_id,
                    errors: notes(errors),
                    ..Evidence::default()
                }),
            }),
        }
    }

    /// Reading back did not end; a person has to settle it.
    pub(super) fn unsettled(lost: Lost, before: &Before, why: &str) -> Self {
        Self {
            evidence: kept(*lost.evidence, before, None),
            ..Self::unknown(format!("{}; {why}", lost.why))
        }
    }

    /// The conclusion from reading back after the answer was lost. The state from before proves that nothing was
    /// done only when nothing can land any more.
    pub(super) fn read_back(
        found: ReadBack,
        before: &Before,
        lost: Lost,
        landing: Landing,
    ) -> Self {
        let evidence = kept(*lost.evidence, before, found.found);
        let lost = lost.why;
        let outcome = match found.verdict {
            Reconciled::Applied { result } => OperationOutcome::Succeeded {
                http_status: None,
                request_id: None,
                result: json_text(&result, MOST_RESULT_BYTES),
            },
            Reconciled::NotApplied { why } if landing == Landing::Possible => {
                let why =
                    format!("{lost}; read back: {why}, but the request may still be carried out");
                return Self {
                    evidence,
                    ..Self::unknown(why)
                };
            }
            Reconciled::NotApplied { why } => OperationOutcome::Failed {
                http_status: None,
                request_id: None,
                code: NOT_APPLIED.to_owned(),
                message: message(format!("{lost}; read back: {why}")),
                errors: "[]".to_owned(),
            },
            Reconciled::Unknown { why } => {
                return Self {
                    evidence,
                    ..Self::unknown(format!("{lost}; read back: {why}"))
                };
            }
        };
        Self {
            outcome,
            reconciled: true,
            evidence,
        }
    }

    /// The outcome's name in logs and metrics.
    pub(super) const fn name(&self) -> &'static str {
        match self.outcome {
            OperationOutcome::Succeeded { .. } => "succeeded",
            OperationOutcome::Failed { .. } => "failed",
            OperationOutcome::Unknown { .. } => "unknown",
        }
    }
}

/// The evidence of a lost answer with what stood upstream before and after.
fn kept(evidence: Evidence, before: &Before, found: Option<Value>) -> Evidence {
    let text = |value: Value| json_text(&value, MOST_STATE_BYTES);
    Evidence {
        read_before: before.state().map(text),
        read_back: found.map(text),
        ..evidence
    }
}
