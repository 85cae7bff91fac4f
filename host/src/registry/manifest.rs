//! What one module offers beside HTTP: read once, in a store without a caller, and
//! vetted as a whole. One thing that is not allowed refuses the module.

mod cost;
mod headers;
mod read;
mod schema;
mod text;
mod walk;

use serde_json::{Map, Value, json};

pub use schema::Schema;

pub(super) use read::read;

use crate::bindings::offers::exports::innkeeper::backend::{prompts, resources, tools};
use crate::bindings::offers::innkeeper::backend::types::Descriptor;

/// Tools, prompts and templates of one module, each. Models choose badly among
/// hundreds, and every client reads all of them.
const MOST: usize = 256;
/// Prefixes of addresses of one module.
const PREFIXES: usize = 16;
const NAME_BYTES: usize = 64;
const TITLE_BYTES: usize = 256;
/// Bytes of a description. It is part of every prompt of a model that has the tool.
const DESCRIPTION_BYTES: usize = 4 << 10;
const META_BYTES: usize = 16 << 10;
const ICONS: usize = 8;
/// Bytes of an icon's source, which may be the icon itself.
const ICON_BYTES: usize = 32 << 10;
const URI_BYTES: usize = 2 << 10;
const SCOPES: usize = 16;

/// Bytes of all schemas of one module. A list of tools has all of them in it.
const SCHEMAS_BYTES: usize = 1 << 20;

/// What a module offers, vetted.
#[derive(Default)]
pub struct Manifest {
    /// Its tools, by name; none when it exports no tools.
    pub tools: Option<Vec<Tool>>,
    /// What it has to read.
    pub resources: Option<resources::Declaration>,
    /// Its prompts, by name.
    pub prompts: Option<Vec<prompts::Prompt>>,
    /// Whether it completes arguments.
    pub completions: bool,
}

/// One tool.
pub struct Tool {
    /// Its name in the module, and what is said of it.
    pub descriptor: Descriptor,
    /// What it takes.
    pub input: Schema,
    /// What its structured answer fits.
    pub output: Option<Schema>,
    /// What to expect of it.
    pub hints: Option<tools::Hints>,
    /// Scopes that a caller must have.
    pub scopes: Vec<String>,
}

impl Manifest {
    /// Whether there is anything in it.
    pub fn is_empty(&self) -> bool {
        self.tools.is_none() && self.resources.is_none() && self.prompts.is_none()
    }

    /// Everything in it that a client or a model can see, and what is checked.
    pub fn describe(&self) -> Value {
        let tools = self.tools.iter().flatten().map(|tool| {
            let mut value = describe(&tool.descriptor);
            value["inputSchema"] = Value::Object((*tool.input.json).clone());
            value["outputSchema"] = tool.output.as_ref().map(|schema| Value::Object((*schema.json).clone())).into();
            value["hints"] = tool.hints.map(hints).into();
            value["requiredScopes"] = tool.scopes.clone().into();
            value
        });
        let prompts = self.prompts.iter().flatten().map(|prompt| {
            let mut value = describe(&prompt.descriptor);
            let arguments = prompt.arguments.iter().map(|argument| {
                let mut value = describe(&argument.descriptor);
                value["required"] = argument.required.into();
                value
            });
            value["arguments"] = arguments.collect();
            value
        });
        let templates = self.resources.iter().flat_map(|resources| &resources.templates).map(|template| {
            let mut value = describe(&template.descriptor);
            value["uriTemplate"] = template.uri_template.clone().into();
            value["mimeType"] = template.mime_type.clone().into();
            value
        });
        json!({
            "tools": tools.collect::<Value>(),
            "prefixes": self.resources.as_ref().map(|resources| resources.prefixes.clone()).unwrap_or_default(),
            "templates": templates.collect::<Value>(),
            "prompts": prompts.collect::<Value>(),
            "completions": self.completions,
        })
    }
}

fn describe(descriptor: &Descriptor) -> Value {
    let Descriptor { name, title, description, icons, meta } = descriptor;
    let icons: Vec<&str> = icons.iter().map(|icon| icon.src.as_str()).collect();
    json!({ "name": name, "title": title, "description": description, "icons": icons, "meta": meta })
}

fn hints(hints: tools::Hints) -> Value {
    let tools::Hints { read_only, destructive, idempotent, open_world } = hints;
    json!({ "readOnly": read_only, "destructive": destructive, "idempotent": idempotent, "openWorld": open_world })
}

fn vet_tools(listed: Vec<tools::Tool>) -> Result<Vec<Tool>, String> {
    if listed.len() > MOST {
        return Err(format!("has more than {MOST} tools"));
    }
    let schemas = |tool: &tools::Tool| tool.input_schema.len() + tool.output_schema.as_ref().map_or(0, String::len);
    if listed.iter().map(schemas).sum::<usize>() > SCHEMAS_BYTES {
        return Err(format!("has more than {} MiB of schemas", SCHEMAS_BYTES >> 20));
    }
    let mut vetted: Vec<Tool> = Vec::with_capacity(listed.len());
    for tool in listed {
        let name = printable(&tool.descriptor.name);
        let tool = vet_tool(tool).map_err(|why| format!("tool `{name}`: {why}"))?;
        if vetted.iter().any(|other| other.descriptor.name == tool.descriptor.name) {
            return Err(format!("tool `{name}` is there twice"));
        }
        vetted.push(tool);
    }
    vetted.sort_by(|a, b| a.descriptor.name.cmp(&b.descriptor.name));
    Ok(vetted)
}

