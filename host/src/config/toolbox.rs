//! Which tools of other modules a module may call.

use std::fmt;

use super::Problems;

/// One entry of `toolbox`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolGrant {
    /// `*`: all tools of all other modules.
    All,
    /// All tools of one.
    Module(String),
    /// One tool.
    Tool {
        /// Whose.
        module: String,
        /// Its own name there.
        tool: String,
    },
}

impl ToolGrant {
    /// An entry as it is written. Names of modules have no dots, those of tools may.
    fn parse(text: &str) -> Option<Self> {
        let known = |name: &str| super::build::valid_name(name).then(|| name.to_owned());
        match text.split_once('.') {
            _ if text == "*" => Some(Self::All),
            None => known(text).map(Self::Module),
            Some((module, tool)) if !tool.is_empty() => Some(Self::Tool { module: known(module)?, tool: tool.into() }),
            Some(_) => None,
        }
    }

    /// Whether a tool is among what is granted.
    pub fn allows(&self, owner: &str, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Module(module) => module == owner,
            Self::Tool { module, tool } => module == owner && tool == name,
        }
    }

    /// The module that is named.
    pub fn module(&self) -> Option<&str> {
        match self {
            Self::All => None,
            Self::Module(module) | Self::Tool { module, .. } => Some(module),
        }
    }
}

impl fmt::Display for ToolGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Module(module) => f.write_str(module),
            Self::Tool { module, tool } => write!(f, "{module}.{tool}"),
        }
    }
}

pub(super) fn build(key: &str, named: &[String], problems: &mut Problems) -> Vec<ToolGrant> {
    let entries = named.iter().filter_map(|text| {
        let grant = ToolGrant::parse(text);
        if grant.is_none() {
            let hint = "write a module (\"dates\"), one of its tools (\"notes.add\"), or \"*\" for all of all others";
            problems.push(key, format!("`{text}` names no tools"), hint);
        }
        grant
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_modules_tools_or_all() {
        let tool = |module: &str, tool: &str| ToolGrant::Tool { module: module.into(), tool: tool.into() };
        for (text, expected) in [
            ("*", Some(ToolGrant::All)),
            ("dates", Some(ToolGrant::Module("dates".into()))),
            ("notes.add", Some(tool("notes", "add"))),
            ("notes.v2.add", Some(tool("notes", "v2.add"))),
            ("notes.", None),
            (".add", None),
            ("Notes", None),
            ("", None),
        ] {
            assert_eq!(ToolGrant::parse(text), expected, "{text}");
            assert_eq!(expected.map(|grant| grant.to_string()), ToolGrant::parse(text).map(|_| text.to_owned()));
        }
        assert!(tool("notes", "add").allows("notes", "add") && !tool("notes", "add").allows("notes", "delete"));
        assert!(!ToolGrant::Module("notes".into()).allows("dates", "add") && ToolGrant::All.allows("dates", "add"));
    }
}
