//! The results as tables, and what the project promised about them.

use super::{
    chat::{CHATS, Chats},
    contender::Contender,
    link,
    workload::Workload,
    wrk::Sample,
};
use serde::Serialize;
use std::fmt::Write;

/// One workload on one contender: medians over the rounds.
#[derive(Serialize)]
pub(crate) struct Load {
    workload: Workload,
    contender: Contender,
    requests_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    rounds: Vec<f64>,
}

impl Load {
    pub(crate) fn new(workload: Workload, contender: Contender, rounds: &[Sample]) -> Self {
        let column = |pick: fn(&Sample) -> f64| rounds.iter().map(pick).collect::<Vec<_>>();
        let rates = column(|sample| sample.requests_per_s);
        Self {
            workload,
            contender,
            requests_per_s: median(&rates),
            p50_ms: median(&column(|sample| sample.p50_ms)),
            p99_ms: median(&column(|sample| sample.p99_ms)),
            rounds: rates,
        }
    }
}

impl Load {
    fn is(&self, contender: Contender, workload: Workload) -> bool {
        self.contender == contender && self.workload == workload
    }
}

/// What a request took, in times of the slow link.
fn round_trips(load: &Load) -> f64 {
    load.p50_ms / (link::ROUND_TRIP.as_secs_f64() * 1e3)
}

fn link_time() -> String {
    format!("{} ms", link::ROUND_TRIP.as_millis())
}

/// One server: how it starts, and what it takes.
#[derive(Serialize)]
pub(crate) struct Start {
    pub(crate) server: &'static str,
    pub(crate) cold_ms: Option<f64>,
    pub(crate) warm_ms: f64,
    pub(crate) idle_mib: f64,
    pub(crate) loaded_mib: f64,
    pub(crate) size_mib: f64,
}

/// What is to be reached.
enum Goal {
    /// One does at least this many times another's requests per second.
    Times(Contender, Workload, Contender, f64),
    /// Innkeeper calls tools at this part of the rate at which it says hello.
    Tools(f64),
    /// Innkeeper waits at most so many whole times for a database that is far away.
    RoundTrips(Workload, f64),
    ColdMs(f64),
    WarmMs(f64),
    IdleMib(f64),
    /// All chats at once are complete.
    Chats,
    /// The first word of a chat comes at most so much later than from the model.
    FirstWordMs(f64),
    /// A chat in flight holds at most so much.
    StreamKib(f64),
}

const GOALS: [Goal; 14] = [
    Goal::Times(Contender::Innkeeper, Workload::Hello, Contender::Wasmtime, 3.0),
    Goal::Times(Contender::Innkeeper, Workload::List, Contender::Fastapi, 2.0),
    Goal::Times(Contender::Innkeeper, Workload::List, Contender::Native, 0.50),
    Goal::Times(Contender::Trusted, Workload::List, Contender::Native, 0.70),
    Goal::Times(Contender::Trusted, Workload::Create, Contender::Native, 0.75),
    Goal::Tools(0.60),
    Goal::RoundTrips(Workload::List, 2.0),
    Goal::RoundTrips(Workload::Create, 3.0),
    Goal::WarmMs(150.0),
    Goal::ColdMs(3000.0),
    Goal::IdleMib(40.0),
    Goal::Chats,
    Goal::FirstWordMs(10.0),
    Goal::StreamKib(256.0),
];

/// The server that the goals for starts and memory are about.
const DEFAULT_SERVER: &str = "Innkeeper, todo";

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Met,
    Missed,
    NotMeasured,
}

#[derive(Serialize)]
struct Judged {
    goal: String,
    measured: Option<f64>,
    verdict: Verdict,
}

/// Everything that a run found out.
#[derive(Serialize)]
pub(crate) struct Report {
    machine: String,
    method: String,
    pub(crate) loads: Vec<Load>,
    /// The same over a slow link to the database, one request at a time.
    pub(crate) far: Vec<Load>,
    pub(crate) starts: Vec<Start>,
    pub(crate) chats: Vec<Chats>,
    goals: Vec<Judged>,
    missing: Vec<String>,
}

impl Report {
    pub(crate) fn new(machine: String, method: String, missing: Vec<String>) -> Self {
        let (loads, far, starts, chats, goals) = Default::default();
        Self { machine, method, loads, far, starts, chats, goals, missing }
    }

    /// Compares what was measured with what was promised.
    pub(crate) fn judge(&mut self) {
        self.goals = GOALS.iter().map(|goal| self.judge_one(goal)).collect();
    }

