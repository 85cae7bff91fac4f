//! A slow language model on 127.0.0.1: OpenAI's wire, a token every 20 ms for
//! ten seconds, for as many readers as come. Its first token is there at once, so
//! that whatever a reader waits for it is the doing of what stands between.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// Tokens of one answer.
pub(crate) const TOKENS: u32 = 500;
/// One of them.
pub(crate) const TOKEN: &str = "word ";
/// From one to the next.
pub(crate) const PACE: Duration = Duration::from_millis(20);
/// A request larger than this is no chat.
const REQUEST_BYTES: usize = 1 << 20;
/// A thread here reads a head and writes lines; thousands of them may sleep.
const STACK_BYTES: usize = 128 << 10;

/// Starts the model, for as long as this process runs. The URL is what
/// `OPENAI_BASE_URL` wants.
pub(crate) fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A reader that hangs up is the caller's to notice.
            let _ = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || serve(stream));
        }
    });
    Ok(address)
}

/// One request after the other, as clients keep their connections.
fn serve(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some(request) = read_request(&mut reader)? {
        answer(&mut stream, &request)?;
    }
    Ok(())
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Result<Option<Value>> {
    let (mut line, mut length) = (String::new(), 0);
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    while line.trim_end() != "" {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
        line.clear();
        ensure!(reader.read_line(&mut line)? > 0, "the head has no end");
    }
    ensure!(length <= REQUEST_BYTES, "a request of {length} bytes");
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body).context("a request that is not JSON")?))
}

fn answer(stream: &mut TcpStream, request: &Value) -> Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let began = Instant::now();
    let first = [head.as_bytes(), &chunk(&delta(json!({ "role": "assistant", "content": TOKEN }), None))].concat();
    stream.write_all(&first)?;
    let token = chunk(&delta(json!({ "content": TOKEN }), None));
    for number in 1..TOKENS {
        thread::sleep((PACE * number).saturating_sub(began.elapsed()));
        stream.write_all(&token)?;
    }
    let mut last = chunk(&delta(json!({}), Some("stop")));
    if request["stream_options"]["include_usage"] == true {
        last.extend(chunk(&usage()));
    }
    last.extend_from_slice(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    Ok(stream.write_all(&last)?)
}

fn delta(delta: Value, finish: Option<&str>) -> Value {
    message(json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]), Value::Null)
}

fn usage() -> Value {
    let output = TOKENS;
    message(json!([]), json!({ "prompt_tokens": 100, "completion_tokens": output, "total_tokens": 100 + output }))
}

fn message(choices: Value, usage: Value) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "slow",
        "choices": choices, "usage": usage,
    })
}

fn chunk(message: &Value) -> Vec<u8> {
    let event = format!("data: {message}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}
