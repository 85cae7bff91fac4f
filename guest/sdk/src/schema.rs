//! The export behind [`schema!`](crate::schema!).

use crate::sql::Statement;

#[doc(hidden)]
pub mod bindings {
    #![allow(missing_docs, clippy::all)]
    wit_bindgen::generate!({
        path: "../../wit",
        world: "innkeeper:backend/schema-exports",
        pub_export_macro: true,
        export_macro_name: "export_schema",
        default_bindings_module: "innkeeper_guest::schema::bindings",
    });
}

pub use bindings::exports::innkeeper::backend::schema::{Declaration, Guest, Migration, OwnedTable};

/// Declares what the module stores and runs:
///
/// ```ignore
/// schema! {
///     statements: [LIST, CREATE],
///     migrations: [(1, "create tasks", "sql/0001.postgres.sql", "sql/0001.sqlite.sql")],
///     owned: [("tasks", "user_id")],
/// }
/// ```
#[macro_export]
macro_rules! schema {
    (
        statements: [$($statement:expr),* $(,)?],
        migrations: [$(($version:literal, $name:literal, $postgres:literal, $sqlite:literal)),* $(,)?],
        owned: [$(($table:literal, $owner:literal)),* $(,)?] $(,)?
    ) => {
        struct InnkeeperSchema;

        impl $crate::schema::Guest for InnkeeperSchema {
            fn declare() -> $crate::schema::Declaration {
                $crate::schema::Declaration {
                    statements: [$($statement),*].into_iter().map($crate::schema::statement).collect(),
                    migrations: vec![$($crate::schema::Migration {
                        version: $version,
                        name: $name.into(),
                        postgres: include_str!($postgres).into(),
                        sqlite: include_str!($sqlite).into(),
                    }),*],
                    owned: vec![$($crate::schema::OwnedTable { table: $table.into(), owner_column: $owner.into() }),*],
                }
            }
        }

        $crate::schema::bindings::export_schema!(InnkeeperSchema with_types_in $crate::schema::bindings);
    };
}

#[doc(hidden)]
pub fn statement(statement: Statement) -> bindings::exports::innkeeper::backend::schema::Statement {
    bindings::exports::innkeeper::backend::schema::Statement {
        name: statement.name.into(),
        text: statement.text.into(),
        postgres: statement.postgres.map(Into::into),
        sqlite: statement.sqlite.map(Into::into),
    }
}
