//! The two writes that a site takes from outside: a patch of its Rollout, and a command.

use std::sync::Arc;

use axum::{body::Bytes, http::StatusCode};
use serde_json::Value;

use super::{
    apply::{Site, SiteError},
    kinds,
    rest::{Refusal, random_hex},
};
use crate::api::{Rollout, RolloutCommand, command::Verb};

/// Patches the spec, labels and annotations of the Rollout.
pub fn patch(site: &Site, rollout: &Value, how: &str, body: &Bytes) -> Result<Arc<Value>, Refusal> {
    let bad = |why: String| Refusal::new(StatusCode::BAD_REQUEST, "BadRequest", why);
    let mut next = rollout.clone();
    match how.split(';').next().unwrap_or_default() {
        "application/json-patch+json" => {
            let patch: json_patch::Patch =
                serde_json::from_slice(body).map_err(|error| bad(format!("not a JSON patch: {error}")))?;
            json_patch::patch(&mut next, &patch).map_err(|error| {
                Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", format!("the patch does not fit: {error}"))
            })?;
        }
        "application/merge-patch+json" => {
            let patch: Value = serde_json::from_slice(body).map_err(|error| bad(format!("not JSON: {error}")))?;
            json_patch::merge(&mut next, &patch);
        }
        other => {
            let message = format!("a local rollout takes JSON patches and merge patches, not `{other}`");
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message));
        }
    }
    let mut next: Rollout = serde_json::from_value(next)
        .map_err(|error| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", error.to_string()))?;
    let there: Option<Rollout> = serde_json::from_value(rollout.clone()).ok();
    if let Some(there) = there {
        let (labels, annotations) = (next.metadata.labels.take(), next.metadata.annotations.take());
        let named = next.metadata.resource_version.take();
        next.metadata = there.metadata;
        (next.metadata.labels, next.metadata.annotations) = (labels, annotations);
        next.metadata.resource_version = named.or(next.metadata.resource_version);
    }
    site.replace(next).map_err(|error| match error {
        SiteError::Conflict => Refusal::new(StatusCode::CONFLICT, "Conflict", error.to_string()),
        SiteError::Invalid(message) => Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message),
        other => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", other.to_string()),
    })
}

/// Records a command; the next tick takes it.
pub fn command(site: &Site, body: &Bytes) -> Result<Arc<Value>, Refusal> {
    let invalid = |message: String| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
    let mut command: RolloutCommand = serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
    let key = site.key();
    if command.spec.rollout != key.name {
        return Err(invalid(format!("there is no Rollout \"{}\" here, only \"{}\"", command.spec.rollout, key.name)));
    }
    if command.spec.verb == Verb::Restart {
        return Err(invalid(
            "a local rollout starts and stops no processes; restart the one at the address yourself".into(),
        ));
    }
    let metadata = &mut command.metadata;
    let generated = metadata.generate_name.as_ref().map(|prefix| format!("{prefix}{}", random_hex(4)));
    let name = metadata.name.clone().or(generated).filter(|name| is_name(name));
    let Some(name) = name else { return Err(invalid("the command has no name, or one that is no name".into())) };
    metadata.name = Some(name);
    metadata.namespace = Some(key.namespace);
    metadata.uid = Some(random_hex(16));
    metadata.creation_timestamp = Some(site.inner.time());
    command.status = None;
    let absent = |there: Option<&Value>| there.is_none();
    let written = site
        .inner
        .objects
        .put_if(kinds::COMMAND, &command, absent)
        .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", error.to_string()))?;
    site.inner.changed.notify_one();
    written.ok_or_else(|| Refusal::new(StatusCode::CONFLICT, "AlreadyExists", "there is a command of this name"))
}

/// Whether a text may name an object, and so a file.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 253 && text.chars().all(allowed) && ends(text.chars().next()) && ends(text.chars().last())
}
