//! A text that must not reach a log: its `Debug` hides it, and [`Secret::expose`] is the one way out.
//!
//! In a configuration it is the text itself, or says where it is read from at the start:
//! `{file: PATH}`, or `{credential: NAME}` for a file of that name in the folder that systemd makes
//! for `LoadCredential=` and names in `CREDENTIALS_DIRECTORY`.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// A file with more bytes is not a secret but a mistake.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// A password, key or token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the secret in {} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the secret in {} is empty", .0.display())]
    Empty(PathBuf),
    #[error("{} is too large for a secret: more than {FILE_BYTES_MAX} bytes", .0.display())]
    TooLarge(PathBuf),
    #[error("the secret in {} is not text", .0.display())]
    NotText(PathBuf),
    #[error("`{0}` is not the name of a credential: a name holds no `/`")]
    CredentialName(String),
    #[error(
        "the credential `{0}` is asked for, but CREDENTIALS_DIRECTORY is not set: run satpam by systemd with LoadCredential={0}:PATH"
    )]
    NoCredentials(String),
}

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Reads a secret from a file; one line break at its end does not belong to it.
    pub fn from_file(path: &Path) -> Result<Self, SecretError> {
        let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(SecretError::TooLarge(path.to_owned()));
        }
        let mut text =
            String::from_utf8(bytes).map_err(|_| SecretError::NotText(path.to_owned()))?;
        for end in ['\n', '\r'] {
            if text.ends_with(end) {
                text.pop();
            }
        }
        if text.is_empty() {
            return Err(SecretError::Empty(path.to_owned()));
        }
        Ok(Self(text))
    }

    /// Reads a credential that systemd passes on; `folder` is `CREDENTIALS_DIRECTORY`.
    fn from_credential(name: &str, folder: Option<&Path>) -> Result<Self, SecretError> {
        if name.is_empty() || name.contains('/') || name == ".." || name == "." {
            return Err(SecretError::CredentialName(name.to_owned()));
        }
        let folder = folder.ok_or_else(|| SecretError::NoCredentials(name.to_owned()))?;
        Self::from_file(&folder.join(name))
    }

    /// Returns the secret itself. Every use is a place to check.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(hidden)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, {file: PATH} or {credential: NAME}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    // `0123` would lose its zero, `1e5` its form.
    fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
        Err(unquoted())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        Err(unquoted())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        Err(unquoted())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
        Err(unquoted())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        let wrong = "a secret is a text, {file: PATH} or {credential: NAME}";
        let Some((key, value)) = map.next_entry::<String, String>()? else {
            return Err(Error::custom(wrong));
        };
        if map.next_key::<String>()?.is_some() {
            return Err(Error::custom(wrong));
        }
        let secret = match key.as_str() {
            "file" => Secret::from_file(Path::new(&value)),
            "credential" => Secret::from_credential(&value, credentials_folder().as_deref()),
            _ => return Err(Error::unknown_field(&key, &["file", "credential"])),
        };
        secret.map_err(Error::custom)
    }
}

/// Says what to do without the value, which is a secret.
fn unquoted<E: Error>() -> E {
    E::custom("a secret that looks like a number or a truth value must stand in quotes")
}

#[expect(clippy::disallowed_methods, reason = "systemd's word, not a setting of ours")]
fn credentials_folder() -> Option<PathBuf> {
    std::env::var("CREDENTIALS_DIRECTORY").ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Secret, String> {
        serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn a_secret_is_a_text_or_the_content_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let named = format!("{{file: {}}}", path.display());
        for (content, secret) in
            [("hunter2\n", "hunter2"), ("a b\r\n", "a b"), (" x \n\n", " x \n"), ("y", "y")]
        {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read(&named).unwrap().expose(), secret, "{content:?}");
        }
        for (yaml, secret) in [("hunter2", "hunter2"), ("'0123'", "0123")] {
            assert_eq!(read(yaml).unwrap().expose(), secret, "{yaml}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("empty"), "\n").unwrap();
        std::fs::write(path("large"), vec![b'x'; 100_000]).unwrap();
        std::fs::write(path("bytes"), [0xff, 0xfe]).unwrap();
        for (name, said) in [
            ("missing", "cannot be read"),
            ("empty", "is empty"),
            ("large", "too large"),
            ("bytes", "is not text"),
        ] {
            let error = read(&format!("{{file: {}}}", path(name).display())).unwrap_err();
            assert!(error.contains(said) && error.contains(name), "{name}: {error}");
        }
        for (yaml, said) in [
            ("{fiel: x}", "file"),
            ("{file: a, credential: b}", "a secret is"),
            ("{}", "a secret is"),
            ("0123", "in quotes"),
        ] {
            let error = read(yaml).unwrap_err();
            assert!(error.contains(said), "{yaml}: {error}");
        }
    }

    #[test]
    fn a_credential_of_systemd_is_read_by_its_name_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("smtp"), "hunter2").unwrap();
        let read = |name| Secret::from_credential(name, Some(folder.path()));
        assert_eq!(read("smtp").unwrap().expose(), "hunter2");
        for name in ["../smtp", "/etc/shadow", "", ".."] {
            assert!(matches!(read(name), Err(SecretError::CredentialName(_))), "{name}");
        }
        let error = Secret::from_credential("smtp", None).unwrap_err().to_string();
        assert!(error.contains("LoadCredential=smtp"), "{error}");
    }
}
