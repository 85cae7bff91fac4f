//! The attacks of `attacks.txt`.

use std::collections::HashSet;

/// One attack: texts that run in order.
#[derive(Debug)]
pub(super) struct Attack {
    pub(super) class: &'static str,
    pub(super) name: &'static str,
    pub(super) texts: Vec<&'static str>,
    /// It asks for what Postgres shows of whole tables to every role.
    pub(super) is_about_whole_tables: bool,
}

/// All of them.
pub(super) fn all() -> Vec<Attack> {
    let mut attacks: Vec<Attack> = Vec::new();
    let mut class = "";
    for line in include_str!("attacks.txt").lines() {
        if let Some(name) = line.strip_prefix("## ") {
            class = name;
        } else if let Some(name) = line.strip_prefix("# ") {
            let whole = name.strip_prefix("~ ");
            let (name, is_about_whole_tables) = (whole.unwrap_or(name), whole.is_some());
            attacks.push(Attack { class, name, texts: Vec::new(), is_about_whole_tables });
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
    assert!(attacks.len() >= 170, "{}", attacks.len());
}
