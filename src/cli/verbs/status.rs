//! `status`: one screen of one Rollout, followed if asked, with the end in the exit code.

use std::io::IsTerminal;

use super::{
    get,
    set_image::wanted_template,
    watch::{Follow, Show, Target, Until, follow},
};
use crate::{
    api::{HumanDuration, Rollout},
    cli::{
        args::{
            global::{Global, OutputFormat},
            names,
        },
        connect::{Connection, connect, now},
        deadline::{Deadline, within},
        exit::{CliError, EXIT_CODES_HELP, Exit},
        pods::Wanted,
        program::program,
        render::{
            output::{self, print},
            screen::{Screen, screen},
            table::UNLIMITED,
        },
    },
    cluster::kinds::normal_template,
    view::{courses::Courses, overview::Overview},
};

/// Show a Rollout: steps, traffic, pods, analysis, and what it waits for
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = AFTER_HELP.as_str())]
pub struct Args {
    /// The Rollout; without a name, all in the namespace are listed
    #[arg(value_name = "NAME")]
    pub words: Vec<String>,
    /// Watch: on a terminal a screen that is redrawn until `q` or Ctrl-C, also when no release is in progress; elsewhere
    /// one line per change (with -o json or yaml one object) until the end
    #[arg(short, long)]
    pub watch: bool,
    /// Wait for the end without showing progress (with -o json, yaml or name the object at the end); with --watch, watch
    /// until then
    #[arg(long)]
    pub wait: bool,
    /// With --watch or --wait: the timeout, like 30m, for connecting and reading too
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<HumanDuration>,
}

static AFTER_HELP: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    format!(
        "Examples:
  glidepath status checkout
  glidepath status checkout --watch
  glidepath status checkout --watch -o json
  glidepath status checkout --wait --timeout 30m
  glidepath status checkout -o wide   with all pods
  glidepath status checkout -o json   what it shows, for scripts (docs/json.md)

{EXIT_CODES_HELP}"
    )
});

/// Shows one Rollout, or lists all without a name.
pub async fn run(args: Args, global: &Global) -> Result<Exit, CliError> {
    let names = names::names(&args.words)?;
    if args.timeout.is_some() && !args.watch && !args.wait {
        return Err(CliError::Usage("--timeout requires --watch or --wait".into()));
    }
    if names.is_empty() {
        if args.wait || args.timeout.is_some() {
            return Err(CliError::Usage(format!("no Rollout given: use '{} status NAME --wait'", program())));
        }
        let all = get::Args { watch: args.watch, ..get::Args::default() };
        return get::run(all, global).await;
    }
    let name = names::one_name(&args.words, "status")?;
    if args.watch || args.wait {
        return wait(name, &args, global).await;
    }
    let connection = connect(global).await?;
    let rollout = connection.rollout(&name).await?;
    show(&connection, &rollout, global).await?;
    Ok(Exit::Done)
}

async fn show(connection: &Connection, rollout: &Rollout, global: &Global) -> Result<(), CliError> {
    let pods = connection.revisions(rollout, wanted(global)).await;
    let now = now();
    if let Some(text) = output::shape(global.output, rollout, || Overview::of(rollout, &pods, now))? {
        return print(&text);
    }
    let (color, width) = (global.color_on(), global.width());
    let courses = if width == UNLIMITED { Courses::default() } else { connection.courses(rollout).await };
    print(&screen(&Screen { rollout, pods: &pods, now, color, width, hints: true, courses: Some(&courses) }))
}

async fn wait(name: String, args: &Args, global: &Global) -> Result<Exit, CliError> {
    let terminal = std::io::stdout().is_terminal();
    let show = shown(args, global, terminal)?;
    let until = if args.watch && !args.wait && terminal { Until::Quit } else { Until::EndOrOperator };
    let deadline = args.timeout.map(Deadline::after);
    let connection = connect(global).await?;
    let first = async {
        let rollout = connection.rollout(&name).await?;
        let target = target(&connection, &rollout).await?;
        Ok((rollout, target))
    };
    let (rollout, target) = within(deadline, &connection.address, first).await?;
    follow(&connection, rollout, Follow { name, target, show, until, deadline }).await
}

