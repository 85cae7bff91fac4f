//! What does not get in: a table of forgeries, sent to one host that knows a
//! secret, public keys, issuer, audience and sessions. None is accepted, no
//! guest runs, and no database is asked but for what only a database can tell.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD as B64};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};

use super::better_auth::{Tables, run};
use super::issuer::{
    By, OURS, cookie_value, ed_jwk, hmac, honest, jwks, jws, public_forms, rsa_key, seconds, signature, signed_session,
    stranger,
};
use crate::harness::{Database, HostProcess, KeyAnswer, KeyServer, SECRET, TestDatabase, guest};

const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "todo";
const TOKEN: &str = "AbCdEfGhIjKlMnOpQrStUvWxYz012345";
const EXPIRED: &str = "ExpiredExpiredExpiredExpired0000";
const REVOKED: &str = "RevokedRevokedRevokedRevoked0000";

struct Forgery {
    what: String,
    method: Method,
    headers: HeaderMap,
    status: u16,
    /// Only Better Auth's tables can tell.
    asks_the_database: bool,
}

#[derive(Default)]
struct Table(Vec<Forgery>);

fn claims() -> Value {
    json!({"sub": "ada", "iss": ISSUER, "aud": AUDIENCE, "exp": seconds(600)})
}

/// The claims with one of them replaced, or without it.
fn but(claim: &str, value: Value) -> Value {
    let mut all = claims();
    all[claim] = value;
    all
}

fn without(claim: &str) -> Value {
    let mut all = claims();
    all.as_object_mut().expect("an object").remove(claim);
    all
}

