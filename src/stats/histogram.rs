//! Histograms of durations: what lies above a bound, which exponential schema the buckets have, and quantiles read off them.
//!
//! Classic histograms count at or below each bound (`le`); native ones have filled buckets with bounds 2^(i 2^-schema).
//! Both are buckets `(lo, hi]` here. What lies above a bound is exact as long as no filled bucket straddles it.
//!
//! Source of quantiles: Prometheus' `histogram_quantile` (linear in a classic bucket, exponential in a native one).

/// Bounds that differ by less than this part of themselves are the same: `le` is a text, and units are converted.
const SAME: f64 = 1e-9;
/// The schemas of native histograms with exponential buckets.
const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// How many values lie in `(lo, hi]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Lower bound, not included.
    pub lo: f64,
    /// Upper bound, included; may be infinite.
    pub hi: f64,
    /// Values between them.
    pub count: u64,
}

/// Buckets that do not overlap, lowest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    buckets: Vec<Bucket>,
}

impl Histogram {
    /// From buckets in any order. What is no interval is left out.
    #[must_use]
    pub fn new(buckets: impl IntoIterator<Item = Bucket>) -> Self {
        let mut buckets: Vec<Bucket> = buckets.into_iter().filter(|bucket| bucket.lo < bucket.hi).collect();
        buckets.sort_by(|one, other| one.lo.total_cmp(&other.lo));
        Self { buckets }
    }

    /// From counts at or below bounds, infinity among them; bounds given twice are added up. `None` where a higher bound has
    /// fewer, which would be a bucket with a negative count, and without infinity, when the total is not known.
    #[must_use]
    pub fn cumulative(counts: impl IntoIterator<Item = (f64, u64)>) -> Option<Self> {
        let mut counts: Vec<(f64, u64)> = counts.into_iter().filter(|(bound, _)| !bound.is_nan()).collect();
        counts.sort_by(|one, other| one.0.total_cmp(&other.0));
        counts.dedup_by(|later, earlier| {
            let same = is_same(later.0, earlier.0);
            if same {
                earlier.1 = earlier.1.saturating_add(later.1);
            }
            same
        });
        if counts.last()?.0 != f64::INFINITY {
            return None;
        }
        let mut buckets = Vec::with_capacity(counts.len());
        let lowest = if counts.first()?.0 > 0.0 { 0.0 } else { f64::NEG_INFINITY };
        let (mut lo, mut below) = (lowest, 0);
        for (hi, count) in counts {
            buckets.push(Bucket { lo, hi, count: count.checked_sub(below)? });
            (lo, below) = (hi, count);
        }
        Some(Self::new(buckets))
    }

    /// All values.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, bucket| sum.saturating_add(bucket.count))
    }

    /// How many values lie above a bound; `None` when a filled bucket has it in its middle.
    #[must_use]
    pub fn above(&self, bound: f64) -> Option<u64> {
        let mut above = 0_u64;
        for bucket in self.buckets.iter().filter(|bucket| bucket.count > 0) {
            if bucket.lo >= bound || is_same(bucket.lo, bound) {
                above = above.saturating_add(bucket.count);
            } else if bucket.hi > bound && !is_same(bucket.hi, bound) {
                return None;
            }
        }
        Some(above)
    }

    /// The share of values above a bound, 0 to 1; `None` where it is not known.
    #[must_use]
    pub fn share_above(&self, bound: f64) -> Option<f64> {
        let total = self.total();
        (total > 0).then_some(())?;
        Some(self.above(bound)? as f64 / total as f64)
    }

    /// Its bounds above 0 and below infinity, ascending.
    #[must_use]
    pub fn bounds(&self) -> Vec<f64> {
        let edges = self.buckets.iter().flat_map(|bucket| [bucket.lo, bucket.hi]);
        let mut bounds: Vec<f64> = edges.filter(|bound| *bound > 0.0 && bound.is_finite()).collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup_by(|later, earlier| is_same(*later, *earlier));
        bounds
    }

    /// The schema of exponential buckets; `None` where bounds were chosen by the user, or there is none to read it off.
    #[must_use]
    pub fn schema(&self) -> Option<i32> {
        let mut schemas = self.buckets.iter().filter(|bucket| bucket.lo > 0.0 && bucket.hi.is_finite()).map(schema_of);
        let first = schemas.next()??;
        schemas.all(|schema| schema == Some(first)).then_some(first)
    }
}

