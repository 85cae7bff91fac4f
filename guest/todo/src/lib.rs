//! The default guest: a todo API that answers as the FastAPI backends do.
//!
//! An ordinary axum app. [`app`] mounts the routes, one module per feature;
//! [`incoming`] turns a request into its parts in FastAPI's order; [`check`] is
//! validation as pydantic does it; [`reply`] is every answer, good and bad.

pub mod accounts;
pub mod app;
pub mod chat;
pub mod chatkit;
pub mod check;
#[cfg(test)]
mod golden;
pub mod incoming;
pub mod json;
pub mod offers;
pub mod openapi;
pub mod pages;
pub mod reply;
pub mod settings;
pub mod tasks;
pub mod tools;
