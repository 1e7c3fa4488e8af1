//! HTTP without sockets: a connection takes a client's requests and gives them to the cluster, which may delay, refuse
//! or lose them. What was sent arrives, also when the client has given up in the meantime.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    http::{Method, Request, Response, header},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::sleep};
use tower::Service;

use super::{
    checks::Write,
    cluster::{FaultyCluster, Inner},
    kinds::KINDS,
    roles,
    verbs::{self, Answer, Call, Refusal},
    watching,
};

/// One process's way to the API server.
#[derive(Clone)]
pub struct Connection {
    pub cluster: Arc<FaultyCluster>,
    /// Which process, and which of its lives.
    pub process: usize,
    pub life: u32,
}

impl Service<Request<kube::client::Body>> for Connection {
    type Response = Response<Body>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Response<Body>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let (answered, answer) = oneshot::channel();
        let connection = self.clone();
        tokio::spawn(async move {
            let mut answered = answered;
            match connection.carry(request).await {
                Ok(response) => drop(answered.send(response)),
                Err(Gone::Silently) => answered.closed().await,
                Err(Gone::Reset) => {}
            }
        });
        Box::pin(async move { answer.await.map_err(|_| std::io::ErrorKind::ConnectionReset.into()) })
    }
}

/// Why no answer comes.
enum Gone {
    /// No one says so.
    Silently,
    /// The connection broke.
    Reset,
}

impl Connection {
    async fn carry(self, request: Request<kube::client::Body>) -> Result<Response<Body>, Gone> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Gone::Reset)?.to_bytes();
        let sent = self.cluster.now();
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default();
        let Some(mut call) = read(&parts.method, &path, query) else {
            self.travel(sent, Duration::from_millis(2)).await?;
            let answer = self.cluster.with(|c| discover(c, &path));
            return Ok(self.response(answer));
        };
        let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        call.content_type = content_type.unwrap_or_default().to_owned();
        call.body = serde_json::from_slice(&body).unwrap_or_default();
        let fate = self.fate(sent, &call);
        self.travel(sent, fate.there).await?;
        if fate.request_lost || self.cluster.with(|c| c.killed.contains(&(self.process, self.life))) {
            self.cluster.note(format!("{} {} lost", self.process, shown(&call)));
            return Err(Gone::Silently);
        }
        if let Some(code) = fate.refused {
            self.cluster.note(format!("{} {} {code} (fault)", self.process, shown(&call)));
            let refusal = Refusal::new(code, "Fault", "the server is not well");
            return Ok(self.response(Err(refusal)));
        }
        if let Some(lacks) = roles::lacks(&call) {
            self.cluster.with(|c| c.checks.wrong.push(lacks.clone()));
            return Ok(self.response(Err(Refusal::new(403, "Forbidden", lacks))));
        }
        if call.is_watch() {
            let served = self.cluster.with(|c| not_served(c, &call));
            return Ok(match served {
                Some(refusal) => self.response(Err(refusal)),
                None => Response::new(watching::open(&self.cluster, self.process, call)),
            });
        }
        let answer = self.arrive(sent, &call);
        let arrived = self.cluster.now();
        if fate.answer_lost {
            return Err(Gone::Silently);
        }
        self.travel(arrived, fate.back).await?;
        Ok(self.response(answer))
    }

    fn fate(&self, sent: Duration, call: &Call) -> super::faults::Fate {
        let about = shown(call);
        self.cluster.with(|c| {
            let count = c.counts.entry((self.process, about.clone())).or_default();
            *count += 1;
            c.faults.fate(sent, self.process, call, &about, *count)
        })
    }

    /// Time passes on the way; longer where the process is cut off. An API server that ends in the meantime breaks the
    /// connection.
    async fn travel(&self, from: Duration, takes: Duration) -> Result<(), Gone> {
        sleep((from + takes).saturating_sub(self.cluster.now())).await;
        loop {
            let now = self.cluster.now();
            match self.cluster.with(|c| c.faults.held_until(now, self.process)) {
                Some(until) => sleep(until - now).await,
                None if self.cluster.is_cut(from) => return Err(Gone::Reset),
                None => return Ok(()),
            }
        }
    }

    /// The moment at which a request takes effect, and at which what it did is checked.
    fn arrive(&self, sent: Duration, call: &Call) -> Answer {
        let (time, now) = (self.cluster.time(), self.cluster.now());
        self.cluster.with(|c| {
            if let Some(refusal) = not_served(c, call) {
                return Err(refusal);
            }
            let before = c.store.get(&call.key()).cloned();
            let answer = verbs::serve(&mut c.store, &mut c.applied, call, time);
            c.requested += 1;
            let code = answer.as_ref().map_or_else(|refusal| refusal.code, |(code, _)| *code);
            c.told.push(format!("{:9.3} {} {} {code}", now.as_secs_f64(), self.process, shown(call)));
            match &answer {
                Ok((_, object)) if call.is_write() => {
                    let process = self.process;
                    let write = Write { process, sent, now, call, before: before.as_deref(), after: object };
                    let Inner { checks, store, .. } = c;
                    checks.written(store, &write);
                }
                Ok((_, answer)) => c.checks.read(self.process, call, answer, now),
                Err(_) => {}
            }
            answer
        })
    }

    fn response(&self, answer: Answer) -> Response<Body> {
        let (code, body) = answer.unwrap_or_else(|refusal| (refusal.code, refusal.body()));
        let date = self.cluster.time().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let mut response = Response::builder().status(code).header(header::DATE, date);
        if code == 429 {
            response = response.header(header::RETRY_AFTER, "1");
        }
        response.body(Body::from(body.to_string())).unwrap()
    }
}

