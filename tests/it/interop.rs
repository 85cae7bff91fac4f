//! What others wrote, beside Innkeeper. Here: credentials of the real Better Auth,
//! at which users sign up and in, and what their browsers and apps would send. In
//! `interop/chat.rs`: a model's server, and ChatKit's own types. In
//! `interop/guests.rs`: components that the tools of Python and JavaScript made; in
//! `interop/projects.rs`: those of projects that `innkeeper new` made; in
//! `interop/wkg.rs`: components in a registry.
//!
//! `cargo xtask interop` installs all of it, provides Postgres and runs this.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "a test that cannot go on says why by panicking")]

#[path = "interop/aimock.rs"]
mod aimock;
#[path = "interop/better_auth.rs"]
mod better_auth;
#[path = "interop/chat.rs"]
mod chat;
#[allow(dead_code, reason = "the other tests use the rest of it")]
#[path = "mcp/client.rs"]
mod client;
#[path = "interop/guests.rs"]
mod guests;
#[allow(dead_code, unused_imports, reason = "the other tests use the rest of it")]
mod harness;
#[path = "interop/projects.rs"]
mod projects;
#[path = "interop/wkg.rs"]
mod wkg;

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use better_auth::{BetterAuth, User};
use harness::{Database, Setup, TestDatabase, TestHost};

/// An Innkeeper beside a Better Auth: one database, one secret, and its URL.
async fn beside(auth: &BetterAuth, database: &TestDatabase) -> TestHost {
    beside_with(auth, database, &[]).await
}

/// The same with more settings.
async fn beside_with(auth: &BetterAuth, database: &TestDatabase, vars: &[(&str, &str)]) -> TestHost {
    let setup = Setup::guest("todo").on(Database::Postgres).env("BETTER_AUTH_URL", &auth.url);
    let setup = vars.iter().fold(setup, |setup, (name, value)| setup.env(name, value));
    setup.start_with(database.clone()).await.expect("the host starts")
}

/// The same without the URL: keys come from the table.
async fn beside_the_tables(database: &TestDatabase) -> TestHost {
    Setup::guest("todo").on(Database::Postgres).start_with(database.clone()).await.expect("the host starts")
}

fn tasks(host: &TestHost, user: &User) -> RequestBuilder {
    host.get(&format!("/api/{}/tasks", user.id))
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.expect("an answer").status().as_u16()
}

