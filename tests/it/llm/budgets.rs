//! Who may use how much: kept in the database, counted before, settled after.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::probe::{ask, early_in_a_minute, exceeded, says, settles, setup, used, with};
use crate::harness::{
    As, Bouncer, Database, HostProcess, KEY, OpenAi, Proxy, Setup, TestDatabase, TestHost, Turn, guest, report,
};

/// Everything without a limit but what a test is about.
fn only(budget: &str) -> String {
    let none = "{ requests_per_minute = 0, input_tokens_per_day = 0, output_tokens_per_day = 0, concurrency = 0 }";
    let mut file = String::from("[llm.budgets]\n");
    for whose in ["caller", "anonymous", "module", "host"] {
        if !budget.contains(&format!("{whose} = ")) {
            file.push_str(&format!("{whose} = {none}\n"));
        }
    }
    format!("{file}{budget}\n")
}

fn limits(numbers: [u64; 4]) -> String {
    let [requests, input, output, concurrency] = numbers;
    format!(
        "{{ requests_per_minute = {requests}, input_tokens_per_day = {input}, output_tokens_per_day = {output}, concurrency = {concurrency} }}"
    )
}

async fn refused(host: &TestHost, who: Option<&str>, scope: &str, unit: &str) -> Value {
    let answer = ask(host, "/complete", who, &says("Hi")).await;
    let limit = exceeded(&answer).clone();
    assert_eq!((&limit["scope"], &limit["unit"]), (&json!(scope), &json!(unit)), "{answer}");
    limit
}

