//! What people read of a write to Cloudflare's API that the catalog does not describe: the act in a few words, and
//! the names in its path.

use http::Method;

/// The title of a write; `None` where method and address say all that is known.
pub(crate) fn title(method: &Method, path: &str) -> Option<String> {
    let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    let verb = |put: &str, delete: &str| match *method {
        Method::DELETE => delete.to_owned(),
        _ => put.to_owned(),
    };
    let title = match segments.as_slice() {
        ["accounts", _, "workers", "scripts", script, rest @ ..] => {
            of_script(method, script, rest)?
        }
        ["accounts", _, "workers", "domains"] => "Send a domain’s requests to a Worker".to_owned(),
        ["accounts", _, "queues", queue, "consumers", ..] => {
            format!("Set the consumers of the queue {queue}")
        }
        ["accounts", _, "workflows", workflow] => format!("Set up the workflow {workflow}"),
        ["zones", _, "workers", "routes"] => "Send a route’s requests to a Worker".to_owned(),
        ["zones", _, "workers", "routes", route] => verb(
            &format!("Change the Worker route {route}"),
            &format!("Delete the Worker route {route}"),
        ),
        _ => return None,
    };
    Some(title)
}

fn of_script(method: &Method, script: &str, rest: &[&str]) -> Option<String> {
    let is_deleted = *method == Method::DELETE;
    let title = match rest {
        [] if is_deleted => format!("Delete the Worker {script}"),
        [] => format!("Upload the Worker {script}, and put it into use"),
        ["content"] => format!("Replace the code of the Worker {script}"),
        ["versions"] => format!("Upload a version of the Worker {script}"),
        ["deployments"] => format!("Put versions of the Worker {script} into use"),
        ["subdomain"] => format!("Set the workers.dev address of the Worker {script}"),
        ["settings" | "script-settings"] => format!("Change settings of the Worker {script}"),
        ["secrets"] => format!("Store a secret of the Worker {script}"),
        ["secrets", secret] => format!("Delete the secret {secret} of the Worker {script}"),
        ["routes"] => format!("Set the routes of the Worker {script}"),
        ["schedules"] => format!("Set the schedules of the Worker {script}"),
        _ => return None,
    };
    Some(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_write_to_a_worker_says_what_it_does() {
        let script = "/accounts/a1/workers/scripts/shop";
        for (method, path, expected) in [
            (
                "PUT",
                String::new(),
                "Upload the Worker shop, and put it into use",
            ),
            ("DELETE", String::new(), "Delete the Worker shop"),
            (
                "POST",
                "/versions".to_owned(),
                "Upload a version of the Worker shop",
            ),
            (
                "POST",
                "/deployments".to_owned(),
                "Put versions of the Worker shop into use",
            ),
            (
                "PUT",
                "/secrets".to_owned(),
                "Store a secret of the Worker shop",
            ),
            (
                "DELETE",
                "/secrets/KEY".to_owned(),
                "Delete the secret KEY of the Worker shop",
            ),
        ] {
            let method = method.parse().unwrap();
            let found = title(&method, &format!("{script}{path}"));
            assert_eq!(found.as_deref(), Some(expected));
        }
        let route = "/zones/z1/workers/routes/r1";
        assert_eq!(
            title(&Method::DELETE, route).unwrap(),
            "Delete the Worker route r1"
        );
        assert_eq!(title(&Method::POST, "/zones/z1/dns_records"), None);
    }
}
