use url::Url;

use super::permit;
use crate::broker::llm::error::LlmError;
use crate::broker::llm::model::{Effort, Format, Message, Part, Request, Tool, ToolCall, ToolChoice, Turn};
use crate::config::{Dialect, LlmModel, LlmTimeouts, Quirks};

fn model(quirks: Quirks) -> LlmModel {
    LlmModel {
        alias: "default".to_owned(),
        model: "m".to_owned(),
        dialect: Dialect::Chat,
        base_url: Url::parse("http://localhost/v1").expect("a URL"),
        key: None,
        quirks,
        max_output_tokens: 1_000,
        timeouts: LlmTimeouts::default(),
    }
}

fn user(text: &str) -> Message {
    Message::User(vec![Part::Text(text.to_owned())])
}

fn image(mime_type: &str, bytes: usize) -> Message {
    Message::User(vec![Part::Image { mime_type: mime_type.to_owned(), data: vec![1; bytes] }])
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned(), arguments_valid: true }
}

fn calls(ids: &[&str]) -> Message {
    Message::Assistant(Turn { tool_calls: ids.iter().map(|id| call(id, "add", "{}")).collect(), ..Turn::default() })
}

fn answer(id: &str) -> Message {
    Message::Tool { call_id: id.to_owned(), content: "done".to_owned() }
}

fn tool(name: &str, parameters: &str) -> Tool {
    Tool { name: name.to_owned(), description: String::new(), parameters: parameters.to_owned(), strict: false }
}

const OBJECT: &str = r#"{"type":"object"}"#;

fn ask(messages: Vec<Message>) -> Request {
    Request {
        model: None,
        messages,
        tools: Vec::new(),
        tool_choice: ToolChoice::Auto,
        parallel_tool_calls: None,
        max_output_tokens: None,
        temperature: None,
        effort: None,
        format: Format::Text,
        stop: Vec::new(),
    }
}

#[track_caller]
fn good(request: Request) -> Request {
    permit(request, &model(Quirks { effort: true, ..Quirks::default() }), u64::MAX).expect("permitted")
}

#[track_caller]
fn wrong(request: Request, expected: &str) {
    match permit(request, &model(Quirks { effort: true, ..Quirks::default() }), u64::MAX) {
        Err(LlmError::Invalid(what)) => assert!(what.contains(expected), "`{expected}` is not in `{what}`"),
        other => panic!("not {other:?}"),
    }
}

#[track_caller]
fn lacks(request: Request, quirks: Quirks) {
    assert!(permit(request.clone(), &model(Quirks { effort: true, ..Quirks::default() }), u64::MAX).is_ok());
    let refused = permit(request, &model(quirks), u64::MAX);
    assert!(matches!(refused, Err(LlmError::FeatureNotAllowed(_))), "{refused:?}");
}

#[test]
fn conversations_keep_their_order() {
    good(ask(vec![Message::System("s".into()), user("a"), calls(&["1", "2"]), answer("2"), answer("1"), user("b")]));
    good(ask(vec![calls(&[]), user("a")]));
    // An id may come again in another turn: servers count from 0.
    good(ask(vec![calls(&["0"]), answer("0"), calls(&["0"]), answer("0")]));
    wrong(ask(vec![]), "0 messages");
    wrong(ask(vec![user("a"); 1_001]), "1001 messages");
    wrong(ask(vec![calls(&["1"]), user("b"), answer("1")]), "the call `1` has no answer before message 2");
    wrong(ask(vec![calls(&["1", "2"]), answer("1")]), "the call `2` has no answer at the end");
    wrong(ask(vec![user("a"), answer("1")]), "message 2 answers the call `1`, which is not open there");
    wrong(ask(vec![calls(&["1"]), answer("1"), answer("1")]), "message 3 answers the call `1`");
    wrong(ask(vec![calls(&["1", "1"])]), "two calls with the id `1`");
    wrong(ask(vec![calls(&[""])]), "without an id");
    wrong(ask(vec![calls(&["a\nb"])]), "without an id");
    wrong(ask(vec![user("")]), "message 1 says nothing");
    wrong(ask(vec![Message::User(vec![])]), "message 1 says nothing");
}

#[test]
fn sizes_are_bounded() {
    good(ask(vec![user(&"x".repeat(1 << 20))]));
    wrong(ask(vec![user(&"x".repeat(1 << 19)), user(&"x".repeat((1 << 19) + 1))]), "1048577 bytes");
    let turn = Turn { continuation: Some(vec![0; (1 << 20) + 1]), ..Turn::default() };
    wrong(ask(vec![Message::Assistant(turn)]), "1048577 bytes");
    let mut request = ask(vec![user("a")]);
    request.tools = (0..129).map(|n| tool(&format!("t{n}"), OBJECT)).collect();
    wrong(request, "129 tools");
    good(ask(vec![image("image/png", 3 << 20)]));
    wrong(ask(vec![image("image/png", 3 << 20), image("image/gif", 1)]), "more than 8 images");
    wrong(ask(vec![image("image/webp", 1); 9]), "more than 8 images");
    wrong(ask(vec![image("image/svg+xml", 1)]), "image/jpeg");
    wrong(ask(vec![image("image/png", 0)]), "image/jpeg");
}

