//! Tests of ownership: the decision by itself, and whole replicas over a simulated API server.

mod chaos;
mod plan;
mod replicas;
mod sim;
mod units;
