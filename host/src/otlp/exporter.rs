//! Posts a batch of spans, and says when that fails: rarely.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prost::Message;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::{Stopping, TlsError};
use crate::config;
use crate::telemetry::SPANS_LOST;

/// Time for a connection. Longer, and a batch has no time for a second try.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// An idle connection is kept for so long; batches come every few seconds.
const IDLE_TIME: Duration = Duration::from_secs(30);
/// The pause after the first failed try, doubled with each further one. The
/// time for a batch bounds their number.
const PAUSE: Duration = Duration::from_millis(500);
/// Bytes of an answer, of which a few say how many spans were refused.
const ANSWER_BYTES: usize = 64 << 10;
/// A collector that stays down is news once in so long.
const SILENCE: Duration = Duration::from_secs(60);

/// Why a batch did not get there. Without the collector's own words: it may
/// repeat what it was sent.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("cannot reach it: {0}")]
    Unreachable(String),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("its answer breaks off, or is no answer to this")]
    Answer,
    #[error("it refused some of the spans")]
    Refused(u64),
    #[error("it takes longer than {} ms", .0.as_millis())]
    Slow(Duration),
    #[error("the host has stopped")]
    Over,
}

impl Failed {
    /// Whether the same batch may fare better in a moment, as the protocol says.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Status(status) => matches!(status.as_u16(), 429 | 502..=504),
            Self::Answer | Self::Refused(_) | Self::Slow(_) | Self::Over => false,
        }
    }
}

/// What every batch is sent with.
struct Target {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    config: config::Otlp,
    stopping: Stopping,
}

pub(super) struct Exporter {
    target: Arc<Target>,
    resource: ResourceAttributesWithSchema,
    tasks: TaskTracker,
    runtime: Handle,
    news: Mutex<News>,
}

impl Exporter {
    pub(super) fn new(
        config: &config::Otlp,
        tasks: TaskTracker,
        runtime: Handle,
        stopping: Stopping,
    ) -> Result<Self, TlsError> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_TIME));
        let tls = HttpsConnectorBuilder::new().with_tls_config(tls(config.roots.clone())?);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            // Batches go one after the other.
            .pool_max_idle_per_host(1)
            .build(tls.https_or_http().enable_http1().wrap_connector(http));
        let target = Arc::new(Target { client, config: config.clone(), stopping });
        let resource = ResourceAttributesWithSchema::default();
        Ok(Self { target, resource, tasks, runtime, news: Mutex::default() })
    }
}

/// TLS by ring. Without configured roots those that browsers trust: the image
/// has none of its own.
fn tls(roots: Option<RootCertStore>) -> Result<ClientConfig, TlsError> {
    let usual = || RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots.unwrap_or_else(usual)).with_no_client_auth())
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len() as u64;
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let message = Bytes::from(ExportTraceServiceRequest { resource_spans }.encode_to_vec());
        let target = Arc::clone(&self.target);
        // This runs on a thread without a runtime.
        let sent = self.tasks.spawn_on(async move { target.send(message).await }, &self.runtime).await;
        let result = sent.unwrap_or(Err(Failed::Over));
        let news = self.news.lock().unwrap_or_else(PoisonError::into_inner).of(&result, count, Instant::now());
        news.tell(&self.target.config.endpoint);
        result.map_err(|failed| OTelSdkError::InternalFailure(failed.to_string()))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

impl Target {
    async fn send(&self, message: Bytes) -> Result<(), Failed> {
        let limit = self.config.timeout;
        let tries = tokio::time::timeout(limit, self.try_on(message));
        let sent = self.stopping.over.run_until_cancelled(tries).await;
        sent.unwrap_or(Ok(Err(Failed::Over))).unwrap_or(Err(Failed::Slow(limit)))
    }

    async fn try_on(&self, message: Bytes) -> Result<(), Failed> {
        let mut pause = PAUSE;
        loop {
            let failed = match self.post(message.clone()).await {
                Err(failed) if failed.may_pass() => failed,
                last => return last,
            };
            let rest = tokio::time::sleep(pause);
            if self.stopping.hurry.run_until_cancelled(rest).await.is_none() {
                return Err(failed);
            }
            pause *= 2;
        }
    }

    async fn post(&self, message: Bytes) -> Result<(), Failed> {
        let mut request = Request::new(Full::new(message));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.config.endpoint.clone();
        request.headers_mut().clone_from(&self.config.headers);
        let protobuf = header::HeaderValue::from_static("application/x-protobuf");
        request.headers_mut().insert(header::CONTENT_TYPE, protobuf);
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| Failed::Unreachable(crate::fault::chain(&error)))?;
        if !answer.status().is_success() {
            return Err(Failed::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await.map_err(|_| Failed::Answer)?;
        let answer = ExportTraceServiceResponse::decode(body.to_bytes()).map_err(|_| Failed::Answer)?;
        let refused = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
        if refused > 0 { Err(Failed::Refused(refused.unsigned_abs())) } else { Ok(()) }
    }
}

/// What the log knows of the collector.
#[derive(Debug, Default)]
struct News {
    /// When the last bad news was told.
    told: Option<Instant>,
    /// The last news was bad.
    is_bad: bool,
    /// Spans that were lost since.
    lost: u64,
}

/// What is to be told now.
#[derive(Debug, PartialEq, Eq)]
enum Tell {
    Nothing,
    Bad { why: String, lost: u64 },
    Good,
}

impl News {
    /// Bad news once in [`SILENCE`], and good news after bad ones: a collector
    /// that comes and goes cannot fill the log.
    fn of(&mut self, result: &Result<(), Failed>, count: u64, now: Instant) -> Tell {
        let Err(failed) = result else {
            return if std::mem::take(&mut self.is_bad) { Tell::Good } else { Tell::Nothing };
        };
        let lost = if let Failed::Refused(refused) = failed { *refused } else { count };
        metrics::counter!(SPANS_LOST).increment(lost);
        self.lost += lost;
        if self.told.is_some_and(|told| now.duration_since(told) < SILENCE) {
            return Tell::Nothing;
        }
        self.told = Some(now);
        self.is_bad = true;
        Tell::Bad { why: failed.to_string(), lost: std::mem::take(&mut self.lost) }
    }
}

impl Tell {
    /// Names the collector without the path: some have a key in it.
    fn tell(self, endpoint: &Uri) {
        let collector = endpoint.authority().map_or("", |authority| authority.as_str());
        match self {
            Self::Nothing => {}
            Self::Bad { why, lost } => tracing::warn!(
                collector,
                spans.lost = lost,
                "{lost} spans are lost, for the collector at {collector} does not take them: {why}; requests are \
                 served all the same; check OTEL_EXPORTER_OTLP_ENDPOINT and the collector"
            ),
            Self::Good => tracing::info!(collector, "the collector at {collector} takes spans again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Failed, News, Tell};

    #[test]
    fn a_collector_that_comes_and_goes_is_news_once_a_minute() {
        let (mut news, start) = (News::default(), Instant::now());
        let mut told = Vec::new();
        for second in 0..150 {
            let result = if second % 2 == 0 { Err(Failed::Over) } else { Ok(()) };
            match news.of(&result, 3, start + Duration::from_secs(second)) {
                Tell::Nothing => {}
                other => told.push((second, other)),
            }
        }
        let bad = |lost| Tell::Bad { why: "the host has stopped".to_owned(), lost };
        let good = || Tell::Good;
        assert_eq!(told, [(0, bad(3)), (1, good()), (60, bad(90)), (61, good()), (120, bad(90)), (121, good())]);
    }
}
