//! The two writes that a site takes from outside: a patch of its Rollout, and a command.

use std::sync::Arc;

use axum::{body::Bytes, http::StatusCode};
use serde_json::Value;

use super::{
    apply::{Site, SiteError},
    kinds,
    random::random_hex,
    refusal::{Refusal, not_found},
};
use crate::api::{Rollout, RolloutCommand, command::Verb};

/// A status write may have been faster: a patch without a version is applied again to the current object.
const TRIES: u32 = 20;

/// Patches the spec, labels and annotations of the Rollout. A dry run only shows the result.
pub fn patch(site: &Site, name: &str, how: &str, body: &Bytes, is_tried: bool) -> Result<Arc<Value>, Refusal> {
    // Other writes wait in the meantime; only a status write, which names its version, can still come between.
    let _turn = site.inner.objects.turn();
    let mut tries = 0;
    loop {
        let there: Rollout =
            site.inner.objects.typed_one(kinds::ROLLOUT, name).ok_or_else(|| not_found(kinds::ROLLOUT, name))?;
        let version = there.metadata.resource_version.clone();
        let next = patched(there, how, body)?;
        if is_tried {
            return Ok(Arc::new(serde_json::to_value(&next).unwrap_or_default()));
        }
        let names_another = next.metadata.resource_version != version;
        match site.replace(next) {
            Err(SiteError::Conflict) if !names_another && tries < TRIES => tries += 1,
            done => return done.map_err(refusal),
        }
    }
}

fn refusal(error: SiteError) -> Refusal {
    let (code, reason) = match &error {
        SiteError::Conflict => (StatusCode::CONFLICT, "Conflict"),
        SiteError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "Invalid"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
    };
    Refusal::new(code, reason, error.to_string())
}

/// The Rollout with the patch. Of its metadata only labels and annotations change; a version that the patch names stays, to
/// be compared.
fn patched(there: Rollout, how: &str, body: &Bytes) -> Result<Rollout, Refusal> {
    let invalid = |why: String| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", why);
    let object = serde_json::to_value(&there).map_err(|error| invalid(error.to_string()))?;
    let mut next: Rollout =
        serde_json::from_value(changed(object, how, body)?).map_err(|error| invalid(error.to_string()))?;
    let (labels, annotations) = (next.metadata.labels.take(), next.metadata.annotations.take());
    let version = next.metadata.resource_version.take();
    next.metadata = there.metadata;
    (next.metadata.labels, next.metadata.annotations) = (labels, annotations);
    next.metadata.resource_version = version.or(next.metadata.resource_version);
    Ok(next)
}

fn changed(mut object: Value, how: &str, body: &Bytes) -> Result<Value, Refusal> {
    let bad = |why: String| Refusal::new(StatusCode::BAD_REQUEST, "BadRequest", why);
    match how.split(';').next().unwrap_or_default() {
        "application/json-patch+json" => {
            let patch: json_patch::Patch =
                serde_json::from_slice(body).map_err(|error| bad(format!("not a JSON patch: {error}")))?;
            json_patch::patch(&mut object, &patch).map_err(|error| {
                Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", format!("the patch does not fit: {error}"))
            })?;
        }
        "application/merge-patch+json" => {
            let patch: Value = serde_json::from_slice(body).map_err(|error| bad(format!("not JSON: {error}")))?;
            json_patch::merge(&mut object, &patch);
        }
        other => {
            let message = format!("a local rollout accepts JSON patches and merge patches, not `{other}`");
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message));
        }
    }
    Ok(object)
}

/// Records a command; the next tick takes it. A dry run only checks it.
pub fn command(site: &Site, body: &Bytes, is_tried: bool) -> Result<Arc<Value>, Refusal> {
    let invalid = |message: String| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
    let mut command: RolloutCommand = serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
    let key = site.key();
    if command.spec.rollout != key.name {
        return Err(invalid(format!("there is no Rollout \"{}\" here, only \"{}\"", command.spec.rollout, key.name)));
    }
    if command.spec.verb == Verb::Restart {
        return Err(invalid(
            "a local rollout does not start or stop processes; restart the process at the address yourself".into(),
        ));
    }
    let metadata = &mut command.metadata;
    let generated = metadata.generate_name.as_ref().map(|prefix| format!("{prefix}{}", random_hex(4)));
    let name = metadata.name.clone().or(generated).filter(|name| is_name(name));
    let Some(name) = name else { return Err(invalid("the command has no valid name".into())) };
    metadata.name = Some(name);
    metadata.namespace = Some(key.namespace);
    metadata.uid = Some(random_hex(16));
    metadata.creation_timestamp = Some(site.inner.time());
    command.status = None;
    if is_tried {
        return Ok(Arc::new(serde_json::to_value(&command).unwrap_or_default()));
    }
    let absent = |there: Option<&Value>| there.is_none();
    let written = site
        .inner
        .objects
        .put_if(kinds::COMMAND, &command, absent)
        .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", error.to_string()))?;
    site.inner.changed.notify_one();
    written.ok_or_else(|| Refusal::new(StatusCode::CONFLICT, "AlreadyExists", "a command of this name exists"))
}

/// Whether a text may name an object, and so a file.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 253 && text.chars().all(allowed) && ends(text.chars().next()) && ends(text.chars().last())
}
