//! The OpenAPI document.
//!
//! A file, in FastAPI's own form: building it at run time (utoipa) would add
//! code and memory to every instance for a document that hardly ever changes.
//! Tests compare it with the routes and the rules. What settings change is
//! changed in its text, where each place is unmistakable.

use std::borrow::Cow;

use axum::http::StatusCode;

use crate::reply::{self, Answer};
use crate::tasks::shape::Shape;
use crate::{accounts, chat, settings};

const DOCUMENT: &str = include_str!("../assets/openapi.json");

const CREATED: &str = r#""201":{"#;
pub(crate) const DELETED: &str = r##""200":{"description":"Successful Response","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Message"}}}}"##;
pub(crate) const NO_CONTENT: &str = r#""204":{"description":"Successful Response"}"#;
const TITLE_MAX: &str = r#""maxLength":200,"#;
const LIST: &str = r##"{"type":"array","items":{"$ref":"#/components/schemas/Task"},"title":"TaskList"}"##;

/// `GET /openapi.json`.
pub async fn document() -> Answer {
    let document =
        with(settings::create_status()?, settings::delete_status()?, settings::title_max()?, settings::list_shape()?);
    let mut document = chat::openapi::add(&document, settings::delete_status()?, settings::message_max()?);
    if innkeeper_guest::accounts::enabled() {
        document = accounts::openapi::add(&document, settings::register_status()?, settings::duplicate_status()?);
    }
    Ok(reply::of(StatusCode::OK, document))
}

const PATHS: &str = "\"paths\":{\n";
const SCHEMAS: &str = "\"schemas\":{\n";
/// Where a part's paths end and its schemas begin.
const BETWEEN: &str = "\n},\n\"schemas\":{\n";
const END: &str = "\n}}\n";

/// A document with the paths and schemas of a part.
pub(crate) fn merge(document: &str, part: &str) -> String {
    let (paths, schemas) = part.split_once(BETWEEN).unwrap_or_default();
    let paths = paths.split_once('\n').map(|(_, paths)| paths).unwrap_or_default();
    let schemas = schemas.strip_suffix(END).unwrap_or_default();
    let document = document.replacen(PATHS, &format!("{PATHS}{paths},\n"), 1);
    document.replacen(SCHEMAS, &format!("{SCHEMAS}{schemas},\n"), 1)
}

fn with(create: StatusCode, delete: StatusCode, title_max: usize, shape: Shape) -> Cow<'static, str> {
    let mut document = Cow::Borrowed(DOCUMENT);
    let mut replace = |from: &str, to: &str| {
        if from != to {
            document = document.replace(from, to).into();
        }
    };
    replace(CREATED, &format!(r#""{}":{{"#, create.as_u16()));
    if delete == StatusCode::NO_CONTENT {
        replace(DELETED, NO_CONTENT);
    }
    replace(TITLE_MAX, &format!(r#""maxLength":{title_max},"#));
    replace(LIST, &list_schema(shape));
    document
}

fn list_schema(shape: Shape) -> String {
    let (list, numbers): (&str, &[&str]) = match shape {
        Shape::Array => return LIST.to_owned(),
        Shape::Tasks => ("tasks", &[]),
        Shape::TasksCount => ("tasks", &["count"]),
        Shape::TasksTotal => ("tasks", &["total"]),
        Shape::TasksTotalLimitOffset => ("tasks", &["total", "limit", "offset"]),
        Shape::ItemsTotalPage => ("items", &["total", "page", "size", "pages"]),
    };
    let mut properties = format!(r##""{list}":{{"type":"array","items":{{"$ref":"#/components/schemas/Task"}}}}"##);
    let mut required = format!(r#""{list}""#);
    for name in numbers {
        properties += &format!(r#","{name}":{{"type":"integer"}}"#);
        required += &format!(r#","{name}""#);
    }
    format!(r#"{{"properties":{{{properties}}},"type":"object","required":[{required}],"title":"TaskList"}}"#)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn defaults() -> Value {
        let all = chat::openapi::add(DOCUMENT, StatusCode::OK, 5000);
        let all = accounts::openapi::add(&all, StatusCode::CREATED, StatusCode::BAD_REQUEST);
        serde_json::from_str(&all).expect("the document is JSON")
    }

    #[test]
    fn every_place_that_a_setting_changes_is_there_and_nowhere_else() {
        for (place, times) in [(CREATED, 2), (DELETED, 2), (TITLE_MAX, 2), (LIST, 1)] {
            assert_eq!(DOCUMENT.matches(place).count(), times, "{place}");
        }
    }

    #[test]
    fn parts_come_apart_where_they_should() {
        for part in [accounts::openapi::PART, chat::openapi::PART] {
            assert_eq!((part.matches(BETWEEN).count(), part.matches(END).count()), (1, 1));
            let own: Value = serde_json::from_str(part).expect("a part is JSON");
            let merged: Value = serde_json::from_str(&merge(DOCUMENT, part)).expect("it is JSON");
            for (path, operations) in own["paths"].as_object().expect("an object") {
                assert_eq!(&merged["paths"][path], operations);
            }
            for (name, schema) in own["schemas"].as_object().expect("an object") {
                assert_eq!(&merged["components"]["schemas"][name], schema);
            }
        }
    }

    #[test]
    fn default_settings_leave_the_document_as_it_is() {
        let document = with(StatusCode::CREATED, StatusCode::OK, 200, Shape::Array);
        assert!(matches!(document, Cow::Borrowed(_)));
    }

    #[test]
    fn settings_show_in_the_document() {
        let document = with(StatusCode::OK, StatusCode::NO_CONTENT, 255, Shape::TasksTotal);
        let document: Value = serde_json::from_str(&document).expect("the document is JSON");
        let own = &document["paths"]["/api/tasks"];
        assert!(own["post"]["responses"]["200"].is_object());
        assert!(document["paths"]["/api/{user_id}/tasks/{task_id}"]["delete"]["responses"]["204"].is_object());
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["TaskUpdate"]["properties"]["title"]["maxLength"], 255);
        assert_eq!(schemas["TaskList"]["required"], serde_json::json!(["tasks", "total"]));
    }

    #[test]
    fn the_document_has_the_routes_of_the_app_and_no_others() {
        let paths = defaults()["paths"].as_object().expect("an object").clone();
        assert_eq!(paths.len(), 23);
        for (path, operations) in paths {
            let mut documented: Vec<String> =
                operations.as_object().expect("an object").keys().map(|method| method.to_uppercase()).collect();
            let allowed = crate::app::tests::allowed(&path.replace(['{', '}'], ""));
            let mut allowed: Vec<&str> = allowed.split(", ").collect();
            documented.sort_unstable();
            allowed.sort_unstable();
            assert_eq!(documented, allowed, "{path}");
        }
    }

    #[test]
    fn every_reference_has_its_schema() {
        let document = defaults();
        let schemas = &document["components"]["schemas"];
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap_or_default();
            assert!(schemas[name].is_object(), "{name}");
        }
    }
}
