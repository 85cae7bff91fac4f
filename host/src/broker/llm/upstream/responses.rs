//! The dialect of `/responses`, which OpenAI's reasoning models want when there
//! are tools. Nothing is kept at the provider: what a model thought comes back
//! encrypted, and is sent again with its turn.

mod event;
mod kept;
mod request;

use async_openai::Client;
use async_openai::error::OpenAIError;
use futures_util::StreamExt;
use serde_json::value::RawValue;

use self::event::WireEvent;
pub(super) use self::request::request;
use super::answer::Deltas;
use super::client::Access;

/// Asks, and reads the head of the answer.
///
/// # Errors
/// What `wire` made of an answer that is none.
pub(super) async fn open(client: &Client<Access>, body: &RawValue) -> Result<Deltas, OpenAIError> {
    let stream = client.responses().create_stream_byot::<_, WireEvent>(body).await?;
    Ok(Box::pin(stream.map(|event| event.map(WireEvent::read))))
}
