//! Signals: to stop, and to read everything again.

use futures_util::stream::{self, Stream};
use tokio::signal::unix::{SignalKind, signal};

/// SIGTERM from an orchestrator, SIGINT from a terminal.
pub(super) async fn stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: finishing what is in flight"),
        _ = tokio::signal::ctrl_c() => tracing::info!("interrupted: finishing what is in flight"),
    }
}

/// One item for each SIGHUP. Without this the signal would end the process, so it has
/// to be asked for before anything else takes its time.
pub(super) fn hangups() -> impl Stream<Item = ()> + Send {
    let hangup = signal(SignalKind::hangup());
    stream::unfold(hangup, async |hangup| {
        let Ok(mut hangup) = hangup else { return None };
        hangup.recv().await?;
        tracing::info!("SIGHUP: reading the configuration and the modules again");
        Some(((), Ok(hangup)))
    })
}