const HEADS: [(&str, By<'static>); 4] = [
    (r#"{"alg":"HS256"}"#, OURS),
    (r#"{"alg":"EdDSA","kid":"ed"}"#, By::Ed),
    (r#"{"alg":"ES256","kid":"ec"}"#, By::Ec),
    (r#"{"alg":"RS256","kid":"rsa"}"#, By::Rsa),
];

impl Table {
    fn add(&mut self, what: impl Into<String>, headers: &[(&'static str, &[u8])]) -> &mut Forgery {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value).expect("a value that can be sent");
            map.append(HeaderName::from_static(name), value);
        }
        let (what, method) = (what.into(), Method::GET);
        self.0.push(Forgery { what, method, headers: map, status: 401, asks_the_database: false });
        self.0.last_mut().expect("just added")
    }

    fn bearer(&mut self, what: impl Into<String>, token: impl AsRef<[u8]>) -> &mut Forgery {
        self.add(what, &[("authorization", &[b"Bearer ", token.as_ref()].concat())])
    }

    fn cookie(&mut self, what: impl Into<String>, cookie: &str) -> &mut Forgery {
        self.add(what, &[("cookie", cookie.as_bytes())])
    }
}

fn algorithms(table: &mut Table) {
    for alg in ["none", "None", "NONE", "nOnE", "none ", "", "null", "n\\u006fne"] {
        let head = format!(r#"{{"alg":"{alg}","kid":"ed"}}"#);
        let signed = jws(&head, claims().to_string(), OURS);
        let bare = signed.rsplit_once('.').expect("parts").0;
        table.bearer(format!("alg `{alg}`, unsigned"), format!("{bare}."));
        table.bearer(format!("alg `{alg}`, two parts"), bare);
        table.bearer(format!("alg `{alg}`, signed"), signed);
    }
    for alg in [
        "\"hs256\"",
        "\"HS-256\"",
        "\"HMAC\"",
        "\"HS1\"",
        "\"HS384\"",
        "\"HS512\"",
        "\"PS256\"",
        "\"RS512\"",
        "\"ES384\"",
        "\"ES512\"",
        "\"ES256K\"",
        "\"Ed25519\"",
        "\"EdDSA \"",
        "\"dir\"",
        "\"RSA-OAEP\"",
        "null",
        "256",
        "true",
        "[\"HS256\"]",
        "{\"alg\":\"HS256\"}",
    ] {
        let head = format!(r#"{{"alg":{alg},"kid":"rsa"}}"#);
        for (key, by) in [("the secret", OURS), ("an RSA key", By::Rsa)] {
            table.bearer(format!("alg {alg}, signed by {key}"), jws(&head, claims().to_string(), by));
        }
    }
    table.bearer("no alg", jws(r#"{"typ":"JWT"}"#, claims().to_string(), OURS));
    for algorithm in [jsonwebtoken::Algorithm::HS384, jsonwebtoken::Algorithm::HS512] {
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        let token = jsonwebtoken::encode(&jsonwebtoken::Header::new(algorithm), &claims(), &key).expect("signed");
        table.bearer(format!("{algorithm:?} by the secret"), token);
    }
}

/// A public key is no secret.
fn confusion(table: &mut Table) {
    for (kid, form, bytes) in public_forms() {
        for head in [format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#), r#"{"alg":"HS256"}"#.to_owned()] {
            let token = jws(&head, claims().to_string(), By::Secret(&bytes));
            table.bearer(format!("HS256 by the public key {kid} as {form}, head {head}"), token);
        }
    }
    for (alg, kid) in [("EdDSA", "ed"), ("ES256", "ec"), ("RS256", "rsa")] {
        let head = format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#);
        table.bearer(format!("{alg}, by the secret"), jws(&head, claims().to_string(), OURS));
        table.bearer(format!("{alg}, by a stranger"), jws(&head, claims().to_string(), By::Stranger));
    }
    for (alg, kid, key, by) in [
        ("EdDSA", "ec", "ed", By::Ed),
        ("EdDSA", "rsa", "ed", By::Ed),
        ("EdDSA", "ec", "ec", By::Ec),
        ("ES256", "ed", "ec", By::Ec),
        ("ES256", "ed", "ed", By::Ed),
        ("ES256", "rsa", "ec", By::Ec),
        ("RS256", "ed", "rsa", By::Rsa),
        ("RS256", "ec", "rsa", By::Rsa),
        ("HS256", "rsa", "rsa", By::Rsa),
        ("HS256", "ed", "ed", By::Ed),
    ] {
        let head = format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#);
        table.bearer(format!("{alg} with the name of {kid}, by {key}"), jws(&head, claims().to_string(), by));
    }
    for secret in
        ["", "secret", "a-secret-for-tests-onlY", "a-secret-for-tests-only\n", "YS1zZWNyZXQtZm9yLXRlc3RzLW9ubHk="]
    {
        table.bearer(format!("HS256 by `{secret}`"), honest(&claims(), By::Secret(secret.as_bytes())));
    }
}

fn names_of_keys(table: &mut Table) {
    for kid in [
        "\"\"",
        "null",
        "0",
        "true",
        "[\"ed\"]",
        "{\"kid\":\"ed\"}",
        "\"ED\"",
        "\" ed\"",
        "\"ed \"",
        "\"ed\\u0000\"",
        "\"../../../../dev/null\"",
        "\"/dev/null\"",
        "\"file:///etc/passwd\"",
        "\"http://127.0.0.1:9/jwks\"",
        "\"' OR 1=1 --\"",
        "\"ed' UNION SELECT 'k\"",
        "\"%65d\"",
        "\"__proto__\"",
        "\"constructor\"",
        "\"*\"",
        "\"ed|id\"",
        "\"$(id)\"",
    ] {
        table.bearer(
            format!("kid {kid}"),
            jws(&format!(r#"{{"alg":"EdDSA","kid":{kid}}}"#), claims().to_string(), By::Stranger),
        );
    }
    for length in [129, 1_000, 5_000] {
        let head = json!({"alg": "EdDSA", "kid": "k".repeat(length)}).to_string();
        table.bearer(format!("a kid of {length}"), jws(&head, claims().to_string(), By::Stranger));
    }
    table.bearer("no kid", jws(r#"{"alg":"EdDSA"}"#, claims().to_string(), By::Ed));
    table.bearer(
        "kid /dev/null and an empty secret",
        jws(r#"{"alg":"HS256","kid":"/dev/null"}"#, claims().to_string(), By::Secret(b"")),
    );
}

fn headers_that_bring_keys(table: &mut Table) {
    let own = ed_jwk(&stranger(), "own");
    for (field, value) in [
        ("jku", json!("http://127.0.0.1:9/jwks")),
        ("jku", json!("https://id.example@127.0.0.1:9/jwks")),
        ("x5u", json!("http://127.0.0.1:9/cert.pem")),
        ("jwk", own.clone()),
        ("jwk", json!({"kty": "oct", "k": "AA"})),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AA")),
        ("x5t#S256", json!("AA")),
    ] {
        for kid in ["own", "ed"] {
            let mut head = json!({"alg": "EdDSA", "kid": kid});
            head[field] = value.clone();
            table.bearer(
                format!("{field} {value}, kid {kid}"),
                jws(&head.to_string(), claims().to_string(), By::Stranger),
            );
        }
    }
    let head = json!({"alg": "HS256", "jwk": {"kty": "oct", "k": B64.encode("own")}}).to_string();
    table.bearer("HS256 by the key that it brings", jws(&head, claims().to_string(), By::Secret(b"own")));
    for field in [
        r#""crit":["exp"]"#,
        r#""crit":["b64"],"b64":false"#,
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""crit":"exp""#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""zip":"DEF""#,
        r#""enc":"A256GCM""#,
        r#""typ":"JWE""#,
        r#""typ":"refresh+jwt""#,
        r#""typ":"logout+jwt""#,
        r#""typ":"dpop+jwt""#,
        r#""typ":"secevent+jwt""#,
        r#""typ":"""#,
        r#""typ":1"#,
        r#""typ":["JWT"]"#,
        // Its audience is another one.
        r#""typ":"better-auth.session-cache+jwt""#,
    ] {
        for (honest, by) in HEADS {
            let head = format!("{},{field}}}", &honest[..honest.len() - 1]);
            table.bearer(format!("head {head}"), jws(&head, claims().to_string(), by));
        }
    }
}

fn claims_that_do_not_do(table: &mut Table) {
    let raw = |exp: &str| without("exp").to_string().replacen('{', &format!("{{\"exp\":{exp},"), 1);
    let mut all: Vec<(String, String)> = Vec::new();
    for exp in [
        "null",
        "\"4000000000\"",
        "-1",
        "0",
        "1e30",
        "1e400",
        "18446744073709551615",
        "18446744073709551616",
        "253402300800",
        "1000000000.5",
        "true",
        "[4000000000]",
        "{}",
    ] {
        all.push((format!("exp {exp}"), raw(exp)));
    }
    all.push(("no exp".to_owned(), without("exp").to_string()));
    for past in [-31, -600, -86_400] {
        all.push((format!("exp {past} s from now"), but("exp", json!(seconds(past))).to_string()));
    }
    for (nbf, name) in
        [(json!(seconds(120)), "to come"), (json!("0"), "a text"), (json!(-1), "negative"), (json!(1e30), "huge")]
    {
        all.push((format!("nbf {name}"), but("nbf", nbf).to_string()));
    }
    for iss in [
        json!("https://evil.example"),
        json!("https://id.example/"),
        json!("https://ID.example"),
        json!("http://id.example"),
        json!("https://id.example.evil.example"),
        json!(""),
        Value::Null,
        json!(1),
        json!([ISSUER]),
        json!(["https://evil.example"]),
    ] {
        all.push((format!("iss {iss}"), but("iss", iss).to_string()));
    }
    all.push(("no iss".to_owned(), without("iss").to_string()));
    for aud in [
        json!("other"),
        json!("TODO"),
        json!("todo2"),
        json!(""),
        Value::Null,
        json!(1),
        json!([]),
        json!(["other"]),
        json!([[AUDIENCE]]),
        json!({"todo": true}),
        json!("better-auth:session-cache"),
    ] {
        all.push((format!("aud {aud}"), but("aud", aud).to_string()));
    }
    all.push(("no aud".to_owned(), without("aud").to_string()));
    for sub in [
        json!(""),
        Value::Null,
        json!({}),
        json!(["ada"]),
        json!(true),
        json!(1.5),
        json!("a".repeat(256)),
        json!("a\0b"),
        json!("a\nb"),
    ] {
        all.push((
            format!("sub {}", sub.to_string().chars().take(20).collect::<String>()),
            but("sub", sub).to_string(),
        ));
    }
    all.push(("no sub".to_owned(), without("sub").to_string()));
    let ended = json!({"userId": "ada", "expiresAt": "2020-01-01T00:00:00.000Z"});
    all.push(("a session that has ended".to_owned(), but("session", ended).to_string()));
    let text = claims().to_string();
    let twice = |claim: &str| text.replacen('{', &format!("{{{claim},"), 1);
    all.push(("sub twice".to_owned(), twice(r#""sub":"eve""#)));
    all.push(("exp twice".to_owned(), twice(r#""exp":4000000000"#)));
    all.push(("aud twice".to_owned(), twice(r#""aud":"other""#)));
    for odd in ["", "null", "[]", "1", "\"ada\"", "{", "{}", "[{}]", "{\"sub\":\"ada\"}x"] {
        all.push((format!("claims `{odd}`"), odd.to_owned()));
    }
    all.push(("claims after a mark".to_owned(), format!("\u{feff}{text}")));
    all.push(("a token in a token".to_owned(), honest(&claims(), OURS)));
    for (what, claims) in all {
        for (head, by) in HEADS.into_iter().take(2) {
            table.bearer(format!("{what}, {head}"), jws(head, &claims, by));
        }
    }
    // Better Auth signs the links in its mails with the same secret.
    let mail = json!({"email": "ada@example.com", "updateTo": "eve@example.com", "requestType": "change-email-verification",
        "iss": ISSUER, "aud": AUDIENCE, "exp": seconds(600)});
    table.bearer("the token of a mail", honest(&mail, OURS));
    table.bearer("claims that are not UTF-8", jws(HEADS[0].0, b"{\"sub\":\"\xff\"}", OURS));
    for field in ["id", "user_id", "userId"] {
        let mut other = without("sub");
        other[field] = json!("ada");
        table.bearer(format!("{field} instead of sub, by a public key"), honest(&other, By::Ed));
    }
}

/// The group order of Ed25519, little endian.
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
/// The group order of P-256, big endian.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// S + L: the same signature to a verifier that does not look.
fn with_larger_s(mut signature: Vec<u8>) -> Vec<u8> {
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ED25519_ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    signature
}

/// ASN.1, as other standards than RFC 7518 write it.
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let sign: &[u8] = if bytes[0] >= 0x80 { &[0] } else { &[] };
        let length = u8::try_from(bytes.len() + sign.len()).expect("short");
        [&[2, length], sign, bytes].concat()
    };
    let both = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [&[0x30, u8::try_from(both.len()).expect("short")], &both[..]].concat()
}

fn signatures(table: &mut Table) {
    for (head, by) in HEADS {
        let message = format!("{}.{}", B64.encode(head), B64.encode(claims().to_string()));
        let good = signature(by, message.as_bytes());
        let half = good.len() / 2;
        let mut forms = vec![
            ("none", vec![]),
            ("zeros", vec![0; good.len()]),
            ("ones", vec![0xff; good.len()]),
            ("cut", good[..good.len() - 1].to_vec()),
            ("cut in front", good[1..].to_vec()),
            ("half", good[..half].to_vec()),
            ("longer", [&good[..], &[0]].concat()),
            ("longer in front", [&[0], &good[..]].concat()),
            ("twice", [&good[..], &good[..]].concat()),
            ("halves swapped", [&good[half..], &good[..half]].concat()),
        ];
        for at in [0, half, good.len() - 1] {
            let mut flipped = good.clone();
            flipped[at] ^= 1;
            forms.push(("a bit flipped", flipped));
        }
        match by {
            By::Ed => {
                forms.push(("S is S + L", with_larger_s(good.clone())));
                let neutral = [&[1][..], &[0; 63]].concat();
                forms.push(("R of small order, S zero", neutral));
                forms.push(("S zero", [&good[..32], &[0; 32]].concat()));
                forms.push(("S is L", [&good[..32], &ED25519_ORDER].concat()));
            }
            By::Ec => {
                forms.push(("ASN.1", der(&good)));
                forms.push(("r zero", [&[0; 32], &good[32..]].concat()));
                forms.push(("s zero", [&good[..32], &[0; 32]].concat()));
                forms.push(("r is the order", [&P256_ORDER, &good[32..]].concat()));
                forms.push(("s is the order", [&good[..32], &P256_ORDER].concat()));
            }
            By::Rsa => {
                let one = [&vec![0; good.len() - 1][..], &[1]].concat();
                forms.push(("1", one));
                forms.push(("the modulus", rsa_key().n().to_bytes_be()));
            }
            By::Secret(_) | By::Stranger => {}
        }
        for (number, (what, bytes)) in forms.into_iter().enumerate() {
            table.bearer(format!("{head}, signature {number}: {what}"), format!("{message}.{}", B64.encode(bytes)));
        }
        let of_others = signature(by, format!("{}.{}", B64.encode(head), B64.encode("{}")).as_bytes());
        table
            .bearer(format!("{head}, the signature of something else"), format!("{message}.{}", B64.encode(of_others)));
    }
}

/// A token has one spelling.
fn spellings(table: &mut Table) {
    // One whose signature shows which alphabet it is in.
    let numbered = |number: u32| honest(&but("n", json!(number)), OURS);
    let token = (0..).map(numbered).find(|token| {
        let signature = token.rsplit('.').next().expect("a part");
        signature.contains('-') && signature.contains('_')
    });
    let token = token.expect("soon");
    let parts: Vec<&str> = token.split('.').collect();
    let (head, claims, signature) = (parts[0], parts[1], parts[2]);
    let padded = URL_SAFE.encode(B64.decode(signature).expect("base64"));
    let standard = STANDARD.encode(B64.decode(signature).expect("base64"));
    // 32 bytes leave two bits of the last character unused.
    let last = signature.chars().next_back().expect("a character");
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = ALPHABET.chars().nth(ALPHABET.find(last).expect("base64url") + 1).expect("one more");
    let trailing = format!("{}{next}", &signature[..signature.len() - 1]);
    for (what, token) in [
        ("a padded signature", format!("{head}.{claims}.{padded}")),
        ("a padded head", format!("{head}==.{claims}.{signature}")),
        ("padded claims", format!("{head}.{claims}=.{signature}")),
        ("the standard alphabet", format!("{head}.{claims}.{}", standard.trim_end_matches('='))),
        ("the standard alphabet, padded", format!("{head}.{claims}.{standard}")),
        ("bits left over", format!("{head}.{claims}.{trailing}")),
        ("a space inside", format!("{head}.{claims} .{signature}")),
        ("a tab inside", format!("{head}.{claims}\t.{signature}")),
        ("a space in the signature", format!("{head}.{claims}.{} {}", &signature[..9], &signature[9..])),
        ("encoded dots", format!("{head}%2E{claims}%2E{signature}")),
        ("encoded as a whole", B64.encode(&token)),
        ("quoted", format!("\"{token}\"")),
        ("a comma behind", format!("{token},")),
        ("itself behind", format!("{token}, Bearer {token}")),
        ("a dot in front", format!(".{token}")),
        ("a dot behind", format!("{token}.")),
        ("four parts", format!("{token}.{signature}")),
        ("five parts, as if encrypted", format!("{head}.{claims}.{signature}.{signature}.{signature}")),
        ("two dots alone", "..".to_owned()),
        ("short parts", "a.b.c".to_owned()),
        ("no head", format!(".{claims}.{signature}")),
        ("no claims", format!("{head}..{signature}")),
        ("no signature", format!("{head}.{claims}.")),
        ("two parts", format!("{head}.{claims}")),
        ("the JSON form", json!({"payload": claims, "protected": head, "signature": signature}).to_string()),
    ] {
        table.bearer(what, token);
    }
    table.bearer("bytes that are not UTF-8", b"\xff\xfe.\xff.\xff");
    for head in [
        "",
        "null",
        "[]",
        "[{\"alg\":\"HS256\"}]",
        "\"HS256\"",
        "{\"alg\":\"HS256\"",
        "\u{feff}{\"alg\":\"HS256\"}",
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"ALG":"HS256"}"#,
        r#"{"alg":"HS256","typ":"JWT","typ":"JWT"}"#,
    ] {
        table.bearer(format!("head `{head}`"), jws(head, super::forged::claims().to_string(), OURS));
    }
    table.bearer("a good one of 9 KB", honest(&but("padding", json!("x".repeat(6_800))), OURS));
    table.bearer("20 kB", "x".repeat(20_000));
    table.bearer("20 kB in three parts", format!("{0}.{0}.{0}", "x".repeat(6_600)));
}

fn schemes(table: &mut Table) {
    let token = honest(&claims(), OURS);
    for value in [
        token.clone(),
        format!("Token {token}"),
        format!("JWT {token}"),
        format!("Basic {}", STANDARD.encode(format!("ada:{token}"))),
        format!("Digest username=\"ada\", response=\"{token}\""),
        format!("Bearer:{token}"),
        format!("Bearer={token}"),
        format!("Bearer\t{token}"),
        format!("Bearer{token}"),
        format!("Bearer Bearer {token}"),
        format!("Negotiate {token}"),
        "Basic".to_owned(),
    ] {
        let what = format!("`{}…`", value.chars().take(18).collect::<String>());
        table.add(format!("scheme {what}"), &[("authorization", value.as_bytes())]);
    }
    let (good, bad) = (format!("Bearer {token}"), "Bearer garbage".to_owned());
    for (what, first, second) in [("the same", &good, &good), ("good, bad", &good, &bad), ("bad, good", &bad, &good)] {
        table.add(
            format!("two headers: {what}"),
            &[("authorization", first.as_bytes()), ("authorization", second.as_bytes())],
        );
    }
}

fn session_tokens(table: &mut Table) {
    let signed = signed_session(TOKEN, SECRET.as_bytes());
    let foreign = signed_session(TOKEN, b"another secret");
    let signature = signed.split_once('.').expect("two parts").1;
    for (what, token) in [
        ("seven characters", "1234567".to_owned()),
        ("129 characters", "a".repeat(129)),
        ("a quote", "AbCdEfGh'OR'1'='1".to_owned()),
        ("a comment", "AbCdEfGhIjKlMnOp--;".to_owned()),
        ("a percent sign", "AbCdEfGhIjKlMnOp%".to_owned()),
        ("a wildcard", "AbCdEfGhIjKlMnOp*".to_owned()),
        ("a space", format!("{TOKEN} {TOKEN}")),
        ("a colon", format!("{TOKEN}:{signature}")),
        ("signed by another secret", foreign.clone()),
        ("signed by no secret", signed_session(TOKEN, b"")),
        ("the signature of another session", format!("{EXPIRED}.{signature}")),
        ("a cut signature", signed[..signed.len() - 2].to_owned()),
        ("a longer signature", format!("{signed}A")),
        ("padded twice", format!("{signed}=")),
        ("no signature", format!("{TOKEN}.")),
        ("no token", format!(".{signature}")),
        (
            "a signature in hex",
            format!(
                "{TOKEN}.{}",
                hmac(SECRET.as_bytes(), TOKEN.as_bytes()).iter().map(|b| format!("{b:02x}")).collect::<String>()
            ),
        ),
        ("encoded badly", signed.replace('=', "%3")),
        ("encoded with nonsense", signed.replace('=', "%zz")),
        ("encoded twice", signed.replace('=', "%253D")),
        ("a NUL encoded", format!("{TOKEN}%00.{signature}")),
    ] {
        table.bearer(format!("session, {what}"), token);
    }
    for (what, token) in [
        ("unknown", "UnknownUnknownUnknownUnknown0000".to_owned()),
        ("of eight characters", "unknown8".to_owned()),
        ("in other letters", TOKEN.to_lowercase()),
        ("cut", TOKEN[..31].to_owned()),
        ("longer", format!("{TOKEN}0")),
        ("its wildcard", "________________________________".to_owned()),
        ("expired", EXPIRED.to_owned()),
        ("expired, signed", signed_session(EXPIRED, SECRET.as_bytes())),
        ("revoked", REVOKED.to_owned()),
        ("revoked, signed", signed_session(REVOKED, SECRET.as_bytes())),
        ("the user's id", "User1-is-not-a-session".to_owned()),
    ] {
        table.bearer(format!("session, {what}"), token).asks_the_database = true;
    }
}

fn cookies(table: &mut Table) {
    const PLAIN: &str = "better-auth.session_token";
    const SECURE: &str = "__Secure-better-auth.session_token";
    let signed = signed_session(TOKEN, SECRET.as_bytes());
    let good = cookie_value(&signed);
    let foreign = cookie_value(&signed_session(TOKEN, b"another secret"));
    let url_safe = signed.replace('+', "-").replace('/', "_");
    for name in [PLAIN, SECURE] {
        for (what, value) in [
            ("not signed", TOKEN.to_owned()),
            ("signed by another secret", foreign.clone()),
            ("not padded", good.trim_end_matches("%3D").to_owned()),
            ("in the URL's alphabet, not padded", url_safe.trim_end_matches('=').to_owned()),
            ("encoded badly", good.replace("%3D", "%3")),
            ("encoded twice", good.replace('%', "%25")),
            ("quoted", format!("\"{good}\"")),
            ("empty", String::new()),
            ("a dot", ".".to_owned()),
            ("with something behind", format!("{good}x")),
            ("with something in front", format!("x{good}")),
            ("a token", honest(&claims(), OURS)),
            ("a long one", "x".repeat(10_000)),
        ] {
            table.cookie(format!("{name}, {what}"), &format!("{name}={value}"));
        }
        table.cookie(format!("{name}, twice"), &format!("{name}={good}; {name}={good}"));
        table.cookie(format!("{name}, a bad one first"), &format!("{name}={foreign}; {name}={good}"));
        table.cookie(format!("{name}, a bad one behind"), &format!("{name}={good}; {name}={foreign}"));
        let pair = format!("{name}={good}");
        table.add(format!("{name}, in two fields"), &[("cookie", pair.as_bytes()), ("cookie", pair.as_bytes())]);
        for (what, token) in [("expired", EXPIRED), ("revoked", REVOKED)] {
            let value = cookie_value(&signed_session(token, SECRET.as_bytes()));
            table.cookie(format!("{name}, {what}"), &format!("{name}={value}")).asks_the_database = true;
        }
    }
    table.cookie("a bad secure one beside a good plain one", &format!("{PLAIN}={good}; {SECURE}={foreign}"));
    let pair = format!("{PLAIN}={good}");
    table.add(
        "a bad Bearer beside a good cookie",
        &[("authorization", b"Bearer garbage."), ("cookie", pair.as_bytes())],
    );
    // Of a page that is not ours, the good cookie is not good enough.
    for (what, origins) in [
        ("no", &[][..]),
        ("null", &["null"]),
        ("a strange", &["https://evil.example"]),
        ("a similar", &["https://app.example.com.evil.example"]),
        ("an unencrypted", &["http://app.example.com"]),
        ("a doubled", &["https://app.example.com", "https://app.example.com"]),
    ] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let mut headers: Vec<(&'static str, &[u8])> =
                vec![("cookie", pair.as_bytes()), ("sec-fetch-site", b"same-origin")];
            headers.extend(origins.iter().map(|origin| ("origin", origin.as_bytes())));
            let forgery = table.add(format!("{method} by cookie with {what} origin"), &headers);
            (forgery.method, forgery.status) = (method, 403);
        }
    }
}

fn table() -> Vec<Forgery> {
    let mut table = Table::default();
    for part in [
        algorithms,
        confusion,
        names_of_keys,
        headers_that_bring_keys,
        claims_that_do_not_do,
        signatures,
        spellings,
        schemes,
        session_tokens,
        cookies,
    ] {
        part(&mut table);
    }
    table.0
}

#[test]
fn the_table_holds_no_forgery_twice() {
    let table = table();
    let (mut sent, mut names) = (HashSet::new(), HashSet::new());
    for forgery in &table {
        assert!(names.insert(&forgery.what), "two are called {}", forgery.what);
        assert!(sent.insert(format!("{} {:?}", forgery.method, forgery.headers)), "another one is {}", forgery.what);
    }
    assert!(table.len() >= 400, "{} forgeries", table.len());
}

/// Where a guest that is entered shows it: the path traps.
fn request(client: &Client, process: &HostProcess, method: &Method, headers: &HeaderMap) -> RequestBuilder {
    client.request(method.clone(), process.url("/trap")).headers(headers.clone())
}

async fn lookups(process: &HostProcess) -> u64 {
    let metrics = process.admin("/metrics").await;
    let line = metrics.lines().find(|line| line.starts_with("innkeeper_identity_lookups_total{kind=\"session\"}"));
    line.map_or(0, |line| line.rsplit(' ').next().expect("a value").parse().expect("a number"))
}

async fn connections(pool: &sqlx::PgPool) -> i64 {
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'innkeeper:identity' AND datname = current_database()";
    sqlx::query_scalar(count).fetch_one(pool).await.expect("a count")
}

async fn all_refused(process: &HostProcess, forgeries: &[&Forgery]) {
    let client = Client::new();
    let mut wrong = Vec::new();
    for forgery in forgeries {
        let answer = request(&client, process, &forgery.method, &forgery.headers).send().await.expect("an answer");
        let (status, body) = (answer.status(), answer.json::<Value>().await.expect("JSON"));
        let said = body["detail"].as_str().unwrap_or_default();
        if status != forgery.status || body.as_object().is_none_or(|body| body.len() != 1) || said.is_empty() {
            wrong.push(format!("{}: {status} {body}", forgery.what));
        }
    }
    assert!(wrong.is_empty(), "{} got further than they should:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_forgery_is_accepted_enters_a_guest_or_costs_a_connection() {
    let database = TestDatabase::create(Database::Postgres).await;
    let pool = database.pool().await;
    Tables::Current.create(&pool).await;
    Tables::Current.sign_up(&pool, 1).await;
    for (token, time) in [(TOKEN, 3_600), (EXPIRED, -1), (REVOKED, 3_600)] {
        Tables::Current.sign_in(&pool, 1, token, time).await;
    }
    run(&pool, &format!("DELETE FROM \"session\" WHERE token = '{REVOKED}'")).await;
    let server = KeyServer::start(KeyAnswer::Set(jwks())).await;
    let misbehave = guest("misbehave").display().to_string();
    let process = HostProcess::serve(&[
        ("DATABASE_URL", database.url()),
        ("INNKEEPER_MODULE", &misbehave),
        ("INNKEEPER_ADMIN_LISTEN", "127.0.0.1:0"),
        ("AUTH_JWKS_URL", &server.url()),
        ("AUTH_ISSUER", ISSUER),
        ("AUTH_AUDIENCE", AUDIENCE),
        ("CORS_ORIGINS", "https://app.example.com"),
    ])
    .await;
    let table = table();
    let (by_database, by_shape): (Vec<&Forgery>, Vec<&Forgery>) =
        table.iter().partition(|forgery| forgery.asks_the_database);
    let started = std::time::Instant::now();
    all_refused(&process, &by_shape).await;
    assert_eq!(lookups(&process).await, 0);
    assert_eq!(connections(&pool).await, 0);
    let most = 1 + usize::try_from(started.elapsed().as_secs() / 30).expect("small");
    assert!((1..=most).contains(&server.asked()), "the issuer was asked {} times", server.asked());

    all_refused(&process, &by_database).await;
    assert_eq!(lookups(&process).await, by_database.len() as u64);
    assert!((1..=4).contains(&connections(&pool).await));

    // What they were forged from gets in, and the guest traps.
    let good = signed_session(TOKEN, SECRET.as_bytes());
    let honest = HEADS.map(|(head, by)| format!("Bearer {}", jws(head, claims().to_string(), by)));
    let sessions = [format!("Bearer {TOKEN}"), format!("Bearer {good}")];
    let cookie = format!("better-auth.session_token={}", cookie_value(&good));
    let by_header = honest.into_iter().chain(sessions).map(|value| ("authorization", value));
    for (name, value) in by_header.chain([("cookie", cookie)]) {
        let headers = HeaderMap::from_iter([
            (HeaderName::from_static(name), HeaderValue::from_str(&value).expect("a value")),
            (HeaderName::from_static("origin"), HeaderValue::from_static("https://app.example.com")),
        ]);
        for method in [Method::GET, Method::POST] {
            let answer = request(&Client::new(), &process, &method, &headers).send().await.expect("an answer");
            assert_eq!(answer.status(), 500, "{method} {value}");
        }
    }
    pool.close().await;
    process.stop().await;
}
