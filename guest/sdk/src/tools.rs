//! Tools: what models, clients of the Model Context Protocol and REST clients can
//! ask this module to do.
//!
//! A tool is a function and the struct that it takes. The JSON Schema comes from
//! the struct, arguments are checked against it before the function runs, and
//! what the function gives is JSON, with a schema of its own:
//!
//! ```ignore
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Greet {
//!     /// Whom.
//!     name: String,
//! }
//!
//! #[derive(Serialize, JsonSchema)]
//! struct Greeting {
//!     greeting: String,
//! }
//!
//! const GREET: Tool = tool!("greet", "Say hello to somebody.", greet).read_only();
//!
//! fn greet(_: &Context, Greet { name }: Greet) -> Result<Greeting, Failure> {
//!     Ok(Greeting { greeting: format!("Hello, {name}!") })
//! }
//!
//! tools! { [GREET] }
//! ```
//!
//! What a tool needs to know of the user, it asks for ([`Context::ask`]).

mod export;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::llm;
use crate::shape;

pub use crate::context::{Context, Failure, Question};

#[doc(hidden)]
pub use export::{CallContext, Called, Guest, Listed, Resumption, bindings, call, list};

/// One tool. Make it with [`tool!`](crate::tool).
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// `[a-zA-Z0-9_-]`, at most 64 characters.
    pub name: &'static str,
    /// For people.
    pub title: Option<&'static str>,
    /// For people and models.
    pub description: &'static str,
    /// Whether it leaves everything as it is.
    pub is_read_only: bool,
    /// Whether it may take something away.
    pub is_destructive: bool,
    /// Whether doing it twice is doing it once.
    pub is_idempotent: bool,
    /// Whether it reaches what nobody here controls, such as the web.
    pub is_open_world: bool,
    /// OAuth scopes without which the host does not let a caller in.
    pub scopes: &'static [&'static str],
    schema: fn() -> Value,
    output_schema: fn() -> Option<Value>,
    run: fn(&Context, Value) -> Outcome,
}

/// What a tool gives.
pub type Outcome = Result<Output, Failure>;

/// A result: one JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The object as text.
    pub json: String,
}

impl Output {
    /// A result out of what serialises to an object.
    ///
    /// # Errors
    /// When it does not serialise, which is a mistake of the guest.
    pub fn json(value: &impl Serialize) -> Outcome {
        serde_json::to_string(value).map(|json| Self { json }).map_err(Failure::broken)
    }
}

/// What the function of a tool can give: a struct, whose JSON Schema clients are
/// told, or an [`Output`], of which they are told nothing.
pub trait Gives {
    /// The JSON Schema, where there is one.
    fn schema() -> Option<Value>;

    /// The result.
    ///
    /// # Errors
    /// When it does not serialise.
    fn output(self) -> Outcome;
}

impl Gives for Output {
    fn schema() -> Option<Value> {
        None
    }

    fn output(self) -> Outcome {
        Ok(self)
    }
}

impl<T: Serialize + JsonSchema> Gives for T {
    fn schema() -> Option<Value> {
        Some(shape::result::<T>())
    }

    fn output(self) -> Outcome {
        Output::json(&self)
    }
}

/// A [`Tool`](crate::tools::Tool): `tool!("name", "description", function)`.
#[macro_export]
macro_rules! tool {
    ($name:literal, $description:expr, $run:path) => {
        $crate::tools::Tool::new(
            $name,
            $description,
            || $crate::tools::schema_of($run),
            || $crate::tools::output_schema_of($run),
            |context, arguments| $crate::tools::run($run, context, arguments),
        )
    };
}

impl Tool {
    #[doc(hidden)]
    pub const fn new(
        name: &'static str,
        description: &'static str,
        schema: fn() -> Value,
        output_schema: fn() -> Option<Value>,
        run: fn(&Context, Value) -> Outcome,
    ) -> Self {
        Self {
            name,
            title: None,
            description,
            is_read_only: false,
            is_destructive: false,
            is_idempotent: false,
            is_open_world: false,
            scopes: &[],
            schema,
            output_schema,
            run,
        }
    }

    /// A name for people.
    #[must_use]
    pub const fn title(self, title: &'static str) -> Self {
        Self { title: Some(title), ..self }
    }

    /// It leaves everything as it is.
    #[must_use]
    pub const fn read_only(self) -> Self {
        Self { is_read_only: true, is_idempotent: true, ..self }
    }

    /// It may take something away.
    #[must_use]
    pub const fn destructive(self) -> Self {
        Self { is_destructive: true, ..self }
    }

    /// Doing it twice is doing it once.
    #[must_use]
    pub const fn idempotent(self) -> Self {
        Self { is_idempotent: true, ..self }
    }

    /// It reaches what nobody here controls.
    #[must_use]
    pub const fn open_world(self) -> Self {
        Self { is_open_world: true, ..self }
    }

