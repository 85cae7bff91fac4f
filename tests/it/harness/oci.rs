//! A registry as others run it, what their tools push there, and what they sign.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer;
use p256::pkcs8::{EncodePublicKey, LineEnding};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::process::{Child, Command};

/// Who may pull where somebody has to be somebody.
pub const USER: (&str, &str) = ("ada", "correct horse");
/// The same as the registry keeps it.
const HTPASSWD: &str = "ada:$2y$05$rkhwaGr0qTDHq.B54LD6s.Zlz10oL9k434.dxhwUXCHUxBAMhLWhu\n";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// What components are in today.
pub const WASM: &str = "application/wasm";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const SIGNED: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The registry, and the tool that pushes to it.
#[derive(Clone)]
pub struct Programs {
    registry: PathBuf,
    skopeo: PathBuf,
}

/// Who gets in, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Doors {
    Open,
    Password,
    /// By TLS, at an address that is not this machine's own alone.
    Tls,
}

/// What is pushed.
#[derive(Clone)]
pub struct Artifact {
    pub config_type: &'static str,
    pub layers: Vec<(&'static str, Vec<u8>, BTreeMap<String, String>)>,
}

impl Artifact {
    /// A component as `wkg` pushes it.
    pub fn component(wasm: &[u8]) -> Self {
        Self { config_type: CONFIG, layers: vec![(WASM, wasm.to_vec(), BTreeMap::new())] }
    }

    /// The manifest, and every blob of it.
    pub fn parts(&self) -> (Vec<u8>, Vec<Vec<u8>>) {
        let described = |kind: &str, bytes: &[u8], annotations: &BTreeMap<String, String>| json!({ "mediaType": kind, "digest": sha256(bytes), "size": bytes.len(), "annotations": annotations });
        let digests: Vec<String> = self.layers.iter().map(|(_, bytes, _)| sha256(bytes)).collect();
        let config = json!({ "created": "2026-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2",
            "layerDigests": digests, "component": { "exports": [], "imports": [] } });
        let config = config.to_string().into_bytes();
        let layers: Vec<Value> =
            self.layers.iter().map(|(kind, bytes, annotations)| described(kind, bytes, annotations)).collect();
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
            "config": described(self.config_type, &config, &BTreeMap::new()) });
        let blobs = self.layers.iter().map(|(_, bytes, _)| bytes.clone()).chain([config]).collect();
        (manifest.to_string().into_bytes(), blobs)
    }

    /// Its digest.
    pub fn digest(&self) -> String {
        sha256(&self.parts().0)
    }

    /// As a folder that every tool reads.
    fn lay_out(&self, folder: &Path) {
        let (manifest, mut blobs) = self.parts();
        let place = folder.join("blobs/sha256");
        std::fs::create_dir_all(&place).expect("made");
        let entry = json!({ "mediaType": MANIFEST, "digest": sha256(&manifest), "size": manifest.len(),
            "annotations": { "org.opencontainers.image.ref.name": "it" } });
        blobs.push(manifest);
        for blob in blobs {
            std::fs::write(place.join(&sha256(&blob)[7..]), blob).expect("written");
        }
        let index = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string();
        std::fs::write(folder.join("index.json"), index).expect("written");
        std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("written");
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// An address of this machine that others could ask. Nothing is sent.
fn outward() -> IpAddr {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).expect("a way out");
    socket.local_addr().expect("bound").ip()
}

/// A registry of its own for one test.
pub struct OciRegistry {
    pub address: SocketAddr,
    programs: Programs,
    dir: tempfile::TempDir,
    /// Ended with the test.
    process: Option<Child>,
}

impl OciRegistry {
    /// Where the programs are; none when this machine has them not, which must not be so
    /// in CI.
    pub fn programs() -> Option<Programs> {
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let programs = named("INNKEEPER_TEST_REGISTRY").zip(named("INNKEEPER_TEST_SKOPEO"));
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(programs.is_some() || !ci, "INNKEEPER_TEST_REGISTRY and INNKEEPER_TEST_SKOPEO must name the programs");
        programs.map(|(registry, skopeo)| Programs { registry, skopeo })
    }

