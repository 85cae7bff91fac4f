//! Requests that are odd, and requests that are wrong: whatever comes, there is
//! one answer per request, and nobody's bytes become somebody else's request.

use std::time::Duration;

use super::misbehave;
use crate::harness::Raw;

const CLOSED: Duration = Duration::from_secs(9);
/// What a smuggler appends. It must never be answered.
const SMUGGLED: &str = "GET /trap HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn odd_requests_get_an_answer_of_their_own() {
    let host = misbehave().await;
    for (what, request, status) in [
        ("plain", "GET /behave HTTP/1.1\r\nhost: a\r\n\r\n", 200),
        ("a HEAD", "HEAD /behave HTTP/1.1\r\nhost: a\r\n\r\n", 200),
        ("an absolute target", "GET http://a/behave HTTP/1.1\r\nhost: a\r\n\r\n", 200),
        ("HTTP/1.0", "GET /behave HTTP/1.0\r\nhost: a\r\n\r\n", 200),
        ("OPTIONS *", "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n", 404),
        ("a method of one's own", "BREW / HTTP/1.1\r\nhost: a\r\n\r\n", 200),
        ("CONNECT", "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n", 400),
        ("TRACE", "TRACE / HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("no Host", "GET / HTTP/1.1\r\n\r\n", 400),
        ("two Hosts", "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        ("the same Host twice", "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400),
        ("an empty Host", "GET / HTTP/1.1\r\nhost:\r\n\r\n", 400),
        ("a Host that is none", "GET /behave HTTP/1.1\r\nhost: a b<>\r\n\r\n", 400),
    ] {
        let mut connection = Raw::connect(host.address).await;
        connection.send(request).await.expect("sent");
        let answer = connection.head().await.expect("a whole head").unwrap_or_else(|| panic!("no answer to {what}"));
        assert_eq!(answer.status, status, "{what}");
        assert!(answer.header("x-request-id").is_some(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_and_a_get_on_one_connection_do_not_mix() {
    let host = misbehave().await;
    let mut connection = Raw::connect(host.address).await;
    let requests = ["HEAD /behave", "GET /behave", "POST /behave"];
    for request in requests {
        let close = if request == "POST /behave" { "connection: close\r\ncontent-length: 2\r\n\r\nab" } else { "\r\n" };
        connection.send(format!("{request} HTTP/1.1\r\nhost: a\r\n{close}")).await.expect("sent");
    }
    let all = connection.rest(CLOSED).await.expect("closed as asked");
    assert_eq!((all.matches("HTTP/1.1 200 OK").count(), all.matches("behaves").count()), (3, 2), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_can_be_read_in_two_ways_are_refused_and_end_the_connection() {
    let host = misbehave().await;
    let post = |fields: &str, body: &str| format!("POST /behave HTTP/1.1\r\nhost: a\r\n{fields}\r\n{body}");
    let chunked = "transfer-encoding: chunked\r\n";
    let cases = [
        ("a space before the colon", post("content-length : 0\r\n", "")),
        ("a NUL in a value", post("x-a: b\0c\r\n", "")),
        ("a bare CR in a value", post("x-a: b\rc: d\r\n", "")),
        ("a folded field", post("x-a: b\r\n c\r\n", "")),
        ("a name with a space", post("x a: b\r\n", "")),
        ("a field without a colon", post("nonsense\r\n", "")),
        ("no version", "GET /\r\n\r\n".to_owned()),
        ("another protocol", "GET / FTP/1.1\r\nhost: a\r\n\r\n".to_owned()),
        ("a version to come", "GET / HTTP/3.0\r\nhost: a\r\n\r\n".to_owned()),
        ("two lengths", post("content-length: 0\r\ncontent-length: 5\r\n", "")),
        ("a list of lengths", post("content-length: 0, 5\r\n", "")),
        ("a signed length", post("content-length: +0\r\n", "")),
        ("a length that is none", post("content-length: 0x0\r\n", "")),
        ("a length beyond all bounds", post("content-length: 99999999999999999999\r\n", "")),
        ("chunked, and not last", post("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n")),
        ("almost chunked", post("transfer-encoding: xchunked\r\n", "0\r\n\r\n")),
        ("chunked in HTTP/1.0", post(chunked, "0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0")),
        ("a chunk size beyond all bounds", post(chunked, "fffffffffffffffff\r\n")),
        ("a chunk size that is none", post(chunked, "zz\r\n\r\n")),
        ("a chunk longer than its size", post(chunked, "1\r\nabc\r\n0\r\n\r\n")),
    ];
    for (what, request) in cases {
        let mut connection = Raw::connect(host.address).await;
        let _ = connection.send(format!("{request}{SMUGGLED}")).await;
        let all = connection.rest(CLOSED).await.unwrap_or_else(|| panic!("{what}: still open"));
        assert_eq!(all.matches("HTTP/1.").count(), 1, "{what}: {all}");
        assert!(
            all.starts_with("HTTP/1.1 400 ") || all.starts_with("HTTP/1.0 400 ") || all.starts_with("HTTP/1.1 413 "),
            "{what}: {all}"
        );
    }
}

/// RFC 9112 section 6.3: chunked counts, and the connection is not used again.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_both_framings_is_the_last_of_its_connection() {
    let host = misbehave().await;
    for fields in
        ["transfer-encoding: chunked\r\ncontent-length: 5\r\n", "content-length: 5\r\ntransfer-encoding: chunked\r\n"]
    {
        let mut connection = Raw::connect(host.address).await;
        let request = format!("POST /behave HTTP/1.1\r\nhost: a\r\n{fields}\r\n0\r\n\r\n{SMUGGLED}");
        connection.send(request).await.expect("sent");
        let all = connection.rest(CLOSED).await.expect("closed");
        assert_eq!((all.matches("HTTP/1.").count(), all.matches(" 500 ").count()), (1, 0), "{all}");
    }
}
