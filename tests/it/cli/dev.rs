//! `innkeeper dev`: what is changed is built and served, what does not build is not, and
//! nothing stays behind.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use crate::harness::{HostProcess, binary, cache_dir, http_client};
use crate::swap::editions::edition;

/// A build, two looks at its file, and a compilation of the slow kind.
const SOON: Duration = Duration::from_secs(30);

/// A project whose build copies a component, as its script says.
struct Project {
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Project {
    fn new(build: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("src")).expect("made");
        let config = "admin_listen = \"off\"\n[[module]]\nname = \"here\"\nsource = \"out.wasm\"\ngrants = { toolbox = [] }\n\
             [dev]\nbuild = \"sh src/build.sh\"\n";
        std::fs::write(folder.path().join("innkeeper.toml"), config).expect("written");
        let project = Self { folder, child: None };
        project.write("build.sh", build.as_bytes());
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path("src").join(name), bytes).expect("written");
    }

    fn start(&mut self) {
        let log = std::fs::File::create(self.path("log")).expect("a file");
        let mut command = Command::new(binary());
        command.arg("dev").arg(self.folder.path()).args(["--listen", "127.0.0.1:0"]).env_clear();
        command.env("PATH", std::env::var_os("PATH").expect("a PATH")).env("INNKEEPER_CACHE_DIR", cache_dir());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        self.child = Some(command.spawn().expect("it runs"));
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    async fn until_it_says(&self, words: &str) {
        let until = Instant::now() + SOON;
        while !self.log().contains(words) {
            assert!(Instant::now() < until, "it does not say `{words}`: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn url(&self) -> String {
        let log = self.log();
        let port = log.split("\"dev.address\":\"").nth(1).and_then(|rest| rest.split('"').next());
        format!("http://{}/", port.expect("an address"))
    }

    async fn until_it_answers(&self, answer: &str) {
        let until = Instant::now() + SOON;
        loop {
            let told = match http_client().get(self.url()).send().await {
                Ok(told) => told.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            if told == answer {
                return;
            }
            assert!(Instant::now() < until, "`{told}` and not `{answer}`: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn interrupt(mut self) -> Option<i32> {
        let child = self.child.as_mut().expect("started");
        let pid = child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().await.expect("kill runs").success());
        let ended = tokio::time::timeout(SOON, child.wait()).await.expect("an end");
        ended.expect("it ran").code()
    }
}

const COPY: &str = "cp src/next out.new && mv out.new out.wasm\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_is_served_and_what_does_not_build_is_not() {
    let mut project = Project::new("echo no compiler today >&2; exit 3\n");
    project.write("next", &edition(1, "plain"));
    project.start();
    // What is wrong at first is corrected while it waits.
    project.until_it_says("the build failed (exit status: 3)").await;
    assert!(project.log().contains("no compiler today"), "{}", project.log());
    project.write("build.sh", COPY.as_bytes());
    project.until_it_says("src/build.sh has changed").await;
    project.until_it_says("dev.address").await;
    project.until_it_answers("00000001").await;

    project.write("next", &edition(2, "plain"));
    project.until_it_answers("00000002").await;

    project.write("build.sh", b"exit 4\n");
    project.until_it_says("the build failed (exit status: 4)").await;
    project.until_it_answers("00000002").await;
    // What builds and cannot be served is the host's to refuse.
    project.write("next", b"no component");
    project.write("build.sh", COPY.as_bytes());
    project.until_it_says("it is not WebAssembly at all").await;
    project.until_it_answers("00000002").await;
    project.write("next", &edition(3, "plain"));
    project.until_it_answers("00000003").await;
    assert_eq!(project.interrupt().await, Some(0));
}

/// Whether a process of this number runs.
fn runs(pid: &str) -> bool {
    let state = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    // One that has ended and that nobody has asked about is no process any more.
    !state.is_empty() && !state.contains(") Z ")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_build_outlives_it() {
    // Before there is anything to serve, and after.
    for first in [true, false] {
        let slow = "sleep 1000 & echo $! > pid; wait\n";
        let mut project = Project::new(if first { slow } else { COPY });
        project.write("next", &edition(1, "plain"));
        project.start();
        if !first {
            project.until_it_says("dev.address").await;
            project.until_it_answers("00000001").await;
            project.write("build.sh", slow.as_bytes());
        }
        let until = Instant::now() + SOON;
        let pid = loop {
            let pid = std::fs::read_to_string(project.path("pid")).unwrap_or_default().trim().to_owned();
            if !pid.is_empty() {
                break pid;
            }
            assert!(Instant::now() < until, "no build: {}", project.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert!(runs(&pid));
        assert_eq!(project.interrupt().await, Some(0));
        let until = Instant::now() + Duration::from_secs(5);
        while runs(&pid) {
            assert!(Instant::now() < until, "the build goes on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_no_project_is_told_what_it_lacks() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display().to_string();
    let ended = HostProcess::run(&["dev", &path], &[]).await;
    super::expect(&ended, 1, &["does not say how it is built", "build = "]);
    let ended = HostProcess::run(&["dev", "/nowhere/at/all"], &[]).await;
    super::expect(&ended, 1, &["cannot work in /nowhere/at/all"]);
    std::fs::write(
        folder.path().join("innkeeper.toml"),
        "[dev]\nbuild = \"true\"\n[[module]]\nname = \"x\"\nsource = \"x.wasm\"\n",
    )
    .expect("written");
    let ended = HostProcess::run(&["dev", &path], &[("PATH", "/usr/bin:/bin")]).await;
    super::expect(&ended, 1, &["`true` has not made x.wasm, the source of module `x`"]);
}
