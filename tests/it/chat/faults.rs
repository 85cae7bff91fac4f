//! Hosts that are killed in the middle, and what is left.

use std::time::Duration;

use reqwest::Client;

use super::*;
use crate::harness::{HostProcess, TestDatabase, guest, report, token};

async fn start(model: &OpenAi, database: &TestDatabase) -> HostProcess {
    let module = guest("todo").display().to_string();
    // What a killed host had asked counts as running for minutes, and a caller may
    // have four requests running.
    let file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
    std::fs::write(&file, "[llm.budgets.caller]\nconcurrency = 100\n").expect("the file is written");
    let vars = [
        ("INNKEEPER_CONFIG", file.path().to_str().expect("a path of text")),
        ("DATABASE_URL", database.url()),
        ("INNKEEPER_MODULE", &module),
        ("OPENAI_BASE_URL", &model.url()),
        ("OPENAI_API_KEY", KEY),
    ];
    HostProcess::serve(&vars).await
}

fn post(client: &Client, host: &HostProcess, message: &str, conversation: Option<i64>) -> RequestBuilder {
    let body = json!({ "message": message, "conversation_id": conversation });
    client.post(host.url("/api/ada/chat")).json(&body).by("ada")
}

async fn read(client: &Client, host: &HostProcess, path: &str) -> Value {
    let request = client.get(host.url(path)).bearer_auth(token("ada"));
    request.send().await.expect("an answer").json().await.expect("JSON")
}

async fn kill(host: HostProcess) {
    host.signal("KILL").await;
    host.wait().await;
}

/// Waits until the model has been asked so often.
async fn asked(model: &OpenAi, times: usize) {
    let wait = async {
        while model.requests().len() < times {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the model is asked");
}

/// Killed while the model thinks, while it talks, and between a tool and the
/// answer: the conversation goes on, and nothing is done again.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_loses_no_message_and_repeats_no_tool() {
    for database in Database::BOTH {
        let silent = || Turn::text("Never heard.").after(Duration::from_secs(60));
        for (script, asks, tasks, told) in [
            (vec![silent()], 1, 0, "This message was not answered"),
            (vec![Turn::text("Half of an").hang_after(2)], 1, 0, "This message was not answered"),
            (vec![add("milk"), silent()], 2, 1, "This answer was cut off here"),
            (vec![add("milk"), Turn::text("Added the").hang_after(2)], 2, 1, "This answer was cut off here"),
        ] {
            let model = OpenAi::start(script).await;
            let kept = TestDatabase::create(database).await;
            let client = Client::new();
            let host = start(&model, &kept).await;
            let request = post(&client, &host, "add milk", None).send();
            let killed = async {
                asked(&model, asks).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                kill(host).await;
            };
            let (answer, ()) = tokio::join!(request, killed);
            assert!(answer.is_err(), "{answer:?}");

            let host = start(&model, &kept).await;
            let messages = read(&client, &host, "/api/conversations/1/messages").await;
            assert_eq!(messages[0]["content"], "add milk");
            model.then([Turn::text("Here I am again.")]);
            let answer = post(&client, &host, "are you there?", Some(1)).send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), 200);
            let request = model.last().to_string();
            assert!(request.contains(told), "{request}");
            let list = read(&client, &host, "/api/ada/tasks").await;
            assert_eq!(list.as_array().expect("a list").len(), tasks, "{list}");
            host.stop().await;
            model.finish();
        }
    }
}

/// Killed at any moment, again and again. Whether a task is there and what is known
/// of its call always fit together, and the model's server refuses every history
/// in which a call is without its result.
#[tokio::test(flavor = "multi_thread")]
async fn at_whatever_moment_it_is_killed_effect_and_claim_are_one() {
    let moments: Vec<u64> = (0..6).map(|_| fastrand::u64(0..40)).collect();
    report(&format!("killed after milliseconds {moments:?}"));
    for database in Database::BOTH {
        let model = OpenAi::answering(|request| {
            let messages = request["messages"].as_array().expect("messages");
            match messages.last().expect("one")["role"] == "tool" {
                true => Turn::text("Added."),
                false => {
                    Turn::calls((0..6).map(|n| ("add_task", json!({ "title": format!("t{}-{n}", messages.len()) }))))
                }
            }
        })
        .await;
        let kept = TestDatabase::create(database).await;
        let client = Client::new();
        let mut conversation = None;
        for (round, moment) in (0_u64..6).zip(&moments) {
            let host = start(&model, &kept).await;
            let before = model.requests().len();
            let request = post(&client, &host, &format!("round {round}"), conversation).send();
            let killed = async {
                asked(&model, before + 1).await;
                tokio::time::sleep(Duration::from_millis(*moment)).await;
                kill(host).await;
            };
            let _ = tokio::join!(request, killed);
            conversation = Some(1);
        }
        let host = start(&model, &kept).await;
        let answer = post(&client, &host, "and now?", conversation).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
        let list = read(&client, &host, "/api/ada/tasks?limit=100").await;
        let mut titles: Vec<&str> =
            list.as_array().expect("a list").iter().map(|task| task["title"].as_str().expect("text")).collect();
        titles.sort_unstable();
        let mut claimed = Vec::new();
        let messages = read(&client, &host, "/api/conversations/1/messages").await;
        let calls = messages.as_array().expect("a list").iter().filter_map(|message| message["tool_calls"].as_array());
        for call in calls.flatten() {
            match call["status"].as_str().expect("a status") {
                "running" | "done" => claimed.push(call["arguments"]["title"].as_str().expect("text")),
                "approved" => {}
                other => panic!("{other}"),
            }
        }
        claimed.sort_unstable();
        assert_eq!(titles, claimed, "on {database:?}");
        host.stop().await;
    }
}

/// The moments that a kill seldom meets, made by hand.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_done_is_told_as_unknown() {
    for database in Database::BOTH {
        let model = OpenAi::start(vec![add("milk"), Turn::text("Added.")]).await;
        let host = setup(&model, database).start().await;
        say(&host, None, "add milk").await;
        for (status, told) in [("running", "unknown"), ("approved", "not run"), ("lost", "unknown")] {
            host.database
                .meddle("todo", &format!("UPDATE tool_calls SET status = '{status}', result = NULL WHERE id = 1"))
                .await;
            model.then([Turn::text("I see.")]);
            say(&host, Some(1), "go on").await;
            let request = model.last();
            let messages = request["messages"].as_array().expect("messages");
            let result = messages.iter().find(|message| message["role"] == "tool").expect("a result");
            assert!(result["content"].as_str().expect("text").contains(told), "{status}: {result}");
        }
        // What nobody has ended for an hour is nobody's any more.
        let long_ago = match database {
            Database::Postgres => "now() - interval '2 hours'",
            Database::Sqlite => "1",
        };
        let meddled = format!("UPDATE tool_calls SET status = 'running', updated_at = {long_ago} WHERE id = 1");
        host.database.meddle("todo", &meddled).await;
        model.then([Turn::text("I see.")]);
        say(&host, Some(1), "go on").await;
        let kept = get(&host, "/api/conversations/1/messages").await;
        assert_eq!(kept[1]["tool_calls"][0]["status"], "lost");
        assert_eq!(titles(&host).await, ["milk"]);
        model.finish();
    }
}
