//! The spans of a request, and nothing at all when no collector is configured.
//!
//! Both types are an `Option` inside: without a collector a request pays for a
//! branch here and there, and makes no object. What goes into a span is chosen
//! by who makes it, and is never a token, a query string, a body or a value.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceId, Tracer as _,
};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, Span as SdkSpan};
use tracing::field::{DisplayValue, display};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Bytes of either header. The recommendation asks for at least 512 of
/// `tracestate`; each span that waits for the collector holds a copy.
const HEADER_BYTES: usize = 512;

/// Makes the first span of each request.
#[derive(Clone, Debug)]
pub struct Tracer(SdkTracer);

impl Tracer {
    /// Makes spans with this one.
    pub fn new(tracer: SdkTracer) -> Self {
        Self(tracer)
    }

    /// The span of a request, below the one that its headers name.
    pub fn server(&self, headers: &HeaderMap, name: impl Into<Cow<'static, str>>) -> Span {
        // Not `extract`: it would start from whatever this thread did last.
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Sent(headers));
        Span::start(&self.0, &parent, SpanBuilder::from_name(name).with_kind(SpanKind::Server))
    }
}

/// Where the spans of a call belong: below the span that this was taken from.
#[derive(Clone, Debug, Default)]
pub struct Trace(Option<(SdkTracer, SpanContext)>);

impl Trace {
    /// The trace's id, for log lines.
    pub fn id(&self) -> Option<DisplayValue<TraceId>> {
        self.0.as_ref().map(|(_, context)| display(context.trace_id()))
    }

    /// A step within the host.
    pub fn internal(&self, name: impl FnOnce() -> Cow<'static, str>) -> Span {
        self.child(SpanKind::Internal, name)
    }

    /// A call of something outside.
    pub fn client(&self, name: impl FnOnce() -> Cow<'static, str>) -> Span {
        self.child(SpanKind::Client, name)
    }

    fn child(&self, kind: SpanKind, name: impl FnOnce() -> Cow<'static, str>) -> Span {
        let Some((tracer, parent)) = &self.0 else { return Span::default() };
        let parent = Context::new().with_remote_span_context(parent.clone());
        Span::start(tracer, &parent, SpanBuilder::from_name(name()).with_kind(kind))
    }

    /// Tells whoever reads these headers where its own spans belong. Without a
    /// collector they stay as they came.
    pub fn write(&self, headers: &mut HeaderMap) {
        let Some((_, context)) = &self.0 else { return };
        headers.remove(TRACESTATE);
        let (trace, span, flags) = (context.trace_id(), context.span_id(), u8::from(context.is_sampled()));
        let parent = HeaderValue::from_str(&format!("00-{trace}-{span}-{flags:02x}"));
        let state = Some(context.trace_state().header()).filter(|state| !state.is_empty());
        for (name, value) in [(TRACEPARENT, parent.ok()), (TRACESTATE, state.and_then(|text| text.parse().ok()))] {
            value.map(|value| headers.insert(name, value));
        }
    }
}

/// A span that has begun. It ends when it is dropped, so that a call that is
/// cancelled has an end, too.
#[derive(Debug, Default)]
pub struct Span(Option<Box<(SdkTracer, SdkSpan)>>);

impl Span {
    fn start(tracer: &SdkTracer, parent: &Context, builder: SpanBuilder) -> Self {
        let span = tracer.build_with_context(builder, parent);
        Self(Some(Box::new((tracer.clone(), span))))
    }

    /// Whether anybody will read it; worth asking before making an attribute.
    pub fn is_recording(&self) -> bool {
        self.0.as_ref().is_some_and(|span| span.1.is_recording())
    }

    /// Sets an attribute.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.1.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Sets an attribute that is a list of words.
    pub fn set_words(&mut self, key: &'static str, words: &[&'static str]) {
        let words = words.iter().map(|word| StringValue::from(*word)).collect();
        self.set(key, Value::Array(Array::String(words)));
    }

    /// Gives it a better name.
    pub fn rename(&mut self, name: impl FnOnce() -> String) {
        if let Some(span) = &mut self.0 {
            span.1.update_name(name());
        }
    }

    /// Marks it as failed, with a word for what failed and no text of it: that
    /// may hold what a guest or a client wrote.
    pub fn fail(&mut self, kind: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.1.set_attribute(KeyValue::new("error.type", kind));
            span.1.set_status(Status::error(""));
        }
    }

    /// Where the spans below this one belong.
    pub fn trace(&self) -> Trace {
        Trace(self.0.as_ref().map(|span| (span.0.clone(), span.1.span_context().clone())))
    }
}

/// The trace headers that a client sent.
struct Sent<'h>(&'h HeaderMap);

impl Extractor for Sent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let mut values = self.0.get_all(key).iter();
        let value = values.next().filter(|value| value.len() <= HEADER_BYTES)?;
        // Of two parents neither is the parent.
        if values.next().is_some() { None } else { value.to_str().ok() }
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
