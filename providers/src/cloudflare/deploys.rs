//! The requests that belong to one deploy of a Worker: its upload, and what clients send after it. The approval of the
//! upload allows what is small and follows from it; everything else is asked about.

use ledger::operation::{AlsoAllowed, Method, Sent};
use ledger::provider::Following;
use serde_json::{Map, Value};

const DEPLOYMENT: &str = "deployment";
const SCRIPT_SETTINGS: &str = "script_settings";
const SUBDOMAIN: &str = "subdomain";
/// The member of a deployment that says how what runs is replaced.
const UPDATE: &str = "code_update_strategy";

/// The kind of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upload {
    /// The script, which is deployed by that.
    Script,
    /// A version, which is deployed by another request.
    Version,
}

/// A request below a script.
#[derive(Debug, Clone, Copy)]
struct OfScript<'a> {
    account: &'a str,
    script: &'a str,
    rest: &'a [&'a str],
    has_query: bool,
}

/// The segments of a path, and whether there is a query.
fn segments(target: &str) -> (Vec<&str>, bool) {
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query)));
    let path = path.strip_prefix('/').unwrap_or(path);
    (path.split('/').collect(), query.is_some())
}

fn of_script<'a>((segments, has_query): &'a (Vec<&'a str>, bool)) -> Option<OfScript<'a>> {
    let ["accounts", account, "workers", "scripts", script, rest @ ..] = segments.as_slice() else {
        return None;
    };
    Some(OfScript {
        account,
        script,
        rest,
        has_query: *has_query,
    })
}

fn upload_of(method: Method, of: &OfScript<'_>) -> Option<Upload> {
    match (method, of.rest) {
        (Method::Put, []) => Some(Upload::Script),
        (Method::Post, ["versions"]) => Some(Upload::Version),
        _ => None,
    }
}

/// What the approval of an upload allows besides.
pub(super) fn also_allowed(sent: Sent<'_>) -> Vec<AlsoAllowed> {
    let path = segments(sent.target);
    let Some(of) = of_script(&path) else {
        return Vec::new();
    };
    let Some(upload) = upload_of(sent.method, &of) else {
        return Vec::new();
    };
    let script = of.script;
    let allowed = |name: &str, text: String| AlsoAllowed {
        name: name.to_owned(),
        text,
    };
    let mut all = Vec::with_capacity(3);
    if upload == Upload::Version {
        let text = format!("deploy the version that this upload makes to 100 % of {script}");
        all.push(allowed(DEPLOYMENT, text));
    }
    let text = format!("set observability and tags of {script}, and nothing else of its settings");
    all.push(allowed(SCRIPT_SETTINGS, text));
    let text = format!(
        "publish {script} at its address on workers.dev, or take it from there, without previews"
    );
    all.push(allowed(SUBDOMAIN, text));
    all
}

/// What a request is to an upload that was carried out, and that has made the version `made`.
pub(super) fn following(first: Sent<'_>, made: Option<&str>, then: Sent<'_>) -> Following {
    let path = segments(first.target);
    let Some(of) = of_script(&path) else {
        return Following::No;
    };
    let Some(upload) = upload_of(first.method, &of) else {
        return Following::No;
    };
    let path = segments(then.target);
    let Some(below) = of_script(&path) else {
        return match belongs(&of, &path.0) {
            true => Following::Asks,
            false => Following::No,
        };
    };
    if (below.account, below.script) != (of.account, of.script) {
        return Following::No;
    }
    if upload_of(then.method, &below).is_some() {
        return Following::No;
    }
    let body = then.body.and_then(Value::as_object);
    let Some(body) = body.filter(|_| !below.has_query) else {
        return Following::Asks;
    };
    match (then.method, below.rest) {
        (Method::Post, ["deployments"])
            if upload == Upload::Version && made.is_some_and(|made| deploys(body, made)) =>
        {
            Following::Allowed(DEPLOYMENT)
        }
        (Method::Patch, ["script-settings"]) if has_only(body, &["observability", "tags"]) => {
            Following::Allowed(SCRIPT_SETTINGS)
        }
        (Method::Post, ["subdomain"])
            if has_only(body, &["enabled"]) && body.values().all(Value::is_boolean) =>
        {
            Following::Allowed(SUBDOMAIN)
        }
        _ => Following::Asks,
    }
}

/// Whether a request that is not below the script can belong to its deploy: what calls Workers.
fn belongs(of: &OfScript<'_>, path: &[&str]) -> bool {
    match path {
        ["accounts", account, "workers", "domains", ..]
        | ["accounts", account, "queues", _, "consumers", ..]
        | ["accounts", account, "workflows", ..] => *account == of.account,
        ["zones", _, "workers", "routes", ..] => true,
        _ => false,
    }
}

fn has_only(body: &Map<String, Value>, names: &[&str]) -> bool {
    body.keys().all(|name| names.contains(&name.as_str()))
}

/// Whether a body deploys this version to everybody, and says nothing else but what its history shows.
fn deploys(body: &Map<String, Value>, made: &str) -> bool {
    const KNOWN: [&str; 4] = ["strategy", "versions", "annotations", UPDATE];
    let version = body.get("versions").and_then(Value::as_array);
    let version = version.and_then(|versions| match versions.as_slice() {
        [Value::Object(one)] => Some(one),
        _ => None,
    });
    let is_it = version.is_some_and(|version| {
        has_only(version, &["version_id", "percentage"])
            && version.get("version_id").and_then(Value::as_str) == Some(made)
            && version.get("percentage").and_then(Value::as_f64) == Some(100.0)
    });
    let is_note = |(name, value): (&String, &Value)| {
        ["workers/message", "workers/triggered_by"].contains(&name.as_str()) && value.is_string()
    };
    let notes = match body.get("annotations") {
        None => true,
        Some(Value::Object(notes)) => notes.iter().all(is_note),
        Some(_) => false,
    };
    // How fast what runs already takes the version.
    let is_update = match body.get(UPDATE) {
        None => true,
        Some(Value::Object(update)) => {
            has_only(update, &["mode", "max_delay"])
                && update.get("mode").is_none_or(Value::is_string)
                && update.get("max_delay").is_none_or(Value::is_u64)
        }
        Some(_) => false,
    };
    let is_percentage = body.get("strategy").and_then(Value::as_str) == Some("percentage");
    is_it && notes && is_update && is_percentage && has_only(body, &KNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SCRIPT: &str = "/accounts/a1/workers/scripts/shop";

    fn sent<'a>(method: Method, target: &'a str, body: Option<&'a Value>) -> Sent<'a> {
        Sent {
            method,
            target,
            body,
        }
    }

    fn after(upload: (Method, &str), line: (Method, &str), body: &Value) -> Following {
        let first = format!("{SCRIPT}{}", upload.1);
        let then = line.1.replace("S/", &format!("{SCRIPT}/"));
        following(
            sent(upload.0, &first, None),
            Some("v1"),
            sent(line.0, &then, Some(body)),
        )
    }

    const VERSION: (Method, &str) = (Method::Post, "/versions?bindings_inherit=strict");
    const PUT: (Method, &str) = (Method::Put, "?excludeScript=true&bindings_inherit=strict");

    #[test]
    fn what_a_deploy_sends_after_its_upload_is_allowed_with_it() {
        let deployment = json!({
            "strategy": "percentage", "versions": [{"version_id": "v1", "percentage": 100}], "annotations": {},
            "code_update_strategy": {"mode": "deferred", "max_delay": 300},
        });
        let settings = json!({"observability": {"enabled": false}, "tags": ["a"]});
        for (upload, line, body, name) in [
            (
                VERSION,
                (Method::Post, "S/deployments"),
                &deployment,
                DEPLOYMENT,
            ),
            (
                VERSION,
                (Method::Patch, "S/script-settings"),
                &settings,
                SCRIPT_SETTINGS,
            ),
            (
                VERSION,
                (Method::Post, "S/subdomain"),
                &json!({"enabled": true}),
                SUBDOMAIN,
            ),
            (
                PUT,
                (Method::Patch, "S/script-settings"),
                &json!({"tags": []}),
                SCRIPT_SETTINGS,
            ),
            (
                PUT,
                (Method::Post, "S/subdomain"),
                &json!({"enabled": false}),
                SUBDOMAIN,
            ),
        ] {
            assert_eq!(
                after(upload, line, body),
                Following::Allowed(name),
                "{line:?}"
            );
            let upload = format!("{SCRIPT}{}", upload.1);
            let first = sent(
                if upload.contains("versions") {
                    Method::Post
                } else {
                    Method::Put
                },
                &upload,
                None,
            );
            assert!(
                also_allowed(first)
                    .iter()
                    .any(|allowed| allowed.name == name)
            );
        }
    }

    #[test]
    fn another_version_share_body_or_query_is_asked_about() {
        let of = |version: &str, percentage: u64| {
            json!({
                "strategy": "percentage",
                "versions": [{"version_id": version, "percentage": percentage}],
            })
        };
        let two = json!({"strategy": "percentage", "versions": [
            {"version_id": "v1", "percentage": 100}, {"version_id": "v0", "percentage": 0},
        ]});
        let mut more = of("v1", 100);
        more["force"] = json!(true);
        for (line, body) in [
            ((Method::Post, "S/deployments"), of("v0", 100)),
            ((Method::Post, "S/deployments"), of("v1", 50)),
            ((Method::Post, "S/deployments"), two),
            ((Method::Post, "S/deployments"), more),
            ((Method::Post, "S/deployments?force=true"), of("v1", 100)),
            (
                (Method::Patch, "S/script-settings"),
                json!({"logpush": true}),
            ),
            ((Method::Patch, "S/settings"), json!({"tags": []})),
            ((Method::Post, "S/subdomain"), json!({"enabled": "yes"})),
            (
                (Method::Post, "S/subdomain"),
                json!({"enabled": true, "previews_enabled": true}),
            ),
            (
                (Method::Post, "S/subdomain"),
                json!({"enabled": true, "previews_enabled": false}),
            ),
            ((Method::Put, "S/routes"), json!({})),
            ((Method::Put, "S/schedules"), json!({})),
            ((Method::Put, "/accounts/a1/workers/domains"), json!({})),
            ((Method::Post, "/zones/z1/workers/routes"), json!({})),
            ((Method::Put, "/accounts/a1/workflows/w"), json!({})),
        ] {
            assert_eq!(
                after(VERSION, line, &body),
                Following::Asks,
                "{line:?} {body}"
            );
        }
        let deployed = of("v1", 100);
        let line = (Method::Post, "S/deployments");
        assert_eq!(
            after(PUT, line, &deployed),
            Following::Asks,
            "nothing made a version"
        );
    }

    #[test]
    fn what_is_of_another_script_or_an_upload_itself_does_not_follow() {
        let none = json!({});
        for line in [
            (Method::Post, "/accounts/a1/workers/scripts/other/subdomain"),
            (Method::Post, "/accounts/a2/workers/scripts/shop/subdomain"),
            (Method::Post, "S/versions"),
            (Method::Put, "/accounts/a2/workers/domains"),
            (Method::Post, "/zones/z1/dns_records"),
        ] {
            assert_eq!(after(VERSION, line, &none), Following::No, "{line:?}");
        }
    }
}
