//! What the OpenAPI document says of the chat: a part of its own, in a file of its
//! own.

use axum::http::StatusCode;

use crate::openapi::{DELETED, NO_CONTENT, merge};

/// In the form in which FastAPI writes.
pub(crate) const PART: &str = include_str!("../../assets/openapi-chat.json");

const MESSAGE_MAX: &str = r#""maxLength":5000,"#;

/// The document with the part in it.
pub fn add(document: &str, delete: StatusCode, message_max: usize) -> String {
    let mut part = PART.replace(MESSAGE_MAX, &format!(r#""maxLength":{message_max},"#));
    if delete == StatusCode::NO_CONTENT {
        part = part.replace(DELETED, NO_CONTENT);
    }
    merge(document, &part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_that_a_setting_changes_is_there_and_nowhere_else() {
        assert_eq!((PART.matches(MESSAGE_MAX).count(), PART.matches(DELETED).count()), (1, 2));
    }

    #[test]
    fn settings_show_in_the_part() {
        let document = "{\"paths\":{\n\"/\":{}},\"components\":{\"schemas\":{\n\"Message\":{}}}}";
        let added: serde_json::Value = serde_json::from_str(&add(document, StatusCode::NO_CONTENT, 7)).expect("JSON");
        assert_eq!(added["components"]["schemas"]["ChatRequest"]["properties"]["message"]["maxLength"], 7);
        let delete = &added["paths"]["/api/conversations/{conversation_id}"]["delete"];
        assert!(delete["responses"]["204"].is_object(), "{delete}");
    }
}
