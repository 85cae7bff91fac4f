//! Where a request came from. Pure.
//!
//! `X-Forwarded-For` is whatever its sender wrote, but for the entries that
//! proxies of the operator's have added: as many, counted from the end, as the
//! operator says there are.

use std::net::IpAddr;

use http::{HeaderMap, Request};

use crate::call::{Client, Peer};

const FORWARDED_FOR: &str = "x-forwarded-for";
const LOOP: &str = "cdn-loop";

/// The client of a request; none where there is no connection.
pub(super) fn of<B>(request: &Request<B>, proxies: u8) -> Option<Client> {
    let Peer(peer) = *request.extensions().get()?;
    let told = proxies.checked_sub(1).and_then(|beyond| forwarded(request.headers(), beyond.into()));
    let hops = hops(request.headers());
    Some(match told {
        Some(address) => Client { address, own: true, hops },
        // A proxy that says nothing is all there is to go by.
        None => Client { address: peer, own: false, hops },
    })
}

/// Hosts of this kind that have passed a request on, as they say themselves.
pub(super) fn hops(headers: &HeaderMap) -> u8 {
    let fields = headers.get_all(LOOP).iter().filter_map(|value| value.to_str().ok());
    let entries = fields.flat_map(|field| field.split(','));
    // An entry may have parameters (RFC 8586 section 2).
    let own = entries.filter(|entry| entry.split(';').next().is_some_and(|id| id.trim() == crate::NAME));
    u8::try_from(own.count()).unwrap_or(u8::MAX)
}

/// The entry with so many after it.
fn forwarded(headers: &HeaderMap, after: usize) -> Option<IpAddr> {
    // Several fields are one list (RFC 9110 section 5.3).
    let fields = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let entries: Vec<&str> = fields.flat_map(|field| field.split(',')).map(str::trim).collect();
    let entry = entries.iter().rev().nth(after)?;
    // Some proxies add the port, and brackets where it would be ambiguous.
    let address = entry.parse().or_else(|_| entry.parse().map(|socket: std::net::SocketAddr| socket.ip()));
    address.or_else(|_| entry.trim_matches(['[', ']']).parse()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(proxies: u8, fields: &[&str], expected: &str, own: bool) {
        let mut request = Request::new(());
        request.extensions_mut().insert(Peer("192.0.2.9".parse().expect("an address")));
        for field in fields {
            request.headers_mut().append(FORWARDED_FOR, field.parse().expect("a value"));
        }
        let expected = Client { address: expected.parse().expect("an address"), own, hops: 0 };
        assert_eq!(of(&request, proxies), Some(expected), "{proxies} {fields:?}");
    }

    #[test]
    fn what_the_last_proxies_wrote_counts_and_nothing_before() {
        check(0, &["198.51.100.1"], "192.0.2.9", false);
        check(1, &["203.0.113.1, 198.51.100.1"], "198.51.100.1", true);
        check(2, &["203.0.113.1, 198.51.100.1"], "203.0.113.1", true);
        check(2, &["203.0.113.1", "198.51.100.1"], "203.0.113.1", true);
        check(1, &["198.51.100.1:4711"], "198.51.100.1", true);
        check(1, &["[2001:db8::1]:4711"], "2001:db8::1", true);
        check(1, &["[2001:db8::1]"], "2001:db8::1", true);
        check(1, &["2001:db8::1"], "2001:db8::1", true);
    }

    #[test]
    fn without_a_word_of_the_proxy_it_is_the_client_and_perhaps_many() {
        check(1, &[], "192.0.2.9", false);
        check(3, &["203.0.113.1, 198.51.100.1"], "192.0.2.9", false);
        check(1, &["198.51.100.1, unknown"], "192.0.2.9", false);
        check(1, &["198.51.100.1,"], "192.0.2.9", false);
    }

    #[test]
    fn each_host_of_this_kind_is_counted_and_no_other() {
        let mut headers = HeaderMap::new();
        assert_eq!(hops(&headers), 0);
        headers.append(LOOP, "innkeeper, cdn.example; a=\"innkeeper\", innkeeper;v=1".parse().expect("a value"));
        headers.append(LOOP, "innkeepers,innkeeper".parse().expect("a value"));
        assert_eq!(hops(&headers), 3);
        headers.insert(LOOP, "innkeeper,".repeat(300).parse().expect("a value"));
        assert_eq!(hops(&headers), u8::MAX);
    }

    #[test]
    fn what_the_host_asks_itself_comes_from_nowhere() {
        assert_eq!(of(&Request::new(()), 1), None);
    }
}
