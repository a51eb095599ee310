//! Each rule with a case that fails because of it alone: everything else, the signature included, is
//! as it should be.

use super::*;
use crate::statement::tests::others;
use proptest::prelude::*;

fn verify_changed(change: impl FnOnce(&mut Ceremony)) -> Result<Verified, AssertionError> {
    let mut ceremony = Ceremony::good();
    change(&mut ceremony);
    verify(&ceremony.signed())
}

fn verify_client_data(members: &[(&str, &str)]) -> Result<Verified, AssertionError> {
    verify_changed(|ceremony| ceremony.client_data_json = client_data(members))
}

/// Good client data with one member replaced, or added at the end.
fn replaced(key: &str, value: &str) -> Result<Verified, AssertionError> {
    let challenge = encoded_challenge();
    let origin = format!("{ORIGIN:?}");
    let mut members = vec![
        ("type", "\"webauthn.get\""),
        ("challenge", &*challenge),
        ("origin", &*origin),
    ];
    match members.iter_mut().find(|(known, _)| *known == key) {
        Some(member) => member.1 = value,
        None => members.push((key, value)),
    }
    verify_client_data(&members)
}

#[test]
fn a_good_assertion_says_what_was_signed() {
    assert_eq!(
        verify(&Ceremony::good().signed()),
        Ok(Verified {
            sign_count: 41,
            user_verified: true,
            backup_eligible: false,
            backup_state: false,
            valid_until: Timestamp::from_seconds(1_800_000_000),
        })
    );
}

#[test]
fn the_credential_must_be_the_expected_one() {
    let mut assertion = Ceremony::good().signed();
    assertion.credential_id = b"credential two".to_vec();
    assert_eq!(verify(&assertion), Err(AssertionError::OtherCredential));
}

#[test]
fn the_client_data_must_be_json_with_the_members_that_browsers_write() {
    let client_data_error = |result| matches!(result, Err(AssertionError::ClientData(_)));
    assert!(client_data_error(verify_changed(|c| c
        .client_data_json
        .push('x'))));
    assert!(client_data_error(verify_changed(|c| c
        .client_data_json
        .insert(0, '\u{feff}'))));
    assert!(client_data_error(verify_client_data(&[(
        "type",
        "\"webauthn.get\""
    )])));
    assert!(client_data_error(replaced("crossOrigin", "\"no\"")));
    let twice = Ceremony::good().client_data_json.replace(
        "\"crossOrigin\"",
        "\"origin\":\"https://evil.example\",\"crossOrigin\"",
    );
    assert!(client_data_error(verify_changed(
        |c| c.client_data_json = twice
    )));
}

#[test]
fn members_that_browsers_may_add_are_ignored() {
    assert!(replaced("other_keys_can_be_added_here", "{\"a\":[1]}").is_ok());
    assert!(replaced("tokenBinding", "null").is_ok());
    assert!(replaced("topOrigin", "null").is_ok());
}

#[test]
fn the_ceremony_must_be_an_authentication() {
    for other in ["\"webauthn.create\"", "\"payment.get\"", "\"\""] {
        assert_eq!(replaced("type", other), Err(AssertionError::Type));
    }
}

#[test]
fn the_page_must_not_be_embedded() {
    assert_eq!(
        replaced("crossOrigin", "true"),
        Err(AssertionError::CrossOrigin)
    );
    let top = "\"https://evil.example\"";
    assert_eq!(replaced("topOrigin", top), Err(AssertionError::CrossOrigin));
    assert!(replaced("crossOrigin", "false").is_ok());
    assert!(replaced("crossOrigin", "null").is_ok());
}

#[test]
fn the_origin_must_be_the_services_but_for_one_slash() {
    assert!(replaced("origin", "\"https://proxy.example/\"").is_ok());
    for other in [
        "https://proxy.example//",
        "http://proxy.example",
        "https://proxy.example:443",
        "https://proxy.example.evil.example",
        "https://evil.example/proxy.example",
        "https://PROXY.example",
        "null",
        "",
    ] {
        assert_eq!(
            replaced("origin", &format!("{other:?}")),
            Err(AssertionError::Origin {
                expected: ORIGIN.to_owned(),
                actual: other.to_owned()
            })
        );
    }
}

