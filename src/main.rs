//! The one binary: controller, CLI and kubectl plugin.

use std::process::ExitCode;

/// JSON of the API server is many small allocations: with the system's allocator they are 40 % of a controller's time.
/// Without huge pages, which the kernel fills as a whole: they made 24 MB of a controller at rest 37.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // First thing: every TLS connection of the process uses ring. An error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    glidepath::cli::main().await.into()
}
