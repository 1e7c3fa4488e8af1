//! `set image`: patches the pod template as kubectl does, and says how the release ended if asked.

use std::io::IsTerminal;

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::watch::{Follow, Show, Target, Until, follow};
use crate::{
    api::{HumanDuration, Rollout},
    cli::{
        args::{dry_run::DryRun, global::Global, names},
        connect::{Connection, connect},
        deadline::{Deadline, within},
        exit::{CliError, EXIT_CODES_HELP, Exit},
        pods::Wanted,
        program::program,
        render::output::print,
    },
};

/// Set container images, which starts a release
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = AFTER_HELP.as_str())]
pub struct Args {
    /// The Rollout, then CONTAINER=IMAGE (`*=IMAGE` for all containers)
    #[arg(value_name = "NAME CONTAINER=IMAGE", required = true)]
    pub words: Vec<String>,
    /// Wait for the end of the release; the exit code reports the outcome
    #[arg(long)]
    pub wait: bool,
    /// With --wait: the timeout, like 30m, for connecting and reading too
    #[arg(long, value_name = "DURATION", requires = "wait")]
    pub timeout: Option<HumanDuration>,
    /// Whether it is only tried
    #[command(flatten)]
    pub dry_run: DryRun,
}

static AFTER_HELP: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    format!(
        "Examples:
  glidepath set image checkout app=registry/app:1.4
  glidepath set image checkout app=registry/app:1.4 --wait --timeout 30m

{EXIT_CODES_HELP}"
    )
});

/// One `CONTAINER=IMAGE`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    container: String,
    image: String,
}

/// The location of the pod template.
struct Template {
    /// `Rollout "checkout"` or `Deployment "checkout"`, for messages.
    owner: String,
    /// The Deployment's name, when a `workloadRef` names one.
    deployment: Option<String>,
    /// The pod template.
    value: Value,
}

/// Patches the template and follows the release if asked.
pub async fn run(args: Args, global: &Global) -> Result<Exit, CliError> {
    let (name, changes) = parse(&args.words)?;
    if args.wait && !args.dry_run.mark().is_empty() {
        return Err(CliError::Usage("--wait has nothing to wait for after a --dry-run".into()));
    }
    let deadline = args.timeout.map(Deadline::after);
    let connection = connect(global).await?;
    let applied = apply(&connection, &name, &changes, args.dry_run);
    let (before, changed) = within(deadline, &connection.address, applied).await?;
    if !changed {
        print(&format!("{name}: images unchanged\n"))?;
    } else {
        let shown: Vec<String> = changes.iter().map(|c| format!("{}={}", c.container, c.image)).collect();
        print(&format!("{name}: image set, {}{}\n", shown.join(", "), args.dry_run.mark()))?;
    }
    if !args.wait {
        return Ok(Exit::Done);
    }
    let first = within(deadline, &connection.address, connection.rollout(&name)).await?;
    let screen = Show::Screen { color: global.color_on(), pods: Wanted::NotReady };
    let show = if std::io::stdout().is_terminal() { screen } else { Show::Lines };
    let target = target(&before, changed);
    follow(&connection, first, Follow { name, target, show, until: Until::EndOrOperator, deadline }).await
}

/// The release that is waited for: the next revision, or the current one when nothing changed.
fn target(before: &Rollout, changed: bool) -> Target {
    if !changed {
        return Target::current(before);
    }
    let current = before.status.as_ref().and_then(|status| status.current_revision.as_ref());
    Target::NotThis(current.map(|revision| revision.id.clone()))
}

fn parse(words: &[String]) -> Result<(String, Vec<Change>), CliError> {
    let is_change = |word: &&String| word.contains('=');
    let plain: Vec<String> = words.iter().filter(|word| !is_change(word)).cloned().collect();
    if let [_, extra, ..] = names::names(&plain)?.as_slice()
        && plain.len() == words.len()
    {
        return Err(not_a_change(extra));
    }
    let name = names::one_name(&plain, "set image")?;
    let changes: Vec<Change> = words.iter().filter(is_change).map(|word| change(word)).collect::<Result<_, _>>()?;
    if changes.is_empty() {
        let words = format!("no image given: use '{} set image {name} CONTAINER=IMAGE'", program());
        return Err(CliError::Usage(words));
    }
    Ok((name, changes))
}

fn change(word: &str) -> Result<Change, CliError> {
    match word.split_once('=') {
        Some((container, image)) if !container.is_empty() && !image.is_empty() => {
            Ok(Change { container: container.into(), image: image.into() })
        }
        _ => Err(not_a_change(word)),
    }
}

