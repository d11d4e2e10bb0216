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
