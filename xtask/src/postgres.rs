//! A private Postgres cluster: made by `initdb` in a temporary directory, on a
//! free port of 127.0.0.1 with a random password, stopped and removed when it
//! is dropped. Postgres refuses to run as root; root lends it another user.

use crate::{machine, process};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

const DEBIAN: &str = "/usr/lib/postgresql";
const PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "postgres", "psql"];
/// Users that may run the server when root starts it, the best one first.
const USERS: [&str; 2] = ["postgres", "nobody"];
/// Between finding a free port and using it somebody else may take it.
const ATTEMPTS: usize = 5;

/// Whether commits wait for the disk.
#[derive(Clone, Copy)]
pub(crate) enum Durability {
    /// As a production server does: for the benchmark.
    Normal,
    /// Not at all: for tests, which lose nothing in a crash.
    Off,
}

/// A user to run the server as.
#[derive(Clone, Copy)]
struct User {
    id: u32,
    group: u32,
}

/// The directory of the server's programs, on the PATH or where Debian puts
/// them; installs them where that is possible.
pub(crate) fn programs() -> Result<PathBuf> {
    if let Some(dir) = find_programs() {
        return Ok(dir);
    }
    machine::install_package("postgresql", "there is no Postgres server (`initdb`) here")?;
    find_programs().with_context(|| format!("there is still no initdb under {DEBIAN}"))
}

/// Like [`programs`], but installs nothing.
pub(crate) fn find_programs() -> Option<PathBuf> {
    let on_path = machine::find_on_path("initdb").and_then(|file| Some(file.parent()?.to_owned()));
    let complete = |dir: &PathBuf| PROGRAMS.iter().all(|program| dir.join(program).is_file());
    on_path.filter(complete).or_else(|| {
        let names = fs::read_dir(DEBIAN).ok()?.flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let dir = Path::new(DEBIAN).join(newest(names)?).join("bin");
        Some(dir).filter(complete)
    })
}

/// The highest version among directory names such as `9.6` and `15`.
fn newest(names: impl Iterator<Item = String>) -> Option<String> {
    let version = |name: &str| -> Option<Vec<u32>> { name.split('.').map(|part| part.parse().ok()).collect() };
    names.filter_map(|name| Some((version(&name)?, name))).max().map(|(_, name)| name)
}

/// A running cluster.
pub(crate) struct Cluster {
    programs: PathBuf,
    user: Option<User>,
    dir: TempDir,
    password: String,
    port: u16,
}

impl Cluster {
    pub(crate) fn start(programs: PathBuf, durability: Durability) -> Result<Self> {
        let mut cluster = Self::make(programs)?;
        for attempt in 1.. {
            cluster.port = free_port()?;
            match cluster.start_server(durability) {
                Err(_) if attempt < ATTEMPTS && cluster.port_was_taken() => {}
                outcome => {
                    outcome.with_context(|| format!("Postgres did not start:\n{}", cluster.log()))?;
                    break;
                }
            }
        }
        Ok(cluster)
    }

    /// A cluster that does not run: whoever starts it stops it.
    pub(crate) fn make(programs: PathBuf) -> Result<Self> {
        let user = machine::is_root().then(unprivileged_user).transpose()?;
        let dir = tempfile::Builder::new().prefix("innkeeper-postgres-").tempdir()?;
        let cluster = Self { programs, user, dir, password: random_word()?, port: 0 };
        cluster.init()?;
        Ok(cluster)
    }

    /// Lets clients of other machines in, by the password.
    pub(crate) fn admit_everybody(&self) -> Result<()> {
        let mut file = fs::OpenOptions::new().append(true).open(self.path("data/pg_hba.conf"))?;
        Ok(file.write_all(b"host all all all scram-sha-256\n")?)
    }

    /// The superuser's URL of one database.
    pub(crate) fn url(&self, database: &str) -> String {
        self.url_at(&self.address().to_string(), database)
    }

    /// The same, where the server is at another place.
    pub(crate) fn url_at(&self, place: &str, database: &str) -> String {
        format!("postgres://postgres:{}@{place}/{database}", self.password)
    }

