//! One call to the API server: with a deadline, its failure as the engine's error, and writes only by the leader.

use std::{future::Future, time::Duration};

use kube::core::Status;

use super::{chain::chain, fence::Fence};
use crate::{api::reason::Reason, ports::WorldError};

/// No call of ours takes longer: the client itself has no read timeout and retries up to 15 times inside one call.
const DEADLINE: Duration = Duration::from_secs(15);

/// The API's own reasons besides those that have a code below. An admission webhook may write anything there.
const REASONS: [Reason; 10] = [
    Reason::Unauthorized,
    Reason::Gone,
    Reason::Expired,
    Reason::BadRequest,
    Reason::MethodNotAllowed,
    Reason::NotAcceptable,
    Reason::RequestEntityTooLarge,
    Reason::UnsupportedMediaType,
    Reason::Invalid,
    Reason::AlreadyExists,
];

/// A write: only while this process may write, and no longer. The request is not sent before it is awaited here.
pub async fn fenced<T>(
    fence: &Fence,
    what: &str,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, WorldError> {
    tokio::select! {
        biased;
        () = fence.closed() => Err(not_leading(what)),
        answer = answered(what, request) => answer,
    }
}

/// Why a process that does not lead does nothing.
pub fn not_leading(what: &str) -> WorldError {
    WorldError::Transient(format!("{what}: not sent, this process is not the leader"))
}

/// One read: an object that is not there is `None`.
pub async fn read<T>(
    what: &str,
    request: impl Future<Output = kube::Result<Option<T>>>,
) -> Result<Option<T>, WorldError> {
    answered(what, request).await
}

async fn answered<T>(what: &str, request: impl Future<Output = kube::Result<T>>) -> Result<T, WorldError> {
    match tokio::time::timeout(DEADLINE, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(from_kube(what, &error)),
        Err(_) => Err(WorldError::Transient(format!("{what}: no response from the API server within 15 s"))),
    }
}

/// Whether the failure means that the object is not there (any more).
pub fn is_missing(error: &WorldError) -> bool {
    matches!(error, WorldError::Refused { reason, .. } if *reason == Reason::NotFound)
}

fn from_kube(what: &str, error: &kube::Error) -> WorldError {
    match error {
        kube::Error::Api(status) => from_status(what, status),
        other => WorldError::Transient(format!("{what}: {}", chain(other))),
    }
}

/// A conflict is a lost race, overload and server errors are transient, everything else needs an operator.
pub fn from_status(what: &str, status: &Status) -> WorldError {
    let message = format!("{what}: {}", status.message);
    match status.code {
        409 => WorldError::Conflict(message),
        408 | 429 | 500..=599 => WorldError::Transient(message),
        403 if status.message.contains("exceeded quota") => refused(Reason::QuotaExceeded, message),
        403 => refused(Reason::Forbidden, message),
        404 => refused(Reason::NotFound, message),
        422 => refused(Reason::InvalidObject, message),
        _ => {
            let known = REASONS.iter().find(|reason| reason.as_str() == status.reason);
            refused(known.cloned().unwrap_or(Reason::WriteRefused), message)
        }
    }
}

fn refused(reason: Reason, message: String) -> WorldError {
    WorldError::Refused { reason, message }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::time::Instant;

    use super::*;
    use crate::cluster::fence::Term;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A request that is answered after this long, and whether it was sent.
    async fn request(sent: &AtomicBool, takes: Duration) -> kube::Result<()> {
        sent.store(true, Ordering::Relaxed);
        tokio::time::sleep(takes).await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn c6_nothing_is_sent_by_a_process_whose_lease_has_run_out() {
        let (fence, sent) = (Fence::default(), AtomicBool::new(false));
        fence.hold(Term(1), Instant::now() + s(10));
        fenced(&fence, "write", request(&sent, s(1))).await.unwrap();
        sent.store(false, Ordering::Relaxed);
        tokio::time::advance(s(9)).await;
        let refused = fenced(&fence, "write", request(&sent, s(1))).await.unwrap_err();
        assert_eq!(refused, WorldError::Transient("write: not sent, this process is not the leader".into()));
        assert!(!sent.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn c6_a_write_under_way_is_dropped_when_the_lease_is_lost_and_kept_while_it_is_renewed() {
        let (fence, sent) = (Fence::default(), AtomicBool::new(false));
        let began = Instant::now();
        fence.hold(Term(1), began + s(10));
        let lost = async {
            tokio::time::sleep(s(2)).await;
            fence.close();
        };
        let (answer, ()) = tokio::join!(fenced(&fence, "write", request(&sent, s(8))), lost);
        assert!(answer.is_err() && began.elapsed() == s(2), "{answer:?} after {:?}", began.elapsed());

        fence.hold(Term(1), Instant::now() + s(10));
        let renewed = async {
            tokio::time::sleep(s(8)).await;
            fence.hold(Term(1), Instant::now() + s(10));
        };
        let (slow, ()) = tokio::join!(fenced(&fence, "write", request(&sent, s(12))), renewed);
        assert!(slow.is_ok(), "a slow admission webhook: {slow:?}");
    }

    /// Every call of a client that changes something is within `self.write(` or `fenced(`.
    #[test]
    fn c6_no_write_goes_past_the_door() {
        let calls = ["create", "patch", "patch_status", "replace", "replace_status", "delete", "evict", "publish"];
        let calls = calls.iter().flat_map(|call| ["api", "recorder", "namespace)"].map(|on| format!("{on}.{call}(")));
        // A raw request that is written here; the watches and `first_look.rs` only read by them.
        let calls: Vec<_> = calls.chain(["self.client.request_text(request)".to_owned()]).collect();
        let mut found = 0;
        // The other subfolders are those of the watches and the tables, which write nothing.
        let folders =
            ["/src/cluster", "/src/cluster/policies"].map(|folder| format!("{}{folder}", env!("CARGO_MANIFEST_DIR")));
        for file in folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
            let Ok(text) = std::fs::read_to_string(file.unwrap().path()) else { continue };
            let code: String = text.split("#[cfg(test)]").next().unwrap().split_whitespace().collect();
            for call in &calls {
                for (at, _) in code.match_indices(call) {
                    let statement = &code[code[..at].rfind(';').unwrap_or(0)..at];
                    let inside = statement.contains("self.write(") || statement.contains("fenced(");
                    assert!(inside, "{call} past the door: {statement}");
                    found += 1;
                }
            }
        }
        assert!(found >= 15, "only {found} writes found: does this test still know them?");
    }

    #[test]
    fn failures_are_races_passing_or_for_people() {
        let cases = [
            (409, "the object has been modified", "conflict"),
            (429, "too many requests", "transient"),
            (500, "etcd leader changed", "transient"),
            (503, "unavailable", "transient"),
            (403, "pods \"a\" is forbidden: exceeded quota: q", "QuotaExceeded"),
            (403, "cannot patch", "Forbidden"),
            (422, "spec.template.spec.containers: Required value", "InvalidObject"),
            (404, "not found", "NotFound"),
        ];
        for (code, message, expected) in cases {
            let status = Status { code, message: message.into(), ..Status::default() };
            let got = match from_status("create x", &status) {
                WorldError::Conflict(_) => "conflict".to_owned(),
                WorldError::Transient(_) | WorldError::Interrupted(_) | WorldError::NotReady(_) => {
                    "transient".to_owned()
                }
                WorldError::Refused { reason, message: text } => {
                    assert!(text.contains(message), "{text}");
                    reason.to_string()
                }
            };
            assert_eq!(got, expected, "{code} {message}");
        }
    }
}
