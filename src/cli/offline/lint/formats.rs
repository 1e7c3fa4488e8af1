//! The findings as CI systems take them: SARIF, JUnit, and GitHub's annotations.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::report::{Report, Reported};
use crate::cli::offline::junit::{self, Case, Suite};

/// SARIF 2.1.0, which code scanning of GitHub, GitLab and Azure DevOps reads.
pub(super) fn sarif(report: &Report) -> Value {
    let ids: BTreeSet<String> = report.findings.iter().map(rule).collect();
    let rules: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
    let results: Vec<Value> = report.findings.iter().map(result).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "glidepath lint",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(found: &Reported) -> Value {
    json!({
        "ruleId": rule(found),
        "level": found.severity,
        "message": { "text": found.text() },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&found.file) },
            "region": { "startLine": found.line, "startColumn": found.column },
        }}],
    })
}

/// The field without indexes: the same mistake has the same rule in every file and step.
fn rule(found: &Reported) -> String {
    let mut inside = false;
    let plain = found.path.chars().filter(|c| {
        inside = inside && *c != ']' || *c == '[';
        !inside && *c != ']'
    });
    let plain: String = plain.collect();
    if plain.is_empty() { "file".to_owned() } else { plain }
}

/// A path as a relative URI; the bytes of a name that a URI cannot hold are escaped.
fn uri(file: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    relative(file)
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The path as it is in the repository.
fn relative(file: &str) -> &str {
    file.strip_prefix("./").unwrap_or(file)
}

/// Lines that GitHub Actions shows beside the lines of the files. Its escapes are those of the Actions toolkit.
pub(super) fn github(report: &Report) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let line = |found: &Reported| {
        format!(
            "::{} file={},line={},col={},title=glidepath lint::{}\n",
            found.severity,
            property(relative(&found.file)),
            found.line,
            found.column,
            data(&found.text())
        )
    };
    report.findings.iter().map(line).collect::<String>() + &report.summary() + "\n"
}

/// A test case per file: it fails by its errors, and its warnings are its output.
pub(super) fn junit(report: &Report) -> String {
    let case = |name: &String| {
        let of = |severity: &str| {
            let found = report.findings.iter().filter(|found| found.file == *name && found.severity == severity);
            found.map(|found| format!("{}\n", found.line())).collect::<String>()
        };
        let errors = of("error");
        let first = errors.lines().next().map(str::to_owned);
        Case {
            name: name.clone(),
            failure: first.map(|first| (first, errors)),
            output: of("warning"),
            ..Case::default()
        }
    };
    let mut cases: Vec<Case> = report.names.iter().map(case).collect();
    if report.checked == 0 {
        let nothing = (Report::NOTHING.to_owned(), String::new());
        cases.push(Case { name: "objects".to_owned(), failure: Some(nothing), ..Case::default() });
    }
    junit::document("glidepath lint", &[Suite { name: "glidepath lint".to_owned(), cases }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::offline::lint::lint_bytes;

    fn report() -> Report {
        let text = "apiVersion: glidepath.dev/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec:\n  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  \
                    replicas: 100%\n  strategy: {canary: {steps: [{setWeight: 5}, {setWeigth: 5}]}}\n";
        lint_bytes("./my rollouts/a,b:c.yaml", text.as_bytes()).unwrap()
    }

    #[test]
    fn sarif_says_where_and_what() {
        let text = serde_json::to_string_pretty(&sarif(&report())).unwrap();
        insta::assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    }

    #[test]
    fn annotations_are_escaped() {
        insta::assert_snapshot!(github(&report()));
    }

    #[test]
    fn a_file_is_a_test_case() {
        insta::assert_snapshot!(junit(&report()));
        let empty = junit(&lint_bytes("a.yaml", b"kind: Service\napiVersion: v1\n").unwrap());
        assert!(empty.contains("failures=\"1\"") && empty.contains(Report::NOTHING), "{empty}");
    }
}
