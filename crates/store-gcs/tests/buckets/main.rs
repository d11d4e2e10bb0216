//! The stores over HTTP, against servers of the tests.
