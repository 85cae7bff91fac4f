//! Session tokens: looked up in Better Auth's tables, in every form in which
//! frontends send them.

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::better_auth::{Tables, run};
use super::issuer::{cookie_value, signed_session};
use crate::harness::{Database, HostProcess, Proxy, SECRET, Setup, TestDatabase, TestHost, guest};

const TOKEN: &str = "AbCdEfGhIjKlMnOpQrStUvWxYz012345";

/// A host beside Better Auth's tables, with one user who is signed in.
async fn signed_in(setup: Setup, tables: Tables) -> (TestHost, PgPool, String) {
    let database = TestDatabase::create(Database::Postgres).await;
    let pool = database.pool().await;
    tables.create(&pool).await;
    let user = tables.sign_up(&pool, 1).await;
    tables.sign_in(&pool, 1, TOKEN, 600).await;
    let host = setup.on(Database::Postgres).start_with(database).await.expect("the host starts");
    (host, pool, user)
}

fn todo() -> Setup {
    Setup::guest("todo")
        .env("CORS_ORIGINS", "https://todo.example.com")
        .env("BETTER_AUTH_URL", "https://id.example.com")
}

/// The same session in every form.
fn forms(request: impl Fn() -> RequestBuilder, token: &str) -> Vec<(&'static str, RequestBuilder)> {
    let signed = signed_session(token, SECRET.as_bytes());
    let encoded = cookie_value(&signed);
    let url_safe = signed.replace('+', "-").replace('/', "_");
    let cookie = |name: &str| request().header("cookie", format!("theme=dark; {name}={encoded}; other=a.b"));
    vec![
        ("raw", request().bearer_auth(token)),
        ("signed", request().bearer_auth(&signed)),
        ("signed and encoded", request().bearer_auth(&encoded)),
        ("signed in the URL's alphabet", request().bearer_auth(&url_safe)),
        ("signed without padding", request().bearer_auth(url_safe.trim_end_matches('='))),
        ("cookie", cookie("better-auth.session_token")),
        ("secure cookie", cookie("__Secure-better-auth.session_token")),
    ]
}

