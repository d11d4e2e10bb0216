//! Apache Kafka: one broker, which is its own controller, with a listener for each way in.

use std::{fmt::Write as _, net::TcpStream, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::{
    scene::Scene,
    server::{self, Server, free_port},
    tls::ServerKeys,
    tool::{Ran, Tool},
};

/// The broker, among the peers of a case.
pub const KAFKA: &str = "kafka";
/// Kafka's own commands, among the peers of a case.
pub const KAFKA_TOOLS: &str = "kafka-tools";

const READY_WITHIN: Duration = Duration::from_secs(90);
/// Any 16 bytes.
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";
/// Programs that run for seconds only: the compiler that takes its time does not pay.
const JAVA: [&str; 3] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m"];

/// What a broker is like.
#[derive(Debug, Default)]
pub struct Settings<'a> {
    /// Whether a topic is made when it is first used.
    pub makes_topics: bool,
    /// Certificate and key, where it is to be spoken to over TLS: with SASL, by `PLAIN` and SCRAM.
    pub tls: Option<&'a ServerKeys>,
    /// Users and their passwords: the first may do everything, the others nothing. With SCRAM also in plain text.
    pub users: &'a [(&'a str, &'a str)],
}

/// A broker that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Kafka<'s> {
    scene: &'s Scene<'s>,
    server: Option<Server>,
    properties: PathBuf,
    ports: Ports,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    plain: u16,
    controller: u16,
    sasl: u16,
    sasl_tls: u16,
}

impl<'s> Kafka<'s> {
    /// Starts one, and waits until it answers.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn start(scene: &'s Scene<'s>, settings: &Settings<'_>) -> Result<Self> {
        let ports = Ports {
            plain: free_port()?,
            controller: free_port()?,
            sasl: free_port()?,
            sasl_tls: free_port()?,
        };
        let data = scene.path(&scene.fresh("kafka"));
        let mut text = properties(ports, settings);
        let _ = writeln!(text, "log.dirs={}", data.display());
        if let Some(keys) = settings.tls {
            let (key, certificate) = (std::fs::read(&keys.key)?, std::fs::read(&keys.certificate)?);
            let store = scene.write(&scene.fresh("kafka.pem"), [key, certificate].concat())?;
            let _ =
                writeln!(text, "ssl.keystore.type=PEM\nssl.keystore.location={}", store.display());
        }
        let properties = scene.write(&scene.fresh("kafka.properties"), text)?;
        let mut format = java(scene, KAFKA)?.arg("kafka.tools.StorageTool");
        format = format.args(["format", "-t", CLUSTER_ID, "-c"]).arg(&properties);
        for (name, password) in settings.users {
            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
                let user = format!("{mechanism}=[name={name},password={password}]");
                format = format.args(["--add-scram", &user]);
            }
        }
        format.ok()?;
        let mut kafka = Self { scene, server: None, properties, ports };
        kafka.resume()?;
        Ok(kafka)
    }

    /// Starts it again, where it was stopped, at the same addresses and with what it had.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn resume(&mut self) -> Result<()> {
        let jars = jars(self.scene, KAFKA)?;
        let command = |_| {
            let mut command = Command::new("java");
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
            command.env("HOME", self.scene.path("home"));
            command.args(JAVA).arg("-cp").arg(&jars).arg("kafka.Kafka").arg(&self.properties);
            Ok(command)
        };
        let ready = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        let log = self.scene.log("kafka");
        self.server = Some(
            Server::start_at(self.ports.plain, &log, READY_WITHIN, command, ready)
                .context("start Kafka")?,
        );
        Ok(())
    }

    /// Kills it at once; what it has stays.
    ///
    /// # Errors
    /// If it was gone.
    pub fn kill(&mut self) -> Result<()> {
        let server = self.server.take().context("Kafka does not run")?;
        server::signal(server.pid(), Signal::SIGKILL)
    }

    /// Where it is spoken to in plain text, without a login.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.plain)
    }

    /// Where it is spoken to in plain text, with SCRAM.
    #[must_use]
    pub fn sasl_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.sasl)
    }

    /// Where it is spoken to over TLS, with SASL.
    #[must_use]
    pub fn tls_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.sasl_tls)
    }

    /// Makes a topic, with Kafka's own command.
    ///
    /// # Errors
    /// If it is refused.
    pub fn create_topic(&self, name: &str, partitions: usize) -> Result<()> {
        let tool = java(self.scene, KAFKA_TOOLS)?.arg("org.apache.kafka.tools.TopicCommand");
        let tool = tool.args(["--bootstrap-server", &self.address(), "--create", "--topic", name]);
        tool.args(["--partitions", &partitions.to_string()]).ok().map(drop)
    }

    /// Reads all messages of a topic, with Kafka's own consumer.
    ///
    /// # Errors
    /// If it fails, or prints what cannot be told apart.
    pub fn read(&self, topic: &str) -> Result<Vec<Message>> {
        self.consume(topic)?.stdout.lines().map(Message::parse).collect()
    }

    /// How many messages a topic has, as Kafka's own consumer counts them.
    ///
    /// # Errors
    /// If it does not tell.
    pub fn count(&self, topic: &str) -> Result<usize> {
        let told = self.consume(topic)?;
        let (_, rest) = told
            .stderr
            .split_once("Processed a total of ")
            .with_context(|| format!("{told} tells no number"))?;
        let number = rest.split_whitespace().next().unwrap_or_default();
        number.parse().with_context(|| format!("{told} tells no number"))
    }

    fn consume(&self, topic: &str) -> Result<Ran> {
        let address = self.address();
        let mut tool = java(self.scene, KAFKA_TOOLS)?
            .arg("org.apache.kafka.tools.consumer.ConsoleConsumer")
            .args(["--bootstrap-server", &address, "--topic", topic, "--from-beginning"])
            .args(["--timeout-ms", "3000"]);
        for property in
            ["print.key=true", "print.headers=true", "headers.separator=|", "key.separator=\t"]
        {
            tool = tool.args(["--formatter-property", property]);
        }
        // It ends by its own time limit, since a topic has no end: its status tells nothing.
        tool.run()
    }
}

