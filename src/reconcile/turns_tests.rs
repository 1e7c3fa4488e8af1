//! Lines in virtual time.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const HEAVY: Duration = Duration::from_secs(5);

fn rules() -> Rules {
    Rules {
        at_once: 4,
        per_lane: 3,
        waiting: 64,
        failures: 3,
        rest: Duration::from_secs(5),
        longest_rest: Duration::from_secs(60),
    }
}

fn turns() -> Arc<Turns> {
    Arc::new(Turns::new(rules()))
}

/// Asks a question that takes this long.
async fn ask(turns: &Turns, lane: &str, class: Class, takes: Duration) -> Result<(), NoTurn> {
    let turn = turns.enter("p", &[lane], class).await?;
    tokio::time::sleep(takes).await;
    turn.ended(true);
    Ok(())
}

/// Eight Rollouts with 16 heavy queries each delayed all others for 128 rounds of four (H6).
#[tokio::test(start_paused = true)]
async fn one_question_beside_eight_namespaces_with_sixteen_heavy_ones_is_answered_within_a_round() {
    for class in [Class::Guardrail, Class::Measurement] {
        let turns = turns();
        for heavy in 0..8 * 16 {
            let turns = Arc::clone(&turns);
            tokio::spawn(async move { ask(&turns, &format!("heavy-{}", heavy % 8), class, HEAVY).await });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        let began = Instant::now();
        ask(&turns, "victim", Class::Guardrail, Duration::from_millis(10)).await.unwrap();
        // At the most it waits for one heavy question to end.
        assert!(began.elapsed() <= HEAVY + Duration::from_millis(20), "{class:?}: it waited {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn free_thresholds_never_take_the_place_that_guardrails_need() {
    let turns = turns();
    for heavy in 0..16 {
        let turns = Arc::clone(&turns);
        tokio::spawn(async move { ask(&turns, &format!("ns-{heavy}"), Class::Measurement, HEAVY).await });
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let began = Instant::now();
    ask(&turns, "ns-1", Class::Guardrail, Duration::ZERO).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn no_more_are_under_way_than_the_rules_say_and_one_namespace_leaves_a_place() {
    let (turns, now, most) = (turns(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (turns, now, most) = (Arc::clone(&turns), Arc::clone(&now), Arc::clone(&most));
        tasks.spawn(async move {
            let turn = turns.enter("p", &["one"], Class::Guardrail).await.unwrap();
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(HEAVY).await;
            now.fetch_sub(1, Ordering::SeqCst);
            turn.ended(true);
        });
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(
        tokio::time::timeout(Duration::from_secs(1), ask(&turns, "two", Class::Guardrail, Duration::ZERO))
            .await
            .is_ok()
    );
    while tasks.join_next().await.is_some() {}
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert_eq!(turns.lines(), 0, "a line without work is dropped (L10)");
}

#[tokio::test(start_paused = true)]
async fn what_hangs_for_one_namespace_rests_and_is_tried_with_one_question() {
    let turns = turns();
    for _ in 0..3 {
        drop(turns.enter("p", &["hangs"], Class::Guardrail).await.unwrap());
    }
    let refused = turns.enter("p", &["hangs"], Class::Guardrail).await.err().unwrap();
    assert_eq!(refused, NoTurn::Resting { failures: 3, wait: Duration::from_secs(5) });
    assert_eq!(refused.to_string(), "its last 3 queries failed; the next is sent in 5s");
    ask(&turns, "well", Class::Guardrail, Duration::ZERO).await.unwrap();
    // A question for several namespaces goes by the one that gets on.
    turns.enter("p", &["hangs", "well"], Class::Guardrail).await.unwrap().ended(true);

    tokio::time::sleep(Duration::from_secs(6)).await;
    let probe = turns.enter("p", &["hangs"], Class::Guardrail).await.unwrap();
    let second = turns.enter("p", &["hangs"], Class::Guardrail);
    let waited = tokio::time::timeout(Duration::from_secs(1), second).await;
    assert!(waited.is_err(), "one at a time");
    drop(probe);
    let again = turns.enter("p", &["hangs"], Class::Guardrail).await.err().unwrap();
    assert_eq!(again, NoTurn::Resting { failures: 4, wait: Duration::from_secs(10) }, "twice as long");
    tokio::time::sleep(Duration::from_secs(11)).await;
    ask(&turns, "hangs", Class::Guardrail, Duration::ZERO).await.unwrap();
    assert_eq!(turns.lines(), 0, "an answer ends it");
}

#[tokio::test(start_paused = true)]
async fn those_that_wait_when_a_lane_begins_to_rest_are_told_and_those_that_give_up_take_no_place() {
    let turns = turns();
    let enter = || turns.enter("p", &["a"], Class::Guardrail);
    let hanging: Vec<Turn> = futures::future::join_all((0..3).map(|_| enter())).await.into_iter().flatten().collect();
    assert!(tokio::time::timeout(Duration::from_secs(1), enter()).await.is_err(), "it gives up");
    let waiting = futures::future::join_all((0..3).map(|_| enter()));
    let fails = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(hanging);
    };
    // Two failures give two places away, the third begins the rest.
    let (waited, ()) = tokio::join!(waiting, fails);
    let told = waited.iter().filter(|turn| matches!(turn, Err(NoTurn::Resting { failures: 3, .. }))).count();
    assert_eq!((told, waited.len()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_lane_has_an_end() {
    let turns = Turns::new(Rules { waiting: 2, ..rules() });
    let enter = || turns.enter("p", &["a"], Class::Measurement);
    let under_way: Vec<Turn> = futures::future::join_all((0..3).map(|_| enter())).await.into_iter().flatten().collect();
    let (one, two) = (enter(), enter());
    tokio::pin!(one, two);
    for waits in [&mut one, &mut two] {
        assert!(tokio::time::timeout(Duration::from_secs(1), waits).await.is_err());
    }
    assert_eq!(enter().await.err(), Some(NoTurn::Full(2)));
    drop(under_way);
}
