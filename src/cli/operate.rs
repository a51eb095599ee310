//! What an operator of the machine may do beside the API.

use crate::operator::{Action, Erased, Settlement};
use clap::{Args, Subcommand};

pub(super) const EFFECT_HELP: &str = "\
Goes through the control socket of the service that runs on this ledger. Where none runs, the
ledger is opened here, and all of the service's settings are needed.

Recorded with the account's name and the reason. Exits with 0 when it is recorded and with 1 when it
was refused.";

/// Why; no action goes without.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reason {
    /// Why: recorded for good, beside the account's name
    #[arg(long = "reason", value_name = "TEXT", value_parser = parse_reason)]
    pub(super) text: String,
}

/// One line that says something.
pub(super) fn parse_reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 1000 || text.chars().any(char::is_control) {
        return Err("expected 1 to 1000 characters on one line".to_owned());
    }
    Ok(text.to_owned())
}

/// `apply …`
#[derive(Debug, Subcommand)]
pub(crate) enum ApplyCommand {
    /// Settle an apply whose outcome is unknown, after looking upstream
    #[command(after_help = EFFECT_HELP)]
    Resolve {
        /// The apply's id
        apply: String,
        /// What you found upstream
        #[arg(long)]
        outcome: Settlement,
        #[command(flatten)]
        reason: Reason,
    },
}

/// `delivery …`
#[derive(Debug, Subcommand)]
pub(crate) enum DeliveryCommand {
    /// Try callbacks again that were given up
    #[command(after_help = EFFECT_HELP)]
    Retry {
        #[command(flatten)]
        which: WhichDeliveries,
        #[command(flatten)]
        reason: Reason,
    },
}

/// One delivery or all of them, never neither.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WhichDeliveries {
    /// The delivery's id
    delivery: Option<String>,
    /// Every delivery that was given up; the service must be running
    #[arg(long)]
    all: bool,
}

const ERASE_HELP: &str = "\
Examples:
  llm-permission-proxy ledger erase 019bf0a0-7c00-7001-8001-000000000001 --reason \"request 114\"
  llm-permission-proxy ledger erase --agent ci-bot --reason \"retired\"
  llm-permission-proxy ledger erase --user 019bf0a0-7c00-7001-8001-000000000001 --reason \"left\"

Takes away for good what the records of a task say, and those of its applies, approvals,
deliveries and refusals; or those of an agent without grants, of an approver without active
passkeys, or of a user who was deleted, with the sessions. What has not ended is refused. The
headers stay, so that everything can still be verified; that it was erased, by whom and why, is
recorded and is itself never erased. The reason must not repeat what is erased.

Backups, copies and exported bundles made before still hold it: docs/operations.md says what to do.

Goes through the control socket of the service that runs on this ledger. Where none runs, the
ledger is opened here, and all of the service's settings are needed.";

/// What to erase, and why.
#[derive(Debug, Args)]
#[command(after_help = ERASE_HELP)]
pub(crate) struct EraseArgs {
    /// Do not ask at a terminal
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    what: WhatToErase,
    #[command(flatten)]
    reason: Reason,
}

/// One of the four.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WhatToErase {
    /// The task's id
    task: Option<String>,
    /// The agent of that name
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// The approver of that principal
    #[arg(long, value_name = "PRINCIPAL")]
    approver: Option<String>,
    /// The user of that id, who was deleted, with the sessions and failed logins
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

impl From<EraseArgs> for Action {
    fn from(args: EraseArgs) -> Self {
        let WhatToErase {
            task,
            agent,
            approver,
            user,
        } = args.what;
        let what = match (agent, approver, user) {
            (Some(name), ..) => Erased::Agent(name),
            (None, Some(principal), _) => Erased::Approver(principal),
            (None, None, Some(id)) => Erased::User(id),
            (None, None, None) => Erased::Task(task.unwrap_or_default()),
        };
        Self::Erase {
            what,
            reason: args.reason.text,
        }
    }
}

/// `credential …`
#[derive(Debug, Subcommand)]
pub(crate) enum CredentialCommand {
    /// Revoke a passkey of an approver
    #[command(after_help = EFFECT_HELP)]
    Revoke {
        /// The approver
        #[arg(long, value_name = "NAME")]
        principal: String,
        /// The credential's id, base64url
        #[arg(long, value_name = "ID")]
        credential: String,
        #[command(flatten)]
        reason: Reason,
    },
}

impl From<ApplyCommand> for Action {
    fn from(command: ApplyCommand) -> Self {
        let ApplyCommand::Resolve {
            apply,
            outcome,
            reason,
        } = command;
        Self::ResolveApply {
            apply,
            outcome,
            reason: reason.text,
        }
    }
}

impl From<DeliveryCommand> for Action {
    fn from(command: DeliveryCommand) -> Self {
        let DeliveryCommand::Retry { which, reason } = command;
        let reason = reason.text;
        match which.delivery {
            Some(delivery) => Self::RetryDelivery { delivery, reason },
            None => Self::RetryDeliveries { reason },
        }
    }
}

impl From<CredentialCommand> for Action {
    fn from(command: CredentialCommand) -> Self {
        let CredentialCommand::Revoke {
            principal,
            credential,
            reason,
        } = command;
        Self::RevokeCredential {
            principal,
            credential,
            reason: reason.text,
        }
    }
}
