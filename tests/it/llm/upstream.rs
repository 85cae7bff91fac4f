//! The broker's wire, against a server that speaks as OpenAI does.

use std::time::{Duration, Instant};

use innkeeper::broker::llm::upstream::{Answer, Upstream};
use innkeeper::broker::llm::{
    Effort, Event, Finish, Format, LlmError, Message, Part, Request, Scope, Tool, ToolCall, ToolChoice, Turn as Said,
    Usage, Wait,
};
use innkeeper::config::{Dialect, LlmModel, LlmTimeouts, Quirks};
use serde_json::json;

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

async fn whole(upstream: &Upstream, request: &Request) -> (Vec<Event>, innkeeper::broker::llm::Completion) {
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
