//! `innkeeper check`: `serve` without the bind, and without touching a schema.

use super::{CliError, print, process};
use crate::broker::sql::Readiness;
use crate::config::Config;
use crate::registry::Generation;

/// Reports everything that would keep `serve` from serving.
pub(super) async fn check(config: Config) -> Result<(), CliError> {
    let loader = process::loader(&config)?;
    let mut problems = Vec::new();
    let mut unreachable = None;
    let (mut offers, mut resolved) = (Vec::new(), Vec::new());
    for module in &config.modules {
        let loaded = match loader.read(module).await {
            Ok(source) => {
                let manifest = source.manifest.iter();
                resolved.extend(manifest.map(|digest| format!("{}: {} is {digest}", module.name, module.source)));
                loader.load(module, source).await
            }
            Err(refused) => Err(refused),
        };
        match loaded {
            Ok(offer) => {
                if let Some(store) = &offer.guest.profile.sql
                    && let Readiness::Down(why) = store.look().await
                {
                    unreachable = Some(format!("module `{}`: {why}; check DATABASE_URL", module.name));
                }
                offers.push((module.route.clone(), offer));
            }
            Err(refused) if refused.why.may_pass() => unreachable = Some(crate::fault::chain(&refused)),
            Err(refused) => problems.push(crate::fault::chain(&refused)),
        }
    }
    // What modules say of each other can be judged when all of them are there.
    if problems.is_empty()
        && offers.len() == config.modules.len()
        && let Err(refused) = Generation::new(1, offers)
    {
        problems.push(crate::fault::chain(&refused));
    }
    match (problems.is_empty(), unreachable) {
        (false, _) => Err(refuse_all(&problems)),
        (true, Some(why)) => Err(CliError::Unavailable(why)),
        (true, None) => {
            resolved.iter().for_each(|resolved| print::line(format_args!("{resolved}")));
            let names: Vec<&str> = config.modules.iter().map(|module| module.name.as_str()).collect();
            print::line(format_args!("can be served: {}", names.join(", ")));
            Ok(())
        }
    }
}

fn refuse_all(problems: &[String]) -> CliError {
    let mut all = crate::config::Problems::default();
    for problem in problems {
        all.push("module", problem, "correct the module or its grants");
    }
    CliError::Config(all)
}
