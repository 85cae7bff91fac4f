//! From raw to valid: every key named once, every mistake collected.

mod auth;
mod compile;
mod database;
mod llm;
mod mcp;
mod source;
mod swap;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::limits::{MEMORY_CEILING, parse_bytes, parse_duration};
use super::problems::nearest;
use super::raw::{RawFile, RawGrants, RawLimits, RawModule, RawNamedSql, RawSqlGrant};
use super::{
    AccountsGrant, Config, Env, Flags, Grants, Location, ModuleConfig, ModuleLimits, Problems, PublicKey, SqlGrant,
    ToolGrant, egress, toolbox,
};

/// The default module when nothing else is named: where the image has it.
const DEFAULT_MODULE: &str = "modules/todo.wasm";

pub(super) fn load(flags: &Flags, env: &Env) -> Result<Config, Problems> {
    let mut problems = Problems::default();
    env.check_own_names(&mut problems);
    let raw = read_file(flags, env, &mut problems);
    let RawFile {
        listen,
        admin_listen,
        data_dir,
        cache_dir,
        h2c,
        max_in_flight,
        trusted_proxies,
        database,
        auth,
        cors,
        llm,
        mcp,
        compile,
        swap,
        dev: project,
        registry,
        signature,
        modules,
    } = raw;
    let dev = flag(env, "INNKEEPER_DEV", &mut problems).unwrap_or(false);
    let h2c = flag(env, "INNKEEPER_H2C", &mut problems).or(h2c).unwrap_or(false);

    let listen = pick(flags.listen.as_deref(), env.get("INNKEEPER_LISTEN"), listen.as_deref(), "0.0.0.0:8000");
    let listen = address("listen", listen, &mut problems);
    let admin = pick(None, env.get("INNKEEPER_ADMIN_LISTEN"), admin_listen.as_deref(), "127.0.0.1:9000");
    let admin_listen = (admin != "off").then(|| address("admin_listen", admin, &mut problems));
    let data_dir = env.get("INNKEEPER_DATA_DIR").or(data_dir.as_deref()).map(PathBuf::from);
    let cache_dir = env.get("INNKEEPER_CACHE_DIR").or(cache_dir.as_deref()).map(PathBuf::from);
    let cache_dir = cache_dir.or_else(|| Some(data_dir.as_ref()?.join("cache")));

    let llm = llm::build(llm, env, &mut problems);
    let keys = source::keys_of_all(signature, env, &mut problems);
    let modules = build_modules(modules, &keys, flags, env, &mut problems);
    for (index, module) in modules.iter().enumerate() {
        llm::check_grants(&format!("module[{index}].grants"), &module.grants, &llm, &mut problems);
    }
    let config = Config {
        listen,
        admin_listen,
        cache_dir: cache_dir.unwrap_or_else(|| default_cache_dir(env)),
        dev,
        h2c,
        max_in_flight: in_flight(env, max_in_flight, &mut problems),
        trusted_proxies: proxies(env, trusted_proxies, &mut problems),
        database: database::build(database, data_dir.as_deref(), env, &mut problems),
        auth: auth::build(auth, dev, env, &mut problems),
        otlp: super::otlp::build(env, &mut problems),
        cors_origins: auth::origins(cors, env, &mut problems),
        llm,
        mcp: mcp::build(mcp, env, &mut problems),
        compile: compile::build(compile, &mut problems),
        swap: swap::build(swap, env, &mut problems),
        project: super::project::build(project, &mut problems),
        registries: source::registries(registry, &modules, env, &mut problems),
        modules,
    };
    problems.into_result(config)
}

fn read_file(flags: &Flags, env: &Env, problems: &mut Problems) -> RawFile {
    let named = flags.config.clone().or_else(|| env.get("INNKEEPER_CONFIG").map(PathBuf::from));
    let Some(path) = named.or_else(|| Path::new("innkeeper.toml").exists().then(|| "innkeeper.toml".into())) else {
        return RawFile::default();
    };
    let name = path.display().to_string();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            problems.push(&name, format!("cannot be read: {error}"), "correct INNKEEPER_CONFIG or --config");
            return RawFile::default();
        }
    };
    parse(&name, &text, problems)
}

