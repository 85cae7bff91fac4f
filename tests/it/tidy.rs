//! The host's source, read as text: arrows point down, outside names stay where
//! they belong, files stay small. A list of exceptions may only shrink.

use std::path::Path;

/// Each unit with its layer. The longest prefix counts.
const LAYERS: [(&str, u8); 23] = [
    ("main", 9),
    ("cli", 9),
    ("app", 8),
    ("server", 8),
    ("front", 7),
    ("admin", 7),
    ("mcp", 6),
    ("swap", 6),
    ("offers", 5),
    ("registry", 4),
    ("dispatch", 4),
    ("engine", 2),
    ("instance", 2),
    ("broker", 1),
    ("otlp", 1),
    ("config", 0),
    ("database", 0),
    ("call", 0),
    ("fault", 0),
    ("memory", 0),
    ("telemetry", 0),
    ("tls", 0),
    ("bindings", 0),
];
/// The layer of `broker/*/host.rs`: they know guests, the rest of a broker does not.
const BROKER_HOST: u8 = 3;

/// Arrows between siblings, each with its reason.
const SIBLINGS: [(&str, &str, &str); 4] = [
    ("app", "server", "the composition root runs the server"),
    ("admin", "front", "it reports on the state that the front holds"),
    ("instance", "engine", "a budget is counted in the engine's ticks"),
    ("call", "bindings", "a call carries the way to other modules' tools, which speaks of them in wit's words"),
];

/// Names of outside crates and of the process, and the files that may know them.
const NAMES: [(&str, &[&str]); 11] = [
    (
        "wasmtime",
        &[
            "engine",
            "bindings",
            "instance",
            "dispatch",
            "registry",
            "broker::identity::host",
            "broker::keyvalue::host",
            "broker::llm::host",
            "broker::notify::host",
            "broker::sql::host",
            "broker::toolbox::host",
        ],
    ),
    ("hyper::", &["server", "broker::http"]),
    ("rmcp::", &["mcp"]),
    ("jsonschema::", &["registry::manifest::schema"]),
    ("hyper_util::", &["server", "broker::http", "broker::identity::keys::fetch", "otlp::exporter"]),
    ("opentelemetry", &["call::trace", "otlp"]),
    // `telemetry` keeps what it logs out of the log.
    ("async_openai", &["broker::llm::upstream", "telemetry"]),
    ("reqwest", &["broker::llm::upstream", "registry::oci", "telemetry"]),
    // Better Auth's tables are not a guest's: their SQL, of local accounts too,
    // is in one place.
    (
        "sqlx::",
        &[
            "broker::sql::backend",
            "broker::sql::pool",
            "broker::identity::tables",
            "broker::keyvalue",
            "broker::llm::ledger",
            "database",
        ],
    ),
    ("std::env", &["config", "cli", "main"]),
    ("ExitCode", &["cli", "main"]),
];

/// Files that name what they should not, each with its reason.
const NAMED_ANYWAY: [(&str, &str, &str); 1] =
    [("app", "wasmtime", "it holds the engine, and StartError carries the engine's error")];

const CEILING: usize = 250;
/// No reason lifts a file above it.
const NEVER: usize = 500;
/// Files over the ceiling, each with its reason.
const LARGE: [(&str, &str); 4] = [
    ("broker/sql.rs", "the broker's public surface, in the one order that every broker has"),
    ("broker/sql/backend/postgres.rs", "one driver: leases, migrations, statements and errors share its types"),
    ("broker/sql/backend/sqlite.rs", "the other driver, in the same order"),
    ("config/build.rs", "from raw to valid, key by key"),
];

struct Source {
    /// Below `host/src`.
    file: String,
    /// `front::admit`
    unit: String,
    /// Without tests.
    lines: Vec<String>,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src");
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the host's source") {
            let path = entry.expect("an entry").path();
            let file = path.strip_prefix(&root).expect("below").display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if !file.split(['/', '.']).any(|part| part == "tests") {
                let text = std::fs::read_to_string(&path).expect("text");
                // A test module is the end of its file.
                let lines =
                    text.lines().take_while(|line| !line.starts_with("mod tests {")).map(str::to_owned).collect();
                sources.push(Source { unit: file.trim_end_matches(".rs").replace('/', "::"), file, lines });
            }
        }
    }
    assert!(sources.len() > 40, "the host's source is elsewhere");
    sources
}

fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// The table's entry for a path such as `broker::sql::value`, and its layer.
fn place(path: &str) -> Option<(String, u8)> {
    let parts: Vec<&str> = path.split("::").collect();
    if let ["broker", broker, rest @ ..] = &parts[..] {
        let layer = if rest.first() == Some(&"host") { BROKER_HOST } else { 1 };
        return Some((format!("broker::{broker}"), layer));
    }
    LAYERS.iter().find(|(unit, _)| *unit == parts[0]).map(|(unit, layer)| ((*unit).to_owned(), *layer))
}

/// Every `crate::` path of a text with the byte where it starts, groups taken apart.
fn paths(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, start) in text.match_indices("crate::") {
        expand("", &text[at + start.len()..], &mut |path| found.push((at, path)));
    }
    found
}

/// One path, or each of a group; returns what it has read.
fn expand(prefix: &str, text: &str, found: &mut impl FnMut(String)) -> usize {
    let name = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(text.len());
    let prefix = format!("{prefix}{}", &text[..name]);
    if !text[name..].starts_with('{') {
        found(prefix);
        return name;
    }
    let mut at = name + 1;
    while at < text.len() && !text[at..].starts_with('}') {
        let skipped = text[at..].find(|c: char| c != ',' && !c.is_whitespace()).unwrap_or(0);
        at += skipped;
        if text[at..].starts_with('}') {
            break;
        }
        at += expand(&prefix, &text[at..], found).max(1);
    }
    at + 1
}

