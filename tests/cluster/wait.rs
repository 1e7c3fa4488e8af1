//! Waiting for a condition, never for a time: polls, says what it waits for, and fails with the last reason.

use crate::say::{say, spoken};
use anyhow::{Result, bail};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks.
const POLL: Duration = Duration::from_millis(50);

/// Waits until `condition` gives `Ok(true)`; false after `timeout`. An error ends the wait.
pub fn until(timeout: Duration, mut condition: impl FnMut() -> Result<bool>) -> Result<bool> {
    let began = Instant::now();
    loop {
        if condition()? {
            return Ok(true);
        }
        if began.elapsed() > timeout {
            return Ok(false);
        }
        sleep(POLL);
    }
}

/// Waits until `attempt` succeeds and gives its value. Says every five seconds what is missing; after `timeout` fails with it.
pub fn wait_for<T>(timeout: Duration, what: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    let mut said = Duration::ZERO;
    loop {
        let missing = match attempt() {
            Ok(value) => return Ok(value),
            Err(missing) => missing,
        };
        if began.elapsed() > timeout {
            bail!("waited {} for {what}: {missing:#}", spoken(timeout));
        }
        if began.elapsed() - said > Duration::from_secs(5) {
            said = began.elapsed();
            say(format_args!("waiting for {what}, {} so far: {missing:#}", spoken(said)));
        }
        sleep(POLL);
    }
}

/// Waits until `condition` holds; panics, as an assertion does, when it does not within `timeout`.
#[track_caller]
pub fn wait_until(timeout: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let outcome = wait_for(timeout, what, || if condition() { Ok(()) } else { bail!("not yet") });
    if let Err(error) = outcome {
        panic!("{error:#}");
    }
}
