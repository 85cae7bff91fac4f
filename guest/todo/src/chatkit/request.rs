//! What the component asks for.

use super::items::Order;
use crate::json::Value;

/// Items or threads of one page.
const PAGE: usize = 20;
const PAGE_MAX: usize = 100;

/// A request.
pub(super) enum Request {
    Create { text: String },
    Add { thread: String, text: String },
    Retry { thread: String, item: String },
    Get { thread: String },
    List { limit: usize, order: Order, after: Option<String> },
    Items { thread: String, limit: usize, order: Order, after: Option<String> },
    Update { thread: String, title: Value },
    Delete { thread: String },
    Feedback { thread: String, items: Vec<String>, kind: &'static str },
}

impl Request {
    /// Reads a body.
    ///
    /// # Errors
    /// A sentence for whoever wrote the client.
    pub(super) fn read(body: Option<&Value>) -> Result<Self, &'static str> {
        let body = body.ok_or("The body is not a ChatKit request")?;
        let kind = text(body, "type").ok_or("The body is not a ChatKit request")?;
        let params = field(body, "params").unwrap_or(&Value::Null);
        let thread = || text(params, "thread_id").map(str::to_owned).ok_or("`thread_id` is missing");
        let item = || text(params, "item_id").map(str::to_owned).ok_or("`item_id` is missing");
        let after = || text(params, "after").map(str::to_owned);
        Ok(match kind {
            "threads.create" => Self::Create { text: said(params)? },
            "threads.add_user_message" => Self::Add { thread: thread()?, text: said(params)? },
            "threads.retry_after_item" => Self::Retry { thread: thread()?, item: item()? },
            "threads.get_by_id" => Self::Get { thread: thread()? },
            "threads.list" => Self::List { limit: limit(params), order: order(params), after: after() },
            "items.list" => {
                Self::Items { thread: thread()?, limit: limit(params), order: order(params), after: after() }
            }
            "threads.update" => {
                Self::Update { thread: thread()?, title: field(params, "title").cloned().unwrap_or(Value::Null) }
            }
            "threads.delete" => Self::Delete { thread: thread()? },
            "items.feedback" => Self::Feedback { thread: thread()?, items: item_ids(params)?, kind: feedback(params)? },
            _ => return Err("This type of ChatKit request is not supported"),
        })
    }
}

fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Map(fields) = value else { return None };
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value).filter(|value| **value != Value::Null)
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    match field(value, name) {
        Some(Value::Str(text)) => Some(text),
        _ => None,
    }
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    match field(value, name) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

/// What the user typed, tagged and quoted.
fn said(params: &Value) -> Result<String, &'static str> {
    let input = field(params, "input").ok_or("`input` is missing")?;
    if !list(input, "attachments").is_empty() {
        return Err("Attachments are not supported");
    }
    let parts = list(input, "content").iter().filter_map(|part| text(part, "text"));
    let typed: String = parts.collect();
    Ok(match text(input, "quoted_text") {
        Some(quoted) if !quoted.is_empty() => {
            let quoted: Vec<String> = quoted.lines().map(|line| format!("> {line}")).collect();
            format!("{}\n\n{typed}", quoted.join("\n"))
        }
        _ => typed,
    })
}

fn limit(params: &Value) -> usize {
    match field(params, "limit") {
        Some(Value::Int(limit)) => usize::try_from(*limit).unwrap_or(1).clamp(1, PAGE_MAX),
        _ => PAGE,
    }
}

fn order(params: &Value) -> Order {
    if text(params, "order") == Some("asc") { Order::Ascending } else { Order::Descending }
}

fn item_ids(params: &Value) -> Result<Vec<String>, &'static str> {
    let items = list(params, "item_ids");
    if items.len() > PAGE_MAX {
        return Err("`item_ids` has too many");
    }
    let id = |item: &Value| match item {
        Value::Str(id) => Ok(id.clone()),
        _ => Err("`item_ids` has something else than texts"),
    };
    items.iter().map(id).collect()
}

fn feedback(params: &Value) -> Result<&'static str, &'static str> {
    match text(params, "kind") {
        Some("positive") => Ok("positive"),
        Some("negative") => Ok("negative"),
        _ => Err("`kind` is neither `positive` nor `negative`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn read(body: &str) -> Result<Request, &'static str> {
        Request::read(Some(&json::decode(body).expect("JSON")))
    }

    #[track_caller]
    fn says(input: &str, expected: &str) {
        match read(&format!(r#"{{"type":"threads.create","params":{{"input":{input}}}}}"#)) {
            Ok(Request::Create { text }) => assert_eq!(text, expected),
            Ok(_) => panic!("another request"),
            Err(why) => panic!("{why}"),
        }
    }

    #[test]
    fn what_was_typed_is_put_together_from_its_parts() {
        says(
            r#"{"content":[{"type":"input_text","text":"add buy milk"}],"quoted_text":"","attachments":[]}"#,
            "add buy milk",
        );
        says(
            r#"{"content":[{"type":"input_text","text":"ask "},{"type":"input_tag","id":"u1","text":"@ada","data":{}}]}"#,
            "ask @ada",
        );
        says(r#"{"content":[{"type":"input_text","text":"why?"}],"quoted_text":"a\nb"}"#, "> a\n> b\n\nwhy?");
    }

    #[test]
    fn what_is_not_supported_is_told() {
        for body in [
            r#"{"type":"threads.custom_action","params":{"thread_id":"thr_1"}}"#,
            r#"{"type":"threads.create","params":{"input":{"content":[],"attachments":["a"]}}}"#,
            r#"{"type":"threads.create","params":{}}"#,
            r#"{"type":"items.feedback","params":{"thread_id":"thr_1","item_ids":["msg_1r"],"kind":"so-so"}}"#,
            r#"{"params":{}}"#,
            r#"[]"#,
        ] {
            assert!(read(body).is_err(), "{body}");
        }
    }

    #[test]
    fn pages_have_twenty_unless_asked_and_never_more_than_a_hundred() {
        for (params, expected) in [("", 20), (r#""limit":5"#, 5), (r#""limit":9999"#, 100), (r#""limit":null"#, 20)] {
            let body = format!(r#"{{"type":"threads.list","params":{{{params}}}}}"#);
            assert!(matches!(read(&body), Ok(Request::List { limit, .. }) if limit == expected), "{params}");
        }
    }
}