async fn served(host: &TestHost, who: Option<&str>) {
    let answer = ask(host, "/complete", who, &says("Hi")).await;
    assert_eq!(answer["ok"]["turn"]["text"], "ok", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_budget_is_its_owners_alone() {
    for database in Database::BOTH {
        let model = OpenAi::answering(|_| Turn::text("ok")).await;
        early_in_a_minute().await;

        let budget = format!("caller = {}\nanonymous = {}", limits([2, 0, 0, 0]), limits([1, 0, 0, 0]));
        let host = setup(&model, "", &only(&budget)).on(database).start().await;
        for who in ["ada", "bob"] {
            served(&host, Some(who)).await;
            served(&host, Some(who)).await;
            let limit = refused(&host, Some(who), "Caller", "Requests").await;
            let wait = limit["retry_after_ms"].as_u64().expect("a time");
            assert!((1..=60_000).contains(&wait), "{limit}");
        }
        served(&host, None).await;
        let limit = refused(&host, None, "Caller", "Requests").await;
        assert!(limit["detail"].as_str().expect("words").contains("without a credential"), "{limit}");
        let (_, kept) = host.stop().await;

        // A restart gives nothing back.
        let host = setup(&model, "", &only(&budget)).start_with(kept).await.expect("it starts");
        refused(&host, Some("ada"), "Caller", "Requests").await;
        refused(&host, None, "Caller", "Requests").await;
        let (_, kept) = host.stop().await;

        let host = setup(&model, "", &only(&format!("module = {}", limits([1, 0, 0, 0]))));
        let host = host.start_with(kept).await.expect("it starts");
        served(&host, Some("ada")).await;
        refused(&host, Some("bob"), "Module", "Requests").await;
        let (_, kept) = host.stop().await;

        let host = setup(&model, "", &only(&format!("host = {}", limits([1, 0, 0, 0]))));
        let host = host.start_with(kept).await.expect("it starts");
        served(&host, None).await;
        refused(&host, Some("ada"), "Host", "Requests").await;
        host.stop().await;
        model.finish();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_takes_the_place_of_what_was_reserved() {
    for database in Database::BOTH {
        let slow = Turn::text("ok").usage(1_234, 56).after(Duration::from_millis(700));
        let error = Turn::error(400, "invalid_request", "no");
        let model = OpenAi::start(vec![slow, error, Turn::text("ok").usage(6, 4)]).await;
        let budget = format!("caller = {}\nhost = {}", limits([0, 100_000, 9_000, 0]), limits([0, 0, 50_000, 0]));
        let host = setup(&model, "", &only(&budget)).on(database).start().await;
        let hi = says("Hi");
        let (first, ()) = tokio::join!(ask(&host, "/complete", Some("ada"), &hi), async {
            // Meanwhile all of it is reserved: two of 4,096 have room in 9,000, and no third.
            settles(&host, Some("ada"), "Caller", "OutputTokens", 4_096).await;
            assert!(used(&host, Some("ada"), "Caller", "InputTokens").await >= 9);
            assert_eq!(used(&host, Some("bob"), "Caller", "OutputTokens").await, 0);
            assert_eq!(used(&host, Some("bob"), "Host", "OutputTokens").await, 4_096);
        });
        assert_eq!(first["ok"]["usage"]["output"], 56, "{first}");
        settles(&host, Some("ada"), "Caller", "OutputTokens", 56).await;
        settles(&host, Some("ada"), "Caller", "InputTokens", 1_234).await;
        settles(&host, None, "Host", "OutputTokens", 56).await;
        // A refusal costs nothing.
        let refusal = ask(&host, "/complete", Some("ada"), &says("Hi")).await;
        assert!(refusal["error"]["Upstream"].is_object(), "{refusal}");
        settles(&host, Some("ada"), "Caller", "OutputTokens", 56).await;
        served(&host, Some("ada")).await;
        // Who stops settles first.
        let (_, kept) = host.stop().await;
        let host = setup(&model, "", &only(&budget)).start_with(kept).await.expect("it starts");
        assert_eq!(used(&host, Some("ada"), "Caller", "OutputTokens").await, 60);
        assert_eq!(used(&host, Some("ada"), "Caller", "InputTokens").await, 1_240);
        host.stop().await;
        model.finish();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_off_is_counted_by_what_was_heard_of_it() {
    for database in Database::BOTH {
        let words = Turn::text("one two three four five six seven eight nine ten");
        let model = OpenAi::start(vec![words.clone().cut_after(7), words.hang_after(7)]).await;
        let budget = format!("caller = {}", limits([0, 100_000, 100_000, 0]));
        let host = setup(&model, "", &only(&budget)).on(database).start().await;
        let cut = ask(&host, "/open", Some("ada"), &says("Count")).await;
        let broken = &cut["broke_off"]["Interrupted"];
        assert_eq!(broken["partial"], "one two three four five six ", "{cut}");
        let heard = broken["usage"]["output"].as_u64().expect("a number");
        assert!((4..=40).contains(&heard), "{cut}");
        settles(&host, Some("ada"), "Caller", "OutputTokens", heard).await;

        ask(&host, "/open?drop_after=3", Some("bob"), &says("Count")).await;
        model.until_cancelled(1).await;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if used(&host, Some("bob"), "Caller", "OutputTokens").await < 4_096 {
                break;
            }
        }
        let counted = used(&host, Some("bob"), "Caller", "OutputTokens").await;
        assert!((1..=200).contains(&counted), "{counted}");
        assert!(used(&host, Some("bob"), "Caller", "InputTokens").await > 0);
        host.stop().await;
        model.finish();
    }
}

/// A crowd on two hosts, and room for twenty: a look before the count would let
/// more of them through.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_on_two_hosts_never_gets_more_than_there_is() {
    for database in Database::BOTH {
        let model = OpenAi::answering(|_| Turn::text("ok").usage(10, 2).after(Duration::from_secs(3))).await;
        let budget = only(&format!("host = {}", limits([0, 0, 2_000, 0])));
        let start = || setup(&model, "", &budget).env("INNKEEPER_MAX_IN_FLIGHT", "256");
        let first = start().on(database).start().await;
        let second = start().start_with(first.database.clone()).await.expect("it starts");
        let request = with(says("Hi"), json!({ "max_output_tokens": 100 }));
        let crowd = (0..200).map(|n| {
            let host = if n % 2 == 0 { &first } else { &second };
            let (who, request) = (format!("user-{n}"), &request);
            async move { ask(host, "/complete", Some(&who), request).await }
        });
        let began = std::time::Instant::now();
        let answers = join_all(crowd).await;
        let granted = answers.iter().filter(|answer| answer["ok"].is_object()).count();
        let beyond = answers.iter().filter(|answer| answer["error"]["BudgetExceeded"]["scope"] == "Host").count();
        report(&format!("{database:?}: {granted} of 200 in {:?}", began.elapsed()));
        let other = answers.iter().find(|answer| answer["ok"].is_null() && answer["error"]["BudgetExceeded"].is_null());
        assert_eq!((granted, beyond), (20, 180), "{other:?}");
        assert_eq!(model.requests().len(), 20);
        settles(&second, None, "Host", "OutputTokens", 40).await;
        first.stop().await;
        second.stop().await;
        model.finish();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_at_once_and_no_more() {
    for database in Database::BOTH {
        let model = OpenAi::answering(|_| Turn::text("ok").after(Duration::from_secs(2))).await;
        let budget = only(&format!("caller = {}", limits([0, 0, 0, 2])));
        let host = setup(&model, "", &budget).on(database).start().await;
        let (_, _, ()) = tokio::join!(served(&host, Some("ada")), served(&host, Some("ada")), async {
            settles(&host, Some("ada"), "Caller", "Concurrency", 2).await;
            let limit = refused(&host, Some("ada"), "Caller", "Concurrency").await;
            assert!(limit["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{limit}");
            served(&host, Some("bob")).await;
        });
        settles(&host, Some("ada"), "Caller", "Concurrency", 0).await;
        served(&host, Some("ada")).await;
        host.stop().await;
        model.finish();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_asks_so_often_and_no_oftener() {
    let model = OpenAi::answering(|_| Turn::text("ok")).await;
    let budget = format!("{}requests_per_run = 3\n", only(""));
    let host = setup(&model, "", &budget).start().await;
    let three = ask(&host, "/complete?times=3", None, &says("Hi")).await;
    assert!(three["ok"].is_object(), "{three}");
    let four = ask(&host, "/complete?times=4", None, &says("Hi")).await;
    let limit = exceeded(&four);
    assert_eq!(
        (&limit["scope"], &limit["unit"], &limit["retry_after_ms"]),
        (&json!("Run"), &json!("Requests"), &Value::Null)
    );
    assert_eq!(model.requests().len(), 6);
    host.stop().await;
    model.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_no_day_has_room_for_is_told_so() {
    let model = OpenAi::answering(|_| Turn::text("ok").usage(10, 5)).await;
    let host = setup(&model, "", &only(&format!("caller = {}", limits([0, 200, 100, 0])))).start().await;
    let long = ask(&host, "/complete", Some("ada"), &says(&"word ".repeat(500))).await;
    let limit = exceeded(&long);
    assert_eq!((&limit["unit"], &limit["retry_after_ms"]), (&json!("InputTokens"), &Value::Null), "{long}");
    // An answer is never longer than a day's budget, or none could ever begin.
    served(&host, Some("ada")).await;
    assert_eq!(model.last()["max_tokens"], 100);
    host.stop().await;
    model.finish();
}

/// A killed host gives nothing back, and a second one knows what it had.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_in_the_middle_of_an_answer_leaves_it_counted() {
    for database in Database::BOTH {
        let model = OpenAi::start(vec![Turn::text("one two three").hang_after(2)]).await;
        let kept = TestDatabase::create(database).await;
        let file = tempfile::NamedTempFile::new().expect("a file");
        let probe = guest("llm-probe").display().to_string();
        let budget = only(&format!("caller = {}", limits([9, 90_000, 90_000, 4])));
        let module = format!(
            "{budget}[[module]]\nname = \"llm-probe\"\nsource = \"{probe}\"\ngrants = {{ llm = [\"default\"] }}\n"
        );
        std::fs::write(file.path(), module).expect("written");
        let (config, url) = (file.path().display().to_string(), model.url());
        let vars = [
            ("INNKEEPER_CONFIG", &*config),
            ("DATABASE_URL", kept.url()),
            ("OPENAI_API_KEY", KEY),
            ("OPENAI_BASE_URL", &*url),
        ];
        let host = HostProcess::serve(&vars).await;
        let asked = reqwest::Client::new().post(host.url("/open")).json(&says("Hi")).by("ada").send();
        let asked = tokio::spawn(asked);
        while model.open() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        host.signal("KILL").await;
        host.wait().await;
        assert!(asked.await.expect("no panic").is_err());
        model.until_cancelled(1).await;

        let host = setup(&model, "", &budget).start_with(kept).await.expect("it starts");
        assert_eq!(used(&host, Some("ada"), "Caller", "OutputTokens").await, 4_096, "on {database:?}");
        assert!(used(&host, Some("ada"), "Caller", "InputTokens").await > 0);
        assert_eq!(used(&host, Some("ada"), "Caller", "Concurrency").await, 1);
        assert_eq!(used(&host, Some("bob"), "Caller", "OutputTokens").await, 0);
        host.stop().await;
        model.finish();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_no_model_is_asked() {
    let model = OpenAi::answering(|_| Turn::text("ok")).await;
    let database = TestDatabase::create(Database::Postgres).await;
    let proxy = Proxy::before(database.url()).await;
    let url = proxy.url(database.url());
    let host = setup(&model, "", "").start_at(database, &url).await.expect("it starts");
    served(&host, Some("ada")).await;
    proxy.cut();
    let away = ask(&host, "/complete", Some("ada"), &says("Hi")).await;
    assert_eq!(away["error"], "Unavailable");
    let away: Value = host.get("/allowances").send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(away["error"], "Unavailable");
    assert_eq!(model.requests().len(), 1);
    proxy.restore();
    served(&host, Some("ada")).await;
    host.stop().await;
    model.finish();
}

/// A module's own role may use the schema `innkeeper`, and nothing of the budgets.
#[tokio::test(flavor = "multi_thread")]
async fn no_module_reaches_the_budgets_in_the_database() {
    let (probe, sql) = (guest("llm-probe").display().to_string(), guest("sql-probe").display().to_string());
    let modules = format!(
        "[[module]]\nname = \"probe\"\nsource = \"{probe}\"\ngrants = {{ llm = [\"default\"] }}\n\
         [[module]]\nname = \"sql\"\nsource = \"{sql}\"\nroute = \"/sql\"\ngrants = {{ sql = \"main\" }}\n"
    );
    let model = OpenAi::answering(|_| Turn::text("ok")).await;
    let host = super::probe::with_model(Setup::modules(&modules), &model).on(Database::Postgres).start().await;
    served(&host, Some("ada")).await;
    let roles = "SELECT rolname FROM pg_roles WHERE rolname LIKE \
                 (SELECT 'innkeeper\\_' || oid || '\\_sql' FROM pg_database WHERE datname = current_database())";
    assert_eq!(host.database.meddle("sql", roles).await, 1);
    let things = "SELECT c.relname FROM pg_class c WHERE relname IN ('llm_used', 'llm_open')";
    assert_eq!(host.database.meddle("sql", things).await, 2);
    let reached = format!(
        "SELECT r.rolname FROM ({roles}) r, pg_class c WHERE c.relname IN ('llm_used', 'llm_open') \
         AND has_table_privilege(r.rolname, c.oid, 'SELECT, INSERT, UPDATE, DELETE') \
         UNION ALL SELECT r.rolname FROM ({roles}) r, pg_proc p WHERE p.proname LIKE 'llm\\_%' \
         AND has_function_privilege(r.rolname, p.oid, 'EXECUTE')"
    );
    assert_eq!(host.database.meddle("sql", &reached).await, 0);
    host.stop().await;
    model.finish();
}

/// A pooler gives each message another backend, and knows none of a session's settings.
#[tokio::test(flavor = "multi_thread")]
async fn budgets_are_kept_through_a_pooler() {
    let Some(program) = Bouncer::program() else {
        report("skipped: budgets through PgBouncer, for want of INNKEEPER_TEST_PGBOUNCER");
        return;
    };
    let model = OpenAi::answering(|_| Turn::text("ok").usage(30, 4).after(Duration::from_secs(1))).await;
    let database = TestDatabase::create(Database::Postgres).await;
    let bouncer = Bouncer::start(program, database.url(), 2).await;
    let url = bouncer.url(database.url());
    let budget = only(&format!("module = {}", limits([0, 0, 500, 0])));
    let host = setup(&model, "", &budget).env("INNKEEPER_DATABASE_POOLED", "1").start_at(database, &url).await;
    let host = host.unwrap_or_else(|error| panic!("{error}: {}", bouncer.log()));
    let request = with(says("Hi"), json!({ "max_output_tokens": 100 }));
    let crowd = (0..20).map(|_| ask(&host, "/complete", None, &request));
    let granted = join_all(crowd).await.iter().filter(|answer| answer["ok"].is_object()).count();
    assert_eq!(granted, 5);
    settles(&host, None, "Module", "OutputTokens", 20).await;
    host.stop().await;
    model.finish();
}
