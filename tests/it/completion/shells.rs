//! How each shell is made to complete a line, and what it offers.

use std::{io::Write, process::Stdio, time::Duration};

use assert_cmd::Command;

use super::Desk;

/// A shell.
pub struct Shell {
    pub name: &'static str,
    /// Whether what it offers comes out in the order in which it was given.
    pub keeps_order: bool,
    /// The words that it offers, one per line of the output.
    script: &'static str,
    /// What runs the script, before the script and the line.
    arguments: &'static [&'static str],
}

pub const SHELLS: [Shell; 3] = [
    Shell { name: "bash", keeps_order: true, script: BASH, arguments: &["--norc", "-c"] },
    Shell { name: "zsh", keeps_order: false, script: ZSH, arguments: &["-f", "-c"] },
    Shell { name: "fish", keeps_order: true, script: FISH, arguments: &["--no-config", "-c"] },
];

/// Readline hands over the words as this splits them: colons and equal signs are words of their own.
const BASH: &str = r#"
source <(glidepath completions bash)
COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=()
rest=$1
while [[ $rest =~ ^[[:blank:]]*([:=]+|[^:=[:blank:]]+)(.*)$ ]]; do
    COMP_WORDS+=("${BASH_REMATCH[1]}")
    rest=${BASH_REMATCH[2]}
done
[[ $1 == *[[:blank:]] || $1 == *[:=] ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_glidepath 2>&1
# What is replaced is only the last word in the sense of readline; with what stands before it, it is the word as typed.
last=${1##*[[:blank:]]}
for word in "${COMPREPLY[@]}"; do printf '%s\n' "${last%"${last##*[:=]}"}$word"; done
"#;

/// An interactive shell on a terminal of its own: one key puts all that is offered into the line, another one prints it.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty inner "zsh -f -i"
zpty -w inner 'PROMPT=; autoload -Uz compinit; compinit -u -D; source <(glidepath completions zsh)
zle -C all complete-word _generic
zstyle ":completion:all::::" completer _all_matches _complete; zstyle ":completion:all:*" insert true
show() { print -r -- "<<$BUFFER>>"; BUFFER= }; zle -N show
bindkey "^Xa" all; bindkey "^Xb" show; print rea""dy'
zpty -r inner answer '*ready*' || exit 1
zpty -w -n inner "$1"$'\C-xa\C-xb'
zpty -r inner answer '*<<*>>*' || exit 1
zpty -d inner
after=${${answer##*<<}%%>>*}
print -rl -- ${(z)${after#"${1% *} "}}
"#;

const FISH: &str = r#"
source (glidepath completions fish | psub)
complete -C $argv[1] | string replace -r '\t.*' ''
true
"#;

impl Shell {
    /// Whether it can be tried here. Says so past the test's captured output if it cannot.
    pub fn is_installed(&self, desk: &Desk) -> bool {
        let found = desk.program(self.name).arg("--version").stdout(Stdio::null()).status().is_ok();
        if !found {
            let words = format!("{} is not installed: its completion was NOT tested", self.name);
            assert!(std::env::var_os("GLIDEPATH_ALL_SHELLS").is_none(), "{words}");
            let mut past_the_capture = std::io::stderr();
            writeln!(past_the_capture, "{words}").unwrap();
        }
        found
    }

    /// The words that it offers at the end of a line.
    pub fn offers(&self, desk: &Desk, line: &str) -> Vec<String> {
        let mut shell = desk.program(self.name);
        shell.args(self.arguments).arg(self.script);
        if self.name != "fish" {
            shell.arg("test");
        }
        shell.arg(line);
        // A shell that waits for a prompt that never comes would wait for ever.
        let output = Command::from_std(shell).timeout(Duration::from_secs(120)).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}: {line}: {text}{}", self.name, String::from_utf8_lossy(&output.stderr));
        text.lines().filter(|line| !line.is_empty()).map(Into::into).collect()
    }
}
