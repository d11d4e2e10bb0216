//! Finds the private key in a PEM file.
//!
//! Files come from many tools: with `EC PARAMETERS` in front, with certificates behind, with other line
//! widths and line ends. What is in the blocks is decoded by code that takes the same time for all keys.

use chains_core::Result;
use pkcs8::SecretDocument;
use pkcs8::der::pem::LineEnding;
use zeroize::Zeroizing;

use crate::key_error;

/// No key file is larger: an encrypted RSA key of 8192 bits has about 9 KiB.
const MAX_FILE: usize = 256 * 1024;

/// Width of a line of PEM ([RFC 7468 §2](https://www.rfc-editor.org/rfc/rfc7468#section-2)).
const WIDTH: usize = 64;

/// A block of PEM: its label, and its base64 without white space.
#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) label: String,
    pub(crate) base64: Zeroizing<String>,
}

/// The first block that may hold a private key.
///
/// # Errors
/// Says what is there instead.
pub(crate) fn private_key_block(text: &str) -> Result<Block> {
    if text.len() > MAX_FILE {
        return Err(key_error(format!("a key file of {} bytes is over {MAX_FILE}", text.len())));
    }
    let mut others = Vec::new();
    let mut rest = text;
    while let Some((block, after)) = next_block(rest)? {
        if block.label.ends_with("PRIVATE KEY") {
            return Ok(block);
        }
        others.push(block.label);
        rest = after;
    }
    Err(key_error(match others.iter().find(|label| label.ends_with("PUBLIC KEY")) {
        Some(_) => "it is a public key, and signing needs the private one".to_owned(),
        None if others.is_empty() => {
            "it is not PEM: there is no line `-----BEGIN …-----`".to_owned()
        }
        None => format!("the PEM holds no private key but {}", others.join(", ")),
    }))
}

fn next_block(text: &str) -> Result<Option<(Block, &str)>> {
    const BEGIN: &str = "-----BEGIN ";
    const DASHES: &str = "-----";
    let Some((_, after)) = text.split_once(BEGIN) else {
        return Ok(None);
    };
    let Some((label, body)) = after.split_once(DASHES) else {
        return Err(key_error("the PEM's first line has no end"));
    };
    if label.len() > WIDTH || label.contains(char::is_control) {
        return Err(key_error("the PEM's first line has no end"));
    }
    let Some((body, rest)) = body.split_once(&format!("-----END {label}-----")) else {
        return Err(key_error(format!("the PEM has no line `-----END {label}-----`")));
    };
    if body.contains(':') {
        return Err(key_error(
            "the PEM is encrypted in OpenSSL's old form, which is not supported: \
             decrypt it, or import it with `cosign import-key-pair`",
        ));
    }
    // Room for all, so that no copy of the key is left behind when the text grows.
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    base64.extend(body.chars().filter(|c| !c.is_ascii_whitespace()));
    Ok(Some((Block { label: label.to_owned(), base64 }, rest)))
}

impl Block {
    /// The DER that the block holds.
    ///
    /// # Errors
    /// Where it is not base64 or not DER.
    pub(crate) fn der(&self) -> Result<SecretDocument> {
        if self.base64.is_empty() {
            return Err(key_error("there is nothing between the PEM's first and last line"));
        }
        let mut pem = Zeroizing::new(String::with_capacity(self.base64.len() * 2 + 256));
        pem.push_str(&format!("-----BEGIN {}-----\n", self.label));
        let mut rest = self.base64.as_str();
        while !rest.is_empty() {
            // An odd character may be longer than a byte; the decoder refuses it then.
            let cut = (WIDTH..rest.len()).find(|i| rest.is_char_boundary(*i)).unwrap_or(rest.len());
            let (line, after) = rest.split_at(cut);
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str(&format!("-----END {}-----\n", self.label));
        let (_, document) = SecretDocument::from_pem(&pem)
            .map_err(|e| key_error("decoding the PEM").with_source(e.to_string()))?;
        Ok(document)
    }
}

/// Bytes as PEM, ending in a newline.
///
/// # Errors
/// Where the bytes are too many for DER.
pub(crate) fn encode(label: &'static str, der: &SecretDocument) -> Result<Zeroizing<String>> {
    der.to_pem(label, LineEnding::LF)
        .map_err(|e| key_error("encoding a private key").with_source(e.to_string()))
}

/// Text that is no secret as PEM, ending in a newline.
pub(crate) fn encode_base64(label: &str, base64: &str) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (index, character) in base64.chars().enumerate() {
        if index > 0 && index % WIDTH == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str(&format!("\n-----END {label}-----\n"));
    pem
}
