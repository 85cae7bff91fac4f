//! Better Auth under Node, and a client that does what a frontend does.

use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, SET_COOKIE};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::harness::{SECRET, TestDatabase, http_client};

/// A server of its own for one test; it ends with it.
pub struct BetterAuth {
    pub url: String,
    client: Client,
    _stdin: ChildStdin,
    _child: Child,
}

/// What a browser has after signing in.
pub struct User {
    pub id: String,
    pub session_token: String,
    pub auth_token: String,
    cookies: Vec<(String, String)>,
}

impl BetterAuth {
    pub async fn start(database: &TestDatabase, vars: &[(&str, &str)]) -> Self {
        let folder = std::env::var("INNKEEPER_TEST_INTEROP")
            .expect("INNKEEPER_TEST_INTEROP is where Better Auth is installed; run this by `cargo xtask interop`");
        let mut child = Command::new("node")
            .arg("server.mjs")
            .current_dir(folder)
            .envs([("DATABASE_URL", database.url()), ("BETTER_AUTH_SECRET", SECRET), ("BETTER_AUTH_TELEMETRY", "0")])
            .envs(vars.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node runs");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        // Whatever it says before is for people.
        let url = loop {
            let line = lines.next_line().await.expect("text").expect("it says where it listens");
            if line.starts_with("http://") {
                break line;
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { url, client: http_client(), _stdin: child.stdin.take().expect("piped"), _child: child }
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(format!("{}/api/auth/{path}", self.url)).header("origin", &self.url).json(body)
    }

    pub async fn sign_up(&self, name: &str) -> User {
        self.sign("sign-up/email", &json!({"name": name, "email": email(name), "password": password(name)})).await
    }

    pub async fn sign_in(&self, name: &str) -> User {
        self.sign("sign-in/email", &json!({"email": email(name), "password": password(name)})).await
    }

    async fn sign(&self, path: &str, body: &Value) -> User {
        let answer = self.post(path, body).send().await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(status, 200, "{path}: {body}");
        let id = match &body["user"]["id"] {
            Value::String(id) => id.clone(),
            other => other.to_string(),
        };
        User {
            id,
            session_token: body["token"].as_str().expect("a token").to_owned(),
            auth_token: headers["set-auth-token"].to_str().expect("ASCII").to_owned(),
            cookies: cookies(&headers),
        }
    }

    pub async fn sign_out(&self, user: &User) {
        let answer = self.post("sign-out", &json!({})).header("cookie", user.cookies());
        assert_eq!(answer.send().await.expect("an answer").status(), 200);
    }

    /// Ends all of a user's sessions.
    pub async fn revoke_sessions(&self, user: &User) {
        let answer = self.post("revoke-sessions", &json!({})).header("cookie", user.cookies());
        assert_eq!(answer.send().await.expect("an answer").status(), 200);
    }

    /// As an app asks for one.
    pub async fn jwt(&self, user: &User) -> String {
        let token = self.client.get(format!("{}/api/auth/token", self.url)).bearer_auth(&user.session_token);
        let answer: Value = token.send().await.expect("an answer").json().await.expect("JSON");
        answer["token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }

    /// The same by another key than this one, as soon as the keys were rotated.
    pub async fn jwt_by_another_key(&self, user: &User, before: &str) -> String {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let jwt = self.jwt(user).await;
            if kid(&jwt) != kid(before) {
                return jwt;
            }
            assert!(Instant::now() < until, "the keys are not rotated");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Whether it publishes the key of this token.
    pub async fn publishes_key_of(&self, jwt: &str) -> bool {
        let keys = self.client.get(format!("{}/api/auth/jwks", self.url)).send().await.expect("an answer");
        let keys: Value = keys.json().await.expect("JSON");
        keys["keys"].as_array().expect("a list").iter().any(|key| key["kid"] == kid(jwt))
    }

    /// As a page gets one beside its session.
    pub async fn jwt_of_session(&self, user: &User) -> String {
        let session = self.client.get(format!("{}/api/auth/get-session", self.url)).header("cookie", user.cookies());
        let answer = session.send().await.expect("an answer");
        answer.headers()["set-auth-jwt"].to_str().expect("ASCII").to_owned()
    }
}

impl User {
    /// As a browser sends them.
    pub fn cookies(&self) -> String {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    /// A cookie's value, by its name without prefixes.
    pub fn cookie_named(&self, name: &str) -> &str {
        let cookie = self.cookies.iter().find(|(full, _)| full.rsplit('.').next() == Some(name));
        &cookie.unwrap_or_else(|| panic!("no cookie {name}")).1
    }
}

/// The name of the key that a token is signed with.
pub fn kid(jwt: &str) -> String {
    jsonwebtoken::decode_header(jwt).expect("a head").kid.expect("the name of a key")
}

fn cookies(headers: &HeaderMap) -> Vec<(String, String)> {
    let set = headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().expect("ASCII"));
    let pairs = set.filter_map(|text| text.split(';').next()?.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub fn email(name: &str) -> String {
    format!("{name}@example.com")
}

pub fn password(name: &str) -> String {
    format!("the password of {name}")
}
