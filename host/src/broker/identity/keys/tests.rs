use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use ed25519_dalek::{Signer as _, SigningKey};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::broker::identity::{Foreign, Identity};
use crate::config::{Config, Env, Flags};

/// RFC 8037, appendix A.2.
const KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
/// The same section's other half, of A.1.
const PRIVATE: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
/// A key of somebody else's, under the same name: RFC 8032, section 7.1, test 2.
const OTHER: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}"#;
const SHORT: Pace = Pace {
    between: Duration::from_millis(100),
    fresh: Duration::from_millis(300),
    stale: Duration::from_millis(1_200),
};

/// An issuer that publishes what is in `keys`; none: it hangs up.
struct Issuer {
    keys: Mutex<Option<&'static str>>,
    asked: AtomicUsize,
}

impl Issuer {
    async fn start() -> (Arc<Self>, Url) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/jwks", listener.local_addr().expect("bound"));
        let issuer = Arc::new(Self { keys: Mutex::new(Some(KEY)), asked: AtomicUsize::new(0) });
        let own = Arc::clone(&issuer);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                own.asked.fetch_add(1, Ordering::SeqCst);
                let Some(keys) = *own.keys.lock().expect("no panic") else { continue };
                let _ = stream.read(&mut [0; 1024]).await;
                let body = format!("{{\"keys\":[{keys}]}}");
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        (issuer, url.parse().expect("a URL"))
    }

    fn publish(&self, keys: Option<&'static str>) {
        *self.keys.lock().expect("no panic") = keys;
    }
}

async fn pass(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// Waits for what happens beside the requests.
async fn until(what: &str, mut good: impl AsyncFnMut() -> bool) {
    for _ in 0..200 {
        if good().await {
            return;
        }
        pass(10).await;
    }
    panic!("not {what} after two seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_use_are_renewed_and_withdrawn_ones_dropped() {
    let (issuer, url) = Issuer::start().await;
    let tasks = TaskTracker::new();
    let keys = Keys::at(SHORT, Source::url(&url).expect("a URL"), tasks);
    // Every time they have grown old, and by requests that do not wait for it.
    for round in 1..5 {
        assert!(keys.find("ed").await.is_ok());
        until("asked again", async || issuer.asked.load(Ordering::SeqCst) == round).await;
        pass(310).await;
    }
    issuer.publish(Some(""));
    until("dropped", async || {
        pass(110).await;
        matches!(keys.find("ed").await, Err(Refusal::Rejected(Rejected::Invalid)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_outlive_their_issuer_for_a_while_and_no_longer() {
    let (issuer, url) = Issuer::start().await;
    let keys = Keys::at(SHORT, Source::url(&url).expect("a URL"), TaskTracker::new());
    assert!(keys.find("ed").await.is_ok());
    let read = Instant::now();
    issuer.publish(None);
    while read.elapsed() < Duration::from_millis(1_000) {
        assert!(keys.find("ed").await.is_ok(), "{:?}", read.elapsed());
        assert!(keys.find("invented").await.is_err());
        pass(50).await;
    }
    pass(300).await;
    assert!(matches!(keys.find("ed").await, Err(Refusal::Unavailable(Unavailable::Keys))));
    let asked = issuer.asked.load(Ordering::SeqCst);
    assert!((3..=16).contains(&asked), "asked {asked} times in 1.3 s, at most once in 0.1 s");
    issuer.publish(Some(KEY));
    pass(110).await;
    assert!(keys.find("ed").await.is_ok());
}

fn token() -> String {
    let secret: [u8; 32] = B64.decode(PRIVATE).expect("base64").try_into().expect("32 bytes");
    let part = |value: serde_json::Value| B64.encode(value.to_string());
    let body = format!(
        "{}.{}",
        part(json!({"alg": "EdDSA", "kid": "ed"})),
        part(json!({"sub": "ada", "exp": 4_000_000_000_u64}))
    );
    let signature = SigningKey::from_bytes(&secret).sign(body.as_bytes());
    format!("{body}.{}", B64.encode(signature.to_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_verified_ends_with_its_key() {
    let (issuer, url) = Issuer::start().await;
    let config = Config::load(&Flags::default(), &Env::of([("INNKEEPER_DEV", "1")])).expect("valid");
    let mut identity = Identity::new(&config, Foreign::default(), &TaskTracker::new()).expect("nothing to connect to");
    identity.keys = Some(Keys::at(SHORT, Source::url(&url).expect("a URL"), TaskTracker::new()));
    let headers = HeaderMap::from_iter([(
        header::AUTHORIZATION,
        HeaderValue::try_from(format!("Bearer {}", token())).expect("ASCII"),
    )]);
    let ask = async || identity.authenticate(&Method::GET, &headers).await;
    for _ in 0..3 {
        assert_eq!(ask().await.expect("accepted").expect("a caller").subject, "ada");
    }
    for keys in [Some(""), Some(OTHER)] {
        issuer.publish(keys);
        until("refused", async || {
            pass(110).await;
            matches!(ask().await, Err(Refusal::Rejected(Rejected::Invalid)))
        })
        .await;
        issuer.publish(Some(KEY));
        until("accepted again", async || {
            pass(110).await;
            ask().await.is_ok()
        })
        .await;
    }
}
