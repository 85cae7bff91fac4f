//! The task API: `/api/{user_id}/tasks`, and `/api/tasks` for the caller's own.

pub mod body;
pub mod listing;
pub mod shape;
pub mod store;
pub mod task;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, patch};

use crate::app::{Below, family, only};
use crate::check::both;
use crate::incoming::{Incoming, Posted};
use crate::offers::changes;
use crate::reply::{self, Answer, Failure};
use crate::settings;
use body::{Change, NewTask};
use innkeeper_guest::sql::Rows;
use listing::Listing;
use task::Task;

/// Adds the route of the tasks that the path can fit.
pub fn mount(router: Router, path: &str) -> Router {
    // A user called "tasks" cannot be named in a path.
    let own = path.strip_prefix("/api/tasks").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let all = if own { "/api/tasks" } else { "/api/{user_id}/tasks" };
    let routes: [Below; 3] = [
        ("", || only("GET, POST", get(list).post(create))),
        ("/{task_id}", || only("GET, PUT, PATCH, DELETE", get(find).put(update).patch(update).delete(delete))),
        ("/{task_id}/complete", || only("POST, PATCH", patch(set_or_toggle).post(set_or_toggle))),
    ];
    family(router, path, all, routes)
}

async fn list(request: Incoming) -> Answer {
    let listing = Listing::read(&request.query)?;
    let owner = request.owner()?;
    let shape = settings::list_shape()?;
    if !shape.has_total() {
        let rows = store::list(owner, &listing)?;
        return reply::json(StatusCode::OK, &shape.wrap(&rows.all()?, &listing, 0));
    }
    let (rows, total) = store::list_and_count(owner, &listing)?;
    reply::json(StatusCode::OK, &shape.wrap(&rows.all()?, &listing, total))
}

async fn create(Posted { request, body }: Posted) -> Answer {
    let new = NewTask::read(body.as_ref(), settings::title_max()?)?;
    let answer = one(settings::create_status()?, &store::create(request.owner()?, new)?)?;
    changes::counted(None);
    Ok(answer)
}

async fn find(request: Incoming) -> Answer {
    let id = request.id()?;
    one(StatusCode::OK, &store::find(request.owner()?, id)?)
}

/// PUT and PATCH alike change what the body names: every backend surveyed treats
/// PUT as a partial update.
async fn update(Posted { request, body }: Posted) -> Answer {
    let change = Change::read(body.as_ref(), settings::title_max()?);
    let (id, change) = both(request.id(), change)?;
    let answer = one(StatusCode::OK, &store::update(request.owner()?, id, change)?)?;
    changes::changed(id);
    Ok(answer)
}

async fn set_or_toggle(Posted { request, body }: Posted) -> Answer {
    let (id, completed) = both(request.id(), body::completion(body.as_ref()))?;
    let answer = one(StatusCode::OK, &store::complete(request.owner()?, id, completed)?)?;
    changes::changed(id);
    Ok(answer)
}

/// The one task that a statement found or wrote; 404 when it met none.
fn one(status: StatusCode, rows: &Rows) -> Answer {
    reply::json(status, &rows.first::<Task>()?.ok_or(Failure::NoTask)?)
}

async fn delete(request: Incoming) -> Answer {
    let id = request.id()?;
    let status = settings::delete_status()?;
    if !store::delete(request.owner()?, id)? {
        return Err(Failure::NoTask);
    }
    changes::counted(Some(id));
    Ok(match status {
        StatusCode::NO_CONTENT => reply::of(status, ""),
        _ => reply::of(status, r#"{"message":"Task deleted successfully"}"#),
    })
}
