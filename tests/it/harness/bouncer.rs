//! PgBouncer before the test server, for one test.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::Url;
use tokio::process::{Child, Command};

/// A pooler in transaction mode that logs in as whoever its client is.
pub struct Bouncer {
    port: u16,
    dir: tempfile::TempDir,
    /// Ended with the test.
    _process: Child,
}

impl Bouncer {
    /// Where the program is; none when this machine has none, which must not be
    /// so in CI.
    pub fn program() -> Option<PathBuf> {
        let program = std::env::var_os("INNKEEPER_TEST_PGBOUNCER").map(PathBuf::from);
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(program.is_some() || !ci, "INNKEEPER_TEST_PGBOUNCER must name the program");
        program
    }

    /// Before the server of this administrator's URL, with so many connections to
    /// it for each user and database.
    pub async fn start(program: PathBuf, url: &str, connections: u32) -> Self {
        let url = Url::parse(url).expect("a URL");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let (user, password) = (url.username(), url.password().unwrap_or_default());
        let (host, server) = (url.host_str().expect("a host"), url.port().unwrap_or(5432));
        let users = dir.path().join("users");
        std::fs::write(&users, format!("\"{user}\" \"{password}\"\n")).expect("the file is written");
        let settings = format!(
            "[databases]\n* = host={host} port={server} auth_user={user}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\n\
             auth_query = SELECT usename, passwd FROM pg_shadow WHERE usename = $1\npool_mode = transaction\n\
             default_pool_size = {connections}\nmax_client_conn = 200\n",
            users.display()
        );
        let file = dir.path().join("settings");
        std::fs::write(&file, settings).expect("the file is written");
        // It does not run as root, and its other user has to read the files.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).expect("the directory is ours");
        let log = std::fs::File::create(dir.path().join("log")).expect("a file");
        let mut command = Command::new(program);
        if std::fs::metadata(dir.path()).expect("it is there").uid() == 0 {
            command.args(["--user", "nobody"]);
        }
        let process =
            command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true).spawn();
        let bouncer = Self { port, dir, _process: process.expect("it runs") };
        bouncer.listens().await;
        bouncer
    }

    async fn listens(&self) {
        let until = Instant::now() + Duration::from_secs(10);
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            assert!(Instant::now() < until, "PgBouncer does not listen: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The database URL by way of it.
    pub fn url(&self, url: &str) -> String {
        let mut url = Url::parse(url).expect("a URL");
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(self.port)).expect("a port");
        url.to_string()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}
