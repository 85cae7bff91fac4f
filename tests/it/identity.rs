//! Credentials, from the header to the answer. A bad one is refused before a
//! guest runs and before a database is asked.

pub(super) mod better_auth;
mod forged;
mod issuer;
mod keys;
mod sessions;

use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use self::better_auth::{Tables, run};
use self::issuer::{By, ec_jwk, ed, ed_jwk, jws, rsa_jwk, seconds, stranger};
use crate::harness::{As, Database, SECRET, Setup, TestHost, token};

fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).expect("signed")
}

fn claims() -> Value {
    json!({ "sub": "ada", "exp": seconds(600) })
}

/// `{"alg":"none","typ":"JWT"}`
const ALG_NONE: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";

/// Values of `Authorization`, each with what the client reads.
fn bad() -> Vec<(&'static str, Vec<String>, &'static str)> {
    let good = token("ada");
    let parts: Vec<&str> = good.split('.').collect();
    let bearer = |token: String| vec![format!("Bearer {token}")];
    let hs256 = |claims: &Value| bearer(signed(Algorithm::HS256, SECRET, claims));
    let invalid = "Could not validate credentials";
    vec![
        ("another secret", bearer(signed(Algorithm::HS256, "another", &claims())), invalid),
        ("HS512 with the right secret", bearer(signed(Algorithm::HS512, SECRET, &claims())), invalid),
        ("HS384 with the right secret", bearer(signed(Algorithm::HS384, SECRET, &claims())), invalid),
        ("alg none", bearer(format!("{ALG_NONE}.{}.", parts[1])), invalid),
        ("alg none with a signature", bearer(format!("{ALG_NONE}.{}.{}", parts[1], parts[2])), invalid),
        ("no signature", bearer(format!("{}.{}.", parts[0], parts[1])), invalid),
        (
            "other claims under a signature",
            bearer(format!("{}.{}.{}", parts[0], token("eve").split('.').nth(1).unwrap(), parts[2])),
            invalid,
        ),
        ("two parts", bearer(format!("{}.{}", parts[0], parts[1])), invalid),
        ("garbage", bearer("garbage".to_owned()), invalid),
        ("a long token", bearer("a".repeat(20_000)), invalid),
        ("expired", hs256(&json!({ "sub": "ada", "exp": seconds(-600) })), "Token has expired"),
        (
            "not valid yet",
            hs256(&json!({ "sub": "ada", "exp": seconds(900), "nbf": seconds(600) })),
            "Token has expired",
        ),
        ("without an end", hs256(&json!({ "sub": "ada" })), invalid),
        ("without a user", hs256(&json!({ "exp": seconds(600) })), invalid),
        ("an empty user", hs256(&json!({ "sub": "", "exp": seconds(600) })), invalid),
        ("another scheme", vec!["Basic YWRhOmFkYQ==".to_owned()], "Not authenticated"),
        ("no scheme", vec![good.clone()], "Not authenticated"),
        ("two headers", vec![format!("Bearer {good}"), format!("Bearer {good}")], "Not authenticated"),
    ]
}

fn with(mut request: RequestBuilder, credentials: &[String]) -> RequestBuilder {
    for credential in credentials {
        request = request.header("authorization", credential);
    }
    request
}

