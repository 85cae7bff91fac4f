use secrecy::ExposeSecret;

use super::{Config, DatabaseKind, Env, Flags, Problems};

fn load(file: &str, vars: &[(&str, &str)]) -> Result<Config, Problems> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("innkeeper.toml");
    std::fs::write(&path, file).expect("the file is written");
    let flags = Flags { config: Some(path), ..Flags::default() };
    Config::load(&flags, &Env::of(vars.iter().copied()))
}

#[track_caller]
fn refused(file: &str, vars: &[(&str, &str)], expected: &[&str]) {
    let text = load(file, vars).expect_err("a refusal").to_string();
    for part in expected {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

#[test]
fn the_environment_alone_configures_the_default_module() {
    let config = load("", &[("INNKEEPER_MODULE", "/srv/My_Notes.wasm")]).expect("valid");
    assert_eq!(config.modules.len(), 1);
    assert_eq!(config.modules[0].name, "my-notes");
    assert_eq!(config.modules[0].route, "/");
    assert!(config.modules[0].grants.sql.is_some());
    assert!(matches!(config.database.kind, DatabaseKind::Sqlite(path) if path.ends_with("innkeeper.db")));
}

#[test]
fn the_environment_wins_over_the_file_and_flags_win_over_both() {
    let file = "listen = \"127.0.0.1:1\"";
    assert_eq!(load(file, &[]).expect("valid").listen.port(), 1);
    assert_eq!(load(file, &[("INNKEEPER_LISTEN", "127.0.0.1:2")]).expect("valid").listen.port(), 2);
    let flags = Flags { listen: Some("127.0.0.1:3".into()), ..Flags::default() };
    let env = Env::of([("INNKEEPER_LISTEN", "127.0.0.1:2")]);
    assert_eq!(Config::load(&flags, &env).expect("valid").listen.port(), 3);
}

#[test]
fn every_mistake_is_told_at_once_with_its_key_and_a_hint() {
    refused(
        "listn = \"x\"\nlisten = \"nowhere\"\n[[module]]\nname = \"Todo\"\nlimits = { memory = \"9TB\", cpu = \"2\" }",
        &[("INNKEEPER_LISTENS", "x"), ("CORS_ORIGINS", "*,https://ok.example"), ("DATABASE_URL", "mysql://x")],
        &[
            "listn: no such key",
            "did you mean `listen`?",
            "`nowhere` is not an address",
            "module[0].name: `Todo` is not a module name",
            "module[0].source: missing",
            "limits.memory: `9TB` is not a size",
            "limits.cpu: `2` is not a duration",
            "INNKEEPER_LISTENS: no such setting",
            "did you mean INNKEEPER_LISTEN?",
            "`*` is not an origin",
            "neither postgres:// nor sqlite://",
        ],
    );
}

#[test]
fn two_modules_share_neither_name_nor_route() {
    refused(
        "[[module]]\nname=\"a\"\nsource=\"a.wasm\"\n[[module]]\nname=\"a\"\nsource=\"b.wasm\"",
        &[],
        &["two modules have this name", "`a` has the route `/` too"],
    );
}

#[test]
fn a_secret_comes_from_a_file_without_its_line_break() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("secret");
    std::fs::write(&path, "from-a-file\n").expect("the file is written");
    let path = path.to_str().expect("UTF-8");
    let config = load("", &[("BETTER_AUTH_SECRET_FILE", path)]).expect("valid");
    assert_eq!(config.auth.secret.expect("a secret").expose_secret(), "from-a-file");
    refused("", &[("BETTER_AUTH_SECRET_FILE", path), ("BETTER_AUTH_SECRET", "x")], &["keep one of the two"]);
    refused("", &[("BETTER_AUTH_SECRET_FILE", "/no/such/file")], &["cannot read /no/such/file"]);
    refused("[auth]\nsecret = \"plain\"", &[], &["a secret is written out in the file"]);
}

#[test]
fn no_secret_shows_in_a_debug_print() {
    let config = load("", &[("BETTER_AUTH_SECRET", "canary-1"), ("DATABASE_URL", "postgres://u:canary-2@h/d")]);
    let text = format!("{:?}", config.expect("valid"));
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn sqlalchemy_urls_mean_postgres() {
    for url in ["postgresql+asyncpg://u:p@h/d", "postgresql://u:p@h/d", "postgres://u:p@h/d"] {
        let config = load("", &[("NEON_DATABASE_URL", url)]).expect("valid");
        assert!(matches!(config.database.kind, DatabaseKind::Postgres(_)), "{url}");
    }
}

#[test]
fn a_module_is_not_named_after_a_schema_of_somebody_else() {
    for name in ["public", "innkeeper", "information-schema", "pg-catalog"] {
        let file = format!("[[module]]\nname = \"{name}\"\nsource = \"a.wasm\"");
        refused(&file, &[], &[&format!("`{name}` is not a module name")]);
        let config = load("", &[("INNKEEPER_MODULE", &format!("{name}.wasm"))]).expect("valid");
        assert_eq!(config.modules[0].name, "module");
    }
}

#[test]
fn parameters_of_a_database_url_are_checked_without_showing_them() {
    let url = |text: &str| match load("", &[("DATABASE_URL", text)]).expect("valid").database.kind {
        DatabaseKind::Postgres(postgres) => postgres.url.expose_secret().to_owned(),
        DatabaseKind::Sqlite(path) => path.display().to_string(),
    };
    assert_eq!(url("postgresql+asyncpg://u:p@h/d?ssl=require"), "postgres://u:p@h/d?sslmode=require");
    assert_eq!(
        url("postgresql://u:p@h/d?sslmode=require&channel_binding=require"),
        "postgresql://u:p@h/d?sslmode=require"
    );
    let text = load("", &[("DATABASE_URL", "postgres://u@h/d?passwrod=canary")]).expect_err("refused").to_string();
    assert!(text.contains("no such parameter: `passwrod`") && !text.contains("canary"), "{text}");
    refused("", &[("DATABASE_URL", "sqlite::memory:")], &["not the path of a file"]);
    refused("", &[("DATABASE_URL", "sqlite://a.db?mode=ro")], &["not the path of a file"]);
}
