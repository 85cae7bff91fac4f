use std::io;
use std::net::IpAddr;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{LookUp, Resolver, Unresolved, is_own};
use crate::config::HttpGrant;

fn grant(host: &str, private: bool) -> HttpGrant {
    let (methods, headers, roots) = (Vec::new(), Vec::new(), Vec::new());
    HttpGrant { is_https: false, host: host.into(), port: 80, methods, headers, private, roots }
}

/// The name says what it leads to.
fn scripted(name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
    let address = |label: &str| label.replace('x', ":").replace('-', ".").parse().expect("an address");
    let labels = name.trim_end_matches(".test").split('.').filter(|label| !label.is_empty());
    let found: Vec<IpAddr> = labels.map(address).collect();
    async { Ok(found) }.boxed()
}

async fn resolve(name: &str, private: bool, look_up: LookUp) -> Result<Vec<String>, Unresolved> {
    let resolver = Resolver { look_up, ..Resolver::new(grant(name, private)) };
    Ok(resolver.resolve(name.to_owned()).await?.map(|address| address.ip().to_string()).collect())
}

#[tokio::test]
async fn only_public_addresses_of_a_name_are_gone_to() {
    let open = async |name| resolve(name, false, scripted).await;
    assert_eq!(open("8-8-8-8.test").await.expect("public"), ["8.8.8.8"]);
    // A name with an address of each kind, whatever their order.
    assert_eq!(open("127-0-0-1.8-8-8-8.10-0-0-1.test").await.expect("one is"), ["8.8.8.8"]);
    for name in ["127-0-0-1.test", "10-0-0-1.test", "169-254-169-254.test", "xx1.test", "xxffffx8-8-8-8.test"] {
        assert!(matches!(open(name).await, Err(Unresolved::Forbidden { .. })), "{name}");
    }
    assert!(matches!(open("test").await.map_err(drop), Err(())));
}

#[tokio::test]
async fn a_private_grant_opens_private_networks_and_neither_this_machine_nor_metadata() {
    let open = async |name| resolve(name, true, scripted).await;
    assert_eq!(open("10-0-0-1.169-254-169-254.127-0-0-1.test").await.expect("one is"), ["10.0.0.1"]);
    for name in ["127-0-0-1.test", "xx1.test", "169-254-169-254.test", "fd00xec2xx254.test", "0-0-0-0.test"] {
        assert!(matches!(open(name).await, Err(Unresolved::Forbidden { .. })), "{name}");
    }
    let localhost =
        Resolver { look_up: |_| scripted("127-0-0-1.test".into()), ..Resolver::new(grant("localhost", true)) };
    assert!(localhost.resolve("localhost".into()).await.is_ok(), "a grant that names this machine means it");
}

#[tokio::test]
async fn a_name_that_changes_is_gone_to_where_it_was_looked_at() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    // Public at the first look, this machine ever after: rebinding.
    let rebinding: LookUp = |_| {
        let first = ASKED.fetch_add(1, Ordering::Relaxed) == 0;
        scripted(if first { "8-8-8-8.test" } else { "127-0-0-1.test" }.into())
    };
    for round in 0..1_000 {
        match resolve("rebinding.test", false, rebinding).await {
            Ok(found) => assert_eq!((round, &found[..]), (0, &["8.8.8.8".to_owned()][..])),
            Err(error) => assert!(matches!(error, Unresolved::Forbidden { .. }) && round > 0, "{error}"),
        }
    }
    assert_eq!(ASKED.load(Ordering::Relaxed), 1_000, "each connection takes one look, and no second one");
}

#[tokio::test]
async fn a_look_up_that_does_not_end_is_not_waited_for() {
    let silent: LookUp = |_| std::future::pending().boxed();
    let begin = Instant::now();
    assert!(matches!(resolve("slow.test", false, silent).await, Err(Unresolved::Late { .. })));
    assert!(begin.elapsed() >= super::TIME);
}

#[tokio::test]
async fn thousands_of_addresses_are_not_tried() {
    let many: LookUp = |_| async { Ok((0..5_000_u32).map(|n| IpAddr::V4((0x0808_0000 + n).into())).collect()) }.boxed();
    let begin = Instant::now();
    assert_eq!(resolve("many.test", false, many).await.expect("public").len(), super::ADDRESSES);
    assert!(begin.elapsed() < super::TIME);
}

#[test]
fn this_machines_own_address_is_known_without_sending_anything() {
    assert!(is_own("127.0.0.1".parse().expect("an address")));
    assert!(!is_own("192.0.2.1".parse().expect("an address")));
}
