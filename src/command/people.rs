//! What `user …` and `group …` do beside asking one thing.

use super::ask_api::{ask, ask_api, client};
use crate::api_client::{ApiRequest, show};
use crate::cli::{ApiArgs, GroupCommand, UserCommand};
use crate::config::Environment;
use crate::password::Passwords;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;
use std::process::ExitCode;

/// `user …`: one of them takes a password.
pub(crate) fn user(
    environment: &Environment,
    args: ApiArgs<UserCommand>,
) -> anyhow::Result<ExitCode> {
    let UserCommand::Password { password, .. } = &args.command else {
        return ask_api(environment, args);
    };
    let password = Passwords::new(password.password_stdin).read_new("New password: ")?;
    let mut request = ApiRequest::from(args.command);
    request.body = Some(json!({"password": password.expose_secret()}));
    ask(environment, args.access, &request)
}

/// The members of a group that change with it.
#[derive(Deserialize)]
struct Group {
    members: Vec<String>,
}

/// `group …`: members are changed from those of today.
pub(crate) fn group(
    environment: &Environment,
    args: ApiArgs<GroupCommand>,
) -> anyhow::Result<ExitCode> {
    let GroupCommand::Members { id, add, remove } = &args.command else {
        return ask_api(environment, args);
    };
    if add.is_empty() && remove.is_empty() {
        return ask_api(environment, args);
    }
    let json = args.access.json;
    let client = client(environment, args.access)?;
    let known = ApiRequest::get(&["groups", id], crate::api_client::Shown::Members);
    super::runtime()?.block_on(async {
        let Group { mut members } = client.ask_json(&known).await?;
        members.retain(|member| !remove.contains(member) && !add.contains(member));
        members.extend(add.iter().cloned());
        let change = ApiRequest::patch(&["groups", id], json!({"members": members}));
        let body = client.ask(&change).await?;
        show(change.shown, &body, json)
    })?;
    Ok(ExitCode::SUCCESS)
}
