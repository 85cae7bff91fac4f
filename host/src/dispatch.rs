//! One call: a permit, a fresh store, the guest, and everything released again.
//!
//! The guest runs inside the future that [`run`] returns, and later in a task
//! that the answer's body owns. When the client goes away both end, and with them
//! the store and every resource it held: a call is cancelled, never detached.
//! What a cancelled call had not committed is not in the database.

mod answer;
mod body;
mod failed;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response, uri::Scheme};
use http_body_util::{BodyExt, Full};
use tokio::sync::oneshot::{self, Sender};
use wasmtime::Store;
use wasmtime::component::Instance;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme as WasiScheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::{Error, WasiHttpView};

pub use answer::{GENERATION, is_broken};
pub use body::Body;
pub use failed::Failed;

use crate::call::Call;
use crate::instance::{self, Ended, Guest, State};

type Head = Result<Response<HyperOutgoingBody>, ErrorCode>;

/// Calls a guest's HTTP handler. The answer is checked before it is returned.
/// `held` is given back when the guest has ended, however that comes about.
///
/// # Errors
/// See [`Failed`]; then nothing of an answer was sent.
pub async fn run<H: Send + 'static>(
    guest: &Guest,
    call: Call,
    request: Request<Bytes>,
    held: H,
) -> Result<Response<Body>, Failed> {
    let (sender, mut head) = oneshot::channel();
    let (mut running, ended) = start(guest, call, request, (sender, held))?;
    let (is_whole, head) = tokio::select! {
        // The guest first: most calls end in one go, and then the whole answer
        // is here.
        biased;
        ended = &mut running => { ended?; (true, head.try_recv().ok()) }
        head = &mut head => (false, head.ok()),
    };
    let answered = answered(is_whole, head, running, ended).await;
    guest.judge(answered.as_ref().map_or(true, |response| is_broken(response.status())));
    answered
}

async fn answered(
    is_whole: bool,
    head: Option<Head>,
    running: BoxFuture<'static, Result<(), Failed>>,
    ended: Ended,
) -> Result<Response<Body>, Failed> {
    let response = match head {
        Some(Ok(response)) => response,
        Some(Err(code)) => return Err(Failed::Reported(reported(&code))),
        None => return Err(Failed::NoAnswer),
    };
    let (head, body) = answer::check(response)?.into_parts();
    let body = match is_whole {
        true => Body::whole(body)?,
        // Whether there is a body is known when the guest has ended.
        false if answer::is_bodiless(head.status) => {
            running.await?;
            Body::whole(body)?
        }
        false => Body::streamed(body, running, ended),
    };
    answer::check_body(&head, &body)?;
    Ok(Response::from_parts(head, body))
}

/// Calls a function that a guest exports, through `work`, which gets the instance
/// in its store. Everything is released when the future ends or is dropped.
///
/// # Errors
/// See [`Failed`].
pub async fn call<T, H, W>(guest: &Guest, call: Call, held: H, work: W) -> Result<T, Failed>
where
    T: Send + 'static,
    H: Send + 'static,
    W: for<'s> FnOnce(&'s mut Store<State>, Instance) -> Work<'s, T> + Send + 'static,
{
    let pre = guest.pre.clone();
    let (entered, _) = enter(guest, call, held, move |store| {
        Box::pin(async move {
            let instance = pre.instantiate_async(&mut *store).await?;
            work(store, instance).await
        })
    })?;
    let called = entered.await;
    if called.is_ok() {
        guest.judge(false);
    }
    called
}

/// What happens in a store.
pub type Work<'s, T> = BoxFuture<'s, wasmtime::Result<T>>;

/// One call of the HTTP handler.
fn start<H: Send + 'static>(
    guest: &Guest,
    call: Call,
    request: Request<Bytes>,
    (head, held): (Sender<Head>, H),
) -> Result<Entered<()>, Failed> {
    let http = guest.exports.http.clone().ok_or(Failed::NoAnswer)?;
    enter(guest, call, held, move |store| {
        Box::pin(async move {
            let incoming = store.data_mut().http().new_incoming_request(scheme(&request), request.map(whole))?;
            let out = store.data_mut().http().new_response_outparam(head)?;
            let instance = http.instantiate_async(&mut *store).await?;
            instance.wasi_http_incoming_handler().call_handle(store, incoming, out).await
        })
    })
}

/// The future that *is* the call, which owns the permit and the store, and whether the
/// guest has ended in it.
type Entered<T> = (BoxFuture<'static, Result<T, Failed>>, Ended);

fn enter<T, H, W>(guest: &Guest, mut call: Call, held: H, work: W) -> Result<Entered<T>, Failed>
where
    T: Send + 'static,
    H: Send + 'static,
    W: for<'s> FnOnce(&'s mut Store<State>) -> Work<'s, T> + Send + 'static,
{
    let permit = Arc::clone(&guest.permits).try_acquire_owned().map_err(|_| Failed::Busy)?;
    let mut span = call.trace.internal(|| format!("guest {}", guest.profile.name).into());
    if span.is_recording() {
        span.set("module.name", Arc::clone(&guest.profile.name));
    }
    call.trace = span.trace();
    let (deadline, trial) = (call.deadline.clone(), guest.trial.get().cloned());
    let store = instance::store(guest.pre.engine(), &guest.profile, &Arc::new(call));
    let (turn, ended) = (store.data().turn.clone(), store.data().ended.clone());
    let ending = ended.when_dropped();
    let entered = async move {
        let mut store = store;
        // Dropped before the store.
        let _held = (ending, permit, held);
        let result = turn.run(work(&mut store)).await;
        result.map_err(|error| Failed::classify(error, &store.data().budget))
    };
    // A panic in a host function must cost this request alone.
    let guarded = AssertUnwindSafe(entered).catch_unwind();
    let judged = async move {
        let result = tokio::select! {
            biased;
            result = guarded => result.unwrap_or(Err(Failed::Panicked)),
            () = deadline.passed() => Err(Failed::OutOfTime),
        };
        result.inspect_err(|failed| {
            span.fail(failed.kind());
            // Here, because it may be in the middle of an answer that has begun.
            if let Some(trial) = trial.filter(|_| failed.is_the_guests()) {
                trial.judge(true);
            }
        })
    };
    Ok((Box::pin(judged), ended))
}

/// What a guest reports, cut to a line: the text in it is the guest's.
fn reported(code: &ErrorCode) -> String {
    format!("{code:?}").chars().take(200).collect()
}

fn whole(bytes: Bytes) -> impl http_body::Body<Data = Bytes, Error = Error> + Send + 'static {
    Full::new(bytes).map_err(|never| match never {})
}

/// The host terminates no TLS, so a request is `http` unless its target says
/// otherwise.
fn scheme(request: &Request<Bytes>) -> WasiScheme {
    if request.uri().scheme() == Some(&Scheme::HTTPS) { WasiScheme::Https } else { WasiScheme::Http }
}
