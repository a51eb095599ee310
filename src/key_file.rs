//! The file of an approver's command-line key: what it holds, and how it is made and read.
//!
//! JSON of `{"version","algorithm","credential_id","public_key","private_key"}`, binary values in base64url. With a
//! passphrase `private_key` is `{"memory_kib","passes","salt","nonce","sealed"}`: XChaCha20-Poly1305 under a key that
//! Argon2id makes of the passphrase, with the public key as associated data. Whoever has the file without a passphrase
//! decides as its holder.

use anyhow::{Context, bail, ensure};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use ed25519_dalek::{Signer as _, SigningKey};
use ledger::{SOFTWARE_KEY_ALGORITHM, SoftwareKey};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// More than the file ever holds.
const MOST_BYTES: u64 = 16 * 1024;
const VERSION: u32 = 1;
/// RFC 9106, section 4, second choice.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// A file that asks for more is not opened: reading one must not take the machine down.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
const MOST_PASSES: u32 = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    algorithm: String,
    credential_id: String,
    public_key: String,
    private_key: Private,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Private {
    Plain(SecretString),
    Sealed(Sealed),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    memory_kib: u32,
    passes: u32,
    salt: String,
    nonce: String,
    sealed: String,
}

/// A command-line key with its private half.
pub(crate) struct KeyFile {
    credential_id: Vec<u8>,
    key: SigningKey,
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str, what: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let bytes = URL_SAFE_NO_PAD.decode(text);
    let bytes = bytes.with_context(|| format!("its {what} is not base64url"))?;
    Ok(Zeroizing::new(bytes))
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes)
}

impl KeyFile {
    /// A new key with a random name.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn draw() -> anyhow::Result<Self> {
        let secret = Zeroizing::new(random::<32>()?);
        Ok(Self {
            credential_id: random::<16>()?.to_vec(),
            key: SigningKey::from_bytes(&secret),
        })
    }

    /// Writes it into a new file that its owner alone can read.
    ///
    /// # Errors
    /// A file that is there already, which is left as it is; and as the system says.
    pub(crate) fn create(
        &self,
        path: &Path,
        passphrase: Option<&SecretString>,
    ) -> anyhow::Result<()> {
        let secret = Zeroizing::new(self.key.to_bytes());
        let public_key = self.key.verifying_key().to_bytes();
        let private_key = match passphrase {
            None => json!(encode(&*secret)),
            Some(passphrase) => json!(seal(&*secret, &public_key, passphrase)?),
        };
        let stored = json!({
            "version": VERSION,
            "algorithm": SOFTWARE_KEY_ALGORITHM,
            "credential_id": encode(&self.credential_id),
            "public_key": encode(&public_key),
            "private_key": private_key,
        });
        let text = Zeroizing::new(serde_json::to_string_pretty(&stored)?);
        let opened = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let mut file = opened.with_context(|| format!("making {}", path.display()))?;
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| file.sync_all());
        if let Err(error) = written {
            // Half a key is none.
            drop(std::fs::remove_file(path));
            return Err(error).with_context(|| format!("writing {}", path.display()));
        }
        Ok(())
    }

    /// Reads a file; `passphrase` is asked for where it is sealed.
    ///
    /// # Errors
    /// A file that others can read, of another form, or under another passphrase.
    pub(crate) fn read(
        path: &Path,
        passphrase: impl FnOnce() -> anyhow::Result<SecretString>,
    ) -> anyhow::Result<Self> {
        let shown = || format!("reading {}", path.display());
        let file = File::open(path).with_context(shown)?;
        ensure!(
            file.metadata().with_context(shown)?.mode() & 0o077 == 0,
            "{} can be used by others than its owner: have the key taken away and make another one, \
             or chmod 600 it where nobody can have read it",
            path.display()
        );
        let mut text = Zeroizing::new(Vec::new());
        file.take(MOST_BYTES)
            .read_to_end(&mut text)
            .with_context(shown)?;
        let stored: Stored = serde_json::from_slice(&text).with_context(shown)?;
        Self::opened(&stored, passphrase).with_context(shown)
    }

    fn opened(
        stored: &Stored,
        passphrase: impl FnOnce() -> anyhow::Result<SecretString>,
    ) -> anyhow::Result<Self> {
        ensure!(
            stored.version == VERSION && stored.algorithm == SOFTWARE_KEY_ALGORITHM,
            "it is no key of a form that is known here"
        );
        let public_key = decode(&stored.public_key, "public_key")?;
        let secret = match &stored.private_key {
            Private::Plain(text) => decode(text.expose_secret(), "private_key")?,
            Private::Sealed(sealed) => open(sealed, &public_key, &passphrase()?)?,
        };
        let secret = <[u8; 32]>::try_from(secret.as_slice()).map(Zeroizing::new);
        let secret = secret.ok().context("its private key has another length")?;
        let key = SigningKey::from_bytes(&secret);
        ensure!(
            key.verifying_key().as_bytes() == public_key.as_slice(),
            "its two halves are not of one key"
        );
        Ok(Self {
            credential_id: decode(&stored.credential_id, "credential_id")?.to_vec(),
            key,
        })
    }

    /// The name of the credential, base64url.
    pub(crate) fn credential_id(&self) -> String {
        encode(&self.credential_id)
    }

    /// The public half, base64url.
    pub(crate) fn public_key(&self) -> String {
        encode(self.key.verifying_key().as_bytes())
    }

    /// The thumbprint by which lists and auditors name it, base64url.
    ///
    /// # Errors
    /// None for a key that was made here.
    pub(crate) fn thumbprint(&self) -> anyhow::Result<String> {
        let key = SoftwareKey::from_raw(self.key.verifying_key().as_bytes())?;
        Ok(key.thumbprint().to_base64url())
    }

    /// A signature, base64url.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        encode(&self.key.sign(message).to_bytes())
    }
}

