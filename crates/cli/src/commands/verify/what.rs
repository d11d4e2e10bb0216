//! Tells files from images, so that no mistyped path becomes a request to a registry.

use std::path::Path;

use anyhow::bail;

/// What an argument names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum What<'a> {
    /// A folder of `chains sign`.
    Folder(&'a Path),
    /// Runs in a file or pipe, or on standard input.
    Run(&'a Path),
    /// An image in a registry.
    Image,
}

impl<'a> What<'a> {
    /// Whatever exists is what it is; what does not exist is an image if it can be no path.
    ///
    /// # Errors
    /// Where it looks like a path, and there is nothing there.
    pub(crate) fn of(argument: &'a str) -> anyhow::Result<Self> {
        let path = Path::new(argument);
        if path.is_dir() {
            return Ok(Self::Folder(path));
        }
        // A link that leads nowhere and a folder that may not be entered are no images either.
        let may_exist = path.is_symlink() || path.try_exists().unwrap_or(true);
        if argument == "-" || may_exist {
            return Ok(Self::Run(path));
        }
        if looks_like_path(argument) {
            bail!("there is no such file or folder");
        }
        if !looks_like_image(argument) {
            bail!(
                "there is no such file or folder; the name of an image has a tag or a digest: \
                 {argument}:TAG or {argument}@sha256:…"
            );
        }
        Ok(Self::Image)
    }
}

fn looks_like_path(argument: &str) -> bool {
    let starts = ["/", "./", "../", "~"].iter().any(|start| argument.starts_with(start));
    let lower = argument.to_ascii_lowercase();
    let ends = ["/", ".yaml", ".yml", ".json"].iter().any(|end| lower.ends_with(end));
    starts || ends || argument.contains('\\') || matches!(argument, "" | "." | "..")
}

/// Whether it has a tag or digest, or starts with the host of a registry.
fn looks_like_image(argument: &str) -> bool {
    let host = argument.split_once('/').map(|(host, _)| host);
    let is_host = |host: &str| host.contains(['.', ':']) || host == "localhost";
    argument.contains(['@', ':']) || host.is_some_and(is_host)
}

#[cfg(test)]
mod tests {
    use super::What;

    fn check(argument: &str, expected: Result<What<'_>, &str>) {
        match (What::of(argument), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{argument}"),
            (Err(error), Err(why)) => {
                assert!(error.to_string().contains(why), "{argument}: {error}");
            }
            (found, _) => panic!("{argument}: {found:?}"),
        }
    }

    #[test]
    fn paths_are_told_from_images() {
        let digest = format!("team/app@sha256:{}", "ab".repeat(32));
        for image in [
            "nginx:1.25",
            "registry.example.com/team/app",
            "registry.example.com/team/app:1.4",
            "localhost:5000/app",
            "localhost/app",
            "team/app:v1",
            &digest,
        ] {
            check(image, Ok(What::Image));
        }
        for path in [
            "./nothing:1",
            "../nothing",
            "/nothing/there",
            "~/nothing",
            "nothing.yaml",
            "out.d/nothing.JSON",
            "nothing/",
            "a\\b",
            "",
        ] {
            check(path, Err("no such file"));
        }
        check("chains-ot", Err("chains-ot:TAG"));
        check("chains-out/defalt", Err("tag or a digest"));
    }

    #[test]
    fn whatever_exists_is_no_image() {
        check("-", Ok(What::Run("-".as_ref())));
        check("src", Ok(What::Folder("src".as_ref())));
        check("Cargo.toml", Ok(What::Run("Cargo.toml".as_ref())));
        #[cfg(unix)]
        check("/dev/null", Ok(What::Run("/dev/null".as_ref())));
    }
}
