//! The trace of a run: its lines, and the outcome of each release.

use super::Player;
use crate::{
    evidence::ArmCounts,
    sim::{
        time::moment,
        trace::{Line, Mark, Release, place},
    },
};

impl Player {
    pub(in crate::sim) fn line(&mut self, mark: Mark, text: impl Into<String>) {
        if self.tells {
            let at = self.now();
            self.story.lines.push(Line { at, mark, text: text.into() });
        }
    }

    pub(super) fn tell(&mut self) {
        if !self.tells {
            return;
        }
        let (notices, status) = {
            let cluster = self.cluster();
            (cluster.notices[self.told..].to_vec(), cluster.status())
        };
        self.told += notices.len();
        for (_, notice) in notices {
            let mark = if notice.warning { Mark::Warned } else { Mark::Told };
            self.line(mark, format!("{}: {}", notice.reason, notice.message));
        }
        let key = format!(
            "{:?} {:?} {:?} {} {} {}",
            status.phase,
            status.course(),
            status.stage(),
            status.step_index,
            status.sub_step(),
            status.weights.desired
        );
        if key != self.last_place {
            self.last_place = key;
            let text = place(&status);
            if self.story.lines.last().is_none_or(|line| line.text != text) {
                self.line(Mark::Place, text);
            }
        }
    }

    /// A new version is released: what it answers from here on counts.
    pub(in crate::sim) fn begin_release(&mut self, image: &str) {
        let (at, before, is_stable) = {
            let mut cluster = self.cluster();
            cluster.count_up();
            let status = cluster.status();
            let stable = status.stable_revision.as_ref().and_then(|stable| cluster.set(&stable.id));
            let first = status.stable_revision.is_none();
            let is_stable = first || stable.is_some_and(|set| set.image() == image);
            (cluster.now, cluster.answered_by(image), is_stable)
        };
        if !is_stable {
            let answered = ArmCounts::default();
            let image = image.to_owned();
            self.story.releases.push(Release { image, at, outcome: None, held: false, ended: None, answered, before });
        }
    }

    pub(super) fn follow_releases(&mut self) {
        for index in 0..self.story.releases.len() {
            if self.story.releases[index].ended.is_some() {
                continue;
            }
            let (outcome, held) = {
                let (cluster, release) = (self.cluster(), &self.story.releases[index]);
                let status = cluster.rollout.as_ref().and_then(|rollout| rollout.status.as_ref());
                let history = status.iter().flat_map(|status| &status.history);
                let mut own = history.filter(|entry| {
                    moment(entry.ended_at) >= release.at && entry.images.first() == Some(&release.image)
                });
                (own.next().map(|entry| entry.outcome), status.is_some_and(|status| status.held().is_some()))
            };
            self.story.releases[index].held = held;
            if outcome.is_some() {
                self.count_release(index);
                let now = self.now();
                let release = &mut self.story.releases[index];
                (release.outcome, release.ended) = (outcome, Some(now));
            }
        }
    }

    pub(super) fn count_release(&mut self, index: usize) {
        let answered = {
            let mut cluster = self.cluster();
            cluster.count_up();
            cluster.answered_by(&self.story.releases[index].image)
        };
        let release = &mut self.story.releases[index];
        let before = release.before;
        release.answered = ArmCounts { bad: answered.bad - before.bad, total: answered.total - before.total };
    }
}