fn derived(
    passphrase: &SecretString,
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let params = Params::new(memory_kib, passes, LANES, None);
    let params = params.map_err(|error| anyhow::anyhow!("its Argon2id parameters: {error}"))?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose_secret().as_bytes(), salt, &mut *key)
        .map_err(|error| anyhow::anyhow!("Argon2id: {error}"))?;
    Ok(key)
}

fn seal(secret: &[u8], public_key: &[u8], passphrase: &SecretString) -> anyhow::Result<Sealed> {
    let (salt, nonce) = (random::<16>()?, random::<24>()?);
    let key = derived(passphrase, &salt, MEMORY_KIB, PASSES)?;
    let payload = Payload {
        msg: secret,
        aad: public_key,
    };
    let sealed = XChaCha20Poly1305::new((&*key).into()).encrypt((&nonce).into(), payload);
    let sealed = sealed.map_err(|_| anyhow::anyhow!("the key could not be sealed"))?;
    Ok(Sealed {
        memory_kib: MEMORY_KIB,
        passes: PASSES,
        salt: encode(&salt),
        nonce: encode(&nonce),
        sealed: encode(&sealed),
    })
}

fn open(
    sealed: &Sealed,
    public_key: &[u8],
    passphrase: &SecretString,
) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    ensure!(
        sealed.memory_kib <= MOST_MEMORY_KIB && sealed.passes <= MOST_PASSES,
        "it asks for more memory or time than such a file has"
    );
    let salt = decode(&sealed.salt, "salt")?;
    let nonce = decode(&sealed.nonce, "nonce")?;
    let nonce = <[u8; 24]>::try_from(nonce.as_slice());
    let nonce = nonce.ok().context("its nonce has another length")?;
    let key = derived(passphrase, &salt, sealed.memory_kib, sealed.passes)?;
    let ciphertext = decode(&sealed.sealed, "sealed")?;
    let payload = Payload {
        msg: &ciphertext,
        aad: public_key,
    };
    match XChaCha20Poly1305::new((&*key).into()).decrypt((&nonce).into(), payload) {
        Ok(secret) => Ok(Zeroizing::new(secret)),
        Err(_) => bail!("the passphrase is another one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn none() -> anyhow::Result<SecretString> {
        bail!("no passphrase is asked for")
    }

    #[test]
    fn a_key_file_is_its_owners_alone_and_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = KeyFile::draw().unwrap();
        key.create(&path, None).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let read = KeyFile::read(&path, none).unwrap();
        assert_eq!(read.credential_id(), key.credential_id());
        assert_eq!(read.sign(b"x"), key.sign(b"x"));
        let before = std::fs::read(&path).unwrap();
        assert!(KeyFile::draw().unwrap().create(&path, None).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = KeyFile::read(&path, none).err().unwrap();
        assert!(
            refused.to_string().contains("can be used by others"),
            "{refused:#}"
        );
    }

    #[test]
    fn a_sealed_key_opens_with_its_passphrase_and_holds_no_private_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = KeyFile::draw().unwrap();
        key.create(&path, Some(&"correct horse".into())).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&encode(&key.key.to_bytes())));
        let read = KeyFile::read(&path, || Ok("correct horse".into())).unwrap();
        assert_eq!(read.public_key(), key.public_key());
        let refused = KeyFile::read(&path, || Ok("another".into())).err().unwrap();
        assert!(format!("{refused:#}").contains("passphrase"), "{refused:#}");
    }
}
