//! Assertions for each algorithm, made and signed by another implementation.

use super::*;

const GOLDEN: &str = include_str!("../../../../fixtures/data/assertion.json");

#[derive(Deserialize)]
struct Golden {
    algorithm: Algorithm,
    public_key_cose: String,
    thumbprint: String,
    /// Which of the golden statements was decided.
    statement: usize,
    rp_id: String,
    origin: String,
    credential_id: String,
    client_data_json: String,
    authenticator_data: String,
    signature: String,
    sign_count: u32,
    backup_eligible: bool,
    backup_state: bool,
}

impl Golden {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_cose(&hex::decode(&self.public_key_cose).unwrap()).unwrap()
    }

    fn assertion(&self) -> Assertion {
        Assertion {
            credential_id: hex::decode(&self.credential_id).unwrap(),
            client_data_json: self.client_data_json.clone().into_bytes(),
            authenticator_data: hex::decode(&self.authenticator_data).unwrap(),
            signature: hex::decode(&self.signature).unwrap(),
            user_handle: None,
        }
    }

    fn verify(&self, assertion: &Assertion) -> Result<Verified, AssertionError> {
        let statement = statements()[self.statement].statement();
        let expectation = Expectation {
            credential_id: &hex::decode(&self.credential_id).unwrap(),
            rp_id: &self.rp_id,
            origin: &self.origin,
            challenge_binds: &statement,
        };
        verify_assertion(&self.public_key(), assertion, &expectation)
    }
}

fn golden() -> Vec<Golden> {
    serde_json::from_str(GOLDEN).unwrap()
}

#[test]
fn there_is_one_of_each_algorithm() {
    let algorithms: Vec<_> = golden().iter().map(|case| case.algorithm).collect();
    assert_eq!(
        algorithms,
        [Algorithm::Es256, Algorithm::Es384, Algorithm::Rs256]
    );
}

#[test]
fn golden_assertions_verify() {
    for case in golden() {
        let challenge = &statements()[case.statement].challenge;
        assert_eq!(
            case.verify(&case.assertion()),
            Ok(Verified {
                sign_count: case.sign_count,
                user_verified: true,
                backup_eligible: case.backup_eligible,
                backup_state: case.backup_state,
                valid_until: Timestamp::from_seconds(challenge.valid_until),
            }),
            "{}",
            case.algorithm
        );
    }
}

#[test]
fn golden_keys_keep_their_bytes_and_thumbprints() {
    for case in golden() {
        let key = case.public_key();
        assert_eq!(key.algorithm(), case.algorithm);
        assert_eq!(hex::encode(key.to_cose()), case.public_key_cose);
        assert_eq!(key.thumbprint().to_string(), case.thumbprint);
    }
}

#[test]
fn a_changed_bit_in_any_signature_is_noticed() {
    for case in golden() {
        for place in 0..case.assertion().signature.len() {
            let mut assertion = case.assertion();
            assertion.signature[place] ^= 1;
            assert_eq!(case.verify(&assertion), Err(AssertionError::Signature));
        }
    }
}

#[test]
fn a_stored_assertion_is_the_same_assertion() {
    for case in golden() {
        let stored = postcard::to_stdvec(&case.assertion()).unwrap();
        assert_eq!(
            postcard::from_bytes::<Assertion>(&stored).unwrap(),
            case.assertion()
        );
    }
}
