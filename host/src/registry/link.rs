//! What a component's imports resolve to. Nothing that was not granted, and
//! nothing at all behind filesystem and sockets.

use wasmtime::Engine;
use wasmtime::component::types::{ComponentInstance, ComponentItem, Type};
use wasmtime::component::{Component, InstancePre, Linker, ResourceType, Val};
use wasmtime_wasi::cli::WasiCliView;
use wasmtime_wasi::p2::bindings::{cli, random};
use wasmtime_wasi_config::WasiConfig;

use crate::broker::{identity, keyvalue, llm, notify, sql, toolbox};
use crate::config::{AccountsGrant, Grants, SqlGrant};
use crate::instance::State;

/// Why a component cannot be linked: its imports are not what the host gives.
#[derive(Debug, thiserror::Error)]
pub enum Unmet {
    /// The host has them, and the module was not granted them.
    #[error(
        "imports {imports} without a grant; add `grants = {{ {} }}` to the module, or take a guest that does not need it",
        grants.join(", ")
    )]
    NotGranted {
        /// The interfaces.
        imports: String,
        /// What to write.
        grants: Vec<&'static str>,
    },
    /// The host does not have it.
    #[error("imports `{import}`, which this host does not provide")]
    Unknown {
        /// The interface.
        import: String,
    },
    /// The host has it, and a function or type in it is another one.
    #[error("imports something that does not fit what this host provides")]
    Mismatch(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Interfaces that a language's standard library imports and a guest has no use
/// for: they link, every call fails, and no resource of theirs ever exists.
const HOLLOW: [&str; 2] = ["wasi:filesystem/", "wasi:sockets/"];

/// Resources that those interfaces define; the others are defined elsewhere.
const HOLLOW_RESOURCES: [&str; 8] = [
    "descriptor",
    "directory-entry-stream",
    "network",
    "tcp-socket",
    "udp-socket",
    "incoming-datagram-stream",
    "outgoing-datagram-stream",
    "resolve-address-stream",
];

/// Interfaces that every guest gets.
const GIVEN: [&str; 6] = ["wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:cli/", "wasi:http/", "wasi:config/store"];

/// Type-checks a component's imports against its grants.
///
/// # Errors
/// The first import that the host will not meet.
pub(super) fn link(engine: &Engine, component: &Component, grants: &Grants) -> Result<InstancePre<State>, Unmet> {
    let mut linker = Linker::<State>::new(engine);
    give(&mut linker, grants).map_err(mismatch)?;
    let mut missing = Missing::default();
    for (name, item) in component.component_type().imports(engine) {
        missing.check(name, grants)?;
        if let (true, ComponentItem::ComponentInstance(instance)) = (is_hollow(name), item.ty) {
            hollow(&mut linker, engine, name, &instance).map_err(mismatch)?;
        }
    }
    missing.none()?;
    linker.instantiate_pre(component).map_err(mismatch)
}

/// The grants without which these imports are refused, as they are written.
///
/// # Errors
/// An import that the host does not have.
pub(super) fn needed<'i>(imports: impl Iterator<Item = &'i str>) -> Result<String, Unmet> {
    let mut missing = Missing::default();
    for import in imports {
        missing.check(import, &Grants::default())?;
    }
    Ok(if missing.grants.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", missing.grants.join(", ")) })
}

fn mismatch(error: wasmtime::Error) -> Unmet {
    Unmet::Mismatch(error.into())
}

fn is_hollow(import: &str) -> bool {
    HOLLOW.iter().any(|prefix| import.starts_with(prefix))
}

/// What was not granted: all of it, so that an operator writes one line and not
/// one after the other.
#[derive(Default)]
struct Missing {
    imports: Vec<String>,
    grants: Vec<&'static str>,
}

impl Missing {
    fn check(&mut self, import: &str, grants: &Grants) -> Result<(), Unmet> {
        // wasmtime resolves versions; what counts here is the interface.
        let interface = import.split('@').next().unwrap_or(import);
        match interface {
            "innkeeper:backend/identity" | "innkeeper:backend/notify" => {}
            "innkeeper:backend/accounts" if grants.accounts != AccountsGrant::None => {}
            "innkeeper:backend/accounts" => self.add(import, "accounts = true"),
            "innkeeper:backend/sql" if grants.sql.is_some() => {}
            "innkeeper:backend/sql" => self.add(import, "sql = \"main\""),
            "innkeeper:backend/sql-text" if grants.sql.is_some_and(|sql| sql.free) => {}
            "innkeeper:backend/sql-text" => self.add(import, "sql = { database = \"main\", free = true }"),
            "innkeeper:backend/llm" if grants.llm.is_some() => {}
            "innkeeper:backend/llm" => self.add(import, "llm = [\"default\"]"),
            "innkeeper:backend/toolbox" if grants.toolbox.is_some() => {}
            "innkeeper:backend/toolbox" => self.add(import, "toolbox = [\"*\"]"),
            "wasi:keyvalue/store" if grants.keyvalue => {}
            "wasi:keyvalue/store" => self.add(import, "keyvalue = true"),
            // Types alone: nothing to call.
            "innkeeper:backend/schema" | "innkeeper:backend/types" => {}
            _ if is_hollow(interface) || GIVEN.iter().any(|prefix| interface.starts_with(prefix)) => {}
            _ => return Err(Unmet::Unknown { import: import.into() }),
        }
        Ok(())
    }

    fn add(&mut self, import: &str, grant: &'static str) {
        // Imports come in the order of the component. Of two grants for one key
        // the longer one gives both.
        let key = |grant: &str| grant.split(' ').next().map(str::to_owned);
        self.imports.push(format!("`{import}`"));
        match self.grants.iter_mut().find(|other| key(other) == key(grant)) {
            Some(other) if other.len() < grant.len() => *other = grant,
            Some(_) => {}
            None => self.grants.push(grant),
        }
    }

    fn none(self) -> Result<(), Unmet> {
        let Self { imports, grants } = self;
        if imports.is_empty() { Ok(()) } else { Err(Unmet::NotGranted { imports: imports.join(" and "), grants }) }
    }
}

fn give(linker: &mut Linker<State>, grants: &Grants) -> wasmtime::Result<()> {
    use wasmtime_wasi::cli::WasiCli;
    use wasmtime_wasi::random::WasiRandom;

    // io, clocks, random, stdio and http: the `wasi:http/proxy` world.
    wasmtime_wasi_http::p2::add_to_linker_async(linker)?;
    // The rest of what standard libraries ask for.
    random::insecure::add_to_linker::<_, WasiRandom>(linker, |state| random_ctx(state))?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, |state| random_ctx(state))?;
    cli::environment::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    wasmtime_wasi_config::add_to_linker(linker, |state: &mut State| WasiConfig::new(&state.profile.settings))?;

    identity::host::link(linker)?;
    notify::host::link(linker)?;
    if grants.accounts != AccountsGrant::None {
        identity::host::accounts::link(linker)?;
    }
    if grants.llm.is_some() {
        llm::host::link(linker)?;
    }
    if grants.keyvalue {
        keyvalue::host::link(linker)?;
    }
    if grants.toolbox.is_some() {
        toolbox::host::link(linker)?;
    }
    if let Some(SqlGrant { free }) = grants.sql {
        sql::host::link(linker)?;
        if free {
            sql::host::text::link(linker)?;
        }
    }
    Ok(())
}

