//! The cases, run by `cargo xtask e2e`.

mod access;
mod bundles;
mod concurrency;
mod controller_credentials;
mod controller_crowd;
mod controller_deletion;
mod controller_demo;
mod controller_faults;
mod controller_hostile;
mod controller_rights;
mod controller_runs;
mod controller_servers;
mod controller_takeover;
mod custom_backend;
mod kaniko;
mod keyless;
mod keyless_many;
mod keyless_refusals;
mod keys;
mod kms_clouds;
mod kms_controller;
mod kms_controller_failures;
mod kms_openbao;
mod kms_openbao_failures;
mod kms_secrets;
mod kms_spire;
mod peers;
mod peers_sigstore;
mod store_archivista;
mod store_docdb;
mod store_docdb_runs;
mod store_gcs;
mod store_grafeas;
mod store_pubsub;
mod stores_together;
mod subjects;
mod tampering;
mod thieves;
mod transparency;
mod transparency_down;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cases = [
        peers::cases(),
        peers_sigstore::cases(),
        keyless::cases(),
        keyless_many::cases(),
        keyless_refusals::cases(),
        transparency::cases(),
        transparency_down::cases(),
        bundles::cases(),
        kaniko::cases(),
        keys::cases(),
        kms_openbao::cases(),
        kms_openbao_failures::cases(),
        kms_clouds::cases(),
        kms_secrets::cases(),
        kms_controller::cases(),
        kms_controller_failures::cases(),
        kms_spire::cases(),
        subjects::cases(),
        concurrency::cases(),
        tampering::cases(),
        access::cases(),
        thieves::cases(),
        controller_demo::cases(),
        controller_runs::cases(),
        controller_deletion::cases(),
        controller_takeover::cases(),
        controller_faults::cases(),
        controller_hostile::cases(),
        controller_crowd::cases(),
        controller_credentials::cases(),
        controller_rights::cases(),
        controller_servers::cases(),
        store_gcs::cases(),
        store_docdb::cases(),
        store_docdb_runs::cases(),
        store_pubsub::cases(),
        store_archivista::cases(),
        store_grafeas::cases(),
        stores_together::cases(),
        custom_backend::cases(),
    ];
    chains_e2e::runner::run(cases.into_iter().flatten().collect())
}
