//! What is read, its positions, and the limits.

use super::{limits::DOCUMENTS, *};

fn documents(text: &str) -> Vec<Document> {
    read(text).unwrap().into_iter().map(Result::unwrap).collect()
}

#[test]
fn fields_are_found_by_line_and_column_in_every_document() {
    let text = "# first\nkind: A\n---\nkind: B\nspec:\n  steps:\n    - setWeight: 5\n    - pause: {duration: 1m}\n";
    let documents = documents(text);
    assert_eq!(documents.len(), 2);
    for (document, path, line, column) in [
        (0, "kind", 2, 1),
        (1, "kind", 4, 1),
        (1, "spec.steps", 6, 3),
        (1, "spec.steps[0].setWeight", 7, 7),
        (1, "spec.steps[1]", 8, 7),
        (1, "spec.steps[1].pause.duration", 8, 15),
        (1, "spec.steps[1].pause.absent", 8, 7),
        (1, "nowhere", 4, 1),
    ] {
        assert_eq!(documents[document].position(path), Position { line, column }, "{path}");
    }
}

#[test]
fn markers_directives_and_empty_documents_make_no_documents() {
    assert_eq!(documents("%YAML 1.2\n---\na: 1\n...\n---\n# only a comment\n---\n--- {b: 2}\n").len(), 2);
    assert!(documents("").is_empty());
    assert_eq!(documents("a: |\n  ---\n  text\n").len(), 1, "an indented marker is text");
}

#[test]
fn broken_documents_say_where_and_do_not_hide_others() {
    let results = read("a: 1\n---\nb: [1,\n---\nc: 3\n").unwrap();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
    let error = results.into_iter().find_map(Result::err).unwrap();
    assert!(error.position().line >= 3, "{error:?}");
    let twice = read("a: 1\na: 2\n").unwrap().remove(0).unwrap_err();
    assert!(twice.to_string().contains("duplicate"), "{twice}");
}

fn refused(text: &str) -> (Position, String) {
    let error = match read(text) {
        Ok(mut read) => read.remove(0).map(|document| document.value.to_string().len()).unwrap_err(),
        Err(error) => error,
    };
    (error.position(), error.to_string())
}

/// M7.
#[test]
fn size_depth_and_aliases_are_bounded() {
    let at = |line, column| Position { line, column };
    let long = format!("a: 1\n---\nb: 2\n{}", "#\n".repeat(limits::DOCUMENT_BYTES / 2));
    assert!(matches!(read(&long).unwrap()[1], Err(YamlError::Long { at: Position { line: 3, .. }, .. })));
    assert!(matches!(read(&" ".repeat(limits::CALL_BYTES + 1)), Err(YamlError::TooLarge)));
    let many = "---\na\n".repeat(DOCUMENTS + 1);
    assert!(matches!(read(&many), Err(YamlError::TooMany { at: Position { line: 20_002, .. } })));
    let list = "apiVersion: v1\nkind: List\nitems:\n".to_owned() + &"- a\n".repeat(DOCUMENTS);
    assert!(matches!(read(&list), Err(YamlError::TooMany { .. })));

    let nested = |levels: usize| format!("a: {}1{}", "[".repeat(levels), "]".repeat(levels));
    assert!(read(&nested(DEEPEST - 1)).unwrap().remove(0).is_ok());
    for (text, place) in [
        (nested(DEEPEST), at(1, 103)),
        (nested(200), at(1, 103)),
        (nested(100_000), at(1, 259)),
        (format!("a:\n  {}1", "- ".repeat(100_000)), at(2, 201)),
    ] {
        let (found, said) = refused(&text);
        assert!(said.starts_with("nests more than 100 levels deep"), "{said}");
        assert_eq!(found, place);
    }
    let (_, said) = refused(&format!("a: |\n  {}\n", "x".repeat(limits::TEXT_BYTES + 1)));
    assert!(said.starts_with("a string has more than 1 MiB"), "{said}");
    let (_, said) = refused(&format!("? {}\n: 1\n", "x".repeat(limits::KEY_BYTES + 1)));
    assert!(said.starts_with("a key has more than 4096 bytes"), "{said}");
    for text in ["[1,1,1]", "1,", "{},"].map(|one| format!("[{}1]", one.repeat(450_000).replace("][", "],["))) {
        let (_, said) = refused(&text);
        assert!(said.starts_with("the document has more than 400000 values"), "{said}");
    }
}

/// M7: a file under 1 MiB took over 6 GB.
#[test]
fn what_aliases_stand_for_is_bounded_before_it_is_built() {
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(900_000), vec!["*a"; 20_000].join(","));
    let (at, said) = refused(&long);
    assert!(said.starts_with("b[8]: the strings of the document have more than 8 MiB"), "{said}");
    assert_eq!(at.line, 1, "where the text stands that is repeated");

    let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let before = level - 1;
        laughs += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{before}"); 10].join(","));
    }
    let (_, said) = refused(&laughs);
    assert!(said.contains("aliases expand to far too many values; use fewer"), "{said}");
    let padded = laughs + &format!("b: [{}1]\n", "1,".repeat(20_000));
    let (_, said) = refused(&padded);
    assert!(said.contains("has more than 400000 values, including expanded aliases"), "{said}");

    let mut deep = String::from("a0: &a0 [1]\n");
    for level in 1..150 {
        deep += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    assert!(refused(&deep).1.contains("nests more than 100 levels deep"), "{}", refused(&deep).1);
    assert!(refused("a: &a [*a]\n").1.contains("levels deep"), "{}", refused("a: &a [*a]\n").1);
}

