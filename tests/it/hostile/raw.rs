//! Components by hand, for what no toolchain emits: each answers HTTP with the body of
//! one core function, over a few functions of `wasi:http`.

/// One of them.
pub struct Raw {
    /// Also its route.
    pub name: &'static str,
    /// What its callers get.
    pub status: u16,
    /// WebAssembly, after `(func (export "handle") (param $request i32) (param $out i32)`.
    body: &'static str,
    /// What else is in the core module.
    rest: &'static str,
    /// What `realloc` does.
    realloc: &'static str,
    /// What is done after the call has returned.
    post_return: &'static str,
}

const fn raw(name: &'static str, status: u16, body: &'static str) -> Raw {
    Raw { name, status, body, rest: "", realloc: "(i32.const 1024)", post_return: "" }
}

/// Guests that loop, grow, recurse, leak and lie to the boundary.
pub const RAWS: [Raw; 30] = [
    raw("loop", 504, "(loop $l (br $l))"),
    // Host calls that cost the guest nothing.
    raw("loop-of-host-calls", 504, "(loop $l (call $drop (call $new)) (br $l))"),
    raw("no-answer", 500, ""),
    raw("trap", 500, "(unreachable)"),
    raw("memory", 500, "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)"),
    Raw {
        rest: "(table $t 1 funcref)",
        ..raw(
            "table",
            500,
            "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 4096)) (i32.const -1)))) (unreachable)",
        )
    },
    Raw { rest: "(func $r (call $r))", ..raw("recursion", 500, "(call $r)") },
    // Handles and resources that are never given back.
    raw("handles", 500, "(loop $l (drop (call $new)) (br $l))"),
    // A list whose elements are all the same 64 KiB: 256 MiB for the host.
    raw(
        "aliased-list",
        500,
        "(local $n i32) (loop $l
            (i32.store (i32.add (i32.const 8192) (i32.mul (local.get $n) (i32.const 16))) (i32.const 0))
            (i32.store (i32.add (i32.const 8196) (i32.mul (local.get $n) (i32.const 16))) (i32.const 1))
            (i32.store (i32.add (i32.const 8200) (i32.mul (local.get $n) (i32.const 16))) (i32.const 0))
            (i32.store (i32.add (i32.const 8204) (i32.mul (local.get $n) (i32.const 16))) (i32.const 65536))
            (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 2048))))
        (call $from_list (i32.const 8192) (i32.const 2048) (i32.const 0))",
    ),
    raw("list-beyond-memory", 500, "(call $from_list (i32.const 0) (i32.const 0x7fffffff) (i32.const 0))"),
    raw("list-that-overflows", 500, "(call $from_list (i32.const -16) (i32.const 0x10000001) (i32.const 0))"),
    raw("list-out-of-line", 500, "(call $from_list (i32.const 1) (i32.const 4) (i32.const 0))"),
    raw(
        "string-beyond-memory",
        500,
        "(call $append (call $new) (i32.const 131070) (i32.const 100) (i32.const 0) (i32.const 0) (i32.const 0))",
    ),
    raw(
        "string-not-utf8",
        500,
        "(i32.store (i32.const 64) (i32.const 0xfffefffe))
        (call $append (call $new) (i32.const 64) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0))",
    ),
    raw(
        "answer-beyond-memory",
        500,
        "(i32.store8 (i32.const 64) (i32.const 97))
        (call $append (call $new) (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const -4))",
    ),
    raw(
        "drop-twice",
        500,
        "(local $f i32) (local.set $f (call $new)) (call $drop (local.get $f)) (call $drop (local.get $f))",
    ),
    raw("drop-nothing", 500, "(call $drop (i32.const 12345))"),
    raw("handle-of-another-kind", 500, "(call $drop (local.get $out))"),
    raw("handle-negative", 500, "(call $drop (i32.const -1))"),
    raw(
        "no-such-case",
        500,
        "(drop (call $set_method (call $request (call $new)) (i32.const 77) (i32.const 0) (i32.const 0)))",
    ),
    // The host asks for memory, and the guest answers with what is none, asks back, or
    // does not come back.
    Raw { realloc: "(i32.const -16)", ..raw("realloc-beyond-memory", 500, ENTRIES) },
    Raw { realloc: "(i32.const 3)", ..raw("realloc-out-of-line", 500, ENTRIES) },
    Raw { realloc: "(unreachable)", ..raw("realloc-trap", 500, ENTRIES) },
    Raw { realloc: "(loop $l (br $l)) (i32.const 0)", ..raw("realloc-loop", 504, ENTRIES) },
    // GHSA-7v24: a call of the host's within one.
    Raw {
        realloc: "(call_indirect (type $call) (i32.const 0))",
        rest: CALLED,
        ..raw("realloc-calls-the-host", 500, ENTRIES)
    },
    Raw {
        realloc: "(call_indirect (type $call) (i32.const 0))",
        rest: RECURSES,
        ..raw("realloc-recursion", 500, ENTRIES)
    },
    // After the call, when nothing of it may count any more.
    Raw { post_return: "(loop $l (br $l))", ..raw("post-return-loop", 504, "") },
    Raw { post_return: "(drop (call $new))", ..raw("post-return-calls-the-host", 500, "") },
    // Before the first call.
    Raw { rest: "(func $s (loop $l (br $l))) (start $s)", ..raw("start-loop", 504, "") },
    Raw { rest: "(func $s (unreachable)) (start $s)", ..raw("start-trap", 500, "") },
];