    fn judge_one(&self, goal: &Goal) -> Judged {
        let server = self.starts.iter().find(|start| start.server == DEFAULT_SERVER);
        let chats = self.chats.iter().find(|chats| chats.contender == Contender::Innkeeper);
        let (text, measured, met): (_, _, fn(f64, f64) -> bool) = match *goal {
            Goal::Times(ours, workload, rival, times) => (
                format!("{}, {}: at least {times:.2} × {}", ours.name(), workload.name(), rival.name()),
                self.times(ours, workload, rival).map(|measured| (measured, times)),
                |measured, limit| measured >= limit,
            ),
            Goal::Tools(times) => (
                format!("Innkeeper, call a tool (MCP): at least {times:.2} × hello JSON"),
                self.ratio((Contender::Innkeeper, Workload::Tool), (Contender::Innkeeper, Workload::Hello))
                    .map(|measured| (measured, times)),
                |measured, limit| measured >= limit,
            ),
            Goal::RoundTrips(workload, most) => (
                format!(
                    "{}, database {} away: at most {most} whole round trips (fewer than {})",
                    workload.name(),
                    link_time(),
                    most + 1.0
                ),
                self.far
                    .iter()
                    .find(|load| load.is(Contender::Innkeeper, workload))
                    .map(|load| (round_trips(load), most + 1.0)),
                // What is over a whole number is the host's and the server's work.
                |measured, limit| measured < limit,
            ),
            Goal::WarmMs(limit) => (
                format!("start to first 200, warm: at most {limit} ms"),
                server.map(|server| (server.warm_ms, limit)),
                |measured, limit| measured <= limit,
            ),
            Goal::ColdMs(limit) => (
                format!("start to first 200, cold: at most {limit} ms"),
                server.and_then(|server| Some((server.cold_ms?, limit))),
                |measured, limit| measured <= limit,
            ),
            Goal::IdleMib(limit) => (
                format!("idle memory: at most {limit} MiB"),
                server.map(|server| (server.idle_mib, limit)),
                |measured, limit| measured <= limit,
            ),
            Goal::Chats => (
                format!("{CHATS} streaming chats at once: all complete"),
                chats.map(|chats| (chats.complete as f64, CHATS as f64)),
                |measured, limit| measured >= limit,
            ),
            Goal::FirstWordMs(limit) => (
                format!("{CHATS} streaming chats at once: first word at most {limit} ms later (p50)"),
                chats.map(|chats| (chats.first_word_p50_ms, limit)),
                |measured, limit| measured <= limit,
            ),
            Goal::StreamKib(limit) => (
                format!("{CHATS} streaming chats at once: at most {limit} KiB of RSS each"),
                chats.map(|chats| (chats.stream_kib, limit)),
                |measured, limit| measured <= limit,
            ),
        };
        let verdict = match measured {
            Some((measured, limit)) if met(measured, limit) => Verdict::Met,
            Some(_) => Verdict::Missed,
            None => Verdict::NotMeasured,
        };
        Judged { goal: text, measured: measured.map(|(measured, _)| measured), verdict }
    }

    /// One's requests per second over another's.
    fn times(&self, ours: Contender, workload: Workload, rival: Contender) -> Option<f64> {
        self.ratio((ours, workload), (rival, workload))
    }

    fn ratio(&self, one: (Contender, Workload), other: (Contender, Workload)) -> Option<f64> {
        let rate = |(contender, workload)| {
            self.loads.iter().find(|load| load.is(contender, workload)).map(|load| load.requests_per_s)
        };
        Some(rate(one)? / rate(other)?)
    }

    pub(crate) fn to_markdown(&self) -> String {
        let mut text = format!("\nMachine: {}  \nMethod: {}\n", self.machine, self.method);
        if !self.loads.is_empty() {
            self.write_loads(&mut text);
            self.write_far(&mut text);
            self.write_starts(&mut text);
        }
        self.write_chats(&mut text);
        self.write_goals(&mut text);
        for what in &self.missing {
            text += &format!("\nMissing: {what}\n");
        }
        text
    }

    // Writing to a String cannot fail, hence the discarded results below.

