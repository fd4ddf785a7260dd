//! Command line in, exit code out.

use std::process::ExitCode;

/// Keeps its books in fewer, fuller pages than the system's allocator, which a state of millions of small customers needs.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    goodfaith::cli::main()
}