/// M7: the documents of a call share one budget.
#[test]
fn all_documents_of_a_call_together_are_bounded() {
    let mut budget = Budget::default();
    let file = format!("[{}1]\n---\n[{0}1]\n", "1,".repeat(390_000));
    let read: Vec<_> = (0..4).flat_map(|_| budget.read(&file).unwrap()).collect();
    let refused: Vec<_> = read.iter().filter_map(|read| read.as_ref().err()).map(ToString::to_string).collect();
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert!(refused[0].contains("check them in several invocations"), "{refused:?}");
}

/// M7: 900 documents behind empty lines took time by the square of their number.
#[test]
#[expect(clippy::disallowed_methods, reason = "the time that it takes is what is tested")]
fn reading_takes_time_in_proportion_to_the_size() {
    let line = "- {name: one, image: \"shop/checkout:1\", replicas: 3, weight: 5.5, text: some more of it}\n";
    let ordinary = line.repeat((3 << 20) / line.len());
    for (text, number) in [
        (format!("{}---\na: 1\n", "\n".repeat(20_000)).repeat(200), 200),
        ("---\na: [1,\n\tb: 1\n".repeat(5_000), 5_000),
        (format!("{ordinary}---\n").repeat(2), 2),
    ] {
        let begin = std::time::Instant::now();
        assert_eq!(read(&text).unwrap().len(), number);
        let took = begin.elapsed();
        assert!(took.as_secs() < 10, "{number} documents of {} bytes took {took:?}", text.len());
    }
}

/// serde_yaml breaks lines where the first reader does not, so it may see brackets that the other takes for a comment.
#[test]
#[expect(clippy::disallowed_methods, reason = "the time that it takes is what is tested")]
fn brackets_that_the_first_reader_does_not_see_are_bounded() {
    for hidden in ["# \u{2028}", "# \u{85}", "\"\n%\" x: "] {
        let text = format!("a: 1\n{hidden}{}", "[".repeat(100_000));
        let begin = std::time::Instant::now();
        refused(&text);
        assert!(begin.elapsed().as_secs() < 5, "{hidden:?}");
    }
}

#[test]
fn values_are_read_as_kubectl_reads_them() {
    let text = "a: 18446744073709551616\nb: -1\n1: x\ntrue: y\nc: !Ref z\nd: ~\ne: 0x10\nf: \"1\"\ng: 1.50\nh:\n";
    let wanted = serde_json::json!({"a": 18446744073709551616.0, "b": -1, "1": "x", "true": "y", "c": {"!Ref": "z"}, "d": null,
        "e": 16, "f": "1", "g": 1.5, "h": null});
    assert_eq!(documents(text)[0].value, wanted);
    for (text, wanted) in [
        ("a: {b: [1, .nan]}", "a.b[1]: .nan cannot be represented in JSON"),
        ("[a]: 1", "every key must be one"),
        ("<<: 1", "merges a map or a list of maps"),
        ("1: a\n\"1\": b", "duplicate entry with key \"1\""),
        ("a:\n\t- b", "indent with spaces, not with tabs"),
    ] {
        let (_, said) = refused(text);
        assert!(said.contains(wanted), "{text}: {said}");
    }
}

#[test]
fn keys_with_dots_and_brackets_are_found() {
    let document = documents("spec:\n  glidepath.dev/a: 1\n  a:\n    b: 1\n  a.b: 2\n  \"x[0]\": 3\n").remove(0);
    for (path, line) in
        [("spec.glidepath.dev/a", 2), ("spec.a.b", 5), ("spec.a.c", 3), ("spec.x[0]", 6), ("spec.y", 1), ("", 1)]
    {
        assert_eq!(document.position(path).line, line, "{path}");
    }
}

#[test]
fn entries_of_a_list_keep_their_places() {
    let list = documents("kind: List\nitems:\n- kind: A\n  spec: {x: 1}\n- kind: B\n").remove(0);
    let items = list.into_entries("items");
    assert_eq!(items.len(), 2);
    assert_eq!(items[0].position("spec.x"), Position { line: 4, column: 10 });
    assert_eq!((items[1].text("/kind"), items[1].position("spec").line), (Some("B"), 5));
    assert!(documents("kind: A\n").remove(0).into_entries("items").is_empty());
}

#[test]
fn anchors_and_merges_are_read_as_kubectl_reads_them() {
    let document = documents("base: &b {x: 1}\nuse:\n  <<: *b\n  y: 2\n").remove(0);
    assert_eq!(document.value["use"], serde_json::json!({"x": 1, "y": 2}));
    assert_eq!(document.position("use.y"), Position { line: 4, column: 3 });
    assert_eq!(document.position("use.x"), Position { line: 2, column: 1 }, "it stands nowhere below `use`");
    let lists = documents("a: &a {x: 1}\nb: {x: 2, z: 3}\nuse: {<<: [*a, {x: 5, y: 6}], z: 4}\n").remove(0);
    assert_eq!(lists.value["use"], serde_json::json!({"z": 4, "x": 1, "y": 6}));
}

#[test]
fn wrong_shapes_name_the_field() {
    #[derive(serde::Deserialize, Debug)]
    struct Outer {
        #[expect(dead_code, reason = "only its type matters")]
        inner: Vec<u32>,
    }
    let error = read_one::<Outer>("inner: [1, x]\n").unwrap_err().to_string();
    assert!(error.starts_with("inner[1]: invalid type: string"), "{error}");
}
