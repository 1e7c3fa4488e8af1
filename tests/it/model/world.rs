//! The smallest world in which the engine can go wrong: one Rollout, two versions, a few pods, and nothing by chance.
//! Whatever may happen is an [`Act`]; the model check takes each of them in each state.

use std::collections::BTreeMap;

use glidepath::{
    api::{
        RolloutSpec, RolloutStatus,
        analysis::{AnalysisRunStatus, MetricStatus, RunPhase, Verdict},
        command::{RolloutCommandSpec, Verb},
        common::Percent,
        reason::MetricReason,
    },
    engine::{
        self, Action, CommandSeen, Decision, Input, RevisionSeen, RouteSeen, RunSeen, Seen, Target, TargetSeen,
        TemplateSeen, TerminationSeen,
    },
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// Desired replicas.
pub const REPLICAS: u32 = 2;
/// Longer than anything the engine waits for on its own.
pub const LONG: SignedDuration = SignedDuration::from_hours(2);

/// The pods of one revision.
#[derive(Clone, Debug, Default)]
pub struct Set {
    pub number: u64,
    pub wanted: u32,
    pub ready: u32,
    /// A container of one of the pods was OOM-killed.
    pub oom: bool,
}

/// An AnalysisRun with its judge's last word.
#[derive(Clone, Debug)]
pub struct Run {
    pub epoch: u32,
    pub judged: u32,
    pub verdict: Verdict,
    pub stop: bool,
    /// It decides an A/B test: its Fail is no failure, and Inconclusive says that there is no difference.
    pub goal: bool,
}

/// How often something may still happen that nothing in the world brings about on its own.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Left {
    /// Commands of users.
    pub commands: u8,
    /// Changes of the template.
    pub deploys: u8,
    /// Losses of all pods of version 2.
    pub losses: u8,
    /// Losses of all pods of version 1.
    pub first_losses: u8,
    /// OOM kills of a container of version 2.
    pub ooms: u8,
    /// Deaths of the controller between two writes, and times without one.
    pub deaths: u8,
}

/// Something that may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The controller looks, decides, and does all that it decided.
    Tick,
    /// The same, but it dies after so many writes.
    Die(usize),
    /// No controller is there for a long time.
    Away,
    /// Time passes until the engine asked to look again; a long time where it did not.
    Clock,
    /// A pod of this version becomes available.
    PodUp(&'static str),
    /// All pods of this version are lost.
    PodsLost(&'static str),
    /// A container of version 2 is OOM-killed and starts again.
    OomKill,
    /// The run of this place in the list is judged.
    Judge(usize, Verdict),
    /// An operator commands.
    Command(Verb, bool),
    /// An operator writes this version into the file.
    Deploy(&'static str),
}

/// Who makes an act happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The controller, the clock, or what a cluster does in the end.
    Itself,
    /// An operator.
    Person,
    /// Bad luck.
    Fault,
}

impl Act {
    pub fn by(self) -> By {
        match self {
            Act::Tick | Act::Clock | Act::PodUp(_) | Act::Judge(..) => By::Itself,
            Act::Command(..) | Act::Deploy(_) => By::Person,
            Act::Die(_) | Act::Away | Act::PodsLost(_) | Act::OomKill => By::Fault,
        }
    }
}

/// One write, in the order in which the controller makes them.
#[derive(Debug)]
enum Write<'a> {
    Status,
    Action(&'a Action),
}

/// One Rollout's world.
#[derive(Clone, Debug)]
pub struct World {
    pub now: Timestamp,
    pub status: RolloutStatus,
    pub template: &'static str,
    pub sets: BTreeMap<String, Set>,
    pub stable_target: Option<String>,
    pub canary_target: Option<String>,
    pub weight: Percent,
    pub runs: BTreeMap<String, Run>,
    pub commands: Vec<CommandSeen>,
    pub deciding_since: Option<Timestamp>,
    pub left: Left,
    commanded: u32,
}

/// A version's name as an id.
fn version(id: &str) -> &'static str {
    if id == "v1" { "v1" } else { "v2" }
}

