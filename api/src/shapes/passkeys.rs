//! What the pages behind approval and enrolment links exchange with the service.

use super::locks::LockDuration;
use crate::problem::ApiError;
use app::decisions::{self, Options, Wanted, WantedBlock};
use app::passkey::RelyingParty;
use app::retention::{RetentionWords, WantedFor};
use app::votes::Votes;
use ledger::aggregate::Session;
use ledger::{Assertion, Blob, CredentialId, Decision, DecisionProof, OnScreen, SoftwareSignature};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which decision a challenge is asked for.
#[derive(Debug, Default, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DecisionQuery {
    /// `approve` or `deny`; approve when left out.
    #[serde(default)]
    #[schema(pattern = "^(approve|deny)$")]
    #[param(pattern = "^(approve|deny)$")]
    pub(crate) decision: Option<String>,
    /// Why; the agent sees it. At most 1000 characters.
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

/// Which decision a challenge is asked for, and whether it is kept.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionRequest {
    /// `approve` or `deny`; approve when left out.
    #[serde(default)]
    #[schema(pattern = "^(approve|deny)$")]
    pub(crate) decision: Option<String>,
    /// Why; the agent sees it. At most 1000 characters.
    #[serde(default)]
    pub(crate) reason: Option<String>,
    /// Whether the decision answers later applies too; once when left out.
    #[serde(default)]
    pub(crate) retention: Option<RetentionRequest>,
    /// An approval in an emergency, by one member of the group that the policy names: with a reason of at least 20
    /// characters, for once, to be used within 15 minutes. Others review it.
    #[serde(default)]
    pub(crate) break_glass: bool,
    /// Whether a denial blocks what asked, too.
    #[serde(default)]
    pub(crate) block: Option<BlockRequest>,
}

/// A block of what asked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlockRequest {
    /// `agent`, `subject`, `address` or `asn`: of what asked, as far as the record says it.
    #[schema(example = "agent")]
    kind: String,
    /// How long it lasts: whole seconds, or `10s`, `1m`, `1h`, `1d`, `1w`, `1y`; at most ten years. Until somebody
    /// lifts it when left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "1h")]
    duration: Option<LockDuration>,
}

/// How long a decision is kept, and for what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetentionRequest {
    /// `once` (also `single`, `conn`, `connection`), `cache` or `permanent`; once when left out.
    #[serde(default)]
    #[schema(example = "cache")]
    mode: Option<String>,
    /// Of `cache`: whole seconds, or `10s`, `1m`, `1h`, `1d`, `1w`, `1y`; 0 until the task closes, -1 as `permanent`;
    /// 5 minutes when left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "7d")]
    duration: Option<KeptDuration>,
    /// `exact`: only exactly these operations; `scope`: the same operations on the same scopes, whatever their
    /// params. Exact when left out.
    #[serde(default)]
    #[schema(example = "exact")]
    breadth: Option<String>,
    /// `task`: applies of this task; `agent`: of any task of the agent under the same subject. The task for up to a
    /// day, else the agent, when left out.
    #[serde(default)]
    #[schema(example = "agent")]
    binding: Option<String>,
}

/// A time: whole seconds, or a number and its unit.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "whole seconds, or a text with a number and its unit: 90, \"90s\", \"1h\""
)]
enum KeptDuration {
    Seconds(i64),
    Text(String),
}

impl DecisionRequest {
    /// The decision, approve where none was named.
    pub(crate) fn decision(&self) -> Result<Decision, ApiError> {
        decision(self.decision.as_deref())
    }

    /// The choices besides the decision.
    pub(crate) fn wanted(self) -> Result<Wanted, ApiError> {
        let keep = self.keep()?;
        let block = match self.block {
            Some(block) => Some(WantedBlock {
                kind: block.kind,
                duration: block.duration.map(LockDuration::read).transpose()?,
            }),
            None => None,
        };
        let break_glass = self.break_glass;
        Ok(Wanted {
            keep,
            block,
            break_glass,
        })
    }

    /// For what the decision is to hold.
    fn keep(&self) -> Result<WantedFor, ApiError> {
        let Some(wanted) = &self.retention else {
            return Ok(WantedFor::default());
        };
        let duration = wanted.duration.as_ref().map(|duration| match duration {
            KeptDuration::Seconds(seconds) => seconds.to_string(),
            KeptDuration::Text(text) => text.clone(),
        });
        let words = RetentionWords {
            mode: wanted.mode.as_deref(),
            duration: duration.as_deref(),
            breadth: wanted.breadth.as_deref(),
            binding: wanted.binding.as_deref(),
        };
        Ok(words.read()?)
    }
}