fn not_a_change(word: &str) -> CliError {
    CliError::Usage(format!("\"{word}\" is not CONTAINER=IMAGE, like app=registry/app:1.4"))
}

/// Patches the template in place. Returns the previous Rollout, and whether anything changed.
async fn apply(
    connection: &Connection,
    name: &str,
    changes: &[Change],
    dry_run: DryRun,
) -> Result<(Rollout, bool), CliError> {
    let rollout = connection.rollout(name).await?;
    let template = template(connection, &rollout).await?;
    let patch = patch(&template, changes)?;
    if patch.is_empty() || dry_run.is_client() {
        return Ok((rollout, !patch.is_empty()));
    }
    let wrong = |error: serde_json::Error| CliError::Failed(format!("cannot build the patch: {error}"));
    let patch = Patch::<()>::Json(serde_json::from_value(Value::Array(patch)).map_err(wrong)?);
    let field_manager = Some("glidepath-cli".into());
    let how = PatchParams { field_manager, dry_run: dry_run.is_server(), ..PatchParams::default() };
    let done = match &template.deployment {
        Some(deployment) => deployments(connection).patch(deployment, &how, &patch).await.map(drop),
        None => connection.rollouts().patch(name, &how, &patch).await.map(drop),
    };
    done.map_err(|error| connection.error(format!("patch {}", template.owner), &error))?;
    Ok((rollout, true))
}

fn deployments(connection: &Connection) -> Api<Deployment> {
    Api::namespaced(connection.client.clone(), &connection.namespace)
}

/// The template that is wanted, the Rollout's own or its Deployment's.
pub(super) async fn wanted_template(connection: &Connection, rollout: &Rollout) -> Result<Value, CliError> {
    Ok(template(connection, rollout).await?.value)
}

async fn template(connection: &Connection, rollout: &Rollout) -> Result<Template, CliError> {
    let name = rollout.name_any();
    if let Some(value) = &rollout.spec.template {
        return Ok(Template { owner: format!("Rollout \"{name}\""), deployment: None, value: value.clone() });
    }
    let Some(workload) = &rollout.spec.workload_ref else {
        let words =
            format!("Rollout \"{name}\" has neither template nor workloadRef; '{} lint' checks its file", program());
        return Err(CliError::Failed(words));
    };
    let owner = format!("Deployment \"{}\"", workload.name);
    let deployment = deployments(connection).get_opt(&workload.name).await;
    let deployment = deployment.map_err(|error| connection.error(format!("read {owner}"), &error))?;
    let Some(deployment) = deployment else {
        let words = format!(
            "{owner}, which Rollout \"{name}\" references in spec.workloadRef, does not exist in namespace \"{}\"",
            connection.namespace
        );
        return Err(CliError::Failed(words));
    };
    let value = serde_json::to_value(deployment.spec.map(|spec| spec.template))
        .map_err(|error| CliError::Failed(format!("cannot read {owner}: {error}")))?;
    Ok(Template { owner, deployment: Some(workload.name.clone()), value })
}

/// JSON patch operations for the images that differ. Each is guarded by the container's name, so that the patch is
/// rejected if the list was changed in the meantime.
fn patch(template: &Template, changes: &[Change]) -> Result<Vec<Value>, CliError> {
    let mut operations = Vec::new();
    for change in changes {
        let mut found = false;
        for list in ["containers", "initContainers"] {
            let containers = template.value.pointer(&format!("/spec/{list}")).and_then(Value::as_array);
            for (index, container) in containers.into_iter().flatten().enumerate() {
                let all = change.container == "*" && list == "containers";
                if !all && container["name"] != change.container.as_str() {
                    continue;
                }
                found = true;
                if container["image"] != change.image.as_str() {
                    let path = format!("/spec/template/spec/{list}/{index}");
                    operations
                        .push(json!({ "op": "test", "path": format!("{path}/name"), "value": container["name"] }));
                    operations.push(json!({ "op": "add", "path": format!("{path}/image"), "value": change.image }));
                }
            }
        }
        if !found {
            return Err(no_container(template, &change.container));
        }
    }
    Ok(operations)
}

