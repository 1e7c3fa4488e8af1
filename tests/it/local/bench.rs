//! What the tests of `glidepath local` are made of: services with configured responses, the program itself, and
//! callers.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::Duration,
};

use glidepath::local::serve::Server;
use http_body_util::{BodyExt, Empty, Full};
use hyper::{Request, Response, body::Bytes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{net::TcpListener, sync::Semaphore};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(90);

/// A version of a service at one address.
pub struct Service {
    address: SocketAddr,
    server: Option<Server>,
    counts: Arc<Counts>,
}

/// What a service has seen.
struct Counts {
    own: AtomicU64,
    copies: AtomicU64,
    asked_slow: Semaphore,
    may_answer: Semaphore,
}

impl Service {
    /// Answers with its version; every so many answers are errors, none for 0.
    pub async fn start(version: &'static str, bad_every: u64) -> Service {
        let counts = Counts {
            own: AtomicU64::new(0),
            copies: AtomicU64::new(0),
            asked_slow: Semaphore::new(0),
            may_answer: Semaphore::new(0),
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut service = Service { address, server: None, counts: Arc::new(counts) };
        service.restart(version, bad_every).await;
        service
    }

    /// Another version at the same address.
    pub async fn restart(&mut self, version: &'static str, bad_every: u64) {
        self.stop().await;
        let listener = TcpListener::bind(self.address).await.unwrap();
        let counts = self.counts.clone();
        let server =
            Server::on(listener, None, move |request| answer(counts.clone(), request, version, bad_every)).unwrap();
        self.address = server.address;
        self.server = Some(server);
    }

    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.drain().await;
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests that a user got an answer to.
    pub fn own_requests(&self) -> u64 {
        self.counts.own.load(Ordering::SeqCst)
    }

    /// Copies of requests to the other version.
    pub fn copies(&self) -> u64 {
        self.counts.copies.load(Ordering::SeqCst)
    }

    /// Waits until a user has asked for `/slow`.
    pub async fn until_asked_slowly(&self) {
        self.counts.asked_slow.acquire().await.unwrap().forget();
    }

    /// Lets `/slow` be answered.
    pub fn answer_slowly(&self) {
        self.counts.may_answer.add_permits(1);
    }
}

async fn answer(
    counts: Arc<Counts>,
    request: Request<hyper::body::Incoming>,
    version: &'static str,
    bad_every: u64,
) -> Response<Full<Bytes>> {
    if request.uri().path() == "/healthz" {
        return Response::new(Full::default());
    }
    if request.uri().path() == "/slow" {
        counts.asked_slow.add_permits(1);
        counts.may_answer.acquire().await.unwrap().forget();
    }
    let copied = request.headers().contains_key("x-glidepath-mirror");
    let number = if copied { &counts.copies } else { &counts.own }.fetch_add(1, Ordering::SeqCst);
    let mut response = Response::new(Full::new(Bytes::from(version)));
    response.headers_mut().insert("x-version", version.parse().unwrap());
    if bad_every > 0 && number.is_multiple_of(bad_every) {
        *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
    }
    response
}

/// A file, a state folder, and the commands on what runs there.
pub struct Bench {
    folder: tempfile::TempDir,
}

/// How a command ended.
pub struct Said {
    pub code: i32,
    pub text: String,
}

impl Bench {
    pub fn new(file: &str) -> Bench {
        let bench = Bench { folder: tempfile::tempdir().unwrap() };
        bench.write(file);
        bench
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("rollout.yaml")
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Replaces the file as a whole, as editors do.
    pub fn write(&self, text: &str) {
        let new = self.folder.path().join("rollout.yaml.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.file()).unwrap();
    }

    fn program() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glidepath"));
        command.env_remove("KUBECONFIG").env("NO_COLOR", "1");
        command
    }

    fn local(&self, stable: &Service, canary: &Service, listen: &str, more: &[&str]) -> Command {
        let mut command = Self::program();
        command.arg("local").arg("-f").arg(self.file()).arg("--state-dir").arg(self.state());
        command.args(["--stable", &stable.url(), "--canary", &canary.url(), "--listen", listen]).args(more);
        command
    }

    /// Starts the program on a free port.
    pub fn start(&self, stable: &Service, canary: &Service, more: &[&str]) -> Local {
        Local::start(self.local(stable, canary, "127.0.0.1:0", more))
    }

    /// What it says when it cannot begin.
    pub fn refused(&self, stable: &Service, canary: &Service, listen: &str) -> String {
        let output = self.local(stable, canary, listen, &[]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        text
    }

    /// A command on what runs in this folder.
    pub fn glidepath(&self, words: &str) -> Said {
        let output = Self::program().args(words.split_whitespace()).arg("--local").arg(self.state()).output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Said { code: output.status.code().unwrap_or(-1), text }
    }

    /// The Rollout.
    pub fn rollout(&self) -> serde_json::Value {
        serde_json::from_str(&self.glidepath("get web -o json").text).unwrap()
    }

    /// The messages of all events.
    pub fn events(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.state().join("events")).unwrap().map(|entry| entry.unwrap().path());
        let whole = files.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
        whole
            .map(|path| {
                let event: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
                event["message"].as_str().unwrap().to_owned()
            })
            .collect()
    }
}

/// The running program.
pub struct Local {
    child: Child,
    lines: Receiver<String>,
    read: String,
    address: SocketAddr,
}

impl Local {
    pub fn start(mut command: Command) -> Local {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let address = SocketAddr::from(([0; 4], 0));
        let mut local = Local { child, lines, read: String::new(), address };
        let first = local.until("clients use http://");
        local.address = first.rsplit("http://").next().unwrap().parse().unwrap();
        local.until("Ctrl-C stops it");
        local
    }

    /// Where callers send their requests.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was printed and read so far.
    pub fn read(&self) -> &str {
        &self.read
    }

    /// Reads lines until one has this in it, which is given.
    pub fn until(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(LONG) {
                Ok(line) => {
                    self.read += &format!("{line}\n");
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no line with \"{text}\" in:\n{}", self.read)
                }
            }
        }
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ctrl-C, after which it ends in order.
    pub fn end(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        while let Ok(line) = self.lines.recv_timeout(LONG) {
            self.read += &format!("{line}\n");
        }
        assert!(
            status.success() && self.read.contains("stopped: all requests were completed"),
            "{status}: {}",
            self.read
        );
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // Only a test that failed leaves it running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Caller = Client<HttpConnector, Empty<Bytes>>;

fn caller() -> Caller {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Sends so many requests with this header line, sixteen at a time, and counts the answers by version.
pub async fn ask(address: SocketAddr, count: u64, header: &str) -> BTreeMap<String, u64> {
    const AT_ONCE: u64 = 16;
    let client = caller();
    let left = Arc::new(AtomicU64::new(count));
    let asking = (0..AT_ONCE.min(count)).map(|_| {
        let (client, left, header) = (client.clone(), left.clone(), header.to_owned());
        tokio::spawn(async move {
            let mut seen: BTreeMap<String, u64> = BTreeMap::new();
            while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                let response = send(&client, address, "/", &header).await;
                let version = response.headers().get("x-version").map_or("none", |value| value.to_str().unwrap());
                *seen.entry(version.to_owned()).or_default() += 1;
                response.into_body().collect().await.unwrap();
            }
            seen
        })
    });
    let mut all = BTreeMap::new();
    for seen in asking.collect::<Vec<_>>() {
        for (version, count) in seen.await.unwrap() {
            *all.entry(version).or_default() += count;
        }
    }
    all
}

async fn send(client: &Caller, address: SocketAddr, path: &str, header: &str) -> Response<hyper::body::Incoming> {
    let mut request = Request::get(format!("http://{address}{path}"));
    if let Some((name, value)) = header.split_once(": ") {
        request = request.header(name, value);
    }
    client.request(request.body(Empty::new()).unwrap()).await.unwrap()
}

/// The body of one answer.
pub async fn get(address: SocketAddr, path: &str) -> String {
    let response = send(&caller(), address, path, "").await;
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// One visit with these cookies: the version that answered, and the cookie header that it asks to be sent from then on.
pub async fn visit(address: SocketAddr, cookie: &str) -> (String, String) {
    let response = send(&caller(), address, "/", cookie).await;
    let text = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let kept = text("set-cookie").map(|set| format!("cookie: {}", set.split(';').next().unwrap()));
    (text("x-version").unwrap(), kept.unwrap_or_default())
}

/// Whether so many of `all` are within five standard deviations of what this share gives.
pub fn is_binomial(count: u64, all: u64, share: f64) -> bool {
    let (count, all) = (count as f64, all as f64);
    (count - all * share).abs() <= 5.0 * (all * share * (1.0 - share)).sqrt()
}