/// What ends when its user signs out.
fn sessions(host: &TestHost, user: &User) -> Vec<(&'static str, RequestBuilder)> {
    vec![
        ("session.token", tasks(host, user).bearer_auth(&user.session_token)),
        ("set-auth-token", tasks(host, user).bearer_auth(&user.auth_token)),
        ("set-auth-token, encoded", tasks(host, user).bearer_auth(user.cookie_named("session_token"))),
        ("all cookies", tasks(host, user).header("cookie", user.cookies())),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_credential_that_it_hands_out_is_its_user() {
    for (alg, vars) in [
        ("EdDSA", vec![]),
        ("EdDSA", vec![("CACHE_BY_KEY", "1")]),
        ("ES256", vec![("SECURE", "1"), ("IDS", "uuid")]),
        ("RS256", vec![("IDS", "serial")]),
    ] {
        let database = TestDatabase::create(Database::Postgres).await;
        let auth = BetterAuth::start(&database, &[&[("ALG", alg)], &vars[..]].concat()).await;
        let ada = auth.sign_up("ada").await;
        let bob = auth.sign_up("bob").await;
        let hosts = [beside(&auth, &database).await, beside_the_tables(&database).await];
        for host in &hosts {
            let jwt = auth.jwt(&ada).await;
            let also = auth.jwt_of_session(&ada).await;
            let mut all = sessions(host, &ada);
            all.push(("/token", tasks(host, &ada).bearer_auth(&jwt)));
            all.push(("set-auth-jwt", tasks(host, &ada).bearer_auth(&also)));
            all.push(("session_data", tasks(host, &ada).bearer_auth(ada.cookie_named("session_data"))));
            for (what, request) in all {
                assert_eq!(status(request).await, 200, "{alg} {vars:?} {what}");
            }
            // Bob is somebody else, by whatever he shows.
            for (what, request) in sessions(host, &bob) {
                assert_eq!(status(request).await, 200, "{alg} {vars:?} {what}");
            }
            let foreign = tasks(host, &ada).bearer_auth(&bob.session_token);
            assert_eq!(status(foreign).await, 403);
            let foreign = tasks(host, &ada).bearer_auth(auth.jwt(&bob).await);
            assert_eq!(status(foreign).await, 403);
        }
        // A form of the frontend's own origin, and one of a stranger's.
        let post = |origin: &str| {
            let path = format!("/api/{}/tasks", ada.id);
            let request = hosts[0].request(Method::POST, &path).json(&json!({"title": "Buy milk"}));
            request.header("cookie", ada.cookies()).header("origin", origin)
        };
        assert_eq!(status(post(&auth.url)).await, 201);
        assert_eq!(status(post("https://evil.example")).await, 403);
        let list = tasks(&hosts[1], &ada).bearer_auth(&ada.auth_token).send().await.expect("an answer");
        assert_eq!(list.json::<Value>().await.expect("JSON").as_array().expect("a list").len(), 1);
    }
}

/// A registration and a login at Innkeeper, as the users of `BetterAuth` sign up.
async fn local(host: &TestHost, call: &str, name: &str) -> (u16, Value) {
    let body = json!({"email": better_auth::email(name), "password": better_auth::password(name), "name": name});
    let answer = host.post(&format!("/api/auth/{call}"), &body).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_either_sign_in_at_the_other() {
    for (innkeeper_first, ids) in [(true, None), (false, None), (false, Some("uuid")), (false, Some("serial"))] {
        let database = TestDatabase::create(Database::Postgres).await;
        let vars: Vec<(&str, &str)> = ids.map(|ids| ("IDS", ids)).into_iter().collect();
        let start = || async {
            let setup = Setup::guest("todo").on(Database::Postgres).env("AUTH_LOCAL", "1");
            setup.start_with(database.clone()).await.expect("the host starts")
        };
        // Whoever comes first makes the tables, and the other finds them good.
        let (host, auth) = match innkeeper_first {
            true => {
                let host = start().await;
                assert_eq!(local(&host, "register", "early").await.0, 201);
                (host, BetterAuth::start(&database, &vars).await)
            }
            false => {
                let auth = BetterAuth::start(&database, &vars).await;
                (start().await, auth)
            }
        };
        let theirs = auth.sign_up("ada").await;
        let (answered, session) = local(&host, "login", "ada").await;
        assert_eq!((answered, &session["user"]["id"]), (200, &json!(theirs.id)), "{ids:?} {session}");
        let token = session["token"].as_str().expect("a token");
        assert_eq!(status(tasks(&host, &theirs).bearer_auth(token)).await, 200);
        assert_eq!(local(&host, "register", "ada").await.0, 400);

        let (answered, ours) = local(&host, "register", "bob").await;
        assert_eq!(answered, 201, "{ids:?} {ours}");
        let bob = auth.sign_in("bob").await;
        assert_eq!(json!(bob.id), ours["user"]["id"], "{ids:?}");
        for (what, request) in sessions(&host, &bob) {
            assert_eq!(status(request).await, 200, "{ids:?} {what}");
        }
        if innkeeper_first {
            auth.sign_in("early").await;
        }
        // A session of either ends at Innkeeper, and the others go on.
        let token = ours["token"].as_str().expect("a token");
        let out = |token: &str| status(host.post("/api/auth/logout", &json!({})).bearer_auth(token));
        assert_eq!(out(token).await, 200);
        assert_eq!(status(tasks(&host, &bob).bearer_auth(token)).await, 401);
        assert_eq!(status(tasks(&host, &bob).bearer_auth(&bob.session_token)).await, 200);
        assert_eq!(out(&bob.session_token).await, 200);
        for (what, request) in sessions(&host, &bob) {
            assert_eq!(status(request).await, 401, "{ids:?} {what}");
        }
        // One that Better Auth ends is over here, too.
        let (_, again) = local(&host, "login", "bob").await;
        let token = again["token"].as_str().expect("a token");
        assert_eq!(status(tasks(&host, &bob).bearer_auth(token)).await, 200);
        let other = auth.sign_in("bob").await;
        auth.revoke_sessions(&other).await;
        assert_eq!(status(tasks(&host, &bob).bearer_auth(token)).await, 401, "{ids:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_is_out() {
    let database = TestDatabase::create(Database::Postgres).await;
    let auth = BetterAuth::start(&database, &[]).await;
    let host = beside(&auth, &database).await;
    let ada = auth.sign_up("ada").await;
    let jwt = auth.jwt(&ada).await;
    let phone = auth.sign_in("ada").await;
    auth.sign_out(&ada).await;
    for (what, request) in sessions(&host, &ada) {
        assert_eq!(status(request).await, 401, "{what}");
    }
    // The other session goes on, and a JWT lives until it ends.
    for (what, request) in sessions(&host, &phone) {
        assert_eq!(status(request).await, 200, "{what}");
    }
    assert_eq!(status(tasks(&host, &ada).bearer_auth(jwt)).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_is_refused() {
    let database = TestDatabase::create(Database::Postgres).await;
    let auth = BetterAuth::start(&database, &[("SESSION_SECONDS", "3"), ("JWT_SECONDS", "-60")]).await;
    let host = beside(&auth, &database).await;
    let ada = auth.sign_up("ada").await;
    let ends = Instant::now() + Duration::from_secs(3);
    assert_eq!(status(tasks(&host, &ada).bearer_auth(&ada.session_token)).await, 200);
    let jwt = tasks(&host, &ada).bearer_auth(auth.jwt(&ada).await).send().await.expect("an answer");
    assert_eq!(jwt.status(), 401);
    assert_eq!(jwt.json::<Value>().await.expect("JSON"), json!({"detail": "Token has expired"}));
    tokio::time::sleep_until((ends + Duration::from_millis(200)).into()).await;
    for (what, request) in sessions(&host, &ada) {
        assert_eq!(status(request).await, 401, "{what}");
    }
    // The cache names the end of its session, whatever its own end is.
    assert_eq!(status(tasks(&host, &ada).bearer_auth(ada.cookie_named("session_data"))).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_are_found_and_withdrawn_ones_dropped() {
    let database = TestDatabase::create(Database::Postgres).await;
    let auth = BetterAuth::start(&database, &[]).await;
    let ada = auth.sign_up("ada").await;
    let hosts = [beside(&auth, &database).await, beside_the_tables(&database).await];
    let old = auth.jwt(&ada).await;
    for host in &hosts {
        assert_eq!(status(tasks(host, &ada).bearer_auth(&old)).await, 200);
    }
    let pool = database.pool().await;
    sqlx::raw_sql("DELETE FROM \"jwks\"").execute(&pool).await.unwrap();
    pool.close().await;
    let new = auth.jwt(&ada).await;
    for host in &hosts {
        until_accepted(host, &ada, &new).await;
        assert_eq!(status(tasks(host, &ada).bearer_auth(&old)).await, 401);
    }
}

/// Waits until a host has heard of a new key: it asks for unknown ones twice a minute.
async fn until_accepted(host: &TestHost, user: &User, jwt: &str) {
    let until = Instant::now() + Duration::from_secs(45);
    while status(tasks(host, user).bearer_auth(jwt)).await != 200 {
        assert!(Instant::now() < until, "the new key is not accepted");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// A key that was rotated out signs no more, and is published for as long as tokens by it
/// may be around.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_outlive_the_rotation_of_their_keys_while_these_are_published() {
    let database = TestDatabase::create(Database::Postgres).await;
    let auth = BetterAuth::start(&database, &[("ROTATION_SECONDS", "3"), ("GRACE_SECONDS", "75")]).await;
    let ada = auth.sign_up("ada").await;
    let hosts = [beside(&auth, &database).await, beside_the_tables(&database).await];
    let old = auth.jwt(&ada).await;
    for host in &hosts {
        assert_eq!(status(tasks(host, &ada).bearer_auth(&old)).await, 200);
    }
    let new = auth.jwt_by_another_key(&ada, &old).await;
    for host in &hosts {
        until_accepted(host, &ada, &new).await;
        // Kept, though the keys were read again.
        assert_eq!(status(tasks(host, &ada).bearer_auth(&old)).await, 200);
    }
    assert!(auth.publishes_key_of(&old).await, "the hosts were right to accept it");
    let until = Instant::now() + Duration::from_secs(100);
    while auth.publishes_key_of(&old).await {
        assert!(Instant::now() < until, "it is published for ever");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // One that remembers nothing, and reads the keys once for both.
    let (later, latest) = (beside(&auth, &database).await, auth.jwt(&ada).await);
    assert_eq!(status(tasks(&later, &ada).bearer_auth(&old)).await, 401);
    assert_eq!(status(tasks(&later, &ada).bearer_auth(&latest)).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_issuer_and_audience_of_its_tokens_under_its_own_origin() {
    for by_key in [false, true] {
        let database = TestDatabase::create(Database::Postgres).await;
        let auth = BetterAuth::start(&database, &[("CACHE_BY_KEY", if by_key { "1" } else { "0" })]).await;
        let ada = auth.sign_up("ada").await;
        let (its, other) = (auth.url.as_str(), "https://other.example");
        // The cache that the secret signs names neither; the one that a key signs has an
        // audience of its own.
        let cached = if by_key { 200 } else { 401 };
        for (vars, of_jwt, of_cache) in [
            (vec![("AUTH_ISSUER", its), ("AUTH_AUDIENCE", its)], 200, cached),
            (vec![("AUTH_ISSUER", its)], 200, cached),
            (vec![("AUTH_AUDIENCE", its)], 200, cached),
            (vec![("AUTH_ISSUER", its), ("AUTH_AUDIENCE", other)], 401, cached),
            (vec![("AUTH_ISSUER", other)], 401, 401),
        ] {
            let host = beside_with(&auth, &database, &vars).await;
            let (jwt, also) = (auth.jwt(&ada).await, auth.jwt_of_session(&ada).await);
            let mut all: Vec<_> = sessions(&host, &ada).into_iter().map(|(what, by)| (what, by, 200)).collect();
            all.push(("/token", tasks(&host, &ada).bearer_auth(jwt), of_jwt));
            all.push(("set-auth-jwt", tasks(&host, &ada).bearer_auth(also), of_jwt));
            all.push(("session_data", tasks(&host, &ada).bearer_auth(ada.cookie_named("session_data")), of_cache));
            for (what, request, expected) in all {
                assert_eq!(status(request).await, expected, "{vars:?}, the cache by key: {by_key}, {what}");
            }
        }
    }
}
