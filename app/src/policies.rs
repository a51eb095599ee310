//! The policy: what is in force, how it came to that, and its changes.

use crate::app::App;
use crate::policy::{self, Code, Format, Groups, KnownGroup, Names, Problem, Read, Report};
use crate::principal::Acting;
use crate::refusal::Error;
use ledger::aggregate::{Approval, Approver, Credential, PolicyVersion, User};
use ledger::command::{PolicyChanging, PutPolicy, RollbackPolicy};
use ledger::describe;
use ledger::event::{PolicyChanged, PolicyFormat};
use ledger::policy::{Assurance, NeedGroup, Policy, PolicyDigest, Prepared};
use ledger::{ApproverName, Ledger, Recorded, Rejection, Timestamp, UserId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A document as it is handed over.
#[derive(Debug, Clone)]
pub struct Document {
    pub source: Vec<u8>,
    pub format: Format,
}

/// A version of the policy, and what its author would be told of it now.
#[derive(Debug)]
pub struct Version {
    pub changed: Changed,
    pub warnings: Vec<Problem>,
}

/// The outcome of a change that was asked for.
#[derive(Debug)]
pub enum Saved {
    /// It is in force.
    InForce(Box<Version>),
    /// The policy in force has people decide about it.
    Asked(Arc<Approval>),
}

/// A change of the policy, as it is recorded.
#[derive(Debug, Clone)]
pub enum Changed {
    /// Version 0: nobody has changed it.
    Never,
    /// A later one.
    Once {
        event: Box<PolicyChanged>,
        author: String,
        at: Timestamp,
    },
}

/// What a document is worth.
#[derive(Debug)]
pub struct Checked {
    pub errors: Vec<Problem>,
    pub warnings: Vec<Problem>,
    /// Of the tree, where there are no errors.
    pub digest: Option<PolicyDigest>,
}

/// The version that is in force.
pub async fn read(app: &App, _: &Acting) -> Result<Version, Error> {
    let version = app.ledger.policy().version;
    told(app, of_version(&app.ledger, version).await?).await
}

/// One version.
///
/// # Errors
/// [`Rejection::PolicyVersionNotFound`].
pub async fn version(app: &App, _: &Acting, version: u64) -> Result<Version, Error> {
    told(app, of_version(&app.ledger, version).await?).await
}

/// Versions, the newest first: at most so many, before that one; and the size of the ledger that they are as of.
pub async fn versions(
    ledger: &Ledger,
    _: &Acting,
    before: Option<u64>,
    limit: usize,
) -> Result<(u64, Vec<Changed>), Error> {
    let as_of = *ledger.size().borrow();
    let newest = ledger.policy().version;
    let from = before.map_or(newest, |before| before.saturating_sub(1).min(newest));
    let mut versions = Vec::new();
    for version in (1..=from).rev().take(limit) {
        versions.push(of_version(ledger, version).await?);
    }
    Ok((as_of, versions))
}

/// Saves a document.
///
/// # Errors
/// [`Error::PolicyInvalid`] with everything that is wrong with it; [`Rejection::PolicyVersionMismatch`] where it
/// does not follow the newest version.
pub async fn put(app: &App, who: Acting, document: Document, follows: u64) -> Result<Saved, Error> {
    put_or_override(&app.ledger, who, document, follows, None).await
}

/// As [`put`]; with a reason the operator of the machine makes it where people decide about a change and not enough of
/// them are left.
///
/// # Errors
/// [`Rejection::PolicyNotLocked`] for a reason in any other case.
pub async fn put_or_override(
    ledger: &Ledger,
    who: Acting,
    document: Document,
    follows: u64,
    overrides: Option<String>,
) -> Result<Saved, Error> {
    let read = check_document(ledger, &document).await?;
    let (read, source) = match (read, String::from_utf8(document.source)) {
        (Ok(read), Ok(source)) => (read, source),
        (Err(problems), _) => return Err(Error::PolicyInvalid(problems)),
        (Ok(_), Err(error)) => return Err(Error::defect(error)),
    };
    let command = PutPolicy {
        source,
        format: match document.format {
            Format::Toml => PolicyFormat::Toml,
            Format::Json => PolicyFormat::Json,
        },
        policy: Arc::new(read.policy),
        follows,
        overrides,
    };
    let saved = match ledger.execute(who.origin, command).await? {
        PolicyChanging::Changed(saved) => saved,
        PolicyChanging::Asked(approval) => return Ok(Saved::Asked(approval)),
    };
    Ok(Saved::InForce(Box::new(Version {
        changed: of_version(ledger, saved.version).await?,
        warnings: read.warnings,
    })))
}

/// Brings back the document of an earlier version, or none.
///
/// # Errors
/// As [`put`], where the document could not be saved any more; [`Rejection::PolicyVersionNotFound`].
pub async fn rollback(app: &App, who: Acting, version: u64, follows: u64) -> Result<Saved, Error> {
    if version > 0
        && let Some(document) = source_of(&of_version(&app.ledger, version).await?)
        && let Err(problems) = check_document(&app.ledger, &document).await?
    {
        return Err(Error::PolicyInvalid(problems));
    }
    let command = RollbackPolicy { version, follows };
    let saved = match app.ledger.execute(who.origin, command).await? {
        PolicyChanging::Changed(saved) => saved,
        PolicyChanging::Asked(approval) => return Ok(Saved::Asked(approval)),
    };
    let told = told(app, of_version(&app.ledger, saved.version).await?).await?;
    Ok(Saved::InForce(Box::new(told)))
}

/// What a document is worth. Nothing is recorded.
pub async fn check(app: &App, _: &Acting, document: Document) -> Result<Checked, Error> {
    Ok(match check_document(&app.ledger, &document).await? {
        Ok(read) => Checked {
            errors: Vec::new(),
            digest: Some(read.policy.digest()),
            warnings: read.warnings,
        },
        Err(errors) => Checked {
            errors,
            warnings: Vec::new(),
            digest: None,
        },
    })
}

/// Tries cases on a document, or on what is in force. Parts that this build does not carry out are tried too.
/// Nothing is recorded.
///
/// # Errors
/// [`Error::PolicyInvalid`] with everything that is wrong with the document, or with the cases.
pub async fn test(
    app: &App,
    _: &Acting,
    document: Option<Document>,
    cases: serde_json::Value,
) -> Result<Report, Error> {
    let names = names(&app.ledger).await?;
    let in_force = match &document {
        Some(_) => None,
        None => app.ledger.policy().in_force.clone(),
    };
    let tried = tokio::task::spawn_blocking(move || {
        let policy = match in_force.and_then(|known| known.prepared.clone()) {
            Some(prepared) => prepared,
            None => {
                let document = document.unwrap_or_else(|| Document {
                    source: EMPTY.to_vec(),
                    format: Format::Toml,
                });
                let read = policy::read(&document.source, document.format, &names)?;
                prepared(read.policy)?
            }
        };
        let cases = policy::cases_from_json(cases, &names.providers)?;
        Ok(policy::run_cases(&policy, &cases))
    });
    let tried: Result<Report, Vec<Problem>> = tried.await.map_err(Error::defect)?;
    tried.map_err(Error::PolicyInvalid)
}

/// A document without rules.
const EMPTY: &[u8] = b"engine = \"lpp-cel/1\"\n";

/// The tree, ready to be evaluated.
fn prepared(policy: Policy) -> Result<Arc<Prepared>, Vec<Problem>> {
    let prepared = Prepared::new(policy);
    prepared.map(Arc::new).map_err(|error| {
        vec![Problem {
            code: Code::BadValue,
            rule: error.rule.map(|rule| rule.to_string()),
            line: None,
            message: error.message,
        }]
    })
}

/// Reads a document with the names of now.
async fn check_document(
    ledger: &Ledger,
    document: &Document,
) -> Result<Result<Read, Vec<Problem>>, Error> {
    let names = names(ledger).await?;
    let Document { source, format } = document.clone();
    // It goes through up to 64 KiB of text; requests are not kept waiting meanwhile.
    let read = tokio::task::spawn_blocking(move || policy::read(&source, format, &names));
    read.await.map_err(Error::defect)
}

async fn of_version(ledger: &Ledger, version: u64) -> Result<Changed, Error> {
    if version == 0 {
        return Ok(Changed::Never);
    }
    let recorded = ledger.policy_version(version).await?;
    let recorded = recorded.ok_or(Rejection::PolicyVersionNotFound)?;
    changed_of(recorded).ok_or_else(|| Error::defect("a version of the policy is something else"))
}

fn changed_of(recorded: Recorded) -> Option<Changed> {
    let (author, at) = (
        describe::who(&recorded.envelope.actor),
        recorded.recorded_at(),
    );
    PolicyVersion::change(recorded.event).map(|changed| Changed::Once {
        event: Box::new(changed),
        author,
        at,
    })
}

fn source_of(changed: &Changed) -> Option<Document> {
    let Changed::Once { event, .. } = changed else {
        return None;
    };
    let document = event.document.as_ref()?;
    Some(Document {
        source: document.source.clone().into_bytes(),
        format: match document.format {
            PolicyFormat::Toml => Format::Toml,
            PolicyFormat::Json => Format::Json,
        },
    })
}

/// The version with what its author would be told now: a group that it names may be gone.
async fn told(app: &App, changed: Changed) -> Result<Version, Error> {
    let warnings = match source_of(&changed) {
        Some(document) => match check_document(&app.ledger, &document).await? {
            Ok(read) => read.warnings,
            Err(problems) => problems,
        },
        None => Vec::new(),
    };
    Ok(Version { changed, warnings })
}

/// The groups and operations that a document may name now.
async fn names(ledger: &Ledger) -> Result<Names, Error> {
    let rules = ledger.rules();
    let mut of_configuration = BTreeMap::new();
    for principal in &rules.approvers {
        let approver = ledger.decider(principal).await?;
        let best = approver.and_then(|approver| assurance_of(approver.active_credentials()));
        if let Some(best) = best {
            let person = person(ledger, principal).await?;
            of_configuration.insert(person, best);
        }
    }
    let mut groups = vec![KnownGroup {
        id: NeedGroup::Default,
        name: "default".to_owned(),
        people: of_configuration,
    }];
    for group in ledger.groups().await? {
        let mut people = BTreeMap::new();
        for member in &group.members {
            if let Some(best) = best_of_user(ledger, *member).await? {
                people.insert(member.to_string(), best);
            }
        }
        groups.push(KnownGroup {
            id: NeedGroup::Group(group.id),
            name: group.name.to_string(),
            people,
        });
    }
    Ok(Names {
        groups: Groups::Known(groups),
        providers: rules.providers.clone(),
    })
}

/// A person, under an id that is the same in every group: that of the user whose principal it is.
async fn person(ledger: &Ledger, principal: &ApproverName) -> Result<String, Error> {
    let approver: Option<Arc<Approver>> = ledger.approver(principal).await?;
    for credential in approver.iter().flat_map(|known| known.active_credentials()) {
        if let Some(user) = ledger.user_of_passkey(&credential.credential_id).await? {
            return Ok(user.id.to_string());
        }
    }
    Ok(principal.to_string())
}

/// The best that somebody can decide with; a command-line key is never as good as a passkey.
fn assurance_of<'a>(credentials: impl Iterator<Item = &'a Credential>) -> Option<Assurance> {
    let each = credentials.map(|known| match known.is_passkey() {
        true => Assurance::Passkey,
        false => Assurance::Any,
    });
    each.max()
}

async fn best_of_user(ledger: &Ledger, user_id: UserId) -> Result<Option<Assurance>, Error> {
    let user = ledger::Error::none_if_erased(ledger.load::<User>(user_id).await)?;
    let Some(user) = user.filter(|user| user.is_enabled()) else {
        return Ok(None);
    };
    let passkeys = ledger.passkeys_of(&user).await?;
    let keys = ledger.software_keys_of(&user).await?;
    Ok(assurance_of(passkeys.iter().chain(&keys)))
}
