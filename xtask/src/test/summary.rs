//! What all the test runners said, as one summary. Its last line has the form
//! `12 passed, 0 failed`, followed by `, 1 skipped` where that is so.

use std::fmt::Write;

/// One runner's counts, read from its output.
#[derive(Default)]
pub(crate) struct Part {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) ignored: Vec<String>,
    /// It failed without a failed test, for instance because it did not compile.
    pub(crate) broken: bool,
}

impl Part {
    /// Takes in one line of libtest's output.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(counts) = line.trim().strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
        } else if let Some(name) = ignored_test(line.trim()) {
            self.ignored.push(name.to_owned());
        }
    }
}

/// The number before `what` in `ok. 5 passed; 0 failed; 1 ignored; …`.
fn count(counts: &str, what: &str) -> u32 {
    let words: Vec<&str> = counts.split([' ', ';']).collect();
    let pair = words.windows(2).find(|pair| pair[1] == what);
    pair.and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

/// The name in `test sql::slow ... ignored, needs an hour`.
fn ignored_test(line: &str) -> Option<&str> {
    let (name, outcome) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    outcome.starts_with("ignored").then_some(name)
}

/// All parts of a run.
#[derive(Default)]
pub(crate) struct Summary {
    parts: Vec<(&'static str, Part)>,
    skipped: Vec<String>,
}

impl Summary {
    pub(crate) fn add(&mut self, name: &'static str, part: Part) {
        self.skipped.extend(part.ignored.iter().map(|test| format!("{name}: {test}")));
        self.parts.push((name, part));
    }

    /// Notes something that could not be run, and why.
    pub(crate) fn skip(&mut self, what: &str) {
        self.skipped.push(what.to_owned());
    }

    /// Where nobody watches, a skipped part is a failure.
    pub(crate) fn is_good(&self, ci: bool) -> bool {
        self.failed() == 0 && (self.skipped.is_empty() || !ci)
    }

    pub(crate) fn report(&self, ci: bool) -> String {
        let mut text = String::from("\n");
        for (name, part) in &self.parts {
            let verdict = if part.broken || part.failed > 0 { "FAILED" } else { "ok" };
            // Writing to a String cannot fail.
            let _ = write!(text, "{verdict:<8}{name}");
            let _ = match part.passed + part.failed {
                0 => writeln!(text),
                tests => writeln!(text, " ({tests})"),
            };
        }
        for what in &self.skipped {
            let _ = writeln!(text, "skipped {what}");
        }
        if ci && !self.skipped.is_empty() {
            text += "With CI=true, what was skipped counts as a failure.\n";
        }
        let passed: u32 = self.parts.iter().map(|(_, part)| part.passed).sum();
        let _ = write!(text, "{passed} passed, {} failed", self.failed());
        if !self.skipped.is_empty() {
            let _ = write!(text, ", {} skipped", self.skipped.len());
        }
        text + "\n"
    }

    /// A part that broke counts as one failure: zero would be a lie.
    fn failed(&self) -> u32 {
        self.parts.iter().map(|(_, part)| part.failed + u32::from(part.broken)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(output: &str) -> Part {
        let mut part = Part::default();
        output.lines().for_each(|line| part.read(line));
        part
    }

    #[track_caller]
    fn check(output: &str, passed: u32, failed: u32, ignored: &[&str]) {
        let part = part(output);
        assert_eq!((part.passed, part.failed), (passed, failed), "{output}");
        assert_eq!(part.ignored, ignored, "{output}");
    }

    #[test]
    fn every_result_line_counts() {
        check(
            "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
             \n   Doc-tests innkeeper\n\
             test result: FAILED. 10 passed; 3 failed; 0 ignored; 0 measured; 2 filtered out; finished in 1.00s",
            15,
            3,
            &[],
        );
    }

    #[test]
    fn an_ignored_test_is_named() {
        check("test a::slow ... ignored, needs an hour", 0, 0, &["a::slow"]);
        check("test src/lib.rs - go (line 3) ... ignored", 0, 0, &["src/lib.rs - go (line 3)"]);
        check("test a::ignored ... ok", 0, 0, &[]);
    }

    #[test]
    fn talk_about_results_is_not_a_result() {
        check("the test result: ok. 5 passed; 0 failed", 0, 0, &[]);
        check("test result: unknown", 0, 0, &[]);
    }

    #[test]
    fn the_last_line_is_the_sum() {
        let mut summary = Summary::default();
        summary.add("one", part("test result: ok. 5 passed; 0 failed; 0 ignored"));
        summary.add("two", part("test result: ok. 2 passed; 0 failed; 0 ignored"));
        assert!(summary.report(true).ends_with("\n7 passed, 0 failed\n"));
        assert!(summary.is_good(true));
    }

    #[test]
    fn what_is_skipped_is_named_and_fails_only_in_ci() {
        let mut summary = Summary::default();
        summary.add("one", part("test slow ... ignored\ntest result: ok. 1 passed; 0 failed"));
        summary.skip("everything on Postgres: no initdb");
        let report = summary.report(false);
        assert!(report.contains("skipped one: slow\n"), "{report}");
        assert!(report.contains("skipped everything on Postgres: no initdb\n"), "{report}");
        assert!(report.ends_with("\n1 passed, 0 failed, 2 skipped\n"), "{report}");
        assert!(summary.is_good(false));
        assert!(!summary.is_good(true));
    }

    #[test]
    fn a_part_that_does_not_compile_is_a_failure() {
        let mut summary = Summary::default();
        summary.add("one", Part { broken: true, ..Part::default() });
        assert!(summary.report(false).ends_with("\n0 passed, 1 failed\n"));
        assert!(!summary.is_good(false));
    }
}
