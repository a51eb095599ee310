//! Purges that are accepted and refused.

use super::{accepted, refused};
use serde_json::json;

#[test]
fn a_purge_is_of_exactly_one_kind() {
    let url = "https://example.com/a";
    refused(
        "cache.purge.execute",
        &[
            ("params", json!({})),
            ("params", json!({"purge_everything": false})),
            ("params", json!({"purge_everything": true, "tags": ["a"]})),
            ("params", json!({"files": [url], "hosts": ["example.com"]})),
            (
                "params.purge_everything",
                json!({"purge_everything": "true"}),
            ),
            ("params.files", json!({"files": []})),
            ("params.files", json!({"files": url})),
            ("params.files", json!({"files": vec![url; 501]})),
            ("params.files[1]", json!({"files": [url, "/a"]})),
            ("params.files[0]", json!({"files": [1]})),
            (
                "params.files[0].url",
                json!({"files": [{"url": "ftp://a/"}]}),
            ),
            (
                "params.files[0].headers",
                json!({"files": [{"url": url, "headers": {"a b": "c"}}]}),
            ),
            ("params.tags[0]", json!({"tags": ["a,b"]})),
            ("params.hosts[0]", json!({"hosts": ["https://a"]})),
            ("params.prefixes[0]", json!({"prefixes": ["https://a/b"]})),
            ("params.prefixes[0]", json!({"prefixes": ["a.example/b c"]})),
            (
                "params.prefixes[0]",
                json!({"prefixes": ["a.example/\u{202e}"]}),
            ),
        ],
    );
    let most = accepted("cache.purge.execute", json!({"files": vec![url; 500]}));
    assert!(!most.reconcilable());
    assert_eq!(
        most.summary(),
        "Purge by file https://example.com/a and 499 more from the cache of zone z1 \
         [unchecked: files]"
    );
}
