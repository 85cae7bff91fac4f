//! Replays what FastAPI answered (`golden/*.json`, recorded from FastAPI 0.165
//! with pydantic 2.14 on Python 3.11) through our own validation.

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::accounts::body::Registration;
use crate::check::{Checked, Fields, Purpose, Step, email, scalar};
use crate::incoming;
use crate::json::{self, Value};
use crate::reply::Failure;
use crate::tasks::body::{self, Change, NewTask};
use crate::tasks::listing::Listing;

#[derive(Deserialize)]
struct Golden<T> {
    cases: Vec<T>,
}

#[derive(Deserialize)]
struct Case {
    #[serde(alias = "query", alias = "segment")]
    body: String,
    detail: Option<Json>,
    task: Option<Json>,
}

/// Compares every case of a file, and tells all that differ at once.
#[track_caller]
fn replay(file: &str, read: impl Fn(&str) -> Result<Option<Json>, Json>) {
    let golden: Golden<Case> = serde_json::from_str(file).expect("the file is golden");
    let mut differences = Vec::new();
    for case in &golden.cases {
        let answer = read(&case.body);
        let same = match &answer {
            Err(detail) => case.detail.as_ref() == Some(detail),
            Ok(task) => case.detail.is_none() && case.task == *task,
        };
        if !same {
            differences.push(format!("{}\n  here    {answer:?}\n  FastAPI {:?}", case.body, case.detail));
        }
    }
    let count = (differences.len(), golden.cases.len());
    assert!(differences.is_empty(), "{} of {} differ:\n{}", count.0, count.1, differences.join("\n"));
}

fn to_json(value: &impl Serialize) -> Json {
    let text = serde_json::to_string(value).expect("it serialises");
    serde_json::from_str(&text).expect("what was written is JSON")
}

fn detail<T>(checked: Checked<T>) -> Result<T, Json> {
    checked.map_err(|issues| to_json(&issues))
}

fn decoded(body: &str) -> Option<Value> {
    Some(json::decode(body).expect("the body is JSON"))
}

#[test]
fn bodies_of_post_are_taken_and_refused_as_fastapi_does() {
    replay(include_str!("../golden/create.json"), |body| {
        let new = detail(NewTask::read(decoded(body).as_ref(), 200))?;
        Ok(Some(to_json(&new.preview())))
    });
}

#[test]
fn bodies_of_put_and_patch_are_taken_and_refused_as_fastapi_does() {
    replay(include_str!("../golden/update.json"), |body| {
        detail(Change::read(decoded(body).as_ref(), 200)).map(|_| None)
    });
}

#[test]
fn bodies_of_complete_are_taken_and_refused_as_fastapi_does() {
    replay(include_str!("../golden/complete.json"), |body| {
        detail(body::completion(decoded(body).as_ref())).map(|_| None)
    });
}

#[test]
fn queries_are_taken_and_refused_as_fastapi_does() {
    replay(include_str!("../golden/query.json"), |query| detail(Listing::read(&incoming::pairs(query))).map(|_| None));
}

#[test]
fn task_ids_are_taken_and_refused_as_fastapi_does() {
    replay(include_str!("../golden/path.json"), |segment| {
        let pairs = incoming::pairs(&format!("task_id={}", segment.replace('+', "%2B")));
        let checked = Fields::of_query(&pairs).required("task_id", scalar::integer);
        detail(checked.map_err(|issues| issues.at(Step::Name("path")))).map(|_| None)
    });
}

#[test]
fn addresses_are_taken_and_refused_as_fastapi_does() {
    replay(include_str!("../golden/email.json"), |body| {
        let fields = decoded(body);
        let checked = Fields::of_body(fields.as_ref())
            .and_then(|fields| fields.required("email", |value| email(value, Purpose::Register)))
            .map_err(|issues| issues.at(Step::Name("body")));
        Ok(Some(serde_json::json!({ "email": detail(checked)? })))
    });
}

#[test]
fn bodies_of_registrations_are_taken_and_refused_as_fastapi_does() {
    replay(include_str!("../golden/register.json"), |body| {
        let fields = decoded(body);
        let checked = Fields::of_body(fields.as_ref()).and_then(Registration::of);
        detail(checked.map_err(|issues| issues.at(Step::Name("body")))).map(|_| None)
    });
}

