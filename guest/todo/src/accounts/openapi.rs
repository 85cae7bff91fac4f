//! What the OpenAPI document says of accounts, where there are any: a part of its
//! own, so that a host without them documents no route that is not there.

use axum::http::StatusCode;

/// Written by FastAPI, as the document is.
const PART: &str = include_str!("../../assets/openapi-accounts.json");

const PATHS: &str = "\"paths\":{\n";
const SCHEMAS: &str = "\"schemas\":{\n";
/// Where the part's paths end and its schemas begin.
const BETWEEN: &str = "\n},\n\"schemas\":{\n";
const END: &str = "\n}}\n";
const REGISTERED: &str = "\"201\":{";
const TAKEN: &str = "\"400\":{";

/// The document with the part in it.
pub fn add(document: &str, registered: StatusCode, taken: StatusCode) -> String {
    let status = |status: StatusCode| format!("\"{}\":{{", status.as_u16());
    let part = PART.replace(REGISTERED, &status(registered)).replace(TAKEN, &status(taken));
    let (paths, schemas) = part.split_once(BETWEEN).unwrap_or_default();
    let paths = paths.split_once('\n').map(|(_, paths)| paths).unwrap_or_default();
    let schemas = schemas.strip_suffix(END).unwrap_or_default();
    let document = document.replacen(PATHS, &format!("{PATHS}{paths},\n"), 1);
    document.replacen(SCHEMAS, &format!("{SCHEMAS}{schemas},\n"), 1)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_place_that_a_setting_changes_is_there_and_nowhere_else() {
        for place in [REGISTERED, TAKEN, BETWEEN, END] {
            assert_eq!(PART.matches(place).count(), 1, "{place}");
        }
    }

    #[test]
    fn the_part_fits_into_a_document_and_names_nothing_that_is_not_there() {
        let document = r##"{"paths":{
"/":{}},"components":{"schemas":{
"HTTPValidationError":{},"Message":{}}}}"##;
        let added = add(document, StatusCode::OK, StatusCode::CONFLICT);
        let document: Value = serde_json::from_str(&added).expect("it is JSON");
        let part: Value = serde_json::from_str(PART).expect("the part is JSON");
        let paths = part["paths"].as_object().expect("an object").len();
        assert_eq!(document["paths"].as_object().expect("an object").len(), paths + 1);
        let responses = &document["paths"]["/api/auth/register"]["post"]["responses"];
        assert!(responses["200"].is_object() && responses["409"].is_object(), "{responses}");
        for reference in added.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap_or_default();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}
