//! `innkeeper:backend/llm`: converts, delegates, converts.

mod convert;

use std::time::Duration;

use wasmtime::component::{HasSelf, Linker, Resource};

use super::{Access, Answer, LlmError, Request};
use crate::bindings::imports::innkeeper::backend::llm as wit;
use crate::fault::Blame;
use crate::instance::State;

/// Gives a guest the interface.
///
/// # Errors
/// When it was given before.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

type Reply<T> = wasmtime::Result<Result<T, wit::Error>>;

impl wit::Host for State {
    async fn models(&mut self) -> wasmtime::Result<Vec<wit::ModelInfo>> {
        self.host_call()?;
        Ok(access(self.profile.llm.as_ref())?.models().map(wit::ModelInfo::from).collect())
    }

    async fn allowances(&mut self) -> Reply<Vec<wit::Allowance>> {
        self.host_call()?;
        let access = access(self.profile.llm.as_ref())?;
        let all = access.allowances(&self.call, &self.budget.llm).await;
        Ok(self.reply(all.map(|all| all.into_iter().map(wit::Allowance::from).collect())))
    }

    async fn complete(&mut self, request: wit::Request) -> Reply<wit::Completion> {
        let completion = match self.ask(request).await? {
            Ok(answer) => answer.complete(&self.call.deadline, &mut self.budget.llm).await,
            Err(error) => Err(error),
        };
        Ok(self.reply(completion.map(wit::Completion::from)))
    }

    async fn open(&mut self, request: wit::Request) -> Reply<Resource<wit::Answer>> {
        match self.ask(request).await? {
            Ok(answer) => {
                let held = self.table.push(answer)?;
                Ok(Ok(Resource::new_own(held.rep())))
            }
            Err(error) => Ok(self.reply(Err(error))),
        }
    }
}

impl wit::HostAnswer for State {
    async fn next(&mut self, answer: Resource<wit::Answer>, wait_ms: u32) -> Reply<Vec<wit::Event>> {
        self.host_call()?;
        let answer = self.table.get_mut(&Resource::<Answer>::new_borrow(answer.rep()))?;
        let wait = Duration::from_millis(wait_ms.into());
        let events = answer.next(&self.call.deadline, &mut self.budget.llm, wait).await;
        Ok(self.reply(events.map(|events| events.into_iter().map(wit::Event::from).collect())))
    }

    async fn drop(&mut self, answer: Resource<wit::Answer>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Answer>::new_own(answer.rep()))?;
        Ok(())
    }
}

/// The interface is linked only for modules that were granted models, so none is a
/// mistake of the host.
fn access(access: Option<&Access>) -> wasmtime::Result<&Access> {
    access.ok_or_else(|| wasmtime::format_err!("`llm` was linked without models"))
}

impl State {
    async fn ask(&mut self, request: wit::Request) -> wasmtime::Result<Result<Answer, LlmError>> {
        self.host_call()?;
        let access = access(self.profile.llm.as_ref())?;
        let opened = access.open(&self.call, &mut self.budget.llm, Request::from(request)).await;
        Ok(opened)
    }

    /// One line per failure: a guest answers its client in its own words. What the
    /// upstream wrote is in a line of its own, scrubbed, where it was read.
    fn reply<T>(&self, result: Result<T, LlmError>) -> Result<T, wit::Error> {
        result.map_err(|error| {
            let (blame, kind) = (error.blame(), error.kind());
            macro_rules! line {
                ($level:ident) => {
                    tracing::$level!(module.name = %self.profile.name, request.id = %self.call.id,
                        trace_id = self.call.trace.id(), blame = blame.as_str(), llm.error = kind,
                        "`{}` got no answer of a model, blame on the {blame}: {error}", self.profile.name)
                };
            }
            match blame {
                Blame::Caller => line!(info),
                Blame::Guest | Blame::Host => line!(warn),
            }
            error.into()
        })
    }
}
