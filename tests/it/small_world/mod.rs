//! One Rollout's world, small and without adapters: what the engine asks for comes true here after a while, or does not. It
//! calls `engine::step` itself, for properties over millions of ticks; the whole simulated world is `glidepath::sim`.

mod foreign;
mod pods;
mod seen;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use glidepath::{
    api::{
        RolloutSpec, RolloutStatus,
        analysis::{ShareVerdict, Verdict},
        command::{CommandState, RolloutCommandSpec, Verb},
        common::Percent,
    },
    engine::{
        self, Action, CommandSeen, Decision, GateAnswer, GateQuestion, Input, Notice, Restore, RouteIntent, RunRequest,
        Target, invariants,
    },
};

use pods::{ReplicaSet, SimPod, SimRun, ready};

/// How the pods of one template behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// From creation to ready; `None`: never.
    pub ready_after: Option<SignedDuration>,
    /// What the analysis finds.
    pub verdict: Verdict,
    /// What counting says about the canary's share of the requests.
    pub share: ShareVerdict,
    /// What an A/B test's goal metric says, with the judge's reason.
    pub goal: (Verdict, &'static str),
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            ready_after: Some(SignedDuration::from_secs(2)),
            verdict: Verdict::Pass,
            share: ShareVerdict::Verified,
            goal: (Verdict::Pass, "CandidateWins"),
        }
    }
}

/// One Rollout's world.
#[derive(Clone, Debug)]
pub struct SimWorld {
    /// The virtual time.
    pub now: Timestamp,
    /// How far the controller's clock is off, within what a leader may be (rule S41).
    pub skew: SignedDuration,
    /// Decisions so far.
    pub ticks: u64,
    /// What is wanted.
    pub spec: RolloutSpec,
    /// What was recorded last.
    pub status: RolloutStatus,
    /// The id of the wanted template.
    pub template: String,
    /// Desired replicas.
    pub replicas: u32,
    /// The routes' controllers have not taken over what was written.
    pub pending: bool,
    /// Since when this controller decides.
    pub deciding_since: Option<Timestamp>,
    /// How templates behave, by id; the rest is perfect.
    pub behaviours: BTreeMap<String, Behaviour>,
    /// What gates say when they are asked, by name; the rest say yes.
    pub gates: BTreeMap<String, GateAnswer>,
    /// The questions to gates, oldest first.
    pub asked: Vec<GateQuestion>,
    /// All events, oldest first.
    pub notices: Vec<Notice>,
    /// Answers to commands, by name.
    pub answers: BTreeMap<String, (CommandState, String)>,
    /// What was written, oldest first: when, and which object.
    pub writes: Vec<(Timestamp, String)>,
    /// Steps that were completed, as (attempt, step, sub-step), oldest first.
    pub steps: Vec<(u32, u32, u32)>,
    sets: BTreeMap<String, ReplicaSet>,
    stable_target: Option<String>,
    canary_target: Option<String>,
    route: RouteIntent,
    /// What a second route says where another writer changed that one alone.
    other_route: Option<Percent>,
    /// Another writer changed our routes in addition to the weight.
    spoiled: bool,
    /// A route keeps sessions.
    pub keeps_sessions: bool,
    /// The stable target lists none of its pods.
    unlisted: bool,
    runs: BTreeMap<String, SimRun>,
    commands: Vec<CommandSeen>,
    wake: Option<Timestamp>,
    generation: i64,
    serials: u64,
}

/// What a tick may be made to suffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Only so many actions are carried out; then the process dies and its status is lost.
    pub crash_after: Option<usize>,
    /// The status write is lost.
    pub status_lost: bool,
}