#[test]
fn a_configured_origin_may_end_in_a_slash_too() {
    let statement = statement();
    let expectation = Expectation {
        credential_id: CREDENTIAL,
        rp_id: RP_ID,
        origin: "https://proxy.example/",
        challenge_binds: &statement,
    };
    assert!(verify_assertion(&public_key(), &Ceremony::good().signed(), &expectation).is_ok());
}

#[test]
fn the_challenge_must_be_base64url_without_padding_and_of_its_length() {
    let bytes = challenge_for(&statement()).to_bytes();
    let padded = format!("\"{}=\"", URL_SAFE_NO_PAD.encode(&bytes[..71]));
    assert_eq!(
        replaced("challenge", &padded),
        Err(AssertionError::ChallengeEncoding)
    );
    let slashes = "\"//////\"";
    assert_eq!(
        replaced("challenge", slashes),
        Err(AssertionError::ChallengeEncoding)
    );
    for wrong in [&bytes[..71], &[bytes.as_slice(), &[0]].concat(), &[]] {
        let encoded = format!("{:?}", URL_SAFE_NO_PAD.encode(wrong));
        assert!(matches!(
            replaced("challenge", &encoded),
            Err(AssertionError::Challenge(_))
        ));
    }
}

#[test]
fn the_challenge_must_bind_the_statement() {
    for other in others(statement()) {
        let encoded = URL_SAFE_NO_PAD.encode(challenge_for(&other).to_bytes());
        let result = replaced("challenge", &format!("{encoded:?}"));
        assert_eq!(result, Err(AssertionError::OtherStatement));
    }
}

#[test]
fn the_challenge_can_be_taken_out_for_the_checks_that_need_a_key() {
    let assertion = Ceremony::good().signed();
    assert_eq!(assertion.challenge(), Ok(challenge_for(&statement())));
}

#[test]
fn the_relying_party_must_be_the_services() {
    for other in ["example", "evil.example", "proxy.example.", ""] {
        let result = verify_changed(|ceremony| other.clone_into(&mut ceremony.rp_id));
        assert_eq!(result, Err(AssertionError::RpId));
    }
}

#[test]
fn the_user_must_be_present_and_verified() {
    assert_eq!(
        verify_changed(|c| c.flags = UV),
        Err(AssertionError::UserPresence)
    );
    assert_eq!(
        verify_changed(|c| c.flags = UP),
        Err(AssertionError::UserVerification)
    );
}

#[test]
fn backed_up_means_backup_eligible() {
    assert_eq!(
        verify_changed(|c| c.flags |= BS),
        Err(AssertionError::BackupFlags)
    );
    let both = verify_changed(|c| c.flags |= BE | BS).unwrap();
    assert!(both.backup_eligible && both.backup_state);
    let eligible = verify_changed(|c| c.flags |= BE).unwrap();
    assert!(eligible.backup_eligible && !eligible.backup_state);
}

#[test]
fn the_authenticator_data_must_be_an_assertions_and_complete() {
    let malformed = |change: fn(&mut Ceremony)| match verify_changed(change) {
        Err(AssertionError::AuthenticatorData(why)) => why,
        other => panic!("{other:?}"),
    };
    let attested = malformed(|c| {
        c.flags |= AT;
        c.extensions = vec![0; 18];
    });
    assert_eq!(attested, InvalidAuthenticatorData::AttestedCredential);
    assert_eq!(
        malformed(|c| c.extensions = vec![0xa0]),
        InvalidAuthenticatorData::Trailing
    );
    assert_eq!(
        malformed(|c| c.flags |= ED),
        InvalidAuthenticatorData::Extensions
    );
    for not_one_map in [
        "a0a0",
        "80",
        "a1",
        "a16161",
        "bf",
        "bfff",
        "00",
        "a1616101ff",
    ] {
        let mut ceremony = Ceremony::good();
        ceremony.flags |= ED;
        ceremony.extensions = hex::decode(not_one_map).unwrap();
        let error = AssertionError::AuthenticatorData(InvalidAuthenticatorData::Extensions);
        assert_eq!(verify(&ceremony.signed()), Err(error), "{not_one_map}");
    }
    for len in 0..37 {
        let mut assertion = Ceremony::good().signed();
        assertion.authenticator_data.truncate(len);
        let error = AssertionError::AuthenticatorData(InvalidAuthenticatorData::Short);
        assert_eq!(verify(&assertion), Err(error));
    }
}

