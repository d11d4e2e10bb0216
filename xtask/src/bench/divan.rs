//! Reading what divan prints: a tree of benchmarks with fastest, slowest, median and mean.

/// One benchmark.
#[derive(Debug, PartialEq)]
pub(crate) struct Measured {
    /// Its path in the tree, parted by spaces.
    pub(crate) name: String,
    /// The median; of one item, where the benchmark tells how many items it works on.
    pub(crate) nanoseconds: f64,
}

/// Which column holds the median.
const MEDIAN: usize = 2;
/// How many characters the tree is indented by at each level.
const INDENT: usize = 3;

/// Every benchmark of the tree.
pub(crate) fn read(output: &str) -> Vec<Measured> {
    let mut path: Vec<String> = Vec::new();
    let mut measured: Vec<Measured> = Vec::new();
    for line in output.lines() {
        if let Some((depth, name, columns)) = branch(line) {
            path.truncate(depth);
            path.push(name.to_owned());
            if let Some(nanoseconds) = columns.get(MEDIAN).and_then(|text| time(text)) {
                measured.push(Measured { name: path.join(" "), nanoseconds });
            }
        } else if let (Some(last), Some(rate)) = (measured.last_mut(), items_per_second(line)) {
            last.nanoseconds = 1e9 / rate;
        }
    }
    measured
}

/// A line of the tree: how deep, the name, and its columns.
fn branch(line: &str) -> Option<(usize, &str, Vec<&str>)> {
    let at = line.find(['├', '╰'])?;
    let depth = line.get(..at)?.chars().count() / INDENT;
    let rest = line.get(at..)?.trim_start_matches(['├', '╰', '─', ' ']);
    // Columns of numbers begin after two spaces or more; a group has none.
    let (name, columns) = rest.split_once("  ").unwrap_or((rest, ""));
    Some((depth, name.trim(), columns.split('│').map(str::trim).collect()))
}

/// `29.1 µs` in nanoseconds.
fn time(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once(' ')?;
    let scale = match unit {
        "ps" => 1e-3,
        "ns" => 1.0,
        "µs" | "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * scale)
}

/// The median rate of a line that tells rates of items, as `33.1 Kitem/s`.
fn items_per_second(line: &str) -> Option<f64> {
    let columns = line.trim_start_matches(['│', ' ']);
    let (number, unit) = columns.split('│').nth(MEDIAN)?.trim().split_once(' ')?;
    let scale = match unit {
        "item/s" => 1.0,
        "Kitem/s" => 1e3,
        "Mitem/s" => 1e6,
        "Gitem/s" => 1e9,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * scale).filter(|rate| *rate > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_read() {
        let output = "\
Timer precision: 20 ns
sign             fastest       │ slowest       │ median        │ mean          │ samples │ iters
├─ ed25519       20.1 µs       │ 30 µs         │ 21.5 µs       │ 22 µs         │ 100     │ 100
├─ ecdsa                       │               │               │               │         │
│  ├─ p256       70.1 µs       │ 90 µs         │ 0.071 ms      │ 72 µs         │ 100     │ 100
│  ╰─ p384       1.01 ms       │ 2 ms          │ 1.5 ms        │ 1.5 ms        │ 100     │ 100
╰─ vectors       20 ms         │ 30 ms         │ 25 ms         │ 25 ms         │ 100     │ 100
                 50 Kitem/s    │ 30 Kitem/s    │ 40 Kitem/s    │ 40 Kitem/s    │         │
";
        let told: Vec<_> = read(output)
            .into_iter()
            .map(|one| format!("{} {:.0}", one.name, one.nanoseconds))
            .collect();
        assert_eq!(
            told,
            ["ed25519 21500", "ecdsa p256 71000", "ecdsa p384 1500000", "vectors 25000"]
        );
        assert_eq!(read("nothing of the kind\n├─\n╰─ x  │ │"), []);
    }
}