fn no_container(template: &Template, wanted: &str) -> CliError {
    let containers = template.value.pointer("/spec/containers").and_then(Value::as_array);
    let names: Vec<&str> = containers.into_iter().flatten().filter_map(|c| c["name"].as_str()).collect();
    CliError::Failed(format!("{} has no container \"{wanted}\"; it has: {}", template.owner, names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{method, path},
    };

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(Into::into).collect()
    }

    #[test]
    fn names_and_images_are_told_apart() {
        let (name, changes) = parse(&words("rollout checkout app=registry:5000/app:1.4 side=s@sha256:ab")).unwrap();
        assert_eq!(name, "checkout");
        assert_eq!(changes[0], Change { container: "app".into(), image: "registry:5000/app:1.4".into() });
        assert_eq!(parse(&words("rollout/checkout app=i:1")).unwrap().0, "checkout");
        for (typed, told) in [
            ("checkout", "no image given"),
            ("checkout app=", "is not CONTAINER=IMAGE"),
            ("checkout app", "\"app\" is not CONTAINER=IMAGE"),
            ("app=i:1", "no Rollout given"),
            ("a b app=i:1", "unexpected argument"),
        ] {
            let error = parse(&words(typed)).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
            assert_eq!(error.exit(), Exit::Usage);
        }
    }

    fn own_template() -> Template {
        let value = json!({ "spec": {
            "containers": [{ "name": "app", "image": "app:1" }, { "name": "side", "image": "side:1" }],
            "initContainers": [{ "name": "init", "image": "init:1" }]
        } });
        Template { owner: "Rollout \"checkout\"".into(), deployment: None, value }
    }

    #[test]
    fn patches_only_what_differs() {
        for (typed, paths) in [
            ("app=app:2", vec!["/spec/template/spec/containers/0/image"]),
            ("app=app:1", vec![]),
            ("init=init:2", vec!["/spec/template/spec/initContainers/0/image"]),
            ("*=all:1", vec!["/spec/template/spec/containers/0/image", "/spec/template/spec/containers/1/image"]),
        ] {
            let operations = patch(&own_template(), &[change(typed).unwrap()]).unwrap();
            let written: Vec<&str> =
                operations.iter().filter(|o| o["op"] == "add").filter_map(|o| o["path"].as_str()).collect();
            assert_eq!(written, paths, "{typed}");
        }
        let error = patch(&own_template(), &[change("web=x:1").unwrap()]).unwrap_err();
        assert_eq!(error.to_string(), "Rollout \"checkout\" has no container \"web\"; it has: app, side");
    }

    #[test]
    fn waits_for_the_next_revision_or_for_the_current_one_when_nothing_changed() {
        let rollout = samples::healthy().rollout;
        assert_eq!(target(&rollout, true), Target::NotThis(Some("b7d0c41hze".into())));
        assert_eq!(target(&rollout, false), Target::Revision("b7d0c41hze".into()));
        assert_eq!(target(&samples::rollout(None), true), Target::NotThis(None));
    }

    #[tokio::test]
    async fn a_workload_reference_patches_the_deployment_and_not_the_rollout() {
        let server = MockServer::start().await;
        let mut rollout = samples::healthy().rollout;
        (rollout.spec.template, rollout.spec.selector) = (None, None);
        rollout.spec.workload_ref =
            serde_json::from_value(json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" })).unwrap();
        let at = "/apis/glidepath.dev/v1alpha1/namespaces/shop/rollouts/checkout";
        Mock::given(method("GET"))
            .and(path(at))
            .respond_with(ResponseTemplate::new(200).set_body_json(&rollout))
            .mount(&server)
            .await;
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
            "spec": { "selector": {}, "template": { "spec": { "containers": [{ "name": "app", "image": "app:1" }] } } }
        });
        let at = "/apis/apps/v1/namespaces/shop/deployments/web";
        Mock::given(path(at)).respond_with(ResponseTemplate::new(200).set_body_json(deployment)).mount(&server).await;
        let client = kube::Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
        let connection = Connection { client, namespace: "shop".into(), address: server.uri() };
        let image = [change("app=app:2").unwrap()];
        for dry_run in [DryRun::client(), DryRun::server()] {
            assert!(apply(&connection, "checkout", &image, dry_run).await.unwrap().1);
        }
        let (_, changed) = apply(&connection, "checkout", &image, DryRun::default()).await.unwrap();
        assert!(changed);
        let requests = server.received_requests().await.unwrap();
        let patches = requests.iter().filter(|r| r.method.as_str() == "PATCH");
        let (tried, patches): (Vec<_>, Vec<_>) =
            patches.partition(|r| r.url.query().unwrap_or_default().contains("dryRun=All"));
        assert_eq!(tried.len(), 1, "only the server's dry run is sent");
        let bodies: Vec<Value> = patches.iter().map(|r| serde_json::from_slice(&r.body).unwrap()).collect();
        assert_eq!((patches.len(), patches[0].url.path()), (1, at));
        assert_eq!(
            bodies[0],
            json!([
                { "op": "test", "path": "/spec/template/spec/containers/0/name", "value": "app" },
                { "op": "add", "path": "/spec/template/spec/containers/0/image", "value": "app:2" }
            ])
        );
    }
}