#[test]
fn extensions_of_the_announced_form_are_fine() {
    for one_map in ["a0", "a16b6372656450726f7465637402", "a16161a16162820102"] {
        let result = verify_changed(|ceremony| {
            ceremony.flags |= ED;
            ceremony.extensions = hex::decode(one_map).unwrap();
        });
        assert!(result.is_ok(), "{one_map}");
    }
}

#[test]
fn the_signature_must_be_by_this_key() {
    let other = SigningKey::from_slice(&[0x43; 32]).unwrap();
    let other = PublicKey::from_cose(&cose_of(&other)).unwrap();
    let statement = statement();
    let expectation = Expectation {
        credential_id: CREDENTIAL,
        rp_id: RP_ID,
        origin: ORIGIN,
        challenge_binds: &statement,
    };
    let result = verify_assertion(&other, &Ceremony::good().signed(), &expectation);
    assert_eq!(result, Err(AssertionError::Signature));
}

#[test]
fn a_signature_in_another_form_is_refused() {
    let mut assertion = Ceremony::good().signed();
    let der = Signature::from_der(&assertion.signature).unwrap();
    assertion.signature = der.to_bytes().to_vec();
    assert_eq!(verify(&assertion), Err(AssertionError::Signature));
    assertion.signature = Vec::new();
    assert_eq!(verify(&assertion), Err(AssertionError::Signature));
    assertion.signature = hex::decode("3006020100020100").unwrap();
    assert_eq!(verify(&assertion), Err(AssertionError::Signature));
}

#[test]
fn every_refusal_has_a_text_of_its_own() {
    let texts = [
        AssertionError::Type.to_string(),
        AssertionError::CrossOrigin.to_string(),
        AssertionError::OtherStatement.to_string(),
        AssertionError::UserVerification.to_string(),
        AssertionError::Signature.to_string(),
    ];
    assert!(texts.iter().all(|text| text.len() > 20));
}

#[derive(Debug, Clone, Copy)]
enum Field {
    CredentialId,
    ClientData,
    AuthenticatorData,
    Signature,
}

proptest! {
    #[test]
    fn any_changed_byte_of_any_field_fails(
        field in prop_oneof![
            Just(Field::CredentialId),
            Just(Field::ClientData),
            Just(Field::AuthenticatorData),
            Just(Field::Signature),
        ],
        place in any::<prop::sample::Index>(),
        change in 1..=u8::MAX,
    ) {
        let mut assertion = Ceremony::good().signed();
        let bytes = match field {
            Field::CredentialId => &mut assertion.credential_id,
            Field::ClientData => &mut assertion.client_data_json,
            Field::AuthenticatorData => &mut assertion.authenticator_data,
            Field::Signature => &mut assertion.signature,
        };
        *place.get_mut(bytes) ^= change;
        prop_assert!(verify(&assertion).is_err());
    }

    #[test]
    fn any_shortened_or_lengthened_field_fails(
        which in 0..4_usize,
        more in prop::collection::vec(any::<u8>(), 1..4),
        shorten in any::<bool>(),
    ) {
        let mut assertion = Ceremony::good().signed();
        let bytes = match which {
            0 => &mut assertion.credential_id,
            1 => &mut assertion.client_data_json,
            2 => &mut assertion.authenticator_data,
            _ => &mut assertion.signature,
        };
        if shorten {
            bytes.truncate(bytes.len() - more.len());
        } else {
            bytes.extend(more);
        }
        prop_assert!(verify(&assertion).is_err());
    }

    #[test]
    fn any_bytes_are_refused(
        client_data_json in prop::collection::vec(any::<u8>(), 0..100),
        authenticator_data in prop::collection::vec(any::<u8>(), 0..100),
        signature in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let good = Ceremony::good().signed();
        for changed in [
            Assertion { client_data_json, ..good.clone() },
            Assertion { authenticator_data, ..good.clone() },
            Assertion { signature, ..good },
        ] {
            prop_assert!(verify(&changed).is_err());
        }
    }
}
