//! `-o jsonpath=`: kubectl's templates. Text stands as it is; what is in braces is a path (`{.metadata.name}`), a text
//! (`{"\n"}`), or begins and ends a loop (`{range .items[*]}...{end}`).
//!
//! The paths are evaluated by a library for RFC 9535, into whose notation [`path`] translates kubectl's.

mod path;
mod template;

use serde_json::Value;

pub use self::path::Path;
use self::{path::shown, template::Node};

/// A template that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Vec<Node>);

impl Template {
    /// Reads a template; a path may also stand without braces. The error says what is wrong.
    pub fn read(text: &str) -> Result<Template, String> {
        template::read(text).map(Template)
    }

    /// What it makes of an object.
    pub fn render(&self, object: &Value) -> String {
        let mut out = String::new();
        write(&self.0, object, object, &mut out);
        out
    }
}

fn write(nodes: &[Node], root: &Value, at: &Value, out: &mut String) {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Path(path) => {
                let found: Vec<String> = path.find(root, at).into_iter().map(shown).collect();
                out.push_str(&found.join(" "));
            }
            Node::Range(path, inner) => path.find(root, at).into_iter().for_each(|item| write(inner, root, item, out)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn list() -> Value {
        let item = |name: &str, ready: u64, phase: &str| {
            json!({
                "metadata": { "name": name, "labels": { "app.kubernetes.io/name": name } },
                "status": { "ready": ready, "conditions": [
                    { "type": "Progressing", "status": "True" }, { "type": phase, "status": "False", "no-data": true }
                ] }
            })
        };
        json!({ "kind": "List", "items": [item("web", 2, "Paused"), item("api", 10, "Healthy")] })
    }

    /// The forms that kubectl documents, with its results.
    #[test]
    fn templates_as_kubectl_reads_them() {
        for (template, text) in [
            ("{.kind}", "List"),
            ("{$.kind}", "List"),
            ("{@.kind}", "List"),
            (".kind", "List"),
            ("{['kind']}", "List"),
            ("the kind is {.kind}\n", "the kind is List\n"),
            ("{.items[*].metadata.name}", "web api"),
            ("{.items[0].status.ready}", "2"),
            ("{.items[-1:].metadata.name}", "api"),
            ("{.items[0:1].metadata.name}", "web"),
            ("{..name}", "web api"),
            ("{.items[*]['metadata', 'status'].name}", "web api"),
            ("{range .items[*]}{.metadata.name}{\"\\t\"}{.status.ready}{\"\\n\"}{end}", "web\t2\napi\t10\n"),
            (
                "{range .items[*]}[{range .status.conditions[*]}{.type},{end}]{end}",
                "[Progressing,Paused,][Progressing,Healthy,]",
            ),
            ("{range .items[*]}{$.kind} {end}", "List List "),
            ("{.items[?(@.metadata.name=='api')].status.ready}", "10"),
            ("{.items[?(@.status.ready>2)].metadata.name}", "api"),
            ("{.items[0].status.conditions[?(@.type==\"Paused\")].status}", "False"),
            ("{.items[0].status.conditions[?(@.no-data==true)].type}", "Paused"),
            ("{.items[0].metadata.labels.app\\.kubernetes\\.io/name}", "web"),
            ("{.items[1].metadata.labels['app\\.kubernetes\\.io/name']}", "api"),
            ("{.items[0].status.conditions[0]}", "{\"type\":\"Progressing\",\"status\":\"True\"}"),
            ("{.metadata.nothing}", ""),
            ("", ""),
        ] {
            let rendered = Template::read(template).map(|template| template.render(&list()));
            assert_eq!(rendered.as_deref(), Ok(text), "{template}");
        }
    }

    #[test]
    fn a_template_that_cannot_be_read_says_what_is_wrong() {
        for (template, wrong) in [
            ("{.kind", "has no closing brace"),
            ("{range .items[*]}{.kind}", "{range .items[*]} has no {end}"),
            ("{.kind}{end}", "{end} without a {range ...}"),
            ("{.items[}", "has no closing bracket"),
            ("{.items[?(@.a=)]}", "is not a path"),
            ("{}", "is empty"),
            ("{\"text}", "has no closing quote"),
        ] {
            let error = Template::read(template).unwrap_err();
            assert!(error.contains(wrong), "{template}: {error}");
        }
    }

    #[test]
    fn objects_are_ordered_by_what_is_at_a_path() {
        let by = |text: &str| {
            let path = Path::read(text).unwrap();
            let mut items = list()["items"].as_array().unwrap().clone();
            items.push(json!({ "metadata": { "name": "zoo" } }));
            items.sort_by(|a, b| path.order(a, b));
            items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(by(".metadata.name"), ["api", "web", "zoo"]);
        assert_eq!(by("{.status.ready}"), ["zoo", "web", "api"]);
    }
}
