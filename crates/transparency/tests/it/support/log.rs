//! A log in memory with true proofs and signatures, in both versions.

use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Answers, Reply, TestKey};

type Hash = [u8; 32];

/// The name that the log signs with.
pub(crate) const ORIGIN: &str = "log.example.com";
const TREE: &str = "1193050959916656506";

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// What the log does wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    Nothing,
    /// Says of each entry that it was there and does not show it.
    Hides,
    /// Does not prove an entry when it takes it in, as servers once did.
    ProvesLater,
    /// Knows no entries of kind `dsse`.
    Old,
    /// Says that it was asked too often.
    Throttles,
}

/// The log.
#[derive(Debug)]
pub(crate) struct MemoryLog {
    pub(crate) key: TestKey,
    pub(crate) wrong: Wrong,
    version: u32,
    time: i64,
    bodies: Mutex<Vec<Vec<u8>>>,
}

impl MemoryLog {
    pub(crate) fn new(version: u32, wrong: Wrong) -> Self {
        let key = TestKey::new();
        Self { key, wrong, version, time: 1_700_000_000, bodies: Mutex::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.bodies.lock().unwrap().len()
    }

    /// The number of the entry with this body, and whether it was there before.
    fn add(&self, body: Vec<u8>) -> (usize, bool) {
        let mut bodies = self.bodies.lock().unwrap();
        if let Some(at) = bodies.iter().position(|other| *other == body) {
            return (at, true);
        }
        bodies.push(body);
        (bodies.len() - 1, false)
    }

    fn leaves(&self) -> Vec<Hash> {
        self.bodies.lock().unwrap().iter().map(|body| sha256(&[&[0], body])).collect()
    }

    fn checkpoint(&self, origin: &str) -> String {
        let leaves = self.leaves();
        let text = format!("{origin}\n{}\n{}\n", leaves.len(), b64(tree(&leaves)));
        let id = sha256(&[self.key.public.spki_der()]);
        let signature = [&id[..4], &self.key.sign(text.as_bytes())].concat();
        format!("{text}\n— {ORIGIN} {}\n", b64(signature))
    }

    fn v1(&self, index: usize, is_proven: bool) -> Value {
        let body = self.bodies.lock().unwrap()[index].clone();
        let id = hex::encode(sha256(&[self.key.public.spki_der()]));
        let leaves = self.leaves();
        let signed = format!(
            "{{\"body\":\"{}\",\"integratedTime\":{},\"logID\":\"{id}\",\"logIndex\":{index}}}",
            b64(&body),
            self.time
        );
        let proof = json!({
            "checkpoint": self.checkpoint(&format!("{ORIGIN} - {TREE}")),
            "hashes": proof(&leaves, index).iter().map(hex::encode).collect::<Vec<_>>(),
            "logIndex": index,
            "rootHash": hex::encode(tree(&leaves)),
            "treeSize": leaves.len(),
        });
        json!({uuid(&body): {
            "body": b64(&body),
            "integratedTime": self.time,
            "logID": id,
            "logIndex": index,
            "verification": {
                "inclusionProof": if is_proven { proof } else { Value::Null },
                "signedEntryTimestamp": b64(self.key.sign(signed.as_bytes())),
            },
        }})
    }

    fn add_v1(&self, proposal: &Value) -> Reply {
        let Some(body) = body_v1(proposal, self.wrong) else {
            let kind = &proposal["kind"];
            let message = format!("parsing body failed, because invalid kind value: {kind}");
            return Reply::new(400, json!({"code": 400, "message": message}).to_string());
        };
        let name = uuid(&body);
        let (index, was_there) = self.add(body);
        let location = format!("/api/v1/log/entries/{name}");
        if was_there || self.wrong == Wrong::Hides {
            let message = format!(
                "an equivalent entry already exists in the transparency log with UUID {name}"
            );
            let reply = Reply::new(409, json!({"code": 409, "message": message}).to_string());
            return reply.header("location", &location);
        }
        let is_proven = self.wrong != Wrong::ProvesLater;
        Reply::new(201, self.v1(index, is_proven).to_string()).header("location", &location)
    }

    fn add_v2(&self, request: &Value) -> Reply {
        let request = &request["hashedRekordRequestV002"];
        let body = json!({
            "apiVersion": "0.0.2",
            "kind": "hashedrekord",
            "spec": {"hashedRekordV002": {
                "data": {"algorithm": "SHA2_256", "digest": request["digest"]},
                "signature": request["signature"],
            }},
        });
        let (index, was_there) = self.add(body.to_string().into_bytes());
        if was_there {
            return Reply::new(409, "{}").header("x-log-index", &index.to_string());
        }
        let leaves = self.leaves();
        let entry = json!({
            "logIndex": index.to_string(),
            "logId": {"keyId": b64(sha256(&[self.key.public.spki_der()]))},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "integratedTime": "0",
            "inclusionPromise": null,
            "inclusionProof": {
                "logIndex": index.to_string(),
                "rootHash": b64(tree(&leaves)),
                "treeSize": leaves.len().to_string(),
                "hashes": proof(&leaves, index).iter().map(b64).collect::<Vec<_>>(),
                "checkpoint": {"envelope": self.checkpoint(ORIGIN)},
            },
            "canonicalizedBody": b64(body.to_string()),
        });
        Reply::new(201, entry.to_string())
    }

    /// A file of the tree, which is never wider than one tile here.
    fn file(&self, path: &str) -> Reply {
        match path {
            "/checkpoint" => Reply::new(200, self.checkpoint(ORIGIN)),
            _ if path.starts_with("/tile/entries/000.p/") => {
                let bodies = self.bodies.lock().unwrap();
                let entry = |body: &Vec<u8>| {
                    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
                    [len.as_slice(), body].concat()
                };
                Reply::new(200, bodies.iter().flat_map(entry).collect::<Vec<_>>())
            }
            _ if path.starts_with("/tile/0/000.p/") => Reply::new(200, self.leaves().concat()),
            _ => Reply::new(404, ""),
        }
    }
}

impl Answers for MemoryLog {
    fn answer(&self, request: &str, body: &[u8]) -> Reply {
        if self.wrong == Wrong::Throttles {
            return Reply::new(429, "");
        }
        match (self.version, request) {
            (1, "POST /api/v1/log/entries") => self.add_v1(&serde_json::from_slice(body).unwrap()),
            (1, "GET /api/v1/log/publicKey") => Reply::new(200, self.key.public.to_pem().unwrap()),
            (1, _) => {
                let uuid_asked = request.rsplit('/').next().unwrap();
                let named = |body: &Vec<u8>| uuid(body).ends_with(uuid_asked);
                let at = self.bodies.lock().unwrap().iter().position(named);
                match at.filter(|_| self.wrong != Wrong::Hides) {
                    Some(at) => Reply::new(200, self.v1(at, true).to_string()),
                    None => Reply::new(404, "{\"code\":404}"),
                }
            }
            (2, "POST /api/v2/log/entries") => self.add_v2(&serde_json::from_slice(body).unwrap()),
            (2, _) => match request.strip_prefix("GET /api/v2") {
                Some(path) => self.file(path),
                None => Reply::new(404, "{}"),
            },
            _ => Reply::new(404, "{}"),
        }
    }
}

fn uuid(body: &[u8]) -> String {
    format!("108e9186e8c5677a{}", hex::encode(sha256(&[&[0], body])))
}

/// What a log of version 1 keeps of a proposal.
fn body_v1(proposal: &Value, wrong: Wrong) -> Option<Vec<u8>> {
    let spec = &proposal["spec"];
    let hash =
        |bytes: &[u8]| json!({"algorithm": "sha256", "value": hex::encode(sha256(&[bytes]))});
    let kept = match proposal["kind"].as_str()? {
        "dsse" if wrong != Wrong::Old => {
            let content = &spec["proposedContent"];
            let json = content["envelope"].as_str()?;
            let envelope: Value = serde_json::from_str(json).ok()?;
            json!({
                "envelopeHash": hash(json.as_bytes()),
                "payloadHash": hash(&STANDARD.decode(envelope["payload"].as_str()?).ok()?),
                "signatures": [{
                    "signature": envelope["signatures"][0]["sig"],
                    "verifier": content["verifiers"][0],
                }],
            })
        }
        "intoto" => {
            let mut kept = spec.clone();
            kept["content"]["envelope"].as_object_mut()?.remove("payload");
            kept
        }
        "hashedrekord" => spec.clone(),
        "rekord" => {
            let data = STANDARD.decode(spec["data"]["content"].as_str()?).ok()?;
            json!({"data": {"hash": hash(&data)}, "signature": spec["signature"]})
        }
        _ => return None,
    };
    let body =
        json!({"apiVersion": proposal["apiVersion"], "kind": proposal["kind"], "spec": kept});
    Some(body.to_string().into_bytes())
}

fn split(len: usize) -> usize {
    len.next_power_of_two() / 2
}

fn tree(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(split(more.len()));
            sha256(&[&[1], &tree(left), &tree(right)])
        }
    }
}

fn proof(leaves: &[Hash], index: usize) -> Vec<Hash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, sibling) = match index.checked_sub(left.len()) {
        None => (proof(left, index), tree(right)),
        Some(index) => (proof(right, index), tree(left)),
    };
    path.push(sibling);
    path
}
