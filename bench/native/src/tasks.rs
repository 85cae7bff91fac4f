//! The todos: list the newest, add one.

use crate::{App, auth::Owner, problem::Problem};
use axum::{
    Json,
    extract::{Query, State},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Row, postgres::PgRow, types::Json as Jsonb};
use time::{OffsetDateTime, serde::rfc3339};

const LIST: &str = "SELECT id, user_id, title, description, completed, priority, due_date, tags, \
     created_at, updated_at FROM tasks WHERE user_id = $1 \
     ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3";

const CREATE: &str = "INSERT INTO tasks (user_id, title, description, completed, priority, \
     due_date, tags) VALUES ($1, $2, $3, $4, $5, $6, $7) \
     RETURNING id, user_id, title, description, completed, priority, due_date, tags, \
     created_at, updated_at";

#[derive(Serialize)]
pub(crate) struct Task {
    id: i64,
    user_id: String,
    title: String,
    description: Option<String>,
    completed: bool,
    priority: String,
    #[serde(with = "rfc3339::option")]
    due_date: Option<OffsetDateTime>,
    tags: Vec<String>,
    #[serde(with = "rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "rfc3339")]
    updated_at: OffsetDateTime,
}

// By hand: the derive would be the only use of sqlx's macros in the workspace.
impl FromRow<'_, PgRow> for Task {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let Jsonb(tags) = row.try_get("tags")?;
        Ok(Self {
            id: row.try_get("id")?,
            user_id: row.try_get("user_id")?,
            title: row.try_get("title")?,
            description: row.try_get("description")?,
            completed: row.try_get("completed")?,
            priority: row.try_get("priority")?,
            due_date: row.try_get("due_date")?,
            tags,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Priority {
    Low,
    #[default]
    Medium,
    High,
}

impl Priority {
    fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct NewTask {
    title: String,
    description: Option<String>,
    #[serde(default)]
    completed: bool,
    #[serde(default)]
    priority: Priority,
    #[serde(default, with = "rfc3339::option")]
    due_date: Option<OffsetDateTime>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct Page {
    #[serde(default = "Page::default_limit")]
    limit: i64,
    #[serde(default)]
    offset: i64,
}

impl Page {
    fn default_limit() -> i64 {
        100
    }
}

pub(crate) async fn list(
    State(app): State<App>,
    Owner(user): Owner,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Task>>, Problem> {
    if !(1..=100).contains(&page.limit) || page.offset < 0 {
        return Err(Problem::Invalid("limit is 1 to 100, offset is 0 or more"));
    }
    let tasks = sqlx::query_as(LIST).bind(user).bind(page.limit).bind(page.offset).fetch_all(&app.pool).await?;
    Ok(Json(tasks))
}

pub(crate) async fn create(
    State(app): State<App>,
    Owner(user): Owner,
    Json(new): Json<NewTask>,
) -> Result<(StatusCode, Json<Task>), Problem> {
    if !(1..=200).contains(&new.title.chars().count()) {
        return Err(Problem::Invalid("title has 1 to 200 characters"));
    }
    let task = sqlx::query_as(CREATE)
        .bind(user)
        .bind(new.title)
        .bind(new.description)
        .bind(new.completed)
        .bind(new.priority.as_str())
        .bind(new.due_date)
        .bind(Jsonb(new.tags))
        .fetch_one(&app.pool)
        .await?;
    Ok((StatusCode::CREATED, Json(task)))
}
