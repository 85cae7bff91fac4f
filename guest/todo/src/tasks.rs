//! The task API: `/api/{user_id}/tasks`, and `/api/tasks` for the caller's own.

pub mod body;
pub mod listing;
pub mod shape;
pub mod store;
pub mod task;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, patch};

use crate::app::only;
use crate::check::both;
use crate::incoming::{Incoming, Posted};
use crate::reply::{self, Answer, Failure};
use crate::settings;
use body::{Change, NewTask};
use listing::Listing;

/// Adds the routes of the tasks.
pub fn mount(mut router: Router) -> Router {
    for [all, one, complete] in [
        [
            "/api/{user_id}/tasks",
            "/api/{user_id}/tasks/{task_id}",
            "/api/{user_id}/tasks/{task_id}/complete",
        ],
        [
            "/api/tasks",
            "/api/tasks/{task_id}",
            "/api/tasks/{task_id}/complete",
        ],
    ] {
        router = router
            .route(all, only("GET, POST", get(list).post(create)))
            .route(
                one,
                only(
                    "GET, PUT, PATCH, DELETE",
                    get(find).put(update).patch(update).delete(delete),
                ),
            )
            .route(
                complete,
                only("POST, PATCH", patch(set_or_toggle).post(set_or_toggle)),
            );
    }
    router
}

async fn list(request: Incoming) -> Answer {
    let listing = Listing::read(&request.query)?;
    let owner = request.owner()?;
    let shape = settings::list_shape()?;
    if !shape.has_total() {
        let tasks = store::list(owner, &listing)?;
        return reply::json(StatusCode::OK, &shape.wrap(&tasks, &listing, 0));
    }
    let (tasks, total) = store::list_and_count(owner, &listing)?;
    reply::json(StatusCode::OK, &shape.wrap(&tasks, &listing, total))
}

async fn create(Posted { request, body }: Posted) -> Answer {
    let new = NewTask::read(body.as_ref(), settings::title_max()?)?;
    let task = store::create(request.owner()?, new)?
        .ok_or_else(|| Failure::broken("INSERT returned no row"))?;
    reply::json(settings::create_status()?, &task)
}

async fn find(request: Incoming) -> Answer {
    let id = request.task_id()?;
    let task = store::find(request.owner()?, id)?.ok_or(Failure::NoTask)?;
    reply::json(StatusCode::OK, &task)
}

/// PUT and PATCH alike change what the body names: every backend surveyed treats
/// PUT as a partial update.
async fn update(Posted { request, body }: Posted) -> Answer {
    let change = Change::read(body.as_ref(), settings::title_max()?);
    let (id, change) = both(request.task_id(), change)?;
    let task = store::update(request.owner()?, id, change)?.ok_or(Failure::NoTask)?;
    reply::json(StatusCode::OK, &task)
}

async fn set_or_toggle(Posted { request, body }: Posted) -> Answer {
    let (id, completed) = both(request.task_id(), body::completion(body.as_ref()))?;
    let task = store::complete(request.owner()?, id, completed)?.ok_or(Failure::NoTask)?;
    reply::json(StatusCode::OK, &task)
}

async fn delete(request: Incoming) -> Answer {
    let id = request.task_id()?;
    let status = settings::delete_status()?;
    if !store::delete(request.owner()?, id)? {
        return Err(Failure::NoTask);
    }
    Ok(match status {
        StatusCode::NO_CONTENT => reply::of(status, ""),
        _ => reply::of(status, r#"{"message":"Task deleted successfully"}"#),
    })
}
