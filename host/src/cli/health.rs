//! `innkeeper health`: asks the host beside it, for container engines that can
//! only run a command. The image has no other one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::CliError;
use crate::config::Config;

/// A host that has not answered by then is not healthy. Shorter than what engines
/// wait for the command, so that they hear why.
const PATIENCE: Duration = Duration::from_secs(3);
/// The status line and some headers: all that is looked at.
const HEAD_BYTES: usize = 1 << 10;

/// Asks once.
///
/// # Errors
/// When there is no answer, or it is not 200; says which.
pub(super) async fn ask(config: &Config, path: &str) -> Result<(), CliError> {
    let address = reachable(config.listen);
    let asked = tokio::time::timeout(PATIENCE, status(address, path)).await;
    match asked {
        Ok(Ok(200)) => Ok(()),
        Ok(Ok(status)) => Err(CliError::Unavailable(format!("{address}{path} answers {status}"))),
        Ok(Err(error)) => Err(CliError::Unavailable(format!("no answer from {address}: {error}"))),
        Err(_) => Err(CliError::Unavailable(format!("no answer from {address} within {} s", PATIENCE.as_secs()))),
    }
}

/// A host that listens everywhere is reached here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn status(address: SocketAddr, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    stream.take(HEAD_BYTES as u64).read_to_end(&mut head).await?;
    let head = String::from_utf8_lossy(&head);
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
    status.ok_or_else(|| std::io::Error::other("the answer is not HTTP"))
}

#[cfg(test)]
mod tests {
    use super::reachable;

    #[test]
    fn a_host_that_listens_everywhere_is_asked_here() {
        for (listen, asked) in
            [("0.0.0.0:8000", "127.0.0.1:8000"), ("[::]:8000", "[::1]:8000"), ("10.0.0.7:81", "10.0.0.7:81")]
        {
            assert_eq!(reachable(listen.parse().expect("an address")).to_string(), asked);
        }
    }
}
