//! `--replay START..END`: a time of the past.

use jiff::{SignedDuration, Timestamp};

use crate::{api::HumanDuration, cli::exit::CliError};

/// How to write one.
const FORM: &str =
    "write START..END, each a time like 2026-11-28T10:00Z or one before now like -2h, for instance -2h..-1h";

/// From one time to a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its begin.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
}

impl Period {
    /// Reads `START..END`; without an END it ends now.
    pub fn read(text: &str, now: Timestamp) -> Result<Period, CliError> {
        let (start, end) = text.split_once("..").ok_or_else(|| wrong(text, FORM))?;
        let end = if end.is_empty() { now } else { moment(end, now)? };
        let period = Period { start: moment(start, now)?, end };
        match () {
            () if period.start >= period.end => Err(wrong(text, "its end must be later than its start")),
            () if period.end > now => Err(wrong(text, "its end must not be later than now")),
            () => Ok(period),
        }
    }

    /// Pieces of this length, oldest first; a rest is left out.
    pub fn pieces(self, length: SignedDuration) -> impl Iterator<Item = Period> {
        let next = move |start: &Timestamp| start.checked_add(length).ok();
        std::iter::successors(Some(self.start), next)
            .map_while(move |start| Some(Period { start, end: start.checked_add(length).ok()? }))
            .take_while(move |piece| piece.end <= self.end)
    }
}

fn moment(text: &str, now: Timestamp) -> Result<Timestamp, CliError> {
    if text == "now" {
        return Ok(now);
    }
    if let Some(before) = text.strip_prefix('-') {
        let before: HumanDuration = before.parse().map_err(|_| wrong(text, FORM))?;
        return now.checked_sub(before.signed()).map_err(|_| wrong(text, FORM));
    }
    text.parse().map_err(|_| wrong(text, FORM))
}

fn wrong(text: &str, why: &str) -> CliError {
    CliError::Usage(format!("--replay {text}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_absolute_or_before_now() {
        let now = at("2026-11-29T12:00:00Z");
        for (text, start, end) in [
            ("2026-11-28T10:00Z..2026-11-28T11:00Z", "2026-11-28T10:00:00Z", "2026-11-28T11:00:00Z"),
            ("-2h..-1h", "2026-11-29T10:00:00Z", "2026-11-29T11:00:00Z"),
            ("-30m..", "2026-11-29T11:30:00Z", "2026-11-29T12:00:00Z"),
            ("2026-11-29T11:00:00+01:00..now", "2026-11-29T10:00:00Z", "2026-11-29T12:00:00Z"),
        ] {
            let read = Period::read(text, now).unwrap();
            assert_eq!(read, Period { start: at(start), end: at(end) }, "{text}");
        }
        for (text, words) in [
            ("-1h", "write START..END"),
            ("yesterday..now", "write START..END"),
            ("-1h..-2h", "its end must be later"),
            ("-1h..2026-11-30T00:00Z", "must not be later than now"),
        ] {
            let error = Period::read(text, now).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_day_has_whole_pieces_only() {
        let day = Period { start: at("2026-11-28T12:00:00Z"), end: at("2026-11-29T12:00:00Z") };
        let pieces: Vec<Period> = day.pieces(SignedDuration::from_hours(7)).collect();
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces[2], Period { start: at("2026-11-29T02:00:00Z"), end: at("2026-11-29T09:00:00Z") });
    }
}
