//! What the host refuses to serve, because rows would not be kept apart there.

use super::setup::{keeps_apart, refused};
use super::world::hostile;
use crate::harness::{Database, Setup, TestDatabase};

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_somebody_else_made_is_refused() {
    let (_, database) = hostile().start().await.stop().await;
    database.meddle("hostile", "CREATE POLICY report ON secrets FOR SELECT USING (true)").await;
    let error = refused(hostile().start_with(database.clone()).await);
    for part in ["`secrets` has the policy `report`", "DROP POLICY \"report\" ON \"hostile\".\"secrets\""] {
        assert!(error.contains(part), "{error}");
    }
    database.meddle("hostile", "DROP POLICY report ON secrets").await;
    keeps_apart(&hostile().start_with(database).await.expect("the host starts")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_is_no_text_is_refused() {
    let module = "[[module]]\nname = \"misowned\"\nsource = \"replaced\"\ngrants = { sql = \"main\" }\n";
    let database = TestDatabase::create(Database::Postgres).await;
    let error = refused(Setup::guest("misowned").file(module).start_with(database.clone()).await);
    assert!(
        error.contains(
            "declares `owner` of `notes` as the owner's column; there must be one of that name, of type text"
        ),
        "{error}"
    );
    let mut admin = database.admin().await;
    let left =
        admin.simple("SELECT count(*) FROM pg_namespace WHERE nspname = 'misowned'").await.expect("a row").cells();
    assert_eq!(left, ["0"], "nothing of it is kept");
}

/// The server follows a foreign key past every policy: `UPDATE people SET name =
/// 'mallory'` would make alice's rows his.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_by_which_rows_change_hands_is_refused() {
    let (_, database) = hostile().start().await.stop().await;
    let people = "CREATE TABLE hostile.people (name text PRIMARY KEY)";
    database.meddle("hostile", people).await;
    for action in ["ON UPDATE CASCADE", "ON DELETE CASCADE", "ON UPDATE SET NULL", "ON DELETE SET DEFAULT"] {
        let key = format!("ALTER TABLE secrets ADD CONSTRAINT known FOREIGN KEY (owner) REFERENCES people {action}");
        database.meddle("hostile", &key).await;
        let error = refused(hostile().start_with(database.clone()).await);
        assert!(error.contains("the foreign key `known` lets whoever changes `people`"), "{action}: {error}");
        database.meddle("hostile", "ALTER TABLE secrets DROP CONSTRAINT known").await;
    }
    // Which changes nothing, and so gives nothing away but that the name is known.
    database.meddle("hostile", "ALTER TABLE secrets ADD FOREIGN KEY (owner) REFERENCES people").await;
    database.meddle("hostile", "INSERT INTO people VALUES ('alice'), ('mallory')").await;
    keeps_apart(&hostile().start_with(database).await.expect("the host starts")).await;
}

/// `CREATE TABLE IF NOT EXISTS` would take the table over, with a grant on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_somebody_else_is_not_taken_over() {
    let database = TestDatabase::create(Database::Postgres).await;
    let mut admin = database.admin().await;
    for text in ["CREATE SCHEMA hostile", "CREATE TABLE hostile.accounts (password text)"] {
        assert_eq!(admin.simple(text).await.expect("an answer").error(), None);
    }
    let error = refused(hostile().start_with(database.clone()).await);
    assert!(
        error.contains("the schema `hostile` has the table `accounts`") && error.contains("another name"),
        "{error}"
    );
    // As an administrator makes it for a user who may not.
    admin.simple("DROP TABLE hostile.accounts").await.expect("an answer");
    keeps_apart(&hostile().start_with(database).await.expect("the host starts")).await;
}