impl From<DecisionQuery> for DecisionRequest {
    fn from(request: DecisionQuery) -> Self {
        Self {
            decision: request.decision,
            reason: request.reason,
            retention: None,
            break_glass: false,
            block: None,
        }
    }
}

/// Options of a decision: what a passkey is asked for, and what it signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct DecisionOptions {
    #[serde(flatten)]
    options: AssertionOptions,
    /// The statement that is signed, as canonical JSON; to be handed back with the answer.
    statement: String,
    /// What it means, in words, to be shown before the passkey is asked for.
    means: String,
}

impl DecisionOptions {
    pub(crate) fn of(party: &RelyingParty, decision: decisions::DecisionOptions) -> Self {
        Self {
            options: AssertionOptions::of(party, &decision.options),
            statement: decision.statement,
            means: decision.means,
        }
    }
}

/// Options by which a page asks for a passkey; binary values are unpadded base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct AssertionOptions {
    /// 72 bytes that bind what is asked for: a decision, a login, a step-up.
    pub(crate) challenge: String,
    /// Milliseconds.
    pub(crate) timeout: u32,
    /// The relying party id.
    pub(crate) rp_id: String,
    /// Always `required`.
    #[schema(value_type = String, example = "required")]
    pub(crate) user_verification: &'static str,
    /// The credentials that may answer; any that the authenticator finds where there are none.
    pub(crate) allow_credentials: Vec<AllowedCredential>,
}

/// One of the credentials that may answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct AllowedCredential {
    /// Its id.
    pub(crate) id: String,
    /// Always `public-key`.
    #[schema(value_type = String, example = "public-key")]
    pub(crate) kind: &'static str,
}

impl AssertionOptions {
    pub(crate) fn of(party: &RelyingParty, options: &Options) -> Self {
        let allowed = |id: &CredentialId| AllowedCredential {
            id: id.to_base64url(),
            kind: "public-key",
        };
        Self {
            challenge: Blob::from(options.challenge.to_bytes()).to_base64url(),
            timeout: party.timeout_millis(),
            rp_id: party.rp_id().to_owned(),
            user_verification: "required",
            allow_credentials: options.credential_ids.iter().map(allowed).collect(),
        }
    }
}

/// The answer of a passkey to the options, or the signature of a command-line key, with the decision that they were
/// asked for. Binary values are base64url.
///
/// A passkey sends `client_data_json`, `authenticator_data` and its `signature`; a command-line key sends `challenge`,
/// `statement` and the Ed25519 signature over `llm-permission-proxy software decision v2`, the SHA-256 of the statement
/// and the challenge.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyRequest {
    /// Which credential signed.
    pub(crate) credential_id: String,
    /// `response.clientDataJSON`; of a passkey alone.
    #[serde(default)]
    pub(crate) client_data_json: Option<String>,
    /// `response.authenticatorData`; of a passkey alone.
    #[serde(default)]
    pub(crate) authenticator_data: Option<String>,
    /// The challenge of the options; of a command-line key alone.
    #[serde(default)]
    pub(crate) challenge: Option<String>,
    /// `response.signature`, or the 64 bytes of a command-line key.
    pub(crate) signature: String,
    /// `response.userHandle`
    #[serde(default)]
    pub(crate) user_handle: Option<String>,
    /// As in the options.
    #[serde(default)]
    pub(crate) decision: Option<String>,
    /// As in the options.
    #[serde(default)]
    pub(crate) reason: Option<String>,
    /// The statement of the options, where they were asked for with what they say; once when left out.
    #[serde(default)]
    pub(crate) statement: Option<String>,
    /// The operations on the screen before, as the browser says.
    #[serde(default)]
    pub(crate) on_screen: Option<OnScreenSaid>,
}

/// Operations of the question that were on the screen, from 1. Numbers that it does not have are left out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OnScreenSaid {
    /// Those whose heading was to be seen.
    #[schema(example = json!([1, 2]))]
    operations: Vec<u32>,
    /// Those of them that were scrolled to their end.
    #[schema(example = json!([1]))]
    to_the_end: Vec<u32>,
}

impl From<OnScreenSaid> for OnScreen {
    fn from(said: OnScreenSaid) -> Self {
        Self {
            operations: said.operations,
            to_the_end: said.to_the_end,
        }
    }
}