impl World {
    /// Nothing is there but a file with version 1.
    pub fn new(left: Left) -> Self {
        World {
            now: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24),
            status: RolloutStatus::default(),
            template: "v1",
            sets: BTreeMap::new(),
            stable_target: None,
            canary_target: None,
            weight: Percent::ZERO,
            runs: BTreeMap::new(),
            commands: Vec::new(),
            deciding_since: None,
            left,
            commanded: 0,
        }
    }

    /// What the engine decides here, with its observations.
    pub fn decide<T>(&self, spec: &RolloutSpec, with: impl FnOnce(&Input<'_>, Decision) -> T) -> T {
        let seen = self.seen(spec);
        let input = Input {
            name: "checkout",
            uid: "uid",
            generation: Some(1),
            deleting: false,
            skip_hand_back: false,
            spec,
            status: &self.status,
            seen: &seen,
            now: self.now,
        };
        let decision = engine::step(&input);
        with(&input, decision)
    }

    fn seen(&self, spec: &RolloutSpec) -> Seen {
        let routed = !spec.traffic.is_empty();
        let services = routed || spec.strategy.blue_green.is_some();
        Seen {
            template: Some(TemplateSeen {
                id: self.template.into(),
                images: vec![self.template.into()],
                ..TemplateSeen::default()
            }),
            replicas: REPLICAS,
            revisions: self.sets.iter().map(|(id, set)| revision(id, set)).collect(),
            route: routed.then(|| RouteSeen { weight: Some(self.weight), ..RouteSeen::default() }),
            stable_target: services.then(|| self.target(&self.stable_target)),
            canary_target: services.then(|| self.target(&self.canary_target)),
            runs: self.runs.iter().map(|(name, run)| (name.clone(), run.seen())).collect(),
            commands: self.commands.clone(),
            deciding_since: self.deciding_since,
            ..Seen::default()
        }
    }

    /// How the names of the runs begin and end that belong to this attempt and round of evidence.
    pub fn run_names(&self) -> (String, String) {
        let number = self.status.current_revision.as_ref().map_or(0, |revision| revision.number);
        let round = self.status.state.release().map_or(0, |release| release.evidence_round);
        let end = if round == 0 { String::new() } else { format!("-round{round}") };
        (format!("checkout-{number}-{}-", self.status.attempt), end)
    }

    fn target(&self, selected: &Option<String>) -> TargetSeen {
        let ready = |id: &String| self.sets.get(id).map_or(0, |set| set.ready);
        let endpoints = selected.iter().map(|id| (id.clone(), ready(id))).collect();
        TargetSeen { revision: selected.clone(), endpoints: Some(endpoints), ..TargetSeen::default() }
    }

    /// How many writes a decision leads to.
    pub fn writes(&self, decision: &Decision) -> usize {
        self.in_order(decision).len()
    }

    /// The answer to a command must not come before its effect is on record (S81); else the record comes last.
    fn in_order<'a>(&self, decision: &'a Decision) -> Vec<Write<'a>> {
        let answers = decision.actions.iter().any(|action| matches!(action, Action::AnswerCommand { .. }));
        let actions = decision.actions.iter().map(Write::Action);
        let record = (decision.status != self.status).then_some(Write::Status);
        if answers { record.into_iter().chain(actions).collect() } else { actions.chain(record).collect() }
    }

    /// Makes a decision come true, or its first so many writes.
    pub fn follow(&mut self, decision: &Decision, writes: usize) {
        for write in self.in_order(decision).into_iter().take(writes) {
            match write {
                Write::Status => self.status = decision.status.clone(),
                Write::Action(action) => self.carry_out(action),
            }
        }
    }

    fn carry_out(&mut self, action: &Action) {
        match action {
            Action::EnsureRevision { id, number, replicas } => {
                let made = || Set { wanted: *replicas, ..Set::default() };
                self.sets.entry(id.clone()).or_insert_with(made).number = *number;
            }
            Action::EnsureReplicas { id, replicas } => {
                let set = self.sets.get_mut(id).expect("only a revision that is there is scaled");
                (set.wanted, set.ready) = (*replicas, set.ready.min(*replicas));
                set.oom &= set.wanted > 0;
            }
            Action::EnsureTarget { target: Target::Stable, revision } => self.stable_target = Some(revision.clone()),
            Action::EnsureTarget { target: Target::Canary, revision } => self.canary_target = Some(revision.clone()),
            Action::EnsureRoute(intent) => {
                assert!(intent.headers.is_empty() && intent.mirror.is_none(), "no step asks for routes: {intent:?}");
                self.weight = intent.canary;
            }
            Action::EnsureRun(request) => {
                let fresh =
                    Run { epoch: 0, judged: 0, verdict: Verdict::Continue, stop: false, goal: request.goal.is_some() };
                self.runs.entry(request.name.clone()).or_insert(fresh).epoch = request.epoch;
            }
            Action::StopRun { name } => {
                if let Some(run) = self.runs.get_mut(name) {
                    run.stop = true;
                }
            }
            Action::AnswerCommand { name, .. } => self.commands.retain(|command| command.name != *name),
            Action::RemoveRevision { id } => {
                self.sets.remove(id);
            }
            Action::CheckRun(_) => {}
            other => panic!("no step of the models asks for this: {other:?}"),
        }
    }

    /// The same without the commands that wait.
    pub fn without_commands(&self) -> World {
        World { commands: Vec::new(), ..self.clone() }
    }

    /// What may still happen now: users and bad luck wait for a stable version.
    pub fn left(&self) -> Left {
        let first = self.status.stable_revision.is_none();
        if first { Left { deploys: self.left.deploys, ..Left::default() } } else { self.left }
    }

    /// What may happen here next to the controller's own doing.
    pub fn acts(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        let Left { commands, deploys, losses, first_losses, ooms, .. } = self.left();
        for (id, set) in &self.sets {
            acts.extend((set.ready < set.wanted).then_some(Act::PodUp(version(id))));
            let losses = if id == "v1" { first_losses } else { losses };
            acts.extend((set.ready > 0 && losses > 0).then_some(Act::PodsLost(version(id))));
            acts.extend((id == "v2" && set.ready > 0 && ooms > 0).then_some(Act::OomKill));
        }
        for (place, run) in (0..).zip(self.runs.values()).filter(|(_, run)| run.goes_on()) {
            if run.goal && run.verdict != Verdict::Continue {
                continue; // the verdict of a sequential test stays
            }
            let passed = run.verdict == Verdict::Pass && run.judged == run.epoch;
            acts.extend((!passed).then_some(Act::Judge(place, Verdict::Pass)));
            acts.push(Act::Judge(place, Verdict::Fail));
            acts.extend(run.goal.then_some(Act::Judge(place, Verdict::Inconclusive)));
        }
        if commands > 0 {
            let plain = [Verb::Promote, Verb::Abort, Verb::Pause, Verb::Resume, Verb::Retry, Verb::Undo];
            acts.extend(plain.into_iter().map(|verb| Act::Command(verb, false)));
            acts.push(Act::Command(Verb::Promote, true));
        }
        if deploys > 0 {
            acts.push(Act::Deploy(if self.template == "v1" { "v2" } else { "v1" }));
        }
        acts
    }

    /// Something happens that is not the controller's doing.
    pub fn happen(&mut self, act: Act) {
        match act {
            Act::PodUp(id) => self.sets.get_mut(id).unwrap().ready += 1,
            Act::PodsLost(id) => {
                *(if id == "v1" { &mut self.left.first_losses } else { &mut self.left.losses }) -= 1;
                self.sets.get_mut(id).unwrap().ready = 0;
            }
            Act::OomKill => {
                self.left.ooms -= 1;
                self.sets.get_mut("v2").unwrap().oom = true;
            }
            Act::Judge(place, verdict) => {
                let run = self.runs.values_mut().nth(place).unwrap();
                (run.verdict, run.judged) = (verdict, run.epoch);
            }
            Act::Command(verb, full) => {
                (self.left.commands, self.commanded) = (self.left.commands - 1, self.commanded + 1);
                self.commands.push(self.command(verb, full));
            }
            Act::Deploy(id) => {
                self.left.deploys -= 1;
                self.template = id;
            }
            Act::Away => {
                self.left.deaths -= 1;
                self.now += LONG;
                self.deciding_since = Some(self.now);
            }
            Act::Tick | Act::Die(_) | Act::Clock => panic!("{act:?} is the controller's"),
        }
    }

    /// A command that is meant for this moment.
    fn command(&self, verb: Verb, full: bool) -> CommandSeen {
        let status = &self.status;
        let promote = verb == Verb::Promote;
        let spec = RolloutCommandSpec {
            kind: None,
            rollout: "checkout".into(),
            verb,
            revision: status.current_revision.as_ref().map(|current| current.id.clone()),
            attempt: promote.then_some(status.attempt),
            step: promote.then_some(status.step_index),
            sub_step: None,
            stage: status.stage().filter(|_| promote),
            full,
            to_step: None,
            to_revision: None,
            reason: None,
            requested_by: Some("ann".into()),
        };
        let name = format!("command-{}", self.commanded);
        CommandSeen { uid: format!("uid-{name}"), name, created: self.now, spec }
    }
}

