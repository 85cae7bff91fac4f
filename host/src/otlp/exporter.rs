//! Posts a batch of spans, and says when that fails: rarely.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode, header};
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
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::news::{Lost, News};
use super::{Stopping, TlsError};
use crate::{config, tls};

/// Time for a connection. Longer, and a batch has no time for a second try.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// An idle connection is kept for so long; batches come every few seconds.
const IDLE_TIME: Duration = Duration::from_secs(30);
/// The pause after the first failed try, doubled with each further one. The
/// time for a batch bounds their number.
const PAUSE: Duration = Duration::from_millis(500);
/// Bytes of an answer, of which a few say how many spans were refused.
const ANSWER_BYTES: usize = 64 << 10;

/// Why a batch did not get there. Without the collector's own words: it may
/// repeat what it was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
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
    lost: Lost,
    news: Mutex<News>,
}

impl Exporter {
    pub(super) fn new(
        config: &config::Otlp,
        tasks: TaskTracker,
        runtime: Handle,
        stopping: Stopping,
        lost: Lost,
    ) -> Result<Self, TlsError> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_TIME));
        let roots = config.roots.clone().unwrap_or_else(tls::usual_roots);
        let tls = HttpsConnectorBuilder::new().with_tls_config(tls::client(roots)?);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            // Batches go one after the other.
            .pool_max_idle_per_host(1)
            .build(tls.https_or_http().enable_http1().wrap_connector(http));
        let target = Arc::new(Target { client, config: config.clone(), stopping });
        let resource = ResourceAttributesWithSchema::default();
        Ok(Self { target, resource, tasks, runtime, lost, news: Mutex::default() })
    }
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
        match &result {
            Ok(()) => {}
            Err(Failed::Refused(refused)) => self.lost.add(*refused),
            Err(_) => self.lost.add(count),
        }
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        news.of(&result, &self.lost, Instant::now()).tell(&self.target.config.endpoint);
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
