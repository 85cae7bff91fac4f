//! Components are compiled in a process of their own: this program, started again.
//!
//! A compiler works on bytes that somebody else wrote, and a few hundred bytes can ask
//! it for hours and gigabytes. In a process it has limits of its own (memory, time of a
//! core, files), no environment, and ends alone. What it prints on standard output is
//! code that the host will run: the bytes come from this program, through a pipe that
//! nobody else has.

use std::io::{self, Read, Write};
use std::num::NonZero;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::source::COMPONENT_BYTES;
use crate::config::Compile;

/// The command, and what its process ends with when the component is to blame.
pub const COMMAND: &str = "compile-component";
/// See [`COMMAND`]; by sysexits.h.
pub const EX_DATAERR: u8 = 65;
/// Threads of one compilation. More are hardly faster, and each takes memory.
const THREADS: usize = 4;
/// Code of one component: an interpreter's 14 MB become 52 MB.
const CODE_BYTES: usize = 512 << 20;
/// What is read of its complaints.
const WORDS_BYTES: usize = 4 << 10;
/// Address space beyond what may be used: the program itself, stacks, what an
/// allocator sets aside.
const SPACE_BYTES: usize = 4 << 30;
/// Behind those who answer requests.
const NICENESS: i32 = 10;

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum NotCompiled {
    /// The component is not one that the engine takes.
    #[error("{0}")]
    Invalid(String),
    /// More memory than allowed.
    #[error("compiling it takes more memory than {} MiB; make it smaller, or raise compile.memory", .0 >> 20)]
    Memory(usize),
    /// More time than allowed.
    #[error("compiling it takes longer than {} s; make it smaller, or raise compile.cpu", .0.as_secs())]
    Time(Duration),
    /// More code than allowed.
    #[error("it compiles to more than {} MiB", CODE_BYTES >> 20)]
    Code,
    /// The compiler itself failed.
    #[error("it cannot be compiled: {0}")]
    Broken(String),
}

/// Starts compilers.
pub struct Compiler {
    program: PathBuf,
    limits: Compile,
}

impl Compiler {
    /// `program` is the `innkeeper` binary.
    pub fn new(program: PathBuf, limits: Compile) -> Self {
        Self { program, limits }
    }

    /// The code of a component. The process ends with the future.
    ///
    /// # Errors
    /// See [`NotCompiled`].
    pub(super) async fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>, NotCompiled> {
        let broken = |what: &str, error: io::Error| NotCompiled::Broken(format!("{what}: {error}"));
        let mut child = self.command().spawn().map_err(|error| broken("the compiler cannot be started", error))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // It fails when the compiler has ended, which its end tells better.
                let _ = stdin.write_all(wasm).await;
            }
        };
        let work = async { tokio::join!(feed, read(stdout, CODE_BYTES), read(stderr, WORDS_BYTES), child.wait()) };
        // Cores may be busy with requests; more than that is a compiler that hangs.
        let wall = self.limits.cpu.saturating_mul(4);
        let ended = tokio::time::timeout(wall, work).await;
        let ((), code, words, status) = ended.map_err(|_| NotCompiled::Time(self.limits.cpu))?;
        let status = status.map_err(|error| broken("the compiler cannot be waited for", error))?;
        if code.len() > CODE_BYTES {
            return Err(NotCompiled::Code);
        }
        if status.success() { Ok(code) } else { Err(self.failed(status, &String::from_utf8_lossy(&words))) }
    }

    fn command(&self) -> Command {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
        let mut command = Command::new(&self.program);
        command
            .arg(COMMAND)
            .args(["--memory", &self.limits.memory.to_string(), "--cpu", &self.limits.cpu.as_secs().to_string()])
            // No secret of the host's.
            .env_clear()
            .env("RAYON_NUM_THREADS", threads.to_string())
            // Memory counts when it is used, and not when it is set aside.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    fn failed(&self, status: ExitStatus, words: &str) -> NotCompiled {
        const SIGABRT: i32 = 6;
        const SIGKILL: i32 = 9;
        const SIGXCPU: i32 = 24;
        let out_of_memory = ["memory allocation of", "os error 12", "annot allocate memory", "os error 11"];
        let has_no_memory = out_of_memory.iter().any(|sign| words.contains(sign));
        match (status.code(), status.signal()) {
            (_, Some(SIGXCPU)) => NotCompiled::Time(self.limits.cpu),
            // The kernel's own choice when there is no memory left.
            (_, Some(SIGKILL)) => {
                let why =
                    "the system ended the compiler, most likely because the machine or container has no memory left";
                NotCompiled::Broken(why.to_owned())
            }
            (Some(_), _) | (_, Some(SIGABRT)) if has_no_memory => NotCompiled::Memory(self.limits.memory),
            (Some(code), _) if code == i32::from(EX_DATAERR) => NotCompiled::Invalid(words.trim_end().to_owned()),
            _ => NotCompiled::Broken(format!("the compiler ended with {status}: {}", words.trim_end())),
        }
    }
}

/// All of it, or one byte more than `most` when there is more. Who writes on meets a
/// pipe that is closed.
async fn read(from: Option<impl AsyncRead + Unpin>, most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What was cut off is not what ends well, and the end is looked at.
        let _ = from.take(most as u64 + 1).read_to_end(&mut bytes).await;
    }
    bytes
}

/// What the other process does: it limits itself, and compiles.
///
/// # Errors
/// What is wrong with the component, or with the machine.
pub fn compile_within_limits(memory: usize, cpu: Duration) -> Result<(), String> {
    let told = |error: io::Error| error.to_string();
    limit(memory, cpu).map_err(told)?;
    let mut wasm = Vec::new();
    io::stdin().take(COMPONENT_BYTES).read_to_end(&mut wasm).map_err(told)?;
    let engine = crate::engine::compiler().map_err(|error| format!("{error:#}"))?;
    let code = engine.precompile_component(&wasm).map_err(|error| format!("{error:#}"))?;
    io::stdout().write_all(&code).and_then(|()| io::stdout().flush()).map_err(told)
}

fn limit(memory: usize, cpu: Duration) -> io::Result<()> {
    let most = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Data, most(memory as u64))?;
    setrlimit(Resource::As, most((memory + SPACE_BYTES) as u64))?;
    // The signal first, then the end.
    setrlimit(Resource::Cpu, Rlimit { current: Some(cpu.as_secs()), maximum: Some(cpu.as_secs() + 2) })?;
    setrlimit(Resource::Core, most(0))?;
    setrlimit(Resource::Fsize, most(0))?;
    // Neither is worth failing for: they are for the others' good.
    let _ = setpriority_process(None, NICENESS);
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    Ok(())
}
