//! A trouble that lasts is logged once, then after one minute, two, four, and so on up to an hour: not by every stream and at
//! every try.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);

/// One trouble, whoever meets it.
#[derive(Debug, Default)]
pub struct Repeated {
    /// So that what goes well need not wait for the lock.
    lasts: AtomicBool,
    lasting: Mutex<Option<Lasting>>,
}

#[derive(Debug)]
struct Lasting {
    since: Instant,
    said: Instant,
    again: Duration,
}

impl Repeated {
    /// It is met once more. Whether to log that: not when whoever meets it has `said` the same before, unless it lasts for all.
    pub fn is_due(&self, said: bool) -> bool {
        let now = Instant::now();
        let mut lasting = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        self.lasts.store(true, Ordering::Relaxed);
        match lasting.as_mut() {
            None => {
                *lasting = Some(Lasting { since: now, said: now, again: FIRST });
                !said
            }
            Some(lasting) if now.duration_since(lasting.said) >= lasting.again => {
                lasting.said = now;
                lasting.again = lasting.again.saturating_mul(2).min(LONGEST);
                true
            }
            Some(_) => false,
        }
    }

    /// It is over. For how long it lasted, if it was met.
    pub fn over(&self) -> Option<Duration> {
        if !self.lasts.load(Ordering::Relaxed) {
            return None;
        }
        let mut lasting = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        self.lasts.store(false, Ordering::Relaxed);
        lasting.take().map(|lasting| lasting.since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_said_once_and_then_less_and_less_often() {
        let trouble = Repeated::default();
        let mut said = Vec::new();
        for second in 0..1_000 {
            // Two streams.
            for _ in 0..2 {
                if trouble.is_due(second > 0) {
                    said.push(second);
                }
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(said, [0, 60, 180, 420, 900]);
        assert_eq!(trouble.over(), Some(Duration::from_secs(1_000)));
        assert_eq!(trouble.over(), None);
        assert!(!trouble.is_due(true), "one stream alone fails as it did before");
        assert!(trouble.over().is_some() && trouble.is_due(false), "a new trouble");
    }
}
