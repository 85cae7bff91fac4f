//! Where traces go, by OpenTelemetry's own variables: a cluster that sets them
//! for all its services need not learn others. They are read only when an
//! endpoint is set. A variable for traces alone (`OTEL_EXPORTER_OTLP_TRACES_…`)
//! wins over the one for all signals.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use rustls::RootCertStore;
use secrecy::{ExposeSecret, SecretString};

use super::{Env, Problems, certificates};

/// What the specification says when nothing is set.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A batch that takes longer only keeps the next ones waiting.
const TIMEOUT_CEILING: Duration = Duration::from_secs(60);

/// A collector, and what it is told.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// The URL that spans are posted to.
    pub endpoint: Uri,
    /// Fields of each request; marked as sensitive, for one may be a key.
    pub headers: HeaderMap,
    /// Time for one batch, with all tries.
    pub timeout: Duration,
    /// Which traces.
    pub sampler: Sampler,
    /// What this process is called; later pairs win.
    pub resource: Vec<(String, String)>,
    /// Trusted instead of the usual roots.
    pub roots: Option<RootCertStore>,
}

/// Which traces are exported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// A caller's decision counts, when it sends one.
    pub parent_based: bool,
    /// The part of all others, from 0 to 1.
    pub ratio: f64,
}

pub(super) fn build(env: &Env, problems: &mut Problems) -> Option<Otlp> {
    if env.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return None;
    }
    let (key, url, path) = match env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        Some(url) => ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url, ""),
        None => ("OTEL_EXPORTER_OTLP_ENDPOINT", env.get("OTEL_EXPORTER_OTLP_ENDPOINT")?, "/v1/traces"),
    };
    match env.get("OTEL_TRACES_EXPORTER") {
        None | Some("otlp") => {}
        Some("none") => return None,
        Some(other) => {
            let what = format!("`{other}` is neither otlp nor none");
            problems.push("OTEL_TRACES_EXPORTER", what, "remove it: Innkeeper exports traces by OTLP");
        }
    }
    refuse_unsupported(env, problems);
    let endpoint = endpoint(url, path).unwrap_or_else(|what| {
        problems.push(key, what, "write it as http://collector:4318 or https://collector.example.com");
        Uri::default()
    });
    Some(Otlp {
        endpoint,
        headers: headers(env, problems),
        timeout: timeout(env, problems),
        sampler: sampler(env, problems),
        resource: resource(env, problems),
        roots: roots(env, problems),
    })
}

/// The variable for traces, else the one for all signals, with its name.
fn either<'e>(env: &'e Env, name: &str) -> Option<(String, &'e str)> {
    let names = [format!("OTEL_EXPORTER_OTLP_TRACES_{name}"), format!("OTEL_EXPORTER_OTLP_{name}")];
    names.into_iter().find_map(|name| env.get(&name).map(|value| (name, value)))
}

/// What would be ignored without a word otherwise, and then sought for long.
fn refuse_unsupported(env: &Env, problems: &mut Problems) {
    if let Some((key, other)) = either(env, "PROTOCOL").filter(|(_, protocol)| *protocol != "http/protobuf") {
        let hint = "set it to http/protobuf, and the endpoint to the collector's port for HTTP, often 4318";
        problems.push(key, format!("`{other}` is not spoken here"), hint);
    }
    for name in ["CLIENT_KEY", "CLIENT_CERTIFICATE"] {
        if let Some((key, _)) = either(env, name) {
            problems.push(key, "client certificates are not supported", "use OTEL_EXPORTER_OTLP_HEADERS to sign in");
        }
    }
}

/// The URL with the path of the signal. What is wrong with it is told without
/// showing it: it may hold a password.
fn endpoint(text: &str, path: &str) -> Result<Uri, &'static str> {
    let mut url = url::Url::parse(text.trim()).map_err(|_| "not a URL")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("neither http:// nor https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user or a password; those belong into OTEL_EXPORTER_OTLP_HEADERS");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("holds more than scheme, host, port and path");
    }
    if !path.is_empty() {
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
    }
    url.as_str().parse().map_err(|_| "not a URL")
}

