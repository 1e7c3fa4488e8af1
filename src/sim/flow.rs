//! Which pod gets how many of the users' requests.

use super::{
    load::Shares,
    pods::{Pod, Sent},
    replicas::Replicas,
    time::Millis,
};

/// How requests are spread.
#[derive(Clone, Debug)]
pub enum Flow {
    /// Over all ready pods alike: one Service with the user's own selector.
    Even,
    /// By weight between two revisions.
    Split {
        /// The revision behind the stable target.
        stable: String,
        /// The revision behind the canary target.
        canary: String,
        /// What becomes of the requests.
        shares: Shares,
    },
}

/// What did not find a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lost {
    /// Requests a second.
    pub rate: f64,
    /// Whether any pod is ready at all.
    pub any_pod: bool,
}

impl Flow {
    /// Sets every pod's rate.
    pub fn spread(&self, rps: f64, sets: &mut [Replicas], own: &mut [Pod], now: Millis) -> Lost {
        let mut lost = Lost::default();
        let ready_own = own.iter().filter(|pod| pod.is_ready(now)).count() as u32;
        let ready: u32 = sets.iter().map(|set| set.ready(now)).sum::<u32>() + ready_own;
        lost.any_pod = ready > 0;
        match self {
            Flow::Even => {
                let each = if ready > 0 { rps / f64::from(ready) } else { 0.0 };
                lost.rate = if ready > 0 { 0.0 } else { rps };
                sets.iter_mut().for_each(|set| give(&mut set.pods, Sent::users(each), now));
                give(own, Sent::users(each), now);
            }
            Flow::Split { stable, canary, shares } => {
                give(own, Sent::default(), now);
                for set in sets.iter_mut() {
                    let each = rps / f64::from(set.ready(now).max(1));
                    let of = |id: &str, share: f64| if set.id == id { share * each } else { 0.0 };
                    let sent = Sent {
                        rate: of(stable, 1.0 - shares.canary) + of(canary, shares.canary),
                        copies: of(canary, shares.copied),
                        first: shares.first[usize::from(set.id != *stable)],
                    };
                    give(&mut set.pods, sent, now);
                }
                let serves = |id: &str| sets.iter().any(|set| set.id == id && set.ready(now) > 0);
                for (id, share) in [(stable, 1.0 - shares.canary), (canary, shares.canary)] {
                    if share > 0.0 && !serves(id) {
                        lost.rate += rps * share;
                    }
                }
            }
        }
        lost
    }
}

fn give(pods: &mut [Pod], each: Sent, now: Millis) {
    for pod in pods {
        pod.sent = if pod.is_ready(now) { each } else { Sent::default() };
    }
}
