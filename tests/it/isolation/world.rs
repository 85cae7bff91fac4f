//! A database with rows of mallory's and of another caller's, alice or carol; and
//! the way into it past the host.

use sha2::{Digest, Sha384};

use super::neighbours;
use super::oracle::{Forbidden, MARKER};
use crate::harness::{Database, Reply, Setup, TestDatabase, TestHost, Wire};

/// How many rows alice has: a number that nothing else has by chance,
/// and that is no object's number in a catalogue.
pub(super) const OF_ALICE: usize = 811;
pub(super) const OF_MALLORY: usize = 3;

/// A database that the hostile guest was served from.
pub(super) struct World {
    pub(super) database: TestDatabase,
    pub(super) role: String,
    pub(super) password: String,
    pub(super) forbidden: Forbidden,
    key: Vec<u8>,
    /// Rows of the other caller, and what the neighbours have.
    others: [String; 2],
    admin: Wire,
}

/// What a token is made for.
pub(super) struct Pass<'a> {
    pub(super) caller: &'a str,
    pub(super) role: &'a str,
    pub(super) pid: i32,
    /// In seconds from now.
    pub(super) lifetime: i64,
}

/// The hostile guest with the right to write SQL, over one connection.
pub(super) fn hostile() -> Setup {
    hostile_within("2s")
}

/// The same with so much time for each statement.
pub(super) fn hostile_within(sql_time: &str) -> Setup {
    let module = format!(
        "[[module]]\nname = \"hostile\"\nsource = \"replaced\"\n\
         grants = {{ sql = {{ database = \"main\", free = true }} }}\nlimits = {{ sql_time = \"{sql_time}\" }}\n"
    );
    Setup::guest("hostile").file(&module).on(Database::Postgres)
}

impl World {
    /// A fresh one where the rows of the other caller are alice's, or
    /// carol's.
    pub(super) async fn new(by_alice: bool) -> Self {
        let (_, database) = hostile().start().await.stop().await;
        Self::of(database, by_alice).await
    }

    /// On a database that the host has set up.
    pub(super) async fn of(database: TestDatabase, by_alice: bool) -> Self {
        let neighbours_password = neighbours::move_in(&database).await;
        let mut admin = database.admin().await;
        let login = "SELECT role, password FROM innkeeper.login WHERE module = 'hostile'";
        let login = admin.simple(login).await.expect("rows").cells();
        let [role, password] = <[String; 2]>::try_from(login).expect("a role and its password");
        let key = admin.simple("SELECT encode(key, 'hex') FROM innkeeper.key").await.expect("rows").cells();
        let bytes = (0..key[0].len() / 2).map(|at| u8::from_str_radix(&key[0][2 * at..2 * at + 2], 16));
        let bytes: Vec<u8> = bytes.collect::<Result<_, _>>().expect("hexadecimal");
        let forbidden = Forbidden::new(&bytes, [&password, &neighbours_password]);
        let mut world = Self { database, role, password, forbidden, key: bytes, others: Default::default(), admin };
        world.inhabit(by_alice).await;
        let cells = world.restore().await.cells();
        world.others = [cells[0].clone(), cells[7].clone()];
        world
    }

    /// Rows of alice's, or as many of carol's: what the server plans, and how long
    /// it takes, depends on the size of a table, and that must not matter here.
    async fn inhabit(&mut self, by_alice: bool) {
        let (owner, word, id) = match by_alice {
            // The first has an id that an attacker may guess.
            true => ("alice", "VICTIM", "00000000-0000-0000-0000-000000000001"),
            false => ("carol", "NOBODY", "00000000-0000-0000-0000-000000000002"),
        };
        let rows = format!(
            "INSERT INTO hostile.secrets (owner, id, body) SELECT '{owner}', \
             CASE n WHEN 1 THEN '{id}'::uuid ELSE md5('{owner}' || n)::uuid END, \
             '{word}-{MARKER}-' || n FROM generate_series(1, {OF_ALICE}) AS n"
        );
        // Statistics that are made at another moment give another plan.
        let still = "ALTER TABLE hostile.secrets SET (autovacuum_enabled = off)";
        assert_eq!(self.admin.simple(still).await.expect("an answer").error(), None);
        assert_eq!(self.admin.simple(&rows).await.expect("an answer").error(), None);
    }

    /// Gives mallory back what he had, the role its password, and the shared
    /// table its emptiness. Tells what there was of alice, and who may see what.
    async fn restore(&mut self) -> Reply {
        let role = &self.role;
        let text = format!(
            "SELECT md5(coalesce(string_agg(id::text || body, ',' ORDER BY id), '')), count(*) FROM hostile.secrets WHERE owner IN ('alice', 'carol');\
             SELECT count(*) FROM hostile.secrets WHERE owner NOT IN ('alice', 'carol', 'mallory') OR (owner = 'mallory' AND body LIKE '%{MARKER}%');\
             SELECT count(*) FROM hostile.board WHERE note LIKE '%{MARKER}%';\
             SELECT rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles WHERE rolname = '{role}';\
             SELECT count(*) FROM pg_policies WHERE schemaname = 'hostile';\
             SELECT relforcerowsecurity AND relrowsecurity FROM pg_class WHERE oid = 'hostile.secrets'::regclass;\
             {};\
             DELETE FROM hostile.secrets WHERE owner = 'mallory'; DELETE FROM hostile.board;\
             INSERT INTO hostile.secrets (owner, body) SELECT 'mallory', 'of mallory' FROM generate_series(1, {OF_MALLORY});\
             ALTER ROLE \"{role}\" RESET ALL; ALTER ROLE \"{role}\" LOGIN CONNECTION LIMIT -1",
            neighbours::STATE,
        );
        let reply = self.admin.simple(&text).await.expect("an answer");
        assert_eq!(reply.error(), None);
        reply
    }

