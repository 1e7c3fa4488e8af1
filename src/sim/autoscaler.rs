//! An autoscaler as Kubernetes has it (HorizontalPodAutoscaler with its default behavior), on requests per second and
//! pod: every 15 seconds, with a tolerance of 10 %, at most doubling (or adding four), and a stabilization window of
//! five minutes for scaling down.

use super::{replicas::count, scenario::HpaSpec, time::Millis};

/// It looks this often.
const SYNC: Millis = 15_000;
/// A smaller difference from the target is left alone.
const TOLERANCE: f64 = 0.1;
/// What it would have done in this time counts when it goes down.
const CALM: Millis = 300_000;
/// It adds so many pods at once, or as many as there are.
const MOST_AT_ONCE: u32 = 4;

/// An autoscaler.
#[derive(Clone, Debug)]
pub struct Autoscaler {
    spec: HpaSpec,
    next: Millis,
    /// What it would have done, and when.
    recommended: Vec<(Millis, u32)>,
}

impl Autoscaler {
    /// It begins with the world.
    pub fn new(spec: HpaSpec) -> Autoscaler {
        Autoscaler { spec, next: SYNC, recommended: Vec::new() }
    }

    /// When it looks next.
    pub fn next(&self) -> Millis {
        self.next
    }

    /// Looks at the requests a second of every ready pod, when it is time. Gives the replicas to write instead of `wanted`.
    pub fn look(&mut self, now: Millis, wanted: u32, ready: &[f64]) -> Option<u32> {
        if now < self.next {
            return None;
        }
        self.next = now + SYNC;
        if wanted == 0 || ready.is_empty() {
            return None; // Kubernetes' autoscaler leaves what is scaled to 0 alone
        }
        let pods = count(ready.len());
        let quotient = ready.iter().sum::<f64>() / f64::from(pods) / self.spec.rps_per_pod;
        let fits = (quotient - 1.0).abs() <= TOLERANCE;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast saturates; it is at least 0"
        )]
        let proportional = if fits { wanted } else { (quotient * f64::from(pods)).ceil() as u32 };
        self.recommended.push((now, proportional));
        self.recommended.retain(|(at, _)| *at > now - CALM);
        let calm = self.recommended.iter().map(|(_, replicas)| *replicas).max().unwrap_or(proportional);
        let next = if proportional < wanted { calm.min(wanted) } else { proportional };
        let next = next.min(wanted.saturating_add(wanted.max(MOST_AT_ONCE))).clamp(self.spec.min, self.spec.max);
        (next != wanted).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn autoscaler() -> Autoscaler {
        Autoscaler::new(HpaSpec { min: 2, max: 30, rps_per_pod: 10.0 })
    }

    #[test]
    fn pods_follow_the_requests_within_bounds_and_tolerance() {
        for (wanted, ready, next) in [
            (4, vec![20.0; 4], Some(8)),
            (4, vec![10.9; 4], None),
            (4, vec![100.0; 4], Some(8)),
            (2, vec![100.0; 2], Some(6)),
            (20, vec![100.0; 20], Some(30)),
            (1, vec![1.0], Some(2)),
            (0, vec![], None),
            // The canary's pods share the load with the stable ones.
            (4, vec![8.0; 5], None),
        ] {
            assert_eq!(autoscaler().look(SYNC, wanted, &ready), next, "{wanted} wanted, {ready:?}");
        }
        assert_eq!(autoscaler().look(SYNC - 1, 4, &[20.0; 4]), None, "it is not time");
    }

    #[test]
    fn it_goes_down_after_five_quiet_minutes() {
        let mut autoscaler = autoscaler();
        assert_eq!(autoscaler.look(SYNC, 8, &[10.0; 8]), None);
        let mut at = SYNC;
        let down = loop {
            at += SYNC;
            if let Some(next) = autoscaler.look(at, 8, &[5.0; 8]) {
                break next;
            }
        };
        assert_eq!((down, at), (4, SYNC + CALM));
    }
}
