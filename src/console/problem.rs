//! What an answer says when a request was not carried out.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::closings::CloseError;
use crate::respond::OperateError;
use crate::store::StoreError;

/// Why a request was not carried out: a word for scripts, and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Problem {
    #[serde(skip)]
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Envelope {
    pub(super) error: Problem,
}

impl Problem {
    fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status: status.as_u16(), code: code.to_owned(), message: message.into() }
    }

    /// The request cannot be understood.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// What is stored does not allow it.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, axum::Json(Envelope { error: self })).into_response()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the control socket could not read or write the state");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "state",
            format!("the state could not be read or written: {error}"),
        )
    }
}

impl From<OperateError> for Problem {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::Unknown(_) => Self::not_found(error.to_string()),
            OperateError::WrongState { .. } | OperateError::Changed => {
                Self::conflict(error.to_string())
            }
            OperateError::NoPlatform => Self::conflict(error.to_string()),
            OperateError::NotUndone(_) => {
                Self::new(StatusCode::BAD_GATEWAY, "not_undone", error.to_string())
            }
            OperateError::Store(error) => error.into(),
        }
    }
}

impl From<CloseError> for Problem {
    fn from(error: CloseError) -> Self {
        match error {
            CloseError::Busy | CloseError::NotOwned(_) | CloseError::Failed => {
                Self::unavailable(error.to_string())
            }
        }
    }
}
