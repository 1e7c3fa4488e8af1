//! The decision being drawn up: the facts of this tick, the next status, and what has been asked for so far.

use jiff::{SignedDuration, Timestamp};

use crate::api::{
    RolloutSpec, RolloutStatus,
    common::{HumanDuration, Percent},
    metadata::PodMetadata,
    reason::{Reason, WakeReason},
    status::{Clock, Course, Phase, Progress, Refusal, Release, ReturnsBecause, RevisionRef, Stage, State, Waiting},
    strategy::{AbTestStrategy, BlueGreenStrategy, CanaryStrategy},
};

use super::{
    decision::{Action, Decision, Notice, Wake},
    drift::Contested,
    input::{Input, RevisionSeen},
    items::{self, Item},
    metadata,
    pods::Counts,
    replicas::Slack,
    runs,
    wait::{Ends, Wait},
    weights::{self, Pointed},
};

/// How long a controller that has just begun looks around before it calls anything late (rule S41).
const FIRST_LOOK: HumanDuration = HumanDuration::secs(60);
/// How long an old revision keeps its pods when the spec does not say.
pub const DEFAULT_SCALE_DOWN_DELAY: HumanDuration = HumanDuration::secs(30);

/// How traffic gets to one version or the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// Routers have weights.
    Routes,
    /// One Service reaches both; the ratio of their pods is the weight.
    #[default]
    Ratio,
    /// Blue-green without a router: the active Service selects one or the other.
    Switch,
}

impl Split {
    /// Of this spec.
    pub fn of(spec: &RolloutSpec) -> Self {
        match (spec.traffic.is_empty(), &spec.strategy.blue_green) {
            (false, _) => Split::Routes,
            (true, Some(_)) => Split::Switch,
            (true, None) => Split::Ratio,
        }
    }
}

/// The decision being drawn up.
pub struct Draft<'a> {
    /// What the tick decides from.
    pub input: &'a Input<'a>,
    /// The next status.
    pub status: RolloutStatus,
    /// The steps.
    pub items: Vec<Item>,
    /// Asked for so far.
    pub actions: Vec<Action>,
    /// Events so far.
    pub notices: Vec<Notice>,
    /// Times to look again; the earliest counts.
    pub wakes: Vec<Wake>,
    /// Old revisions whose pods are about to go.
    pub leaving: Vec<String>,
    /// What this tick found itself waiting for; the last one said counts.
    pub waits: Option<Wait>,
    /// Writes that have to wait because another writer undoes them (S53).
    pub contested: Vec<Contested>,
    /// The rejection that is shown to users.
    pub refusal: Option<Refusal>,
}

impl<'a> Draft<'a> {
    /// An empty decision over the last status.
    pub fn new(input: &'a Input<'a>) -> Self {
        let items = items::on_grain(items::items(&input.spec.strategy.steps()), input.seen.grain);
        Draft {
            input,
            status: RolloutStatus { is_old: false, ..input.status.clone() },
            items,
            actions: Vec::new(),
            notices: Vec::new(),
            wakes: Vec::new(),
            leaving: Vec::new(),
            waits: None,
            contested: Vec::new(),
            refusal: None,
        }
    }

    /// The time of this tick: never before anything that was written down (rule S41).
    pub fn now(&self) -> Timestamp {
        let (memory, state) = (&self.input.status.memory, &self.input.status.state);
        let stopped = state.clock().and_then(|clock| clock.stopped_since);
        let times = [state.since(), memory.route_since, state.release().map(|release| release.since), stopped];
        let newest = times.into_iter().flatten().chain(memory.repaired.values().flatten().copied()).max();
        newest.map_or(self.input.now, |written| written.max(self.input.now))
    }

    /// Desired replicas.
    pub fn replicas(&self) -> u32 {
        self.input.seen.replicas
    }

    /// How traffic gets to one version or the other.
    pub fn split(&self) -> Split {
        Split::of(self.input.spec)
    }

    /// Whether a router splits the traffic.
    pub fn has_mesh(&self) -> bool {
        self.split() == Split::Routes
    }

