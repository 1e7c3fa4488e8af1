//! The real binary on a machine without CA certificates, as slim images are (C1): it starts, says what it trusts, and asks
//! by HTTP as ever.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

const WORDS: &str = "no CA certificates on this machine";

/// The binary with an empty trust store and an API server that does not answer.
fn bare(folder: &Path) -> Command {
    let kubeconfig = folder.join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
         contexts: [{{name: here, context: {{cluster: here, user: me}}}}]\n\
         users: [{{name: me, user: {{token: t}}}}]\n\
         clusters: [{{name: here, cluster: {{server: 'http://{}'}}}}]\n",
        closed()
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let empty = folder.join("certs");
    std::fs::create_dir_all(&empty).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_glidepath"));
    command.env_clear().env("KUBECONFIG", kubeconfig).env("SSL_CERT_DIR", &empty);
    command.env("SSL_CERT_FILE", empty.join("none.pem")).env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A free address, which no one listens at any more.
fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
    let mut answer = [0; 12];
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
    stream.read_exact(&mut answer).is_ok() && &answer == b"HTTP/1.1 200"
}

#[tokio::test]
async fn c1_the_controller_starts_without_ca_certificates_and_says_whom_it_trusts() {
    let folder = tempfile::tempdir().unwrap();
    let listen = closed();
    let mut command = bare(folder.path());
    let mut controller = command.args(["controller", "--listen", &listen.to_string()]).spawn().unwrap();
    for _ in 0..1200 {
        if answers(listen) || controller.try_wait().unwrap().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (serves, ended) = (answers(listen), controller.try_wait().unwrap());
    controller.kill().unwrap();
    let output = controller.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(serves && ended.is_none(), "{ended:?}\n{told}");
    assert_eq!(told.matches(WORDS).count(), 1, "{told}");
}

/// Answers every request as Prometheus answers `vector(1)`.
fn prometheus() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let body =
                r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1.5,"1"]}]}}"#;
            let (mut read, length) = ([0; 4096], body.len());
            drop(stream.read(&mut read));
            drop(write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"));
        }
    });
    address
}

#[test]
fn c1_doctor_asks_prometheus_by_http_without_ca_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("http://{}", prometheus());
    let output = bare(folder.path()).args(["doctor", "--prometheus", &address]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains(&format!("✓ Prometheus at {address} answers queries")), "{told}");
    assert!(told.contains(WORDS) && told.contains("install ca-certificates"), "{told}");
}

/// H9: an address with a password would be in every message; it is refused before anything is asked.
#[test]
fn h9_the_controller_does_not_start_with_credentials_in_its_prometheus_address() {
    let folder = tempfile::tempdir().unwrap();
    let address = "http://admin:hunter2@prometheus:9090";
    let output = bare(folder.path()).args(["controller", "--prometheus", address]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("--prometheus must not contain credentials") && !told.contains("hunter2"), "{told}");
}
