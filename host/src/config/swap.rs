//! How modules are swapped while the host serves.

use std::time::Duration;

/// How modules are swapped while the host serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    /// Whether a change of a module's file swaps the module.
    pub watch: bool,
    /// A new version that failed so often in its last hundred calls is taken back.
    /// Zero: never. Too low: a caller who finds an input that ends the guest takes a
    /// good version back. Too high: more callers meet a bad one.
    pub rollback_failures: u32,
    /// How long a new version is watched for that. Too short: what fails once an
    /// hour is not noticed. Too long: what fails much later, for another reason,
    /// takes back a version that was good for days.
    pub rollback_window: Duration,
    /// Whether each answer says which generation it comes from.
    pub generation_header: bool,
}

impl Default for Swap {
    fn default() -> Self {
        let rollback_window = Duration::from_secs(600);
        Self { watch: true, rollback_failures: 20, rollback_window, generation_header: false }
    }
}