fn parse(name: &str, text: &str, problems: &mut Problems) -> RawFile {
    let mut unknown = Vec::new();
    let parsed = toml::Deserializer::parse(text)
        .and_then(|de| serde_ignored::deserialize(de, |path| unknown.push(path.to_string())));
    for key in unknown {
        let last = key.rsplit('.').next().unwrap_or(&key);
        let hint = match nearest(last, KEYS) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "remove it, or see docs/configuration.md for what there is".to_owned(),
        };
        problems.push(format!("{name}: {key}"), "no such key", hint);
    }
    parsed.unwrap_or_else(|error| {
        problems.push(name, error.to_string().trim_end().replace('\n', "\n    "), "correct the line");
        RawFile::default()
    })
}

/// Every key of the file, for hints.
const KEYS: [&str; 96] = [
    "keyvalue",
    "http",
    "methods",
    "header",
    "private",
    "ca",
    "http_requests",
    "http_bytes",
    "dev",
    "build",
    "registry",
    "insecure",
    "signature",
    "keys",
    "compile",
    "swap",
    "watch",
    "rollback_failures",
    "rollback_window",
    "generation_header",
    "smoke",
    "data_dir",
    "toolbox",
    "mcp",
    "public_url",
    "hosts",
    "require_auth",
    "listen",
    "admin_listen",
    "cache_dir",
    "h2c",
    "max_in_flight",
    "trusted_proxies",
    "database",
    "auth",
    "cors",
    "module",
    "url",
    "connections",
    "isolation",
    "pooled",
    "secret",
    "issuer",
    "audience",
    "jwks_url",
    "session_cache",
    "local",
    "origins",
    "name",
    "source",
    "route",
    "grants",
    "limits",
    "config",
    "sql",
    "accounts",
    "free",
    "memory",
    "cpu",
    "wall",
    "concurrency",
    "host_calls",
    "sql_rows",
    "sql_bytes",
    "sql_time",
    "llm_time",
    "llm",
    "models",
    "model",
    "dialect",
    "base_url",
    "key",
    "quirks",
    "max_completion_tokens",
    "tool_choice",
    "parallel_tool_calls",
    "strict",
    "usage",
    "developer_role",
    "temperature",
    "effort",
    "images",
    "max_output_tokens",
    "timeouts",
    "connect",
    "first_event",
    "idle",
    "total",
    "budgets",
    "requests_per_run",
    "caller",
    "anonymous",
    "host",
    "requests_per_minute",
    "input_tokens_per_day",
    "output_tokens_per_day",
];

fn pick<'a>(flag: Option<&'a str>, env: Option<&'a str>, file: Option<&'a str>, default: &'a str) -> &'a str {
    flag.or(env).or(file).unwrap_or(default)
}

fn flag(env: &Env, key: &str, problems: &mut Problems) -> Option<bool> {
    match env.get(key)? {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        other => {
            problems.push(key, format!("`{other}` is neither 1 nor 0"), "set it to 1, or remove it");
            None
        }
    }
}