/// The factor between two bounds of a schema: 2^(2^-schema).
#[must_use]
pub fn growth(schema: i32) -> f64 {
    f64::from(-schema).exp2().exp2()
}

/// The bound with this index: 2^(index 2^-schema).
#[must_use]
pub fn bound_at(schema: i32, index: f64) -> f64 {
    (index * f64::from(-schema).exp2()).exp2()
}

/// The index of the smallest bound that is at least `value`.
#[must_use]
pub fn index_of(schema: i32, value: f64) -> f64 {
    (value.max(f64::MIN_POSITIVE).log2() * f64::from(schema).exp2() - 1e-6).ceil()
}

fn schema_of(bucket: &Bucket) -> Option<i32> {
    let exact = -(bucket.hi / bucket.lo).log2().log2();
    let schema = exact.round();
    let index = bucket.hi.log2() * schema.exp2();
    let fits = (exact - schema).abs() < 1e-6 && (index - index.round()).abs() < 1e-3;
    let schema = (schema.abs() < 64.0).then_some(schema as i32)?;
    (fits && SCHEMAS.contains(&schema)).then_some(schema)
}

fn is_same(one: f64, other: f64) -> bool {
    one == other || (one - other).abs() <= SAME * one.abs().min(other.abs())
}

/// A quantile as far as buckets show it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quantile {
    /// Interpolated between the bounds of its bucket.
    Near(f64),
    /// Above the highest bound.
    Over(f64),
}

