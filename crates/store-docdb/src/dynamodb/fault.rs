//! What failures of DynamoDB mean:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>.

use chains_core::{Error, ErrorKind};
use chains_http::Refusal;
use chains_http::aws::{self, Refused};

use super::item::too_large;
use crate::{Table, http};

pub(super) const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// A refusal as an error, with what to do about it.
pub(super) fn told(what: &str, refused: &Refused, table: &Table) -> Error {
    let kind = kind(&refused.refusal).unwrap_or_else(|| http::kind(refused.answer.status));
    if kind == ErrorKind::TooLarge {
        return too_large(&refused.refusal.message).context(what);
    }
    refused.error(what, kind, &advice(kind, table, &refused.region))
}

fn advice(kind: ErrorKind, table: &Table, region: &str) -> String {
    let Table { name, partition_key, .. } = table;
    match kind {
        ErrorKind::NotFound => format!(
            "create the table {name} in the region {region} with the partition key `{partition_key}` (a string) and no \
             sort key, or mend `storage.docdb.url`"
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

fn kind(refusal: &Refusal) -> Option<ErrorKind> {
    Some(match refusal.code.as_str() {
        "IncompleteSignatureException" => ErrorKind::Unauthorized,
        "ResourceNotFoundException" => ErrorKind::NotFound,
        "ItemCollectionSizeLimitExceededException" => ErrorKind::TooLarge,
        "ProvisionedThroughputExceededException" => ErrorKind::Throttled,
        "TransactionConflictException" | "ReplicatedWriteConflictException" => ErrorKind::Conflict,
        "InternalServerError" => ErrorKind::Unavailable,
        "ValidationException" => validation(&refusal.message),
        code => return aws::kind(code),
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
