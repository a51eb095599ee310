//! The link at the end of `demo --keep`, by which a browser of this machine is logged in.
//!
//! It is of the demo alone: a small server on a loopback port of its own, which asks the service for a session as a
//! login does and hands the cookie on. A cookie is of a host and not of a port, so the service finds it.

use super::stage::YOU;
use anyhow::{Context, ensure};
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ledger::Random as _;
use ledger_sqlite::SystemRandom;
use reqwest::{Client, StatusCode, header};
use serde_json::json;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;

/// How long the link may be opened.
const LIFE: Duration = Duration::from_secs(15 * 60);

/// What the link opens, until somebody has opened it.
struct Login {
    secret: String,
    base_url: String,
    password: Mutex<Option<String>>,
}

/// Hands out the link. It works once, and while the process and fifteen minutes last.
///
/// # Errors
/// When there is no free port.
pub(super) async fn hand_out(base_url: &str, password: String) -> anyhow::Result<String> {
    let mut random = [0; 16];
    SystemRandom.fill(&mut random);
    let secret = hex::encode(random);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("taking a free port")?;
    let port = listener.local_addr()?.port();
    let link = format!("http://localhost:{port}/{secret}");
    let login = Login {
        secret,
        base_url: base_url.to_owned(),
        password: Mutex::new(Some(password)),
    };
    let routes = Router::new()
        .route("/{secret}", get(open))
        .with_state(Arc::new(login));
    tokio::spawn(tokio::time::timeout(LIFE, async {
        axum::serve(listener, routes).await
    }));
    Ok(link)
}

async fn open(State(login): State<Arc<Login>>, Path(secret): Path<String>) -> Response {
    if secret != login.secret {
        return StatusCode::NOT_FOUND.into_response();
    }
    let password = login
        .password
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let Some(password) = password else {
        let text = "This link was used. Run the demo again for another one.\n";
        return (StatusCode::GONE, text).into_response();
    };
    match begin_session(&login.base_url, &password).await {
        Ok(cookie) => {
            let headers = [
                (header::SET_COOKIE, cookie),
                (header::LOCATION, format!("{}/inbox", login.base_url)),
                (header::REFERRER_POLICY, "no-referrer".to_owned()),
                (header::CACHE_CONTROL, "no-store".to_owned()),
            ];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}\n")).into_response(),
    }
}

/// Logs in as the service's own page does; the cookie for the browser.
async fn begin_session(base_url: &str, password: &str) -> anyhow::Result<String> {
    let answer = Client::builder()
        .no_proxy()
        .build()?
        .post(format!("{base_url}/v1/auth/login"))
        .header(header::ORIGIN, base_url)
        .json(&json!({"username": YOU, "password": password}))
        .send()
        .await
        .context("the service was not reached")?;
    let status = answer.status();
    ensure!(status.is_success(), "the service answered {status}");
    let cookie = answer.headers().get(header::SET_COOKIE);
    let cookie = cookie.context("the service set no cookie")?;
    Ok(cookie.to_str()?.to_owned())
}
