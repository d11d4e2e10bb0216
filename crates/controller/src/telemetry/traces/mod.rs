//! Traces: our spans, exported over OTLP where the usual `OTEL_*` variables ask for it.
//!
//! Without these variables nothing of it is in the process: no thread, no layer, no connection. The exporter can be
//! left out of the build as well (feature `otlp`); then asking for traces is told as a fault.

#[cfg(not(feature = "otlp"))]
mod absent;
#[cfg(feature = "otlp")]
mod otlp;

use chains_core::{Error, ErrorKind};

#[cfg(not(feature = "otlp"))]
pub(crate) use absent::Traces;
#[cfg(feature = "otlp")]
pub(crate) use otlp::Traces;

/// Starts the export, where it is asked for. To be called on the runtime.
///
/// # Errors
/// [`ErrorKind::Configuration`] where the variables ask for what cannot be done.
pub(super) fn start() -> Result<Option<Traces>, Error> {
    if asked(|name| std::env::var(name).ok())? { Traces::start().map(Some) } else { Ok(None) }
}

/// Whether the environment asks for traces: an endpoint is named, or the exporter.
/// (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>; unlike there, traces are
/// not sent to a default address that nobody has named.)
fn asked(variable: impl Fn(&str) -> Option<String>) -> Result<bool, Error> {
    let set = |name: &str| {
        let value = variable(name)?.trim().to_owned();
        if value.is_empty() { None } else { Some(value) }
    };
    let refused = |name: &str, value: &str, known: &str| {
        let why = format!("reading {name}: `{value}` is not known, {known} is");
        Err(Error::new(ErrorKind::Configuration, why))
    };
    if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(false);
    }
    let named = match set("OTEL_TRACES_EXPORTER").as_deref() {
        Some("none") => return Ok(false),
        Some("otlp") => true,
        Some(other) => return refused("OTEL_TRACES_EXPORTER", other, "`otlp` or `none`"),
        None => false,
    };
    let endpoints = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    if !named && endpoints.into_iter().all(|name| set(name).is_none()) {
        return Ok(false);
    }
    // The more particular variable wins.
    let protocols = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    match protocols.into_iter().find_map(|name| set(name).map(|value| (name, value))) {
        Some((name, value)) if value != "http/protobuf" => refused(name, &value, "`http/protobuf`"),
        _ => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variables: &[(&str, &str)], expect: Result<bool, &str>) {
        let found = asked(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        let found = found.map_err(|error| error.report());
        assert_eq!(found, expect.map_err(str::to_owned), "{variables:?}");
    }

    #[test]
    fn traces_are_exported_where_they_are_asked_for() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        check(&[], Ok(false));
        check(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")], Ok(false));
        check(&[("OTEL_SERVICE_NAME", "chains")], Ok(false));
        check(&[endpoint], Ok(true));
        check(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a/v1/traces")], Ok(true));
        check(&[("OTEL_TRACES_EXPORTER", "otlp")], Ok(true));
        check(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")], Ok(false));
        check(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")], Ok(false));
        check(&[endpoint, ("OTEL_SDK_DISABLED", "false")], Ok(true));
        check(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], Ok(true));
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
        check(
            &[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            Err("reading OTEL_EXPORTER_OTLP_PROTOCOL: `grpc` is not known, `http/protobuf` is"),
        );
        check(
            &[("OTEL_TRACES_EXPORTER", "zipkin")],
            Err("reading OTEL_TRACES_EXPORTER: `zipkin` is not known, `otlp` or `none` is"),
        );
    }
}
