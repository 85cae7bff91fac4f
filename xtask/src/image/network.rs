//! A network of Docker's with a Postgres in it that has a name there, and nothing
//! else: both are gone when it is dropped.

use crate::{
    postgres::{self, Cluster},
    process,
};
use anyhow::{Context, Result, bail};
use std::{
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What the containers know Postgres by.
pub(super) const NAME: &str = "postgres.internal";
/// How long Postgres may take until it answers.
const START: Duration = Duration::from_secs(30);
/// Where this machine keeps programs and what they need. No registry has to be asked
/// for an image: a container that sees these runs this machine's Postgres.
const SYSTEM: [&str; 4] = ["/usr", "/bin", "/lib", "/lib64"];

/// The network, and its Postgres.
pub(super) struct Network {
    pub(super) name: String,
    container: String,
    cluster: Cluster,
    address: String,
}

impl Network {
    /// `image` may be any: nothing of it is used.
    pub(super) fn start(image: &str) -> Result<Self> {
        let name = format!("innkeeper-{}", &postgres::random_word()?[..8]);
        let cluster = Cluster::make(postgres::programs()?)?;
        cluster.admit_everybody()?;
        docker(&["network", "create", &name])?;
        let mut network = Self { container: format!("{name}-postgres"), name, cluster, address: String::new() };
        network.start_postgres(image)?;
        Ok(network)
    }

    /// The superuser's URL, for this machine.
    pub(super) fn url(&self) -> String {
        self.cluster.url_at(&format!("{}:5432", self.address), "postgres")
    }

    fn start_postgres(&mut self, image: &str) -> Result<()> {
        let (program, folder) = (self.cluster.program("postgres"), self.cluster.folder());
        let owner = self.cluster.owner()?;
        let mut run = Command::new("docker");
        run.args(["run", "--detach", "--name", &self.container, "--network", &self.name, "--network-alias", NAME]);
        run.args(["--user", &owner, "--shm-size=256m"]);
        for path in SYSTEM.iter().filter(|path| Path::new(path).exists()) {
            run.arg(format!("--volume={path}:{path}:ro"));
        }
        run.arg(format!("--volume={0}:{0}", folder.display()));
        run.arg("--entrypoint").arg(program).args(["--no-healthcheck", image, "-D"]).arg(folder.join("data"));
        run.args(["-c", "listen_addresses=*", "-c", "unix_socket_directories=", "-c", "max_connections=200"]);
        process::run(run.stdout(Stdio::null()))?;
        self.address = docker(&[
            "inspect",
            "--format",
            "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
            &self.container,
        ])?;
        let until = Instant::now() + START;
        while self.cluster.sql_at(&self.url(), "SELECT 1").is_err() {
            process::still_wanted()?;
            if Instant::now() > until {
                let mut logs = Command::new("docker");
                process::run(logs.args(["logs", &self.container]).stdout(std::io::stderr()))?;
                bail!("Postgres does not answer in its container");
            }
            thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Not a `Job`: those no longer start once a signal has come in. What fails
        // was not there.
        for args in [["rm", "--force", "--volumes", &self.container].as_slice(), &["network", "rm", &self.name]] {
            let _ = Command::new("docker").args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

fn docker(args: &[&str]) -> Result<String> {
    let said = process::output(Command::new("docker").args(args)).context("asking Docker")?;
    Ok(said.trim().to_owned())
}
