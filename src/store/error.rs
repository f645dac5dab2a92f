//! What can go wrong with the store, by what the caller can do about it.

use std::path::PathBuf;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process uses the state folder: stop that one first.
    #[error("the state in {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The disk refused, for example because it is full. Nothing of the call counts; the same call
    /// may succeed later.
    #[error("the state could not be read or written")]
    Io(#[source] std::io::Error),
    /// A record does not have the bytes that were written.
    #[error("the record {key} is damaged: {what}")]
    Damaged { key: String, what: &'static str },
    /// A later version of satpam wrote the state.
    #[error("the state has format {found}, this version reads up to {known}")]
    NewerFormat { found: u8, known: u8 },
    /// More topic names than the register can hold were ever configured with this state.
    #[error("no index is left for the topic `{0}`: this state already knows 256 topics")]
    TooManyTopics(String),
    /// sled found its own file inconsistent.
    #[error("the state database is damaged: {0}")]
    Database(String),
}

impl StoreError {
    /// Tells whether the same call may succeed later without anything else being changed here.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Io(_) => true,
            Self::InUse(_)
            | Self::Damaged { .. }
            | Self::NewerFormat { .. }
            | Self::TooManyTopics(_)
            | Self::Database(_) => false,
        }
    }
}

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(source) => Self::Io(source),
            sled::Error::CollectionNotFound(_)
            | sled::Error::Unsupported(_)
            | sled::Error::ReportableBug(_)
            | sled::Error::Corruption { .. } => Self::Database(error.to_string()),
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(source: std::io::Error) -> Self {
        Self::Io(source)
    }
}
