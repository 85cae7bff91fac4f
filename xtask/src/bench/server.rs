//! A running server: when it answered first, and how much memory it takes.

use super::contender::{Site, Stand};
use crate::{
    postgres::free_port,
    process::{self, Job},
};
use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File},
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};
use ureq::Agent;

/// A server that has not answered by then never will.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    pub(crate) stand: &'static Stand,
    pub(crate) base: String,
    /// The most memory that was seen in use.
    pub(crate) peak: Memory,
    job: Job,
}

/// What the processes of a server take, in MiB.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Every page that is mapped, as often as it is (RSS).
    pub(crate) resident: f64,
    /// Pages that are mapped many times count once in all (PSS).
    pub(crate) proportional: f64,
}

impl Memory {
    fn max(self, other: Self) -> Self {
        Self { resident: self.resident.max(other.resident), proportional: self.proportional.max(other.proportional) }
    }
}

/// Starts a server; also tells how many milliseconds its first 200 took.
pub(crate) fn timed_start(stand: &'static Stand, site: &Site, far: Option<SocketAddr>) -> Result<(Server, f64)> {
    let port = free_port()?;
    let log = site.log(stand);
    let output = File::create(&log)?;
    let mut command = site.command(stand, port, far)?;
    command.stdout(output.try_clone()?).stderr(output);

    let began = Instant::now();
    let job = Job::spawn(&mut command)?;
    let base = format!("http://127.0.0.1:{port}");
    let mut server = Server { stand, base, peak: Memory::default(), job };
    server.wait_until_ready(began).with_context(|| {
        let said = fs::read_to_string(&log).unwrap_or_default();
        format!("{} did not start; it said:\n{said}", stand.name)
    })?;
    Ok((server, began.elapsed().as_secs_f64() * 1e3))
}

impl Server {
    fn wait_until_ready(&mut self, began: Instant) -> Result<()> {
        let url = format!("{}{}", self.base, self.stand.ready);
        let config = Agent::config_builder().timeout_global(Some(Duration::from_secs(2)));
        let agent = Agent::from(config.build());
        // A status that is not a success is an error, too: not ready yet.
        while agent.get(&url).call().is_err() {
            process::still_wanted()?;
            if let Some(status) = self.job.try_wait()? {
                bail!("it ended: {status}");
            }
            if began.elapsed() > PATIENCE {
                bail!("no answer within {} s", PATIENCE.as_secs());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Looks at how much memory the server's processes take now.
    pub(crate) fn note_memory(&mut self) -> Result<()> {
        self.peak = self.peak.max(self.memory()?);
        Ok(())
    }

    /// How much memory the server's processes take now.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let mut memory = Memory::default();
        for entry in fs::read_dir("/proc")?.flatten() {
            let read = |name: &str| fs::read_to_string(entry.path().join(name)).ok();
            // Whatever cannot be read is no process, or has just ended.
            if read("stat").and_then(|stat| group_of(&stat)) == Some(self.job.id()) {
                let rollup = read("smaps_rollup").unwrap_or_default();
                memory.resident += mib(&rollup, "Rss:").unwrap_or(0.0);
                memory.proportional += mib(&rollup, "Pss:").unwrap_or(0.0);
            }
        }
        Ok(memory)
    }
}

/// The process group in `/proc/…/stat`: the fifth field, but the second one is
/// a name in parentheses that may itself contain spaces and parentheses.
fn group_of(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

/// A line of `/proc/…/smaps_rollup`, which counts in KiB.
fn mib(rollup: &str, name: &str) -> Option<f64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_belongs_to_its_group_whatever_its_name_is() {
        assert_eq!(group_of("42 (a) b (c)) S 1 77 42 0 -1"), Some(77));
        assert_eq!(group_of("nonsense"), None);
    }

    #[test]
    fn memory_is_read_in_mib() {
        let rollup = "0-7f ---p 0 0 [rollup]\nRss:\t  2048 kB\nPss:\t   512 kB\nPss_Anon:\t 99 kB\n";
        assert_eq!(mib(rollup, "Rss:"), Some(2.0));
        assert_eq!(mib(rollup, "Pss:"), Some(0.5));
        assert_eq!(mib("", "Rss:"), None);
    }
}
