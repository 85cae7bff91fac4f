//! A host for one test: own port, own database, own cache of nothing.

mod bouncer;
mod collector;
mod database;
mod key_server;
mod oci;
mod openai;
mod openai_raw;
mod process;
mod proxy;
mod raw;
mod steady;
mod tap;
mod wire;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use innkeeper::app::{App, Around, Listeners, StartError};
use innkeeper::broker::identity::{NewToken, mint};
use innkeeper::config::{Config, Env, Flags};
use innkeeper::server::Drained;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto};

pub use bouncer::Bouncer;
pub use collector::{Collector, Seen};
pub use database::{Database, TestDatabase};
pub use key_server::{KeyAnswer, KeyServer};
pub use oci::{Artifact, Doors, OciRegistry, Signing, USER, WASM, payload, sha256};
pub use openai::{KEY, OpenAi, Turn};
pub use openai_raw::{CHUNKED, RawModel, STREAM, Step, Unanswering, in_chunks};
pub use process::{Finished, HostProcess, binary, kilobytes};
pub use proxy::Proxy;
pub use raw::{Raw, Request};
pub use steady::Steady;
pub use tap::Tap;
pub use wire::{Reply, Wire};

/// What tokens are signed with in all tests.
pub const SECRET: &str = "a-secret-for-tests-only";

/// The file of a guest that `cargo xtask test` has built.
pub fn guest(name: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest/target/wasm32-wasip2/release");
    let dir = std::env::var_os("INNKEEPER_TEST_GUESTS").map_or(built, PathBuf::from);
    let file = dir.join(format!("{name}.wasm"));
    assert!(file.exists(), "{} is not there; run the tests by `cargo xtask test`, which builds it", file.display());
    file
}

/// Compiled guests are shared by all tests: compiling is not what they test.
pub fn cache_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled")
}

/// A token that every test host accepts.
pub fn token(user: &str) -> String {
    let token = NewToken {
        subject: user,
        name: None,
        email: None,
        issuer: None,
        audience: None,
        lifetime: Duration::from_secs(600),
        session: None,
    };
    mint(SECRET.as_bytes(), &token).expect("signed")
}

/// A token with scopes, as an authorization server makes it.
pub fn scoped(scope: &str, issuer: Option<&str>) -> String {
    let exp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("now").as_secs() + 600;
    let mut claims = serde_json::json!({"sub": "ada", "scope": scope, "exp": exp});
    if let Some(issuer) = issuer {
        claims["iss"] = issuer.into();
    }
    jsonwebtoken::encode(
        &jsonwebtoken::Header::default(),
        &claims,
        &jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes()),
    )
    .expect("signed")
}

/// A module of the configuration file, at `/name`.
pub fn module(name: &str, file: &str, rest: &str) -> String {
    format!("[[module]]\nname = \"{name}\"\nsource = \"{}\"\nroute = \"/{name}\"\n{rest}\n", guest(file).display())
}

/// The host's own client brings TLS into reqwest, and reqwest's clients then want to
/// know whose, for plain HTTP too. The second time it does nothing.
fn provide_tls() {
    let _ = crypto::ring::default_provider().install_default();
}

/// TLS of a server that shows this certificate.
pub fn tls_acceptor(shown: &rcgen::CertifiedKey<rcgen::KeyPair>) -> TlsAcceptor {
    let key = shown.signing_key.serialize_der().try_into().expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![shown.cert.der().clone()], key)
        .expect("a certificate and its key");
    TlsAcceptor::from(Arc::new(config))
}

/// A client for tests that ask somebody else than a test host.
#[allow(dead_code, reason = "for the tests beside what others wrote")]
pub fn http_client() -> reqwest::Client {
    provide_tls();
    reqwest::Client::new()
}

/// How a test host is set up.
pub struct Setup {
    vars: Vec<(String, String)>,
    file: String,
    database: Database,
}

impl Setup {
    /// Serves this guest at the root.
    pub fn guest(name: &str) -> Self {
        Self::module(&guest(name))
    }

    /// Serves this file at the root.
    pub fn module(file: &Path) -> Self {
        let vars = vec![("INNKEEPER_MODULE".to_owned(), file.display().to_string())];
        Self { vars, file: String::new(), database: Database::Sqlite }
    }

    /// Serves the modules of this file, and no other.
    pub fn modules(toml: &str) -> Self {
        Self { vars: Vec::new(), file: toml.to_owned(), database: Database::Sqlite }
    }

