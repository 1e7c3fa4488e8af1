//! The policy by addresses' texts, and by the names that lead to them.

use super::*;

const ANY: [Purpose; 2] = [Purpose::Gate, Purpose::Prometheus];

fn denied(purpose: Purpose, hosts: &[&str], url: &str) -> Option<String> {
    let outbound = Outbound::new(hosts.iter().map(ToString::to_string));
    outbound.permit(purpose, url).err().map(|denied| denied.to_string())
}

/// H8, M8: one policy for whatever a user's file names.
#[test]
fn this_machine_and_its_neighbors_are_asked_for_nobody() {
    for (url, what) in [
        ("http://127.0.0.1:9090", "a loopback address"),
        ("http://2130706433/", "a loopback address"),
        ("http://0x7f.1/", "a loopback address"),
        ("http://LocalHost.:80/", "a loopback address"),
        ("http://[::1]:9090", "a loopback address"),
        ("http://[::ffff:169.254.169.254]/latest", "a link-local address"),
        ("http://169.254.169.254/latest/meta-data", "a link-local address"),
        ("http://100.100.100.200/", "a metadata address"),
        ("http://0.0.0.0/", "not a server address"),
        ("http://224.0.0.1/", "not a server address"),
    ] {
        for purpose in ANY {
            let why = denied(purpose, &[], url).unwrap_or_else(|| panic!("{purpose:?} asks {url}"));
            assert!(why.contains(what) && why.contains("--allow-hosts"), "{url}: {why}");
        }
        assert_eq!(denied(Purpose::Own, &[], url), None, "the operator's own choice");
    }
}

#[test]
fn the_clusters_own_network_is_for_metrics_and_for_gates_that_are_listed() {
    for url in [
        "http://gate.ci.svc:8080/ask",
        "http://gate.ci.svc.cluster.local/",
        "http://gate.ci.svc.corp.example./",
        "http://gate/",
        "http://10.96.0.7/-/quit",
        "http://172.16.3.4/",
        "http://192.168.0.1/",
        "http://100.64.0.1/",
        "http://[fd12::1]/",
    ] {
        assert_eq!(denied(Purpose::Prometheus, &[], url), None, "{url}");
        let why = denied(Purpose::Gate, &[], url).unwrap_or_else(|| panic!("a gate at {url}"));
        assert!(why.contains("inside the cluster") && why.contains("--allow-hosts"), "{url}: {why}");
    }
    for purpose in ANY {
        assert_eq!(denied(purpose, &[], "https://gate.example.com/x"), None);
    }
}

#[test]
fn a_list_opens_its_hosts_to_all_and_binds_gates_to_them() {
    let hosts = ["Gate.CI.svc.", "127.0.0.1:8080", "[::1]:9090", "*.example.com"];
    for url in ["http://gate.ci.svc:1/", "http://127.0.0.1:8080", "http://[::1]:9090", "https://a.b.example.com"] {
        for purpose in ANY {
            assert_eq!(denied(purpose, &hosts, url), None, "{purpose:?} {url}");
        }
    }
    for url in ["http://127.0.0.1:8081", "http://[::1]:9091"] {
        assert!(denied(Purpose::Prometheus, &hosts, url).is_some(), "{url}");
    }
    for url in ["https://example.com", "https://evilexample.com", "https://gate.example.org"] {
        let why = denied(Purpose::Gate, &hosts, url).unwrap_or_else(|| panic!("a gate at {url}"));
        assert!(why.ends_with("is not among the controller's --allow-hosts"), "{why}");
        assert_eq!(denied(Purpose::Prometheus, &hosts, url), None, "metrics are only read");
    }
}

/// H9: an address is copied into objects and messages that many may read.
#[test]
fn an_address_with_credentials_is_asked_for_nobody_and_not_repeated() {
    for purpose in [Purpose::Gate, Purpose::Prometheus, Purpose::Own] {
        for url in ["http://admin:hunter2@prometheus:9090", "http://hunter2@prometheus", "http://:hunter2@prometheus"] {
            let why = denied(purpose, &["prometheus"], url).unwrap_or_else(|| panic!("{purpose:?} asks {url}"));
            assert!(why.contains("credentials") && !why.contains("hunter2"), "{why}");
        }
        for url in ["prometheus:9090", "ftp://prometheus", "http://", "file:///etc/passwd"] {
            assert!(denied(purpose, &[], url).is_some(), "{url}");
        }
    }
}

/// A name is judged by the addresses that are connected to, not by its letters.
#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_refused_when_it_is_resolved() {
    for (purpose, hosts, allowed) in [
        (Purpose::Prometheus, vec![], false),
        (Purpose::Gate, vec![], false),
        (Purpose::Prometheus, vec!["localhost:1".to_owned()], true),
        (Purpose::Own, vec![], true),
    ] {
        let outbound = Outbound::new(hosts);
        let client = outbound.client(reqwest_builder(), purpose, CONNECT, None).unwrap();
        let trouble = trouble(&client.get("http://localhost:1/").send().await.unwrap_err());
        let refused = Denied::Refused { host: "localhost".into(), what: "a loopback address" };
        let wanted = if allowed { Trouble::ConnectionRefused } else { Trouble::Denied(refused) };
        assert_eq!(trouble, wanted, "{purpose:?}");
    }
}

fn reqwest_builder() -> ClientBuilder {
    super::super::trust::builder()
}
