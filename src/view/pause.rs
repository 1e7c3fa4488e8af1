//! The pause in force, by the spec or by a command: who paused it and why, and what that holds back where nothing is in
//! progress that it could stop.

use super::{
    acts::{self, Act},
    place::Place,
};
use crate::api::Rollout;

/// A pause that is in force, whatever the Rollout does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pause {
    /// `spec.paused`, which only an edit of the spec lifts.
    InSpec,
    /// By a command, with who gave it as far as that is recorded.
    ByCommand(Option<Act>),
}

impl Pause {
    /// Of a Rollout.
    pub fn of(rollout: &Rollout) -> Option<Self> {
        let status = rollout.status.as_ref()?;
        if rollout.spec.paused {
            return Some(Pause::InSpec);
        }
        status.paused_by_command.then(|| Pause::ByCommand(acts::paused(status)))
    }

    /// Who paused it, and why: `paused by ann: lunch`.
    pub fn words(&self) -> String {
        match self {
            Pause::InSpec => "paused by spec.paused".into(),
            Pause::ByCommand(Some(act)) if act.by.is_some() => {
                let why = act.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                format!("paused{}{why}", act.by())
            }
            Pause::ByCommand(_) => "paused by command".into(),
        }
    }

    /// What lifts it.
    fn until(&self) -> &'static str {
        match self {
            Pause::InSpec => "until spec.paused is false",
            Pause::ByCommand(_) => "until an operator resumes it",
        }
    }
}

/// The pause where the place is none, and what it holds back there: `paused by ann: lunch; the next release waits until an
/// operator resumes it`.
pub fn aside(rollout: &Rollout, place: &Place) -> Option<String> {
    let what = match place {
        Place::Idle { .. } | Place::FirstDeploy { .. } | Place::Returning => "the next release waits",
        Place::Aborted | Place::ControlKept => "a new attempt or release waits",
        Place::Held(_) => "no step continues",
        Place::Unseen { .. } | Place::Paused { .. } | Place::Step { .. } | Place::StepsDone | Place::Promoting(_) => {
            return None;
        }
    };
    let pause = Pause::of(rollout)?;
    Some(format!("{}; {what} {}", pause.words(), pause.until()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;

    #[test]
    fn a_pause_is_said_wherever_nothing_is_in_progress() {
        let lunch = samples::paused_by_command().rollout.status.unwrap().commands;
        for (name, sample) in samples::all() {
            let mut rollout = sample.rollout.clone();
            rollout.status.iter_mut().for_each(|status| status.paused_by_command = false);
            assert_eq!(aside(&rollout, &Place::of(&rollout)), None, "{name}");
            let Some(status) = &mut rollout.status else { continue };
            (status.paused_by_command, status.commands) = (true, lunch.clone());
            let (place, said) = (Place::of(&rollout), aside(&rollout, &Place::of(&rollout)));
            let begins = said.as_ref().is_some_and(|said| said.starts_with("paused by ann: lunch; "));
            assert!(begins || matches!(place, Place::Paused { .. }), "{name}: {said:?}");
            rollout.spec.paused = true;
            let in_spec = aside(&rollout, &place);
            assert_eq!(in_spec.is_some(), said.is_some(), "{name}");
            assert!(in_spec.is_none_or(|said| said.ends_with(" until spec.paused is false")), "{name}");
        }
    }
}
