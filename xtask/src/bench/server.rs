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
    pub(crate) peak_mib: f64,
    job: Job,
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
    let mut server = Server { stand, base, peak_mib: 0.0, job };
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
        self.peak_mib = self.peak_mib.max(self.memory_mib()?);
        Ok(())
    }

    /// How much memory the server's processes take now.
    pub(crate) fn memory_mib(&self) -> Result<f64> {
        let mut kib = 0;
        for entry in fs::read_dir("/proc")?.flatten() {
            let read = |name: &str| fs::read_to_string(entry.path().join(name)).ok();
            // Whatever cannot be read is no process, or has just ended.
            if read("stat").and_then(|stat| group_of(&stat)) == Some(self.job.id()) {
                kib += read("status").and_then(|status| resident_kib(&status)).unwrap_or(0);
            }
        }
        Ok(f64::from(kib) / 1024.0)
    }
}

/// The process group in `/proc/…/stat`: the fifth field, but the second one is
/// a name in parentheses that may itself contain spaces and parentheses.
fn group_of(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

fn resident_kib(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
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
    fn resident_memory_is_read_in_kib() {
        assert_eq!(resident_kib("Name:\tx\nVmHWM:\t 99 kB\nVmRSS:\t   1234 kB\n"), Some(1234));
        assert_eq!(resident_kib("Name:\tkthreadd\n"), None);
    }
}
