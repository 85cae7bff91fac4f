//! From the entries of a grant to servers.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::{HeaderName, HeaderValue, Method, header};
use secrecy::ExposeSecret;

use super::{HttpGrant, HttpSecret, Reach};
use crate::config::raw::{RawHttpGrant, RawHttpServer};
use crate::config::{Env, Problems, certificates};

/// Names that lead into a network of somebody's own, wherever they are asked for.
const PRIVATE_NAMES: [&str; 6] = ["localhost", "local", "internal", "svc", "cluster.local", "home.arpa"];
/// What a server may be asked: no CONNECT, which asks it for a connection elsewhere,
/// and no TRACE, which answers with what the host has added.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
/// Servers of one module. More is a proxy, which a guest should not be.
const SERVERS: usize = 64;

pub(in crate::config) fn build(
    key: &str,
    raw: Vec<RawHttpGrant>,
    env: &Env,
    problems: &mut Problems,
) -> Vec<HttpGrant> {
    if raw.len() > SERVERS {
        problems.push(key, format!("{} servers", raw.len()), format!("name at most {SERVERS}"));
    }
    let mut grants: Vec<HttpGrant> = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let key = format!("{key}[{index}]");
        let server = match raw {
            RawHttpGrant::Open(host) => RawHttpServer { host, ..RawHttpServer::default() },
            RawHttpGrant::Named(server) => server,
        };
        let Some(grant) = build_one(&key, server, env, problems) else { continue };
        if grants.iter().any(|other| other.origin() == grant.origin()) {
            problems.push(&key, format!("`{}` is granted twice", grant.origin()), "write it once");
        }
        grants.push(grant);
    }
    grants
}

fn build_one(key: &str, raw: RawHttpServer, env: &Env, problems: &mut Problems) -> Option<HttpGrant> {
    let RawHttpServer { host, methods, header, private, ca } = raw;
    let Some((is_https, host, port)) = server(&host) else {
        let hint = "write it as api.example.com, api.example.com:8443 or http://10.0.0.7:8080, in lower case, \
            without a path, patterns or credentials";
        problems.push(key, format!("`{host}` names no server"), hint);
        return None;
    };
    let headers = header.into_iter().filter_map(|(name, value)| {
        let key = format!("{key}.header.{name}");
        secret(&key, &name, &value, env, problems)
    });
    let headers = headers.collect();
    let methods = methods.iter().filter_map(|text| method(&format!("{key}.methods"), text, problems)).collect();
    let roots = ca.map(|path| certificates::read_for(&format!("{key}.ca"), &path, problems)).unwrap_or_default();
    let grant = HttpGrant { is_https, host, port, methods, headers, private, roots };
    check_reach(key, &grant, problems);
    Some(grant)
}

/// Scheme, host and port. Only what has one way to be read.
fn server(text: &str) -> Option<(bool, String, u16)> {
    let (is_https, rest) = match text.split_once("://") {
        None => (true, text),
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        Some(_) => return None,
    };
    let (host, port) = match rest.rsplit_once(':') {
        // The last colon of an address is none of a port.
        Some((host, port)) if !port.ends_with(']') => (host, port_number(port)?),
        _ => (rest, if is_https { 443 } else { 80 }),
    };
    is_host(host).then(|| (is_https, host.to_owned(), port))
}

fn port_number(text: &str) -> Option<u16> {
    let port = text.parse::<u16>().ok().filter(|port| *port > 0)?;
    (port.to_string() == text).then_some(port)
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address);
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    // What a resolver may take for a number is an address, and written as one.
    if last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return host.parse::<Ipv4Addr>().is_ok_and(|parsed| parsed.to_string() == host);
    }
    host.len() <= 253 && host.split('.').all(is_label)
}

/// RFC 1123 section 2.1, in lower case; a name of other letters is written in Punycode.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn method(key: &str, text: &str, problems: &mut Problems) -> Option<Method> {
    let known = METHODS.iter().find(|method| method.as_str() == text).cloned();
    if known.is_none() {
        problems.push(key, format!("`{text}` is not a method that can be granted"), "write GET, POST, …, in capitals");
    }
    known
}

/// `env:NAME`, `file:PATH`, or one of them after an open word: `Bearer env:NAME`.
fn secret(key: &str, name: &str, text: &str, env: &Env, problems: &mut Problems) -> Option<HttpSecret> {
    let (open, reference) = text.rsplit_once(' ').map_or(("", text), |(open, reference)| (open, reference));
    let Ok(name) = name.parse::<HeaderName>() else {
        problems.push(key, "not the name of a header", "correct it");
        return None;
    };
    if is_framing(&name) {
        problems.push(key, "framing and addressing are the host's own", "take it out");
        return None;
    }
    let secret = env.reference(key, reference, problems)?;
    // A line end is what a secret that was read from a file often ends in.
    let secret = secret.expose_secret().trim();
    let open = if open.is_empty() { String::new() } else { format!("{open} ") };
    let Ok(mut value) = HeaderValue::from_str(&format!("{open}{secret}")) else {
        problems.push(key, "the secret has characters that no header can carry", "correct the secret");
        return None;
    };
    value.set_sensitive(true);
    Some(HttpSecret { name, value, secret_at: open.len() })
}

fn is_framing(name: &HeaderName) -> bool {
    [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE]
        .contains(name)
}

/// A mistake that would be told at each request is told at the start.
fn check_reach(key: &str, grant: &HttpGrant, problems: &mut Problems) {
    let is_private_name =
        |suffix: &&str| grant.host.strip_suffix(*suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let reach = match grant.address() {
        Some(address) => Reach::of(address),
        None if PRIVATE_NAMES.iter().any(is_private_name) => Reach::Private,
        None => Reach::Public,
    };
    match reach {
        _ if grant.may_reach(reach) => {}
        Reach::Never => {
            let what = format!("`{}` is an address that guests never reach", grant.host);
            problems.push(key, what, "name a server with an address of its own");
        }
        _ => {
            let place = if reach == Reach::Loopback { "this machine" } else { "a private network" };
            let hint = format!("write {{ host = \"{}\", private = true }} if that is meant", grant.origin());
            problems.push(key, format!("`{}` is in {place}", grant.host), hint);
        }
    }
}

#[cfg(test)]
mod tests;
