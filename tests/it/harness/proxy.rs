//! A TCP proxy that can be cut: a database that goes away and comes back.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Stands before a server. While it is cut, connections end at once.
pub struct Proxy {
    pub address: SocketAddr,
    open: Arc<watch::Sender<bool>>,
}

impl Proxy {
    /// Before the server of this database URL.
    pub async fn before(url: &str) -> Self {
        let target = target(url);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let open = Arc::new(watch::channel(true).0);
        let state = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target.clone(), state.subscribe()));
            }
        });
        Self { address, open }
    }

    /// Ends every connection, and those to come.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets connections through again.
    pub fn restore(&self) {
        self.open.send_replace(true);
    }

    /// The database URL by way of the proxy.
    pub fn url(&self, url: &str) -> String {
        url.replace(&target(url), &self.address.to_string())
    }
}

fn target(url: &str) -> String {
    let authority = url.split("://").nth(1).expect("a URL").split(['/', '?']).next().expect("an authority");
    authority.rsplit('@').next().expect("a host").to_owned()
}

async fn carry(mut client: TcpStream, target: String, mut open: watch::Receiver<bool>) {
    if !*open.borrow() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let closed = async {
        let _ = open.wait_for(|open| !open).await;
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        () = closed => {}
    }
}