impl SimWorld {
    /// A world with a wanted template and nothing in it.
    pub fn new(spec: RolloutSpec, template: &str, replicas: u32) -> Self {
        SimWorld {
            now: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1),
            skew: SignedDuration::ZERO,
            ticks: 0,
            spec,
            status: RolloutStatus::default(),
            template: template.to_owned(),
            replicas,
            pending: false,
            deciding_since: None,
            behaviours: BTreeMap::new(),
            gates: BTreeMap::new(),
            asked: Vec::new(),
            notices: Vec::new(),
            answers: BTreeMap::new(),
            steps: Vec::new(),
            sets: BTreeMap::new(),
            stable_target: None,
            canary_target: None,
            route: RouteIntent::default(),
            other_route: None,
            spoiled: false,
            keeps_sessions: false,
            unlisted: false,
            writes: Vec::new(),
            runs: BTreeMap::new(),
            commands: Vec::new(),
            wake: None,
            generation: 1,
            serials: 0,
        }
    }

    /// The canary weight that the routes say.
    pub fn weight(&self) -> Percent {
        self.route.canary
    }

    /// The header routes to the canary, by name.
    pub fn headers(&self) -> Vec<String> {
        let mut names: Vec<String> = self.route.headers.iter().map(|route| route.name.clone()).collect();
        names.sort();
        names
    }

    /// What the cookies of users who stay name.
    pub fn sticky(&self) -> Option<String> {
        self.route.sticky.as_ref().map(|sticky| sticky.test.clone())
    }

    /// The share that is copied to the canary.
    pub fn mirror(&self) -> Option<Percent> {
        self.route.mirror.as_ref().map(|mirror| mirror.percent)
    }

    /// What the stable target selects.
    pub fn stable_target(&self) -> Option<&str> {
        self.stable_target.as_deref()
    }

    /// What the canary target selects.
    pub fn canary_target(&self) -> Option<&str> {
        self.canary_target.as_deref()
    }

    /// Pods that a revision's ReplicaSet asks for.
    pub fn wanted(&self, id: &str) -> u32 {
        self.sets.get(id).map_or(0, |set| set.wanted)
    }

    /// Available pods of a revision.
    pub fn available(&self, id: &str) -> u32 {
        self.sets.get(id).map_or(0, |set| ready(set, self.now))
    }

    /// Kills all pods of a revision; they come back as it behaves.
    pub fn kill_pods(&mut self, id: &str) {
        let ready_at = self.ready_at(id);
        if let Some(set) = self.sets.get_mut(id) {
            set.pods.iter_mut().for_each(|pod| pod.ready_at = ready_at);
        }
    }

    /// One pod of a revision restarts and behaves as its revision.
    pub fn restart_pod(&mut self, id: &str) {
        let ready_at = self.ready_at(id);
        if let Some(pod) = self.sets.get_mut(id).and_then(|set| set.pods.first_mut()) {
            pod.ready_at = ready_at;
        }
    }

    /// The container of a revision's first pod ends, and starts again at once.
    pub fn restart_container(&mut self, id: &str, oom_killed: bool) {
        if let Some(pod) = self.sets.get_mut(id).and_then(|set| set.pods.first_mut()) {
            (pod.restarts, pod.oom_killed) = (pod.restarts + 1, oom_killed);
        }
    }

    /// Faults end: all pods come up soon.
    pub fn end_faults(&mut self) {
        self.behaviours.clear();
        let soon = self.now + SignedDuration::from_secs(2);
        let dead = self
            .sets
            .values_mut()
            .flat_map(|set| set.pods.iter_mut())
            .map(|pod| &mut pod.ready_at)
            .filter(|at| at.is_none());
        dead.for_each(|pod| *pod = Some(soon));
    }

    /// Gives a command, meant for this moment.
    pub fn command(&mut self, verb: Verb, full: bool) -> String {
        let spec = RolloutCommandSpec { full, ..self.command_spec(verb) };
        self.command_as(spec)
    }

    /// A command that is meant for this moment.
    pub fn command_spec(&self, verb: Verb) -> RolloutCommandSpec {
        let status = &self.status;
        RolloutCommandSpec {
            kind: None,
            rollout: "checkout".into(),
            verb,
            revision: status.current_revision.as_ref().map(|current| current.id.clone()),
            attempt: (verb == Verb::Promote).then_some(status.attempt),
            step: (verb == Verb::Promote).then_some(status.step_index),
            sub_step: None,
            stage: status.stage().filter(|_| verb == Verb::Promote),
            full: false,
            to_step: None,
            to_revision: None,
            reason: None,
            requested_by: Some("ann".into()),
        }
    }

    /// Gives a command as it is.
    pub fn command_as(&mut self, spec: RolloutCommandSpec) -> String {
        let name = format!("command-{}", self.answers.len() + self.commands.len());
        let command = CommandSeen { uid: format!("uid-{name}"), name: name.clone(), created: self.now, spec };
        self.commands.push(command);
        name
    }

    /// An evicted pod is replaced at once.
    fn evict(&mut self, uid: &str) {
        let is_it = |pod: &SimPod| pod.serial.to_string() == uid;
        let Some(id) = self.sets.iter().find(|(_, set)| set.pods.iter().any(is_it)).map(|(id, _)| id.clone()) else {
            return;
        };
        self.serials += 1;
        let new = SimPod::new(self.serials, self.now, self.ready_at(&id));
        let pods = self.sets.get_mut(&id).into_iter().flat_map(|set| &mut set.pods);
        pods.filter(|pod| is_it(pod)).for_each(|pod| *pod = new);
    }

    /// The object references of the spec: the old ones until they are restored (S20).
    fn effective(&self) -> RolloutSpec {
        self.spec.on_old_objects(&self.status).unwrap_or_else(|| self.spec.clone())
    }

    /// One tick without faults.
    ///
    /// # Errors
    /// The invariants that the decision broke.
    pub fn tick(&mut self) -> Result<Decision, Vec<String>> {
        self.tick_with(Fault::default())
    }

    /// One tick that may be made to suffer.
    ///
    /// # Errors
    /// The invariants that the decision broke.
    pub fn tick_with(&mut self, fault: Fault) -> Result<Decision, Vec<String>> {
        self.ticks += 1;
        let seen = self.seen();
        let status = self.status.clone();
        let spec = self.effective();
        let input = Input {
            name: "checkout",
            uid: "uid",
            generation: Some(self.generation),
            deleting: false,
            skip_hand_back: false,
            spec: &spec,
            status: &status,
            seen: &seen,
            now: self.clock(),
        };
        let decision = engine::step(&input);
        let broken = invariants::broken(&input, &decision);
        if !broken.is_empty() {
            return Err(broken);
        }
        let carried = fault.crash_after.unwrap_or(usize::MAX);
        for action in decision.actions.iter().take(carried) {
            self.carry_out(action);
        }
        if fault.crash_after.is_none() && !fault.status_lost {
            self.record(&decision);
        }
        Ok(decision)
    }

    /// The controller's clock.
    fn clock(&self) -> Timestamp {
        self.now + self.skew
    }

    fn record(&mut self, decision: &Decision) {
        let (before, after) = (&self.status, &decision.status);
        let place = |status: &RolloutStatus| (status.attempt, status.step_index, status.sub_step());
        if place(before) != place(after) {
            self.steps.push(place(after));
        }
        self.status = decision.status.clone();
        self.wake = decision.wake.as_ref().map(|wake| wake.at - self.skew);
        self.notices.extend(decision.notices.iter().cloned());
    }

    fn gate_says(&self) -> Option<GateAnswer> {
        let question = self.asked.last()?;
        Some(self.gates.get(&question.gate).cloned().unwrap_or(GateAnswer::Yes))
    }

    fn ready_at(&self, id: &str) -> Option<Timestamp> {
        self.behaviours.get(id).copied().unwrap_or_default().ready_after.map(|after| self.now + after)
    }

    /// Makes an action come true.
    pub fn carry_out(&mut self, action: &Action) {
        self.writes.extend(object(action).map(|object| (self.now, object)));
        match action {
            Action::EnsureRevision { id, number, replicas } => {
                let is_new = !self.sets.contains_key(id);
                self.sets.entry(id.clone()).or_default().number = *number;
                if is_new {
                    self.scale(id, *replicas);
                }
            }
            Action::EnsureReplicas { id, replicas } => {
                self.scale(id, *replicas);
                self.sets.entry(id.clone()).and_modify(|set| set.rescaled = false);
            }
            Action::EnsureMetadata { id, metadata } => {
                self.sets.entry(id.clone()).or_default().metadata.clone_from(metadata);
            }
            Action::EnsureTarget { target: Target::Stable, revision } => self.stable_target = Some(revision.clone()),
            Action::EnsureTarget { target: Target::Canary, revision } => self.canary_target = Some(revision.clone()),
            Action::EnsureRoute(intent) => {
                (self.route, self.other_route, self.spoiled) = (intent.clone(), None, false);
            }
            Action::EnsureRun(request) => {
                let RunRequest { name, canary, epoch, share, goal, .. } = request.clone();
                self.runs.insert(name, SimRun { canary, epoch, share, goal: goal.is_some(), stop: false });
            }
            Action::AskGate(question) => self.asked.push(question.clone()),
            Action::StopRun { name } => {
                if let Some(run) = self.runs.get_mut(name) {
                    run.stop = true;
                }
            }
            Action::AnswerCommand { name, state, message } => {
                self.commands.retain(|command| command.name != *name);
                self.answers.insert(name.clone(), (*state, message.clone()));
            }
            Action::RemoveRevision { id } => {
                self.sets.remove(id);
            }
            Action::Restore(Restore::Unreferenced) => {
                (self.stable_target, self.canary_target) = (None, None);
                self.route = RouteIntent::default();
            }
            Action::Evict { uid, .. } => self.evict(uid),
            Action::EnsureWorkload { .. } | Action::Restore(_) | Action::CheckRun(_) => {}
        }
    }

    fn scale(&mut self, id: &str, replicas: u32) {
        let ready_at = self.ready_at(id);
        if let Some(set) = self.sets.get_mut(id) {
            set.wanted = replicas;
            set.pods.sort_by_key(|pod| pod.ready_at.unwrap_or(Timestamp::MAX));
            set.pods.truncate(replicas as usize);
            while set.pods.len() < replicas as usize {
                self.serials += 1;
                set.pods.push(SimPod::new(self.serials, self.now, ready_at));
            }
        }
    }

    /// Lets time pass to the next thing that happens, at most `longest`.
    pub fn sleep(&mut self, longest: SignedDuration) {
        let limit = self.now + longest;
        let pods = self.sets.values().flat_map(|set| set.pods.iter().filter_map(|pod| pod.ready_at));
        let next = pods.chain(self.wake).filter(|at| *at > self.now).min();
        self.now = next.unwrap_or(limit).min(limit);
    }

    /// Ticks and sleeps until `done`, for at most `longest` of virtual time. Says whether it came to that.
    ///
    /// # Errors
    /// The invariants that a decision broke.
    pub fn run_until(
        &mut self,
        longest: SignedDuration,
        done: impl Fn(&SimWorld) -> bool,
    ) -> Result<bool, Vec<String>> {
        let limit = self.now + longest;
        loop {
            self.settle()?;
            if done(self) {
                return Ok(true);
            }
            if self.now >= limit {
                return Ok(false);
            }
            self.sleep(limit.duration_since(self.now));
        }
    }

    /// Ticks at one instant as a controller does: again after every action and whenever the decision wants to look again.
    ///
    /// # Errors
    /// The invariants that a decision broke, or a loop that does not end.
    pub fn settle(&mut self) -> Result<(), Vec<String>> {
        for _ in 0..200 {
            let decision = self.tick()?;
            let due = decision.wake.as_ref().is_some_and(|wake| wake.at <= self.clock());
            if decision.actions.is_empty() && !due {
                return self.rests();
            }
        }
        Err(vec![format!("I8: no fixed point at {}: {}", self.now, self.status.message)])
    }

    /// Nobody looks again now, so another look must find nothing to do.
    fn rests(&mut self) -> Result<(), Vec<String>> {
        let before = self.status.clone();
        let decision = self.tick()?;
        if decision.actions.is_empty() && self.status == before {
            return Ok(());
        }
        Err(vec![format!("I9: no wake-up is scheduled at {}: {}", self.now, self.status.message)])
    }
}

/// The object that an action writes.
fn object(action: &Action) -> Option<String> {
    match action {
        Action::EnsureRoute(_) => Some("route".to_owned()),
        Action::EnsureTarget { target, .. } => Some(format!("{target:?} target")),
        Action::EnsureReplicas { id, .. } => Some(format!("replicas {id}")),
        Action::EnsureRevision { id, .. } => Some(format!("set {id}")),
        Action::EnsureRun(run) => Some(format!("run {}", run.name)),
        _ => None,
    }
}
