//! A server that speaks OpenAI's interfaces as OpenAI does: it answers by a
//! script, and checks every request as strictly as anybody would.
//!
//! ```ignore
//! let model = OpenAi::start(vec![
//!     Turn::calls([("add_task", json!({"title": "milk"}))]),
//!     Turn::text("Added milk."),
//! ]).await;
//! let host = Setup::guest("todo").env("OPENAI_BASE_URL", &model.url()).env("OPENAI_API_KEY", KEY) …
//! model.finish();
//! ```
//!
//! Turns are taken in their order. A request beyond the script, one that is
//! wrong, and a script that was not used up fail the test when the server is
//! dropped, which is what `finish` does.

mod chat;
mod check;
mod responses;
mod turn;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

pub use turn::Turn;

/// The key that it wants. Nothing but the host may ever show it.
pub const KEY: &str = "sk-test-C4n4ryKey7Zq8RtY2mWx";

type Body = UnsyncBoxBody<Bytes, std::io::Error>;
type Answers = Box<dyn Fn(&Value) -> Turn + Send + Sync>;

/// A running server.
pub struct OpenAi {
    address: SocketAddr,
    seen: Arc<Seen>,
    listening: AbortHandle,
}

#[derive(Default)]
struct Seen {
    script: Mutex<VecDeque<Turn>>,
    answers: Option<Answers>,
    requests: Mutex<Vec<Value>>,
    faults: Mutex<Vec<String>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    cancelled: AtomicUsize,
}

impl OpenAi {
    /// Answers with these turns, in this order.
    pub async fn start(script: Vec<Turn>) -> Self {
        Self::listen(Ipv4Addr::LOCALHOST, Seen { script: Mutex::new(script.into()), ..Seen::default() }).await
    }

    /// The same, for hosts in containers, which do not see this machine's loopback.
    #[allow(dead_code, reason = "for the tests of the image")]
    pub async fn for_containers(script: Vec<Turn>) -> Self {
        Self::listen(Ipv4Addr::UNSPECIFIED, Seen { script: Mutex::new(script.into()), ..Seen::default() }).await
    }

    /// Answers every request with what this makes of it, as often as it is asked.
    pub async fn answering(answers: impl Fn(&Value) -> Turn + Send + Sync + 'static) -> Self {
        Self::listen(Ipv4Addr::LOCALHOST, Seen { answers: Some(Box::new(answers)), ..Seen::default() }).await
    }

    async fn listen(ip: Ipv4Addr, seen: Seen) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.expect("a port");
        let (address, seen) = (listener.local_addr().expect("bound"), Arc::new(seen));
        let kept = Arc::clone(&seen);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                kept.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, Arc::clone(&kept)));
            }
        });
        Self { address, seen, listening: listening.abort_handle() }
    }

    /// What `OPENAI_BASE_URL` is set to.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The same by a name of this machine's.
    #[allow(dead_code, reason = "for the tests of the image")]
    pub fn url_of(&self, name: &str) -> String {
        format!("http://{name}:{}/v1", self.address.port())
    }

    /// Adds to the script.
    pub fn then(&self, turns: impl IntoIterator<Item = Turn>) {
        self.seen.script.lock().expect("no panic").extend(turns);
    }

    /// The bodies of all requests until now.
    pub fn requests(&self) -> Vec<Value> {
        self.seen.requests.lock().expect("no panic").clone()
    }

    /// The body of the last request.
    pub fn last(&self) -> Value {
        self.requests().pop().expect("a request")
    }

    /// Connections that were ever made.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Answers on their way.
    pub fn open(&self) -> usize {
        self.seen.open.load(Ordering::SeqCst)
    }

    /// Answers that the client hung up on.
    pub fn cancelled(&self) -> usize {
        self.seen.cancelled.load(Ordering::SeqCst)
    }

    /// Waits until so many answers were hung up on.
    pub async fn until_cancelled(&self, answers: usize) {
        let until = Instant::now() + Duration::from_secs(10);
        while self.cancelled() < answers {
            assert!(Instant::now() < until, "{} answers were hung up on, and not {answers}", self.cancelled());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it, and the test with it if anything was not as it should.
    pub fn finish(self) {}

    /// What was wrong until now, for a test that expects it; forgotten afterwards.
    pub fn faults(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.faults.lock().expect("no panic"))
    }
}

