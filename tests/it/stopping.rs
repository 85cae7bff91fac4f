//! SIGTERM: what was accepted is finished, and the process ends by itself.

use std::time::{Duration, Instant};

use crate::harness::{HostProcess, Raw, guest};

/// Kubernetes kills after 30 seconds, and the host gives itself 25.
const GRACE: Duration = Duration::from_secs(25);
const BUSY: usize = 300;
const LOOPING: usize = 100;

async fn misbehave() -> (HostProcess, String, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("innkeeper.toml");
    let module = format!(
        "[[module]]\nname = \"misbehave\"\nsource = \"{}\"\nlimits = {{ concurrency = 512 }}\n",
        guest("misbehave").display()
    );
    std::fs::write(&config, module).expect("written");
    let admin =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port").to_string();
    let config = config.display().to_string();
    let host = HostProcess::serve(&[("INNKEEPER_CONFIG", &config), ("INNKEEPER_ADMIN_LISTEN", &admin)]).await;
    (host, admin, dir)
}

async fn running(admin: &str) -> usize {
    let modules = reqwest::get(format!("http://{admin}/modules")).await.expect("an answer");
    let modules: serde_json::Value = modules.json().await.expect("JSON");
    modules["modules"][0]["running"].as_u64().expect("a number") as usize
}

/// One request after the other, until the connection ends between two of them.
async fn keep_asking(address: std::net::SocketAddr) -> usize {
    let mut connection = Raw::connect(address).await;
    for answered in 0.. {
        if connection.ask("/behave").await.is_err() {
            return answered;
        }
        match connection.answer().await.expect("no answer breaks off") {
            Some(answer) => assert_eq!((answer.status, &answer.body[..]), (200, &b"behaves"[..])),
            None => return answered,
        }
    }
    unreachable!("the connection ends")
}

/// Calls in flight are answered whole, those on idle connections were not
/// accepted, and nothing is waited for in vain.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_fails_no_accepted_request() {
    let (host, admin, _dir) = misbehave().await;
    let address = host.address;
    let mut busy = Vec::new();
    for _ in 0..BUSY {
        let mut connection = Raw::connect(address).await;
        // The call is not the first on its connection.
        connection.ask("/health/live").await.expect("sent");
        assert_eq!(connection.answer().await.expect("an answer").expect("an answer").status, 200);
        busy.push(connection);
    }
    for connection in &mut busy {
        connection.ask("/nap?4000").await.expect("sent");
    }
    let answers = busy.into_iter().map(|mut connection| tokio::spawn(async move { connection.answer().await }));
    let busy: Vec<_> = answers.collect();
    let until = Instant::now() + Duration::from_secs(4);
    while running(&admin).await < BUSY {
        assert!(Instant::now() < until, "the calls do not start");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let looping: Vec<_> = (0..LOOPING).map(|_| tokio::spawn(keep_asking(address))).collect();
    while running(&admin).await <= BUSY {
        assert!(Instant::now() < until, "the others are not served");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    let asked = Instant::now();
    host.signal("TERM").await;
    for call in busy {
        let answer = call.await.expect("no panic").expect("a whole answer").expect("an answer");
        assert_eq!((answer.status, &answer.body[..]), (200, &b"rested"[..]), "{}", answer.head);
    }
    let mut answered = 0;
    for client in looping {
        answered += client.await.expect("every answer was whole");
    }
    assert!(answered > 0);
    let finished = host.wait().await;
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert!(asked.elapsed() < GRACE, "{:?}", asked.elapsed());
    assert!(finished.stderr.contains("every request was answered"), "{}", finished.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_host_takes_no_new_connections_and_waits_for_nobody_idle() {
    let (host, admin, _dir) = misbehave().await;
    let mut idle = Raw::connect(host.address).await;
    idle.ask("/behave").await.expect("sent");
    assert_eq!(idle.answer().await.expect("an answer").expect("an answer").status, 200);
    let silent = Raw::connect(host.address).await;
    let mut napping = Raw::connect(host.address).await;
    napping.ask("/nap").await.expect("sent");
    while running(&admin).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let asked = Instant::now();
    host.signal("TERM").await;
    assert_eq!(idle.rest(Duration::from_secs(10)).await.as_deref(), Some(""));
    assert!(tokio::net::TcpStream::connect(host.address).await.is_err(), "it still listens");
    let answer = napping.answer().await.expect("a whole answer").expect("an answer");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), Some("close"), "{}", answer.head);
    assert_eq!(silent.rest(Duration::from_secs(10)).await.as_deref(), Some(""));
    assert_eq!(host.wait().await.status.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(12), "{:?}", asked.elapsed());
}

/// A rollout may be taken back while modules are still being compiled.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_counts_while_modules_are_loaded() {
    let cache = tempfile::tempdir().expect("a directory");
    let (cache, module) = (cache.path().join("compiled").display().to_string(), guest("todo").display().to_string());
    // Nothing is compiled yet, and this build of the compiler takes seconds.
    let vars = [("INNKEEPER_CACHE_DIR", &*cache), ("INNKEEPER_MODULE", &*module)];
    let host = HostProcess::start(&vars, "/health/live").await;
    let asked = Instant::now();
    let finished = host.stop().await;
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
}