    /// One of the server's programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Where everything of it is.
    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Who has to run the server, as numbers of user and group.
    pub(crate) fn owner(&self) -> io::Result<String> {
        let folder = fs::metadata(self.path("data"))?;
        Ok(format!("{}:{}", folder.uid(), folder.gid()))
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Runs SQL in one database, by way of psql.
    pub(crate) fn sql(&self, database: &str, text: &str) -> Result<()> {
        self.sql_at(&self.url(database), text).with_context(|| format!("running SQL in the database `{database}`"))
    }

    /// The same, by a URL.
    pub(crate) fn sql_at(&self, url: &str, text: &str) -> Result<()> {
        let mut psql = self.command("psql");
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
        process::run(psql.arg(url).args(["--command", text]).stdout(Stdio::null()))
    }

    fn init(&self) -> Result<()> {
        let password = self.path("password");
        fs::write(&password, &self.password)?;
        if let Some(user) = self.user {
            for path in [self.dir.path(), &password] {
                chown(path, Some(user.id), Some(user.group))?;
            }
        }
        let mut initdb = self.command("initdb");
        initdb.arg("--pgdata").arg(self.path("data"));
        initdb.arg("--pwfile").arg(&password);
        initdb.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8"]);
        initdb.args(["--locale=C", "--no-sync"]);
        process::output(&mut initdb).context("making a private Postgres cluster")?;
        Ok(())
    }

    fn start_server(&self, durability: Durability) -> Result<()> {
        let mut options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={} \
             -c max_connections=200",
            self.port,
            self.dir.path().display()
        );
        if let Durability::Off = durability {
            options += " -c fsync=off -c synchronous_commit=off -c full_page_writes=off";
        }
        let mut start = self.pg_ctl("start");
        start.args(["--wait", "--timeout=60", "--log"]).arg(self.path("log"));
        process::run(start.arg("--options").arg(options))
    }

    fn port_was_taken(&self) -> bool {
        self.log().contains("Address already in use")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn pg_ctl(&self, verb: &str) -> Command {
        let mut command = self.command("pg_ctl");
        command.args([verb, "--silent", "--pgdata"]).arg(self.path("data"));
        command
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        // The directory we were started in may be closed to the other user.
        command.current_dir(self.dir.path());
        if let Some(user) = self.user {
            command.uid(user.id).gid(user.group);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.port == 0 {
            // Never started here.
            return;
        }
        // Not a `Job`: those no longer start once a signal has come in. It
        // fails when the server never ran, which leaves nothing to stop.
        let mut stop = self.pg_ctl("stop");
        let _ = stop.args(["--mode=immediate", "--wait"]).stderr(Stdio::null()).status();
    }
}

/// A port of 127.0.0.1 that nobody uses at this moment.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// 128 random bits in hexadecimal: fit for a password inside a URL.
pub(crate) fn random_word() -> io::Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn unprivileged_user() -> Result<User> {
    let accounts = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
    let found = USERS.iter().find_map(|name| find_user(&accounts, name));
    let Some(user) = found else {
        bail!("Postgres does not run as root, and there is no user named {}", USERS.join(" or "));
    };
    Ok(user)
}

fn find_user(accounts: &str, name: &str) -> Option<User> {
    let mut fields = accounts.lines().map(|line| line.split(':'));
    let mut line = fields.find(|line| line.clone().next() == Some(name))?.skip(2);
    Some(User { id: line.next()?.parse().ok()?, group: line.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &str, expect: Option<&str>) {
        let names = names.split_whitespace().map(str::to_owned);
        assert_eq!(newest(names).as_deref(), expect);
    }

    #[test]
    fn the_newest_version_is_the_highest_number() {
        check("9.6 15 13", Some("15"));
        check("9.6 9.10", Some("9.10"));
        check("15 common 16beta", Some("15"));
        check("", None);
    }

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let accounts = "nobody2:x:1:2::/:\nnobody:x:65534:65533:n:/:/bin/sh\n";
        let user = find_user(accounts, "nobody").expect("nobody is listed");
        assert_eq!((user.id, user.group), (65534, 65533));
        assert!(find_user(accounts, "postgres").is_none());
    }
}
