//! Public keys: found, kept, renewed, and not asked for more often than is good.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::better_auth::{Tables, run};
use super::issuer::{By, ec_jwk, ed, ed_jwk, honest, jwks, jws, rsa_jwk, seconds, stranger};
use crate::harness::{Database, KeyAnswer, KeyServer, Setup, TestHost};

async fn host(server: &KeyServer) -> TestHost {
    Setup::guest("todo").env("AUTH_JWKS_URL", &server.url()).start().await
}

fn claims() -> Value {
    json!({"sub": "ada", "id": "somebody-else", "email": "ada@example.com", "exp": seconds(600)})
}

async fn status(host: &TestHost, token: &str) -> StatusCode {
    host.get("/api/ada/tasks").bearer_auth(token).send().await.expect("an answer").status()
}

fn by_stranger(kid: &str) -> String {
    jws(&json!({"alg": "EdDSA", "kid": kid}).to_string(), claims().to_string(), By::Stranger)
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_by_published_keys_are_accepted_as_their_sub() {
    let server = KeyServer::start(KeyAnswer::Set(jwks())).await;
    let base = format!("http://{}", server.address);
    let host = Setup::guest("todo").env("BETTER_AUTH_URL", &base).start().await;
    for by in [By::Ed, By::Ec, By::Rsa] {
        assert_eq!(status(&host, &honest(&claims(), by)).await, 200);
        let nobody = json!({"id": "ada", "exp": seconds(600)});
        assert_eq!(status(&host, &honest(&nobody, by)).await, 401, "an issuer with keys names the user in `sub`");
    }
    // Better Auth's session cache, signed with the same keys.
    let cache = json!({
        "session": {"token": "t", "userId": "ada", "expiresAt": "2050-01-01T00:00:00.000Z"}, "user": {"id": "ada"},
        "sub": "ada", "sid": "t", "iss": base, "aud": "better-auth:session-cache", "exp": seconds(300),
    });
    let typed = r#"{"alg":"EdDSA","kid":"ed","typ":"better-auth.session-cache+jwt"}"#;
    assert_eq!(status(&host, &jws(typed, cache.to_string(), By::Ed)).await, 200);
    let mut ended = cache.clone();
    ended["session"]["expiresAt"] = json!("2020-01-01T00:00:00.000Z");
    assert_eq!(status(&host, &jws(typed, ended.to_string(), By::Ed)).await, 401);
    let mut other = cache;
    other["aud"] = json!("another service");
    assert_eq!(status(&host, &jws(typed, other.to_string(), By::Ed)).await, 401);
    assert_eq!(server.asked(), 1, "once for all of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_is_noticed_and_a_flood_of_unknown_names_asks_no_more_often() {
    let server = KeyServer::start(KeyAnswer::Set(jwks())).await;
    let host = host(&server).await;
    assert_eq!(status(&host, &honest(&claims(), By::Ed)).await, 200);
    let started = Instant::now();
    server.answers(KeyAnswer::Set(json!({"keys": [ed_jwk(&stranger(), "new"), ec_jwk()]})));
    while started.elapsed() < Duration::from_secs(28) {
        let flood = (0..40).map(|i| {
            tokio::spawn(host.get("/api/ada/tasks").bearer_auth(by_stranger(&format!("invented-{i}"))).send())
        });
        for answer in flood.collect::<Vec<_>>() {
            assert_eq!(answer.await.expect("no panic").expect("an answer").status(), 401);
        }
        assert_eq!(status(&host, &by_stranger("new")).await, 401, "not asked for yet");
        assert_eq!(server.asked(), 1, "after {:?}", started.elapsed());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let until = started + Duration::from_secs(40);
    while status(&host, &by_stranger("new")).await != 200 {
        assert!(Instant::now() < until, "the new key is not accepted");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(server.asked(), 2);
    assert_eq!(status(&host, &honest(&claims(), By::Ec)).await, 200, "it was published again");
    assert_eq!(status(&host, &honest(&claims(), By::Ed)).await, 401, "it was withdrawn");
    // From here on the issuer is away, and its keys stay.
    server.answers(KeyAnswer::HangUp);
    assert_eq!(status(&host, &by_stranger("invented")).await, 401);
    assert_eq!(status(&host, &by_stranger("new")).await, 200);
    assert_eq!(server.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_away_is_not_the_callers_fault() {
    let many: Vec<Value> = (0..65).map(|i| ed_jwk(&ed(), &format!("ed{i}"))).collect();
    let elsewhere = KeyServer::start(KeyAnswer::Set(jwks())).await;
    let good = jwks().to_string();
    let bad = [
        KeyAnswer::HangUp,
        KeyAnswer::Trickle,
        KeyAnswer::Endless(1 << 20),
        KeyAnswer::Status(500, good.clone()),
        KeyAnswer::Status(404, "Not Found".to_owned()),
        KeyAnswer::Status(200, good[..good.len() - 1].to_owned()),
        KeyAnswer::Status(200, "<html>".to_owned()),
        KeyAnswer::Status(200, r#"{"keys":{}}"#.to_owned()),
        KeyAnswer::Status(200, "[".repeat(50_000)),
        KeyAnswer::Status(200, format!("{good}{}", " ".repeat(70_000))),
        KeyAnswer::Redirect(elsewhere.url()),
        KeyAnswer::Set(json!({"keys": many})),
    ];
    let tests = bad.into_iter().map(|answer| {
        tokio::spawn(async move {
            let server = KeyServer::start(answer.clone()).await;
            let host = host(&server).await;
            let started = Instant::now();
            let token = honest(&claims(), By::Ed);
            let first = host.get("/api/ada/tasks").bearer_auth(&token).send().await.expect("an answer");
            assert_eq!(first.status(), 503, "{answer:?}");
            assert_eq!(first.headers()["retry-after"], "1");
            assert_eq!(
                first.json::<Value>().await.expect("JSON"),
                json!({"detail": "Service temporarily unavailable"})
            );
            assert!(started.elapsed() < Duration::from_secs(5), "{answer:?} took {:?}", started.elapsed());
            assert_eq!(status(&host, &token).await, 503, "{answer:?}");
            assert_eq!(server.asked(), 1, "{answer:?}");
            // The other ways in do not depend on it.
            let secret = honest(&claims(), super::issuer::OURS);
            assert_eq!(status(&host, &secret).await, 200);
        })
    });
    for test in tests.collect::<Vec<_>>() {
        test.await.expect("no panic");
    }
    assert_eq!(elsewhere.asked(), 0, "redirects are not followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_does_not_keep_the_others_from_their_keys() {
    let server = KeyServer::start(KeyAnswer::Set(jwks())).await;
    let host = host(&server).await;
    for _ in 0..20 {
        let asked = host.get("/api/ada/tasks").bearer_auth(by_stranger("invented")).timeout(Duration::from_micros(300));
        // Whether it had its answer by then does not matter.
        let _ = asked.send().await;
    }
    assert_eq!(status(&host, &honest(&claims(), By::Ed)).await, 200);
    assert!(server.asked() <= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_odd_key_does_not_take_the_others_with_it() {
    let odd = [
        json!({"kty": "EC", "crv": "secp256k1", "kid": "odd", "x": "AA", "y": "AA"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "odd", "pub": "AA"}),
        json!({"kid": "odd"}),
        json!({"kty": 1, "kid": "odd"}),
        json!("odd"),
        Value::Null,
    ];
    let keys: Vec<Value> = odd.into_iter().chain([ed_jwk(&ed(), "ed"), rsa_jwk()]).collect();
    let server = KeyServer::start(KeyAnswer::Set(json!({"keys": keys}))).await;
    let host = host(&server).await;
    assert_eq!(status(&host, &honest(&claims(), By::Ed)).await, 200);
    assert_eq!(status(&host, &honest(&claims(), By::Rsa)).await, 200);
    assert_eq!(status(&host, &by_stranger("odd")).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_url_the_keys_are_those_of_better_auths_table() {
    for tables in Tables::ALL {
        let host = Setup::guest("todo").on(Database::Postgres).start().await;
        let pool = host.database.pool().await;
        tables.create(&pool).await;
        let kids = [
            tables.publish(&pool, 1, &ed_jwk(&ed(), "")).await,
            tables.publish(&pool, 2, &ec_jwk()).await,
            tables.publish(&pool, 3, &rsa_jwk()).await,
            tables.publish(&pool, 4, &ed_jwk(&stranger(), "")).await,
        ];
        if tables != Tables::Old {
            // Expired long ago; and expired, and published for a while still.
            run(
                &pool,
                &format!(r#"UPDATE "jwks" SET "expiresAt" = now() - interval '31 days' WHERE id = '{}'"#, kids[3]),
            )
            .await;
            run(&pool, &format!(r#"UPDATE "jwks" SET "expiresAt" = now() - interval '1 day', alg = 'EdDSA', crv = 'Ed25519' WHERE id = '{}'"#, kids[0])).await;
        }
        for (alg, kid, by) in [("EdDSA", &kids[0], By::Ed), ("ES256", &kids[1], By::Ec), ("RS256", &kids[2], By::Rsa)] {
            let token = jws(&json!({"alg": alg, "kid": kid}).to_string(), claims().to_string(), by);
            assert_eq!(status(&host, &token).await, 200, "{tables:?} {alg}");
        }
        let expected = if tables == Tables::Old { 200 } else { 401 };
        assert_eq!(status(&host, &by_stranger(&kids[3])).await, expected, "{tables:?}");
        assert_eq!(status(&host, &by_stranger(&kids[0])).await, 401, "{tables:?}");
        pool.close().await;
    }
}
