//! Requests that a guest sends, by `wasi:http/outgoing-handler`, on their way to the
//! broker; and the broker's words in those of `wasi:http`.

use std::sync::Arc;

use http::{Request, Response};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::Profile;
use super::ended::{Ended, Finished};
use crate::broker::http::{HttpError, Patience, Sent};
use crate::call::Call;

/// The way out of one call.
pub(super) struct Egress {
    profile: Arc<Profile>,
    call: Arc<Call>,
    sent: Sent,
    ended: Ended,
}

/// Never an answer without a request: what the broker refuses resolves to its error.
type Answered = Result<Response<WasiBody>, Error>;

impl Egress {
    pub(super) fn new(profile: &Arc<Profile>, call: &Arc<Call>, ended: &Ended) -> Self {
        let sent = Sent::none(&profile.limits);
        Self { profile: Arc::clone(profile), call: Arc::clone(call), sent, ended: ended.clone() }
    }

    pub(super) fn send(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> impl Future<Output = Answered> + Send + use<> {
        let counted = self.sent.count();
        let (servers, call, ended) = (Arc::clone(&self.profile.http), Arc::clone(&self.call), self.ended.clone());
        let options = options.unwrap_or_default();
        let patience = Patience {
            connect: options.connect_timeout,
            first_byte: options.first_byte_timeout,
            between_bytes: options.between_bytes_timeout,
        };
        async move {
            counted.map_err(|error| word(&error))?;
            let request = request.map(|body| Finished { body, ended }.map_err(Into::into).boxed_unsync());
            let answer = servers.send(call, request, patience).await.map_err(|error| word(&error))?;
            Ok(answer.map(|body| body.map_err(|error| word(&error)).boxed_unsync()))
        }
    }
}

fn word(error: &HttpError) -> Error {
    match error {
        HttpError::NotGranted | HttpError::Method | HttpError::TooMany => Error::HttpRequestDenied,
        HttpError::Target => Error::HttpRequestUriInvalid,
        HttpError::TargetTooLong => Error::HttpRequestUriTooLong,
        HttpError::Busy => Error::ConnectionLimitReached,
        HttpError::Forbidden(_) => Error::DestinationIpProhibited,
        HttpError::Unknown(_) => Error::DnsError { rcode: None, info_code: None },
        HttpError::Refused(_) => Error::ConnectionRefused,
        HttpError::Tls(_) => Error::TlsProtocolError,
        HttpError::Connect(_) => Error::DestinationUnavailable,
        HttpError::Late => Error::ConnectionReadTimeout,
        HttpError::BodyTooLarge => Error::HttpRequestBodySize(None),
        HttpError::AnswerTooLarge => Error::HttpResponseBodySize(None),
        HttpError::Cut(_) => Error::HttpResponseIncomplete,
        HttpError::Protocol => Error::HttpProtocolError,
        // Whose fault it is stands in the log.
        HttpError::Echo => Error::ConfigurationError,
    }
}
