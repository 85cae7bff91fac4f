//! The broker's wire, against a server that speaks as OpenAI does.

use std::time::Duration;

use innkeeper::broker::llm::upstream::{Answer, Upstream, UpstreamError, estimate_input};
use innkeeper::broker::llm::{
    Completion, Effort, Event, Finish, Format, LlmError, Message, Part, Request, Tool, ToolCall, ToolChoice,
    Turn as Said, Usage, Wait,
};
use innkeeper::config::{Dialect, LlmModel, LlmTimeouts, Quirks};
use serde_json::{Value, json};

use crate::harness::{KEY, OpenAi, Turn};

/// An alias for a server, which gives up soon.
pub fn model(url: &str, dialect: Dialect) -> LlmModel {
    LlmModel {
        alias: "default".to_owned(),
        model: "gpt-test".to_owned(),
        dialect,
        base_url: url.parse().expect("a URL"),
        key: Some(KEY.to_owned().into()),
        quirks: Quirks::default(),
        max_output_tokens: 1_000,
        timeouts: LlmTimeouts {
            connect: Duration::from_millis(500),
            first_event: Duration::from_secs(3),
            idle: Duration::from_millis(400),
            total: Duration::from_secs(6),
        },
    }
}

/// A conversation of one message.
pub fn ask(text: &str) -> Request {
    Request {
        model: None,
        messages: vec![Message::User(vec![Part::Text(text.to_owned())])],
        tools: Vec::new(),
        tool_choice: ToolChoice::Auto,
        parallel_tool_calls: None,
        max_output_tokens: Some(500),
        temperature: None,
        effort: None,
        format: Format::Text,
        stop: Vec::new(),
    }
}