async fn statuses(host: &TestHost, user: &str, token: &str, expected: u16) {
    for (what, request) in forms(|| host.get(&format!("/api/{user}/tasks")), token) {
        assert_eq!(request.send().await.expect("an answer").status(), expected, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_its_user_until_it_is_revoked() {
    for tables in Tables::ALL {
        let (host, pool, user) = signed_in(todo(), tables).await;
        statuses(&host, &user, TOKEN, 200).await;
        // The right one, and not just any.
        let other = host.get("/api/somebody/tasks").bearer_auth(TOKEN).send().await.expect("an answer");
        assert_eq!(other.status(), 403, "{tables:?}");
        tables.sign_in(&pool, 1, "ExpiredExpiredExpiredExpired0000", -1).await;
        statuses(&host, &user, "ExpiredExpiredExpiredExpired0000", 401).await;
        run(&pool, "DELETE FROM \"session\"").await;
        statuses(&host, &user, TOKEN, 401).await;
        // A deleted user takes sessions along.
        tables.sign_in(&pool, 1, TOKEN, 600).await;
        statuses(&host, &user, TOKEN, 200).await;
        run(&pool, "DELETE FROM \"user\"").await;
        statuses(&host, &user, TOKEN, 401).await;
        pool.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_without_a_zone_mean_utc_wherever_the_server_is() {
    let (host, pool, user) = signed_in(todo(), Tables::Old).await;
    let name = sqlx::query_scalar::<_, String>("SELECT current_database()::text").fetch_one(&pool).await.unwrap();
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        run(&pool, &format!("ALTER DATABASE {name} SET timezone = '{zone}'")).await;
        let other = todo().on(Database::Postgres).start_with(host.database.clone()).await.expect("the host starts");
        statuses(&other, &user, TOKEN, 200).await;
        Tables::Old.sign_in(&pool, 1, &format!("Expired-{}", zone.replace('/', "-")), -60).await;
        statuses(&other, &user, &format!("Expired-{}", zone.replace('/', "-")), 401).await;
    }
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_changes_things_only_for_pages_of_ours() {
    let (host, pool, user) = signed_in(todo(), Tables::Current).await;
    let path = format!("/api/{user}/tasks");
    let cookie = format!("better-auth.session_token={}", cookie_value(&signed_session(TOKEN, SECRET.as_bytes())));
    // The guest's own path, and the host's to the same module's tool.
    for (path, done) in [(&*path, 201), ("/api/tools/add_task", 200)] {
        let post = || host.post(path, &json!({"title": "Buy milk"})).header("cookie", &cookie);
        for origin in ["https://todo.example.com", "https://id.example.com"] {
            let answer = post().header("origin", origin).send().await.expect("an answer");
            assert_eq!(answer.status(), done, "{path} {origin}");
        }
        let stranger = |origin: Option<&str>| {
            let request = post().header("sec-fetch-site", "same-origin");
            origin.map_or(request.try_clone().expect("a clone"), |origin| request.header("origin", origin))
        };
        let others = [None, Some("null"), Some("https://evil.example"), Some("https://todo.example.com.evil.example")];
        for origin in others {
            let answer = stranger(origin).send().await.expect("an answer");
            assert_eq!(answer.status(), 403, "{path} {origin:?}");
            assert_eq!(answer.json::<Value>().await.expect("JSON"), json!({"detail": "Origin not allowed"}));
        }
    }
    // Reading is open to them, and the browser keeps the answer from the page.
    let read = host.get(&path).header("cookie", &cookie).header("origin", "https://evil.example");
    let read = read.send().await.expect("an answer");
    assert_eq!(read.status(), 200);
    assert!(!read.headers().contains_key("access-control-allow-origin"));
    // What a page sets itself is meant.
    let bearer = host.post(&path, &json!({"title": "Buy bread"})).bearer_auth(TOKEN).header("origin", "null");
    assert_eq!(bearer.send().await.expect("an answer").status(), 201);
    let count =
        host.get(&path).bearer_auth(TOKEN).send().await.expect("an answer").json::<Value>().await.expect("JSON");
    assert_eq!(count.as_array().expect("a list").len(), 5, "{count}");
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_send_credentials_and_read_the_tokens_it_gets() {
    let (host, pool, user) = signed_in(todo(), Tables::Current).await;
    let origin = "https://todo.example.com";
    let path = format!("/api/{user}/tasks");
    let preflight = host
        .request(Method::OPTIONS, &path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    // No browser sends a credential with it, and one that came would not count.
    for request in [preflight.try_clone().expect("a clone"), preflight.bearer_auth("garbage")] {
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["access-control-allow-credentials"], "true");
        assert_eq!(answer.headers()["access-control-allow-headers"], "authorization,content-type");
    }
    let answer = host.get(&path).bearer_auth(TOKEN).header("origin", origin).send().await.expect("an answer");
    let exposed = answer.headers()["access-control-expose-headers"].to_str().expect("ASCII").to_lowercase();
    let exposed: Vec<&str> = exposed.split(',').map(str::trim).collect();
    for name in ["set-auth-token", "set-auth-jwt", "x-request-id", "retry-after"] {
        assert!(exposed.contains(&name), "{name} in {exposed:?}");
    }
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_is_as_short_as_it_was_configured() {
    let (host, pool, user) = signed_in(todo().env("AUTH_SESSION_CACHE", "2"), Tables::Current).await;
    statuses(&host, &user, TOKEN, 200).await;
    let revoked = Instant::now();
    run(&pool, "DELETE FROM \"session\"").await;
    statuses(&host, &user, TOKEN, 200).await;
    assert!(revoked.elapsed() < Duration::from_secs(2), "too slow to tell");
    tokio::time::sleep_until((revoked + Duration::from_millis(2_100)).into()).await;
    statuses(&host, &user, TOKEN, 401).await;
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_not_the_callers_fault() {
    let database = TestDatabase::create(Database::Postgres).await;
    let pool = database.pool().await;
    Tables::Current.create(&pool).await;
    let user = Tables::Current.sign_up(&pool, 1).await;
    Tables::Current.sign_in(&pool, 1, TOKEN, 600).await;
    let proxy = Proxy::before(database.url()).await;
    let url = proxy.url(database.url());
    let host = todo().on(Database::Postgres).start_at(database, &url).await.expect("the host starts");
    let path = format!("/api/{user}/tasks");
    statuses(&host, &user, TOKEN, 200).await;
    for lose in [Proxy::cut, Proxy::stall] {
        lose(&proxy);
        let started = Instant::now();
        let answer = host.get(&path).bearer_auth(TOKEN).send().await.expect("an answer");
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "1");
        assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
        assert_eq!(answer.json::<Value>().await.expect("JSON"), json!({"detail": "Service temporarily unavailable"}));
        // What can be told without it is told.
        assert_eq!(host.get(&path).bearer_auth("no").send().await.expect("an answer").status(), 401);
        proxy.restore();
        // The module has connections of its own, and notices in its own time.
        let until = Instant::now() + Duration::from_secs(20);
        while host.get(&path).bearer_auth(TOKEN).send().await.expect("an answer").status() != 200 {
            assert!(Instant::now() < until, "it does not come back");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        statuses(&host, &user, TOKEN, 200).await;
    }
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_locked_holds_requests_for_a_moment_only() {
    let (host, pool, user) = signed_in(todo(), Tables::Current).await;
    statuses(&host, &user, TOKEN, 200).await;
    let mut transaction = pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE \"session\" IN ACCESS EXCLUSIVE MODE").execute(&mut *transaction).await.unwrap();
    let started = Instant::now();
    let path = format!("/api/{user}/tasks");
    let waiting = (0..100).map(|_| tokio::spawn(host.get(&path).bearer_auth(TOKEN).send()));
    for answer in waiting.collect::<Vec<_>>() {
        assert_eq!(answer.await.expect("no panic").expect("an answer").status(), 503);
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    transaction.rollback().await.unwrap();
    statuses(&host, &user, TOKEN, 200).await;
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_invented_tokens_takes_four_connections_and_no_more() {
    let (host, pool, user) = signed_in(todo(), Tables::Current).await;
    let path = format!("/api/{user}/tasks");
    let invented = (0..400).map(|i| tokio::spawn(host.get(&path).bearer_auth(format!("Invented{i:024}")).send()));
    for answer in invented.collect::<Vec<_>>() {
        let status = answer.await.expect("no panic").expect("an answer").status();
        assert!(status == 401 || status == 503, "{status}");
    }
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'innkeeper:identity' AND datname = current_database()";
    let connections: i64 = sqlx::query_scalar(count).fetch_one(&pool).await.unwrap();
    assert!((1..=4).contains(&connections), "{connections}");
    statuses(&host, &user, TOKEN, 200).await;
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_not_there_are_told_of_once() {
    let database = TestDatabase::create(Database::Postgres).await;
    let todo = guest("todo").display().to_string();
    let process = HostProcess::serve(&[("DATABASE_URL", database.url()), ("INNKEEPER_MODULE", &todo)]).await;
    let client = reqwest::Client::new();
    for _ in 0..3 {
        let answer = client.get(process.url("/api/User1/tasks")).bearer_auth(TOKEN).send().await.expect("an answer");
        assert_eq!(answer.status(), 401);
    }
    let log = process.stderr();
    assert_eq!(log.matches("session tokens are refused: no tables").count(), 1, "{log}");
    assert!(!log.contains(TOKEN), "{log}");
    process.stop().await;
}

/// With the usual `"$user", public` the schema of a module comes first when the
/// module is called what the database user is called.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_cannot_make_sessions_of_its_own() {
    let database = TestDatabase::create(Database::Postgres).await;
    let pool = database.pool().await;
    let role = format!("r{}", &uuid::Uuid::new_v4().simple().to_string()[..20]);
    Tables::Current.create(&pool).await;
    let user = Tables::Current.sign_up(&pool, 1).await;
    Tables::Current.sign_in(&pool, 1, TOKEN, 600).await;
    run(&pool, &format!("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'made-up'")).await;
    let (before, after) = database.url().split_once('@').expect("a user");
    let scheme = before.split_once("://").expect("a URL").0;
    let url = format!("{scheme}://{role}:made-up@{after}");
    let modules = format!(
        "[[module]]\nname = \"{role}\"\nsource = {:?}\nroute = \"/\"\ngrants = {{ sql = \"main\", accounts = false, llm = [], toolbox = [] }}\n",
        guest("todo")
    );
    let host = Setup::modules(&modules).on(Database::Postgres).start_at(database, &url).await.expect("the host starts");
    // As a guest's migrations could.
    Tables::Current.create_in(&pool, &role).await;
    let forged = "ForgedForgedForgedForgedForged00";
    let text = format!(
        r#"INSERT INTO {role}."user" (id, name, email, "emailVerified") VALUES ('{user}', 'x', 'x', true);
           INSERT INTO {role}."session" (id, "expiresAt", token, "userId") VALUES ('s', now() + interval '1 day', '{forged}', '{user}')"#
    );
    run(&pool, &text).await;
    statuses(&host, &user, forged, 401).await;
    statuses(&host, &user, TOKEN, 200).await;
    let (_, database) = host.stop().await;
    run(&pool, &format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await;
    pool.close().await;
    drop(database);
}