    fn write_loads(&self, text: &mut String) {
        *text += "\n| workload | contender | requests/s | p50 ms | p99 ms | Innkeeper is |\n\
                  |---|---|--:|--:|--:|--:|\n";
        for load in &self.loads {
            let times = match load.contender {
                Contender::Innkeeper => None,
                rival => self.times(Contender::Innkeeper, load.workload, rival),
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.2} | {:.2} | {} |",
                load.workload.name(),
                load.contender.name(),
                thousands(load.requests_per_s),
                load.p50_ms,
                load.p99_ms,
                times.map_or("".into(), |times| format!("{times:.2} ×")),
            );
        }
    }

    fn write_far(&self, text: &mut String) {
        let _ = writeln!(
            text,
            "\n| workload, one at a time, database {} away | contender | p50 ms | in round trips |\n|---|---|--:|--:|",
            link_time()
        );
        for load in &self.far {
            let trips = round_trips(load);
            let (workload, contender) = (load.workload.name(), load.contender.name());
            let _ = writeln!(text, "| {workload} | {contender} | {:.2} | {trips:.2} |", load.p50_ms);
        }
    }

    fn write_starts(&self, text: &mut String) {
        *text += "\n| server | first 200, cold ms | first 200, warm ms | idle MiB | under load MiB \
                  | size MiB |\n|---|--:|--:|--:|--:|--:|\n";
        for start in &self.starts {
            let _ = writeln!(
                text,
                "| {} | {} | {:.0} | {:.0} | {:.0} | {:.1} |",
                start.server,
                start.cold_ms.map_or("".into(), |cold| format!("{cold:.0}")),
                start.warm_ms,
                start.idle_mib,
                start.loaded_mib,
                start.size_mib,
            );
        }
    }

    fn write_chats(&self, text: &mut String) {
        if self.chats.is_empty() {
            return;
        }
        let _ = writeln!(
            text,
            "\n| {CHATS} streaming chats at once | complete | first word later by, p50 ms | p99 ms \
             | whole answer, p50 s | KiB each (RSS) | KiB each (PSS) |\n|---|--:|--:|--:|--:|--:|--:|"
        );
        for chats in &self.chats {
            let _ = writeln!(
                text,
                "| {} | {} | {:.1} | {:.1} | {:.2} | {:.0} | {:.0} |",
                chats.contender.name(),
                chats.complete,
                chats.first_word_p50_ms,
                chats.first_word_p99_ms,
                chats.whole_p50_s,
                chats.stream_kib,
                chats.stream_own_kib,
            );
            if let Some(failure) = &chats.failure {
                let _ = writeln!(text, "\nThe first chat of {} that failed: {failure}\n", chats.contender.name());
            }
        }
    }

    fn write_goals(&self, text: &mut String) {
        *text += "\n| goal | measured | |\n|---|--:|---|\n";
        for judged in &self.goals {
            let measured = judged.measured.map_or("".into(), |value| format!("{value:.2}"));
            let verdict = match judged.verdict {
                Verdict::Met => "met",
                Verdict::Missed => "missed",
                Verdict::NotMeasured => "not measured",
            };
            let _ = writeln!(text, "| {} | {measured} | {verdict} |", judged.goal);
        }
    }
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len() / 2, sorted.len() % 2) {
        (0, 0) => 0.0,
        (middle, 0) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        (middle, _) => sorted[middle],
    }
}

/// `12,345`: what is easiest to compare down a column.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(thousands(999.4), "999");
        assert_eq!(thousands(1000.0), "1,000");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
    }

    fn load(workload: Workload, contender: Contender, rate: f64) -> Load {
        let sample = Sample { requests_per_s: rate, p50_ms: 1.0, p99_ms: 2.0 };
        Load::new(workload, contender, &[sample; 3])
    }

    #[test]
    fn goals_are_judged_by_what_was_measured() {
        let mut report = Report::new("a machine".into(), "three rounds".into(), Vec::new());
        report.loads = vec![
            load(Workload::Hello, Contender::Innkeeper, 30_000.0),
            load(Workload::Hello, Contender::Wasmtime, 10_000.0),
            load(Workload::Tool, Contender::Innkeeper, 15_000.0),
            load(Workload::List, Contender::Innkeeper, 6_000.0),
            load(Workload::List, Contender::Trusted, 6_900.0),
            load(Workload::List, Contender::Native, 10_000.0),
        ];
        report.far = vec![
            Load { p50_ms: 11.0, ..load(Workload::List, Contender::Innkeeper, 90.0) },
            Load { p50_ms: 20.1, ..load(Workload::Create, Contender::Innkeeper, 50.0) },
        ];
        report.starts = vec![Start {
            server: DEFAULT_SERVER,
            cold_ms: Some(3001.0),
            warm_ms: 150.0,
            idle_mib: 40.0,
            loaded_mib: 50.0,
            size_mib: 20.0,
        }];
        report.chats = vec![Chats {
            contender: Contender::Innkeeper,
            complete: CHATS - 1,
            first_word_p50_ms: 10.0,
            first_word_p99_ms: 90.0,
            whole_p50_s: 10.0,
            stream_kib: 256.5,
            stream_own_kib: 100.2,
            failure: Some("a reason".into()),
        }];
        report.judge();
        let verdicts: Vec<Verdict> = report.goals.iter().map(|judged| judged.verdict).collect();
        use Verdict::{Met, Missed, NotMeasured};
        assert_eq!(
            verdicts,
            [Met, NotMeasured, Met, Missed, NotMeasured, Missed, Met, Missed, Met, Missed, Met, Missed, Met, Missed]
        );
        let text = report.to_markdown();
        assert!(text.contains("| list 20 of 1,000 todos | native axum + sqlx | 10,000 |"), "{text}");
        assert!(text.contains("| 0.60 × |"), "{text}");
        assert!(text.contains("| list 20 of 1,000 todos | Innkeeper | 11.00 | 2.20 |"), "{text}");
        for judged in [
            "| list 20 of 1,000 todos, database 5 ms away: at most 2 whole round trips (fewer than 3) | 2.20 | met |",
            "| create a todo, database 5 ms away: at most 3 whole round trips (fewer than 4) | 4.02 | missed |",
        ] {
            assert!(text.contains(judged), "{text}");
        }
        assert!(
            text.contains("| Innkeeper | 499 | 10.0 | 90.0 | 10.00 | 256 | 100 |") && text.contains("a reason"),
            "{text}"
        );
    }
}
