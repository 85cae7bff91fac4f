//! The attacks of `attacks.txt`.

use std::collections::HashSet;

/// One attack: texts that run in order.
#[derive(Debug)]
pub(super) struct Attack {
    pub(super) class: &'static str,
    pub(super) name: &'static str,
    pub(super) texts: Vec<&'static str>,
    pub(super) compared: Compared,
}

/// What of its answers must be the same whoever has the other rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// Every value.
    Values,
    /// Errors and numbers of rows: the values are the server's own, and another at each run.
    Shapes,
    /// It asks for what Postgres shows of whole tables to every role.
    Nothing,
}

/// All of them.
pub(super) fn all() -> Vec<Attack> {
    let mut attacks: Vec<Attack> = Vec::new();
    let mut class = "";
    for line in include_str!("attacks.txt").lines() {
        if let Some(name) = line.strip_prefix("## ") {
            class = name;
        } else if let Some(name) = line.strip_prefix("# ") {
            let marks = [("~ ", Compared::Nothing), ("? ", Compared::Shapes)];
            let marked = marks.iter().find_map(|(mark, compared)| Some((name.strip_prefix(mark)?, *compared)));
            let (name, compared) = marked.unwrap_or((name, Compared::Values));
            attacks.push(Attack { class, name, texts: Vec::new(), compared });
        } else if !line.is_empty() && !line.starts_with("//") {
            attacks.last_mut().expect("a name comes first").texts.push(line);
        }
    }
    attacks
}

#[test]
fn every_attack_has_a_class_a_name_of_its_own_and_a_text() {
    let attacks = all();
    let names: HashSet<_> = attacks.iter().map(|attack| attack.name).collect();
    assert_eq!(names.len(), attacks.len(), "two attacks have one name");
    let texts: HashSet<_> = attacks.iter().map(|attack| &attack.texts).collect();
    assert_eq!(texts.len(), attacks.len(), "two attacks are the same");
    assert!(attacks.iter().all(|attack| !attack.class.is_empty() && !attack.texts.is_empty()));
    assert!(attacks.len() >= 290, "{}", attacks.len());
    let nothing: Vec<_> = attacks.iter().filter(|attack| attack.compared == Compared::Nothing).collect();
    assert_eq!(nothing.len(), 4, "what docs/isolation.md says that Postgres shows to every role");
}