/// The answer of a passkey to options. Binary values are base64url.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeyAnswer {
    /// Which credential signed.
    credential_id: String,
    /// `response.clientDataJSON`
    client_data_json: String,
    /// `response.authenticatorData`
    authenticator_data: String,
    /// `response.signature`
    signature: String,
    /// `response.userHandle`
    #[serde(default)]
    user_handle: Option<String>,
}

/// The name of a login that begins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeyLoginRequest {
    /// Left out where the authenticator finds the passkey by itself.
    #[serde(default)]
    #[schema(example = "ann")]
    pub(crate) username: Option<String>,
}

/// The approver whose principal is to be one's own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkRequest {
    pub(crate) principal: String,
}

/// A principal that is one's own now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Linked {
    pub(crate) principal: String,
}

/// A passkey that was shown once more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SteppedUp {
    /// Until when it counts, RFC 3339, UTC.
    step_up_until: Option<String>,
}

impl SteppedUp {
    pub(crate) fn of(session: &Session) -> Self {
        Self {
            step_up_until: session.step_up_until.map(|until| until.to_string()),
        }
    }
}

/// The passkeys by which who asks logs in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnPasskeys {
    /// Those of one's own, then those by which principals were linked.
    passkeys: Vec<OwnPasskey>,
}

#[derive(Debug, Serialize, ToSchema)]
struct OwnPasskey {
    /// base64url
    credential_id: String,
}

impl OwnPasskeys {
    pub(crate) fn of(ids: &[CredentialId]) -> Self {
        let shown = |id: &CredentialId| OwnPasskey {
            credential_id: id.to_base64url(),
        };
        Self {
            passkeys: ids.iter().map(shown).collect(),
        }
    }
}

/// A recorded decision.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Decided {
    /// The approval.
    pub(crate) approval_id: String,
    /// `approved`, `denied`, or `voted` where others have to approve too.
    pub(crate) status: &'static str,
    /// Its task; null where it is not about an apply.
    pub(crate) task_id: Option<String>,
    /// How far its needs are met, where others have to approve too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waits: Option<WaitsForOthers>,
}

/// How far the needs of a question are met.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaitsForOthers {
    /// The number of people who are counted.
    have: usize,
    /// The number that is needed.
    of: usize,
    /// The same, in words, with the groups that are waited for.
    #[schema(example = "1 of 2 so far; waits for 1 of security")]
    text: String,
}

impl From<&Votes> for WaitsForOthers {
    fn from(votes: &Votes) -> Self {
        let (have, of) = votes.sums();
        let text = votes.in_words();
        Self { have, of, text }
    }
}

/// Where a question stands, for a page that is open.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Standing)]
pub(crate) struct QuestionState {
    /// The approval.
    pub(crate) approval_id: String,
    /// `pending`, `approved`, `denied`, `expired`, `cancelled` or `consumed`.
    pub(crate) state: &'static str,
    /// What the operations would change has been read upstream, or needs no reading.
    pub(crate) upstream_read: bool,
    /// Its result; absent while it can be decided. `approved` (the agent has not gone on),
    /// `failed_for_now` (nothing was changed, it may be tried again), `running`, `carried_out`, `simulated`,
    /// `failed`, `in_part`, `unknown`, `stopped`, `used` (no longer recorded), `denied`, `expired`, `lapsed`
    /// (approved and not used in time) or `cancelled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) became: Option<&'static str>,
    /// The operations that have ended; while it can be decided, the people who have approved so far.
    pub(crate) progress: usize,
}

/// The name of the first admin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetupRequest {
    /// 1 to 64 of a-z 0-9 . _ @ -
    #[schema(example = "ann")]
    pub(crate) username: String,
}

/// What a browser made of the creation options. Binary values are base64url.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistrationRequest {
    /// The new credential's id.
    pub(crate) credential_id: String,
    /// `response.clientDataJSON`
    pub(crate) client_data_json: String,
    /// `response.attestationObject`
    pub(crate) attestation_object: String,
}

/// A registered passkey.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Registered {
    /// Whose it is.
    pub(crate) approver_principal: String,
    /// Its id, base64url.
    pub(crate) credential_id: String,
    /// Always `active`.
    pub(crate) status: &'static str,
    /// RFC 9679 thumbprint of the public key, base64url: to be kept by the approver, and given to auditors.
    pub(crate) public_key_thumbprint: String,
    /// Whether this approver may decide as the service is configured.
    pub(crate) may_decide: bool,
}

impl VerifyRequest {
    /// The decision, approve where none was named.
    pub(crate) fn decision(&self) -> Result<Decision, ApiError> {
        decision(self.decision.as_deref())
    }

