//! Every form that sigstore's library takes, and every way to get one wrong.

use super::*;

const UUID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

fn reference(text: &str) -> Reference {
    let reference: Reference = text.parse().expect(text);
    assert_eq!(reference.to_string(), text);
    reference
}

fn refused(text: &str, because: &str) {
    let error = text.parse::<Reference>().expect_err(text);
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let report = error.report();
    assert!(report.starts_with("reading the reference "), "{report}");
    assert!(report.contains(because), "{text}: {report}");
}

#[test]
fn other_schemes_are_refused() {
    refused("", "starts with none of gcpkms://, awskms://");
    refused("cosign.key", "starts with none of");
    refused("gcpkms:projects/p", "starts with none of");
    refused("k8s://a/b", r#"the scheme "k8s" is not known"#);
    refused("hashivault://a b", "' '");
    refused("hashivault://a\n", r"'\n'");
}

#[test]
fn google_cloud() {
    let check = |text: &str, version: Option<&str>| {
        let Reference::Gcp(key) = reference(text) else { panic!("{text}") };
        assert_eq!(key.key, "projects/p/locations/eu-1/keyRings/r/cryptoKeys/k");
        assert_eq!(key.version.as_deref(), version);
    };
    let key = "gcpkms://projects/p/locations/eu-1/keyRings/r/cryptoKeys/k";
    check(key, None);
    check(&format!("{key}/versions/7"), Some("7"));
    check(&format!("{key}/cryptoKeyVersions/7"), Some("7"));
    reference("gcpkms://projects/example.com:p/locations/l/keyRings/r/cryptoKeys/k");

    refused("gcpkms://", r#""" stands in place of projects"#);
    refused("gcpkms://projects/p", r#""" stands in place of locations"#);
    refused(
        "gcpkms://projects//locations/l/keyRings/r/cryptoKeys/k",
        "nothing is named after projects",
    );
    refused(
        "gcpkms://projects/p/locations/l/keyrings/r/cryptoKeys/k",
        r#""keyrings" stands in place of keyRings"#,
    );
    refused(&format!("{key}/"), r#""" follows the key"#);
    refused(&format!("{key}/versions"), "nothing is named after cryptoKeyVersions");
    refused(&format!("{key}/versions/"), "nothing is named after cryptoKeyVersions");
    refused(&format!("{key}/versions/1/2"), r#""versions/1/2" follows the key or its version"#);
    refused(&format!("{key}/other/1"), r#""other/1" follows"#);
    refused(&format!("{key}?x"), "holds '?'");
    refused(&format!("{key}/versions/1:x#"), "holds '#'");
}

#[test]
fn aws() {
    let check = |id: &str, is_alias: bool, region: Option<&str>| {
        for endpoint in ["", "localhost:4566", "[::1]:4566", "kms.us-east-1.amazonaws.com"] {
            let text = format!("awskms://{endpoint}/{id}");
            let Reference::Aws(key) = reference(&text) else { panic!("{text}") };
            assert_eq!(key.endpoint.as_deref().unwrap_or_default(), endpoint);
            assert_eq!((key.id.as_str(), key.is_alias), (id, is_alias));
            assert_eq!(key.region.as_deref(), region);
        }
    };
    check(UUID, false, None);
    check(&format!("mrk-{}", UUID.replace('-', "")), false, None);
    check("alias/ExampleAlias", true, None);
    check("alias/aws/team_1-x", true, None);
    check(&format!("arn:aws:kms:us-east-2:111122223333:key/{UUID}"), false, Some("us-east-2"));
    check("arn:aws-cn:kms:cn-north-1:111122223333:alias/a/b", true, Some("cn-north-1"));
    check(
        &format!("arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/{UUID}"),
        false,
        Some("us-gov-west-1"),
    );

    refused("awskms://", "no slash follows the endpoint");
    refused(&format!("awskms://{UUID}"), "no slash follows the endpoint");
    refused("awskms:///", "names no key");
    refused("awskms://host/", "names no key");
    refused("awskms://ho?st/alias/a", "the endpoint holds '?'");
    refused("awskms://user@host/alias/a", "the endpoint holds '@'");
    refused("awskms:///alias/", "no name follows alias/");
    refused("awskms:///alias/a:b", "the alias holds ':'");
    refused("awskms:///signing", r#""signing" is no id of a key"#);
    refused(&format!("awskms:///{}", &UUID[1..]), "is no id of a key");
    refused(&format!("awskms:///key/{UUID}"), "is no id of a key");
    refused("awskms:///arn:aws:kms", "too few parts");
    refused(&format!("awskms:///arn:aws:s3:us-east-2:111122223333:key/{UUID}"), r#"of "s3""#);
    refused(&format!("awskms:///arn:awsx:kms:us-east-2:111122223333:key/{UUID}"), "no partition");
    refused(&format!("awskms:///arn:aws:kms::111122223333:key/{UUID}"), "no region");
    refused(&format!("awskms:///arn:aws:kms:us-east-2:1111:key/{UUID}"), "12 digits");
    refused(
        &format!("awskms:///arn:aws:kms:us-east-2:111122223333:{UUID}"),
        "neither key/ID nor alias/NAME",
    );
    refused("awskms:///arn:aws:kms:us-east-2:111122223333:key/x", "is no id of a key");
}

#[test]
fn azure() {
    let check = |text: &str, vault: &str, version: Option<&str>| {
        let Reference::Azure(key) = reference(text) else { panic!("{text}") };
        assert_eq!((key.vault.as_str(), key.name.as_str()), (vault, "my-key"));
        assert_eq!(key.version.as_deref(), version);
    };
    check("azurekms://v.vault.azure.net/my-key", "v.vault.azure.net", None);
    check("azurekms://v.vault.azure.net/my-key/", "v.vault.azure.net", None);
    check("azurekms://127.0.0.1:8443/my-key/0a1b", "127.0.0.1:8443", Some("0a1b"));

    refused("azurekms://", "no key follows the vault");
    refused("azurekms://v.vault.azure.net", "no key follows the vault");
    refused("azurekms:///key", "names no vault");
    refused("azurekms://v.vault.azure.net/", "names no key");
    refused("azurekms://v.vault.azure.net//1", "names no key");
    refused("azurekms://v@evil/key", "the name of the vault holds '@'");
    refused("azurekms://v/key_1", "the name of the key holds '_'");
    refused("azurekms://v/key/0A", "the version holds 'A'");
    refused("azurekms://v/key/0a/more", r#""more" follows the version"#);
}

#[test]
fn vault() {
    for (text, name) in [
        ("hashivault://cosign", "cosign"),
        ("hashivault://c", "c"),
        ("openbao://my-key.v_1", "my-key.v_1"),
    ] {
        let Reference::Vault(key) = reference(text) else { panic!("{text}") };
        assert_eq!(key.name, name);
    }
    refused("hashivault://", "names no key");
    refused("hashivault://transit/cosign", "TRANSIT_SECRET_ENGINE_PATH");
    refused("hashivault://-cosign", "starts or ends with");
    refused("hashivault://cosign.", "starts or ends with");
    refused("openbao://co:sign", "holds ':'");
}
