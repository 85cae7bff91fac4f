use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Envelope, Failure, Retry};
use crate::broker::llm::{LimitInfo, LlmError, Unit};

fn refused(status: u16, body: &str) -> Failure {
    let status = StatusCode::from_u16(status).expect("a status");
    Failure::refused(status, &HeaderMap::new(), body.as_bytes(), String::new())
}

#[track_caller]
fn check(status: u16, body: &str, code: Option<&'static str>, retryable: bool) {
    let failure = refused(status, body);
    assert_eq!(failure.error, LlmError::Upstream { status, code, retryable, request_id: None }, "{body}");
    assert_eq!(failure.retry, if retryable { Retry::Soon } else { Retry::Never }, "{body}");
}

#[test]
fn every_form_of_error_is_read() {
    check(
        401,
        r#"{"error":{"message":"x","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
        Some("invalid_api_key"),
        false,
    );
    check(401, r#"{"error":{"code":"401","message":"Access denied"}}"#, Some("invalid_api_key"), false);
    check(
        401,
        r#"{"error":{"message":"No auth credentials found","code":401},"user_id":"user_1"}"#,
        Some("invalid_api_key"),
        false,
    );
    check(401, r#"{"detail":"Invalid API Key"}"#, Some("invalid_api_key"), false);
    check(
        400,
        r#"{"code":"invalid-argument","error":"Incorrect API key provided: ab***yz."}"#,
        Some("invalid_api_key"),
        false,
    );
    check(
        404,
        r#"{"error":{"message":"no","type":"invalid_request_error","code":"model_not_found"}}"#,
        Some("model_not_found"),
        false,
    );
    check(400, r#"[{"error":{"code":400,"message":"Invalid JSON payload","status":"INVALID_ARGUMENT"}}]"#, None, false);
    check(
        400,
        r#"{"error":{"message":"Use 'max_completion_tokens' instead","code":"unsupported_parameter"}}"#,
        Some("unsupported_parameter"),
        false,
    );
    check(422, r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, None, false);
    check(502, "<html><body>Bad Gateway</body></html>", None, true);
    check(500, r#"{"error":{"message":"x","type":"server_error","code":null}}"#, Some("server_error"), true);
    check(529, "", None, true);
    check(408, "", None, true);
    check(409, r#"{"error":"conflict"}"#, None, true);
    check(307, "", None, false);
    check(200, "<html>", None, false);
    check(403, "\u{0}\u{ff}", None, false);
    check(402, r#"{"error":{"message":"Insufficient credits","code":402}}"#, Some("insufficient_quota"), false);
}

#[test]
fn limits_are_told_apart_from_an_empty_purse() {
    let LlmError::RateLimited(LimitInfo { unit, retry_after, .. }) =
        refused(429, r#"{"error":{"type":"tokens","code":"rate_limit_exceeded","message":"slow"}}"#).error
    else {
        panic!()
    };
    assert_eq!(unit, Unit::InputTokens);
    assert!(retry_after.is_some(), "another request may succeed");
    assert!(matches!(refused(429, "").error, LlmError::RateLimited(_)));
    assert_eq!(refused(429, "").retry, Retry::Soon);
    for poor in [
        r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"x"}}"#,
        r#"{"error":{"code":"billing_hard_limit_reached"}}"#,
    ] {
        check(429, poor, Some("insufficient_quota"), false);
    }
}

#[test]
fn a_conversation_that_is_too_long_is_known_by_its_words() {
    for (status, body) in [
        (400, r#"{"error":{"message":"x","code":"context_length_exceeded"}}"#),
        (400, r#"{"error":{"message":"This model's maximum context length is 8192 tokens","code":null}}"#),
        (
            400,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#,
        ),
        (413, r#"{"detail":"Prompt is too long"}"#),
        (400, r#"{"object":"error","message":"Input is too long for requested model","code":40303}"#),
    ] {
        assert_eq!(refused(status, body).error, LlmError::ContextTooLong, "{body}");
    }
}

#[test]
fn a_filter_is_known_by_its_names() {
    for body in [
        r#"{"error":{"code":"content_filter","message":"x","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
        r#"{"error":{"code":"content_policy_violation","message":"x"}}"#,
    ] {
        let failure = refused(400, body);
        assert_eq!((failure.error, failure.retry), (LlmError::ContentFiltered, Retry::Never));
    }
}

#[test]
fn the_upstreams_own_word_on_retries_counts() {
    for (status, word, expected) in
        [(500, "false", Retry::Never), (400, "true", Retry::Soon), (503, "true", Retry::Soon)]
    {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static(word));
        let status = StatusCode::from_u16(status).expect("a status");
        assert_eq!(Failure::refused(status, &headers, b"", String::new()).retry, expected);
    }
}

#[test]
fn an_error_in_a_stream_has_no_status_of_its_own() {
    let read = |json: &str| {
        Failure::in_stream(&Envelope::read(&serde_json::from_str(json).expect("JSON")), None, String::new())
    };
    assert_eq!(
        read(r#"{"code":502,"message":"Provider returned error"}"#).error,
        LlmError::Upstream { status: 0, code: None, retryable: true, request_id: None }
    );
    assert!(matches!(read(r#"{"code":429,"message":"x"}"#).error, LlmError::RateLimited(_)));
    assert_eq!(read(r#"{"message":"maximum context length"}"#).error, LlmError::ContextTooLong);
    assert!(matches!(read(r#""text""#).error, LlmError::Upstream { status: 0, retryable: false, .. }));
}

#[test]
fn what_may_be_one_guests_doing_is_no_outage() {
    for (status, is_outage) in [(400, false), (429, false), (500, false), (502, true), (503, true), (529, true)] {
        assert_eq!(refused(status, "").is_outage, is_outage, "{status}");
    }
}