    /// The bytes of the proof.
    pub(crate) fn proof(&self) -> Result<DecisionProof, ApiError> {
        let Self {
            credential_id: id,
            client_data_json: client,
            authenticator_data: data,
            challenge,
            signature,
            user_handle,
            ..
        } = self;
        match (client, data, challenge) {
            (Some(client), Some(data), None) => {
                Ok(assertion([id, client, data, signature], user_handle.as_deref())?.into())
            }
            (None, None, Some(challenge)) => {
                if user_handle.is_some() || self.on_screen.is_some() {
                    return Err(ApiError::bad_request(
                        "user_handle, on_screen: a command-line key has none",
                    ));
                }
                if self.statement.is_none() {
                    return Err(ApiError::bad_request(
                        "statement: a command-line key says which statement it has signed",
                    ));
                }
                Ok(software_signature([id, challenge, signature])?.into())
            }
            _ => Err(ApiError::bad_request(
                "a passkey's answer has client_data_json and authenticator_data, a command-line \
                 key's has challenge",
            )),
        }
    }
}

/// The bytes of a command-line key's id, its challenge and its signature.
pub(crate) fn software_signature(
    [id, challenge, signature]: [&String; 3],
) -> Result<SoftwareSignature, ApiError> {
    Ok(SoftwareSignature {
        credential_id: bytes("credential_id", id)?,
        challenge: bytes("challenge", challenge)?,
        signature: bytes("signature", signature)?,
    })
}

impl PasskeyAnswer {
    /// The bytes of the assertion.
    pub(crate) fn assertion(&self) -> Result<Assertion, ApiError> {
        let Self {
            credential_id: id,
            client_data_json: client,
            authenticator_data: data,
            signature,
            ..
        } = self;
        assertion([id, client, data, signature], self.user_handle.as_deref())
    }
}

/// The bytes of a credential's id, client data, authenticator data and signature.
fn assertion(
    [id, client, data, signature]: [&String; 4],
    user_handle: Option<&str>,
) -> Result<Assertion, ApiError> {
    Ok(Assertion {
        credential_id: bytes("credential_id", id)?,
        client_data_json: bytes("client_data_json", client)?,
        authenticator_data: bytes("authenticator_data", data)?,
        signature: bytes("signature", signature)?,
        user_handle: user_handle
            .map(|text| bytes("user_handle", text))
            .transpose()?,
    })
}

fn decision(word: Option<&str>) -> Result<Decision, ApiError> {
    word.map_or(Ok(Decision::Approve), |word| {
        word.parse()
            .map_err(|why| ApiError::bad_request(format!("decision: {why}")))
    })
}

/// Reads base64url, with or without padding, naming the field.
pub(crate) fn bytes(field: &str, text: &str) -> Result<Vec<u8>, ApiError> {
    Blob::from_base64url(text)
        .map(|blob| blob.as_slice().to_vec())
        .ok_or_else(|| ApiError::bad_request(format!("{field}: expected base64url")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::{
        ApprovalId, Challenge, ChallengeKey, Fingerprint, LedgerId, Statement, TaskId, Timestamp,
    };
    use std::time::Duration;

    #[test]
    fn assertion_options_have_the_fixed_fields() {
        let statement = Statement {
            ledger_id: LedgerId::from_bytes([2; 16]),
            task_id: Some(TaskId::from_bytes([3; 16])),
            approval_id: ApprovalId::from_bytes([4; 16]),
            fingerprint: Fingerprint::from_bytes([5; 32]),
            decision: Decision::Approve,
            reason_digest: None,
            expires_at: Timestamp::from_seconds(1_800_000_000),
        };
        let key = ChallengeKey::derive(&[1; 32]);
        let options = Options {
            challenge: Challenge::issue(&key, [6; 16], statement.expires_at, &statement),
            credential_ids: vec![CredentialId::unchecked(vec![0, 0xff])],
        };
        let origin = "https://proxy.example";
        let party = RelyingParty::new("proxy.example", origin, Duration::from_secs(90)).unwrap();
        let json = serde_json::to_value(AssertionOptions::of(&party, &options)).unwrap();
        assert_eq!(json["rp_id"], "proxy.example");
        assert_eq!(json["timeout"], 90_000);
        assert_eq!(json["user_verification"], "required");
        assert_eq!(json["allow_credentials"][0]["id"], "AP8");
        assert_eq!(json["allow_credentials"][0]["kind"], "public-key");
        assert_eq!(json["challenge"].as_str().unwrap().len(), 96);
        assert_eq!(json.as_object().unwrap().len(), 5);
    }
}