fn wanted(global: &Global) -> Wanted {
    if global.output == OutputFormat::Wide { Wanted::All } else { Wanted::NotReady }
}

/// How the wait is shown; an error for a format that says nothing of it.
fn shown(args: &Args, global: &Global, terminal: bool) -> Result<Show, CliError> {
    match (global.output, args.watch) {
        (OutputFormat::Name, true) => {
            Err(CliError::Usage("a name does not change while it is watched: use -o table, wide, json or yaml".into()))
        }
        (format @ (OutputFormat::Json | OutputFormat::Yaml | OutputFormat::JsonPath(_)), true) => {
            Ok(Show::Objects(format))
        }
        (
            format @ (OutputFormat::Json | OutputFormat::Yaml | OutputFormat::Name | OutputFormat::JsonPath(_)),
            false,
        ) => Ok(Show::LastObject(format)),
        (_, true) if terminal => Ok(Show::Screen { color: global.color_on(), pods: wanted(global) }),
        (_, true) => Ok(Show::Lines),
        (_, false) => Ok(Show::End),
    }
}

/// The release that is waited for: the one in progress, or the last. A Deployment's change is none of the Rollout's own, so
/// the controller may not have seen it yet: then the next revision is meant.
async fn target(connection: &Connection, rollout: &Rollout) -> Result<Target, CliError> {
    let current = rollout.status.as_ref().and_then(|status| status.current_revision.as_ref()).map(|r| r.id.clone());
    let Some(current) = current else { return Ok(Target::NotThis(None)) };
    let pinned = rollout.status.as_ref().is_some_and(|status| status.pinned.is_some());
    if rollout.spec.workload_ref.is_some() && !pinned {
        let wanted = normal_template(wanted_template(connection, rollout).await?);
        // As the controller compares them (rule S1).
        let running = connection.template_of(rollout, &current).await;
        if running.is_some_and(|running| normal_template(running) != wanted) {
            return Ok(Target::NotThis(Some(current)));
        }
    }
    Ok(Target::current(rollout))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{REVISION_LABEL, ROLLOUT_LABEL},
        view::samples,
    };
    use serde_json::{Value, json};
    use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

    #[tokio::test]
    async fn a_deployments_change_that_no_controller_has_seen_is_waited_for() {
        let newer = || Target::NotThis(Some("b7d0c41hze".into()));
        for (image, colour, wanted) in [
            ("app:1", "blue", Target::Revision("b7d0c41hze".into())),
            ("app:2", "blue", newer()),
            ("app:1", "green", newer()),
        ] {
            let server = MockServer::start().await;
            let get = |at: &'static str, body: Value| {
                Mock::given(path(at)).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server)
            };
            let template = |image: &str, colour: &str| {
                let env = json!([{ "name": "COLOUR", "value": colour }]);
                let spec = json!({ "containers": [{ "name": "app", "image": image, "env": env }] });
                json!({ "metadata": { "labels": { "app": "web" } }, "spec": spec })
            };
            get(
                "/apis/apps/v1/namespaces/shop/deployments/web",
                json!({ "metadata": { "name": "web" }, "spec": { "selector": {}, "template": template(image, colour) } }),
            )
            .await;
            let mut labelled = template("app:1", "blue");
            labelled["metadata"]["labels"][REVISION_LABEL] = "b7d0c41hze".into();
            let set = json!({
                "metadata": {
                    "name": "checkout-b7d0c41hze",
                    "labels": { REVISION_LABEL: "b7d0c41hze", ROLLOUT_LABEL: "checkout" },
                    "ownerReferences": [{ "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "name": "checkout", "uid": "u-1" }]
                },
                "spec": { "replicas": 1, "selector": {}, "template": labelled }
            });
            get("/apis/apps/v1/namespaces/shop/replicasets", json!({ "metadata": {}, "items": [set] })).await;
            let client = kube::Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
            let connection = Connection { client, namespace: "shop".into(), address: server.uri() };
            let mut rollout = samples::healthy().rollout;
            (rollout.spec.template, rollout.spec.selector) = (None, None);
            rollout.spec.workload_ref =
                serde_json::from_value(json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" }))
                    .unwrap();
            assert_eq!(target(&connection, &rollout).await.unwrap(), wanted, "{image} {colour}");
        }
    }
}
