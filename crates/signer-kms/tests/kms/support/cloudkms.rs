//! A stand-in for Cloud KMS, over its published API (<https://cloud.google.com/kms/docs/reference/rest>): keys and
//! versions are made, disabled and used to sign through it. Google's own client for Python works with it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::keys::PrivateKey;
use super::server::{Asked, Reply};

/// The numbers that clients may send in place of the names of algorithms and states.
const ALGORITHMS: [(u64, &str); 10] = [
    (2, "RSA_SIGN_PSS_2048_SHA256"),
    (3, "RSA_SIGN_PSS_3072_SHA256"),
    (4, "RSA_SIGN_PSS_4096_SHA256"),
    (5, "RSA_SIGN_PKCS1_2048_SHA256"),
    (6, "RSA_SIGN_PKCS1_3072_SHA256"),
    (7, "RSA_SIGN_PKCS1_4096_SHA256"),
    (12, "EC_SIGN_P256_SHA256"),
    (13, "EC_SIGN_P384_SHA384"),
    (15, "RSA_SIGN_PSS_4096_SHA512"),
    (16, "RSA_SIGN_PKCS1_4096_SHA512"),
];
const STATES: [(u64, &str); 3] = [(1, "ENABLED"), (2, "DISABLED"), (4, "DESTROY_SCHEDULED")];

struct Version {
    key: PrivateKey,
    state: &'static str,
}

struct CryptoKey {
    algorithm: &'static str,
    versions: BTreeMap<u64, Version>,
}

#[derive(Default)]
pub(crate) struct CloudKms {
    keys: BTreeMap<String, CryptoKey>,
}

