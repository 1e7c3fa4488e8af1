//! Releases without a mesh, judged by what the application itself counts.

use crate::judged::Judged;
use crate::lane;
use crate::shop::{Shop, assert_all_well};
use crate::waiting::Waiting;

#[test]
fn the_applications_own_metrics_promote_a_good_version_and_roll_back_a_bad_one() {
    let shop = Shop::apply("plain", include_str!("config/plain.yaml"));
    shop.wait_for_stable(1);
    shop.answers("v1");

    let users = shop.users();
    let good = Waiting::start("plain", &["web", "web=v2"]).unwrap().end();
    assert_eq!(good.code, 0, "{}", good.text);
    shop.answers("v2");
    assert_all_well(&users.stop().unwrap());
    let judged = Judged::of("plain", 2);
    assert_eq!((judged.pack(), judged.verdict()), ("application", "Pass"));
    assert!(judged.notes().contains(&"phi: 2, stable has no hour of history"), "{:?}", judged.notes());
    let (canary, stable) = (judged.counted("canary"), judged.counted("stable"));
    assert!(canary.1 >= 100 && canary.1 <= shop.served("v2").0, "{canary:?} of what {:?} served", shop.served("v2"));
    assert!(stable.1 >= 100 && stable.1 <= shop.served("v1").0, "{stable:?} of what {:?} served", shop.served("v1"));
    assert_eq!((canary.0, stable.0), (0, 0), "nobody failed");
    let template = lane().folder().join("plain-template.yaml");
    std::fs::write(&template, include_str!("config/plain.yaml").replace("NAMESPACE", "plain")).unwrap();
    let (code, said) = judged.replayed(&template);
    assert_eq!(code, Some(0), "{said}");

    let users = shop.users();
    let waiting = Waiting::start("plain", &["web", "web=v3"]).unwrap();
    let status = shop.wait("the observation", |status| {
        status["currentRevision"]["number"] == 3 && status["stepIndex"] == 1 && status["course"] == "Stepping"
    });
    let revision = format!("glidepath.dev/revision={}", status["currentRevision"]["id"].as_str().unwrap());
    // It came up well, and goes bad as it runs.
    lane().kubectl(&["annotate", "pod", "-n", "plain", "-l", &revision, "fake/error-rate=0.2"]).unwrap();
    let bad = waiting.end();
    assert_eq!(bad.code, 10, "{}", bad.text);
    assert!(bad.text.contains("errors"), "the metric is named: {}", bad.text);
    let judged = Judged::of("plain", 3);
    assert_eq!((judged.pack(), judged.verdict(), judged.counted("stable").0), ("application", "Fail", 0));
    let (code, said) = judged.replayed(&template);
    assert_eq!(code, Some(10), "{said}");
    let page = lane().folder().join("report.html");
    let report = shop.glidepath(&["report", "web", "--html", &page.display().to_string()]).unwrap();
    let page = std::fs::read_to_string(page).unwrap();
    for part in ["release #3 was rolled back", "<svg", "errors", "http_requests_total"] {
        assert!(page.contains(part), "no {part} in the report; it said {report}");
    }
    shop.answers("v2");
    let tally = users.stop().unwrap();
    assert_eq!(tally.lost(), 0, "{tally:?}");
    let errors = tally.status.get(&500).copied().unwrap_or_default();
    assert!(judged.counted("canary").0 <= errors, "{:?} counted of {tally:?}", judged.counted("canary"));
}
