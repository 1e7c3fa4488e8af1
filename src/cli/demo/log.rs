//! What the demo prints where there is no terminal: a line for each event.

use jiff::Timestamp;

use crate::{
    api::{Percent, Rollout, RolloutStatus, analysis::Verdict},
    cli::changes::{Changes, Line, Now},
    engine::Notice,
    view::{doing::doing, phrases::short, place::Place, situation::Situation, waits::WaitsFor},
};

/// What was said of the chapter so far.
#[derive(Debug, Default)]
pub struct Log {
    changes: Changes,
    doing: String,
    weight: Percent,
}

impl Log {
    /// The events since the last look.
    pub fn lines(&mut self, rollout: &Rollout, notices: &[(Timestamp, Notice)], at: Timestamp) -> Vec<Line> {
        let empty = RolloutStatus::default();
        let status = rollout.status.as_ref().unwrap_or(&empty);
        let situation = Situation::of(rollout, at);
        let (doing, weight) = (what(&situation), situation.weight);
        let shifted = self.doing == doing && self.weight != weight && !weight.is_zero();
        let text = match shifted {
            true => format!("{weight} of the traffic goes to the canary"),
            false => format!("{doing}{}", wait(&situation, status)),
        };
        // The canary's traffic is gone after the promotion; the words for that say so.
        let key = if weight.is_zero() { doing.clone() } else { format!("{doing} {weight}") };
        let now = Now { status, place: &situation.place, key, after: format!("; {text}"), alone: text, at };
        (self.doing, self.weight) = (doing, weight);
        self.changes.lines(&now, notices, |notice| notice.message.clone())
    }
}

/// What it does. While pods of a first deploy start, only their number changes.
fn what(situation: &Situation) -> String {
    match &situation.place {
        Place::FirstDeploy { .. } => "first deploy".to_owned(),
        _ => doing(situation),
    }
}

/// How long it waits, and for what.
fn wait(situation: &Situation, status: &RolloutStatus) -> String {
    match &situation.waits_for {
        WaitsFor::Metrics(at_least) => {
            let least = at_least.signed();
            let least = if least.is_zero() { String::new() } else { format!(" for at least {}", short(least)) };
            let open = status.metrics.iter().filter(|metric| metric.required && metric.verdict != Verdict::Pass);
            let open: Vec<&str> = open.map(|metric| metric.name.as_str()).collect();
            let verb = if open.len() == 1 { "passes" } else { "pass" };
            if open.is_empty() { least } else { format!("{least}, until {} {verb}", open.join(", ")) }
        }
        WaitsFor::Time => match (situation.until, situation.since) {
            (Some(until), Some(since)) => format!(" for {}", short(until.at.duration_since(since))),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::reason::Reason, view::samples};

    fn at(step: u32, weight: u32) -> Rollout {
        let mut rollout = samples::observing().rollout;
        let status = rollout.status.get_or_insert_default();
        (status.step_index, status.weights.desired) = (step, Percent::whole(weight));
        rollout
    }

    /// A good release, as its engine reports it.
    #[test]
    fn every_event_of_a_release_is_one_line() {
        let mut log = Log::default();
        let mut look = |rollout: &Rollout, notices: &[(Reason, &str)]| -> Vec<String> {
            let notice = |reason: &Reason, message: &str| Notice {
                warning: false,
                reason: reason.clone(),
                message: message.to_owned(),
            };
            let notices: Vec<_> = notices.iter().map(|(reason, text)| (samples::NOW, notice(reason, text))).collect();
            log.lines(rollout, &notices, samples::NOW).into_iter().map(|line| line.text).collect()
        };
        let nothing: [String; 0] = [];
        let first = [(Reason::NewRevision, "starting revision #42 at step 1")];
        assert_eq!(look(&at(0, 0), &first).last().unwrap(), "starting revision #42 at step 1; moving to 5 %");
        assert_eq!(look(&at(0, 0), &[]), nothing);
        let completed = [(Reason::StepCompleted, "step 3 of 7 completed")];
        let observing = "step 3 of 7 completed; observing at 25 % for at least 5m, until errors passes";
        assert_eq!(look(&at(3, 25), &completed), [observing]);
        assert_eq!(look(&at(3, 25), &[]), nothing);
        assert_eq!(look(&at(4, 25), &[(Reason::StepCompleted, "step 4 of 7 completed")]).len(), 1);
        let promoting = [
            (Reason::StepCompleted, "step 7 of 7 completed"),
            (Reason::Promoting, "all steps are complete: promoting the new version"),
        ];
        assert_eq!(look(&samples::promoting().rollout, &promoting), [promoting[1].1]);
        let promoted = [(Reason::Promoted, "revision #42 is stable: all steps passed")];
        assert_eq!(look(&samples::healthy().rollout, &promoted), [promoted[0].1]);
        assert_eq!(look(&samples::healthy().rollout, &[]), nothing, "no line about traffic after the promotion");
    }

    #[test]
    fn the_traffic_is_a_line_where_only_the_traffic_changes() {
        let mut log = Log::default();
        let mut rollout = samples::promoting().rollout;
        let mut look = |weight: u32| -> Vec<String> {
            rollout.status.get_or_insert_default().weights.desired = Percent::whole(weight);
            log.lines(&rollout, &[], samples::NOW).into_iter().map(|line| line.text).collect()
        };
        assert_eq!(look(50), ["promoting: the stable target switches to the new version"]);
        assert_eq!(look(100), ["100 % of the traffic goes to the canary"]);
        assert_eq!(look(100), [""; 0]);
    }
}
