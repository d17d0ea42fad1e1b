//! Why there is no such page, in AWS's shape, and pages in JSON.

use axum::{
    Json,
    body::Body,
    http::{Response, StatusCode},
    response::IntoResponse,
};
use serde_json::json;

use super::desk::Unavailable;
use crate::limits::PAGE_BYTES_MAX;

/// The field that AWS SDKs take an error's name from.
pub(super) const ERROR_TYPE: &str = "x-amzn-errortype";

/// An error for who asked: what is wrong, and what to do.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    error_type: &'static str,
    message: String,
}

impl Refusal {
    /// The question is wrong.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error_type: "ValidationException",
            message: message.into(),
        }
    }

    /// The answer is above [`PAGE_BYTES_MAX`].
    pub(super) fn too_large() -> Self {
        let mb = PAGE_BYTES_MAX >> 20;
        Self::bad_request(format!(
            "The answer is larger than {mb} MiB: ask for fewer rows or days."
        ))
    }
}

impl From<Unavailable> for Refusal {
    fn from(error: Unavailable) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error_type: "ServiceUnavailableException",
            message: format!("What was spent cannot be read now: {error}"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let content = Json(json!({"message": self.message}));
        (self.status, [(ERROR_TYPE, self.error_type)], content).into_response()
    }
}
