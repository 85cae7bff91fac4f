//! What a version of a module asks for and what it has, in items by which two versions
//! can be compared: whoever approves a version approves these.

use std::collections::BTreeMap;
use std::fmt;

use super::declaration::Declaration;
use super::manifest::Manifest;

/// What kind of item it is, in the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An interface of the host's.
    Import,
    /// A declared statement that reads.
    Read,
    /// A declared statement that writes.
    Write,
    /// A table of its own.
    Table,
    /// A migration.
    Migration,
    /// A tool.
    Tool,
    /// A prompt.
    Prompt,
    /// A template of resources.
    Template,
}

impl Kind {
    /// Whether more of it is more that the module can do to others.
    fn is_power(self) -> bool {
        matches!(self, Self::Import | Self::Write)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Import => "import",
            Self::Read => "statement that reads,",
            Self::Write => "statement that writes,",
            Self::Table => "table",
            Self::Migration => "migration",
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Template => "template",
        })
    }
}

/// All items of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asks(BTreeMap<(Kind, String), String>);

/// How an item differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It is new.
    New,
    /// It is gone.
    Gone,
    /// It is another one by the same name.
    Other,
}

/// One difference between two versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// How it differs.
    pub how: How,
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What it says now, where that is worth reading.
    pub text: String,
}

impl Difference {
    /// Whether the newer version can do more by it.
    pub fn is_more(&self) -> bool {
        self.kind.is_power() && self.how != How::Gone
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.how {
            How::New => '+',
            How::Gone => '-',
            How::Other => '~',
        };
        write!(f, "{sign} {} {}", self.kind, self.name)
    }
}

impl Asks {
    pub(super) fn new(imports: impl Iterator<Item = String>, declaration: Option<&Declaration>) -> Self {
        let mut asks = Self::default();
        for import in imports {
            // A newer patch of WASI is the same interface.
            let name = import.split_once('@').map_or(import.as_str(), |(name, _)| name).to_owned();
            asks.put(Kind::Import, name, String::new());
        }
        let Some(Declaration { statements, schema }) = declaration else { return asks };
        for statement in statements {
            let kind = if statement.vetted.writes() { Kind::Write } else { Kind::Read };
            asks.put(kind, statement.name.to_string(), statement.text.to_string());
        }
        for table in schema.tables.iter() {
            let owner = schema.owned.iter().find(|(name, _)| name == table);
            let owner = owner.map(|(_, column)| format!("rows belong to the caller in `{column}`"));
            asks.put(Kind::Table, table.to_owned(), owner.unwrap_or_default());
        }
        for migration in &schema.migrations {
            asks.put(Kind::Migration, format!("{} {}", migration.version, migration.name), String::new());
        }
        asks
    }

    pub(super) fn and_offers(mut self, manifest: &Manifest) -> Self {
        let offered = manifest.describe();
        for (kind, list) in [(Kind::Tool, "tools"), (Kind::Prompt, "prompts"), (Kind::Template, "templates")] {
            for item in offered[list].as_array().into_iter().flatten() {
                self.put(kind, item["name"].as_str().unwrap_or_default().to_owned(), item.to_string());
            }
        }
        self
    }

    fn put(&mut self, kind: Kind, name: String, text: String) {
        self.0.insert((kind, name), text);
    }

    /// What is different from an older version, what asks for more first.
    pub fn since(&self, older: &Self) -> Vec<Difference> {
        let difference = |how, (kind, name): &(Kind, String), text: &str| {
            let (name, text) = (name.clone(), text.to_owned());
            Difference { how, kind: *kind, name, text }
        };
        let now = self.0.iter().filter_map(|(item, text)| match older.0.get(item) {
            None => Some(difference(How::New, item, text)),
            Some(before) if before != text => Some(difference(How::Other, item, text)),
            Some(_) => None,
        });
        let gone =
            older.0.keys().filter(|item| !self.0.contains_key(*item)).map(|item| difference(How::Gone, item, ""));
        let mut all: Vec<Difference> = now.chain(gone).collect();
        all.sort_by_key(|difference| (!difference.is_more(), difference.kind, difference.name.clone()));
        all
    }
}
