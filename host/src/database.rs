//! The way to the database for what the host keeps there itself: as the user of
//! `DATABASE_URL`, a few connections each. Modules have their own ways, with roles
//! of their own (`broker/sql`).

pub mod postgres;
pub mod sqlite;
