//! The objects that are asked for, each decoded separately: one that cannot be read hides no other.

use kube::api::{ListParams, Request, TypeMeta};

use super::{args::Args, listed::Listed};
use crate::{
    cli::{connect::Connection, exit::CliError, render::printable::printable},
    cluster::{
        raw_object::{Page, RawObject},
        table::key_of,
    },
};

/// What there is of what was asked for.
pub(super) struct Found<K> {
    pub objects: Vec<K>,
    /// An error for each name that does not exist, beside others that may.
    pub missing: Vec<CliError>,
}

/// The objects by name, or all that the options select.
pub(super) async fn fetch<K: Listed>(
    connection: &Connection,
    args: &Args,
    names: &[String],
) -> Result<Found<K>, CliError> {
    let mut found =
        if names.is_empty() { all(connection, args).await? } else { named(connection, args, names).await? };
    if let Some(path) = &args.sort_by {
        let value = |object: &K| serde_json::to_value(object).unwrap_or_default();
        let mut keyed: Vec<_> = found.objects.into_iter().map(|object| (value(&object), object)).collect();
        keyed.sort_by(|(a, _), (b, _)| path.order(a, b));
        found.objects = keyed.into_iter().map(|(_, object)| object).collect();
    }
    Ok(found)
}

async fn named<K: Listed>(connection: &Connection, args: &Args, names: &[String]) -> Result<Found<K>, CliError> {
    if args.all_namespaces {
        return Err(CliError::Usage("a name cannot be combined with -A; use -n NAMESPACE".into()));
    }
    if args.selector.is_some() || args.field_selector.is_some() {
        return Err(CliError::Usage("a name cannot be combined with a selector; use one of them".into()));
    }
    let mut found = Found { objects: Vec::with_capacity(names.len()), missing: Vec::new() };
    for name in names {
        match K::one(connection, name).await {
            Ok(object) => found.objects.push(object),
            Err(error @ CliError::NotFound { .. }) if names.len() > 1 => found.missing.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

async fn all<K: Listed>(connection: &Connection, args: &Args) -> Result<Found<K>, CliError> {
    let (label_selector, field_selector) = (args.selector.clone(), args.field_selector.clone());
    let wanted = ListParams { label_selector, field_selector, ..ListParams::default() };
    let (objects, unreadable) = list(connection, args.all_namespaces, &wanted).await?;
    for Unreadable { name, why } in unreadable {
        let warning = format!("warning: {name} cannot be decoded and is not shown: {why}");
        eprintln!("{}", printable(&warning));
    }
    Ok(Found { objects, missing: Vec::new() })
}

/// An object that the API server stores and no client of ours can read.
#[derive(Debug)]
pub struct Unreadable {
    /// `Rollout shop/web`
    pub name: String,
    /// The field at fault.
    pub why: String,
}

/// The objects of a namespace or of all, each decoded separately.
pub async fn list<K: Listed>(
    connection: &Connection,
    all_namespaces: bool,
    wanted: &ListParams,
) -> Result<(Vec<K>, Vec<Unreadable>), CliError> {
    match pages(connection, all_namespaces, wanted).await {
        Ok(read) => Ok(read),
        Err(error) => Err(match &error {
            kube::Error::Api(status) if status.code == 404 => connection.kind_missing(K::KIND, &error).await,
            _ => connection.first_error(format!("list {}s", K::KIND), &error).await,
        }),
    }
}

async fn pages<K: Listed>(
    connection: &Connection,
    all_namespaces: bool,
    wanted: &ListParams,
) -> Result<(Vec<K>, Vec<Unreadable>), kube::Error> {
    let url = K::url_path(&(), (!all_namespaces).then_some(connection.namespace.as_str()));
    let request = Request::new(url).list(wanted).map_err(kube::Error::BuildRequest)?;
    let text = connection.client.request_text(request).await?;
    readable(&text).map_err(kube::Error::SerdeError)
}

fn readable<K: Listed>(list: &str) -> Result<(Vec<K>, Vec<Unreadable>), serde_json::Error> {
    let page: Page<'_> = serde_json::from_str(list)?;
    if !page.kind.ends_with("List") {
        return Err(serde::de::Error::custom("its kind is not a list"));
    }
    let types = TypeMeta { api_version: K::api_version(&()).into(), kind: K::kind(&()).into() };
    let (mut objects, mut unreadable) = (Vec::new(), Vec::new());
    for raw in page.items() {
        match decoded(raw, &types) {
            Ok(object) => objects.push(object),
            Err(fault) => unreadable.push(fault),
        }
    }
    Ok((objects, unreadable))
}

fn decoded<K: Listed>(raw: &str, types: &TypeMeta) -> Result<K, Unreadable> {
    let object = RawObject::item(raw, types).map_err(|why| Unreadable { name: format!("a {}", K::KIND), why })?;
    object.decode().map_err(|why| {
        let key = key_of(object.metadata());
        Unreadable { name: format!("{} {}/{}", K::KIND, key.namespace, key.name), why }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Rollout, cli::render::jsonpath::Path, view::samples};
    use kube::ResourceExt;
    use serde_json::json;
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{method, path, query_param},
    };

    /// One Rollout that cannot be decoded does not hide the others (C3).
    #[test]
    fn a_rollout_that_cannot_be_read_is_named_and_hides_no_other() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(140), "}".repeat(140));
        let item = |name: &str, template: &str| {
            format!(
                r#"{{"metadata":{{"name":"{name}","namespace":"shop"}},
                "spec":{{"strategy":{{"canary":{{"steps":[]}}}},"template":{template}}}}}"#
            )
        };
        let list = format!(r#"{{"kind":"RolloutList","items":[{},{},7]}}"#, item("bad", &deep), item("web", "{}"));
        let (rollouts, unreadable) = readable::<Rollout>(&list).unwrap();
        assert_eq!(rollouts.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["web"]);
        assert_eq!(unreadable[0].name, "Rollout shop/bad");
        assert_eq!(unreadable.len(), 2);
        assert!(readable::<Rollout>(r#"{"kind":"RolloutList","items":null}"#).unwrap().0.is_empty());
    }

    fn connection(server: &MockServer) -> Connection {
        let client = kube::Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
        Connection { client, namespace: "shop".into(), address: server.uri() }
    }

    const ROLLOUTS: &str = "/apis/glidepath.dev/v1alpha1/namespaces/shop/rollouts";

    #[tokio::test]
    async fn a_name_that_does_not_exist_hides_no_other() {
        let server = MockServer::start().await;
        let found = ResponseTemplate::new(200).set_body_json(samples::healthy().rollout);
        Mock::given(method("GET")).and(path(format!("{ROLLOUTS}/checkout"))).respond_with(found).mount(&server).await;
        let missing = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
            "message": "not found", "details": { "name": "nope", "kind": "rollouts" } });
        let missing = ResponseTemplate::new(404).set_body_json(missing);
        Mock::given(method("GET")).and(path(format!("{ROLLOUTS}/nope"))).respond_with(missing).mount(&server).await;
        let names = ["nope", "checkout"].map(ToOwned::to_owned);
        let found = fetch::<Rollout>(&connection(&server), &Args::default(), &names).await.unwrap();
        assert_eq!((found.objects.len(), found.missing.len()), (1, 1));
        assert!(found.missing[0].to_string().starts_with("Rollout \"nope\" not found in namespace \"shop\""));
        // Alone it is the error of the whole.
        assert!(fetch::<Rollout>(&connection(&server), &Args::default(), &names[..1]).await.is_err());
        let args = Args { selector: Some("a=b".into()), ..Args::default() };
        assert!(fetch::<Rollout>(&connection(&server), &args, &names).await.is_err());
    }

    #[tokio::test]
    async fn selectors_reach_the_server_and_the_result_is_sorted() {
        let server = MockServer::start().await;
        let item = |name: &str| json!({ "metadata": { "name": name, "namespace": "shop" }, "spec": { "strategy": { "canary": { "steps": [] } } } });
        let list = ResponseTemplate::new(200)
            .set_body_json(json!({ "kind": "RolloutList", "items": [item("web"), item("api")] }));
        let asked = Mock::given(path(ROLLOUTS)).and(query_param("fieldSelector", "metadata.namespace=shop"));
        asked.and(query_param("labelSelector", "team=a")).respond_with(list).mount(&server).await;
        let args = Args {
            selector: Some("team=a".into()),
            field_selector: Some("metadata.namespace=shop".into()),
            sort_by: Some(Path::read("{.metadata.name}").unwrap()),
            ..Args::default()
        };
        let found = fetch::<Rollout>(&connection(&server), &args, &[]).await.unwrap();
        assert_eq!(found.objects.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["api", "web"]);
    }
}
