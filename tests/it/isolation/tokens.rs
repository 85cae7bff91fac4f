//! Tokens on their way: other sessions of the same role see each other's texts.

use std::sync::Arc;

use serde_json::json;

use super::world::{World, hostile};
use crate::harness::As;

#[tokio::test(flavor = "multi_thread")]
async fn no_session_sees_a_token_of_another() {
    let world = World::new(true).await;
    let host = Arc::new(hostile().start_with(world.database.clone()).await.expect("the host starts"));
    host.until("/health/ready", 200, std::time::Duration::from_secs(20)).await;
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let host = Arc::clone(&host);
            tokio::spawn(async move {
                for _ in 0..150 {
                    // Alone it would have its token as a parameter; together they begin with it.
                    let texts = json!(["SELECT count(*) AS n FROM secrets", "SELECT count(*) AS n FROM board"]);
                    let answer = host.post("/batch", &texts).by("alice").send().await.expect("an answer");
                    assert_eq!(answer.status(), 200);
                }
            })
        })
        .collect();
    let mut session = world.session().await;
    let (mut looks, mut begun) = (0, 0);
    while callers.iter().any(|caller| !caller.is_finished()) {
        let texts = "SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
        let reply = session.simple(texts).await.expect("an answer");
        let cells = reply.cells();
        begun += cells.iter().filter(|text| text.starts_with("BEGIN")).count();
        let seen = cells.iter().find(|text| text.contains("enter('"));
        assert_eq!(seen, None, "after {looks} looks");
        looks += 1;
    }
    for caller in callers {
        caller.await.expect("served");
    }
    assert!(begun > 10, "{looks} looks met {begun} beginnings of calls");
}
