use secrecy::ExposeSecret;

use super::{AccountsGrant, Config, DatabaseKind, Dialect, Env, Flags, LlmBudgets, LlmTimeouts, Problems, SqlGrant};

pub(super) fn load(file: &str, vars: &[(&str, &str)]) -> Result<Config, Problems> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("innkeeper.toml");
    std::fs::write(&path, file).expect("the file is written");
    let flags = Flags { config: Some(path), ..Flags::default() };
    Config::load(&flags, &Env::of(vars.iter().copied()))
}

#[track_caller]
pub(super) fn refused(file: &str, vars: &[(&str, &str)], expected: &[&str]) {
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
    assert_eq!(config.modules[0].grants.sql, Some(SqlGrant { free: false }));
    assert!(matches!(config.database.kind, DatabaseKind::Sqlite(path) if path.ends_with("innkeeper.db")));
}

#[test]
fn a_data_directory_holds_what_is_not_placed_elsewhere() {
    let places = |file: &str, vars: &[(&str, &str)]| {
        let config = load(file, vars).expect("valid");
        let DatabaseKind::Sqlite(database) = config.database.kind else { panic!("no file") };
        (database.display().to_string(), config.cache_dir.display().to_string())
    };
    let pair = |database: &str, cache: &str| (database.to_owned(), cache.to_owned());
    let all = ("INNKEEPER_DATA_DIR", "/data");
    assert_eq!(places("", &[all]), pair("/data/innkeeper.db", "/data/cache"));
    assert_eq!(places("data_dir = \"/srv\"", &[]), pair("/srv/innkeeper.db", "/srv/cache"));
    assert_eq!(places("data_dir = \"/srv\"", &[all]), pair("/data/innkeeper.db", "/data/cache"));
    let elsewhere = [all, ("INNKEEPER_CACHE_DIR", "/var/cache/x"), ("DATABASE_URL", "sqlite:///srv/mine.db")];
    assert_eq!(places("", &elsewhere), pair("/srv/mine.db", "/var/cache/x"));
    assert_eq!(places("", &[("HOME", "/home/ada")]), pair("innkeeper.db", "/home/ada/.cache/innkeeper"));
}

#[test]
fn an_empty_variable_counts_as_none() {
    // As compose files and ConfigMaps pass what nobody has set.
    let empty = ["OPENAI_API_KEY", "OPENAI_API_KEY_FILE", "OPENAI_BASE_URL", "DATABASE_URL", "NEON_DATABASE_URL"]
        .into_iter()
        .chain(["BETTER_AUTH_SECRET", "BETTER_AUTH_URL", "CORS_ORIGINS", "INNKEEPER_MODULE", "INNKEEPER_LISTEN"])
        .chain(["INNKEEPER_DEV", "INNKEEPER_DATA_DIR", "INNKEEPER_MAX_IN_FLIGHT", "AUTH_LOCAL", "AUTH_SESSION_CACHE"])
        .chain(["INNKEEPER_TRUSTED_PROXIES", "OTEL_EXPORTER_OTLP_ENDPOINT", "OPENAI_MODEL", "AUTH_ISSUER"]);
    let vars: Vec<(&str, &str)> = empty.map(|name| (name, "")).collect();
    let with = load("", &vars).expect("valid");
    let without = load("", &[]).expect("valid");
    // Whatever there is: `Debug` leaves secrets out, and these have none.
    assert_eq!(format!("{with:?}"), format!("{without:?}"));
    assert!(with.llm.models.is_empty());
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
        "[[module]]\nname=\"a\"\nsource=\"a.wasm\"\nroute=\"/\"\n[[module]]\nname=\"a\"\nsource=\"b.wasm\"\nroute=\"/\"",
        &[],
        &["two modules have this name", "`a` has the route `/` too"],
    );
}

#[test]
fn a_route_that_is_not_written_clashes_with_none_and_the_written_root_is_the_default() {
    let file =
        "[[module]]\nname=\"tools\"\nsource=\"a.wasm\"\n[[module]]\nname=\"todo\"\nsource=\"b.wasm\"\nroute=\"/\"";
    let config = load(file, &[("INNKEEPER_MODULE", "c.wasm")]).expect("valid");
    let sources: Vec<_> = config.modules.iter().map(|module| module.source.to_string()).collect();
    assert_eq!(sources, ["a.wasm", "c.wasm"]);
}

