use super::*;
use crate::challenge::ChallengeKey;
use crate::id::LedgerId;
use crate::identity::{Ceremony, IdentityStatement};
use crate::name::CredentialId;
use crate::statement::tests::{golden, others};
use ed25519_dalek::{Signer as _, SigningKey};

const ID: &[u8] = b"laptop";

fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn public_key() -> SoftwareKey {
    SoftwareKey::from_raw(signing_key().verifying_key().as_bytes()).unwrap()
}

fn challenge_of(statement: &dyn Bound) -> Challenge {
    let key = ChallengeKey::derive(b"an approval link secret of 32 by");
    Challenge::issue(
        &key,
        [3; 16],
        Timestamp::from_seconds(1_800_000_000),
        statement,
    )
}

fn signed(statement: &dyn Bound, message: impl FnOnce(&[u8]) -> Vec<u8>) -> SoftwareSignature {
    let challenge = challenge_of(statement).to_bytes();
    let signature = signing_key().sign(&message(&challenge));
    SoftwareSignature {
        credential_id: ID.to_vec(),
        challenge,
        signature: signature.to_bytes().to_vec(),
    }
}

fn decided(statement: &dyn Bound) -> SoftwareSignature {
    signed(statement, |challenge| {
        software_decision_message(&statement.digest(), challenge)
    })
}

fn login() -> IdentityStatement {
    IdentityStatement {
        ledger_id: LedgerId::from_bytes([1; 16]),
        ceremony: Ceremony::KeyLogin(CredentialId::unchecked(ID)),
    }
}

/// The order of the group, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[test]
fn a_key_proves_the_statement_that_it_signed_and_no_other() {
    let statement = golden()[0].statement();
    let signature = decided(&statement);
    let until = signature.verify_decision(&public_key(), ID, &statement);
    assert_eq!(until, Ok(Timestamp::from_seconds(1_800_000_000)));
    for other in others(statement) {
        let refused = signature.verify_decision(&public_key(), ID, &other);
        assert_eq!(refused, Err(SoftwareSignatureError::OtherStatement));
    }
    let refused = signature.verify_decision(&public_key(), b"another", &statement);
    assert_eq!(refused, Err(SoftwareSignatureError::OtherCredential));
}

#[test]
fn the_signed_bytes_are_those_that_clients_are_told() {
    let statement = golden()[0].statement();
    let digest: [u8; 32] = Sha256::digest(statement.canonical_bytes()).into();
    let message = [
        b"llm-permission-proxy software decision v2".as_slice(),
        &digest,
        b"challenge",
    ];
    assert_eq!(
        software_decision_message(&digest, b"challenge"),
        message.concat()
    );
    assert_eq!(statement.digest(), digest);
    assert_eq!(
        key_login_message(b"challenge"),
        b"llm-permission-proxy key login v1challenge"
    );
}

#[test]
fn a_login_is_no_decision_and_a_decision_no_login() {
    let statement = golden()[0].statement();
    let refused = decided(&statement).verify_login(&public_key(), ID, &statement);
    assert_eq!(refused, Err(SoftwareSignatureError::Signature));
    let logged_in = signed(&login(), key_login_message);
    assert!(logged_in.verify_login(&public_key(), ID, &login()).is_ok());
    let refused = logged_in.verify_decision(&public_key(), ID, &login());
    assert_eq!(refused, Err(SoftwareSignatureError::Signature));
    let refused = logged_in.verify_decision(&public_key(), ID, &statement);
    assert_eq!(refused, Err(SoftwareSignatureError::OtherStatement));
}

#[test]
fn no_changed_bit_of_a_signature_or_a_challenge_verifies() {
    let statement = golden()[0].statement();
    let honest = decided(&statement);
    for place in 0..honest.signature.len() {
        for bit in 0..8 {
            let mut changed = honest.clone();
            changed.signature[place] ^= 1 << bit;
            assert!(
                changed
                    .verify_decision(&public_key(), ID, &statement)
                    .is_err()
            );
        }
    }
    for place in 0..honest.challenge.len() {
        let mut changed = honest.clone();
        changed.challenge[place] ^= 1;
        assert!(
            changed
                .verify_decision(&public_key(), ID, &statement)
                .is_err()
        );
    }
    for len in [0, 63, 65] {
        let mut cut = honest.clone();
        cut.signature.resize(len, 0);
        assert!(cut.verify_decision(&public_key(), ID, &statement).is_err());
    }
}