    /// The role's password is the kept one again.
    pub(super) async fn restore_password(&mut self) {
        let again = format!("ALTER ROLE \"{}\" PASSWORD '{}'", self.role, self.password);
        assert_eq!(self.admin.simple(&again).await.expect("an answer").error(), None);
    }

    /// What was set for every later session of the role, and whether its password is
    /// the kept one.
    pub(super) async fn role(&mut self) -> [String; 2] {
        let kept = format!(
            "SELECT coalesce(string_agg(setconfig::text, ' '), '') FROM pg_db_role_setting JOIN pg_roles r ON r.oid = setrole \
             WHERE rolname = '{}'",
            self.role
        );
        let set = self.admin.simple(&kept).await.expect("an answer").cells().remove(0);
        let login = self.database.login(&self.role, &self.password).await;
        [set, login.err().map(|error| error.to_string()).unwrap_or_default()]
    }

    /// Takes away what the host relies on, to see that it is missed.
    pub(super) async fn break_with(&mut self, text: &str) {
        assert_eq!(self.admin.simple(text).await.expect("an answer").error(), None);
    }

    /// Why the world is not what it was, when it is not.
    pub(super) async fn damage(&mut self) -> Option<String> {
        let cells = self.restore().await.cells();
        let now = [&cells[0], &cells[7], &cells[2], &cells[3], &cells[4], &cells[5], &cells[6]].map(String::as_str);
        let good = [&self.others[0], &self.others[1], "0", "0", "f", "1", "t"];
        (now != good).then(|| format!("{now:?} instead of {good:?}"))
    }

    /// A token as the host makes it.
    pub(super) fn token(&self, pass: &Pass<'_>) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let expires = i64::try_from(now.as_micros()).expect("a number") + pass.lifetime * 1_000_000;
        let body = format!("{expires:016}{:010}{}", pass.pid, pass.caller);
        let text = format!("token|{}|{body}", pass.role);
        let mac = Sha384::new().chain_update(&self.key).chain_update(text).finalize();
        mac.iter().chain(body.as_bytes()).map(|byte| format!("{byte:02x}")).collect()
    }

    /// What the host sends to open a transaction of this caller.
    pub(super) fn enter(&self, caller: &str, pid: i32) -> String {
        let token = self.token(&Pass { caller, role: &self.role, pid, lifetime: 60 });
        format!("BEGIN; SELECT innkeeper.enter('{token}')")
    }

    /// A session of the module's own role.
    pub(super) async fn session(&self) -> Wire {
        let mut wire = self.database.login(&self.role, &self.password).await.expect("the role logs in");
        settle(&mut wire).await.expect("a session");
        wire
    }

    /// The attack's text, with what it has stolen.
    pub(super) fn fill(&self, text: &str, pid: i32, seal: &str) -> String {
        let pass = |caller, role, pid, lifetime| self.token(&Pass { caller, role, pid, lifetime });
        let own = pass("mallory", &self.role, pid, 60);
        let alice = pass("alice", &self.role, pid, 60);
        text.replace("{seal}", seal)
            .replace("{token}", &pass("alice", &self.role, pid + 1, 60))
            .replace("{expired}", &pass("alice", &self.role, pid, -1))
            .replace("{forged}", &format!("{}{}", &own[..96], &alice[96..]))
            .replace("{elsewhere}", &pass("alice", "postgres", pid, 60))
            .replace("{own}", &own)
            .replace("{role}", &self.role)
            .replace("{neighbour}", &self.role.replace("hostile", "neighbour"))
            .replace("{password}", "of-mallory")
    }
}

/// A session as it was opened, whatever was done to it; fails when it is lost.
pub(super) async fn settle(wire: &mut Wire) -> std::io::Result<()> {
    wire.simple("ROLLBACK").await?;
    wire.simple("DISCARD ALL").await?;
    let set = "SET search_path = hostile, pg_catalog, pg_temp; SET statement_timeout = '2s'";
    wire.simple(set).await?.error().map_or(Ok(()), |code| Err(std::io::Error::other(code)))
}

/// A host on a world, with all of its doors open. On its one connection every call
/// meets what the one before has left.
pub(super) async fn served(world: &World, url: &str) -> TestHost {
    served_with(world, url, 1).await
}

/// The same with so many connections, and with time enough on a machine that has other
/// things to do.
pub(super) async fn served_with(world: &World, url: &str, connections: u32) -> TestHost {
    let setup =
        hostile_within("10s").file(&format!("[database]\nurl = \"env:DATABASE_URL\"\nconnections = {connections}\n"));
    let host = setup.start_at(world.database.clone(), url).await.expect("the host starts");
    host.until("/health/ready", 200, std::time::Duration::from_secs(20)).await;
    host
}
