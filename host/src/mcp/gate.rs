//! What is decided before a request is read: where it comes from, whether anybody
//! has to say who he is, and how.

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

use super::allow::Stranger;
use super::answer::{accepts, json};
use super::envelope::{self, Era};
use super::{Mcp, PATH, metadata, sessions, version};
use crate::call::Caller;
use crate::dispatch::Body;
use crate::fault::{Blame, Code, Fault};
use crate::registry::Generation;

impl Mcp {
    /// Whether a path is this endpoint's, when the modules offer anything.
    pub fn serves(&self, path: &str, generation: &Generation) -> bool {
        (path == PATH || metadata::PATHS.contains(&path)) && !generation.catalogue.is_empty()
    }

    /// What is decided before anybody is asked who is calling: where the request
    /// comes from, and the documents that say how to get a token.
    ///
    /// # Errors
    /// The request comes from a stranger's page, or was sent to a stranger's name.
    pub fn gate<B>(&self, request: &Request<B>, generation: &Generation) -> Result<Option<Response<Body>>, Fault> {
        if metadata::PATHS.contains(&request.uri().path()) {
            return Ok(Some(self.document(request.method(), generation)));
        }
        self.allowed.check(request.uri(), request.headers()).map(|()| None).map_err(|stranger| {
            let public = match stranger {
                Stranger::Host => "This host name is not served here; see INNKEEPER_PUBLIC_URL",
                Stranger::Origin => "Origin not allowed",
            };
            Fault::new(Blame::Caller, Code::Forbidden, public)
        })
    }

    /// What somebody reads whose credential was refused.
    pub fn challenge(&self, fault: Fault) -> Fault {
        match fault.code {
            Code::Unauthorized => fault.challenge(metadata::challenge(self.resource.as_ref(), None, true)),
            _ => fault,
        }
    }

    fn document(&self, method: &Method, generation: &Generation) -> Response<Body> {
        let (status, body) = match &self.resource {
            Some(resource) if *method == Method::GET => (StatusCode::OK, resource.describe(&generation.catalogue)),
            Some(_) => (StatusCode::METHOD_NOT_ALLOWED, r#"{"detail":"Method Not Allowed"}"#.to_owned()),
            None => (StatusCode::NOT_FOUND, r#"{"detail":"Not Found"}"#.to_owned()),
        };
        let mut response = json(status, body);
        let headers = response.headers_mut();
        // Whoever asks is told the same, and is to be able to read it.
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        response
    }

    /// Whether a request has to be read at all.
    ///
    /// # Errors
    /// By its method, its caller or its headers it is none.
    pub fn admit(&self, method: &Method, headers: &HeaderMap, caller: Option<&Caller>) -> Result<(), Fault> {
        if self.require_auth && caller.is_none() {
            let fault = Fault::new(Blame::Caller, Code::Unauthorized, "Not authenticated");
            return Err(fault.challenge(metadata::challenge(self.resource.as_ref(), None, false)));
        }
        let in_session = envelope::of_header(version(headers)) == Era::Legacy && sessions::named(headers).is_some();
        match *method {
            Method::POST => accepts(headers),
            Method::GET | Method::DELETE if in_session => Ok(()),
            _ => Err(Fault::new(Blame::Caller, Code::MethodNotAllowed, "Method Not Allowed")),
        }
    }
}
