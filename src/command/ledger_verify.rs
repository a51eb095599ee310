//! `ledger verify`.

use crate::audit::{MISPLACED, ServiceSource, SignSubject, verify_file};
use crate::cli::VerifyArgs;
use crate::config::{self, Environment};
use crate::output::{STDIN, note, say};
use crate::terminal::{Style, Terminal};
use anyhow::{Context, ensure};
use ledger::audit::{Depth, MAX_FINDINGS, Report, Verdict, VerifyOptions, verify_bundle};
use secrecy::SecretString;
use std::path::Path;
use std::process::ExitCode;
use url::Url;

/// The exit code of a wrong command line.
const USAGE: u8 = 2;
/// The exit code where nothing is wrong, and something could not be checked.
const IN_PART: u8 = 3;

/// Verifies and reports. What is trusted stands on the command line; configuration only lets the auditor
/// into a service.
pub(crate) fn ledger_verify(
    environment: &Environment,
    args: VerifyArgs,
) -> anyhow::Result<ExitCode> {
    let options = VerifyOptions {
        keys: args.keys,
        origin: args.origin,
        policy: args.witness_policy,
        since: args.since,
        approvers: args.approvers,
        providers: providers::all(),
        schedules: app::cron::schedule_clock(),
        depth: if args.hashes_only {
            Depth::Hashes
        } else {
            Depth::Everything
        },
        max_findings: MAX_FINDINGS,
        backtest: None,
    };
    let report = match Url::parse(&args.source) {
        Ok(base) if matches!(base.scheme(), "http" | "https") => {
            ensure!(args.checkpoint.is_empty(), MISPLACED);
            let Some(token) = token_for(environment, &base, args.token)? else {
                note!(
                    "error: nobody is logged in at {base}: llm-permission-proxy login NAME --url {base}, or --token, with \
                     --subject where it is a bootstrap token"
                );
                return Ok(ExitCode::from(USAGE));
            };
            let access = Access {
                base,
                token,
                subject: args.subject,
            };
            access.verify(environment, options)?
        }
        _ if args.source == STDIN => {
            ensure!(args.checkpoint.is_empty(), MISPLACED);
            verify_bundle(std::io::stdin().lock(), &options)
                .context("standard input cannot be read as a bundle")?
        }
        _ => verify_file(Path::new(&args.source), &args.checkpoint, options)?,
    };
    if args.json {
        say!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        say!(
            "{}",
            in_colour(&report, Terminal::of(environment).coloured(args.color))
        );
    }
    Ok(exit_code(report.verdict))
}

/// The report, with its first line in the colour of the verdict.
fn in_colour(report: &Report, terminal: Terminal) -> String {
    let style = match report.verdict {
        Verdict::Verified => Style::Good,
        Verdict::NotVerified => Style::Bad,
        Verdict::AsFarAsPossible => Style::Odd,
    };
    let text = report.to_string();
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    format!("{}\n{rest}", terminal.paint(style, first))
}

pub(super) fn exit_code(verdict: Verdict) -> ExitCode {
    match verdict {
        Verdict::Verified => ExitCode::SUCCESS,
        Verdict::NotVerified => ExitCode::FAILURE,
        Verdict::AsFarAsPossible => ExitCode::from(IN_PART),
    }
}

/// The token that was given, or that of the session of `login` at this service. No other service is shown it.
fn token_for(
    environment: &Environment,
    base: &Url,
    given: Option<SecretString>,
) -> anyhow::Result<Option<SecretString>> {
    if given.is_some() {
        return Ok(given);
    }
    let session = super::ask_api::session_file(environment)?.read()?;
    let session = session.filter(|session| session.url == *base);
    Ok(session.map(|session| session.token))
}

/// How an auditor gets into a service.
struct Access {
    base: Url,
    token: SecretString,
    /// Whom a bootstrap token is bound to.
    subject: Option<String>,
}

impl Access {
    fn verify(self, environment: &Environment, options: VerifyOptions) -> anyhow::Result<Report> {
        let Self {
            base,
            token,
            subject,
        } = self;
        super::install_crypto()?;
        let sign = match subject {
            Some(subject) => {
                let (secret, warnings) = environment.part(config::subject_secret)?;
                super::tell(&warnings);
                let sign: Box<SignSubject> =
                    Box::new(move |now| super::subject_headers::signed(&secret, &subject, now));
                Some(sign)
            }
            None => None,
        };
        let source = ServiceSource {
            base,
            token,
            subject: sign.as_deref(),
        };
        super::runtime()?.block_on(source.verify(options))
    }
}
