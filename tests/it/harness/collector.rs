//! A collector: OTLP over HTTP as the specification has it, with every span
//! that it was sent, and every byte.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A span as a collector sees it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub trace: String,
    pub id: String,
    /// Empty for the first span of a trace.
    pub parent: String,
    pub name: String,
    /// 1 internal, 2 server, 3 client
    pub kind: i32,
    /// 0 unset, 2 error
    pub status: i32,
    pub state: String,
    pub attributes: BTreeMap<String, String>,
    pub resource: BTreeMap<String, String>,
}

impl Seen {
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Received {
    posts: Mutex<Vec<(String, HeaderMap, Bytes)>>,
    tries: AtomicUsize,
    answer: AtomicU16,
}

/// A running collector.
pub struct Collector {
    pub address: SocketAddr,
    received: Arc<Received>,
    /// What a client has to trust, for one that speaks TLS.
    pub authority: Option<PathBuf>,
    _dir: Option<tempfile::TempDir>,
}

impl Collector {
    pub async fn start() -> Self {
        Self::listen(None, None).await
    }

    /// The same by TLS, with a certificate that nobody else trusts.
    pub async fn start_tls() -> Self {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("ca.pem"), own.cert.pem()).expect("written");
        Self::listen(Some(super::tls_acceptor(&own)), Some(dir)).await
    }

    async fn listen(tls: Option<TlsAcceptor>, dir: Option<tempfile::TempDir>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let received = Arc::new(Received { answer: AtomicU16::new(200), ..Received::default() });
        let kept = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (received, tls) = (Arc::clone(&kept), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, received).await,
                        // Who does not trust the certificate leaves here.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, received).await;
                            }
                        }
                    }
                });
            }
        });
        let authority = dir.as_ref().map(|dir| dir.path().join("ca.pem"));
        Self { address, received, authority, _dir: dir }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to.
    pub fn url(&self) -> String {
        match self.authority {
            None => format!("http://{}", self.address),
            Some(_) => format!("https://localhost:{}", self.address.port()),
        }
    }

    /// Answers with this status from now on.
    pub fn answer(&self, status: u16) {
        self.received.answer.store(status, Ordering::Relaxed);
    }

    /// How often it was asked, whatever it answered.
    pub fn tries(&self) -> usize {
        self.received.tries.load(Ordering::Relaxed)
    }

    /// Path, fields and body of what it has taken.
    pub fn posts(&self) -> Vec<(String, HeaderMap, Bytes)> {
        self.received.posts.lock().expect("no panic").clone()
    }

    /// Every span that it has taken.
    pub fn spans(&self) -> Vec<Seen> {
        self.posts().iter().flat_map(|(_, _, body)| decode(body)).collect()
    }

    /// The spans, once there are as many.
    pub async fn wait_for(&self, spans: usize) -> Vec<Seen> {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let seen = self.spans();
            if seen.len() >= spans {
                return seen;
            }
            assert!(Instant::now() < until, "{spans} spans are not here: {seen:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, received: Arc<Received>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let received = Arc::clone(&received);
        async move { Ok::<_, Infallible>(take(request, &received).await) }
    });
    // A client that leaves is no concern of a test.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn take(request: Request<Incoming>, received: &Received) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    received.tries.fetch_add(1, Ordering::Relaxed);
    let status = StatusCode::from_u16(received.answer.load(Ordering::Relaxed)).expect("a status");
    if status.is_success() {
        received.posts.lock().expect("no panic").push((head.uri.path().to_owned(), head.headers, body));
    }
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

fn decode(body: &Bytes) -> Vec<Seen> {
    let message = ExportTraceServiceRequest::decode(body.clone()).expect("OTLP");
    let mut all = Vec::new();
    for of_resource in message.resource_spans {
        let resource = attributes(&of_resource.resource.unwrap_or_default().attributes);
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            all.push(seen(span, resource.clone()));
        }
    }
    all
}

fn seen(span: Span, resource: BTreeMap<String, String>) -> Seen {
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano && span.start_time_unix_nano > 0, "{span:?}");
    Seen {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name,
        kind: span.kind,
        status: span.status.map_or(0, |status| status.code),
        state: span.trace_state,
        attributes: attributes(&span.attributes),
        resource,
    }
}

fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|pair| (pair.key.clone(), text(pair.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
