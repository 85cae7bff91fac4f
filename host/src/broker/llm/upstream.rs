//! One model's server: the wire, in either of OpenAI's two dialects.
//!
//! Every answer is streamed, so that there is one way in which answers come. What
//! goes wrong before the first event is tried again, at most twice; after it
//! nothing is, for what was said cannot be taken back. No part of a prompt or of an
//! answer is logged, and of an error only what `scrub` leaves of it.

mod answer;
mod assembly;
mod body;
mod breaker;
mod calls;
mod chat;
mod client;
mod clock;
mod delta;
mod estimate;
mod failure;
mod frames;
mod gate;
mod hints;
mod lenient;
mod responses;
mod schema;
mod scrub;
mod wire;

use std::panic::resume_unwind;
use std::sync::Arc;

use async_openai::Client;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, debug, warn};

use self::answer::Origin;
use self::breaker::Breaker;
use self::client::Access;
use self::clock::Clock;
use self::failure::Failure;
use self::gate::Exchange;
use self::scrub::Scrubber;
use self::wire::Wire;
use super::{LlmError, Request};
use crate::config::{Dialect, LlmModel};

pub use self::answer::Answer;
pub use self::estimate::estimate_input;

/// Bytes of an answer on the wire, whatever it says.
const ANSWER_BYTES: usize = 8 << 20;
/// And for each of its tokens: an event of one token has 200 to 500 bytes.
const TOKEN_BYTES: usize = 2 << 10;

/// What the operator has to correct.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Not what a header can hold.
    #[error("the key of model `{0}` has spaces, control characters or non-ASCII characters inside; a key has none")]
    Key(String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// One model's server.
pub struct Upstream {
    config: LlmModel,
    http: reqwest::Client,
    access: Access,
    scrub: Arc<Scrubber>,
    breaker: Breaker,
}

impl Upstream {
    /// Makes ready to ask; connects to nothing yet.
    ///
    /// # Errors
    /// When the operator has something to correct.
    pub fn new(config: &LlmModel) -> Result<Self, UpstreamError> {
        let (access, key) = Access::new(config)?;
        let http = client::http(config.base_url.scheme() == "https", &config.timeouts)?;
        let (scrub, breaker) = (Arc::new(Scrubber::new(&key)), Breaker::default());
        Ok(Self { config: config.clone(), http, access, scrub, breaker })
    }

    /// Asks. Returns when the answer has begun as one; dropping the future, or the
    /// answer, hangs up.
    ///
    /// # Errors
    /// What the upstream refused, and what did not come in time.
    pub async fn open(&self, request: &Request) -> Result<Answer, LlmError> {
        let mut tries = 0;
        let opened = self.attempts(request, &mut tries).await;
        opened.map_err(|failure| {
            let alias = &self.config.alias;
            warn!(
                llm.alias = alias,
                llm.attempts = tries,
                llm.request_id = id_of(&failure.error),
                llm.said = failure.said,
                "no answer of model `{alias}`: {failure}"
            );
            failure.error
        })
    }

    async fn attempts(&self, request: &Request, tries: &mut u32) -> Result<Answer, Failure> {
        let body = match self.config.dialect {
            Dialect::Chat => chat::request(&self.config, request),
            Dialect::Responses => responses::request(&self.config, request),
        };
        let body = Arc::from(body.map_err(Failure::unsendable)?);
        let (clock, input) = (Clock::start(self.config.timeouts), estimate_input(request));
        let most =
            ANSWER_BYTES + TOKEN_BYTES * request.max_output_tokens.unwrap_or(self.config.max_output_tokens) as usize;
        loop {
            if !self.breaker.is_closed(std::time::Instant::now()) {
                let error = LlmError::Upstream { status: 0, code: None, retryable: true, request_id: None };
                let said = "most of the last requests failed, and it is left alone for some seconds".to_owned();
                return Err(Failure { said, ..Failure::unsendable(error) });
            }
            *tries += 1;
            let failure = match self.attempt(Arc::clone(&body), clock, input, most).await {
                Ok(answer) => {
                    self.count(false);
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            self.count(failure.is_outage);
            let left = clock.first_event().0.saturating_duration_since(Instant::now());
            let pause = hints::pause(failure, *tries - 1, left)?;
            debug!("model `{}` is asked again in {} ms", self.config.alias, pause.as_millis());
            sleep(pause).await;
        }
    }

    async fn attempt(&self, body: Arc<RawValue>, clock: Clock, input: u64, most: usize) -> Result<Answer, Failure> {
        let exchange = Arc::new(Exchange::default());
        let wire =
            Wire { http: self.http.clone(), exchange: Arc::clone(&exchange), scrub: Arc::clone(&self.scrub), most };
        let client = Client::build(self.http.clone(), self.access.clone()).with_http_service(wire);
        let (alias, scrub) = (self.config.alias.clone(), Arc::clone(&self.scrub));
        let origin = Origin { alias, scrub, input, clock, exchange };
        let dialect = self.config.dialect;
        let opening = async move {
            let deltas = match dialect {
                Dialect::Chat => chat::open(&client, &body).await,
                Dialect::Responses => responses::open(&client, &body).await,
            };
            Answer::new(origin, deltas.map_err(wire::failure)?).first().await
        };
        // Not on the guest's fibre: to connect takes twice the stack of everything else, and
        // a fibre holds what it has once needed for as long as the answer is streamed.
        let opening = AbortOnDropHandle::new(tokio::spawn(opening.in_current_span()));
        let (until, wait) = clock.first_event();
        let opened = timeout_at(until, opening).await.map_err(|_| Failure::late(wait))?;
        opened.unwrap_or_else(|error| resume_unwind(error.into_panic()))
    }

    fn count(&self, is_outage: bool) {
        if self.breaker.count(is_outage, std::time::Instant::now()) {
            let alias = &self.config.alias;
            warn!(llm.alias = alias, "model `{alias}` fails most of the time, and is left alone for some seconds");
        }
    }
}

fn id_of(error: &LlmError) -> Option<&str> {
    match error {
        LlmError::Upstream { request_id, .. } => request_id.as_deref(),
        _ => None,
    }
}

#[cfg(test)]
#[path = "upstream/tests.rs"]
mod tests;
