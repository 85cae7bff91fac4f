//! The `innkeeper` binary.

use std::process::ExitCode;

// Every request allocates a few kilobytes and frees them on another thread,
// which is where the system's allocator spends its time in locks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks the system for huge pages, and a process as small as this
    // one then holds several of which it uses a corner. Where they cannot be turned
    // off, it is only larger.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    innkeeper::cli::main()
}
