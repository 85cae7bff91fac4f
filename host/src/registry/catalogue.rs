//! What all modules of a generation offer, under the names that clients use. Pure.
//!
//! A name that only one module has is used as it is; of a name that several have,
//! and of one that looks like another module's, everybody uses `module.name`. That
//! form is always understood, so that nobody can take another module's name.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::asks::Asks;
use super::manifest::{Manifest, Tool};
use super::refused::{Refused, Why};
use crate::bindings::offers::exports::innkeeper::backend::prompts::Prompt;
use crate::bindings::offers::exports::innkeeper::backend::resources::Template;
use crate::instance::Guest;

/// One module with what it offers. Generations share it.
#[derive(Clone)]
pub struct Offer {
    /// The module.
    pub guest: Arc<Guest>,
    /// What it offers.
    pub manifest: Arc<Manifest>,
    /// What it asks for, to compare it with other versions.
    pub asks: Arc<Asks>,
}

/// Something by the name that clients use.
pub struct Named<'c, T> {
    /// That name.
    pub name: &'c str,
    /// The module.
    pub guest: &'c Arc<Guest>,
    /// The thing.
    pub item: &'c T,
}

// Derived, they would ask the same of the item.
impl<T> Clone for Named<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Named<'_, T> {}

/// What the modules of a generation offer.
#[derive(Default)]
pub struct Catalogue {
    offers: Vec<Offer>,
    tools: Names,
    prompts: Names,
}

/// Where things are: module and place in its list.
#[derive(Default)]
struct Names {
    /// By the names that are listed, in their order.
    listed: BTreeMap<String, (usize, usize)>,
    /// By `module.name`.
    qualified: HashMap<String, (usize, usize)>,
}

impl Catalogue {
    /// Puts the offers of several modules together.
    ///
    /// # Errors
    /// Two modules claim the same addresses.
    pub(super) fn new(offers: Vec<Offer>) -> Result<Self, Refused> {
        let names = |of: &dyn Fn(&Manifest) -> Vec<&str>| {
            let all = offers.iter().enumerate().flat_map(|(module, offer)| {
                let names = of(&offer.manifest).into_iter().enumerate();
                names.map(move |(place, name)| (module, place, &*offer.guest.profile.name, name)).collect::<Vec<_>>()
            });
            Names::new(&all.collect::<Vec<_>>())
        };
        let tools = names(&|manifest| manifest.tools.iter().flatten().map(|tool| &*tool.descriptor.name).collect());
        let prompts =
            names(&|manifest| manifest.prompts.iter().flatten().map(|prompt| &*prompt.descriptor.name).collect());
        let mut claimed: Vec<(&str, &str)> = Vec::new();
        for offer in &offers {
            for prefix in offer.manifest.resources.iter().flat_map(|resources| &resources.prefixes) {
                let module = &*offer.guest.profile.name;
                let clash = claimed.iter().find(|(other, owner)| {
                    *owner != module && (prefix.starts_with(other) || other.starts_with(prefix.as_str()))
                });
                if let Some((other, owner)) = clash {
                    let why = format!("its resources `{prefix}` and `{other}` of `{owner}` cannot be told apart");
                    return Err(Refused { module: module.to_owned(), why: Why::Offer(why) });
                }
                claimed.push((prefix, module));
            }
        }
        Ok(Self { offers, tools, prompts })
    }

    /// Whether there is anything that a client of MCP could use.
    pub fn is_empty(&self) -> bool {
        self.offers.iter().all(|offer| offer.manifest.is_empty())
    }

    /// Whether there are tools.
    pub fn has_tools(&self) -> bool {
        !self.tools.listed.is_empty()
    }