    /// The strategy, when it is blue-green.
    pub fn blue_green(&self) -> Option<&'a BlueGreenStrategy> {
        self.input.spec.strategy.blue_green.as_ref()
    }

    /// The strategy, when it is an A/B test.
    pub fn ab_test(&self) -> Option<&'a AbTestStrategy> {
        self.input.spec.strategy.ab_test.as_ref()
    }

    /// How far replicas may leave the desired count while they move.
    pub fn slack(&self) -> Slack {
        match &self.input.spec.strategy.canary {
            Some(canary) => Slack::of(canary, self.replicas()),
            None => Slack::of(&CanaryStrategy::default(), self.replicas()),
        }
    }

    /// How long a route or selector must stand before it counts as settled (rule S52).
    pub fn settle(&self) -> HumanDuration {
        let istio = self.input.spec.traffic.iter().any(|router| router.istio.is_some());
        self.input.spec.settle.unwrap_or(HumanDuration::secs(if istio { 10 } else { 5 }))
    }

    /// How long an old revision keeps its pods without traffic.
    pub fn scale_down_delay(&self) -> HumanDuration {
        self.input.spec.scale_down_delay.unwrap_or(DEFAULT_SCALE_DOWN_DELAY)
    }

    /// The revision with this id, as observed.
    pub fn revision(&self, id: &str) -> Option<&'a RevisionSeen> {
        self.input.seen.revisions.iter().find(|revision| revision.id == id)
    }

    /// Available pods of a revision.
    pub fn available(&self, id: &str) -> u32 {
        self.revision(id).map_or(0, |revision| revision.available)
    }

    /// The stable revision's id.
    pub fn stable_id(&self) -> Option<String> {
        self.status.stable_revision.as_ref().map(|revision| revision.id.clone())
    }

    /// The current revision's id.
    pub fn current_id(&self) -> Option<String> {
        self.status.current_revision.as_ref().map(|revision| revision.id.clone())
    }

    /// The current revision's id while it is not stable.
    pub fn canary_id(&self) -> Option<String> {
        self.current_id().filter(|id| Some(id) != self.stable_id().as_ref())
    }

    /// Revisions that are neither stable nor current.
    pub fn older(&self) -> Vec<&'a RevisionSeen> {
        let (stable, current) = (self.stable_id(), self.current_id());
        let old = |id: &String| Some(id) != stable.as_ref() && Some(id) != current.as_ref();
        self.input.seen.revisions.iter().filter(|revision| old(&revision.id)).collect()
    }

    /// The weight that the steps ask for now. The short way (S32) skips what they ask for.
    pub fn step_weight(&self) -> Percent {
        items::weight_in(&self.items, &self.status.state)
    }

    /// Which state the rollout is in.
    pub fn course(&self) -> Course {
        self.status.state.course()
    }

    /// The stage of a promotion.
    pub fn stage(&self) -> Option<Stage> {
        self.status.stage()
    }

    /// The step in progress, from 0; the number of steps when all are done or none are needed.
    pub fn step_index(&self) -> u32 {
        let all = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        match &self.status.state {
            state @ (State::Stepping(_) | State::Promoting(_)) => state.steps().map_or(all, |at| at.step),
            State::Idle(_) => all,
            State::Returning(returning) if returning.because == ReturnsBecause::BackAtStable => all,
            State::FirstDeploy(_) | State::Returning(_) | State::Aborted(_) | State::ControlKept(_) => 0,
        }
    }

    /// The item of the steps that is in progress.
    pub fn item(&self) -> Option<&Item> {
        self.items.get(self.status.state.stepping()?.step as usize)
    }

    /// The release in progress.
    pub fn release(&self) -> Option<&Release> {
        self.status.state.release()
    }

    /// Whether the release was stopped until an operator decides (rule S34).
    pub fn is_held(&self) -> bool {
        self.status.held().is_some()
    }

    /// Whether a release is in progress, and a version that was stable before needs no steps (S32, S62).
    pub fn is_shortcut(&self) -> bool {
        self.status.state.promoting().is_some_and(|promoting| promoting.way.shortcut().is_some())
    }

    /// Whether an operator promoted past what is left to observe.
    pub fn is_overridden(&self) -> bool {
        self.release().is_some_and(|release| release.overridden)
    }

    /// Whether the canary has lost all its pods under traffic (S56).
    pub fn is_canary_lost(&self) -> bool {
        self.release().is_some_and(|release| release.canary_lost)
    }

    /// The weight that was settled last: the one that evidence is about.
    pub fn settled_weight(&self) -> Percent {
        self.status.memory.settled_weight.unwrap_or_default()
    }

    /// Whether a pause, in the spec or by command, holds the steps (rule S36). An invalid spec holds them as well.
    pub fn is_paused(&self) -> bool {
        self.input.spec.paused || self.status.paused_by_command || self.input.seen.file_invalid
    }

    /// Whether the stable target belongs to the new revision by now.
    pub fn stable_moves(&self) -> bool {
        match self.stage() {
            Some(Stage::MoveStable | Stage::RouteToStable) => true,
            Some(Stage::PostAnalysis) => self.split() == Split::Switch,
            _ => false,
        }
    }

    /// Whether a promotion is only finished from here on (rule S18). A switch by Service can be reverted as long as the
    /// old revision is stable (S61).
    pub fn past_return(&self) -> bool {
        self.stable_moves() && self.split() != Split::Switch
    }

    /// Asks for a desired state.
    pub fn ask(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Asks for so many pods of a revision, if it does not ask for them already.
    pub fn ask_replicas(&mut self, id: &str, replicas: u32) {
        match self.revision(id) {
            Some(seen) if seen.wanted != replicas => self.ask(Action::EnsureReplicas { id: id.to_owned(), replicas }),
            Some(_) => {}
            None => self.make_with(id, replicas),
        }
    }

    /// A ReplicaSet that is about to be made is made with its pods, unless they have to be made with what their role adds.
    fn make_with(&mut self, id: &str, pods: u32) {
        if metadata::of_role(self, id) != PodMetadata::default() {
            return;
        }
        let made = self.actions.iter_mut().find_map(|action| match action {
            Action::EnsureRevision { id: made, replicas, .. } if made == id => Some(replicas),
            _ => None,
        });
        if let Some(replicas) = made {
            *replicas = pods;
        }
    }

    /// Asks for these counts of pods.
    pub fn scale(&mut self, counts: Counts) {
        for (id, replicas) in &counts.replicas {
            self.ask_replicas(id, *replicas);
        }
        self.status.memory.drained = counts.drained;
        self.leaving = counts.leaving;
        self.wakes.extend(counts.wakes);
    }

    /// Brings both targets where they belong, and remembers since when they are there.
    pub fn point_targets(&mut self) {
        let wanted = [weights::stable_target(self), weights::canary_target(self)];
        let memory = &mut self.status.memory;
        for (wanted, known) in wanted.into_iter().zip([&mut memory.stable_target, &mut memory.canary_target]) {
            let Some(Pointed { memory, moves, settles }) = wanted else { continue };
            *known = memory;
            self.actions.extend(moves);
            self.wakes.extend(settles);
        }
    }

    /// Asks for the runs of this tick.
    pub fn keep_runs(&mut self) {
        let runs = runs::wanted(self);
        self.actions.extend(runs);
    }

    /// Shows the evidence of the runs.
    pub fn show_evidence(&mut self) {
        if let Some(metrics) = runs::evidence(self) {
            self.status.metrics = metrics;
        }
    }

    /// Looks again at this time.
    pub fn wake(&mut self, at: Timestamp, reason: WakeReason) {
        self.wakes.push(Wake { at, reason });
    }

    /// Emits an event about a transition.
    pub fn emit(&mut self, warning: bool, reason: Reason, message: impl Into<String>) {
        self.notices.push(Notice { warning, reason, message: message.into() });
    }

    /// Says what the tick waits for; the last one said counts.
    pub fn wait(&mut self, wait: Wait) {
        if let Some(until) = wait.ends_at() {
            self.wake(until, WakeReason::Wait(wait.reason.clone()));
        }
        self.waits = Some(wait);
    }

    /// What the tick waits for, as the status shows it: since when it is for the same reason.
    pub fn waiting(&self) -> Option<Waiting> {
        let wait = self.waits.as_ref()?;
        let since = match &self.input.status.waiting_for {
            Some(last) if last.reason == wait.reason => last.since,
            _ => self.now(),
        };
        let until = wait.ends_at().or_else(|| self.settles_by(&wait.reason));
        Some(Waiting { reason: wait.reason.clone(), message: wait.message.clone(), since, until })
    }

    /// When what this tick writes will have settled, if it is found in place at once.
    fn settles_by(&self, waits_for: &Reason) -> Option<Timestamp> {
        let written = self.actions.iter().any(|action| match action {
            Action::EnsureRoute(_) => *waits_for == Reason::Route,
            Action::EnsureTarget { .. } => *waits_for == Reason::Endpoints,
            _ => false,
        });
        written.then(|| self.settle().after(self.now()))
    }

    /// Keeps the deadline's clock as this tick leaves it: it runs, is stopped, or has ended.
    pub fn keep_progress(&mut self) {
        let now = self.now();
        match (self.status.state.progress_mut(), self.waits.as_ref().map(|wait| wait.ends)) {
            (_, Some(Ends::Progress(_))) => {}
            (Some(progress), Some(Ends::OurTime(_))) => {
                progress.stopped_since.get_or_insert(now);
            }
            (progress, _) => *progress = None,
        }
    }

    /// Since when the current wait has made no progress; restarts only on a new high-water mark.
    fn stuck_since(&mut self) -> Option<Timestamp> {
        let Some(Wait { reason: wait, ends: Ends::Progress(reached), .. }) = self.waits.clone() else { return None };
        let now = self.now();
        let last = self.status.state.progress_mut().take().filter(|last| last.wait == wait && reached <= last.best);
        let mut progress = last.unwrap_or(Progress { wait, best: reached, since: now, stopped_since: None });
        if let Some(stopped) = progress.stopped_since.take() {
            progress.since = progress.since.saturating_add(now.duration_since(stopped)).unwrap_or(now);
        }
        let since = progress.since;
        *self.status.state.progress_mut() = Some(progress);
        Some(since)
    }

    /// The end of a wait: not within the first look of a controller that has just begun, which may have missed what
    /// fulfils it (rule S41).
    pub fn not_before_first_look(&self, end: Timestamp) -> Timestamp {
        self.input.seen.deciding_since.map_or(end, |since| end.max(FIRST_LOOK.after(since)))
    }

    /// The progress deadline, if the current wait has missed it (rule S38); else looks again when it would.
    pub fn overdue(&mut self) -> Option<HumanDuration> {
        let since = self.stuck_since()?;
        let allowed = self.input.spec.progress_deadline();
        let until = self.not_before_first_look(allowed.after(since));
        if until > self.now() {
            self.wake(until, WakeReason::ProgressDeadline);
            return None;
        }
        Some(allowed)
    }

    /// The number of a revision that begins (rule S3). One that was given to its ReplicaSet and then lost with the status is
    /// given again.
    pub fn next_number(&self, id: &str) -> u64 {
        let others = self.input.seen.revisions.iter().filter(|revision| revision.id != id);
        let seen = others.map(|revision| revision.number);
        let known =
            self.status.stable_revision.iter().chain(&self.status.current_revision).chain(&self.status.promoted);
        let past = self.status.history.iter().map(|entry| entry.revision.number);
        seen.chain(known.map(|revision| revision.number)).chain(past).max().unwrap_or(0).saturating_add(1)
    }

    /// How long the current step lasts, without the time for which its clocks were or are stopped.
    pub fn step_elapsed(&self) -> SignedDuration {
        self.status.state.clock().map_or(SignedDuration::ZERO, |clock| clock.elapsed(self.now()))
    }

    /// Whether the clocks of the current step run.
    pub fn clock_runs(&self) -> bool {
        self.status.state.clock().is_none_or(|clock| clock.stopped_since.is_none())
    }

    /// Whether the current step has lasted so long: not while its clocks are stopped (S36, S37), and not before the first
    /// look is over.
    pub fn is_time_over(&self, length: HumanDuration) -> bool {
        let end = self.not_before_first_look(self.step_reaches(length));
        self.clock_runs() && self.step_elapsed() >= length.signed() && end <= self.now()
    }

    /// A moment that the current step's clocks decide: none while they are stopped.
    pub fn while_clocks_run(&self, moment: Timestamp) -> Option<Timestamp> {
        self.clock_runs().then_some(moment)
    }

    /// When the current step will have lasted so long, if its clocks run.
    pub fn step_reaches(&self, length: HumanDuration) -> Timestamp {
        let clock = self.status.state.clock().cloned().unwrap_or_else(|| Clock::begin(self.now()));
        let held = HumanDuration::from(std::time::Duration::from_millis(clock.held_ms.max(0) as u64));
        held.after(length.after(clock.since))
    }

    /// Sets phase, reason and message.
    pub fn set_phase(&mut self, phase: Phase, reason: Reason, message: impl Into<String>) {
        self.status.phase = Some(phase);
        self.status.reason = reason;
        self.status.message = message.into();
    }

    /// Closes the draft. What was decided is looked at again at once until nothing changes any more: our own status brings
    /// no news from outside.
    pub fn finish(mut self) -> Decision {
        let now = self.now();
        if self.status != *self.input.status {
            self.wake(now, WakeReason::StatusChanged);
        }
        let mut wake = self.wakes.drain(..).min_by_key(|wake| wake.at);
        // At once stays at once on a clock that is behind what was written down.
        wake.iter_mut().filter(|wake| wake.at <= now).for_each(|wake| wake.at = wake.at.min(self.input.now));
        Decision { status: self.status, actions: self.actions, wake, notices: self.notices }
    }
}

/// How messages name a revision.
pub fn named(revision: Option<&RevisionRef>) -> String {
    revision.map_or_else(|| "no revision".to_owned(), |revision| format!("revision #{}", revision.number))
}