fn address(key: &str, text: &str, problems: &mut Problems) -> SocketAddr {
    text.parse().unwrap_or_else(|_| {
        problems.push(key, format!("`{text}` is not an address and port"), "write it as 0.0.0.0:8000 or [::]:8000");
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

fn in_flight(env: &Env, file: Option<u32>, problems: &mut Problems) -> u32 {
    let text = env.get("INNKEEPER_MAX_IN_FLIGHT");
    let value = text.map_or(Ok(file.unwrap_or(512)), str::parse::<u32>);
    match value {
        Ok(value @ 1..=4096) => value,
        _ => {
            problems.push("max_in_flight", "not a number from 1 to 4096", "leave it out for 512");
            512
        }
    }
}

fn proxies(env: &Env, file: Option<u8>, problems: &mut Problems) -> u8 {
    let text = env.get("INNKEEPER_TRUSTED_PROXIES");
    match text.map_or(Ok(file.unwrap_or(0)), str::parse::<u8>) {
        Ok(value @ 0..=8) => value,
        _ => {
            problems.push(
                "trusted_proxies",
                "not a number from 0 to 8",
                "leave it out when there is no proxy in front",
            );
            0
        }
    }
}

/// Beside the user's other caches; under the temporary directory for a user
/// without a home.
fn default_cache_dir(env: &Env) -> PathBuf {
    if let Some(dir) = env.get("XDG_CACHE_HOME") {
        return Path::new(dir).join(crate::NAME);
    }
    match env.get("HOME") {
        Some(home) => Path::new(home).join(".cache").join(crate::NAME),
        None => std::env::temp_dir().join(crate::NAME),
    }
}

fn build_modules(
    raw: Vec<RawModule>,
    keys: &[PublicKey],
    flags: &Flags,
    env: &Env,
    problems: &mut Problems,
) -> Vec<ModuleConfig> {
    let named = flags.module.as_deref().or(env.get("INNKEEPER_MODULE"));
    let named = named.map(|named| source::location("INNKEEPER_MODULE", named, problems));
    let mut modules: Vec<ModuleConfig> = Vec::new();
    // A module that speaks no HTTP has no route: which ones do is known when they are
    // loaded, so that only what is written can clash here.
    let mut is_written: Vec<bool> = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let is_routed = raw.route.is_some();
        let module = build_module(index, raw, keys, env, problems);
        if modules.iter().any(|other| other.name == module.name) {
            problems.push(format!("module.{}", module.name), "two modules have this name", "rename one of them");
        }
        let mut others = modules.iter().zip(&is_written).filter(|(_, written)| **written && is_routed);
        if let Some((other, _)) = others.find(|(other, _)| other.route == module.route) {
            let what = format!("`{}` has the route `{}` too", other.name, module.route);
            problems.push(format!("module.{}.route", module.name), what, "give each module a prefix of its own");
        }
        is_written.push(is_routed);
        modules.push(module);
    }
    // The variable swaps the default module: the one at the root, best by its own word.
    let root = |module: &ModuleConfig| module.route == "/";
    let default = modules.iter().zip(&is_written).position(|(module, written)| *written && root(module));
    let default = default.or_else(|| modules.iter().position(root));
    match (named, default.and_then(|at| modules.get_mut(at))) {
        (Some(source), Some(default)) => default.source = source,
        (Some(source), None) => modules.push(default_module(source, keys)),
        (None, _) => {}
    }
    if modules.is_empty() {
        modules.push(default_module(Location::Path(DEFAULT_MODULE.into()), keys));
    }
    modules
}

/// What the environment alone configures: one module at the root, named after
/// its file or repository, with everything that a default guest needs.
fn default_module(source: Location, keys: &[PublicKey]) -> ModuleConfig {
    // Where local accounts are off it is told so, and goes on without.
    let grants = Grants {
        sql: Some(SqlGrant::default()),
        accounts: AccountsGrant::Granted,
        llm: Some(vec![llm::DEFAULT_ALIAS.to_owned()]),
        toolbox: Some(vec![ToolGrant::All]),
        keyvalue: true,
        http: Vec::new(),
    };
    ModuleConfig { smoke: Some("/".to_owned()), keys: keys.to_vec(), ..ModuleConfig::alone(source, grants) }
}

impl ModuleConfig {
    /// A module that is a source and nothing else: at the root, named after it.
    pub fn alone(source: Location, grants: Grants) -> Self {
        let name = source.stem().to_ascii_lowercase().replace(['_', '.'], "-");
        Self {
            name: if valid_name(&name) { name } else { "module".to_owned() },
            source,
            keys: Vec::new(),
            route: "/".to_owned(),
            grants,
            limits: ModuleLimits::default(),
            config: [].into(),
            smoke: None,
        }
    }
}

/// Whether a module may be called so.
pub fn valid_name(name: &str) -> bool {
    name.len() <= 31
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        // Schemas that are somebody else's.
        && !name.starts_with("pg-")
        && !["public", "information-schema", crate::NAME].contains(&name)
}

fn build_module(index: usize, raw: RawModule, keys: &[PublicKey], env: &Env, problems: &mut Problems) -> ModuleConfig {
    let RawModule { name, source, route, grants, limits, config, smoke, signature } = raw;
    let name = name.unwrap_or_default();
    let key = |field: &str| format!("module[{index}].{field}");
    if !valid_name(&name) {
        let what = format!("`{name}` is not a module name");
        problems.push(
            key("name"),
            what,
            "use lower-case letters, digits and dashes, at most 31, a letter first, and no name of the database's own",
        );
    }
    let source = source.unwrap_or_default();
    if source.is_empty() {
        problems.push(key("source"), "missing", "name the .wasm file of the module");
    }
    let source = source::location(&key("source"), &source, problems);
    let keys = source::keys(&key("signature"), signature, problems).unwrap_or_else(|| keys.to_vec());
    let route = route.unwrap_or_else(|| "/".to_owned());
    if !route.starts_with('/') || (route.len() > 1 && route.ends_with('/')) {
        problems.push(key("route"), format!("`{route}` is not a prefix"), "write it as / or /prefix");
    }
    let grants = build_grants(&key("grants"), grants, env, problems);
    let limits = build_limits(&key("limits"), limits, problems);
    let smoke = match smoke.as_deref() {
        Some("off") => None,
        Some(path) if !path.starts_with('/') || path.parse::<http::uri::PathAndQuery>().is_err() => {
            problems.push(key("smoke"), format!("`{path}` is not a path"), "write it as /health, or \"off\"");
            None
        }
        path => Some(path.unwrap_or(&route).to_owned()),
    };
    ModuleConfig { name, source, keys, route, grants, limits, config, smoke }
}

fn build_grants(key: &str, raw: RawGrants, env: &Env, problems: &mut Problems) -> Grants {
    let RawGrants { sql, accounts, llm, toolbox, keyvalue, http } = raw;
    let http = egress::build(&format!("{key}.http"), http.unwrap_or_default(), env, problems);
    let toolbox = toolbox.map(|named| toolbox::build(&format!("{key}.toolbox"), &named, problems));
    let accounts = match accounts {
        None => AccountsGrant::None,
        Some(false) => AccountsGrant::Withheld,
        Some(true) => AccountsGrant::Granted,
    };
    let (database, free) = match sql {
        None => return Grants { accounts, sql: None, llm, toolbox, keyvalue, http },
        Some(RawSqlGrant::Declared(database)) => (database, false),
        Some(RawSqlGrant::Named(RawNamedSql { database, free })) => (database, free),
    };
    if database != "main" {
        problems.push(format!("{key}.sql"), "no such database", "write sql = \"main\": there is one database");
    }
    Grants { sql: Some(SqlGrant { free }), accounts, llm, toolbox, keyvalue, http }
}

fn build_limits(key: &str, raw: RawLimits, problems: &mut Problems) -> ModuleLimits {
    let RawLimits {
        memory,
        cpu,
        wall,
        concurrency,
        host_calls,
        sql_rows,
        sql_bytes,
        sql_time,
        llm_time,
        http_requests,
        http_bytes,
    } = raw;
    let default = ModuleLimits::default();
    let mut bytes = |field: &str, text: Option<String>, default: usize, most: usize| match text.as_deref() {
        None => default,
        Some(text) => parse_bytes(text).filter(|bytes| *bytes <= most).unwrap_or_else(|| {
            let what = format!("`{text}` is not a size up to {} MiB", most >> 20);
            problems.push(format!("{key}.{field}"), what, "write it as 64KiB or 32MiB");
            default
        }),
    };
    let memory = bytes("memory", memory, default.memory, MEMORY_CEILING);
    let sql_bytes = bytes("sql_bytes", sql_bytes, default.sql_bytes, 64 << 20);
    let http_bytes = bytes("http_bytes", http_bytes, default.http_bytes, 1 << 30);
    let mut time = |field: &str, text: Option<String>, default| match text.as_deref() {
        None => default,
        Some(text) => parse_duration(text).unwrap_or_else(|| {
            let what = format!("`{text}` is not a duration");
            problems.push(format!("{key}.{field}"), what, "write it as 500ms, 2s or 1m");
            default
        }),
    };
    let cpu = time("cpu", cpu, default.cpu);
    let wall = time("wall", wall, default.wall);
    let sql_time = time("sql_time", sql_time, default.sql_time);
    let llm_time = time("llm_time", llm_time, default.llm_time);
    let mut count = |field: &str, value: Option<u32>, default: u32, most: u32| match value {
        None => default,
        Some(value) if (1..=most).contains(&value) => value,
        Some(value) => {
            let what = format!("{value} is not from 1 to {most}");
            problems.push(format!("{key}.{field}"), what, format!("leave it out for {default}"));
            default
        }
    };
    ModuleLimits {
        memory,
        cpu,
        wall,
        concurrency: count("concurrency", concurrency, default.concurrency, 4096),
        host_calls: count("host_calls", host_calls, default.host_calls, 1_000_000),
        sql_rows: count("sql_rows", sql_rows, default.sql_rows, 1_000_000),
        sql_bytes,
        sql_time,
        llm_time,
        http_requests: count("http_requests", http_requests, default.http_requests, 1_000),
        http_bytes,
    }
}
