//! How it ends, and what is left: asked to, killed, and out of memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch;

use super::add;
use super::balancer::Balancer;
use super::container::{Container, Setup, database};
use super::writers::Writers;
use crate::harness::{Raw, guest, http_client, report, token};

/// How often a container is killed in a test.
const KILLS: usize = 5;
/// How long writers write between two of them.
const BETWEEN: Duration = Duration::from_millis(800);
/// Connections that ask, one request after the other.
const ASKING: usize = 48;

/// One request after the other, until the connection ends between two of them.
async fn keep_asking(mut connection: Raw) -> usize {
    let token = token("ada");
    let body = json!({ "title": "under load" }).to_string();
    for answered in 0.. {
        // Every second one writes.
        let head = format!("HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\n");
        let request = match answered % 2 {
            0 => format!("GET /api/tasks?limit=1 {head}\r\n"),
            _ => format!(
                "POST /api/tasks {head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ),
        };
        if connection.send(request).await.is_err() {
            return answered;
        }
        match connection.answer().await.expect("no answer breaks off") {
            Some(answer) => assert!([200, 201].contains(&answer.status), "{}", answer.head),
            None => return answered,
        }
    }
    unreachable!("the connection ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_fails_no_request() {
    let (_database, url) = database().await;
    let container = Setup::signed().env("DATABASE_URL", &url).start().await;
    let address = container.address().await;
    let mut asking = Vec::new();
    for _ in 0..ASKING {
        let mut connection = Raw::connect(address).await;
        connection.ask("/health/live").await.expect("sent");
        assert_eq!(connection.answer().await.expect("an answer").expect("an answer").status, 200);
        asking.push(tokio::spawn(keep_asking(connection)));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let asked = Instant::now();
    container.stop().await;
    let took = asked.elapsed();
    let mut answered = 0;
    for client in asking {
        answered += client.await.expect("every answer was whole and good");
    }
    assert!(answered > ASKING, "{answered}");
    assert_eq!(container.inspect("{{.State.ExitCode}}").await, "0", "{}", container.logs().await);
    assert!(container.logs().await.contains("every request was answered"));
    report(&format!("SIGTERM: {answered} requests, none failed; gone after {took:.1?}"));
}

/// Kills it, starts it again, and says where it is then.
async fn revive(container: &Container, address: &watch::Sender<SocketAddr>) {
    container.signal("KILL").await;
    container.wait().await;
    container.start().await;
    address.send_replace(container.until_ready().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_under_writes_loses_nothing_that_was_acknowledged() {
    let (_database, url) = database().await;
    for (name, setup) in [("Postgres", Setup::signed().env("DATABASE_URL", &url)), ("SQLite", Setup::signed())] {
        let container = setup.start().await;
        let address = watch::Sender::new(container.address().await);
        let writers = Writers::start(&address.subscribe());
        for _ in 0..KILLS {
            tokio::time::sleep(BETWEEN).await;
            revive(&container, &address).await;
        }
        tokio::time::sleep(BETWEEN).await;
        let acknowledged = writers.finish().await;
        report(&format!("kill -9 on {name}: {KILLS} times, {acknowledged} acknowledged, none lost, none doubled"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_behind_a_plain_proxy_lose_and_double_nothing_while_one_is_killed() {
    let (_database, url) = database().await;
    let setup = Setup::signed().env("DATABASE_URL", &url);
    let replicas = [setup.start().await, setup.start().await];
    let mut addresses = Vec::new();
    for replica in &replicas {
        addresses.push(watch::Sender::new(replica.address().await));
    }
    let balancer = Balancer::before(addresses.iter().map(watch::Sender::subscribe).collect()).await;
    let proxied = watch::Sender::new(balancer.address);
    let writers = Writers::start(&proxied.subscribe());
    // Each in its turn.
    for kill in 0..2 * KILLS {
        tokio::time::sleep(BETWEEN).await;
        revive(&replicas[kill % 2], &addresses[kill % 2]).await;
    }
    tokio::time::sleep(BETWEEN).await;
    let acknowledged = writers.finish().await;
    report(&format!("two replicas: {} kills, {acknowledged} acknowledged, none lost, none doubled", 2 * KILLS));
}

/// More at once than it takes: it says so, and is not killed for want of memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_requests_stays_within_the_memory_there_is() {
    let (_database, url) = database().await;
    let container = Setup::signed().env("DATABASE_URL", &url).start().await;
    let address = container.address().await;
    let title = Arc::new("x".repeat(200));
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..400 {
        let (client, title) = (http_client(), Arc::clone(&title));
        flood.spawn(async move {
            let until = Instant::now() + Duration::from_secs(6);
            let (mut good, mut refused) = (0, 0);
            while Instant::now() < until {
                let request = client.post(format!("http://{address}/api/tasks")).bearer_auth(token("ada"));
                match request
                    .json(&json!({ "title": *title, "description": *title }))
                    .send()
                    .await
                    .expect("an answer")
                    .status()
                    .as_u16()
                {
                    201 => good += 1,
                    503 | 429 => refused += 1,
                    other => panic!("{other}"),
                }
            }
            (good, refused)
        });
    }
    let mut most: f64 = 0.0;
    let (mut good, mut refused) = (0, 0);
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            client = flood.join_next() => match client {
                Some(client) => {
                    let client = client.expect("no answer is another one");
                    good += client.0;
                    refused += client.1;
                }
                None => break,
            },
            _ = tick.tick() => most = most.max(container.resident_mib().await),
        }
    }
    assert_eq!(container.inspect("{{.State.Running}} {{.State.OOMKilled}}").await, "true false");
    assert!(good > 0);
    add(&container, "afterwards").await;
    report(&format!("400 at once: {good} answered, {refused} told to come again, at most {most:.0} MiB resident"));
}

/// A module that was promised more memory than there is takes the host with it: the
/// kernel ends it, it is started again, and what was acknowledged is there.
#[tokio::test(flavor = "multi_thread")]
async fn out_of_memory_it_comes_back_and_has_lost_nothing() {
    let (_database, url) = database().await;
    let folder = super::secrets(&[(
        "innkeeper.toml",
        "[[module]]\nname = \"todo\"\nsource = \"/app/modules/todo.wasm\"\nroute = \"/api\"\ngrants = { sql = \"main\", accounts = false, llm = [], toolbox = [] }\n\
         [[module]]\nname = \"greedy\"\nsource = \"/guests/greedy.wasm\"\nlimits = { memory = \"192MiB\" }\n",
    )]);
    let setup = Setup::signed()
        .env("DATABASE_URL", &url)
        .option(&format!("--volume={}:/etc/innkeeper:ro", folder.path().display()))
        .option(&format!("--volume={}:/guests/greedy.wasm:ro", guest("misbehave").display()))
        .env("INNKEEPER_CONFIG", "/etc/innkeeper/innkeeper.toml")
        .option("--restart=on-failure");
    let container = setup.start().await;
    let address = watch::Sender::new(container.address().await);
    let writers = Writers::start(&address.subscribe());
    tokio::time::sleep(BETWEEN).await;
    let client = http_client();
    let until = Instant::now() + Duration::from_secs(30);
    while container.inspect("{{.RestartCount}}").await == "0" {
        assert!(Instant::now() < until, "the kernel ends nobody");
        let place = *address.borrow();
        let greedy = (0..4).map(|_| client.get(format!("http://{place}/grow")).timeout(Duration::from_secs(3)).send());
        futures_util::future::join_all(greedy).await;
    }
    let until = Instant::now() + Duration::from_secs(30);
    while container.inspect("{{.State.Running}}").await != "true" {
        assert!(Instant::now() < until, "it is not started again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    address.send_replace(container.until_ready().await);
    tokio::time::sleep(BETWEEN).await;
    let acknowledged = writers.finish().await;
    report(&format!("out of memory: started again, {acknowledged} acknowledged, none lost, none doubled"));
}