/// `name=value,name=value`, with values percent-encoded.
fn pairs(text: &str) -> impl Iterator<Item = Option<(&str, String)>> {
    text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some((name.trim(), value.into_owned())).filter(|(name, _)| !name.is_empty())
    })
}

fn headers(env: &Env, problems: &mut Problems) -> HeaderMap {
    let key = "OTEL_EXPORTER_OTLP_HEADERS";
    let text = env.secret("OTEL_EXPORTER_OTLP_TRACES_HEADERS", problems).or_else(|| env.secret(key, problems));
    let text = text.unwrap_or_else(|| SecretString::from(""));
    let mut headers = HeaderMap::new();
    for (index, pair) in pairs(text.expose_secret()).enumerate() {
        let header = pair.and_then(|(name, value)| {
            let mut value = HeaderValue::from_str(&value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        });
        match header {
            Some((name, value)) => {
                headers.insert(name, value);
            }
            // By its number: what is wrong may be that it is a key alone.
            None => problems.push(
                key,
                format!("entry {} is not a header", index + 1),
                "write name=value, with commas between them, and commas in values as %2C",
            ),
        }
    }
    headers
}

fn timeout(env: &Env, problems: &mut Problems) -> Duration {
    let Some((key, text)) = either(env, "TIMEOUT") else { return TIMEOUT };
    let wanted = text.parse().map(Duration::from_millis).unwrap_or_default();
    if wanted.is_zero() || wanted > TIMEOUT_CEILING {
        let what = format!("`{text}` is not a number of milliseconds from 1 to {}", TIMEOUT_CEILING.as_millis());
        problems.push(key, what, "leave it out for 10000");
        return TIMEOUT;
    }
    wanted
}

fn sampler(env: &Env, problems: &mut Problems) -> Sampler {
    let name = env.get("OTEL_TRACES_SAMPLER").unwrap_or("parentbased_always_on");
    let (parent_based, root) = match name.strip_prefix("parentbased_") {
        Some(root) => (true, root),
        None => (false, name),
    };
    let ratio = match root {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => ratio(env, problems),
        _ => {
            let hint = "use always_on, always_off or traceidratio, each also with parentbased_ before it";
            problems.push("OTEL_TRACES_SAMPLER", format!("there is no sampler `{name}`"), hint);
            1.0
        }
    };
    Sampler { parent_based, ratio }
}

fn ratio(env: &Env, problems: &mut Problems) -> f64 {
    let text = env.get("OTEL_TRACES_SAMPLER_ARG").unwrap_or("1");
    match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
        _ => {
            let what = format!("`{text}` is not a number from 0 to 1");
            problems.push("OTEL_TRACES_SAMPLER_ARG", what, "write a tenth of all traces as 0.1");
            1.0
        }
    }
}

fn resource(env: &Env, problems: &mut Problems) -> Vec<(String, String)> {
    let mut resource = vec![
        ("service.name".to_owned(), crate::NAME.to_owned()),
        ("service.version".to_owned(), crate::VERSION.to_owned()),
        // Tells replicas apart.
        ("service.instance.id".to_owned(), uuid::Uuid::new_v4().to_string()),
    ];
    let key = "OTEL_RESOURCE_ATTRIBUTES";
    for pair in pairs(env.get(key).unwrap_or_default()) {
        match pair {
            Some((name, value)) => resource.push((name.to_owned(), value)),
            None => problems.push(
                key,
                "not a list of name=value",
                "write service.namespace=shop,deployment.environment.name=production",
            ),
        }
    }
    resource.extend(env.get("OTEL_SERVICE_NAME").map(|name| ("service.name".to_owned(), name.to_owned())));
    resource
}

fn roots(env: &Env, problems: &mut Problems) -> Option<RootCertStore> {
    let (key, path) = either(env, "CERTIFICATE")?;
    let mut roots = RootCertStore::empty();
    let read = certificates::read(path);
    let read =
        read.and_then(|all| all.into_iter().try_for_each(|one| roots.add(one)).map_err(|error| error.to_string()));
    if let Err(what) = read {
        problems.push(key, format!("cannot use {path}: {what}"), "name a file of certificates in PEM, or remove it");
    }
    Some(roots)
}
