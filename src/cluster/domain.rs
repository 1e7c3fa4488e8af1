//! The cluster's DNS domain, as the resolver of a pod knows it.

/// What most clusters are called.
pub const DEFAULT: &str = "cluster.local";

/// The domain in a pod's `/etc/resolv.conf`: its search list has `svc.<domain>`.
pub fn in_resolv_conf(text: &str) -> Option<String> {
    let lists = text.lines().filter_map(|line| line.trim_start().strip_prefix("search"));
    let mut names = lists.filter(|list| list.starts_with([' ', '\t'])).flat_map(str::split_whitespace);
    let domain = names.find_map(|name| name.trim_end_matches('.').strip_prefix("svc."))?;
    (!domain.is_empty()).then(|| domain.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m12_the_domain_stands_in_the_search_list_of_a_pod() {
        let cases = [
            (
                "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\n",
                Some("cluster.local"),
            ),
            (
                "nameserver 10.0.0.1\nsearch\tglidepath.svc.k8s.corp.example svc.k8s.corp.example. corp.example\n",
                Some("k8s.corp.example"),
            ),
            ("search corp.example\n", None),
            ("searching svc.nowhere\n# search svc.nowhere\n", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(in_resolv_conf(text).as_deref(), expected, "{text}");
        }
    }
}
