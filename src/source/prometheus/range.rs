//! A query over a range of time, as a history is read: one request, no more points than are asked for.

use jiff::Timestamp;

use super::{
    answer::{self, Answerer, Failed, Series},
    ask,
};
use crate::{evidence::Answer, source::servers::Server};

/// The most points of one question: Prometheus itself refuses more than 11,000.
const MOST_POINTS: i64 = 11_000;

/// A query and the times of its evaluations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeAsk {
    /// The query.
    pub text: String,
    /// The first evaluation time.
    pub start: Timestamp,
    /// The last one.
    pub end: Timestamp,
    /// Seconds between them.
    pub step_seconds: u32,
}

impl RangeAsk {
    fn points(&self) -> i64 {
        (self.end.as_second() - self.start.as_second()) / i64::from(self.step_seconds.max(1)) + 1
    }

    /// Asks a server, which is to answer within `request`, and to give up a `margin` earlier.
    pub async fn of(
        &self,
        server: &Server,
        request: std::time::Duration,
        margin: std::time::Duration,
    ) -> Result<Vec<Series>, Failed> {
        if self.points() > MOST_POINTS {
            return Err(Failed::lasting(format!("{} points in one query, more than {MOST_POINTS}", self.points())));
        }
        let [start, end] = [self.start, self.end].map(|at| at.as_second().to_string());
        let step = self.step_seconds.max(1).to_string();
        let timeout = format!("{}ms", request.saturating_sub(margin).as_millis());
        let form =
            [("query", self.text.as_str()), ("start", &start), ("end", &end), ("step", &step), ("timeout", &timeout)];
        let (status, body) = ask::received(server, server.query_range(&form).await, request, ask::LARGEST).await?;
        answer::read_range(Answerer { name: &server.name, remedy: server.remedy }, status, &body)
    }
}

/// The one series; for several their count, since none of them is the one that was meant.
pub fn only_series(mut series: Vec<Series>) -> Answer {
    if series.len() > 1 {
        return Answer::Several(series.len());
    }
    let (_, mut points) = series.pop().unwrap_or_default();
    points.retain(|(_, value)| value.is_finite());
    Answer::Series(points)
}
