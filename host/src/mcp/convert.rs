//! From what guests say to what the protocol's library sends. Nothing is checked
//! here: what comes in has been vetted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{
    Annotations, AudioContent, CallToolResult, CompleteResult, CompletionInfo, ContentBlock, EmbeddedResource,
    GetPromptResult, Icon, IconTheme, ImageContent, MetaObject, Prompt, PromptArgument, PromptMessage,
    ReadResourceResult, Resource, ResourceContents, ResourceTemplate, Role, TextContent, Tool, ToolAnnotations,
};

use crate::bindings::offers::exports::innkeeper::backend::{completions, prompts, resources};
use crate::bindings::offers::innkeeper::backend::types as wit;
use crate::offers::Success;
use crate::registry::{Named, Tool as Offered};

pub(super) fn tool(Named { name, item, .. }: Named<'_, Offered>) -> Tool {
    let mut tool = Tool::new_with_raw(name.to_owned(), None, std::sync::Arc::clone(&item.input.json));
    let wit::Descriptor { title, description, icons, meta, .. } = &item.descriptor;
    tool.title.clone_from(title);
    tool.description = description.clone().map(Into::into);
    tool.output_schema = item.output.as_ref().map(|schema| std::sync::Arc::clone(&schema.json));
    tool.annotations = item.hints.map(|hints| {
        ToolAnnotations::from_raw(None, hints.read_only, hints.destructive, hints.idempotent, hints.open_world)
    });
    tool.icons = self::icons(icons);
    tool.meta = self::meta(meta.as_deref());
    tool
}

pub(super) fn prompt(Named { name, item, .. }: Named<'_, prompts::Prompt>) -> Prompt {
    let arguments = item.arguments.iter().map(|argument| {
        let mut made = PromptArgument::new(argument.descriptor.name.clone()).with_required(argument.required);
        made.title.clone_from(&argument.descriptor.title);
        made.description.clone_from(&argument.descriptor.description);
        made
    });
    let wit::Descriptor { title, description, icons, meta, .. } = &item.descriptor;
    let mut prompt = Prompt::new(name, description.clone(), Some(arguments.collect()));
    prompt.title.clone_from(title);
    prompt.icons = self::icons(icons);
    prompt.meta = self::meta(meta.as_deref());
    prompt
}

pub(super) fn template(template: &resources::Template) -> ResourceTemplate {
    let wit::Descriptor { name, title, description, icons, meta } = &template.descriptor;
    let mut made = ResourceTemplate::new(template.uri_template.clone(), name.clone());
    made.title.clone_from(title);
    made.description.clone_from(description);
    made.mime_type.clone_from(&template.mime_type);
    made.icons = self::icons(icons);
    made.meta = self::meta(meta.as_deref());
    made.annotations = template.annotations.as_ref().map(annotations);
    made
}

pub(super) fn entry(entry: resources::Entry) -> Resource {
    let mut made = resource(entry.uri, entry.descriptor, entry.mime_type, entry.size);
    made.annotations = entry.annotations.as_ref().map(annotations);
    made
}

pub(super) fn called(success: Success) -> CallToolResult {
    let content: Vec<ContentBlock> = success.content.into_iter().map(content).collect();
    let mut result = if success.is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    result.structured_content = success.structured;
    result.meta = success.meta.map(MetaObject);
    result
}

pub(super) fn rendered(rendered: prompts::Rendered) -> GetPromptResult {
    let messages = rendered.messages.into_iter();
    let mut result = GetPromptResult::new(
        messages.map(|message| PromptMessage::new(role(message.role), content(message.content))).collect(),
    );
    result.description = rendered.description;
    result
}

pub(super) fn read(contents: resources::Contents) -> ReadResourceResult {
    ReadResourceResult::new(contents.parts.into_iter().map(self::contents).collect())
}

