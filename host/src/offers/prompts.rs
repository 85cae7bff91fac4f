//! Prompts.

use super::{Ask, Outcome, Problem, check, input};
use crate::bindings::offers::exports::innkeeper::backend::prompts as wit;
use crate::bindings::offers::innkeeper::backend::types::Resumption;
use crate::dispatch;
use crate::registry::Named;

/// Fills a prompt in, for one caller.
///
/// # Errors
/// See [`Problem`].
pub async fn get_prompt<H: Send + 'static>(
    prompt: Named<'_, wit::Prompt>,
    arguments: Vec<(String, String)>,
    resume: Option<Resumption>,
    ask: Ask<H>,
) -> Result<Outcome<wit::Rendered>, Problem> {
    check_arguments(prompt.item, &arguments)?;
    let Ask { call, context, held } = ask;
    let indices = prompt.guest.exports.prompts.clone().ok_or(Problem::NotFound("prompt"))?;
    let features = context.features;
    let name = prompt.item.descriptor.name.clone();
    let outcome = dispatch::call(prompt.guest, call, held, move |store, instance| {
        Box::pin(async move {
            let prompts = indices.load(&mut *store, &instance)?;
            prompts.call_get(store, &context, &name, &arguments, resume.as_ref()).await
        })
    });
    match outcome.await?.map_err(|error| Problem::of(error, "prompt"))? {
        wit::Outcome::Complete(rendered) => {
            let parts: Vec<_> = rendered.messages.iter().map(|message| message.content.clone()).collect();
            check::contents(&parts).map_err(Problem::Answer)?;
            Ok(Outcome::Complete(rendered))
        }
        wit::Outcome::InputRequired(required) => input::check(required, features).map(Outcome::InputRequired),
    }
}

fn check_arguments(prompt: &wit::Prompt, sent: &[(String, String)]) -> Result<(), Problem> {
    let has = |name: &str| sent.iter().any(|(sent, _)| sent == name);
    let missing = prompt.arguments.iter().find(|argument| argument.required && !has(&argument.descriptor.name));
    if let Some(argument) = missing {
        return Err(Problem::Arguments(format!("`{}` is missing", argument.descriptor.name)));
    }
    let unknown =
        sent.iter().find(|(name, _)| !prompt.arguments.iter().any(|argument| argument.descriptor.name == *name));
    match unknown {
        Some((name, _)) => Err(Problem::Arguments(format!("`{}` is no argument of it", check::cut(name)))),
        None => Ok(()),
    }
}
