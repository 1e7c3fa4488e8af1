//! Actions as the debug log shows them: kind and object. Never addresses, arguments and header values, which may hold
//! secrets.

use crate::engine::Action;

/// The action's kind and the object that it is about.
pub fn described(action: &Action) -> String {
    match action {
        Action::EnsureRevision { id, number, replicas } => {
            format!("EnsureRevision {id} number={number} replicas={replicas}")
        }
        Action::EnsureReplicas { id, replicas } => format!("EnsureReplicas {id} replicas={replicas}"),
        Action::EnsureMetadata { id, .. } => format!("EnsureMetadata {id}"),
        Action::EnsureTarget { target, revision } => format!("EnsureTarget {target:?} revision={revision}"),
        Action::EnsureRoute(intent) => format!(
            "EnsureRoute canary={} headers={} mirror={} sticky={}",
            intent.canary,
            intent.headers.len(),
            intent.mirror.is_some(),
            intent.sticky.is_some()
        ),
        Action::EnsureWorkload { replicas, paused } => format!("EnsureWorkload replicas={replicas:?} paused={paused}"),
        Action::AskGate(question) => format!("AskGate {}", question.gate),
        Action::EnsureRun(request) => format!("EnsureRun {}", request.name),
        Action::CheckRun(request) => format!("CheckRun {}", request.name),
        Action::StopRun { name } => format!("StopRun {name}"),
        Action::AnswerCommand { name, state, .. } => format!("AnswerCommand {name} {state:?}"),
        Action::Evict { pod, .. } => format!("Evict {pod}"),
        Action::RemoveRevision { id } => format!("RemoveRevision {id}"),
        Action::Restore(stage) => format!("Restore {stage:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::analysis::Arg,
        engine::{GateQuestion, RunRequest},
    };

    #[test]
    fn l11_no_address_and_no_argument_is_in_the_log() {
        let secret = "hunter2";
        let url = format!("https://gates.example/?token={secret}");
        let question = GateQuestion { gate: "smoke".into(), url, ..GateQuestion::default() };
        assert_eq!(described(&Action::AskGate(question)), "AskGate smoke");
        let args = vec![Arg { name: "key".into(), value: Some(secret.into()) }];
        let request = RunRequest { name: "web-1".into(), args, ..RunRequest::default() };
        assert_eq!(described(&Action::EnsureRun(request)), "EnsureRun web-1");
    }
}
