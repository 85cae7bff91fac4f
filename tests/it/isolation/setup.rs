//! What the host sets up, on databases as people have them: without a superuser,
//! with earlier tables, by several hosts at once, restored, tampered with.

use std::process::Stdio;

use innkeeper::app::StartError;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::process::Command;

use super::world::hostile;
use crate::harness::{As, Database, Setup, TestDatabase, TestHost, report};

/// What a caller sees of the table whose rows have owners.
async fn owners(host: &TestHost, caller: &str) -> Vec<String> {
    let texts = json!(["SELECT owner FROM secrets ORDER BY owner"]);
    let answer = host.post("/texts", &texts).by(caller).send().await.expect("an answer");
    let answer: Value = answer.json().await.expect("JSON");
    let rows = answer[0]["rows"].as_array().unwrap_or_else(|| panic!("{caller}: {answer}"));
    rows.iter().map(|row| row["owner"].as_str().expect("a text").to_owned()).collect()
}

async fn insert(host: &TestHost, caller: &str) {
    let texts = json!([format!("INSERT INTO secrets (owner, body) VALUES ('{caller}', 'of {caller}')")]);
    let answer = host.post("/texts", &texts).by(caller).send().await.expect("an answer");
    let answer = answer.text().await.expect("a body");
    assert!(answer.contains("\"affected\":1"), "{answer}");
}

/// Two callers on this host meet only what is theirs.
pub(super) async fn keeps_apart(host: &TestHost) {
    host.until("/health/ready", 200, std::time::Duration::from_secs(20)).await;
    assert_eq!(isolation(host).await, "row-level-security");
    for caller in ["alice", "mallory"] {
        insert(host, caller).await;
    }
    for caller in ["alice", "mallory"] {
        let owners = owners(host, caller).await;
        assert!(!owners.is_empty() && owners.iter().all(|owner| owner == caller), "{caller} sees {owners:?}");
    }
}

async fn isolation(host: &TestHost) -> String {
    let health: Value = host.get("/health").send().await.expect("an answer").json().await.expect("JSON");
    health["modules"][0]["isolation"].as_str().expect("a text").to_owned()
}

/// Where the database keeps no rows apart, `/health` does not claim that it does.
#[tokio::test(flavor = "multi_thread")]
async fn health_says_what_keeps_callers_apart() {
    let probe = || {
        // It has tables, and declares none of them as owned.
        let file = "[[module]]\nname = \"sql-probe\"\nsource = \"replaced\"\ngrants = { sql = \"main\" }\n";
        Setup::guest("sql-probe").file(file)
    };
    for (setup, expected) in [
        (Setup::guest("todo").on(Database::Sqlite), "module-file"),
        (hostile().on(Database::Sqlite), "module-file"),
        (probe().on(Database::Sqlite), "module-file"),
        (probe().on(Database::Postgres), "module-role"),
        (hostile(), "row-level-security"),
    ] {
        let host = setup.start().await;
        host.until("/health/ready", 200, std::time::Duration::from_secs(20)).await;
        assert_eq!(isolation(&host).await, expected);
    }
}

/// A database whose owner is an ordinary user with these rights, and its URL.
async fn owned_by(rights: &str) -> (TestDatabase, String) {
    let database = TestDatabase::create(Database::Postgres).await;
    let mut admin = database.admin().await;
    let oid =
        admin.simple("SELECT oid FROM pg_database WHERE datname = current_database()").await.expect("a row").cells();
    // Goes with the database, as the modules' roles do.
    let user = format!("innkeeper_{}_0owner", oid[0]);
    let mut url = Url::parse(database.url()).expect("a URL");
    let name = url.path().trim_start_matches('/').to_owned();
    for text in [
        format!("CREATE ROLE {user} LOGIN PASSWORD 'ordinary' {rights}"),
        format!("ALTER DATABASE {name} OWNER TO {user}"),
    ] {
        assert_eq!(admin.simple(&text).await.expect("an answer").error(), None, "{text}");
    }
    url.set_username(&user).expect("a name");
    url.set_password(Some("ordinary")).expect("a password");
    (database, url.to_string())
}

