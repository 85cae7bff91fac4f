//! Those who try again and again.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::json;

use super::{EMAIL, PASSWORD, answer, local, login, register, send};
use crate::harness::{Database, TestHost};

fn from(host: &TestHost, address: &str, email: &str, password: &str) -> RequestBuilder {
    let body = json!({ "email": email, "password": password });
    // What a client writes itself comes before what the proxy adds.
    host.post("/api/auth/login", &body).header("x-forwarded-for", format!("203.0.113.77, {address}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_waits_and_nobody_else() {
    for database in Database::BOTH {
        let host = local().on(database).env("INNKEEPER_TRUSTED_PROXIES", "1").start().await;
        register(&host, EMAIL).await;
        // An address that nobody has is treated alike.
        for email in [EMAIL, "nobody@example.com"] {
            for attempt in 0..10 {
                assert_eq!(answer(from(&host, "192.0.2.1", email, "a wrong one")).await.0, 401, "{email} {attempt}");
            }
            let started = Instant::now();
            let refused = send(from(&host, "192.0.2.1", email, PASSWORD)).await;
            assert_eq!(refused.status(), 429);
            let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().expect("seconds");
            assert!((10..=15).contains(&wait), "{wait}");
            let body = refused.text().await.expect("a body");
            assert_eq!(body, r#"{"detail":"Too many attempts, try again later"}"#);
            assert!(started.elapsed() < Duration::from_millis(50), "nothing was hashed: {:?}", started.elapsed());
        }
        // She herself, elsewhere, and others at that address.
        assert_eq!(answer(from(&host, "192.0.2.2", EMAIL, PASSWORD)).await.0, 200);
        assert_eq!(answer(from(&host, "192.0.2.1", "bob@example.com", PASSWORD)).await.0, 401);
        let (_, stop) = host.stop().await;
        drop(stop);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_addresses_comes_to_its_end() {
    let host = local().env("INNKEEPER_TRUSTED_PROXIES", "1").start().await;
    let mut statuses = Vec::new();
    for number in 0..52 {
        let request = from(&host, "192.0.2.9", &format!("u{number}@example.com"), "a wrong one");
        statuses.push(answer(request).await.0);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 50);
    assert_eq!(statuses[50..], [429, 429]);
    // Registering is no way around, and another client's address is another.
    let registration = |address: &str| {
        let body = json!({ "email": "new@example.com", "password": PASSWORD });
        host.post("/api/auth/register", &body).header("x-forwarded-for", address)
    };
    assert_eq!(answer(registration("192.0.2.9")).await.0, 429);
    assert_eq!(answer(registration("192.0.2.10")).await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_choose_the_address_that_it_is_limited_by() {
    let host = local().start().await;
    for attempt in 0..10 {
        let request = from(&host, &format!("192.0.2.{attempt}"), EMAIL, "a wrong one");
        assert_eq!(answer(request).await.0, 401);
    }
    assert_eq!(answer(from(&host, "192.0.2.99", EMAIL, "a wrong one")).await.0, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_takes_no_more_than_its_share() {
    let host = local().start().await;
    register(&host, EMAIL).await;
    // Fewer than one address may try, or the last of a quick crowd are told so.
    let many = (0..40).map(|number| {
        let body = json!({ "email": format!("u{number}@example.com"), "password": PASSWORD });
        tokio::spawn(host.post("/api/auth/login", &body).send())
    });
    let many: Vec<_> = many.collect();
    // The others are served meanwhile.
    let started = Instant::now();
    assert_eq!(send(host.get("/")).await.status(), 200);
    let other = started.elapsed();
    let mut statuses = std::collections::BTreeMap::new();
    for answer in many {
        let answer = answer.await.expect("no panic").expect("an answer");
        if answer.status() == 503 {
            assert_eq!(answer.headers()["retry-after"], "1");
        }
        *statuses.entry(answer.status().as_u16()).or_insert(0) += 1;
    }
    // Two are hashed and sixteen wait; who comes later may find a place again.
    assert!(statuses.keys().all(|status| [401, 503].contains(status)), "{statuses:?}");
    assert!(statuses.get(&401).is_some_and(|served| *served >= 18), "{statuses:?}");
    assert!(statuses.get(&503).is_some_and(|sent_away| *sent_away >= 10), "{statuses:?}");
    assert!(other < Duration::from_secs(1), "{other:?}");
    assert_eq!(login(&host, EMAIL, PASSWORD).await.0, 200);
}
