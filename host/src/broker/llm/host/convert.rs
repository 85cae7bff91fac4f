//! Between the interface's words and the broker's, field by field.

use std::time::Duration;

use crate::bindings::imports::innkeeper::backend::llm as wit;
use crate::broker::llm::{
    Allowance, Completion, Effort, Event, Finish, Format, LimitInfo, LlmError, Message, Part, Request, Scope, Tool,
    ToolCall, ToolChoice, Turn, Unit, Usage, Wait,
};
use crate::config::LlmModel;

impl From<wit::Request> for Request {
    fn from(request: wit::Request) -> Self {
        let wit::Request {
            model,
            messages,
            tools,
            tool_choice,
            parallel_tool_calls,
            max_output_tokens,
            temperature,
            effort,
            format,
            stop,
        } = request;
        Self {
            model,
            messages: messages.into_iter().map(Message::from).collect(),
            tools: tools.into_iter().map(Tool::from).collect(),
            tool_choice: match tool_choice {
                wit::ToolChoice::Auto => ToolChoice::Auto,
                wit::ToolChoice::None => ToolChoice::None,
                wit::ToolChoice::Required => ToolChoice::Required,
                wit::ToolChoice::Named(name) => ToolChoice::Named(name),
            },
            parallel_tool_calls,
            max_output_tokens,
            temperature,
            effort: effort.map(Effort::from),
            format: match format {
                wit::Format::Text => Format::Text,
                wit::Format::JsonObject => Format::JsonObject,
                wit::Format::JsonSchema(wit::AnswerSchema { name, schema, strict }) => {
                    Format::JsonSchema { name, schema, strict }
                }
            },
            stop,
        }
    }
}

impl From<wit::Message> for Message {
    fn from(message: wit::Message) -> Self {
        match message {
            wit::Message::System(text) => Self::System(text),
            wit::Message::User(parts) => Self::User(parts.into_iter().map(Part::from).collect()),
            wit::Message::Assistant(turn) => Self::Assistant(turn.into()),
            wit::Message::Tool(wit::ToolResult { call_id, content }) => Self::Tool { call_id, content },
        }
    }
}

impl From<wit::Part> for Part {
    fn from(part: wit::Part) -> Self {
        match part {
            wit::Part::Text(text) => Self::Text(text),
            wit::Part::Image(wit::Image { mime_type, data }) => Self::Image { mime_type, data },
        }
    }
}

impl From<wit::AssistantTurn> for Turn {
    fn from(turn: wit::AssistantTurn) -> Self {
        let wit::AssistantTurn { text, refusal, tool_calls, continuation } = turn;
        Self { text, refusal, tool_calls: tool_calls.into_iter().map(ToolCall::from).collect(), continuation }
    }
}

impl From<Turn> for wit::AssistantTurn {
    fn from(turn: Turn) -> Self {
        let Turn { text, refusal, tool_calls, continuation } = turn;
        Self { text, refusal, tool_calls: tool_calls.into_iter().map(wit::ToolCall::from).collect(), continuation }
    }
}

impl From<wit::ToolCall> for ToolCall {
    fn from(call: wit::ToolCall) -> Self {
        let wit::ToolCall { id, name, arguments, arguments_valid } = call;
        Self { id, name, arguments, arguments_valid }
    }
}

impl From<ToolCall> for wit::ToolCall {
    fn from(call: ToolCall) -> Self {
        let ToolCall { id, name, arguments, arguments_valid } = call;
        Self { id, name, arguments, arguments_valid }
    }
}

impl From<wit::Tool> for Tool {
    fn from(tool: wit::Tool) -> Self {
        let wit::Tool { name, description, parameters, strict } = tool;
        Self { name, description, parameters, strict }
    }
}

impl From<wit::Effort> for Effort {
    fn from(effort: wit::Effort) -> Self {
        match effort {
            wit::Effort::None => Self::None,
            wit::Effort::Minimal => Self::Minimal,
            wit::Effort::Low => Self::Low,
            wit::Effort::Medium => Self::Medium,
            wit::Effort::High => Self::High,
        }
    }
}

impl From<Usage> for wit::Usage {
    fn from(usage: Usage) -> Self {
        let Usage { input, cached_input, output, reasoning, estimated } = usage;
        Self { input, cached_input, output, reasoning, estimated }
    }
}

