//! `ledger verify-callback`.

use crate::cli::VerifyCallbackArgs;
use crate::output::say;
use anyhow::Context;
use ledger::callback_proof::{
    CallbackProofError, CallbackTrust, VerifiedCallback, verify_callback,
};
use ledger::tlog::LogOrigin;
use ledger::with_sources;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::process::ExitCode;

/// Longer bodies are not of a callback: the events that are reported are small.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// Verifies a body and reports. Needs no configuration: what is trusted stands on the command line.
pub(crate) fn ledger_verify_callback(args: VerifyCallbackArgs) -> anyhow::Result<ExitCode> {
    let body = read(&args.file).with_context(|| format!("{} cannot be read", args.file))?;
    let origin = args.origin;
    let trust = CallbackTrust {
        origin: origin.unwrap_or_else(|| LogOrigin::from(args.key.name())),
        key: args.key,
        policy: args.witness_policy,
    };
    let verified = verify_callback(&body, &trust);
    if args.json {
        say!("{}", serde_json::to_string_pretty(&report(&verified))?);
    } else {
        say!("{}", told(&verified, trust.policy.is_some()));
    }
    Ok(super::verdict(verified.is_ok()))
}

fn read(file: &str) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if file == "-" {
        std::io::stdin()
            .lock()
            .take(MOST_BYTES)
            .read_to_end(&mut body)?;
    } else {
        File::open(file)?.take(MOST_BYTES).read_to_end(&mut body)?;
    }
    Ok(body)
}

fn report(verified: &Result<VerifiedCallback, CallbackProofError>) -> Value {
    match verified {
        Ok(callback) => json!({
            "verified": true,
            "event_type": callback.event_type,
            "event_id": callback.event_id,
            "position": callback.position,
            "recorded_at": callback.recorded_at,
            "checkpoint": {
                "origin": callback.checkpoint.origin().as_str(),
                "size": callback.checkpoint.size(),
                "root": callback.checkpoint.root(),
            },
            "witnesses": callback
                .cosignatures
                .iter()
                .map(|cosigned| json!({"name": cosigned.witness.as_str(), "at": cosigned.at}))
                .collect::<Vec<_>>(),
        }),
        Err(why) => json!({
            "verified": false,
            "problem": {"code": why.code(), "place": why.place(), "detail": with_sources(why)},
        }),
    }
}

fn told(verified: &Result<VerifiedCallback, CallbackProofError>, has_policy: bool) -> String {
    match verified {
        Ok(callback) => {
            let checkpoint = &callback.checkpoint;
            let anchor = if has_policy {
                format!(
                    "{} witnesses of the policy cosigned it.",
                    callback.cosignatures.len()
                )
            } else {
                "Nobody but the log has signed it: a log that is rewritten and signed again is \
                 caught by those who remember. Keep the checkpoint, or trust witnesses \
                 (--witness-policy)."
                    .to_owned()
            };
            format!(
                "verified: the body says what the event at position {} says\n  {} {}, recorded at \
                 {}\n  under the checkpoint of {}, {} events\n{anchor}",
                callback.position,
                callback.event_type,
                callback.event_id,
                callback.recorded_at,
                checkpoint.origin(),
                checkpoint.size(),
            )
        }
        Err(why) => format!("NOT verified: {}", with_sources(why)),
    }
}
