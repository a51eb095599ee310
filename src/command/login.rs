//! `login` and `logout`.

use super::ask_api::{address, session_file};
use crate::api_client::{ApiClient, ApiRequest, Refused, Shown, StoredSession};
use crate::cli::{LoginArgs, LogoutArgs};
use crate::config::Environment;
use crate::output::{note, say};
use crate::password::Passwords;
use anyhow::Context;
use ledger::operation::shown;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use std::process::ExitCode;

/// What a login is answered with.
#[derive(Deserialize)]
struct LoggedIn {
    token: SecretString,
    expires_at: String,
    user: User,
    must_change_password: bool,
}

#[derive(Deserialize)]
struct User {
    name: String,
    role: String,
}

/// Keeps a session for the commands after it.
pub(crate) fn login(environment: &Environment, args: LoginArgs) -> anyhow::Result<ExitCode> {
    let url = address(environment, args.service.url)?;
    let file = session_file(environment)?;
    let mut passwords = Passwords::new(args.password.password_stdin);
    let prompt = format!("Password of {} at {url}: ", shown(&args.name, 64));
    let password = passwords.read(&prompt)?;
    let runtime = super::runtime()?;
    let ask = |client: &ApiClient, path: &[&str], body| {
        let request = ApiRequest::post(path, body, Shown::Members);
        runtime.block_on(client.ask_json::<LoggedIn>(&request))
    };
    let strangers = ApiClient::new(url.clone())?;
    let body = json!({"username": args.name, "password": password.expose_secret()});
    let mut session = ask(&strangers, &["auth", "login"], body)?;
    if session.must_change_password {
        note!("this password was set by somebody else and must be changed");
        let new = passwords
            .read_new("New password: ")
            .context("nothing was changed, and nobody is logged in")?;
        let body = json!({"current": password.expose_secret(), "new": new.expose_secret()});
        let client = ApiClient::new(url.clone())?.with_token(session.token);
        session = ask(&client, &["auth", "password"], body)?;
    }
    let token = session.token;
    file.write(&StoredSession { url, token })?;
    say!(
        "{} is logged in as {} until {}",
        shown(&session.user.name, 64),
        shown(&session.user.role, 64),
        shown(&session.expires_at, 64)
    );
    Ok(ExitCode::SUCCESS)
}

/// Ends the session, and forgets it where the service has ended it or knows it no more.
pub(crate) fn logout(environment: &Environment, args: LogoutArgs) -> anyhow::Result<ExitCode> {
    let file = session_file(environment)?;
    let Some(session) = file.read()? else {
        say!("nobody is logged in");
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(url) = args.service.url {
        anyhow::ensure!(url == session.url, "the session is of {}", session.url);
    }
    super::install_crypto()?;
    let client = ApiClient::new(session.url)?.with_token(session.token);
    let request = ApiRequest::post(&["auth", "logout"], json!({}), Shown::Done);
    let asked = super::runtime()?.block_on(client.ask(&request));
    let is_over = |error: &anyhow::Error| {
        let refused = error.downcast_ref::<Refused>();
        refused.is_some_and(|refused| refused.status == 401)
    };
    match asked {
        Err(error) if !is_over(&error) => Err(error).context("the session goes on"),
        _ => {
            file.remove()?;
            say!("logged out");
            Ok(ExitCode::SUCCESS)
        }
    }
}
