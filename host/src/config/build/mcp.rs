//! The endpoint of the Model Context Protocol.

use super::auth::address;
use super::flag;
use crate::config::raw::RawMcp;
use crate::config::{Env, Mcp, Problems};

pub(super) fn build(raw: RawMcp, env: &Env, problems: &mut Problems) -> Mcp {
    let RawMcp { public_url, hosts, require_auth } = raw;
    let public_url = address(env, "INNKEEPER_PUBLIC_URL", "mcp.public_url", public_url, problems);
    if public_url.as_ref().is_some_and(|url| url.query().is_some() || url.fragment().is_some()) {
        problems.push("INNKEEPER_PUBLIC_URL", "has a query or a fragment", "write it as https://todo.example.com");
    }
    let hosts = match env.get("INNKEEPER_MCP_HOSTS") {
        Some(text) => text.split(',').map(|host| host.trim().to_owned()).filter(|host| !host.is_empty()).collect(),
        None => hosts.unwrap_or_default(),
    };
    for host in hosts.iter().filter(|host| !is_host(host)) {
        let hint = "write names alone, such as innkeeper or todo.example.com: no scheme, no port, no `*`";
        problems.push("INNKEEPER_MCP_HOSTS", format!("`{host}` is not the name of a host"), hint);
    }
    let require_auth = flag(env, "INNKEEPER_MCP_REQUIRE_AUTH", problems).or(require_auth).unwrap_or(false);
    Mcp { public_url, hosts, require_auth }
}

fn is_host(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => (1..=253).contains(&host.len()) && host.bytes().all(plain),
    }
}