fn vet_tool(tool: tools::Tool) -> Result<Tool, String> {
    let tools::Tool { mut descriptor, input_schema, output_schema, hints, required_scopes: scopes } = tool;
    vet_descriptor(&mut descriptor)?;
    let input = Schema::input(&input_schema).map_err(|why| format!("its input schema {why}"))?;
    let output = output_schema.map(|schema| Schema::of(&schema)).transpose();
    let output = output.map_err(|why| format!("its output schema {why}"))?;
    // The characters of RFC 6749 section 3.3.
    let is_scope = |scope: &String| {
        (1..=128).contains(&scope.len())
            && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
    };
    if scopes.len() > SCOPES || !scopes.iter().all(is_scope) {
        return Err(format!("its scopes are more than {SCOPES}, or have characters that no scope has"));
    }
    Ok(Tool { descriptor, input, output, hints, scopes })
}

fn vet_prompts(mut listed: Vec<prompts::Prompt>) -> Result<Vec<prompts::Prompt>, String> {
    if listed.len() > MOST {
        return Err(format!("has more than {MOST} prompts"));
    }
    for prompt in &mut listed {
        let name = printable(&prompt.descriptor.name);
        vet_prompt(prompt).map_err(|why| format!("prompt `{name}`: {why}"))?;
    }
    listed.sort_by(|a, b| a.descriptor.name.cmp(&b.descriptor.name));
    match listed.windows(2).find(|pair| pair[0].descriptor.name == pair[1].descriptor.name) {
        Some(pair) => Err(format!("prompt `{}` is there twice", pair[0].descriptor.name)),
        None => Ok(listed),
    }
}

fn vet_prompt(prompt: &mut prompts::Prompt) -> Result<(), String> {
    vet_descriptor(&mut prompt.descriptor)?;
    for at in 0..prompt.arguments.len() {
        let (before, rest) = prompt.arguments.split_at_mut(at);
        let Some(argument) = rest.first_mut() else { break };
        vet_descriptor(&mut argument.descriptor)?;
        if before.iter().any(|other| other.descriptor.name == argument.descriptor.name) {
            return Err(format!("its argument `{}` is there twice", argument.descriptor.name));
        }
    }
    if prompt.arguments.len() > MOST { Err(format!("it has more than {MOST} arguments")) } else { Ok(()) }
}

fn vet_resources(mut declared: resources::Declaration) -> Result<resources::Declaration, String> {
    let resources::Declaration { prefixes, templates } = &mut declared;
    if prefixes.is_empty() || prefixes.len() > PREFIXES || templates.len() > MOST {
        return Err(format!("declares no prefix, more than {PREFIXES} of them, or more than {MOST} templates"));
    }
    if let Some(prefix) = prefixes.iter().find(|prefix| !is_prefix(prefix)) {
        return Err(format!("declares the prefix `{}`; write it as scheme://", printable(prefix)));
    }
    for template in templates {
        let uri = printable(&template.uri_template);
        vet_descriptor(&mut template.descriptor).map_err(|why| format!("template `{uri}`: {why}"))?;
        let literal = template.uri_template.split('{').next().unwrap_or_default();
        let own = prefixes.iter().any(|prefix| literal.starts_with(prefix.as_str()));
        if !own || template.uri_template.len() > URI_BYTES {
            return Err(format!(
                "template `{uri}` starts with none of its prefixes, or is longer than {URI_BYTES} bytes"
            ));
        }
    }
    Ok(declared)
}

/// A scheme, and perhaps the start of what follows.
fn is_prefix(prefix: &str) -> bool {
    let Some((scheme, rest)) = prefix.split_once(':') else { return false };
    prefix.len() <= 256
        && scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte))
        && rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'{' && byte != b'}')
}

/// What is said of something, cleaned and within its bounds.
fn vet_descriptor(descriptor: &mut Descriptor) -> Result<(), String> {
    let Descriptor { name, title, description, icons, meta } = descriptor;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if !(1..=NAME_BYTES).contains(&name.len()) || !name.bytes().all(fits) {
        return Err(format!("a name is [A-Za-z0-9_.-], at most {NAME_BYTES} characters"));
    }
    text::clean(title, "title", TITLE_BYTES)?;
    text::clean(description, "description", DESCRIPTION_BYTES)?;
    let good = |src: &str| src.len() <= ICON_BYTES && (src.starts_with("https://") || src.starts_with("data:image/"));
    if icons.len() > ICONS || !icons.iter().all(|icon| good(&icon.src)) {
        return Err(format!("its icons are more than {ICONS}, or neither https:// nor data:image/"));
    }
    match meta.as_deref().map(parse_meta) {
        Some(None) => Err(format!("its meta is no JSON object of at most {META_BYTES} bytes")),
        _ => Ok(()),
    }
}

fn parse_meta(text: &str) -> Option<Map<String, Value>> {
    if text.len() <= META_BYTES { serde_json::from_str(text).ok() } else { None }
}

/// A guest's words on their way to a terminal.
fn printable(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}
