//! All findings, for people and for programs.

use super::finding::{Finding, Grade};
use super::quantity::counted;
use crate::terminal::{Style, Terminal};
use serde_json::json;
use std::fmt::Write as _;

/// What was found, in the order in which it was looked at.
pub(crate) struct Examination {
    findings: Vec<Finding>,
}

impl Examination {
    pub(super) const fn new(findings: Vec<Finding>) -> Self {
        Self { findings }
    }

    /// Whether nothing is wrong; warnings are not wrong.
    pub(crate) fn is_well(&self) -> bool {
        self.count(Grade::Problem) == 0
    }

    fn count(&self, grade: Grade) -> u64 {
        let mut count = 0;
        for finding in &self.findings {
            count += u64::from(finding.grade() == grade);
        }
        count
    }

    /// One line for each finding and one for what to do, then how many are bad.
    pub(crate) fn for_people(&self, terminal: Terminal) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let (style, word) = match finding.grade() {
                Grade::Ok => (Style::Good, "ok"),
                Grade::Warning => (Style::Odd, "warning"),
                Grade::Problem => (Style::Bad, "problem"),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:<8} {:<11}  {}",
                terminal.paint(style, word),
                finding.check(),
                finding.found()
            );
            if let Some(advice) = finding.advice() {
                let _ = writeln!(text, "{:22}→ {advice}", "");
            }
        }
        let (problems, warnings) = (self.count(Grade::Problem), self.count(Grade::Warning));
        let end = match (problems, warnings) {
            (0, 0) => "All is well.".to_owned(),
            (0, warnings) => format!(
                "Nothing is wrong; {} to look at.",
                counted(warnings, "thing")
            ),
            (problems, _) => format!("{} to solve.", counted(problems, "problem")),
        };
        let _ = writeln!(text, "\n{end}");
        text
    }

    pub(crate) fn for_programs(&self) -> String {
        let report = json!({
            "well": self.is_well(),
            "problems": self.count(Grade::Problem),
            "warnings": self.count(Grade::Warning),
            "findings": self.findings,
        });
        format!("{report:#}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_to_do_about_each_finding_that_is_not_ok() {
        let report = Examination::new(vec![
            Finding::ok("ledger", "12 events"),
            Finding::warning("files", "x is open to others", "chmod 600 x"),
            Finding::problem("disk", "0 bytes free", "make room"),
        ]);
        assert!(!report.is_well());
        let plain = report.for_people(Terminal::plain());
        assert!(
            plain.contains("ok       ledger       12 events\n"),
            "{plain}"
        );
        assert!(plain.contains("→ chmod 600 x\n"), "{plain}");
        assert!(plain.ends_with("\n1 problem to solve.\n"), "{plain}");
        let json: serde_json::Value = serde_json::from_str(&report.for_programs()).unwrap();
        assert_eq!(json["findings"][2]["grade"], "problem");
        assert_eq!(json["findings"][1]["advice"], "chmod 600 x");
        assert_eq!(json["findings"][0].get("advice"), None);
    }
}
