//! URLs that are read, and those that are not.

use super::*;

fn parsed(url: &str) -> Collection {
    Collection::parse(url).unwrap_or_else(|error| panic!("{}", error.report()))
}

#[test]
fn urls_of_the_reference_are_read() {
    let check = |url: &str, place: &str, has: bool| {
        let collection = parsed(url);
        assert_eq!(collection.to_string(), place);
        match collection {
            Collection::Mongo(it) => assert_eq!(it.has_name, has, "{url}"),
            Collection::Firestore(it) => assert_eq!(it.has_name, has, "{url}"),
            Collection::DynamoDb(it) => assert_eq!(it.partition_key != "Name", has, "{url}"),
        }
    };
    check("mongo://db/runs?id_field=name", "mongo://db/runs", true);
    check("mongo://Db/Runs.signed?id_field=Name&revision_field=r", "mongo://Db/Runs.signed", false);
    check("mongo://db/a%20b?id_field=name&id_field=other", "mongo://db/a b", true);
    check("dynamodb://signed?partition_key=name", "dynamodb://signed", true);
    check("dynamodb://signed?partition_key=Name&awssdk=v2", "dynamodb://signed", false);
    let place = "firestore://projects/p/databases/(default)/documents/runs";
    check(&format!("{place}?name_field=name"), place, true);
    check(&format!("{place}/x/deep?name_field=Name"), &format!("{place}/x/deep"), false);
}

#[test]
fn parameters_of_aws_are_read() {
    let url = "dynamodb://signed?partition_key=Name&region=eu-central-1&endpoint=http%3A%2F%2F127.0.0.1%3A8000\
               &profile=ci&role=arn:aws:iam::1:role/x&dualstack=true&fips=0&consistent_read=true";
    let Collection::DynamoDb(table) = parsed(url) else { panic!("not a table") };
    assert_eq!(table.region.as_deref(), Some("eu-central-1"));
    assert_eq!(table.endpoint.as_deref(), Some("http://127.0.0.1:8000"));
    assert_eq!(table.profile.as_deref(), Some("ci"));
    assert_eq!(table.role.as_deref(), Some("arn:aws:iam::1:role/x"));
    assert_eq!((table.dual_stack, table.fips), (Some(true), Some(false)));
}

#[test]
fn what_is_wrong_is_told() {
    let check = |url: &str, words: &str| {
        let error = Collection::parse(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let report = error.report();
        assert!(report.contains("storage.docdb.url") && report.contains(words), "{report}");
    };
    check("runs", "no scheme");
    check("mongodb://db/runs", "mongo://, dynamodb:// and firestore:// are");
    check("mongo://db/runs", "add `?id_field=Name`");
    check("mongo://db/runs?id_field=_id", "write `id_field=Name`");
    check("mongo://db?id_field=name", "names no collection");
    check("mongo:///runs?id_field=name", "names no database");
    check("mongo://a.b/runs?id_field=name", "cannot hold '.'");
    check("mongo://db/$cmd?id_field=name", "cannot hold '$'");
    check("mongo://db/system.users?id_field=name", "the server's own");
    check("mongo://db/%0gx?id_field=name", "two hex digits");
    check("mongo://db/%ff?id_field=name", "not UTF-8");
    check(
        "mongo://db/runs?id_field=name&idfield=x",
        "`idfield`: known are id_field, revision_field",
    );
    check("dynamodb://signed", "add `?partition_key=Name`");
    check("dynamodb://signed?partition_key=name&sort_key=Signature", "a partition key alone");
    check("dynamodb://signed?partition_key=name&anonymous=true", "without a name");
    check("dynamodb://signed?partition_key=name&fips=yes", "neither true nor false");
    check("dynamodb://signed?partition_key=name&role=x", "no ARN");
    check("dynamodb://signed/x?partition_key=name", "has a path");
    check("dynamodb://a?partition_key=name", "no name of a table");
    check("firestore://projects/p/documents/runs?name_field=name", "not of the form");
    check("firestore://projects/p/databases/d/documents/a/b?name_field=name", "names a document");
    check("firestore://projects/p/databases/d/documents?name_field=name", "names a document");
    check("firestore://projects//databases/d/documents/a?name_field=name", "no name of anything");
}