#[test]
fn tools_are_what_every_server_takes() {
    let with = |tools: Vec<Tool>| Request { tools, ..ask(vec![user("a")]) };
    good(with(vec![tool("add_task-2", OBJECT), tool("b", OBJECT)]));
    wrong(with(vec![tool("todo.add", OBJECT)]), "`todo.add` is not the name of a tool");
    wrong(with(vec![tool("", OBJECT)]), "not the name of a tool");
    wrong(with(vec![tool(&"x".repeat(65), OBJECT)]), "not the name of a tool");
    wrong(with(vec![tool("a", OBJECT), tool("a", OBJECT)]), "two tools are named `a`");
    wrong(with(vec![tool("a", "{")]), "the parameters of tool `a` are not JSON");
    wrong(with(vec![tool("a", "{\"type\":\"string\"}")]), "type `object`");
    wrong(with(vec![tool("a", "[]")]), "type `object`");
    let deep = format!("{{\"type\":\"object\",\"x\":{}{}}}", "[".repeat(40), "]".repeat(40));
    wrong(with(vec![tool("a", &deep)]), "deeper than 32");
    let deepest = format!("{{\"type\":\"object\",\"x\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    wrong(with(vec![tool("a", &deepest)]), "not JSON");
    let long = format!("{{\"type\":\"object\",\"x\":\"{}\"}}", "y".repeat(40_000));
    wrong(with(vec![tool("a", &long)]), "over 32768 bytes");
    let described = Tool { description: "x".repeat(5_000), ..tool("a", OBJECT) };
    wrong(with(vec![described]), "the description of tool `a`");
    let choose = |choice: ToolChoice| Request { tool_choice: choice, ..with(vec![tool("a", OBJECT)]) };
    good(choose(ToolChoice::Named("a".into())));
    wrong(choose(ToolChoice::Named("b".into())), "there is no tool `b`");
    wrong(Request { tool_choice: ToolChoice::Required, ..with(vec![]) }, "and there is none");
}

#[test]
fn numbers_are_what_every_server_takes() {
    let base = || ask(vec![user("a")]);
    for temperature in [-0.1, 2.1, f32::NAN, f32::INFINITY] {
        wrong(Request { temperature: Some(temperature), ..base() }, "temperature");
    }
    wrong(Request { stop: vec!["x".into(); 5], ..base() }, "at most 4 stops");
    wrong(Request { stop: vec![String::new()], ..base() }, "at most 4 stops");
    wrong(Request { max_output_tokens: Some(0), ..base() }, "max-output-tokens is 0");
    let clamped = |wanted, most| {
        let request = Request { max_output_tokens: wanted, ..base() };
        permit(request, &model(Quirks::default()), most).expect("permitted").max_output_tokens
    };
    assert_eq!(clamped(None, u64::MAX), Some(1_000));
    assert_eq!(clamped(Some(7), u64::MAX), Some(7));
    assert_eq!(clamped(Some(5_000), u64::MAX), Some(1_000));
    // A reservation beyond a whole budget could never be had.
    assert_eq!(clamped(Some(5_000), 10), Some(10));
}

#[test]
fn a_model_is_not_asked_for_what_it_cannot() {
    let base = || ask(vec![user("a")]);
    let quirks = Quirks { effort: true, ..Quirks::default() };
    lacks(ask(vec![image("image/png", 1)]), Quirks { images: false, ..quirks });
    lacks(Request { temperature: Some(0.0), ..base() }, Quirks { temperature: false, ..quirks });
    lacks(Request { effort: Some(Effort::Low), ..base() }, Quirks::default());
    let schema = Format::JsonSchema { name: "x".into(), schema: OBJECT.into(), strict: false };
    lacks(Request { format: schema, ..base() }, Quirks { strict: false, ..quirks });
    let forced = Request { tools: vec![tool("a", OBJECT)], tool_choice: ToolChoice::Required, ..base() };
    lacks(forced, Quirks { tool_choice: false, ..quirks });
}

#[test]
fn what_a_model_made_up_is_told_again_in_a_form_that_servers_take() {
    let turn = Turn {
        tool_calls: vec![
            call("1", "no such.tool", "{\"a\": 1}"),
            call("2", "ok", "{\"a\":"),
            call("3", "", "[1]"),
            call("4", &"é".repeat(200), ""),
        ],
        ..Turn::default()
    };
    let request = good(ask(vec![Message::Assistant(turn), answer("1"), answer("2"), answer("3"), answer("4")]));
    let Message::Assistant(turn) = &request.messages[0] else { panic!("a turn") };
    let told: Vec<(&str, &str)> = turn.tool_calls.iter().map(|call| (&*call.name, &*call.arguments)).collect();
    let long = "_".repeat(64);
    assert_eq!(told, [("no_such_tool", "{\"a\": 1}"), ("ok", "{}"), ("_", "{}"), (&*long, "{}")]);
}