    /// Uses this database.
    pub fn on(mut self, database: Database) -> Self {
        self.database = database;
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.vars.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds to the configuration file.
    pub fn file(mut self, toml: &str) -> Self {
        self.file.push_str(toml);
        self
    }

    /// Starts with a fresh database.
    pub async fn start(self) -> TestHost {
        let database = TestDatabase::create(self.database).await;
        self.start_with(database).await.expect("the host starts")
    }

    /// Starts on a database that is there already.
    pub async fn start_with(self, database: TestDatabase) -> Result<TestHost, StartError> {
        let url = database.url().to_owned();
        self.start_at(database, &url).await
    }

    /// Starts with another URL to the database, such as a proxy's.
    pub async fn start_at(self, database: TestDatabase, url: &str) -> Result<TestHost, StartError> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config_file = dir.path().join("innkeeper.toml");
        std::fs::write(&config_file, &self.file).expect("the file is written");
        let fixed = [
            ("INNKEEPER_LISTEN", "127.0.0.1:0".to_owned()),
            ("INNKEEPER_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
            ("INNKEEPER_CACHE_DIR", cache_dir().display().to_string()),
            ("INNKEEPER_MAX_IN_FLIGHT", "64".to_owned()),
            ("BETTER_AUTH_SECRET", SECRET.to_owned()),
            ("DATABASE_URL", url.to_owned()),
        ];
        let fixed = fixed.map(|(name, value)| (name.to_owned(), value));
        let env = Env::of(fixed.into_iter().chain(self.vars));
        let flags = Flags { config: Some(config_file), ..Flags::default() };
        let config = Config::load(&flags, &env).expect("a valid configuration");
        TestHost::start(config, database, (flags, env, dir)).await
    }
}

/// A running host. `stop` it, to see that it drains.
pub struct TestHost {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub client: reqwest::Client,
    pub database: TestDatabase,
    /// Its configuration file.
    pub file: PathBuf,
    _dir: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<Drained, StartError>>,
}

impl TestHost {
    async fn start(
        config: Config,
        database: TestDatabase,
        (flags, env, dir): (Flags, Env, tempfile::TempDir),
    ) -> Result<Self, StartError> {
        provide_tls();
        let file = dir.path().join("innkeeper.toml");
        let around = Around { program: binary(), reread: Box::new(move || Config::load(&flags, &env)) };
        let app = App::new(config.clone(), around)?;
        let listeners = Listeners::bind(&config).await?;
        let address = listeners.public.local_addr().expect("bound");
        let admin = listeners.admin.as_ref().expect("configured").local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(app.serve(listeners, async {
            let _ = stopped.await;
        }));
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client");
        let host = Self { address, admin, client, database, file, stop: Some(stop), task, _dir: dir };
        host.loaded().await
    }

    /// Waits until the modules are loaded, or the host has given up.
    async fn loaded(self) -> Result<Self, StartError> {
        // An interpreter takes half a minute to compile, and a busy machine several times that.
        let until = Instant::now() + Duration::from_secs(180);
        while Instant::now() < until {
            if self.task.is_finished() {
                return Err(self.task.await.expect("no panic").expect_err("a host that stops has a reason"));
            }
            let modules = self.client.get(format!("http://{}/modules", self.admin)).send().await;
            if let Ok(answer) = modules
                && !answer.json::<Value>().await.expect("JSON")["generation"].is_null()
            {
                return Ok(self);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the modules are not loaded after three minutes");
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).json(body)
    }

    /// Stops the host as SIGTERM does, and says how that went.
    pub async fn stop(mut self) -> (Drained, TestDatabase) {
        drop(self.stop.take());
        let drained = self.task.await.expect("no panic").expect("a clean end");
        (drained, self.database)
    }

    /// How many calls the modules are running, by the admin port.
    pub async fn running(&self) -> u64 {
        let answer = self.client.get(format!("http://{}/modules", self.admin)).send().await.expect("an answer");
        let modules = answer.json::<Value>().await.expect("JSON");
        modules["modules"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|module| module["running"].as_u64().expect("a number"))
            .sum()
    }

    /// Waits until the modules run so many calls.
    pub async fn until_running(&self, calls: u64) {
        let until = Instant::now() + Duration::from_secs(10);
        while self.running().await != calls {
            assert!(Instant::now() < until, "{} calls, and not {calls}", self.running().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a path answers with this status.
    pub async fn until(&self, path: &str, status: u16, within: Duration) {
        let until = Instant::now() + within;
        loop {
            let last = self.get(path).send().await.map(|answer| answer.status().as_u16()).ok();
            if last == Some(status) {
                return;
            }
            assert!(Instant::now() < until, "{path} answers {last:?} and not {status} after {within:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Signs a request as a user.
pub trait As {
    fn by(self, user: &str) -> Self;
}

impl As for RequestBuilder {
    fn by(self, user: &str) -> Self {
        self.bearer_auth(token(user))
    }
}

/// Says what was measured, also when the test is good: the test runner keeps
/// what `println` prints to itself.
pub fn report(line: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "    {line}").expect("a standard error");
}
