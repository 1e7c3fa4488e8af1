//! Where a command line goes, as the options that a hint repeats: what is pasted must reach the same cluster, namespace and
//! user.

use std::sync::OnceLock;

use super::program::program;

/// Verbs that need no cluster: the options mean nothing to them.
const OFFLINE: [&str; 9] = ["lint", "plan", "simulate", "demo", "local", "crds", "help", "version", "completions"];
/// Verbs about a whole cluster, which a local rollout has none of.
const OF_A_CLUSTER: [&str; 3] = ["doctor", "uninstall", "controller"];

static TYPED: OnceLock<Typed> = OnceLock::new();

/// The connection options that the user typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// `-n`.
    pub namespace: Option<String>,
    /// `--context` and `--kubeconfig`.
    pub cluster: Vec<(&'static str, String)>,
    /// `--as` and `--as-group`.
    pub user: Vec<(&'static str, String)>,
    /// `--local`, with its name if it has one.
    pub local: Option<Option<String>>,
}

/// Keeps what the user typed for every hint to come.
pub fn remember(options: Typed) {
    let _ = TYPED.set(options);
}

/// The options with which a verb on a Rollout reaches it, each with a blank before it. `own` is the option that a local rollout
/// brings along.
pub fn options(own: Option<&str>) -> String {
    typed().for_rollout(own)
}

/// A text that quotes commands in the plain name (`'glidepath status web'`), with each as it can be pasted: in the name that
/// was called, with the options that were typed.
pub fn pasteable(text: &str) -> String {
    rewritten(text, program(), typed(), None)
}

/// The same about a local rollout, which is reached with this option.
pub fn pasteable_with(own: &str, text: &str) -> String {
    rewritten(text, program(), typed(), Some(own))
}

/// A hint at `'glidepath doctor'`. It looks at no local rollout: of one there is only its process to check.
pub fn doctor(hint: &str) -> String {
    if typed().local.is_some() { pasteable("check that 'glidepath local' is still running") } else { pasteable(hint) }
}

fn typed() -> &'static Typed {
    static NOTHING: Typed = Typed { namespace: None, cluster: Vec::new(), user: Vec::new(), local: None };
    TYPED.get().unwrap_or(&NOTHING)
}

impl Typed {
    fn for_rollout(&self, own: Option<&str>) -> String {
        // An option that the Rollout brings along would contradict a cluster that is named.
        let own = own.filter(|_| self.cluster.is_empty());
        let local = match (&self.local, own) {
            (Some(Some(name)), _) => option("--local", name),
            (_, Some(own)) => format!(" {own}"),
            (Some(None), None) => " --local".to_owned(),
            (None, None) => String::new(),
        };
        let namespace = self.namespace.as_ref().map(|namespace| option("-n", namespace));
        let others: String = self.cluster.iter().chain(&self.user).map(|(name, value)| option(name, value)).collect();
        namespace.unwrap_or_default() + &others + &local
    }

    /// For this command, which begins with its verb.
    fn for_command(&self, command: &str, own: Option<&str>) -> String {
        let verb = command.split(' ').next().unwrap_or_default();
        if OFFLINE.contains(&verb) {
            return String::new();
        }
        if OF_A_CLUSTER.contains(&verb) {
            return Typed { local: None, ..self.clone() }.for_rollout(None);
        }
        if command.split(' ').any(|word| word == "-A") {
            return Typed { namespace: None, ..self.clone() }.for_rollout(own);
        }
        self.for_rollout(own)
    }
}

fn option(name: &str, value: &str) -> String {
    format!(" {name} {}", for_a_shell(value))
}

fn rewritten(text: &str, program: &str, typed: &Typed, own: Option<&str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, command, after)) = next_command(rest) {
        let options = typed.for_command(command, own);
        let options = if command.ends_with(&options) { "" } else { &options };
        out.push_str(&format!("{before}'{program} {command}{options}'"));
        rest = after;
    }
    out + rest
}

/// The text before the first quoted command, the command without the program's name, and the text after it.
fn next_command(text: &str) -> Option<(&str, &str, &str)> {
    let starts = ["'glidepath ", "'kubectl glidepath "].into_iter();
    let (at, start) = starts.filter_map(|start| Some((text.find(start)?, start))).min()?;
    let (before, quoted) = (text.get(..at)?, text.get(at + start.len()..)?);
    let (command, after) = quoted.split_once('\'')?;
    Some((before, command, after))
}

/// A value as a shell reads it, also within single quotes.
fn for_a_shell(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,~".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    let mut quoted = String::from('"');
    for c in value.chars() {
        if "\"\\$`".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> Typed {
        Typed {
            namespace: Some("shop".into()),
            cluster: vec![("--context", "prod eu".into()), ("--kubeconfig", "/home/ann/k.yaml".into())],
            user: vec![("--as", "bob".into())],
            local: None,
        }
    }

    fn local(name: Option<&str>) -> Typed {
        Typed { local: Some(name.map(Into::into)), ..Typed::default() }
    }

    const CLUSTER: &str = "--context \"prod eu\" --kubeconfig /home/ann/k.yaml --as bob";

    #[test]
    fn hints_carry_the_options_that_were_typed() {
        for (typed, own, options) in [
            (Typed::default(), None, String::new()),
            (Typed::default(), Some("--local api"), " --local api".into()),
            (shop(), None, format!(" -n shop {CLUSTER}")),
            (shop(), Some("--local api"), format!(" -n shop {CLUSTER}")),
            (local(None), None, " --local".into()),
            (local(None), Some("--local api"), " --local api".into()),
            (local(Some("web")), Some("--local"), " --local web".into()),
        ] {
            assert_eq!(typed.for_rollout(own), options, "{typed:?} {own:?}");
        }
    }

    #[test]
    fn quoted_commands_can_be_pasted() {
        let text = "check 'glidepath status web', 'glidepath get -A' or 'glidepath doctor'; 'glidepath crds | kubectl apply -f -'";
        let of_shop = format!(
            "check 'kubectl glidepath status web -n shop {CLUSTER}', 'kubectl glidepath get -A {CLUSTER}' or 'kubectl \
             glidepath doctor -n shop {CLUSTER}'; 'kubectl glidepath crds | kubectl apply -f -'"
        );
        assert_eq!(rewritten(text, "kubectl glidepath", &shop(), None), of_shop);
        assert_eq!(rewritten(&of_shop, "kubectl glidepath", &shop(), None), of_shop, "once is enough");
        assert_eq!(
            rewritten("'glidepath status web'", "glidepath", &local(None), None),
            "'glidepath status web --local'"
        );
        assert_eq!(rewritten("'glidepath doctor'", "glidepath", &local(None), None), "'glidepath doctor'");
        assert_eq!(rewritten(text, "glidepath", &Typed::default(), None), text);
        let of_its_log = rewritten("'glidepath promote web'", "glidepath", &Typed::default(), Some("--local api"));
        assert_eq!(of_its_log, "'glidepath promote web --local api'");
        for unchanged in ["no command", "'glidepath status", "the 'web' of ann"] {
            assert_eq!(rewritten(unchanged, "glidepath", &shop(), None), unchanged);
        }
    }

    #[test]
    fn a_value_is_quoted_where_a_shell_would_split_it() {
        for (value, typed) in [("web", "web"), ("a b", "\"a b\""), ("", "\"\""), ("$(x)`\"", "\"\\$(x)\\`\\\"\"")] {
            assert_eq!(for_a_shell(value), typed);
        }
    }
}
