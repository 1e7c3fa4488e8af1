//! `--secrets`: the Secrets that templates name, from a folder, so that no secret is in a command line or a manifest.

use std::{collections::BTreeMap, path::Path, path::PathBuf, sync::Arc};

use serde_json::Value;

use crate::{
    api::analysis::AnalysisTemplateSpec,
    ports::secrets::{SecretData, SecretError, Secrets},
};

/// The most keys of a Secret.
const MOST_KEYS: usize = 100;
/// The largest value, in bytes: more than a Secret may hold.
const LARGEST: u64 = 1 << 20;

/// Secrets of a folder.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SecretFolder {
    /// A folder with the Secrets that templates name: a folder for each with a file per key, as Kubernetes mounts them
    #[arg(long, env = "GLIDEPATH_SECRETS", value_name = "FOLDER")]
    secrets: Option<PathBuf>,
}

impl SecretFolder {
    /// Whether all that a template names can be read.
    pub async fn has_all(&self, template: &AnalysisTemplateSpec) -> Result<(), SecretError> {
        let mut names = Vec::new();
        named(&serde_json::to_value(template).unwrap_or_default(), &mut names);
        for name in names {
            self.read("", &name).await?;
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Secrets for SecretFolder {
    async fn read(&self, _namespace: &str, name: &str) -> Result<SecretData, SecretError> {
        let folder = self.secrets.as_ref().ok_or_else(|| SecretError::NotGiven(name.to_owned()))?;
        let is_name = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
        let keys = if is_name { keys(&folder.join(name)).await } else { None };
        let place = folder.join(name).display().to_string();
        keys.map(Arc::new).ok_or_else(|| SecretError::NoFolder { name: name.to_owned(), folder: place })
    }
}

/// The files of a folder by name. Those whose names begin with a dot are how Kubernetes swaps all in one moment.
async fn keys(folder: &Path) -> Option<BTreeMap<String, Vec<u8>>> {
    let mut entries = tokio::fs::read_dir(folder).await.ok()?;
    let mut keys = BTreeMap::new();
    while let Some(entry) = entries.next_entry().await.ok()? {
        let name = entry.file_name().into_string().ok()?;
        let about = tokio::fs::metadata(entry.path()).await.ok()?;
        if name.starts_with('.') || about.is_dir() {
            continue;
        }
        if keys.len() >= MOST_KEYS || about.len() > LARGEST {
            return None;
        }
        keys.insert(name, tokio::fs::read(entry.path()).await.ok()?);
    }
    Some(keys)
}

/// The names in every reference to a Secret.
fn named(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(field, value)| {
            let is_reference = field == "secretRef" || field.ends_with("SecretRef");
            names.extend(value["name"].as_str().filter(|_| is_reference).map(str::to_owned));
            named(value, names);
        }),
        Value::Array(values) => values.iter().for_each(|value| named(value, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(metric: &str) -> AnalysisTemplateSpec {
        serde_yaml::from_str(&format!("metrics: [{{name: q, threshold: {{{metric}, success: result < 1}}}}]")).unwrap()
    }

    #[tokio::test]
    async fn a_folder_holds_secrets_as_they_are_mounted() {
        let root = tempfile::tempdir().unwrap();
        let folder = SecretFolder { secrets: Some(root.path().to_owned()) };
        std::fs::create_dir_all(root.path().join("datadog/..data")).unwrap();
        std::fs::write(root.path().join("datadog/api-key"), "hunter2").unwrap();
        std::fs::write(root.path().join("plain"), "hunter2").unwrap();
        let read = folder.read("shop", "datadog").await.ok().unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), [(&"api-key".to_owned(), &b"hunter2".to_vec())]);
        for name in ["other", "plain", "..", "../datadog", "datadog/..data", ""] {
            let error = folder.read("shop", name).await.err().unwrap().to_string();
            assert!(error.contains("is no folder with its keys as files") && !error.contains("hunter2"), "{error}");
        }
        std::fs::write(root.path().join("datadog/large"), vec![b'x'; (1 << 20) + 1]).unwrap();
        assert!(folder.read("shop", "datadog").await.is_err());
    }

    #[tokio::test]
    async fn every_secret_that_a_template_names_is_missed_before_anything_is_asked() {
        let none = SecretFolder::default();
        for (metric, name) in [
            ("datadog: {query: q, secretRef: {name: dd}}", "dd"),
            ("web: {url: 'https://x', headers: [{name: X-Key, secretRef: {name: key}}]}", "key"),
            ("web: {url: 'https://x', tls: {caSecretRef: {name: ca}}}", "ca"),
        ] {
            let missing = none.has_all(&template(metric)).await;
            assert_eq!(missing, Err(SecretError::NotGiven(name.into())), "{metric}");
        }
        assert_eq!(none.has_all(&template("query: up")).await, Ok(()));
    }
}