/// Everything that an answer brings.
pub async fn collect(answer: &mut Answer) -> (Vec<Event>, Option<LlmError>) {
    let mut events = Vec::new();
    while let Some(event) = answer.next().await {
        match event {
            Ok(event) => events.push(event),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

fn upstream(openai: &OpenAi, dialect: Dialect) -> Upstream {
    Upstream::new(&model(&openai.url(), dialect)).expect("an upstream")
}

fn add_task() -> Tool {
    Tool {
        name: "add_task".to_owned(),
        description: "Adds a task".to_owned(),
        parameters: json!({"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"],
            "additionalProperties": false})
        .to_string(),
        strict: true,
    }
}

fn text(events: &[Event]) -> String {
    events.iter().filter_map(|event| if let Event::Text(text) = event { Some(&**text) } else { None }).collect()
}

async fn whole(upstream: &Upstream, request: &Request) -> (Vec<Event>, Completion) {
    let mut answer = upstream.open(request).await.expect("an answer");
    let (mut events, error) = collect(&mut answer).await;
    assert_eq!(error, None);
    let Some(Event::Done(done)) = events.pop() else { panic!("no end: {events:?}") };
    assert_eq!(answer.usage(), done.usage);
    assert!(answer.next().await.is_none() && answer.try_next().is_none(), "nothing follows");
    (events, done)
}

#[tokio::test]
async fn a_text_is_streamed_and_whole_at_the_end() {
    for dialect in [Dialect::Chat, Dialect::Responses] {
        let openai = OpenAi::start(vec![Turn::text("There is milk left.").usage(12, 5)]).await;
        let (events, done) = whole(&upstream(&openai, dialect), &ask("what is left?")).await;
        assert_eq!(events.len(), 4, "{events:?}");
        assert_eq!(text(&events), "There is milk left.");
        assert_eq!(done.turn, Said { text: Some("There is milk left.".to_owned()), ..Said::default() });
        assert_eq!((done.finish, done.model.as_str()), (Finish::Stop, "default"));
        assert_eq!(done.usage, Usage { input: 12, output: 5, ..Usage::default() });
        assert_eq!(done.request_id.as_deref(), Some("req_1"));
        openai.finish();
    }
}

#[tokio::test]
async fn parallel_calls_come_in_fragments_and_are_answered() {
    for dialect in [Dialect::Chat, Dialect::Responses] {
        let openai = OpenAi::start(vec![
            Turn::calls([("add_task", json!({"title": "milk"})), ("add_task", json!({"title": "Brötchen 🥐"}))]),
            Turn::text("Added both."),
        ])
        .await;
        let upstream = upstream(&openai, dialect);
        let request = Request { tools: vec![add_task()], ..ask("add milk and Brötchen") };
        let (events, done) = whole(&upstream, &request).await;
        let calls = &done.turn.tool_calls;
        assert_eq!((calls.len(), done.finish), (2, Finish::ToolCalls));
        assert_eq!(calls[1].arguments, r#"{"title":"Brötchen 🥐"}"#);
        assert!(calls.iter().all(|call| call.arguments_valid && call.name == "add_task"));
        assert_ne!(calls[0].id, calls[1].id);
        for (index, call) in (0..).zip(calls) {
            let fragments = events.iter().filter_map(|event| match event {
                Event::CallDelta { index: of, fragment } if *of == index => Some(&**fragment),
                _ => None,
            });
            assert_eq!(fragments.collect::<String>(), call.arguments);
            assert!(events.contains(&Event::CallStart { index, id: call.id.clone(), name: call.name.clone() }));
            assert!(events.contains(&Event::CallDone(call.clone())));
        }
        let mut messages = request.messages.clone();
        messages.push(Message::Assistant(done.turn.clone()));
        messages.extend(calls.iter().map(|call| Message::Tool { call_id: call.id.clone(), content: "{}".to_owned() }));
        let (_, done) = whole(&upstream, &Request { messages, ..request }).await;
        assert_eq!(done.turn.text.as_deref(), Some("Added both."));
        openai.finish();
    }
}

/// Everything that a request can have.
fn everything() -> Request {
    let call = |id: &str, arguments: &str| ToolCall {
        id: id.to_owned(),
        name: "add_task".to_owned(),
        arguments: arguments.to_owned(),
        arguments_valid: true,
    };
    let image = Part::Image { mime_type: "image/png".to_owned(), data: vec![0x89, 0x50, 0x4e, 0x47] };
    let loose = Tool { parameters: json!({"type": "object"}).to_string(), name: "list".to_owned(), ..add_task() };
    let schema = json!({"type": "object", "properties": {"z": {"type": "null"}, "a": {"type": "null"}},
        "required": ["z", "a"], "additionalProperties": false});
    Request {
        messages: vec![
            Message::System("You keep a list.".to_owned()),
            Message::User(vec![Part::Text("add this".to_owned()), image]),
            Message::Assistant(Said {
                tool_calls: vec![call("a", r#"{"title":"x"}"#), call("b", "{\"title\":")],
                ..Said::default()
            }),
            Message::Tool { call_id: "b".to_owned(), content: "the arguments are not JSON".to_owned() },
            Message::Tool { call_id: "a".to_owned(), content: "{}".to_owned() },
            Message::Assistant(Said { refusal: Some("I cannot".to_owned()), ..Said::default() }),
            Message::Assistant(Said::default()),
            Message::User(vec![Part::Text("try \u{0} again".to_owned())]),
        ],
        tools: vec![add_task(), loose],
        tool_choice: ToolChoice::Named("add_task".to_owned()),
        parallel_tool_calls: Some(false),
        max_output_tokens: Some(77),
        temperature: Some(0.7),
        effort: Some(Effort::Low),
        format: Format::JsonSchema { name: "answer".to_owned(), schema: schema.to_string(), strict: true },
        stop: vec!["END".to_owned()],
        ..ask("")
    }
}

async fn sent(dialect: Dialect, quirks: Quirks, request: &Request) -> Value {
    let openai = OpenAi::start(vec![Turn::text("{}")]).await;
    let upstream = Upstream::new(&LlmModel { quirks, ..model(&openai.url(), dialect) }).expect("an upstream");
    whole(&upstream, request).await;
    let sent = openai.last();
    openai.finish();
    sent
}

const ALL: Quirks = Quirks {
    max_completion_tokens: true,
    tool_choice: true,
    parallel_tool_calls: true,
    strict: true,
    usage: true,
    developer_role: true,
    temperature: true,
    effort: true,
    images: true,
};
const NONE: Quirks = Quirks {
    max_completion_tokens: false,
    tool_choice: false,
    parallel_tool_calls: false,
    strict: false,
    usage: false,
    developer_role: false,
    temperature: false,
    effort: false,
    images: false,
};

#[tokio::test]
async fn quirks_decide_what_a_chat_request_has() {
    let all = sent(Dialect::Chat, ALL, &everything()).await;
    assert_eq!(all["model"], "gpt-test");
    assert_eq!((&all["max_completion_tokens"], &all["max_tokens"]), (&json!(77), &Value::Null));
    assert_eq!(all["stream_options"], json!({"include_usage": true}));
    assert_eq!(all["tool_choice"], json!({"type": "function", "function": {"name": "add_task"}}));
    assert_eq!(all["parallel_tool_calls"], false);
    assert_eq!(
        (&all["temperature"], &all["reasoning_effort"], &all["stop"]),
        (&json!(0.7), &json!("low"), &json!(["END"]))
    );
    assert_eq!(
        (&all["tools"][0]["function"]["strict"], &all["tools"][1]["function"]["strict"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(all["response_format"]["json_schema"]["strict"], true);
    let messages = &all["messages"];
    assert_eq!(messages[0], json!({"role": "developer", "content": "You keep a list."}));
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}});
    assert_eq!(messages[1]["content"], json!([{"type": "text", "text": "add this"}, image]));
    assert_eq!(messages[2]["tool_calls"][0]["function"]["arguments"], r#"{"title":"x"}"#);
    assert_eq!(messages[2]["tool_calls"][1]["function"]["arguments"], "{}", "no server is told what is no JSON");
    assert_eq!(
        (&messages[2]["content"], &messages[5]["content"], &messages[6]["content"]),
        (&Value::Null, &json!("I cannot"), &json!(""))
    );

    let none = sent(Dialect::Chat, NONE, &everything()).await;
    let mut keys: Vec<&str> = none.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["max_tokens", "messages", "model", "response_format", "stop", "stream", "tools"]);
    assert_eq!(
        (&none["messages"][0]["role"], &none["tools"][0]["function"]["strict"]),
        (&json!("system"), &Value::Null)
    );

    let mute = Request { tool_choice: ToolChoice::None, ..everything() };
    assert_eq!(sent(Dialect::Chat, ALL, &mute).await["tool_choice"], "none");
    assert_eq!(sent(Dialect::Chat, NONE, &mute).await["tools"], Value::Null, "who cannot be told not to call");
    let plain = sent(Dialect::Chat, ALL, &ask("hello")).await;
    assert_eq!((&plain["tool_choice"], &plain["tools"], &plain["stop"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!(plain["messages"], json!([{"role": "user", "content": "hello"}]));
}

#[tokio::test]
async fn quirks_decide_what_a_responses_request_has() {
    let all = sent(Dialect::Responses, ALL, &everything()).await;
    assert_eq!((&all["store"], &all["include"]), (&json!(false), &json!(["reasoning.encrypted_content"])));
    assert_eq!((&all["max_output_tokens"], &all["reasoning"]), (&json!(77), &json!({"effort": "low"})));
    assert_eq!(all["tool_choice"], json!({"type": "function", "name": "add_task"}));
    assert_eq!((&all["tools"][0]["strict"], &all["tools"][1]["strict"]), (&json!(true), &json!(false)));
    assert_eq!(
        (&all["text"]["format"]["type"], &all["text"]["format"]["strict"]),
        (&json!("json_schema"), &json!(true))
    );
    let input = all["input"].as_array().expect("a list");
    assert_eq!(input[0], json!({"role": "developer", "content": "You keep a list."}));
    assert_eq!(
        input[1]["content"][1],
        json!({"type": "input_image", "image_url": "data:image/png;base64,iVBORw==", "detail": "auto"})
    );
    assert_eq!(input[3], json!({"type": "function_call", "call_id": "b", "name": "add_task", "arguments": "{}"}));
    assert_eq!(input[4]["type"], "function_call_output");

    let none = sent(Dialect::Responses, NONE, &everything()).await;
    let mut keys: Vec<&str> = none.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["input", "max_output_tokens", "model", "store", "stream", "text", "tools"]);
    assert_eq!(none["tools"][0]["strict"], false);
}

#[tokio::test]
async fn a_schema_that_is_no_json_goes_nowhere() {
    let bad = Tool { parameters: "{".to_owned(), ..add_task() };
    let openai = OpenAi::start(Vec::new()).await;
    for dialect in [Dialect::Chat, Dialect::Responses] {
        let request = Request { tools: vec![bad.clone()], ..ask("hello") };
        let error = upstream(&openai, dialect).open(&request).await.err().expect("refused");
        assert_eq!(error, LlmError::Invalid("the schema of `add_task` is not JSON".to_owned()));
    }
}

#[tokio::test]
async fn a_thought_comes_back_with_its_turn() {
    let openai = OpenAi::start(vec![
        Turn::text("I will add it.").and_calls([("add_task", json!({"title": "milk"}))]).thinking("gAAAAencrypted"),
        Turn::text("Added."),
        Turn::text("Added."),
    ])
    .await;
    let upstream = Upstream::new(&LlmModel { quirks: ALL, ..model(&openai.url(), Dialect::Responses) }).expect("one");
    let request = Request { tools: vec![add_task()], ..ask("add milk") };
    let (_, done) = whole(&upstream, &request).await;
    let mut next = request.clone();
    next.messages.push(Message::Assistant(done.turn.clone()));
    next.messages.push(Message::Tool { call_id: done.turn.tool_calls[0].id.clone(), content: "{}".to_owned() });
    whole(&upstream, &next).await;
    let input = openai.last()["input"].clone();
    let thought = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAencrypted"});
    assert_eq!(input[1], thought);
    assert_eq!(input[2], json!({"role": "assistant", "content": "I will add it."}));
    assert_eq!((&input[3]["type"], &input[4]["type"]), (&json!("function_call"), &json!("function_call_output")));

    let hostile = [json!([{"type": "item_reference", "id": "rs_1"}]), json!({"role": "system"}), json!("x")];
    for continuation in hostile {
        let turn = Said { continuation: Some(continuation.to_string().into_bytes()), ..done.turn.clone() };
        let mut next = next.clone();
        next.messages[1] = Message::Assistant(turn);
        let error = upstream.open(&next).await.err().expect("refused");
        assert!(matches!(error, LlmError::Invalid(_)), "{error:?}");
    }
    next.messages[1] = Message::Assistant(Said { continuation: None, ..done.turn });
    whole(&upstream, &next).await;
    assert_eq!(openai.last()["input"].as_array().expect("a list").len(), 4, "a turn without it is a turn");
    openai.finish();
}

#[tokio::test]
async fn refusals_errors_and_ends_are_told() {
    for dialect in [Dialect::Chat, Dialect::Responses] {
        let openai = OpenAi::start(vec![
            Turn::refusal("I cannot"),
            Turn::text("too lo").finish("length").without_usage(),
            Turn::error(401, "invalid_api_key", "no").header("x-request-id", "req_401"),
            Turn::text("one two").cut_after(3),
            Turn::text("one two three").hang_after(4),
        ])
        .await;
        let upstream = upstream(&openai, dialect);
        let (events, done) = whole(&upstream, &ask("x")).await;
        assert_eq!(
            (events, done.turn.refusal.as_deref()),
            (vec![Event::Refusal("I cannot".to_owned())], Some("I cannot"))
        );
        let (_, done) = whole(&upstream, &ask("x")).await;
        assert_eq!((done.finish, done.usage.estimated), (Finish::Length, true));
        assert_eq!(done.usage.input, estimate_input(&ask("x")));
        let LlmError::Upstream { status, code, retryable, request_id } =
            upstream.open(&ask("x")).await.err().expect("refused")
        else {
            panic!()
        };
        assert_eq!((status, code, retryable), (401, Some("invalid_api_key"), false));
        assert!(request_id.is_some());
        let mut answer = upstream.open(&ask("x")).await.expect("an answer");
        let (_, error) = collect(&mut answer).await;
        assert!(matches!(error, Some(LlmError::Interrupted { .. })), "{error:?}");
        let mut answer = upstream.open(&ask("x")).await.expect("an answer");
        assert_eq!(collect(&mut answer).await.1, Some(LlmError::TimedOut(Wait::Idle)));
        assert!(answer.usage().estimated);
        openai.finish();
    }
}

#[tokio::test]
async fn a_server_that_asks_for_no_key_gets_none() {
    let server = crate::harness::RawModel::start(vec![]).await;
    let mut keyless = model(&server.url(), Dialect::Chat);
    keyless.key = None;
    keyless.timeouts.first_event = Duration::from_millis(300);
    let _ = Upstream::new(&keyless).expect("an upstream").open(&ask("hello")).await;
    let [request] = &server.requests()[..] else { panic!("{:?}", server.requests()) };
    assert!(!request.to_ascii_lowercase().contains("authorization"), "{request}");
}

#[test]
fn a_key_that_is_none_is_refused_before_it_is_sent() {
    let with = |key: &str| {
        Upstream::new(&LlmModel { key: Some(key.to_owned().into()), ..model("http://127.0.0.1:1", Dialect::Chat) })
    };
    assert!(with(&format!(" {KEY}\r\n")).is_ok(), "as files end");
    for key in ["sk a", "sk\na", "sk\u{7f}", "schlüssel"] {
        let Err(error @ UpstreamError::Key(_)) = with(key) else { panic!("{key:?}") };
        assert!(!format!("{error} {error:?}").contains(key));
    }
}

/// What the broker's host needs: answers are held across waits, and sent between threads.
#[test]
fn answers_go_from_thread_to_thread() {
    fn sendable<T: Send>(_: &T) {}
    fn shareable<T: Send + Sync>() {}
    shareable::<Upstream>();
    let upstream = Upstream::new(&model("http://127.0.0.1:1", Dialect::Chat)).expect("an upstream");
    sendable(&upstream.open(&ask("hello")));
    sendable(&async {
        let mut answer = upstream.open(&ask("hello")).await.ok()?;
        answer.next().await
    });
}
