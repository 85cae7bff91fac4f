//! The protocol on standard input and output, for clients that start the host
//! themselves. One process is one client, and one caller.

use std::sync::{Arc, Mutex};

use rmcp::ServiceExt;

use super::asker::{Asker, Asking};
use super::handler::Handler;
use super::streams::Room;
use super::{Parts, Shared};
use crate::call::Caller;
use crate::call::trace::Trace;
use crate::mcp::seal::{Seal, now};

/// Serves until the client closes its end, or `parts.closing` is cancelled.
///
/// # Errors
/// What is wrong with the connection, for the log.
pub async fn stdio(caller: Option<Caller>, parts: Parts) -> Result<(), String> {
    let Parts { registry, changes, places, toolboxes, tasks, closing } = parts;
    // What is sealed comes back to this process.
    let seal = Seal::random().map_err(|error| error.to_string())?;
    let shared = Shared { registry, changes, places, toolboxes, seal: Arc::new(seal), tasks, closing: closing.clone() };
    let (registry, room) = (Arc::clone(&shared.registry), Room::whole());
    let asker = move || {
        let generation = registry.current().ok_or("Nothing is served at the moment")?;
        if caller.as_ref().is_some_and(|caller| caller.expires_at <= now()) {
            return Err("The token has expired; start the server again with a new one");
        }
        let id = uuid::Uuid::new_v4().simple().to_string().into();
        let (caller, trace, room) = (caller.clone(), Trace::default(), Arc::new(Room::of(&room)));
        Ok(Asker::new(Asking { id, caller, client: None, trace, generation, room, changes: Mutex::default() }))
    };
    let handler = Handler::alone(Arc::new(shared), asker);
    let serving = handler.serve_with_ct(rmcp::transport::stdio(), closing);
    let running = serving.await.map_err(|error| crate::fault::chain(&error))?;
    running.waiting().await.map(|_| ()).map_err(|error| error.to_string())
}