/// A message as Kafka's consumer prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its key.
    pub key: String,
    /// Its body.
    pub body: String,
    /// Its headers, in their order.
    pub headers: Vec<(String, String)>,
}

impl Message {
    fn parse(line: &str) -> Result<Self> {
        let odd = || format!("not a message: {line}");
        let mut parts = line.splitn(3, '\t');
        let (Some(headers), Some(key), Some(body)) = (parts.next(), parts.next(), parts.next())
        else {
            anyhow::bail!(odd());
        };
        let header = |text: &str| {
            let (name, value) = text.split_once(':').with_context(odd)?;
            Ok((name.to_owned(), value.to_owned()))
        };
        let headers = headers.split('|').map(header).collect::<Result<_>>()?;
        Ok(Self { key: key.to_owned(), body: body.to_owned(), headers })
    }
}

fn java(scene: &Scene<'_>, peer: &str) -> Result<Tool> {
    Ok(scene.system("java").args(JAVA).arg("-cp").arg(jars(scene, peer)?))
}

/// All jars beside the one that is the peer's.
fn jars(scene: &Scene<'_>, peer: &str) -> Result<PathBuf> {
    Ok(scene.program(peer)?.with_file_name("*"))
}

fn properties(ports: Ports, settings: &Settings<'_>) -> String {
    let Ports { plain, controller, sasl, sasl_tls } = ports;
    let mut listeners = format!("PLAINTEXT://127.0.0.1:{plain}");
    if !settings.users.is_empty() {
        let _ = write!(listeners, ",SASL_PLAINTEXT://127.0.0.1:{sasl}");
    }
    if settings.tls.is_some() {
        let _ = write!(listeners, ",SASL_SSL://127.0.0.1:{sasl_tls}");
    }
    let mut text = format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={listeners}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.partitions=3
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable={}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{}
",
        settings.makes_topics,
        settings.users.first().map_or("nobody", |(name, _)| name),
    );
    const SECURITY: &str = "org.apache.kafka.common.security";
    for (listener, mechanisms) in [
        ("sasl_plaintext", "SCRAM-SHA-256,SCRAM-SHA-512"),
        ("sasl_ssl", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"),
    ] {
        let prefix = format!("listener.name.{listener}");
        let _ = writeln!(text, "{prefix}.sasl.enabled.mechanisms={mechanisms}");
        for scram in ["scram-sha-256", "scram-sha-512"] {
            let _ = writeln!(
                text,
                "{prefix}.{scram}.sasl.jaas.config={SECURITY}.scram.ScramLoginModule required;"
            );
        }
        let users = settings.users.iter().fold(String::new(), |mut users, (name, password)| {
            let _ = write!(users, " user_{name}=\"{password}\"");
            users
        });
        let _ = writeln!(
            text,
            "{prefix}.plain.sasl.jaas.config={SECURITY}.plain.PlainLoginModule required{users};"
        );
    }
    text
}
