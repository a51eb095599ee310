//! `policy check`, `policy test` and `policy diff`, which need no service; the others ask one, or read a ledger.

use super::ask_api::{client, read_api};
use super::{policy_backtest, policy_versions};
use crate::api_client::ApiClient;
use crate::cli::{
    ApiRead, CheckPolicyArgs, DiffPolicies, OpenedApis, PolicyCommand, TestPolicyArgs,
};
use crate::config::Environment;
use crate::output::{self, STDIN, Stdout, note, say};
use crate::text_file;
use anyhow::Context;
use app::policy::{Format, Groups, Names, Problem, Read};
use ledger::UpstreamApi;
use ledger::policy::{NeedGroup, Policy};
use std::path::Path;
use std::process::ExitCode;

/// Does what is asked.
///
/// # Errors
/// When a file cannot be read, or is no document where one is needed.
pub(crate) fn policy(
    environment: &Environment,
    command: PolicyCommand,
) -> anyhow::Result<ExitCode> {
    match command {
        PolicyCommand::Check(args) => check(&args),
        PolicyCommand::Test(args) => test(&args),
        PolicyCommand::Backtest(args) => policy_backtest::backtest(environment, *args),
        PolicyCommand::Diff(args) => diff(environment, args),
        PolicyCommand::Apply(args) => policy_versions::apply(environment, args),
        PolicyCommand::Show(args) => policy_versions::show(environment, args),
        PolicyCommand::Versions(args) => read_api(environment, args),
        PolicyCommand::Rollback(args) => policy_versions::rollback(environment, args),
    }
}

fn check(args: &CheckPolicyArgs) -> anyhow::Result<ExitCode> {
    let names = names_with(Groups::Unknown, &args.opened)?;
    let (problems, code) = match read_with(&args.file, &names)? {
        Ok(read) => {
            if !args.json {
                let rules = read.policy.rules.len();
                say!("valid: {rules} rule{}", if rules == 1 { "" } else { "s" });
                match by_name(&read.policy) {
                    true => {
                        say!("its digest depends on the ids of its groups, which the service knows")
                    }
                    false => say!("digest {}", read.policy.digest()),
                }
            }
            (read.warnings, ExitCode::SUCCESS)
        }
        Err(problems) => (problems, ExitCode::FAILURE),
    };
    let is_valid = code == ExitCode::SUCCESS;
    for problem in &problems {
        match args.json {
            true => output::write_json(&mut Stdout, problem)?,
            false if is_valid => say!("warning: {problem}"),
            false => say!("{problem}"),
        }
    }
    Ok(code)
}

/// Whether it names a group of people, whose id is not known here.
pub(super) fn by_name(policy: &Policy) -> bool {
    let rules = policy.rules.iter().flat_map(|rule| &rule.needs);
    let change = policy.policy_change.iter().flat_map(|change| &change.needs);
    let review = policy.break_glass.iter().flat_map(|glass| &glass.review);
    let groups = rules.chain(change).chain(review).map(|need| need.group);
    let glass = policy.break_glass.iter().map(|glass| glass.group);
    groups.chain(glass).any(|group| group != NeedGroup::Default)
}

