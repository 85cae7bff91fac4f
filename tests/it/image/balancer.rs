//! A plain proxy before replicas: connections go to one after the other, and to the
//! next where one cannot be reached. It knows no HTTP, and repeats nothing.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

pub struct Balancer {
    pub address: SocketAddr,
    listening: AbortHandle,
}

impl Balancer {
    pub async fn before(replicas: Vec<watch::Receiver<SocketAddr>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let listening = tokio::spawn(async move {
            for turn in 0.. {
                let Ok((client, _)) = listener.accept().await else { return };
                let order = (0..replicas.len()).map(|next| *replicas[(turn + next) % replicas.len()].borrow());
                tokio::spawn(carry(client, order.collect()));
            }
        });
        Self { address, listening: listening.abort_handle() }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn carry(mut client: TcpStream, replicas: Vec<SocketAddr>) {
    for replica in replicas {
        if let Ok(mut server) = TcpStream::connect(replica).await {
            // Whoever ends first, the other one sees it.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}
