//! The question put to an approver, complete enough to be answered without looking anywhere else.

use super::assets;
use super::card::{OperationCard, UpstreamState, cost};
use super::keep::KeepChoices;
use super::moment::Moment;
use super::params::{Now, ParamValue};
use super::person::{ShownPerson, UserNames};
use super::record::AboutAgent;
use super::says::Says;
use super::shown::ShownText;
use app::decisions::CredentialCount;
use app::votes::{NeedMet, Votes};
use askama::Template;
use ledger::aggregate::Approval;
use ledger::{ApproverName, Risk};

/// Everything that one approval asks.
#[derive(Debug, Clone, Template)]
#[template(path = "approval.html")]
pub struct ApprovalPage {
    pub agent: ShownText,
    /// The task's name, written by its orchestrator.
    pub task_name: ShownText,
    /// The words with which the task was opened.
    pub opener_says: Says,
    /// The agent's own words about it.
    pub says: Says,
    /// The rules of the policy that ask; absent where none do.
    pub asked_by: Option<AskedByRules>,
    /// Asked in a task that was opened for this alone, so nothing is kept in it.
    pub is_of_write: bool,
    /// Where the request came from; `None` where nothing is known of that.
    pub from: Option<ShownText>,
    /// The times for which the decision can be kept for later requests.
    pub keep: KeepChoices,
    /// True where it is carried out at once after an approval.
    pub executes: bool,
    /// The people who have to approve it together; `None` where any one approver does.
    pub needed: Option<Needed>,
    /// True where the policy lets whoever asked approve it.
    pub may_approve_own: bool,
    /// True where the policy lets one person of a group approve it alone in an emergency.
    pub may_break_glass: bool,
    /// The number of people who have answered it so far: an open page asks whether there are more.
    pub answers: usize,
    /// The digest of the state upstream that an approval is bound to, empty while that was not read; `None` where it is
    /// bound to none.
    pub bound_to: Option<String>,
    pub task_id: String,
    pub approval_id: String,
    /// The operations, those that a wrong answer costs most first.
    pub operations: Vec<OperationCard>,
    /// What the agent did before; `None` where that is not known now.
    pub about: Option<AboutAgent>,
    /// Those whose passkeys count.
    pub approvers: Vec<MayDecide>,
    /// Lower-case hex of the 32 bytes that the decision is bound to.
    pub fingerprint: String,
    pub asked_at: Moment,
    /// Until when it can be decided.
    pub expires_at: Moment,
    /// The service's time as the page is made; the countdown runs from it, not from the device's clock.
    pub now: Moment,
    /// No upstream credential is configured: nothing outside will change.
    pub simulated: bool,
    /// Where the page is, which is what its files are relative to.
    pub path: String,
}

/// The rules of the policy that ask, and why.
#[derive(Debug, Clone)]
pub struct AskedByRules {
    /// Their ids.
    pub rules: Vec<String>,
    /// In the words of the policy.
    pub reason: Option<ShownText>,
}

impl AskedByRules {
    /// Of a question; `None` where no rule asks.
    #[must_use]
    pub fn of(approval: &Approval) -> Option<Self> {
        let asked = approval.policy.as_ref()?;
        let reason = asked.requirement.get().reason.as_str();
        let rules = asked.rules.iter().map(ToString::to_string).collect();
        (!asked.rules.is_empty()).then(|| Self {
            rules,
            reason: (!reason.is_empty()).then(|| ShownText::line(reason)),
        })
    }
}

/// The people who have to approve a question together.
#[derive(Debug, Clone)]
pub struct Needed {
    /// `1 of 2 so far; waits for 1 of security`
    pub so_far: String,
    /// The needs, in words: `2 of security, 1 has approved`.
    pub needs: Vec<ShownText>,
    /// Those whose votes count.
    pub voters: Vec<ShownPerson>,
}

impl Needed {
    /// Of a question that has needs.
    pub(super) fn of(votes: &Votes, names: &UserNames) -> Self {
        let need = |met: &NeedMet| {
            let approved = match met.have {
                0 => "nobody has approved yet".to_owned(),
                1 => "1 has approved".to_owned(),
                many => format!("{many} have approved"),
            };
            ShownText::line(format!("{} of {}: {approved}", met.need.n, met.name()))
        };
        let counts = votes.votes.iter().filter(|vote| vote.void().is_none());
        Self {
            so_far: votes.in_words(),
            needs: votes.needs.iter().map(need).collect(),
            voters: counts.map(|vote| names.of(&vote.cast.principal)).collect(),
        }
    }
}

/// One who may decide.
#[derive(Debug, Clone)]
pub struct MayDecide {
    pub name: ShownPerson,
    /// Passkeys that are registered and not revoked.
    pub passkeys: usize,
    /// Command-line keys, the same.
    pub command_line_keys: usize,
}