    /// Callers need these OAuth scopes; the host checks them.
    #[must_use]
    pub const fn scopes(self, scopes: &'static [&'static str]) -> Self {
        Self { scopes, ..self }
    }

    /// The JSON Schema of its arguments.
    pub fn schema(&self) -> Value {
        (self.schema)()
    }

    /// The JSON Schema of what it gives, when its function gives a type of its own.
    pub fn output_schema(&self) -> Option<Value> {
        (self.output_schema)()
    }

    /// The tool as a model is told of it. Its schema is a strict one: every
    /// property is required, and those that may be left out may be `null`.
    pub fn for_model(&self) -> llm::Tool {
        let mut schema = self.schema();
        if let Some(properties) = schema["properties"].as_object() {
            schema["required"] = properties.keys().cloned().map(Value::String).collect();
        }
        let (name, description) = (self.name.to_owned(), self.description.to_owned());
        llm::Tool { name, description, parameters: schema.to_string(), strict: true }
    }

    /// Checks the arguments, and runs the tool.
    ///
    /// # Errors
    /// Why there is no result.
    pub fn call(&self, context: &Context, arguments: Map<String, Value>) -> Outcome {
        (self.run)(context, Value::Object(arguments))
    }
}

#[doc(hidden)]
pub fn schema_of<A: JsonSchema, G>(_: fn(&Context, A) -> Result<G, Failure>) -> Value {
    shape::arguments::<A>()
}

#[doc(hidden)]
pub fn output_schema_of<A, G: Gives>(_: fn(&Context, A) -> Result<G, Failure>) -> Option<Value> {
    G::schema()
}

#[doc(hidden)]
pub fn run<A: DeserializeOwned, G: Gives>(
    run: fn(&Context, A) -> Result<G, Failure>,
    context: &Context,
    arguments: Value,
) -> Outcome {
    let arguments = serde_json::from_value(arguments);
    let arguments = arguments.map_err(|error| Failure::Refused(format!("The arguments do not fit: {error}.")))?;
    run(context, arguments)?.output()
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Loudness {
        Soft,
        Loud,
    }

    /// Not for models.
    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Greet {
        /// Whom.
        name: String,
        /// How.
        loudness: Option<Loudness>,
        /// How often.
        times: i64,
    }

    const GREET: Tool = tool!("greet", "Say hello.", greet).read_only();

    fn greet(_: &Context, Greet { name, loudness, times }: Greet) -> Outcome {
        Output::json(&json!({ "name": name, "loud": loudness == Some(Loudness::Loud), "times": times }))
    }

    fn call(arguments: Value) -> Result<String, String> {
        let context = Context::default();
        let Value::Object(arguments) = arguments else { panic!("{arguments} is no object") };
        match GREET.call(&context, arguments) {
            Ok(output) => Ok(output.json),
            Err(Failure::Refused(why)) => Err(why),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_schema_says_what_the_struct_takes() {
        assert_eq!(
            GREET.schema(),
            json!({
                "type": "object",
                "properties": {
                    "name": { "type": "string", "description": "Whom." },
                    "loudness": { "type": ["string", "null"], "enum": ["soft", "loud", null], "description": "How." },
                    "times": { "type": "integer", "description": "How often." },
                },
                "required": ["name", "times"],
                "additionalProperties": false,
            }),
        );
    }

    #[derive(Serialize, JsonSchema)]
    struct Greeting {
        /// What to say.
        text: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }

    #[test]
    fn a_struct_that_is_given_has_a_schema_and_an_output_has_none() {
        fn say(_: &Context, Greet { name, .. }: Greet) -> Result<Greeting, Failure> {
            Ok(Greeting { text: format!("Hello, {name}!"), note: None })
        }
        let say = tool!("say", "Say hello.", say);
        let properties = json!({
            "text": { "type": "string", "description": "What to say." },
            "note": { "type": ["string", "null"] },
        });
        assert_eq!(
            say.output_schema(),
            Some(json!({ "type": "object", "properties": properties, "required": ["text"] })),
        );
        let arguments = json!({ "name": "Ada", "times": 1 }).as_object().expect("an object").clone();
        let output = say.call(&Context::default(), arguments).expect("a result");
        assert_eq!(output.json, r#"{"text":"Hello, Ada!"}"#);
        assert_eq!(GREET.output_schema(), None);
    }

    #[test]
    fn a_model_gets_a_strict_schema() {
        let tool = GREET.for_model();
        let schema: Value = serde_json::from_str(&tool.parameters).expect("JSON");
        let mut required: Vec<&str> =
            schema["required"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        required.sort_unstable();
        assert_eq!((required, tool.strict), (vec!["loudness", "name", "times"], true));
    }

    #[test]
    fn arguments_are_checked_before_the_function_runs() {
        let once = Ok(r#"{"loud":false,"name":"Ada","times":1}"#.to_owned());
        assert_eq!(call(json!({ "name": "Ada", "times": 1 })), once);
        assert_eq!(call(json!({ "name": "Ada", "times": 1, "loudness": null })), once);
        for (wrong, why) in [
            (json!({ "times": 1 }), "missing field `name`"),
            (json!({ "name": "Ada", "times": "1" }), "invalid type: string \"1\", expected i64"),
            (
                json!({ "name": "Ada", "times": 1, "age": 5 }),
                "unknown field `age`, expected one of `name`, `loudness`, `times`",
            ),
            (
                json!({ "name": "Ada", "times": 1, "loudness": "none" }),
                "unknown variant `none`, expected `soft` or `loud`",
            ),
        ] {
            assert_eq!(call(wrong), Err(format!("The arguments do not fit: {why}.")));
        }
    }
}
