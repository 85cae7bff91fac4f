//! From a name to addresses that a connection may go to. They are looked at here, and
//! the connection goes to one of these and not to the name: a name that has another
//! address a moment later changes nothing.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tower::Service;

use crate::config::HttpGrant;
use crate::config::egress::Reach;

/// Time for one look-up. The system goes on with it for longer, and keeps a place.
const TIME: Duration = Duration::from_secs(2);
/// Look-ups of the process at once: each holds one of the threads that also read files.
const LOOK_UPS: usize = 16;
/// Addresses of one name that are tried.
const ADDRESSES: usize = 8;

static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LOOK_UPS)));

/// Why there is no address.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unresolved {
    #[error("`{0}` has no address")]
    Unknown(String, #[source] Option<io::Error>),
    #[error("`{name}` leads to {address}, which is not for guests; if that is meant, grant it with `private = true`")]
    Forbidden { name: String, address: IpAddr },
    #[error("nothing answered within {} s for `{name}`", TIME.as_secs())]
    Late { name: String },
}

type LookUp = fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;

#[derive(Clone)]
pub(super) struct Resolver {
    grant: Arc<HttpGrant>,
    look_up: LookUp,
}

impl Resolver {
    pub(super) fn new(grant: HttpGrant) -> Self {
        Self { grant: Arc::new(grant), look_up: |name| system(name).boxed() }
    }

    async fn resolve(self, name: String) -> Result<std::vec::IntoIter<SocketAddr>, Unresolved> {
        let late = |_| Unresolved::Late { name: name.clone() };
        let looked_up = async {
            // Held until the look-up is over, and not only until nobody waits for it.
            let place = Arc::clone(&PLACES).acquire_owned().await.map_err(io::Error::other)?;
            let (look_up, name) = (self.look_up, name.clone());
            let looking = tokio::spawn(async move {
                let found = look_up(name).await;
                drop(place);
                found
            });
            looking.await.map_err(io::Error::other)?
        };
        let found = tokio::time::timeout(TIME, looked_up).await.map_err(late)?;
        let found = found.map_err(|error| Unresolved::Unknown(name.clone(), Some(error)))?;
        let is_open = |address: &IpAddr| {
            let reach = Reach::of(*address);
            self.grant.may_reach(reach) && (reach != Reach::Public || !is_own(*address))
        };
        let open: Vec<SocketAddr> =
            found.iter().filter(|address| is_open(address)).take(ADDRESSES).map(|ip| (*ip, 0).into()).collect();
        match found.first() {
            _ if !open.is_empty() => Ok(open.into_iter()),
            Some(address) => Err(Unresolved::Forbidden { name, address: *address }),
            None => Err(Unresolved::Unknown(name, None)),
        }
    }
}

async fn system(name: String) -> io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
}

/// Whether a public address is this machine's, on which the host itself may listen:
/// the system would send from the address that it sends to. Nothing is sent.
fn is_own(address: IpAddr) -> bool {
    let from: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let chosen = UdpSocket::bind((from, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    chosen.is_ok_and(|chosen| chosen.ip() == address)
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Unresolved;
    type Future = BoxFuture<'static, Result<Self::Response, Unresolved>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        self.clone().resolve(name.as_str().to_owned()).boxed()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resolver({})", self.grant.host)
    }
}

#[cfg(test)]
mod tests;
