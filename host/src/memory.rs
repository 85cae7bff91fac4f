//! Memory that was needed once.

/// Gives what is free back to the system.
///
/// Loading a module takes several times what it leaves, and the allocator keeps that
/// for whatever comes next, which on a host at rest is nothing. It takes a few
/// milliseconds, so it is for what happens seldom.
pub fn give_back() {
    // SAFETY: it may be called at any time and on any thread; where the program has
    // another allocator, there is nothing for it to collect.
    #[expect(unsafe_code, reason = "the allocator has no safe interface for it")]
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}
