//! JUnit XML, which CI systems show as test results.

/// One suite: a file of `lint`, or what `simulate` played.
#[derive(Clone, Debug, Default)]
pub(super) struct Suite {
    pub name: String,
    pub cases: Vec<Case>,
}

/// One test case.
#[derive(Clone, Debug, Default)]
pub(super) struct Case {
    pub name: String,
    /// Why it failed: a line, and the whole.
    pub failure: Option<(String, String)>,
    /// Why it was not played.
    pub skipped: Option<String>,
    /// What else there is to read.
    pub output: String,
}

/// The document.
pub(super) fn document(name: &str, suites: &[Suite]) -> String {
    let all = suites.iter().flat_map(|suite| &suite.cases);
    let (tests, failures) = counts(all);
    let suites: String = suites.iter().map(suite).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{}\" tests=\"{tests}\" failures=\"{failures}\">\n{suites}</testsuites>\n",
        escaped(name)
    )
}

fn counts<'a>(cases: impl Iterator<Item = &'a Case>) -> (usize, usize) {
    cases.fold((0, 0), |(tests, failures), case| (tests + 1, failures + usize::from(case.failure.is_some())))
}

fn suite(suite: &Suite) -> String {
    let (tests, failures) = counts(suite.cases.iter());
    let skipped = suite.cases.iter().filter(|case| case.skipped.is_some()).count();
    let name = escaped(&suite.name);
    let cases: String = suite.cases.iter().map(|one| case(&name, one)).collect();
    format!(
        "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\">\n{cases}  </testsuite>\n"
    )
}

fn case(class: &str, case: &Case) -> String {
    let mut inside = String::new();
    if let Some((line, whole)) = &case.failure {
        inside += &format!("      <failure message=\"{}\">{}</failure>\n", escaped(line), escaped(whole));
    }
    if let Some(why) = &case.skipped {
        inside += &format!("      <skipped message=\"{}\"/>\n", escaped(why));
    }
    if !case.output.is_empty() {
        inside += &format!("      <system-out>{}</system-out>\n", escaped(&case.output));
    }
    let head = format!("    <testcase classname=\"{class}\" name=\"{}\"", escaped(&case.name));
    if inside.is_empty() { format!("{head}/>\n") } else { format!("{head}>\n{inside}    </testcase>\n") }
}

/// Text as XML takes it, in an element and in an attribute. What XML cannot say is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_counts_and_escapes() {
        let failure = Some(("1 error".to_owned(), "a.yaml:1:1  error   \"<a>\" & b\n".to_owned()));
        let cases = vec![
            Case { name: "a".into(), failure, ..Case::default() },
            Case { name: "b\u{1b}".into(), skipped: Some("no cluster".into()), ..Case::default() },
            Case { name: "c".into(), output: "a warning".into(), ..Case::default() },
        ];
        insta::assert_snapshot!(document("glidepath lint", &[Suite { name: "a.yaml".into(), cases }]), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="glidepath lint" tests="3" failures="1">
          <testsuite name="a.yaml" tests="3" failures="1" skipped="1">
            <testcase classname="a.yaml" name="a">
              <failure message="1 error">a.yaml:1:1  error   &quot;&lt;a&gt;&quot; &amp; b
        </failure>
            </testcase>
            <testcase classname="a.yaml" name="b">
              <skipped message="no cluster"/>
            </testcase>
            <testcase classname="a.yaml" name="c">
              <system-out>a warning</system-out>
            </testcase>
          </testsuite>
        </testsuites>
        "#);
    }
}
