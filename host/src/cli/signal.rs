//! The signal to stop.

use tokio::signal::unix::{SignalKind, signal};

/// SIGTERM from an orchestrator, SIGINT from a terminal.
pub(super) async fn stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: finishing what is in flight"),
        _ = tokio::signal::ctrl_c() => tracing::info!("interrupted: finishing what is in flight"),
    }
}
