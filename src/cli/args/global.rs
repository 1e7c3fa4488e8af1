//! The options that every verb takes.

use std::{io::IsTerminal, path::PathBuf};

use clap::ValueEnum;

use super::format::Format;
pub use super::format::{FOR_CI, OutputFormat};
use crate::cli::{
    render::{redraw::Size, table::UNLIMITED},
    request_timeout::RequestTimeout,
    target::Typed,
};

/// Options of every verb. Flatten it into the root of the command line.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Global {
    /// The namespace; default: that of the kubeconfig
    #[arg(short, long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub namespace: Option<String>,
    /// The kubeconfig context
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub context: Option<String>,
    /// The kubeconfig file
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub kubeconfig: Option<PathBuf>,
    /// The time for one call to the API server, like 10s, 1m or 30 (seconds); 0 for none. Default: 15s
    #[arg(long, global = true, value_name = "DURATION", help_heading = "Global options")]
    pub request_timeout: Option<RequestTimeout>,
    /// Use a `glidepath local` on this machine instead of a cluster: its name, its folder, or none for the only one
    /// running, or the only one that has the Rollout
    #[arg(
        long,
        global = true,
        num_args = 0..=1,
        value_name = "NAME",
        value_parser = local_name,
        conflicts_with_all = ["context", "kubeconfig"],
        help_heading = "Global options"
    )]
    pub local: Option<Option<String>>,
    /// Act as this user, as far as your permissions allow it
    #[arg(long = "as", global = true, value_name = "USER", conflicts_with = "local", help_heading = "Global options")]
    pub as_user: Option<String>,
    /// With --as: act as a member of this group; may be repeated
    #[arg(
        long = "as-group",
        global = true,
        value_name = "GROUP",
        requires = "as_user",
        help_heading = "Global options"
    )]
    pub as_groups: Vec<String>,
    /// The output format: table, wide, json, yaml, name or jsonpath=TEMPLATE (as kubectl's); for CI sarif, junit and github
    #[arg(
        short,
        long,
        global = true,
        value_parser = Format,
        default_value = "table",
        hide_default_value = true,
        hide_possible_values = true,
        value_name = "FORMAT",
        help_heading = "Global options"
    )]
    pub output: OutputFormat,
    /// Colors: auto (on a terminal, unless NO_COLOR is set), always or never
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true,
        value_name = "WHEN",
        help_heading = "Global options"
    )]
    pub color: Color,
}

/// `--color`.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// `set image web --local web=web:v2` would take the image for a name.
fn local_name(text: &str) -> Result<String, String> {
    if text.contains('=') {
        return Err("is not the name of a local rollout; put --local at the end".into());
    }
    Ok(text.to_owned())
}

impl Global {
    /// Whether standard output gets colours.
    pub fn color_on(&self) -> bool {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        self.color.on(no_color, std::io::stdout().is_terminal())
    }

    /// Where this command line goes, for hints that lead there too.
    pub fn typed(&self) -> Typed {
        let file = self.kubeconfig.as_ref().map(|file| ("--kubeconfig", file.display().to_string()));
        let context = self.context.as_ref().map(|context| ("--context", context.clone()));
        let user = self.as_user.iter().map(|user| ("--as", user.clone()));
        let groups = self.as_groups.iter().map(|group| ("--as-group", group.clone()));
        Typed {
            namespace: self.namespace.clone(),
            cluster: context.into_iter().chain(file).collect(),
            user: user.chain(groups).collect(),
            local: self.local.clone(),
        }
    }

    /// The width of the terminal; no limit where there is none.
    pub fn width(&self) -> usize {
        if std::io::stdout().is_terminal() { Size::now().layout() } else { UNLIMITED }
    }
}

impl Color {
    fn on(self, no_color: bool, terminal: bool) -> bool {
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !no_color,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Color;

    #[test]
    fn colours_only_on_a_terminal_without_no_color_unless_asked_for() {
        for (choice, no_color, terminal, on) in [
            (Color::Auto, false, true, true),
            (Color::Auto, true, true, false),
            (Color::Auto, false, false, false),
            (Color::Always, true, false, true),
            (Color::Never, false, true, false),
        ] {
            assert_eq!(choice.on(no_color, terminal), on, "{choice:?} NO_COLOR={no_color} terminal={terminal}");
        }
    }
}
