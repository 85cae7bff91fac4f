//! What the OpenAPI document says of accounts, where there are any: a part of its
//! own, so that a host without them documents no route that is not there.

use axum::http::StatusCode;

use crate::openapi::merge;

/// Written by FastAPI, as the document is.
pub(crate) const PART: &str = include_str!("../../assets/openapi-accounts.json");

const REGISTERED: &str = "\"201\":{";
const TAKEN: &str = "\"400\":{";

/// The document with the part in it.
pub fn add(document: &str, registered: StatusCode, taken: StatusCode) -> String {
    let status = |status: StatusCode| format!("\"{}\":{{", status.as_u16());
    merge(document, &PART.replace(REGISTERED, &status(registered)).replace(TAKEN, &status(taken)))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_place_that_a_setting_changes_is_there_and_nowhere_else() {
        for place in [REGISTERED, TAKEN] {
            assert_eq!(PART.matches(place).count(), 1, "{place}");
        }
    }

    #[test]
    fn settings_show_in_the_part() {
        let document = "{\"paths\":{\n\"/\":{}},\"components\":{\"schemas\":{\n\"Message\":{}}}}";
        let added = add(document, StatusCode::OK, StatusCode::CONFLICT);
        let document: Value = serde_json::from_str(&added).expect("it is JSON");
        let responses = &document["paths"]["/api/auth/register"]["post"]["responses"];
        assert!(responses["200"].is_object() && responses["409"].is_object(), "{responses}");
    }
}
