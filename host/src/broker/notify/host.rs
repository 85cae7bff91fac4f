//! `innkeeper:backend/notify`: converts, passes on.

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker};

use crate::bindings::imports::innkeeper::backend::notify as wit;
use crate::broker::notify::{data, is_address, words};
use crate::call::notice::{Audience, Change, Changed, Notice};
use crate::instance::State;

/// Gives a guest the interface.
///
/// # Errors
/// When it was given before.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

impl wit::Host for State {
    fn progress(&mut self, progress: f64, total: Option<f64>, message: Option<String>) -> wasmtime::Result<()> {
        self.host_call()?;
        // JSON has no other numbers.
        if progress.is_finite() {
            let (total, message) = (total.filter(|total| total.is_finite()), message.map(words));
            self.call.notices.tell(Notice::Progress { progress, total, message });
        }
        Ok(())
    }

    fn log(&mut self, level: wit::Level, logger: Option<String>, text: String) -> wasmtime::Result<()> {
        self.host_call()?;
        self.log_line(&text);
        if self.call.notices.are_heard() {
            let (level, logger) = (level as u8, logger.map(words));
            self.call.notices.tell(Notice::Log { level, logger, data: data(&text) });
        }
        Ok(())
    }

    fn list_changed(&mut self, which: wit::Listing, audience: wit::Audience) -> wasmtime::Result<()> {
        self.host_call()?;
        let what = match which {
            wit::Listing::Tools => Changed::Tools,
            wit::Listing::Resources => Changed::Resources,
            wit::Listing::Prompts => Changed::Prompts,
        };
        self.publish(what, audience);
        Ok(())
    }

    fn resource_updated(&mut self, uri: String, audience: wit::Audience) -> wasmtime::Result<()> {
        self.host_call()?;
        if is_address(&uri) {
            self.publish(Changed::Resource(uri.into()), audience);
        }
        Ok(())
    }
}

impl State {
    fn publish(&self, what: Changed, audience: wit::Audience) {
        let audience = match audience {
            wit::Audience::Everyone => Audience::Everyone,
            wit::Audience::Caller => {
                Audience::Caller(self.call.caller.as_ref().map(|caller| caller.subject.as_str().into()))
            }
        };
        self.call.notices.publish(Change { module: Arc::clone(&self.profile.name), what, audience });
    }
}
