//! What modules are granted of each other's tools, held to what there is. Pure.

use super::catalogue::{Catalogue, Named};
use super::manifest::Tool;
use super::refused::{Refused, Why};
use crate::config::ToolGrant;
use crate::instance::Guest;

/// Whether every grant names something: one that does not is a misspelled one, or a
/// module that somebody forgot.
///
/// # Errors
/// The first grant that names nothing, or the module itself.
pub(super) fn check(catalogue: &Catalogue) -> Result<(), Refused> {
    for offer in catalogue.offers() {
        let profile = &offer.guest.profile;
        for grant in profile.toolbox.iter().flatten() {
            let refused = |what: String| Refused { module: profile.name.to_string(), why: Why::Toolbox(what) };
            names_something(catalogue, &profile.name, grant).map_err(refused)?;
        }
    }
    Ok(())
}

fn names_something(catalogue: &Catalogue, own: &str, grant: &ToolGrant) -> Result<(), String> {
    let Some(module) = grant.module() else { return Ok(()) };
    if module == own {
        return Err(format!("`{grant}` is its own, which needs no grant"));
    }
    let Some(offer) = catalogue.offers().iter().find(|offer| &*offer.guest.profile.name == module) else {
        return Err(format!("there is no module `{module}`"));
    };
    let tools = offer.manifest.tools.as_deref().unwrap_or_default();
    match grant {
        _ if tools.is_empty() => Err(format!("module `{module}` has no tools")),
        ToolGrant::Tool { tool, .. } if !tools.iter().any(|has| has.descriptor.name == *tool) => {
            Err(format!("module `{module}` has no tool `{tool}`"))
        }
        _ => Ok(()),
    }
}

/// Whether a module was granted a tool. Its own are no grant's matter: it would wait
/// for itself.
pub fn is_granted(guest: &Guest, tool: &Named<'_, Tool>) -> bool {
    let owner = &tool.guest.profile.name;
    let mut grants = guest.profile.toolbox.iter().flatten();
    *owner != guest.profile.name && grants.any(|grant| grant.allows(owner, &tool.item.descriptor.name))
}
