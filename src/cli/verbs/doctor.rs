//! `doctor`: what a working installation needs, checked one by one, each failure with what to do.

mod check;
mod istio;
mod linkerd;
mod reader;
mod route_objects;
mod routers;

use std::{sync::Arc, time::Duration};

use check::{Check, Mark};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
    coordination::v1::Lease,
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
};

use crate::{
    api::{address::shown, analysis::RunPrometheus},
    cli::{
        answer::{excerpt, foreign, is_unknown_path},
        args::{
            global::Global,
            prometheus::{Credentials, NoSecrets},
        },
        connect::{Connection, connect, now},
        exit::{CliError, Exit, innermost},
        program::program,
        render::{
            output::print,
            paint::{Paint, Tone},
        },
    },
    ports::source::Asking,
    source::{
        OwnPrometheus,
        outbound::{Outbound, bounded},
        prometheus::read_answer,
        servers::{Server, Servers},
        trust,
    },
    view::phrases,
};

/// Check API server, CRDs, controller, permissions, Prometheus, and the kinds and objects of routers
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath doctor
  glidepath doctor -n shop --prometheus http://localhost:9090

Exit code 0 when all checks pass, else 1.")]
pub struct Args {
    /// The URL of a Prometheus to check, as reachable from here
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
    #[command(flatten)]
    credentials: Credentials,
}

/// The kinds that must be served.
const KINDS: [&str; 5] = ["Rollout", "AnalysisTemplate", "ClusterAnalysisTemplate", "AnalysisRun", "RolloutCommand"];
/// The group and version of the CRDs.
const GROUP_VERSION: &str = "glidepath.dev/v1alpha1";
/// What the commands need: verb, group, resource, and which commands need it.
const PERMISSIONS: [(&str, &str, &str, &str); 6] = [
    ("list", "glidepath.dev", "rollouts", "get, list"),
    ("watch", "glidepath.dev", "rollouts", "--watch, --wait"),
    ("patch", "glidepath.dev", "rollouts", "set image"),
    ("create", "glidepath.dev", "rolloutcommands", "promote, abort, pause, resume, retry, undo"),
    ("list", "apps", "replicasets", "the pods in status"),
    ("patch", "apps", "deployments", "set image with workloadRef"),
];

/// Runs the checks; each is printed as soon as it is known.
pub async fn run(args: Args, global: &Global) -> Result<Exit, CliError> {
    let mut all = Tally { paint: Paint { on: global.color_on() }, wrong: 0 };
    match connect(global).await {
        Ok(connection) => cluster(&connection, &mut all).await?,
        Err(CliError::Kubeconfig(why)) => all.tell(&[no_kubeconfig(&why)])?,
        Err(error) => return Err(error),
    }
    all.tell(trust_check().as_slice())?;
    if let Some(address) = args.prometheus.clone() {
        all.tell(&[prometheus(args.credentials.clone().at(address)).await])?;
    } else {
        all.tell(&[Check::absent("Prometheus not checked", "set --prometheus URL to check it from here")])?;
    }
    Ok(if all.wrong == 0 { Exit::Done } else { Exit::Failed })
}

/// What a cluster has, if it can be reached.
async fn cluster(connection: &Connection, all: &mut Tally) -> Result<(), CliError> {
    let server = api_server(connection).await;
    let reachable = server.mark == Mark::Well;
    all.tell(&[server])?;
    if reachable {
        all.tell(&[kinds(connection).await])?;
        all.tell(&[controller(connection, now()).await])?;
        all.tell(&permissions(connection).await)?;
        let rollouts = routers::rollouts(connection).await;
        all.tell(&routers::checks(connection, &rollouts).await)?;
        all.tell(&istio::checks(connection, &rollouts).await)?;
        all.tell(&linkerd::checks(connection, &rollouts).await)?;
        all.tell(&route_objects::checks(connection, &rollouts).await)?;
    }
    Ok(())
}

fn no_kubeconfig(why: &str) -> Check {
    let todo = format!(
        "set --kubeconfig, --context or KUBECONFIG; without a cluster there are '{0} demo' and '{0} local'",
        program()
    );
    Check::wrong(format!("cannot read a kubeconfig: {why}"), todo)
}

/// Prints and counts.
struct Tally {
    paint: Paint,
    wrong: usize,
}

impl Tally {
    fn tell(&mut self, checks: &[Check]) -> Result<(), CliError> {
        self.wrong += checks.iter().filter(|check| check.mark == Mark::Wrong).count();
        print(&checks.iter().map(|check| line(check, self.paint)).collect::<String>())
    }
}