impl Run {
    fn goes_on(&self) -> bool {
        !self.stop && self.verdict != Verdict::Fail
    }

    fn seen(&self) -> RunSeen {
        let phase = match (self.stop, self.verdict) {
            (true, _) => RunPhase::Stopped,
            (false, Verdict::Fail) if !self.goal => RunPhase::Finished,
            _ => RunPhase::Running,
        };
        let inconclusive = self.verdict == Verdict::Inconclusive;
        let orders = MetricStatus {
            name: "orders".into(),
            verdict: self.verdict,
            reason: if inconclusive { MetricReason::NoDifference } else { MetricReason::default() },
            ..MetricStatus::default()
        };
        let status = AnalysisRunStatus {
            phase,
            verdict: self.verdict,
            epoch: self.judged,
            message: "measured".into(),
            metrics: self.goal.then_some(orders).into_iter().collect(),
            ..AnalysisRunStatus::default()
        };
        RunSeen { phase, verdict: self.verdict, epoch_wanted: self.epoch, stop: self.stop, status: status.into() }
    }
}

fn revision(id: &str, set: &Set) -> RevisionSeen {
    RevisionSeen {
        id: id.to_owned(),
        number: set.number,
        workload: format!("checkout-{id}"),
        images: vec![id.to_owned()],
        wanted: set.wanted,
        pods: set.wanted,
        ready: set.ready,
        available: set.ready,
        terminations: set.oom.then(|| oom_kill(id)).into_iter().collect(),
        ..RevisionSeen::default()
    }
}

fn oom_kill(id: &str) -> TerminationSeen {
    TerminationSeen {
        pod: format!("checkout-{id}-1"),
        container: "app".into(),
        ended: 1,
        restarts: 1,
        oom_killed: true,
        exit_code: 137,
        reason: "OOMKilled".into(),
    }
}
