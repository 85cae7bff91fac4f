//! The SQL broker, through a guest that runs whatever a test asks for; every
//! claim on SQLite and on Postgres.

use serde_json::{Value, json};

use crate::harness::{Database, Setup, TestHost};

async fn probe(database: Database, limits: &str) -> TestHost {
    let file = format!(
        "[[module]]\nname = \"sql-probe\"\nsource = \"replaced\"\ngrants = {{ sql = \"main\" }}\nlimits = {{ {limits} }}\n"
    );
    Setup::guest("sql-probe").file(&file).on(database).start().await
}

async fn ask(host: &TestHost, path: &str, body: &Value) -> Value {
    let answer = host.post(path, body).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{body}");
    answer.json().await.expect("JSON")
}

async fn run(host: &TestHost, statement: &str, params: Value) -> Value {
    ask(host, "/run", &json!({ "statement": statement, "params": params })).await
}

/// The error of a statement, as the guest's language prints it.
async fn error(host: &TestHost, statement: &str, params: Value) -> String {
    let answer = run(host, statement, params).await;
    answer["error"].as_str().unwrap_or_else(|| panic!("an error, not {answer}")).to_owned()
}

fn unique(name: &str, positive: Value) -> Value {
    json!([{ "text": name }, "null", positive])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_value_comes_back_as_it_went() {
    for database in Database::BOTH {
        let host = probe(database, "").await;
        let sent = json!([
            { "boolean": true }, { "integer": -3 }, { "integer": 70_000 }, { "integer": 9_007_199_254_740_993_i64 },
            { "float": 0.5 }, { "float": 0.1 }, { "decimal": "-12.50" }, { "text": "grüße 🧺 'quoted'" },
            { "blob": [0, 255, 7] }, { "timestamp": 1_700_000_000_123_456_i64 }, { "text": "2026-01-31" },
            { "uuid": "67e55044-10b1-426f-9247-bb680e5fe0c8" }, { "json": "{\"a\": [1, null]}" },
        ]);
        let kept = run(&host, "keep", sent).await;
        let row = &kept["ok"][0]["rows"][0];
        for (column, expected) in [
            ("flag", json!(true)),
            ("small", json!(-3)),
            ("medium", json!(70_000)),
            ("big", json!(9_007_199_254_740_993_i64)),
            ("short_float", json!(0.5)),
            ("long_float", json!(0.1)),
            ("amount", json!("-12.50")),
            ("words", json!("grüße 🧺 'quoted'")),
            ("bytes", json!([0, 255, 7])),
            ("happened", json!(1_700_000_000_123_456_i64)),
            ("day", json!("2026-01-31")),
            ("tag", json!("67e55044-10b1-426f-9247-bb680e5fe0c8")),
            ("doc", json!("{\"a\": [1, null]}")),
        ] {
            assert_eq!(row[column], expected, "{column} on {database:?}: {kept}");
        }
        let nulls = run(&host, "keep", json!(vec!["null"; 13])).await;
        assert_eq!(nulls["ok"][0]["rows"][0]["happened"], Value::Null, "{nulls}");
        assert_eq!(run(&host, "kept", json!([])).await["ok"][0]["affected"], 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_cannot_be_is_invalid_with_its_parameters_name() {
    let host = probe(Database::Postgres, "").await;
    let mut all = vec![json!("null"); 13];
    for (index, value, expected) in [
        (0, json!({ "integer": 1 }), "$1 of `keep` expects boolean, not integer"),
        (1, json!({ "integer": 40_000 }), "$2 of `keep` 40000 is out of the range of smallint"),
        (4, json!({ "text": "1.5" }), "$5 of `keep` expects real, not text"),
        (6, json!({ "decimal": "twelve" }), "$7 of `keep` is not a decimal number"),
        (7, json!({ "text": "a\u{0}b" }), "$8 of `keep` holds a NUL character"),
        (10, json!({ "text": "2026-02-30" }), "$11 of `keep` `2026-02-30` is not a date"),
        (11, json!({ "uuid": "nope" }), "$12 of `keep` is not a UUID"),
        (12, json!({ "json": "{" }), "invalid input syntax for type json"),
    ] {
        let before = std::mem::replace(&mut all[index], value);
        let text = error(&host, "keep", json!(all)).await;
        assert!(text.contains("Invalid") && text.contains(expected), "{text}");
        all[index] = before;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_were_not_declared_and_wrong_counts_are_refused() {
    for database in Database::BOTH {
        let host = probe(database, "").await;
        assert_eq!(
            error(&host, "DROP TABLE numbers", json!([])).await,
            "Error::UnknownStatement(\"DROP TABLE numbers\")"
        );
        assert!(error(&host, "one", json!([{ "integer": 1 }])).await.contains("takes 0 parameters, not 1"));
        assert!(error(&host, "number", json!([])).await.contains("takes 1 parameters, not 0"));
        // The connection is in order afterwards.
        assert_eq!(run(&host, "one", json!([])).await["ok"][0]["rows"], json!([{ "one": 1 }]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_constraint_says_which() {
    for database in Database::BOTH {
        let host = probe(database, "").await;
        run(&host, "unique", unique("a", json!({ "integer": 1 }))).await;
        for (params, kind) in [
            (unique("a", json!({ "integer": 1 })), "Unique"),
            (unique("b", json!({ "integer": -1 })), "Check"),
            (unique("b", json!("null")), "NotNull"),
            (json!([{ "text": "b" }, { "text": "nobody" }, { "integer": 1 }]), "ForeignKey"),
        ] {
            let text = error(&host, "unique", params).await;
            assert!(text.contains(&format!("ConstraintKind::{kind}")), "{kind} on {database:?}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_written_whole_or_not_at_all() {
    for database in Database::BOTH {
        let host = probe(database, "").await;
        let step = |name: &str| json!({ "statement": "unique", "params": unique(name, json!({ "integer": 1 })) });
        let names = json!({ "statement": "names" });
        let both = ask(&host, "/batch", &json!([step("a"), step("b"), names])).await;
        assert_eq!(both["ok"][2]["rows"], json!([{ "name": "a" }, { "name": "b" }]), "{both}");
        let half = ask(&host, "/batch", &json!([step("c"), step("a")])).await;
        assert!(half["error"].as_str().unwrap().contains("Unique"), "{half}");
        let after = run(&host, "names", json!([])).await;
        assert_eq!(after["ok"][0]["rows"], json!([{ "name": "a" }, { "name": "b" }]), "{database:?}");
        let many = vec![names; 65];
        let refused = ask(&host, "/batch", &json!(many)).await;
        assert!(refused["error"].as_str().unwrap().contains("at most 64 steps"), "{refused}");
        assert_eq!(ask(&host, "/batch", &json!([])).await, json!({ "ok": [] }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_written_are_counted() {
    for database in Database::BOTH {
        let host = probe(database, "").await;
        run(&host, "unique", unique("a", json!({ "integer": 1 }))).await;
        run(&host, "unique", unique("b", json!({ "integer": 1 }))).await;
        let renamed = run(&host, "rename", json!([{ "text": "a" }, { "text": "c" }])).await;
        assert_eq!(renamed["ok"][0]["affected"], 1, "{database:?}");
        let missed = run(&host, "rename", json!([{ "text": "a" }, { "text": "d" }])).await;
        assert_eq!(missed["ok"][0]["affected"], 0, "{database:?}");
        assert_eq!(run(&host, "forget", json!([])).await["ok"][0]["affected"], 2, "{database:?}");
        let nothing = run(&host, "nothing", json!([])).await;
        assert_eq!(nothing["ok"][0], json!({ "affected": 0, "columns": ["n"], "rows": [] }), "{database:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn results_and_parameters_are_bounded() {
    for database in Database::BOTH {
        let host = probe(database, "sql_rows = 10, sql_bytes = \"4KiB\"").await;
        for n in 0..4 {
            run(&host, "number", json!([{ "integer": n }])).await;
        }
        // Each of three results fits, and all together do not.
        let thrice = json!(vec![json!({ "statement": "four" }); 3]);
        let all = ask(&host, "/batch", &thrice).await;
        assert!(all["error"].as_str().unwrap().contains("TooLarge"), "{database:?}: {all}");
        let rows = error(&host, "numbers", json!([])).await;
        assert!(rows.contains("more than 10 rows"), "{database:?}: {rows}");
        let params = error(&host, "words", json!([{ "text": "x".repeat(2_000) }])).await;
        assert!(params.contains("TooLarge"), "{database:?}: {params}");
        for _ in 0..6 {
            run(&host, "words", json!([{ "text": "x".repeat(900) }])).await;
        }
        let bytes = error(&host, "kept", json!([])).await;
        assert!(bytes.contains("over 4096 bytes"), "{database:?}: {bytes}");
        assert_eq!(run(&host, "one", json!([])).await["ok"][0]["affected"], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_values_alone_can_cause_is_invalid_and_no_trap() {
    let host = probe(Database::Postgres, "").await;
    for n in 0..2 {
        run(&host, "number", json!([{ "integer": n }])).await;
    }
    let several = error(&host, "malformed", json!([{ "integer": 1 }])).await;
    assert!(several.contains("Invalid") && several.contains("more than one row"), "{several}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_statement_ends_at_its_time_on_the_server_too() {
    for database in Database::BOTH {
        let host = probe(database, "sql_time = \"500ms\"").await;
        for n in 0..40 {
            run(&host, "number", json!([{ "integer": n }])).await;
        }
        assert_eq!(error(&host, "slow", json!([])).await, "Error::Timeout", "{database:?}");
        assert_eq!(run(&host, "one", json!([])).await["ok"][0]["affected"], 1, "{database:?}");
        if database == Database::Postgres {
            tokio::time::sleep(std::time::Duration::from_millis(800)).await;
            let pool = host.database.pool().await;
            let busy: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND application_name LIKE 'innkeeper:%' \
                 AND datname = current_database()",
            )
            .fetch_one(&pool)
            .await
            .expect("an answer");
            assert_eq!(busy, 0, "the server is still at work");
            pool.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_lose_nothing() {
    for database in Database::BOTH {
        let host = probe(database, "").await;
        let writes = (0..40).map(|n| {
            let body = json!({ "statement": "number", "params": [{ "integer": n }] });
            tokio::spawn(host.post("/run", &body).send())
        });
        for write in writes.collect::<Vec<_>>() {
            let answer: Value = write.await.expect("no panic").expect("an answer").json().await.expect("JSON");
            assert_eq!(answer["ok"][0]["affected"], 1, "{database:?}: {answer}");
        }
        assert_eq!(run(&host, "numbers", json!([])).await["ok"][0]["affected"], 40 * 40, "{database:?}");
    }
}
