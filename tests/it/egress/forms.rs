//! Server-side request forgery: ways to write a place where no guest has any business,
//! against listeners that are really there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::upstream::Upstream;
use super::{courier, local, send, send_all};
use crate::harness::report;

/// Listens on all addresses of this machine, and counts who comes.
async fn trap() -> (u16, Arc<AtomicUsize>) {
    let v4 = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let port = v4.local_addr().expect("bound").port();
    let arrived = Arc::new(AtomicUsize::new(0));
    let v6 = TcpListener::bind(("::1", port)).await.ok();
    for listener in [Some(v4), v6].into_iter().flatten() {
        let arrived = Arc::clone(&arrived);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                arrived.fetch_add(1, Ordering::Relaxed);
                drop(stream);
            }
        });
    }
    (port, arrived)
}

/// Hosts that are this machine, its networks, or what only looks like another place.
const HOSTS: [&str; 96] = [
    "127.0.0.1",
    "127.0.0.2",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "0",
    "0.0.0.0",
    "0x7f.0.0.1",
    "0x7f000001",
    "0x7F.0x0.0x0.0x1",
    "0177.0.0.1",
    "0177.0.0.01",
    "017700000001",
    "2130706433",
    "00000000000177.0.0.1",
    "127.0.0.1.",
    "127.000.000.001",
    "127.0.0.0x1",
    "127.0x0.1",
    "0000:0000::1",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:7f00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fe80::1%25lo]",
    "[::1%25lo]",
    "[::1%lo]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "::1",
    "[::1",
    "::1]",
    "[127.0.0.1]",
    "localhost",
    "LOCALHOST",
    "LocalHost",
    "localhost.",
    "localhost..",
    ".localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "ip6-loopback",
    "a.localhost",
    "foo.bar.localhost",
    "loopback",
    "broadcasthost",
    "169.254.169.254",
    "169.254.170.2",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "169.254.43518",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "metadata",
    "metadata.google.internal",
    "instance-data",
    "100.100.100.200",
    "192.0.0.192",
    "10.0.0.1",
    "10.1",
    "172.16.0.1",
    "172.17.0.1",
    "192.168.0.1",
    "192.168.65.2",
    "100.64.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "host.docker.internal",
    "host.minikube.internal",
    "kubernetes.default.svc",
    "kubernetes",
    "kubernetes.default.svc.cluster.local",
    "127.0.0.1%00",
    "127.0.0.1%2e",
    "%6cocalhost",
    "%31%32%37.0.0.1",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "ⓛocalhost",
    "localhost%00.example",
    "local\thost",
    "127.0.0.1 ",
    " 127.0.0.1",
];

/// Authorities in which a granted name stands beside another place: whoever reads them
/// otherwise than the host does ends there. `{p}` is the trap's port.
const BESIDE: [&str; 36] = [
    "api.example.com@127.0.0.1:{p}",
    "api.example.com:443@127.0.0.1:{p}",
    "api.example.com%40127.0.0.1:{p}",
    "127.0.0.1:{p}@api.example.com",
    "user:api.example.com@127.0.0.1:{p}",
    "@127.0.0.1:{p}",
    ":@127.0.0.1:{p}",
    "127.0.0.1:{p}#api.example.com",
    "127.0.0.1:{p}?api.example.com",
    "127.0.0.1:{p}/api.example.com",
    "127.0.0.1:{p}\\api.example.com",
    "127.0.0.1:{p}\\@api.example.com",
    "api.example.com\\@127.0.0.1:{p}",
    "127.0.0.1:{p}&@api.example.com",
    "127.0.0.1:{p};@api.example.com",
    "127.0.0.1:{p},api.example.com",
    "api.example.com,127.0.0.1:{p}",
    "api.example.com 127.0.0.1:{p}",
    "127.0.0.1:{p} api.example.com",
    "api.example.com\t127.0.0.1:{p}",
    "api.example.com\r\nHost: 127.0.0.1:{p}",
    "api.example.com\n127.0.0.1:{p}",
    "api.example.com\u{0}.127.0.0.1:{p}",
    "api.example.com:{p}",
    "api.example.com:443:{p}",
    "api.example.com:0443",
    "api.example.com.:{p}",
    "api.example.com:",
    "api.example.com:+443",
    "api.example.com.127.0.0.1.nip.io:{p}",
    "api-example.com:{p}",
    "127.0.0.1:{p}.api.example.com",
    "[::1]:{p}@api.example.com",
    "[api.example.com]:{p}",
    "//127.0.0.1:{p}",
    "http://127.0.0.1:{p}",
];

