//! The election's table: every state with every event.

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn wall() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn stored(record: &Record) -> Stored {
    let lease = Stored::default().with(record);
    lease.into()
}

fn of(holder: &str) -> Stored {
    stored(&Record::taken(holder, None, wall()))
}

/// The decision, as a string.
fn said(state: &State, action: &Action) -> String {
    let state = match state {
        State::Standby(_) => "standby",
        State::Leading(_) => "leading",
        State::Releasing { .. } => "releasing",
        State::Lost(why) => why,
        State::Ended => "ended",
    };
    let action = match action {
        Action::Read => "read".to_owned(),
        Action::Create(record) => format!("create for {}", record.holder.as_deref().unwrap_or("none")),
        Action::Replace(_, record) => format!("replace for {}", record.holder.as_deref().unwrap_or("none")),
        Action::Wait(_) => "wait".to_owned(),
        Action::End => "end".to_owned(),
    };
    format!("{state}, {action}")
}

#[tokio::test(start_paused = true)]
async fn every_state_answers_every_event() {
    let at = Instant::now();
    let (mine, theirs) = (of("me"), of("other"));
    let standby = || State::Standby(Standby::default());
    let leading = || State::Leading(Leading { stored: mine.clone(), renewed: at, sent: at });
    let releasing = || State::Releasing { stored: mine.clone(), until: at + s(5) };
    let renewed = stored(&mine.record.renewed(wall() + jiff::SignedDuration::from_secs(2)));
    let free = stored(&mine.record.released());
    let cases = [
        (standby(), Event::Woke, "standby, read"),
        (standby(), Event::Found(None), "standby, create for me"),
        (standby(), Event::Found(Some(free.clone())), "standby, replace for me"),
        (standby(), Event::Found(Some(mine.clone())), "standby, replace for me"),
        (standby(), Event::Found(Some(theirs.clone())), "standby, wait"),
        (standby(), Event::Refused, "standby, wait"),
        (standby(), Event::Failed, "standby, wait"),
        (standby(), Event::Stop, "ended, end"),
        (leading(), Event::Woke, "leading, replace for me"),
        (leading(), Event::Written(renewed.clone()), "leading, wait"),
        (leading(), Event::Refused, "leading, read"),
        (leading(), Event::Found(Some(renewed.clone())), "leading, replace for me"),
        (leading(), Event::Found(Some(theirs.clone())), "another replica holds the Lease, end"),
        (leading(), Event::Found(Some(free.clone())), "another replica holds the Lease, end"),
        (leading(), Event::Found(None), "the Lease was deleted, end"),
        (leading(), Event::Failed, "leading, wait"),
        (leading(), Event::Stop, "releasing, replace for none"),
        (releasing(), Event::Written(free.clone()), "ended, end"),
        (releasing(), Event::Refused, "releasing, read"),
        (releasing(), Event::Found(Some(renewed)), "releasing, replace for none"),
        (releasing(), Event::Found(Some(theirs.clone())), "ended, end"),
        (releasing(), Event::Found(None), "ended, end"),
        (releasing(), Event::Failed, "releasing, wait"),
        (releasing(), Event::Woke, "releasing, replace for none"),
        (State::Lost(TAKEN), Event::Woke, "another replica holds the Lease, end"),
        (State::Ended, Event::Woke, "ended, end"),
    ];
    for (state, event, expected) in cases {
        let (next, action) = decide("me", state.clone(), event.clone(), Now { at: at + s(1), wall: wall() });
        assert_eq!(said(&next, &action), expected, "{state:?} {event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn c6_time_runs_from_the_moment_a_renewal_was_sent() {
    let at = Instant::now();
    let mine = of("me");
    let leading = |renewed, sent| State::Leading(Leading { stored: mine.clone(), renewed, sent });
    let cases = [
        // Renewed last, then the renewal under way was sent, then it was answered.
        (0, 2, Event::Written(mine.clone()), 4, Some(12)),
        (0, 2, Event::Written(mine.clone()), 11, Some(12)),
        (0, 2, Event::Written(mine.clone()), 12, None),
        (0, 2, Event::Failed, 9, Some(10)),
        (0, 2, Event::Failed, 10, None),
        (0, 2, Event::Refused, 10, None),
        (0, 2, Event::Woke, 10, None),
        (0, 2, Event::Found(Some(mine.clone())), 10, None),
    ];
    for (renewed, sent, event, answered, until) in cases {
        let now = Now { at: at + s(answered), wall: wall() };
        let (next, _) = decide("me", leading(at + s(renewed), at + s(sent)), event.clone(), now);
        let led_until = match &next {
            State::Leading(leading) => Some((leading.until() - at).as_secs()),
            _ => None,
        };
        assert_eq!(led_until, until, "{event:?} at {answered}: {next:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn c6_a_lease_is_taken_when_it_was_not_seen_to_change_for_its_duration() {
    let at = Instant::now();
    let theirs = of("other");
    let mut state = State::begin();
    for second in 0..15 {
        let now = Now { at: at + s(second), wall: wall() };
        let (next, action) = decide("me", state, Event::Found(Some(theirs.clone())), now);
        assert!(matches!(action, Action::Wait(until) if until <= at + s(15)), "{second}: {action:?}");
        state = next;
    }
    let changed = stored(&theirs.record.renewed(wall() + jiff::SignedDuration::from_secs(1)));
    let late = Now { at: at + s(14), wall: wall() };
    let (renewed, _) = decide("me", state.clone(), Event::Found(Some(changed.clone())), late);
    let now = Now { at: at + s(15), wall: wall() };
    let (_, action) = decide("me", renewed, Event::Found(Some(changed)), now);
    assert!(matches!(action, Action::Wait(_)), "a change begins the wait anew: {action:?}");
    let (_, action) = decide("me", state, Event::Found(Some(theirs)), now);
    assert!(matches!(&action, Action::Replace(_, record) if record.transitions == 1), "{action:?}");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_an_answer_that_took_effect_counts_from_its_sending() {
    let at = Instant::now();
    let moment = |second| Now { at: at + s(second), wall: wall() };
    let free = stored(&of("other").record.released());
    let (state, action) = decide("me", State::begin(), Event::Found(Some(free)), moment(0));
    let Action::Replace(before, record) = action else { panic!("{action:?}") };
    let taken: Stored = before.with(&record).into();
    let (state, _) = decide("me", state, Event::Failed, moment(3));
    let (leads, _) = decide("me", state.clone(), Event::Found(Some(taken.clone())), moment(5));
    assert!(matches!(&leads, State::Leading(leading) if leading.until() == at + s(10)), "{leads:?}");
    let (late, _) = decide("me", state, Event::Found(Some(taken)), moment(11));
    assert!(matches!(late, State::Standby(_)), "{late:?}");
}
