//! The first request of a new version is the host's own: whoever cannot answer it is
//! not published. It has no caller, and comes once for each version.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::BodyExt;

use super::NotPublished;
use super::live::Version;
use crate::broker::sql::Readiness;
use crate::call::{Call, Deadline, Notices, trace::Trace};
use crate::dispatch;
use crate::offers::Toolboxes;
use crate::registry::Generation;

/// Whether a new version answers. What it offers beside HTTP was asked for when it was
/// loaded.
pub(super) async fn ask(
    toolboxes: &Toolboxes,
    generation: &Arc<Generation>,
    version: &Version,
) -> Result<(), NotPublished> {
    let guest = version.guest();
    let is_away = guest.profile.sql.as_ref().is_some_and(|sql| sql.readiness() != Readiness::Up);
    let Some(path) = version.config.smoke.as_ref().filter(|_| guest.exports.http.is_some() && !is_away) else {
        return Ok(());
    };
    let refused = |why| NotPublished::Smoke { module: version.config.name.clone(), path: path.clone(), why };
    // Guests' libraries take a request without a host for a broken one.
    let request = Request::get(format!("http://{}{path}", crate::NAME)).header(header::HOST, crate::NAME);
    let request = request.header(header::USER_AGENT, crate::NAME).body(Bytes::new());
    let request = request.map_err(|error| refused(error.to_string()))?;
    let call = Call {
        id: "smoke".into(),
        caller: None,
        client: None,
        deadline: Deadline::after(guest.profile.limits.wall),
        trace: Trace::default(),
        notices: Notices::default(),
        toolbox: toolboxes.of(generation, guest),
    };
    let failed = |error: dispatch::Failed| refused(crate::fault::chain(&error));
    let answer = dispatch::run(guest, call, request, ()).await.map_err(failed)?;
    let (head, mut body) = answer.into_parts();
    if dispatch::is_broken(head.status) {
        return Err(refused(format!("it answered {}", head.status.as_u16())));
    }
    // To its end, which is the deadline's at the latest, and 8 MiB at the most.
    while let Some(frame) = body.frame().await {
        frame.map_err(failed)?;
    }
    Ok(())
}