    /// The modules, in their order.
    pub fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// All tools, by their listed names.
    pub fn tools(&self) -> impl Iterator<Item = Named<'_, Tool>> {
        self.tools.listed.iter().filter_map(|(name, at)| self.tool_at(name, *at))
    }

    /// The tool of this name.
    pub fn tool(&self, name: &str) -> Option<Named<'_, Tool>> {
        let (name, at) = self.tools.find(name)?;
        self.tool_at(name, at)
    }

    /// All prompts, by their listed names.
    pub fn prompts(&self) -> impl Iterator<Item = Named<'_, Prompt>> {
        self.prompts.listed.iter().filter_map(|(name, at)| self.prompt_at(name, *at))
    }

    /// The prompt of this name.
    pub fn prompt(&self, name: &str) -> Option<Named<'_, Prompt>> {
        let (name, at) = self.prompts.find(name)?;
        self.prompt_at(name, at)
    }

    /// All templates of resources, by their addresses.
    pub fn templates(&self) -> impl Iterator<Item = Named<'_, Template>> {
        self.offers.iter().flat_map(|Offer { guest, manifest, .. }| {
            let templates = manifest.resources.iter().flat_map(|resources| &resources.templates);
            templates.map(move |item| Named { name: &item.uri_template, guest, item })
        })
    }

    /// The module whose addresses start like this one.
    pub fn owner(&self, uri: &str) -> Option<&Offer> {
        self.offers.iter().find(|offer| {
            let mut prefixes = offer.manifest.resources.iter().flat_map(|resources| &resources.prefixes);
            prefixes.any(|prefix| uri.starts_with(prefix.as_str()))
        })
    }

    fn tool_at<'c>(&'c self, name: &'c str, (module, place): (usize, usize)) -> Option<Named<'c, Tool>> {
        let Offer { guest, manifest, .. } = self.offers.get(module)?;
        Some(Named { name, guest, item: manifest.tools.as_ref()?.get(place)? })
    }

    fn prompt_at<'c>(&'c self, name: &'c str, (module, place): (usize, usize)) -> Option<Named<'c, Prompt>> {
        let Offer { guest, manifest, .. } = self.offers.get(module)?;
        Some(Named { name, guest, item: manifest.prompts.as_ref()?.get(place)? })
    }
}

impl Names {
    fn new(all: &[(usize, usize, &str, &str)]) -> Self {
        let full = |module: &str, name: &str| format!("{module}.{name}");
        let qualified: HashMap<String, (usize, usize)> =
            all.iter().map(|(module, place, owner, name)| (full(owner, name), (*module, *place))).collect();
        let mut times: HashMap<&str, usize> = HashMap::new();
        for (.., name) in all {
            *times.entry(name).or_default() += 1;
        }
        let listed = all.iter().map(|(module, place, owner, name)| {
            let plain = times.get(name) == Some(&1) && !qualified.contains_key(*name);
            (if plain { (*name).to_owned() } else { full(owner, name) }, (*module, *place))
        });
        Self { listed: listed.collect(), qualified }
    }

    /// The place, and the name that the caller used.
    fn find<'n>(&'n self, name: &str) -> Option<(&'n str, (usize, usize))> {
        let found = self.listed.get_key_value(name);
        let found = found.or_else(|| self.qualified.get_key_value(name));
        found.map(|(name, at)| (name.as_str(), *at))
    }
}

/// The hash of what a module offers, in hexadecimal: another one means that
/// something that clients or models read is not what it was.
pub fn hash(manifest: &Manifest) -> String {
    let digest = Sha256::digest(manifest.describe().to_string());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(all: &[(&str, &[&str])], listed: &[&str]) -> Names {
        let all: Vec<_> = all
            .iter()
            .enumerate()
            .flat_map(|(module, (owner, names))| {
                names.iter().enumerate().map(move |(place, name)| (module, place, *owner, *name))
            })
            .collect();
        let names = Names::new(&all);
        assert_eq!(names.listed.keys().collect::<Vec<_>>(), listed);
        names
    }

    #[test]
    fn names_are_qualified_where_they_clash() {
        check(&[("todo", &["list", "add"]), ("dates", &["parse"])], &["add", "list", "parse"]);
        let names = check(&[("todo", &["list", "add"]), ("dates", &["list"])], &["add", "dates.list", "todo.list"]);
        assert_eq!(names.find("todo.list"), Some(("todo.list", (0, 0))));
        assert_eq!(names.find("todo.add"), Some(("todo.add", (0, 1))), "always understood");
        assert_eq!(names.find("list"), None, "nobody's");
    }

    #[test]
    fn nobody_takes_another_modules_name() {
        let names = check(&[("todo", &["add"]), ("evil", &["todo.add"])], &["add", "evil.todo.add"]);
        assert_eq!(names.find("todo.add"), Some(("todo.add", (0, 0))));
    }
}