/// One header field, and then all of them back.
const ENTRIES: &str = "(local $f i32) (local.set $f (call $new))
    (i32.store8 (i32.const 64) (i32.const 97))
    (call $append (local.get $f) (i32.const 64) (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 128))
    (call $entries (local.get $f) (i32.const 256))";

/// What `realloc` calls.
const CALLED: &str = "(elem (table 0) (i32.const 0) func $new)";
const RECURSES: &str = "(func $deep (result i32) (call $deep)) (elem (table 0) (i32.const 0) func $deep)";

impl Raw {
    /// The component.
    pub fn component(&self) -> Vec<u8> {
        let Self { body, rest, realloc, post_return, .. } = self;
        let text = format!(
            r#"(component
    (import "wasi:http/types@0.2.0" (instance $types
        (export "incoming-request" (type $in (sub resource)))
        (export "response-outparam" (type $out (sub resource)))
        (export "fields" (type $fields (sub resource)))
        (export "outgoing-request" (type $request (sub resource)))
        (type $why (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
        (export "header-error" (type $error (eq $why)))
        (type $methods (variant (case "get") (case "head") (case "post") (case "put") (case "delete") (case "connect")
            (case "options") (case "trace") (case "patch") (case "other" string)))
        (export "method" (type $method (eq $methods)))
        (export "[constructor]fields" (func (result (own $fields))))
        (export "[static]fields.from-list"
            (func (param "entries" (list (tuple string (list u8)))) (result (result (own $fields) (error $error)))))
        (export "[method]fields.append" (func (param "self" (borrow $fields)) (param "name" string)
            (param "value" (list u8)) (result (result (error $error)))))
        (export "[method]fields.entries"
            (func (param "self" (borrow $fields)) (result (list (tuple string (list u8))))))
        (export "[constructor]outgoing-request" (func (param "headers" (own $fields)) (result (own $request))))
        (export "[method]outgoing-request.set-method"
            (func (param "self" (borrow $request)) (param "method" $method) (result (result))))))
    (alias export $types "incoming-request" (type $in))
    (alias export $types "response-outparam" (type $out))
    (alias export $types "fields" (type $fields))
    (core module $memory
        (memory (export "memory") 2)
        (type $call (func (result i32)))
        (table (export "table") 1 funcref)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc}))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $mem))
    (alias core export $memory "realloc" (core func $realloc))
    (alias core export $memory "table" (core table $table))
    (core func $new (canon lower (func $types "[constructor]fields")))
    (core func $drop (canon resource.drop $fields))
    (core func $from_list (canon lower (func $types "[static]fields.from-list")
        (memory $mem) (realloc $realloc)))
    (core func $append (canon lower (func $types "[method]fields.append")
        (memory $mem) (realloc $realloc)))
    (core func $entries (canon lower (func $types "[method]fields.entries")
        (memory $mem) (realloc $realloc)))
    (core func $request (canon lower (func $types "[constructor]outgoing-request")))
    (core func $set_method (canon lower (func $types "[method]outgoing-request.set-method")
        (memory $mem) (realloc $realloc)))
    (core module $guest
        (import "" "memory" (memory 2))
        (import "" "table" (table 1 funcref))
        (import "" "new" (func $new (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (import "" "from-list" (func $from_list (param i32 i32 i32)))
        (import "" "append" (func $append (param i32 i32 i32 i32 i32 i32)))
        (import "" "entries" (func $entries (param i32 i32)))
        (import "" "request" (func $request (param i32) (result i32)))
        (import "" "set-method" (func $set_method (param i32 i32 i32 i32) (result i32)))
        {rest}
        (func (export "post-return") {post_return})
        (func (export "handle") (param $request_handle i32) (param $out i32) {body}))
    (core instance $guest (instantiate $guest (with "" (instance
        (export "memory" (memory $mem))
        (export "table" (table $table))
        (export "new" (func $new))
        (export "drop" (func $drop))
        (export "from-list" (func $from_list))
        (export "append" (func $append))
        (export "entries" (func $entries))
        (export "request" (func $request))
        (export "set-method" (func $set_method))))))
    (alias core export $guest "handle" (core func $run))
    (alias core export $guest "post-return" (core func $after))
    (func $handle (param "request" (own $in)) (param "response-out" (own $out))
        (canon lift (core func $run) (post-return $after)))
    (instance $handler (export "handle" (func $handle)))
    (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#
        );
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}
