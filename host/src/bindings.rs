//! What `wit/` says, in Rust. Generated; nothing is decided here.

/// The interfaces that the host implements.
pub mod imports {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package innkeeper:host;
            world imports {
                import innkeeper:backend/identity@0.1.0;
                import innkeeper:backend/accounts@0.1.0;
                import innkeeper:backend/sql@0.1.0;
                import innkeeper:backend/sql-text@0.1.0;
                import innkeeper:backend/notify@0.1.0;
                import innkeeper:backend/llm@0.1.0;
                import innkeeper:backend/toolbox@0.1.0;
                import wasi:keyvalue/store@0.2.0-draft2;
            }
        ",
        imports: {
            // Waits for a database, so the guest's fibre must be able to yield.
            "innkeeper:backend/accounts": async | trappable,
            "innkeeper:backend/sql": async | trappable,
            "innkeeper:backend/sql-text": async | trappable,
            // Waits for a model.
            "innkeeper:backend/llm": async | trappable,
            // Waits for another guest.
            "innkeeper:backend/toolbox": async | trappable,
            // Waits for a database.
            "wasi:keyvalue/store": async | trappable,
            default: trappable,
        },
        // What one guest answers, another one reads.
        with: { "innkeeper:backend/types": crate::bindings::offers::innkeeper::backend::types },
    });
}

/// What a module that stores something exports.
pub mod schema {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "innkeeper:backend/schema-exports",
        exports: { default: async },
    });
}

/// What a module offers beside HTTP. A module exports some of it; which is found
/// out interface by interface.
pub mod offers {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package innkeeper:host;
            world offers {
                export innkeeper:backend/tools@0.1.0;
                export innkeeper:backend/resources@0.1.0;
                export innkeeper:backend/prompts@0.1.0;
                export innkeeper:backend/completions@0.1.0;
            }
        ",
        exports: { default: async },
    });
}
