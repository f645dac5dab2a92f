//! Signatures of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::Secret;

/// Why a text is not a signing key. Does not quote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signing secret must be `whsec_` and the base64 form of 24 to 64 bytes")]
pub struct InvalidSigningKey;

/// The key of one endpoint.
#[derive(Clone)]
pub(super) struct SigningKey(Vec<u8>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SigningKey(hidden)")
    }
}

impl SigningKey {
    /// Reads `whsec_` and base64.
    pub(super) fn new(secret: &Secret) -> Result<Self, InvalidSigningKey> {
        let encoded = secret.expose().trim().strip_prefix("whsec_").ok_or(InvalidSigningKey)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| InvalidSigningKey)?;
        if (24..=64).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(InvalidSigningKey) }
    }

    /// Returns the value of the `webhook-signature` header.
    pub(super) fn sign(&self, id: &str, timestamp_seconds: i64, body: &[u8]) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{timestamp_seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_signs_as_published() {
        let key = SigningKey::new(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let signature =
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn keys_that_are_none_are_refused_without_being_quoted() {
        for text in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!", "whsec_c2hvcnQ="]
        {
            assert!(SigningKey::new(&Secret::new(text)).is_err(), "{text}");
        }
        let key = SigningKey::new(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(hidden)");
    }
}
