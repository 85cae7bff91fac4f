//! A plugin: tools for models, for clients of the Model Context Protocol, and for
//! plain HTTP.

use innkeeper_guest::tools::{Context, Failure, Tool};
use innkeeper_guest::{tool, tools};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
struct Title {
    /// The title of an article.
    #[schemars(length(min = 1, max = 200))]
    title: String,
}

#[derive(Serialize, JsonSchema)]
struct Slug {
    /// The last part of its address.
    slug: String,
}

const SLUG: Tool =
    tool!("slug", "Make the last part of an article's address out of its title.", slug).read_only();

fn slug(_: &Context, Title { title }: Title) -> Result<Slug, Failure> {
    let words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-").to_lowercase();
    if slug.is_empty() { Err(Failure::refused("The title has no letters.")) } else { Ok(Slug { slug }) }
}

tools! { [SLUG] }

#[cfg(test)]
mod tests {
    use super::*;

    fn of(title: &str) -> Option<String> {
        slug(&Context::default(), Title { title: title.to_owned() }).ok().map(|slug| slug.slug)
    }

    #[test]
    fn words_are_joined() {
        assert_eq!(of("Hello, World!").as_deref(), Some("hello-world"));
        assert_eq!(of("?!"), None);
    }
}
