//! The host's side of each import. A broker knows nothing of guests: only its
//! `host.rs` speaks WIT, and every denial is in its `policy.rs`.

pub mod http;
pub mod identity;
pub mod keyvalue;
pub mod llm;
pub mod notify;
pub mod sql;
pub mod toolbox;
