//! The record of one request: its span, its metrics, and its reservation, which
//! all end with it. No word of what was asked or answered is in any of them.

use std::time::Instant;

use super::error::LlmError;
use super::model::{Finish, Request, Usage};
use super::reservation::{Cost, Reservation};
use crate::call::trace::{Span, Trace};
use crate::config::LlmModel;
use crate::telemetry::{LLM_FIRST_EVENT, LLM_REQUESTS, LLM_TOKENS};

/// A request that has not ended.
pub(super) struct Record {
    module: String,
    alias: String,
    began: Instant,
    span: Span,
    reservation: Option<Reservation>,
}

impl Record {
    /// `module` and `alias` are the operator's words, and so are few.
    pub(super) fn begin(module: &str, model: &LlmModel, trace: &Trace) -> Self {
        let mut span = trace.client(|| format!("chat {}", model.model).into());
        if span.is_recording() {
            span.set("gen_ai.operation.name", "chat");
            // The conventions' word for whoever speaks this interface.
            span.set("gen_ai.provider.name", "openai");
            span.set("gen_ai.request.model", model.model.clone());
            if let Some(host) = model.base_url.host_str() {
                span.set("server.address", host.to_owned());
            }
            if let Some(port) = model.base_url.port_or_known_default() {
                span.set("server.port", i64::from(port));
            }
        }
        let (module, alias) = (module.to_owned(), model.alias.clone());
        Self { module, alias, began: Instant::now(), span, reservation: None }
    }

    /// It can be sent as it is.
    pub(super) fn permitted(&mut self, request: &Request) {
        if let Some(most) = request.max_output_tokens {
            self.span.set("gen_ai.request.max_tokens", i64::from(most));
        }
        if let Some(temperature) = request.temperature {
            self.span.set("gen_ai.request.temperature", f64::from(temperature));
        }
    }

    /// The budgets have room for it.
    pub(super) fn reserved(&mut self, reservation: Reservation) {
        self.reservation = Some(reservation);
    }

    /// Its answer has begun.
    pub(super) fn answered(&mut self) {
        metrics::histogram!(LLM_FIRST_EVENT, "module" => self.module.clone(), "model" => self.alias.clone())
            .record(self.began.elapsed());
    }

    /// An event of it is here.
    pub(super) fn heard(&mut self) {
        if let Some(reservation) = &mut self.reservation {
            reservation.heard();
        }
    }

    /// It gave no answer.
    pub(super) fn failed(mut self, error: &LlmError) {
        let cost = self.reservation.as_ref().map(|reservation| reservation.cost_of(error)).unwrap_or_default();
        self.span.fail(error.kind());
        self.end(cost, error.kind());
    }

    /// Its answer broke off.
    pub(super) fn interrupted(mut self, usage: Usage, error: &LlmError) {
        self.span.fail(error.kind());
        self.end(self.cost_of_part(usage), error.kind());
    }

    /// Nobody wants the rest of its answer.
    pub(super) fn hung_up(mut self, usage: Usage) {
        self.span.set("innkeeper.hung_up", true);
        self.end(self.cost_of_part(usage), "hung-up");
    }

    /// Its answer is complete.
    pub(super) fn done(mut self, usage: Usage, finish: Finish) {
        self.span.set_words("gen_ai.response.finish_reasons", &[finish.as_str()]);
        self.end(usage.into(), "ok");
    }

    fn cost_of_part(&self, usage: Usage) -> Cost {
        self.reservation.as_ref().map(|reservation| reservation.cost_of_part(usage)).unwrap_or_default()
    }

    fn end(&mut self, cost: Cost, outcome: &'static str) {
        let Self { module, alias, span, reservation, .. } = self;
        if span.is_recording() {
            span.set("gen_ai.usage.input_tokens", i64::try_from(cost.input).unwrap_or(i64::MAX));
            span.set("gen_ai.usage.output_tokens", i64::try_from(cost.output).unwrap_or(i64::MAX));
        }
        for (kind, tokens) in [("input", cost.input), ("output", cost.output)] {
            metrics::counter!(LLM_TOKENS, "module" => module.clone(), "model" => alias.clone(), "kind" => kind)
                .increment(tokens);
        }
        metrics::counter!(LLM_REQUESTS, "module" => module.clone(), "model" => alias.clone(), "outcome" => outcome)
            .increment(1);
        if let Some(reservation) = reservation.take() {
            reservation.settle(cost);
        }
    }
}

/// The call was cut off while it waited for the answer to begin.
impl Drop for Record {
    fn drop(&mut self) {
        if let Some(cost) = self.reservation.as_ref().map(Reservation::cost_when_cut) {
            self.span.set("innkeeper.hung_up", true);
            self.end(cost, "hung-up");
        }
    }
}
