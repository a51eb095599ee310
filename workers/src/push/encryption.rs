//! Message encryption for Web Push (RFC 8291) with the content coding `aes128gcm` (RFC 8188), in one record.

use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{Aead as _, KeyInit as _};
use hkdf::Hkdf;
use ledger::{PushSubscription, Random};
use p256::ecdh::diffie_hellman;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::{PublicKey, SecretKey};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a record and of a whole message: every push service takes as many (RFC 8030, section 7.2).
const MESSAGE: usize = 4096;
const SALT: usize = 16;
const POINT: usize = 65;
/// Salt, size of records, length of the key's id, and the key.
const HEADER: usize = SALT + 4 + 1 + POINT;
const TAG: usize = 16;
/// Ends the content of the last record; padding follows.
const DELIMITER: u8 = 2;

/// The most bytes of a content.
pub(super) const ROOM: usize = MESSAGE - HEADER - TAG - 1;

/// What is drawn for one message.
pub(super) struct Encryption {
    key: SecretKey,
    salt: [u8; SALT],
}

impl Encryption {
    pub(super) fn draw(random: &dyn Random) -> Self {
        let mut salt = [0; SALT];
        random.fill(&mut salt);
        loop {
            let mut seed = Zeroizing::new([0; 32]);
            random.fill(seed.as_mut_slice());
            // One of 2^32 seeds is no scalar of the curve.
            if let Ok(key) = SecretKey::from_slice(seed.as_slice()) {
                return Self { key, salt };
            }
        }
    }

    /// The message, always as long as it may be, so that its length says nothing; `None` where the content is
    /// longer than [`ROOM`], or the subscription's key none.
    pub(super) fn seal(&self, to: &PushSubscription, content: &[u8]) -> Option<Vec<u8>> {
        let padding = ROOM.checked_sub(content.len())?;
        self.seal_with(to, content, padding)
    }

    fn seal_with(&self, to: &PushSubscription, content: &[u8], padding: usize) -> Option<Vec<u8>> {
        let receiver = PublicKey::from_sec1_bytes(to.key()).ok()?;
        let sender = self.key.public_key().to_sec1_point(false);
        let shared = diffie_hellman(self.key.to_nonzero_scalar(), receiver.as_affine());

        // RFC 8291, section 3.4.
        let info = [b"WebPush: info\0", to.key().as_slice(), sender.as_bytes()].concat();
        let auth = Hkdf::<Sha256>::new(Some(to.auth()), shared.raw_secret_bytes());
        let mut input = Zeroizing::new([0; 32]);
        auth.expand(&info, input.as_mut_slice()).ok()?;
        let keys = Hkdf::<Sha256>::new(Some(&self.salt), input.as_slice());
        let mut key = Zeroizing::new([0; 16]);
        keys.expand(b"Content-Encoding: aes128gcm\0", key.as_mut_slice())
            .ok()?;
        let mut nonce = [0; 12];
        keys.expand(b"Content-Encoding: nonce\0", &mut nonce).ok()?;

        // RFC 8188, section 2.
        let mut record = content.to_vec();
        record.push(DELIMITER);
        record.resize(record.len() + padding, 0);
        let cipher = Aes128Gcm::new((&*key).into());
        let sealed = cipher.encrypt((&nonce).into(), record.as_slice()).ok()?;
        let record_size = u32::try_from(MESSAGE).ok()?.to_be_bytes();
        let id_length = [u8::try_from(POINT).ok()?];
        Some(
            [
                self.salt.as_slice(),
                &record_size,
                &id_length,
                sender.as_bytes(),
                &sealed,
            ]
            .concat(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ledger::CallbackPolicy;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    /// The user agent of RFC 8291, appendix A.
    fn receiver() -> PushSubscription {
        let services = CallbackPolicy::new(["push.example"]).unwrap();
        PushSubscription::parse(
            "https://push.example/x",
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            "BTBZMqHH6r4Tts7J_aSIgg",
            &services,
        )
        .unwrap()
    }

    fn encryption() -> Encryption {
        let key = bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        Encryption {
            key: SecretKey::from_slice(&key).unwrap(),
            salt: bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap(),
        }
    }

    #[test]
    fn the_example_of_the_standard_comes_out() {
        let content = b"When I grow up, I want to be a watermelon";
        let sealed = encryption().seal_with(&receiver(), content, 0).unwrap();
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        assert_eq!(URL_SAFE_NO_PAD.encode(sealed), expected);
    }

    #[test]
    fn every_message_has_the_same_length_and_what_does_not_fit_is_not_sealed() {
        for content in [&[][..], &[7; 100], &[7; ROOM]] {
            let sealed = encryption().seal(&receiver(), content).unwrap();
            assert_eq!(sealed.len(), MESSAGE);
        }
        assert_eq!(encryption().seal(&receiver(), &[7; ROOM + 1]), None);
    }
}
