//! The rules one by one with an authenticator made by hand, the software passkey, and vectors made by
//! another implementation.

mod browser;
mod golden;
mod rules;
mod software_passkey;

use super::*;
use crate::challenge::{Challenge, ChallengeKey};
use crate::statement::Statement;
use crate::statement::tests::golden as statements;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};

const RP_ID: &str = "proxy.example";
const ORIGIN: &str = "https://proxy.example";
const CREDENTIAL: &[u8] = b"credential one";
const UP: u8 = 1 << 0;
const UV: u8 = 1 << 2;
const BE: u8 = 1 << 3;
const BS: u8 = 1 << 4;
const AT: u8 = 1 << 6;
const ED: u8 = 1 << 7;

fn statement() -> Statement {
    statements()[0].statement()
}

fn challenge_for(statement: &Statement) -> Challenge {
    let key = ChallengeKey::derive(b"a secret of the service");
    Challenge::issue(
        &key,
        [6; 16],
        Timestamp::from_seconds(1_800_000_000),
        statement,
    )
}

/// What goes into one assertion; each test changes one thing before it is signed.
struct Ceremony {
    client_data_json: String,
    rp_id: String,
    flags: u8,
    sign_count: u32,
    extensions: Vec<u8>,
}

/// Client data with these members in this order, each already JSON.
fn client_data(members: &[(&str, &str)]) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(key, value)| format!("\"{key}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn encoded_challenge() -> String {
    format!(
        "{:?}",
        URL_SAFE_NO_PAD.encode(challenge_for(&statement()).to_bytes())
    )
}

impl Ceremony {
    fn good() -> Self {
        Self {
            client_data_json: client_data(&[
                ("type", "\"webauthn.get\""),
                ("challenge", &encoded_challenge()),
                ("origin", &format!("{ORIGIN:?}")),
                ("crossOrigin", "false"),
            ]),
            rp_id: RP_ID.to_owned(),
            flags: UP | UV,
            sign_count: 41,
            extensions: Vec::new(),
        }
    }

    fn authenticator_data(&self) -> Vec<u8> {
        let hash = Sha256::digest(&self.rp_id);
        let count = self.sign_count.to_be_bytes();
        [hash.as_slice(), &[self.flags], &count, &self.extensions].concat()
    }

    fn signed(&self) -> Assertion {
        let authenticator_data = self.authenticator_data();
        let hash = Sha256::digest(&self.client_data_json);
        let message = [authenticator_data.as_slice(), &hash].concat();
        let signature: Signature = signing_key().sign(&message);
        Assertion {
            credential_id: CREDENTIAL.to_vec(),
            client_data_json: self.client_data_json.clone().into_bytes(),
            authenticator_data,
            signature: signature.to_der().as_bytes().to_vec(),
            user_handle: None,
        }
    }
}

fn signing_key() -> SigningKey {
    SigningKey::from_slice(&[0x42; 32]).unwrap()
}

/// The COSE key of a P-256 signing key.
fn cose_of(key: &SigningKey) -> Vec<u8> {
    let point = key.verifying_key().to_sec1_point(false);
    let (x, y) = (point.x().unwrap(), point.y().unwrap());
    [
        &hex::decode("a5010203262001215820").unwrap(),
        x.as_slice(),
        &[0x22, 0x58, 0x20],
        y,
    ]
    .concat()
}

fn public_key() -> PublicKey {
    PublicKey::from_cose(&cose_of(&signing_key())).unwrap()
}

fn verify(assertion: &Assertion) -> Result<Verified, AssertionError> {
    let statement = statement();
    let expectation = Expectation {
        credential_id: CREDENTIAL,
        rp_id: RP_ID,
        origin: ORIGIN,
        challenge_binds: &statement,
    };
    verify_assertion(&public_key(), assertion, &expectation)
}
