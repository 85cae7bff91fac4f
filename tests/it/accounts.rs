//! Local accounts: who registers can sign in, who signs out is out, and who
//! guesses waits; every claim on SQLite and on Postgres.

mod hostile;
mod layouts;
mod limits;

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};

use crate::harness::{As, Database, Setup, TestDatabase, TestHost, guest};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";

fn local() -> Setup {
    Setup::guest("todo").env("AUTH_LOCAL", "1")
}

fn registration(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "name": "Ada" })
}

async fn register(host: &TestHost, email: &str) -> (u16, Value) {
    answer(host.post("/api/auth/register", &registration(email))).await
}

async fn login(host: &TestHost, email: &str, password: &str) -> (u16, Value) {
    answer(host.post("/api/auth/login", &json!({ "email": email, "password": password }))).await
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = send(request).await;
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// The same for a question that may be asked again: a database on a busy machine
/// does not always answer within the host's two seconds.
async fn patient(request: impl Fn() -> RequestBuilder) -> u16 {
    for _ in 0..10 {
        let status = answer(request()).await.0;
        if status != 503 {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    503
}

fn token(answer: &Value) -> &str {
    answer["access_token"].as_str().unwrap_or_else(|| panic!("a token: {answer}"))
}

fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&B64.decode(claims).expect("base64")).expect("JSON")
}

/// Runs a statement on the host's own tables, past the host.
async fn meddle(database: &TestDatabase, statement: &str) -> u64 {
    let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
    match database.dir() {
        Some(dir) => {
            let mut file = SqliteConnectOptions::new().filename(dir.join("test.db")).connect().await.unwrap();
            statement.execute(&mut file).await.unwrap().rows_affected()
        }
        None => {
            let pool = database.pool().await;
            let affected = statement.execute(&pool).await.unwrap().rows_affected();
            pool.close().await;
            affected
        }
    }
}

async fn count(database: &TestDatabase, table: &str) -> i64 {
    let text = AssertSqlSafe(format!("SELECT count(*) FROM \"{table}\""));
    match database.dir() {
        Some(dir) => {
            let mut file = SqliteConnectOptions::new().filename(dir.join("test.db")).connect().await.unwrap();
            sqlx::query_scalar(text).fetch_one(&mut file).await.unwrap()
        }
        None => {
            let pool = database.pool().await;
            let count = sqlx::query_scalar(text).fetch_one(&pool).await.unwrap();
            pool.close().await;
            count
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_registers_is_signed_in_until_signing_out() {
    for database in Database::BOTH {
        let host = local().on(database).start().await;
        let registered = send(host.post("/api/auth/signup", &registration("Ada@Example.com"))).await;
        assert_eq!(registered.status(), 201);
        assert_eq!(registered.headers()["cache-control"], "no-store");
        assert!(!registered.headers().contains_key("set-cookie"));
        let registered: Value = registered.json().await.expect("JSON");
        let (user, first) = (registered["user"].clone(), token(&registered).to_owned());
        let id = user["id"].as_str().expect("an id").to_owned();
        assert_eq!(user, json!({ "id": id, "email": EMAIL, "name": "Ada" }));
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        assert_eq!(registered["token"], registered["access_token"]);
        assert_eq!(registered["token_type"], "bearer");
        assert!((604_000..=604_800).contains(&registered["expires_in"].as_u64().unwrap()), "{registered}");
        let claims = claims(&first);
        assert_eq!((&claims["sub"], &claims["email"], &claims["name"]), (&json!(id), &json!(EMAIL), &json!("Ada")));
        assert!(claims["exp"].as_u64() > claims["iat"].as_u64());

        let (status, second) = login(&host, "ADA@example.com", PASSWORD).await;
        assert_eq!((status, &second["user"]), (200, &user));
        let second = token(&second);
        for token in [&first, second] {
            let tasks = host.post(&format!("/api/{id}/tasks"), &json!({ "title": "Buy milk" })).bearer_auth(token);
            assert_eq!(answer(tasks).await.0, 201);
            assert_eq!(answer(host.get("/api/auth/me").bearer_auth(token)).await, (200, user.clone()));
            let (status, session) = answer(host.get("/api/auth/session").bearer_auth(token)).await;
            assert_eq!((status, &session["user"], &session["session"]["userId"]), (200, &user, &json!(id)));
        }
        // A token of somebody else is somebody else's.
        assert_eq!(answer(host.get(&format!("/api/{id}/tasks")).by("bob")).await.0, 403);

        let (status, out) = answer(host.post("/api/auth/logout", &json!({})).bearer_auth(&first)).await;
        assert_eq!((status, out), (200, json!({ "message": "Successfully logged out" })));
        for path in [&format!("/api/{id}/tasks"), "/api/auth/me", "/api/auth/session"] {
            let (status, refused) = answer(host.get(path).bearer_auth(&first)).await;
            assert_eq!((status, refused), (401, json!({ "detail": "Could not validate credentials" })), "{path}");
            // The other session goes on.
            assert_eq!(answer(host.get(path).bearer_auth(second)).await.0, 200, "{path}");
        }
        // Nobody signs out, and nobody has a session.
        assert_eq!(answer(host.post("/api/auth/sign-out", &json!({}))).await.0, 200);
        assert_eq!(answer(host.get("/api/auth/session")).await, (200, Value::Null));
        let me = send(host.get("/api/auth/me")).await;
        assert_eq!((me.status().as_u16(), &me.headers()["www-authenticate"]), (401, &"Bearer".parse().unwrap()));
        let (drained, _) = host.stop().await;
        assert_eq!(drained, innkeeper::server::Drained::Clean);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_and_form_that_clients_use_is_answered() {
    for database in Database::BOTH {
        let host = local().on(database).start().await;
        for (number, path) in
            ["/api/auth/signup", "/api/auth/register", "/auth/register", "/auth/signup"].into_iter().enumerate()
        {
            let names = ["name", "full_name", "username", "ignored"];
            let mut body = json!({ "email": format!("u{number}@example.com"), "password": PASSWORD, "confirm_password": PASSWORD });
            body[names[number]] = json!("Ada");
            let (status, answer) = answer(host.post(path, &body)).await;
            let name = if number < 3 { "Ada" } else { "u3" };
            assert_eq!((status, &answer["user"]["name"]), (201, &json!(name)), "{path} {answer}");
        }
        for path in ["/api/auth/login", "/auth/login", "/api/auth/signin", "/auth/signin"] {
            let json = host.post(path, &json!({ "email": " u1@example.com ", "password": PASSWORD }));
            let form = host.request(reqwest::Method::POST, path);
            let form = form.header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
            let form =
                form.body("grant_type=password&username=u1%40example.com&password=correct+horse%20battery&scope=");
            for request in [json, form] {
                let (status, answer) = answer(request).await;
                assert_eq!((status, &answer["user"]["email"]), (200, &json!("u1@example.com")), "{path} {answer}");
                let me = host.get("/auth/me").bearer_auth(token(&answer));
                assert_eq!(self::answer(me).await.0, 200);
                let out = host.post(&path.replace("login", "logout").replace("signin", "signout"), &json!({}));
                assert_eq!(self::answer(out.bearer_auth(token(&answer))).await.0, 200);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_a_rule_is_told_as_fastapi_tells_it() {
    let host = local().start().await;
    let (status, body) = answer(host.post("/api/auth/register", &json!({ "email": "x", "password": "short" }))).await;
    let reason = "An email address must have an @-sign.";
    assert_eq!(status, 422);
    assert_eq!(
        body,
        json!({ "detail": [
            { "type": "value_error", "loc": ["body", "email"], "msg": format!("value is not a valid email address: {reason}"), "input": "x", "ctx": { "reason": reason } },
            { "type": "string_too_short", "loc": ["body", "password"], "msg": "String should have at least 8 characters", "input": "short", "ctx": { "min_length": 8 } },
        ] })
    );
    for (path, body) in [
        ("/api/auth/register", json!({ "email": EMAIL, "password": "a".repeat(129) })),
        ("/api/auth/register", json!({ "email": EMAIL, "password": PASSWORD, "name": "" })),
        ("/api/auth/register", json!({ "email": EMAIL, "password": PASSWORD, "name": "\u{7}" })),
        ("/api/auth/register", json!({ "email": EMAIL, "password": PASSWORD, "confirm_password": "another" })),
        ("/api/auth/register", json!({ "email": format!("{}@example.com", "a".repeat(250)), "password": PASSWORD })),
        ("/api/auth/register", json!([])),
        ("/api/auth/login", json!({ "email": EMAIL })),
        ("/api/auth/login", json!({ "email": "ada", "password": PASSWORD })),
        ("/api/auth/login", json!({ "email": EMAIL, "password": 5 })),
    ] {
        assert_eq!(answer(host.post(path, &body)).await.0, 422, "{path} {body}");
    }
    let form = |body: &'static str| {
        let request = host.request(reqwest::Method::POST, "/auth/login").body(body);
        request.header("content-type", "application/x-www-form-urlencoded")
    };
    let (status, missing) = answer(form("username=ada")).await;
    assert_eq!(status, 422);
    assert_eq!(
        missing,
        json!({ "detail": [{ "type": "missing", "loc": ["body", "password"], "msg": "Field required", "input": null }] })
    );
    // A user name is any text, and so many are nobody's.
    assert_eq!(answer(form("username=ada&password=x")).await.0, 401);
    assert_eq!(answer(form("username=&password=")).await.0, 401);
    let long = "a".repeat(2_000);
    assert_eq!(login(&host, EMAIL, &long).await.0, 401);
    assert_eq!(count(&host.database, "user").await, 0);
    for (method, path, allow) in [("GET", "login", "POST"), ("POST", "me", "GET"), ("DELETE", "session", "GET")] {
        let request = host.request(method.parse().unwrap(), &format!("/api/auth/{path}"));
        let answer = send(request).await;
        assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &allow.parse().unwrap()), "{path}");
    }
    assert_eq!(answer(host.get("/api/auth/nothing")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_one_account() {
    for database in Database::BOTH {
        let host = local().on(database).start().await;
        assert_eq!(register(&host, EMAIL).await.0, 201);
        for again in [EMAIL, "ADA@EXAMPLE.COM"] {
            assert_eq!(register(&host, again).await, (400, json!({ "detail": "Email already registered" })));
        }
        assert_eq!((count(&host.database, "user").await, count(&host.database, "account").await), (1, 1));
        // What was refused has changed nothing.
        assert_eq!(login(&host, EMAIL, PASSWORD).await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_that_register_one_address_at_once_make_one_account() {
    for database in Database::BOTH {
        let shared = TestDatabase::create(database).await;
        let start = || local().on(database).start_with(shared.clone());
        // They make the tables at once, too.
        let (one, two) = tokio::join!(start(), start());
        let hosts = [one.expect("a host"), two.expect("a host")];
        for round in 0..5 {
            let email = format!("u{round}@example.com");
            let (a, b) = tokio::join!(register(&hosts[0], &email), register(&hosts[1], &email));
            let mut statuses = [a.0, b.0];
            statuses.sort_unstable();
            assert_eq!(statuses, [201, 400], "{database:?} {} {}", a.1, b.1);
        }
        assert_eq!(count(&shared, "user").await, 5);
        // Who registered at one signs in at the other, and out at either.
        let (status, session) = login(&hosts[1], "u0@example.com", PASSWORD).await;
        assert_eq!(status, 200);
        let token = token(&session);
        assert_eq!(answer(hosts[0].get("/api/auth/me").bearer_auth(token)).await.0, 200);
        assert_eq!(answer(hosts[0].post("/api/auth/logout", &json!({})).bearer_auth(token)).await.0, 200);
        assert_eq!(answer(hosts[1].get("/api/auth/me").bearer_auth(token)).await.0, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_sessions_are_there_after_a_restart() {
    for database in Database::BOTH {
        let host = local().on(database).start().await;
        let (_, registered) = register(&host, EMAIL).await;
        let (_, kept) = host.stop().await;
        let host = local().on(database).start_with(kept).await.expect("the host starts");
        assert_eq!(answer(host.get("/api/auth/me").bearer_auth(token(&registered))).await.0, 200);
        assert_eq!(login(&host, EMAIL, PASSWORD).await.0, 200);
        assert_eq!(login(&host, EMAIL, "another").await.0, 401);
        // A host without accounts hands out nothing, and knows those it finds.
        let (_, kept) = host.stop().await;
        let host = Setup::guest("todo").on(database).start_with(kept).await.expect("the host starts");
        assert_eq!(login(&host, EMAIL, PASSWORD).await, (404, json!({ "detail": "Not Found" })));
        let known = if database == Database::Postgres { 200 } else { 401 };
        assert_eq!(answer(host.get("/api/tasks").bearer_auth(token(&registered))).await.0, known);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_accounts_are_off_there_are_no_such_routes() {
    let withheld = "[[module]]\nname = \"todo\"\nsource = \"replaced\"\ngrants = { sql = \"main\", accounts = false, llm = [], toolbox = [] }\n";
    for setup in
        [Setup::guest("todo"), local().env("AUTH_LOCAL", "0").env("INNKEEPER_DEV", "1"), local().file(withheld)]
    {
        let host = setup.start().await;
        for path in ["register", "signup", "login", "signin", "logout", "signout", "sign-out", "session", "me"] {
            for path in [format!("/api/auth/{path}"), format!("/auth/{path}"), format!("/api/auth/{path}/")] {
                for method in ["GET", "POST", "OPTIONS"] {
                    let request = host.request(method.parse().unwrap(), &path).json(&registration(EMAIL)).by("ada");
                    assert_eq!(answer(request).await, (404, json!({ "detail": "Not Found" })), "{method} {path}");
                }
            }
        }
        let document = answer(host.get("/openapi.json")).await.1;
        assert!(document["paths"]["/api/auth/login"].is_null());
        assert_eq!(answer(host.get("/api/ada/tasks").by("ada")).await.0, 200);
    }
    let host = Setup::guest("todo").env("INNKEEPER_DEV", "1").start().await;
    assert_eq!(register(&host, EMAIL).await.0, 201, "on in development");
    let document = answer(host.get("/openapi.json")).await.1;
    assert!(document["paths"]["/api/auth/login"]["post"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_was_not_granted_accounts_is_refused_with_the_line_that_grants_them() {
    let file = format!(
        "[[module]]\nname = \"stranger\"\nsource = {:?}\nroute = \"/x\"\ngrants = {{ sql = \"main\", llm = [], toolbox = [] }}\n",
        guest("todo")
    );
    let database = TestDatabase::create(Database::Sqlite).await;
    let refused = Setup::modules(&file).env("AUTH_LOCAL", "1").start_with(database).await.err().expect("refused");
    let why = refused.to_string();
    assert!(why.contains("imports `innkeeper:backend/accounts@0.1.0` without a grant"), "{why}");
    assert!(why.contains("add `grants = { accounts = true }` to the module"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_chooses_the_statuses_issuer_and_audience() {
    let file = "[[module]]\nname = \"todo\"\nsource = \"replaced\"\ngrants = { sql = \"main\", accounts = true, llm = [], toolbox = [] }\n\
                [module.config]\nregister_status = \"200\"\nduplicate_status = \"409\"\n";
    let setup = local().file(file).env("AUTH_ISSUER", "https://id.example,https://other.example");
    let host = setup.env("AUTH_AUDIENCE", "todo").start().await;
    let (status, registered) = register(&host, EMAIL).await;
    assert_eq!(status, 200);
    assert_eq!(register(&host, EMAIL).await.0, 409);
    let claims = claims(token(&registered));
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("https://id.example"), &json!("todo")));
    assert_eq!(answer(host.get("/api/auth/me").bearer_auth(token(&registered))).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_of_sessions_ends_at_once_where_its_user_signs_out() {
    const SECONDS: u64 = 6;
    for database in Database::BOTH {
        let host = local().on(database).env("AUTH_SESSION_CACHE", &SECONDS.to_string()).start().await;
        let (_, registered) = register(&host, EMAIL).await;
        let me = || host.get("/api/auth/me").bearer_auth(token(&registered));
        // Two seconds would be over before the row is gone on a machine that has
        // other things to do.
        let looked_up = Instant::now();
        assert_eq!(patient(me).await, 200);
        meddle(&host.database, "DELETE FROM \"session\"").await;
        let remembered = patient(me).await;
        let elapsed = looked_up.elapsed();
        assert!(remembered == 200 || elapsed >= Duration::from_secs(SECONDS), "{remembered} after {elapsed:?}");
        tokio::time::sleep(Duration::from_millis(SECONDS * 1_000 + 100)).await;
        assert_eq!(patient(me).await, 401);
        let (_, again) = login(&host, EMAIL, PASSWORD).await;
        let me = || host.get("/api/auth/me").bearer_auth(token(&again));
        assert_eq!(patient(me).await, 200);
        let out = host.post("/api/auth/logout", &json!({})).bearer_auth(token(&again));
        assert_eq!(answer(out).await.0, 200);
        assert_eq!(patient(me).await, 401, "forgotten");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_so_many_sessions_and_no_more() {
    for database in Database::BOTH {
        let host = local().on(database).start().await;
        let (_, registered) = register(&host, EMAIL).await;
        let id = registered["user"]["id"].as_str().expect("an id");
        let dates = match database {
            Database::Sqlite => "'2020-01-01T00:00:00.000Z', '2099-01-01T00:00:00.000Z', '2020-01-01T00:00:00.000Z'",
            Database::Postgres => "now() - interval '1 day', now() + interval '1 day', now()",
        };
        for number in 0..105 {
            let text = format!(
                "INSERT INTO \"session\" (id, \"createdAt\", \"expiresAt\", \"updatedAt\", token, \"userId\") \
                 VALUES ('old{number}', {dates}, 'TokenTokenToken{number}', '{id}')"
            );
            meddle(&host.database, &text).await;
        }
        assert_eq!(login(&host, EMAIL, PASSWORD).await.0, 200);
        assert_eq!(count(&host.database, "session").await, 100);
        // The newest stay.
        assert_eq!(answer(host.get("/api/auth/me").bearer_auth(token(&registered))).await.0, 200);
    }
}