#[test]
fn a_signature_has_one_form_only() {
    let statement = golden()[0].statement();
    let mut other_form = decided(&statement);
    // S + L is the same number to the group, and another signature to whoever compares bytes.
    let mut carry = 0;
    for (byte, order) in other_form.signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    let refused = other_form.verify_decision(&public_key(), ID, &statement);
    assert_eq!(refused, Err(SoftwareSignatureError::Signature));
}

#[test]
fn a_signature_with_a_part_of_small_order_is_refused() {
    let statement = golden()[0].statement();
    let mut identity = decided(&statement);
    identity.signature = vec![0; 64];
    identity.signature[0] = 1;
    let refused = identity.verify_decision(&public_key(), ID, &statement);
    assert_eq!(refused, Err(SoftwareSignatureError::Signature));
}

#[test]
fn keys_for_which_anybody_can_sign_are_refused() {
    let mut small_order: Vec<[u8; 32]> = vec![[0; 32]];
    let mut identity = [0; 32];
    identity[0] = 1;
    small_order.push(identity);
    // p - 1, the point of order 2.
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    small_order.push(minus_one);
    // A point of order 8.
    let eighth = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
    small_order.push(hex::decode(eighth).unwrap().try_into().unwrap());
    for key in small_order {
        let refused = SoftwareKey::from_raw(&key);
        assert_eq!(refused, Err(SoftwareKeyError::SmallOrder), "{key:?}");
    }
}

#[test]
fn a_key_has_one_encoding_only() {
    // p + 1 is 1 again.
    let mut long_one = [0xff; 32];
    (long_one[0], long_one[31]) = (0xee, 0x7f);
    assert_eq!(
        SoftwareKey::from_raw(&long_one),
        Err(SoftwareKeyError::Point)
    );
    // y = 2 is on no point.
    let mut no_point = [0; 32];
    no_point[0] = 2;
    assert_eq!(
        SoftwareKey::from_raw(&no_point),
        Err(SoftwareKeyError::Point)
    );
    for len in [0, 31, 33] {
        let refused = SoftwareKey::from_raw(&vec![1; len]);
        assert_eq!(refused, Err(SoftwareKeyError::Length(len)));
    }
}

#[test]
fn the_thumbprint_is_that_of_rfc_9679() {
    let x = [
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07,
        0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07,
        0x51, 0x1a,
    ];
    let cose = [
        &[0xA3, 0x01, 0x01, 0x20, 0x06, 0x21, 0x58, 0x20],
        x.as_slice(),
    ]
    .concat();
    let key = SoftwareKey::from_raw(&x).unwrap();
    assert_eq!(
        key.thumbprint().as_bytes(),
        &<[u8; 32]>::from(Sha256::digest(cose))
    );
}

#[test]
fn neither_kind_of_proof_stands_for_the_other() {
    let statement = golden()[0].statement();
    let software = CredentialKey::read("raw", &public_key().to_raw()).unwrap();
    let expectation = Expectation {
        credential_id: ID,
        rp_id: "proxy.example",
        origin: "https://proxy.example",
        challenge_binds: &statement,
    };
    let proof = DecisionProof::Software(decided(&statement));
    assert_eq!(proof.assurance(), Assurance::SoftwareKey);
    let proven = proof.verify(&software, &expectation).unwrap();
    assert_eq!((proven.sign_count, proven.backup_eligible), (0, None));
    let passkeys_answer = DecisionProof::Passkey(Assertion {
        credential_id: ID.to_vec(),
        client_data_json: Vec::new(),
        authenticator_data: Vec::new(),
        signature: decided(&statement).signature,
        user_handle: None,
    });
    assert_eq!(
        passkeys_answer.verify(&software, &expectation),
        Err(DecisionProofError::OtherKind)
    );
    assert_eq!(
        CredentialKey::read("x509", &public_key().to_raw()),
        Err(CredentialKeyError::Format)
    );
    assert!(CredentialKey::read("cose", &public_key().to_raw()).is_err());
}
