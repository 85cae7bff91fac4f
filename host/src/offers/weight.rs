//! How much an answer weighs on its way to who asked: in the host's memory it is
//! base64 and JSON.

use super::Success;
use crate::bindings::offers::exports::innkeeper::backend::{prompts, resources};
use crate::bindings::offers::innkeeper::backend::types::{Body, Content, ContentKind, ResourceContents};

/// What may be large.
pub trait Weight {
    /// In bytes, about.
    fn weight(&self) -> usize;
}

/// Base64 takes a third more.
fn encoded(bytes: &[u8]) -> usize {
    bytes.len() / 3 * 4
}

impl Weight for ResourceContents {
    fn weight(&self) -> usize {
        match &self.body {
            Body::Text(text) => text.len(),
            Body::Blob(bytes) => encoded(bytes),
        }
    }
}

impl Weight for Content {
    fn weight(&self) -> usize {
        match &self.kind {
            ContentKind::Text(text) => text.len(),
            ContentKind::Image(media) | ContentKind::Audio(media) => encoded(&media.data),
            ContentKind::Embedded(contents) => contents.weight(),
            ContentKind::ResourceLink(link) => link.uri.len(),
        }
    }
}

impl Weight for Success {
    fn weight(&self) -> usize {
        self.content.iter().map(Content::weight).sum::<usize>() + self.structured_bytes
    }
}

impl Weight for resources::Contents {
    fn weight(&self) -> usize {
        self.parts.iter().map(ResourceContents::weight).sum()
    }
}

impl Weight for prompts::Rendered {
    fn weight(&self) -> usize {
        self.messages.iter().map(|message| message.content.weight()).sum()
    }
}
