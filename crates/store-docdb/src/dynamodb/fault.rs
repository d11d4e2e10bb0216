//! What failures of DynamoDB mean:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>.

use chains_core::{Error, ErrorKind, Secret};
use chains_http::{Answer, Refusal};
use serde::Deserialize;

use super::api::{Found, Used};
use super::item::too_large;
use crate::{Table, http};

pub(super) const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

#[derive(Deserialize, Default)]
struct Failure {
    #[serde(default, rename = "__type")]
    code: String,
    #[serde(default, alias = "Message")]
    message: String,
}

/// A namespace may precede the code, and an address follow.
pub(super) fn refusal(answer: &Answer) -> Refusal {
    let failure: Failure = serde_json::from_slice(&answer.body).unwrap_or_default();
    let header = |name| answer.header(name);
    let code = match failure.code.is_empty() {
        true => header("x-amzn-errortype").unwrap_or_default().to_owned(),
        false => failure.code,
    };
    let code = code.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default().to_owned();
    // For AWS's support; in the error, it would make each one another one.
    let request = header("x-amzn-requestid").unwrap_or_default();
    tracing::debug!(request, code, "refused by DynamoDB");
    Refusal { code, message: failure.message }
}

pub(super) fn told(
    what: &str,
    answer: &Answer,
    refusal: Refusal,
    table: &Table,
    found: &Found,
    credentials: &Used,
) -> Error {
    let kind = kind(&refusal).unwrap_or_else(|| http::kind(answer.status));
    if kind == ErrorKind::TooLarge {
        return too_large(&refusal.message).context(what);
    }
    let secrets = [
        Secret::new(credentials.secret_access_key()),
        Secret::new(credentials.session_token().unwrap_or_default()),
    ];
    let advice = advice(kind, table, found);
    answer.fault(what, kind, &refusal, &advice, &secrets.each_ref())
}

fn advice(kind: ErrorKind, table: &Table, found: &Found) -> String {
    let Table { name, partition_key, .. } = table;
    match kind {
        ErrorKind::NotFound => format!(
            "create the table {name} in the region {} with the partition key `{partition_key}` (a string) and no sort \
             key, or mend `storage.docdb.url`",
            found.region
        ),
        ErrorKind::Configuration => format!(
            "the table must have the partition key `{partition_key}` (a string) and no sort key: mend `partition_key` \
             in `storage.docdb.url`"
        ),
        ErrorKind::Unauthorized => format!(
            "check the credentials, and grant `dynamodb:PutItem` and `dynamodb:GetItem` on the table {name}"
        ),
        _ => String::new(),
    }
}

pub(super) fn is_expired(code: &str) -> bool {
    matches!(code, "ExpiredTokenException" | "ExpiredToken" | "RequestExpired")
}

fn kind(refusal: &Refusal) -> Option<ErrorKind> {
    Some(match refusal.code.as_str() {
        "AccessDeniedException"
        | "AccessDenied"
        | "NotAuthorized"
        | "OptInRequired"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestTimeTooSkewed" => ErrorKind::Unauthorized,
        code if is_expired(code) => ErrorKind::Unauthorized,
        "ResourceNotFoundException" => ErrorKind::NotFound,
        "ItemCollectionSizeLimitExceededException" => ErrorKind::TooLarge,
        "ProvisionedThroughputExceededException"
        | "ThrottlingException"
        | "Throttling"
        | "LimitExceededException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException" => ErrorKind::Throttled,
        "TransactionConflictException" | "ReplicatedWriteConflictException" => ErrorKind::Conflict,
        "InternalServerError"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => ErrorKind::Unavailable,
        "ValidationException" => validation(&refusal.message),
        _ => return None,
    })
}

/// One code for all that is wrong with a request: its words tell more.
fn validation(message: &str) -> ErrorKind {
    let message = message.to_lowercase();
    if message.contains("item size") && message.contains("exceed") {
        ErrorKind::TooLarge
    } else if message.contains(" key") && !message.contains("nesting") {
        ErrorKind::Configuration
    } else {
        ErrorKind::InvalidInput
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_words_say_what_it_is() {
        let check = |code: &str, message: &str, expect: Option<ErrorKind>| {
            let refusal = Refusal { code: code.to_owned(), message: message.to_owned() };
            assert_eq!(kind(&refusal), expect, "{code} {message}");
        };
        check("ResourceNotFoundException", "", Some(ErrorKind::NotFound));
        check("ProvisionedThroughputExceededException", "", Some(ErrorKind::Throttled));
        check("ExpiredTokenException", "", Some(ErrorKind::Unauthorized));
        check("NoSuchThing", "", None);
        let validation = |message, expect| check("ValidationException", message, Some(expect));
        validation("Item size has exceeded the maximum allowed size", ErrorKind::TooLarge);
        let missing = "One or more parameter values were invalid: Missing the key id in the item";
        validation(missing, ErrorKind::Configuration);
        let element = "The provided key element does not match the schema";
        validation(element, ErrorKind::Configuration);
        validation("Nesting Levels have exceeded supported limits", ErrorKind::InvalidInput);
    }
}
