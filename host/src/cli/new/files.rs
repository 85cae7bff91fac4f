//! The files of new projects, as they are in this repository: a stranger has nothing of
//! it but this program. `tests/it/tidy.rs` sees that none is forgotten.

/// Each with its path in the folder that it is from.
pub(super) type Files = &'static [(&'static str, &'static str)];

macro_rules! files {
    ($folder:literal : $($file:literal,)*) => {
        &[$(($file, include_str!(concat!("../../../../", $folder, "/", $file)))),*]
    };
}

/// What guests and hosts agree on.
pub(super) const WIT: Files = files! { "wit":
    "accounts.wit",
    "completions.wit",
    "deps/README.md",
    "deps/cli.wit",
    "deps/clocks.wit",
    "deps/config/store.wit",
    "deps/config/world.wit",
    "deps/filesystem.wit",
    "deps/http.wit",
    "deps/io.wit",
    "deps/keyvalue/store.wit",
    "deps/random.wit",
    "deps/sockets.wit",
    "identity.wit",
    "llm.wit",
    "notify.wit",
    "prompts.wit",
    "resources.wit",
    "schema.wit",
    "sql-text.wit",
    "sql.wit",
    "toolbox.wit",
    "tools.wit",
    "types.wit",
    "world.wit",
};

/// The SDK, which is on no registry.
pub(super) const RUST_SDK: Files = files! { "guest/sdk":
    "Cargo.toml",
    "src/accounts.rs",
    "src/caller.rs",
    "src/completions.rs",
    "src/config.rs",
    "src/context.rs",
    "src/http.rs",
    "src/lib.rs",
    "src/llm.rs",
    "src/notify.rs",
    "src/prompts.rs",
    "src/prompts/export.rs",
    "src/resources.rs",
    "src/resources/export.rs",
    "src/resources/template.rs",
    "src/row.rs",
    "src/schema.rs",
    "src/shape.rs",
    "src/sql.rs",
    "src/sql/text.rs",
    "src/toolbox.rs",
    "src/tools.rs",
    "src/tools/export.rs",
    "src/value.rs",
    "src/wire.rs",
};

/// What guests in Python are written with.
pub(super) const PYTHON_SDK: Files = files! { "guest/python/innkeeper":
    "__init__.py",
    "caller.py",
    "errors.py",
    "http.py",
    "sql.py",
    "tools.py",
};

/// What guests in JavaScript are written with.
pub(super) const JAVASCRIPT_SDK: Files = files! { "guest/javascript/innkeeper":
    "caller.js",
    "errors.js",
    "http.js",
    "sql.js",
    "tools.js",
};

/// Of both kinds.
pub(super) const RUST_COMMON: Files = files! { "host/templates/rust/common":
    ".cargo/config.toml",
    "gitignore",
};

/// Of a plugin.
pub(super) const RUST_PLUGIN: Files = files! { "host/templates/rust/plugin":
    "Cargo.toml.in",
    "README.md",
    "innkeeper.toml",
    "src/lib.rs",
};

/// Of a guest that answers HTTP.
pub(super) const RUST_HTTP: Files = files! { "host/templates/rust/http":
    "Cargo.toml.in",
    "README.md",
    "innkeeper.toml",
    "sql/0001.postgres.sql",
    "sql/0001.sqlite.sql",
    "sql/note-add.sql",
    "sql/note-list.sql",
    "src/main.rs",
};

/// Of both kinds.
pub(super) const PYTHON_COMMON: Files = files! { "host/templates/python/common":
    "gitignore",
    "requirements.txt",
};

/// Of a plugin.
pub(super) const PYTHON_PLUGIN: Files = files! { "host/templates/python/plugin":
    "README.md",
    "innkeeper.toml",
    "src/app.py",
    "tests/test_app.py",
};

/// Of a guest that answers HTTP.
pub(super) const PYTHON_HTTP: Files = files! { "host/templates/python/http":
    "README.md",
    "innkeeper.toml",
    "src/app.py",
    "tests/test_app.py",
};

/// Of both kinds.
pub(super) const JAVASCRIPT_COMMON: Files = files! { "host/templates/javascript/common":
    "gitignore",
};

/// Of a plugin.
pub(super) const JAVASCRIPT_PLUGIN: Files = files! { "host/templates/javascript/plugin":
    "README.md",
    "innkeeper.toml",
    "package.json",
    "src/app.js",
    "src/slug.js",
    "test/slug.test.js",
};

/// Of a guest that answers HTTP.
pub(super) const JAVASCRIPT_HTTP: Files = files! { "host/templates/javascript/http":
    "README.md",
    "innkeeper.toml",
    "package.json",
    "src/app.js",
    "src/notes.js",
    "test/notes.test.js",
};