impl From<Completion> for wit::Completion {
    fn from(completion: Completion) -> Self {
        let Completion { turn, finish, usage, model, request_id } = completion;
        let finish = match finish {
            Finish::Stop => wit::Finish::Stop,
            Finish::Length => wit::Finish::Length,
            Finish::ToolCalls => wit::Finish::ToolCalls,
            Finish::ContentFilter => wit::Finish::ContentFilter,
            Finish::Other => wit::Finish::Other,
        };
        Self { turn: turn.into(), finish, usage: usage.into(), model, request_id }
    }
}

impl From<Event> for wit::Event {
    fn from(event: Event) -> Self {
        match event {
            Event::Text(text) => Self::TextDelta(text),
            Event::Refusal(text) => Self::RefusalDelta(text),
            Event::Reasoning(text) => Self::ReasoningDelta(text),
            Event::CallStart { index, id, name } => Self::ToolCallStart(wit::ToolCallStart { index, id, name }),
            Event::CallDelta { index, fragment } => Self::ToolCallDelta(wit::ToolCallDelta { index, fragment }),
            Event::CallDone(call) => Self::ToolCallDone(call.into()),
            Event::Done(completion) => Self::Done(completion.into()),
        }
    }
}

impl From<&LlmModel> for wit::ModelInfo {
    fn from(model: &LlmModel) -> Self {
        Self {
            alias: model.alias.clone(),
            tools: true,
            images: model.quirks.images,
            json_schema: model.quirks.strict,
            reasoning: model.quirks.effort,
            max_output_tokens: model.max_output_tokens,
        }
    }
}

impl From<Allowance> for wit::Allowance {
    fn from(allowance: Allowance) -> Self {
        let Allowance { scope, unit, limit, used, resets_in } = allowance;
        Self { scope: scope.into(), unit: unit.into(), limit, used, resets_in_ms: millis(resets_in) }
    }
}

impl From<Scope> for wit::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Run => Self::Run,
            Scope::Caller => Self::Caller,
            Scope::Module => Self::Module,
            Scope::Host => Self::Host,
            Scope::Upstream => Self::Upstream,
        }
    }
}

impl From<Unit> for wit::Unit {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Requests => Self::Requests,
            Unit::InputTokens => Self::InputTokens,
            Unit::OutputTokens => Self::OutputTokens,
            Unit::Concurrency => Self::Concurrency,
            Unit::Time => Self::Time,
        }
    }
}

impl From<LimitInfo> for wit::LimitInfo {
    fn from(limit: LimitInfo) -> Self {
        let LimitInfo { scope, unit, retry_after, detail } = limit;
        Self { scope: scope.into(), unit: unit.into(), retry_after_ms: retry_after.map(millis), detail }
    }
}

impl From<LlmError> for wit::Error {
    fn from(error: LlmError) -> Self {
        match error {
            LlmError::NotConfigured(what) => Self::NotConfigured(what),
            LlmError::Invalid(what) => Self::InvalidRequest(what),
            LlmError::ModelNotAllowed(alias) => Self::ModelNotAllowed(alias),
            LlmError::FeatureNotAllowed(what) => Self::FeatureNotAllowed(what),
            LlmError::BudgetExceeded(limit) => Self::BudgetExceeded(limit.into()),
            LlmError::RateLimited(limit) => Self::RateLimited(limit.into()),
            LlmError::ContextTooLong => Self::ContextTooLong,
            LlmError::ContentFiltered => Self::ContentFiltered,
            LlmError::TimedOut(wait) => Self::TimedOut(match wait {
                Wait::Connect => wit::Wait::Connect,
                Wait::FirstEvent => wit::Wait::FirstEvent,
                Wait::Idle => wit::Wait::Idle,
                Wait::Total => wit::Wait::Total,
            }),
            LlmError::Interrupted { partial, usage } => {
                Self::Interrupted(wit::Interruption { partial, usage: usage.into() })
            }
            LlmError::Upstream { status, code, retryable, request_id } => {
                let code = code.map(str::to_owned);
                Self::Upstream(wit::UpstreamError { status, code, retryable, request_id })
            }
            LlmError::Unavailable => Self::Unavailable,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
