//! `innkeeper new`: what it makes, and what it leaves alone. That the projects build and
//! run is a matter of `cargo xtask interop`.

use std::path::Path;
use std::process::Output;

use crate::harness::binary;

fn new(folder: &Path, args: &[&str]) -> Output {
    std::process::Command::new(binary())
        .current_dir(folder)
        .arg("new")
        .args(args)
        .env_clear()
        .output()
        .expect("it runs")
}

#[test]
fn a_project_holds_all_that_it_needs_and_bears_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (lang, sdk, copy) in [
        ("rust", "guest/sdk/src/tools.rs", "vendor/innkeeper-guest/src/tools.rs"),
        ("python", "guest/python/innkeeper/sql.py", "src/innkeeper/sql.py"),
        ("javascript", "guest/javascript/innkeeper/http.js", "src/innkeeper/http.js"),
    ] {
        for kind in [&[][..], &["--http"]] {
            let name = format!("{lang}-{}", kind.len());
            let made = new(folder.path(), &[&[&*name, "--lang", lang], kind].concat());
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            let read = |path: &str| std::fs::read_to_string(folder.path().join(&name).join(path)).expect(path);
            let source = |path: &str| std::fs::read_to_string(root.join(path)).expect(path);
            assert_eq!(read(copy), source(sdk));
            assert_eq!(read("wit/deps/http.wit"), source("wit/deps/http.wit"));
            assert!(read("README.md").starts_with(&format!("# {name}\n")));
            let config = read("innkeeper.toml");
            assert!(config.contains(&format!("name   = \"{name}\"")) && !config.contains("{{"), "{config}");
            assert!(!read(".gitignore").is_empty());
        }
    }
}

#[test]
fn somebody_elses_folder_and_bad_names_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |args: &[&str], words: &str| {
        let made = new(folder.path(), args);
        let told = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(!made.status.success() && told.contains(words), "{args:?}: {told}");
    };
    std::fs::create_dir(folder.path().join("mine")).expect("made");
    std::fs::write(folder.path().join("mine/thesis.txt"), "years of work").expect("written");
    refused(&["mine", "--lang", "rust"], "is there already, and not empty");
    refused(&["../up", "--lang", "rust"], "is no name for a module");
    refused(&["/tmp/x", "--lang", "rust"], "is no name for a module");
    refused(&["Upper", "--lang", "python"], "is no name for a module");
    refused(&["match", "--lang", "rust"], "means something else");
    refused(&["fine", "--lang", "cobol"], "rust, python, javascript");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");
    // An empty folder is nobody's.
    std::fs::create_dir(folder.path().join("empty")).expect("made");
    assert!(new(folder.path(), &["empty", "--lang", "python"]).status.success());
}
