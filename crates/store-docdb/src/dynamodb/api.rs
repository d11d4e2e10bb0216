//! One call of DynamoDB, in its JSON protocol:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html>.

use chains_core::Result;
use chains_http::aws::{self, Connector, Place, Service, authorities};
use chains_http::{Answer, Tls};
use serde_json::Value;

use super::fault;
use crate::http::{EXCHANGE, settings};
use crate::{DocDbOptions, Table};

static SERVICE: Service = Service {
    title: "DynamoDB",
    name: "dynamodb",
    id: "DynamoDB",
    target: "DynamoDB_20120810",
    media_type: "application/x-amz-json-1.0",
    fips_by_itself: true,
    exchange: EXCHANGE,
};

/// The service, as the environment and the URL of the table name it.
#[derive(Debug)]
pub(super) struct Api {
    table: Table,
    service: aws::Api,
}

/// What a call came to.
#[derive(Debug)]
pub(super) enum Replied {
    Done(Answer),
    /// The item is not as the call wants it.
    ConditionFailed,
}

impl Api {
    pub(super) fn new(table: &Table, options: &DocDbOptions) -> Result<Self> {
        let variables = options.variables.clone();
        let tls = Tls { only: authorities(&variables)?, ..Tls::default() };
        let connector = Connector::new("setting up TLS for DynamoDB", &settings(options), tls)?;
        let place = Place {
            about: format!("the table {}", table.name),
            no_region: "set AWS_REGION, or add `region=…` to `storage.docdb.url`",
            url: table.endpoint.clone(),
            region: table.region.clone(),
            credentials_there: true,
            profile: table.profile.clone(),
            role: table.role.clone(),
            fips: table.fips,
            dual_stack: table.dual_stack,
        };
        let service = aws::Api::new(&SERVICE, place, variables, connector);
        Ok(Self { table: table.clone(), service })
    }

    /// Calls an operation.
    ///
    /// # Errors
    /// Everything but what a condition asks for.
    pub(super) async fn call(&self, what: &str, operation: &str, body: &Value) -> Result<Replied> {
        match self.service.call(what, operation, body).await? {
            aws::Replied::Done(answer) => Ok(Replied::Done(answer)),
            aws::Replied::Refused(refused) if refused.refusal.code == fault::CONDITION_FAILED => {
                Ok(Replied::ConditionFailed)
            }
            aws::Replied::Refused(refused) => Err(fault::told(what, &refused, &self.table)),
        }
    }
}
