//! The protocol on standard input and output.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::client::{initialize, message, text};
use crate::harness::{SECRET, binary, cache_dir, module, token};

/// Says these messages, and hears as many answers as there are ids.
async fn talk(args: &[&str], vars: &[(&str, &str)], said: &[Value]) -> (Vec<Value>, std::process::ExitStatus, String) {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("innkeeper.toml"), module("probe", "probe", "")).expect("written");
    let mut command = Command::new(binary());
    command.current_dir(dir.path()).arg("mcp").args(args).env_clear();
    command.env("INNKEEPER_CACHE_DIR", cache_dir()).env("BETTER_AUTH_SECRET", SECRET).envs(vars.iter().copied());
    command.env("INNKEEPER_LOG_FORMAT", "json");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("started");
    let mut input = child.stdin.take().expect("an input");
    let mut lines = BufReader::new(child.stdout.take().expect("an output")).lines();
    let mut heard = Vec::new();
    for message in said {
        if input.write_all(format!("{message}\n").as_bytes()).await.is_err() {
            break;
        }
        if message.get("id").is_some() {
            match lines.next_line().await.expect("a line") {
                Some(line) => heard.push(serde_json::from_str(&line).expect("nothing but messages")),
                None => break,
            }
        }
    }
    drop(input);
    let output = child.wait_with_output().await.expect("an end");
    (heard, output.status, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_starts_the_host_is_the_caller_of_its_token() {
    let call = message("tools/call", json!({"name": "whoami"}));
    let (heard, status, log) = talk(&[], &[("INNKEEPER_TOKEN", &token("ada"))], std::slice::from_ref(&call)).await;
    assert!(status.success(), "{log}");
    assert_eq!(text(&heard[0]), "ada []");
    let (heard, status, log) = talk(&["--as", "bob"], &[("INNKEEPER_DEV", "1")], std::slice::from_ref(&call)).await;
    assert!(status.success(), "{log}");
    assert_eq!(text(&heard[0]), "bob []");
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let old = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami"}});
    let (heard, status, log) = talk(&[], &[], &[initialize(), ready, old]).await;
    assert!(status.success(), "{log}");
    assert_eq!((heard[0]["result"]["protocolVersion"].as_str(), text(&heard[1])), (Some("2025-11-25"), "nobody"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_somebody_without_a_reason() {
    for (args, vars, expected) in [
        (&["--as", "bob"][..], &[][..], "INNKEEPER_DEV=1"),
        (&[], &[("INNKEEPER_TOKEN", "garbage.garbage.garbage")], "INNKEEPER_TOKEN"),
    ] {
        let (heard, status, log) = talk(args, vars, &[message("tools/list", json!({}))]).await;
        assert!(!status.success() && heard.is_empty() && log.contains(expected), "{log}");
    }
}
