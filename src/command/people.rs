//! What `user …`, `group …` and `grant …` do beside asking one thing.

use super::ask_api::{ask, ask_api, client};
use super::operate::operate;
use crate::api_client::{ApiRequest, show};
use crate::cli::{
    AddGrant, ApiArgs, ApiRead, GroupCommand, PasswordArgs, UserCommand, UserRequest, grants_of,
};
use crate::config::Environment;
use crate::operator::{Action, Secret};
use crate::password::Passwords;
use ledger::Clock as _;
use ledger_sqlite::SystemClock;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
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

/// Adds a permission to those of an agent, in the place of one for the same operation and scope; refused where
/// somebody else has changed them between reading and writing.
pub(crate) fn grant_add(
    environment: &Environment,
    args: ApiRead<AddGrant>,
) -> anyhow::Result<ExitCode> {
    let ApiRead { asked, access } = args;
    let json = access.json;
    let client = client(environment, access)?;
    let known = grants_of(&asked.agent);
    let [operation, scope_type, scope_id] = asked.operation.parts();
    let now = SystemClock.now();
    let until = asked.expires_in.map(|time| now.plus(time).to_string());
    let added = json!({
        "operation_id": operation, "scope_type": scope_type, "scope_id": scope_id,
        "granted_level": asked.level.as_str(), "expires_at": until,
    });
    super::runtime()?.block_on(async {
        let Grants { permissions: read } = client.ask_json(&known).await?;
        let mut permissions = read.clone();
        permissions.retain(|grant| {
            let is_same = ["operation_id", "scope_type", "scope_id"]
                .iter()
                .all(|member| grant.get(member) == added.get(member));
            let until = grant.get("expires_at").and_then(Value::as_str);
            let is_over = until
                .and_then(|until| until.parse::<jiff::Timestamp>().ok())
                .is_some_and(|until| until.as_microsecond() <= now.as_micros());
            !is_over && !is_same
        });
        permissions.push(added.clone());
        let body = json!({"permissions": permissions, "instead_of": read, "reason": asked.why});
        let mut change = ApiRequest::patch(&["agents", &asked.agent, "permissions"], body);
        change.shown = known.shown;
        let body = client.ask(&change).await?;
        show(change.shown, &body, json)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Permissions as the API sends and takes them.
#[derive(Deserialize)]
struct Grants {
    permissions: Vec<Value>,
}
