//! What is asked and what is answered, whatever the wire looks like.

/// A request of a guest, converted and not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The alias, when the guest named one.
    pub model: Option<String>,
    /// The conversation.
    pub messages: Vec<Message>,
    /// What the model may ask for.
    pub tools: Vec<Tool>,
    /// Whether it does.
    pub tool_choice: ToolChoice,
    /// Several calls in one turn; none: the model's own habit.
    pub parallel_tool_calls: Option<bool>,
    /// Lowered to the alias's limit by `policy`; always there behind it.
    pub max_output_tokens: Option<u32>,
    /// From 0 to 2.
    pub temperature: Option<f32>,
    /// How long a reasoning model thinks.
    pub effort: Option<Effort>,
    /// The form of the answer's text.
    pub format: Format,
    /// Texts that end the answer.
    pub stop: Vec<String>,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// From the guest's author.
    System(String),
    /// From the caller.
    User(Vec<Part>),
    /// From the model.
    Assistant(Turn),
    /// The answer to a call.
    Tool {
        /// Which call.
        call_id: String,
        /// What the model reads.
        content: String,
    },
}

/// One part of what a user says.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text.
    Text(String),
    /// An image, inline.
    Image {
        /// `image/png` and the like.
        mime_type: String,
        /// Its bytes.
        data: Vec<u8>,
    },
}

/// What the model said in one turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Its text.
    pub text: Option<String>,
    /// Its refusal.
    pub refusal: Option<String>,
    /// What it wants to be called.
    pub tool_calls: Vec<ToolCall>,
    /// What it wants to be told again: a JSON array of reasoning items of the
    /// Responses interface. A guest may send anything here, so it is rebuilt from
    /// the fields that such items have before it goes out.
    pub continuation: Option<Vec<u8>>,
}

/// A call that the model asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// Unique in its turn.
    pub id: String,
    /// The tool.
    pub name: String,
    /// As the model wrote them; empty ones became `{}`.
    pub arguments: String,
    /// They are a JSON object.
    pub arguments_valid: bool,
}

/// A function that the model may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// `[A-Za-z0-9_-]{1,64}`.
    pub name: String,
    /// For the model.
    pub description: String,
    /// A JSON Schema, as text.
    pub parameters: String,
    /// Arguments have to fit exactly.
    pub strict: bool,
}

/// Whether the model calls tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// Not at all.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// How long a reasoning model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as it can.
    Minimal,
    /// A little.
    Low,
    /// As usual.
    Medium,
    /// Long.
    High,
}

/// The form of the answer's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Any text.
    Text,
    /// Some JSON object.
    JsonObject,
    /// What fits a schema.
    JsonSchema {
        /// `[A-Za-z0-9_-]{1,64}`.
        name: String,
        /// A JSON Schema, as text.
        schema: String,
        /// It has to fit exactly.
        strict: bool,
    },
}

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens that were sent.
    pub input: u64,
    /// Those of them that the upstream had at hand.
    pub cached_input: u64,
    /// Tokens that came back.
    pub output: u64,
    /// Those of them that were thought and not said.
    pub reasoning: u64,
    /// The upstream did not say, and this is the host's guess.
    pub estimated: bool,
}

/// Why the model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It was done.
    Stop,
    /// It met the limit of tokens.
    Length,
    /// It waits for answers to its calls.
    ToolCalls,
    /// Its provider cut it for what it said.
    ContentFilter,
    /// The upstream's word is unknown, or it gave none.
    Other,
}

impl Finish {
    /// OpenAI's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Other => "other",
        }
    }
}

/// A whole turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What was said.
    pub turn: Turn,
    /// Why no more.
    pub finish: Finish,
    /// What it took.
    pub usage: Usage,
    /// The alias.
    pub model: String,
    /// The upstream's id of the request.
    pub request_id: Option<String>,
}

/// A piece of an answer. `Done` is the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// More of the text.
    Text(String),
    /// More of the refusal.
    Refusal(String),
    /// More of what may be seen of the thinking.
    Reasoning(String),
    /// A call has begun.
    CallStart {
        /// Its place in the turn.
        index: u32,
        /// Its id.
        id: String,
        /// The tool.
        name: String,
    },
    /// More of a call's arguments.
    CallDelta {
        /// Which call.
        index: u32,
        /// What comes next.
        fragment: String,
    },
    /// A call is complete.
    CallDone(ToolCall),
    /// The turn is.
    Done(Completion),
}
