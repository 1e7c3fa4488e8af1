//! Objects of a mesh, as the user of `doctor` may read them.

use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};
use serde_json::Value;

use super::check::Check;
use crate::cli::{connect::Connection, exit::innermost};

/// So many objects are asked for at a time, and so many times: of more than that the rest is not looked at.
const PAGE: u32 = 500;
const MOST_PAGES: u32 = 20;

/// A kind to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) group: &'static str,
    /// The version to prefer first.
    pub(super) versions: &'static [&'static str],
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
}

/// Reads lists, and remembers what could not be read.
pub(super) struct Reader<'c> {
    connection: &'c Connection,
    unread: Vec<String>,
}

impl<'c> Reader<'c> {
    pub(super) fn of(connection: &'c Connection) -> Self {
        Reader { connection, unread: Vec::new() }
    }

    /// The objects of a kind in a namespace, or in all where none is given; `None` where the kind is not served.
    pub(super) async fn list(&mut self, kind: &Kind, namespace: Option<&str>) -> Option<Vec<Value>> {
        for version in kind.versions {
            let of = GroupVersionKind::gvk(kind.group, version, kind.kind);
            let resource = ApiResource::from_gvk_with_plural(&of, kind.plural);
            let client = self.connection.client.clone();
            let api: Api<DynamicObject> = match namespace {
                Some(namespace) => Api::namespaced_with(client, namespace, &resource),
                None => Api::all_with(client, &resource),
            };
            match pages(&api).await {
                Ok(all) => return Some(all.into_iter().map(|object| value(kind, version, object)).collect()),
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => {
                    self.unread.push(format!("{} ({})", kind.plural, innermost(&error)));
                    return Some(Vec::new());
                }
            }
        }
        None
    }

    /// A line for what could not be read, if anything.
    pub(super) fn unread(self, of: &str) -> Option<Check> {
        let first = self.unread.first()?;
        let more = self.unread.len() - 1;
        let more = if more == 0 { String::new() } else { format!(", and {more} more lists") };
        let what = format!("objects of {of} not checked: {first}{more}");
        Some(Check::absent(what, "this needs permission to list them"))
    }
}

async fn pages(api: &Api<DynamicObject>) -> Result<Vec<DynamicObject>, kube::Error> {
    let (mut all, mut page) = (Vec::new(), ListParams::default().limit(PAGE));
    for _ in 0..MOST_PAGES {
        let list = api.list(&page).await?;
        all.extend(list.items);
        match list.metadata.continue_.filter(|more| !more.is_empty()) {
            Some(more) => page = page.continue_token(&more),
            None => break,
        }
    }
    Ok(all)
}

/// An object with its kind, which the entries of a list need not have.
fn value(kind: &Kind, version: &str, object: DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    let group = if kind.group.is_empty() { String::new() } else { format!("{}/", kind.group) };
    value["apiVersion"] = format!("{group}{version}").into();
    value["kind"] = kind.kind.into();
    value
}