#[test]
fn what_is_not_json_is_refused_in_pythons_words_at_pythons_position() {
    replay(include_str!("../golden/json.json"), |body| match incoming::parse(&HeaderMap::new(), body.as_bytes()) {
        Ok(value) => panic!("{body} is taken as {value:?}"),
        Err(Failure::Invalid(issues)) => Err(to_json(&issues)),
        Err(failure) => panic!("{body} gives {failure:?}"),
    });
}

#[test]
fn half_a_surrogate_pair_is_refused_but_hides_no_other_error() {
    let refused = |text, message, position| {
        assert_eq!(json::decode(text), Err(json::Error::Syntax { message, position }), "{text}");
    };
    refused(r#"["\ud83d"]"#, "Invalid \\uXXXX escape", 3);
    refused(r#"["\ud83d\u0041"]"#, "Invalid \\uXXXX escape", 3);
    refused(r#"["\ude00", }"#, "Expecting value", 11);
    assert_eq!(json::decode(r#""\ud83d\ude00""#), Ok(Value::Str("😀".into())));
}

/// The order of keys, which the comparisons above do not see.
#[test]
fn an_issue_is_written_as_fastapi_writes_it() {
    let issues = NewTask::read(decoded(r#"{"title":"","x":1,"a":2}"#).as_ref(), 200).expect_err("it is empty");
    assert_eq!(
        serde_json::to_string(&issues).expect("it serialises"),
        r#"[{"type":"string_too_short","loc":["body","title"],"msg":"String should have at least 1 character","input":"","ctx":{"min_length":1}}]"#,
    );
    let issues = NewTask::read(decoded(r#"{"x":1,"a":1.50}"#).as_ref(), 200).expect_err("there is no title");
    assert_eq!(
        serde_json::to_string(&issues).expect("it serialises"),
        r#"[{"type":"missing","loc":["body","title"],"msg":"Field required","input":{"x":1,"a":1.5}}]"#,
    );
}

#[test]
fn what_no_database_can_store_is_refused() {
    for body in
        [r#"{"title":"a\u0000"}"#, r#"{"title":"a","description":"\u0000"}"#, r#"{"title":"a","tags":["\u001f"]}"#]
    {
        assert!(NewTask::read(decoded(body).as_ref(), 200).is_err(), "{body}");
    }
    assert!(Listing::read(&incoming::pairs("search=%00")).is_err());
    assert!(Listing::read(&incoming::pairs("tag=%1f")).is_err());
}

#[test]
fn dates_beyond_pythons_range_are_refused_also_after_the_shift_to_utc() {
    for date in ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"] {
        let body = format!(r#"{{"title":"a","due_date":"{date}"}}"#);
        assert!(NewTask::read(decoded(&body).as_ref(), 200).is_err(), "{date}");
    }
}

#[test]
fn bodies_are_read_by_their_content_type() {
    #[track_caller]
    fn check(content_type: Option<&str>, is_json: bool) {
        let mut headers = HeaderMap::new();
        if let Some(value) = content_type {
            headers.insert("content-type", value.parse().expect("a header value"));
        }
        let read = incoming::parse(&headers, b"5").expect("it is readable");
        assert_eq!(read, Some(if is_json { Value::Int(5) } else { Value::Str("5".into()) }), "{content_type:?}");
    }
    check(None, true);
    check(Some("application/json"), true);
    check(Some("application/json; charset=utf-8"), true);
    check(Some("APPLICATION/Merge+JSON"), true);
    check(Some("text/json"), false);
    check(Some("text/plain"), false);
    check(Some("application/x-www-form-urlencoded"), false);
    check(Some("nonsense"), false);
}

#[test]
fn a_body_that_is_no_text_or_too_deep_is_unreadable() {
    let deep = "[".repeat(100_000);
    for body in [b"\xff".as_slice(), deep.as_bytes()] {
        let read = incoming::parse(&HeaderMap::new(), body);
        assert!(matches!(read, Err(Failure::UnreadableBody)), "{read:?}");
    }
    assert!(matches!(incoming::parse(&HeaderMap::new(), b""), Ok(None)));
    assert!(matches!(incoming::parse(&HeaderMap::new(), b"\xef\xbb\xbf1"), Ok(Some(Value::Int(1)))));
}
