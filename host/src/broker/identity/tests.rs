use std::task::{Context, Poll, Waker};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio_util::task::TaskTracker;

use super::public_key::{Jwk, PublicKey, Unusable};
use super::session_token::{SessionToken, Signatures};
use super::verified::Digest;
use super::{Foreign, Identity, NewToken, Refusal, Rejected, mint, policy};
use crate::call::Caller;
use crate::config::{Config, Env, Flags};

const SECRET: &str = "a-secret-for-tests-only";
const LATER: u64 = 4_000_000_000;

fn with(vars: &[(&str, &str)]) -> Identity {
    let env = Env::of([("BETTER_AUTH_SECRET", SECRET)].iter().chain(vars).copied());
    let config = Config::load(&Flags::default(), &env).expect("valid");
    Identity::new(&config, Foreign::default(), &TaskTracker::new()).expect("nothing to connect to")
}

fn identity(issuer: Option<&str>, audience: Option<&str>) -> Identity {
    with(&[("AUTH_ISSUER", issuer.unwrap_or("")), ("AUTH_AUDIENCE", audience.unwrap_or(""))])
}

/// What a broker answers that asks nobody else.
fn ask(identity: &Identity, method: &Method, headers: &HeaderMap) -> Result<Option<Caller>, Rejected> {
    let mut answer = Box::pin(identity.authenticate(method, headers));
    match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(caller)) => Ok(caller),
        Poll::Ready(Err(Refusal::Rejected(rejected))) => Err(rejected),
        Poll::Ready(Err(Refusal::Unavailable(why))) => panic!("{why}"),
        Poll::Pending => panic!("it asks somebody"),
    }
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
    ask(identity, &Method::GET, &headers)
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
    // A session token, by its shape.
    refused("not-a-token", Rejected::NoSessions);
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
        session: None,
    };
    let token = mint(SECRET.as_bytes(), &token).expect("signed");
    let caller = send(&identity(None, None), &token).expect("accepted").expect("a caller");
    assert_eq!((caller.name.as_deref(), caller.email.as_deref()), (Some("Ada"), Some("ada@example.com")));
}

