use std::collections::VecDeque;

use serde_json::json;

use super::super::delta::{Delta, Fragment};
use super::Assembly;
use crate::broker::llm::{Event, Finish, Usage};

fn assemble(deltas: Vec<Delta>) -> (Assembly, VecDeque<Event>) {
    let (mut assembly, mut events) = (Assembly::default(), VecDeque::new());
    for delta in deltas {
        assembly.add(delta, &mut events).expect("few calls");
    }
    (assembly, events)
}

fn call(name: &str) -> Delta {
    Delta::Call(Fragment { index: Some(0), id: "a".into(), name: name.into(), ..Fragment::default() })
}

#[test]
fn a_turn_is_whole_with_a_reason_or_with_calls_and_a_mark() {
    let text = || Delta::Text("hi".into());
    for (deltas, with_mark, without) in [
        (vec![], false, false),
        (vec![text()], false, false),
        (vec![text(), Delta::Finish(Finish::Stop)], true, true),
        (vec![call("add")], true, false),
        (vec![call("add"), Delta::Finish(Finish::Other)], true, true),
        (vec![call("")], false, false),
    ] {
        let told = format!("{deltas:?}");
        let (assembly, _) = assemble(deltas);
        assert_eq!((assembly.is_whole(true), assembly.is_whole(false)), (with_mark, without), "{told}");
    }
}

#[test]
fn calls_are_the_reason_whatever_the_server_calls_it() {
    for (reason, expected) in [
        (Some(Finish::Stop), Finish::ToolCalls),
        (Some(Finish::Other), Finish::ToolCalls),
        (None, Finish::ToolCalls),
        (Some(Finish::Length), Finish::Length),
    ] {
        let mut deltas = vec![call("add")];
        deltas.extend(reason.map(Delta::Finish));
        let (mut assembly, mut events) = assemble(deltas);
        assert_eq!(assembly.complete(&mut events).finish, expected);
    }
}

#[test]
fn the_first_reason_and_the_last_usage_count() {
    let usage = |output| Usage { output, ..Usage::default() };
    let (mut assembly, mut events) = assemble(vec![
        Delta::Usage(usage(1)),
        Delta::Finish(Finish::Length),
        Delta::Finish(Finish::Stop),
        Delta::Usage(usage(2)),
    ]);
    assert_eq!(assembly.usage(), Some(usage(2)));
    assert_eq!(assembly.complete(&mut events).finish, Finish::Length);
}

#[test]
fn what_came_in_pieces_does_not_come_again() {
    let (mut assembly, mut events) = assemble(vec![
        Delta::Text("a".into()),
        Delta::Text(String::new()),
        Delta::WholeText("a".into()),
        Delta::WholeRefusal("no".into()),
        Delta::WholeRefusal("no".into()),
    ]);
    assert_eq!(events, [Event::Text("a".into()), Event::Refusal("no".into())]);
    let turn = assembly.complete(&mut events).turn;
    assert_eq!((turn.text.as_deref(), turn.refusal.as_deref()), (Some("a"), Some("no")));
}

#[test]
fn only_thoughts_are_worth_keeping() {
    let mark = || Delta::Keep(json!({"type": "message"}));
    let thought = || Delta::Keep(json!({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"}));
    let (mut assembly, mut events) = assemble(vec![mark()]);
    assert_eq!(assembly.complete(&mut events).turn.continuation, None);
    let (mut assembly, mut events) = assemble(vec![thought(), mark(), thought()]);
    let kept = assembly.complete(&mut events).turn.continuation.expect("kept");
    assert_eq!(serde_json::from_slice::<Vec<serde_json::Value>>(&kept).expect("JSON").len(), 2, "each once");
}

#[test]
fn an_answer_that_was_cut_for_its_content_is_none() {
    assert!(assemble(vec![Delta::Finish(Finish::ContentFilter)]).0.is_filtered());
    let (some, _) = assemble(vec![Delta::Text("a".into()), Delta::Finish(Finish::ContentFilter)]);
    assert!(!some.is_filtered(), "what came before the cut is an answer");
}
