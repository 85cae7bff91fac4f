//! Five hundred chats at once, each an answer of ten seconds that is streamed:
//! how long the first word takes, whether every word comes, and what memory a
//! stream holds.

pub(crate) mod model;

use super::{
    contender::{Contender, Site},
    report::median,
    server::timed_start,
    token,
};
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Serialize;
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Chats at once.
pub(crate) const CHATS: usize = 500;
/// They begin one after the other, as users do, and soon enough that all of them
/// are in flight together for two seconds.
const BEGIN_WITHIN: Duration = Duration::from_secs(8);
/// A line that takes longer will not come.
const SILENCE: Duration = Duration::from_secs(30);
/// A thread here reads lines.
const STACK_BYTES: usize = 128 << 10;

/// What chats took with one contender.
#[derive(Serialize)]
pub(crate) struct Chats {
    pub(crate) contender: Contender,
    /// Of them, how many came with every word and their end.
    pub(crate) complete: usize,
    /// From the request to the first word, beyond what the model itself takes.
    pub(crate) first_word_p50_ms: f64,
    pub(crate) first_word_p99_ms: f64,
    /// From the request to the end.
    pub(crate) whole_p50_s: f64,
    /// What the server's memory grew by, for each stream in flight.
    pub(crate) stream_kib: f64,
    /// The same without what streams share, such as the untouched pages of a guest.
    pub(crate) stream_own_kib: f64,
    /// Why the first that failed did.
    pub(crate) failure: Option<String>,
}

/// What one chat took.
struct Taken {
    first_word: Duration,
    whole: Duration,
}

/// Measures every contender that chats, one after the other: together they would
/// take more than the machine has.
pub(crate) fn measure(contenders: &[Contender], site: &Site) -> Result<Vec<Chats>> {
    let bare =
        first_words(&run(&format!("http://{}", site.model), &site.secret, "/v1/chat/completions", |_| Ok(()))?.0);
    let bare_ms = median(&bare);
    eprintln!("the model alone: first word after {bare_ms:.2} ms");
    let mut measured = Vec::new();
    for contender in contenders {
        let Some(stand) = contender.chats() else { continue };
        let (mut server, _) = timed_start(stand, site, None)?;
        // What the first chat of a process needs is not a stream's.
        chat(&server.base, &token::sign("warm", &site.secret)?, "/api/chat").context("one chat alone")?;
        let before = server.memory()?;
        let (taken, failure) = run(&server.base.clone(), &site.secret, "/api/chat", |_| server.note_memory())?;
        let each = |peak: f64, before: f64| (peak - before) * 1024.0 / CHATS as f64;
        let (first, whole) = (first_words(&taken), column(&taken, |chat| chat.whole.as_secs_f64()));
        let chats = Chats {
            contender: *contender,
            complete: taken.len(),
            first_word_p50_ms: median(&first) - bare_ms,
            first_word_p99_ms: percentile(&first, 0.99) - bare_ms,
            whole_p50_s: median(&whole),
            stream_kib: each(server.peak.resident, before.resident),
            stream_own_kib: each(server.peak.proportional, before.proportional),
            failure,
        };
        eprintln!("{}: first word {:.1} ms later", stand.name, chats.first_word_p50_ms);
        measured.push(chats);
    }
    Ok(measured)
}

fn column(taken: &[Taken], pick: fn(&Taken) -> f64) -> Vec<f64> {
    taken.iter().map(pick).collect()
}

fn first_words(taken: &[Taken]) -> Vec<f64> {
    column(taken, |chat| chat.first_word.as_secs_f64() * 1e3)
}

fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (sorted.len() as f64 * part) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// All chats; looks at the server while all of them are in flight.
fn run(
    base: &str,
    secret: &str,
    path: &'static str,
    mut look: impl FnMut(usize) -> Result<()>,
) -> Result<(Vec<Taken>, Option<String>)> {
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        let mut threads = Vec::new();
        let began = Instant::now();
        for number in 0..CHATS {
            let due = BEGIN_WITHIN * u32::try_from(number)? / u32::try_from(CHATS)?;
            thread::sleep(due.saturating_sub(began.elapsed()));
            // A caller of his own each, as in life, and as budgets are counted.
            let token = token::sign(&format!("chatter-{number}"), secret)?;
            let done = &done;
            let builder = thread::Builder::new().stack_size(STACK_BYTES);
            threads.push(builder.spawn_scoped(scope, move || {
                let taken = chat(base, &token, path);
                done.fetch_add(1, Ordering::Relaxed);
                taken
            })?);
        }
        while done.load(Ordering::Relaxed) < CHATS / 10 {
            look(done.load(Ordering::Relaxed))?;
            thread::sleep(Duration::from_millis(200));
        }
        let (mut taken, mut failure) = (Vec::new(), None);
        for thread in threads {
            match thread.join().expect("a chat does not panic") {
                Ok(chat) => taken.push(chat),
                Err(error) => failure = failure.or_else(|| Some(format!("{error:#}"))),
            }
        }
        ensure!(!taken.is_empty(), "no chat was complete: {}", failure.unwrap_or_default());
        Ok((taken, failure))
    })
}

/// One chat, read to its end.
fn chat(base: &str, token: &str, path: &str) -> Result<Taken> {
    let address = base.strip_prefix("http://").context("http:// alone")?;
    let began = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    let body = r#"{"message":"Tell me a long story.","stream":true}"#;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\naccept: text/event-stream\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len(),
    )?;
    let mut lines = BufReader::new(stream).lines();
    let status = lines.next().context("no answer")?.context("waiting for an answer")?;
    ensure!(status.starts_with("HTTP/1.1 200"), "{status}");
    let (mut text, mut first_word, mut done, mut last) = (String::new(), None, false, String::new());
    for line in lines {
        let line = line.map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => anyhow!("nothing came for {} s", SILENCE.as_secs()),
            _ => error.into(),
        })?;
        // Sizes of chunks and names of events are not data.
        done |= line == "event: done";
        let Some(data) = line.strip_prefix("data:").map(str::trim) else { continue };
        match word(data) {
            Some(word) => {
                first_word.get_or_insert_with(|| began.elapsed());
                text += &word;
            }
            None if done || data == "[DONE]" => {
                let words = text.len() / model::TOKEN.len();
                ensure!(words == model::TOKENS as usize, "{words} words instead of {}", model::TOKENS);
                let first_word = first_word.context("an answer without a word")?;
                return Ok(Taken { first_word, whole: began.elapsed() });
            }
            None => last = data.to_owned(),
        }
    }
    bail!("the answer has no end: {} bytes of text, and last: {last}", text.len())
}

/// The text of an event with some: the contenders', or the model's own.
fn word(data: &str) -> Option<String> {
    let data: Value = serde_json::from_str(data).ok()?;
    let text = data["delta"].as_str().or_else(|| data["choices"][0]["delta"]["content"].as_str());
    text.map(str::to_owned)
}
