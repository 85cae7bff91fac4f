//! What guests ask of clients, and what clients answer. Pure.
//!
//! A guest that has asked ends, and is called again in another instance with the
//! answers. What was asked is kept with its state, so that answers are held to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use super::{Problem, check};
use crate::bindings::offers::innkeeper::backend::types::{
    ClientFeatures, ElicitAction, ElicitAnswer, FormElicitation, InputAnswer, InputKind, InputRequest, InputRequired,
    InputResponse, UrlElicitation,
};
use crate::registry::Schema;

/// Questions at once. Each is a dialogue for a person.
const QUESTIONS: usize = 16;
const KEY_BYTES: usize = 64;
const MESSAGE_BYTES: usize = 4 << 10;
/// Bytes of a form's schema, and of what a model is asked.
const FORM_BYTES: usize = 16 << 10;
const SAMPLE_BYTES: usize = 256 << 10;
/// Bytes of a guest's own state. It travels to the client and back.
const STATE_BYTES: usize = 16 << 10;

/// What an answer has to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    /// A filled-in form, by its schema.
    Form(String),
    /// That a page was visited.
    Url,
    /// A model's message.
    Sample,
    /// Directories.
    Roots,
}

/// What was asked, by key.
pub type Asked = BTreeMap<String, Kind>;

/// Holds questions to what this client can be asked, and what may be asked at all.
pub(super) fn check(required: InputRequired, features: ClientFeatures) -> Result<InputRequired, Problem> {
    let InputRequired { requests, state } = &required;
    let nothing = requests.is_empty() && state.is_none();
    if nothing || requests.len() > QUESTIONS || state.as_ref().is_some_and(|state| state.len() > STATE_BYTES) {
        return Err(Problem::Answer("asks for nothing, for too much, or keeps too much".to_owned()));
    }
    let mut needed = ClientFeatures::empty();
    let mut keys: Vec<&str> = Vec::new();
    for InputRequest { key, kind } in requests {
        if !(1..=KEY_BYTES).contains(&key.len()) || keys.contains(&key.as_str()) {
            return Err(Problem::Answer("asks twice under one key, or under one that is too long".to_owned()));
        }
        keys.push(key);
        needed |= question(kind).map_err(Problem::Answer)?;
    }
    if features.contains(needed) {
        return Ok(required);
    }
    Err(Problem::MissingCapability { features: needed & !features, questions: required.requests })
}

/// What a client must be able to do to be asked this.
fn question(kind: &InputKind) -> Result<ClientFeatures, String> {
    let message =
        |text: &str| if text.len() > MESSAGE_BYTES { Err("asks too long a question".to_owned()) } else { Ok(()) };
    match kind {
        InputKind::ElicitForm(FormElicitation { message: text, requested_schema }) => {
            message(text)?;
            form(requested_schema)?;
            Ok(ClientFeatures::ELICIT_FORM)
        }
        InputKind::ElicitUrl(UrlElicitation { message: text, url }) => {
            message(text)?;
            let url = Url::parse(url).ok();
            let good = |url: &Url| {
                let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
                (url.scheme() == "https" || (url.scheme() == "http" && local))
                    && url.username().is_empty()
                    && url.password().is_none()
            };
            url.filter(good).ok_or("sends a user to an address that is not https://")?;
            Ok(ClientFeatures::ELICIT_URL)
        }
        InputKind::Sample(text) => {
            let sample =
                if text.len() <= SAMPLE_BYTES { check::object(text, "question to a model")? } else { Map::new() };
            let good = sample.get("messages").is_some_and(Value::is_array)
                && sample.get("maxTokens").is_some_and(Value::is_u64);
            if !good {
                return Err("asks a model without messages and maxTokens, or too much".to_owned());
            }
            let tools = sample.contains_key("tools") || sample.contains_key("toolChoice");
            Ok(if tools { ClientFeatures::SAMPLING | ClientFeatures::SAMPLING_TOOLS } else { ClientFeatures::SAMPLING })
        }
        InputKind::ListRoots => Ok(ClientFeatures::ROOTS),
    }
}

