//! What of a configuration that is read again can count at once.

use super::Config;

impl Config {
    /// What another configuration says differently, beside the modules: the host has
    /// to be started again for it. Secrets are not compared.
    pub fn differs(&self, new: &Self) -> Vec<&'static str> {
        let Self {
            listen,
            admin_listen,
            cache_dir,
            dev,
            h2c,
            max_in_flight,
            trusted_proxies,
            database,
            auth,
            otlp,
            cors_origins,
            llm,
            mcp,
            compile,
            swap,
            // Nothing that is served depends on it.
            project: _,
            registries,
            modules: _,
        } = self;
        // What is printed of a secret is the same for all secrets.
        let printed = |old: &dyn std::fmt::Debug, new: &dyn std::fmt::Debug| format!("{old:?}") != format!("{new:?}");
        let all = [
            ("listen", printed(listen, &new.listen)),
            ("admin_listen", printed(admin_listen, &new.admin_listen)),
            ("cache_dir", printed(cache_dir, &new.cache_dir)),
            ("INNKEEPER_DEV", printed(dev, &new.dev)),
            ("h2c", printed(h2c, &new.h2c)),
            ("max_in_flight", printed(max_in_flight, &new.max_in_flight)),
            ("trusted_proxies", printed(trusted_proxies, &new.trusted_proxies)),
            ("database", printed(database, &new.database)),
            ("auth", printed(auth, &new.auth)),
            ("OTEL_*", printed(otlp, &new.otlp)),
            ("cors", printed(cors_origins, &new.cors_origins)),
            ("llm", printed(llm, &new.llm)),
            ("mcp", printed(mcp, &new.mcp)),
            ("compile", printed(compile, &new.compile)),
            ("swap", printed(swap, &new.swap)),
            ("registry", printed(registries, &new.registries)),
        ];
        all.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}
