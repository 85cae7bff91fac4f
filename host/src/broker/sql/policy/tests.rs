use super::{Denied, Dialect, Scope, Tables, Vetted, VettedMigration, vet, vet_migration};

mod limits;
mod mutation;
mod tables;

const SCHEMA: &str = "todo";

const POSTGRES: &str = include_str!("tests/postgres.txt");
const SQLITE: &str = include_str!("tests/sqlite.txt");
const POSTGRES_MIGRATIONS: &str = include_str!("tests/postgres_migrations.txt");
const SQLITE_MIGRATIONS: &str = include_str!("tests/sqlite_migrations.txt");

/// What the statement cases may name.
const OWN: &str = "create table tasks (id integer, title text); create table notes (id integer);
    create index by_title on tasks (title)";

enum Expect<'a> {
    Sent(&'a str),
    Refused(&'a str),
}

/// The cases of a data file: a text, and what becomes of it.
fn cases(file: &str) -> impl Iterator<Item = (&str, Expect<'_>)> {
    let lines = file.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    let lines: Vec<&str> = lines.collect();
    let pairs: Vec<_> = lines.chunks(2).map(|pair| (pair[0], expectation(pair[1]))).collect();
    pairs.into_iter()
}

fn expectation(line: &str) -> Expect<'_> {
    match line.split_at(2) {
        ("= ", print) => Expect::Sent(print),
        ("! ", reason) => Expect::Refused(reason),
        _ => panic!("neither an expected print nor a reason: {line}"),
    }
}

#[track_caller]
fn check(text: &str, outcome: Result<String, Denied>, expect: &Expect<'_>) {
    match (outcome, expect) {
        (Ok(sent), Expect::Sent(print)) => assert_eq!(sent, *print, "{text}"),
        (Err(denied), Expect::Refused(part)) => {
            assert!(denied.to_string().contains(part), "{text}\nwas refused for another reason: {denied}");
        }
        (Ok(sent), Expect::Refused(_)) => panic!("{text}\npassed as {sent}"),
        (Err(denied), Expect::Sent(_)) => panic!("{text}\nwas refused: {denied}"),
    }
}

fn own_tables(dialect: Dialect) -> Tables {
    let mut tables = Tables::default();
    migrate(OWN, dialect, &mut tables).expect("the tables of the tests are allowed");
    tables
}

fn migrate(text: &str, dialect: Dialect, tables: &mut Tables) -> Result<VettedMigration, Denied> {
    vet_migration(text, dialect, SCHEMA, tables)
}

fn vet_with(text: &str, dialect: Dialect, tables: &Tables) -> Result<Vetted, Denied> {
    vet(text, &Scope { dialect, schema: SCHEMA, tables })
}

#[track_caller]
fn check_statements(file: &str, dialect: Dialect) {
    let tables = own_tables(dialect);
    for (text, expect) in cases(file) {
        check(text, vet_with(text, dialect, &tables).map(|vetted| vetted.sql().to_owned()), &expect);
    }
}

/// Accepted migrations build on each other, refused ones on the usual tables.
#[track_caller]
fn check_migrations(file: &str, dialect: Dialect) {
    let mut built = Tables::default();
    for (text, expect) in cases(file) {
        let mut usual = own_tables(dialect);
        let tables = if matches!(expect, Expect::Sent(_)) { &mut built } else { &mut usual };
        let printed = |vetted: VettedMigration| vetted.statements().collect::<Vec<_>>().join("; ");
        check(text, migrate(text, dialect, tables).map(printed), &expect);
    }
}

#[test]
fn postgres_statements_are_printed_or_refused() {
    check_statements(POSTGRES, Dialect::Postgres);
}

#[test]
fn sqlite_statements_are_printed_or_refused() {
    check_statements(SQLITE, Dialect::Sqlite);
}

#[test]
fn postgres_migrations_are_printed_or_refused() {
    check_migrations(POSTGRES_MIGRATIONS, Dialect::Postgres);
}

#[test]
fn sqlite_migrations_are_printed_or_refused() {
    check_migrations(SQLITE_MIGRATIONS, Dialect::Sqlite);
}

/// A case that is in the way is changed or argued about, not dropped.
#[test]
fn the_data_files_are_not_shrinking() {
    assert!(cases(POSTGRES).count() > 500);
    assert!(cases(SQLITE).count() > 200);
    assert!(cases(POSTGRES_MIGRATIONS).count() > 140);
    assert!(cases(SQLITE_MIGRATIONS).count() > 140);
}
