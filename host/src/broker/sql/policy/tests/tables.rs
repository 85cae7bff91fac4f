//! What a vetted text says about itself, and what a migration leaves behind.

use super::{Dialect, Tables, migrate, own_tables, vet_with};

#[track_caller]
fn check_facts(text: &str, writes: bool, parameters: usize) {
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        let Ok(vetted) = vet_with(text, dialect, &own_tables(dialect)) else {
            continue;
        };
        assert_eq!((vetted.writes(), vetted.parameters()), (writes, parameters), "{text} on {dialect:?}");
    }
    let tables = own_tables(Dialect::Postgres);
    assert!(vet_with(text, Dialect::Postgres, &tables).is_ok(), "{text}");
}

#[test]
fn a_statement_knows_whether_it_writes_and_what_it_binds() {
    check_facts("select 1", false, 0);
    check_facts("select $2, $1, $2", false, 2);
    check_facts("select * from tasks where title = $1 limit $2 offset $3", false, 3);
    check_facts("insert into tasks (id) values ($1) returning id", true, 1);
    check_facts("update tasks set title = $1 where id = $2", true, 2);
    check_facts("delete from tasks", true, 0);
    check_facts("with a as (delete from tasks where id = $1 returning id) select * from a", true, 1);
    check_facts("with a as (select 1 as x) insert into tasks (id) select x from a", true, 0);
    let all: Vec<String> = (1..=64).map(|n| format!("${n}")).collect();
    check_facts(&format!("select {}", all.join(", ")), false, 64);
}

/// Runs a migration on the usual tables and compares the names it leaves.
#[track_caller]
fn check_left(text: &str, left: &[&str]) {
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        let mut tables = own_tables(dialect);
        migrate(text, dialect, &mut tables).expect("the migration is allowed");
        assert_eq!(tables.iter().collect::<Vec<_>>(), left, "{text} on {dialect:?}");
    }
}

#[test]
fn a_migration_leaves_the_tables_it_makes() {
    check_left("", &["notes", "tasks"]);
    check_left(";;", &["notes", "tasks"]);
    check_left("create table a (id integer)", &["a", "notes", "tasks"]);
    check_left("create table if not exists tasks (id integer)", &["notes", "tasks"]);
    check_left("drop table notes; drop table tasks", &[]);
    check_left("alter table tasks rename to jobs; create index a on jobs (id)", &["jobs", "notes"]);
    check_left("alter table tasks rename to jobs; create table tasks (id integer)", &["jobs", "notes", "tasks"]);
    check_left("create table a (id integer references a (id)); insert into a values (1)", &["a", "notes", "tasks"]);
    check_left("drop index by_title; create index by_title on notes (id)", &["notes", "tasks"]);
    check_left("drop table tasks; create index by_title on notes (id)", &["notes"]);
}

#[track_caller]
fn check_changes_nothing(text: &str) {
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        let mut tables = own_tables(dialect);
        let before: Tables = tables.clone();
        assert!(migrate(text, dialect, &mut tables).is_err(), "{text}");
        assert_eq!(tables, before, "{text}");
    }
}

#[test]
fn a_refused_migration_changes_nothing() {
    check_changes_nothing("create table a (id integer); create table a (id integer)");
    check_changes_nothing("drop table tasks; insert into tasks values (1)");
    check_changes_nothing("alter table tasks rename to jobs; delete from tasks");
    check_changes_nothing("drop index by_title; drop index by_title");
    check_changes_nothing("drop table tasks; drop index by_title");
    check_changes_nothing("create table a (id integer); set role x");
}
