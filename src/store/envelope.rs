//! The wrapping of every stored value: one version byte, the CRC-32 of key and content, the content.
//!
//! The key is part of the checksum, so a value that stands under a wrong key is noticed as well.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;

/// The version of all stored types. A new one gets its own arm in [`open`].
pub(super) const VERSION: u8 = 1;

const HEADER_BYTES: usize = 5;

/// Wraps content.
pub(super) fn seal(key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER_BYTES + content.len());
    value.push(VERSION);
    value.extend_from_slice(&checksum(key, content).to_le_bytes());
    value.extend_from_slice(content);
    value
}

/// Unwraps content, or says what is wrong with it.
pub(super) fn open<'v>(key: &[u8], value: &'v [u8]) -> Result<&'v [u8], StoreError> {
    let damaged = |what| StoreError::Damaged { key: key_text(key), what };
    let (header, content) =
        value.split_first_chunk::<HEADER_BYTES>().ok_or_else(|| damaged("it is too short"))?;
    let [version, crc @ ..] = *header;
    if version == 0 || version > VERSION {
        return Err(StoreError::NewerFormat { found: version, known: VERSION });
    }
    if u32::from_le_bytes(crc) != checksum(key, content) {
        return Err(damaged("its checksum does not match"));
    }
    Ok(content)
}

/// Encodes and wraps.
pub(super) fn encode<T: Serialize>(key: &[u8], value: &T) -> Vec<u8> {
    let content = postcard::to_stdvec(value)
        .expect("a stored type has a known length everywhere and memory grows as needed");
    seal(key, &content)
}

/// Unwraps and decodes.
pub(super) fn decode<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    postcard::from_bytes(open(key, value)?)
        .map_err(|_| StoreError::Damaged { key: key_text(key), what: "its content has no meaning" })
}

fn checksum(key: &[u8], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[VERSION]);
    hasher.update(key);
    hasher.update(content);
    hasher.finalize()
}

/// A key as text for messages: what is not printable ASCII is escaped.
fn key_text(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_only_whole_and_under_its_own_key() {
        let sealed = seal(b"key", b"content");
        assert_eq!(open(b"key", &sealed).unwrap(), b"content");
        assert!(matches!(open(b"other", &sealed), Err(StoreError::Damaged { .. })));
        for position in 1..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[position] ^= 0x40;
            assert!(
                matches!(open(b"key", &flipped), Err(StoreError::Damaged { .. })),
                "byte {position}"
            );
        }
        for length in 0..sealed.len() {
            assert!(open(b"key", &sealed[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn a_later_version_is_not_read_as_damage() {
        let mut sealed = seal(b"key", b"content");
        sealed[0] = VERSION + 1;
        assert!(matches!(
            open(b"key", &sealed),
            Err(StoreError::NewerFormat { found: 2, known: 1 })
        ));
    }
}
