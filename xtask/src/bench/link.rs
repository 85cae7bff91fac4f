//! A link to the database that takes its time: a proxy on 127.0.0.1 that holds
//! every piece back for half a round trip.

use anyhow::Result;
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

/// One round trip over the link.
pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(5);
/// Pieces on their way in one direction; a sender that is faster waits.
const PIECES: usize = 1024;

/// Starts a link before `target`, for as long as this process runs.
pub(crate) fn before(target: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A connection that fails is for its two ends to notice.
            let _ = carry(client, target);
        }
    });
    Ok(address)
}

fn carry(client: TcpStream, target: SocketAddr) -> Result<()> {
    let server = TcpStream::connect(target)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    one_way(client.try_clone()?, server.try_clone()?);
    one_way(server, client);
    Ok(())
}

/// Reads and writes on threads of their own, so that many pieces can be on
/// their way at once.
fn one_way(mut from: TcpStream, mut to: TcpStream) {
    let (sender, pieces) = sync_channel::<(Instant, Vec<u8>)>(PIECES);
    thread::spawn(move || read(&mut from, &sender));
    thread::spawn(move || {
        for (due, piece) in pieces {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        // The other direction reads the end of it, and ends too.
        let _ = to.shutdown(Shutdown::Both);
    });
}

fn read(from: &mut TcpStream, sender: &SyncSender<(Instant, Vec<u8>)>) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if sender.send((Instant::now() + ROUND_TRIP / 2, buffer[..length].to_vec())).is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_takes_its_time() {
        let echo = TcpListener::bind("127.0.0.1:0").expect("a port");
        let link = before(echo.local_addr().expect("bound")).expect("a link");
        thread::spawn(move || {
            let (mut stream, _) = echo.accept().expect("a connection");
            let mut byte = [0];
            while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
        });
        let mut stream = TcpStream::connect(link).expect("connected");
        let began = Instant::now();
        for byte in *b"five!" {
            stream.write_all(&[byte]).expect("written");
            let mut back = [0];
            stream.read_exact(&mut back).expect("read");
            assert_eq!(back, [byte]);
        }
        assert!(began.elapsed() >= 5 * ROUND_TRIP, "{:?}", began.elapsed());
    }
}