async fn expect_unauthorized(request: RequestBuilder, detail: &str, what: &str) {
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 401, "{what}");
    assert_eq!(answer.headers()["www-authenticate"], "Bearer", "{what}");
    assert_eq!(answer.json::<Value>().await.expect("JSON"), json!({ "detail": detail }), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_credential_is_refused_whatever_is_wrong_with_it() {
    let host = Setup::guest("todo").start().await;
    for (what, credentials, detail) in bad() {
        expect_unauthorized(with(host.get("/api/ada/tasks"), &credentials), detail, what).await;
    }
    // No credential is the guest's to judge, and an empty one is none.
    for credentials in [vec![], vec!["Bearer ".to_owned()]] {
        let request = with(host.get("/api/ada/tasks"), &credentials);
        expect_unauthorized(request, "Not authenticated", "nobody").await;
        assert_eq!(with(host.get("/"), &credentials).send().await.expect("an answer").status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_guest_runs_for_a_bad_credential() {
    let host = Setup::guest("misbehave").start().await;
    assert_eq!(host.get("/trap").by("ada").send().await.expect("an answer").status(), 500);
    for (what, credentials, detail) in bad() {
        expect_unauthorized(with(host.get("/trap"), &credentials), detail, what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_in_the_shapes_of_the_field_are_accepted() {
    let host = Setup::guest("todo").start().await;
    for claims in [
        claims(),
        // The cookie cache of Better Auth.
        json!({ "user": { "id": "ada", "name": "Ada", "email": "ada@example.com" }, "session": { "id": "s", "userId": "ada" }, "exp": seconds(600) }),
        json!({ "session": { "userId": "ada" }, "exp": seconds(600) }),
        json!({ "user_id": "ada", "exp": seconds(600) }),
        json!({ "userId": "ada", "exp": seconds(600), "aud": "whoever", "iss": "anybody" }),
        json!({ "id": "ada", "exp": 4_000_000_000.5 }),
    ] {
        for scheme in ["Bearer", "bearer"] {
            let token = format!("{scheme} {}", signed(Algorithm::HS256, SECRET, &claims));
            let answer = host.get("/api/ada/tasks").header("authorization", token).send().await.expect("an answer");
            assert_eq!(answer.status(), 200, "{claims}");
        }
    }
    let number = signed(Algorithm::HS256, SECRET, &json!({ "sub": 7, "exp": seconds(600) }));
    assert_eq!(host.get("/api/7/tasks").bearer_auth(number).send().await.expect("an answer").status(), 200);
}

/// Clocks of issuer and host may differ by thirty seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_for_some_seconds_after_its_end_and_before_its_beginning() {
    let host = Setup::guest("todo").start().await;
    for (ends, begins, status) in [(-20, -600, 200), (600, 20, 200), (-40, -600, 401), (600, 60, 401)] {
        let claims = json!({ "sub": "ada", "exp": seconds(ends), "nbf": seconds(begins) });
        let token = signed(Algorithm::HS256, SECRET, &claims);
        let answer = host.get("/api/ada/tasks").bearer_auth(token).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "from {begins} s to {ends} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn issuer_and_audience_count_when_they_are_configured() {
    let host = Setup::guest("todo").env("AUTH_ISSUER", "https://id.example").env("AUTH_AUDIENCE", "todo").start().await;
    for (claims, status) in [
        (json!({ "iss": "https://id.example", "aud": "todo" }), 200),
        (json!({ "iss": "https://id.example", "aud": ["other", "todo"] }), 200),
        (json!({ "iss": "https://evil.example", "aud": "todo" }), 401),
        (json!({ "iss": "https://id.example", "aud": "other" }), 401),
        (json!({ "aud": "todo" }), 401),
        (json!({ "iss": "https://id.example" }), 401),
    ] {
        let mut all = claims.clone();
        all["sub"] = json!("ada");
        all["exp"] = json!(seconds(600));
        let token = signed(Algorithm::HS256, SECRET, &all);
        let answer = host.get("/api/ada/tasks").bearer_auth(token).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{claims}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_no_credential_is_accepted() {
    let host = Setup::guest("todo").env("BETTER_AUTH_SECRET", "").start().await;
    expect_unauthorized(
        host.get("/api/ada/tasks").by("ada"),
        "Could not validate credentials",
        "nothing to verify with",
    )
    .await;
    expect_unauthorized(host.get("/api/ada/tasks"), "Not authenticated", "nobody").await;
}

/// Since 1.4 the rows of `jwks` end, and until 1.7 they do not say what they are for.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_better_auth_1_4_to_1_6_count_until_they_have_ended() {
    let host = Setup::guest("todo").on(Database::Postgres).start().await;
    let pool = host.database.pool().await;
    Tables::Current.create(&pool).await;
    run(&pool, r#"ALTER TABLE "jwks" DROP COLUMN alg, DROP COLUMN crv"#).await;
    let keys = [
        (By::Ed, "EdDSA", ed_jwk(&ed(), ""), 200),
        (By::Ec, "ES256", ec_jwk(), 200),
        (By::Rsa, "RS256", rsa_jwk(), 200),
        (By::Stranger, "EdDSA", ed_jwk(&stranger(), ""), 401),
    ];
    let mut tokens = Vec::new();
    for (number, (by, alg, jwk, status)) in (1..).zip(keys) {
        let kid = Tables::Current.publish(&pool, number, &jwk).await;
        // They are published for thirty days more.
        let ended = if status == 200 { "1 day" } else { "31 days" };
        run(&pool, &format!(r#"UPDATE "jwks" SET "expiresAt" = now() - interval '{ended}' WHERE id = '{kid}'"#)).await;
        tokens.push((jws(&json!({ "alg": alg, "kid": kid }).to_string(), claims().to_string(), by), status));
    }
    for (token, status) in tokens {
        let answer = host.get("/api/ada/tasks").bearer_auth(&token).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{token}");
    }
    pool.close().await;
}

async fn connections(host: &TestHost, pool: &sqlx::PgPool) -> i64 {
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'innkeeper:%' AND datname = current_database()";
    assert_eq!(host.get("/health/live").send().await.expect("an answer").status(), 200);
    sqlx::query_scalar(count).fetch_one(pool).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_credential_opens_no_connection_to_the_database() {
    let host = Setup::guest("todo").on(Database::Postgres).start().await;
    let pool = host.database.pool().await;
    let before = connections(&host, &pool).await;
    let burst = (0..50).map(|_| tokio::spawn(host.get("/api/ada/tasks").bearer_auth("garbage").send()));
    for answer in burst.collect::<Vec<_>>() {
        assert_eq!(answer.await.expect("no panic").expect("an answer").status(), 401);
    }
    // Connections are opened beside the calls, and come after their answers.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(connections(&host, &pool).await, before);
    let burst = (0..50).map(|_| tokio::spawn(host.get("/api/ada/tasks").by("ada").send()));
    for answer in burst.collect::<Vec<_>>() {
        assert_eq!(answer.await.expect("no panic").expect("an answer").status(), 200);
    }
    let until = Instant::now() + Duration::from_secs(10);
    while connections(&host, &pool).await == before {
        assert!(Instant::now() < until, "this would have been seen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    pool.close().await;
}
