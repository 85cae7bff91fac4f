//! What waits for the exporter. The SDK's own queue drops without a word when it
//! is full; this one in front of it counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};

use super::news::Lost;

/// Spans that may wait: some 4 MB, and 10 MB if every path is as long as it may
/// be. Fewer: a busy second is lost with each hiccup of the collector. More: they
/// are memory that requests lack.
const WAITING: usize = 4_096;
/// Spans of one message.
const BATCH: usize = 512;
/// How long a span waits for others. Longer: traces show up late.
const DELAY: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Queue {
    inner: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    lost: Lost,
}

impl Queue {
    pub(super) fn before<E: SpanExporter + 'static>(exporter: E, lost: Lost) -> Self {
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = Counted { exporter, waiting: Arc::clone(&waiting) };
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(WAITING)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let inner = BatchSpanProcessor::builder(counted).with_batch_config(config).build();
        Self { inner, waiting, lost }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < WAITING {
            self.inner.on_end(span);
        } else {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.lost.add(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Tells the queue when a batch has left it.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    waiting: Arc<AtomicUsize>,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        self.exporter.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
