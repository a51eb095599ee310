//! `login`, `logout`, `user …` and `group …`.

use super::access::{ACCESS_HELP, Page, ServiceAddress};
use crate::api_client::{ApiRequest, Shown};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

const LOGIN_HELP: &str = "\
Examples:
  llm-permission-proxy login anna
  pass proxy/anna | llm-permission-proxy login anna --password-stdin

The session is kept in $XDG_STATE_HOME/llm-permission-proxy/session, which its owner alone can
read, and is used for this service only. A password that must be changed is asked for anew; with
--password-stdin the new one stands on the second line.";

/// Who logs in, and where.
#[derive(Debug, Args)]
#[command(after_help = LOGIN_HELP)]
pub(crate) struct LoginArgs {
    /// The user's name
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) password: PasswordArgs,

    #[command(flatten)]
    pub(crate) service: ServiceAddress,
}

/// Where to log out.
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    #[command(flatten)]
    pub(crate) service: ServiceAddress,
}

/// The source of a password.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct PasswordArgs {
    /// Read the password from standard input instead of the terminal
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Reads
    Viewer,
    /// Runs tasks, and takes grants and credentials away
    Operator,
    /// Does everything else
    Admin,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

const CREATE_ADMIN_HELP: &str = "\
Examples:
  pass proxy/anna | llm-permission-proxy user create-admin anna --password-stdin

Run it on the machine of the service, with the service's account and settings, while no admin can
log in. A start prints a link for that on its terminal, or leaves it in <ledger file>.first-admin.
It goes through the control socket of the service that runs; where none runs, the ledger is opened
here. Without --password-stdin it prints a link, by which a passkey is registered in a browser; it
works once, for 15 minutes. The passkey logs in at the page `/`.";

/// `user …`
#[derive(Debug, Subcommand)]
#[command(after_help = ACCESS_HELP)]
pub(crate) enum UserCommand {
    #[command(flatten)]
    Asked(UserRequest),
    /// Make the first admin, on the machine of the service
    #[command(after_help = CREATE_ADMIN_HELP)]
    CreateAdmin {
        /// The user's name: a-z, 0-9 and . _ @ -
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
}

/// What the API is asked about users.
#[derive(Debug, Subcommand)]
pub(crate) enum UserRequest {
    /// Print the users
    List(Page),
    /// Print one user
    Show {
        /// The user's id
        id: String,
    },
    /// Make a user, who can log in once they have a password or a passkey
    Create {
        /// The user's name: a-z, 0-9 and . _ @ -
        name: String,
        #[arg(long)]
        role: Role,
        /// Lets the user read the whole ledger, with every payload
        #[arg(long)]
        can_audit: bool,
    },
    /// Change a user; a change of role or being disabled ends their sessions
    Set {
        /// The user's id
        id: String,
        #[command(flatten)]
        changes: UserChanges,
        #[command(flatten)]
        revoke: RevokeKeys,
    },
    /// Set a password that the user must change when they first log in
    Password {
        /// The user's id
        id: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Print a link by which the user registers a passkey, which logs in
    Enrol {
        /// The user's id
        id: String,
    },
    /// Delete a user; a later one of the same name is somebody else
    Delete {
        /// The user's id
        id: String,
        #[command(flatten)]
        revoke: RevokeKeys,
    },
}

/// At least one of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct UserChanges {
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    role: Option<Role>,
    /// Whether the user may log in and decide
    #[arg(long, value_name = "true|false")]
    disabled: Option<bool>,
    /// Whether the user may read the whole ledger
    #[arg(long, value_name = "true|false")]
    can_audit: Option<bool>,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct RevokeKeys {
    /// When the user is deleted or disabled, revoke the agent keys that they made too
    #[arg(long)]
    revoke_keys: bool,
}

impl RevokeKeys {
    fn query(self) -> Option<String> {
        self.revoke_keys.then(|| "keys".to_owned())
    }
}

/// `group …`
#[derive(Debug, Subcommand)]
#[command(after_help = ACCESS_HELP)]
pub(crate) enum GroupCommand {
    /// Print the groups
    List(Page),
    /// Make a group
    Create {
        /// The group's name
        name: String,
    },
    /// Print who is in a group, or change it
    Members {
        /// The group's id
        id: String,
        /// Add the user of that id; again for more
        #[arg(long, value_name = "USER")]
        add: Vec<String>,
        /// Remove the user of that id; again for more
        #[arg(long, value_name = "USER")]
        remove: Vec<String>,
    },
    /// Delete a group
    Delete {
        /// The group's id
        id: String,
    },
}

const USER_COLUMNS: &[&str] = &[
    "id",
    "name",
    "role",
    "can_audit",
    "disabled",
    "has_password",
    "passkeys",
];

impl From<UserRequest> for ApiRequest {
    fn from(command: UserRequest) -> Self {
        match command {
            UserRequest::List(page) => {
                Self::get(&["users"], Shown::Rows("users", USER_COLUMNS)).with_page(page)
            }
            UserRequest::Show { id } => Self::get(&["users", &id], Shown::Members),
            UserRequest::Create {
                name,
                role,
                can_audit,
            } => {
                let body = json!({"name": name, "role": role.as_str(), "can_audit": can_audit});
                Self::post(&["users"], body, Shown::Members)
            }
            UserRequest::Set {
                id,
                changes,
                revoke,
            } => {
                let body = given([
                    ("name", changes.name.map(Value::from)),
                    ("role", changes.role.map(|role| role.as_str().into())),
                    ("disabled", changes.disabled.map(Value::from)),
                    ("can_audit", changes.can_audit.map(Value::from)),
                ]);
                Self::patch(&["users", &id], body).with_query("revoke", revoke.query())
            }
            // The password is read when the service is asked.
            UserRequest::Password { id, .. } => {
                Self::post(&["users", &id, "password"], json!({}), Shown::Done)
            }
            UserRequest::Enrol { id } => Self::post(
                &["users", &id, "enrolment"],
                json!({}),
                Shown::Secret("enrolment_url"),
            ),
            UserRequest::Delete { id, revoke } => {
                Self::delete(&["users", &id]).with_query("revoke", revoke.query())
            }
        }
    }
}

impl From<GroupCommand> for ApiRequest {
    fn from(command: GroupCommand) -> Self {
        match command {
            GroupCommand::List(page) => {
                let form = Shown::Rows("groups", &["id", "name", "members"]);
                Self::get(&["groups"], form).with_page(page)
            }
            GroupCommand::Create { name } => {
                Self::post(&["groups"], json!({"name": name}), Shown::Members)
            }
            // Members are changed once those of today are known.
            GroupCommand::Members { id, .. } => Self::get(&["groups", &id], Shown::Members),
            GroupCommand::Delete { id } => Self::delete(&["groups", &id]),
        }
    }
}

/// The members that have a value.
pub(super) fn given<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let given = members.into_iter();
    let given = given.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    given.collect::<Map<_, _>>().into()
}

impl ApiRequest {
    pub(super) fn with_page(self, page: Page) -> Self {
        self.with_query("limit", Some("200".to_owned()))
            .with_query("after", page.after)
    }
}