#[test]
fn groups_of_imports_are_taken_apart() {
    let text = "use crate::broker::{\n    identity, sql::{self, value::Rows},\n};\nlet a = crate::fault::chain(&b);";
    let found: Vec<String> = paths(text).into_iter().map(|(_, path)| path).collect();
    assert_eq!(found, ["broker::identity", "broker::sql::self", "broker::sql::value::Rows", "fault::chain"]);
}

#[test]
fn arrows_point_down() {
    let mut wrong = Vec::new();
    let mut used = Vec::new();
    for source in sources().iter().filter(|source| source.unit != "lib") {
        let Some((from, layer)) = place(&source.unit) else { panic!("{} has no layer in tidy.rs", source.file) };
        let text: String = source.lines.iter().map(|line| format!("{}\n", code(line))).collect();
        for (at, path) in paths(&text) {
            // `crate::NAME` and `crate::VERSION` are everybody's.
            let Some((to, below)) = place(&path) else { continue };
            let sibling = SIBLINGS.iter().position(|(a, b, _)| (*a, *b) == (&*from, &*to));
            used.extend(sibling);
            if below >= layer && to != from && sibling.is_none() {
                let line = text[..at].matches('\n').count() + 1;
                wrong.push(format!("host/src/{}:{line}: {from} ({layer}) names {path} ({below})", source.file));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unused = SIBLINGS.iter().enumerate().find(|(index, _)| !used.contains(index));
    assert!(unused.is_none(), "nobody needs it any more: {unused:?}");
}

#[test]
fn outside_names_stay_where_they_belong() {
    let mut wrong = Vec::new();
    let mut used = 0;
    for source in sources() {
        for (name, units) in NAMES {
            if units.iter().any(|unit| source.unit == *unit || source.unit.starts_with(&format!("{unit}::"))) {
                continue;
            }
            let mut lines = source.lines.iter().enumerate().filter(|(_, line)| code(line).contains(name));
            if NAMED_ANYWAY.iter().any(|(unit, anyway, _)| *unit == source.unit && *anyway == name) {
                used += usize::from(lines.next().is_some());
                continue;
            }
            wrong.extend(lines.map(|(line, _)| format!("host/src/{}:{} names {name}", source.file, line + 1)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(used, NAMED_ANYWAY.len(), "an exception that nobody needs any more");
}

/// What `innkeeper new` copies is listed by hand, folder by folder.
#[test]
fn no_file_of_a_new_project_is_forgotten() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let listed = std::fs::read_to_string(root.join("host/src/cli/new/files.rs")).expect("text");
    let lists: Vec<(&str, Vec<&str>)> = listed
        .split("files! { \"")
        .skip(1)
        .map(|list| {
            let (folder, rest) = list.split_once('"').expect("a folder");
            let files = rest.split("};").next().unwrap_or_default().split('"').skip(1).step_by(2);
            (folder, files.collect())
        })
        .collect();
    let languages = std::fs::read_dir(root.join("host/templates")).expect("templates").count();
    assert_eq!(lists.len(), 4 + 3 * languages, "a list for each folder");
    for (folder, listed) in lists {
        let mut there = Vec::new();
        let mut folders = vec![root.join(folder)];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(&next).expect("a folder of templates") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true if path.ends_with("__pycache__") => {}
                    true => folders.push(path),
                    false => there.push(path.strip_prefix(root.join(folder)).expect("below").display().to_string()),
                }
            }
        }
        there.sort();
        assert_eq!(listed, there, "{folder}");
    }
}

#[test]
fn files_stay_small() {
    for source in sources() {
        let (lines, reason) = (source.lines.len(), LARGE.iter().find(|(file, _)| *file == source.file));
        let most = if reason.is_some() { NEVER } else { CEILING };
        assert!(lines <= most, "host/src/{} has {lines} lines, and {most} are the most", source.file);
        assert!(reason.is_none() || lines > CEILING, "{} is small again: take it off the list", source.file);
    }
}

#[test]
fn nothing_is_unwrapped_and_nothing_left_undone_without_a_kind() {
    const KINDS: [&str; 3] = ["TODO-hardening", "TODO-correctness", "TODO-coverage"];
    let mut wrong = Vec::new();
    for source in sources() {
        for (number, line) in source.lines.iter().enumerate() {
            let undone =
                line.contains("FIXME") || (line.contains("TODO") && !KINDS.iter().any(|kind| line.contains(kind)));
            if undone || code(line).contains(".unwrap()") {
                wrong.push(format!("host/src/{}:{}: {}", source.file, number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The documentation names tests that show what it promises; they have to be there.
#[test]
fn the_tests_that_the_documentation_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("docs/security.md")).expect("text");
    let words = text.split('`').skip(1).step_by(2).map(|word| word.trim_start_matches("cargo xtask test "));
    let mut named = 0;
    for word in words.filter(|word| word.contains("::")) {
        let (module, test) = word.split_once("::").expect("two parts");
        let file = root.join(format!("tests/it/{module}.rs"));
        let below = root.join(format!("tests/it/{module}"));
        let unit = root.join(format!("host/src/broker/{module}/{test}/tests.rs"));
        let is_there = match test {
            "" => file.exists(),
            test => {
                below.join(format!("{test}.rs")).exists()
                    || unit.exists()
                    || std::fs::read_to_string(&file).is_ok_and(|text| text.contains(&format!("fn {test}")))
            }
        };
        assert!(is_there, "docs/security.md names `{word}`, and there is no such test");
        named += 1;
    }
    assert!(named > 20, "{named} tests are named");
}
