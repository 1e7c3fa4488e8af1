//! The few fields of a raw pod template that the demo reads and writes.

use serde_json::{Value, json};

/// The template with another tag on its first image: a new version of the same service.
pub fn with_tag(template: &Value, tag: &str) -> Value {
    let mut template = template.clone();
    if let Some(Value::String(image)) = template.pointer_mut("/spec/containers/0/image") {
        *image = format!("{}:{tag}", without_tag(image));
    }
    template
}

fn without_tag(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        // A colon before the last slash belongs to a registry's port.
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

/// A template for a Rollout that refers to a Deployment: the demo has none.
pub fn stand_in(name: &str) -> Value {
    json!({
        "metadata": { "labels": { "app": name } },
        "spec": { "containers": [{ "name": name, "image": format!("{name}:v1") }] },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::revision;

    #[test]
    fn another_tag_replaces_only_the_tag() {
        for (image, wanted) in [
            ("shop", "shop:v2"),
            ("shop:1.0", "shop:v2"),
            ("localhost:5000/shop", "localhost:5000/shop:v2"),
            ("localhost:5000/shop:1.0", "localhost:5000/shop:v2"),
            ("shop@sha256:0123", "shop:v2"),
        ] {
            let template = json!({ "spec": { "containers": [{ "image": image }, { "image": "sidecar:7" }] } });
            assert_eq!(revision::images(&with_tag(&template, "v2")), [wanted, "sidecar:7"], "{image}");
        }
        assert_eq!(revision::images(&with_tag(&stand_in("shop"), "v3")), ["shop:v3"]);
    }
}
