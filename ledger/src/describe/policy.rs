//! Changes of the policy.

use super::{Act, Change, Describe, Facts, Severity, Topic, because};
use crate::event::PolicyChanged;

impl Describe for PolicyChanged {
    fn text(&self, topic: &Topic) -> String {
        let version = self.version;
        let text = match (&self.document, self.restores) {
            (None, _) => format!("policy version {version}: no document, as in version 0"),
            (Some(document), Some(earlier)) => format!(
                "policy version {version}: rolled back to version {earlier}, digest {}",
                document.digest
            ),
            (Some(document), None) => format!(
                "policy version {version}: {} rules, digest {}",
                document.tree.policy().rules.len(),
                document.digest
            ),
        };
        match &self.overrides {
            Some(why) => format!(
                "{text}, made without the people whom the version before wants, as not enough were left{}",
                because(Some(why), topic)
            ),
            None => text,
        }
    }

    fn facts(&self, _: &Topic) -> Facts {
        let change = match (&self.document, self.version) {
            (None, _) => Change::Deleted,
            (Some(_), 1) => Change::Created,
            (Some(_), _) => Change::Updated,
        };
        Facts::of(0, Act::own(change, "policy")).severity(Severity::High)
    }
}
