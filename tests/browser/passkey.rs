//! The virtual authenticator, and what an auditor would be told of its passkeys: the public half.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger::PublicKey;
use p256::SecretKey;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::DecodePrivateKey as _;
use serde_json::Value;

/// A virtual authenticator of one browser.
#[derive(Debug)]
pub(crate) struct Authenticator(String);

impl Authenticator {
    pub(crate) const fn new(id: String) -> Self {
        Self(id)
    }

    /// Where the driver has one of its parts.
    pub(crate) fn path(&self, part: &str) -> String {
        format!("webauthn/authenticator/{}/{part}", self.0)
    }
}

/// One passkey that it holds.
#[derive(Debug)]
pub(crate) struct Passkey {
    pub(crate) credential_id: Vec<u8>,
    pub(crate) public_key: PublicKey,
}

impl Passkey {
    /// From the driver's "credential parameters"; the public key is made from the private one, so
    /// that nothing of it comes from the service.
    pub(crate) fn read(parameters: &Value) -> Self {
        let private = bytes(&parameters["privateKey"]);
        let public = SecretKey::from_pkcs8_der(&private).unwrap().public_key();
        let point = public.to_sec1_point(false);
        let (x, y) = (point.x().unwrap(), point.y().unwrap());
        // {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}
        let cose = [
            &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20],
            x.as_slice(),
            &[0x22, 0x58, 0x20],
            y.as_slice(),
        ];
        Self {
            credential_id: bytes(&parameters["credentialId"]),
            public_key: PublicKey::from_cose(&cose.concat()).unwrap(),
        }
    }

    /// The id as it stands in JSON.
    pub(crate) fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.credential_id)
    }
}

/// base64url in JSON, padded or not.
pub(crate) fn bytes(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap().trim_end_matches('=');
    URL_SAFE_NO_PAD.decode(text).unwrap()
}