pub(super) fn suggested(suggestions: completions::Suggestions) -> CompleteResult {
    let mut info = CompletionInfo::default();
    info.values = suggestions.values;
    info.total = suggestions.total;
    info.has_more = Some(suggestions.has_more);
    CompleteResult::new(info)
}

fn content(wit::Content { kind, annotations, meta }: wit::Content) -> ContentBlock {
    let annotations = annotations.as_ref().map(self::annotations);
    let meta = self::meta(meta.as_deref());
    match kind {
        wit::ContentKind::Text(text) => {
            let mut made = TextContent::new(text);
            (made.annotations, made.meta) = (annotations, meta);
            ContentBlock::Text(made)
        }
        wit::ContentKind::Image(media) => {
            let mut made = ImageContent::new(STANDARD.encode(media.data), media.mime_type);
            (made.annotations, made.meta) = (annotations, meta);
            ContentBlock::Image(made)
        }
        wit::ContentKind::Audio(media) => {
            let mut made = AudioContent::new(STANDARD.encode(media.data), media.mime_type);
            (made.annotations, made.meta) = (annotations, meta);
            ContentBlock::Audio(made)
        }
        wit::ContentKind::ResourceLink(link) => {
            let mut made = resource(link.uri, link.descriptor, link.mime_type, link.size);
            made.annotations = annotations;
            ContentBlock::ResourceLink(made)
        }
        wit::ContentKind::Embedded(contents) => {
            let mut made = EmbeddedResource::new(self::contents(contents));
            (made.annotations, made.meta) = (annotations, meta);
            ContentBlock::Resource(made)
        }
    }
}

fn resource(uri: String, descriptor: wit::Descriptor, mime_type: Option<String>, size: Option<u64>) -> Resource {
    let wit::Descriptor { name, title, description, icons, meta } = descriptor;
    let mut made = Resource::new(uri, name);
    (made.title, made.description, made.mime_type, made.size) = (title, description, mime_type, size);
    made.icons = self::icons(&icons);
    made.meta = self::meta(meta.as_deref());
    made
}

fn contents(contents: wit::ResourceContents) -> ResourceContents {
    let wit::ResourceContents { uri, mime_type, body, meta } = contents;
    let meta = self::meta(meta.as_deref());
    match body {
        wit::Body::Text(text) => ResourceContents::TextResourceContents { uri, mime_type, text, meta },
        wit::Body::Blob(bytes) => {
            ResourceContents::BlobResourceContents { uri, mime_type, blob: STANDARD.encode(bytes), meta }
        }
    }
}

fn annotations(annotations: &wit::Annotations) -> Annotations {
    let mut made = Annotations::default();
    let wit::Annotations { audience, priority, last_modified } = annotations;
    made.audience =
        Some(audience.iter().copied().map(role).collect()).filter(|audience: &Vec<Role>| !audience.is_empty());
    #[expect(clippy::cast_possible_truncation, reason = "from 0 to 1")]
    let priority = priority.map(|priority| priority as f32);
    (made.priority, made.last_modified) = (priority, last_modified.clone());
    made
}

fn role(role: wit::Role) -> Role {
    match role {
        wit::Role::User => Role::User,
        wit::Role::Assistant => Role::Assistant,
    }
}

fn icons(icons: &[wit::Icon]) -> Option<Vec<Icon>> {
    let icons: Vec<Icon> = icons
        .iter()
        .map(|icon| {
            let mut made = Icon::new(icon.src.clone());
            made.mime_type.clone_from(&icon.mime_type);
            made.sizes = Some(icon.sizes.clone()).filter(|sizes| !sizes.is_empty());
            made.theme = match icon.theme.as_deref() {
                Some("light") => Some(IconTheme::Light),
                Some("dark") => Some(IconTheme::Dark),
                _ => None,
            };
            made
        })
        .collect();
    Some(icons).filter(|icons| !icons.is_empty())
}

fn meta(text: Option<&str>) -> Option<MetaObject> {
    serde_json::from_str(text?).ok().map(MetaObject)
}
