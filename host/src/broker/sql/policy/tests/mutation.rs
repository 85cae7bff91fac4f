//! Seeded random damage to the texts of the data files. Whatever still passes
//! is read again by the parser's own visitor, which knows nothing of the walk.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::SystemTime;

use sqlparser::ast::{Expr, ObjectName, Query, Statement, Visit, Visitor};
use sqlparser::dialect::{Dialect as Grammar, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;

use super::super::lists;
use super::{Dialect, POSTGRES, POSTGRES_MIGRATIONS, SQLITE, SQLITE_MIGRATIONS, Tables, cases, migrate};
use super::{own_tables, vet_with};

const ROUNDS: usize = 4_000;

/// Words that matter, put where they do not belong.
const WORDS: &str = "select from where ( ) , . ; * with as recursive insert into values update set delete returning \
    union all on join left lateral for update pg_class pg_sleep set_config sqlite_master tasks notes other todo main \
    ' \" ` [ ] $1 $2 ? -- /* */ :: || - + -> ->> @> null default not in exists case when then end over filter \
    order by group having limit offset only table create index drop alter references primary key a b x id 1 2 'a' \
    interval cast ctid rowid current_user into temp returning conflict do nothing any array collate";

/// xorshift64*: good enough for damage, and the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound.max(1)
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

fn mutate(random: &mut Random, corpus: &[&str], words: &[&str]) -> String {
    let mut parts = pieces(random.of(corpus));
    for _ in 0..=random.below(4) {
        let at = random.below(parts.len());
        match random.below(6) {
            0 => drop(parts.splice(at..at + usize::from(at < parts.len()), [])),
            1 => parts.insert(at, random.of(words).to_owned()),
            2 if !parts.is_empty() => parts[at] = random.of(words).to_owned(),
            3 if !parts.is_empty() => parts.insert(at, parts[at].clone()),
            4 => parts.extend(pieces(random.of(corpus)).into_iter().skip(at)),
            _ => parts.truncate(at + 1),
        }
    }
    parts.join(["", " "][random.below(4).min(1)])
}

/// Words and single signs, spaces with the word before them.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for c in text.chars() {
        let joins = |last: &String| (c == ' ' || c.is_alphanumeric()) && last.chars().all(char::is_alphanumeric);
        match pieces.last_mut() {
            Some(last) if joins(last) => last.push(c),
            _ => pieces.push(c.to_string()),
        }
    }
    pieces
}

/// What a statement names, collected without the walk.
#[derive(Default)]
struct Named {
    relations: Vec<ObjectName>,
    declared: BTreeSet<String>,
    calls: Vec<String>,
}

impl Visitor for Named {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.relations.push(relation.clone());
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        self.declared.extend(ctes.map(|cte| cte.alias.name.value.clone()));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.calls.push(function.name.to_string());
        }
        ControlFlow::Continue(())
    }
}

fn read(sql: &str, dialect: Dialect) -> Statement {
    let grammar: &dyn Grammar = match dialect {
        Dialect::Postgres => &PostgreSqlDialect {},
        Dialect::Sqlite => &SQLiteDialect {},
    };
    let mut statements = Parser::parse_sql(grammar, sql).expect("a print can be parsed");
    assert_eq!(statements.len(), 1, "more than one statement in {sql}");
    statements.remove(0)
}

fn check_print(sql: &str, dialect: Dialect, tables: &Tables) {
    let statement = read(sql, dialect);
    assert_eq!(statement.to_string(), sql);
    let mut named = Named::default();
    assert!(statement.visit(&mut named).is_continue());
    for relation in &named.relations {
        assert!(is_known(relation, dialect, tables, &named.declared), "{relation} in {sql}");
    }
    for call in &named.calls {
        let is_listed = lists::allows_function(call, dialect) || lists::allows_clock(call);
        assert!(is_listed, "{call} in {sql}");
    }
}

fn is_known(name: &ObjectName, dialect: Dialect, tables: &Tables, declared: &BTreeSet<String>) -> bool {
    let parts: Vec<&str> = name.0.iter().filter_map(|part| Some(part.as_ident()?.value.as_str())).collect();
    match (parts.as_slice(), dialect) {
        ([name], Dialect::Sqlite) => tables.contains(name) || declared.contains(*name),
        ([name], Dialect::Postgres) => declared.contains(*name),
        (["todo", name], Dialect::Postgres) => tables.contains(name),
        _ => false,
    }
}

/// The print, read as a guest's text, must be let by and printed the same.
fn check_fixpoint(sql: &str, dialect: Dialect, tables: &Tables) {
    let bare = |sql: &str| sql.replace("\"todo\".", "");
    let as_guest = bare(sql).replace('?', "$");
    let is_faithful = !sql.contains('\'') && (dialect == Dialect::Sqlite || !sql.contains('?'));
    if is_faithful && as_guest.len() <= 16 * 1024 {
        let again = vet_with(&as_guest, dialect, tables).map(|vetted| bare(vetted.sql()));
        assert_eq!(again, Ok(bare(sql)));
    }
}

fn run(seed: u64) -> usize {
    let mut random = Random(seed | 1);
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let statements: Vec<&str> = cases(POSTGRES).chain(cases(SQLITE)).map(|(text, _)| text).collect();
    let scopes = [Dialect::Postgres, Dialect::Sqlite].map(|dialect| (dialect, own_tables(dialect)));
    let mut passed = 0;
    for _ in 0..ROUNDS {
        let text = mutate(&mut random, &statements, &words);
        for (dialect, tables) in &scopes {
            let Ok(vetted) = vet_with(&text, *dialect, tables) else {
                continue;
            };
            passed += 1;
            check_print(vetted.sql(), *dialect, tables);
            check_fixpoint(vetted.sql(), *dialect, tables);
        }
    }
    passed
}

fn run_migrations(seed: u64) -> usize {
    let mut random = Random(seed | 1);
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let files = cases(POSTGRES_MIGRATIONS).chain(cases(SQLITE_MIGRATIONS));
    // The accepted ones build on each other; here each meets the usual tables.
    let own = |text: &str| text.replace("things", "tasks").replace("items", "tasks").replace("lists", "notes");
    let own: Vec<String> = files.map(|(text, _)| own(text)).collect();
    let statements: Vec<&str> = own.iter().map(String::as_str).collect();
    let mut passed = 0;
    for _ in 0..ROUNDS / 2 {
        let text = mutate(&mut random, &statements, &words);
        for dialect in [Dialect::Postgres, Dialect::Sqlite] {
            let mut tables = own_tables(dialect);
            let Ok(vetted) = migrate(&text, dialect, &mut tables) else {
                continue;
            };
            passed += vetted.statements().len();
            vetted.statements().for_each(|sql| assert_eq!(read(sql, dialect).to_string(), sql));
            assert!(tables.iter().all(|name| !name.contains(['"', '`', '.']) && !name.starts_with("pg_")));
        }
    }
    passed
}

/// Prints the seed first: a failure shows it, and it can be put here.
fn seeds() -> [u64; 2] {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seeds = [20_261_121, now.subsec_nanos().into()];
    eprintln!("seeds {seeds:?}");
    seeds
}

#[test]
fn damaged_statements_never_name_what_is_not_theirs() {
    let passed: usize = seeds().into_iter().map(run).sum();
    assert!(passed > ROUNDS / 10, "only {passed} passed: the damage is too great to prove anything");
}

#[test]
fn damaged_migrations_never_print_what_reads_differently() {
    let passed: usize = seeds().into_iter().map(run_migrations).sum();
    assert!(passed > ROUNDS / 100, "only {passed} passed: the damage is too great to prove anything");
}