fn not_served(cluster: &Inner, call: &Call) -> Option<Refusal> {
    let refused = cluster.unserved.contains(&call.kind.plural);
    refused.then(|| Refusal::new(404, "NotFound", "the server could not find the requested resource"))
}

/// `patch rollouts/web/status`.
pub fn shown(call: &Call) -> String {
    let name = match call.body.pointer("/metadata/name").and_then(Value::as_str) {
        // kube names an Event by the machine's own time, which no seed reaches.
        _ if call.kind.plural == "events" => "",
        Some(name) if call.name.is_empty() => name,
        _ => call.name.as_str(),
    };
    let parts = [call.kind.plural, name, call.subresource.as_str()];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{} {}", call.verb(), parts.join("/"))
}

/// A request's path and query; `None` for what is no resource.
fn read(method: &Method, path: &str, query: &str) -> Option<Call> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return None,
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        rest => ("", rest),
    };
    let plural = *rest.first()?;
    let kind = KINDS.iter().find(|kind| (kind.group, kind.version, kind.plural) == (group, version, plural))?;
    let text = |index: usize| rest.get(index).copied().unwrap_or_default().to_owned();
    Some(Call {
        method: method.clone(),
        kind,
        namespace: namespace.to_owned(),
        name: text(1),
        subresource: text(2),
        query: pairs(query),
        content_type: String::new(),
        body: Value::Null,
    })
}

fn pairs(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = std::str::from_utf8(tail.get(..2).unwrap_or_default()).ok();
        match (first, code.and_then(|code| u8::from_str_radix(code, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(*first),
        }
        rest = tail;
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// `/version` and what `/apis` says about groups.
fn discover(cluster: &Inner, path: &str) -> Answer {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let served = || KINDS.iter().filter(|kind| !cluster.unserved.contains(&kind.plural));
    let group = |name: &str| {
        let mut versions: Vec<&str> = served().filter(|kind| kind.group == name).map(|kind| kind.version).collect();
        versions.dedup();
        let versions: Vec<Value> = versions
            .iter()
            .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
            .collect();
        json!({"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": versions,
            "preferredVersion": versions.first()})
    };
    let body = match parts.as_slice() {
        ["version"] => {
            json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0", "gitCommit": "", "gitTreeState": "",
            "buildDate": "", "goVersion": "", "compiler": "", "platform": ""})
        }
        ["apis"] => {
            let mut names: Vec<&str> = served().map(|kind| kind.group).filter(|name| !name.is_empty()).collect();
            names.dedup();
            let groups: Vec<Value> = names.into_iter().map(group).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        ["apis", name] if served().any(|kind| kind.group == *name) => group(name),
        ["apis", name, version] if served().any(|kind| (kind.group, kind.version) == (*name, *version)) => {
            let kinds = served().filter(|kind| (kind.group, kind.version) == (*name, *version));
            let resources: Vec<Value> = kinds
                .map(|kind| {
                    json!({"name": kind.plural, "singularName": "", "namespaced": kind.namespaced, "kind": kind.kind,
                    "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]})
                })
                .collect();
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{name}/{version}"),
                "resources": resources})
        }
        _ => return Err(Refusal::new(404, "NotFound", "the server could not find the requested resource")),
    };
    Ok((200, body))
}
