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
use crate::{accounts, settings};

const DOCUMENT: &str = include_str!("../assets/openapi.json");

const CREATED: &str = r#""201":{"#;
const DELETED: &str = r##""200":{"description":"Successful Response","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Message"}}}}"##;
const TITLE_MAX: &str = r#""maxLength":200,"#;
const LIST: &str = r##"{"type":"array","items":{"$ref":"#/components/schemas/Task"},"title":"TaskList"}"##;

/// `GET /openapi.json`.
pub async fn document() -> Answer {
    let document =
        with(settings::create_status()?, settings::delete_status()?, settings::title_max()?, settings::list_shape()?);
    let document = match innkeeper_guest::accounts::enabled() {
        true => accounts::openapi::add(&document, settings::register_status()?, settings::duplicate_status()?),
        false => document.into_owned(),
    };
    Ok(reply::of(StatusCode::OK, document))
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
        replace(DELETED, r#""204":{"description":"Successful Response"}"#);
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
        let all = accounts::openapi::add(DOCUMENT, StatusCode::CREATED, StatusCode::BAD_REQUEST);
        serde_json::from_str(&all).expect("the document is JSON")
    }

    #[test]
    fn every_place_that_a_setting_changes_is_there_and_nowhere_else() {
        for (place, times) in [(CREATED, 2), (DELETED, 2), (TITLE_MAX, 2), (LIST, 1)] {
            assert_eq!(DOCUMENT.matches(place).count(), times, "{place}");
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
        assert_eq!(paths.len(), 12);
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
        let schemas = defaults()["components"]["schemas"].clone();
        for reference in DOCUMENT.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap_or_default();
            assert!(schemas[name].is_object(), "{name}");
        }
    }
}
