//! `scimctl docs`: the documents for the customers of whoever runs this endpoint, under their own name.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::output::{CliError, Output};
use super::site::tenant_url;

/// The tutorial, with placeholders.
const ENTRA: &str = include_str!("../../docs/idp/entra.md");
/// Longest name of a product, in characters: it stands in headings.
const PRODUCT_CHARS_MAX: usize = 80;

#[derive(Debug, Args)]
pub(super) struct DocsArguments {
    #[command(subcommand)]
    command: DocsCommand,
}

#[derive(Debug, Subcommand)]
enum DocsCommand {
    /// The tutorial for your customers' Entra admins, in Markdown
    Entra {
        /// What your product is called
        #[arg(long, value_name = "NAME")]
        product: String,
        /// The Tenant URL, or the SCIM base URL
        #[arg(long, value_name = "URL")]
        url: String,
    },
}

pub(super) fn run(arguments: &DocsArguments, out: &mut Output) -> Result<ExitCode, CliError> {
    match &arguments.command {
        DocsCommand::Entra { product, url } => {
            let text = entra(product, url)?;
            out.write(|| text.clone(), || json!({ "markdown": text }))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn entra(product: &str, url: &str) -> Result<String, CliError> {
    let (product, url) = (product.trim(), url.trim());
    let chars = product.chars().count();
    if chars == 0 || chars > PRODUCT_CHARS_MAX || product.chars().any(char::is_control) {
        let text = format!("--product: a name of 1 to {PRODUCT_CHARS_MAX} characters on one line");
        return Err(CliError::new(text));
    }
    let plain = url.chars().all(|c| c.is_ascii_graphic());
    let Some(rest) = url.strip_prefix("https://").or(url.strip_prefix("http://")) else {
        return Err(CliError::new(
            "--url: the Tenant URL, such as https://scim.example.com/scim/v2",
        ));
    };
    if !plain || rest.is_empty() {
        return Err(CliError::new(
            "--url: a URL of plain characters, such as https://scim.example.com/scim/v2",
        ));
    }
    Ok(without_header(ENTRA)
        .replace("{{tenant_url}}", &tenant_url(url))
        .replace("{{product}}", product))
}

/// The document without the comment at its top, which is for those who edit it.
fn without_header(text: &str) -> &str {
    let rest = text.trim_start().strip_prefix("<!--").and_then(|rest| rest.split_once("-->"));
    rest.map_or(text, |(_, rest)| rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tutorial_has_the_teams_name_and_url() {
        let text = entra("Paper & Sons", "https://scim.example.com/scim/v2").unwrap();
        assert!(text.contains("Paper & Sons"));
        assert!(text.contains("https://scim.example.com/scim/v2/?aadOptscim062020"));
        assert!(!text.contains("{{") && !text.trim_start().starts_with("<!--"));
        assert!(entra("", "https://a").is_err() && entra("P", "a b").is_err());
    }

    #[test]
    fn a_comment_at_the_top_is_for_editors() {
        assert_eq!(without_header("<!-- x\ny -->\n\n# T\n<!-- z -->"), "# T\n<!-- z -->");
        assert_eq!(without_header("# T"), "# T");
    }
}
