//! What a client has to know to get a token: this endpoint as a protected resource
//! of OAuth (RFC 9728).

use std::collections::BTreeSet;

use http::HeaderValue;
use serde_json::json;
use url::Url;

use crate::registry::Catalogue;

/// Where the documents are.
pub(super) const PATHS: [&str; 2] =
    ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"];

/// This endpoint, as clients reach it.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    /// The address of the endpoint.
    address: String,
    /// The address of the document.
    document: String,
    /// Who gives tokens out.
    servers: Vec<String>,
}

impl Resource {
    /// Below a public address.
    pub(super) fn new(public: &Url, servers: Vec<String>) -> Self {
        let base = public.as_str().trim_end_matches('/');
        let origin = public.origin().ascii_serialization();
        let path = public.path().trim_end_matches('/');
        Self { address: format!("{base}/mcp"), document: format!("{origin}{}", document_path(path)), servers }
    }

    /// The document, with all scopes that any tool asks for.
    pub(super) fn describe(&self, catalogue: &Catalogue) -> String {
        let scopes: BTreeSet<&str> = catalogue.tools().flat_map(|tool| &tool.item.scopes).map(String::as_str).collect();
        let Self { address, servers, .. } = self;
        json!({
            "resource": address,
            "authorization_servers": servers,
            "scopes_supported": scopes,
            "bearer_methods_supported": ["header"],
        })
        .to_string()
    }
}

fn document_path(path: &str) -> String {
    // Behind a prefix the document is at the origin's root all the same, with the
    // prefix after it (RFC 9728 section 3.1).
    format!("/.well-known/oauth-protected-resource{path}/mcp")
}

/// What a refused request is told: where tokens are, and which one.
pub(super) fn challenge(resource: Option<&Resource>, lacking: Option<&[String]>, invalid: bool) -> HeaderValue {
    let mut parts = Vec::new();
    if lacking.is_some() && !invalid {
        parts.push("error=\"insufficient_scope\"".to_owned());
    } else if invalid {
        parts.push("error=\"invalid_token\"".to_owned());
    }
    if let Some(scopes) = lacking {
        parts.push(format!("scope=\"{}\"", scopes.join(" ")));
    }
    if let Some(resource) = resource {
        parts.push(format!("resource_metadata=\"{}\"", resource.document));
    }
    let text = if parts.is_empty() { "Bearer".to_owned() } else { format!("Bearer {}", parts.join(", ")) };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("Bearer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_says_where_tokens_are() {
        let resource = Resource::new(&Url::parse("https://todo.example.com").expect("a URL"), Vec::new());
        let text = |lacking: Option<&[String]>, invalid| {
            challenge(Some(&resource), lacking, invalid).to_str().expect("ASCII").to_owned()
        };
        let document = "resource_metadata=\"https://todo.example.com/.well-known/oauth-protected-resource/mcp\"";
        assert_eq!(text(None, false), format!("Bearer {document}"));
        assert_eq!(text(None, true), format!("Bearer error=\"invalid_token\", {document}"));
        let scopes = ["a".to_owned(), "b".to_owned()];
        assert_eq!(
            text(Some(&scopes), false),
            format!("Bearer error=\"insufficient_scope\", scope=\"a b\", {document}")
        );
        assert_eq!(challenge(None, None, false), "Bearer");
        let below = Resource::new(&Url::parse("https://example.com/todo/").expect("a URL"), Vec::new());
        assert_eq!(below.address, "https://example.com/todo/mcp");
        assert_eq!(below.document, "https://example.com/.well-known/oauth-protected-resource/todo/mcp");
    }
}
