//! ETags (RFC 7644 §3.14, RFC 9110 §8.8.3, §13.1): the weak form of the version counter.

/// How a version is written in `ETag` and `meta.version`.
pub fn format(version: u64) -> String {
    format!("W/\"{version}\"")
}

/// Whether a list of entity tags, as in `If-Match` and `If-None-Match`, names `version`. `*` names every version. Tags
/// are compared weakly (RFC 9110 §8.8.3.2), because ours are weak and clients send them back as they got them.
pub fn names(header: &str, version: u64) -> bool {
    header.split(',').map(str::trim).any(|tag| {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || opaque.trim_matches('"') == version.to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_weak_tag() {
        assert_eq!(format(7), "W/\"7\"");
    }

    #[test]
    fn tags_match_weakly() {
        for header in ["W/\"7\"", "\"7\"", "*", "W/\"6\", W/\"7\"", "7"] {
            assert!(names(header, 7), "{header}");
        }
        for header in ["W/\"6\"", "", "\"77\"", "W/\"\""] {
            assert!(!names(header, 7), "{header}");
        }
    }
}
