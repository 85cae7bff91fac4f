//! What becomes of answers that no server should give. Each has one outcome, and
//! none is a panic, a hang, or a call that is told twice.

mod cuts;
mod flow;
mod refusals;

use std::time::Duration;

use futures_util::future::join_all;
use innkeeper::broker::llm::upstream::Upstream;
use innkeeper::broker::llm::{Event, LlmError, Request};
use innkeeper::config::{Dialect, LlmModel};

use super::upstream::{ask, collect, model};
use crate::harness::{RawModel, STREAM, Step};

/// A server's alias that has the time for every retry.
fn patient(url: &str, dialect: Dialect) -> LlmModel {
    let mut model = model(url, dialect);
    model.timeouts.first_event = Duration::from_secs(6);
    model.timeouts.idle = Duration::from_secs(2);
    model.timeouts.total = Duration::from_secs(12);
    model
}

/// One that is given up on so soon that nothing is tried again.
fn hasty(url: &str, dialect: Dialect) -> LlmModel {
    let mut model = model(url, dialect);
    model.timeouts.first_event = Duration::from_millis(450);
    model.timeouts.idle = Duration::from_millis(300);
    model.timeouts.total = Duration::from_millis(1_500);
    model
}

/// What a guest would hear, in a line.
async fn outcome(model: &LlmModel) -> String {
    let upstream = Upstream::new(model).expect("an upstream");
    outcome_of(&upstream, &ask("hello")).await
}

async fn outcome_of(upstream: &Upstream, request: &Request) -> String {
    let mut answer = match upstream.open(request).await {
        Ok(answer) => answer,
        Err(error) => return failed(&error),
    };
    let (events, error) = collect(&mut answer).await;
    let mut begun: Vec<u32> = events.iter().filter_map(begun).collect();
    begun.sort_unstable();
    assert!(begun.windows(2).all(|pair| pair[0] != pair[1]), "a call has begun twice: {events:?}");
    let Some(error) = error else { return told(events.last().expect("an end")) };
    assert!(!events.iter().any(|event| matches!(event, Event::Done(_))), "it went on after its end: {events:?}");
    failed(&error)
}

fn begun(event: &Event) -> Option<u32> {
    if let Event::CallStart { index, .. } = event { Some(*index) } else { None }
}

fn told(event: &Event) -> String {
    let Event::Done(done) = event else { panic!("the last is no end: {event:?}") };
    let mut told = format!("{:?}:", done.finish);
    for text in [&done.turn.text, &done.turn.refusal].into_iter().flatten() {
        told += &format!(" {text:?}");
    }
    for call in &done.turn.tool_calls {
        assert!(!call.id.is_empty(), "{call:?}");
        told += &format!(" {}({}){}", call.name, call.arguments, if call.arguments_valid { "" } else { "!" });
    }
    if done.usage.estimated { told } else { format!("{told} {}/{}", done.usage.input, done.usage.output) }
}

fn failed(error: &LlmError) -> String {
    match error {
        LlmError::Interrupted { partial, usage } => {
            assert!(usage.estimated && usage.input > 0, "{usage:?}");
            format!("interrupted: {partial:?}")
        }
        LlmError::Upstream { status, code, retryable, .. } => {
            format!("upstream {status} {} {}", code.unwrap_or("-"), if *retryable { "again" } else { "never" })
        }
        LlmError::RateLimited(info) => format!("limited {:?}", info.retry_after.map(|after| after.as_secs())),
        LlmError::TimedOut(wait) => format!("late {wait:?}"),
        other => format!("{other:?}"),
    }
}

/// Asks a server for each case, all at once.
async fn check(dialect: Dialect, cases: &[(&str, Vec<Step>, &str)]) {
    check_with(patient, dialect, cases).await;
}

