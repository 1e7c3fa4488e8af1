//! Responses of Prometheus, and its failures as messages that are safe for a status.
//!
//! The messages are fixed. One text of a server is passed on, because nothing else explains to a user what is wrong
//! with a query: `error` of a well-formed Prometheus response that rejects the query itself (`bad_data`, `execution`),
//! on one line and bounded. No other server in the cluster responds in that format, so no other server's text gets into
//! a status through an address that points at it; and such an error is only about the query, which its author wrote.

use std::{collections::HashMap, time::Duration};

use serde::{Deserialize, de::IgnoredAny};

use crate::{
    ports::source::{Fault, SourceError},
    reconcile::turns::NoTurn,
    source::{
        outbound::{Denied, Trouble},
        servers::Server,
    },
};

/// The longest text of a server's own that is kept, in characters.
const LONGEST: usize = 200;

/// Labels that matter (`arm`) and the value.
pub type Samples = Vec<(String, f64)>;

/// A failed question.
#[derive(Clone, Debug)]
pub struct Failed {
    fault: Fault,
    message: String,
    /// Asking again may help.
    passing: bool,
    /// The server is in trouble, not the question.
    outage: bool,
}

impl Failed {
    /// The question cannot be answered as it is.
    pub fn lasting(message: String) -> Self {
        Failed { fault: Fault::Refused, message, passing: false, outage: false }
    }

    /// Nothing came within this time.
    pub fn silent(server: &Server, time: Duration) -> Self {
        let message =
            format!("no response from {} within {} s; {}", server.name, time.as_secs_f32().ceil(), server.remedy);
        Failed { fault: Fault::Silent, message, passing: false, outage: true }
    }

    /// There was no turn.
    pub fn busy(server: &Server, no: &NoTurn) -> Self {
        Failed {
            fault: Fault::Busy,
            message: format!("{} is not queried now: {no}", server.name),
            passing: false,
            outage: false,
        }
    }

    /// There are no credentials for the request.
    pub fn unauthenticated(error: SourceError) -> Self {
        Failed { fault: error.fault, message: error.message, passing: false, outage: false }
    }

    /// The request failed.
    pub fn unreachable(server: &Server, trouble: &Trouble, time: Duration) -> Self {
        let lasting = |fault, why: String| Failed { fault, message: why, passing: false, outage: false };
        match trouble {
            Trouble::Silent => Self::silent(server, time),
            Trouble::Denied(Denied::NoSuchHost) | Trouble::ConnectionRefused | Trouble::Broken => Failed {
                fault: Fault::Unreachable,
                message: format!("cannot reach {} ({trouble}); {}", server.name, server.remedy),
                passing: true,
                outage: true,
            },
            Trouble::Denied(_) => {
                lasting(Fault::Denied, format!("cannot query {}: {trouble}; {}", server.name, server.remedy))
            }
            Trouble::Certificate(_) => {
                lasting(Fault::Unreachable, format!("cannot reach {} ({trouble}); {}", server.name, server.remedy))
            }
            Trouble::TooLong(most) => lasting(
                Fault::Refused,
                format!("{} returned more than {} MiB; aggregate the query", server.name, most >> 20),
            ),
        }
    }

    /// As it is displayed.
    pub fn error(&self) -> SourceError {
        SourceError::new(self.fault, self.message.clone())
    }

    /// Whether asking again at once may help.
    pub fn is_passing(&self) -> bool {
        self.passing
    }

    /// Whether the server is in trouble.
    pub fn is_outage(&self) -> bool {
        self.outage
    }

    /// Whether less may be answered where much is refused.
    pub fn splits(&self) -> bool {
        self.fault == Fault::Refused && !self.passing && !self.outage
    }
}

/// Prometheus's answer, as far as it is used. Values are [time, "number"].
#[derive(Deserialize)]
#[serde(bound(deserialize = "S: Deserialize<'de>"))]
struct Envelope<S> {
    status: Status,
    #[serde(default)]
    data: Option<Data<S>>,
    #[serde(default)]
    error: Option<String>,
    #[serde(rename = "errorType", default)]
    kind: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Success,
    Error,
}

/// What a server's `errorType` says of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The query itself is at fault.
    Query(&'static str),
    /// It took too long.
    Timeout,
    /// The server is in trouble.
    Outage,
    /// Something that we know nothing of.
    Other,
}

