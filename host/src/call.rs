//! One entry into a guest: who is calling, until when, and under which id.

mod deadline;
pub mod notice;
pub mod toolbox;
pub mod trace;

use std::net::IpAddr;
use std::sync::Arc;

pub use deadline::{Deadline, Pause};
pub use notice::Notices;
pub use toolbox::Toolbox;
use trace::Trace;

/// A verified caller. Made by the identity broker alone; from there on it is a
/// value and never a header again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The stable id of the user at its issuer. Never empty.
    pub subject: String,
    /// The display name, when the credential carries one.
    pub name: Option<String>,
    /// The e-mail address, as the issuer states it.
    pub email: Option<String>,
    /// OAuth scopes; empty when the credential carries none.
    pub scopes: Vec<String>,
    /// Who vouches for the caller, when stated.
    pub issuer: Option<String>,
    /// When the credential ends, in seconds since 1970.
    pub expires_at: u64,
    /// The session behind the credential, which signing out ends; none for a
    /// token that lives until it ends. No guest sees it.
    pub session: Option<Arc<str>>,
}

/// The address that a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The address.
    pub address: IpAddr,
    /// Whether it is the client's own, as far as the operator says. Otherwise it
    /// may be a proxy's, and many clients'.
    pub own: bool,
    /// Hosts of this kind that the request has come through already (RFC 8586).
    pub hops: u8,
}

/// The other end of a connection, as an extension of each of its requests.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Everything that belongs to one request on its way through the host.
#[derive(Clone, Debug)]
pub struct Call {
    /// The request id: the client's `X-Request-Id` when it is a sane one, else
    /// made here. It is in the response, in every log line, and visible to the
    /// guest as a header.
    pub id: Arc<str>,
    /// Who is calling; none for a request without a credential.
    pub caller: Option<Caller>,
    /// Where the request came from, for limits; none for what the host itself
    /// asks. No guest sees it.
    pub client: Option<Client>,
    /// When the host gives up on the call.
    pub deadline: Deadline,
    /// Where its spans belong.
    pub trace: Trace,
    /// Where its notices go.
    pub notices: Notices,
    /// The tools of other modules that it can reach.
    pub toolbox: Toolbox,
}
