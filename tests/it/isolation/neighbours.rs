//! What else lives in the attacked database: another module with a schema of its own,
//! keys and values, and Better Auth's users. None of it is the hostile module's to see,
//! whoever calls.

use serde_json::json;

use super::oracle::MARKER;
use crate::harness::{Setup, TestDatabase, guest, module, token};
use crate::identity::better_auth::{Tables, run};

/// One number for all of it: another one when anything was changed.
pub(super) const STATE: &str = "\
    SELECT md5(concat((SELECT string_agg(t::text, ',' ORDER BY id) FROM neighbour.tasks AS t), \
    (SELECT string_agg(k::text, ',' ORDER BY key) FROM innkeeper.keyvalue AS k), \
    (SELECT string_agg(s::text, ',' ORDER BY id) FROM public.\"session\" AS s), \
    (SELECT string_agg(a::text, ',' ORDER BY id) FROM public.\"account\" AS a), \
    (SELECT string_agg(j::text, ',' ORDER BY id) FROM public.\"jwks\" AS j)))";

/// They move in. Gives the other module's password.
pub(super) async fn move_in(database: &TestDatabase) -> String {
    let modules = format!(
        "[[module]]\nname = \"neighbour\"\nsource = {:?}\nroute = \"/api\"\n\
         grants = {{ sql = \"main\", accounts = false, llm = [], toolbox = [] }}\n{}",
        guest("todo").display().to_string(),
        module("cupboard", "cupboard", "grants = { keyvalue = true }\nsmoke = \"off\""),
    );
    let host = Setup::modules(&modules).start_with(database.clone()).await.expect("the neighbours' host starts");
    let task = json!({ "title": format!("VICTIM-{MARKER}") });
    let value = json!([{ "do": "set", "key": "kept", "value": format!("VICTIM-{MARKER}") }]);
    for (path, body) in [("/api/alice/tasks", task), ("/cupboard", value)] {
        let answer = host.post(path, &body).bearer_auth(token("alice")).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.expect("a body"));
    }
    host.stop().await;
    sign_up(database).await;
    let login = "SELECT password FROM innkeeper.login WHERE module = 'neighbour'";
    database.admin().await.simple(login).await.expect("rows").cells().remove(0)
}

/// A user of Better Auth's who is signed in.
async fn sign_up(database: &TestDatabase) {
    let pool = database.pool().await;
    Tables::Current.create(&pool).await;
    let id = Tables::Current.sign_up(&pool, 1).await;
    Tables::Current.sign_in(&pool, 1, &format!("VICTIM-{MARKER}"), 3_600).await;
    let text = format!(
        r#"CREATE TABLE "account" (id text PRIMARY KEY, "userId" text NOT NULL, password text);
        INSERT INTO "account" VALUES ('1', '{id}', '{MARKER}:{MARKER}');
        INSERT INTO "jwks" (id, "publicKey", "privateKey", "createdAt") VALUES ('1', '{{}}', '{MARKER}', now())"#
    );
    run(&pool, &text).await;
    pool.close().await;
}
