//! Uploads that are accepted and refused.

use super::{accepted, codes, refused};
use serde_json::{Value, json};

#[test]
fn uploads_are_complete_and_hold_no_secrets() {
    let with = |change: Value| {
        let mut params = json!({"script_name": "s", "main_module": "a.js",
            "modules": [{"name": "a.js", "content": "export default {}"}]});
        params
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        params
    };
    let module = |change: Value| with(json!({"modules": [change]}));
    let binding = |change: Value| with(json!({"bindings": [change]}));
    refused(
        "workers.deploy.write",
        &[
            ("params.script_name", json!({"script": "1"})),
            ("params.script_name", with(json!({"script_name": "A"}))),
            ("params.script_name", with(json!({"script_name": "../a"}))),
            ("params.script_name", with(json!({"script_name": "-a"}))),
            ("params", json!({"script_name": "s"})),
            ("params", json!({"script_name": "s", "script": ""})),
            (
                "params",
                json!({"script_name": "s", "script": "a".repeat(10 * 1024 * 1024 + 1)}),
            ),
            (
                "params.main_module",
                json!({"script_name": "s", "script": "1", "main_module": "../a.js"}),
            ),
            (
                "params.modules",
                json!({"script_name": "s", "script": "1", "modules": []}),
            ),
            (
                "params.script",
                json!({"script_name": "s", "script": "if (a) {} /'/.test(b); export default {}"}),
            ),
            ("params.main_module", with(json!({"main_module": null}))),
            ("params.main_module", with(json!({"body_part": "a.js"}))),
            ("params.main_module", with(json!({"main_module": "b.js"}))),
            (
                "params.main_module",
                module(json!({"name": "a.js", "content": "1", "type": "text/plain"})),
            ),
            (
                "params.modules[0].name",
                module(json!({"name": "../a.js", "content": "1"})),
            ),
            (
                "params.modules[0].name",
                module(json!({"name": "a\".js", "content": "1"})),
            ),
            (
                "params.modules[0].name",
                module(json!({"name": "metadata", "content": "1"})),
            ),
            (
                "params.modules[0].type",
                module(json!({"name": "a", "content": "1"})),
            ),
            (
                "params.modules[0].type",
                module(json!({"name": "a.js", "content": "1", "type": "a/b/c"})),
            ),
            ("params.modules[0].content", module(json!({"name": "a.js"}))),
            (
                "params.modules[0].content_base64",
                module(json!({"name": "a.js", "content_base64": "?"})),
            ),
            (
                "params.modules[1].name",
                with(json!({"modules": [
            {"name": "a.js", "content": "1"}, {"name": "a.js", "content": "2"}]})),
            ),
            (
                "params.compatibility_date",
                with(json!({"compatibility_date": "2026-02-30"})),
            ),
            (
                "params.compatibility_flags[0]",
                with(json!({"compatibility_flags": ["a\nb"]})),
            ),
            (
                "params.bindings[0].type",
                binding(json!({"type": "secret_text", "name": "A", "text": "s"})),
            ),
            (
                "params.bindings[0].type",
                binding(json!({"type": "Magic!", "name": "A"})),
            ),
            (
                "params.bindings[0].name",
                binding(json!({"type": "ai", "name": "a\n"})),
            ),
            (
                "params.bindings[0].namespace_id",
                binding(json!({"type": "kv_namespace", "name": "A"})),
            ),
            (
                "params.bindings[0].part",
                binding(json!({"type": "wasm_module", "name": "A", "part": "b"})),
            ),
            (
                "params.bindings[1].name",
                with(json!({"bindings": [
            {"type": "ai", "name": "A"}, {"type": "browser", "name": "A"}]})),
            ),
            (
                "params.keep_bindings[0]",
                with(json!({"keep_bindings": ["magic!"]})),
            ),
            (
                "params.bindings_inherit",
                with(json!({"bindings_inherit": "loose"})),
            ),
            (
                "params.placement.mode",
                with(json!({"placement": {"mode": 1}})),
            ),
            (
                "params.observability.enabled",
                with(json!({"observability": {}})),
            ),
            (
                "params.bindings[0].database_id",
                binding(json!({"type": "d1", "name": "A"})),
            ),
            (
                "params.tail_consumers[0].service",
                with(json!({"tail_consumers": [{"environment": "a"}]})),
            ),
            (
                "params.limits.cpu_ms",
                with(json!({"limits": {"cpu_ms": 0}})),
            ),
            ("params.keep_assets", with(json!({"keep_assets": 1}))),
        ],
    );
}

#[test]
fn the_short_form_says_what_it_was_taken_for() {
    let module = accepted(
        "workers.deploy.write",
        json!({"script_name": "s", "script": "export default {}"}),
    );
    assert_eq!(
        module.to_json()["params"],
        json!({"script_name": "s", "main_module": "worker.js", "modules": [{
            "name": "worker.js", "type": "application/javascript+module",
            "content": "export default {}"}]})
    );
    let worker = accepted(
        "workers.deploy.write",
        json!({"script_name": "s", "script": "f()"}),
    );
    assert_eq!(
        module.summary(),
        "Deploy Worker s in account z1 (1 ES module, 17 bytes)"
    );
    assert_eq!(worker.to_json()["params"]["body_part"], "worker.js");
    assert_eq!(
        worker.summary(),
        "Deploy Worker s in account z1 (service worker in 1 part, 3 bytes)"
    );
    assert_eq!(codes(&worker), ["replaces_code", "drops_bindings"]);
}
