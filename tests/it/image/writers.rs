//! Writers that remember what was acknowledged, and look for it afterwards.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::harness::{As, http_client};

/// How many write at once.
const WRITERS: usize = 12;
/// What a list gives at once.
const PAGE: usize = 100;
/// Whoever was not answered tries something new after a while.
const PAUSE: Duration = Duration::from_millis(20);

/// Writers at work, each as a user of its own and one write at a time.
pub struct Writers {
    tasks: JoinSet<(String, Vec<String>)>,
    stop: Arc<AtomicBool>,
    address: watch::Receiver<SocketAddr>,
}

impl Writers {
    /// Writes to where the address is at the moment.
    pub fn start(address: &watch::Receiver<SocketAddr>) -> Self {
        let (mut tasks, stop) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for writer in 0..WRITERS {
            tasks.spawn(write(format!("writer-{writer}"), address.clone(), Arc::clone(&stop)));
        }
        Self { tasks, stop, address: address.clone() }
    }

    /// Ends them, and looks for every acknowledged todo: there, and once. The others
    /// may be there, but not twice either. Says how many were acknowledged.
    pub async fn finish(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = 0;
        while let Some(writer) = self.tasks.join_next().await {
            let (user, acknowledged) = writer.expect("no panic");
            let kept = kept(*self.address.borrow(), &user).await;
            for title in &acknowledged {
                assert_eq!(kept.get(title), Some(&1), "{user} was told that {title} is kept");
            }
            let twice: Vec<_> = kept.iter().filter(|(_, times)| **times > 1).collect();
            assert!(twice.is_empty(), "{user}: {twice:?}");
            assert!(!acknowledged.is_empty(), "{user} was never answered");
            all += acknowledged.len();
        }
        all
    }
}

async fn write(user: String, address: watch::Receiver<SocketAddr>, stop: Arc<AtomicBool>) -> (String, Vec<String>) {
    let client = http_client();
    let mut acknowledged = Vec::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let title = format!("{user} {number}");
        let url = format!("http://{}/api/tasks", *address.borrow());
        let request = client.post(url).timeout(Duration::from_secs(5)).json(&json!({ "title": title })).by(&user);
        match request.send().await {
            Ok(answer) if answer.status() == 201 => acknowledged.push(title),
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
    (user, acknowledged)
}

/// How often each title is there.
async fn kept(address: SocketAddr, user: &str) -> BTreeMap<String, usize> {
    let client = http_client();
    let mut kept = BTreeMap::new();
    for page in 0.. {
        let url = format!("http://{address}/api/tasks?limit={PAGE}&offset={}", page * PAGE);
        let answer = client.get(url).by(user).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let tasks: Value = answer.json().await.expect("JSON");
        let tasks = tasks.as_array().expect("a list");
        for task in tasks {
            *kept.entry(task["title"].as_str().expect("a title").to_owned()).or_default() += 1;
        }
        if tasks.len() < PAGE {
            break;
        }
    }
    kept
}
