//! Why a call was refused, as a Kubernetes Status.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::kinds::Kind;

/// Why a call was refused, as a Kubernetes Status.
#[derive(Debug)]
pub(super) struct Refusal {
    pub code: StatusCode,
    pub reason: &'static str,
    pub message: String,
    /// The object that is meant, where one is.
    pub name: String,
}

impl Refusal {
    pub fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Refusal { code, reason, message: message.into(), name: String::new() }
    }

    fn status(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message,
            "reason": self.reason, "code": self.code.as_u16(), "details": { "name": self.name },
        })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.code, axum::Json(self.status())).into_response()
    }
}

pub(super) fn not_found(kind: &Kind, name: &str) -> Refusal {
    let message = format!("{}.{} \"{name}\" not found", kind.plural, kind.group);
    Refusal { name: name.to_owned(), ..Refusal::new(StatusCode::NOT_FOUND, "NotFound", message) }
}
