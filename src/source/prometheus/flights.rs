//! One request for all who ask a server the same at the same evaluation time: of a fleet whose analyses began in one second,
//! all but the first join the request that is under way, or get the answer that came a moment ago.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::time::Instant;

use super::{
    answer::{Failed, Samples},
    ask::Ask,
};

/// So long an answer is given to whoever asks the same: those who begin together ask within a few seconds.
const KEPT: Duration = Duration::from_secs(10);
/// So many questions are known at most. What comes beyond is asked for itself.
const MOST: usize = 1_024;
/// Answers with more samples are not kept.
const LONGEST: usize = 16;
/// Between two looks for what is too old.
const SWEEP: Duration = Duration::from_secs(1);

type Answered = Result<Samples, Failed>;
type UnderWay = BoxFuture<'static, Answered>;
type Key = (String, Ask);

/// The questions of the last seconds.
#[derive(Default)]
pub struct Flights {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<Key, (Instant, Flight)>,
    swept: Option<Instant>,
}

enum Flight {
    /// Whoever waits for it owns it: one that all have given up is dropped, and its turn with it.
    UnderWay(WeakShared<UnderWay>),
    Landed(Samples),
}

impl Flights {
    /// The answer to a question: of whoever asked it a moment ago, or of `begin`. Failures are shared while they are waited
    /// for, and not kept.
    pub async fn ask(&self, server: &str, ask: Ask, begin: impl FnOnce(&Ask) -> UnderWay) -> Answered {
        let key = (server.to_owned(), ask);
        let flight = match self.join(&key, begin) {
            Ok(samples) => return Ok(samples),
            Err(flight) => flight,
        };
        let answer = flight.await;
        self.landed(key, &answer);
        answer
    }

    fn join(&self, key: &Key, begin: impl FnOnce(&Ask) -> UnderWay) -> Result<Samples, Shared<UnderWay>> {
        let mut state = self.lock();
        let now = Instant::now();
        state.sweep(now);
        match state.known.get(key).filter(|(since, _)| now < *since + KEPT).map(|(_, flight)| flight) {
            Some(Flight::Landed(samples)) => return Ok(samples.clone()),
            Some(Flight::UnderWay(flight)) => {
                if let Some(flight) = flight.upgrade() {
                    return Err(flight);
                }
            }
            None => {}
        }
        let flight = begin(&key.1).shared();
        if let Some(under_way) = flight.downgrade().filter(|_| state.known.len() < MOST) {
            state.known.insert(key.clone(), (now, Flight::UnderWay(under_way)));
        }
        Err(flight)
    }

    fn landed(&self, key: Key, answer: &Answered) {
        let mut state = self.lock();
        match answer {
            Ok(samples) if samples.len() <= LONGEST => {
                if let Some((_, flight)) = state.known.get_mut(&key) {
                    *flight = Flight::Landed(samples.clone());
                }
            }
            _ => drop(state.known.remove(&key)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| now >= swept + SWEEP) {
            self.swept = Some(now);
            self.known.retain(|_, (since, _)| now < *since + KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use jiff::Timestamp;

    use super::*;

    fn question(text: &str) -> Ask {
        Ask { text: text.to_owned(), at: Timestamp::UNIX_EPOCH }
    }

    /// Questions to one server, whose requests take a second, and how many of them were made.
    #[derive(Clone, Default)]
    struct Asked {
        flights: Arc<Flights>,
        requests: Arc<AtomicUsize>,
    }

    impl Asked {
        fn ask(&self, text: &str, answer: Answered) -> impl Future<Output = Answered> + use<> {
            let (asked, ask) = (self.clone(), question(text));
            async move {
                let requests = Arc::clone(&asked.requests);
                let begin = move |_: &Ask| {
                    async move {
                        requests.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        answer
                    }
                    .boxed()
                };
                asked.flights.ask("server", ask, begin).await
            }
        }

        fn requests(&self) -> usize {
            self.requests.load(Ordering::Relaxed)
        }
    }

    fn one() -> Answered {
        Ok(vec![(String::new(), 1.0)])
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_the_same_within_seconds_gets_one_answer() {
        let asked = Asked::default();
        let (first, second) = tokio::join!(asked.ask("up", one()), asked.ask("up", one()));
        assert_eq!((first.unwrap(), second.unwrap(), asked.requests()), (one().unwrap(), one().unwrap(), 1));
        assert_eq!(asked.ask("up", one()).await.unwrap(), one().unwrap());
        assert_eq!(asked.requests(), 1, "it came a moment ago");
        asked.ask("down", one()).await.unwrap();
        assert_eq!(asked.requests(), 2, "another question");
        tokio::time::advance(KEPT).await;
        asked.ask("up", one()).await.unwrap();
        assert_eq!((asked.requests(), asked.flights.lock().known.len()), (3, 1), "the old answers are gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_and_not_kept() {
        let asked = Asked::default();
        let failed = || Err(Failed::lasting("no".to_owned()));
        let (first, second) = tokio::join!(asked.ask("up", failed()), asked.ask("up", failed()));
        assert!(first.is_err() && second.is_err());
        assert_eq!(asked.requests(), 1);
        asked.ask("up", one()).await.unwrap();
        assert_eq!(asked.requests(), 2);
    }

    /// Its turn with the server would be taken for ever.
    #[tokio::test(start_paused = true)]
    async fn a_request_that_all_have_given_up_is_dropped() {
        let asked = Asked::default();
        let given_up = tokio::time::timeout(Duration::from_millis(10), asked.ask("up", one())).await;
        assert!(given_up.is_err());
        asked.ask("up", one()).await.unwrap();
        assert_eq!(asked.requests(), 2, "it was begun anew");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded() {
        let asked = Asked::default();
        let many = futures::future::join_all((0..2 * MOST).map(|n| asked.ask(&n.to_string(), one()))).await;
        assert!(many.iter().all(Result::is_ok));
        assert_eq!((asked.requests(), asked.flights.lock().known.len()), (2 * MOST, MOST));
        let long = Ok(vec![(String::new(), 1.0); LONGEST + 1]);
        tokio::time::advance(KEPT).await;
        asked.ask("long", long).await.unwrap();
        assert!(asked.flights.lock().known.is_empty());
    }
}
