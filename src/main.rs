//! The one binary: controller, CLI and kubectl plugin.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // First thing: every TLS connection of the process uses ring. An error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    glidepath::cli::main().await.into()
}