fn line(check: &Check, paint: Paint) -> String {
    let mark = match check.mark {
        Mark::Well => paint.text(Tone::Good, "✓"),
        Mark::Wrong => paint.text(Tone::Bad, "✗"),
        Mark::Absent => paint.text(Tone::Dim, "·"),
    };
    let todo = check.todo.as_deref().map(|todo| format!("\n    {todo}")).unwrap_or_default();
    format!("{mark} {}{todo}\n", check.what)
}

async fn api_server(connection: &Connection) -> Check {
    match connection.version().await {
        Ok(version) => Check::well(format!("API server {} is reachable, version {}", connection.address, version)),
        Err(error) => Check::wrong(
            no_version(&connection.address, &error),
            "check the kubeconfig (--kubeconfig, --context), the network and your login",
        ),
    }
}

fn no_version(address: &str, error: &kube::Error) -> String {
    let is_path = matches!(error, kube::Error::Api(status) if is_unknown_path(status));
    match foreign(error).or(is_path.then(|| "404 page not found".to_owned())) {
        Some(what) => format!("{address} does not answer as a Kubernetes API server: it answered {what}"),
        None => format!("API server {address} does not respond: {}", excerpt(&innermost(error))),
    }
}

async fn kinds(connection: &Connection) -> Check {
    let served = connection.client.list_api_group_resources(GROUP_VERSION).await;
    let served: Vec<String> =
        served.map(|list| list.resources.into_iter().map(|r| r.kind).collect()).unwrap_or_default();
    kinds_check(&served)
}

fn kinds_check(served: &[String]) -> Check {
    let missing: Vec<&str> = KINDS.into_iter().filter(|kind| !served.iter().any(|s| s == kind)).collect();
    if missing.is_empty() {
        return Check::well(format!("CRDs of {GROUP_VERSION} are served ({} kinds)", KINDS.len()));
    }
    let todo = format!("install them: {} crds | kubectl apply --server-side -f -", program());
    Check::wrong(format!("CRDs missing: {}", missing.join(", ")), todo)
}

async fn controller(connection: &Connection, now: Timestamp) -> Check {
    let leases: Api<Lease> = Api::all(connection.client.clone());
    match leases.list(&ListParams::default()).await {
        Ok(list) => controller_check(&list.items, now),
        Err(error) => Check::absent(
            format!("controller not checked: {}", CliError::kube("list Leases", &error)),
            "this needs permission to list leases.coordination.k8s.io",
        ),
    }
}

/// A Lease whose name begins with `glidepath` and that was renewed within its own duration.
fn controller_check(leases: &[Lease], now: Timestamp) -> Check {
    let start = format!(
        "kubectl apply --server-side -k deploy/crds, then -k deploy/, installs the controller; '{} controller' runs it from here",
        program()
    );
    let ours = leases.iter().filter(|lease| lease.name_any().starts_with("glidepath"));
    let renewed = |lease: &Lease| lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref()).map(|at| at.0);
    let Some(lease) = ours.max_by_key(|lease| renewed(lease)) else {
        return Check::wrong("no controller: there is no Lease", start);
    };
    let place = format!("{}/{}", lease.namespace().unwrap_or_default(), lease.name_any());
    let spec = lease.spec.clone().unwrap_or_default();
    let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
    let valid = SignedDuration::from_secs(i64::from(spec.lease_duration_seconds.unwrap_or(15)));
    match (holder, renewed(lease)) {
        (Some(holder), Some(at)) if now.duration_since(at) <= valid => {
            Check::well(format!("controller {holder} holds Lease {place}"))
        }
        (_, Some(at)) => {
            let ago = phrases::short(now.duration_since(at));
            Check::wrong(
                format!("no controller: Lease {place} was renewed {ago} ago"),
                format!("check its pods' logs; {start}"),
            )
        }
        _ => Check::wrong(format!("no controller: Lease {place} has no holder"), start),
    }
}

async fn permissions(connection: &Connection) -> Vec<Check> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(connection.client.clone());
    let mut checks = Vec::with_capacity(PERMISSIONS.len());
    for (verb, group, resource, used_by) in PERMISSIONS {
        let attributes = ResourceAttributes {
            namespace: Some(connection.namespace.clone()),
            verb: Some(verb.into()),
            group: Some(group.into()),
            resource: Some(resource.into()),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let answer = reviews.create(&PostParams::default(), &review).await;
        let allowed = answer.map(|review| review.status.is_some_and(|status| status.allowed));
        let what = format!("{verb} {resource}.{group} in namespace \"{}\" ({used_by})", connection.namespace);
        checks.push(match allowed {
            Ok(true) => Check::well(format!("you may {what}")),
            Ok(false) => Check::wrong(
                format!("you may not {what}"),
                "you need the role glidepath-edit, or -view for read access",
            ),
            Err(error) => {
                Check::wrong(format!("cannot check whether you may {what}: {}", innermost(&error)), "log in again")
            }
        });
    }
    checks
}

