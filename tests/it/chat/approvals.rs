//! Calls that wait for the user.

use super::*;

const APPROVAL: &str = "chat_approval = \"delete_task\"";

fn delete(id: i64) -> Turn {
    Turn::calls([("delete_task", json!({ "task_id": id }))])
}

/// A host on which the call to delete task 1 waits; the call's id as well.
async fn waiting(model: &OpenAi, database: Database) -> (TestHost, String) {
    let host = configured(model, database, APPROVAL).start().await;
    for title in ["milk", "eggs"] {
        assert_eq!(answer(host.post("/api/ada/tasks", &json!({ "title": title })).by("ada")).await.0, 201);
    }
    model.then([Turn::calls([("list_tasks", json!({})), ("delete_task", json!({ "task_id": 1 }))])]);
    let asked = say(&host, None, "delete the milk").await;
    assert_eq!(asked["finish_reason"], "approval_required", "{asked}");
    assert_eq!(asked["response"], "This needs your approval: delete_task.");
    let pending = &asked["approval_required"];
    assert_eq!((&pending[0]["arguments"], &pending[1]), (&json!({ "task_id": 1 }), &Value::Null));
    assert_eq!(asked["tool_calls"][0]["result"]["success"], true, "what needs no approval is done: {asked}");
    assert_eq!(titles(&host).await, ["eggs", "milk"]);
    let id = pending[0]["id"].as_str().expect("an id").to_owned();
    (host, id)
}

async fn decide(host: &TestHost, body: &Value) -> (u16, Value) {
    answer(host.post("/api/ada/conversations/1/approvals", body).by("ada")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_call_is_made_once_also_after_a_restart() {
    for database in Database::BOTH {
        let model = OpenAi::start(Vec::new()).await;
        let (host, call) = waiting(&model, database).await;
        let (_, kept) = host.stop().await;
        let host = configured(&model, database, APPROVAL).start_with(kept).await.expect("it starts again");
        model.then([Turn::text("Milk is gone.")]);
        let (status, done) = decide(&host, &json!({ "approve": [call], "reject": [] })).await;
        assert_eq!((status, &done["response"]), (200, &json!("Milk is gone.")), "{done}");
        assert_eq!(done["tool_calls"][1]["status"], "done");
        assert_eq!(titles(&host).await, ["eggs"]);
        let again = decide(&host, &json!({ "call_id": call, "approved": true })).await;
        assert_eq!(again, (409, json!({ "detail": "This tool call was decided before" })));
        let late = decide(&host, &json!({ "call_id": call, "approved": false })).await;
        assert_eq!(late.0, 409);
        assert_eq!(decide(&host, &json!({ "call_id": "call_99", "approved": true })).await.0, 404);
        model.finish();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_call_is_not_made_and_the_model_is_told() {
    let model = OpenAi::start(Vec::new()).await;
    let (host, call) = waiting(&model, Database::Postgres).await;
    model.then([Turn::text("I left it.")]);
    let request = host.post("/api/conversations/1/approvals", &json!({ "call_id": call, "approved": false })).by("ada");
    let events = events(request).await;
    assert_eq!(names(&events), ["start", "delta", "usage", "done"]);
    assert_eq!(events.last().expect("an end").1["tool_calls"][1]["status"], "rejected");
    assert!(result_for_model(&model)["error"].as_str().expect("a sentence").contains("did not approve"));
    assert_eq!(titles(&host).await, ["eggs", "milk"]);
    model.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_on_talking_has_not_approved() {
    let model = OpenAi::start(Vec::new()).await;
    let (host, call) = waiting(&model, Database::Sqlite).await;
    model.then([Turn::text("As you like.")]);
    let answer = say(&host, Some(1), "yes, delete it").await;
    assert_eq!(answer["response"], "As you like.");
    assert!(result_for_model(&model)["error"].as_str().expect("a sentence").contains("did not approve"));
    assert_eq!(decide(&host, &json!({ "approve": [call] })).await.0, 404, "it is of a turn that is over");
    assert_eq!(titles(&host).await, ["eggs", "milk"]);
    model.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_approvals_at_once_one_counts() {
    for database in Database::BOTH {
        let model = OpenAi::start(Vec::new()).await;
        let (host, call) = waiting(&model, database).await;
        model.then([Turn::text("Milk is gone.")]);
        let body = json!({ "call_id": call, "approved": true });
        let all = (0..8).map(|_| decide(&host, &body));
        let mut statuses: Vec<u16> =
            futures_util::future::join_all(all).await.into_iter().map(|(status, _)| status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
        assert_eq!(titles(&host).await, ["eggs"]);
        model.finish();
    }
}

/// Two buttons, pressed one after the other or at the same time: the last decision
/// goes on, the other says what is still open.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_before_all_is_decided() {
    for database in Database::BOTH {
        let model = OpenAi::start(Vec::new()).await;
        let host = configured(&model, database, APPROVAL).start().await;
        for title in ["milk", "eggs", "tea"] {
            answer(host.post("/api/ada/tasks", &json!({ "title": title })).by("ada")).await;
        }
        model.then([Turn::calls((1..=3).map(|id| ("delete_task", json!({ "task_id": id }))))]);
        let asked = say(&host, None, "delete all").await;
        let ids: Vec<&Value> = (0..3).map(|place| &asked["approval_required"][place]["id"]).collect();
        let (status, open) = decide(&host, &json!({ "approve": [ids[0]] })).await;
        assert_eq!((status, &open["finish_reason"]), (200, &json!("approval_required")));
        assert_eq!(open["approval_required"].as_array().expect("calls").len(), 2);
        assert_eq!(titles(&host).await.len(), 3);

        model.then([Turn::text("Two are gone.")]);
        let (yes, no) = (json!({ "approve": [ids[1]] }), json!({ "reject": [ids[2]] }));
        let (one, other) = tokio::join!(decide(&host, &yes), decide(&host, &no));
        assert_eq!((one.0, other.0), (200, 200), "{one:?} {other:?}");
        let finishes = [&one.1["finish_reason"], &other.1["finish_reason"]];
        assert!(finishes.contains(&&json!("stop")) && finishes.contains(&&json!("approval_required")), "{finishes:?}");
        assert_eq!(titles(&host).await, ["tea"]);
        model.finish();
    }
}

/// Not even one that has the same id in another of the caller's conversations.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_for_one_call_of_one_conversation_and_caller() {
    let model = OpenAi::start(Vec::new()).await;
    let (host, call) = waiting(&model, Database::Postgres).await;
    model.then([delete(2)]);
    let other = say(&host, None, "delete the eggs").await;
    let body = json!({ "approve": [call] });
    let wrong = format!("/api/ada/conversations/{}/approvals", other["conversation_id"]);
    assert_eq!(answer(host.post(&wrong, &body).by("ada")).await.0, 404);
    for path in ["/api/conversations/1/approvals", "/api/bob/conversations/1/approvals"] {
        assert_eq!(answer(host.post(path, &body).by("bob")).await.0, 404);
    }
    assert_eq!(answer(host.post("/api/ada/conversations/1/approvals", &body).by("bob")).await.0, 403);
    assert_eq!(titles(&host).await, ["eggs", "milk"]);
    model.finish();
}
