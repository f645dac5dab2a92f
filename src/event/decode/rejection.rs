//! Why a record is not an event.

use super::super::{DocumentError, InvalidId, TimeSpan};

/// Why a record cannot become an event. The caller writes the record whole to the dead letter.
///
/// `Display` is for people and never holds a text of the record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("the record has no payload")]
    Empty,
    #[error("the payload has {bytes} bytes, more than {limit}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("the payload is not UTF-8 from byte {valid_up_to}")]
    NotUtf8 { valid_up_to: usize },
    #[error("the payload is not JSON: {reason} at line {line} column {column}")]
    NotJson { reason: &'static str, line: usize, column: usize },
    #[error("the payload is nested deeper than 127 levels")]
    TooDeep,
    #[error("an object of the payload names a key twice, so readers would disagree about it")]
    DuplicateKey,
    #[error("`{field}` is not {expected}")]
    WrongShape { field: &'static str, expected: &'static str },
    #[error("`{}` is missing", .0.path())]
    Missing(HeadField),
    #[error("`{}` cannot be used: {problem}", .field.path())]
    Invalid { field: HeadField, problem: InvalidHead },
    #[error("the event lies {ahead} ahead of the record's own timestamp, more than {limit}")]
    FromTheFuture { ahead: TimeSpan, limit: TimeSpan },
    #[error("the record holds more than {limit} events or expands beyond four times its limit")]
    TooManyEvents { limit: usize },
}

/// The fields that every event needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeadField {
    Id,
    Type,
    Time,
    Account,
}

impl HeadField {
    /// Returns where the field stands in the envelope.
    pub fn path(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Type => "type",
            Self::Time => "time",
            Self::Account => "account.app_code",
        }
    }
}

/// What is wrong with a field that is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHead {
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error("it is neither a text nor an integer")]
    NotText,
    #[error("it is neither RFC 3339 with an offset nor a Unix time of the years -9999 to 9999")]
    NotATime,
}

impl From<DocumentError> for Rejection {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::NotUtf8 { valid_up_to } => Self::NotUtf8 { valid_up_to },
            DocumentError::TooDeep => Self::TooDeep,
            DocumentError::NotJson { reason, line, column } => {
                Self::NotJson { reason, line, column }
            }
            DocumentError::TooLarge => {
                let limit = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
                Self::TooLarge { bytes: limit, limit }
            }
        }
    }
}

impl Rejection {
    /// Returns the word for metric labels and for the `satpam-error` header.
    pub fn reason(&self) -> RejectionReason {
        match self {
            Self::Empty => RejectionReason::Empty,
            Self::TooLarge { .. } => RejectionReason::TooLarge,
            Self::NotUtf8 { .. } => RejectionReason::NotUtf8,
            Self::NotJson { .. } => RejectionReason::NotJson,
            Self::TooDeep => RejectionReason::TooDeep,
            Self::DuplicateKey => RejectionReason::DuplicateKey,
            Self::WrongShape { .. } => RejectionReason::WrongShape,
            Self::Missing(HeadField::Id) => RejectionReason::MissingId,
            Self::Missing(HeadField::Type) => RejectionReason::MissingType,
            Self::Missing(HeadField::Time) => RejectionReason::MissingTime,
            Self::Missing(HeadField::Account) => RejectionReason::MissingAccount,
            Self::Invalid { field: HeadField::Id, .. } => RejectionReason::InvalidId,
            Self::Invalid { field: HeadField::Type, .. } => RejectionReason::InvalidType,
            Self::Invalid { field: HeadField::Time, .. } => RejectionReason::InvalidTime,
            Self::Invalid { field: HeadField::Account, .. } => RejectionReason::InvalidAccount,
            Self::FromTheFuture { .. } => RejectionReason::FromTheFuture,
            Self::TooManyEvents { .. } => RejectionReason::TooManyEvents,
        }
    }
}

/// Declares the reasons once, so that the list of all of them cannot forget one.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)+) => {
        /// The closed set of reasons, one for each kind of [`Rejection`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum RejectionReason { $($(#[$doc])* $name,)+ }

        impl RejectionReason {
            /// All reasons, so that a counter of each can start at zero.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Returns the word that metrics and headers use.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

reasons! {
    /// No payload: a tombstone or an empty record.
    Empty = "empty",
    /// More bytes than the limit.
    TooLarge = "too_large",
    /// The payload, or a header that is needed, is not UTF-8.
    NotUtf8 = "not_utf8",
    /// Not exactly one JSON value.
    NotJson = "not_json",
    /// More than 127 levels.
    TooDeep = "too_deep",
    /// A key of an object, or a needed header, stands twice.
    DuplicateKey = "duplicate_key",
    /// JSON, but not what the topic's shape asks for.
    WrongShape = "wrong_shape",
    MissingId = "missing_id",
    MissingType = "missing_type",
    MissingTime = "missing_time",
    MissingAccount = "missing_account",
    InvalidId = "invalid_id",
    InvalidType = "invalid_type",
    InvalidTime = "invalid_time",
    InvalidAccount = "invalid_account",
    /// Further ahead of the record's own timestamp than the limit.
    FromTheFuture = "from_the_future",
    /// One record that would become too many events, or too large ones.
    TooManyEvents = "too_many_events",
}
