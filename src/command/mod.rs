//! What the commands do, one file for each.

mod approvals;
mod approver;
mod ask_api;
mod backup;
mod bootstrap_token;
mod check_config;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod init;
mod inspect_token;
mod ledger_accept;
mod ledger_check;
mod ledger_dossier;
mod ledger_erase;
mod ledger_export;
mod ledger_replay;
mod ledger_tail;
mod ledger_verify;
mod ledger_verify_callback;
mod ledger_verify_dossier;
mod ledger_vkey;
mod login;
mod operate;
mod people;
mod policy;
mod policy_backtest;
mod policy_versions;
mod projections;
mod proxy_info;
mod ready;
mod replay_summary;
mod restore;
mod serve;
mod status;
mod subject_headers;
mod texts;
mod witness_serve;

pub(crate) use approvals::{approval_open, approval_watch};
pub(crate) use approver::approver;
pub(crate) use ask_api::{admission, ask_api, lock, read_api, unlock};
pub(crate) use backup::backup;
pub(crate) use bootstrap_token::bootstrap_token;
pub(crate) use check_config::check_config;
#[cfg(feature = "demo")]
pub(crate) use demo::demo;
pub(crate) use doctor::doctor;
pub(crate) use init::init;
pub(crate) use inspect_token::inspect_token;
pub(crate) use ledger_accept::ledger_accept;
pub(crate) use ledger_check::ledger_check;
pub(crate) use ledger_dossier::ledger_dossier;
pub(crate) use ledger_erase::ledger_erase;
pub(crate) use ledger_export::ledger_export;
pub(crate) use ledger_replay::ledger_replay;
pub(crate) use ledger_tail::ledger_tail;
pub(crate) use ledger_verify::ledger_verify;
pub(crate) use ledger_verify_callback::ledger_verify_callback;
pub(crate) use ledger_verify_dossier::ledger_verify_dossier;
pub(crate) use ledger_vkey::ledger_vkey;
pub(crate) use login::{login, logout};
pub(crate) use operate::operate;
pub(crate) use people::{grant_add, group, user};
pub(crate) use policy::policy;
pub(crate) use projections::{projections_rebuild, projections_status, projections_verify};
pub(crate) use proxy_info::proxy_info;
pub(crate) use ready::ready;
pub(crate) use restore::restore;
pub(crate) use serve::serve;
pub(crate) use status::status;
pub(crate) use subject_headers::subject_headers;
pub(crate) use texts::{completions, man};
pub(crate) use witness_serve::{witness_init, witness_key, witness_serve};

use crate::config::{Environment, Storage, Warning};
use crate::operator::Performed;
use crate::output::{note, say};
use crate::service::refuse_missing;
use crate::terminal::say_link;
use anyhow::Context;
use ledger_sqlite::Reader;
use std::borrow::Cow;
use std::process::ExitCode;
use tokio::runtime::Runtime;

/// Tells warnings on standard error, away from what a script reads.
fn tell(warnings: &[Warning]) {
    for warning in warnings {
        note!("warning: {warning}");
    }
}

/// Prints an object in a line of its own.
fn tell_json(object: &serde_json::Value) {
    say!("{object}");
}

/// The settings of storage, where a ledger stands there.
fn existing_storage(environment: &Environment) -> anyhow::Result<Storage> {
    let (storage, _) = environment.part(Storage::read)?;
    refuse_missing(&storage.ledger)?;
    Ok(storage)
}

async fn read_ledger(storage: &Storage) -> anyhow::Result<Reader> {
    let reader = Reader::open(&storage.ledger_url()).await;
    reader.context("the ledger cannot be read")
}

/// The text as one word of a POSIX shell: as it is where nothing in it is special to a shell.
pub(crate) fn shell_word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/@+,=%".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// The text in no more characters than this; one that was cut ends in `…`.
fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.chars().nth(most).is_none() {
        return text.into();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…").into()
}

/// Success where what was looked at is well.
fn verdict(well: bool) -> ExitCode {
    match well {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Prints how an operator's action ended.
fn report(performed: &Performed) -> ExitCode {
    match performed {
        Performed::Done { text } => say!("{text}"),
        Performed::Handed { text, secret } => {
            note!("{text}");
            say_link(secret.reveal());
        }
        Performed::Refused { text } => note!("refused: {text}"),
    }
    verdict(!matches!(performed, Performed::Refused { .. }))
}

/// For commands that wait for something.
fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}

/// TLS towards callbacks and upstream uses the process's provider.
fn install_crypto() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider was installed before"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_one_word_to_a_shell() {
        assert_eq!(shell_word("target/debug/x-1.toml"), "target/debug/x-1.toml");
        assert_eq!(shell_word("a b$(c)"), "'a b$(c)'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn odd_subjects_are_quoted() {
        assert_eq!(shell_word("spiffe://a/b"), "spiffe://a/b");
        assert_eq!(shell_word("CN=it's me"), r"'CN=it'\''s me'");
    }
}
