//! The `innkeeper` binary.

use std::process::ExitCode;

// Every request allocates a few kilobytes and frees them on another thread,
// which is where the system's allocator spends its time in locks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    innkeeper::cli::main()
}
