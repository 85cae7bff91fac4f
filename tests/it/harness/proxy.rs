//! A TCP proxy that can be cut: a database that goes away and comes back.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Cut,
    Stalled,
}

/// Stands before a server. While it is cut, connections end at once; while it
/// is stalled, they stay and nothing comes through.
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<watch::Sender<State>>,
}

impl Proxy {
    /// Before the server of this database URL.
    pub async fn before(url: &str) -> Self {
        let target = target(url);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(watch::channel(State::Open).0);
        let seen = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target.clone(), seen.subscribe()));
            }
        });
        Self { address, state }
    }

    /// Ends every connection, and those to come.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Keeps every connection, and carries nothing any more.
    pub fn stall(&self) {
        self.state.send_replace(State::Stalled);
    }

    /// Lets connections through again; stalled ones end.
    pub fn restore(&self) {
        self.state.send_replace(State::Open);
    }

    /// The database URL by way of the proxy.
    pub fn url(&self, url: &str) -> String {
        url.replace(&target(url), &self.address.to_string())
    }
}

pub(super) fn target(url: &str) -> String {
    let authority = url.split("://").nth(1).expect("a URL").split(['/', '?']).next().expect("an authority");
    authority.rsplit('@').next().expect("a host").to_owned()
}

async fn carry(mut client: TcpStream, target: String, mut state: watch::Receiver<State>) {
    if *state.borrow() == State::Open {
        let Ok(mut server) = TcpStream::connect(target).await else { return };
        let changed = async {
            let _ = state.wait_for(|state| *state != State::Open).await;
        };
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
            () = changed => {}
        }
    }
    let _ = state.wait_for(|state| *state != State::Stalled).await;
}