async fn check_with(alias: fn(&str, Dialect) -> LlmModel, dialect: Dialect, cases: &[(&str, Vec<Step>, &str)]) {
    let one = |(name, steps, expected): &(&str, Vec<Step>, &str)| {
        let (name, steps, expected) = ((*name).to_owned(), steps.clone(), (*expected).to_owned());
        async move {
            let server = RawModel::start(steps).await;
            let found = tokio::time::timeout(Duration::from_secs(20), outcome(&alias(&server.url(), dialect))).await;
            let found = found.unwrap_or_else(|_| "nothing, ever".to_owned());
            (found != expected).then(|| format!("{name}: {found}\n    and not {expected}"))
        }
    };
    let wrong: Vec<String> = join_all(cases.iter().map(one)).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// A stream of these events, and its end.
fn stream(events: &[&str]) -> Vec<Step> {
    let events: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    vec![Step::send(format!("{STREAM}{events}"))]
}

/// An answer of this status, type and body.
fn whole(status: u16, fields: &str, body: impl AsRef<[u8]>) -> Vec<Step> {
    let body = body.as_ref();
    let mut answer = format!("HTTP/1.1 {status} X\r\n{fields}content-length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    vec![Step::Send(answer)]
}

const JSON: &str = "content-type: application/json\r\n";
const DONE: &str = "[DONE]";
const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const HI: &str = r#"{"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#;

/// A chunk with these tool calls.
fn calls(calls: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{calls}]}}}}]}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_deviate_are_read_as_what_they_mean() {
    let call = |text: &str| calls(text);
    let a = call(r#"{"index":0,"id":"a","type":"function","function":{"name":"add","arguments":"{\"x\":1}"}}"#);
    let no_index = call(r#"{"id":"a","function":{"name":"add","arguments":"{}"}}"#);
    let no_index_b = call(r#"{"id":"b","function":{"name":"add","arguments":"{}"}}"#);
    let nothing = call(r#"{"function":{"name":"add","arguments":"{\"x\":1}"}}"#);
    let nothing_b = call(r#"{"function":{"name":"list","arguments":null}}"#);
    let object = call(r#"{"index":0,"id":"a","function":{"name":"add","arguments":{"x":1}}}"#);
    let repeated = |arguments: &str| {
        call(&format!(r#"{{"index":0,"id":"a","function":{{"name":"add","arguments":"{arguments}"}}}}"#))
    };
    let (first, second) = (repeated(r#"{\"x\""#), repeated(":1}"));
    let same_id =
        call(r#"{"index":0,"id":"0","function":{"name":"add"}},{"index":1,"id":"0","function":{"name":"add"}}"#);
    let nameless = call(r#"{"index":0,"id":"a","function":{"arguments":"{}"}}"#);
    let broken = call(r#"{"index":0,"id":"a","function":{"name":"add","arguments":"{\"x\":"}}"#);
    let late = r#"{"choices":[{"delta":{"content":"!"}}],"usage":{"prompt_tokens":8,"completion_tokens":4}}"#;
    let on_finish =
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;
    let odd = r#"{"id":7,"created":1.5,"service_tier":"on_demand","choices":[{"index":0,"delta":{"content":"hi","x":[]},"finish_reason":"eos"}],"x":{}}"#;
    let azure = r#"{"choices":[],"id":"","object":"","model":"","prompt_filter_results":[{"prompt_index":0}]}"#;
    let filtered = r#"{"choices":[{"index":0,"finish_reason":"content_filter","content_filter_results":{}}]}"#;
    let refusal = r#"{"choices":[{"index":0,"delta":{"content":null,"refusal":"I cannot"}}]}"#;
    let empty = r#"{"choices":[{"index":0,"delta":{},"finish_reason":""}]}"#;
    let parts = r#"{"choices":[{"delta":{"content":[{"type":"text","text":"hi"}]}}]}"#;
    let thought = r#"{"choices":[{"delta":{"reasoning":"hm","reasoning_content":"hm"}}]}"#;
    let json = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;
    let told = r#"Stop: "hi" 7/3"#;
    let cases = [
        ("as it should be", stream(&[HI, STOP, USAGE, DONE]), told),
        ("no usage", stream(&[HI, STOP, DONE]), r#"Stop: "hi""#),
        ("usage with the reason", stream(&[HI, on_finish, DONE]), told),
        ("usage later, beside text", stream(&[HI, STOP, USAGE, late, DONE]), r#"Stop: "hi!" 8/4"#),
        ("no mark of the end", stream(&[HI, STOP]), r#"Stop: "hi""#),
        ("a mark and no reason", stream(&[HI, DONE]), "interrupted: \"hi\""),
        ("neither", stream(&[HI]), "interrupted: \"hi\""),
        ("an empty reason", stream(&[HI, empty, DONE]), "interrupted: \"hi\""),
        ("an empty reason before the real one", stream(&[HI, empty, STOP, DONE]), r#"Stop: "hi""#),
        ("the reason twice", stream(&[HI, STOP, STOP, DONE]), r#"Stop: "hi""#),
        ("odd types, more fields, an unknown reason", stream(&[odd, DONE]), r#"Other: "hi""#),
        ("text in parts", stream(&[parts, STOP, DONE]), r#"Stop: "hi""#),
        ("a thought under two names", stream(&[thought, HI, STOP, DONE]), r#"Stop: "hi""#),
        ("Azure's first event", stream(&[azure, HI, STOP, DONE]), r#"Stop: "hi""#),
        ("all of it filtered", stream(&[azure, filtered, DONE]), "ContentFiltered"),
        ("the rest of it filtered", stream(&[HI, filtered, DONE]), r#"ContentFilter: "hi""#),
        ("a refusal", stream(&[refusal, STOP, DONE]), r#"Stop: "I cannot""#),
        ("a whole call", stream(&[&a, STOP, DONE]), r#"ToolCalls: add({"x":1})"#),
        ("a call and no reason", stream(&[&a, DONE]), r#"ToolCalls: add({"x":1})"#),
        ("a call, no reason and no mark", stream(&[&a]), "interrupted: \"\""),
        ("name and id in every piece", stream(&[&first, &second, STOP, DONE]), r#"ToolCalls: add({"x":1})"#),
        ("no index", stream(&[&no_index, &no_index_b, STOP, DONE]), "ToolCalls: add({}) add({})"),
        ("no index and no id", stream(&[&nothing, &nothing_b, STOP, DONE]), r#"ToolCalls: add({"x":1}) list({})"#),
        ("arguments that are an object", stream(&[&object, STOP, DONE]), r#"ToolCalls: add({"x":1})"#),
        ("arguments that are none", stream(&[&broken, STOP, DONE]), r#"ToolCalls: add({"x":)!"#),
        ("one id twice, no arguments", stream(&[&same_id, STOP, DONE]), "ToolCalls: add({}) add({})"),
        ("a call of nothing", stream(&[&nameless, HI, STOP, DONE]), r#"Stop: "hi""#),
        ("a call of nothing and no reason", stream(&[&nameless, DONE]), "interrupted: \"\""),
        ("JSON where a stream was asked for", whole(200, JSON, format!("  \r\n\n {json}\n")), told),
        ("printed JSON", whole(200, JSON, json.replace(",\"", ",\n  \"")), told),
        ("no type at all", whole(200, "", format!("data: {HI}\n\ndata: {STOP}\n\n")), r#"Stop: "hi""#),
    ];
    check(Dialect::Chat, &cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_read_however_they_are_written() {
    let raw = |text: String| vec![Step::send(format!("{STREAM}{text}"))];
    let told = r#"Stop: "hi""#;
    let slow = format!("{STREAM}data: {HI}\n\ndata: {STOP}\n\n");
    let drip: Vec<Step> =
        slow.bytes().flat_map(|byte| [Step::Send(vec![byte]), Step::Wait(Duration::from_micros(500))]).collect();
    let cases = [
        ("CRLF", raw(format!("data: {HI}\r\n\r\ndata: {STOP}\r\n\r\ndata: [DONE]\r\n\r\n")), told),
        ("CR", raw(format!("data: {HI}\r\rdata: {STOP}\r\rdata: [DONE]\r\r")), told),
        ("comments", raw(format!(": OPENROUTER PROCESSING\n\n: x\ndata: {HI}\n\n:\n\ndata: {STOP}\n\n")), told),
        (
            "names, ids and times",
            raw(format!("event: a\nid: 1\nretry: 9\ndata:{HI}\n\nevent: b\ndata:{STOP}\n\n")),
            told,
        ),
        ("a byte order mark", raw(format!("\u{feff}data: {HI}\n\ndata: {STOP}\n\n")), told),
        ("no blank line at the end", raw(format!("data: {HI}\n\ndata: {STOP}")), told),
        ("no blank line after the mark", raw(format!("data: {HI}\n\ndata: {STOP}\n\ndata: [DONE]")), told),
        ("data over two lines", raw(format!("data: {}\ndata: {}\n\ndata: {STOP}\n\n", &HI[..12], &HI[12..])), told),
        ("more after the mark", raw(format!("data: {HI}\n\ndata: {STOP}\n\ndata: [DONE]\n\ndata: {HI}\n\n")), told),
        ("keep-alives", raw(format!("event: keepalive\ndata: {{}}\n\ndata: {HI}\n\ndata:\n\ndata: {STOP}\n\n")), told),
        ("byte by byte", drip, told),
        ("nothing", raw(String::new()), "interrupted: \"\""),
        ("only the mark", raw("data: [DONE]\n\n".to_owned()), "interrupted: \"\""),
        ("only comments", raw(": hello\n\n".repeat(9)), "interrupted: \"\""),
        ("JSON lines, no events", raw(format!("{HI}\n{STOP}\n")), "interrupted: \"\""),
        (
            "an event that is no JSON",
            raw(format!("data: {HI}\n\ndata: nonsense\n\ndata: {STOP}\n\n")),
            "interrupted: \"hi\"",
        ),
        (
            "an event that is no object",
            raw(format!("data: {HI}\n\ndata: 7\n\ndata: {STOP}\n\n")),
            "interrupted: \"hi\"",
        ),
        (
            "an event that is no text",
            vec![Step::send([STREAM.as_bytes(), b"data: {\"a\":\"\xff\"}\n\n"].concat())],
            "interrupted: \"\"",
        ),
    ];
    check(Dialect::Chat, &cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_dialect_deviates_as_well() {
    let text = r#"{"type":"response.output_text.delta","output_index":0,"delta":"hi"}"#;
    let message = r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"hi"}]}"#;
    let completed = format!(
        r#"{{"type":"response.completed","response":{{"status":"completed","output":[{message}],"usage":{{"input_tokens":7,"output_tokens":3}}}}}}"#
    );
    let cut = r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}"#;
    let filtered = r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"content_filter"}}}"#;
    let failed =
        r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"x"}}}"#;
    let limited = r#"{"type":"error","code":"rate_limit_exceeded","message":"x","sequence_number":1}"#;
    let wrapped =
        r#"{"type":"error","error":{"type":"invalid_request_error","code":"context_length_exceeded","message":"x"}}"#;
    let call = r#"{"type":"function_call","id":"fc","call_id":"a","name":"add","arguments":"{}"}"#;
    let called =
        format!(r#"{{"type":"response.completed","response":{{"status":"completed","output":[{call},{message}]}}}}"#);
    let done = format!(r#"{{"type":"response.output_item.done","output_index":5,"item":{call}}}"#);
    let whole_json =
        format!(r#"{{"object":"response","status":"completed","output":[{call},{message}],"error":null}}"#);
    let unknown = r#"{"type":"response.something.new","delta":{"a":1},"item":"x","response":null}"#;
    let mut open = stream(&[text, &completed]);
    open.push(Step::Hang);
    let cases = [
        ("as it should be", stream(&[text, &completed]), r#"Stop: "hi" 7/3"#),
        ("no more than the end", stream(&[&completed]), r#"Stop: "hi" 7/3"#),
        ("an open end", open, r#"Stop: "hi" 7/3"#),
        ("no end", stream(&[text]), "interrupted: \"hi\""),
        ("a mark and no end", stream(&[text, DONE]), "interrupted: \"hi\""),
        ("events of later years", stream(&[unknown, text, unknown, &completed]), r#"Stop: "hi" 7/3"#),
        ("cut by the limit", stream(&[text, cut]), r#"Length: "hi""#),
        ("filtered", stream(&[text, filtered]), r#"ContentFilter: "hi""#),
        ("filtered altogether", stream(&[filtered]), "ContentFiltered"),
        ("failed", stream(&[text, failed]), "upstream 0 server_error again"),
        ("an error", stream(&[text, limited]), "limited Some(5)"),
        ("an error inside", stream(&[text, wrapped]), "ContextTooLong"),
        ("a call told three times", stream(&[&done, &done, &called]), r#"ToolCalls: "hi" add({})"#),
        ("JSON where a stream was asked for", whole(200, JSON, whole_json), r#"ToolCalls: "hi" add({})"#),
    ];
    check(Dialect::Responses, &cases).await;
}
