//! Registries that misbehave: whatever they answer, the host says what it was, holds
//! nothing of it, and goes on serving.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use super::{GRANTS, artifact, cache, run};
use crate::harness::{Artifact, HostProcess, Raw, Request, kilobytes, report, sha256};
use crate::swap::editions::{Shelf, asked, change, edition, swapped};

const GIGABYTE: u64 = 1 << 30;
const CANARY: &str = "canary-7";
/// ada:canary-7
const BASIC: &str = "Basic YWRhOmNhbmFyeS03";

/// What is answered to one request.
#[derive(Clone, Debug)]
enum Say {
    /// A status, fields, and a body with its length.
    Answer(u16, String, Vec<u8>),
    /// A length, and so many bytes of it before the connection ends.
    Cut(u64, Vec<u8>),
    /// Bytes without a length, so many of them.
    Stream(u64),
    /// The connection ends.
    HangUp,
    /// Nothing, for longer than anybody should wait.
    Stall,
}

fn ok(body: Vec<u8>) -> Say {
    Say::Answer(200, String::new(), body)
}

fn status(status: u16) -> Say {
    Say::Answer(status, String::new(), Vec::new())
}

/// Path and head of each request that came.
type Heard = Arc<Mutex<Vec<(String, String)>>>;

/// A registry that answers by a script.
struct Scripted {
    address: SocketAddr,
    heard: Heard,
}

impl Scripted {
    /// The script is asked for each request, with its path and head.
    async fn start(script: impl Fn(&str, &str) -> Say + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, heard) = (listener.local_addr().expect("bound"), Heard::default());
        let (script, all) = (Arc::new(script), Arc::clone(&heard));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, heard) = (Arc::clone(&script), Arc::clone(&all));
                // Whoever hangs up has heard enough.
                tokio::spawn(async move { serve(stream, &*script, &heard).await.ok() });
            }
        });
        Self { address, heard }
    }

    fn source(&self, pin: &str) -> String {
        format!("oci://{}/edition{pin}", self.address)
    }

    fn heard(&self) -> Vec<(String, String)> {
        self.heard.lock().expect("no panic").clone()
    }
}

async fn serve(stream: TcpStream, script: &(dyn Fn(&str, &str) -> Say + Sync), heard: &Heard) -> std::io::Result<()> {
    let mut stream = Raw::over(stream);
    let Some(Request { head, body }) = stream.request().await? else { return Ok(()) };
    let head = head.to_lowercase().replace(&BASIC.to_lowercase(), BASIC);
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let head = format!("{head}{}", String::from_utf8_lossy(&body));
    let say = script(&path, &head);
    heard.lock().expect("no panic").push((path, head));
    match say {
        Say::Answer(status, fields, body) => {
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} Said\r\n{fields}content-length: {length}\r\nconnection: close\r\n\r\n");
            stream.send(head.as_bytes()).await?;
            stream.send(&body).await?;
        }
        Say::Cut(length, body) => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            stream.send(head.as_bytes()).await?;
            stream.send(&body).await?;
        }
        Say::Stream(bytes) => {
            stream.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await?;
            for _ in 0..bytes / 65_536 {
                stream.send(&[b' '; 65_536]).await?;
            }
        }
        Say::HangUp => {}
        Say::Stall => tokio::time::sleep(Duration::from_secs(120)).await,
    }
    stream.finish().await
}

/// Answers as a registry with this artifact does.
fn honest(artifact: &Artifact, path: &str) -> Say {
    let (manifest, blobs) = artifact.parts();
    let asked = path.split('?').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    if path.contains("/manifests/") && !asked.ends_with(".sig") {
        return ok(manifest);
    }
    let found = blobs.into_iter().find(|blob| sha256(blob) == asked);
    found.map_or(status(404), ok)
}

/// What `check` says of the tag `v1` there, and what is said of a pinned digest.
async fn said(script: impl Fn(&str, &str) -> Say + Send + Sync + 'static, pin: &str) -> (i32, String, Scripted) {
    let (scripted, cache) = (Scripted::start(script).await, cache());
    let login = [("INNKEEPER_REGISTRY_USERNAME", "ada"), ("INNKEEPER_REGISTRY_PASSWORD", CANARY)];
    let (code, text) = run(&["check"], &scripted.source(pin), cache.path(), &login).await;
    assert!(!text.contains(CANARY) && !text.contains(BASIC), "{text}");
    (code, text, scripted)
}

