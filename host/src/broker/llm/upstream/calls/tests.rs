use std::collections::VecDeque;

use super::super::delta::Fragment;
use super::{CALLS, Calls, TooMany};
use crate::broker::llm::{Event, ToolCall};

/// A piece: index, id, position, name, arguments.
type Piece = (Option<u64>, &'static str, usize, &'static str, &'static str);

fn fragment((index, id, position, name, arguments): Piece) -> Fragment {
    Fragment { index, id: id.into(), position, name: name.into(), arguments: arguments.into() }
}

fn assemble(pieces: &[Piece]) -> Vec<ToolCall> {
    let (mut calls, mut events) = (Calls::default(), VecDeque::new());
    for piece in pieces {
        calls.add(fragment(*piece), &mut events).expect("few");
    }
    let complete = calls.finish(&mut events);
    check_events(&complete, &events);
    complete
}

/// What was told on the way adds up to what is there at the end.
fn check_events(complete: &[ToolCall], events: &VecDeque<Event>) {
    for (at, call) in (0..).zip(complete) {
        let begun = Event::CallStart { index: at, id: call.id.clone(), name: call.name.clone() };
        assert_eq!(events.iter().filter(|event| **event == begun).count(), 1, "{events:?}");
        let fragments: String = events
            .iter()
            .filter_map(|event| match event {
                Event::CallDelta { index, fragment } if *index == at => Some(&**fragment),
                _ => None,
            })
            .collect();
        assert!(fragments == call.arguments || (fragments.trim().is_empty() && call.arguments == "{}"), "{events:?}");
    }
    let done = events.iter().filter(|event| matches!(event, Event::CallDone(_))).count();
    assert_eq!(done, complete.len());
}

#[track_caller]
fn check(pieces: &[Piece], expected: &[(&str, &str, &str)]) {
    let calls = assemble(pieces);
    let calls: Vec<(&str, &str, &str)> = calls.iter().map(|call| (&*call.id, &*call.name, &*call.arguments)).collect();
    assert_eq!(calls, expected);
}

#[test]
fn pieces_are_told_apart_by_index_else_id_else_position() {
    check(
        &[
            (Some(0), "a", 0, "add", ""),
            (Some(0), "", 0, "", "{\"x\""),
            (Some(1), "b", 0, "list", "{}"),
            (Some(0), "", 0, "", ":1}"),
        ],
        &[("a", "add", "{\"x\":1}"), ("b", "list", "{}")],
    );
    check(
        &[(None, "a", 0, "add", "{"), (None, "b", 0, "list", ""), (None, "a", 0, "", "}")],
        &[("a", "add", "{}"), ("b", "list", "{}")],
    );
    let by_position = assemble(&[
        (None, "", 0, "add", "{"),
        (None, "", 1, "list", "{"),
        (None, "", 0, "", "}"),
        (None, "", 1, "", "}"),
    ]);
    assert_eq!(by_position.len(), 2);
    assert!(by_position.iter().all(|call| call.arguments == "{}" && call.arguments_valid));
}

#[test]
fn repeated_ids_and_names_are_not_appended() {
    let piece = |arguments| (Some(0), "a", 0, "add", arguments);
    check(&[piece("{\"x\""), piece(":"), piece("{}"), piece("}")], &[("a", "add", "{\"x\":{}}")]);
    check(&[(None, "0", 0, "add", "{\"x\""), (None, "0", 0, "add", ":1}")], &[("0", "add", "{\"x\":1}")]);
}

#[test]
fn whole_calls_with_one_key_are_several_calls() {
    let calls =
        assemble(&[(None, "", 0, "add", "{\"x\":1}"), (None, "", 0, "add", "{\"x\":2}"), (None, "", 0, "list", "")]);
    assert_eq!(calls.len(), 3);
    let calls =
        assemble(&[(Some(0), "a", 0, "add", "{}"), (Some(0), "b", 0, "add", "{}"), (Some(0), "c", 0, "list", "{}")]);
    assert_eq!(calls.iter().map(|call| &*call.id).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn ids_are_invented_where_there_is_none_or_one_twice() {
    let calls =
        assemble(&[(Some(0), "a", 0, "add", "{}"), (Some(1), "a", 0, "add", "{}"), (Some(2), "", 0, "add", "{}")]);
    assert_eq!(calls[0].id, "a");
    for call in &calls[1..] {
        assert!(call.id.starts_with("call_") && call.id.len() <= 40, "{}", call.id);
    }
    assert_ne!(calls[1].id, calls[2].id);
}

#[test]
fn calls_without_a_name_are_none() {
    check(&[(Some(0), "a", 0, "", "{}"), (Some(1), "b", 0, "list", "")], &[("b", "list", "{}")]);
    let mut calls = Calls::default();
    calls.add(fragment((Some(0), "a", 0, "", "{}")), &mut VecDeque::new()).expect("few");
    assert!(calls.is_empty());
}

#[test]
fn arguments_are_valid_when_they_are_one_object() {
    for (arguments, valid) in [
        ("{}", true),
        ("", true),
        (" ", true),
        ("{\"a\":1}\n", true),
        ("[]", false),
        ("{", false),
        ("{}{}", false),
        ("null", false),
    ] {
        let [call] = &assemble(&[(Some(0), "a", 0, "add", arguments)])[..] else { panic!() };
        assert_eq!(call.arguments_valid, valid, "{arguments:?}");
    }
}

#[test]
fn what_came_in_pieces_is_not_taken_again_whole() {
    let (mut calls, mut events) = (Calls::default(), VecDeque::new());
    calls.add(fragment((Some(1), "a", 0, "add", "")), &mut events).expect("few");
    calls.add(fragment((Some(1), "", 0, "", "{\"x\":1}")), &mut events).expect("few");
    for whole in [
        (Some(1), "", 0, "", "{\"x\":1}"),
        (Some(1), "a", 0, "add", "{\"x\":1}"),
        (Some(7), "a", 0, "add", "{\"x\":1}"),
    ] {
        calls.add_whole(fragment(whole), &mut events).expect("few");
    }
    calls.add_whole(fragment((Some(2), "b", 0, "list", "{}")), &mut events).expect("few");
    let complete = calls.finish(&mut events);
    assert_eq!(
        complete.iter().map(|call| (&*call.id, &*call.arguments)).collect::<Vec<_>>(),
        [("a", "{\"x\":1}"), ("b", "{}")]
    );
    check_events(&complete, &events);
}

#[test]
fn there_is_an_end_to_them() {
    let (mut calls, mut events) = (Calls::default(), VecDeque::new());
    for index in 0..CALLS as u64 {
        calls.add(fragment((Some(index), "a", 0, "add", "{}")), &mut events).expect("few");
    }
    assert_eq!(calls.add(fragment((Some(999), "a", 0, "add", "{}")), &mut events), Err(TooMany));
}
