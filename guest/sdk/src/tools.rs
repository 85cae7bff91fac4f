//! Tools: what models, clients of the Model Context Protocol and REST clients can
//! ask this module to do.
//!
//! A tool is a function and the struct that it takes. The JSON Schema comes from
//! the struct, arguments are checked against it before the function runs, and
//! what the function gives is JSON:
//!
//! ```ignore
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Greet {
//!     /// Whom.
//!     name: String,
//! }
//!
//! const GREET: Tool = tool!("greet", "Say hello to somebody.", greet).read_only();
//!
//! fn greet(_: &Context, Greet { name }: Greet) -> Outcome {
//!     Output::json(&json!({ "greeting": format!("Hello, {name}!") }))
//! }
//!
//! tools! { [GREET] }
//! ```

mod export;

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::sql::{self, Call, Rows};
use crate::{Caller, llm};

#[doc(hidden)]
pub use export::{Called, Guest, Listed, bindings, call, list};

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
    schema: fn() -> Value,
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

/// Why there is no result.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The arguments do not fit, or what they name is not there. Whoever called
    /// reads the sentence.
    Refused(String),
    /// The database did not do it.
    Database(sql::Error),
    /// A mistake of the guest; for the log.
    Broken(String),
}

impl Failure {
    /// A sentence for whoever called.
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }

    /// A mistake of the guest.
    pub fn broken(why: impl ToString) -> Self {
        Self::Broken(why.to_string())
    }
}

impl From<sql::Error> for Failure {
    fn from(error: sql::Error) -> Self {
        Self::Database(error)
    }
}

/// Who calls a tool, and how its writes are made once.
#[derive(Clone, Debug)]
pub struct Context {
    caller: Option<Caller>,
    guard: Vec<Call>,
}

impl Context {
    /// The caller of this call.
    pub fn current() -> Self {
        Self { caller: Caller::current(), guard: Vec::new() }
    }

    /// The same, with statements that go ahead of every [`write`](Self::write) and
    /// stop it by failing. A guard that can succeed only once makes a tool do its
    /// work only once, even if the guest is cut off between the two.
    #[must_use]
    pub fn guarded(self, guard: impl IntoIterator<Item = Call>) -> Self {
        Self { guard: guard.into_iter().collect(), ..self }
    }

    /// Whose tools these are.
    ///
    /// # Errors
    /// When nobody is signed in.
    pub fn owner(&self) -> Result<&str, Failure> {
        let caller = self.caller.as_ref().ok_or_else(|| Failure::refused("Nobody is signed in."))?;
        Ok(&caller.subject)
    }

    /// Writes, all or nothing, behind the guard. Once per call.
    ///
    /// # Errors
    /// What the broker answers; then nothing was written.
    pub fn write(&self, calls: impl IntoIterator<Item = Call>) -> Result<Vec<Rows>, sql::Error> {
        let mut rows = sql::batch(self.guard.iter().cloned().chain(calls))?;
        Ok(rows.split_off(self.guard.len()))
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
        run: fn(&Context, Value) -> Outcome,
    ) -> Self {
        let (title, is_read_only, is_destructive, is_idempotent) = (None, false, false, false);
        Self { name, title, description, is_read_only, is_destructive, is_idempotent, schema, run }
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

    /// The JSON Schema of its arguments.
    pub fn schema(&self) -> Value {
        (self.schema)()
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
pub fn schema_of<A: JsonSchema>(_: fn(&Context, A) -> Outcome) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut schema = SchemaGenerator::new(settings).into_root_schema_for::<A>();
    // The name and the documentation of a Rust type are not for models.
    schema.remove("title");
    schema.remove("description");
    let mut schema = schema.to_value();
    forget_formats(&mut schema);
    // A tool without arguments still has properties: none.
    if schema.get("properties").is_some() {
        return schema;
    }
    serde_json::json!({ "type": "object", "properties": {}, "additionalProperties": false })
}

/// `int64` and the like are Rust's, and servers that check strict schemas refuse
/// formats that they do not know.
fn forget_formats(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("format").is_some_and(Value::is_string) {
                fields.remove("format");
            }
            fields.values_mut().for_each(forget_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_formats),
        _ => {}
    }
}

#[doc(hidden)]
pub fn run<A: DeserializeOwned>(run: fn(&Context, A) -> Outcome, context: &Context, arguments: Value) -> Outcome {
    let arguments = serde_json::from_value(arguments);
    run(context, arguments.map_err(|error| Failure::Refused(format!("The arguments do not fit: {error}.")))?)
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
        let context = Context { caller: None, guard: Vec::new() };
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