impl MayDecide {
    /// The approvers of a question; those whose credentials were not counted have none.
    pub(super) fn all(
        approval: &Approval,
        credentials: &[CredentialCount],
        names: &UserNames,
    ) -> Vec<Self> {
        let counts = credentials.iter().copied();
        let counts = counts.chain(std::iter::repeat(CredentialCount::default()));
        let approvers = approval.approvers.iter().zip(counts);
        let one = |(name, count): (&ApproverName, CredentialCount)| Self {
            name: names.of(name),
            passkeys: count.passkeys,
            command_line_keys: count.command_line_keys,
        };
        approvers.map(one).collect()
    }
}

impl ApprovalPage {
    fn assets(&self) -> String {
        assets::base_from(&self.path)
    }

    /// The note on look-alike characters in the names of who asks and for what, and in what the heading names.
    fn lookalikes(&self) -> Option<String> {
        let names = [&self.agent, &self.task_name].map(|name| name.original().to_owned());
        let acts = self.operations.iter().map(OperationCard::named);
        let names: Vec<_> = names.into_iter().chain(acts).collect();
        ShownText::block(names.join("\n")).lookalikes()
    }

    /// Puts those first that a wrong answer costs most; of equal ones, those that were asked for first.
    pub(super) fn sort(&mut self) {
        self.operations.sort_by_key(|card| {
            let cost = cost(card.risk, &card.warnings);
            (std::cmp::Reverse(cost), card.number)
        });
    }

    /// The act in one line, for the tab.
    fn title(&self) -> String {
        match &*self.operations {
            [one] => one.summary.spelled_out(),
            many => counted(many.len(), self.sensitive()),
        }
    }

    /// `10 operations, 3 sensitive`
    fn counted(&self) -> String {
        counted(self.operations.len(), self.sensitive())
    }

    /// The label of the button, which names the act.
    fn approve(&self) -> String {
        match &*self.operations {
            [one] => format!("Approve one {} operation", one.risk.as_str()),
            many => format!("Approve {}", counted(many.len(), self.sensitive())),
        }
    }

    fn sensitive(&self) -> usize {
        let sensitive = |card: &&OperationCard| card.risk == Risk::Sensitive;
        self.operations.iter().filter(sensitive).count()
    }

    fn dangers(&self) -> usize {
        self.operations.iter().map(OperationCard::dangers).sum()
    }

    fn others(&self) -> usize {
        let all: usize = self.operations.iter().map(|card| card.warnings.len()).sum();
        all - self.dangers()
    }

    /// The operations that are open, and those that are folded: no dangerous one is.
    fn folded(&self) -> (&[OperationCard], &[OperationCard]) {
        const OPEN: usize = 3;
        const LEAST_FOLDED: usize = 3;
        let dangerous = self.operations.iter().filter(|card| card.is_dangerous());
        let open = dangerous.count().max(OPEN);
        match self.operations.split_at_checked(open) {
            Some((open, folded)) if folded.len() >= LEAST_FOLDED => (open, folded),
            _ => (&self.operations, &[]),
        }
    }

    /// True where nobody has a passkey, so that nobody can decide on the page.
    fn is_undecidable(&self) -> bool {
        self.needed.is_none() && self.approvers.iter().all(|approver| approver.passkeys == 0)
    }

    /// True where some of them can decide at a command line.
    fn has_command_line_keys(&self) -> bool {
        let mut approvers = self.approvers.iter();
        approvers.any(|approver| approver.command_line_keys > 0)
    }

    /// True when something about upstream will still be read, so that the page changes.
    fn awaits_upstream(&self) -> bool {
        self.operations
            .iter()
            .any(|operation| operation.upstream == UpstreamState::NotYetRead)
    }

    /// True where anything of what stands upstream can be read, and read again.
    fn can_be_read(&self) -> bool {
        self.operations
            .iter()
            .any(|operation| operation.upstream != UpstreamState::NotApplicable)
    }

    /// The fingerprint's beginning in groups of four.
    fn short_fingerprint(&self) -> String {
        grouped(self.fingerprint.get(..16).unwrap_or(&self.fingerprint))
    }

    fn full_fingerprint(&self) -> String {
        grouped(&self.fingerprint)
    }
}

pub(super) fn counted(operations: usize, sensitive: usize) -> String {
    match sensitive {
        0 => format!("{operations} operations"),
        all if all == operations => format!("{operations} sensitive operations"),
        some => format!("{operations} operations, {some} sensitive"),
    }
}

fn grouped(hex: &str) -> String {
    let digits: Vec<char> = hex.chars().collect();
    let groups = digits
        .chunks(4)
        .map(|group| group.iter().collect::<String>());
    groups.collect::<Vec<_>>().join(" ")
}
