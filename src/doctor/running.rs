//! The service itself, when it runs: its readiness, and the socket that commands reach it by.

use super::finding::Finding;
use crate::asking::{Ready, ask_ready, reachable};
use crate::config::{Environment, Storage, http_bind};
use std::os::unix::net::UnixStream;

const CHECK: &str = "service";

/// Asks the service at BIND_ADDR, and knocks at the control socket.
pub(super) fn look(environment: &Environment, storage: &Storage) -> Vec<Finding> {
    let listens = UnixStream::connect(storage.control_socket()).is_ok();
    let Ok((bind, _)) = environment.part(http_bind) else {
        return vec![Finding::problem(
            CHECK,
            "not asked: the settings do not say where it listens",
            "set BIND_ADDR right",
        )];
    };
    if bind.port() == 0 {
        return vec![Finding::ok(
            CHECK,
            "BIND_ADDR has port 0, so it cannot be asked whether it is ready",
        )];
    }
    let address = reachable(bind);
    let Ok(answer) = ask_ready(address) else {
        return vec![silent(listens, &address.to_string())];
    };
    let mut findings = readiness(answer.ok, &answer.body);
    if !listens {
        findings.push(Finding::warning(
            CHECK,
            format!(
                "it does not listen at its control socket {}",
                storage.control_socket().display()
            ),
            "operator commands go through the API until it is restarted; is it the service of this \
             ledger, and is the path shorter than 100 bytes?",
        ));
    }
    findings
}

fn silent(listens: bool, address: &str) -> Finding {
    if listens {
        Finding::problem(
            CHECK,
            format!("it runs, and does not answer at {address}"),
            "is BIND_ADDR that of the running service? Otherwise restart it; its log says more",
        )
    } else {
        Finding::ok(CHECK, format!("not running: nothing answers at {address}"))
    }
}

fn readiness(is_ready: bool, body: &str) -> Vec<Finding> {
    match serde_json::from_str::<Ready>(body) {
        Ok(Ready { ready: true, .. }) if is_ready => {
            vec![Finding::ok(
                CHECK,
                "running and ready, its workers are at work",
            )]
        }
        Ok(Ready { reasons, .. }) => {
            let mut findings: Vec<Finding> = reasons.iter().map(|why| against(why)).collect();
            if findings.is_empty() {
                findings.push(against("it does not say why"));
            }
            findings
        }
        Err(_) => vec![Finding::problem(
            CHECK,
            "something else answers where it should listen",
            "find out what listens at BIND_ADDR",
        )],
    }
}

fn against(why: &str) -> Finding {
    Finding::problem(
        CHECK,
        format!("not ready: {why}"),
        "its log says more; docs/operations.md says what to do (When something is wrong)",
    )
}