impl Kind {
    /// Prometheus's own kinds; VictoriaMetrics has the HTTP status there.
    fn of(text: &str, status: u16) -> Kind {
        match text {
            "bad_data" => Kind::Query("bad_data"),
            "execution" => Kind::Query("execution"),
            "422" if status == 422 => Kind::Query("execution"),
            "400" if status == 400 => Kind::Query("bad_data"),
            "timeout" => Kind::Timeout,
            "canceled" | "unavailable" | "internal" | "too_many_requests" | "429" | "500" | "503" => Kind::Outage,
            _ => Kind::Other,
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub(super) enum Data<S> {
    /// One sample for each series.
    Vector(Vec<S>),
    /// One number without a series.
    Scalar((f64, String)),
    /// Series over time.
    Matrix(Vec<Row>),
    /// A text.
    String(IgnoredAny),
}

#[derive(Deserialize)]
struct Sample {
    #[serde(default)]
    metric: HashMap<String, String>,
    #[serde(default)]
    value: Option<(f64, String)>,
}

/// A series over time.
#[derive(Deserialize)]
pub(super) struct Row {
    /// Its labels.
    #[serde(default)]
    metric: HashMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

impl Row {
    /// Its points: seconds and numbers.
    fn points(self) -> Result<Vec<(i64, f64)>, Failed> {
        self.values.into_iter().map(|(second, text)| Ok((second.round() as i64, number(&text)?))).collect()
    }
}

/// A series over time, with its labels.
pub type Series = (HashMap<String, String>, Vec<(i64, f64)>);

/// Who answers, for messages.
#[derive(Clone, Copy, Debug)]
pub struct Answerer<'a> {
    /// What it is called.
    pub name: &'a str,
    /// What to do when it does not answer as it should.
    pub remedy: &'a str,
}

/// The samples in an answer.
pub fn read(from: Answerer<'_>, status: u16, body: &[u8]) -> Result<Samples, Failed> {
    match data(from, status, body)? {
        Some(Data::Vector(samples)) => samples.into_iter().map(sample).collect(),
        Some(Data::Scalar(value)) => Ok(vec![(String::new(), number(&value.1)?)]),
        _ => {
            Err(Failed::lasting("the query returns no instant vector or scalar; aggregate it to one number".to_owned()))
        }
    }
}

/// The series in an answer over a range of time.
pub fn read_range(from: Answerer<'_>, status: u16, body: &[u8]) -> Result<Vec<Series>, Failed> {
    match data::<IgnoredAny>(from, status, body)? {
        Some(Data::Matrix(rows)) => {
            rows.into_iter().map(|mut row| Ok((std::mem::take(&mut row.metric), row.points()?))).collect()
        }
        _ => Err(Failed::lasting("the query returns no series over time; aggregate it to one number".to_owned())),
    }
}

/// The data of an answer that is a success, its samples read as `S`.
pub(super) fn data<S: for<'de> Deserialize<'de>>(
    from: Answerer<'_>,
    status: u16,
    body: &[u8],
) -> Result<Option<Data<S>>, Failed> {
    let name = from.name;
    if matches!(status, 401 | 403) {
        let message = format!("{name} rejected the credentials (HTTP {status}); check its auth");
        return Err(Failed { fault: Fault::Denied, ..Failed::lasting(message) });
    }
    let Ok(envelope) = serde_json::from_slice::<Envelope<S>>(body) else { return Err(foreign(from, status)) };
    if matches!(envelope.status, Status::Error) {
        return Err(match envelope.kind {
            Some(kind) => refused(name, status, Kind::of(&kind, status), envelope.error.as_deref().unwrap_or_default()),
            None => foreign(from, status),
        });
    }
    if envelope.warnings.iter().any(|warning| warning.to_lowercase().contains("partial")) {
        return Err(Failed::lasting(format!("{name} returned partial data, according to a warning in its response")));
    }
    Ok(envelope.data)
}

/// A server that is not a Prometheus, or a proxy in front of one.
fn foreign(Answerer { name, remedy }: Answerer<'_>, status: u16) -> Failed {
    let redirect = if (300..400).contains(&status) { ", and redirects are not followed" } else { "" };
    let message = format!("{name} responded HTTP {status}, and not like a Prometheus{redirect}; {remedy}");
    let passing = status >= 500 || status == 429;
    Failed { passing, outage: passing, ..Failed::lasting(message) }
}

fn refused(name: &str, status: u16, kind: Kind, error: &str) -> Failed {
    match kind {
        Kind::Query(kind) => {
            Failed::lasting(format!("{name} rejected the query (HTTP {status}, {kind}): {}", one_line(error)))
        }
        Kind::Timeout => {
            let message = format!("{name} could not evaluate the query in time (HTTP {status}); simplify it");
            Failed { fault: Fault::Silent, message, passing: false, outage: true }
        }
        Kind::Outage => {
            let message = format!("{name} is unavailable (HTTP {status})");
            Failed { fault: Fault::Unreachable, message, passing: true, outage: true }
        }
        Kind::Other => Failed::lasting(format!("{name} rejected the query (HTTP {status})")),
    }
}

/// A server's own text, bounded, without what moves a cursor.
fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c }).collect();
    let mut kept: String = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = kept.char_indices().nth(LONGEST) {
        kept.truncate(end);
    }
    kept
}

fn sample(sample: Sample) -> Result<(String, f64), Failed> {
    let histogram = || Failed::lasting("the query returns histograms; aggregate it to one number".to_owned());
    let value = sample.value.ok_or_else(histogram)?;
    Ok((sample.metric.get("arm").cloned().unwrap_or_default(), number(&value.1)?))
}

/// `NaN`, `+Inf` and `-Inf` as Prometheus writes them are read as well.
pub(super) fn number(text: &str) -> Result<f64, Failed> {
    text.parse().map_err(|_| Failed::lasting("the query returns a value that is not a number".to_owned()))
}
