//! Traces to a collector, by OTLP over HTTP.
//!
//! Requests put ended spans into a queue and never wait: what does not fit is
//! dropped and counted. A thread of the SDK takes batches out of it, and the
//! exporter posts them on the host's runtime. Limits: the queue, the batch, the
//! time for a batch and for the last ones. A collector that is down, slow or
//! wrong costs spans, and one log line a minute.

mod exporter;
mod news;
mod queue;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use rustls::Error as TlsError;

use crate::call::trace::Tracer;
use crate::config::{self, otlp::Sampler as Wanted};
use exporter::Exporter;

/// Time for the last spans when the host stops. It comes after the drain of 25
/// seconds, and Kubernetes kills after 30.
const FLUSH_TIME: Duration = Duration::from_secs(3);

/// Attributes of one span; the host sets a dozen.
const ATTRIBUTES: u32 = 32;

/// Exports spans until it is stopped.
pub struct Otlp {
    provider: SdkTracerProvider,
    stopping: Stopping,
}

/// The two steps of stopping, for whoever is about to send.
#[derive(Clone, Debug, Default)]
struct Stopping {
    /// What fails now is not tried again.
    hurry: CancellationToken,
    /// Nothing is sent any more, nor waited for.
    over: CancellationToken,
}

impl Otlp {
    /// Starts to export. What is sent runs on this runtime, under this tracker.
    ///
    /// # Errors
    /// When there can be no TLS client.
    pub fn start(config: &config::Otlp, tasks: &TaskTracker) -> Result<Self, TlsError> {
        let (stopping, lost) = (Stopping::default(), news::Lost::new());
        let exporter = Exporter::new(config, tasks.clone(), Handle::current(), stopping.clone(), lost.clone())?;
        let attributes = config.resource.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        let resource = Resource::builder_empty().with_detector(Box::new(TelemetryResourceDetector));
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.with_attributes(attributes).build())
            .with_sampler(sampler(config.sampler))
            // Set here, and read from no environment that nobody has checked.
            .with_max_attributes_per_span(ATTRIBUTES)
            .with_span_processor(queue::Queue::before(exporter, lost))
            .build();
        Ok(Self { provider, stopping })
    }

    /// Makes the spans that are exported here.
    pub fn tracer(&self) -> Tracer {
        Tracer::new(self.provider.tracer(crate::NAME))
    }

    /// Sends what is left, for as long as [`FLUSH_TIME`], and ends.
    pub async fn stop(self) {
        self.stopping.hurry.cancel();
        let provider = self.provider;
        // It blocks its thread, for so long at the most.
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIME)).await;
        self.stopping.over.cancel();
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("the last spans did not reach the collector within {} s", FLUSH_TIME.as_secs());
        }
    }
}

fn sampler(wanted: Wanted) -> Sampler {
    let root = match wanted.ratio {
        1.0 => Sampler::AlwaysOn,
        0.0 => Sampler::AlwaysOff,
        ratio => Sampler::TraceIdRatioBased(ratio),
    };
    if wanted.parent_based { Sampler::ParentBased(Box::new(root)) } else { root }
}
