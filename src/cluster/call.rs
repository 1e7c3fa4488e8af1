//! One call to the API server: with a deadline, and its failure in the engine's words.

use std::{future::Future, time::Duration};

use kube::core::Status;

use crate::ports::WorldError;

/// No call of ours takes longer: the client itself has no read timeout and retries up to 15 times inside one call.
const DEADLINE: Duration = Duration::from_secs(15);

/// Awaits one API call. `what` names it for people, for instance `create ReplicaSet shop/web-1`.
pub async fn call<T>(what: &str, request: impl Future<Output = kube::Result<T>>) -> Result<T, WorldError> {
    match tokio::time::timeout(DEADLINE, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(from_kube(what, &error)),
        Err(_) => Err(WorldError::Transient(format!("{what}: no answer from the API server in 15 s"))),
    }
}

/// The same for a read: an object that is not there is `None`.
pub async fn read<T>(
    what: &str,
    request: impl Future<Output = kube::Result<Option<T>>>,
) -> Result<Option<T>, WorldError> {
    call(what, request).await
}

/// Whether the failure means that the object is not there (any more).
pub fn is_missing(error: &WorldError) -> bool {
    matches!(error, WorldError::Refused { reason, .. } if reason == "NotFound")
}

fn from_kube(what: &str, error: &kube::Error) -> WorldError {
    match error {
        kube::Error::Api(status) => from_status(what, status),
        other => WorldError::Transient(format!("{what}: {}", chain(other))),
    }
}

/// A conflict is a lost race, pressure and server faults pass by themselves, the rest waits for a person.
pub fn from_status(what: &str, status: &Status) -> WorldError {
    let message = format!("{what}: {}", status.message);
    match status.code {
        409 => WorldError::Conflict(message),
        408 | 429 | 500..=599 => WorldError::Transient(message),
        403 if status.message.contains("exceeded quota") => refused("QuotaExceeded", message),
        403 => refused("Forbidden", message),
        404 => refused("NotFound", message),
        422 => refused("InvalidObject", message),
        _ if !status.reason.is_empty() => refused(&status.reason, message),
        _ => refused("WriteRefused", message),
    }
}

fn refused(reason: &str, message: String) -> WorldError {
    WorldError::Refused { reason: reason.to_owned(), message }
}

/// The error with its sources: `connect failed: connection refused`.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_races_passing_or_for_people() {
        let cases = [
            (409, "the object has been modified", "conflict"),
            (429, "too many requests", "transient"),
            (500, "etcd leader changed", "transient"),
            (503, "unavailable", "transient"),
            (403, "pods \"a\" is forbidden: exceeded quota: q", "QuotaExceeded"),
            (403, "cannot patch", "Forbidden"),
            (422, "spec.template.spec.containers: Required value", "InvalidObject"),
            (404, "not found", "NotFound"),
        ];
        for (code, message, expected) in cases {
            let status = Status { code, message: message.into(), ..Status::default() };
            let got = match from_status("create x", &status) {
                WorldError::Conflict(_) => "conflict".to_owned(),
                WorldError::Transient(_) => "transient".to_owned(),
                WorldError::Refused { reason, message: text } => {
                    assert!(text.contains(message), "{text}");
                    reason
                }
            };
            assert_eq!(got, expected, "{code} {message}");
        }
    }
}