/// A manifest of a component that is said to have this digest and size.
fn claiming(digest: &str, size: u64) -> Vec<u8> {
    let config = json!({ "mediaType": "application/vnd.wasm.config.v0+json", "digest": digest, "size": 2 });
    let layer = json!({ "mediaType": "application/wasm", "digest": digest, "size": size });
    json!({ "schemaVersion": 2, "config": config, "layers": [layer] }).to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_registry_answers_is_refused_with_what_it_was() {
    let wasm = edition(1, "plain");
    let (digest, size) = (sha256(&wasm), wasm.len() as u64);
    let honest_digest = artifact(1).digest();
    let pinned = format!("@{honest_digest}");
    type Script = Box<dyn Fn(&str, &str) -> Say + Send + Sync>;
    let blob = |say: Say| -> Script {
        let say =
            move |path: &str, _: &str| if path.contains("/blobs/") { say.clone() } else { honest(&artifact(1), path) };
        Box::new(say)
    };
    let all = |say: Say| -> Script { Box::new(move |_: &str, _: &str| say.clone()) };
    let other = edition(2, "plain");
    let cases: Vec<(&str, i32, &str, Script)> = vec![
        (":v1", 78, "its component has not the digest", blob(ok(other.clone()))),
        (":v1", 78, "its component is larger than", blob(ok([&wasm[..], b"x"].concat()))),
        (":v1", 78, "its component has not the digest", blob(ok(wasm[..wasm.len() / 2].to_vec()))),
        (":v1", 69, "its registry does not answer", blob(Say::Cut(size, wasm[..wasm.len() / 2].to_vec()))),
        (":v1", 78, "no such component", blob(status(404))),
        (&pinned, 78, "its manifest has not the digest", all(ok(claiming(&digest, size)))),
        (":v1", 78, "its component is larger than 64 MiB", all(ok(claiming(&digest, GIGABYTE)))),
        (":v1", 78, "its tag is larger than 1 MiB", all(Say::Stream(GIGABYTE))),
        (":v1", 78, "its tag is larger than 1 MiB", all(Say::Cut(GIGABYTE, Vec::new()))),
        (":v1", 78, "its manifest cannot be read", all(ok(b"<html>Sign in</html>".to_vec()))),
        (":v1", 69, "its registry is in trouble, and answers 503", all(status(503))),
        (":v1", 69, "its registry is in trouble, and answers 429", all(status(429))),
        (":v1", 69, "its registry does not answer", all(Say::HangUp)),
        (":v1", 78, "refuses the user `ada` (403)", all(status(403))),
        (":v1", 78, "answers 418, which means nothing here", all(status(418))),
    ];
    for (pin, expected, sentence, script) in cases {
        let (code, text, _) = said(script, pin).await;
        assert!(code == expected && text.contains(sentence), "no `{sentence}` in {code} {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_asked_for_again_and_not_for_ever() {
    let tries = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&tries);
    let (code, text, _) = said(
        move |path, _| {
            let mut tries = counted.lock().expect("no panic");
            *tries += 1;
            match *tries {
                1 | 3 => status(503),
                2 | 4 => Say::HangUp,
                _ => honest(&artifact(1), path),
            }
        },
        ":v1",
    )
    .await;
    // Two failures and then a third, which is the last of three: of the manifest.
    assert!(code == 69 && *tries.lock().expect("no panic") == 3, "{code} {text}");
    let counted = Arc::new(Mutex::new(0));
    let own = Arc::clone(&counted);
    let (code, text, _) = said(
        move |path, _| {
            let mut tries = own.lock().expect("no panic");
            *tries += 1;
            // Every first and second request of each part fails.
            if *tries % 3 == 0 { honest(&artifact(1), path) } else { Say::Cut(100, vec![b' '; 50]) }
        },
        ":v1",
    )
    .await;
    assert!(code == 0 && *counted.lock().expect("no panic") == 6, "{code} {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_goes_to_its_registry_and_its_token_service_and_nowhere_else() {
    // Where blobs are: another host, as far as a client knows.
    let elsewhere = Scripted::start(|path, _| honest(&artifact(1), path)).await;
    let to = format!("location: http://{}", elsewhere.address);
    let (code, text, scripted) = said(
        move |path, head| {
            if !head.contains(BASIC) {
                Say::Answer(401, "www-authenticate: Basic realm=\"x\"\r\n".to_owned(), Vec::new())
            } else if path.contains("/blobs/") {
                Say::Answer(307, format!("{to}{path}?key=of-the-store\r\n"), Vec::new())
            } else {
                honest(&artifact(1), path)
            }
        },
        ":v1",
    )
    .await;
    assert_eq!(code, 0, "{text}");
    assert!(scripted.heard().iter().any(|(_, head)| head.contains(BASIC)));
    let stray = elsewhere.heard();
    assert!(stray.len() == 1 && !stray[0].1.contains("authorization"), "{stray:?}");

    // A token service: the password goes there, and the token to the registry.
    let (code, text, scripted) = said(
        |path, head| {
            let address = head.split("host: ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("a host");
            let bearer =
                format!("www-authenticate: Bearer realm=\"http://{address}/token\",service=\"the service\"\r\n");
            match () {
                () if path.starts_with("/token") => {
                    assert!(head.contains(BASIC), "{head}");
                    ok(br#"{"token":"one-for-this"}"#.to_vec())
                }
                () if head.contains("bearer one-for-this") => honest(&artifact(1), path),
                () => Say::Answer(401, bearer, Vec::new()),
            }
        },
        ":v1",
    )
    .await;
    assert_eq!(code, 0, "{text}");
    let heard = scripted.heard();
    let tokens: Vec<_> = heard.iter().filter(|(path, _)| path.starts_with("/token")).collect();
    assert_eq!(tokens.len(), 1, "{heard:?}");
    assert!(tokens[0].0.contains("scope=repository%3aedition%3apull&service=the+service"), "{tokens:?}");
    assert!(heard.iter().all(|(path, head)| path.starts_with("/token") || !head.contains(BASIC)), "{heard:?}");

    // A service without TLS that is not of this machine gets nothing, and no loop ends
    // the wait but a bound.
    let bearer = "www-authenticate: Bearer realm=\"http://tokens.example.com/\"\r\n";
    let answer = Say::Answer(401, bearer.to_owned(), Vec::new());
    let (code, text, _) = said(move |_, _| answer.clone(), ":v1").await;
    assert!(code == 78 && text.contains("a service that is asked without TLS"), "{code} {text}");
    let basic = Say::Answer(401, "www-authenticate: Basic realm=\"x\"\r\n".to_owned(), Vec::new());
    let (code, text, scripted) = said(move |_, _| basic.clone(), ":v1").await;
    assert!(code == 78 && text.contains("refuses the user `ada` (401)"), "{code} {text}");
    assert_eq!(scripted.heard().len(), 2);
    let (code, text, scripted) =
        said(|path, _| Say::Answer(302, format!("location: {path}x\r\n"), Vec::new()), ":v1").await;
    assert!(code == 78 && text.contains("too many redirects") && scripted.heard().len() == 4, "{code} {text}");
}

/// As registries of the large clouds have it: Docker keeps a token of theirs, which is
/// good for others.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_docker_s_is_traded_for_one_of_the_registry() {
    let scripted = Scripted::start(|path, head| {
        let address = head.split("host: ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("a host");
        let bearer = format!("www-authenticate: Bearer realm=\"http://{address}/token\",service=\"s\"\r\n");
        match () {
            () if path == "/token" => ok(br#"{"access_token":"one-for-this"}"#.to_vec()),
            () if head.contains("bearer one-for-this") => honest(&artifact(1), path),
            () => Say::Answer(401, bearer, Vec::new()),
        }
    })
    .await;
    let (cache, name) = (cache(), scripted.address.to_string());
    let docker = json!({ "auths": { &name: { "identitytoken": "canary-7 & more" } } });
    std::fs::write(cache.path().join("config.json"), docker.to_string()).expect("written");
    let folder = cache.path().display().to_string();
    let (code, text) = run(&["check"], &scripted.source(":v1"), cache.path(), &[("DOCKER_CONFIG", &folder)]).await;
    assert!(code == 0 && !text.contains(CANARY), "{code} {text}");
    let heard = scripted.heard();
    let tokens: Vec<_> = heard.iter().filter(|(path, _)| path == "/token").collect();
    assert!(tokens.len() == 1 && tokens[0].1.starts_with("post "), "{heard:?}");
    let sent = "\r\n\r\nscope=repository%3Aedition%3Apull&service=s&grant_type=refresh_token&client_id=innkeeper\
                &refresh_token=canary-7+%26+more";
    assert!(tokens[0].1.ends_with(sent), "{tokens:?}");
    assert!(heard.iter().all(|(path, head)| path == "/token" || !head.contains(CANARY)), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_says_nothing_is_not_waited_for() {
    let began = Instant::now();
    let (code, text, scripted) = said(|_, _| Say::Stall, ":v1").await;
    assert!(code == 69 && text.contains("its registry does not answer"), "{code} {text}");
    let (took, tries) = (began.elapsed(), scripted.heard().len());
    report(&format!("a registry that says nothing was given up after {tries} tries and {took:.1?}"));
    assert!(tries == 3 && took < Duration::from_secs(45), "{tries} tries in {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_is_neither_waited_for_nor_held() {
    let wasm = edition(1, "plain");
    let manifest = claiming(&sha256(&wasm), wasm.len() as u64);
    let endless = Scripted::start(move |path, _| match path.contains("/blobs/") {
        true => Say::Stream(GIGABYTE),
        false => ok(manifest.clone()),
    })
    .await;
    let (shelf, dir) = (Shelf::new(), cache());
    shelf.put("a", &wasm);
    let config = dir.path().join("innkeeper.toml");
    std::fs::write(&config, shelf.module("a", GRANTS)).expect("written");
    let (file, cache) = (config.display().to_string(), dir.path().display().to_string());
    let vars = [("INNKEEPER_CONFIG", file.as_str()), ("INNKEEPER_CACHE_DIR", cache.as_str())];
    let host = HostProcess::serve(&[&vars[..], &[("INNKEEPER_ADMIN_LISTEN", "127.0.0.1:0")]].concat()).await;
    let before = kilobytes(host.pid(), "VmHWM");
    let moved = shelf.module("a", GRANTS).replace(&shelf.path("a").display().to_string(), &endless.source(":v1"));
    std::fs::write(&config, moved).expect("written");
    let asked = Instant::now();
    let answer = reqwest::Client::new().post(format!("{}/modules", host.admin_url())).send().await.expect("an answer");
    let (status, text) = (answer.status(), answer.text().await.expect("a text"));
    assert!(status == 422 && text.contains("its component is larger than"), "{status} {text}");
    let (took, after) = (asked.elapsed(), kilobytes(host.pid(), "VmHWM"));
    report(&format!("a gigabyte refused in {took:.1?}; at the most {before} KiB before and {after} KiB after"));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(after < before + (16 << 10), "{before} KiB before, {after} KiB after");
    let answer = reqwest::get(host.url("/a")).await.expect("an answer");
    assert_eq!(answer.text().await.expect("a text"), "00000001");
    assert_eq!(host.stop().await.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_registry_but_who_asked_for_it() {
    let is_slow = Arc::new(AtomicBool::new(false));
    let (slow, artifact) = (Arc::clone(&is_slow), artifact(1));
    let scripted = Scripted::start(move |path, _| match slow.load(Ordering::Relaxed) {
        true => Say::Stall,
        false => honest(&artifact, path),
    })
    .await;
    let (shelf, cache) = (Shelf::new(), cache());
    shelf.put("b", &edition(1, "plain"));
    let source = scripted.source(":v1");
    let far = format!("[[module]]\nname = \"a\"\nsource = \"{source}\"\nroute = \"/a\"\n{GRANTS}\n");
    let host = super::setup(cache.path(), &(far + &shelf.module("b", GRANTS))).start().await;
    shelf.put("b", &edition(2, "plain"));
    swapped(&host, "/modules/b").await;
    assert_eq!(asked(&host, "/b").await.1, "00000002");

    is_slow.store(true, Ordering::Relaxed);
    let before = scripted.heard().len();
    let waiting = change(&host, "/modules/a");
    let back = async {
        while scripted.heard().len() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        swapped(&host, "/modules/b/rollback").await
    };
    tokio::select! {
        (status, told) = waiting => panic!("the registry said nothing, and the host {status} {told}"),
        taken_back = tokio::time::timeout(Duration::from_secs(5), back) => {
            assert_eq!(taken_back.expect("at once"), json!({"generation": 3, "changed": ["b"]}));
        }
    }
    assert_eq!(asked(&host, "/b").await.1, "00000001");
}