/// Targets of requests to a granted server, which lead elsewhere where a target may be
/// more than a path.
const TARGETS: [&str; 24] = [
    "http://127.0.0.1:{p}/",
    "https://127.0.0.1:{p}/",
    "HTTP://127.0.0.1:{p}/",
    "//127.0.0.1:{p}/",
    "///127.0.0.1:{p}/",
    "\\\\127.0.0.1:{p}\\",
    "/\\127.0.0.1:{p}/",
    "@127.0.0.1:{p}/",
    ":{p}/",
    ":{p}@127.0.0.1:{p}/",
    ".127.0.0.1:{p}/",
    "127.0.0.1:{p}",
    "*",
    "",
    "?http://127.0.0.1:{p}/",
    "#@127.0.0.1:{p}/",
    "/ HTTP/1.1\r\nHost: 127.0.0.1:{p}\r\n\r\n",
    "/\r\nHost: 127.0.0.1:{p}",
    "/%0d%0aHost:%20127.0.0.1:{p}",
    "/..//127.0.0.1:{p}/",
    "/http://127.0.0.1:{p}/",
    "ftp://127.0.0.1:{p}/",
    "file:///etc/passwd",
    "/\u{0}",
];

const SCHEMES: [Option<&str>; 6] = [Some("http"), Some("https"), None, Some("ftp"), Some("file"), Some("gopher")];

fn machine_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_ascii_lowercase();
    let is_granted = name.split('.').all(|label| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !label.ends_with('-')
    });
    is_granted.then_some(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_form_of_a_forbidden_place_gets_a_connection() {
    let (port, arrived) = trap().await;
    let granted = Upstream::start().await;
    // Names that lead to this machine, granted as if they were anybody's.
    let mut names = vec!["ip6-localhost".to_owned(), "ip6-loopback".to_owned()];
    names.extend(machine_name());
    let names: String =
        names.iter().map(|name| format!("\"http://{name}:{port}\", \"https://{name}:{port}\", ")).collect();
    let grants = format!("{names}\"api.example.com\", \"http://api.example.com:{port}\", {}", local(&granted, ""));
    let host = courier(&grants, "http_requests = 1000").await;

    let mut errands = Vec::new();
    for place in HOSTS {
        for scheme in SCHEMES {
            for authority in [format!("{place}:{port}"), place.to_owned()] {
                errands.push(json!({ "scheme": scheme, "authority": authority, "target": "/" }));
            }
        }
    }
    for beside in BESIDE {
        for scheme in SCHEMES {
            let authority = beside.replace("{p}", &port.to_string());
            errands.push(json!({ "scheme": scheme, "authority": authority, "target": "/", "patience": 300 }));
        }
    }
    let own = machine_name().map(|name| format!("{name}:{port}"));
    errands.extend(own.iter().map(|own| json!({ "scheme": "http", "authority": own, "target": "/" })));
    errands.push(json!({ "scheme": "http", "authority": null, "target": format!("http://127.0.0.1:{port}/") }));
    let to_granted = format!("localhost:{}", granted.port());
    for target in TARGETS {
        let target = target.replace("{p}", &port.to_string());
        errands.push(json!({ "scheme": "http", "authority": to_granted, "target": target }));
    }
    for method in ["CONNECT", "TRACE"] {
        let authority = format!("127.0.0.1:{port}");
        errands.push(json!({ "scheme": "http", "authority": authority, "target": "/", "method": method }));
        errands.push(json!({ "scheme": "http", "authority": to_granted, "target": authority, "method": method }));
    }
    for name in ["host", "Host", "x-forwarded-host", "proxy-authorization", "connection", "upgrade", "forwarded"] {
        let value = format!("127.0.0.1:{port}");
        errands.push(json!({ "scheme": "http", "authority": to_granted, "target": "/", "headers": [[name, value]] }));
    }

    let mut reached = 0;
    for some in errands.chunks(200) {
        for (errand, answer) in some.iter().zip(send_all(&host, &json!(some)).await) {
            let is_for_granted = errand["authority"] == json!(to_granted);
            assert!(answer["error"].is_string() || is_for_granted, "{errand} was answered: {answer}");
            reached += usize::from(answer["status"] == 200);
        }
    }
    // What was granted was asked, and each time as nobody else.
    let heads = granted.seen.heads();
    assert!(reached > 5 && heads.len() == reached, "{reached} {heads:?}");
    for head in &heads {
        assert_eq!(head.matches("\r\nhost: ").count(), 1, "{head}");
        assert!(head.contains(&format!("\r\nhost: {to_granted}")), "{head}");
        assert!(head.split(' ').nth(1).is_some_and(|target| target.starts_with('/')), "{head}");
    }
    // Whoever is on the way has arrived by then.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(arrived.load(Ordering::Relaxed), 0, "a connection arrived");
    report(&format!("egress: {} forms of requests to forbidden places, none of which connected", errands.len()));

    // The trap is one: it is reached by who may.
    let open = courier(&format!("{{ host = \"http://127.0.0.1:{port}\", private = true }}"), "").await;
    let answer: Value =
        send(&open, json!({ "scheme": "http", "authority": format!("127.0.0.1:{port}"), "target": "/" })).await;
    assert!(answer["error"].is_string());
    assert_eq!(arrived.load(Ordering::Relaxed), 1);
}
