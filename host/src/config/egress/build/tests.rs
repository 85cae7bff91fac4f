use crate::config::tests::{load, refused};
use crate::config::{Config, HttpGrant};

fn file(grant: &str) -> String {
    format!("[[module]]\nname = \"m\"\nsource = \"m.wasm\"\ngrants = {{ http = [{grant}] }}")
}

fn granted(grant: &str) -> Vec<HttpGrant> {
    let config: Config = load(&file(grant), &[("API_TOKEN", "sk-0123456789\n")]).expect("valid");
    config.modules.into_iter().flat_map(|module| module.grants.http).collect()
}

#[test]
fn an_entry_is_one_scheme_host_and_port() {
    for (entry, origin) in [
        ("api.example.com", "https://api.example.com"),
        ("api.example.com:443", "https://api.example.com"),
        ("api.example.com:8443", "https://api.example.com:8443"),
        ("https://api.example.com", "https://api.example.com"),
        ("http://api.example.com", "http://api.example.com"),
        ("http://api.example.com:443", "http://api.example.com:443"),
        ("8.8.8.8", "https://8.8.8.8"),
        ("[2606:4700:4700::1111]:8443", "https://[2606:4700:4700::1111]:8443"),
        ("xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("0xff.example", "https://0xff.example"),
    ] {
        let grants = granted(&format!("{entry:?}"));
        assert_eq!(grants.iter().map(HttpGrant::origin).collect::<Vec<_>>(), [origin], "{entry}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_no_entry() {
    for entry in [
        "",
        " ",
        "*",
        "*.example.com",
        "Example.com",
        "example.com.",
        ".example.com",
        "example..com",
        "-a.example",
        "a-.example",
        "bücher.example",
        "exa mple.com",
        "example.com/",
        "example.com/v1",
        "https://example.com/",
        "user@example.com",
        "https://user:pass@example.com",
        "example.com:",
        "example.com:0",
        "example.com:0443",
        "example.com:+443",
        "example.com:65536",
        "example.com:https",
        "ftp://example.com",
        "HTTPS://example.com",
        "//example.com",
        "https:example.com",
        "example.com?",
        "example.com#a",
        "example.com\\\\@evil.example",
        "127.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "127.0.0.01",
        "0127.0.0.1",
        "1.2.3.4.5",
        "256.1.1.1",
        "0x7f.1",
        "example.0x7f",
        "[::1",
        "::1",
        "[::1]]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:7f00:1]x",
        "[fe80::1%eth0]",
        "[::FFFF:127.0.0.1]",
        "example.com:443:443",
        "%6cocalhost",
        "example.com%00",
        "ex_ample.com",
    ] {
        refused(&file(&format!("\"{entry}\"")), &[], &["grants.http[0]", "names no server", "api.example.com:8443"]);
    }
}

#[test]
fn what_is_not_public_is_granted_only_when_that_is_said() {
    for host in [
        "127.0.0.1",
        "[::1]",
        "10.0.0.7:8080",
        "192.168.1.1",
        "100.64.0.1",
        "[fd12::1]",
        "localhost",
        "db.localhost",
        "api.default.svc",
        "api.default.svc.cluster.local",
        "printer.local",
        "metadata.google.internal",
        "nas.home.arpa",
    ] {
        refused(&file(&format!("{host:?}")), &[], &["grants.http[0]", "private = true"]);
        assert_eq!(granted(&format!("{{ host = {host:?}, private = true }}")).len(), 1, "{host}");
    }
    for host in ["169.254.169.254", "0.0.0.0", "255.255.255.255", "[::ffff:10.0.0.1]", "[fe80::1]", "[ff02::1]"] {
        for private in [false, true] {
            let entry = format!("{{ host = {host:?}, private = {private} }}");
            refused(&file(&entry), &[], &["grants.http[0]", "never reach"]);
        }
    }
}

#[test]
fn a_secret_is_named_and_not_written() {
    let grants = granted("{ host = \"api.example.com\", header = { authorization = \"Bearer env:API_TOKEN\" } }");
    let header = &grants[0].headers[0];
    assert_eq!((header.value.as_bytes(), header.secret()), (&b"Bearer sk-0123456789"[..], &b"sk-0123456789"[..]));
    assert!(!format!("{grants:?} {:?}", header.value).contains("0123456789"));
    let with = |header: &str| file(&format!("{{ host = \"a.example\", header = {{ {header} }} }}"));
    let vars = [("TWO_LINES", "a\nb")];
    refused(&with("authorization = \"Bearer sk-written-out\""), &vars, &["header.authorization", "env:NAME"]);
    refused(&with("authorization = \"env:MISSING\""), &vars, &["MISSING is not set"]);
    refused(&with("authorization = \"env:TWO_LINES\""), &vars, &["characters"]);
    refused(&with("\"not a name\" = \"env:TWO_LINES\""), &vars, &["not the name of a header"]);
    refused(&with("host = \"env:TWO_LINES\""), &vars, &["the host's own"]);
}

#[test]
fn other_mistakes() {
    refused(&file("\"a.example\", \"https://a.example:443\""), &[], &["granted twice"]);
    refused(&file("{ host = \"a.example\", methods = [\"get\"] }"), &[], &["`get`", "in capitals"]);
    refused(&file("{ host = \"a.example\", methods = [\"CONNECT\", \"TRACE\"] }"), &[], &["`CONNECT`", "`TRACE`"]);
    refused(&file("{ host = \"a.example\", ca = \"/nowhere.pem\" }"), &[], &["ca", "/nowhere.pem", "PEM"]);
    refused(&file("{ host = \"a.example\", metods = [] }"), &[], &["a server is"]);
    let many: Vec<String> = (0..65).map(|n| format!("\"a{n}.example\"")).collect();
    refused(&file(&many.join(", ")), &[], &["65 servers"]);
    let limits = "[[module]]\nname = \"m\"\nsource = \"m.wasm\"\nlimits = { http_requests = 0, http_bytes = \"2GiB\" }";
    refused(limits, &[], &["http_requests", "http_bytes"]);
}

#[test]
fn an_authority_is_compared_as_a_whole() {
    let grants = granted("\"api.example.com\", \"http://b.example:8080\"");
    let is = |https, authority: &str| grants.iter().any(|grant| grant.is(https, authority));
    assert!(is(true, "api.example.com") && is(true, "api.example.com:443") && is(false, "b.example:8080"));
    for (https, authority) in [
        (false, "api.example.com"),
        (false, "api.example.com:443"),
        (true, "api.example.com:80"),
        (true, ""),
        (true, "api.example.com:"),
        (true, "api.example.com:0443"),
        (true, "api.example.com."),
        (true, "example.com"),
        (true, "api.example.com.evil.example"),
        (true, "api.example.com@evil.example"),
        (true, "a@api.example.com"),
        (true, "evil.example"),
        (false, "b.example"),
        (true, "b.example:8080"),
        (false, "b.example:80800"),
    ] {
        assert!(!is(https, authority), "{https} {authority}");
    }
}