fn random_ctx(state: &mut State) -> &mut wasmtime_wasi::random::WasiRandomCtx {
    use wasmtime_wasi::WasiView;
    state.ctx().ctx.random()
}

fn hollow(linker: &mut Linker<State>, engine: &Engine, name: &str, ty: &ComponentInstance) -> wasmtime::Result<()> {
    let mut instance = linker.instance(name)?;
    for (export, item) in ty.exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(_) => {
                let what = format!("{name}.{export}");
                instance.func_new(export, move |_, ty, _, results| refuse(&what, &ty, results))?;
            }
            ComponentItem::Resource(_) => {
                if let Some(index) = HOLLOW_RESOURCES.iter().position(|resource| *resource == export) {
                    // The number keeps the types apart.
                    let number = u32::try_from(index).unwrap_or(u32::MAX);
                    instance.resource(export, ResourceType::host_dynamic(number), |_, _| Ok(()))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The emptiest answer that the function's type allows: no directories, "access
/// denied"; a trap for a function that cannot fail.
fn refuse(what: &str, ty: &wasmtime::component::types::ComponentFunc, results: &mut [Val]) -> wasmtime::Result<()> {
    let denied = || wasmtime::format_err!("guests have no `{what}`");
    for (result, ty) in results.iter_mut().zip(ty.results()) {
        *result = match ty {
            Type::List(_) => Val::List(Vec::new()),
            Type::Option(_) => Val::Option(None),
            Type::Result(result) => match result.err() {
                Some(Type::Enum(cases)) => {
                    let code = ["access-denied", "access", "not-permitted"];
                    let code =
                        code.into_iter().find(|code| cases.names().any(|name| name == *code)).ok_or_else(denied)?;
                    Val::Result(Err(Some(Box::new(Val::Enum(code.into())))))
                }
                _ => return Err(denied()),
            },
            _ => return Err(denied()),
        };
    }
    Ok(())
}
