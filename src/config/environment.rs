//! The process environment and the configuration file, read once.

use super::problem::{Problem, Problems, Warning};
use super::sources::Sources;
use super::{Config, read_part, table};
use crate::text_file;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What surrounds the process: its variables and the text of its configuration file.
pub(crate) struct Environment {
    variables: BTreeMap<String, String>,
    file: Option<String>,
    /// Where that file is.
    path: Option<PathBuf>,
    warnings: Vec<Warning>,
}

impl Environment {
    /// Reads the variables of this process, and the file when one is given.
    ///
    /// # Errors
    /// A variable of ours that is not UTF-8, or a file that cannot be read.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the only reader of the environment"
    )]
    pub(crate) fn read(file: Option<&Path>) -> Result<Self, Problems> {
        let mut variables = BTreeMap::new();
        let mut problems = Vec::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => drop(variables.insert(name, value)),
                Err(_) if table::find(&name).is_some() => {
                    problems.push(Problem::new(name, "is not valid UTF-8"));
                }
                Err(_) => {}
            }
        }
        let mut warnings = Vec::new();
        let path = file.map(Path::to_owned);
        let file = file.map(|path| read_file(path, &mut warnings));
        let file = match file.transpose() {
            Ok(file) => file,
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        if problems.is_empty() {
            Ok(Self {
                variables,
                file,
                path,
                warnings,
            })
        } else {
            Err(Problems::new(problems))
        }
    }

    /// The whole configuration.
    ///
    /// # Errors
    /// Every problem there is.
    pub(crate) fn config(&self) -> Result<(Config, Vec<Warning>), Problems> {
        let (config, warnings) = Config::from_sources(&self.variables, self.file.as_deref())?;
        Ok((config, self.with_own(warnings)))
    }

    /// Some sections of it, as [`read_part`].
    ///
    /// # Errors
    /// Every problem of those sections.
    pub(crate) fn part<T>(
        &self,
        read: impl FnOnce(&mut Sources) -> T,
    ) -> Result<(T, Vec<Warning>), Problems> {
        let (part, warnings) = read_part(&self.variables, self.file.as_deref(), read)?;
        Ok((part, self.with_own(warnings)))
    }

    /// The configuration file, where one was given.
    pub(crate) fn config_file(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether the person asked for no colour (no-color.org: set and not empty), or has a terminal
    /// that shows none.
    pub(crate) fn no_color(&self) -> bool {
        let set = |name: &str| self.variables.get(name).filter(|value| !value.is_empty());
        set("NO_COLOR").is_some() || set("TERM").is_some_and(|terminal| terminal == "dumb")
    }

    /// The command that shows texts page by page, as `PAGER` says; it may be empty.
    pub(crate) fn pager(&self) -> Option<&str> {
        self.variables.get("PAGER").map(String::as_str)
    }

    /// Whether `LESS` says how `less` is to show them.
    pub(crate) fn has_pager_options(&self) -> bool {
        self.variables.contains_key("LESS")
    }

    /// The log filter in `RUST_LOG`, when there is one.
    pub(crate) fn log_filter(&self) -> Option<&str> {
        self.variables
            .get("RUST_LOG")
            .map(String::as_str)
            .filter(|filter| !filter.is_empty())
    }

    /// Where programs keep their state for this person: `XDG_STATE_HOME`, or `.local/state` in their home
    /// (XDG Base Directory Specification: a path that is not absolute counts as none).
    pub(crate) fn state_folder(&self) -> Option<PathBuf> {
        let folder = |name: &str| self.variables.get(name).map(PathBuf::from);
        let absolute = |path: &PathBuf| path.is_absolute();
        let given = folder("XDG_STATE_HOME").filter(absolute);
        given.or_else(|| Some(folder("HOME").filter(absolute)?.join(".local/state")))
    }

    fn with_own(&self, mut warnings: Vec<Warning>) -> Vec<Warning> {
        warnings.extend(self.warnings.iter().cloned());
        warnings
    }
}

fn read_file(path: &Path, warnings: &mut Vec<Warning>) -> Result<String, Problem> {
    let failed = |error: std::io::Error| {
        Problem::new(
            "--config",
            format!("{} cannot be read: {error}", path.display()),
        )
    };
    let text = text_file::read(path).map_err(failed)?.to_string();
    let mode = std::fs::metadata(path).map_err(failed)?.mode();
    if mode & 0o004 != 0 {
        let text = format!(
            "{} can be read by every user of this machine",
            path.display()
        );
        warnings.push(Warning::new("--config", text));
    }
    Ok(text)
}
