//! The policy: what is in force, its rules in the order in which they are looked at, and its versions.

use super::frame::Frame;
use crate::pages::{Beside, Short, ShownText};
use askama::Template;

/// The policy that is in force.
#[derive(Debug, Clone, Template)]
#[template(path = "views/policy.html")]
pub(crate) struct PolicyPage {
    pub(crate) frame: Frame,
    /// 0 where it was never changed.
    pub(crate) version: u64,
    /// Of the document; `None` where none is in force.
    pub(crate) digest: Option<String>,
    /// The text as it was saved.
    pub(crate) source: Option<ShownText>,
    pub(crate) rules: Vec<RuleRow>,
    /// How many rules there was no room for.
    pub(crate) left_out: usize,
    /// What holds where no rule matches.
    pub(crate) default: Option<&'static str>,
    /// What its author would be told of it now.
    pub(crate) warnings: Vec<Short>,
    /// The newest first.
    pub(crate) versions: Vec<PolicyVersionRow>,
}

/// A rule.
#[derive(Debug, Clone)]
pub(crate) struct RuleRow {
    pub(crate) id: String,
    pub(crate) priority: u32,
    /// With the people who are asked: `ask 2 of ops`.
    pub(crate) action: Short,
    /// Whether it acts; else it is evaluated and recorded only.
    pub(crate) acts: bool,
    pub(crate) operations: String,
    /// True where it holds always; else it holds where its condition does.
    pub(crate) is_always: bool,
    pub(crate) reason: Option<Short>,
}

/// A version of the policy.
#[derive(Debug, Clone)]
pub(crate) struct PolicyVersionRow {
    pub(crate) version: u64,
    pub(crate) author: Short,
    pub(crate) at: Beside,
    pub(crate) has_document: bool,
    /// The version that it brought back.
    pub(crate) restores: Option<u64>,
}

impl PolicyPage {
    fn assets(&self) -> String {
        self.frame.assets()
    }
}
