//! Pages of large requests: bounded, and all of what they cut can be had.

use super::*;
use sha2::{Digest as _, Sha256};

const MIB: usize = 1024 * 1024;

fn deploy(script: &str) -> Operation {
    let params = json!({"script_name": "site", "script": script});
    providers::all()
        .parse("workers.deploy.write", "account", "a1", &params)
        .unwrap()
}

fn export(rest: &str) -> String {
    format!("export default {{}};\n//{rest}")
}

/// The addresses of the files where a page says that it cuts, below the service.
fn files(html: &str) -> Vec<String> {
    html.split("<a href=\"http://localhost:8080")
        .skip(1)
        .filter_map(|rest| {
            let (file, link) = rest.split_once('"')?;
            let is_cut = link.starts_with(" download>Download all of it");
            is_cut.then(|| file.to_owned())
        })
        .collect()
}

#[tokio::test]
async fn a_page_is_bounded_whatever_a_script_is_made_of() {
    let stage = Stage::new().await;
    for fill in [
        "\u{7f}".repeat(2 * MIB),
        "\u{7f}\u{1}".repeat(MIB),
        "&'<\"".repeat(MIB / 2),
        "\u{430}a ".repeat(MIB / 2),
        "\u{17d2}a".repeat(MIB / 2),
        "\n".repeat(2 * MIB),
    ] {
        let asked = stage.question_about(vec![deploy(&export(&fill))]).await;
        let (page, html) = stage.look(&asked.path).await;
        assert_eq!(page.status, 200);
        assert!(html.len() < 3 * MIB, "{} bytes", html.len());
        assert!(html.contains("Cut here:"), "it says that it is cut");
        assert_eq!(files(&html).len(), 1, "and where all of it is");
    }
}

#[tokio::test]
async fn what_is_cut_can_be_downloaded_and_compared() {
    let stage = Stage::new().await;
    let script = export(&"x\u{430}<".repeat(MIB));
    let asked = stage
        .question_about(vec![deploy("export default {}"), deploy(&script)])
        .await;
    let (_, html) = stage.look(&asked.path).await;
    let digest = hex::encode(Sha256::digest(script.as_bytes()));
    assert!(html.contains(&format!(
        r#"SHA-256 of this text: <code class="digest">{digest}</code>"#
    )));
    let named = files(&html);
    assert!(named[0].ends_with(".txt"), "{named:?}");
    let (file, text) = stage.ask("GET", &named[0], "*/*", &Value::Null).await;
    assert_eq!(file.status, 200);
    assert_eq!(text, script);
    let header = |name: &str| file.headers[name].to_str().unwrap().to_owned();
    assert!(header("content-disposition").starts_with("attachment; filename=\"param-2-"));
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert!(header("content-security-policy").contains("sandbox"));
    assert_eq!(header("content-type"), "text/plain; charset=utf-8");

    // The request is what the fingerprint is made from.
    let whole = format!("{}/files/request.json", asked.path);
    let (file, text) = stage.ask("GET", &whole, "*/*", &Value::Null).await;
    assert_eq!(file.status, 200);
    let approval = stage.approval(&asked).await;
    let found = ledger::Fingerprint::of(text.as_bytes());
    assert_eq!(found, approval.fingerprint);
    for missing in [
        "x",
        "param-3-1.txt",
        "param-0-1.txt",
        "param-1-99.txt",
        "upstream.json",
    ] {
        let path = format!("{}/files/{missing}", asked.path);
        let (answer, _) = stage.ask("GET", &path, "*/*", &Value::Null).await;
        assert_eq!(
            (answer.status, answer.code()),
            (404, "not_found"),
            "{missing}"
        );
    }
}

#[tokio::test]
async fn a_file_is_downloaded_as_the_bytes_whose_digest_the_page_names() {
    let stage = Stage::new().await;
    let wasm = [0, 0x61, 0x73, 0x6d, 0xff];
    let params = json!({
        "script_name": "site", "main_module": "a.mjs", "modules": [
            {"name": "b.wasm", "content_base64": "AGFzbf8="},
            {"name": "a.mjs", "content": "export default {}"},
        ],
    });
    let deploy = providers::all().parse("workers.deploy.write", "account", "a1", &params);
    let asked = stage.question_about(vec![deploy.unwrap()]).await;
    let (_, html) = stage.look(&asked.path).await;
    let (_, files) = html.split_once("<ul class=\"files\">").unwrap();
    let addresses = files.split("<a href=\"http://localhost:8080").skip(1);
    let addresses: Vec<_> = addresses
        .map(|rest| rest.split_once('"').unwrap().0)
        .take(2)
        .collect();
    for (address, content) in addresses.iter().zip([&wasm[..], b"export default {}"]) {
        let request = Request::builder().uri(*address).body(Body::empty());
        let answer = stage.router.clone().oneshot(request.unwrap()).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 200, "{address}");
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "application/octet-stream");
        assert!(header("content-disposition").starts_with("attachment; filename=\"file-1-"));
        let digest = Sha256::digest(content);
        let as_field = base64::engine::general_purpose::STANDARD.encode(digest);
        assert_eq!(header("repr-digest"), format!("sha-256=:{as_field}:"));
        let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
        assert_eq!(bytes.unwrap(), content);
        assert!(files.contains(&hex::encode(digest)), "{address}");
    }
    for missing in [
        "file-1-3.bin",
        "file-1-0.bin",
        "file-2-1.bin",
        "file-01-1.bin",
    ] {
        let path = format!("{}/files/{missing}", asked.path);
        let (answer, _) = stage.ask("GET", &path, "*/*", &Value::Null).await;
        assert_eq!(answer.status, 404, "{missing}");
    }
}

#[tokio::test]
async fn one_large_operation_leaves_the_others_their_place_on_the_page() {
    let stage = Stage::new().await;
    let ssl = providers::all()
        .parse("ssl.mode.write", "zone", "z1", &json!({"value": "off"}))
        .unwrap();
    let huge = deploy(&export(&"<".repeat(3 * MIB)));
    let asked = stage.question_about(vec![huge, ssl]).await;
    let (_, html) = stage.look(&asked.path).await;
    assert!(html.len() < 3 * MIB, "{} bytes", html.len());
    let (_, last) = html.split_once("id=\"operation-2\"").unwrap();
    assert!(last.contains("ssl.mode.write") && !last.contains("Cut here"));
}

#[tokio::test]
async fn a_script_with_control_characters_is_refused_by_its_place() {
    let stage = Stage::new().await;
    let (task, token) = stage.task(AGENT).await;
    let apply = json!({"operations": [{
        "operation_id": "workers.deploy.write", "scope_type": "account", "scope_id": "a1",
        "params": {"script_name": "site", "script": "export default {};\n// \u{7f}"},
    }]});
    let path = format!("/v1/tasks/{}/apply", task.task.id);
    let key = [("idempotency-key", "k1")];
    let refused = stage.send_with("POST", &path, &token, &key, &apply).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("U+007F in line 2"), "{detail}");
    let path = format!("/v1/tasks/{}/workers/deploy", task.task.id);
    let short =
        json!({"scope_id": "a1", "script_name": "site", "script": "export default {} // \u{1}"});
    let refused = stage.send_with("POST", &path, &token, &key, &short).await;
    assert_eq!(refused.status, 400, "{refused:?}");
}
