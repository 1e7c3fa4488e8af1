//! The one binary: controller, CLI and kubectl plugin.

use std::{process::ExitCode, thread::available_parallelism};

use tokio::runtime::Builder;

/// JSON of the API server is many small allocations: with the system's allocator they are 40 % of a controller's time.
/// Without huge pages, which the kernel fills as a whole: they made 24 MB of a controller at rest 37.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A fleet's controller waits for the API server most of the time, and each thread that allocates keeps free memory of its
/// own: 200 Rollouts rested at 18.8 MB with one worker and at 21.9 MB with two. More than two were not measured.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    // First thing: every TLS connection of the process uses ring. An error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let workers = available_parallelism().map_or(WORKERS, |cores| cores.get().min(WORKERS));
    match Builder::new_multi_thread().worker_threads(workers).enable_all().build() {
        Ok(runtime) => runtime.block_on(glidepath::cli::main()).into(),
        Err(error) => {
            eprintln!("error: cannot start threads: {error}");
            ExitCode::FAILURE
        }
    }
}
