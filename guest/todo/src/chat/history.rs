//! What the model is told of what was said before.
//!
//! Whatever broke off, and wherever: every call has its result right behind it,
//! every turn that is over ends with words of the assistant, and a turn is told
//! as a whole or not at all.

use innkeeper_guest::llm::{AssistantTurn, Message, Part, ToolCall, ToolResult};

use super::turn::{Step, Turn};

/// Bytes of earlier turns. More: each request costs more, and small models lose
/// their way. Less: the assistant forgets sooner what was said.
const EARLIER: usize = 48 << 10;
/// Earlier turns; short ones are of little use after so many.
pub(super) const EARLIER_TURNS: i64 = 20;
/// Bytes of the present turn's results. Beyond, the oldest are left out; the
/// model can ask for them again.
const RESULTS: usize = 128 << 10;

const NO_ANSWER: &str = "(This message was not answered, and nothing was done for it.)";
const CUT_OFF: &str = "(This answer was cut off here.)";
const LEFT_OUT: &str = r#"{"success":true,"note":"This result is left out here. Call the tool again if you need it."}"#;

/// The messages of earlier turns, as many of the latest as there is room for.
pub(super) fn earlier(turns: &[Turn]) -> Vec<Message> {
    let mut room = EARLIER;
    let told = turns.iter().rev().take_while(|turn| {
        let size = turn.size();
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits
    });
    let count = told.count();
    turns[turns.len() - count..].iter().flat_map(over).collect()
}

/// The messages of the turn that the model is to go on with.
pub(super) fn present(turn: &Turn) -> Vec<Message> {
    let mut room = RESULTS;
    let mut messages: Vec<Message> = Vec::new();
    // From the latest on, as it is the latest results that matter.
    for step in turn.steps.iter().rev() {
        for call in step.calls.iter().rev() {
            let outcome = call.outcome();
            let fits = outcome.len() <= room;
            room = room.saturating_sub(outcome.len());
            messages.push(result(&call.call_id, if fits { outcome } else { LEFT_OUT }));
        }
        messages.push(said(step, step.message.continuation.clone()));
    }
    messages.push(asked(turn));
    messages.reverse();
    messages
}

/// A turn that is over.
fn over(turn: &Turn) -> Vec<Message> {
    let mut messages = vec![asked(turn)];
    for step in &turn.steps {
        messages.push(said(step, None));
        messages.extend(step.calls.iter().map(|call| result(&call.call_id, call.outcome())));
    }
    match turn.steps.last() {
        None => messages.push(words(NO_ANSWER)),
        // Many servers take no user's message right behind a result.
        Some(last) if !last.calls.is_empty() => messages.push(words(CUT_OFF)),
        Some(_) => {}
    }
    messages
}

fn asked(turn: &Turn) -> Message {
    Message::User(vec![Part::Text(turn.ask.content.clone())])
}

fn said(step: &Step, continuation: Option<Vec<u8>>) -> Message {
    let tool_calls = step.calls.iter().map(|call| ToolCall {
        id: call.call_id.clone(),
        name: call.name.clone(),
        arguments: readable(&call.arguments).to_owned(),
        arguments_valid: true,
    });
    let text = Some(step.message.content.clone()).filter(|text| !text.is_empty());
    Message::Assistant(AssistantTurn { text, refusal: None, tool_calls: tool_calls.collect(), continuation })
}

/// Servers that fill the call into a template refuse what is no object.
fn readable(arguments: &str) -> &str {
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(arguments) {
        Ok(_) => arguments,
        Err(_) => "{}",
    }
}

fn result(call_id: &str, content: &str) -> Message {
    Message::Tool(ToolResult { call_id: call_id.to_owned(), content: content.to_owned() })
}

fn words(text: &str) -> Message {
    Message::Assistant(AssistantTurn {
        text: Some(text.to_owned()),
        refusal: None,
        tool_calls: Vec::new(),
        continuation: None,
    })
}

#[cfg(test)]
mod tests {
    use innkeeper_guest::Timestamp;

    use super::*;
    use crate::chat::turn::{Call, Message as Row, Status, assemble};

    fn row(turn: i64, step: i64, content: &str) -> Row {
        Row {
            id: turn * 100 + step,
            turn,
            step,
            content: content.to_owned(),
            finish: "stop".to_owned(),
            continuation: None,
            created_at: Timestamp(0),
        }
    }

    fn call(turn: i64, step: i64, place: i64, status: Status) -> Call {
        Call {
            id: turn * 1000 + step * 10 + place,
            turn,
            step,
            place,
            call_id: format!("c{step}{place}"),
            name: "add_task".to_owned(),
            arguments: r#"{"title":"milk"}"#.to_owned(),
            status,
            result: (status == Status::Done).then(|| "{}".to_owned()),
            failed: false,
        }
    }

    /// One word for each message, so that an order can be read.
    fn brief(messages: &[Message]) -> Vec<String> {
        let brief = |message: &Message| match message {
            Message::System(_) => "system".to_owned(),
            Message::User(parts) => match &parts[..] {
                [Part::Text(text)] => format!("user {text}"),
                _ => "user ?".to_owned(),
            },
            Message::Assistant(turn) => {
                let calls: Vec<&str> = turn.tool_calls.iter().map(|call| call.id.as_str()).collect();
                format!("assistant {} {}", turn.text.as_deref().unwrap_or("-"), calls.join(" ")).trim_end().to_owned()
            }
            Message::Tool(result) => format!("tool {} {}", result.call_id, result.content),
        };
        messages.iter().map(brief).collect()
    }

