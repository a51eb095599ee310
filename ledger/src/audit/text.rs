//! The report as people read it.

use super::finding::{Impossible, MAX_SHOWN};
use super::report::{CheckedCheckpoint, Range, Report, Verdict};
use crate::operation::shown;
use std::fmt;

/// Findings and ranges that are printed; the rest is counted. JSON has all that were kept.
const SHOWN: usize = 20;

/// Foreign text on one line, in which nothing can move a terminal.
fn safe(text: &str) -> String {
    shown(text, MAX_SHOWN)
}

/// The verdict stands first. Ends without a line end.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.verdict(f)?;
        f.write_str("\n\n")?;
        self.records(f)?;
        for checkpoint in &self.checkpoints {
            write!(f, "\ncheckpoint    {checkpoint}")?;
        }
        self.coverage(f)?;
        if self.everything {
            self.story(f)?;
        } else {
            write!(
                f,
                "\npayloads      digests only: what they say was not read"
            )?;
        }
        self.limits(f)
    }
}

impl Report {
    fn records(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ledger_id {
            Some(id) => write!(f, "ledger        {id}")?,
            None => write!(f, "ledger        not named by what was read")?,
        }
        write!(
            f,
            "\nrecords       {}, positions {} to before {}",
            self.records, self.from, self.to
        )?;
        if let Some((first, last)) = self.recorded {
            write!(f, "\nrecorded      {first} to {last}")?;
        }
        if let Some(head) = self.head_hash {
            write!(f, "\nhead hash     {head}")?;
        }
        write!(f, "\ntree root     {}", self.root)
    }

    fn coverage(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let covered = |f: &mut fmt::Formatter<'_>, what: &str, size: u64| -> fmt::Result {
            if size > self.from {
                write!(f, "\n{what:<13} the records before position {size}")?;
                if size < self.to {
                    write!(f, "; the {} after them are not", self.to - size)?;
                }
            }
            Ok(())
        };
        covered(f, "signed", self.signed_size)?;
        covered(f, "witnessed", self.witnessed_size)?;
        covered(f, "remembered", self.remembered_size)?;
        if !self.anchored {
            write!(
                f,
                "\nno anchor     Nothing here was witnessed, and no earlier checkpoint was given. An operator who\n              \
                 rewrites everything and signs again is only caught by somebody who remembers."
            )?;
        }
        Ok(())
    }

    fn story(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = &self.history;
        write!(
            f,
            "\nevents        {} in {} streams: {} tasks, {} applies, {} attempts refused, {} deliveries",
            told.events, told.streams, told.tasks, told.applies, told.refused, told.deliveries
        )?;
        write!(
            f,
            "\ndecisions     {} approvals asked for, {} approved, {} denied, {} continued",
            told.approvals, told.approved, told.denied, told.continued
        )?;
        write!(
            f,
            "\noperations    {} sent, {} simulated",
            told.operations_started, told.operations_simulated
        )?;
        if told.calls > 0 || told.calls_without_end > 0 {
            write!(
                f,
                "\ncalls         {} sent on, {} begun without a recorded end",
                told.calls, told.calls_without_end
            )?;
        }
        for key in &told.deciding_keys {
            write!(
                f,
                "\ndeciding key  {} of {}, {} decisions\n              registered at position {} by {}{}",
                key.thumbprint_for_people(),
                safe(&key.principal),
                key.decisions,
                key.registered_at_position,
                safe(&key.registered_by),
                match &key.listed_as {
                    Some(comment) => format!("; on the list as {}", safe(comment)),
                    None => String::new(),
                },
            )?;
            // A command-line key is of no page.
            if !key.origins.is_empty() {
                write!(
                    f,
                    "\n              used at {} for {}",
                    safe(&key.origins.join(", ")),
                    safe(&key.rp_ids.join(", "))
                )?;
            }
        }
        for fork in &told.forks {
            write!(
                f,
                "\nFORK          at position {}: went on from an older state of {}, which had {} records,\n              as {}: {}",
                fork.position,
                safe(&fork.old_origin),
                fork.old_size,
                safe(&fork.new_origin),
                safe(&fork.reason)
            )?;
        }
        for range in told.erased.iter().take(SHOWN) {
            write!(f, "\nerased        {range}")?;
        }
        more(f, told.erased.len())
    }

    fn limits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for limit in &self.impossible {
            write!(f, "\nnot checked   {limit}")?;
        }
        Ok(())
    }

    fn verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.first() else {
            f.write_str(match (self.verdict, self.everything) {
                (Verdict::Verified, true) => "VERIFIED: nothing is wrong with these records",
                (Verdict::Verified, false) => {
                    "VERIFIED BY HASHES ALONE: nothing is wrong with these records, and what they say was not read"
                }
                _ => "VERIFIED AS FAR AS POSSIBLE: nothing is wrong with these records",
            })?;
            let left: u64 = self.impossible.iter().map(|limit| limit.count).sum();
            match (left, self.verdict) {
                (0, Verdict::Verified) => write!(f, ".")?,
                (0, _) => write!(f, " as far as they are here and not erased.")?,
                (1, _) => write!(
                    f,
                    " as far as they can be checked; one check could not be made."
                )?,
                _ => write!(
                    f,
                    " as far as they can be checked; {left} checks could not be made."
                )?,
            }
            return match self.to.saturating_sub(self.signed_size.max(self.from)) {
                0 => Ok(()),
                1 => write!(f, " Nobody has signed the last of them yet."),
                unsigned => write!(f, " Nobody has signed the last {unsigned} of them yet."),
            };
        };
        write!(f, "NOT VERIFIED: {first}")?;
        for finding in self.findings.iter().skip(1).take(SHOWN) {
            write!(f, "\n         also {finding}")?;
        }
        let left = self.findings.len().saturating_sub(SHOWN + 1);
        let left = self
            .more_findings
            .saturating_add(u64::try_from(left).unwrap_or(0));
        if left > 0 {
            write!(f, "\n         and {left} more")?;
        }
        Ok(())
    }
}

fn more(f: &mut fmt::Formatter<'_>, all: usize) -> fmt::Result {
    match all.checked_sub(SHOWN) {
        Some(left) if left > 0 => write!(f, "\n              and {left} more"),
        _ => Ok(()),
    }
}

impl fmt::Display for CheckedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.source.as_str();
        let (Some(origin), Some(size)) = (&self.origin, self.size) else {
            return write!(f, "{source}: not a checkpoint of the trusted key");
        };
        write!(f, "{source}: {size} records of {}, ", safe(origin))?;
        f.write_str(if self.holds { "holds" } else { "DOES NOT HOLD" })?;
        for cosigned in &self.cosignatures {
            write!(
                f,
                "\n              cosigned by {} at {}",
                safe(&cosigned.witness),
                cosigned.at
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "position {}", self.first)
        } else {
            write!(f, "positions {} to {}", self.first, self.last)
        }
    }
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} events, the first at position {}: {}",
            self.check,
            self.count,
            self.first_position,
            self.why.as_str()
        )
    }
}