pub(super) fn refused(result: Result<TestHost, StartError>) -> String {
    match result {
        Ok(_) => panic!("the host starts"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_make_roles_is_enough() {
    let (database, url) = owned_by("CREATEROLE NOSUPERUSER NOBYPASSRLS").await;
    for _ in 0..2 {
        let host = hostile().start_at(database.clone(), &url).await.expect("the host starts");
        keeps_apart(&host).await;
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_make_roles_is_told_how_or_to_do_without() {
    let (database, url) = owned_by("NOCREATEROLE").await;
    let error = refused(hostile().start_at(database.clone(), &url).await);
    for part in ["cannot make the login role", "CREATEROLE", "INNKEEPER_ISOLATION=trusted", "ALTER ROLE"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains("ordinary"), "{error}");
    let trusted = hostile().env("INNKEEPER_ISOLATION", "trusted");
    let host = trusted.start_at(database, &url).await.expect("the host starts");
    host.until("/health/ready", 200, std::time::Duration::from_secs(20)).await;
    assert_eq!(isolation(&host).await, "trusted");
    insert(&host, "alice").await;
    assert_eq!(owners(&host, "mallory").await, ["alice"], "as the word says");
}

/// The next version changes rows of everybody, as a user whom row security binds,
/// and no longer says whose they are.
#[tokio::test(flavor = "multi_thread")]
async fn earlier_tables_are_guarded_and_a_migration_meets_every_row() {
    let (database, url) = owned_by("CREATEROLE").await;
    let trusted = hostile().env("INNKEEPER_ISOLATION", "trusted");
    let host = trusted.start_at(database.clone(), &url).await.expect("the host starts");
    host.until("/health/ready", 200, std::time::Duration::from_secs(20)).await;
    for caller in ["alice", "mallory"] {
        insert(&host, caller).await;
    }
    host.stop().await;

    let host = hostile().start_at(database.clone(), &url).await.expect("the host starts");
    keeps_apart(&host).await;
    host.stop().await;

    let later = "[[module]]\nname = \"hostile\"\nsource = \"replaced\"\ngrants = { sql = \"main\" }\n";
    let host = Setup::guest("later").file(later).start_at(database.clone(), &url).await.expect("the host starts");
    host.until("/health/ready", 200, std::time::Duration::from_secs(20)).await;
    let mut admin = database.admin().await;
    let marked = "SELECT count(*) FILTER (WHERE body LIKE '%, marked'), count(*) FROM hostile.secrets";
    assert_eq!(admin.simple(marked).await.expect("a row").cells(), ["4", "4"]);
    for caller in ["alice", "mallory"] {
        let seen = host.get("/").by(caller).send().await.expect("an answer").json::<Value>().await.expect("JSON");
        let row = json!({ "owner": caller, "body": format!("of {caller}, marked") });
        assert_eq!(seen, json!([row, row]), "what was kept apart stays so");
    }
    let nobody = host.get("/").send().await.expect("an answer").json::<Value>().await.expect("JSON");
    assert_eq!(nobody, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_start_together_agree() {
    for number in [2, 4] {
        let database = TestDatabase::create(Database::Postgres).await;
        let start = |_| tokio::spawn(hostile().start_with(database.clone()));
        let starting: Vec<_> = (0..number).map(start).collect();
        let mut hosts = Vec::new();
        for host in starting {
            hosts.push(host.await.expect("no panic").expect("the host starts"));
        }
        for host in &hosts {
            keeps_apart(host).await;
        }
        assert_eq!(owners(&hosts[0], "alice").await.len(), number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_works_on() {
    let Some(programs) = std::env::var_os("INNKEEPER_TEST_PG_BIN").map(std::path::PathBuf::from) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "INNKEEPER_TEST_PG_BIN must name pg_dump's directory");
        return report("skipped: a restored database, for want of INNKEEPER_TEST_PG_BIN");
    };
    let host = hostile().start().await;
    keeps_apart(&host).await;
    let (_, old) = host.stop().await;
    let new = TestDatabase::create(Database::Postgres).await;
    let mut dump =
        Command::new(programs.join("pg_dump")).arg(old.url()).stdout(Stdio::piped()).spawn().expect("it runs");
    let text: Stdio = dump.stdout.take().expect("a pipe").try_into().expect("a pipe");
    let mut restore = Command::new(programs.join("psql"));
    restore.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", new.url()]).stdin(text).stdout(Stdio::null());
    assert!(restore.status().await.expect("it runs").success());
    assert!(dump.wait().await.expect("it ran").success());
    let host = hostile().start_with(new.clone()).await.expect("the host starts");
    keeps_apart(&host).await;
    assert_eq!(owners(&host, "alice").await.len(), 2);
    // The old database's role was restored with its grants, and owns nothing here.
    let login = old.admin().await.simple("SELECT role, password FROM innkeeper.login").await.expect("a row").cells();
    let mut stranger = new.login(&login[0], &login[1]).await.expect("it logs in");
    let rows = stranger.simple("SELECT owner FROM hostile.secrets").await.expect("an answer").cells();
    assert_eq!(rows, [""; 0]);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_was_taken_away_is_back_at_the_next_start() {
    let (_, database) = hostile().start().await.stop().await;
    for away in [
        "ALTER TABLE secrets NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE secrets DISABLE ROW LEVEL SECURITY",
        "DROP POLICY innkeeper ON secrets",
        "ALTER POLICY innkeeper ON secrets USING (true)",
        "ALTER POLICY innkeeper ON secrets WITH CHECK (true)",
        "DROP POLICY innkeeper ON secrets; CREATE POLICY innkeeper ON secrets FOR SELECT USING (owner = (SELECT innkeeper.caller()))",
        "DROP POLICY innkeeper ON secrets; CREATE POLICY innkeeper ON secrets AS RESTRICTIVE USING (owner = (SELECT innkeeper.caller())) WITH CHECK (owner = (SELECT innkeeper.caller()))",
        "GRANT ALL ON secrets TO PUBLIC",
    ] {
        database.meddle("hostile", away).await;
        let host = hostile().start_with(database.clone()).await.expect("the host starts");
        keeps_apart(&host).await;
        let (_, same) = host.stop().await;
        let mut admin = same.admin().await;
        let state = "SELECT c.relrowsecurity AND c.relforcerowsecurity, p.cmd, p.permissive, p.qual = p.with_check, \
                     has_table_privilege(l.role, c.oid, 'TRUNCATE') \
                     FROM pg_class c, pg_policies p, innkeeper.login l WHERE c.oid = 'hostile.secrets'::regclass";
        assert_eq!(admin.simple(state).await.expect("a row").cells(), ["t", "ALL", "PERMISSIVE", "t", "f"], "{away}");
    }
}
