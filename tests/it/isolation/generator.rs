//! Random hostile statements: fragments of the grammar put together, and the
//! attacks cut up and sewn together anew. One seed gives one sequence.

use fastrand::Rng;

use super::attacks::{Compared, all};

/// What takes long, or the session away, and has an attack of its own.
const LEFT_OUT: [&str; 15] = [
    "sleep",
    "_timeout",
    "ALTER ROLE",
    "ALTER USER",
    "terminate",
    "cancel_backend",
    "generate_series",
    "repeat(",
    "lpad(",
    "_mem",
    "database_to_xml",
    "check_interval",
    "array_fill",
    "clock",
    "DISCARD",
];

pub(super) struct Generator {
    rng: Rng,
    corpus: Vec<&'static str>,
    words: Vec<&'static str>,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        let attacks = all();
        let texts = attacks
            .iter()
            .filter(|attack| attack.compared != Compared::Nothing)
            .flat_map(|attack| attack.texts.iter().copied());
        let corpus: Vec<&str> = texts.filter(|text| !LEFT_OUT.iter().any(|word| text.contains(word))).collect();
        let words = corpus.iter().flat_map(|text| text.split(' ')).collect();
        Self { rng: Rng::with_seed(seed), corpus, words }
    }

    /// The next statement.
    pub(super) fn statement(&mut self) -> String {
        match self.rng.u8(..10) {
            0..4 => self.select(3),
            4 => self.write(),
            5..7 => self.mutant(),
            7 => format!("{}; {}", self.mutant(), self.select(1)),
            8 => self.disguised(),
            _ => format!("WITH w AS ({}) SELECT * FROM w", if self.rng.bool() { self.write() } else { self.select(1) }),
        }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.usize(..from.len())]
    }

    fn select(&mut self, depth: u8) -> String {
        let (list, from) = (self.list(depth), self.relation(depth));
        let mut text = format!("SELECT {list} FROM {from}");
        if self.rng.bool() {
            text += &format!(" WHERE {}", self.condition(depth));
        }
        match self.rng.u8(..8) {
            0 => text += &format!(" ORDER BY {}", self.expression(1)),
            1 => text += " LIMIT 5 OFFSET 1",
            2 => text += &format!(" {} {}", self.pick(&["UNION ALL", "EXCEPT", "INTERSECT"]), "SELECT 'a', 'b'"),
            3 => text += " FOR UPDATE",
            _ => {}
        }
        text
    }

    fn list(&mut self, depth: u8) -> String {
        match self.rng.u8(..5) {
            0 => "*".to_owned(),
            1 => "count(*)".to_owned(),
            2 => "owner, body".to_owned(),
            _ => format!("{}, {}", self.expression(depth), self.expression(1)),
        }
    }

    fn relation(&mut self, depth: u8) -> String {
        let plain = [
            "secrets",
            "hostile.secrets",
            "board",
            "secrets AS s",
            "ONLY secrets",
            "innkeeper.key",
            "innkeeper.login",
            "pg_policies",
        ];
        match self.rng.u8(..8) {
            0 if depth > 0 => format!("({}) AS q", self.select(depth - 1)),
            1 if depth > 0 => format!("secrets, LATERAL ({}) AS l", self.select(depth - 1)),
            2 => format!(
                "secrets AS a {} JOIN secrets AS b ON {}",
                self.pick(&["LEFT", "FULL", "INNER"]),
                self.condition(0)
            ),
            3 => "secrets AS a CROSS JOIN board".to_owned(),
            4..7 => "secrets".to_owned(),
            _ => self.pick(&plain).to_owned(),
        }
    }

    fn condition(&mut self, depth: u8) -> String {
        match self.rng.u8(..9) {
            0 => "owner = 'alice'".to_owned(),
            1 => "owner <> 'mallory' OR true".to_owned(),
            2 => format!("{} IS NOT NULL", self.expression(depth)),
            3 => format!("{} = {}", self.expression(depth), self.expression(0)),
            4 if depth > 0 => format!("EXISTS ({})", self.select(depth - 1)),
            5 => format!("NOT ({})", if depth > 0 { self.condition(depth - 1) } else { "false".to_owned() }),
            6 => "body LIKE '%VICTIM%'".to_owned(),
            7 => "1 / (CASE WHEN body LIKE 'VICTIM%' THEN 0 ELSE 1 END) = 1".to_owned(),
            _ => "true".to_owned(),
        }
    }

    fn expression(&mut self, depth: u8) -> String {
        let leaves = [
            "owner",
            "body",
            "1",
            "'alice'",
            "NULL",
            "true",
            "'{seal}'",
            "current_user",
            "innkeeper.caller()",
            "current_setting('innkeeper.caller', true)",
            "'mallory'",
            "'innkeeper.caller'",
            "ctid::text",
        ];
        let settings = ["'alice'", "'{seal}'", "body", "current_setting('innkeeper.caller', true)"];
        if depth == 0 {
            return self.pick(&leaves).to_owned();
        }
        match self.rng.u8(..9) {
            0 => format!("set_config('innkeeper.caller', {}, {})", self.pick(&settings), self.rng.bool()),
            1 => format!("(SELECT {} FROM secrets LIMIT 1)", self.expression(depth - 1)),
            2 => format!(
                "CAST({} AS {})",
                self.expression(depth - 1),
                self.pick(&["integer", "uuid", "jsonb", "text", "bytea"])
            ),
            3 => format!(
                "{}({})",
                self.pick(&["upper", "md5", "length", "max", "string_agg", "quote_literal", "encode", "reverse"]),
                self.expression(depth - 1)
            ),
            4 => format!("replace({}, 'mallory', 'alice')", self.expression(depth - 1)),
            5 => format!("CASE WHEN {} THEN {} END", self.condition(0), self.expression(depth - 1)),
            6 => format!(
                "innkeeper.enter('{}')",
                self.pick(&["{token}", "{expired}", "{forged}", "{elsewhere}", "{own}", "00"])
            ),
            7 => format!("query_to_xml('{}', true, false, '')::text", self.select(0).replace('\'', "''")),
            _ => self.pick(&leaves).to_owned(),
        }
    }

    fn write(&mut self) -> String {
        let returning = self.pick(&["", " RETURNING *", " RETURNING owner, body"]);
        let (value, condition) = (self.expression(2), self.condition(1));
        let text = match self.rng.u8(..7) {
            0 => format!("INSERT INTO secrets (owner, body) VALUES ({}, 'forged')", self.pick(&["'alice'", "'mallory'", "''"])),
            1 => format!("INSERT INTO board (note) SELECT {value} FROM secrets WHERE {condition}"),
            2 => format!("UPDATE secrets SET body = {value} WHERE {condition}"),
            3 => format!("UPDATE secrets SET owner = 'alice' WHERE {condition}"),
            4 => format!("DELETE FROM secrets WHERE {condition}"),
            5 => format!("UPDATE secrets AS a SET body = b.body FROM secrets AS b WHERE {}", "b.owner = 'alice' OR a.owner <> b.owner"),
            _ => "INSERT INTO secrets (owner, id, body) VALUES ('alice', '00000000-0000-0000-0000-000000000001', 'x') ON CONFLICT (owner, id) DO UPDATE SET body = secrets.body".to_owned(),
        };
        text + returning
    }

    /// An attack with some of its words changed.
    fn mutant(&mut self) -> String {
        let corpus = std::mem::take(&mut self.corpus);
        let mut words: Vec<&str> = self.pick(&corpus).split(' ').collect();
        for _ in 0..self.rng.usize(1..4) {
            let at = self.rng.usize(..words.len());
            match self.rng.u8(..5) {
                0 if words.len() > 1 => drop(words.remove(at)),
                1 => words.insert(at, words[at]),
                2 => words.swap(at, 0),
                3 => words.extend(self.pick(&corpus).split(' ').skip(at)),
                _ => words[at] = self.pick(&self.words.clone()),
            }
        }
        self.corpus = corpus;
        words.join(" ")
    }

    /// A statement in another spelling of the same.
    fn disguised(&mut self) -> String {
        let text = self.select(2);
        match self.rng.u8(..5) {
            0 => text.replace(' ', "/**/"),
            1 => text.to_uppercase().replace("'ALICE'", "'alice'"),
            2 => text.replace("secrets", "U&\"s\\0065crets\""),
            3 => text.replace("set_config", "pg_catalog.\"set_config\"").replace("owner", "\"owner\""),
            _ => format!("{text} -- {}", self.select(0)),
        }
    }
}

#[test]
fn a_seed_gives_one_sequence_and_hardly_a_statement_twice() {
    let sequence = |seed| {
        let mut generator = Generator::new(seed);
        (0..2_000).map(|_| generator.statement()).collect::<Vec<_>>()
    };
    let first = sequence(1);
    assert_eq!(first, sequence(1));
    assert_ne!(first, sequence(2));
    let distinct: std::collections::HashSet<_> = first.iter().collect();
    assert!(distinct.len() > 1_700, "{}", distinct.len());
}
