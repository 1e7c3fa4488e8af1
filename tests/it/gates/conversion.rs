//! G14, the gate of the A/B judge: 112 looks at variants that are alike, and at ones that are not.
//!
//! Two weeks with eight looks a day, 20,160 users in all (the judge plans for 20,000), assigned at random, 2000 runs a figure.

use glidepath::stats::{
    Counts,
    conversion::{ConversionConfig, ConversionState, Decision},
};
use rand::{SeedableRng, rngs::StdRng};
use rand_distr::{Binomial, Distribution};

use super::{at_most, between, runs};

const LOOKS: u32 = 112;
const USERS_A_LOOK: u64 = 180;
const CONFIG: ConversionConfig = ConversionConfig { alpha: 0.05, difference: 0.05, planned_users: 20_000.0 };

/// The candidate's share of users, and how many of each variant convert.
#[derive(Clone, Copy)]
struct Test {
    share: f64,
    candidate: f64,
    control: f64,
}

impl Test {
    fn look(self, rng: &mut StdRng) -> Counts {
        let mut draw = |of: u64, chance: f64| Binomial::new(of, chance).unwrap().sample(rng);
        let nc = draw(USERS_A_LOOK, self.share);
        let nb = USERS_A_LOOK - nc;
        Counts { kc: draw(nc, self.candidate), nc, kb: draw(nb, self.control), nb }
    }

    /// What is decided first, if anything; a test that finds no difference continues, as nothing forces it to end.
    fn first(self, rng: &mut StdRng) -> Decision {
        let mut state = ConversionState::default();
        state.begin_epoch(Some(self.share));
        let looks = (0..LOOKS).map(|_| {
            state.observe(self.look(rng));
            state.decision(&CONFIG)
        });
        let ends = |decision: &Decision| !matches!(decision, Decision::Undecided | Decision::NoDifference);
        looks.into_iter().find(ends).unwrap_or(Decision::Undecided)
    }

    fn share_of(self, seed: u64, decided: impl Fn(Decision) -> bool) -> f64 {
        let mut rng = StdRng::seed_from_u64(seed);
        (0..runs()).filter(|_| decided(self.first(&mut rng))).count() as f64 / runs() as f64
    }
}

#[test]
fn g14_alike_variants() {
    for (share, rate) in [(0.5, 0.1), (0.5, 0.03), (0.1, 0.1)] {
        let test = Test { share, candidate: rate, control: rate };
        let wrong = test.share_of(14, |decision| decision != Decision::Undecided);
        between(&format!("G14 false decisions at {rate}, share {share}"), wrong, 0.002, 0.05);
    }
}

#[test]
fn g14_a_better_candidate_is_found() {
    let test = Test { share: 0.5, candidate: 0.12, control: 0.1 };
    let missed = test.share_of(15, |decision| decision != Decision::CandidateWins);
    at_most("G14 a lift of a fifth is missed", missed, 0.15);
}