/// Asks as the controller does.
async fn prometheus(named: OwnPrometheus) -> Check {
    let address = shown(&named.address);
    let wrong = |why: String| {
        Check::wrong(
            format!("cannot query Prometheus at {address} ({why})"),
            "check the address; Rollouts use spec.analysis.prometheus.address, else the controller's --prometheus",
        )
    };
    if let Err(error) = named.check().await {
        return wrong(error.to_string());
    }
    let controller = RunPrometheus::controller();
    let servers = Servers::new(Outbound::default(), Some(named), Arc::new(NoSecrets), Duration::from_secs(5));
    let server = match servers.find(&Asking { namespace: "", prometheus: &controller }).await {
        Ok(server) => server,
        Err(error) => return wrong(error.to_string()),
    };
    match ask(&server).await {
        Ok(()) => Check::well(format!("Prometheus at {address} answers queries")),
        Err(why) => wrong(why),
    }
}

/// A query whose answer is known: a page that says 200 to everything is no Prometheus.
async fn ask(server: &Server) -> Result<(), String> {
    const LARGEST: usize = 64 << 10;
    let answer = server.query(&[("query", "vector(1)")]).await.map_err(|unsent| unsent.to_string())?;
    let status = answer.status().as_u16();
    let body = bounded(answer, LARGEST).await.map_err(|trouble| trouble.to_string())?;
    let samples = read_answer(status, &body).map_err(|error| error.to_string())?;
    let is_one = matches!(samples.as_slice(), [(_, value)] if *value == 1.0);
    is_one.then_some(()).ok_or_else(|| "it does not answer the query 'vector(1)' with 1".to_owned())
}

/// The trust anchors of HTTPS, if they are not the expected ones.
fn trust_check() -> Option<Check> {
    let todo = "install ca-certificates, or set SSL_CERT_FILE to a bundle";
    let what = "no CA certificates on this machine: HTTPS trusts the Mozilla roots built into this binary";
    (!trust::has_system_roots()).then(|| Check::absent(what, todo))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples::{NOW, ago};
    use serde_json::json;
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{body_string_contains, method, path},
    };

    fn lease(name: &str, holder: &str, seconds: i64) -> Lease {
        let renewed = ago(seconds).strftime("%Y-%m-%dT%H:%M:%S.000000Z").to_string();
        serde_json::from_value(json!({
            "metadata": { "name": name, "namespace": "glidepath-system" },
            "spec": { "holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed }
        }))
        .unwrap()
    }

    #[test]
    fn each_check_says_what_to_do() {
        let plain = Paint { on: false };
        let served: Vec<String> = KINDS.iter().map(ToString::to_string).collect();
        let checks = [
            kinds_check(&served),
            kinds_check(&served[..3]),
            controller_check(&[lease("glidepath", "pod-1", 3), lease("other", "x", 1)], NOW),
            controller_check(&[lease("glidepath", "pod-1", 300)], NOW),
            controller_check(&[lease("other", "x", 1)], NOW),
            no_kubeconfig("/home/ann/.kube/config: No such file or directory (os error 2)"),
            Check::absent("Prometheus not checked", "set --prometheus URL to check it from here"),
        ];
        insta::assert_snapshot!("doctor_lines", checks.iter().map(|check| line(check, plain)).collect::<String>());
    }

    #[tokio::test]
    async fn prometheus_is_asked_a_query() {
        let server = MockServer::start().await;
        let asked = Mock::given(method("POST")).and(path("/api/v1/query")).and(body_string_contains("query=vector"));
        let one = json!({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1.5, "1"]}]}});
        asked.respond_with(ResponseTemplate::new(200).set_body_json(one)).mount(&server).await;
        let page = Mock::given(path("/portal/api/v1/query"));
        page.respond_with(ResponseTemplate::new(200).set_body_string("<html>Welcome</html>")).mount(&server).await;
        let ask = async |address: String| prometheus(Credentials::default().at(address)).await;
        assert_eq!(ask(server.uri()).await.mark, Mark::Well);
        assert_eq!(ask(format!("{}/elsewhere", server.uri())).await.mark, Mark::Wrong);
        let page = ask(format!("{}/portal", server.uri())).await;
        assert!(page.mark == Mark::Wrong && page.what.contains("not like a Prometheus"), "{page:?}");
        let refused = ask("http://127.0.0.1:1".into()).await;
        assert!(
            refused.mark == Mark::Wrong && refused.what.contains("127.0.0.1:1 (connection refused)"),
            "{refused:?}"
        );
        let published = ask("http://admin:hunter2@127.0.0.1:1".into()).await;
        let wrong = published.mark == Mark::Wrong && published.what.contains("must not contain credentials");
        assert!(wrong && !published.what.contains("hunter2"), "{published:?}");
    }
}