/// The `q`-quantile of counts at or below ascending finite bounds, out of `total`; `None` without values or bounds.
#[must_use]
pub fn quantile(below: &[(f64, u64)], total: u64, q: f64, exponential: bool) -> Option<Quantile> {
    let last = below.last()?.0;
    if total == 0 {
        return None;
    }
    let rank = q * total as f64;
    let Some(at) = below.iter().position(|(_, count)| *count as f64 >= rank && *count > 0) else {
        return Some(Quantile::Over(last));
    };
    let (hi, count) = *below.get(at)?;
    let (lo, before) = at.checked_sub(1).and_then(|before| below.get(before)).copied().unwrap_or((0.0, 0));
    let part = ((rank - before as f64) / (count.saturating_sub(before).max(1)) as f64).clamp(0.0, 1.0);
    let value = match exponential && lo > 0.0 {
        true => (lo.ln() + (hi.ln() - lo.ln()) * part).exp(),
        false => lo + (hi - lo) * part,
    };
    Some(Quantile::Near(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn native(schema: i32, counts: &[(i32, u64)]) -> Histogram {
        Histogram::new(counts.iter().map(|(index, count)| Bucket {
            lo: bound_at(schema, f64::from(*index) - 1.0),
            hi: bound_at(schema, f64::from(*index)),
            count: *count,
        }))
    }

    #[test]
    fn counts_at_or_below_bounds_become_buckets() {
        let histogram =
            Histogram::cumulative([(f64::INFINITY, 100), (0.25, 70), (0.1, 40), (0.5, 90), (1.0, 90)]).unwrap();
        assert_eq!(histogram.total(), 100);
        assert_eq!(histogram.bounds(), [0.1, 0.25, 0.5, 1.0]);
        let above = |bound| histogram.above(bound);
        assert_eq!((above(0.1), above(0.25), above(0.5), above(1.0)), (Some(60), Some(30), Some(10), Some(10)));
        assert_eq!((above(0.05), above(0.2), above(0.7)), (None, None, Some(10)), "an empty bucket hides nothing");
        assert_eq!(above(0.25 + 1e-13), Some(30), "a bound is a number, not a text");
    }

    #[test]
    fn the_same_bound_in_two_spellings_is_added_up() {
        let histogram = Histogram::cumulative([(1.0, 3), (1.0, 4), (f64::INFINITY, 5), (f64::INFINITY, 6)]).unwrap();
        assert_eq!((histogram.above(1.0), histogram.total()), (Some(4), 11));
    }

    #[test]
    fn a_fall_or_a_missing_total_is_no_histogram() {
        assert_eq!(Histogram::cumulative([(0.1, 5), (0.2, 4), (f64::INFINITY, 9)]), None);
        assert_eq!(Histogram::cumulative([(0.1, 5), (0.2, 6)]), None);
        assert_eq!(Histogram::cumulative([]), None);
    }

    #[test]
    fn schemas_are_read_off_the_bounds() {
        for schema in -4..=8 {
            assert_eq!(native(schema, &[(-3, 1), (4, 2)]).schema(), Some(schema));
        }
        let custom = |lo, hi| Histogram::new([Bucket { lo, hi, count: 1 }]).schema();
        assert_eq!((custom(0.1, 0.25), custom(0.1, 0.2), custom(0.0, 0.1)), (None, None, None));
        assert_eq!(custom(0.5, f64::INFINITY), None);
        let mixed = Histogram::new([Bucket { lo: 1.0, hi: 2.0, count: 1 }, Bucket { lo: 3.0, hi: 7.0, count: 1 }]);
        assert_eq!(mixed.schema(), None);
    }

    #[test]
    fn a_finer_histogram_answers_at_the_bounds_of_a_coarser_one() {
        let fine = native(5, &[(-40, 3), (-17, 5), (1, 7), (64, 9)]);
        assert_eq!(fine.above(bound_at(3, -8.0)), Some(21), "index -8 of schema 3 is -32 of schema 5");
        assert_eq!(fine.above(bound_at(6, 1.0)), None);
        assert_eq!((index_of(3, 0.3), index_of(3, bound_at(3, -8.0))), (-13.0, -8.0));
    }

    #[test]
    fn quantiles_are_those_of_prometheus() {
        let below = [(0.1, 40), (0.25, 70), (0.5, 95)];
        let at = |q| quantile(&below, 100, q, false);
        assert_eq!(at(0.2), Some(Quantile::Near(0.05)));
        let Some(Quantile::Near(median)) = at(0.5) else { panic!("{:?}", at(0.5)) };
        assert!((median - (0.1 + 0.15 / 3.0)).abs() < 1e-12, "{median}");
        assert_eq!((at(0.95), at(0.99)), (Some(Quantile::Near(0.5)), Some(Quantile::Over(0.5))));
        let Some(Quantile::Near(median)) = quantile(&below, 100, 0.55, true) else { panic!("no median") };
        assert!((median - (0.1_f64 * 0.25).sqrt()).abs() < 1e-12, "{median}");
        assert_eq!((quantile(&below, 0, 0.5, false), quantile(&[], 9, 0.5, false)), (None, None));
    }

    proptest! {
        #[test]
        fn any_buckets_give_numbers(
            buckets in prop::collection::vec((any::<f64>(), any::<f64>(), any::<u64>()), 0..20),
            bound in any::<f64>(), q in any::<f64>(), exponential in any::<bool>(),
        ) {
            let histogram = Histogram::new(buckets.iter().map(|(lo, hi, count)| Bucket { lo: *lo, hi: *hi, count: *count }));
            prop_assert!(histogram.above(bound).is_none_or(|above| above <= histogram.total()));
            prop_assert!(histogram.bounds().iter().all(|bound| bound.is_finite()));
            prop_assert!(histogram.schema().is_none_or(|schema| SCHEMAS.contains(&schema)));
            let counts = buckets.iter().map(|(bound, _, count)| (bound.abs().min(1e9), count % 1000));
            let cumulative = Histogram::cumulative(counts.chain([(f64::INFINITY, 1_000_000)]));
            prop_assert!(cumulative.is_none_or(|histogram| histogram.total() == 1_000_000));
            let mut below: Vec<(f64, u64)> = buckets.iter().map(|(bound, _, count)| (bound.abs().min(1e9), *count)).collect();
            below.retain(|(bound, _)| bound.is_finite());
            below.sort_by(|one, other| one.0.total_cmp(&other.0));
            if let Some(Quantile::Near(value) | Quantile::Over(value)) = quantile(&below, 1000, q.clamp(0.0, 1.0), exponential) {
                prop_assert!(value.is_finite());
            }
        }
    }
}
