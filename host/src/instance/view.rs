//! How WASI's implementations reach the store, and where they ask us.

use std::sync::{Arc, LazyLock};

use http::{HeaderName, Request, Response, header};
use wasmtime_wasi::{WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use super::State;
use super::egress::Egress;

/// Bytes in one write of an answer's body, and how many of them may wait for a
/// slow reader: together what an unread answer holds.
const BODY_CHUNK_BYTES: usize = 64 << 10;
const BODY_CHUNKS: usize = 4;

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

/// Our answers to the questions of `wasi:http`.
pub(super) struct Hooks(pub(super) Egress);

type Sent = Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

/// Connection management and framing are the host's (RFC 9110 section 7.6.1).
/// A match and not the default's list: that one allocates for every header.
fn forbidden(name: &HeaderName) -> bool {
    *name == header::CONNECTION
        || *name == header::TRANSFER_ENCODING
        || *name == header::UPGRADE
        || *name == header::HOST
        || *name == header::PROXY_AUTHENTICATE
        || *name == header::PROXY_AUTHORIZATION
        || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        forbidden(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        static FILTER: LazyLock<ForbiddenHeaderFilter> = LazyLock::new(|| Arc::new(forbidden));
        Arc::clone(&FILTER)
    }

    /// The one way out of a guest.
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let sending = self.0.send(request, options);
        Box::new(async {
            let nothing_more: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(async { Ok(()) });
            Ok((sending.await?, nothing_more))
        })
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        BODY_CHUNKS
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK_BYTES
    }
}