/// A flat form: that is all that clients show.
fn form(text: &str) -> Result<(), String> {
    if text.len() > FORM_BYTES {
        return Err("asks with too large a form".to_owned());
    }
    let schema = check::object(text, "form")?;
    let flat = |property: &Value| match property.get("type").and_then(Value::as_str) {
        Some("string" | "number" | "integer" | "boolean") => true,
        Some("array") => property.pointer("/items/enum").or_else(|| property.pointer("/items/anyOf")).is_some(),
        _ => false,
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let good = schema.get("type") == Some(&json!("object")) && properties.is_some_and(|all| all.values().all(flat));
    if !good {
        return Err("asks with a form that is not an object of plain fields".to_owned());
    }
    Schema::of(text).map(|_| ()).map_err(|why| format!("asks with a form whose schema {why}"))
}

/// What was asked, to hold the answers to.
pub fn asked(requests: &[InputRequest]) -> Asked {
    let kind = |kind: &InputKind| match kind {
        InputKind::ElicitForm(form) => Kind::Form(form.requested_schema.clone()),
        InputKind::ElicitUrl(_) => Kind::Url,
        InputKind::Sample(_) => Kind::Sample,
        InputKind::ListRoots => Kind::Roots,
    };
    requests.iter().map(|request| (request.key.clone(), kind(&request.kind))).collect()
}

/// The answers to what was asked. What was not asked is left out, and what was not
/// answered is missing: the guest may ask again.
///
/// # Errors
/// An answer that is not one to its question, in words for whoever sent it.
pub fn answers(asked: &Asked, mut sent: BTreeMap<String, Value>) -> Result<Vec<InputResponse>, String> {
    let answered = asked.iter().filter_map(|(key, kind)| Some((key, kind, sent.remove(key)?)));
    let answers = answered.map(|(key, kind, value)| {
        let answer = answer(kind, value).map_err(|why| format!("the answer to `{key}` {why}"))?;
        Ok(InputResponse { key: key.clone(), answer })
    });
    answers.collect()
}

fn answer(kind: &Kind, value: Value) -> Result<InputAnswer, String> {
    let Value::Object(mut map) = value else { return Err("is no object".to_owned()) };
    match kind {
        Kind::Form(schema) => {
            let action = action(&map)?;
            let content = map.remove("content").filter(|_| action == ElicitAction::Accept);
            if action == ElicitAction::Accept {
                let content = content.as_ref().unwrap_or(&Value::Null);
                let schema = Schema::of(schema).map_err(|why| format!("has a question whose schema {why}"))?;
                schema.check(content).map_err(|why| format!("does not fit the form: {why}"))?;
            }
            Ok(InputAnswer::Elicit(ElicitAnswer { action, content: content.map(|content| content.to_string()) }))
        }
        Kind::Url => Ok(InputAnswer::Elicit(ElicitAnswer { action: action(&map)?, content: None })),
        Kind::Sample if map.contains_key("role") && map.contains_key("content") && map.contains_key("model") => {
            Ok(InputAnswer::Sample(Value::Object(map).to_string()))
        }
        Kind::Sample => Err("is no message of a model".to_owned()),
        Kind::Roots if map.get("roots").is_some_and(Value::is_array) => {
            Ok(InputAnswer::Roots(Value::Object(map).to_string()))
        }
        Kind::Roots => Err("has no roots".to_owned()),
    }
}

fn action(map: &Map<String, Value>) -> Result<ElicitAction, String> {
    match map.get("action").and_then(Value::as_str) {
        Some("accept") => Ok(ElicitAction::Accept),
        Some("decline") => Ok(ElicitAction::Decline),
        Some("cancel") => Ok(ElicitAction::Cancel),
        _ => Err("says neither accept, decline nor cancel".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form_of(schema: Value) -> InputKind {
        InputKind::ElicitForm(FormElicitation { message: "?".into(), requested_schema: schema.to_string() })
    }

    fn required(requests: Vec<(&str, InputKind)>) -> InputRequired {
        let requests = requests.into_iter().map(|(key, kind)| InputRequest { key: key.into(), kind }).collect();
        InputRequired { requests, state: None }
    }

    #[test]
    fn only_what_the_client_can_do_is_asked() {
        let name = || form_of(json!({"type": "object", "properties": {"name": {"type": "string"}}}));
        assert!(check(required(vec![("a", name())]), ClientFeatures::ELICIT_FORM).is_ok());
        let lacking = check(required(vec![("a", name()), ("b", InputKind::ListRoots)]), ClientFeatures::ELICIT_FORM);
        assert!(
            matches!(lacking, Err(Problem::MissingCapability { features, .. }) if features == ClientFeatures::ROOTS)
        );
        let all = ClientFeatures::all();
        assert!(check(required(vec![("a", name()), ("a", name())]), all).is_err(), "one key twice");
        assert!(check(required(vec![]), all).is_err(), "nothing");
        assert!(check(required(vec![("a", InputKind::Sample("{}".into()))]), all).is_err());
    }

    #[test]
    fn forms_are_flat() {
        for (schema, good) in [
            (json!({"type": "object", "properties": {"a": {"type": "integer", "default": 30}}}), true),
            (
                json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string", "enum": ["x"]}}}}),
                true,
            ),
            (json!({"type": "object", "properties": {"a": {"type": "object"}}}), false),
            (json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object"}}}}), false),
            (json!({"type": "string"}), false),
            (json!([]), false),
        ] {
            assert_eq!(question(&form_of(schema.clone())).is_ok(), good, "{schema}");
        }
    }

    #[test]
    fn users_are_sent_to_safe_places() {
        for (url, good) in [
            ("https://example.com/pay?id=1", true),
            ("http://localhost:3000/", true),
            ("http://example.com/", false),
            ("https://user:password@example.com/", false),
            ("javascript:alert(1)", false),
        ] {
            let kind = InputKind::ElicitUrl(UrlElicitation { message: "?".into(), url: url.into() });
            assert_eq!(question(&kind).is_ok(), good, "{url}");
        }
    }

    #[test]
    fn answers_are_held_to_their_questions() {
        let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
        let asked: Asked =
            [("name".to_owned(), Kind::Form(schema.to_string())), ("dirs".to_owned(), Kind::Roots)].into();
        let with = |sent: Value| answers(&asked, serde_json::from_value(sent).expect("an object"));
        assert_eq!(with(json!({})).map(|all| all.len()), Ok(0), "the guest may ask again");
        assert_eq!(with(json!({"other": 1})).map(|all| all.len()), Ok(0), "not asked");
        let good = json!({"name": {"action": "accept", "content": {"name": "Ada"}}, "dirs": {"roots": []}});
        assert_eq!(with(good).map(|all| all.len()), Ok(2));
        assert!(with(json!({"name": {"action": "decline", "content": {"name": 1}}})).is_ok(), "nothing to fit");
        for bad in [
            json!({"name": 1}),
            json!({"name": {}}),
            json!({"name": {"action": "perhaps"}}),
            json!({"name": {"action": "accept"}}),
            json!({"name": {"action": "accept", "content": {"name": 1}}}),
            json!({"dirs": {}}),
        ] {
            assert!(with(bad.clone()).is_err(), "{bad}");
        }
    }
}
