//! What the README and "Getting started" tell a new user to type is typed, on their own files: a release without a mesh.
//!
//! Their pauses are shortened; what is typed at which moment is here, and every command of the section has its moment.

#[allow(dead_code, reason = "the pages' own tests use the rest")]
#[path = "../it/docs/page.rs"]
mod page;

use crate::controller::controller;
use crate::shop::{PATIENCE, Shop};
use crate::wait::wait_for;
use crate::{glidepath, lane};
use anyhow::{Result, bail};
use page::Page;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Stdio};

/// A section of a page in a namespace of its own.
struct Walk {
    shop: Shop,
    /// What the section names and was not typed so far.
    left: BTreeSet<String>,
}

impl Walk {
    fn begin(page: &str, heading: &str, namespace: &'static str) -> Self {
        let page = Page::read(Path::new(env!("CARGO_MANIFEST_DIR")), page).part(heading);
        let code = |language| page.blocks().into_iter().filter(move |block| block.language == language);
        let yaml = code("yaml").next().unwrap().text;
        let yaml = yaml.replace(", namespace: shop", "").replace("duration: 10m", "duration: 1s");
        let named = code("sh").map(|block| block.text).chain(page.inline_code().into_iter().map(|(_, code)| code));
        let left = named.flat_map(|text| page::commands(&text)).map(|words| line(&words)).collect();
        controller().check();
        let namespaced = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n");
        lane().apply(&namespaced).unwrap();
        let file = lane().folder().join(format!("{namespace}.yaml"));
        std::fs::write(&file, yaml).unwrap();
        // As a user applies it: on the client's side, into the namespace of the context.
        lane().kubectl(&["apply", "-n", namespace, "-f", &file.display().to_string()]).unwrap();
        let shop = Shop { namespace };
        shop.wait_for_stable(1);
        Self { shop, left }
    }

    /// Types a command of the section; gives what it prints.
    fn types(&mut self, command: &str) -> String {
        self.has_typed(command);
        self.shop.glidepath(&command.split(' ').collect::<Vec<_>>()).unwrap()
    }

    /// Types a command that runs until the release is over.
    fn watches(&mut self, command: &str) -> Watch {
        self.has_typed(command);
        let mut watch = glidepath();
        watch.args(command.split(' ')).args(["-n", self.shop.namespace]).stdout(Stdio::piped()).stderr(Stdio::null());
        Watch(watch.spawn().unwrap())
    }

    fn has_typed(&mut self, command: &str) {
        assert!(self.left.remove(command), "the page does not say '{command}'; it says {:#?}", self.left);
    }

    fn end(self) {
        assert!(self.left.is_empty(), "not typed: {:#?}", self.left);
    }
}

/// The words of a command without the program and the namespace.
fn line(words: &[String]) -> String {
    words[1..].join(" ").replace(" -n shop", "")
}

/// A command that watches a release. Without a terminal it ends when the release does, or when it waits for an operator.
struct Watch(Child);

impl Watch {
    /// Waits for its end; gives its exit code and what it printed.
    fn end(mut self) -> (Option<i32>, String) {
        let ended: Result<_> = wait_for(PATIENCE, "the watch to end", || match self.0.try_wait()? {
            Some(status) => Ok(status),
            None => bail!("it still watches"),
        });
        let code = ended.unwrap().code();
        (code, std::io::read_to_string(self.0.stdout.take().unwrap()).unwrap())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It has ended, or its test has failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_first_rollout_of_the_readme_is_released() {
    let mut user = Walk::begin("README.md", "your-first-rollout", "readme");
    let set = user.types("set image web web=registry.example/web:1.1");
    assert!(set.contains("image set"), "{set}");
    let watch = user.watches("status web --watch");
    user.shop.wait_for_pause(1);
    let (code, seen) = watch.end();
    assert!(code == Some(14) && seen.contains("glidepath promote web"), "{code:?}: {seen}");
    user.shop.glidepath(&["promote", "web"]).unwrap();
    user.shop.wait_for_stable(2);
    the_documents_are_printed(&user.shop);
    user.end();
}

/// The commands of "JSON shapes", each with the kind that the page describes.
fn the_documents_are_printed(shop: &Shop) {
    let page = Page::read(Path::new(env!("CARGO_MANIFEST_DIR")), "docs/json.md");
    let blocks = page.blocks().into_iter().filter(|block| block.language == "sh");
    let commands: Vec<String> =
        blocks.flat_map(|block| page::commands(&block.text)).map(|words| line(&words)).collect();
    let kinds = ["RolloutStatus", "RolloutHistory", "RolloutExplanation"];
    assert_eq!(commands.len(), kinds.len());
    for (command, kind) in commands.iter().zip(kinds) {
        let printed = shop.glidepath(&command.split(' ').collect::<Vec<_>>()).unwrap();
        let document: serde_json::Value = serde_yaml::from_str(&printed).unwrap();
        assert_eq!((document["kind"].as_str(), document["name"].as_str()), (Some(kind), Some("web")), "{printed}");
    }
}

#[test]
fn what_getting_started_says_is_what_happens() {
    let mut user = Walk::begin("docs/getting-started.md", "1-a-rollout-with-its-own-pod-template", "started");
    let listed = user.types("get");
    assert!(listed.contains("web") && listed.contains("Healthy"), "{listed}");
    user.types("set image web web=registry.example/web:1.1");
    let watch = user.watches("status web --watch");
    user.shop.wait_for_pause(3);
    let explained = user.types("explain web");
    assert!(explained.contains("promote web"), "{explained}");
    user.types("pause web");
    user.types("resume web");
    user.types("abort web");
    user.shop.wait("the abort", |status| status["course"] == "Aborted");
    drop(watch);
    user.types("retry web");
    user.shop.wait_for_pause(3);
    user.types("promote web");
    user.shop.wait_for_stable(2);
    let history = user.types("history web");
    assert!(history.contains("promoted") && history.contains("rolled back"), "{history}");
    let undone = user.types("undo web");
    assert!(undone.contains("released again as"), "{undone}");
    user.end();
}