    pub async fn start(programs: Programs, doors: Doors) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let place = if doors == Doors::Tls { outward() } else { Ipv4Addr::LOCALHOST.into() };
        let free = std::net::TcpListener::bind((place, 0)).and_then(|free| free.local_addr());
        let (address, folder) = (free.expect("a port"), dir.path().display().to_string());
        std::fs::write(dir.path().join("users"), HTPASSWD).expect("written");
        let (auth, tls) = match doors {
            Doors::Open => (String::new(), String::new()),
            Doors::Password => (format!("auth: {{htpasswd: {{realm: test, path: {folder}/users}}}}\n"), String::new()),
            Doors::Tls => {
                let shown = rcgen::generate_simple_self_signed([place.to_string()]).expect("a certificate");
                std::fs::write(dir.path().join("ca.pem"), shown.cert.pem()).expect("written");
                std::fs::write(dir.path().join("key.pem"), shown.signing_key.serialize_pem()).expect("written");
                (String::new(), format!(", tls: {{certificate: {folder}/ca.pem, key: {folder}/key.pem}}"))
            }
        };
        let settings = format!(
            "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: true}}}}\nhttp: {{addr: \"{address}\"{tls}}}\n\
             storage: {{filesystem: {{rootdirectory: {folder}/store}}, delete: {{enabled: true}}}}\n{auth}"
        );
        std::fs::write(dir.path().join("settings.yml"), settings).expect("written");
        let mut registry = Self { address, programs, dir, process: None };
        registry.resume().await;
        registry
    }

    /// Starts it again, with what it had.
    pub async fn resume(&mut self) {
        let log = std::fs::File::create(self.dir.path().join("log")).expect("a file");
        let mut command = Command::new(&self.programs.registry);
        command.arg("serve").arg(self.dir.path().join("settings.yml")).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        self.process = Some(command.spawn().expect("it runs"));
        let until = Instant::now() + Duration::from_secs(20);
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < until, "the registry does not listen: {log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends it: connections are refused.
    pub async fn down(&mut self) {
        self.process.take().expect("it is running").kill().await.expect("killed");
    }

    /// The certificate that it shows, where it does.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// How a configuration names it: `todo:v1`, `todo@sha256:…`.
    pub fn source(&self, name: &str) -> String {
        format!("oci://{}/{name}", self.address)
    }

    /// A module of the configuration file, at `/name`.
    pub fn module(&self, name: &str, artifact: &str, rest: &str) -> String {
        let source = self.source(artifact);
        format!("[[module]]\nname = \"{name}\"\nsource = \"{source}\"\nroute = \"/{name}\"\n{rest}\n")
    }

    /// Pushes by skopeo. The digest that the registry has now.
    pub async fn push(&self, name: &str, artifact: &Artifact) -> String {
        let folder = tempfile::tempdir().expect("a directory");
        artifact.lay_out(folder.path());
        let mut skopeo = Command::new(&self.programs.skopeo);
        skopeo.args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]);
        skopeo.args(["--dest-creds", &format!("{}:{}", USER.0, USER.1)]);
        skopeo.arg(format!("oci:{}:it", folder.path().display()));
        let pushed = skopeo.arg(format!("docker://{}/{name}", self.address)).output().await.expect("skopeo runs");
        assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
        artifact.digest()
    }

    /// Pushes, and signs as cosign does.
    pub async fn push_signed(&self, repository: &str, tag: &str, artifact: &Artifact, signer: &Signing) -> String {
        let digest = self.push(&format!("{repository}:{tag}"), artifact).await;
        let text = payload(&digest);
        self.push_signature(repository, &digest, &text, &signer.sign(text.as_bytes())).await;
        digest
    }

    /// Pushes a signature of this digest, as cosign does: the text, and who signed it.
    pub async fn push_signature(&self, repository: &str, digest: &str, payload: &str, signature: &[u8]) {
        let annotation = ("dev.cosignproject.cosign/signature".to_owned(), STANDARD.encode(signature));
        let layer = (SIGNED, payload.as_bytes().to_vec(), [annotation].into());
        let artifact = Artifact { config_type: "application/vnd.oci.image.config.v1+json", layers: vec![layer] };
        self.push(&format!("{repository}:{}.sig", digest.replace(':', "-")), &artifact).await;
    }
}

/// Somebody who signs modules, by P-256.
pub struct Signing(p256::ecdsa::SigningKey);

impl Signing {
    pub fn new() -> Self {
        Self(p256::ecdsa::SigningKey::random(&mut rand::rngs::OsRng))
    }

    /// The public key, in a file.
    pub fn publish(&self, file: &Path) {
        let pem = self.0.verifying_key().to_public_key_pem(LineEnding::LF).expect("a key");
        std::fs::write(file, pem).expect("written");
    }

    /// A signature as OpenSSL and cosign make it.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: p256::ecdsa::DerSignature = self.0.sign(message);
        signature.as_bytes().to_vec()
    }
}

/// The text that cosign signs for a digest.
pub fn payload(digest: &str) -> String {
    json!({
        "critical": {
            "identity": { "docker-reference": "registry.example.com/edition" },
            "image": { "docker-manifest-digest": digest },
            "type": "cosign container image signature",
        },
        "optional": null,
    })
    .to_string()
}
