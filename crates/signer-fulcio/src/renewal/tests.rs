//! When certificates are asked for: on a clock that the tests turn.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::{advance, sleep};

use super::*;

const LIFETIME: Duration = Duration::from_secs(600);
const SECOND: Duration = Duration::from_secs(1);

/// What a server does when it is asked for a certificate.
#[derive(Debug, Default)]
struct Script {
    /// Certificates asked for.
    asked: AtomicU32,
    /// How long an answer takes.
    takes: Mutex<Duration>,
    /// Whether it refuses, and how long it asks to wait.
    refuses: Mutex<Option<Option<Duration>>>,
}

impl Script {
    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }

    fn set_takes(&self, takes: Duration) {
        *lock(&self.takes) = takes;
    }

    fn set_refuses(&self, refuses: Option<Option<Duration>>) {
        *lock(&self.refuses) = refuses;
    }
}

#[derive(Debug)]
struct Scripted(Arc<Script>);

#[async_trait]
impl Issue for Scripted {
    async fn issue(&self) -> Result<Issued, Fault> {
        let number = self.0.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let takes = *lock(&self.0.takes);
        sleep(takes).await;
        match *lock(&self.0.refuses) {
            Some(wait) => {
                let fault = Fault::new(ErrorKind::Unavailable, "asking", format!("no {number}"));
                Err(Fault { wait, ..fault })
            }
            None => Ok(Issued::lasting(LIFETIME, &number.to_string())),
        }
    }
}

fn renewal(idle: Option<Duration>) -> (Arc<Renewal>, Arc<Script>) {
    let script = Arc::new(Script::default());
    (Arc::new(Renewal::new(Scripted(Arc::clone(&script)), idle)), script)
}

async fn certificate(renewal: &Renewal) -> Result<String> {
    let issued = renewal.certificate().await?;
    Ok(issued.material().certificate.clone().unwrap_or_default())
}

/// Turns the clock in steps, so that everything that is due happens in its order.
async fn pass(seconds: u64) {
    for _ in 0..seconds {
        advance(SECOND).await;
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_that_wait_are_served_by_one_certificate() {
    let (renewal, script) = renewal(None);
    script.set_takes(SECOND);
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let renewal = Arc::clone(&renewal);
            tokio::spawn(async move { certificate(&renewal).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("it ends").expect("a certificate"), "1");
    }
    assert_eq!(script.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_next_certificate_comes_before_it_is_needed() {
    let (renewal, script) = renewal(None);
    assert_eq!(certificate(&renewal).await.expect("a certificate"), "1");
    script.set_takes(SECOND * 30);
    pass(399).await;
    assert_eq!(
        (script.asked(), certificate(&renewal).await.expect("a certificate")),
        (1, "1".into())
    );
    pass(3).await;
    let begun = Instant::now();
    assert_eq!(
        (script.asked(), certificate(&renewal).await.expect("a certificate")),
        (2, "1".into())
    );
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waits while one is at hand");
    pass(30).await;
    assert_eq!(
        (script.asked(), certificate(&renewal).await.expect("a certificate")),
        (2, "2".into())
    );
    pass(3600).await;
    assert_eq!(script.asked(), 2 + 8, "one in 430 seconds, whether anybody signs or not");
}

#[tokio::test(start_paused = true)]
async fn it_is_there_before_the_first_signature() {
    let (renewal, script) = renewal(None);
    let mut status = renewal.status();
    assert_eq!(*status.borrow_and_update(), Status::Waiting);
    renewal.start();
    status.changed().await.expect("it changes");
    assert!(matches!(*status.borrow(), Status::Ready { .. }));
    renewal.start();
    pass(5).await;
    assert_eq!(script.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_is_tried_again_while_the_old_one_serves() {
    let (renewal, script) = renewal(None);
    certificate(&renewal).await.expect("a certificate");
    script.set_refuses(Some(None));
    pass(400).await;
    let first = script.asked();
    assert_eq!(first, 2);
    let is = |status: &Status, until: bool| match status {
        Status::Failing { error, until: some } => {
            error.starts_with("asking: no ") && some.is_some() == until
        }
        _ => false,
    };
    assert!(is(&renewal.status().borrow(), true));
    assert_eq!(certificate(&renewal).await.expect("the old one"), "1");
    pass(120).await;
    let tried = script.asked() - first;
    assert!((6..=9).contains(&tried), "with pauses that double: {tried}");
    assert_eq!(certificate(&renewal).await.expect("the old one"), "1");
    // In the last minute of its time it is not used any more.
    pass(25).await;
    let error = certificate(&renewal).await.expect_err("there is none");
    assert!(error.is_retryable() && error.report().starts_with("asking: no "), "{error:?}");
    assert!(is(&renewal.status().borrow(), false));
    script.set_refuses(None);
    pass(61).await;
    assert!(matches!(*renewal.status().borrow(), Status::Ready { .. }));
    assert_eq!(certificate(&renewal).await.expect("a new one"), script.asked().to_string());
}

#[tokio::test(start_paused = true)]
async fn many_that_fail_together_ask_once() {
    let (renewal, script) = renewal(None);
    script.set_refuses(Some(None));
    for _ in 0..50 {
        certificate(&renewal).await.expect_err("refused");
    }
    assert_eq!(script.asked(), 1);
    script.set_refuses(None);
    advance(SAME_FAILURE).await;
    certificate(&renewal).await.expect("sooner than the pause is over");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_time_gets_it() {
    let (renewal, script) = renewal(None);
    script.set_refuses(Some(Some(SECOND * 100)));
    certificate(&renewal).await.expect_err("refused");
    pass(99).await;
    certificate(&renewal).await.expect_err("refused without being asked");
    assert_eq!(script.asked(), 1);
    script.set_refuses(None);
    pass(2).await;
    certificate(&renewal).await.expect("a certificate");
    assert_eq!(script.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_signs_nothing_for_long_asks_for_nothing() {
    let (renewal, script) = renewal(Some(SECOND * 1000));
    certificate(&renewal).await.expect("a certificate");
    pass(900).await;
    certificate(&renewal).await.expect("a certificate");
    assert_eq!(script.asked(), 3);
    pass(5000).await;
    let asked = script.asked();
    assert!((5..=6).contains(&asked), "{asked}");
    assert_eq!(certificate(&renewal).await.expect("a certificate"), (asked + 1).to_string());
    pass(401).await;
    assert_eq!(script.asked(), asked + 2, "and renewals are back");
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_takes_nothing_from_others() {
    let (renewal, script) = renewal(None);
    script.set_takes(SECOND * 10);
    for _ in 0..5 {
        tokio::time::timeout(SECOND, renewal.certificate()).await.map(drop).expect_err("too soon");
    }
    assert_eq!((script.asked(), certificate(&renewal).await.expect("it goes on")), (1, "1".into()));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_for_after_the_end() {
    let (renewal, script) = renewal(None);
    certificate(&renewal).await.expect("a certificate");
    drop(renewal);
    pass(2000).await;
    assert_eq!((script.asked(), Arc::strong_count(&script)), (1, 1), "and the key is gone");
}

#[test]
fn it_outlives_the_runtime_that_it_was_started_in() {
    let (renewal, script) = renewal(None);
    renewal.start();
    let block_on = |work| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(work)
    };
    script.set_refuses(Some(None));
    block_on(certificate(&renewal)).expect_err("refused");
    script.set_refuses(None);
    assert_eq!(block_on(certificate(&renewal)).expect("a certificate"), "2");
    assert_eq!(block_on(certificate(&renewal)).expect("the same"), "2");
}
