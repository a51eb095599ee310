//! The bytes of requests and answers, as C2SP tlog-witness has them. The fixed ones were made with
//! Python's `cryptography`, apart from this code.

use super::*;
use crate::witness::{StateFolder, WatchedLogs};
use axum::http::Request;
use fixtures::log_history::LogHistory;
use ledger::tlog::WitnessSigner;
use ledger::{Clock, Timestamp};
use tempfile::TempDir;
use tower::util::ServiceExt as _;

const LOG: &str = "ledger.example/log+db6aad6f+AW56HN0psLeP0Tr0xVmP7/TvKpcWbjym8uT7/M2AUFvx";
const FIRST: &str = "\
old 0

ledger.example/log
1
Aippeebat6pa5MPl5F9+l3ESp+Y1k4INvsHsc4ok+Tw=

— ledger.example/log 22qtb5r6ZpxbkuM4aUNobKPw+2OocHWDnOWoVSBp5Ny1DkAlbJttJ2hJu706ufRbhCVjpzpAPawuvXEMrQtyA1zg/wM=
";
const SECOND: &str = "\
old 1
V+s1YV1H807HFMrN9f10YIpejhAnJOgLJLKHwMJ7ajE=
WX/LMSgtNGVMIA00GPylcFxkjr8ybsc9jd7xGEH4dtg=

ledger.example/log
3
NmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=

— ledger.example/log 22qtb9GwGjqqTU4DHbSQq9wypxknuCEAtM8UX0D4ZtQexyRsmz79SrtCPhDajVexr3B09Axfhts+g/SbUH+uOyWOvQk=
";
const COSIGNED: &str = "\
— witness.example/w g3VaswAAAABlU/EAEAntNk50CbOsqMhT5IOQlAFKwA9eI2qximZpcGnXgor1avUgaxgA+EIZ9bxnd4O08/d+SOYD0ekXhSgeMk0NDw==
";

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000)
    }
}

struct Stage {
    router: Router,
    _folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signer = WitnessSigner::from_seed("witness.example/w".parse().unwrap(), &[7; 32]);
        StateFolder::init(folder.path(), &signer.public()).unwrap();
        let state = StateFolder::open(folder.path(), signer.public()).unwrap();
        let logs: WatchedLogs = LOG.parse().unwrap();
        let witness = Witness::new(signer, state, logs, Arc::new(StoppedClock)).unwrap();
        Self {
            router: router(witness),
            _folder: folder,
        }
    }

    /// Status, media type and body.
    async fn ask(&self, body: impl Into<Body>) -> (u16, String, String) {
        let request = Request::post("/add-checkpoint").body(body.into()).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let media = answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, media, String::from_utf8(body.into()).unwrap())
    }
}

#[tokio::test]
async fn requests_and_answers_are_byte_for_byte_those_of_tlog_witness() {
    let stage = Stage::new();
    assert_eq!(stage.ask(FIRST).await.0, 200);
    let (status, _, cosigned) = stage.ask(SECOND).await;
    assert_eq!((status, cosigned.as_str()), (200, COSIGNED));
    let same: ledger::tlog::WitnessRequest = SECOND.parse().unwrap();
    assert_eq!(same.to_string(), SECOND);
    assert_eq!(
        LogHistory::new("ledger.example/log", ["a", "b", "c"]).request(1, 3),
        same
    );
}

#[tokio::test]
async fn a_conflict_of_sizes_answers_with_the_size_alone() {
    let stage = Stage::new();
    let (status, media, body) = stage.ask(SECOND).await;
    let size = "text/x.tlog.size";
    assert_eq!((status, media.as_str(), body.as_str()), (409, size, "0\n"));
    stage.ask(FIRST).await;
    stage.ask(SECOND).await;
    let (status, media, body) = stage.ask(FIRST).await;
    assert_eq!((status, media.as_str(), body.as_str()), (409, size, "3\n"));
}

#[tokio::test]
async fn each_refusal_has_the_status_that_the_standard_gives_it() {
    let stage = Stage::new();
    stage.ask(FIRST).await;
    let name = "ledger.example/log";
    let forked = LogHistory::new(name, ["x", "b", "c"]);
    let unknown = LogHistory::new("ledger.example/other", ["a"]);
    for (body, status) in [
        (String::new(), 400),
        ("old 1".to_owned(), 400),
        (SECOND.replace("old 1", "old 01"), 400),
        (SECOND.replace("old 1", "old 4"), 400),
        (SECOND.replace("\n3\n", "\nthree\n"), 400),
        (SECOND.replace('—', "-"), 400),
        (SECOND.replace("\n3\n", "\n4\n"), 403),
        (SECOND.replace("log 22qtb9", "log 22qtb8"), 403),
        (unknown.request(0, 1).to_string(), 404),
        (forked.request(1, 3).to_string(), 422),
        (SECOND.replacen("V+s1", "V+s2", 1), 422),
        (
            SECOND.replacen("WX/LMSgtNGVMIA00GPylcFxkjr8ybsc9jd7xGEH4dtg=\n", "", 1),
            422,
        ),
    ] {
        let (answered, media, _) = stage.ask(body.clone()).await;
        assert_eq!(answered, status, "{body}");
        assert!(media.starts_with("text/plain"), "{media}");
    }
    let (status, media, body) = stage.ask(forked.request(1, 1).to_string()).await;
    let size = "text/x.tlog.size";
    assert_eq!((status, media.as_str(), body.as_str()), (409, size, "1\n"));
    let (status, ..) = stage.ask(vec![0xff, 0xfe]).await;
    assert_eq!(status, 400);
    let (status, ..) = stage.ask(vec![b'a'; MOST_BODY_BYTES + 1]).await;
    assert_eq!(status, 413);
    let (status, _, cosigned) = stage.ask(SECOND).await;
    assert_eq!(
        (status, cosigned.as_str()),
        (200, COSIGNED),
        "no refusal moves it"
    );
}

#[tokio::test]
async fn nothing_but_posting_a_checkpoint_is_served() {
    let stage = Stage::new();
    for (method, path, status) in [
        ("GET", "/add-checkpoint", 405),
        ("PUT", "/add-checkpoint", 405),
        ("POST", "/", 404),
        ("GET", "/metrics", 404),
    ] {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::from(FIRST)).unwrap();
        let answer = stage.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
    }
}
