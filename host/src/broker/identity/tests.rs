use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderValue, header};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Identity, NewToken, Rejected, mint, policy};
use crate::call::Caller;
use crate::config::Auth;

const SECRET: &str = "a-secret-for-tests-only";
const LATER: u64 = 4_000_000_000;

fn identity(issuer: Option<&str>, audience: Option<&str>) -> Identity {
    Identity::new(&Auth {
        secret: Some(SecretString::from(SECRET)),
        issuer: issuer.map(str::to_owned),
        audience: audience.map(str::to_owned),
    })
}

/// Signs whatever is asked for, which the library under test would refuse to.
fn sign(header: &Value, claims: &Value, secret: &str) -> String {
    let body = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key length");
    mac.update(body.as_bytes());
    format!("{body}.{}", B64.encode(mac.finalize().into_bytes()))
}

fn hs256(claims: &Value) -> String {
    sign(&json!({"alg": "HS256", "typ": "JWT"}), claims, SECRET)
}

fn send(identity: &Identity, token: &str) -> Result<Option<Caller>, Rejected> {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).expect("ASCII"));
    identity.authenticate(&headers)
}

#[track_caller]
fn subject(claims: &Value, expected: &str) {
    let caller = send(&identity(None, None), &hs256(claims)).expect("accepted").expect("a caller");
    assert_eq!(caller.subject, expected);
}

#[track_caller]
fn refused(token: &str, expected: Rejected) {
    assert_eq!(send(&identity(None, None), token), Err(expected), "{token}");
}

#[test]
fn the_user_is_found_under_every_claim_in_the_field() {
    subject(&json!({"sub": "ada", "exp": LATER}), "ada");
    subject(&json!({"sub": 42, "exp": LATER}), "42");
    subject(&json!({"sub": "", "user_id": "ada", "exp": LATER}), "ada");
    subject(&json!({"userId": "ada", "exp": LATER}), "ada");
    subject(&json!({"id": "ada", "exp": LATER}), "ada");
    let cached =
        json!({"session": {"id": "s", "userId": "ada"}, "user": {"id": "ada", "email": "a@b.c"}, "exp": LATER});
    subject(&cached, "ada");
}

#[test]
fn tokens_that_nobody_here_signed_are_refused() {
    let claims = json!({"sub": "ada", "exp": LATER});
    refused(&sign(&json!({"alg": "HS256"}), &claims, "another secret"), Rejected::Invalid);
    refused(&sign(&json!({"alg": "HS512"}), &claims, SECRET), Rejected::Invalid);
    refused(&sign(&json!({"alg": "none"}), &claims, SECRET), Rejected::Invalid);
    refused(&sign(&json!({"typ": "JWT"}), &claims, SECRET), Rejected::Invalid);
    let unsigned = format!("{}.{}.", B64.encode(r#"{"alg":"none"}"#), B64.encode(claims.to_string()));
    refused(&unsigned, Rejected::Invalid);
    refused("not-a-token", Rejected::Invalid);
    refused("a.b.c", Rejected::Invalid);
    refused(&"x".repeat(9_000), Rejected::Invalid);
    let mut tampered = hs256(&claims);
    tampered.replace_range(..1, "f");
    refused(&tampered, Rejected::Invalid);
}

#[test]
fn tokens_out_of_their_time_are_refused() {
    refused(&hs256(&json!({"sub": "ada", "exp": 1_000_000_000})), Rejected::Expired);
    refused(&hs256(&json!({"sub": "ada", "exp": LATER, "nbf": LATER - 1})), Rejected::Expired);
    refused(&hs256(&json!({"sub": "ada"})), Rejected::Invalid);
    refused(&hs256(&json!({"exp": LATER})), Rejected::NoSubject);
}

#[test]
fn issuer_and_audience_count_when_configured() {
    let strict = identity(Some("https://app"), Some("todo"));
    let claims = |iss: &str, aud: &str| hs256(&json!({"sub": "ada", "exp": LATER, "iss": iss, "aud": aud}));
    assert!(send(&strict, &claims("https://app", "todo")).is_ok());
    assert_eq!(send(&strict, &claims("https://evil", "todo")), Err(Rejected::Audience));
    assert_eq!(send(&strict, &claims("https://app", "other")), Err(Rejected::Audience));
    assert_eq!(send(&strict, &hs256(&json!({"sub": "ada", "exp": LATER}))), Err(Rejected::Invalid));
}

#[test]
fn a_minted_token_is_accepted_and_carries_its_claims() {
    let token = NewToken {
        subject: "ada",
        name: Some("Ada"),
        email: Some("ada@example.com"),
        issuer: None,
        audience: None,
        lifetime: Duration::from_secs(60),
    };
    let token = mint(SECRET.as_bytes(), &token).expect("signed");
    let caller = send(&identity(None, None), &token).expect("accepted").expect("a caller");
    assert_eq!((caller.name.as_deref(), caller.email.as_deref()), (Some("Ada"), Some("ada@example.com")));
}

#[test]
fn only_one_bearer_header_is_a_credential() {
    let read = |values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        policy::bearer(&headers).map(|token| token.map(str::to_owned))
    };
    assert_eq!(read(&[]), Ok(None));
    assert_eq!(read(&["bearer  abc"]), Ok(Some("abc".to_owned())));
    assert_eq!(read(&["Bearer"]), Ok(None));
    assert_eq!(read(&["Basic abc"]), Err(Rejected::Scheme));
    assert_eq!(read(&["Bearer a", "Bearer b"]), Err(Rejected::Scheme));
}

#[test]
fn headers_that_pose_as_identity_do_not_reach_a_guest() {
    let mut headers = HeaderMap::new();
    for name in ["authorization", "cookie", "x-user-id", "x-forwarded-user", "remote-user", "x-auth-request-email"] {
        headers.insert(name, HeaderValue::from_static("mallory"));
    }
    headers.insert("x-request-id", HeaderValue::from_static("1"));
    headers.insert("content-type", HeaderValue::from_static("text/plain"));
    policy::strip(&mut headers);
    assert_eq!(headers.len(), 2, "{headers:?}");
}
