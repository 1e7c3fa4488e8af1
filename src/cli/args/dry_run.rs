//! `--dry-run`, for the verbs that write.

use clap::ValueEnum;

/// Whether it is only tried out. Flatten it into the arguments of a verb that writes.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct DryRun {
    /// Only try it: client (nothing is sent), server (checked by the API server, not stored) or none
    #[arg(
        long = "dry-run",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_value_t,
        default_missing_value = "client",
        hide_default_value = true,
        hide_possible_values = true,
        value_name = "MODE"
    )]
    mode: Mode,
}

/// The values.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    /// It is done
    #[default]
    None,
    /// Nothing is sent
    Client,
    /// The API server checks it and stores nothing
    Server,
}

impl DryRun {
    /// Whether nothing is sent.
    pub fn is_client(self) -> bool {
        self.mode == Mode::Client
    }

    /// Whether the API server only checks what is sent.
    pub fn is_server(self) -> bool {
        self.mode == Mode::Server
    }

    /// What a line about the result ends with, as kubectl's does.
    pub fn mark(self) -> &'static str {
        match self.mode {
            Mode::None => "",
            Mode::Client => " (dry run)",
            Mode::Server => " (server dry run)",
        }
    }
}

#[cfg(test)]
impl DryRun {
    /// As `--dry-run=client`.
    pub fn client() -> Self {
        DryRun { mode: Mode::Client }
    }

    /// As `--dry-run=server`.
    pub fn server() -> Self {
        DryRun { mode: Mode::Server }
    }
}
