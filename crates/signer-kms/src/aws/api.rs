//! One call of AWS KMS, and what its failures mean.

use chains_core::{ErrorKind, Result};
use chains_http::aws::{self, Connector, Place, Refused, Replied, Service, authorities};
use chains_http::{Answer, Tls};
use serde_json::Value;

use crate::http::{self, EXCHANGE};
use crate::{AwsKey, KmsOptions};

static SERVICE: Service = Service {
    title: "AWS KMS",
    name: "kms",
    id: "KMS",
    target: "TrentService",
    media_type: "application/x-amz-json-1.1",
    fips_by_itself: false,
    exchange: EXCHANGE,
};

/// The service, as the environment and the reference name it.
#[derive(Debug)]
pub(super) struct Api(aws::Api);

impl Api {
    pub(super) fn new(key: &AwsKey, options: &KmsOptions) -> Result<Self> {
        let variables = options.variables.clone();
        // The variable is sigstore's.
        let accept_any = variables.get("AWS_TLS_INSECURE_SKIP_VERIFY").as_deref() == Some("1");
        let tls = Tls { only: authorities(&variables)?, accept_any, ..Tls::default() };
        let settings = http::settings(options);
        let connector = Connector::new("setting up TLS for AWS KMS", &settings, tls)?;
        let place = Place {
            about: key.reference.clone(),
            no_region: "set AWS_REGION, or name the key by its ARN",
            // As in sigstore, over TLS.
            url: key.endpoint.as_ref().map(|host| format!("https://{host}")),
            region: key.region.clone(),
            ..Place::default()
        };
        Ok(Self(aws::Api::new(&SERVICE, place, variables, connector)))
    }

    /// Calls an operation.
    ///
    /// # Errors
    /// Everything but success.
    pub(super) async fn call(&self, what: &str, operation: &str, body: &Value) -> Result<Answer> {
        match self.0.call(what, operation, body).await? {
            Replied::Done(answer) => Ok(answer),
            Replied::Refused(refused) => Err(refused.error(what, kind(&refused), "")),
        }
    }
}

/// What the codes of both operations mean.
fn kind(refused: &Refused) -> ErrorKind {
    let code = refused.refusal.code.as_str();
    let of_kms = match code {
        "NotFoundException" => Some(ErrorKind::NotFound),
        "InvalidArnException" => Some(ErrorKind::Configuration),
        "DisabledException"
        | "KMSInvalidStateException"
        | "InvalidKeyUsageException"
        | "UnsupportedOperationException" => Some(ErrorKind::Key),
        "DependencyTimeoutException" => Some(ErrorKind::Timeout),
        "KMSInternalException" | "KeyUnavailableException" => Some(ErrorKind::Unavailable),
        _ => aws::kind(code),
    };
    of_kms.unwrap_or_else(|| http::kind(refused.answer.status))
}
