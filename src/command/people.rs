//! What `user …` and `group …` do beside asking one thing.

use super::ask_api::{ask, ask_api, client};
use super::operate::operate;
use crate::api_client::{ApiRequest, show};
use crate::cli::{ApiArgs, GroupCommand, PasswordArgs, UserCommand, UserRequest};
use crate::config::Environment;
use crate::operator::{Action, Secret};
use crate::password::Passwords;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;
use std::process::ExitCode;

/// `user …`: two of them take a password, and the first admin is made without the API.
pub(crate) fn user(
    environment: &Environment,
    args: ApiArgs<UserCommand>,
) -> anyhow::Result<ExitCode> {
    let request = match args.command {
        UserCommand::CreateAdmin { name, password } => {
            return create_admin(environment, name, password);
        }
        UserCommand::Asked(request) => request,
    };
    let password = match &request {
        UserRequest::Password { password, .. } => {
            Some(Passwords::new(password.password_stdin).read_new("New password: ")?)
        }
        _ => None,
    };
    let mut request = ApiRequest::from(request);
    if let Some(password) = password {
        request.body = Some(json!({"password": password.expose_secret()}));
    }
    ask(environment, args.access, &request)
}

fn create_admin(
    environment: &Environment,
    name: String,
    password: PasswordArgs,
) -> anyhow::Result<ExitCode> {
    let password = match password.password_stdin {
        true => Some(Passwords::new(true).read("")?),
        false => None,
    };
    let password = password.map(|password| Secret::new(password.expose_secret().to_owned()));
    operate(environment, Action::CreateAdmin { name, password })
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
    if args.access.local {
        let change = json!({"add": add, "remove": remove});
        return ask(
            environment,
            args.access,
            &ApiRequest::patch(&["groups", id], change),
        );
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
