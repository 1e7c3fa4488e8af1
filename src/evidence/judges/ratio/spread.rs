//! Dispersion (phi) measured on stable's pods before a run, unless its template sets it: errors that come in clusters carry
//! less evidence (analysis.md section 3). It is asked once and frozen, so that all evidence of a run is weighed alike.

use serde::{Deserialize, Serialize};

use crate::{
    api::{
        analysis::{AnalysisRunSpec, RatioMetric},
        common::HumanDuration,
    },
    evidence::{
        context::Context,
        format,
        query::{ArmCounts, IncrementsQuery, SpreadQuery},
        windows,
    },
    stats::Dispersion,
};

/// The length of a window, in seconds. Runs that begin within one ask for the same windows, and so together.
const WINDOW: u32 = 300;
/// Windows of six hours.
const WINDOWS: u32 = 72;
/// Windows with requests that are a history: an hour.
const FEWEST: u32 = 12;
/// The longest error that is kept, in characters.
const LONGEST_REFUSAL: usize = 200;

/// What is remembered of stable's pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spread {
    /// Whether nothing is asked any more.
    known: bool,
    /// How often the source answered windows, but not this.
    refusals: u32,
    /// Why it is not measured, once that is given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    /// Windows in which stable's pods had requests; `None` where pods are not distinguished.
    #[serde(skip_serializing_if = "Option::is_none")]
    windows: Option<u32>,
    sums: Dispersion,
}

impl Spread {
    /// The question, until it is answered; none where the template sets phi.
    pub fn question(&self, spec: &AnalysisRunSpec, ratio: &RatioMetric, context: &Context) -> Option<SpreadQuery> {
        if self.is_known(context) {
            return None;
        }
        let at = context.started.as_second();
        let last =
            windows::question(spec, &context.frozen, [&ratio.bad, &ratio.total], at - at.rem_euclid(WINDOW.into()));
        let window = IncrementsQuery { window_seconds: WINDOW, warm_up_seconds: 0, ..last };
        let before = i64::from(WINDOW * ((WINDOWS >> self.refusals) - 1));
        Some(SpreadQuery { first_end: windows::instant(window.end.as_second() - before), window })
    }

    /// Whether nothing has to be asked any more.
    pub fn is_known(&self, context: &Context) -> bool {
        self.known || !context.frozen.measures_phi
    }

    /// Takes the answer in: window by window what each pod counted.
    pub fn answered(&mut self, windows: Option<&[Vec<ArmCounts>]>) {
        *self = Spread { known: true, windows: windows.map(|_| 0), ..Spread::default() };
        for pods in windows.unwrap_or_default().iter().filter(|pods| pods.iter().any(|pod| pod.total > 0)) {
            self.windows = self.windows.map(|seen| seen + 1);
            self.sums.observe(&pods.iter().map(|pod| (pod.bad.min(pod.total), pod.total)).collect::<Vec<_>>());
        }
    }

    /// The source works and does not answer this: half as much is asked for next. Where an hour is too much as well, phi is
    /// not measured; an analysis that waited for it would never begin.
    pub fn refused(&mut self, error: &str) {
        self.refusals += 1;
        if WINDOWS >> self.refusals < FEWEST {
            (self.known, self.refusal) = (true, Some(error.chars().take(LONGEST_REFUSAL).collect()));
        }
    }

    /// The context with the phi that was measured.
    pub fn measured(&self, context: &Context) -> Context {
        let mut context = *context;
        if context.frozen.measures_phi && self.has_history() {
            context.frozen.phi = self.sums.phi();
        }
        context
    }

    /// For people: which phi is used and why, where it is measured.
    pub fn note(&self, context: &Context) -> Option<String> {
        let phi = format::few_digits(self.measured(context).frozen.phi);
        let why = match (&self.refusal, self.windows) {
            (Some(refusal), _) => format!("not measured: {refusal}"),
            (None, Some(windows)) if self.has_history() => {
                let so_long = HumanDuration::secs(u64::from(windows * WINDOW));
                match self.sums.df {
                    0 => format!("too few errors or pods of stable in {so_long} to measure it"),
                    _ => format!("measured on stable's pods over {so_long}"),
                }
            }
            (None, Some(_)) => "stable has no hour of history".to_owned(),
            (None, None) => return None,
        };
        context.frozen.measures_phi.then(|| format!("phi: {phi}, {why}"))
    }

