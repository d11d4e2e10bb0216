//! Exchanges with servers that misbehave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;

use super::*;
use crate::{Client, Settings};

const SETTINGS: Settings<'_> = Settings {
    ca_files: &[],
    connect_timeout: Duration::from_secs(5),
    request_timeout: Duration::from_secs(20),
    most_idle: 1,
};

/// A server whose answers hang on how many came before; its address.
async fn serve<A, R>(answer: A) -> String
where
    A: Fn(usize) -> R + Clone + Send + Sync + 'static,
    R: axum::response::IntoResponse + Send,
{
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}/secret", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let app = Router::new().fallback(move || {
        let response = answer(count.fetch_add(1, Ordering::SeqCst)).into_response();
        async move { response }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn get(url: &str, exchange: Exchange) -> Result<Answer> {
    let client = Client::new(&SETTINGS, 0, exchange).unwrap();
    client.send("asking", client.get(url.parse().unwrap())).await
}

#[tokio::test]
async fn an_answer_is_read_as_far_as_it_may_go() {
    let url = serve(|_| (StatusCode::IM_A_TEAPOT, [("x-told", "so")], "x".repeat(1000))).await;
    let answer = get(&url, Exchange::up_to(1000)).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (StatusCode::IM_A_TEAPOT, 1000));
    assert_eq!(answer.header("x-told"), Some("so"));
    let error = get(&url, Exchange::up_to(999)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(error.report(), "asking: the answer has more than 999 bytes");
    let exchange = Exchange { too_long: ErrorKind::TooLarge, ..Exchange::up_to(999) };
    assert_eq!(get(&url, exchange).await.unwrap_err().kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let url = serve(|_| (StatusCode::FOUND, [("location", "http://127.0.0.1:1/")])).await;
    assert_eq!(get(&url, Exchange::up_to(10)).await.unwrap().status, StatusCode::FOUND);
}

#[tokio::test]
async fn who_does_not_answer_is_told_without_the_address() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://user:hunter2@{}/secret?hunter2", listener.local_addr().unwrap());
    drop(listener);
    let error = get(&url, Exchange::up_to(10)).await.unwrap_err();
    let report = error.report();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{report}");
    assert!(report.starts_with("asking: error sending request"), "{report}");
    assert!(!report.contains("secret") && !report.contains("hunter2"), "{report}");
    let exchange = Exchange { names_host: true, ..Exchange::up_to(10) };
    let report = get(&url, exchange).await.unwrap_err().report();
    assert!(report.starts_with("asking: 127.0.0.1: error sending request"), "{report}");
    assert!(!report.contains("secret") && !report.contains("hunter2"), "{report}");
}

#[tokio::test]
async fn only_who_waits_asks_again() {
    let busy = |before| match before {
        0 => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")], "busy"),
        _ => (StatusCode::OK, [("retry-after", "0")], "done"),
    };
    let exchange = Exchange::up_to(10);
    let answer = get(&serve(busy).await, exchange).await.unwrap();
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    let answer = get(&serve(busy).await, Exchange { waits: true, ..exchange }).await.unwrap();
    assert_eq!(answer.body, "done");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let settings = Settings { request_timeout: Duration::from_millis(50), ..SETTINGS };
    let client = Client::new(&settings, 1, Exchange::up_to(10)).unwrap();
    let error = client.send("asking", client.get(url.parse().unwrap())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{}", error.report());
}
