//! The log of a local rollout: what its engine reports, in lines that are still readable after an hour.

use jiff::Timestamp;

use crate::{
    api::Rollout,
    cli::{
        changes::{Changes, Line, Now},
        connect::now,
        verbs::watch::in_one_line,
    },
    engine::Notice,
    local::site::News,
    view::situation::Situation,
};

/// What was printed, and what waits for the end of its tick.
#[derive(Default)]
pub struct Log {
    changes: Changes,
    notices: Vec<(Timestamp, Notice)>,
}

impl Log {
    /// The lines that the news leads to.
    pub fn take(&mut self, news: News) -> Vec<Line> {
        match news {
            News::Notice(at, notice) => {
                self.notices.push((at, notice));
                Vec::new()
            }
            News::Ticked(rollout) => self.ticked(&rollout, now()),
        }
    }

    fn ticked(&mut self, rollout: &Rollout, at: Timestamp) -> Vec<Line> {
        let Some(status) = &rollout.status else { return Vec::new() };
        let situation = Situation::of(rollout, Timestamp::UNIX_EPOCH);
        let text = in_one_line(&situation, "");
        let (key, after) = (text.clone(), format!(" -> {text}"));
        let now = Now { status, place: &situation.place, key, after, alone: text, at };
        self.changes.lines(&now, &std::mem::take(&mut self.notices), say)
    }

    /// What no tick follows any more.
    pub fn rest(&mut self) -> Vec<Line> {
        let line = |(at, notice): (Timestamp, Notice)| Line { at, warning: notice.warning, text: say(&notice) };
        std::mem::take(&mut self.notices).into_iter().map(line).collect()
    }
}

fn say(notice: &Notice) -> String {
    format!("{}: {}", notice.reason, notice.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{reason::Reason, status::Phase},
        view::samples,
    };

    fn texts(lines: Vec<Line>) -> Vec<String> {
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn a_window_without_a_verdict_is_no_line() {
        let mut log = Log::default();
        let mut observing = samples::observing().rollout;
        let first = texts(log.ticked(&observing, samples::NOW));
        assert_eq!(first.last().map(String::as_str), Some("Progressing  #42  step 4/7  25 %  observing at 25 %"));
        observing.status.get_or_insert_default().message = "observing at 25 %: errors Continue (0 % (0/54))".into();
        assert!(log.ticked(&observing, samples::NOW).is_empty());
    }

    #[test]
    fn a_command_and_what_it_leads_to_are_one_line_in_this_order() {
        let mut log = Log::default();
        log.ticked(&samples::at_pause().rollout, samples::NOW);
        let command = Notice { warning: false, reason: Reason::Command, message: "promote by ann: done".into() };
        assert!(log.take(News::Notice(samples::NOW, command)).is_empty());
        let mut next = samples::at_pause().rollout;
        let status = next.status.get_or_insert_default();
        (status.step_index, status.phase) = (4, Some(Phase::Progressing));
        let lines = texts(log.ticked(&next, samples::NOW));
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with("Command: promote by ann: done -> Progressing  #42  step 5/7"), "{lines:?}");
    }

    #[test]
    fn what_happens_at_the_end_is_not_lost() {
        let mut log = Log::default();
        let notice = Notice { warning: true, reason: Reason::AddressDown, message: "http://a does not respond".into() };
        log.take(News::Notice(samples::NOW, notice));
        assert_eq!(texts(log.rest()), ["AddressDown: http://a does not respond"]);
        assert!(log.rest().is_empty());
    }
}
