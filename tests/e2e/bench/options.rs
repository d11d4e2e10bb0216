//! What is to be measured.

use std::fmt;

use chains_e2e::{Context as _, Result, bail};

/// What is to be measured.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Sizes of backlogs.
    pub(crate) n: Vec<usize>,
    /// Runs a second.
    pub(crate) rate: Vec<f64>,
    /// Signed runs that are in the cluster meanwhile.
    pub(crate) residents: Vec<usize>,
    /// How long a steady rate is kept up.
    pub(crate) seconds: u64,
}

impl Options {
    pub(crate) fn read(args: &[String]) -> Result<Self> {
        let mut options = Self {
            n: vec![300, 2000],
            rate: vec![2.0, 20.0],
            residents: vec![0, 5000, 20_000],
            seconds: 20,
        };
        let mut args = args.iter();
        while let Some(flag) = args.next() {
            let value = args.next().with_context(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--n" => options.n = list(value)?,
                "--rate" => options.rate = list(value)?,
                "--residents" => options.residents = list(value)?,
                "--seconds" => {
                    options.seconds = value.parse().context("--seconds needs a number")?
                }
                _ => bail!("unknown flag {flag}"),
            }
        }
        Ok(options)
    }
}

/// Numbers parted by commas; `none` for none.
fn list<T: std::str::FromStr>(text: &str) -> Result<Vec<T>> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let numbers = text.split(',').map(|number| number.parse().ok());
    numbers.collect::<Option<_>>().with_context(|| format!("{text:?} is no list of numbers"))
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a steady rate is kept up for {} s", self.seconds)
    }
}