impl Drop for OpenAi {
    fn drop(&mut self) {
        self.listening.abort();
        if std::thread::panicking() {
            return;
        }
        let faults = self.faults();
        assert!(faults.is_empty(), "the model's server was asked wrongly:\n{}", faults.join("\n"));
        let left = self.seen.script.lock().expect("no panic").len();
        assert!(left == 0, "{left} turns of the script were not asked for");
    }
}

impl Seen {
    fn turn(&self, request: &Value) -> Option<Turn> {
        match &self.answers {
            Some(answers) => Some(answers(request)),
            None => self.script.lock().expect("no panic").pop_front(),
        }
    }

    fn fault(&self, fault: String) {
        self.faults.lock().expect("no panic").push(fault);
    }
}

async fn serve(stream: TcpStream, seen: Arc<Seen>) {
    let service = service_fn(move |request| {
        let seen = Arc::clone(&seen);
        async move { Ok::<_, Infallible>(answer(request, seen).await) }
    });
    // A client that leaves is what some tests are about.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, seen: Arc<Seen>) -> Response<Body> {
    let (head, body) = request.into_parts();
    // Somebody who left in the middle of a request asked nothing.
    let Ok(body) = body.collect().await else { return refused(StatusCode::BAD_REQUEST, "cut") };
    let request = match check::request(&head, &body.to_bytes()) {
        Ok(request) => request,
        Err(fault) => {
            seen.fault(format!("{} {}: {fault}", head.method, head.uri.path()));
            return refused(StatusCode::BAD_REQUEST, &fault);
        }
    };
    let turn = seen.turn(&request);
    let number = {
        let mut requests = seen.requests.lock().expect("no panic");
        requests.push(request.clone());
        requests.len()
    };
    let Some(turn) = turn else {
        seen.fault(format!("request {number} is beyond the script: {request}"));
        return refused(StatusCode::BAD_REQUEST, "the script is over");
    };
    let under_way = UnderWay::new(seen);
    tokio::time::sleep(turn.delay).await;
    respond(turn, &request, head.uri.path().ends_with("/responses"), number, under_way)
}

fn respond(turn: Turn, request: &Value, is_responses: bool, number: usize, under_way: UnderWay) -> Response<Body> {
    let mut answer = Response::builder().header("x-request-id", format!("req_{number}"));
    for (name, value) in &turn.headers {
        answer = answer.header(*name, value);
    }
    if let Some((status, body)) = &turn.error {
        under_way.complete();
        let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {}).boxed_unsync();
        return answer.status(*status).header("content-type", "application/json").body(body).expect("an answer");
    }
    let events = if is_responses { responses::events(&turn, request) } else { chat::events(&turn, request) };
    let pieces = turn.pieces.map_or(events.len(), |pieces| pieces.min(events.len()));
    let rest = (events.into_iter().take(pieces), turn.every, turn.end, under_way);
    let body = stream::unfold(rest, |(mut events, every, end, mut under_way)| async move {
        let Some(event) = events.next() else {
            match end {
                turn::End::Whole => under_way.complete(),
                turn::End::Cut => {
                    // What was not sent yet would go with the connection.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    under_way.is_complete = true;
                    let cut = Err(std::io::Error::other("as the script has it"));
                    return Some((cut, (events, every, turn::End::Whole, under_way)));
                }
                turn::End::Hang => std::future::pending().await,
            }
            return None;
        };
        if !every.is_zero() {
            tokio::time::sleep(every).await;
        }
        Some((Ok(Frame::data(Bytes::from(event))), (events, every, end, under_way)))
    });
    let body = StreamBody::new(body).boxed_unsync();
    answer.header("content-type", "text/event-stream").body(body).expect("an answer")
}

/// Counts an answer as open, and as cancelled when it did not come to its end.
struct UnderWay {
    seen: Arc<Seen>,
    is_complete: bool,
}

impl UnderWay {
    fn new(seen: Arc<Seen>) -> Self {
        seen.open.fetch_add(1, Ordering::SeqCst);
        Self { seen, is_complete: false }
    }

    fn complete(mut self) {
        self.is_complete = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.seen.open.fetch_sub(1, Ordering::SeqCst);
        if !self.is_complete {
            self.seen.cancelled.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn refused(status: StatusCode, message: &str) -> Response<Body> {
    let body = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {}).boxed_unsync();
    Response::builder().status(status).header("content-type", "application/json").body(body).expect("an answer")
}