#[test]
fn a_token_is_verified_once() {
    let identity = identity(None, None);
    let token = hs256(&json!({"sub": "ada", "exp": LATER}));
    let subject = || send(&identity, &token).expect("accepted").expect("a caller").subject;
    assert_eq!(subject(), "ada");
    // Nobody could tell otherwise where the answer comes from.
    let digest = Digest::of(&token).expect("short");
    let (caller, by) = identity.verified.get(digest).expect("remembered");
    identity.verified.put(digest, &Caller { subject: "from memory".to_owned(), ..caller }, by);
    assert_eq!(subject(), "from memory");
    let mut forged = token.clone();
    forged.replace_range(forged.len() - 2.., "AA");
    assert_eq!(send(&identity, &forged), Err(Rejected::Invalid));
    assert_eq!(send(&identity, &forged), Err(Rejected::Invalid));
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

/// Better Auth's own form: made-up token and secret.
const SIGNED: &str = "AbCdEfGhIjKlMnOpQrStUvWxYz012345.EkF4DElimJzEHPTDeX6S5A/scV2K/fQNafOiVz3JfB0=";
const SIGNED_WITH: &[u8] = b"example-secret-for-tests-only-000000";

#[test]
fn a_session_token_is_read_in_every_form_that_better_auth_sends() {
    let signatures = Signatures::new(SIGNED_WITH);
    let encoded = SIGNED.replace('/', "%2F").replace('=', "%3D");
    let url_safe = SIGNED.replace('/', "_");
    let token = "AbCdEfGhIjKlMnOpQrStUvWxYz012345";
    for (value, as_cookie, as_bearer) in [
        (SIGNED, true, true),
        (&encoded, true, true),
        (&encoded.to_lowercase().replace(&token.to_lowercase(), token), false, false),
        (&url_safe, false, true),
        (url_safe.trim_end_matches('='), false, true),
        // One spelling each: no padding too much or too little, no stray bits.
        (SIGNED.trim_end_matches('='), false, false),
        (&format!("{SIGNED}="), false, false),
        (&SIGNED.replace("B0=", "B1="), false, false),
        (&SIGNED.replace("AbCd", "BbCd"), false, false),
        (&SIGNED.replace('/', "%2"), false, false),
        (&SIGNED.replace('/', "%zz"), false, false),
        (&SIGNED.replace('/', "%ff"), false, false),
        (&SIGNED.replace('/', " "), false, false),
        (token, false, false),
        ("", false, false),
        (".", false, false),
    ] {
        let good = |token: Result<SessionToken, Rejected>| token.is_ok_and(|found| found.as_str() == token_of(value));
        assert_eq!(good(signatures.verify_cookie(value)), as_cookie, "{value}");
        assert_eq!(good(signatures.verify_bearer(value)), as_bearer, "{value}");
    }
}

fn token_of(value: &str) -> &str {
    value.split('.').next().unwrap_or_default()
}

#[test]
fn a_session_token_is_a_word() {
    for (text, good) in [
        ("AbCdEfGhIjKlMnOpQrStUvWxYz012345", true),
        ("under_scores-and-dashes", true),
        ("1234567", false),
        (&"a".repeat(129), false),
        ("'; DROP TABLE session --", false),
        ("quo'te-quo'te", false),
        ("back\\slash", false),
        ("tokén-tokén", false),
        ("nul\0nul\0nul", false),
    ] {
        assert_eq!(SessionToken::new(text).is_ok(), good, "{text}");
    }
}

#[test]
fn what_a_credential_is_follows_from_its_shape() {
    let read = |name: header::HeaderName, values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, HeaderValue::from_static(value));
        }
        policy::credential(&headers).map(|found| found.map(|credential| format!("{credential:?}")))
    };
    let found = |text: &str| Ok(Some(text.to_owned()));
    assert_eq!(read(header::AUTHORIZATION, &["Bearer a.b.c"]), found(r#"Jwt("a.b.c")"#));
    assert_eq!(read(header::AUTHORIZATION, &["Bearer a.b"]), found(r#"Signed("a.b")"#));
    assert_eq!(read(header::AUTHORIZATION, &["Bearer a"]), found(r#"Raw("a")"#));
    assert_eq!(read(header::AUTHORIZATION, &["Bearer a.b.c.d"]), Err(Rejected::Invalid));
    let cookie = |values| read(header::COOKIE, values);
    assert_eq!(cookie(&["a=b; better-auth.session_token=x; c=d"]), found(r#"Cookie("x")"#));
    assert_eq!(cookie(&["a=b", "better-auth.session_token=x"]), found(r#"Cookie("x")"#));
    assert_eq!(cookie(&["better-auth.session_token=x; __Secure-better-auth.session_token=y"]), found(r#"Cookie("y")"#));
    assert_eq!(cookie(&["better-auth.session_token=x; better-auth.session_token=x"]), Err(Rejected::Invalid));
    assert_eq!(cookie(&["better-auth.session_token=x", "better-auth.session_token=y"]), Err(Rejected::Invalid));
    for other in ["", "better-auth.session_token", "Better-Auth.session_token=x", "__Host-better-auth.session_token=x"]
    {
        assert_eq!(
            policy::credential(&HeaderMap::from_iter([(header::COOKIE, other.parse().expect("a value"))])),
            Ok(None)
        );
    }
}

#[test]
fn a_cookie_changes_things_only_for_pages_of_ours() {
    let allowed = [HeaderValue::from_static("https://app.example.com")];
    let check = |method: Method, origins: &[&'static str]| {
        let mut headers = HeaderMap::new();
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        for origin in origins {
            headers.append(header::ORIGIN, HeaderValue::from_static(origin));
        }
        policy::check_origin(&method, &headers, &allowed).is_ok()
    };
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        assert!(check(method, &["https://evil.example"]));
    }
    for method in
        [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::from_bytes(b"PURGE").expect("a method")]
    {
        assert!(check(method.clone(), &["https://app.example.com"]), "{method}");
        for origins in [
            &[][..],
            &["null"],
            &["https://evil.example"],
            &["http://app.example.com"],
            &["https://app.example.com:8443"],
            &["https://app.example.com.evil.example"],
            &["https://app.example.com", "https://app.example.com"],
        ] {
            assert!(!check(method.clone(), origins), "{method} {origins:?}");
        }
    }
}

#[test]
fn a_cookie_is_nobody_where_there_are_no_sessions() {
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, HeaderValue::from_static("better-auth.session_token=anything"));
    assert_eq!(ask(&identity(None, None), &Method::POST, &headers), Ok(None));
}

#[test]
fn a_session_in_a_token_ends_with_its_own_end() {
    let cached = |expires: Value| {
        let session = json!({"userId": "ada", "expiresAt": expires});
        send(&identity(None, None), &hs256(&json!({"session": session, "user": {"id": "ada"}, "exp": LATER})))
    };
    let ends = |expires: Value| cached(expires).map(|caller| caller.expect("a caller").expires_at);
    assert_eq!(ends(json!("2050-01-01T00:00:00.000Z")), Ok(2_524_608_000));
    assert_eq!(ends(json!(2_524_608_000_000_i64)), Ok(2_524_608_000));
    assert_eq!(ends(Value::Null), Ok(LATER));
    assert_eq!(ends(json!("2020-01-01T00:00:00.000Z")), Err(Rejected::Expired));
    assert_eq!(ends(json!(1_577_836_800_000_i64)), Err(Rejected::Expired));
    assert_eq!(ends(json!("soon")), Err(Rejected::Invalid));
    assert_eq!(ends(json!({})), Err(Rejected::Invalid));
}

#[test]
fn unsound_public_keys_are_not_used() {
    let use_of = |jwk: Value| PublicKey::new(&serde_json::from_value::<Jwk>(jwk).expect("a JWK")).err();
    let (ed, ok) = (B64.encode(ED25519), None);
    let rsa = |bytes: usize, last: u8| {
        let mut n = vec![0xff; bytes];
        n[bytes - 1] = last;
        B64.encode(n)
    };
    let (x, y) = (B64.encode(P256.0), B64.encode(P256.1));
    for (jwk, expected) in [
        (json!({"kty": "OKP", "crv": "Ed25519", "x": ed}), ok),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": ed, "alg": "EdDSA", "use": "sig"}), None),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": ed, "alg": "ES256"}), Some(Unusable::Kind)),
        (json!({"kty": "OKP", "crv": "X25519", "x": ed}), Some(Unusable::Kind)),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": ed, "use": "enc"}), Some(Unusable::Usage)),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": ed, "d": ed}), Some(Unusable::Private)),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": B64.encode([1; 31])}), Some(Unusable::Numbers)),
        (json!({"kty": "OKP", "crv": "Ed25519"}), Some(Unusable::Numbers)),
        // The neutral element: a signature by it fits every message.
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": B64.encode([&[1][..], &[0; 31]].concat())}),
            Some(Unusable::Numbers),
        ),
        (json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}), None),
        (json!({"kty": "EC", "crv": "P-256", "x": x, "y": x}), Some(Unusable::Numbers)),
        (json!({"kty": "EC", "crv": "P-256", "x": x, "y": B64.encode([0; 33])}), Some(Unusable::Numbers)),
        (json!({"kty": "EC", "crv": "P-384", "x": x, "y": y}), Some(Unusable::Kind)),
        (json!({"kty": "RSA", "n": rsa(256, 0xff), "e": "AQAB"}), None),
        (json!({"kty": "RSA", "n": rsa(512, 0xff), "e": "Aw"}), None),
        (json!({"kty": "RSA", "n": rsa(255, 0xff), "e": "AQAB"}), Some(Unusable::RsaSize(2040))),
        (json!({"kty": "RSA", "n": rsa(513, 0xff), "e": "AQAB"}), Some(Unusable::RsaSize(4104))),
        (
            json!({"kty": "RSA", "n": B64.encode([&[0; 200][..], &[0xff; 128]].concat()), "e": "AQAB"}),
            Some(Unusable::RsaSize(1024)),
        ),
        (json!({"kty": "RSA", "n": rsa(256, 0xfe), "e": "AQAB"}), Some(Unusable::Numbers)),
        (json!({"kty": "RSA", "n": rsa(256, 0xff), "e": "AQ"}), Some(Unusable::Numbers)),
        (json!({"kty": "RSA", "n": rsa(256, 0xff), "e": "AQAB", "alg": "PS256"}), Some(Unusable::Kind)),
        (json!({"kty": "oct", "k": ed}), Some(Unusable::Kind)),
    ] {
        assert_eq!(use_of(jwk.clone()), expected, "{jwk}");
    }
}

/// The public key of RFC 8037, appendix A.2.
const ED25519: [u8; 32] = [
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72,
    0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
];

/// The generator of P-256, which is on its curve.
const P256: ([u8; 32], [u8; 32]) = (
    [
        0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03,
        0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
    ],
    [
        0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce,
        0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
    ],
);
