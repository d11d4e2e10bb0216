//! What `docs/writing-a-backend.md` shows is what is compiled here, to the letter.

use std::fs;
use std::path::Path;

/// Blocks of code that begin with a comment that names a file, with the file and the rest.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced
        .filter_map(|block| block.split_once('\n').map(|(_language, code)| code))
        .filter_map(|code| code.split_once('\n'))
        .filter_map(|(first, rest)| {
            let name = first.trim_start_matches(['/', '#', ' ']);
            name.starts_with("examples/custom-backend/").then_some((name, rest))
        })
        .collect()
}

#[test]
fn the_guide_shows_what_is_compiled() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/writing-a-backend.md")).unwrap();
    let blocks = blocks(&page);
    assert!(blocks.len() >= 6, "the guide builds it step by step: {} steps", blocks.len());
    for (name, code) in blocks {
        let file = fs::read_to_string(root.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        // `…` stands for what is left out between two parts.
        let mut rest = file.as_str();
        for part in code.split("…\n") {
            let part = part.trim();
            let at =
                rest.find(part).unwrap_or_else(|| panic!("{name} has not, in this order:\n{part}"));
            rest = &rest[at + part.len()..];
        }
    }
}

/// The lines `name = …` of a table, with what is right of the name.
fn entries<'a>(manifest: &'a str, table: &str) -> Vec<(&'a str, &'a str)> {
    let lines = manifest.lines().skip_while(|line| *line != table).skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .filter_map(|line| Some(line.split_at(line.find(['.', ' ', '='])?)))
        .collect()
}

/// The version in an entry, which is one or has one.
fn version(entry: &str) -> Option<&str> {
    let entry = entry.trim_start_matches([' ', '=', '{']);
    entry.trim_start_matches("version = ").strip_prefix('"')?.split('"').next()
}

#[test]
fn the_manifest_in_the_guide_has_what_the_code_needs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let (page, ours) =
        (read("docs/writing-a-backend.md"), read("examples/custom-backend/Cargo.toml"));
    let shown = page.split("```").find_map(|block| block.strip_prefix("toml\n[package]")).unwrap();
    let whole = read("Cargo.toml");
    let workspace = entries(&whole, "[workspace.dependencies]");
    for table in ["[dependencies]", "[dev-dependencies]"] {
        let (shown, ours) = (entries(shown, table), entries(&ours, table));
        let names = |of: &[(&str, &str)]| of.iter().map(|it| it.0.to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&shown), names(&ours), "{table}");
        for (name, entry) in shown {
            if name.starts_with("chains-") {
                assert!(entry.contains("git = \"https://github.com/tektoncd/chains\""), "{name}");
                continue;
            }
            let (_, known) = workspace.iter().find(|it| it.0 == name).unwrap();
            assert!(version(entry).is_some() && version(entry) == version(known), "{name}");
        }
    }
}