fn test(args: &TestPolicyArgs) -> anyhow::Result<ExitCode> {
    let names = names_with(Groups::Unknown, &args.opened)?;
    let Some(read) = tell(read_with(&args.file, &names)?, &args.file) else {
        return Ok(ExitCode::FAILURE);
    };
    let source = source(&args.cases)?;
    let cases = app::policy::read_cases(&source, format(&args.cases), &names.providers);
    let Some(cases) = tell(cases, &args.cases) else {
        return Ok(ExitCode::FAILURE);
    };
    let policy = ledger::policy::Prepared::new(read.policy)?;
    let report = app::policy::run_cases(&policy, &cases);
    if args.json {
        output::write_json(&mut Stdout, &report)?;
    } else {
        for result in &report.results {
            match &result.detail {
                None => say!("ok    {}", result.name),
                Some(detail) => say!("FAIL  {}: {detail}", result.name),
            }
        }
        say!("{} passed, {} failed", report.passed, report.failed);
    }
    Ok(match report.failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn diff(environment: &Environment, args: ApiRead<DiffPolicies>) -> anyhow::Result<ExitCode> {
    let (access, asked) = (args.access, args.asked);
    policy_versions::over_api(&access)?;
    let json = access.json;
    let versions = [&asked.from, &asked.to].map(|side| version_of(side));
    let client = match versions.iter().flatten().any(|number| *number > 0) {
        true => Some(client(environment, access)?),
        false => None,
    };
    let [from, to] = versions;
    let from = tell(side(&asked.from, from, client.as_ref())?, &asked.from);
    let to = tell(side(&asked.to, to, client.as_ref())?, &asked.to);
    let (Some(from), Some(to)) = (from, to) else {
        anyhow::bail!("only documents that can be saved are compared");
    };
    let changes = app::policy::difference(&from.policy, &to.policy);
    for change in &changes {
        match json {
            true => output::write_json(&mut Stdout, change)?,
            false => say!("{change}"),
        }
    }
    Ok(match changes.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The version that a side names, where it is no file.
fn version_of(side: &Path) -> Option<u64> {
    let number = side.to_str()?.parse().ok()?;
    (!side.exists()).then_some(number)
}

/// A document of a file, or of a version.
fn side(
    file: &Path,
    version: Option<u64>,
    client: Option<&ApiClient>,
) -> anyhow::Result<Result<Read, Vec<Problem>>> {
    let (source, format) = match (version, client) {
        (Some(number), Some(client)) if number > 0 => policy_versions::document(client, number)?,
        (Some(_), _) => (policy_versions::NO_DOCUMENT.to_vec(), Format::Toml),
        (None, _) => return read(file),
    };
    Ok(app::policy::read(&source, format, &names()))
}

/// What was read, or its problems on standard error.
pub(super) fn tell<T>(read: Result<T, Vec<Problem>>, file: &Path) -> Option<T> {
    read.map_err(|problems| {
        for problem in problems {
            note!("{}: {problem}", file.display());
        }
    })
    .ok()
}

fn read(file: &Path) -> anyhow::Result<Result<Read, Vec<Problem>>> {
    read_with(file, &names())
}

fn read_with(file: &Path, names: &Names) -> anyhow::Result<Result<Read, Vec<Problem>>> {
    Ok(app::policy::read(&source(file)?, format(file), names))
}

fn names() -> Names {
    Names {
        groups: Groups::Unknown,
        providers: providers::all(),
    }
}

/// With the operations of other APIs, as their descriptions have them.
///
/// # Errors
/// When a file cannot be read, or is no description.
pub(super) fn names_with(groups: Groups, opened: &OpenedApis) -> anyhow::Result<Names> {
    let providers = providers::all();
    let mut operations = Vec::new();
    for file in &opened.upstreams {
        let read = || -> anyhow::Result<UpstreamApi> {
            let text = String::from_utf8(source(file)?)?;
            Ok(UpstreamApi::parse(&text)?)
        };
        let api = read().with_context(|| format!("{} describes no API", file.display()))?;
        operations.extend(api.catalog());
    }
    providers.set_opened(operations);
    Ok(Names { groups, providers })
}

pub(super) fn format(file: &Path) -> Format {
    match file.extension() {
        Some(ending) if ending.eq_ignore_ascii_case("json") => Format::Json,
        _ => Format::Toml,
    }
}

pub(super) fn source(file: &Path) -> anyhow::Result<Vec<u8>> {
    let text = if file == Path::new(STDIN) {
        text_file::read_from(std::io::stdin())
    } else {
        text_file::read(file)
    };
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.as_bytes().to_vec())
}