type Answer = Result<Value, (u16, &'static str, String)>;

impl CloudKms {
    pub(crate) fn answer(&mut self, asked: &Asked) -> Reply {
        if !asked.header("authorization").starts_with("Bearer ") {
            let message = "Request is missing required authentication credential.".to_owned();
            return failure(401, "UNAUTHENTICATED", &message);
        }
        match self.route(asked) {
            Ok(value) => Reply::json(200, &value),
            Err((code, status, message)) => failure(code, status, &message),
        }
    }

    fn route(&mut self, asked: &Asked) -> Answer {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let path = path.trim_start_matches("/v1/").replace("%3A", ":");
        let query: BTreeMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).collect();
        let (path, verb) = path.split_once(':').unwrap_or((&path, ""));
        let parts: Vec<_> = path.split('/').collect();
        let key = parts.get(..8).map(|parts| parts.join("/")).unwrap_or_default();
        let body = asked.json();
        match (asked.method.as_str(), parts.get(6..).unwrap_or_default(), verb) {
            ("POST", ["cryptoKeys"], "") => {
                let id = query.get("cryptoKeyId").ok_or_else(|| invalid("no cryptoKeyId"))?;
                self.create(format!("{path}/{id}"), &body)
            }
            ("GET", ["cryptoKeys", _], "") => {
                let algorithm = self.key(&key)?.algorithm;
                Ok(json!({ "name": key, "purpose": "ASYMMETRIC_SIGN",
                    "versionTemplate": { "algorithm": algorithm, "protectionLevel": "SOFTWARE" } }))
            }
            ("POST", [_, _, "cryptoKeyVersions"], "") => self.rotate(&key),
            ("GET", [_, _, "cryptoKeyVersions"], "") => self.list(&key, &query),
            ("GET", [_, _, _, number], "") => self.version(&key, number),
            ("PATCH", [_, _, _, number], "") => {
                let state = named(&STATES, &body["state"]).ok_or_else(|| invalid("no state"))?;
                self.find(&key, number)?.1.state = state;
                self.version(&key, number)
            }
            ("GET", [_, _, _, number, "publicKey"], "") => self.public_key(&key, number),
            ("POST", [_, _, _, number], "asymmetricSign") => self.sign(&key, number, &body),
            _ => Err((404, "NOT_FOUND", format!("no method {} {path}:{verb}", asked.method))),
        }
    }

    fn create(&mut self, name: String, body: &Value) -> Answer {
        let algorithm = named(&ALGORITHMS, &body["versionTemplate"]["algorithm"])
            .ok_or_else(|| invalid("no such algorithm"))?;
        if self.keys.contains_key(&name) {
            return Err((409, "ALREADY_EXISTS", format!("CryptoKey {name} already exists.")));
        }
        let key = CryptoKey { algorithm, versions: BTreeMap::new() };
        self.keys.insert(name.clone(), key);
        self.rotate(&name)?;
        Ok(json!({ "name": name, "purpose": "ASYMMETRIC_SIGN",
            "versionTemplate": { "algorithm": algorithm, "protectionLevel": "SOFTWARE" } }))
    }

    /// Makes another version.
    fn rotate(&mut self, name: &str) -> Answer {
        let key = self.key(name)?;
        let number = key.versions.len() as u64 + 1;
        let private = PrivateKey::of_google(key.algorithm).unwrap();
        key.versions.insert(number, Version { key: private, state: "ENABLED" });
        self.version(name, &number.to_string())
    }

    /// Pages of two, in the order of names: "10" before "9".
    fn list(
        &mut self,
        name: &str,
        query: &BTreeMap<impl AsRef<str> + Ord, impl AsRef<str>>,
    ) -> Answer {
        let get = |wanted: &str| {
            query.iter().find(|(name, _)| name.as_ref() == wanted).map(|(_, value)| value.as_ref())
        };
        let only_enabled = get("filter").is_some_and(|filter| filter.contains("ENABLED"));
        let key = self.key(name)?;
        let mut numbers: Vec<_> = key
            .versions
            .iter()
            .filter(|(_, version)| !only_enabled || version.state == "ENABLED")
            .map(|(number, _)| number.to_string())
            .collect();
        numbers.sort_by(|left, right| right.cmp(left));
        let start = get("pageToken").and_then(|token| token.parse().ok()).unwrap_or(0_usize);
        let page: Result<Vec<_>, _> =
            numbers.iter().skip(start).take(2).map(|number| self.version(name, number)).collect();
        let next = if start + 2 < numbers.len() { (start + 2).to_string() } else { String::new() };
        Ok(json!({ "cryptoKeyVersions": page?, "nextPageToken": next, "totalSize": numbers.len() }))
    }

    fn version(&mut self, name: &str, number: &str) -> Answer {
        let (algorithm, version) = self.find(name, number)?;
        Ok(json!({ "name": format!("{name}/cryptoKeyVersions/{number}"), "state": version.state,
            "algorithm": algorithm, "protectionLevel": "SOFTWARE" }))
    }

    fn public_key(&mut self, name: &str, number: &str) -> Answer {
        let (algorithm, version) = enabled(name, number, self.find(name, number)?)?;
        let pem = version.key.public_key().to_pem().unwrap();
        Ok(json!({ "name": format!("{name}/cryptoKeyVersions/{number}"), "pem": pem,
            "pemCrc32c": checksum(pem.as_bytes()), "algorithm": algorithm,
            "protectionLevel": "SOFTWARE" }))
    }

    fn sign(&mut self, name: &str, number: &str, body: &Value) -> Answer {
        let (_, version) = enabled(name, number, self.find(name, number)?)?;
        let digest = body["digest"].as_object().and_then(|digest| digest.values().next()?.as_str());
        let digest = digest.and_then(|text| STANDARD.decode(text).ok());
        let digest = digest.ok_or_else(|| invalid("no digest"))?;
        let told = body["digestCrc32c"].as_str().map(str::to_owned);
        if told.as_ref().is_some_and(|told| *told != checksum(&digest)) {
            return Err(invalid(
                "The checksum in field digest_crc32c did not match the data in field digest.",
            ));
        }
        let signature = version.key.sign_digest(&digest).ok_or_else(|| {
            invalid("The digest is of another length than the algorithm of the key has.")
        })?;
        Ok(json!({ "name": format!("{name}/cryptoKeyVersions/{number}"),
            "signature": STANDARD.encode(&signature), "signatureCrc32c": checksum(&signature),
            "verifiedDigestCrc32c": told.is_some(), "protectionLevel": "SOFTWARE" }))
    }

    fn key(&mut self, name: &str) -> Result<&mut CryptoKey, (u16, &'static str, String)> {
        let missing = || (404, "NOT_FOUND", format!("CryptoKey {name} not found."));
        self.keys.get_mut(name).ok_or_else(missing)
    }

    fn find(
        &mut self,
        name: &str,
        number: &str,
    ) -> Result<(&'static str, &mut Version), (u16, &'static str, String)> {
        let missing =
            || (404, "NOT_FOUND", format!("{name}/cryptoKeyVersions/{number} not found."));
        let key = self.key(name)?;
        let version = number.parse().ok().and_then(|number: u64| key.versions.get_mut(&number));
        version.map(|version| (key.algorithm, version)).ok_or_else(missing)
    }
}

fn enabled<'a>(
    name: &str,
    number: &str,
    (algorithm, version): (&'static str, &'a mut Version),
) -> Result<(&'static str, &'a mut Version), (u16, &'static str, String)> {
    if version.state == "ENABLED" {
        return Ok((algorithm, version));
    }
    let state = version.state;
    let message =
        format!("{name}/cryptoKeyVersions/{number} is not enabled, current state is: {state}.");
    Err((400, "FAILED_PRECONDITION", message))
}

fn named(table: &[(u64, &'static str)], value: &Value) -> Option<&'static str> {
    let found = table
        .iter()
        .find(|(number, name)| value.as_u64() == Some(*number) || value.as_str() == Some(*name));
    found.map(|(_, name)| *name)
}

fn invalid(message: &str) -> (u16, &'static str, String) {
    (400, "INVALID_ARGUMENT", message.to_owned())
}

pub(crate) fn failure(code: u16, status: &str, message: &str) -> Reply {
    let error = json!({ "code": code, "message": message, "status": status });
    Reply::json(code, &json!({ "error": error }))
}

/// CRC-32C, bit by bit.
fn checksum(bytes: &[u8]) -> String {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    });
    (!crc).to_string()
}
