//! What a host does beside serving, and what it says when it begins.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};

use super::App;
use crate::swap::Cause;

/// How often the recorder of metrics tidies up; it grows in between.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

impl App {
    /// What is done as long as the host serves.
    pub(super) fn keep(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            // The token's only message is "stop", and then there is nothing left to do.
            let _ = stop.run_until_cancelled(work).await;
        });
    }

    /// The metrics recorder keeps every observation until it is tidied up.
    pub(super) fn keep_metrics(&self) {
        let Some(metrics) = self.metrics.clone() else { return };
        self.keep(async move {
            loop {
                tokio::time::sleep(METRICS_UPKEEP).await;
                metrics.run_upkeep();
            }
        });
    }

    /// Swaps modules whose files change, and takes back those that fail.
    pub(super) fn keep_modules(&self) {
        let swapper = Arc::clone(&self.swapper);
        self.keep(async move { swapper.look_after().await });
    }

    /// Reads configuration and modules again whenever somebody says so.
    pub fn reload_when(&self, mut said: impl Stream<Item = ()> + Send + Unpin + 'static) {
        let swapper = Arc::clone(&self.swapper);
        self.keep(async move {
            while said.next().await.is_some() {
                // It says itself what came of it.
                let _ = swapper.reload(Cause::Configuration).await;
            }
        });
    }

    pub(super) fn keep_budgets(&self) {
        let llm = Arc::clone(&self.llm);
        self.keep(async move { llm.look_after().await });
    }

    pub(super) fn announce(&self) {
        let generation = self.front.registry.current();
        let guests = generation.iter().flat_map(|generation| generation.guests().map(|guest| generation.route(guest)));
        for (module, route) in self.config.modules.iter().zip(guests) {
            let what = route.unwrap_or("what it offers beside HTTP");
            let manifest = self.swapper.told(&module.name).manifest;
            tracing::info!(module.name = %module.name, module.route = route, module.source = %module.source, module.manifest = manifest,
                "module `{}` serves {what}", module.name);
        }
        let offers = generation.is_some_and(|generation| !generation.catalogue.is_empty());
        if offers && self.config.auth.secret.is_none() {
            tracing::info!(
                "without BETTER_AUTH_SECRET what MCP clients keep for this process is sealed with a key of its own: replicas do not take each other's"
            );
        }
        if !self.front.identity.is_configured() {
            tracing::warn!(
                "no credential can be verified, so every caller is anonymous; set BETTER_AUTH_SECRET, BETTER_AUTH_URL or AUTH_JWKS_URL, or INNKEEPER_DEV=1 to try things out"
            );
        } else if self.config.auth.secret.is_none() {
            tracing::info!(
                "without BETTER_AUTH_SECRET neither HS256 tokens nor session cookies are accepted: only what public keys or Better Auth's tables vouch for"
            );
        }
    }
}
