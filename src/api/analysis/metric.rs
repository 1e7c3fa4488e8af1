//! One metric: where its numbers come from, and which judge reads them.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{
    anomaly::AnomalyMetric, burn_rate::BurnRateMetric, conversion::ConversionMetric, counter::Counter,
    gauge::GaugeMetric, kayenta::KayentaMetric, latency::LatencyMetric, threshold::ThresholdMetric,
};
use crate::api::common::Percent;

/// The message for a metric without a judge, or with more than one.
pub const ONE_JUDGE: &str =
    "a metric must have exactly one judge: ratio, latency, gauge, threshold, conversion, burnRate, anomaly or kayenta";

/// A metric with its queries and judge. Exactly one of `ratio`, `latency`, `gauge`, `threshold`, `conversion`, `burnRate`,
/// `anomaly`, `kayenta`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.ratio), has(self.latency), has(self.gauge), has(self.threshold), has(self.conversion), has(self.burnRate), has(self.anomaly), has(self.kayenta)].filter(given, given).size() == 1",
    ONE_JUDGE
))]
pub struct Metric {
    /// Its name, unique among the metrics of a run.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// `false` makes the metric advisory: it is reported but does not affect the verdict. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Its weight in the division of `alpha` among the required metrics that are tests: with 3 beside a metric with 1 it
    /// takes three quarters, and finds a regression sooner. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub weight: Option<u32>,
    /// The error rate of canary against stable, by an always-valid sequential test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<RatioMetric>,
    /// The response time of canary against stable, by an always-valid sequential test on histograms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyMetric>,
    /// A gauge of the canary's pods against that of stable's pods, by an always-valid sequential test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gauge: Option<GaugeMetric>,
    /// A condition on one number, as in Argo Rollouts and Flagger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<ThresholdMetric>,
    /// The conversion rate of candidate against control in an A/B test, by an always-valid confidence interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversion: Option<ConversionMetric>,
    /// How fast the error budget of a service level objective burns, for the service and for the canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burn_rate: Option<BurnRateMetric>,
    /// A query's result against the same time of earlier days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<AnomalyMetric>,
    /// Spinnaker's Kayenta: Mann-Whitney tests of series of canary and stable, and a score, for people who move from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kayenta: Option<KayentaMetric>,
}

impl Metric {
    /// Whether it has exactly one judge.
    pub fn has_one_judge(&self) -> bool {
        let judges = [
            self.ratio.is_some(),
            self.latency.is_some(),
            self.gauge.is_some(),
            self.threshold.is_some(),
            self.conversion.is_some(),
            self.burn_rate.is_some(),
            self.anomaly.is_some(),
            self.kayenta.is_some(),
        ];
        judges.into_iter().filter(|given| *given).count() == 1
    }

    /// Its counters, each with its field.
    pub fn counters_mut(&mut self) -> Vec<(&'static str, &mut Counter)> {
        let mut counters = Vec::new();
        if let Some(ratio) = &mut self.ratio {
            counters.extend([("ratio.bad", &mut ratio.bad), ("ratio.total", &mut ratio.total)]);
        }
        if let Some(conversion) = &mut self.conversion {
            counters.push(("conversion.successes", &mut conversion.successes));
            counters.push(("conversion.trials", &mut conversion.trials));
        }
        if let Some(burn_rate) = &mut self.burn_rate {
            counters.extend(burn_rate.bad.as_mut().map(|bad| ("burnRate.bad", bad)));
            counters.extend(burn_rate.total.as_mut().map(|total| ("burnRate.total", total)));
        }
        counters
    }

    /// The texts in which arguments are substituted, each with its field.
    pub fn texts_mut(&mut self) -> Vec<(String, &mut String)> {
        if self.threshold.is_none()
            && self.latency.is_none()
            && self.anomaly.is_none()
            && self.gauge.is_none()
            && self.kayenta.is_none()
        {
            let counters = self.counters_mut().into_iter();
            let own = counters.filter_map(|(field, counter)| Some((field, counter.own_mut()?)));
            return own.map(|(field, (part, text))| (format!("{field}.{part}"), text)).collect();
        }
        let gauge = self.gauge.iter_mut().map(|gauge| ("gauge.query".to_owned(), &mut gauge.query));
        let threshold = self.threshold.iter_mut().flat_map(ThresholdMetric::texts_mut);
        let threshold = threshold.map(|(field, text)| (format!("threshold.{field}"), text));
        let own = self.latency.as_mut().and_then(|latency| latency.histogram.prometheus.as_mut());
        let histogram = own.map(|own| ("latency.histogram.prometheus.histogram".to_owned(), &mut own.histogram));
        let anomaly = self.anomaly.as_mut().map(|anomaly| ("anomaly.query".to_owned(), &mut anomaly.query));
        let kayenta = self.kayenta.iter_mut().flat_map(|kayenta| kayenta.metrics.iter_mut().enumerate());
        let kayenta = kayenta.map(|(index, series)| (format!("kayenta.metrics[{index}].query"), &mut series.query));
        histogram.into_iter().chain(threshold).chain(anomaly).chain(gauge).chain(kayenta).collect()
    }

    /// Its weight in the division of alpha.
    pub fn weight(&self) -> u32 {
        self.weight.unwrap_or(1).max(1)
    }

    /// Whether its verdict counts.
    pub fn is_required(&self) -> bool {
        self.required.unwrap_or(true)
    }
}

/// A judge that compares two error rates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RatioMetric {
    /// The counter of bad events.
    pub bad: Counter,
    /// The counter of all events.
    pub total: Counter,
    /// How much worse than stable the canary may be. Default 25 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Percent>,
    /// Never fail below this absolute rate. Default 0.1 %, at most 50 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Percent>,
    /// What must be ruled out for a Pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<RatioPass>,
}

/// What must be ruled out for a ratio metric to pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RatioPass {
    /// A canary rate of this multiple of stable's rate; above 1 + tolerance. Default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// A canary rate of this absolute value; above the floor. Default 0.5 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Percent>,
}
