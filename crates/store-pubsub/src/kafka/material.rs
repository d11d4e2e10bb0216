//! What is mounted: the password, and the authorities to trust. Read again before each message, which costs little
//! beside sending it, so that a Secret that was rotated is used as soon as it is there.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use chains_core::{Error, ErrorKind, Result, Secret};

use crate::options::KafkaOptions;

/// No password is longer.
const LONGEST_PASSWORD: u64 = 4096;
/// The authorities of a whole system fit.
const MOST_AUTHORITIES: u64 = 4 * 1024 * 1024;

/// Two of the same make the same connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Material {
    pub(super) password: Option<Secret>,
    /// PEM; empty where none is named.
    pub(super) authorities: Vec<u8>,
}

impl Material {
    pub(super) async fn read(options: &KafkaOptions) -> Result<Self> {
        if options.tls.is_none() && options.sasl.is_none() {
            return Ok(Self::default());
        }
        let options = options.clone();
        // Files block.
        tokio::task::spawn_blocking(move || Self::read_files(&options)).await.map_err(|error| {
            Error::new(ErrorKind::Internal, "reading files for Kafka").with_source(error)
        })?
    }

    fn read_files(options: &KafkaOptions) -> Result<Self> {
        let password =
            options.sasl.as_ref().map(|sasl| password(&sasl.password_path)).transpose()?;
        let mut authorities = Vec::new();
        if let Some(tls) = &options.tls {
            let paths = match &tls.ca_path {
                Some(only) => std::slice::from_ref(only),
                None => &tls.extra_ca_paths,
            };
            for path in paths {
                authorities.extend(bytes(path, MOST_AUTHORITIES).map_err(|error| {
                    let what = format!(
                        "reading the authorities to trust for Kafka from {}",
                        path.display()
                    );
                    Error::new(ErrorKind::Configuration, what).with_source(error)
                })?);
                authorities.push(b'\n');
            }
        }
        Ok(Self { password, authorities })
    }
}

/// The password, without the line's end that editors and `echo` leave.
fn password(path: &Path) -> Result<Secret> {
    let failed = |why: Box<dyn std::error::Error + Send + Sync>| {
        let what = format!(
            "reading the password for Kafka from {} (`storage.pubsub.kafka.sasl.password-path`)",
            path.display()
        );
        // It may be mounted in a moment.
        Error::new(ErrorKind::Unauthorized, what).with_source(why).with_retryable(true)
    };
    let bytes = bytes(path, LONGEST_PASSWORD).map_err(|error| failed(error.into()))?;
    // The text of the error would show what stands in the file.
    let mut text =
        String::from_utf8(bytes).map_err(|_not_shown| failed("it is not UTF-8".into()))?;
    while text.ends_with(['\n', '\r']) {
        text.pop();
    }
    if text.is_empty() {
        return Err(failed("the file is empty".into()));
    }
    Ok(Secret::new(text))
}

fn bytes(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(std::io::Error::other(format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}
