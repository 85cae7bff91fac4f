//! The dialect of `/chat/completions`, which every server of the kind has.

mod chunk;
mod request;

use async_openai::Client;
use async_openai::error::OpenAIError;
use futures_util::StreamExt;
use serde_json::value::RawValue;

use self::chunk::Chunk;
pub(super) use self::request::request;
use super::answer::Deltas;
use super::client::Access;

/// Asks, and reads the head of the answer.
///
/// # Errors
/// What `wire` made of an answer that is none.
pub(super) async fn open(client: &Client<Access>, body: &RawValue) -> Result<Deltas, OpenAIError> {
    let stream = client.chat().create_stream_byot::<_, Chunk>(body).await?;
    Ok(Box::pin(stream.map(|chunk| chunk.map(Chunk::read))))
}