    fn has_history(&self) -> bool {
        self.windows.is_some_and(|windows| windows >= FEWEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::analysis::AnalysisRunStatus, stats::dispersion::PHI_WITHOUT_HISTORY};

    fn context(phi: Option<f64>) -> Context {
        let mut spec = AnalysisRunSpec::default();
        spec.settings.phi = phi;
        Context::of(&spec, &AnalysisRunStatus::default(), jiff::Timestamp::from_second(1_700_000_031).unwrap())
    }

    fn pods(bad: [u64; 4]) -> Vec<ArmCounts> {
        bad.map(|bad| ArmCounts { bad, total: 1_000 }).to_vec()
    }

    #[test]
    fn errors_of_one_pod_at_a_time_are_clustered() {
        let context = context(None);
        let mut spread = Spread::default();
        spread.answered(Some(&vec![pods([20, 0, 0, 0]); 30]));
        // X2 of each window: 15^2/5 + 3 * 5 = 60 with 3 degrees of freedom.
        let expected = (30.0 * 60.0 + 40.0) / (90.0 + 20.0);
        assert!((spread.measured(&context).frozen.phi - expected).abs() < 1e-9);
        assert_eq!(spread.note(&context).unwrap(), "phi: 17, measured on stable's pods over 2h30m");
        spread.answered(Some(&vec![pods([5, 5, 5, 5]); 30]));
        assert_eq!(spread.measured(&context).frozen.phi, 1.0);
    }

    #[test]
    fn less_than_an_hour_is_no_history() {
        let context = context(None);
        let mut spread = Spread::default();
        assert!(!spread.is_known(&context) && spread.note(&context).is_none());
        spread.answered(Some(&[vec![pods([20, 0, 0, 0]); 11], vec![Vec::new(); 61]].concat()));
        assert!(spread.is_known(&context));
        assert_eq!(spread.measured(&context).frozen.phi, PHI_WITHOUT_HISTORY);
        assert_eq!(spread.note(&context).unwrap(), "phi: 2, stable has no hour of history");
    }

    #[test]
    fn a_source_that_does_not_distinguish_pods_says_nothing() {
        let context = context(None);
        let mut spread = Spread::default();
        spread.answered(None);
        assert!(spread.is_known(&context) && spread.note(&context).is_none());
        assert_eq!(spread.measured(&context).frozen.phi, PHI_WITHOUT_HISTORY);
    }

    #[test]
    fn what_is_too_much_is_halved_and_then_given_up() {
        let (ratio, spec, context) = (RatioMetric::default(), AnalysisRunSpec::default(), context(None));
        let mut spread = Spread::default();
        let mut asked = Vec::new();
        while let Some(question) = spread.question(&spec, &ratio, &context) {
            asked.push(question.window.end.duration_since(question.first_end).as_secs() / 300 + 1);
            spread.refused("too many samples");
        }
        assert_eq!(asked, [72, 36, 18]);
        assert_eq!(spread.note(&context).unwrap(), "phi: 2, not measured: too many samples");
    }

    #[test]
    fn a_phi_of_the_template_is_taken_as_it_is() {
        let context = context(Some(3.5));
        let (ratio, spec) = (RatioMetric::default(), AnalysisRunSpec::default());
        let spread = Spread::default();
        assert!(spread.is_known(&context) && spread.question(&spec, &ratio, &context).is_none());
        assert_eq!(spread.measured(&context).frozen.phi, 3.5);
        assert_eq!(spread.note(&context), None);
    }

    #[test]
    fn it_is_asked_for_the_six_hours_before_the_run() {
        let (ratio, spec) = (RatioMetric::default(), AnalysisRunSpec::default());
        let question = Spread::default().question(&spec, &ratio, &context(None)).unwrap();
        assert_eq!(question.window.end.as_second(), 1_699_999_800);
        assert_eq!((question.first_end.as_second(), question.window.window_seconds), (1_699_999_800 - 71 * 300, 300));
    }
}
