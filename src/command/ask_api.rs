//! Commands that ask the API one thing.

use super::operate::operate;
use super::tell;
use crate::api_client::{ApiClient, ApiRequest, SessionFile, show};
use crate::cli::{Access, AdmissionArgs, ApiArgs, ApiRead, LockArgs, UnlockArgs};
use crate::config::{self, Environment};
use crate::operator::{Action, Asked, Secret};
use crate::output::write_error;
use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::process::ExitCode;
use url::Url;

/// The most bytes of an answer of a person.
const MOST_ANSWER: u64 = 100;

/// Asks what the command says, and prints the answer.
pub(crate) fn ask_api<C>(environment: &Environment, args: ApiArgs<C>) -> anyhow::Result<ExitCode>
where
    C: Subcommand + Into<ApiRequest>,
{
    ask(environment, args.access, &args.command.into())
}

/// Reads one thing, and prints it.
pub(crate) fn read_api<A>(environment: &Environment, args: ApiRead<A>) -> anyhow::Result<ExitCode>
where
    A: Args + Into<ApiRequest>,
{
    ask(environment, args.access, &args.asked.into())
}

/// Locks something, or prints the locks.
pub(crate) fn lock(environment: &Environment, args: LockArgs) -> anyhow::Result<ExitCode> {
    let (request, access) = args.into_request();
    ask(environment, access, &request)
}

/// Lifts a lock, once it is said whether the agent keys of its target count again.
pub(crate) fn unlock(
    environment: &Environment,
    mut args: ApiRead<UnlockArgs>,
) -> anyhow::Result<ExitCode> {
    if !args.asked.revoke_keys && !args.asked.keep_keys {
        ensure!(
            std::io::stdin().is_terminal(),
            "say whether the agent keys of the lock's target count again: --keep-keys, or --revoke-keys where somebody \
             else may have one"
        );
        write_error(format_args!(
            "Agent keys of the lock's target count again once it is lifted. Revoke them, because somebody else may have \
             one? [yes/no] "
        ));
        let mut answer = String::new();
        let mut input = std::io::stdin().lock().take(MOST_ANSWER);
        input.read_line(&mut answer).context("reading the answer")?;
        args.asked.revoke_keys = match answer.trim() {
            "yes" | "y" => true,
            "no" | "n" => false,
            _ => bail!("neither yes nor no: nothing is lifted"),
        };
    }
    read_api(environment, args)
}

/// Blocks or allows a client, lifts that, or prints the list.
pub(crate) fn admission(
    environment: &Environment,
    args: AdmissionArgs,
    list: &'static str,
) -> anyhow::Result<ExitCode> {
    let (request, access) = args.into_request(list);
    ask(environment, access, &request)
}

pub(super) fn ask(
    environment: &Environment,
    access: Access,
    request: &ApiRequest,
) -> anyhow::Result<ExitCode> {
    let json = access.json;
    if let Some(reason) = access.reason {
        return operate(environment, on_this_machine(request, reason)?);
    }
    let client = client(environment, access)?;
    let body = super::runtime()?.block_on(client.ask(request))?;
    show(request.shown, &body, json)?;
    Ok(ExitCode::SUCCESS)
}

/// The request as an operator's action. The option `--local` is there when there is a reason.
fn on_this_machine(request: &ApiRequest, reason: String) -> anyhow::Result<Action> {
    let query = request.query.iter();
    let body = request.body.as_ref();
    Ok(Action::Asked(Asked {
        method: request.method.to_string(),
        // Behind the version.
        path: request.path.iter().skip(1).cloned().collect(),
        query: query
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        body: body.map(|body| Secret::new(body.to_string())),
        reason,
    }))
}

/// The service with the credential that was given, with the session of `login`, or where the settings are
/// those of the service itself, with its own token.
pub(super) fn client(environment: &Environment, access: Access) -> anyhow::Result<ApiClient> {
    let is_ours = access.service.url.is_none();
    let url = address(environment, access.service.url)?;
    if let Some(token) = access.token {
        return Ok(ApiClient::new(url)?.with_token(token));
    }
    let own = match is_ours {
        true => environment.part(config::service_token)?.0,
        false => None,
    };
    let session = match (session_file(environment), &own) {
        (Err(_), Some(_)) => None,
        (file, _) => file?.read()?,
    };
    let token = match (session, own) {
        (Some(session), _) if session.url == url => session.token,
        (_, Some(own)) => own,
        (Some(session), None) => bail!(
            "the session is of {}, and {url} is asked: log in there, or name it with --url",
            session.url
        ),
        (None, None) => bail!(
            "nobody is logged in: llm-permission-proxy login NAME, --token, or --config with the \
             settings of `init`"
        ),
    };
    Ok(ApiClient::new(url)?.with_token(token))
}

/// The service that is asked.
pub(super) fn address(environment: &Environment, given: Option<Url>) -> anyhow::Result<Url> {
    super::install_crypto()?;
    if let Some(url) = given {
        return Ok(url);
    }
    let (url, warnings) = environment.part(config::base_url)?;
    tell(&warnings);
    Ok(url)
}

/// Where the session of `login` is kept.
pub(super) fn session_file(environment: &Environment) -> anyhow::Result<SessionFile> {
    let state = environment.state_folder();
    let state = state.context("there is no place for a session: set XDG_STATE_HOME or HOME")?;
    Ok(SessionFile::below(&state))
}