#[test]
fn tools_of_other_modules_are_granted_by_their_names() {
    let grant = |toolbox: &str| {
        let file = format!("[[module]]\nname=\"a\"\nsource=\"a.wasm\"\ngrants = {{ toolbox = {toolbox} }}");
        load(&file, &[]).map(|config| config.modules[0].grants.toolbox.clone())
    };
    assert_eq!(grant("[]").expect("valid"), Some(Vec::new()));
    assert_eq!(grant("[\"b\", \"c.d\", \"*\"]").expect("valid").map(|all| all.len()), Some(3));
    let problems = grant("[\"B\", \"c.\"]").expect_err("refused").to_string();
    assert!(
        problems.contains("module[0].grants.toolbox: `B` names no tools") && problems.contains("`c.`"),
        "{problems}"
    );
    assert_eq!(load("", &[]).expect("valid").modules[0].grants.toolbox.as_ref().map(Vec::len), Some(1));
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

#[test]
fn a_pooler_is_known_by_the_name_of_its_host_or_by_the_url_and_the_settings_win() {
    const DIRECT: &str = "postgres://u:p@db.example.com/d";
    const NEON: &str = "postgresql://u:p@ep-cool-darkness-123456-pooler.eu-central-1.aws.neon.tech/d?sslmode=require";
    let in_url = |value: &str| format!("{DIRECT}?pgbouncer={value}");
    let setting = |value: &'static str| ("INNKEEPER_DATABASE_POOLED", value);
    let (on, off) = ("[database]\npooled = true", "[database]\npooled = false");
    let none: &[(&str, &str)] = &[];
    for (url, file, vars, expected) in [
        (DIRECT, "", none, false),
        (NEON, "", none, true),
        // Only the first label of a name, and only its end.
        ("postgres://u:p@pooler.example.com/d", "", none, false),
        ("postgres://u:p@ep-pooler-1.example.com/d", "", none, false),
        ("postgres://u:p@db.ep-pooler.example.com/d", "", none, false),
        (&in_url("true"), "", none, true),
        (&in_url("false"), "", none, false),
        (&NEON.replace("sslmode=require", "pgbouncer=false"), "", none, false),
        (DIRECT, on, none, true),
        (NEON, off, none, false),
        (&in_url("true"), off, none, false),
        (DIRECT, "", &[setting("1")], true),
        (NEON, "", &[setting("0")], false),
        (&in_url("true"), "", &[setting("0")], false),
        (DIRECT, on, &[setting("0")], false),
        (DIRECT, off, &[setting("1")], true),
    ] {
        let vars = [&[("DATABASE_URL", url)][..], vars].concat();
        let DatabaseKind::Postgres(postgres) = load(file, &vars).expect("valid").database.kind else {
            panic!("no Postgres: {url}")
        };
        assert_eq!(postgres.pooled, expected, "{url} {file} {vars:?}");
        // The driver does not know the parameter.
        assert!(!postgres.url.expose_secret().contains("pgbouncer"), "{url}");
    }
    refused("", &[setting("yes")], &["INNKEEPER_DATABASE_POOLED: `yes` is neither 1 nor 0"]);
}

#[test]
fn keys_are_looked_for_where_better_auth_serves_them() {
    let jwks = |vars: &[(&str, &str)]| load("", vars).expect("valid").auth.jwks.map(|url| url.to_string());
    assert_eq!(jwks(&[]), None);
    for (base, expected) in [
        ("http://localhost:3000", "http://localhost:3000/api/auth/jwks"),
        ("https://app.example.com/", "https://app.example.com/api/auth/jwks"),
        ("https://app.example.com/auth/", "https://app.example.com/auth/jwks"),
    ] {
        assert_eq!(jwks(&[("BETTER_AUTH_URL", base)]).as_deref(), Some(expected));
    }
    let both = [("BETTER_AUTH_URL", "http://a.example"), ("AUTH_JWKS_URL", "http://b.example/keys")];
    assert_eq!(jwks(&both).as_deref(), Some("http://b.example/keys"));
    assert_eq!(load("", &both).expect("valid").auth.url.expect("a URL").as_str(), "http://a.example/");
}

#[test]
fn mistakes_about_identity_name_their_key() {
    let bad = "not an http:// or https:// URL";
    refused("", &[("BETTER_AUTH_URL", "app.example.com")], &["BETTER_AUTH_URL", bad]);
    refused("", &[("BETTER_AUTH_URL", "ftp://app.example.com")], &["BETTER_AUTH_URL", bad]);
    refused("", &[("AUTH_JWKS_URL", "https://user:canary@app.example.com/keys")], &["AUTH_JWKS_URL", bad]);
    refused("[auth]\njwks_url = \"keys\"", &[], &["auth.jwks_url", bad]);
    refused("", &[("AUTH_SESSION_CACHE", "31")], &["AUTH_SESSION_CACHE", "from 0 to 30"]);
    refused("", &[("AUTH_SESSION_CACHE", "often")], &["AUTH_SESSION_CACHE", "from 0 to 30"]);
    refused("", &[("BETTER_AUTH_SECRETS", "new,old")], &["BETTER_AUTH_SECRETS", "has no version"]);
    refused("", &[("BETTER_AUTH_SECRETS", "1: ")], &["BETTER_AUTH_SECRETS", "empty"]);
}

#[test]
fn the_first_of_several_secrets_signs() {
    let vars = [("BETTER_AUTH_SECRET", "oldest"), ("BETTER_AUTH_SECRETS", "2:new:er,1:old")];
    let config = load("", &vars).expect("valid");
    assert_eq!(config.auth.secret.expect("a secret").expose_secret(), "new:er");
    let config = load("", &[("AUTH_ISSUER", "https://a.example, https://b.example")]).expect("valid");
    assert_eq!(config.auth.issuers, ["https://a.example", "https://b.example"]);
}

#[test]
fn local_accounts_are_on_where_they_are_switched_on_and_in_development() {
    let local = |file: &str, vars: &[(&str, &str)]| load(file, vars).expect("valid").auth.local;
    let secret = ("BETTER_AUTH_SECRET", "a-secret-for-tests-only");
    assert!(!local("", &[secret]));
    assert!(local("", &[secret, ("AUTH_LOCAL", "1")]));
    assert!(local("[auth]\nlocal = true", &[secret]));
    assert!(!local("[auth]\nlocal = true", &[secret, ("AUTH_LOCAL", "0")]));
    assert!(local("", &[("INNKEEPER_DEV", "1")]));
    assert!(!local("", &[("INNKEEPER_DEV", "1"), ("AUTH_LOCAL", "0")]));
    refused("", &[("AUTH_LOCAL", "1")], &["AUTH_LOCAL: there is no secret to sign tokens with", "BETTER_AUTH_SECRET"]);
    refused("", &[secret, ("AUTH_LOCAL", "yes")], &["AUTH_LOCAL: `yes` is neither 1 nor 0"]);
    refused("", &[("INNKEEPER_TRUSTED_PROXIES", "9")], &["trusted_proxies: not a number from 0 to 8"]);
}

#[test]
fn a_module_of_the_file_has_accounts_as_the_file_says() {
    let grant = |grants: &str| {
        let file = format!("[[module]]\nname = \"a\"\nsource = \"a.wasm\"\ngrants = {{ {grants} }}");
        load(&file, &[]).expect("valid").modules[0].grants.accounts
    };
    assert_eq!(grant(""), AccountsGrant::None);
    assert_eq!(grant("sql = \"main\""), AccountsGrant::None);
    assert_eq!(grant("accounts = true"), AccountsGrant::Granted);
    assert_eq!(grant("sql = \"main\", accounts = false"), AccountsGrant::Withheld);
    assert_eq!(load("", &[]).expect("valid").modules[0].grants.accounts, AccountsGrant::Granted);
}

#[test]
fn the_environment_configures_the_default_model_and_nothing_without_a_key() {
    assert!(load("", &[("OPENAI_MODEL", "gpt-4o")]).expect("valid").llm.models.is_empty());
    let config = load("", &[("OPENAI_API_KEY", " sk-1 \n")]).expect("valid");
    let [model] = &config.llm.models[..] else { panic!("one model") };
    assert_eq!((&*model.alias, &*model.model, model.dialect), ("default", "gpt-4.1-mini", Dialect::Chat));
    assert_eq!(model.base_url.as_str(), "https://api.openai.com/v1");
    assert_eq!(model.key.as_ref().expect("a key").expose_secret(), "sk-1");
    assert!(model.quirks.max_completion_tokens);
    assert_eq!(config.modules[0].grants.llm.as_deref(), Some(&["default".to_owned()][..]));
    // An Ollama asks for no key, and has other models.
    let ollama = [("OPENAI_BASE_URL", "http://ollama:11434/v1/"), ("OPENAI_MODEL", "llama3.2")];
    let config = load("", &ollama).expect("valid");
    let model = &config.llm.models[0];
    assert_eq!((model.base_url.as_str(), &*model.model), ("http://ollama:11434/v1", "llama3.2"));
    assert!(model.key.is_none() && !model.quirks.max_completion_tokens);
    refused("", &ollama[..1], &["OPENAI_MODEL: OPENAI_BASE_URL names a server without a key", "llama3.2"]);
    let responses = [("OPENAI_API_KEY", "k"), ("INNKEEPER_LLM_DIALECT", "responses")];
    assert_eq!(load("", &responses).expect("valid").llm.models[0].dialect, Dialect::Responses);
}

#[test]
fn models_and_budgets_come_from_the_file() {
    let file = "
        [llm.models.default]
        model = \"qwen3\"
        base_url = \"http://vllm:8000/v1\"
        quirks = { max_completion_tokens = true, images = false, effort = true }
        max_output_tokens = 512
        timeouts = { first_event = \"2m\", total = \"10m\" }
        [llm.models.smart]
        model = \"gpt-5\"
        dialect = \"responses\"
        key = \"env:SMART_KEY\"
        [llm.budgets]
        requests_per_run = 4
        caller = { requests_per_minute = 3, output_tokens_per_day = 0 }
        host = { output_tokens_per_day = 1_000_000 }
        [[module]]
        name = \"a\"
        source = \"a.wasm\"
        grants = { llm = [\"smart\", \"default\"] }
        limits = { llm_time = \"10m\" }
    ";
    // A key in the environment must not reach the server of the file's model.
    let config = load(file, &[("SMART_KEY", "sk-2"), ("OPENAI_API_KEY", "sk-1"), ("OPENAI_MODEL", "other")]);
    let config = config.expect("valid");
    let [default, smart] = &config.llm.models[..] else { panic!("two models") };
    assert!(default.key.is_none() && default.model == "qwen3" && default.max_output_tokens == 512);
    assert!(default.quirks.effort && default.quirks.max_completion_tokens && !default.quirks.images);
    assert_eq!(default.timeouts.first_event.as_secs(), 120);
    assert_eq!(default.timeouts.idle, LlmTimeouts::default().idle);
    assert_eq!((smart.dialect, smart.key.as_ref().expect("a key").expose_secret()), (Dialect::Responses, "sk-2"));
    let (budgets, usual) = (config.llm.budgets, LlmBudgets::default());
    assert_eq!((budgets.requests_per_run, budgets.caller.requests_per_minute), (4, 3));
    assert_eq!((budgets.caller.output_tokens_per_day, budgets.host.output_tokens_per_day), (0, 1_000_000));
    assert_eq!((budgets.anonymous, budgets.caller.concurrency), (usual.anonymous, usual.caller.concurrency));
    assert_eq!(config.modules[0].grants.llm.as_deref(), Some(&["smart".to_owned(), "default".to_owned()][..]));
    assert_eq!(config.modules[0].limits.llm_time.as_secs(), 600);
}

#[test]
fn every_mistake_about_models_is_told_at_once() {
    refused(
        "
        [llm.models.Big]
        dialect = \"legacy\"
        base_url = \"ftp://x\"
        key = \"sk-canary\"
        max_output_tokens = 0
        quirks = { image = true }
        timeouts = { idle = \"soon\" }
        [llm.budgets]
        requests_per_run = 0
        caller = { requests_per_minut = 1 }
        [[module]]
        name = \"a\"
        source = \"a.wasm\"
        grants = { llm = [\"default\", \"small\"] }
        ",
        &[
            ("OPENAI_API_KEY", "canary key"),
            ("OPENAI_BASE_URL", "https://user:canary@x/v1"),
            ("INNKEEPER_LLM_DIALECT", "x"),
        ],
        &[
            "llm.models.Big: not an alias",
            "llm.models.Big.model: missing",
            "llm.models.Big.dialect: `legacy` is neither chat nor responses",
            "llm.models.Big.base_url: neither http:// nor https://",
            "llm.models.Big.key: a secret is written out",
            "llm.models.Big.max_output_tokens: not from 1",
            "llm.models.Big.quirks.image: no such key",
            "did you mean `images`?",
            "llm.models.Big.timeouts.idle: `soon` is not a duration",
            "llm.budgets.requests_per_run: not from 1",
            "llm.budgets.caller.requests_per_minut: no such key",
            "OPENAI_API_KEY: empty, or holds a character",
            "OPENAI_BASE_URL: holds a user or a password",
            "INNKEEPER_LLM_DIALECT: `x` is neither chat nor responses",
            "module[0].grants.llm: no model `small` is configured",
            "add [llm.models.small]",
        ],
    );
    let text = load("", &[("OPENAI_API_KEY", "canary key"), ("OPENAI_BASE_URL", "https://u:canary@x")]);
    assert!(!text.expect_err("refused").to_string().contains("canary"));
    // A module may be granted the default before there is one.
    load("[[module]]\nname=\"a\"\nsource=\"a.wasm\"\ngrants={llm=[\"default\"]}", &[]).expect("valid");
}

#[test]
fn mistakes_about_swaps_name_their_key() {
    let file = "[swap]\nrollback_failures = 101\nrollback_window = \"soon\"\n[compile]\nmemory = \"1KiB\"\ncpu = \"500ms\"\n\
                [[module]]\nname = \"a\"\nsource = \"a.wasm\"\nsmoke = \"health\"\n";
    let expected = [
        "swap.rollback_failures: 101 is not from 0 to 100",
        "swap.rollback_window: `soon` is not a duration",
        "compile.memory: `1KiB` is not a size",
        "compile.cpu: `500ms` is not a number of whole seconds",
        "module[0].smoke: `health` is not a path",
        "INNKEEPER_WATCH: `maybe` is neither 1 nor 0",
    ];
    refused(file, &[("INNKEEPER_WATCH", "maybe")], &expected);
}

#[test]
fn a_module_answers_its_route_before_it_is_served_unless_the_file_says_otherwise() {
    let smoke = |line: &str| {
        let file = format!("[[module]]\nname = \"a\"\nsource = \"a.wasm\"\nroute = \"/a\"\n{line}");
        load(&file, &[]).expect("valid").modules.remove(0).smoke
    };
    assert_eq!(smoke("").as_deref(), Some("/a"));
    assert_eq!(smoke("smoke = \"/a/health?x=1\"").as_deref(), Some("/a/health?x=1"));
    assert_eq!(smoke("smoke = \"off\""), None);
}

#[test]
fn what_counts_after_a_restart_is_named() {
    let old = load("max_in_flight = 5", &[("OPENAI_API_KEY", "sk-one")]).expect("valid");
    let new = load("[mcp]\nrequire_auth = true\n[[module]]\nname = \"a\"\nsource = \"a.wasm\"", &[]).expect("valid");
    assert_eq!(old.differs(&new), ["max_in_flight", "llm", "mcp"]);
    assert!(old.differs(&old).is_empty());
}

#[test]
fn modules_come_from_files_and_registries_and_from_nowhere_else() {
    let named = |source: &str| load("", &[("INNKEEPER_MODULE", source)]).map(|config| config.modules[0].clone());
    let module = named("oci://ghcr.io/acme/todo_list.v2:1.2").expect("valid");
    assert_eq!(
        (&*module.name, module.source.to_string()),
        ("todo-list-v2", "oci://ghcr.io/acme/todo_list.v2:1.2".into())
    );
    assert!(module.keys.is_empty());
    let problems = named("https://example.com/todo.wasm").expect_err("refused").to_string();
    assert!(problems.contains("INNKEEPER_MODULE: modules do not come by `https://`"), "{problems}");
    assert!(problems.contains("download it and name the file"), "{problems}");
    refused(
        "[registry]\ninsecure = [\"ada@x\"]\nca = \"/nowhere.pem\"\n[[module]]\nname=\"a\"\nsource=\"oci://ghcr.io/todo\"",
        &[],
        &[
            "registry.insecure: `ada@x` is no registry",
            "registry.ca: cannot read /nowhere.pem",
            "module[0].source: `oci://ghcr.io/todo`: it has neither",
        ],
    );
}

#[test]
fn a_password_is_for_one_registry() {
    let login = [("INNKEEPER_REGISTRY_USERNAME", "ada"), ("INNKEEPER_REGISTRY_PASSWORD", "canary-7")];
    let module = |name: &str, registry: &str| {
        format!("[[module]]\nname=\"{name}\"\nsource=\"oci://{registry}/{name}:1\"\nroute=\"/{name}\"\n")
    };
    let two = [module("a", "ghcr.io"), module("b", "ghcr.io")].concat();
    let config = load(&two, &login).expect("valid");
    assert_eq!(config.registries.login.as_ref().expect("a login").registry.as_deref(), Some("ghcr.io"));
    assert!(!format!("{config:?}").contains("canary-7"));
    let other = [module("a", "ghcr.io"), module("b", "quay.io")].concat();
    refused(&other, &login, &["modules come from `ghcr.io`, `quay.io`"]);
    refused("", &login[..1], &["INNKEEPER_REGISTRY_PASSWORD: INNKEEPER_REGISTRY_USERNAME is set without it"]);
    refused("", &login[1..], &["INNKEEPER_REGISTRY_USERNAME: INNKEEPER_REGISTRY_PASSWORD is set without it"]);
}

#[test]
fn who_signs_is_said_for_all_modules_or_for_one() {
    const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAeYH3wlAAZFZmFaXQvOAO1mceNq+LzoePjktu76+7msM=\n-----END PUBLIC KEY-----\n";
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str| dir.path().join(name).display().to_string();
    let (all, own, none) = (file("all.pem"), file("own.pem"), file("none.pem"));
    for key in [&all, &own] {
        std::fs::write(key, KEY).expect("written");
    }
    let toml = format!(
        "[signature]\nkeys = [\"{all}\"]\n[[module]]\nname=\"a\"\nsource=\"a.wasm\"\nroute=\"/a\"\n\
         [[module]]\nname=\"b\"\nsource=\"b.wasm\"\nroute=\"/b\"\nsignature = {{ keys = [\"{own}\"] }}\n"
    );
    let of = |vars: &[(&str, &str)]| {
        let modules = load(&toml, vars).expect("valid").modules;
        modules.iter().map(|module| module.keys[0].file.display().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(of(&[]), [all.clone(), own.clone()]);
    assert_eq!(of(&[("INNKEEPER_SIGNATURE_KEYS", &own)]), [own.clone(), own.clone()]);
    let both = format!("{all}, {own}");
    assert_eq!(load("", &[("INNKEEPER_SIGNATURE_KEYS", &both)]).expect("valid").modules[0].keys.len(), 2);
    // A check that is asked for and checks nothing is a mistake, and never no check.
    refused("[signature]\nkeys = []", &[], &["signature.keys: 0 keys"]);
    refused("", &[("INNKEEPER_SIGNATURE_KEYS", &none)], &["INNKEEPER_SIGNATURE_KEYS: cannot read"]);
    refused("[signature]\nkey = [\"x\"]", &[], &["missing field `keys`"]);
}
