//! Every way in which a registration is refused, and the one in which it is not.

use super::*;

#[test]
fn creation_options_are_what_browsers_parse() {
    let json = serde_json::to_value(options()).unwrap();
    assert_eq!(json["rp"]["id"], "proxy.example");
    assert_eq!(json["user"]["name"], "alice");
    assert_eq!(json["user"]["id"].as_str().unwrap().len(), 43);
    assert_eq!(
        json["authenticatorSelection"]["userVerification"],
        "required"
    );
    assert_eq!(json["authenticatorSelection"]["residentKey"], "preferred");
    assert_eq!(json["attestation"], "none");
    assert_eq!(json["challenge"].as_str().unwrap().len(), 75);
}

#[test]
fn a_registration_answers_its_own_enrolment_in_time_and_at_home() {
    let attestation = create(&mut SoftPasskey::new(true), ORIGIN, options());
    let other = EnrolmentId::from_bytes([8; 16]);
    let refused = register(&attestation, NOW, other);
    assert!(
        matches!(refused, Err(PasskeyRefused::Challenge)),
        "{refused:?}"
    );
    let refused = register(&attestation, in_a_minute(), ENROLMENT);
    assert!(
        matches!(refused, Err(PasskeyRefused::ChallengeExpired)),
        "{refused:?}"
    );
    register(&attestation, NOW, ENROLMENT).unwrap();

    let elsewhere = create(
        &mut SoftPasskey::new(true),
        "https://evil.proxy.example",
        options(),
    );
    let refused = register(&elsewhere, NOW, ENROLMENT);
    assert!(
        matches!(refused, Err(PasskeyRefused::Origin)),
        "{refused:?}"
    );
}

#[test]
fn a_foreign_or_changed_registration_challenge_is_refused() {
    let key = registration_key();
    let challenge = RegistrationChallenge::issue(&key, &SystemRandom, in_a_minute(), ENROLMENT);
    for at in 0..challenge.as_bytes().len() {
        let mut changed = challenge.as_bytes().to_vec();
        changed[at] ^= 1;
        let refused = RegistrationChallenge::accept(&key, &changed, NOW, ENROLMENT);
        assert!(
            matches!(refused, Err(PasskeyRefused::Challenge)),
            "byte {at}"
        );
    }
    for len in [0, 16, 24, 55] {
        let cut = &challenge.as_bytes()[..len];
        assert!(RegistrationChallenge::accept(&key, cut, NOW, ENROLMENT).is_err());
    }
    let foreign = RegistrationKey::derive(&[9; 32]);
    let bytes = challenge.as_bytes();
    assert!(RegistrationChallenge::accept(&foreign, bytes, NOW, ENROLMENT).is_err());
    RegistrationChallenge::accept(&key, bytes, NOW, ENROLMENT).unwrap();
}

#[test]
fn a_registered_credential_is_not_registered_again() {
    let attestation = create(&mut SoftPasskey::new(true), ORIGIN, options());
    let registered = [attestation.credential_id.clone()];
    let refused = relying_party().register(
        &registration_key(),
        ENROLMENT,
        &registrant(&registered),
        &attestation,
        NOW,
    );
    assert!(
        matches!(refused, Err(PasskeyRefused::AlreadyRegistered)),
        "{refused:?}"
    );

    let mut relabelled = attestation;
    relabelled.credential_id = vec![1; 32];
    let refused = relying_party().register(
        &registration_key(),
        ENROLMENT,
        &registrant(&registered),
        &relabelled,
        NOW,
    );
    assert!(refused.is_err());
}

#[test]
fn an_unverified_user_cannot_register() {
    let mut options = options();
    let selection = options.authenticator_selection.as_mut().unwrap();
    selection.user_verification = UserVerificationPolicy::Discouraged_DO_NOT_USE;
    let attestation = create(&mut SoftPasskey::new(true), ORIGIN, options);
    let refused = register(&attestation, NOW, ENROLMENT);
    assert!(
        matches!(refused, Err(PasskeyRefused::UserVerification)),
        "{refused:?}"
    );
}