    /// What no server takes: a call without its result behind it, a result
    /// without its call, or two users' messages in a row.
    #[track_caller]
    fn is_well_formed(messages: &[Message]) {
        let mut owed: Vec<String> = Vec::new();
        let mut last_was_assistant = true;
        for message in messages {
            match message {
                Message::Tool(result) => {
                    assert_eq!(owed.first(), Some(&result.call_id), "{:?}", brief(messages));
                    owed.remove(0);
                    last_was_assistant = false;
                    continue;
                }
                Message::Assistant(turn) => owed = turn.tool_calls.iter().map(|call| call.id.clone()).collect(),
                Message::User(_) => assert!(last_was_assistant, "{:?}", brief(messages)),
                Message::System(_) => {}
            }
            last_was_assistant = matches!(message, Message::Assistant(_));
        }
        assert!(owed.is_empty(), "{:?}", brief(messages));
    }

    #[test]
    fn a_whole_turn_is_told_as_it_was() {
        let rows = vec![row(1, 0, "add milk"), row(1, 1, ""), row(1, 2, "Added.")];
        let turns = assemble(rows, vec![call(1, 1, 0, Status::Done)], 10);
        let messages = earlier(&turns);
        assert_eq!(brief(&messages), ["user add milk", "assistant - c10", "tool c10 {}", "assistant Added."]);
    }

    #[test]
    fn a_turn_that_broke_off_anywhere_is_told_so_that_it_can_go_on() {
        use Status::{Approved, Done, Lost, Pending, Rejected, Running};
        for (steps, statuses) in [
            (0, vec![]),
            (1, vec![Approved]),
            (1, vec![Running, Approved]),
            (1, vec![Done, Running]),
            (1, vec![Done, Pending]),
            (1, vec![Lost, Rejected]),
            (1, vec![Done, Done]),
            (2, vec![Done]),
        ] {
            let mut rows = vec![row(1, 0, "add milk")];
            rows.extend((1..=steps).map(|step| row(1, step, if step == 2 { "Added." } else { "" })));
            let calls: Vec<Call> = (0..).zip(&statuses).map(|(place, status)| call(1, 1, place, *status)).collect();
            let calls = calls.into_iter().rev().collect();
            let turns = assemble(rows, calls, 10);
            let mut messages = earlier(&turns);
            messages.push(asked(&Turn::begun(row(2, 0, "and then?"))));
            is_well_formed(&messages);
            is_well_formed(&present(&turns[0]));
        }
    }

    #[test]
    fn what_was_not_run_and_what_may_have_been_are_told_apart() {
        let rows = vec![row(1, 0, "x"), row(1, 1, "")];
        let calls = vec![call(1, 1, 1, Status::Approved), call(1, 1, 0, Status::Running)];
        let told = brief(&earlier(&assemble(rows, calls, 10)));
        assert!(told[2].contains("unknown") && told[3].contains("not run"), "{told:?}");
    }

    #[test]
    fn history_is_cut_between_turns_and_the_latest_stay() {
        let mut rows = Vec::new();
        let mut calls = Vec::new();
        for turn in 1..=10 {
            rows.extend([row(turn, 0, "x"), row(turn, 1, ""), row(turn, 2, "Done.")]);
            let mut large = call(turn, 1, 0, Status::Done);
            large.result = Some("y".repeat(10 << 10));
            calls.insert(0, large);
        }
        let messages = earlier(&assemble(rows, calls, 100));
        assert_eq!(messages.len(), 4 * 4, "four turns of ten KiB are within 48");
        is_well_formed(&messages);
    }

    #[test]
    fn a_turn_whose_calls_were_not_all_read_is_left_out() {
        let mut rows = Vec::new();
        for turn in 1..=3 {
            rows.extend([row(turn, 0, "x"), row(turn, 1, ""), row(turn, 2, "Done.")]);
        }
        // As many as there may be: the oldest of turn 2 is missing.
        let calls = vec![call(3, 1, 1, Status::Done), call(3, 1, 0, Status::Done), call(2, 1, 1, Status::Done)];
        let turns = assemble(rows, calls, 3);
        assert_eq!(turns.iter().map(Turn::number).collect::<Vec<_>>(), [3]);
        is_well_formed(&earlier(&turns));
    }

    #[test]
    fn results_of_the_present_turn_are_left_out_from_the_oldest_on() {
        let mut rows = vec![row(1, 0, "x")];
        let mut calls = Vec::new();
        for step in 1..=10 {
            rows.push(row(1, step, ""));
            let mut large = call(1, step, 0, Status::Done);
            large.result = Some("y".repeat(16 << 10));
            calls.insert(0, large);
        }
        let messages = present(&assemble(rows, calls, 100)[0]);
        is_well_formed(&messages);
        let told = brief(&messages);
        assert!(told[2].contains("left out") && told[20].ends_with("yyy"), "{:?}", &told[20][..20]);
        let left_out = told.iter().filter(|line| line.contains("left out")).count();
        assert_eq!(left_out, 2, "eight times 16 KiB are 128");
    }

    #[test]
    fn arguments_that_are_no_object_are_not_sent_back() {
        let mut broken = call(1, 1, 0, Status::Done);
        broken.arguments = r#"{"title": "mi"#.to_owned();
        let turns = assemble(vec![row(1, 0, "x"), row(1, 1, "")], vec![broken], 10);
        let Message::Assistant(said) = &earlier(&turns)[1] else { panic!("no assistant") };
        assert_eq!(said.tool_calls[0].arguments, "{}");
    }
}
